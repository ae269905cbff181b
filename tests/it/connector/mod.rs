//! Logging in at upstream providers, and the guard on outgoing requests. No database takes part: the connector is
//! driven as the login pages drive it, by a browser that follows the redirects.

mod oidc;
mod oidc_caches;
mod oidc_faults;
mod outbound;

use std::time::Duration;

use samesake::clock::Clock;
use samesake::config::ConnectorConfig;
use samesake::connector::{ConnectorError, PendingUpstream, Registry, SharedConnector};
use samesake::connector::{UpstreamCallback, UpstreamIdentity};
use samesake::outbound::{Outbound, OutboundPolicy};
use url::Url;

use crate::harness::upstream::Upstream;

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
        let request = self.connector.authorization_request(&self.redirect_uri, self.clock.now()).await?;
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
