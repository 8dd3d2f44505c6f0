//! The text of an API key, fixed from the first release:
//! `lrd_`, 12 characters of key id, `_`, 43 characters of secret, 6 characters of CRC-32.
//!
//! Secret scanners find a leaked key by its prefix. The checksum tells a key from similar text without a
//! look-up.

use std::fmt;

use super::base62;
use crate::{
    domain::digest::Digest,
    support::{
        random,
        secret::{ExposeSecret, SecretString},
    },
};

/// How every key begins.
pub(super) const PREFIX: &str = "lrd_";
/// Length of a key id, in characters.
pub(super) const ID_CHARS: usize = 12;
const SECRET_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;
/// Length of a key's whole text, in characters; all of them are ASCII.
pub(super) const KEY_CHARS: usize = PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS + CHECKSUM_CHARS;
const ID_END: usize = PREFIX.len() + ID_CHARS;
const CHECKSUM_AT: usize = KEY_CHARS - CHECKSUM_CHARS;

/// The text of the key of these bits. Only the 12 lowest base-62 digits (71 bits) of `id` are used.
pub(super) fn from_bits(prefix: &str, id: [u8; 32], secret: [u8; 32]) -> SecretString {
    let id = base62::from_256_bits(id);
    let id: String = id[id.len() - ID_CHARS..].iter().copied().map(char::from).collect();
    assemble(prefix, &id, secret)
}

fn assemble(prefix: &str, id: &str, secret: [u8; 32]) -> SecretString {
    let mut text = String::with_capacity(KEY_CHARS);
    text.push_str(prefix);
    text.push_str(id);
    text.push('_');
    text.extend(base62::from_256_bits(secret).map(char::from));
    let checksum = base62::from_u32(crc32fast::hash(text.as_bytes()));
    text.extend(checksum.map(char::from));
    SecretString::from(text)
}

/// The id in `text`, if it has the form and the checksum of a key with this prefix, which is as long as [`PREFIX`].
pub(super) fn id_of<'a>(prefix: &str, text: &'a str) -> Option<&'a str> {
    let bytes = text.as_bytes();
    let is_well_formed = bytes.len() == KEY_CHARS
        && bytes.starts_with(prefix.as_bytes())
        && bytes[ID_END] == b'_'
        && bytes[PREFIX.len()..ID_END].iter().chain(&bytes[ID_END + 1..]).all(|&b| base62::is_digit(b))
        && bytes[CHECKSUM_AT..] == base62::from_u32(crc32fast::hash(&bytes[..CHECKSUM_AT]));
    is_well_formed.then(|| &text[PREFIX.len()..ID_END])
}

/// A new key. Its text is stored nowhere; it is shown to its creator once.
pub struct ApiKey(SecretString);

impl ApiKey {
    /// A key of 256 random bits from the operating system.
    pub fn generate() -> Self {
        Self::from_bits(random::bytes(), random::bytes())
    }

    /// The key of the id `id` with a new secret; `None` if it is no id.
    pub fn rotated(id: &str) -> Option<Self> {
        let is_id = id.len() == ID_CHARS && id.bytes().all(base62::is_digit);
        is_id.then(|| Self(assemble(PREFIX, id, random::bytes())))
    }

    fn from_bits(id: [u8; 32], secret: [u8; 32]) -> Self {
        Self(from_bits(PREFIX, id, secret))
    }

    /// The id in `text`, if it has the form and the checksum of a key. Cheap; the key may still be unknown.
    pub fn id_of(text: &str) -> Option<&str> {
        id_of(PREFIX, text)
    }

    /// The bytes at the place of the id, if `text` is as long as a key. Nothing else is checked.
    pub(super) fn unchecked_id(text: &str) -> Option<&[u8; ID_CHARS]> {
        let bytes = text.as_bytes();
        if bytes.len() == KEY_CHARS { bytes[PREFIX.len()..].first_chunk() } else { None }
    }

    /// The whole text, to be shown once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The 12 characters after `lrd_`; not secret.
    pub fn id(&self) -> &str {
        &self.expose()[PREFIX.len()..ID_END]
    }

    /// SHA-256 of the whole text: what a key set keeps.
    pub fn digest(&self) -> Digest {
        Digest::of(self.expose().as_bytes())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({PREFIX}{}_…)", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(first: u8) -> [u8; 32] {
        std::array::from_fn(|at| first + at as u8)
    }

    #[test]
    fn the_text_of_a_key_never_changes() {
        let key = ApiKey::from_bits(counted(0), counted(100));
        assert_eq!(key.expose(), GOLDEN);
        assert_eq!(key.digest().to_string(), GOLDEN_DIGEST);
    }

    #[test]
    fn generated_keys_are_unique_and_well_formed() {
        let (one, other) = (ApiKey::generate(), ApiKey::generate());
        assert_ne!(one.expose(), other.expose());
        assert_ne!(one.id(), other.id());
        assert_eq!(ApiKey::id_of(one.expose()), Some(one.id()));
        assert_eq!(ApiKey::unchecked_id(one.expose()).unwrap(), one.id().as_bytes());
        assert_eq!(one.expose().len(), KEY_CHARS);
    }

    #[test]
    fn any_other_text_is_malformed() {
        let key = ApiKey::generate();
        let good = key.expose();
        for bad in
            ["", "lrd_", "Bearer", "{{key}}", &good[..KEY_CHARS - 1], &format!("{good}0"), &"é".repeat(33)]
        {
            assert_eq!(ApiKey::id_of(bad), None);
        }
        for at in 0..KEY_CHARS {
            for other in [b'0', b'a', b'_', b'-'] {
                let mut bytes = good.as_bytes().to_vec();
                if std::mem::replace(&mut bytes[at], other) != other {
                    assert_eq!(ApiKey::id_of(std::str::from_utf8(&bytes).unwrap()), None);
                }
            }
        }
    }

    #[test]
    fn debug_never_prints_the_secret() {
        let key = ApiKey::generate();
        let printed = format!("{key:?}");
        assert!(printed.contains(key.id()));
        assert!(!printed.contains(&key.expose()[ID_END + 1..ID_END + 6]), "{printed}");
    }

    // Computed by a separate program: Python, int.to_bytes, zlib.crc32, hashlib.sha256.
    const GOLDEN: &str = "lrd_RKRcwGkBIDlf_No287qEH4uQv9vBo5cxQTXAw02KFtzjuPbCrH1FrBEB1OB8V7";
    const GOLDEN_DIGEST: &str = "4acee2bb12e076ddc2c09f87707bab2b50c98d21ddbfe059d7094cb3a5de7a92";
}
