//! Microsoft Entra ID: OpenID Connect of many tenants behind one address.
//!
//! Of `common` and `organizations` the metadata have a template for an issuer, and each ID token that of its tenant: the
//! two must fit by `tid`. The subject is `tid` and `oid`, because `sub` is another one for each app. An address is
//! whatever the tenant's administrator typed, so it is verified only by `xms_edov` (spec/identity.md rules 3 and 8).

use serde_json::Value;
use uuid::Uuid;

use super::claims::{self, Claims};
use super::oidc::{OidcConnector, OidcProvider};
use super::{ConnectorError, UpstreamCallback, UpstreamIdentity};
use crate::config::ConnectorConfig;
use crate::outbound::Outbound;

const AUTHORITY: &str = "https://login.microsoftonline.com";
/// The tenant of all personal accounts.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
/// What stands for the tenant in the metadata of several.
const TEMPLATE: &str = "{tenantid}";

pub(super) struct Microsoft {
    authority: String,
    accepts: Accepts,
}

/// Whose accounts may log in.
enum Accepts {
    Anybody,
    Organizations,
    Tenant(String),
}

/// Builds the connector.
///
/// # Errors
/// In words, if the issuer is not a URL.
pub(super) fn connector(config: ConnectorConfig, outbound: Outbound) -> Result<OidcConnector<Microsoft>, String> {
    let authority = if config.issuer.is_empty() { AUTHORITY } else { config.issuer.trim_end_matches('/') }.to_owned();
    let tenant = config.tenant.clone().unwrap_or_else(|| "common".to_owned());
    let accepts = match tenant.as_str() {
        "common" => Accepts::Anybody,
        "organizations" => Accepts::Organizations,
        "consumers" => Accepts::Tenant(CONSUMERS.to_owned()),
        id => Accepts::Tenant(id.to_ascii_lowercase()),
    };
    let issuer = match &accepts {
        Accepts::Anybody | Accepts::Organizations => format!("{authority}/{TEMPLATE}/v2.0"),
        Accepts::Tenant(id) => format!("{authority}/{id}/v2.0"),
    };
    let metadata = format!("{authority}/{tenant}/v2.0/.well-known/openid-configuration");
    OidcConnector::with_metadata_at(Microsoft { authority, accepts }, &metadata, &issuer, config, outbound)
}

impl OidcProvider for Microsoft {
    fn has_one_issuer(&self) -> bool {
        matches!(self.accepts, Accepts::Tenant(_))
    }

    fn check(&self, claims: &Claims) -> Result<(), &'static str> {
        let said = |name: &str| claims.get(name).and_then(Value::as_str);
        // A tenant that is no GUID could put anything into the middle of the issuer.
        let Some(tid) = said("tid").filter(|tid| Uuid::try_parse(tid).is_ok()) else {
            return Err("the ID token names no tenant");
        };
        if said("iss") != Some(format!("{}/{tid}/v2.0", self.authority).as_str()) {
            return Err("the ID token is from another issuer");
        }
        if said("oid").is_none_or(str::is_empty) {
            return Err("the ID token has no object ID: the scope profile is needed");
        }
        match &self.accepts {
            Accepts::Organizations if tid == CONSUMERS => Err("the account is a personal one"),
            Accepts::Tenant(tenant) if tid != tenant => Err("the account is of another tenant"),
            _ => Ok(()),
        }
    }

    fn identity(
        &self,
        mut id_token: Claims,
        userinfo: Option<Claims>,
        _callback: &UpstreamCallback,
    ) -> Result<UpstreamIdentity, ConnectorError> {
        let said = |name: &str| id_token.get(name).and_then(Value::as_str).unwrap_or_default();
        let subject = format!("{}.{}", said("tid"), said("oid"));
        // Optional claim "email domain owner verified": a boolean, a number, or either as text.
        let owner_verified = id_token
            .get("xms_edov")
            .is_some_and(|said| *said == true || *said == 1 || *said == "1" || *said == "true" || *said == "True");
        id_token.insert("sub".to_owned(), Value::String(subject));
        id_token.insert("email_verified".to_owned(), Value::Bool(owner_verified));
        // `email_verified` of userinfo does not exist; an address from there is a hint.
        let userinfo = userinfo.map(|mut userinfo| {
            userinfo.remove("email_verified");
            userinfo
        });
        claims::identity(id_token, userinfo)
    }
}
