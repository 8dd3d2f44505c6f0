//! Signatures of catalog documents and head.
//!
//! Without signatures, everybody who can write to the bucket can announce: documents refer to all other objects by
//! SHA-256, but nothing vouches for the documents. A signed object is `{"document":…,"signature":"…"}`, with
//! an Ed25519 signature (RFC 8032) of the kind of object and the bytes of the document.

use std::{
    fmt, fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Error,
    compression::{compress, decompress},
};

/// The DER prefix of the 32 bytes of a public key (RFC 8410).
const PUBLIC_KEY_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PUBLIC_KEY_BYTES: usize = 32;
/// The first bytes of a signed object, and of no other.
const SIGNED_PREFIX: &[u8] = b"{\"document\":";

/// The kind of a signed object. A signature for one kind is not valid for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignedKind {
    Document,
    Head,
}

impl SignedKind {
    fn message(self, bytes: &[u8]) -> Vec<u8> {
        let kind: &[u8] = match self {
            Self::Document => b"larder catalog document\n",
            Self::Head => b"larder catalog head\n",
        };
        [kind, bytes].concat()
    }
}

/// A public key whose signatures are accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyKey([u8; PUBLIC_KEY_BYTES]);

impl VerifyKey {
    /// Parses base64 of the DER form, as `openssl pkey -pubout` prints it, or of the 32 bytes alone. The error is
    /// a hint for the user.
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

/// The key to sign with, and the keys to verify with: several, so that keys can be rotated. Without a key to sign
/// with, nothing is signed. Without keys to verify with, everything is accepted. Cheap to clone.
#[derive(Clone, Default)]
pub struct SigningKeys {
    own: Option<Arc<Ed25519KeyPair>>,
    verify_keys: Arc<[VerifyKey]>,
    allows_unsigned: bool,
    /// Twice the highest document number that was verified, plus one if that document is signed. Shared by clones.
    newest: Arc<AtomicU64>,
}

impl SigningKeys {
    /// Reads the key to sign with, PKCS#8 in PEM form. Blocks.
    ///
    /// # Errors
    /// [`Error::SigningKey`], also when this node would not accept its own signatures.
    pub fn load(signing_key_file: Option<&Path>, verify_keys: &[VerifyKey]) -> Result<Self, Error> {
        let own = signing_key_file.map(|path| {
            let unusable = |reason: String| Error::SigningKey { path: path.to_owned(), reason };
            let text = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
            key_pair(&text).ok_or_else(|| unusable("it holds no Ed25519 key in PEM form (PKCS#8)".to_owned()))
        });
        let own = own.transpose()?.map(Arc::new);
        let keys = Self { own, verify_keys: verify_keys.into(), ..Self::default() };
        match (signing_key_file, keys.verify_key()) {
            (Some(path), Some(own)) if !verify_keys.is_empty() && !verify_keys.contains(&own) => {
                let reason = format!("its public half is not among verify_key; add \"{own}\"");
                Err(Error::SigningKey { path: path.to_owned(), reason })
            }
            _ => Ok(keys),
        }
    }

    /// The same keys. If `allows_unsigned`, a document without a signature may follow a signed one.
    #[must_use]
    pub fn with_unsigned(mut self, allows_unsigned: bool) -> Self {
        self.allows_unsigned = allows_unsigned;
        self
    }

    /// The public half of the key to sign with.
    pub fn verify_key(&self) -> Option<VerifyKey> {
        let key = self.own.as_ref()?.public_key().as_ref().try_into();
        key.ok().map(VerifyKey)
    }

    /// Checks that this process may announce: nodes that verify signatures refuse a catalog from its first unsigned
    /// document on.
    ///
    /// # Errors
    /// [`Error::NoSigningKey`] when the newest known document is signed and this process has no key.
    pub(super) fn check_may_announce(&self) -> Result<(), Error> {
        let is_signed = self.newest.load(Ordering::Relaxed) % 2 == 1;
        if is_signed && self.own.is_none() && !self.allows_unsigned {
            Err(Error::NoSigningKey)
        } else {
            Ok(())
        }
    }

    /// Makes the object of a document: signed, if there is a key to sign with, and compressed if it is large.
    ///
    /// # Errors
    /// As [`SigningKeys::check_may_announce`].
    pub(super) fn sign(&self, kind: SignedKind, document: Bytes) -> Result<Bytes, Error> {
        self.check_may_announce()?;
        let Some(own) = &self.own else { return Ok(compress(document)) };
        let signature = BASE64.encode(own.sign(&kind.message(&document)));
        let signed = [SIGNED_PREFIX, &document, b",\"signature\":\"", signature.as_bytes(), b"\"}"].concat();
        Ok(compress(signed.into()))
    }

