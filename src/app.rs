//! The application: everything the handlers and jobs share, built once from the configuration.
//!
//! `main` and the tests build it by the same function.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, watch};

use crate::clock::Clock;
use crate::config::{Config, DestinationPolicy, Webhook};
use crate::connector::Registry;
use crate::credential::password::{HashPolicy, Hasher};
use crate::credential::throttle::Throttle;
use crate::events::relay::{Receiver, Relay, Whose};
use crate::events::stream::{Head, MOST_STREAMS};
use crate::events::webhook::{Selection, SigningKey};
use crate::handoff::known::KnownCustomers;
use crate::handoff::signed_identity::Statements;
use crate::handoff::{Destination, Destinations, Policy};
use crate::http::browser::Cookies;
use crate::http::pages::{Brand, BrandSettings};
use crate::identity::upstream_tokens::Keeper;
use crate::jobs::Worker;
use crate::keys::{KeyPolicy, KeyRing};
use crate::kv::Kv;
use crate::mail::Mailer;
use crate::mail::templates::Letterhead;
use crate::oidc::client::{Client, ClientRegistry, hash_client_secret};
use crate::oidc::subject::SubjectKey;
use crate::oidc::{Lifetimes, Provider};
use crate::outbound::{Outbound, OutboundPolicy};
use crate::protocol::client_metadata::SubjectType;
use crate::secret::{DerivedKey, MasterKey};
use crate::store::{self, Store};

/// The most entries the in-process key-value store holds.
const IN_PROCESS_ENTRIES: usize = 200_000;

/// Everything shared, cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl std::ops::Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What [`App`] holds.
pub struct Parts {
    pub config: Config,
    pub clock: Clock,
    pub provider: Provider,
    pub connectors: Registry,
    pub hasher: Hasher,
    pub throttle: Throttle,
    /// Does what transactions leave to be done.
    pub worker: Worker,
    pub mailer: Mailer,
    /// Signaled when mail was queued.
    pub mail_queued: Arc<Notify>,
    /// Signaled when a task was queued for the jobs.
    pub task_queued: Arc<Notify>,
    pub letterhead: Letterhead,
    pub statements: Statements,
    pub destinations: Destinations,
    /// Who the customers that come through forward-auth are to its destinations.
    pub known_customers: KnownCustomers,
    /// Brings events to those who are to hear of them.
    pub relay: Relay,
    /// How far events are, for the streams that are open here.
    pub stream_head: Head,
    /// How many more streams may be opened.
    pub streams: Arc<Semaphore>,
    /// Whether the gateway is about to end, and whatever stays open with it.
    pub closing: watch::Sender<bool>,
    /// The metadata document and its entity tag, made at the first request.
    pub metadata_document: OnceLock<(Bytes, String)>,
    /// The OpenAPI document of the admin API, made at the first request.
    pub api_document: OnceLock<Bytes>,
    pub brand: Brand,
    pub cookies: Cookies,
    pub secrets: Secrets,
}

/// Keys for one purpose each.
pub struct Secrets {
    pub master: MasterKey,
    /// Codes sent by mail.
    pub code: DerivedKey,
    /// Cookies by which a browser proves that it has logged in before.
    pub device: DerivedKey,
    /// Queued mail.
    pub mail: DerivedKey,
    /// Queued tasks.
    pub task: DerivedKey,
    /// Tokens in forms that end a session.
    pub form: DerivedKey,
    /// What a provider posted to the callback, until the browser comes for it.
    pub posted: DerivedKey,
    /// Places in the lists of the admin API.
    pub cursor: DerivedKey,
}

impl Secrets {
    /// All of them, of one master key.
    pub fn derive(master: MasterKey) -> Self {
        Self {
            code: master.derive("email-code"),
            device: master.derive("device"),
            mail: master.derive("mail"),
            task: master.derive("task"),
            form: master.derive("form"),
            posted: master.derive("posted"),
            cursor: master.derive("cursor"),
            master,
        }
    }
}

