//! Makes the inputs of the fuzz targets that read segments, out of segments of this crate's own writer:
//!
//!     cargo test --lib write_the_corpus -- --ignored
//!
//! Needed again when the format changes. It leaves alone what fuzzers have added.

use std::{collections::BTreeMap, fs, path::Path};

use super::{
    hostile::metadata_words,
    refused::{Parts, spoilt},
    *,
};
use crate::domain::limits::RECORD_BYTES_MAX;

type Files = BTreeMap<String, Vec<u8>>;

fn zstd() -> Codec {
    Codec::Zstd(fuzz::dictionary())
}

fn rows() -> Vec<Row> {
    let (bytes, sizes) = samples(3);
    let bodies = std::str::from_utf8(&bytes).unwrap();
    let (first, rest) = bodies.split_at(sizes[0]);
    let (second, third) = rest.split_at(sizes[1]);
    let mut left = put("é", third, None, &[""]);
    left.left = true;
    vec![put("1", first, Some("a@example.com"), &["x", "ÿ"]), put("2", second, Some(""), &[]), left]
}

fn changes() -> Vec<Row> {
    let mut rows = rows();
    rows.extend([delete("1"), delete("none"), delete("2"), put("2", "{}", Some("a@example.com"), &["x"])]);
    rows
}

/// A segment whose only body is stored as `stored`.
fn stored(stored: &[u8]) -> Vec<u8> {
    let header = header(SegmentKind::Changes, zstd());
    let mut builder = SegmentBuilder::new(header);
    let (values, flags) = (IndexValues::default(), RecordFlags::default());
    builder.push(Entry { key: "1", fingerprint: 1, flags, body: Some(stored), values: &values }).unwrap();
    let mut file = Vec::new();
    builder.finish(&mut file).unwrap();
    file
}

fn frame(raw: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    Encoder::new(&zstd()).unwrap().encode(raw, &mut frame).unwrap();
    frame
}

