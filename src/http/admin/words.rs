//! The desk's words for what is stored: fields, namespaces, values, states. English only, and nothing is decided here.

use serde_json::Value;

use crate::app::App;
use crate::identity::namespace::{Namespace, Rules};
use crate::identity::profile::Profile;
use crate::store::{CustomerState, DisabledReason, Link, LinkState};

/// More of a value than anybody reads.
const MAX_VALUE: usize = 300;
/// The parts of an address, in the order in which they are written.
const ADDRESS: [&str; 5] = ["street_address", "postal_code", "locality", "region", "country"];

/// What a customer is called, at least by what leads to them.
pub fn called(profile: &Profile) -> String {
    let full = || match (profile.text("given_name"), profile.text("family_name")) {
        (Some(given), Some(family)) => Some(format!("{given} {family}")),
        (given, family) => given.or(family),
    };
    let name = profile.text("name").or_else(full).or_else(|| profile.text("email"));
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    cut(&name.unwrap_or_else(|| "Without a name".to_owned()), MAX_VALUE)
}

/// A claim's name for people.
pub fn field(name: &str) -> String {
    let known = match name {
        "name" => "Name",
        "given_name" => "Given name",
        "family_name" => "Family name",
        "email" => "E-mail",
        "email_verified" => "E-mail proved",
        "phone_number" => "Phone",
        "phone_number_verified" => "Phone proved",
        "birthdate" => "Born",
        "birthdate_verified" => "Birth date proved",
        "address" => "Address",
        "locale" => "Language",
        "gender" => "Gender",
        "picture" => "Picture",
        "preferred_username" => "User name",
        other => return capitalized(&cut(&other.replace('_', " "), 60)),
    };
    known.to_owned()
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A value on one line.
pub fn value(value: &Value) -> String {
    let text = match value {
        Value::Null => "—".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(self::value).collect::<Vec<_>>().join(", "),
        Value::Object(parts) => {
            let known = ADDRESS.iter().filter_map(|name| parts.get(*name));
            let others = parts.iter().filter(|(name, _)| !ADDRESS.contains(&name.as_str())).map(|(_, part)| part);
            known.chain(others).filter(|part| !part.is_null()).map(self::value).collect::<Vec<_>>().join(", ")
        }
    };
    cut(&text, MAX_VALUE)
}

/// The first characters of a text, and a sign if there are more.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// What people call a namespace.
pub fn namespace(app: &App, text: &str) -> String {
    match Namespace::parse(text) {
        Some(Namespace::Social(id)) => app.connectors.get(&id).map_or(id, |connector| connector.name().to_owned()),
        Some(Namespace::Email) => "E-mail".to_owned(),
        Some(Namespace::UnprovedEmail) => "E-mail, unproved".to_owned(),
        Some(Namespace::Phone) => "Phone".to_owned(),
        Some(Namespace::App(app)) => format!("User ID at {app}"),
        Some(Namespace::External(system)) => format!("ID at {system}"),
        Some(Namespace::Visitor(sector)) => format!("Browser at {sector}"),
        None => cut(text, 60),
    }
}

/// Where a value or a link came from.
pub fn source(app: &App, text: &str) -> String {
    match text {
        "sign_up" => "sign-up".to_owned(),
        "customer" => "the customer".to_owned(),
        "link" => "a linked account".to_owned(),
        other => match other.strip_prefix("connector:") {
            Some(id) => namespace(app, &format!("social:{id}")),
            None => cut(&other.replace('_', " "), 60),
        },
    }
}

/// An app's sector, by the apps in it.
pub fn sector(app: &App, sector: &str) -> String {
    let clients = app.provider.clients.of_sector(sector);
    let mut names: Vec<&str> = clients.iter().map(|client| client.name()).collect();
    names.dedup();
    if names.is_empty() { cut(sector, 60) } else { cut(&names.join(", "), 120) }
}

/// A state that is worth a word.
pub const fn state(state: CustomerState) -> &'static str {
    match state {
        CustomerState::Active => "",
        CustomerState::Merged => "merged",
        CustomerState::Blocked => "blocked",
        CustomerState::Erased => "erased",
    }
}

/// What a provider said against an account, so that somebody should look.
pub fn flag(kind: &str) -> String {
    let known = match kind {
        "consent_revoked" => "the customer took back what they had allowed us there",
        "account_deleted" => "the account there is gone for good",
        "account_disabled" => "the provider closed the account",
        "hijacking" => "somebody else got into the account",
        "bulk_account" => "the provider takes the account for a machine’s",
        "credential_change_required" => "the password there has to be changed",
        other => return cut(&other.replace('_', " "), 60),
    };
    known.to_owned()
}

/// How surely a link is the customer's, and whether it leads to them.
pub fn standing(link: &Link, rules: Rules<'_>) -> &'static str {
    if link.state == LinkState::Ended {
        return "ended";
    }
    match (&link.disabled_reason, link.verified_at, link.exclusive) {
        (Some(DisabledReason::Hijacking), ..) => "disabled: taken over",
        (Some(_), ..) => "disabled by its provider",
        (None, Some(_), _) if rules.is_stale(link) => "proved, but too long ago",
        (None, Some(_), _) => "proved",
        (None, None, true) => "asserted by a system",
        (None, None, false) => "a hint only",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_every_form_are_one_line() {
        let address = json!({ "country": "GB", "street_address": "1 Elm", "locality": "York", "region": null });
        assert_eq!(value(&address), "1 Elm, York, GB");
        assert_eq!(value(&json!(["a", 1, true, null])), "a, 1, yes, —");
        let long = value(&json!("x".repeat(1000)));
        assert_eq!(long.chars().count(), 300);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_field_of_any_name_begins_with_a_capital() {
        assert_eq!(
            ["nickname", "given_name", "shoe_size", "élan", ""].map(field),
            ["Nickname", "Given name", "Shoe size", "Élan", ""]
        );
    }

    #[test]
    fn somebody_is_called_something() {
        let profile = |json| Profile::from_json(&json);
        assert_eq!(called(&profile(json!({}))), "Without a name");
        let parts = json!({ "given_name": { "value": "Ann", "at": 1 }, "family_name": { "value": "Lee", "at": 1 } });
        assert_eq!(called(&profile(parts)), "Ann Lee");
        assert_eq!(called(&profile(json!({ "name": { "value": "  ", "at": 1 } }))), "Without a name");
    }
}