/// Why the application cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("no master key is configured (secrets.master_key or secrets.master_key_file)")]
    NoMasterKey,
    #[error("database: {0}")]
    Store(#[from] store::Error),
    #[error("key-value store: {0}")]
    Kv(#[from] crate::kv::Error),
    #[error("signing keys: {0}")]
    Keys(#[from] crate::keys::Error),
    #[error("mail: {0}")]
    Mail(#[from] crate::mail::MailerError),
    #[error("passwords: {0}")]
    Hasher(#[from] crate::credential::password::HasherError),
    #[error("outgoing HTTP: {0}")]
    Outbound(#[from] crate::outbound::OutboundSetupError),
    #[error("{0}")]
    Connector(#[from] crate::connector::RegistryError),
}

/// Connects to what the configuration names and migrates the database.
///
/// # Errors
/// If the database or Redis cannot be reached or brought up to date.
pub async fn connect(config: &Config, clock: &Clock) -> Result<(Store, Kv), StartError> {
    let store = Store::connect(config.database.url.expose()).await?;
    store.migrate().await?;
    let kv = match &config.redis.url {
        Some(url) => Kv::connect(url.expose(), &config.redis.prefix).await?,
        None => Kv::in_process(clock.clone(), IN_PROCESS_ENTRIES),
    };
    Ok((store, kv))
}

/// The key policy of a configuration.
pub fn key_policy(config: &Config) -> KeyPolicy {
    let tokens = &config.tokens;
    KeyPolicy {
        jwks_max_age: config.keys.jwks_max_age,
        longest_token: tokens.access_token.max(tokens.id_token).max(tokens.signed_identity),
        rotate_after: config.keys.rotate_after,
    }
}

impl App {
    /// Builds the application on a migrated database.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn build(config: Config, clock: Clock, store: Store, kv: Kv) -> Result<Self, StartError> {
        let master = config.secrets.master_key().ok_or(StartError::NoMasterKey)?;
        let keys = KeyRing::load_or_create(&store, &master, key_policy(&config), clock.now()).await?;
        let outbound = Outbound::new(outbound_policy(&config))?;
        let issuer = config.server.issuer_text().to_owned();
        let statements = Statements::new(
            issuer.clone(),
            keys.clone(),
            config.tokens.signed_identity,
            master.derive("statement-session"),
        );
        let mailer = Mailer::from_config(&config.mail)?;
        let connectors = Registry::from_config(&config.connectors, outbound.clone())?;
        let keeper = Keeper::new(store.clone(), master.derive("upstream-tokens"));
        let subject_key = SubjectKey::new(master.derive("pairwise-subject"), Arc::new(config.merge.clone()));
        let provider = Provider {
            issuer,
            store,
            kv,
            keys,
            clients: ClientRegistry::default(),
            lifetimes: lifetimes(&config),
            // An address is proved by mail.
            offers_sign_up: config.password.enabled && config.password.sign_up && mailer.is_offered(),
            levels: levels(&config),
            refresh_key: master.derive("refresh-token"),
            subject_key: subject_key.clone(),
            nonce_key: master.derive("native-nonce"),
            connectors: connectors.clone(),
            keeper,
            namespaces: config.namespaces.clone(),
        };
        let relay = Relay::new(&provider.store, outbound, provider.clients.clone(), clock.clone(), receivers(&config));
        let throttle = Throttle::new(master.derive("throttle"), config.throttle.clone());
        let known_customers = KnownCustomers::new(subject_key);
        let secrets = Secrets::derive(master);
        let worker = Worker::new(&provider, secrets.task.clone(), clock.clone());
        let parts = Parts {
            connectors,
            worker,
            hasher: Hasher::new(hash_policy(&config))?,
            throttle,
            mailer,
            mail_queued: Arc::new(Notify::new()),
            task_queued: Arc::new(Notify::new()),
            letterhead: Letterhead::from(&config.brand),
            statements,
            destinations: destinations(&config),
            known_customers,
            relay,
            stream_head: Head::default(),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            closing: watch::Sender::new(false),
            metadata_document: OnceLock::new(),
            api_document: OnceLock::new(),
            brand: Brand::new(BrandSettings::from(&config.brand)),
            cookies: Cookies::for_issuer(&config.server.issuer),
            secrets,
            provider,
            clock,
            config,
        };
        let app = Self(Arc::new(parts));
        app.reload_clients().await?;
        Ok(app)
    }

    /// Takes over the clients of the database. To be called when the generation `clients` has moved.
    ///
    /// # Errors
    /// If the database does not answer; the clients known so far stay.
    pub async fn reload_clients(&self) -> Result<(), store::Error> {
        load_clients(&self.provider.clients, &self.config, &self.provider.store).await
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.provider.store
    }

    /// The key-value store.
    pub fn kv(&self) -> &Kv {
        &self.provider.kv
    }
}

fn lifetimes(config: &Config) -> Lifetimes {
    let tokens = &config.tokens;
    Lifetimes {
        code: tokens.code,
        access_token: tokens.access_token,
        id_token: tokens.id_token,
        refresh_idle: tokens.refresh_idle,
        refresh_absolute: tokens.refresh_absolute,
        refresh_grace: tokens.refresh_grace,
        session: config.session.absolute,
    }
}

/// Every level that some connector's word makes.
fn levels(config: &Config) -> Vec<String> {
    let rules = config.connectors.iter().flat_map(|connector| &connector.levels);
    rules.map(|rule| rule.level.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn hash_policy(config: &Config) -> HashPolicy {
    let password = &config.password;
    HashPolicy {
        memory_kib: password.memory_kib,
        iterations: password.iterations,
        threads: password.threads,
        queue: password.queue,
        min_length: password.min_length,
    }
}

fn outbound_policy(config: &Config) -> OutboundPolicy {
    let outbound = &config.outbound;
    OutboundPolicy {
        allow: outbound.allow.clone(),
        connect_timeout: outbound.connect_timeout,
        timeout: outbound.timeout,
    }
}

fn destinations(config: &Config) -> Destinations {
    let destination = |configured: &crate::config::Destination| Destination {
        id: configured.id.clone(),
        name: configured.display_name().to_owned(),
        sector: configured.sector_name(),
        pairwise: configured.subject_type == SubjectType::Pairwise,
        origins: configured.origins.clone(),
        policy: match configured.policy {
            DestinationPolicy::Observe => Policy::Observe,
            DestinationPolicy::Authenticated => Policy::Authenticated,
        },
        algorithm: configured.alg,
        internal: configured.internal,
    };
    Destinations::new(config.destinations.iter().map(destination).collect())
}

/// What brings events to the configured receivers, without a gateway around it: for a command.
///
/// # Errors
/// If outgoing HTTP cannot be set up, or the database does not answer.
pub async fn relay(config: &Config, store: &Store) -> Result<Relay, StartError> {
    let clients = ClientRegistry::default();
    load_clients(&clients, config, store).await?;
    let outbound = Outbound::new(outbound_policy(config))?;
    Ok(Relay::new(store, outbound, clients, Clock::system(), receivers(config)))
}

async fn load_clients(clients: &ClientRegistry, config: &Config, store: &Store) -> Result<(), store::Error> {
    let rows = store.background().begin_read().await?.clients_all().await?;
    let stored = rows.into_iter().map(|row| Client::new(row.metadata, row.secret_hash));
    let configured = config.clients.iter().map(|client| {
        let hash = client.client_secret.as_ref().map(|secret| hash_client_secret(secret.expose()));
        Client::new(client.metadata.clone(), hash)
    });
    clients.replace(configured, stored);
    Ok(())
}

fn receivers(config: &Config) -> Vec<Receiver> {
    config.webhooks.iter().filter_map(|webhook| receiver(config, webhook)).collect()
}

/// `None` for what the checks of the configuration refuse.
fn receiver(config: &Config, webhook: &Webhook) -> Option<Receiver> {
    let is_it = |destination: &&crate::config::Destination| Some(&destination.id) == webhook.audience.as_ref();
    let whose = match (&webhook.audience, &webhook.sector) {
        _ if webhook.internal => Whose::Company,
        (_, Some(sector)) => Whose::Sector(sector.clone()),
        (Some(audience), _) => match config.destinations.iter().find(is_it) {
            Some(destination) => Whose::Sector(destination.sector_name()),
            None => Whose::Client(audience.clone()),
        },
        (None, None) => return None,
    };
    let secrets = [&webhook.secret, &webhook.previous_secret].into_iter().flatten();
    Some(Receiver {
        id: webhook.id.clone(),
        url: webhook.url.clone()?,
        whose,
        events: Selection::parse(&webhook.events).ok()?,
        keys: secrets.filter_map(|secret| SigningKey::parse(secret.expose())).collect(),
        timeout: webhook.timeout.unwrap_or(config.outbound.timeout),
    })
}
