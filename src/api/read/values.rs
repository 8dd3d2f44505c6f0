//! Values that records are looked up by: an index with `hash` is looked up by the hash of a value.

use std::borrow::Cow;

use super::codes::Code;
use crate::{
    auth::CollectionGrant,
    domain::{
        hash::{HashSecret, ValueHasher},
        manifest::Manifest,
    },
};

/// The text by which to look up `value` in the index of this name: its hash, if the index has hashes.
pub(super) fn text_to_look_up<'a>(
    manifest: &Manifest,
    index: &str,
    value: &'a str,
    secrets: &[HashSecret],
) -> Result<Cow<'a, str>, Code> {
    let Some(definition) = manifest.indexes.iter().find(|definition| definition.name.as_str() == index)
    else {
        return Ok(Cow::Borrowed(value));
    };
    let Some(hash) = &definition.hash else { return Ok(Cow::Borrowed(value)) };
    let hasher = ValueHasher::of(hash, secrets).ok_or(Code::HashSecretMissing)?;
    // A value that no record can have is no hash.
    Ok(definition.normalized(value).map_or(Cow::Borrowed(""), |value| Cow::Owned(hasher.hash(&value))))
}

/// Whether a caller that is bound to one record may look `text` up: both values are the same to the index.
pub(super) fn opens_record(grant: &CollectionGrant, manifest: &Manifest, text: &str) -> bool {
    let Some((index, own)) = grant.record() else { return true };
    let definition = manifest.indexes.iter().find(|definition| definition.name == *index);
    // Without the index, there is nothing to find.
    definition.is_none_or(|definition| {
        definition.requested(own).is_some_and(|own| definition.requested(text).as_ref() == Some(&own))
    })
}
