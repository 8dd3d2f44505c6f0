//! Values that records are looked up by: an index with `hash` is looked up by the hash of a value.

use std::borrow::Cow;

use super::codes::Code;
use crate::{
    auth::CollectionGrant,
    domain::{
        hash::{HashSecret, ValueHasher},
        index::IndexDefinition,
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

/// Whether a caller that is bound to one record may look `text` up: both values are the same to the index. Of an index
/// with hashes the caller is bound to a hash or to a value.
pub(super) fn opens_record(
    grant: &CollectionGrant,
    manifest: &Manifest,
    text: &str,
    secrets: &[HashSecret],
) -> bool {
    let Some((index, own)) = grant.record() else { return true };
    // Without the index, there is nothing to find.
    let Some(definition) = manifest.indexes.iter().find(|definition| definition.name == *index) else {
        return true;
    };
    definition.requested(text).is_some_and(|requested| {
        definition.requested(own).as_ref() == Some(&requested)
            || hashed(definition, own, secrets).is_some_and(|own| own == requested)
    })
}

/// The hash of `value`, if the index has hashes and this node can make them.
fn hashed(definition: &IndexDefinition, value: &str, secrets: &[HashSecret]) -> Option<String> {
    let hasher = ValueHasher::of(definition.hash.as_ref()?, secrets)?;
    definition.normalized(value).map(|value| hasher.hash(&value))
}
