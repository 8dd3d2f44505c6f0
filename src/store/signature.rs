//! Signing what is visible, and believing only what is signed.
//!
//! Whoever can write to the bucket could announce: an object is named by its path, and documents
//! name all others by their SHA-256. With a signature on documents and head, writing to the bucket
//! is not enough. A signed object is `{"document":…,"signature":"…"}`: Ed25519 (RFC 8032) over what
//! kind of object it is and the document's bytes as they stand.

use std::{fmt, fs, path::Path, sync::Arc};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::store::error::Error;

/// What stands before the 32 bytes of a public key in its usual form (RFC 8410, DER).
const PUBLIC_KEY_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PUBLIC_KEY_BYTES: usize = 32;
/// How a signed object begins; nothing else does.
const SEALED: &[u8] = b"{\"document\":";

/// What is signed: a signature of one kind says nothing about the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Document,
    Head,
}

impl Kind {
    fn message(self, bytes: &[u8]) -> Vec<u8> {
        let kind: &[u8] = match self {
            Self::Document => b"larder catalog document\n",
            Self::Head => b"larder catalog head\n",
        };
        [kind, bytes].concat()
    }
}

/// A public key whose signatures are believed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyKey([u8; PUBLIC_KEY_BYTES]);

impl VerifyKey {
    /// Reads base64 of the usual form, as `openssl pkey -pubout` prints it between its lines, or of
    /// the 32 bytes alone. The error is a hint.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hint = || {
            "write the one line that `openssl pkey -in signing.pem -pubout` prints between BEGIN and END"
                .to_owned()
        };
        let bytes = BASE64.decode(text).map_err(|_| hint())?;
        let key = bytes.strip_prefix(&PUBLIC_KEY_PREFIX).unwrap_or(&bytes);
        Ok(Self(key.try_into().map_err(|_| hint())?))
    }
}

impl fmt::Display for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode([&PUBLIC_KEY_PREFIX[..], &self.0].concat()))
    }
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyKey({self})")
    }
}

/// Signs with one key, believes several: while keys change, the old and the new one. Without either
/// nothing is signed and everything is believed. Cheap to clone.
#[derive(Clone, Default)]
pub struct Seal {
    signer: Option<Arc<Ed25519KeyPair>>,
    verify_keys: Arc<[VerifyKey]>,
}

impl Seal {
    /// Reads the signing key, PKCS#8 in PEM form. Blocks.
    ///
    /// # Errors
    /// [`Error::SigningKey`], also when this node would not believe what it signs.
    pub fn load(signing_key_file: Option<&Path>, verify_keys: &[VerifyKey]) -> Result<Self, Error> {
        let signer = signing_key_file.map(|path| {
            let unusable = |reason: String| Error::SigningKey { path: path.to_owned(), reason };
            let text = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
            key_pair(&text).ok_or_else(|| unusable("it holds no Ed25519 key in PEM form (PKCS#8)".to_owned()))
        });
        let signer = signer.transpose()?.map(Arc::new);
        let seal = Self { signer, verify_keys: verify_keys.into() };
        match (signing_key_file, seal.verify_key()) {
            (Some(path), Some(own)) if !verify_keys.is_empty() && !verify_keys.contains(&own) => {
                let reason = format!("its public half is not among verify_key; add \"{own}\"");
                Err(Error::SigningKey { path: path.to_owned(), reason })
            }
            _ => Ok(seal),
        }
    }

    /// The public half of the signing key.
    pub fn verify_key(&self) -> Option<VerifyKey> {
        let key = self.signer.as_ref()?.public_key().as_ref().try_into();
        key.ok().map(VerifyKey)
    }

    /// The object of a document: signed, when there is a key.
    pub(crate) fn close(&self, kind: Kind, document: Bytes) -> Bytes {
        let Some(signer) = &self.signer else { return document };
        let signature = BASE64.encode(signer.sign(&kind.message(&document)));
        [SEALED, &document, b",\"signature\":\"", signature.as_bytes(), b"\"}"].concat().into()
    }

    /// The document of an object. One that must be signed and is not is [`Error::Untrusted`].
    pub(crate) fn open(&self, kind: Kind, path: &str, object: Bytes) -> Result<Bytes, Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Sealed<'a> {
            #[serde(borrow)]
            document: &'a RawValue,
            signature: &'a str,
        }
        let untrusted = |reason| Error::Untrusted { path: path.to_owned(), reason };
        if !object.starts_with(SEALED) {
            let must_be_signed = !self.verify_keys.is_empty();
            return if must_be_signed { Err(untrusted("it is not signed")) } else { Ok(object) };
        }
        let malformed = |source| Error::Malformed { path: path.to_owned(), source };
        let sealed: Sealed<'_> = serde_json::from_slice(&object).map_err(malformed)?;
        let document = object.slice_ref(sealed.document.get().as_bytes());
        if self.verify_keys.is_empty() {
            return Ok(document);
        }
        let signature =
            BASE64.decode(sealed.signature).map_err(|_| untrusted("its signature is no base64"))?;
        let message = kind.message(&document);
        let is_of =
            |key: &VerifyKey| UnparsedPublicKey::new(&ED25519, key.0).verify(&message, &signature).is_ok();
        if self.verify_keys.iter().any(is_of) {
            Ok(document)
        } else {
            Err(untrusted("no known key signed it"))
        }
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal(signs: {}, believes: {:?})", self.signer.is_some(), self.verify_keys)
    }
}

