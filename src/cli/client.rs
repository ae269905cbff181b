//! `samesake client`: an OAuth client, by flags in the words of RFC 7591 or from a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{EXIT_CODES, Installation, word};
use crate::config::{ConfigErrors, Problems, check_metadata, read_client_file};
use crate::protocol::admin_role::AdminRole;
use crate::protocol::client_metadata::{
    ApplicationType, ClientMetadata, GrantType, SubjectType, TokenEndpointAuthMethod,
};
use crate::protocol::jwk::SigningAlgorithm;

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
            require_pushed_authorization_requests: false,
            resources: self.resources.clone(),
            admin_role: self.admin_role,
            upstream_tokens: vec![],
        }
    }
}
