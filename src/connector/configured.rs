//! Any OAuth 2.0 server, by configuration: where it is, which member is the subject, and what its claims are called.
//!
//! A name of theirs is a path: `profile.mail` is the member `mail` of the member `profile`.

use async_trait::async_trait;
use serde_json::Value;

use super::ConnectorError;
use super::claims::Claims;
use super::oauth2::{Api, Endpoints, OAuth2Connector, OAuth2Provider, exact_id};
use crate::config::ConnectorConfig;
use crate::outbound::Outbound;

pub(super) struct Configured {
    pkce: bool,
    subject: String,
    /// Ours and theirs.
    claims: Vec<(String, String)>,
}

/// Builds the connector.
///
/// # Errors
/// In words, if an endpoint is missing.
pub(super) fn connector(config: ConnectorConfig, outbound: Outbound) -> Result<OAuth2Connector<Configured>, String> {
    let provider = Configured {
        pkce: config.pkce.unwrap_or(true),
        subject: config.subject_claim.clone().unwrap_or_else(|| "sub".to_owned()),
        claims: config.claims.clone().into_iter().collect(),
    };
    let endpoints = Endpoints::of(&config, [""; 3])?;
    Ok(OAuth2Connector::new(provider, endpoints, config, outbound))
}

#[async_trait]
impl OAuth2Provider for Configured {
    async fn customer(&self, api: &Api<'_>) -> Result<Claims, ConnectorError> {
        self.mapped(api.object(api.userinfo.clone()).await?)
    }

    fn pkce(&self) -> bool {
        self.pkce
    }
}

impl Configured {
    fn mapped(&self, mut answer: Claims) -> Result<Claims, ConnectorError> {
        let subject = exact_id(at(&answer, &self.subject))?;
        let found: Vec<_> =
            self.claims.iter().map(|(ours, theirs)| (ours.clone(), at(&answer, theirs).cloned())).collect();
        // Kept once, under our name: what is not to be kept is known by that.
        for (_, theirs) in &self.claims {
            remove(&mut answer, theirs);
        }
        for (ours, value) in found {
            // A mapped claim is that or nothing: a member that has its name by chance does not stand in for it.
            match value {
                Some(value) => answer.insert(ours, value),
                None => answer.remove(&ours),
            };
        }
        answer.insert("sub".to_owned(), Value::String(subject));
        Ok(answer)
    }
}

fn at<'a>(object: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    at(object.get(first)?.as_object()?, rest)
}

fn remove(object: &mut Claims, path: &str) {
    if object.remove(path).is_some() {
        return;
    }
    let Some((first, rest)) = path.split_once('.') else { return };
    if let Some(Value::Object(inner)) = object.get_mut(first) {
        remove(inner, rest);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_found_by_their_paths() {
        let provider = Configured {
            pkce: true,
            subject: "user.id".to_owned(),
            claims: [("email", "user.mail"), ("name", "display.name"), ("locale", "missing")]
                .map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned()))
                .to_vec(),
        };
        let answer = json!({
            "user": {"id": 9_007_199_254_740_993_u64, "mail": "a@b.example"}, "display.name": "Ada", "locale": "xx",
            "sub": "not this",
        });
        let claims = Value::Object(provider.mapped(answer.as_object().cloned().unwrap()).unwrap());
        assert_eq!(claims["sub"], "9007199254740993");
        assert_eq!((&claims["email"], &claims["name"]), (&json!("a@b.example"), &json!("Ada")));
        assert_eq!(claims.get("locale"), None);
        assert_eq!((&claims["user"]["mail"], claims.get("display.name")), (&Value::Null, None), "each is kept once");
        assert!(provider.mapped(Claims::new()).is_err());
    }
}