    /// Verifies the object of document `n` and returns the document. Remembers whether the newest one is signed.
    ///
    /// # Errors
    /// As [`SigningKeys::verify`].
    pub(super) fn verify_document(&self, n: u64, path: &str, object: Bytes) -> Result<Bytes, Error> {
        let object = decompress(path, object)?;
        let is_signed = object.starts_with(SIGNED_PREFIX);
        let document = self.verify(SignedKind::Document, path, object)?;
        self.newest.fetch_max(n.saturating_mul(2) + u64::from(is_signed), Ordering::Relaxed);
        Ok(document)
    }

    /// Verifies an object and returns its document.
    ///
    /// # Errors
    /// [`Error::Untrusted`] without a signature of an accepted key.
    pub(super) fn verify(&self, kind: SignedKind, path: &str, object: Bytes) -> Result<Bytes, Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct SignedObject<'a> {
            #[serde(borrow)]
            document: &'a RawValue,
            signature: &'a str,
        }
        let object = decompress(path, object)?;
        let untrusted = |reason| Error::Untrusted { path: path.to_owned(), reason };
        if !object.starts_with(SIGNED_PREFIX) {
            let must_be_signed = !self.verify_keys.is_empty();
            return if must_be_signed { Err(untrusted("it is not signed")) } else { Ok(object) };
        }
        let malformed = |source| Error::Malformed { path: path.to_owned(), source };
        let signed: SignedObject<'_> = serde_json::from_slice(&object).map_err(malformed)?;
        let document = object.slice_ref(signed.document.get().as_bytes());
        if self.verify_keys.is_empty() {
            return Ok(document);
        }
        let signature =
            BASE64.decode(signed.signature).map_err(|_| untrusted("its signature is not base64"))?;
        let message = kind.message(&document);
        let is_signed_by =
            |key: &VerifyKey| UnparsedPublicKey::new(&ED25519, key.0).verify(&message, &signature).is_ok();
        if self.verify_keys.iter().any(is_signed_by) {
            Ok(document)
        } else {
            Err(untrusted("its signature is not of an accepted key"))
        }
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys(signs: {}, verifies: {:?})", self.own.is_some(), self.verify_keys)
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

