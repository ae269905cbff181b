//! The proof that a browser has logged in to an account before: a device cookie, after OWASP's design.
//!
//! The throttle gives such a browser counters of its own, so that nobody can lock a customer out of it. The proof is
//! bound to the account and says nothing else: it does not log anybody in, and does not tell whether an account
//! exists, because only the installation's key can read it. One cookie holds the proofs of the accounts last used in
//! the browser. How cookies are sent is not known here.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::{self, Timestamp};
use crate::credential::throttle::Browser;
use crate::secret::{self, DerivedKey};

/// How long a browser stays known after its last log-in.
pub const DEVICE_LIFETIME: Duration = Duration::from_secs(180 * 24 * 60 * 60);
/// How many accounts one browser may be known to; the one used longest ago makes room.
const MAX_PROOFS: usize = 5;
const ID_BYTES: usize = 16;
const TIME_BYTES: usize = 8;
const MAC_BYTES: usize = 16;
const PROOF_BYTES: usize = ID_BYTES + TIME_BYTES + MAC_BYTES;

/// One browser as one account knows it: 128 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceId([u8; ID_BYTES]);

impl DeviceId {
    /// From its bytes.
    pub const fn new(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The proofs that a browser has sent. Whatever is not of our making is not among them.
#[derive(Clone, Debug, Default)]
pub struct DeviceCookie {
    /// Newest first.
    proofs: Vec<[u8; PROOF_BYTES]>,
}

impl DeviceCookie {
    /// Reads a cookie's value. Anything unreadable is an empty cookie: the browser is unknown, which is no error.
    pub fn parse(value: &str) -> Self {
        let mut bytes = [0; MAX_PROOFS * PROOF_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut bytes).unwrap_or(0);
        let (proofs, rest) = bytes.get(..length).unwrap_or_default().as_chunks::<PROOF_BYTES>();
        if rest.is_empty() { Self { proofs: proofs.to_vec() } } else { Self::default() }
    }

    /// Whether this browser has logged in to the account (what was typed, normalized) within `DEVICE_LIFETIME`.
    pub fn browser(&self, key: &DerivedKey, account: &str, now: Timestamp) -> Browser {
        let mut proofs = self.proofs.iter();
        proofs.find_map(|proof| read(key, account, proof, now)).map_or(Browser::Unknown, Browser::Known)
    }

    /// The value of the cookie to set after a log-in to this account. Call it after every one, so that the proof
    /// stays young; the browser keeps its counters.
    #[must_use]
    pub fn remember(&self, key: &DerivedKey, account: &str, now: Timestamp) -> String {
        let known = self.browser(key, account, now);
        let id = match known {
            Browser::Known(id) => id,
            Browser::Unknown => DeviceId(clock::random()),
        };
        let mut proofs = vec![write(key, account, id, now)];
        let of_others = self.proofs.iter().filter(|proof| read(key, account, proof, now).is_none());
        proofs.extend(of_others.take(MAX_PROOFS - 1).copied());
        URL_SAFE_NO_PAD.encode(proofs.concat())
    }
}

fn write(key: &DerivedKey, account: &str, id: DeviceId, now: Timestamp) -> [u8; PROOF_BYTES] {
    let seconds = now.seconds().to_be_bytes();
    let mac = key.mac(&[b"device", account.as_bytes(), &id.0, &seconds]);
    let mut proof = [0; PROOF_BYTES];
    let parts = id.0.iter().chain(&seconds).chain(mac.iter().take(MAC_BYTES));
    for (to, from) in proof.iter_mut().zip(parts) {
        *to = *from;
    }
    proof
}

fn read(key: &DerivedKey, account: &str, proof: &[u8; PROOF_BYTES], now: Timestamp) -> Option<DeviceId> {
    let (id, rest) = proof.split_first_chunk::<ID_BYTES>()?;
    let (seconds, _) = rest.split_first_chunk::<TIME_BYTES>()?;
    let written = Timestamp::from_seconds(i64::from_be_bytes(*seconds));
    let expected = write(key, account, DeviceId(*id), written);
    let is_ours = secret::constant_time_eq(&expected, proof);
    (is_ours && now.since(written) < DEVICE_LIFETIME).then_some(DeviceId(*id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::MasterKey;

    const NOON: Timestamp = Timestamp::from_seconds(1_800_014_400);

    fn known(cookie: &str, key: &DerivedKey, account: &str, now: Timestamp) -> Option<DeviceId> {
        match DeviceCookie::parse(cookie).browser(key, account, now) {
            Browser::Known(id) => Some(id),
            Browser::Unknown => None,
        }
    }

    #[test]
    fn a_browser_is_known_to_the_account_it_logged_in_to_and_to_no_other() {
        let key = MasterKey::generate().derive("device");
        let cookie = DeviceCookie::default().remember(&key, "a@example.com", NOON);
        assert!(known(&cookie, &key, "a@example.com", NOON).is_some());
        assert!(known(&cookie, &key, "b@example.com", NOON).is_none());
        assert!(known(&cookie, &MasterKey::generate().derive("device"), "a@example.com", NOON).is_none());
    }

    #[test]
    fn a_proof_ends_and_each_login_makes_it_young_again_with_the_same_identity() {
        let key = MasterKey::generate().derive("device");
        let cookie = DeviceCookie::default().remember(&key, "a@example.com", NOON);
        let id = known(&cookie, &key, "a@example.com", NOON);
        let later = NOON + DEVICE_LIFETIME - Duration::from_secs(1);
        let renewed = DeviceCookie::parse(&cookie).remember(&key, "a@example.com", later);
        let end = NOON + DEVICE_LIFETIME;
        assert_eq!(known(&cookie, &key, "a@example.com", end), None);
        assert_eq!(known(&renewed, &key, "a@example.com", end), id);
        assert_eq!(renewed.len(), cookie.len(), "the old proof is replaced");
    }

    #[test]
    fn a_browser_is_known_to_the_five_accounts_used_last() {
        let key = MasterKey::generate().derive("device");
        let mut cookie = String::new();
        for number in 0..7 {
            cookie = DeviceCookie::parse(&cookie).remember(&key, &number.to_string(), NOON);
        }
        let accounts: Vec<usize> = (0..7).filter(|n| known(&cookie, &key, &n.to_string(), NOON).is_some()).collect();
        assert_eq!(accounts, [2, 3, 4, 5, 6]);
        assert!(cookie.len() < 300);
    }

    #[test]
    fn a_changed_or_foreign_cookie_proves_nothing() {
        let key = MasterKey::generate().derive("device");
        let cookie = DeviceCookie::default().remember(&key, "a@example.com", NOON);
        let bytes = URL_SAFE_NO_PAD.decode(&cookie).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert!(known(&URL_SAFE_NO_PAD.encode(changed), &key, "a@example.com", NOON).is_none(), "byte {index}");
        }
        let longer = format!("{cookie}{}", "A".repeat(4000));
        for value in ["", "x", "%%%", &cookie[1..], &cookie[..40], &longer] {
            assert!(known(value, &key, "a@example.com", NOON).is_none(), "{value}");
        }
    }
}
