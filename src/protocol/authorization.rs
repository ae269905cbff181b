//! The authorization request and its answer (RFC 6749 §4.1, OpenID Connect Core §3.1.2, RFC 9207).

use serde::{Deserialize, Serialize};
use url::Url;

use super::pkce::CodeChallenge;
use super::scope::Scope;
use super::{ErrorCode, OAuthError};

/// How the answer travels (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    #[default]
    Query,
    FormPost,
}

impl ResponseMode {
    /// Reads the `response_mode` value.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "query" => Some(Self::Query),
            "form_post" => Some(Self::FormPost),
            _ => None,
        }
    }
}

/// The values of `prompt` (OpenID Connect Core §3.1.2.1, Initiating User Registration 1.0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prompt {
    pub none: bool,
    pub login: bool,
    pub consent: bool,
    pub select_account: bool,
    pub create: bool,
}

impl Prompt {
    /// # Errors
    /// `invalid_request` for `none` together with another value, or for an unknown value.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let mut prompt = Self::default();
        for value in text.split(' ').filter(|v| !v.is_empty()) {
            match value {
                "none" => prompt.none = true,
                "login" => prompt.login = true,
                "consent" => prompt.consent = true,
                "select_account" => prompt.select_account = true,
                "create" => prompt.create = true,
                _ => return Err(OAuthError::invalid_request("prompt has an unknown value")),
            }
        }
        if prompt.none && (prompt.login || prompt.consent || prompt.select_account || prompt.create) {
            return Err(OAuthError::invalid_request("prompt none cannot be combined with another value"));
        }
        Ok(prompt)
    }
}

/// Where an answer goes once the redirect URI is proved to belong to the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnTo {
    pub redirect_uri: Url,
    pub response_mode: ResponseMode,
    /// Returned as it came (RFC 6749 §4.1.2).
    pub state: Option<String>,
}

/// An authorization request that passed every check that does not depend on who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    pub client_id: String,
    /// The redirect URI as it was sent; the token request must repeat it (RFC 6749 §4.1.3).
    pub redirect_uri_sent: Option<String>,
    pub return_to: ReturnTo,
    /// What the client may have of what it asked for.
    pub scope: Scope,
    pub nonce: Option<String>,
    pub code_challenge: Option<CodeChallenge>,
    pub prompt: Prompt,
    /// Seconds.
    pub max_age: Option<u64>,
    pub login_hint: Option<String>,
    pub id_token_hint: Option<String>,
    pub resources: Vec<String>,
    /// The levels it would like that can be reached here, the best liked first. A wish: another level is told, never
    /// refused (OpenID Connect Core §3.1.2.1).
    #[serde(default)]
    pub acr_values: Vec<String>,
    /// Of these the login must reach one (OpenID Connect Core §5.5.1.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub essential_levels: Vec<String>,
    /// The `request_uri` that it came by, if it was pushed (RFC 9126).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed_as: Option<String>,
}

/// What goes back to the client's redirect URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizationResponse {
    Code(String),
    Error { code: ErrorCode, description: String },
}

impl From<&OAuthError> for AuthorizationResponse {
    fn from(error: &OAuthError) -> Self {
        Self::Error { code: error.code, description: error.description.clone() }
    }
}

impl AuthorizationResponse {
    /// The response parameters in order. Every answer carries `iss` (RFC 9207 §2).
    pub fn fields(&self, return_to: &ReturnTo, issuer: &str) -> Vec<(&'static str, String)> {
        let mut fields = match self {
            Self::Code(code) => vec![("code", code.clone())],
            Self::Error { code, description } => {
                vec![("error", code.as_str().to_owned()), ("error_description", description.clone())]
            }
        };
        if let Some(state) = &return_to.state {
            fields.push(("state", state.clone()));
        }
        fields.push(("iss", issuer.to_owned()));
        fields
    }

    /// The redirect URI with the response parameters added to its query.
    pub fn redirect(&self, return_to: &ReturnTo, issuer: &str) -> Url {
        let mut url = return_to.redirect_uri.clone();
        url.query_pairs_mut().extend_pairs(self.fields(return_to, issuer));
        url
    }
}
