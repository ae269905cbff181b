//! The words of token exchange (RFC 8693 §3): what kind of token is presented, asked for, and given.
//!
//! `connector` is a parameter of ours beside them: RFC 8693 has none for whose token is brought or wanted, because its
//! `audience` is who will use the token.

use serde::{Deserialize, Serialize};

use super::OAuthError;
use super::params::Params;

/// The kinds of tokens that are exchanged here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExchangeTokenType {
    #[serde(rename = "urn:ietf:params:oauth:token-type:access_token")]
    AccessToken,
    #[serde(rename = "urn:ietf:params:oauth:token-type:id_token")]
    IdToken,
}

impl ExchangeTokenType {
    /// The value of a parameter.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "urn:ietf:params:oauth:token-type:access_token" => Some(Self::AccessToken),
            "urn:ietf:params:oauth:token-type:id_token" => Some(Self::IdToken),
            _ => None,
        }
    }
}

/// An exchange request, without what its kinds want beside.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeRequest<'a> {
    pub subject_token: &'a str,
    pub subject_token_type: ExchangeTokenType,
    /// Whose token is brought, or wanted.
    pub connector: &'a str,
}

impl<'a> ExchangeRequest<'a> {
    /// Reads the parameters of RFC 8693 §2.1. Only access tokens are given.
    ///
    /// # Errors
    /// `invalid_request` for what is missing or not offered.
    pub fn read(params: &'a Params) -> Result<Self, OAuthError> {
        if params.get("actor_token").or(params.get("actor_token_type")).is_some() {
            return Err(OAuthError::invalid_request("actor_token is not supported"));
        }
        if params.get("audience").is_some() {
            return Err(OAuthError::invalid_request("audience is not supported; use resource"));
        }
        let wanted = params.get("requested_token_type").map(ExchangeTokenType::parse);
        if wanted.is_some_and(|wanted| wanted != Some(ExchangeTokenType::AccessToken)) {
            return Err(OAuthError::invalid_request("requested_token_type must be an access token's"));
        }
        let kind = ExchangeTokenType::parse(params.required("subject_token_type")?);
        let subject_token_type =
            kind.ok_or_else(|| OAuthError::invalid_request("this subject_token_type is not supported"))?;
        Ok(Self {
            subject_token: params.required("subject_token")?,
            subject_token_type,
            connector: params.required("connector")?,
        })
    }
}
