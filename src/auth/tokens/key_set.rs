//! The keys that verify an issuer's tokens: a PEM file, a shared secret, or a JWK set (RFC 7517).

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::bounded::list;

/// Most keys of a set.
pub(super) const KEYS_MAX: usize = 100;
/// Largest key set or key file, in bytes.
pub(super) const KEY_SET_BYTES_MAX: u64 = 256 * 1024;
/// Most keys that one token is tried with: issuers give each key an id of its own.
const TRIED_MAX: usize = 4;
/// Bytes of an uncompressed point on P-256.
const P256_BYTES: usize = 65;

/// A key, and the algorithms whose signatures it verifies. A key never serves two families, so that a public key is
/// never taken for a shared secret.
pub(super) struct VerifyKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl VerifyKey {
    /// The shared secret of HS256.
    pub(super) fn secret(secret: &[u8]) -> Self {
        Self { id: None, algorithms: vec![Algorithm::HS256], key: DecodingKey::from_secret(secret) }
    }

    /// A public key in PEM, for `algorithms`, which are of one family.
    pub(super) fn pem(pem: &[u8], algorithms: &[Algorithm]) -> Option<Self> {
        let key = match algorithms.first()? {
            Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
            Algorithm::ES256 => DecodingKey::from_ec_pem(pem),
            _ => DecodingKey::from_rsa_pem(pem),
        };
        let key = key.ok()?;
        let is_p256 = || key.try_get_as_bytes().is_ok_and(|point| point.len() == P256_BYTES);
        let is_usable = !algorithms.contains(&Algorithm::ES256) || is_p256();
        is_usable.then(|| Self { id: None, algorithms: algorithms.to_vec(), key })
    }

    /// A key of a set; `None` if it is of no use here: another kind, a curve that is not supported, for encryption.
    fn jwk(text: &str) -> Option<Self> {
        let jwk: Jwk = serde_json::from_str(text).ok()?;
        let algorithms: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                &[Algorithm::ES256]
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                &[Algorithm::EdDSA]
            }
            AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::PS256],
            // A shared secret in a published set is no secret.
            _ => return None,
        };
        let is_named = |algorithm: &Algorithm| {
            jwk.common.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(*algorithm))
        };
        let algorithms: Vec<Algorithm> = algorithms.iter().copied().filter(is_named).collect();
        let is_for_signatures =
            jwk.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
                && jwk.common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        (is_for_signatures && !algorithms.is_empty()).then_some(Self {
            id: jwk.common.key_id,
            algorithms,
            key,
        })
    }

    fn verifies(&self, algorithm: Algorithm, message: &str, signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.key, algorithm).unwrap_or(false)
    }
}

/// Holds secrets.
impl std::fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyKey").field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

/// Reads a JWK set. Keys that are of no use are left out. The error says what is wrong with the text.
pub(super) fn read_jwk_set(json: &[u8]) -> Result<Vec<VerifyKey>, String> {
    #[derive(Deserialize)]
    struct JwkSet {
        #[serde(deserialize_with = "list::<_, _, KEYS_MAX>")]
        keys: Vec<Box<RawValue>>,
    }
    let set: JwkSet = serde_json::from_slice(json).map_err(|error| {
        format!("is no JWK set of at most {KEYS_MAX} keys (line {}, column {})", error.line(), error.column())
    })?;
    let keys: Vec<VerifyKey> = set.keys.iter().filter_map(|key| VerifyKey::jwk(key.get())).collect();
    if keys.is_empty() { Err("has no key for EdDSA, ES256, RS256 or PS256".to_owned()) } else { Ok(keys) }
}

/// Why no key of a set verifies a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unverified {
    /// There is no key with the token's id, or none for its algorithm.
    NoSuchKey,
    /// The signature is not one of the key.
    Forged,
}

/// Verifies a signature with the key that `id` names, or with the only key for `algorithm`.
pub(super) fn verify(
    keys: &[VerifyKey],
    id: Option<&str>,
    algorithm: Algorithm,
    message: &str,
    signature: &str,
) -> Result<(), Unverified> {
    // A key without an id, as from a file, is for tokens with any.
    let is_named = |key: &&VerifyKey| id.is_none_or(|id| key.id.as_deref().is_none_or(|own| own == id));
    let suitable = keys.iter().filter(is_named).filter(|key| key.algorithms.contains(&algorithm));
    let suitable: Vec<&VerifyKey> = suitable.take(TRIED_MAX).collect();
    if suitable.iter().any(|key| key.verifies(algorithm, message, signature)) {
        return Ok(());
    }
    Err(if suitable.is_empty() { Unverified::NoSuchKey } else { Unverified::Forged })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_for_other_purposes_are_left_out() {
        // RFC 7517, appendix A.1.
        const P256: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;
        for (members, is_used) in [
            ("", true),
            (r#","use":"sig""#, true),
            (r#","key_ops":["verify"]"#, true),
            (r#","key_ops":["encrypt","verify"],"use":"sig","alg":"ES256""#, true),
            (r#","use":"enc""#, false),
            (r#","key_ops":["sign"]"#, false),
            (r#","key_ops":[]"#, false),
            (r#","key_ops":["deriveKey"],"use":"sig""#, false),
            (r#","alg":"ES384""#, false),
            (r#","alg":"ECDH-ES""#, false),
        ] {
            let set = format!(r#"{{"keys":[{{{P256}{members}}}]}}"#);
            assert_eq!(read_jwk_set(set.as_bytes()).is_ok(), is_used, "{members}");
        }
    }
}
