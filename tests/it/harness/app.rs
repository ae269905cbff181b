//! The whole gateway on a port of its own: the real router, the real jobs, the back ends of the test's environment.
//!
//! A test arranges it by the builder, then acts from outside, as a browser or as a client. What it looks at inside are
//! the counters, the mail that would have left, and the rows.

use std::time::Duration;

use samesake::app::App;
use samesake::clock::Clock;
use samesake::config::{Config, ConfiguredClient, ConnectorConfig, Destination, MailTransport};
use samesake::identity::address::EmailAddress;
use samesake::identity::sign_in::{self, SignedUp};
use samesake::ids::CustomerId;
use samesake::kv::Kv;
use samesake::mail::Message;
use samesake::protocol::client_metadata::ClientMetadata;
use samesake::secret::Secret;
use samesake::store::Store;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use super::{Browser, Env, Page, RelyingParty, until};

/// Good enough for every customer of the tests.
pub const PASSWORD: &str = "a long enough password";
/// Good enough for every client of the tests.
pub const CLIENT_SECRET: &str = "a secret of the client, long enough: 0123456789";

/// A running gateway, stopped on drop.
pub struct TestApp {
    pub issuer: Url,
    /// Where this replica listens; for the first one the same as `issuer`.
    pub address: Url,
    /// The clock of this gateway and of its in-process key-value store.
    pub clock: Clock,
    /// The gateway's own: its count of statements is that of the requests.
    pub store: Store,
    /// The gateway's own: its count of round trips is that of the requests.
    pub kv: Kv,
    pub app: App,
    server: JoinHandle<()>,
}

/// What a gateway is to be like.
pub struct Builder<'e> {
    env: &'e Env,
    config: Config,
}

/// Metadata of a first-party web app that may do all that the tests commonly need; `changes` replace or add members.
pub fn web_client(client_id: &str, changes: Value) -> ClientMetadata {
    let mut metadata = json!({
        "client_id": client_id,
        "client_name": format!("The {client_id}"),
        "redirect_uris": [format!("https://{client_id}.example/callback")],
        "post_logout_redirect_uris": [format!("https://{client_id}.example/")],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid profile email offline_access",
        "first_party": true,
    });
    for (name, value) in changes.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    serde_json::from_value(metadata).unwrap()
}

impl Builder<'_> {
    /// Adds a client; without a secret it must be a public one.
    #[must_use]
    pub fn client(mut self, metadata: ClientMetadata, secret: Option<&str>) -> Self {
        let client_secret = secret.map(|secret| Secret::new(secret.to_owned()));
        self.config.clients.push(ConfiguredClient { metadata, client_secret, client_secret_file: None });
        self
    }

    /// Adds a confidential first-party web client with [`CLIENT_SECRET`].
    #[must_use]
    pub fn web_client(self, client_id: &str) -> Self {
        self.client(web_client(client_id, json!({})), Some(CLIENT_SECRET))
    }

    /// Adds an upstream provider.
    #[must_use]
    pub fn connector(mut self, connector: ConnectorConfig) -> Self {
        self.config.connectors.push(connector);
        self
    }

    /// Adds an audience of the signed identity, in the words of the configuration file. An origin `http://localhost`
    /// stands for the gateway's own port under that name: to a browser another site, as an app's domain is.
    #[must_use]
    pub fn destination(mut self, destination: Value) -> Self {
        let destination: Destination = serde_json::from_value(destination).unwrap();
        self.config.destinations.push(destination);
        self
    }

    /// Changes anything else.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Starts the gateway on a free port.
    pub async fn start(mut self) -> TestApp {
        let (listener, address) = listen().await;
        self.config.server.issuer = address.clone();
        for origin in self.config.destinations.iter_mut().flat_map(|destination| &mut destination.origins) {
            if origin.as_str() == "http://localhost/" {
                origin.set_port(address.port()).unwrap();
            }
        }
        serve(self.env, self.config, listener, address).await
    }

    /// Starts it behind a proxy: on a free port, but known to the world by another name.
    pub async fn start_as(mut self, issuer: &str) -> TestApp {
        let (listener, address) = listen().await;
        self.config.server.issuer = Url::parse(issuer).unwrap();
        serve(self.env, self.config, listener, address).await
    }
}

