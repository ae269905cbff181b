//! The configuration: one typed value, read once at start from embedded defaults, a file and the environment.
//!
//! `config/default.toml` is the documentation and the defaults in one. Every mistake is reported at once, each with its
//! file, its key and what was expected. One file here per section, with the checks of its values; what is unfit for
//! production is in `production`. Knows nothing of the parts that are configured.

mod ask_email;
mod birthdate_trust;
mod brand;
mod client;
mod connector;
mod connector_breaker;
mod connector_import;
mod connector_kind;
mod connector_level;
mod database;
mod destination;
mod duplicates;
mod events;
mod forms;
mod log;
mod mail;
mod merge;
mod namespace;
mod outbound;
mod password;
mod problem;
mod production;
mod reader;
mod secret_file;
mod secrets;
mod section;
mod server;
mod session;
mod source;
mod throttle;
mod webhook;

use std::path::Path;

pub use ask_email::AskEmail;
pub use birthdate_trust::BirthdateTrust;
pub use brand::BrandConfig;
pub use client::{ConfiguredClient, check_metadata};
pub use connector::{ConnectorAuthMethod, ConnectorConfig, ConnectorPrompt, EmailTrust, UNDERSTOOD_CLAIMS};
pub use connector_breaker::BreakerConfig;
pub use connector_import::{ImportAction, ImportConfig, ImportRule, ImportUpdate, Importable, OnConflict};
pub use connector_kind::ConnectorKind;
pub use connector_level::LevelRule;
pub use database::{DatabaseConfig, RedisConfig};
pub use destination::{Destination, DestinationPolicy};
pub use duplicates::DuplicatesConfig;
pub use events::EventsConfig;
pub use log::{LogConfig, LogFormat};
pub use mail::{MailConfig, MailTransport};
pub use merge::{MergeConfig, MergedSessions, Survivorship};
pub use namespace::{Declared, NamespacesConfig, Normalizer, Policy};
pub use outbound::OutboundConfig;
pub use password::PasswordConfig;
pub use problem::{ConfigErrors, Problem, Problems};
pub use production::Danger;
pub use secrets::{MASTER_KEY_FILE, SecretsConfig, load_or_generate};
pub use section::read_client_file;
pub use server::ServerConfig;
pub use session::{KeysConfig, SessionConfig, TokensConfig};
pub use source::{DEFAULT_TOML, ENVIRONMENT_PREFIX, Override};
pub use throttle::{Limit, Limits, ThrottlePolicy};
pub use webhook::Webhook;

use mail::MailSection;
use secret_file::SecretFiles;
use section::Named;
use source::{Layers, Origins};

use crate::protocol::client_metadata::SubjectType;
use crate::secret::Secret;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: ServerConfig,
    pub database: DatabaseConfig,
    pub redis: RedisConfig,
    pub secrets: SecretsConfig,
    pub session: SessionConfig,
    pub tokens: TokensConfig,
    pub keys: KeysConfig,
    pub password: PasswordConfig,
    pub throttle: ThrottlePolicy,
    pub mail: MailConfig,
    pub merge: MergeConfig,
    pub duplicates: DuplicatesConfig,
    pub events: EventsConfig,
    pub namespaces: NamespacesConfig,
    pub brand: BrandConfig,
    pub outbound: OutboundConfig,
    pub log: LogConfig,
    pub clients: Vec<ConfiguredClient>,
    pub connectors: Vec<ConnectorConfig>,
    pub destinations: Vec<Destination>,
    pub webhooks: Vec<Webhook>,
    /// What [`Config::check_production`] shall let pass.
    pub unsafe_allow: Vec<Danger>,
    /// Whether there was no file, only the embedded defaults.
    embedded: bool,
    origins: Origins,
}

