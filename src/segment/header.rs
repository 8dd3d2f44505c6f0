//! The schema of a segment and its metadata.

use std::{collections::HashMap, sync::Arc};

use arrow_schema::{DataType, Field, Schema};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::{Codec, Dictionaries, Dictionary, Error, dictionary::DICTIONARY_BYTES_MAX, error::corrupt};
use crate::domain::{
    digest::Digest,
    limits::FORMAT,
    manifest::SegmentKind,
    name::{CollectionName, IndexName},
};

pub(super) const KEY: &str = "key";
pub(super) const FINGERPRINT: &str = "fingerprint";
pub(super) const FLAGS: &str = "flags";
pub(super) const BODY: &str = "body";
/// The prefix of an index's name in the name of its column; no index name has a colon.
pub(super) const INDEX_PREFIX: &str = "index:";
/// The name of a list's elements, by Arrow's convention.
const ELEMENT: &str = "item";

/// The column of one secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexColumn {
    /// The index.
    pub name: IndexName,
    /// Whether a record may have many values.
    pub each: bool,
}

/// The properties of a new segment.
#[derive(Debug, Clone)]
pub struct SegmentHeader {
    /// The collection that it belongs to.
    pub collection: CollectionName,
    /// Base or changes.
    pub kind: SegmentKind,
    /// The secondary indexes, in the order of the manifest.
    pub secondary: Vec<IndexColumn>,
    /// How bodies are stored.
    pub codec: Codec,
    /// Whether the file carries its dictionary. A base does; a change segment names its base's.
    pub embed_dictionary: bool,
}

/// The counts of a finished segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) rows: u32,
    pub(super) deletes: u32,
}

/// The Arrow schema of a segment with `header` and `counts`.
pub(super) fn schema(header: &SegmentHeader, counts: Counts) -> Schema {
    let mut fields = vec![
        Field::new(KEY, DataType::Utf8, false),
        Field::new(FINGERPRINT, DataType::FixedSizeBinary(16), false),
        Field::new(FLAGS, DataType::UInt8, false),
        Field::new(BODY, DataType::Binary, true),
    ];
    for index in &header.secondary {
        let values = if index.each { DataType::List(element()) } else { DataType::Utf8 };
        fields.push(Field::new(format!("{INDEX_PREFIX}{}", index.name), values, true));
    }
    Schema::new(fields).with_metadata(metadata(header, counts))
}

/// The field of a list's elements.
pub(super) fn element() -> Arc<Field> {
    Arc::new(Field::new(ELEMENT, DataType::Utf8, false))
}

fn metadata(header: &SegmentHeader, counts: Counts) -> HashMap<String, String> {
    let mut metadata = HashMap::from([
        ("larder.format".to_owned(), FORMAT.to_string()),
        ("larder.collection".to_owned(), header.collection.to_string()),
        ("larder.kind".to_owned(), kind_name(header.kind).to_owned()),
        ("larder.rows".to_owned(), counts.rows.to_string()),
        ("larder.deletes".to_owned(), counts.deletes.to_string()),
    ]);
    match &header.codec {
        Codec::Plain => {
            metadata.insert("larder.codec".to_owned(), "plain".to_owned());
        }
        Codec::Zstd(dictionary) => {
            metadata.insert("larder.codec".to_owned(), "zstd".to_owned());
            metadata.insert("larder.dictionary_sha256".to_owned(), dictionary.digest().to_string());
            if header.embed_dictionary {
                let text = BASE64_STANDARD.encode(dictionary.as_bytes());
                metadata.insert("larder.dictionary".to_owned(), text);
            }
        }
    }
    metadata
}

const fn kind_name(kind: SegmentKind) -> &'static str {
    match kind {
        SegmentKind::Base => "base",
        SegmentKind::Changes => "changes",
    }
}

/// The metadata of a file.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) collection: CollectionName,
    pub(super) kind: SegmentKind,
    pub(super) counts: Counts,
    pub(super) codec: Codec,
}

/// Reads the metadata of a file. Checks the format first, because the rest may differ in a newer one.
pub(super) fn facts(metadata: &HashMap<&str, &str>, dictionaries: &mut Dictionaries) -> Result<Facts, Error> {
    let get = |name: &str| metadata.get(name).copied().ok_or_else(|| corrupt("its metadata is incomplete"));
    let number = |name: &str| -> Result<u32, Error> {
        get(name)?.parse().map_err(|_| corrupt("its metadata has a number that is none"))
    };
    let found = number("larder.format")?;
    if found > FORMAT {
        return Err(Error::NewerFormat { found, known: FORMAT });
    }
    let collection = CollectionName::new(get("larder.collection")?)
        .map_err(|_| corrupt("its collection has no valid name"))?;
    let kind = match get("larder.kind")? {
        "base" => SegmentKind::Base,
        "changes" => SegmentKind::Changes,
        _ => return Err(corrupt("its kind is unknown")),
    };
    let counts = Counts { rows: number("larder.rows")?, deletes: number("larder.deletes")? };
    if kind == SegmentKind::Base && counts.deletes > 0 {
        return Err(corrupt("a base holds deletes"));
    }
    let codec = match get("larder.codec")? {
        "plain" => Codec::Plain,
        "zstd" => {
            let digest = get("larder.dictionary_sha256")?
                .parse()
                .map_err(|_| corrupt("its dictionary has no valid digest"))?;
            Codec::Zstd(dictionary(digest, metadata.get("larder.dictionary").copied(), dictionaries)?)
        }
        _ => return Err(corrupt("its codec is unknown")),
    };
    Ok(Facts { collection, kind, counts, codec })
}

fn dictionary(
    digest: Digest,
    embedded: Option<&str>,
    dictionaries: &mut Dictionaries,
) -> Result<Arc<Dictionary>, Error> {
    if let Some(known) = dictionaries.get(&digest) {
        return Ok(known);
    }
    let text = embedded.ok_or(Error::DictionaryUnknown(digest))?;
    if text.len() > DICTIONARY_BYTES_MAX.div_ceil(3) * 4 {
        return Err(corrupt("its dictionary is too large"));
    }
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| corrupt("its dictionary is not base64"))?;
    let dictionary = Dictionary::from_bytes(bytes)?;
    if dictionary.digest() != digest {
        return Err(corrupt("its dictionary is not the one it names"));
    }
    let dictionary = Arc::new(dictionary);
    dictionaries.insert(&dictionary);
    Ok(dictionary)
}
