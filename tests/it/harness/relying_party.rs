//! An app that signs its customers in with the gateway: OpenID Connect Core's code flow as the client sees it.
//!
//! It is strict on purpose: whatever a careful client library would refuse fails the test. Negative tests use the
//! single steps (`token`, `redeem`), which answer what came back. Knows the gateway by its metadata only.

use reqwest::header::{self, HeaderMap};
use reqwest::{Client, StatusCode};
use samesake::clock::Clock;
use samesake::protocol::client_metadata::{ClientMetadata, TokenEndpointAuthMethod};
use samesake::secret::{base64url, random_token, sha256};
use serde_json::Value;
use url::Url;

use super::browser::{Page, http_client};
use super::{jwks, unanswered};

/// One registered client at work.
#[derive(Clone)]
pub struct RelyingParty {
    pub client: ClientMetadata,
    pub secret: Option<String>,
    pub redirect_uri: Url,
    pub issuer: String,
    /// The discovery document.
    pub metadata: Value,
    /// What tells whether a token has expired.
    pub clock: Clock,
    http: Client,
}

/// One authorization request, and what the app keeps until the callback.
#[derive(Clone, Debug)]
pub struct Authorization {
    pub url: Url,
    pub state: String,
    pub nonce: String,
    pub verifier: String,
}

/// What an endpoint answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// `null` if it is no JSON.
    pub body: Value,
    pub text: String,
}

/// The outcome of a login, verified.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access_token: String,
    pub id_token: String,
    pub refresh_token: Option<String>,
    /// The ID token's claims.
    pub claims: Value,
    /// The whole token response.
    pub body: Value,
}

impl RelyingParty {
    /// Reads the discovery document (OpenID Connect Discovery §4) at `issuer`, which must be named in it exactly.
    pub async fn discover(issuer: &Url, client: &ClientMetadata, secret: Option<&str>, clock: &Clock) -> RelyingParty {
        let http = http_client();
        let issuer = issuer.as_str().trim_end_matches('/').to_owned();
        let address = format!("{issuer}/.well-known/openid-configuration");
        let metadata: Value = http.get(address).send().await.unwrap().json().await.unwrap();
        assert_eq!(metadata["issuer"], issuer.as_str());
        RelyingParty {
            redirect_uri: Url::parse(&client.redirect_uris[0]).unwrap(),
            client: client.clone(),
            secret: secret.map(str::to_owned),
            issuer,
            metadata,
            clock: clock.clone(),
            http,
        }
    }

    /// The same app, but what it calls itself goes to another replica, as behind a load balancer.
    #[must_use]
    pub fn via(mut self, replica: &Url) -> RelyingParty {
        for name in ["token_endpoint", "userinfo_endpoint", "introspection_endpoint", "revocation_endpoint", "jwks_uri"]
        {
            if self.metadata[name].is_string() {
                self.metadata[name] = replica.join(self.endpoint(name).path()).unwrap().as_str().into();
            }
        }
        self
    }

    /// An endpoint by its name in the metadata, such as `token_endpoint`.
    pub fn endpoint(&self, name: &str) -> Url {
        let address = self.metadata[name].as_str().unwrap_or_else(|| panic!("the metadata has no {name}"));
        Url::parse(address).unwrap()
    }

    /// An authorization request with all that a good client sends.
    pub fn authorization(&self) -> Authorization {
        self.authorization_with(&[])
    }

