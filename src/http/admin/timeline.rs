//! What happened to a customer, in words: each entry of the audit log as a line.
//!
//! An action that has no words here yet is shown by its name, and of its detail only what is on the list: a new kind of
//! event shows nothing that nobody thought about.

use std::collections::BTreeMap;

use serde_json::Value;

use super::frame::{Moment, short};
use super::words;
use crate::app::App;
use crate::http::error::Failure;
use crate::ids::CustomerId;
use crate::store::{AuditRow, Tx};

/// Names of actors looked up for one page.
const MOST_NAMES: usize = 20;

/// One entry.
pub struct Line {
    pub at: Moment,
    pub what: String,
    pub by: String,
    /// What it was about: a name and a value each.
    pub details: Vec<(&'static str, String)>,
    /// Good, bad or neither, for its mark.
    pub class: &'static str,
}

/// Who did things, by the name under which the log has them.
pub struct Actors(BTreeMap<CustomerId, String>);

impl Actors {
    /// Looks up the admins among these actors.
    pub async fn of<'a>(tx: &mut Tx, actors: impl Iterator<Item = &'a str>) -> Result<Self, Failure> {
        let mut names = BTreeMap::new();
        for actor in actors {
            let Some(id) = actor.strip_prefix("admin:").and_then(|id| id.parse::<CustomerId>().ok()) else { continue };
            if names.len() < MOST_NAMES && !names.contains_key(&id) {
                let found = tx.customer_find(id).await?;
                let profile = found.map(|found| crate::identity::profile::Profile::from_json(&found.profile));
                names.insert(id, profile.map_or_else(|| short(id), |profile| words::called(&profile)));
            }
        }
        Ok(Self(names))
    }

    /// An actor for people.
    pub fn name(&self, actor: &str) -> String {
        let Some(admin) = actor.strip_prefix("admin:") else {
            return match actor {
                "customer" => "the customer".to_owned(),
                "system" => "Samesake".to_owned(),
                other => words::cut(&other.replacen("rule:", "rule ", 1), 80),
            };
        };
        match admin.parse::<CustomerId>() {
            Ok(id) => self.0.get(&id).cloned().unwrap_or_else(|| short(id)),
            Err(_) => words::cut(&admin.replacen("client:", "program ", 1), 80),
        }
    }
}

/// An entry in words.
pub fn line(app: &App, actors: &Actors, row: &AuditRow) -> Line {
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    let (what, class) = action(&row.action);
    Line {
        at: Moment(row.at),
        what: if what.is_empty() { words::cut(&row.action, 60) } else { what.to_owned() },
        by: actors.name(&row.actor),
        details: details(app, &detail),
        class,
    }
}

/// Every kind of entry by its name, in words, and good, bad or neither.
const KINDS: &[(&str, &str, &str)] = &[
    ("customer.created", "Became a customer", "good"),
    ("customer.merged", "Absorbed another customer", "join"),
    ("customer.absorbed", "Was absorbed by another customer", "join"),
    ("customer.unmerged", "A merge was undone", "part"),
    ("customer.restored", "Was restored from a merge", "part"),
    ("customer.keys_joined", "The ways to sign in became one", "join"),
    ("customer.flagged", "Was flagged: somebody should look", "bad"),
    ("admin.looked", "Looked at", ""),
    ("admin.granted", "Was given a role", "good"),
    ("admin.revoked", "Lost a role", "bad"),
    ("admin.candidate_watched", "A pair was put on watch", ""),
    ("customer.held", "Was put under a legal hold", "bad"),
    ("customer.released", "The legal hold was lifted", "good"),
    ("customer.brand_set", "The brand was changed", ""),
    ("conflict.closed", "A conflict was closed", ""),
    ("merge.request_declined", "A request to become one was declined", ""),
    ("link.vouched", "Identifier added by the company", "good"),
    ("customer.erased", "Was erased", "bad"),
    ("link.added", "Identifier added", "good"),
    ("link.removed", "Identifier removed", ""),
    ("link.proved", "Identifier proved", "good"),
    ("link.forced_off", "Identifier removed by an admin", "bad"),
    ("link.disabled", "Identifier disabled: its provider spoke against it", "bad"),
    ("link.enabled", "Identifier logs in again", "good"),
    ("mail.stopped", "No mail is sent to an address any more", ""),
    ("mail.resumed", "Mail is sent to an address again", ""),
    ("session.ended_upstream", "The provider ended its session", ""),
    ("session.ended", "Was signed out by an admin", "bad"),
    ("provider.told", "The provider told something of the account", ""),
    ("conflict.opened", "A conflict was opened", "bad"),
    ("profile.updated", "Profile changed", ""),
    ("credential.added", "Credential added", "good"),
    ("credential.removed", "Credential removed", ""),
    ("merge.requested", "Said that two accounts are theirs", "join"),
    ("merge.proposed", "A merge was proposed", "join"),
    ("merge.approved", "A merge was approved", "join"),
    ("merge.proposal_closed", "A proposal was closed", ""),
    ("not_same.marked", "Marked as not the same person as another", "part"),
    ("not_same.lifted", "The mark \u{201c}not the same\u{201d} was lifted", ""),
    ("consent.granted", "Allowed an app something", ""),
    ("token.reuse", "A refresh token was used twice: its grant ended", "bad"),
];

/// The kinds of entries that have words, by their names, in the order of the words.
pub fn kinds() -> Vec<(&'static str, &'static str)> {
    let mut kinds: Vec<_> = KINDS.iter().map(|(name, words, _)| (*name, *words)).collect();
    kinds.sort_by_key(|(_, words)| *words);
    kinds
}

fn action(name: &str) -> (&'static str, &'static str) {
    KINDS.iter().find(|(known, ..)| *known == name).map_or(("", ""), |(_, words, class)| (*words, *class))
}

/// What of an entry's detail is shown, and as what.
fn details(app: &App, detail: &Value) -> Vec<(&'static str, String)> {
    let text = |name: &str| detail.get(name).and_then(Value::as_str).map(|text| words::cut(text, 200));
    let mut shown = Vec::new();
    if let Some(namespace) = text("namespace") {
        shown.push(("Which", words::namespace(app, &namespace)));
    }
    let listed = [
        ("external_id", "ID"),
        ("proof", "Proof"),
        ("kind", "Kind"),
        ("client_id", "App"),
        ("scope", "What"),
        ("what", "What"),
        ("state", "State"),
        ("brand", "Brand"),
        ("role", "Role"),
        ("before", "Before"),
        ("reason", "Reason"),
        ("absorbed", "Absorbed"),
        ("survivor", "Survivor"),
        ("restored", "Restored"),
        ("from", "From"),
        ("other", "The other"),
        ("with", "With"),
    ];
    shown.extend(listed.into_iter().filter_map(|(name, words)| Some((words, text(name)?))));
    for (name, words) in [("sessions", "Sessions"), ("refresh_tokens", "Refresh tokens")] {
        shown.extend(detail.get(name).and_then(Value::as_u64).map(|count| (words, count.to_string())));
    }
    if let Some(customers) = detail.get("customers").and_then(Value::as_array) {
        shown.push(("Customers", customers.len().to_string()));
    }
    if let Some(fields) = detail.get("fields").and_then(Value::as_array) {
        let names: Vec<String> = fields.iter().filter_map(Value::as_str).map(words::field).collect();
        shown.push(("Fields", words::cut(&names.join(", "), 200)));
    }
    shown
}
