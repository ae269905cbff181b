//! The command line: what can be said, and what each exit code means.
//!
//! Parses only. What a command does is in `commands`; nothing here opens a database or a port. Exit codes: 0 done,
//! 1 failed, 2 wrong usage (clap's own), 78 wrong configuration (EX_CONFIG of sysexits.h).

mod admin;
mod duplicates;
mod linking;
mod merging;
mod queues;
mod receiver;
mod sessions;
mod transfer;
mod webhooks;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, StrDeserializer};

use crate::config::{Config, ConfigErrors, Override, Problems, check_metadata, read_client_file};
use crate::protocol::admin_role::AdminRole;
use crate::protocol::client_metadata::{
    ApplicationType, ClientMetadata, GrantType, SubjectType, TokenEndpointAuthMethod,
};
use crate::protocol::jwk::SigningAlgorithm;

pub use admin::{Admin, AdminGrant, AdminList, AdminRevoke, LinkChange};
pub use duplicates::{
    Duplicates, DuplicatesCalibration, DuplicatesCalibrationApply, DuplicatesCalibrationShow, DuplicatesExport,
    DuplicatesFile, DuplicatesImport, DuplicatesIndex, DuplicatesScan, DuplicatesSettings, DuplicatesStatus,
};
pub use linking::{CustomerLink, CustomerResolve};
pub use merging::{
    Audit, AuditVerify, CustomerBrand, CustomerErase, CustomerHold, CustomerMerge, CustomerNotSame, CustomerUnmerge,
};
pub use queues::{
    Band, CandidateJudgment, CandidateList, CandidateShow, Candidates, Conflicts, CustomerPropose, Deed, Listing,
    MergeRequests, ProposalChange, Settle, Shown,
};
pub use receiver::ConnectorReceiver;
pub use sessions::{CustomerSessions, CustomerSignOut};
pub use transfer::ConnectorTransfer;
pub use webhooks::{Events, Webhooks, WebhooksReplay, WebhooksResume, WebhooksRetry, WebhooksStatus};

/// Exit code for a configuration that was refused.
pub const EXIT_CONFIG: u8 = 78;

/// Exit code for everything else that failed.
pub const EXIT_FAILURE: u8 = 1;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration.";

const GUIDE: &str = "\
Without a configuration file everything runs on one SQLite file in the data directory, on loopback only:

  samesake serve                                 a gateway on http://127.0.0.1:8080
  samesake demo                                  the gateway with two apps and a provider to try it with
  samesake check-config --config samesake.toml   every mistake in a configuration, at once

Every setting can also come from the environment: SAMESAKE__SERVER__ISSUER sets `issuer` in [server].

Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration.";

/// The customer identity gateway.
///
/// Samesake is an OpenID Provider in front of your apps and of the providers your customers sign in with. It knows
/// which identifiers belong to the same customer, and tells your services so in one signed statement.
#[derive(Debug, Parser)]
#[command(name = "samesake", version, after_help = GUIDE, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What was asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway
    Serve(Serve),
    /// Run the gateway with a shop, a second app and a stand-in provider, all on loopback
    Demo(Demo),
    /// Check a configuration and print every mistake at once
    CheckConfig(CheckConfig),
    /// Bring the database to this version's tables
    Migrate(Migrate),
    /// List or rotate the signing keys
    #[command(subcommand)]
    Keys(Keys),
    /// List, register or remove OAuth clients in the database
    #[command(subcommand)]
    Client(Client),
    /// Look up, merge, part or erase customers
    #[command(subcommand)]
    Customer(Customer),
    /// Check the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Try out the providers customers may sign in with
    #[command(subcommand)]
    Connector(Connector),
    /// Find customers that may be one person
    #[command(subcommand)]
    Duplicates(Duplicates),
    /// See which customers may be one person, and say what is so
    #[command(subcommand)]
    Candidates(Candidates),
    /// See who asks that two accounts of theirs become one, or decline
    #[command(subcommand)]
    MergeRequests(MergeRequests),
    /// See what the rules could not decide about two customers
    #[command(subcommand)]
    Conflicts(Conflicts),
    /// See how far each receiver of events has got, and tell it things again
    #[command(subcommand)]
    Webhooks(Webhooks),
    /// See from which event on they are kept, and who needs them
    Events(Events),
    /// Say who may administer customers, and as what
    #[command(subcommand)]
    Admin(Admin),
}

/// Which installation a command works on.
#[derive(Debug, Clone, Args)]
pub struct Installation {
    /// Configuration file; without one, the embedded defaults on loopback
    #[arg(long, value_name = "FILE", env = "SAMESAKE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Directory of the SQLite file, of mails and of a generated master key [default without --config: samesake-data]
    #[arg(long, value_name = "DIR", env = "SAMESAKE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
}

