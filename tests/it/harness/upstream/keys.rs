//! Keys and signatures of the stand-in provider, made with aws-lc-rs directly: nothing of the product signs here, so
//! that the product's verification is tested against somebody else's signatures.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
};
use aws_lc_rs::{digest, hmac, rsa};
use samesake::secret::base64url;
use serde_json::{Value, json};

/// What the provider signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

enum Pair {
    Rsa(Box<rsa::KeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// One key pair with its key ID.
pub struct Key {
    pub kid: String,
    algorithm: Algorithm,
    pair: Pair,
}

impl Key {
    pub fn generate(algorithm: Algorithm, kid: &str) -> Self {
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Pair::Rsa(Box::new(rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap()))
            }
            Algorithm::Es256 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            Algorithm::EdDsa => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
        };
        Self { kid: kid.to_owned(), algorithm, pair }
    }

    pub fn header(&self) -> Value {
        json!({"alg": self.algorithm.name(), "kid": self.kid, "typ": "JWT"})
    }

    pub fn public_jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let der = pair.public_key().as_ref();
                assert_eq!(der.len(), 270, "PKCS#1 of a 2048-bit key with the exponent 65537");
                let modulus: Vec<u8> = der.iter().copied().skip(9).take(256).collect();
                json!({"kty": "RSA", "n": base64url(&modulus), "e": "AQAB"})
            }
            Pair::Ec(pair) => {
                // The uncompressed point: a 4, then both coordinates.
                let (x, y) = pair.public_key().as_ref().split_at(33);
                json!({"kty": "EC", "crv": "P-256", "x": base64url(x.split_at(1).1), "y": base64url(y)})
            }
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref())}),
        };
        let members = json!({"kid": self.kid, "alg": self.algorithm.name(), "use": "sig"});
        jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        jwk
    }

    /// OpenID Connect Core §3.1.3.6: half of the hash that the algorithm signs with; Ed25519 signs with SHA-512.
    pub fn access_token_hash(&self, access_token: &str) -> String {
        let hash = if self.algorithm == Algorithm::EdDsa { &digest::SHA512 } else { &digest::SHA256 };
        let hash = digest::digest(hash, access_token.as_bytes());
        base64url(hash.as_ref().split_at(hash.as_ref().len() / 2).0)
    }

    /// The bytes an attacker would use as a MAC key, knowing nothing but the published key.
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// A JWT over the header and claims as they are given.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = signing_input(header, claims);
        let message = input.as_bytes();
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let padding = if self.algorithm == Algorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        };
        format!("{input}.{}", base64url(&signature))
    }
}

/// Header and claims, encoded, without a signature.
pub fn signing_input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()))
}

/// A JWT signed with a shared secret.
pub fn sign_hs256(secret: &[u8], kid: Option<&str>, claims: &Value) -> String {
    let mut header = json!({"alg": "HS256"});
    if let Some(kid) = kid {
        header.as_object_mut().unwrap().insert("kid".to_owned(), json!(kid));
    }
    let input = signing_input(&header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
    format!("{input}.{}", base64url(tag.as_ref()))
}