impl Config {
    /// Reads defaults, then `file`, then the variables of `environment` that are ours.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, ConfigErrors> {
        let overrides: Vec<Override> =
            environment.into_iter().filter_map(|(name, value)| Override::from_variable(&name, &value)).collect();
        Self::load_with(file, &overrides)
    }

    /// The same with values from outside the file already told apart; later ones win.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load_with(file: Option<&Path>, overrides: &[Override]) -> Result<Config, ConfigErrors> {
        let mut layers = Layers::read(file, overrides)?;
        let files = SecretFiles::beside(file);
        let config = Self::read(&mut layers, &files, file.is_none());
        layers.problems.into_result()?;
        // Without a problem noted, every section was read: the embedded defaults are complete.
        config.ok_or_else(|| ConfigErrors(Vec::new()))
    }

    /// What `samesake serve` runs on without a file: everything in `dir`, loopback only, a master key made once.
    ///
    /// # Errors
    /// If `dir` cannot be written.
    pub fn embedded_default(dir: &Path) -> Result<Config, ConfigErrors> {
        Self::open(None, Some(dir), &[])
    }

    /// What the commands run on: `file` or the embedded defaults, with relative paths in `dir`.
    ///
    /// Without a file, and where a missing master key is waived, the key is kept in `dir`, made at the first start.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn open(file: Option<&Path>, dir: Option<&Path>, overrides: &[Override]) -> Result<Config, ConfigErrors> {
        let mut config = Self::load_with(file, overrides)?;
        let dir = match (dir, file) {
            (Some(dir), _) => dir,
            (None, None) => Path::new(DEFAULT_DATA_DIR),
            (None, Some(_)) => Path::new(""),
        };
        config.database.place_in(dir);
        config.mail.place_in(dir);
        if config.embedded && !config.origins.is_overridden("server.issuer") {
            config.server.follow_listener();
        }
        if config.secrets.master_key.is_none() && (config.embedded || config.allows(Danger::MasterKey)) {
            config.keep_master_key(dir)?;
        }
        Ok(config)
    }

    /// Whether there was no file, only the embedded defaults.
    pub fn is_embedded(&self) -> bool {
        self.embedded
    }

    /// Whether the operator waived one refusal by its name.
    pub fn allows(&self, danger: Danger) -> bool {
        self.unsafe_allow.contains(&danger)
    }

    fn keep_master_key(&mut self, dir: &Path) -> Result<(), ConfigErrors> {
        match load_or_generate(dir) {
            Ok(key) => {
                self.secrets.master_key = Some(Secret::new(key.to_text().as_str().to_owned()));
                Ok(())
            }
            Err(error) => Err(ConfigErrors(vec![Problem {
                file: self.origins.of("secrets.master_key"),
                key: "secrets.master_key".to_owned(),
                problem: format!("`{}` cannot be kept ({error})", dir.join(MASTER_KEY_FILE).display()),
                expected: "a data directory (--data-dir) that can be written".to_owned(),
            }])),
        }
    }

    /// `None` only if a problem was noted.
    fn read(layers: &mut Layers, files: &SecretFiles, embedded: bool) -> Option<Config> {
        let server = layers.section("server");
        let database = layers.section("database");
        let redis = layers.section("redis");
        let secrets = layers.section("secrets");
        let session = layers.section("session");
        let tokens = layers.section("tokens");
        let keys = layers.section("keys");
        let password = layers.section("password");
        let throttle = layers.named_tables("throttle");
        let throttle = ThrottlePolicy::new(throttle, &mut layers.problems);
        let mail = layers.section::<MailSection>("mail");
        let duplicates = layers.section("duplicates");
        let events = layers.section("events");
        let merge = layers.section::<MergeConfig>("merge");
        let namespaces = NamespacesConfig::new(layers.named_tables("namespaces"));
        let brand = layers.section("brand");
        let outbound = layers.section("outbound");
        let log = layers.section("log");
        let unsafe_allow = layers.section("unsafe_allow");
        let clients = layers.clients();
        let connectors = layers.list("connectors");
        let destinations = layers.list("destinations");
        let webhooks = layers.list("webhooks");
        layers.refuse_the_rest();
        let mut lists = Lists { clients, connectors, destinations, webhooks };
        lists.resolve(files, &mut layers.problems);
        let mail = mail?.resolve(files, &mut layers.problems);
        let mut config = Config {
            server: server?,
            database: database?,
            redis: redis?,
            secrets: secrets?,
            session: session?,
            tokens: tokens?,
            keys: keys?,
            password: password?,
            throttle,
            mail,
            duplicates: duplicates?,
            events: events?,
            merge: MergeConfig { namespaces: namespaces.clone(), ..merge? },
            namespaces,
            brand: brand?,
            outbound: outbound?,
            log: log?,
            clients: Vec::new(),
            connectors: Vec::new(),
            destinations: Vec::new(),
            webhooks: Vec::new(),
            unsafe_allow: unsafe_allow?,
            embedded,
            origins: layers.problems.origins().clone(),
        };
        config.resolve(files, &mut layers.problems);
        config.check(&mut layers.problems);
        let connectors: Vec<&str> = lists.connectors.iter().map(|(_, connector)| connector.id.as_str()).collect();
        config.namespaces.check(&connectors, &mut layers.problems);
        lists.check(&mut layers.problems);
        config.clients = values(lists.clients);
        config.connectors = values(lists.connectors);
        config.destinations = values(lists.destinations);
        config.webhooks = values(lists.webhooks);
        Some(config)
    }

    fn resolve(&mut self, files: &SecretFiles, problems: &mut Problems) {
        self.database.resolve(files, problems);
        self.redis.resolve(files, problems);
        self.secrets.resolve(files, problems);
    }

    fn check(&self, problems: &mut Problems) {
        self.server.check(problems);
        self.database.check(problems);
        self.redis.check(problems);
        self.secrets.check(problems);
        self.session.check(problems);
        self.tokens.check(problems);
        self.keys.check(problems);
        self.password.check(problems);
        self.throttle.check(problems);
        self.mail.check(problems);
        self.merge.check(problems);
        self.duplicates.check(problems);
        self.events.check(problems);
        self.brand.check(problems);
        self.outbound.check(problems);
        self.log.check(problems);
    }
}

