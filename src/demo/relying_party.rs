//! A confidential OpenID Connect client: code flow with PKCE, state and nonce, userinfo, and logout.
//!
//! What an app of any language would do with its library, over our own HTTP client and token verification. It must not
//! know cookies or pages. OpenID Connect Core §3.1, RP-Initiated Logout 1.0, RFC 9207.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::{self, byte_serialize};

use super::issuer::{Issuer, MAX_BYTES, Problem};
use crate::outbound::{HeaderMap, Method, OutboundRequest, StatusCode, header};
use crate::protocol::params::Params;
use crate::secret::{self, Secret};

/// Claims by name, in the order of the token.
pub(super) type Claims = Map<String, Value>;

/// What the gateway's configuration says of this client.
pub(super) struct Registration {
    pub(super) client_id: &'static str,
    pub(super) client_secret: String,
    pub(super) scope: &'static str,
    /// Whom access tokens are for (RFC 8707); the gateway itself if empty.
    pub(super) resources: Vec<String>,
}

/// One app's relation to the gateway.
pub(super) struct RelyingParty {
    issuer: Issuer,
    client_id: &'static str,
    client_secret: Secret<String>,
    scope: &'static str,
    resources: Vec<String>,
    redirect_uri: String,
    post_logout_redirect_uri: String,
}

/// What the app keeps of a login under way, for this browser only.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    state: String,
    nonce: String,
    verifier: String,
}

/// Whether the gateway may show pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// It may.
    Any,
    /// `prompt=none`: only if the customer is signed in already.
    None,
}

/// The outcome of a login.
#[derive(Serialize, Deserialize)]
pub(super) struct SignedIn {
    pub(super) id_token: String,
    pub(super) access_token: String,
    /// Of the ID token.
    pub(super) claims: Claims,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: String,
}

impl RelyingParty {
    /// `home` is the app's origin.
    pub(super) fn new(issuer: Issuer, registration: Registration, home: &str) -> Self {
        Self {
            issuer,
            client_id: registration.client_id,
            client_secret: Secret::new(registration.client_secret),
            scope: registration.scope,
            resources: registration.resources,
            redirect_uri: format!("{home}/callback"),
            post_logout_redirect_uri: format!("{home}/signed-out"),
        }
    }

    pub(super) const fn client_id(&self) -> &'static str {
        self.client_id
    }

    pub(super) fn now(&self) -> crate::clock::Timestamp {
        self.issuer.now()
    }

    /// Where to send the browser, and what to keep until it returns.
    pub(super) async fn authorization_request(&self, prompt: Prompt) -> Result<(Url, Pending), Problem> {
        let pending =
            Pending { state: secret::random_token(), nonce: secret::random_token(), verifier: secret::random_token() };
        let mut url = self.issuer.metadata().await?.authorization_endpoint;
        let challenge = secret::base64url(&secret::sha256(&[pending.verifier.as_bytes()]));
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", self.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", self.scope)
            .append_pair("state", &pending.state)
            .append_pair("nonce", &pending.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(self.resources.iter().map(|resource| ("resource", resource)));
        if prompt == Prompt::None {
            url.query_pairs_mut().append_pair("prompt", "none");
        }
        Ok((url, pending))
    }

    /// Turns the callback into a login. `pending` was kept for this browser and is used once.
    pub(super) async fn finish(&self, callback: &Params, pending: &Pending) -> Result<SignedIn, Problem> {
        let state = callback.get("state").unwrap_or_default();
        if !secret::constant_time_eq(state.as_bytes(), pending.state.as_bytes()) {
            return Err(Problem::Mismatch("the callback has another state"));
        }
        let metadata = self.issuer.metadata().await?;
        // RFC 9207 §2.4: the answer names who gives it, a refusal too.
        if callback.get("iss") != Some(&metadata.issuer) {
            return Err(Problem::Mismatch("the callback comes from another issuer"));
        }
        if let Some(error) = callback.owned("error") {
            return Err(Problem::Refused(error));
        }
        let code = callback.get("code").ok_or(Problem::Mismatch("the callback has no code"))?;
        let tokens = self.exchange(metadata.token_endpoint, code, pending).await?;
        let claims: Claims = self.issuer.verify(&tokens.id_token, "JWT", self.client_id).await?;
        // OpenID Connect Core §3.1.3.7: the nonce is the one sent, and we are the only audience.
        let nonce = claims.get("nonce").and_then(Value::as_str).unwrap_or_default();
        if !secret::constant_time_eq(nonce.as_bytes(), pending.nonce.as_bytes()) {
            return Err(Problem::Mismatch("the ID token has another nonce"));
        }
        if claims.get("aud").and_then(Value::as_str) != Some(self.client_id) {
            return Err(Problem::Mismatch("the ID token has other audiences too"));
        }
        Ok(SignedIn { id_token: tokens.id_token, access_token: tokens.access_token, claims })
    }

    async fn exchange(&self, url: Url, code: &str, pending: &Pending) -> Result<Tokens, Problem> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("code_verifier", &pending.verifier)
            .finish();
        let mut headers = HeaderMap::new();
        let form = header::HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, form);
        headers.insert(header::AUTHORIZATION, self.basic()?);
        let request = OutboundRequest { method: Method::POST, url, headers, body: body.into(), max_bytes: MAX_BYTES };
        let response = self.issuer.send(request).await?;
        if response.status != StatusCode::OK {
            return Err(Problem::Status { what: "the token endpoint", status: response.status });
        }
        serde_json::from_slice(&response.body).map_err(|_| Problem::Unreadable("the token response"))
    }

    /// RFC 6749 §2.3.1: ID and secret are form-encoded before they are joined.
    fn basic(&self) -> Result<header::HeaderValue, Problem> {
        let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encode(self.client_id), encode(self.client_secret.expose()));
        sensitive(format!("Basic {}", STANDARD.encode(pair)))
    }

    /// The customer's claims of this moment; `None` if the access token is no longer good, as after a logout.
    pub(super) async fn userinfo(&self, signed_in: &SignedIn) -> Result<Option<Claims>, Problem> {
        let url = self.issuer.metadata().await?.userinfo_endpoint;
        let mut request = OutboundRequest::get_json(url, MAX_BYTES);
        request.headers.insert(header::AUTHORIZATION, sensitive(format!("Bearer {}", signed_in.access_token))?);
        let response = self.issuer.send(request).await?;
        match response.status {
            StatusCode::UNAUTHORIZED => return Ok(None),
            StatusCode::OK => {}
            status => return Err(Problem::Status { what: "userinfo", status }),
        }
        let claims: Claims = serde_json::from_slice(&response.body).map_err(|_| Problem::Unreadable("userinfo"))?;
        // OpenID Connect Core §5.3.2: token substitution.
        if claims.get("sub") != signed_in.claims.get("sub") {
            return Err(Problem::Mismatch("userinfo is about another subject"));
        }
        Ok(Some(claims))
    }

    /// Where to send the browser to sign out everywhere (RP-Initiated Logout 1.0 §2).
    pub(super) async fn end_session_request(&self, id_token: &str) -> Result<Url, Problem> {
        let mut url = self.issuer.metadata().await?.end_session_endpoint;
        url.query_pairs_mut()
            .append_pair("id_token_hint", id_token)
            .append_pair("post_logout_redirect_uri", &self.post_logout_redirect_uri);
        Ok(url)
    }
}

pub(super) fn sensitive(text: String) -> Result<header::HeaderValue, Problem> {
    let mut value =
        header::HeaderValue::try_from(text).map_err(|_| Problem::Mismatch("a credential is not plain text"))?;
    value.set_sensitive(true);
    Ok(value)
}
