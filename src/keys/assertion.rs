//! A private key that somebody gave us to prove to them who we are: client assertions (RFC 7523), as Apple wants them.
//!
//! It is not one of our own keys: it is neither published nor rotated here, and signs nothing for customers. What an
//! assertion says is the caller's matter.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::Header;
use serde::Serialize;
use zeroize::Zeroizing;

use super::material::{KeyKind, PrivateKey, jose};
use super::provider::{self, Handle};
use super::{Error, Result};
use crate::protocol::jwk::SigningAlgorithm;

/// A P-256 key and the ID its issuer knows it by.
pub struct AssertionKey {
    kid: String,
    handle: Handle,
}

impl AssertionKey {
    /// Reads a private key in PKCS#8 PEM form, such as Apple's .p8 file. Line ends and indentation do not matter.
    ///
    /// # Errors
    /// [`Error::NotAKey`].
    pub fn from_pem(pem: &str, kid: &str) -> Result<Self> {
        provider::install();
        let body = pem
            .trim()
            .strip_prefix("-----BEGIN PRIVATE KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"))
            .ok_or(Error::NotAKey)?;
        let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
        let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| Error::NotAKey)?);
        let key = PrivateKey::parse(KeyKind::P256, &der).ok_or(Error::NotAKey)?;
        Ok(Self { kid: kid.to_owned(), handle: Handle::new(KeyKind::P256, key) })
    }

    /// Signs claims as a JWT by ES256.
    ///
    /// # Errors
    /// [`Error::Sign`].
    pub fn sign<T: Serialize>(&self, claims: &T) -> Result<String> {
        let algorithm = SigningAlgorithm::Es256;
        let mut header = Header::new(jose(algorithm));
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, self.handle.encoding()).map_err(|_| Error::Sign(algorithm))
    }
}