impl TestApp {
    /// A gateway as the defaults make it, but with cheap password hashes, mail kept in memory, and loopback open to
    /// its own requests.
    pub fn builder(env: &Env) -> Builder<'_> {
        let mut config = Config::embedded_default(env.directory()).unwrap();
        config.secrets.master_key = Some(Secret::new("c2FtZXNha2UtdGVzdC1tYXN0ZXIta2V5LTMyLWJ5dGU=".to_owned()));
        config.mail.transport = MailTransport::Memory;
        config.password.memory_kib = 64;
        config.password.iterations = 1;
        config.outbound.allow = vec!["127.0.0.1".to_owned()];
        config.server.shutdown_grace = Duration::from_millis(10);
        Builder { env, config }
    }

    /// A gateway with one web client, `shop`.
    pub async fn start(env: &Env) -> TestApp {
        Self::builder(env).web_client("shop").start().await
    }

    /// Another replica of the same installation, with connections of its own, on a port of its own.
    pub async fn replica(&self, env: &Env) -> TestApp {
        let (listener, address) = listen().await;
        serve(env, self.app.config.clone(), listener, address).await
    }

    /// The address of a path at this replica.
    pub fn url(&self, path: &str) -> Url {
        self.address.join(path).unwrap()
    }

    /// An app that is one of the configured clients.
    pub async fn relying_party(&self, client_id: &str) -> RelyingParty {
        let mut clients = self.app.config.clients.iter();
        let client = clients.find(|client| client.metadata.client_id == client_id).unwrap();
        let secret = client.client_secret.as_ref().map(|secret| secret.expose().as_str());
        RelyingParty::discover(&self.address, &client.metadata, secret, &self.clock).await
    }

    /// A customer with this proved address and [`PASSWORD`], made without the pages.
    pub async fn customer(&self, email: &str, name: &str) -> CustomerId {
        let address = EmailAddress::parse(email).unwrap();
        let hash = self.app.hasher.hash(Secret::new(PASSWORD.to_owned())).await.unwrap();
        let store = self.store.background();
        match sign_in::sign_up(&store, &address, &hash, Some(name), self.clock.now()).await.unwrap() {
            SignedUp::Created(customer) => customer,
            _ => panic!("{email} is taken"),
        }
    }

    /// Opens an address and, if a login page comes, logs in with [`PASSWORD`]. Answers where that leads.
    pub async fn log_in(&self, browser: &Browser, url: impl AsRef<str>, email: &str) -> Page {
        let page = browser.get(url).await;
        if page.stopped {
            return page;
        }
        browser.submit(&page, "/login/password", &[("email", email), ("password", PASSWORD)]).await
    }

    /// The last message to this address, once it has left.
    pub async fn mail_to(&self, email: &str) -> Message {
        let address = EmailAddress::parse(email).unwrap();
        let last = || self.app.mailer.sent().into_iter().rev().find(|message| message.to == address);
        until(&format!("mail to {email}"), async || last().is_some()).await;
        last().unwrap()
    }

    /// The code in the last message to this address.
    pub async fn mailed_code(&self, email: &str) -> String {
        let text = self.mail_to(email).await.text;
        let mut words = text.split(|c: char| !c.is_ascii_digit());
        words.find(|word| word.len() == 6).unwrap_or_else(|| panic!("no code in: {text}")).to_owned()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn listen() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    (listener, address)
}

async fn serve(env: &Env, config: Config, listener: TcpListener, address: Url) -> TestApp {
    let issuer = config.server.issuer.clone();
    let app = App::build(config, env.clock.clone(), env.store().await, env.kv().await).await.unwrap();
    let running = samesake::serve::run(app.clone(), listener, std::future::pending());
    let server = tokio::spawn(async move { running.await.unwrap() });
    TestApp { issuer, address, clock: env.clock.clone(), store: app.store().clone(), kv: app.kv().clone(), app, server }
}
