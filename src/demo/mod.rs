//! The demonstration: a shop, a second app, a back end, a personalization page and a stand-in social provider around a
//! gateway, in one process, on loopback only.
//!
//! The apps are ordinary relying parties: they speak to the gateway through its public endpoints and verify what it
//! signs with its published keys. Only the mailbox looks inside, because no mail leaves the machine. All listeners are
//! bound before anything is configured, so that every address is a real one.

mod back_end;
mod cases;
mod client_app;
mod data_dir;
mod gateway;
mod guide;
mod issuer;
mod listeners;
mod mailbox;
pub mod pages;
mod people;
mod personalization;
mod provider;
mod relying_party;
mod second;
mod shop;
mod web;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::App;
use crate::clock::Clock;
use crate::keys::KeyRing;
use crate::kv::Kv;
use crate::outbound::{Outbound, OutboundPolicy};
use crate::secret;
use crate::serve;

use client_app::ClientApp;
use data_dir::DataDir;
pub use guide::Colors;
use issuer::Issuer;
use listeners::Listeners;
pub use listeners::Urls;
use relying_party::{Registration, RelyingParty};

/// The most entries that sessions and codes of the demonstration's own apps take.
const ENTRIES: usize = 20_000;

const LIMITS: serve::Limits = serve::Limits {
    max_connections: 500,
    header_timeout: Duration::from_secs(10),
    shutdown_grace: Duration::from_secs(2),
};

/// How to run the demonstration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The gateway's port; its neighbors take the next ones. 0: any free ports.
    pub port_base: u16,
    /// Where the gateway's data is kept; without one, in a temporary directory that is removed at the end.
    pub data_dir: Option<PathBuf>,
}

/// A demonstration whose ports are bound and whose gateway is ready.
#[must_use = "it answers only while it is run"]
pub struct Demo {
    /// What to open.
    pub urls: Urls,
    data: DataDir,
    gateway: (App, TcpListener),
    apps: Vec<(Router, TcpListener)>,
}

/// What the gateway and its clients agreed on.
struct Credentials {
    shop: String,
    second: String,
    provider: String,
}

impl Demo {
    /// Binds all ports, makes the gateway's configuration and database, and builds the apps.
    ///
    /// # Errors
    /// If a port is taken, or the data directory cannot be used.
    pub async fn start(options: Options) -> anyhow::Result<Demo> {
        let listeners = Listeners::bind(options.port_base).await?;
        let urls = listeners.urls()?;
        let data = DataDir::open(options.data_dir)?;
        let clock = Clock::system();
        let credentials = Credentials {
            shop: secret::random_token(),
            second: secret::random_token(),
            provider: secret::random_token(),
        };
        let app = gateway::build(&urls, &credentials, data.path(), clock.clone()).await?;
        people::settle(&app, &clock).await?;
        let parts = Parts { urls: &urls, kv: Kv::in_process(clock.clone(), ENTRIES), outbound: outbound()?, clock };
        let apps = vec![
            (parts.shop(&credentials, &app), listeners.shop),
            (parts.second(&credentials), listeners.second),
            (back_end::router(parts.issuer(), urls.back_end.clone()), listeners.back_end),
            (personalization::router(parts.issuer(), &urls, parts.outbound.clone()), listeners.personalization),
            (parts.provider(&credentials)?, listeners.provider),
        ];
        Ok(Demo { urls, data, gateway: (app, listeners.gateway), apps })
    }

    /// What to open and what to try, as text for a person.
    pub fn guide(&self, colors: Colors) -> String {
        guide::text(&self.urls, self.data.path(), self.data.is_kept(), colors)
    }

    /// Answers requests until `shutdown`, then removes what it made.
    ///
    /// # Errors
    /// If a listener fails.
    pub async fn run_until(self, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
        let (stop, stopped) = watch::channel(false);
        let mut servers = JoinSet::new();
        for (router, listener) in self.apps {
            servers.spawn(serve::listen(router, listener, LIMITS, wait_for(stopped.clone())));
        }
        let (app, listener) = self.gateway;
        servers.spawn(serve::run(app.clone(), listener, wait_for(stopped)));
        let mut outcome = Ok(());
        tokio::select! {
            () = shutdown => {}
            // None of them ends by itself.
            Some(ended) = servers.join_next() => outcome = flatten(ended),
        }
        stop.send_replace(true);
        while let Some(ended) = servers.join_next().await {
            outcome = outcome.and(flatten(ended));
        }
        app.store().close().await;
        drop(self.data);
        outcome
    }
}

fn flatten(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> anyhow::Result<()> {
    Ok(ended??)
}

async fn wait_for(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the end as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The demonstration's own way out reaches this machine only by its loopback address.
fn outbound() -> anyhow::Result<Outbound> {
    Ok(Outbound::new(OutboundPolicy { allow: vec![listeners::HOST.to_string()], ..OutboundPolicy::default() })?)
}

/// What the apps are built from.
struct Parts<'a> {
    urls: &'a Urls,
    kv: Kv,
    outbound: Outbound,
    clock: Clock,
}

impl Parts<'_> {
    fn issuer(&self) -> Issuer {
        Issuer::new(self.urls.gateway.clone(), self.outbound.clone(), self.clock.clone())
    }

    fn party(&self, registration: Registration, home: &str) -> RelyingParty {
        RelyingParty::new(self.issuer(), registration, home)
    }

    fn shop(&self, credentials: &Credentials, app: &App) -> Router {
        let registration = Registration {
            client_id: "shop",
            client_secret: credentials.shop.clone(),
            scope: "openid profile email orders",
            // One token for two readers: the back end, and the gateway's own userinfo.
            resources: vec![self.urls.back_end.clone(), self.urls.gateway.clone()],
        };
        let party = self.party(registration, &self.urls.shop);
        let client = ClientApp::new(party, self.kv.scoped("shop:"), client_app::Greeting::WhenAsked);
        let shop = shop::router(Arc::new(client), self.urls, self.outbound.clone());
        shop.merge(mailbox::router(app.mailer.clone(), self.urls))
    }

    fn second(&self, credentials: &Credentials) -> Router {
        let registration = Registration {
            client_id: "magazine",
            client_secret: credentials.second.clone(),
            scope: "openid profile email",
            resources: vec![],
        };
        let party = self.party(registration, &self.urls.second);
        let client = ClientApp::new(party, self.kv.scoped("magazine:"), client_app::Greeting::AtOnce);
        second::router(Arc::new(client), self.urls)
    }

    fn provider(&self, credentials: &Credentials) -> anyhow::Result<Router> {
        Ok(provider::router(provider::Chirp {
            issuer: self.urls.provider.clone(),
            client_secret: credentials.provider.clone(),
            redirect_uri: format!("{}/callback/{}", self.urls.gateway, provider::CONNECTOR),
            keys: KeyRing::ephemeral(self.clock.now())?,
            kv: self.kv.scoped("chirp:"),
            clock: self.clock.clone(),
        }))
    }
}
