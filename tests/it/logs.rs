//! What the program writes down while people sign in: nothing that could be used, and nobody's address (protocol 51).
//!
//! The program itself, at its most talkative, through every flow there is; then everything that was secret on the way
//! is looked for in all that it printed.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::app::{PASSWORD, web_client};
use crate::harness::gateway::{client_toml, connector_toml};
use crate::harness::upstream::{BadAnswer, Endpoint, Fault, Upstream};
use crate::harness::{Browser, Env, Gateway, Page, RelyingParty};
use crate::on_both;

const SECRET: &str = "a secret of the client, long enough: 0123456789";
const ANN: &str = "ann.private@shop.example";
const BOB: &str = "bob.private@shop.example";

/// What must not be found.
#[derive(Default)]
struct Secrets(BTreeSet<String>);

impl Secrets {
    fn add(&mut self, secret: impl Into<String>) {
        let secret = secret.into();
        // What is shorter may stand anywhere by chance.
        if secret.len() >= 12 {
            self.0.insert(secret);
        }
    }

    /// All parameters of the addresses a browser went through, and what is in its cookies and in the page's forms.
    fn add_page(&mut self, browser: &Browser, page: &Page) {
        for url in page.visited.iter().chain([&page.url]) {
            for (name, value) in url.query_pairs() {
                if ["code", "state", "flow", "nonce", "code_challenge", "id_token_hint", "ticket"].contains(&&*name) {
                    self.add(value);
                }
            }
        }
        for cookie in browser.cookies() {
            self.add(cookie.value);
        }
        for (name, value) in page.forms().iter().flat_map(|form| form.filled_in(&[])) {
            if ["flow", "token"].contains(&name.as_str()) {
                self.add(value);
            }
        }
    }

    fn add_tokens(&mut self, tokens: &crate::harness::relying_party::Tokens) {
        for token in [Some(&tokens.access_token), Some(&tokens.id_token), tokens.refresh_token.as_ref()] {
            let Some(token) = token else { continue };
            self.add(token);
            // Neither its signature nor its claims alone.
            token.split('.').for_each(|part| self.add(part));
        }
    }
}

/// Answers the code that was mailed.
async fn sign_up(gateway: &Gateway, rp: &RelyingParty, secrets: &mut Secrets) -> String {
    let browser = Browser::new();
    let authorization = rp.authorization();
    let page = browser.get(&authorization.url).await;
    secrets.add_page(&browser, &page);
    let page = browser.click(&page, "Create account").await;
    let page =
        browser.submit(&page, "/sign-up", &[("email", ANN), ("password", PASSWORD), ("name", "Ann Private")]).await;
    let code = gateway.mailed_code(ANN).await;
    browser.submit(&page, "/sign-up/code", &[("code", "000000")]).await;
    let callback = browser.submit(&page, "/sign-up/code", &[("code", &code)]).await;
    secrets.add_page(&browser, &callback);
    secrets.add_tokens(&rp.finish(&authorization, &callback).await);
    code
}