/// Where the embedded default keeps its files.
pub const DEFAULT_DATA_DIR: &str = "samesake-data";

/// The lists of tables with the keys messages name them by.
struct Lists {
    clients: Vec<Named<ConfiguredClient>>,
    connectors: Vec<Named<ConnectorConfig>>,
    destinations: Vec<Named<Destination>>,
    webhooks: Vec<Named<Webhook>>,
}

impl Lists {
    fn resolve(&mut self, files: &SecretFiles, problems: &mut Problems) {
        for (key, client) in &mut self.clients {
            client.resolve(key, files, problems);
        }
        for (key, connector) in &mut self.connectors {
            connector.resolve(key, files, problems);
        }
        for (key, webhook) in &mut self.webhooks {
            webhook.resolve(key, files, problems);
        }
    }

    fn check(&self, problems: &mut Problems) {
        for (key, client) in &self.clients {
            client.check(key, problems);
        }
        for (key, connector) in &self.connectors {
            connector.check(key, problems);
        }
        for (key, destination) in &self.destinations {
            destination.check(key, problems);
            self.check_sector(key, destination, problems);
        }
        for (key, webhook) in &self.webhooks {
            webhook.check(key, problems);
            self.check_audience(key, webhook, problems);
        }
        self.check_names(problems);
    }

    /// A client and a destination may have the same ID, and subjects of their own.
    fn check_audience(&self, key: &str, webhook: &Webhook, problems: &mut Problems) {
        let Some(audience) = &webhook.audience else { return };
        let is_client = self.clients.iter().any(|(_, client)| client.metadata.client_id == *audience);
        let is_destination = self.destinations.iter().any(|(_, destination)| destination.id == *audience);
        if is_client && is_destination {
            let problem = format!("`{audience}` is a client and a destination");
            problems.add(format!("{key}.audience"), problem, "another ID for one of them, or sector");
        }
    }

    /// Connectors that clients and other connectors name.
    fn check_names(&self, problems: &mut Problems) {
        let find = |id: &String| self.connectors.iter().map(|(_, connector)| connector).find(|known| known.id == *id);
        for (key, client) in &self.clients {
            for (index, id) in client.metadata.upstream_tokens.iter().enumerate() {
                if find(id).is_none_or(|connector| !connector.store_tokens) {
                    let problem = format!("`{id}` is no connector that keeps tokens");
                    let expected = "the ID of a connector with store_tokens = true";
                    problems.add(format!("{key}.upstream_tokens[{index}]"), problem, expected);
                }
            }
        }
        for (key, connector) in &self.connectors {
            for (app, id) in connector.business_apps.iter().filter(|(_, id)| find(id).is_none()) {
                let problem = format!("`{id}` is no connector");
                problems.add(format!("{key}.business_apps.{app}"), problem, "the ID of a connector");
            }
        }
    }

    /// A sector's subjects are made once, for all that share it: a public one would be the customer ID.
    fn check_sector(&self, key: &str, destination: &Destination, problems: &mut Problems) {
        let public = |client: &ConfiguredClient| client.metadata.subject_type == SubjectType::Public;
        let shared = self.clients.iter().find(|(_, client)| {
            destination.sector.is_some() && client.metadata.sector == destination.sector && public(client)
        });
        if let Some((client, _)) = shared.filter(|_| destination.subject_type == SubjectType::Pairwise) {
            let problem = format!("is shared with {client}, whose subject_type is \"public\"");
            problems.add(format!("{key}.sector"), problem, "a sector whose clients are all pairwise");
        }
    }
}

fn values<T>(named: Vec<Named<T>>) -> Vec<T> {
    named.into_iter().map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests;