impl Installation {
    /// Reads the configuration, with this process's environment on top.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        self.load_with(Vec::new())
    }

    fn load_with(&self, options: Vec<Override>) -> Result<Config, ConfigErrors> {
        let mut overrides = environment();
        overrides.extend(options);
        Config::open(self.config.as_deref(), self.data_dir.as_deref(), &overrides)
    }
}

/// `samesake serve`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Serve {
    #[command(flatten)]
    pub installation: Installation,
    /// Address and port to listen on, over `server.listen`
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
}

impl Serve {
    /// Reads the configuration and refuses what is unfit for production.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        let listen =
            self.listen.map(|listen| Override::from_option("--listen", "server", "listen", listen.to_string()));
        let config = self.installation.load_with(listen.into_iter().collect())?;
        match config.check_production() {
            problems if problems.is_empty() => Ok(config),
            problems => Err(ConfigErrors(problems)),
        }
    }
}

/// `samesake demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// First of the ports on loopback: the gateway takes this one, its neighbors the next
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1024..=65000))]
    pub port_base: u16,
    /// Directory to keep the demo's data in [default: a new temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// `samesake check-config`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CheckConfig {
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "SAMESAKE_CONFIG", required = true)]
    pub config: PathBuf,
    /// Directory that relative paths start from
    #[arg(long, value_name = "DIR", env = "SAMESAKE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
}

/// `samesake migrate`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Migrate {
    #[command(flatten)]
    pub installation: Installation,
}

/// `samesake keys …`
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// List the signing keys with their state
    List(KeysList),
    /// Let the next keys sign, keep the old ones published until their last token has expired
    Rotate(KeysRotate),
}

/// `samesake keys list`
#[derive(Debug, Args)]
pub struct KeysList {
    #[command(flatten)]
    pub installation: Installation,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `samesake keys rotate`
#[derive(Debug, Args)]
pub struct KeysRotate {
    #[command(flatten)]
    pub installation: Installation,
    /// Replace every key at once, as after a theft: all tokens signed so far stop being valid
    #[arg(long)]
    pub emergency: bool,
}

/// `samesake client …`
#[derive(Debug, Subcommand)]
pub enum Client {
    /// List the clients, of the configuration and of the database
    List(ClientList),
    /// Register a client or replace its metadata; prints a generated secret once
    Put(Box<ClientPut>),
    /// Remove a client: its tokens stop working
    Remove(ClientRemove),
}

/// `samesake client list`
#[derive(Debug, Args)]
pub struct ClientList {
    #[command(flatten)]
    pub installation: Installation,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `samesake client remove`
#[derive(Debug, Args)]
pub struct ClientRemove {
    #[command(flatten)]
    pub installation: Installation,
    /// The client ID
    #[arg(value_name = "CLIENT_ID")]
    pub client_id: String,
}

/// `samesake client put`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ClientPut {
    #[command(flatten)]
    pub installation: Installation,
    /// Make a new secret although the client has one
    #[arg(long)]
    pub new_secret: bool,
    /// Metadata as a TOML file, or a JSON file (RFC 7591) if its name ends in .json
    #[arg(long, value_name = "FILE", conflicts_with = "ClientFlags")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub flags: ClientFlags,
}

/// Client metadata as flags, in the words of RFC 7591.
#[derive(Debug, Args)]
pub struct ClientFlags {
    /// The client ID
    #[arg(long, value_name = "ID", required_unless_present = "file")]
    client_id: Option<String>,
    /// Name shown to customers
    #[arg(long, value_name = "NAME")]
    client_name: Option<String>,
    /// Where authorization responses may go; repeat for more
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Where a browser may go after logout; repeat for more
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    post_logout_redirect_uris: Vec<String>,
    /// authorization_code, refresh_token, client_credentials or the URN of token exchange; repeat for more [default: authorization_code]
    #[arg(long = "grant-type", value_name = "TYPE", value_parser = word::<GrantType>)]
    grant_types: Vec<GrantType>,
    /// client_secret_basic, client_secret_post or none [default: client_secret_basic]
    #[arg(long, value_name = "METHOD", value_parser = word::<TokenEndpointAuthMethod>)]
    token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,
    /// web or native [default: web]
    #[arg(long, value_name = "TYPE", value_parser = word::<ApplicationType>)]
    application_type: Option<ApplicationType>,
    /// Scopes it may be granted, separated by spaces
    #[arg(long, value_name = "SCOPES", default_value = "openid profile email")]
    scope: String,
    /// public or pairwise [default: public]
    #[arg(long, value_name = "TYPE", value_parser = word::<SubjectType>)]
    subject_type: Option<SubjectType>,
    /// Clients of one sector share their subjects
    #[arg(long, value_name = "NAME")]
    sector: Option<String>,
    /// Algorithm of ID tokens: RS256, ES256, EdDSA or PS256 [default: RS256]
    #[arg(long, value_name = "ALG", value_parser = word::<SigningAlgorithm>)]
    id_token_signed_response_alg: Option<SigningAlgorithm>,
    /// Algorithm of access tokens [default: ES256]
    #[arg(long, value_name = "ALG", value_parser = word::<SigningAlgorithm>)]
    access_token_signed_response_alg: Option<SigningAlgorithm>,
    /// Resource server it may ask tokens for (RFC 8707); repeat for more
    #[arg(long = "resource", value_name = "URI")]
    resources: Vec<String>,
    /// What its own tokens may do at the admin API: viewer, support, merger, approver or owner [default: nothing]
    #[arg(long, value_name = "ROLE")]
    admin_role: Option<AdminRole>,
    /// The company's own app: no consent page
    #[arg(long)]
    first_party: bool,
}

impl ClientPut {
    /// The metadata from the file or the flags, checked.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn metadata(&self) -> Result<ClientMetadata, ConfigErrors> {
        if let Some(file) = &self.file {
            return read_client_file(file);
        }
        let metadata = self.flags.metadata();
        let mut problems = Problems::in_file("command line");
        check_metadata(&metadata, "client", &mut problems);
        problems.into_result()?;
        Ok(metadata)
    }
}