async fn passwords_and_tokens(rp: &RelyingParty, secrets: &mut Secrets) {
    let browser = Browser::new();
    let authorization = rp.authorization();
    let page = browser.get(&authorization.url).await;
    let wrong = browser.submit(&page, "/login/password", &[("email", ANN), ("password", "a wrong password 1")]).await;
    let callback = browser.submit(&wrong, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
    secrets.add_page(&browser, &callback);
    let code = rp.code(&authorization, &callback);
    let tokens = rp.tokens(&authorization, rp.redeem(&authorization, &code).await).await;
    secrets.add(&authorization.verifier);
    secrets.add(&authorization.nonce);
    secrets.add_tokens(&tokens);
    rp.userinfo(&tokens.access_token).await;
    rp.userinfo(&format!("{}x", tokens.access_token)).await;
    let refreshed = rp.token_response(rp.refresh(tokens.refresh_token.as_ref().unwrap()).await).await;
    secrets.add_tokens(&refreshed);
    let again = rp.token_response(rp.refresh(refreshed.refresh_token.as_ref().unwrap()).await).await;
    secrets.add_tokens(&again);
    // Reuse, replay, nonsense: what is refused is the likeliest to be logged.
    assert_eq!(rp.refresh(tokens.refresh_token.as_ref().unwrap()).await.error(), "invalid_grant");
    assert_eq!(rp.redeem(&authorization, &code).await.error(), "invalid_grant");
    assert_eq!(rp.redeem(&authorization, "an invented code, long enough").await.error(), "invalid_grant");
    rp.refresh("an invented refresh token, long enough").await;
    let mut stranger = rp.clone();
    stranger.secret = Some("a wrong secret of the client".to_owned());
    assert_eq!(stranger.redeem(&authorization, &code).await.error(), "invalid_client");
    for invented in [
        "an invented code, long enough",
        "an invented refresh token, long enough",
        "a wrong secret of the client",
        "a wrong password 1",
    ] {
        secrets.add(invented);
    }
    let hint = rp.end_session(&[("id_token_hint", &tokens.id_token), ("state", "a state of the logout")]);
    secrets.add("a state of the logout");
    browser.get(hint).await;
    let question = browser.get(format!("{}/logout", rp.issuer)).await;
    secrets.add_page(&browser, &question);
}

async fn providers(rp: &RelyingParty, upstream: &Upstream, secrets: &mut Secrets) {
    let faults = [
        None,
        Some(Fault::AuthorizeError("access_denied")),
        Some(Fault::TokenError("invalid_grant")),
        Some(Fault::WrongSignature),
        Some(Fault::Claim("nonce", Some(json!("another nonce of the provider")))),
        Some(Fault::Answer(Endpoint::Token, BadAnswer::NotJson)),
        Some(Fault::Answer(Endpoint::Token, BadAnswer::Status(500))),
    ];
    for fault in faults {
        match fault {
            Some(fault) => upstream.faults().only(fault),
            None => upstream.faults().clear(),
        }
        let browser = Browser::new();
        let authorization = rp.authorization();
        let page = browser.get(&authorization.url).await;
        let end = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        secrets.add_page(&browser, &end);
        if end.stopped {
            secrets.add_tokens(&rp.finish(&authorization, &end).await);
        }
        for name in ["state", "nonce", "code_challenge"] {
            secrets.add(upstream.last_authorization()[name].clone());
        }
        // The same callback again, and in another browser.
        if let Some(callback) = end.visited.iter().find(|url| url.path() == "/callback/google") {
            browser.get(callback).await;
            Browser::new().get(callback).await;
        }
    }
}

on_both! {
    async fn nothing_secret_is_written_down(env: &Env) {
        let upstream = Upstream::start().await;
        upstream.add_person("subject-of-bob", json!({"email": BOB, "email_verified": true, "name": "Bob Private"}));
        let connector = upstream.config("google");
        let more = client_toml("shop", SECRET) + &connector_toml(&connector);
        let mut gateway = Gateway::start(env, &more).await;
        let client = web_client("shop", json!({}));
        let rp = RelyingParty::discover(&gateway.issuer, &client, Some(SECRET), &env.clock).await;
        let mut secrets = Secrets::default();
        for secret in [SECRET, PASSWORD, ANN, BOB, "Ann Private", "Bob Private", connector.client_secret.expose()] {
            secrets.add(secret);
        }
        let code = sign_up(&gateway, &rp, &mut secrets).await;
        passwords_and_tokens(&rp, &mut secrets).await;
        providers(&rp, &upstream, &mut secrets).await;
        gateway.run(&["customer", "show", ANN]);
        gateway.kill();
        let logs = gateway.logs();
        assert!(logs.lines().count() > 50 && logs.contains("DEBUG"), "it has said little:\n{logs}");
        assert!(secrets.0.len() > 60, "few secrets were collected: {}", secrets.0.len());
        // As it is, and as an address would carry it.
        let found: Vec<&String> = secrets
            .0
            .iter()
            .filter(|secret| {
                let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
                logs.contains(secret.as_str()) || logs.contains(&encoded)
            })
            .collect();
        let lines = |secret: &str| logs.lines().filter(|line| line.contains(secret)).take(2).collect::<Vec<_>>().join("\n");
        let shown: Vec<String> = found.iter().map(|secret| format!("{secret}:\n{}", lines(secret))).collect();
        assert!(found.is_empty(), "in the logs are {}", shown.join("\n"));
        assert!(!logs.contains("eyJ"), "a token is in the logs");
        // The fraction of a second in a time of day has six digits too.
        let mut words = logs.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
        assert!(!words.any(|word| word == code), "the mailed code is in the logs");
    }
}
