//! Encryption of stored secrets: AES-256-GCM under the keys of `[secrets]`.
//!
//! A encrypted secret is `ID:BASE64`: the id of its key, and nonce, ciphertext and tag.

mod settings;

use std::{fmt, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::domain::Digest;
pub(crate) use settings::{SECTION, read};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Characters of a key's id.
const ID_CHARACTERS: usize = 8;

/// Why a secret can be neither encrypted nor decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No key is configured.
    #[error("no key for secrets is configured; set key_file in [secrets]")]
    NoKey,
    /// Keys that are configured cannot be used.
    #[error("the keys of [secrets] cannot be used: {0}")]
    Unusable(Arc<str>),
    /// The key that encrypted it is not configured.
    #[error(
        "the secret was encrypted with the key {0}, which [secrets] does not have; add it, or write the secret again"
    )]
    UnknownKey(String),
    /// It was changed, moved, or encrypted with another key of the same id.
    #[error("the encrypted secret is damaged or belongs elsewhere; write the secret again")]
    Damaged,
}

/// The keys: the first one encrypts, all of them decrypt. Keys that cannot be used fail only what needs them.
#[derive(Clone, Default)]
pub struct SecretKeys {
    keys: Arc<[(String, RandomizedNonceKey)]>,
    /// Why some of the keys cannot be used.
    problem: Option<Arc<str>>,
    /// Whether the first one is among those.
    is_first_unusable: bool,
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKeys({})", self.keys.len())
    }
}

impl SecretKeys {
    /// Reads keys, each 32 bytes in base64, with white space between them.
    pub(crate) fn parse(text: &str) -> Self {
        let (mut keys, mut problem, mut is_first_unusable) = (Vec::new(), None, false);
        for (line, words) in (1..).zip(text.lines()) {
            for word in words.split_whitespace() {
                match key(word) {
                    Ok(key) => keys.push(key),
                    Err(why) => {
                        is_first_unusable |= keys.is_empty() && problem.is_none();
                        problem.get_or_insert_with(|| format!("line {line}: {why}").into());
                    }
                }
            }
        }
        Self { keys: keys.into(), problem, is_first_unusable }
    }

    /// No key, because of a problem.
    pub(crate) fn unusable(problem: &str) -> Self {
        Self { keys: Arc::default(), problem: Some(problem.into()), is_first_unusable: true }
    }

    /// Why some of the keys cannot be used. It contains no key.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether the newest key has encrypted a secret.
    pub fn is_under_newest(&self, encrypted: &str) -> bool {
        let newest = self.keys.first().filter(|_| !self.is_first_unusable);
        newest.is_some_and(|(id, _)| encrypted.split_once(':').is_some_and(|(by, _)| by == id))
    }

    /// Returns the error for a missing key: the problem with the keys, else `otherwise`.
    fn missing(&self, otherwise: Error) -> Error {
        self.problem.clone().map_or(otherwise, Error::Unusable)
    }

    /// Encrypts a secret that is stored at `place`.
    ///
    /// # Errors
    /// [`Error::NoKey`], [`Error::Unusable`].
    pub fn encrypt(&self, place: &str, secret: &str) -> Result<String, Error> {
        let newest = self.keys.first().filter(|_| !self.is_first_unusable);
        let (id, key) = newest.ok_or_else(|| self.missing(Error::NoKey))?;
        let mut encrypted = secret.as_bytes().to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(place), &mut encrypted);
        let nonce = nonce.map_err(|_| Error::Damaged)?;
        let bytes = [nonce.as_ref().as_slice(), &encrypted].concat();
        Ok(format!("{id}:{}", STANDARD.encode(bytes)))
    }

    /// Opens a secret that is stored at `place`.
    ///
    /// # Errors
    /// All of [`Error`].
    pub fn decrypt(&self, place: &str, encrypted: &str) -> Result<String, Error> {
        let (id, text) = encrypted.split_once(':').ok_or(Error::Damaged)?;
        let found = self.keys.iter().find(|(known, _)| known == id);
        let (_, key) = found.ok_or_else(|| {
            let is_empty = self.keys.is_empty();
            self.missing(if is_empty { Error::NoKey } else { Error::UnknownKey(id.to_owned()) })
        })?;
        let mut bytes = STANDARD.decode(text).map_err(|_| Error::Damaged)?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(Error::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Damaged)?;
        let opened = key.open_in_place(nonce, Aad::from(place), text).map_err(|_| Error::Damaged)?;
        String::from_utf8(opened.to_vec()).map_err(|_| Error::Damaged)
    }
}

