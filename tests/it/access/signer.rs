//! An issuer of tokens for tests: its keys, and tokens of any content.

use std::path::Path;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa,
    signature::KeyPair as _,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use larder::{
    auth::{Authenticator, tokens::Tokens},
    config::{self, Config, Environment, Overrides},
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData};
use serde_json::{Value, json};

use super::load;
use crate::support::read_server::{Server, now};

/// A shared secret of HS256.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A key pair.
pub(crate) struct Signer {
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
    /// The private key of RSA in PEM; empty for all others.
    pub(crate) private_pem: String,
    /// The public key in PEM; empty for a shared secret.
    pub(crate) public_pem: String,
    /// The public key as a JWK without `kid`.
    pub(crate) jwk: Value,
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub(crate) fn es256() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.der_bytes()[1..].to_vec();
        let (x, y) = point.split_at(32);
        Self {
            algorithm: Algorithm::ES256,
            key: EncodingKey::from_ec_der(&pair.serialize_der()),
            private_pem: String::new(),
            public_pem: pair.public_key_pem(),
            jwk: json!({"kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y)}),
        }
    }

    pub(crate) fn eddsa() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        Self {
            algorithm: Algorithm::EdDSA,
            key: EncodingKey::from_ed_der(&pair.serialize_der()),
            private_pem: String::new(),
            public_pem: pair.public_key_pem(),
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(pair.der_bytes())}),
        }
    }

    /// RS256 or PS256.
    pub(crate) fn rsa(algorithm: Algorithm) -> Self {
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let private_pem = pem("PRIVATE KEY", private.as_ref());
        Self {
            algorithm,
            key: EncodingKey::from_rsa_pem(private_pem.as_bytes()).unwrap(),
            private_pem,
            public_pem: pem("PUBLIC KEY", public.as_ref()),
            jwk: Value::Null,
        }
    }

    pub(crate) fn hs256(secret: &[u8]) -> Self {
        Self {
            algorithm: Algorithm::HS256,
            key: EncodingKey::from_secret(secret),
            private_pem: String::new(),
            public_pem: String::new(),
            jwk: Value::Null,
        }
    }

    /// A token of these texts, signed as `self.algorithm` signs, whatever the header says.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encoded(header.as_bytes()), encoded(claims.as_bytes()));
        let signature = crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }

    /// A token with the right header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(
            &json!({"typ": "JWT", "alg": format!("{:?}", self.algorithm)}).to_string(),
            &claims.to_string(),
        )
    }

    /// A token with a key id.
    pub(crate) fn token_with_id(&self, id: &str, claims: &Value) -> String {
        let header = json!({"alg": format!("{:?}", self.algorithm), "kid": id});
        self.sign(&header.to_string(), &claims.to_string())
    }
}

/// Claims that are valid for five minutes from [`now`], with `more` over them; null takes a claim away.
pub(crate) fn claims(more: Value) -> Value {
    let at = now().timestamp();
    let mut claims =
        json!({"iss": "https://issuer.example", "aud": "larder", "iat": at, "exp": at + 300, "sub": "1"});
    let Value::Object(more) = more else { panic!("claims are an object") };
    for (name, value) in more {
        match value {
            Value::Null => _ = claims.as_object_mut().unwrap().remove(&name),
            value => claims[name] = value,
        }
    }
    claims
}

/// A configuration with `[tokens.app]` of these lines, beside the issuer and audience of [`claims`].
pub(crate) fn config(directory: &Path, lines: &str) -> Config {
    let text = format!("[tokens.app]\nissuer = \"https://issuer.example\"\naudience = \"larder\"\n{lines}\n");
    let path = directory.join("larder.toml");
    config::load_text(&text, &path, &Environment::default(), &Overrides::default())
        .unwrap_or_else(|faults| panic!("{faults}"))
}

/// A server with the records of [`load`] and the issuer of [`config`].
pub(crate) fn server(directory: &Path, lines: &str) -> Server {
    let tokens = Tokens::open(&config(directory, lines).tokens).unwrap();
    let server = Server::with_callers(Authenticator { tokens, ..Authenticator::default() });
    load(&server);
    server
}

/// The header line with `token`.
pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}
