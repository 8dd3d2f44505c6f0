//! The text of an admin key: that of an API key with another prefix, so that neither is taken for the other.

use std::fmt;

use super::key;
use crate::{
    domain::digest::Digest,
    support::{
        random,
        secret::{ExposeSecret, SecretString},
    },
};

/// How every admin key begins; as long as the prefix of API keys.
const PREFIX: &str = "lra_";

/// An admin key. Its text is shown to its creator once; the first one of a deployment is also in a private file.
pub struct AdminKey(SecretString);

impl AdminKey {
    /// A key of 256 random bits from the operating system.
    pub fn generate() -> Self {
        Self(key::from_bits(PREFIX, random::bytes(), random::bytes()))
    }

    /// Two keys with one id.
    #[cfg(test)]
    pub(crate) fn pair() -> [Self; 2] {
        let id = random::bytes();
        [(); 2].map(|()| Self(key::from_bits(PREFIX, id, random::bytes())))
    }

    /// The key whose text is `text`; `None` if it does not have the form and the checksum of one.
    pub fn parse(text: &str) -> Option<Self> {
        Self::id_of(text).map(|_| Self(SecretString::from(text.to_owned())))
    }

    /// The id in `text`, if it has the form and the checksum of an admin key. The key may still be unknown.
    pub fn id_of(text: &str) -> Option<&str> {
        key::id_of(PREFIX, text)
    }

    /// The id that `text` gives: an id, or a whole key.
    pub fn id_in(text: &str) -> &str {
        let id = text.strip_prefix(PREFIX).unwrap_or(text);
        id.split('_').next().unwrap_or(id)
    }

    /// The whole text, to be shown once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The 12 characters after `lra_`; not secret.
    pub fn id(&self) -> &str {
        Self::id_in(self.expose())
    }

    /// SHA-256 of the whole text: what metadata keeps.
    pub fn digest(&self) -> Digest {
        Digest::of(self.expose().as_bytes())
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdminKey({PREFIX}{}_…)", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::ApiKey;

    #[test]
    fn an_admin_key_is_no_api_key() {
        let (admin, api) = (AdminKey::generate(), ApiKey::generate());
        assert_eq!(AdminKey::id_of(admin.expose()), Some(admin.id()));
        assert_eq!(ApiKey::id_of(admin.expose()), None);
        assert_eq!(AdminKey::id_of(api.expose()), None);
        assert_eq!(admin.id().len(), 12);
        assert_eq!(AdminKey::id_in(admin.id()), admin.id());
    }

    #[test]
    fn a_changed_character_is_no_key_and_debug_prints_no_secret() {
        let key = AdminKey::generate();
        assert_eq!(AdminKey::parse(key.expose()).unwrap().digest(), key.digest());
        for at in 0..key.expose().len() {
            let mut bytes = key.expose().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            assert!(AdminKey::parse(std::str::from_utf8(&bytes).unwrap()).is_none(), "{at}");
        }
        assert!(!format!("{key:?}").contains(&key.expose()[18..24]));
    }
}