fn key(text: &str) -> Result<(String, RandomizedNonceKey), String> {
    let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == KEY_BYTES);
    let bytes =
        bytes.ok_or("a key is 32 random bytes in base64, as `openssl rand -base64 32` prints them")?;
    let id = Digest::of(&bytes).to_string()[..ID_CHARACTERS].to_owned();
    let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| "a key has 32 bytes")?;
    Ok((id, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(fills: &[u8]) -> SecretKeys {
        let keys: Vec<_> = fills.iter().map(|fill| STANDARD.encode([*fill; KEY_BYTES])).collect();
        SecretKeys::parse(&keys.join("\n"))
    }

    #[test]
    fn secret_is_decrypted_at_its_place_with_any_of_the_keys() {
        let encrypted = keys(&[1]).encrypt("sources.a.password", "hunter2").unwrap();
        assert!(!encrypted.contains("hunter2"));
        assert_ne!(encrypted, keys(&[1]).encrypt("sources.a.password", "hunter2").unwrap());
        let rotated = keys(&[2, 1]);
        assert_eq!(rotated.decrypt("sources.a.password", &encrypted).unwrap(), "hunter2");
        assert_eq!(rotated.decrypt("sources.b.password", &encrypted), Err(Error::Damaged));
        assert!(matches!(keys(&[2]).decrypt("sources.a.password", &encrypted), Err(Error::UnknownKey(_))));
        assert_eq!(keys(&[]).decrypt("sources.a.password", &encrypted), Err(Error::NoKey));
        assert_eq!(keys(&[]).encrypt("a", "b"), Err(Error::NoKey));
        let newer = rotated.encrypt("a", "b").unwrap();
        assert!(matches!(keys(&[1]).decrypt("a", &newer), Err(Error::UnknownKey(_))));
        for wrong in ["", ":", "x", &encrypted[..20], &format!("{encrypted}AAAA")] {
            rotated.decrypt("sources.a.password", wrong).unwrap_err();
        }
    }

    #[test]
    fn a_malformed_key_fails_only_what_needs_it() {
        let good = STANDARD.encode([1; KEY_BYTES]);
        let encrypted = keys(&[1]).encrypt("a", "b").unwrap();
        let by_another = keys(&[2]).encrypt("a", "b").unwrap();
        for wrong in ["short", &STANDARD.encode([1; 31]), "!"] {
            for (text, line, encrypts) in [
                (format!("{wrong}\n{good}"), "line 1:", false),
                (format!("{good}\n\n{wrong}"), "line 3:", true),
            ] {
                let keys = SecretKeys::parse(&text);
                let problem = keys.problem().unwrap();
                assert!(problem.starts_with(line) && !problem.contains(wrong), "{problem}");
                assert_eq!(keys.decrypt("a", &encrypted).unwrap(), "b");
                assert!(matches!(keys.decrypt("a", &by_another), Err(Error::Unusable(_))));
                assert_eq!(
                    (keys.encrypt("a", "b").is_ok(), keys.is_under_newest(&encrypted)),
                    (encrypts, encrypts)
                );
            }
        }
        let none = SecretKeys::unusable("cannot be read");
        assert!(matches!(none.encrypt("a", "b"), Err(Error::Unusable(_))));
        assert!(matches!(none.decrypt("a", &encrypted), Err(Error::Unusable(_))));
        assert!(keys(&[2, 1]).problem().is_none() && !keys(&[2, 1]).is_under_newest(&encrypted));
    }
}
