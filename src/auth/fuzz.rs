//! Hostile credentials: the values of `Authorization` and `X-Api-Key`.

// A target reports a broken promise by a panic.
#![allow(clippy::unwrap_used)]

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::DateTime;

use super::{ApiKey, KeyRing, Refusal, SCRATCH_BYTES, key::KEY_CHARS};
use crate::{
    domain::{
        digest::Digest,
        keyset::{KeyEntry, KeyLimits, KeySet, Scope},
    },
    support::clock::Clock,
};

/// The only key in force while fuzzing; the corpus has it in all forms.
const KEY: &str = "lrd_RKRcwGkBIDlf_No287qEH4uQv9vBo5cxQTXAw02KFtzjuPbCrH1FrBEB1OB8V7";

/// Takes the two header values, with a line feed between them, which no header value has. An empty one is
/// tried as absent and as empty. Returns whether they hold a text of the form of a key.
pub(crate) fn credential(bytes: &[u8]) -> bool {
    let mut lines = bytes.splitn(2, |&byte| byte == b'\n');
    let (authorization, api_key) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let absent = |value| Some(value).filter(|value: &&[u8]| !value.is_empty());
    let mut scratch = [0; SCRATCH_BYTES];
    let mut again = [0; SCRATCH_BYTES];
    let found = super::credential(Some(authorization), Some(api_key), &mut scratch);
    assert_eq!(found, super::credential(absent(authorization), absent(api_key), &mut again));
    match found {
        Ok(text) => opens(text),
        Err(refusal) => {
            let is_text =
                std::str::from_utf8(api_key).is_ok_and(|text| !text.as_bytes().trim_ascii().is_empty());
            assert!(!is_text || !authorization.trim_ascii().is_empty(), "X-Api-Key was ignored");
            assert!(matches!(refusal, Refusal::Missing | Refusal::Malformed));
            false
        }
    }
}

/// Whether `text` has the form of a key. Only the key in force opens anything, in every form.
fn opens(text: &str) -> bool {
    let clock = Clock::fixed(DateTime::UNIX_EPOCH);
    assert!(KeyRing::new().authenticate(text, &clock).is_err(), "an empty ring refuses everyone");
    assert_eq!(ring().authenticate(text, &clock).is_ok(), text == KEY);
    let Some(id) = ApiKey::id_of(text) else { return false };
    assert_eq!(text.len(), KEY_CHARS);
    assert!(text.is_ascii() && text[4..].starts_with(id));
    for (authorization, api_key) in [
        (Some(format!("bEARER \t {text} ")), Some("Bearer")),
        (Some(format!("Basic {}", STANDARD.encode(format!("user:{text}")))), None),
        (Some("Digest".to_owned()), Some(text)),
        (None, Some(text)),
    ] {
        let mut scratch = [0; SCRATCH_BYTES];
        let (authorization, api_key) =
            (authorization.as_deref().map(str::as_bytes), api_key.map(str::as_bytes));
        assert_eq!(super::credential(authorization, api_key, &mut scratch), Ok(text));
    }
    true
}

fn ring() -> KeyRing {
    let entry = KeyEntry {
        id: KEY[4..16].to_owned(),
        sha256: Digest::of(KEY.as_bytes()),
        name: "fuzz".to_owned(),
        grant: Scope::AllCollections,
        created_at: DateTime::UNIX_EPOCH,
        expires_at: None,
        limits: KeyLimits::default(),
        previous: None,
    };
    let ring = KeyRing::new();
    ring.replace(&KeySet { revision: 1, keys: vec![entry], refused: 0 });
    ring
}