fn key_pair(pem: &str) -> Option<Ed25519KeyPair> {
    let body = pem.split_once("-----BEGIN PRIVATE KEY-----")?.1.split_once("-----END PRIVATE KEY-----")?.0;
    let base64: String = body.split_whitespace().collect();
    Ed25519KeyPair::from_pkcs8(&BASE64.decode(base64).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl genpkey -algorithm ed25519`; known to everybody.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    /// Its public half, as the same program prints it (RFC 8032, section 7.1, test 1).
    const PUBLIC: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn signer() -> Seal {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), PEM).unwrap();
        Seal::load(Some(file.path()), &[]).unwrap()
    }

    fn believer(keys: &[VerifyKey]) -> Seal {
        Seal::load(None, keys).unwrap()
    }

    #[test]
    fn keys_are_read_in_both_forms() {
        let key = VerifyKey::parse(PUBLIC).unwrap();
        assert_eq!(signer().verify_key(), Some(key));
        assert_eq!(key.to_string(), PUBLIC);
        assert_eq!(VerifyKey::parse(&BASE64.encode(key.0)), Ok(key));
        for wrong in ["", "x", "AAAA", &PUBLIC[..40], &format!("{PUBLIC}AAAA")] {
            assert!(VerifyKey::parse(wrong).is_err(), "{wrong}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        for wrong in ["", "-----BEGIN PRIVATE KEY-----", &PEM.replace("MC4C", "MC4D")] {
            fs::write(file.path(), wrong).unwrap();
            let error = Seal::load(Some(file.path()), &[]).unwrap_err();
            assert_eq!(error.code(), "signing_key_unusable");
        }
        fs::write(file.path(), PEM).unwrap();
        assert!(Seal::load(Some(file.path()), &[VerifyKey([7; 32]), key]).is_ok());
        let stranger = Seal::load(Some(file.path()), &[VerifyKey([7; 32])]).unwrap_err();
        assert!(stranger.to_string().contains(PUBLIC), "{stranger}");
        let gone = Seal::load(Some(Path::new("/nowhere/key.pem")), &[]).unwrap_err();
        assert_eq!(gone.code(), "signing_key_unusable");
    }

    #[test]
    fn only_what_a_known_key_signed_is_believed() {
        let document = Bytes::from_static(br#"{"n": 1, "x":"\u00e9"}"#);
        let (plain, sealed) = (document.clone(), signer().close(Kind::Document, document.clone()));
        let (known, other) = (VerifyKey::parse(PUBLIC).unwrap(), VerifyKey([7; 32]));
        let code = |seal: &Seal, kind, object: &Bytes| match seal.open(kind, "p", object.clone()) {
            Ok(opened) => {
                assert_eq!(opened, document, "as it was written");
                "believed"
            }
            Err(error) => error.code(),
        };
        let (all, one, two, none) =
            (believer(&[]), believer(&[known]), believer(&[other, known]), believer(&[other]));
        for (seal, kind, object, expected) in [
            (&all, Kind::Document, &plain, "believed"),
            (&all, Kind::Document, &sealed, "believed"),
            (&one, Kind::Document, &sealed, "believed"),
            (&two, Kind::Document, &sealed, "believed"),
            (&one, Kind::Document, &plain, "catalog_untrusted"),
            (&none, Kind::Document, &sealed, "catalog_untrusted"),
            (&one, Kind::Head, &sealed, "catalog_untrusted"),
        ] {
            assert_eq!(code(seal, kind, object), expected, "{seal:?} {kind:?}");
        }
        // Without a signing key nothing is signed.
        assert_eq!(all.close(Kind::Head, plain.clone()), plain);
    }

    #[test]
    fn no_byte_may_differ() {
        let sealed = signer().close(Kind::Head, Bytes::from_static(br#"{"n":12}"#));
        let seal = believer(&[VerifyKey::parse(PUBLIC).unwrap()]);
        assert!(seal.open(Kind::Head, "p", sealed.clone()).is_ok());
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            if let Ok(opened) = seal.open(Kind::Head, "p", changed.into()) {
                // White space around the members is not part of what is signed.
                assert_eq!(opened, br#"{"n":12}"#[..], "byte {at}");
            }
            assert!(seal.open(Kind::Head, "p", sealed.slice(..at)).is_err(), "cut at {at}");
        }
    }
}