impl ClientFlags {
    fn metadata(&self) -> ClientMetadata {
        let grant_types =
            if self.grant_types.is_empty() { vec![GrantType::AuthorizationCode] } else { self.grant_types.clone() };
        ClientMetadata {
            client_id: self.client_id.clone().unwrap_or_default(),
            client_name: self.client_name.clone(),
            redirect_uris: self.redirect_uris.clone(),
            post_logout_redirect_uris: self.post_logout_redirect_uris.clone(),
            grant_types,
            token_endpoint_auth_method: self.token_endpoint_auth_method.unwrap_or_default(),
            application_type: self.application_type.unwrap_or_default(),
            scope: self.scope.clone(),
            subject_type: self.subject_type.unwrap_or_default(),
            sector: self.sector.clone(),
            id_token_signed_response_alg: self.id_token_signed_response_alg.unwrap_or_default(),
            access_token_signed_response_alg: self.access_token_signed_response_alg.unwrap_or(SigningAlgorithm::Es256),
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            client_uri: None,
            first_party: self.first_party,
            require_pkce: true,
            resources: self.resources.clone(),
            admin_role: self.admin_role,
            upstream_tokens: vec![],
        }
    }
}

/// `samesake connector …`
#[derive(Debug, Subcommand)]
pub enum Connector {
    /// Ask the provider everything that needs no customer, and say in words what is wrong
    Test(ConnectorTest),
    /// Print what to register at the provider, so that it tells what happens to its accounts
    Receiver(ConnectorReceiver),
    /// Give accounts the subjects that they have now at the provider
    Transfer(ConnectorTransfer),
}

/// `samesake connector test`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ConnectorTest {
    #[command(flatten)]
    pub installation: Installation,
    /// The connector's ID
    #[arg(value_name = "NAME")]
    pub id: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `samesake customer …`
#[derive(Debug, Subcommand)]
pub enum Customer {
    /// Show the customer behind an identifier: links, subjects, grants
    Show(CustomerShow),
    /// Say who is meant by several identifiers of one person, and which of them disagree
    Resolve(CustomerResolve),
    /// Link an app's or another system's ID, a proved phone number or a browser
    Link(CustomerLink),
    /// Disconnect an account at a provider or take away what was linked, even the last way in
    Unlink(LinkChange),
    /// Let an account log in again that its provider spoke against, and take down its flags
    Enable(LinkChange),
    /// Merge two customers who are one person
    Merge(CustomerMerge),
    /// List the merges that wait for somebody's approval
    Proposals(Listing),
    /// Propose a merge for others to approve
    Propose(CustomerPropose),
    /// Approve what somebody else proposed; the last approval makes the merge
    Approve(ProposalChange),
    /// Take an open proposal back
    Withdraw(ProposalChange),
    /// Undo a merge
    Unmerge(CustomerUnmerge),
    /// Remember that two customers are not the same person, or lift it
    NotSame(CustomerNotSame),
    /// List where a customer is signed in
    Sessions(CustomerSessions),
    /// Sign a customer out everywhere, or end one session, with the refresh tokens that came from it
    SignOut(CustomerSignOut),
    /// Put a customer under a legal hold: nothing merges, parts or erases them
    Hold(CustomerHold),
    /// Lift a legal hold
    Release(CustomerHold),
    /// Say which brand's customer somebody is, where brands are kept apart
    Brand(CustomerBrand),
    /// Erase a customer's personal data for good; the ID stays taken
    Erase(CustomerErase),
}

