//! Parameters of a request as `application/x-www-form-urlencoded` carries them.
//!
//! RFC 6749 §3.1: a parameter without a value is as if it were not sent; a repeated one makes the request invalid.
//! `resource` alone may be repeated (RFC 8707 §2).

use std::collections::{BTreeMap, BTreeSet};

use super::OAuthError;

/// More than any client needs, few enough to be cheap to refuse.
const MAX_PARAMETERS: usize = 64;

/// The parameters of one request, each at most once except `resource`.
#[derive(Clone, Debug, Default)]
pub struct Params {
    single: BTreeMap<String, String>,
    resources: Vec<String>,
    repeated: BTreeSet<String>,
    too_many: bool,
}

impl Params {
    /// Reads a query or a form body. Never fails: what is wrong is told by [`Params::refuse_repeated`], because an
    /// authorization request must first prove its redirect URI before an error may be sent there.
    pub fn parse(encoded: &[u8]) -> Self {
        let mut params = Self::default();
        for (number, (name, value)) in url::form_urlencoded::parse(encoded).enumerate() {
            if number == MAX_PARAMETERS {
                params.too_many = true;
                break;
            }
            if value.is_empty() {
                continue;
            }
            if name == "resource" {
                params.resources.push(value.into_owned());
            } else if params.single.contains_key(name.as_ref()) {
                params.repeated.insert(name.into_owned());
            } else {
                params.single.insert(name.into_owned(), value.into_owned());
            }
        }
        params
    }

    /// The value of one parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.single.get(name).map(String::as_str)
    }

    /// Every parameter whose name begins so: the rest of the name, and the value.
    pub fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.single.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// The value of one parameter, owned.
    pub fn owned(&self, name: &str) -> Option<String> {
        self.single.get(name).cloned()
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// `invalid_request` naming the parameter.
    pub fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::invalid_request(format!("parameter {name} is missing")))
    }

    /// All values of `resource`.
    pub fn resources(&self) -> &[String] {
        &self.resources
    }

    /// Whether this parameter was sent twice, so that nobody can tell which one is meant.
    pub fn is_repeated(&self, name: &str) -> bool {
        self.repeated.contains(name)
    }

    /// # Errors
    /// `invalid_request` if a parameter was sent twice (RFC 6749 §3.1), or more of them than are read.
    pub fn refuse_repeated(&self) -> Result<(), OAuthError> {
        if self.too_many {
            return Err(OAuthError::invalid_request(format!("there are more than {MAX_PARAMETERS} parameters")));
        }
        match self.repeated.first() {
            // The name is the caller's text: it is not echoed, only names we know are.
            Some(name) if name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => {
                Err(OAuthError::invalid_request(format!("parameter {name} is repeated")))
            }
            Some(_) => Err(OAuthError::invalid_request("a parameter is repeated")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_as_if_it_were_not_sent() {
        let params = Params::parse(b"state=&nonce=n");
        assert_eq!(params.get("state"), None);
        assert_eq!(params.get("nonce"), Some("n"));
    }

    #[test]
    fn a_repeated_parameter_is_invalid_except_resource() {
        assert!(Params::parse(b"scope=a&scope=b").refuse_repeated().is_err());
        let params = Params::parse(b"resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb");
        assert!(params.refuse_repeated().is_ok());
        assert_eq!(params.resources().len(), 2);
    }

    #[test]
    fn no_parameter_hides_behind_many_others() {
        let many = |count: usize| (0..count).map(|n| format!("p{n}=x&")).collect::<String>();
        assert!(Params::parse(many(MAX_PARAMETERS).as_bytes()).refuse_repeated().is_ok());
        assert!(Params::parse(format!("{}scope=a", many(MAX_PARAMETERS)).as_bytes()).refuse_repeated().is_err());
    }
}
