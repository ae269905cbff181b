//! Logging in at upstream providers, and the guard on outgoing requests.
//!
//! Each kind goes once through the whole gateway. Its quirks and faults are shown without a database: the connector is
//! driven as the login pages drive it, by a browser that follows the redirects.

mod apple;
mod breaker;
mod facebook;
mod github;
mod google;
mod levels;
mod linkedin;
mod microsoft;
mod oauth2;
mod oauth2_faults;
mod oidc;
mod oidc_caches;
mod oidc_faults;
mod outbound;
mod self_check;
mod ssrf;
mod x;

use std::time::Duration;

use samesake::clock::Clock;
use samesake::config::ConnectorConfig;
use samesake::connector::{ConnectorError, PendingUpstream, Registry, SharedConnector};
use samesake::connector::{UpstreamCallback, UpstreamIdentity};
use samesake::outbound::{Outbound, OutboundPolicy};
use url::Url;

use crate::harness::relying_party::Tokens;
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, Page, TestApp};

/// An outgoing client that may reach the stand-ins, and does not wait long for them.
fn outbound() -> Outbound {
    impatient(Duration::from_millis(2500))
}

fn impatient(timeout: Duration) -> Outbound {
    let policy = OutboundPolicy { allow: vec!["127.0.0.1".to_owned()], connect_timeout: timeout, timeout };
    Outbound::new(policy).unwrap()
}

/// The gateway's side of a login at one provider, and the customer's browser.
struct Login {
    connector: SharedConnector,
    clock: Clock,
    redirect_uri: Url,
    browser: reqwest::Client,
}

impl Login {
    fn at(upstream: &Upstream) -> Self {
        Self::with(upstream.config("acme"))
    }

    fn with(config: ConnectorConfig) -> Self {
        Self::through(outbound(), config)
    }

    fn through(outbound: Outbound, config: ConnectorConfig) -> Self {
        let id = config.id.clone();
        let registry = Registry::from_config(&[config], outbound).unwrap();
        let no_redirects = reqwest::redirect::Policy::none();
        Self {
            connector: registry.get(&id).unwrap(),
            clock: Clock::system(),
            redirect_uri: Url::parse("https://id.shop.example/login/callback/acme").unwrap(),
            browser: reqwest::Client::builder().redirect(no_redirects).no_proxy().tls_certs_only([]).build().unwrap(),
        }
    }

    /// Sends the browser to the provider; what came back, and what it will be checked against.
    async fn begin(&self) -> Result<(UpstreamCallback, PendingUpstream), ConnectorError> {
        let request =
            self.connector.authorization_request(&self.redirect_uri, Default::default(), self.clock.now()).await?;
        let answer = self.browser.get(request.url).send().await.unwrap();
        let to = Url::parse(answer.headers().get("location").unwrap().to_str().unwrap()).unwrap();
        assert!(to.as_str().starts_with(self.redirect_uri.as_str()), "{to}");
        let said = |name: &str| to.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        assert_eq!(said("state").as_ref(), Some(&request.pending.state));
        let callback = UpstreamCallback {
            code: said("code"),
            error: said("error"),
            error_description: said("error_description"),
            iss: said("iss"),
            user: None,
            ..UpstreamCallback::default()
        };
        Ok((callback, request.pending))
    }

    async fn finish(
        &self,
        callback: &UpstreamCallback,
        pending: &PendingUpstream,
    ) -> Result<UpstreamIdentity, ConnectorError> {
        self.connector.finish(callback, pending, &self.redirect_uri, self.clock.now()).await
    }

    async fn run(&self) -> Result<UpstreamIdentity, ConnectorError> {
        let (callback, pending) = self.begin().await?;
        self.finish(&callback, &pending).await
    }
}

fn invalid(what: &'static str) -> ConnectorError {
    ConnectorError::Invalid { what }
}

fn provider_error(code: &str) -> ConnectorError {
    ConnectorError::Provider { code: code.to_owned() }
}

/// The whole gateway with one connector and the app `shop`.
async fn gateway(env: &Env, connector: ConnectorConfig) -> TestApp {
    TestApp::builder(env).web_client("shop").connector(connector).start().await
}

/// Presses a connector's button on the login page; where the provider leads.
async fn press(browser: &Browser, page: &Page, connector: &str) -> Page {
    browser.submit(page, "/login/social", &[("connector", connector)]).await
}

/// From the app, through the provider, and back in the app.
async fn sign_in(app: &TestApp, connector: &str) -> Tokens {
    let (browser, shop) = (Browser::new(), app.relying_party("shop").await);
    let authorization = shop.authorization();
    let page = browser.get(&authorization.url).await;
    let callback = press(&browser, &page, connector).await;
    shop.finish(&authorization, &callback).await
}

/// Signs in twice, in two browsers: one customer, with the link this subject makes. Answers what userinfo says of them.
async fn signs_in_and_returns(env: &Env, connector: ConnectorConfig, subject: &str) -> serde_json::Value {
    let id = connector.id.clone();
    let app = gateway(env, connector).await;
    let first = sign_in(&app, &id).await;
    let again = sign_in(&app, &id).await;
    assert_eq!(again.claims["sub"], first.claims["sub"]);
    assert_eq!(links(&app, &id, subject).await, 1);
    app.relying_party("shop").await.userinfo(&again.access_token).await.body
}

/// How many live links there are of a connector's subject.
async fn links(app: &TestApp, connector: &str, subject: &str) -> usize {
    let mut tx = app.store.background().begin_read().await.unwrap();
    tx.links_find(&format!("social:{connector}"), subject).await.unwrap().len()
}
