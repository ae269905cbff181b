//! What the stand-in provider sends on its own account: logout tokens, and security event tokens as Google makes them.
//!
//! The faults of its ID tokens' signatures are theirs too.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use samesake::secret::{from_base64url, random_token};
use serde_json::{Value, json};

use super::{CLIENT_ID, Endpoint, Fault, Shared, Upstream, faults, forged};

/// The event of a logout token.
pub const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";

impl Upstream {
    /// A logout token; `changes` replace or add claims, and null leaves one out.
    pub fn logout_token(&self, changes: Value) -> String {
        let now = self.shared.clock.now().seconds();
        let claims = json!({
            "iss": self.shared.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 120, "jti": random_token(),
            "events": {LOGOUT: {}},
        });
        self.notice("logout+jwt", claims, changes)
    }

    /// A security event token with one event of RISC about a subject. It does not expire, and its issuer has a slash at the
    /// end that the issuer of the ID tokens has not. `event` is what the event says beside its subject.
    pub fn security_event(&self, kind: &str, subject: &str, event: Value, changes: Value) -> String {
        let issuer = format!("{}/", self.shared.issuer);
        let mut said = json!({"subject": {"subject_type": "iss-sub", "iss": issuer, "sub": subject}});
        said.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        let claims = json!({
            "iss": issuer, "aud": CLIENT_ID, "iat": self.shared.clock.now().seconds(), "jti": random_token(),
            "events": {format!("{RISC}{kind}"): said},
        });
        self.notice("secevent+jwt", claims, changes)
    }

    /// The same as the last argument says, by a provider that does not name its key.
    pub fn logout_token_without_kid(&self, changes: Value) -> String {
        let token = self.logout_token(changes);
        let key = Arc::clone(self.shared.state().keys.last().unwrap());
        let mut parts =
            token.split('.').map(|part| serde_json::from_slice::<Value>(&from_base64url(part).unwrap_or_default()));
        let (mut header, claims) = (parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap());
        header.as_object_mut().unwrap().remove("kid");
        key.sign(&header, &claims)
    }

    fn notice(&self, typ: &str, mut claims: Value, changes: Value) -> String {
        merge(&mut claims, &changes);
        let key = Arc::clone(self.shared.state().keys.last().unwrap());
        let mut header = key.header();
        header["typ"] = json!(typ);
        let forged = self.shared.faults.find(|fault| forged(fault, &key, &header, &claims));
        forged.unwrap_or_else(|| key.sign(&header, &claims))
    }
}

/// Who sends the events, as Google says it: its issuer has a slash at the end.
pub(super) async fn risc_configuration(State(shared): State<Arc<Shared>>) -> Response {
    if let Some(bad) = shared.arrive(Endpoint::Discovery).await {
        return bad;
    }
    let issuer = &shared.issuer;
    let mut document = json!({
        "issuer": format!("{issuer}/"),
        "jwks_uri": format!("{issuer}/jwks"),
        "delivery_methods_supported": ["https://schemas.openid.net/secevent/risc/delivery-method/push"],
    });
    faults::edit(
        &mut document,
        shared.faults.edits(|fault| match fault {
            Fault::Metadata(name, value) => Some((name, value.clone())),
            _ => None,
        }),
    );
    Json(document).into_response()
}

/// Replaces and adds members; null leaves one out.
pub fn merge(claims: &mut Value, changes: &Value) {
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
}
