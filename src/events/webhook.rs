//! What a receiver of events is told, and how it can tell that it was us.
//!
//! Handoff specification, rules 17 and 18: a receiver belongs to one sector and sees that sector's subjects and the few
//! members of an event that are for apps, or it is internal and sees all. What is not named here is for internal
//! receivers only. The form and the signature are those of Standard Webhooks 1.0. It must not know databases, and
//! whether a delivery succeeds is no matter of its own.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::ids::{CustomerId, EventId};
use crate::secret;
use crate::store::SequencedEvent;

/// The events that apps hear of, with the members of each that they see. A member about one client is for that client's
/// sector alone.
const SHARED: &[(&str, &[&str])] = &[
    ("customer.created", &[]),
    ("customer.updated", &[]),
    ("customer.blocked", &[]),
    ("customer.unblocked", &[]),
    ("customer.erased", &[]),
    ("profile.updated", &[]),
    ("link.added", &[]),
    ("link.removed", &[]),
    ("link.proved", &[]),
    ("credential.added", &["kind"]),
    ("credential.removed", &["kind"]),
    ("consent.granted", &["client_id", "scope"]),
    ("consent.withdrawn", &["client_id", "scope"]),
    ("token.reuse", &["client_id", "what"]),
];

/// Those of them that say something of one client, and only to its sector.
const OF_ONE_CLIENT: &[&str] = &["consent.granted", "consent.withdrawn", "token.reuse"];

/// Whom a receiver is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<'a> {
    /// Trusted with the customer ID and everything that is recorded.
    Internal,
    /// The apps of one sector.
    Sector(&'a str),
}

/// Which events a receiver asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection(Vec<String>);

impl Selection {
    /// From patterns: a name such as `customer.merged`, a family such as `link.*`, or `*`.
    ///
    /// # Errors
    /// The first one that is none of them.
    pub fn parse(patterns: &[String]) -> Result<Self, &str> {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'))
        };
        match patterns.iter().find(|pattern| !is_word(pattern.strip_suffix('*').unwrap_or(pattern)) && *pattern != "*")
        {
            Some(wrong) => Err(wrong),
            None => Ok(Self(patterns.to_vec())),
        }
    }

    /// Whether an event of this name was asked for.
    pub fn holds(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(family) => name.starts_with(family),
            None => pattern == name,
        })
    }
}

/// The text of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The event's own: the same however often it is sent, so that a receiver can tell what it has seen.
    pub id: EventId,
    pub sequence: i64,
    /// Whom it happened to. Messages of one customer go one after the other.
    pub customer: CustomerId,
    /// It joins or parts customers, so whatever was before it goes before it, and the rest after.
    pub is_turn: bool,
    pub body: String,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    /// When it happened, not when it is sent.
    timestamp: String,
    /// Rises with every event; `samesake webhooks replay --from` takes it.
    sequence: i64,
    data: Map<String, Value>,
}

/// What this audience is told of an event. `None` if the event is no business of it. `is_own_client` tells whether a
/// client belongs to the audience's sector.
pub fn message(
    event: &SequencedEvent,
    audience: Audience<'_>,
    is_own_client: impl Fn(&str) -> bool,
) -> Option<Message> {
    let data = match audience {
        Audience::Internal => internal(event),
        Audience::Sector(sector) => shared(event, sector, is_own_client)?,
    };
    let body =
        Body { event_type: &event.event_type, timestamp: event.created_at.to_string(), sequence: event.sequence, data };
    Some(Message {
        id: event.id,
        sequence: event.sequence,
        customer: event.root,
        is_turn: event.payload.get("audiences").is_some(),
        // Text keys and plain values always have a JSON form.
        body: serde_json::to_string(&body).unwrap_or_default(),
    })
}

fn internal(event: &SequencedEvent) -> Map<String, Value> {
    let mut data = event.payload.as_object().cloned().unwrap_or_default();
    data.insert("customer_id".to_owned(), json!(event.root));
    data.insert("customer_seq".to_owned(), json!(event.root_seq));
    data
}

