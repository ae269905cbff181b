//! Secrets: wrappers that never print, hashes for storage, and keys derived from the one master key.
//!
//! Nothing here knows what a secret is for; callers name the purpose by a label.

use std::fmt;

use aws_lc_rs::{aead, digest, hkdf, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::clock;

/// A value that `Debug` and `Serialize` never show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself; the call is the place a reader looks at.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// Base64url without padding (RFC 4648 §5).
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding; `None` if it is anything else.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Base64 with padding (RFC 4648 §4).
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads base64 with padding; `None` if it is anything else.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// SHA-256 over the parts as one text.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// SHA-512 over one text.
pub fn sha512(text: &[u8]) -> [u8; 64] {
    let mut out = [0; 64];
    out.copy_from_slice(digest::digest(&digest::SHA512, text).as_ref());
    out
}

/// HMAC-SHA-256 (RFC 2104) under somebody else's key, in lower-case hexadecimal.
pub fn hmac_sha256_hex(key: &[u8], message: &[u8]) -> String {
    hmac_sha256(key, &[message]).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// HMAC-SHA-256 (RFC 2104) under somebody else's key, over the parts as one text: whoever chooses them sees to it that
/// they cannot run together.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// The form in which a bearer secret is stored and looked up: base64url(SHA-256).
pub fn token_hash(token: &str) -> String {
    base64url(&sha256(&[token.as_bytes()]))
}

/// A new bearer secret: 256 random bits as base64url, 43 characters.
pub fn random_token() -> String {
    base64url(&clock::random::<32>())
}

/// Compares without telling by timing where the difference is. Unequal lengths are unequal at once.
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

/// The installation's one root secret, from which every other symmetric key is derived.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// From 32 bytes, base64 or base64url encoded with or without padding. `None` if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches('=').replace('+', "-").replace('/', "_");
        let bytes = Zeroizing::new(from_base64url(&text)?);
        <[u8; 32]>::try_from(bytes.as_slice()).ok().map(|key| Self(Zeroizing::new(key)))
    }

    /// A new random one, for the embedded default.
    pub fn generate() -> Self {
        Self(Zeroizing::new(clock::random()))
    }

    /// The text that `parse` reads.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(base64url(self.0.as_slice()))
    }

    /// The key for one purpose (HKDF-SHA-256, RFC 5869, with the label as info).
    pub fn derive(&self, label: &str) -> DerivedKey {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"samesake").extract(self.0.as_slice());
        let mut out = Zeroizing::new([0; 32]);
        let info = [label.as_bytes()];
        #[expect(clippy::expect_used, reason = "32 bytes is one HKDF block; the call cannot fail")]
        prk.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(out.as_mut_slice())).expect("HKDF of one block");
        DerivedKey(out)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[master key]")
    }
}

/// A symmetric key for one purpose.
#[derive(Clone)]
pub struct DerivedKey(Zeroizing<[u8; 32]>);

impl DerivedKey {
    /// HMAC-SHA-256 over the parts. Each part is preceded by its length, so that no two lists collide.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice());
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }

    /// Encrypts and authenticates (AES-256-GCM, random nonce in front). `context` must be the same at `open`.
    pub fn seal(&self, context: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let nonce: [u8; 12] = clock::random();
        let mut body = plaintext.to_vec();
        #[expect(clippy::expect_used, reason = "the key has the right length and the text is far below the limit")]
        self.aead()
            .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aead::Aad::from(context), &mut body)
            .expect("AES-256-GCM seals");
        let mut sealed = nonce.to_vec();
        sealed.append(&mut body);
        sealed
    }

    /// Decrypts what `seal` made; `None` if it was changed, or sealed by another key or for another context.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, body) = sealed.split_first_chunk::<12>()?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let length = self.aead().open_in_place(nonce, aead::Aad::from(context), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }

    fn aead(&self) -> aead::LessSafeKey {
        #[expect(clippy::expect_used, reason = "32 bytes is the length of an AES-256 key")]
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, self.0.as_slice()).expect("32-byte key");
        aead::LessSafeKey::new(key)
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[derived key]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_text_opens_only_with_its_key_and_context() {
        let master = MasterKey::generate();
        let key = master.derive("one");
        let sealed = key.seal(b"kid", b"private");
        assert_eq!(key.open(b"kid", &sealed).as_deref().map(Vec::as_slice), Some(b"private".as_slice()));
        assert!(key.open(b"other", &sealed).is_none());
        assert!(master.derive("two").open(b"kid", &sealed).is_none());
        let mut changed = sealed;
        changed[14] ^= 1;
        assert!(key.open(b"kid", &changed).is_none());
    }

    #[test]
    fn parts_of_a_mac_do_not_run_together() {
        let key = MasterKey::generate().derive("mac");
        assert_ne!(key.mac(&[b"ab", b"c"]), key.mac(&[b"a", b"bc"]));
    }

    #[test]
    fn a_secret_never_prints() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[secret]");
    }

    #[test]
    fn a_master_key_survives_its_text_form_and_refuses_another_length() {
        let key = MasterKey::generate();
        let again = MasterKey::parse(&key.to_text());
        assert_eq!(again.map(|k| k.derive("x").mac(&[])), Some(key.derive("x").mac(&[])));
        assert!(MasterKey::parse("c2hvcnQ").is_none());
    }
}