    /// The key of RFC 8032, section 7.1, test 1, in the form of `openssl genpkey`.
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    /// Its public half, as `openssl pkey -pubout` prints it.
    const PUBLIC: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn signer() -> SigningKeys {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), PEM).unwrap();
        SigningKeys::load(Some(file.path()), &[]).unwrap()
    }

    fn verifier(keys: &[VerifyKey]) -> SigningKeys {
        SigningKeys::load(None, keys).unwrap()
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
            let error = SigningKeys::load(Some(file.path()), &[]).unwrap_err();
            assert_eq!(error.code(), "signing_key_unusable");
        }
        fs::write(file.path(), PEM).unwrap();
        assert!(SigningKeys::load(Some(file.path()), &[VerifyKey([7; 32]), key]).is_ok());
        let stranger = SigningKeys::load(Some(file.path()), &[VerifyKey([7; 32])]).unwrap_err();
        assert!(stranger.to_string().contains(PUBLIC), "{stranger}");
        let gone = SigningKeys::load(Some(Path::new("/nowhere/key.pem")), &[]).unwrap_err();
        assert_eq!(gone.code(), "signing_key_unusable");
    }

    #[test]
    fn only_signatures_of_accepted_keys_are_accepted() {
        let document = Bytes::from_static(br#"{"n": 1, "x":"\u00e9"}"#);
        let signed = signer().sign(SignedKind::Document, document.clone()).unwrap();
        let plain = document.clone();
        let (known, other) = (VerifyKey::parse(PUBLIC).unwrap(), VerifyKey([7; 32]));
        let code = |keys: &SigningKeys, kind, object: &Bytes| match keys.verify(kind, "p", object.clone()) {
            Ok(opened) => {
                assert_eq!(opened, document, "the document is unchanged");
                "accepted"
            }
            Err(error) => error.code(),
        };
        let (all, one, two, none) =
            (verifier(&[]), verifier(&[known]), verifier(&[other, known]), verifier(&[other]));
        for (keys, kind, object, expected) in [
            (&all, SignedKind::Document, &plain, "accepted"),
            (&all, SignedKind::Document, &signed, "accepted"),
            (&one, SignedKind::Document, &signed, "accepted"),
            (&two, SignedKind::Document, &signed, "accepted"),
            (&one, SignedKind::Document, &plain, "catalog_untrusted"),
            (&none, SignedKind::Document, &signed, "catalog_untrusted"),
            (&one, SignedKind::Head, &signed, "catalog_untrusted"),
        ] {
            assert_eq!(code(keys, kind, object), expected, "{keys:?} {kind:?}");
        }
        // Without a signing key nothing is signed.
        assert_eq!(all.sign(SignedKind::Head, plain.clone()).unwrap(), plain);
    }

    #[test]
    fn only_a_key_follows_a_signed_document() {
        let document = Bytes::from_static(b"{}");
        let signed = signer().sign(SignedKind::Document, document.clone()).unwrap();
        let code = |keys: &SigningKeys| {
            [SignedKind::Document, SignedKind::Head]
                .map(|kind| keys.sign(kind, document.clone()).err().map(|error| error.code()))
        };
        let (keyless, missing) = (SigningKeys::default(), Some("signing_key_missing"));
        keyless.verify_document(3, "d", document.clone()).unwrap();
        assert_eq!(code(&keyless), [None; 2]);
        keyless.clone().verify_document(4, "d", signed.clone()).unwrap();
        assert_eq!(code(&keyless), [missing; 2]);
        // An older document does not count, a newer one does.
        keyless.verify_document(3, "d", document.clone()).unwrap();
        assert_eq!(code(&keyless), [missing; 2]);
        assert_eq!(code(&keyless.clone().with_unsigned(true)), [None; 2]);
        keyless.verify_document(5, "d", document.clone()).unwrap();
        assert_eq!(code(&keyless), [None; 2]);
        let with_key = signer();
        with_key.verify_document(4, "d", signed).unwrap();
        assert_eq!(code(&with_key), [None; 2]);
    }

    #[test]
    fn large_document_is_stored_small_and_its_signature_is_of_all_of_it() {
        let entries = (0..9000).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
        let document = Bytes::from(format!("{{\"n\":[{entries}],\"x\":\"{}\"}}", "y".repeat(40_000)));
        let (known, other) =
            (verifier(&[VerifyKey::parse(PUBLIC).unwrap()]), verifier(&[VerifyKey([7; 32])]));
        let stored = signer().sign(SignedKind::Document, document.clone()).unwrap();
        assert!(stored.len() < document.len() / 2, "{} bytes", stored.len());
        assert_eq!(known.verify(SignedKind::Document, "p", stored.clone()).unwrap(), document);
        assert_eq!(verifier(&[]).verify(SignedKind::Document, "p", stored.clone()).unwrap(), document);
        let code = |keys: &SigningKeys, kind, stored| keys.verify(kind, "p", stored).unwrap_err().code();
        assert_eq!(code(&known, SignedKind::Head, stored.clone()), "catalog_untrusted");
        assert_eq!(code(&other, SignedKind::Document, stored.clone()), "catalog_untrusted");
        let unsigned = verifier(&[]).sign(SignedKind::Document, document).unwrap();
        assert_eq!(code(&known, SignedKind::Document, unsigned), "catalog_untrusted");
        assert_eq!(code(&known, SignedKind::Document, stored.slice(..stored.len() / 2)), "object_corrupt");
    }

    #[test]
    fn an_object_with_a_changed_byte_is_refused() {
        let signed = signer().sign(SignedKind::Head, Bytes::from_static(br#"{"n":12}"#)).unwrap();
        let keys = verifier(&[VerifyKey::parse(PUBLIC).unwrap()]);
        assert!(keys.verify(SignedKind::Head, "p", signed.clone()).is_ok());
        for at in 0..signed.len() {
            let mut changed = signed.to_vec();
            changed[at] ^= 1;
            if let Ok(opened) = keys.verify(SignedKind::Head, "p", changed.into()) {
                // White space around the members is not part of what is signed.
                assert_eq!(opened, br#"{"n":12}"#[..], "byte {at}");
            }
            assert!(keys.verify(SignedKind::Head, "p", signed.slice(..at)).is_err(), "cut at {at}");
        }
    }
}