/// `samesake customer show`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samesake customer show 019a…                    a customer ID, also a retired one
  samesake customer show email:ann@example.com    any identifier with its namespace
  samesake customer show social:google:1157…      an upstream's subject")]
pub struct CustomerShow {
    #[command(flatten)]
    pub installation: Installation,
    /// A customer ID, a client's subject, or NAMESPACE:ID
    // One in 64 pairwise subjects begins with a hyphen.
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    pub id: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads the command line; at wrong usage, help or version it prints and exits.
pub fn parse() -> Command {
    Cli::parse().command
}

/// The same from given words, the program's name first.
///
/// # Errors
/// Wrong usage, help or version, as clap puts it.
pub fn try_parse_from<I, T>(words: I) -> Result<Command, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    Cli::try_parse_from(words).map(|cli| cli.command)
}

/// The variables of this process that set keys.
pub fn environment() -> Vec<Override> {
    std::env::vars_os()
        .filter_map(|(name, value)| Override::from_variable(name.to_str()?, &value.to_string_lossy()))
        .collect()
}

/// Says on standard error why a command failed, and answers its exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<ConfigErrors>() {
        Some(problems) => {
            eprintln!("{problems}");
            ExitCode::from(EXIT_CONFIG)
        }
        None => {
            eprintln!("samesake: {error:#}");
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

/// One of the words serde knows for a type.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, ValueError> {
    T::deserialize(StrDeserializer::new(text))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn put(words: &[&str]) -> ClientPut {
        match try_parse_from(["samesake", "client", "put"].iter().chain(words)).unwrap() {
            Command::Client(Client::Put(put)) => *put,
            other => panic!("not a put: {other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_exits_with_2() {
        for words in [
            &["samesake"][..],
            &["samesake", "check-config"],
            &["samesake", "serve", "--listen", "nowhere"],
            &["samesake", "client", "put"],
            &["samesake", "client", "put", "--file", "x.toml", "--client-id", "x"],
            &["samesake", "demo", "--port-base", "80"],
            &["samesake", "customer", "show"],
        ] {
            assert_eq!(try_parse_from(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn help_and_version_exit_with_0() {
        for words in [["samesake", "--help"], ["samesake", "--version"]] {
            assert_eq!(try_parse_from(words).unwrap_err().exit_code(), 0);
        }
    }

    #[test]
    fn flags_become_client_metadata() {
        let put = put(&[
            "--client-id",
            "app",
            "--redirect-uri",
            "com.example.app:/callback",
            "--application-type",
            "native",
            "--token-endpoint-auth-method",
            "none",
            "--grant-type",
            "authorization_code",
            "--grant-type",
            "refresh_token",
            "--id-token-signed-response-alg",
            "ES256",
        ]);
        let metadata = put.metadata().unwrap();
        assert_eq!(metadata.grant_types, [GrantType::AuthorizationCode, GrantType::RefreshToken]);
        assert_eq!(metadata.token_endpoint_auth_method, TokenEndpointAuthMethod::None);
        assert_eq!(metadata.id_token_signed_response_alg, SigningAlgorithm::Es256);
        assert!(metadata.require_pkce);
    }

    #[test]
    fn wrong_flags_are_all_reported() {
        let put = put(&["--client-id", "a b", "--redirect-uri", "http://x.example/", "--redirect-uri", "https://*.x/"]);
        let errors = put.metadata().unwrap_err();
        let keys: Vec<&str> = errors.0.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["client.client_id", "client.redirect_uris[0]", "client.redirect_uris[1]"]);
        assert_eq!(errors.0[0].file, "command line");
    }

    #[test]
    fn serve_without_a_file_refuses_to_leave_loopback() {
        let dir = std::env::temp_dir().join(format!("samesake-cli-{}", crate::secret::random_token()));
        let serve = |listen: &str| Serve {
            installation: Installation { config: None, data_dir: Some(dir.clone()) },
            listen: Some(listen.parse().unwrap()),
        };
        assert_eq!(serve("127.0.0.1:9000").load().unwrap().server.issuer_text(), "http://127.0.0.1:9000");
        let refused = serve("0.0.0.0:9000").load().unwrap_err().to_string();
        assert!(refused.starts_with("option --listen: server.listen: `0.0.0.0:9000` is not loopback"), "{refused}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
