//! Pages of a list: bounded, in a fixed order, each with a cursor to the next.
//!
//! A cursor is a place in the order (a key, not a number of rows, so that nothing is shown twice or left out when rows
//! come and go), sealed: it can be neither read nor made by its holder, and is good for its own list only.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::secret::{self, DerivedKey};

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page, and the place where it ended if there is more.
    pub fn new<P: Serialize>(app: &App, scope: &Scope, items: Vec<T>, next: Option<P>) -> Self {
        Self { items, next: next.map(|place| scope.seal(&app.secrets.cursor, &place)) }
    }
}

/// What a cursor is bound to: the path, and every parameter but those that say which part of the list.
pub struct Scope([u8; 32]);

impl Scope {
    /// Of one request.
    pub fn of(path: &str, parameters: &BTreeMap<String, String>) -> Self {
        let mut text = path.to_owned();
        for (name, value) in parameters.iter().filter(|(name, _)| !matches!(name.as_str(), "cursor" | "limit")) {
            // Neither holds a control character.
            text.push_str(&format!("\n{name}\t{value}"));
        }
        Self(secret::sha256(&[text.as_bytes()]))
    }

    fn seal(&self, key: &DerivedKey, place: &impl Serialize) -> String {
        secret::base64url(&key.seal(&self.0, &serde_json::to_vec(place).unwrap_or_default()))
    }

    /// Reads a cursor; `None` unless we made it for this list.
    pub fn open<T: DeserializeOwned>(&self, key: &DerivedKey, cursor: &str) -> Option<T> {
        let place = key.open(&self.0, &secret::from_base64url(cursor)?)?;
        serde_json::from_slice(&place).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::MasterKey;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let key = MasterKey::generate().derive("cursor");
        let with = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let list = Scope::of("/api/v1/customers", &with("q", "ann"));
        let cursor = list.seal(&key, &("ann", 7));
        assert_eq!(list.open(&key, &cursor), Some(("ann".to_owned(), 7)));
        assert!(!cursor.contains("ann"));
        let again = Scope::of(
            "/api/v1/customers",
            &BTreeMap::from([
                ("q".to_owned(), "ann".to_owned()),
                ("limit".to_owned(), "5".to_owned()),
                ("cursor".to_owned(), cursor.clone()),
            ]),
        );
        assert_eq!(again.open(&key, &cursor), Some(("ann".to_owned(), 7)));
        for other in [Scope::of("/api/v1/audit", &with("q", "ann")), Scope::of("/api/v1/customers", &with("q", "ben"))]
        {
            assert_eq!(other.open::<(String, i32)>(&key, &cursor), None);
        }
        assert_eq!(list.open::<(String, i32)>(&MasterKey::generate().derive("cursor"), &cursor), None);
        for bad in ["", "x", &cursor[1..], "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(list.open::<(String, i32)>(&key, bad), None);
        }
    }
}
