//! Hashes of index values: an index with `hash` stores the hash of each value instead of the value.
//!
//! A manifest says how an index is hashed, never with which secret. It has the check value of the secret, so
//! that a node with another one says so instead of finding nothing.

use std::{fmt, sync::Arc};

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// Fewest bytes of a secret: as many as an attacker cannot try.
pub const SECRET_BYTES_MIN: usize = 16;
/// Most bytes of a secret.
pub const SECRET_BYTES_MAX: usize = 1024;
/// Hexadecimal digits of a hash.
pub const HASH_DIGITS: usize = 64;
/// The text whose HMAC is the check value of a secret.
const CHECKED_TEXT: &[u8] = b"larder index secret";
/// Hexadecimal digits of a check value.
const CHECK_DIGITS: usize = 16;

/// How the values of an index are hashed. The text of a hash is 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexHash {
    /// SHA-256.
    Sha256,
    /// HMAC-SHA-256 with the secret of this check value.
    Hmac(SecretCheck),
}

/// Tells secrets apart without revealing them: the begin of the HMAC of a fixed text. It helps an attacker no
/// more than the hash of an identifier that he knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretCheck(String);

/// The secret of an HMAC. It prints as `***`, is equal to another by its check value, and is written as that.
#[derive(Clone)]
pub struct HashSecret {
    key: Arc<hmac::Key>,
    check: SecretCheck,
}

impl HashSecret {
    /// The secret `text`.
    pub fn new(text: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
        let mut check = hexadecimal(hmac::sign(&key, CHECKED_TEXT).as_ref());
        check.truncate(CHECK_DIGITS);
        Self { key: Arc::new(key), check: SecretCheck(check) }
    }

    /// Its check value.
    pub fn check(&self) -> &SecretCheck {
        &self.check
    }
}

impl fmt::Debug for HashSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashSecret(***)")
    }
}

impl PartialEq for HashSecret {
    fn eq(&self, other: &Self) -> bool {
        self.check == other.check
    }
}

impl Eq for HashSecret {}

impl Serialize for HashSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.check.serialize(serializer)
    }
}

/// Hashes values: what a publisher and a node that takes values by POST need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueHasher {
    /// SHA-256.
    Sha256,
    /// HMAC-SHA-256.
    Hmac(HashSecret),
}

impl ValueHasher {
    /// The hasher for `hash`; `None` if its secret is not among `secrets`.
    pub fn of(hash: &IndexHash, secrets: &[HashSecret]) -> Option<Self> {
        match hash {
            IndexHash::Sha256 => Some(Self::Sha256),
            IndexHash::Hmac(check) => {
                secrets.iter().find(|secret| secret.check == *check).cloned().map(Self::Hmac)
            }
        }
    }

    /// How it hashes, as manifests have it.
    pub fn definition(&self) -> IndexHash {
        match self {
            Self::Sha256 => IndexHash::Sha256,
            Self::Hmac(secret) => IndexHash::Hmac(secret.check.clone()),
        }
    }

    /// The hash of a normalised value.
    pub fn hash(&self, value: &str) -> String {
        match self {
            Self::Sha256 => Digest::of(value.as_bytes()).to_string(),
            Self::Hmac(secret) => hexadecimal(hmac::sign(&secret.key, value.as_bytes()).as_ref()),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The hash that `text` writes, in lower case; `None` if it is none.
pub(super) fn read(text: &str) -> Option<String> {
    let is_hash = text.len() == HASH_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standards() {
        // FIPS 180-4, example of one block; RFC 4231, test case 2.
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(ValueHasher::Sha256.hash("abc"), sha256);
        let hmac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(ValueHasher::Hmac(HashSecret::new("Jefe")).hash("what do ya want for nothing?"), hmac);
        assert_eq!(read(&sha256.to_uppercase()).as_deref(), Some(sha256));
        assert_eq!((read(&sha256[1..]), read(&format!("{}g", &sha256[1..]))), (None, None));
    }

    #[test]
    fn secrets_are_found_by_their_check_values_and_never_written() {
        let secrets = [HashSecret::new("a secret of some length"), HashSecret::new("another of some length")];
        let hasher = ValueHasher::Hmac(secrets[1].clone());
        let definition = hasher.definition();
        assert_eq!(ValueHasher::of(&definition, &secrets), Some(hasher.clone()));
        assert_eq!(ValueHasher::of(&definition, &secrets[..1]), None);
        let written = format!("{hasher:?} {}", serde_json::to_string(&(&hasher, &definition)).unwrap());
        assert!(!written.contains("another") && written.contains("***"), "{written}");
        let read: IndexHash = serde_json::from_str(&serde_json::to_string(&definition).unwrap()).unwrap();
        assert_eq!(read, definition);
    }
}