fn shared(event: &SequencedEvent, sector: &str, is_own_client: impl Fn(&str) -> bool) -> Option<Map<String, Value>> {
    // An event that names its audiences is for these, each by what it knows (identity rule 31). Who is not named hears
    // nothing.
    if let Some(audiences) = event.payload.get("audiences") {
        let is_own = |entry: &&Value| entry.get("sector").and_then(Value::as_str) == Some(sector);
        let mut own = audiences.as_array()?.iter().find(is_own)?.as_object()?.clone();
        own.remove("sector");
        return Some(own);
    }
    let sub = event.sub.as_deref()?;
    let (_, members) = SHARED.iter().find(|(name, _)| *name == event.event_type)?;
    // Some events keep what they say under one member.
    let said = event.payload.get("detail").unwrap_or(&event.payload);
    if OF_ONE_CLIENT.contains(&event.event_type.as_str()) && !is_own_client(said.get("client_id")?.as_str()?) {
        return None;
    }
    let mut data = Map::new();
    data.insert("sub".to_owned(), Value::from(sub));
    for member in *members {
        if let Some(value) = said.get(*member) {
            data.insert((*member).to_owned(), value.clone());
        }
    }
    Some(data)
}

/// What a receiver and we sign with: 24 to 64 random bytes (Standard Webhooks, "Signature scheme").
#[derive(Clone)]
pub struct SigningKey(Zeroizing<Vec<u8>>);

