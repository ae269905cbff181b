//! Keys and tokens: what is signed verifies, what is forged does not, and no change of keys breaks a verifier.

mod attacks;
mod claims;
mod rotation;
mod signing;

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::material::{KeyKind, PrivateKey, jose};
use super::rotation::{new_row, sealing_key};
use super::{Expect, Expiry, KeyPolicy, KeyRing, TokenError};
use crate::clock::Timestamp;
use crate::protocol::jwk::SigningAlgorithm;
use crate::secret::{MasterKey, base64url};
use crate::store::{KeyState, SigningKeyRow};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const ISSUER: &str = "https://id.example.com";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const POLICY: KeyPolicy = KeyPolicy {
    jwks_max_age: HOUR,
    longest_token: Duration::from_secs(4 * 3600),
    rotate_after: Duration::from_secs(90 * 86400),
};

/// One set of keys for all tests that change none, with the private keys in the test's own hands.
struct Keys {
    ring: KeyRing,
    private: HashMap<KeyKind, (String, PrivateKey)>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let seal = sealing_key(&MasterKey::generate());
    let rows: Vec<SigningKeyRow> =
        KeyKind::ALL.into_iter().map(|kind| new_row(kind, KeyState::Active, &seal, NOW, NOW).unwrap()).collect();
    let private = |row: &SigningKeyRow| {
        let kind = KeyKind::of(row.alg);
        let key = PrivateKey::parse(kind, &seal.open(row.kid.as_bytes(), &row.sealed).unwrap()).unwrap();
        (kind, (row.kid.clone(), key))
    };
    let private = rows.iter().map(private).collect();
    Keys { ring: KeyRing::of_rows(&rows, seal, NOW).unwrap(), private }
});

impl Keys {
    fn kid(&self, algorithm: SigningAlgorithm) -> &str {
        &self.private[&KeyKind::of(algorithm)].0
    }

    fn header(&self, algorithm: SigningAlgorithm) -> Value {
        json!({"alg": algorithm, "kid": self.kid(algorithm), "typ": "JWT"})
    }

    /// A token with exactly these parts and a true signature.
    fn token(&self, algorithm: SigningAlgorithm, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        let signature = self.private[&KeyKind::of(algorithm)].1.sign(jose(algorithm), message.as_bytes()).unwrap();
        format!("{message}.{}", base64url(&signature))
    }

    fn verify(&self, token: &str) -> Result<Value, TokenError> {
        self.ring.verify(token, &expect())
    }
}

fn expect() -> Expect<'static> {
    Expect { typ: &["JWT"], issuer: ISSUER, audience: Some("shop"), now: NOW, expiry: Expiry::Checked }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "shop", "sub": "s", "iat": NOW.seconds(), "exp": NOW.seconds() + 300})
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}