    /// The same with parameters added or replaced; an empty value leaves one out.
    pub fn authorization_with(&self, changes: &[(&str, &str)]) -> Authorization {
        let (state, nonce, verifier) = (random_token(), random_token(), random_token());
        let challenge = base64url(&sha256(&[verifier.as_bytes()]));
        let usual = [
            ("response_type", "code"),
            ("client_id", &self.client.client_id),
            ("redirect_uri", self.client.redirect_uris[0].as_str()),
            ("scope", &self.client.scope),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let unchanged = usual.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let mut url = self.endpoint("authorization_endpoint");
        for (name, value) in unchanged.chain(changes).filter(|(_, value)| !value.is_empty()) {
            url.query_pairs_mut().append_pair(name, value);
        }
        Authorization { url, state, nonce, verifier }
    }

    /// The code in a callback that is ours and for this request (RFC 6749 §4.1.2, RFC 9207).
    pub fn code(&self, authorization: &Authorization, callback: &Page) -> String {
        self.check_callback(authorization, callback);
        let code = callback.parameter("code");
        code.unwrap_or_else(|| panic!("no code in {}\n{}", callback.url, callback.text()))
    }

    /// The error in a callback that is ours and for this request (RFC 6749 §4.1.2.1).
    pub fn error(&self, authorization: &Authorization, callback: &Page) -> String {
        self.check_callback(authorization, callback);
        assert_eq!(callback.parameter("code"), None);
        let error = callback.parameter("error");
        error.unwrap_or_else(|| panic!("no error in {}\n{}", callback.url, callback.text()))
    }

    fn check_callback(&self, authorization: &Authorization, callback: &Page) {
        let (at, to) = (&callback.url, &self.redirect_uri);
        assert!(
            (at.origin(), at.path()) == (to.origin(), to.path()) && callback.stopped,
            "not at the callback but at {} {}: {}",
            callback.status,
            callback.url,
            callback.text()
        );
        assert_eq!(callback.parameter("iss").as_deref(), Some(self.issuer.as_str()));
        assert_eq!(callback.parameter("state").as_deref(), Some(authorization.state.as_str()));
    }

    /// Takes the callback of a login through to verified tokens.
    pub async fn finish(&self, authorization: &Authorization, callback: &Page) -> Tokens {
        let code = self.code(authorization, callback);
        self.tokens(authorization, self.redeem(authorization, &code).await).await
    }

    /// Redeems a code, and answers whatever comes.
    pub async fn redeem(&self, authorization: &Authorization, code: &str) -> Answer {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.client.redirect_uris[0]),
            ("code_verifier", &authorization.verifier),
        ])
        .await
    }

    /// Uses a refresh token, and answers whatever comes.
    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    /// A token request with this client's authentication.
    pub async fn token(&self, parameters: &[(&str, &str)]) -> Answer {
        self.post("token_endpoint", parameters).await
    }

    /// Posts to an endpoint with this client's authentication (RFC 6749 §2.3.1).
    pub async fn post(&self, endpoint: &str, parameters: &[(&str, &str)]) -> Answer {
        let mut request = self.http.post(self.endpoint(endpoint));
        let mut parameters = parameters.to_vec();
        let secret = self.secret.as_deref().unwrap_or_default();
        match self.client.token_endpoint_auth_method {
            TokenEndpointAuthMethod::ClientSecretBasic => {
                let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encoded(&self.client.client_id), Some(encoded(secret)));
            }
            TokenEndpointAuthMethod::ClientSecretPost => {
                parameters.extend([("client_id", self.client.client_id.as_str()), ("client_secret", secret)]);
            }
            TokenEndpointAuthMethod::None => parameters.push(("client_id", &self.client.client_id)),
        }
        answer(request.form(&parameters)).await
    }

    /// Userinfo with the token in the header (RFC 6750 §2.1).
    pub async fn userinfo(&self, access_token: &str) -> Answer {
        answer(self.http.get(self.endpoint("userinfo_endpoint")).bearer_auth(access_token)).await
    }

    /// Verifies a successful token response to this authorization (OpenID Connect Core §3.1.3.3 and §3.1.3.7).
    pub async fn tokens(&self, authorization: &Authorization, answer: Answer) -> Tokens {
        let tokens = self.token_response(answer).await;
        assert_eq!(tokens.claims["nonce"], authorization.nonce.as_str());
        tokens
    }

    /// Verifies a successful token response, whatever its grant.
    pub async fn token_response(&self, answer: Answer) -> Tokens {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        let text = |name: &str| answer.body[name].as_str().map(str::to_owned);
        assert_eq!(text("token_type").map(|kind| kind.to_ascii_lowercase()).as_deref(), Some("bearer"));
        assert!(answer.body["expires_in"].as_u64().is_some_and(|seconds| seconds > 0));
        let access_token = text("access_token").unwrap();
        let id_token = text("id_token").unwrap();
        let claims = self.id_token(&id_token).await;
        if let Some(at_hash) = claims["at_hash"].as_str() {
            assert_eq!(at_hash, jwks::half_hash(self.client.id_token_signed_response_alg, &access_token));
        }
        Tokens { access_token, id_token, refresh_token: text("refresh_token"), claims, body: answer.body }
    }

    /// The claims of an ID token, once everything about it is right (OpenID Connect Core §2).
    pub async fn id_token(&self, token: &str) -> Value {
        let (header, claims) = self.jwt(token).await;
        assert_eq!(header["alg"], self.client.id_token_signed_response_alg.as_str());
        assert!(header["typ"].is_null() || header["typ"] == "JWT", "typ is {}", header["typ"]);
        assert_eq!(claims["iss"], self.issuer.as_str());
        assert!(jwks::audiences(&claims).contains(&self.client.client_id.as_str()), "aud is {}", claims["aud"]);
        let now = self.clock.now().seconds();
        assert!(claims["exp"].as_i64().unwrap() > now, "expired");
        assert!(claims["iat"].as_i64().unwrap() <= now + 1, "from the future");
        assert!(claims["sub"].as_str().is_some_and(|sub| !sub.is_empty() && sub.len() <= 255 && sub.is_ascii()));
        claims
    }

    /// The header and claims of any token whose signature a key of the JWKS verifies.
    pub async fn jwt(&self, token: &str) -> (Value, Value) {
        let keys = answer(self.http.get(self.endpoint("jwks_uri"))).await.body;
        jwks::verify(&keys, token).unwrap_or_else(|reason| panic!("{reason}: {token}"))
    }

    /// Where to send the browser to log out (OpenID Connect RP-Initiated Logout §2).
    pub fn end_session(&self, parameters: &[(&str, &str)]) -> Url {
        let mut url = self.endpoint("end_session_endpoint");
        url.query_pairs_mut().extend_pairs(parameters);
        url
    }
}

impl Answer {
    /// `error` of an OAuth error response.
    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_else(|| panic!("no error but {} {}", self.status, self.text))
    }
}

/// Sends a request and reads the whole answer.
pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap_or_else(unanswered);
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap_or_else(unanswered);
    Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text }
}