impl SigningKey {
    /// From base64, with `whsec_` before it or not. `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = Zeroizing::new(secret::from_base64(text.strip_prefix("whsec_").unwrap_or(text))?);
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// One entry of `webhook-signature`. Neither an ID nor a number holds a full stop, so the parts cannot run together.
    fn sign(&self, id: &str, timestamp: &str, body: &str) -> String {
        let parts = [id, ".", timestamp, ".", body].map(str::as_bytes);
        format!("v1,{}", secret::base64(&secret::hmac_sha256(&self.0, &parts)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[signing key]")
    }
}

/// The headers of one attempt. With several keys there are several signatures, so that a key can be changed without a
/// moment in which the receiver knows neither.
pub fn headers(message: &Message, keys: &[SigningKey], now: Timestamp) -> [(&'static str, String); 4] {
    let (id, timestamp) = (message.id.to_string(), now.seconds().to_string());
    let signatures: Vec<String> = keys.iter().map(|key| key.sign(&id, &timestamp, &message.body)).collect();
    [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signatures.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_seconds(1_800_014_400);
    const CUSTOMER: &str = "01a2b3c4-0000-7000-8000-000000000001";

    fn event(event_type: &str, sub: Option<&str>, payload: Value) -> SequencedEvent {
        SequencedEvent {
            sequence: 7,
            id: "01a2b3c4-0000-7000-8000-00000000000e".parse().unwrap(),
            event_type: event_type.to_owned(),
            payload,
            root: CUSTOMER.parse().unwrap(),
            root_seq: 3,
            created_at: AT,
            sub: sub.map(str::to_owned),
        }
    }

    fn told(event: &SequencedEvent, audience: Audience<'_>) -> Option<Value> {
        let message = message(event, audience, |client| client == "shop")?;
        let body: Value = serde_json::from_str(&message.body).unwrap();
        Some(body["data"].clone())
    }

    fn shop(event: &SequencedEvent) -> Option<Value> {
        told(event, Audience::Sector("shop"))
    }

    #[test]
    fn a_body_has_the_form_of_standard_webhooks() {
        let message = message(&event("customer.created", Some("s"), json!({})), Audience::Sector("shop"), |_| false);
        let expected = "{\"type\":\"customer.created\",\"timestamp\":\"2027-01-15T12:00:00Z\",\"sequence\":7,\
                        \"data\":{\"sub\":\"s\"}}";
        assert_eq!(message.unwrap().body, expected);
    }

    #[test]
    fn an_app_sees_its_own_subject_and_what_is_for_apps() {
        let link = json!({"link": CUSTOMER, "namespace": "email", "external_id": "ann@shop.example"});
        assert_eq!(shop(&event("link.added", Some("s"), link.clone())), Some(json!({"sub": "s"})));
        assert_eq!(shop(&event("link.added", None, link.clone())), None, "who never met them hears nothing");
        let credential = event("credential.added", Some("s"), json!({"kind": "password"}));
        assert_eq!(shop(&credential), Some(json!({"sub": "s", "kind": "password"})));
        assert_eq!(shop(&event("conflict.opened", Some("s"), json!({"kind": "x"}))), None, "not for apps");
        assert_eq!(shop(&event("thought.up.later", Some("s"), json!({}))), None, "refused unless it is named");
        let all = json!({"link": CUSTOMER, "namespace": "email", "external_id": "ann@shop.example",
                         "customer_id": CUSTOMER, "customer_seq": 3});
        assert_eq!(told(&event("link.added", None, link), Audience::Internal), Some(all));
    }

    #[test]
    fn what_is_about_a_client_is_for_its_own_sector() {
        let consent = |client: &str| json!({"client_id": client, "scope": "openid"});
        let own = event("consent.granted", Some("s"), consent("shop"));
        assert_eq!(shop(&own), Some(json!({"sub": "s", "client_id": "shop", "scope": "openid"})));
        assert_eq!(shop(&event("consent.granted", Some("s"), consent("other"))), None);
        assert_eq!(shop(&event("consent.granted", Some("s"), json!({}))), None);
        let reuse = json!({"detail": {"client_id": "shop", "what": "refresh_token"}});
        let expected = json!({"sub": "s", "client_id": "shop", "what": "refresh_token"});
        assert_eq!(shop(&event("token.reuse", Some("s"), reuse)), Some(expected));
    }

    #[test]
    fn an_event_that_names_its_audiences_is_for_these_by_what_each_knows() {
        let merged = json!({"merge": 1, "audiences": [
            {"sector": "club", "sub": "c"}, {"sector": "shop", "sub": "s", "merged_from": ["t"]},
        ]});
        let event = event("customer.merged", Some("not this one"), merged);
        assert_eq!(shop(&event), Some(json!({"sub": "s", "merged_from": ["t"]})));
        assert_eq!(told(&event, Audience::Sector("club")), Some(json!({"sub": "c"})));
        assert_eq!(told(&event, Audience::Sector("third")), None);
        assert!(message(&event, Audience::Internal, |_| false).unwrap().is_turn);
    }

    #[test]
    fn a_selection_is_names_and_families() {
        let parse = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            Selection::parse(&patterns).map_err(str::to_owned)
        };
        let selection = parse(&["customer.merged", "link.*"]).unwrap();
        for (name, holds) in [("customer.merged", true), ("customer.created", false), ("link.added", true)] {
            assert_eq!(selection.holds(name), holds, "{name}");
        }
        assert!(parse(&["*"]).unwrap().holds("anything"));
        for wrong in ["", "Link.added", "link added", "**", "*.merged", "link.*x"] {
            assert_eq!(parse(&["link.*", wrong]).unwrap_err(), wrong);
        }
    }

    /// The example of the specification.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", "secret"] {
            assert!(SigningKey::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn with_two_keys_there_are_two_signatures() {
        let keys = [1, 2].map(|byte| SigningKey::parse(&secret::base64(&[byte; 32])).unwrap());
        let message = message(&event("customer.created", None, json!({})), Audience::Internal, |_| false).unwrap();
        let [.., (name, both)] = headers(&message, &keys, AT);
        assert_eq!(name, "webhook-signature");
        let id = message.id.to_string();
        let each = keys.map(|key| key.sign(&id, "1800014400", &message.body));
        assert_eq!(both, each.join(" "));
        assert_ne!(each[0], each[1]);
    }
}
