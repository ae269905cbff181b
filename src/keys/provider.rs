//! jsonwebtoken's way to our private keys.
//!
//! Left alone it parses the private key anew for every signature, which costs more than signing. So the "key" it is
//! given is a handle, and the signer factory installed here finds the parsed key behind it. A key kept elsewhere, in
//! an HSM or a KMS, would be reached the same way. The factory is a plain function, hence the process-wide table.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Once, PoisonError, RwLock};

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::{Algorithm, EncodingKey};
use signature::Signer;

use super::material::{KeyKind, PrivateKey};
use crate::clock;

static PROVIDER: LazyLock<CryptoProvider> = LazyLock::new(|| CryptoProvider {
    signer_factory: signer,
    verifier_factory: DEFAULT_PROVIDER.verifier_factory,
    key_utils: DEFAULT_PROVIDER.key_utils.clone(),
});

static KEYS: LazyLock<RwLock<HashMap<[u8; 16], Arc<PrivateKey>>>> = LazyLock::new(RwLock::default);

/// Makes jsonwebtoken use this module. Every way into `keys` calls it first.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if PROVIDER.install_default().is_err() {
            tracing::error!("jsonwebtoken was used before the signing keys were set up; nothing can be signed");
        }
    });
}

/// A private key in the table for as long as this lives.
pub(super) struct Handle {
    name: [u8; 16],
    encoding: EncodingKey,
}

impl Handle {
    pub(super) fn new(kind: KeyKind, key: PrivateKey) -> Self {
        let name = clock::random();
        let encoding = match kind {
            KeyKind::Rsa => EncodingKey::from_rsa_der(&name),
            KeyKind::P256 => EncodingKey::from_ec_der(&name),
            KeyKind::Ed25519 => EncodingKey::from_ed_der(&name),
        };
        KEYS.write().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::new(key));
        Self { name, encoding }
    }

    /// What jsonwebtoken takes for the private key.
    pub(super) const fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        KEYS.write().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

struct HandleSigner {
    key: Arc<PrivateKey>,
    algorithm: Algorithm,
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let keys = KEYS.read().unwrap_or_else(PoisonError::into_inner);
    match keys.get(key.as_bytes()) {
        Some(key) => Ok(Box::new(HandleSigner { key: Arc::clone(key), algorithm: *algorithm })),
        None => Err(ErrorKind::InvalidKeyFormat.into()),
    }
}

impl Signer<Vec<u8>> for HandleSigner {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        self.key.sign(self.algorithm, message).ok_or_else(signature::Error::new)
    }
}

impl JwtSigner for HandleSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
