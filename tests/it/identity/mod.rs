//! Who is who: the ID mapping table, first logins, and what is always true of them (spec/identity.md).

mod births;
mod checker;
mod events;
mod first_login;
mod hijack;
mod import;
mod linking;
mod linking_races;
mod links;
pub mod merge;
mod namespaces;
pub mod races;
mod show;
mod subjects;
mod transfer;

use samesake::config::ConnectorConfig;
use serde_json::{Value, json};

use crate::harness::relying_party::Tokens;
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, RelyingParty, TestApp, until};

/// A gateway with the client `shop` and these providers.
pub async fn gateway(env: &Env, connectors: impl IntoIterator<Item = ConnectorConfig>) -> (TestApp, RelyingParty) {
    let mut builder = TestApp::builder(env).web_client("shop");
    for connector in connectors {
        builder = builder.connector(connector);
    }
    let app = builder.start().await;
    let rp = app.relying_party("shop").await;
    (app, rp)
}

/// A login of this person through a provider, in a browser of its own.
pub async fn log_in_as(rp: &RelyingParty, upstream: &Upstream, connector: &str, subject: &str) -> Tokens {
    upstream.choose(subject);
    let browser = Browser::new();
    let authorization = rp.authorization();
    let page = browser.get(&authorization.url).await;
    let callback = browser.submit(&page, "/login/social", &[("connector", connector)]).await;
    rp.finish(&authorization, &callback).await
}

/// The same for somebody whose address may be a customer's: if the gateway asks for a proof, it gets a mailed code.
pub async fn log_in_and_prove(
    app: &TestApp,
    rp: &RelyingParty,
    upstream: &Upstream,
    connector: &str,
    subject: &str,
    email: &str,
) -> Tokens {
    upstream.choose(subject);
    let browser = Browser::new();
    let authorization = rp.authorization();
    let page = browser.get(&authorization.url).await;
    let mut page = browser.submit(&page, "/login/social", &[("connector", connector)]).await;
    if page.url.path() == "/link" {
        let codes = || {
            let mut sent = app.app.mailer.sent();
            sent.retain(|mail| mail.to.normalized() == email && mail.subject.starts_with("Your confirmation code"));
            sent
        };
        let before = codes().len();
        page = browser.submit(&page, "/link/send", &[]).await;
        until("the code", async || codes().len() > before).await;
        let text = codes().pop().unwrap().text;
        let code = text.split(|c: char| !c.is_ascii_digit()).find(|word| word.len() == 6).unwrap().to_owned();
        page = browser.submit(&page, "/link/code", &[("code", &code)]).await;
    }
    rp.finish(&authorization, &page).await
}

/// What a provider says of somebody with this address.
pub fn person(email: &str) -> Value {
    json!({"email": email, "email_verified": true, "name": "Somebody"})
}