/// Segments of every kind.
fn whole() -> Files {
    let of = |columns: &[(&str, bool)], codec, rows: &[Row]| {
        let mut header = header(SegmentKind::Changes, codec);
        let column = |&(name, each): &(&str, bool)| IndexColumn { name: IndexName::new(name).unwrap(), each };
        header.secondary = columns.iter().map(column).collect();
        write(header, rows)
    };
    let many: Vec<Row> = (0..24).map(|n| put(&format!("{n:02}"), "{}", Some("same"), &["a", "b"])).collect();
    let tags: Vec<String> = (0..40).map(|n| format!("tag-{n}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let alike: Vec<Row> = (0..9).map(|n| put("same", &format!("{{\"n\":{n}}}"), None, &[])).collect();
    let sixteen: Vec<(&str, bool)> = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"]
        .map(|name| (name, name > "g"))
        .into_iter()
        .chain([("id", false), ("z", true)])
        .collect();
    let files = [
        ("base", write(header(SegmentKind::Base, Codec::Plain), &rows())),
        ("base-dictionary", write(header(SegmentKind::Base, zstd()), &rows())),
        ("base-empty", write(header(SegmentKind::Base, Codec::Plain), &[])),
        ("changes", write(header(SegmentKind::Changes, Codec::Plain), &changes())),
        ("changes-dictionary-named", write(header(SegmentKind::Changes, zstd()), &changes())),
        ("changes-empty", write(header(SegmentKind::Changes, zstd()), &[])),
        ("changes-deletes", write(header(SegmentKind::Changes, Codec::Plain), &[delete("a"), delete("")])),
        ("one-value-many-records", write(header(SegmentKind::Base, Codec::Plain), &many)),
        (
            "one-record-many-values",
            write(header(SegmentKind::Base, Codec::Plain), &[put("", "", None, &tags)]),
        ),
        ("one-key-many-rows", write(header(SegmentKind::Base, Codec::Plain), &alike)),
        ("no-index", of(&[], zstd(), &[put("1", "{}", None, &[]), delete("2")])),
        ("sixteen-indexes", of(&sixteen, Codec::Plain, &[put("1", "{}", Some("a"), &["x"])])),
        ("same-index-twice", of(&[("email", false), ("email", true)], Codec::Plain, &changes())),
        ("frame-claims-a-terabyte", stored(&[0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0])),
        ("frame-claims-four-gigabytes", stored(&[0xa0, 255, 255, 255, 255, 1, 0, 0])),
        ("frame-claims-more-than-it-has", stored(&[0xa0, 0x40, 0x42, 0x0f, 0, 1, 0, 0])),
        ("frame-without-size", stored(&[0x00, 0x00, 1, 0, 0])),
        ("frame-empty", stored(&[])),
        ("frame-largest", stored(&frame(&vec![b'0'; RECORD_BYTES_MAX]))),
        ("frame-too-large", stored(&frame(&vec![b'0'; RECORD_BYTES_MAX + 1]))),
        ("frame-cut", stored(&frame(b"{\"user_id\":100,\"full_name\":\"\"}")[..9])),
        ("frame-twice", stored(&frame(b"{}").repeat(2))),
        (
            "body-not-utf8",
            write(
                header(SegmentKind::Changes, Codec::Plain),
                &[{
                    let mut row = put("1", "", None, &[]);
                    row.body = Some(vec![0xff, 0, b'"']);
                    row
                }],
            ),
        ),
    ];
    files.map(|(name, file)| (format!("accepted-{name}"), file)).into()
}

/// Files that a reader refuses: one for each reason that it gives.
fn refused() -> Files {
    let mut found = Files::new();
    let mut judge = |file: Vec<u8>| {
        if let Err(error) = fuzz::parse(&file) {
            let reason = match error {
                Error::Corrupt(what) => what.replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
                other => other.code().replace('_', "-"),
            };
            found.entry(format!("refused-{reason}")).or_insert(file);
        }
    };
    let set = |name: &'static str, value: &'static str| {
        move |parts: &mut Parts| drop(parts.metadata.insert(format!("larder.{name}"), value.to_owned()))
    };
    for (name, value) in [
        ("format", "4294967295"),
        ("rows", "4294967295"),
        ("deletes", "2"),
        ("kind", "base"),
        ("codec", "zstd"),
    ] {
        judge(spoilt(set(name, value)));
    }
    for dictionary in ["!", "AAAA"] {
        judge(spoilt(|parts| {
            set("codec", "zstd")(parts);
            set("dictionary", dictionary)(parts);
            let digest = crate::domain::digest::Digest::of(b"another").to_string();
            parts.metadata.insert("larder.dictionary_sha256".to_owned(), digest);
        }));
    }
    judge(spoilt(|parts| parts.batches = 2));
    judge(spoilt(|parts| drop(parts.columns.remove(3))));
    judge(spoilt(|parts| parts.columns[4].0 = "index:"));
    let alien = Codec::Zstd(Arc::new(Dictionary::from_bytes(b"another dictionary".to_vec()).unwrap()));
    judge(write(header(SegmentKind::Changes, alien), &changes()));

    let file = write(header(SegmentKind::Changes, Codec::Plain), &changes());
    judge(file[..file.len() / 2].to_vec());
    for at in (0..file.len() - 4).step_by(4) {
        for number in [u32::MAX, i32::MAX as u32, 7] {
            let mut mutated = file.clone();
            mutated[at..at + 4].copy_from_slice(&number.to_le_bytes());
            judge(mutated);
        }
    }
    for at in metadata_words(&file) {
        for number in [u64::MAX, i64::MAX as u64, 1 << 40, 7] {
            let mut mutated = file.clone();
            mutated[at..at + 8].copy_from_slice(&number.to_le_bytes());
            judge(mutated);
        }
    }
    // Damaged names and numbers in the metadata's text are in `refused.rs`; a corpus is short.
    for dull in
        ["codec-is-unknown", "kind-is-unknown", "collection-has-no-valid-name", "metadata-has-a-number"]
    {
        found.retain(|name, _| !name.contains(dull));
    }
    found
}

#[test]
#[ignore = "writes into tests/corpora"]
fn write_the_corpus() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpora/segment");
    for (name, file) in whole().into_iter().chain(refused()) {
        fs::write(directory.join(name), file).unwrap();
    }
}

/// The corpus knows every reason that a file of ours, damaged a little, is refused for.
#[test]
fn every_reason_to_refuse_has_an_input() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpora/segment");
    let (whole, refused) = (whole(), refused());
    assert!(refused.len() > 20, "{:?}", refused.keys());
    for name in whole.keys().chain(refused.keys()) {
        assert!(directory.join(name).exists(), "{name}: see the head of this file");
    }
}
