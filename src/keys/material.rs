//! Private and public keys of the three kinds we sign with: how they are made, parsed, used and published.
//!
//! aws-lc-rs makes and uses the private keys; jsonwebtoken gives the public ones their JWK form and thumbprint
//! (RFC 7517, RFC 7638). Nothing here knows where keys are stored or when they change.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair, RsaPublicKeyComponents};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey};
use zeroize::Zeroizing;

use super::{Error, provider};
use crate::protocol::jwk::SigningAlgorithm;

/// Kinds of key. RS256 and PS256 share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    Ed25519,
}

impl KeyKind {
    pub(super) const ALL: [Self; 3] = [Self::Rsa, Self::P256, Self::Ed25519];

    /// The kind that signs by this algorithm.
    pub(super) const fn of(algorithm: SigningAlgorithm) -> Self {
        match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => Self::Rsa,
            SigningAlgorithm::Es256 => Self::P256,
            SigningAlgorithm::EdDsa => Self::Ed25519,
        }
    }

    /// The algorithm under which keys of this kind are stored.
    pub(super) const fn algorithm(self) -> SigningAlgorithm {
        match self {
            Self::Rsa => SigningAlgorithm::Rs256,
            Self::P256 => SigningAlgorithm::Es256,
            Self::Ed25519 => SigningAlgorithm::EdDsa,
        }
    }
}

/// The name jsonwebtoken has for an algorithm.
pub(super) const fn jose(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::Rs256 => Algorithm::RS256,
        SigningAlgorithm::Es256 => Algorithm::ES256,
        SigningAlgorithm::EdDsa => Algorithm::EdDSA,
        SigningAlgorithm::Ps256 => Algorithm::PS256,
    }
}

/// A parsed private key, ready to sign.
pub(super) enum PrivateKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A new key with its stored form.
pub(super) struct NewKey {
    pub(super) pkcs8: Zeroizing<Vec<u8>>,
    pub(super) public: Jwk,
    pub(super) kid: String,
}

impl NewKey {
    /// Makes a key: RSA of 2048 bits, P-256 or Ed25519. RSA takes tens of milliseconds, sometimes hundreds.
    pub(super) fn generate(kind: KeyKind) -> Result<Self, Error> {
        provider::install();
        let rng = SystemRandom::new();
        let pkcs8 = match kind {
            KeyKind::Rsa => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| Error::Generate)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| Error::Generate)?;
                Zeroizing::new(der.as_ref().to_vec())
            }
            KeyKind::P256 => {
                let der = EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &rng);
                Zeroizing::new(der.map_err(|_| Error::Generate)?.as_ref().to_vec())
            }
            KeyKind::Ed25519 => {
                let der = Ed25519KeyPair::generate_pkcs8(&rng).map_err(|_| Error::Generate)?;
                Zeroizing::new(der.as_ref().to_vec())
            }
        };
        let public = PrivateKey::parse(kind, &pkcs8).and_then(|key| key.public()).ok_or(Error::Generate)?;
        let kid = public.common.key_id.clone().ok_or(Error::Generate)?;
        Ok(Self { pkcs8, public, kid })
    }
}

impl PrivateKey {
    /// Reads PKCS#8; `None` if it is not a key of this kind.
    pub(super) fn parse(kind: KeyKind, pkcs8: &[u8]) -> Option<Self> {
        match kind {
            KeyKind::Rsa => RsaKeyPair::from_pkcs8(pkcs8).ok().map(Self::Rsa),
            KeyKind::P256 => {
                EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok().map(Self::P256)
            }
            KeyKind::Ed25519 => Ed25519KeyPair::from_pkcs8(pkcs8).ok().map(Self::Ed25519),
        }
    }

    /// The public half as we publish it, with its thumbprint as `kid`.
    pub(super) fn public(&self) -> Option<Jwk> {
        let (key, algorithm) = match self {
            Self::Rsa(pair) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                // No `alg`: RFC 7517 §4.4 would pin the key to one algorithm, and this one signs RS256 and PS256.
                (DecodingKey::from_rsa_raw_components(&parts.n, &parts.e), None)
            }
            Self::P256(pair) => (DecodingKey::from_ec_der(pair.public_key().as_ref()), Some(Algorithm::ES256)),
            Self::Ed25519(pair) => (DecodingKey::from_ed_der(pair.public_key().as_ref()), Some(Algorithm::EdDSA)),
        };
        let mut jwk = Jwk::from_decoding_key(&key, algorithm).ok()?;
        jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256).ok()?);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Some(jwk)
    }

    /// Signs; `None` if the key is not one for the algorithm.
    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        let rng = SystemRandom::new();
        let rsa = |pair: &RsaKeyPair, encoding: &'static dyn signature::RsaEncoding| {
            let mut out = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &rng, message, &mut out).ok()?;
            Some(out)
        };
        match (self, algorithm) {
            (Self::Rsa(pair), Algorithm::RS256) => rsa(pair, &signature::RSA_PKCS1_SHA256),
            (Self::Rsa(pair), Algorithm::PS256) => rsa(pair, &signature::RSA_PSS_SHA256),
            (Self::P256(pair), Algorithm::ES256) => Some(pair.sign(&rng, message).ok()?.as_ref().to_vec()),
            (Self::Ed25519(pair), Algorithm::EdDSA) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
            _ => None,
        }
    }
}

/// A public key, with what it may verify.
pub(super) struct PublicKey {
    pub(super) decoding: DecodingKey,
    kind: KeyKind,
    /// The JWK's own `alg`, if it has one.
    pinned: Option<KeyAlgorithm>,
}

impl PublicKey {
    /// Reads a JWK; `None` if it is of another kind than ours, or not for signatures.
    pub(super) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => KeyKind::Rsa,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => KeyKind::P256,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => KeyKind::Ed25519,
            _ => return None,
        };
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self { decoding, kind, pinned: jwk.common.key_algorithm })
    }

    /// Whether the key may verify signatures of this algorithm.
    pub(super) fn accepts(&self, algorithm: SigningAlgorithm) -> bool {
        self.kind == KeyKind::of(algorithm)
            && self.pinned.is_none_or(|pinned| pinned == KeyAlgorithm::from(jose(algorithm)))
    }
}
