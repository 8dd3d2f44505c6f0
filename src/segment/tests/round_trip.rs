//! What goes in comes out.

use arrow_array::{Array, cast::AsArray};
use arrow_ipc::reader::FileReader;
use proptest::prelude::*;

use super::*;
use crate::domain::error::ErrorKind;

fn rows() -> Vec<Row> {
    let mut left = put("é", "{\"id\":2}", None, &[]);
    left.left = true;
    vec![
        put("1", "{\"id\":1}", Some("a@b"), &["x", "ÿ"]),
        left,
        put("3", "", Some(""), &["only"]),
        put("4", "{}", None, &["", "b", "c"]),
    ]
}

#[test]
fn plain_rows_come_back() {
    let file = write(header(SegmentKind::Base, Codec::Plain), &rows());
    let segment = parse(&file).unwrap();
    assert_eq!(read(&segment), rows());
    assert_eq!((segment.kind(), segment.rows(), segment.deletes()), (SegmentKind::Base, 4, 0));
    assert_eq!(segment.collection().as_str(), "customer");
    assert_eq!(segment.secondary(), header(SegmentKind::Base, Codec::Plain).secondary);
    assert_eq!((segment.value_count(1), segment.value_count(2)), (2, 6));
    assert_eq!(segment.as_bytes(), file);
}

#[test]
fn an_empty_segment_and_one_of_deletes_come_back() {
    for (kind, rows) in [
        (SegmentKind::Base, vec![]),
        (SegmentKind::Changes, vec![]),
        (SegmentKind::Changes, vec![delete("a"), put("b", "{}", Some("e"), &["t"]), delete("c")]),
    ] {
        let segment = parse(&write(header(kind, Codec::Plain), &rows)).unwrap();
        assert_eq!(read(&segment), rows);
        assert_eq!(segment.deletes() as usize, rows.iter().filter(|row| row.body.is_none()).count());
    }
}

#[test]
fn a_change_segment_finds_the_dictionary_of_its_base() {
    let codec = Codec::Zstd(dictionary());
    let base = write(header(SegmentKind::Base, codec.clone()), &rows());
    let changes = write(header(SegmentKind::Changes, codec), &rows());
    assert!(changes.len() < base.len() - 16_000, "the dictionary stands in the base only");

    let mut dictionaries = Dictionaries::new();
    let alone = Segment::parse(SegmentBuffer::from(changes.clone()), &mut dictionaries).unwrap_err();
    assert!(matches!(alone, Error::DictionaryUnknown(_)));
    assert_eq!((alone.kind(), alone.code()), (ErrorKind::NotFound, "segment_dictionary_unknown"));

    let base = Segment::parse(SegmentBuffer::from(base), &mut dictionaries).unwrap();
    let changes = Segment::parse(SegmentBuffer::from(changes), &mut dictionaries).unwrap();
    assert_eq!(read(&base), rows());
    assert_eq!(read(&changes), rows());
    let (Codec::Zstd(one), Codec::Zstd(other)) = (base.codec(), changes.codec()) else { panic!("zstd") };
    assert!(Arc::ptr_eq(one, other), "one dictionary in memory");
    let digest = one.digest();
    drop((base, changes));
    assert!(dictionaries.get(&digest).is_none(), "a dictionary goes with its last segment");
}

#[test]
fn zstd_makes_bodies_small() {
    let dictionary = dictionary();
    let (bytes, sizes) = samples(100);
    let mut encoder = Encoder::new(&Codec::Zstd(Arc::clone(&dictionary))).unwrap();
    let mut decoder = Decoder::new();
    let (mut stored, mut body, mut start, mut total) = (Vec::new(), Vec::new(), 0, 0);
    for size in sizes {
        let raw = &bytes[start..start + size];
        start += size;
        encoder.encode(raw, &mut stored).unwrap();
        decoder.decode_stored(&Codec::Zstd(Arc::clone(&dictionary)), &stored, &mut body).unwrap();
        assert_eq!(body, raw);
        total += stored.len();
    }
    assert!(total * 4 < bytes.len(), "{total} of {}", bytes.len());
}

#[test]
fn bodies_of_every_length_class_come_back() {
    let codec = Codec::Zstd(dictionary());
    let mut encoder = Encoder::new(&codec).unwrap();
    let mut decoder = Decoder::new();
    let (mut stored, mut body) = (Vec::new(), Vec::new());
    // The frame's own length takes 1, 2 and 4 bytes.
    for length in [0, 1, 255, 256, 257, 65_535, 65_791, 65_792, 1_000_000] {
        let raw: Vec<u8> = (0..length).map(|n| b"0123456789abcdef"[n * n % 16]).collect();
        encoder.encode(&raw, &mut stored).unwrap();
        decoder.decode_stored(&codec, &stored, &mut body).unwrap();
        assert_eq!(body, raw);
    }
    let raw = vec![b'x'; 1_000_001];
    encoder.encode(&raw, &mut stored).unwrap();
    assert!(decoder.decode_stored(&codec, &stored, &mut body).is_err());
    assert!(decoder.decode_stored(&Codec::Plain, &raw, &mut body).is_err());
}

#[test]
fn few_or_senseless_samples_make_no_dictionary() {
    let (bytes, sizes) = samples(100);
    assert!(Dictionary::train(&bytes, &sizes).is_none(), "too few");
    assert!(Dictionary::train(&bytes, &[1, 2]).is_none(), "sizes that do not add up");
    assert!(Dictionary::train(&[], &[]).is_none());
    assert!(Dictionary::from_bytes(vec![0; 200_000]).is_err(), "too large");
}

#[test]
fn a_dictionary_of_other_records_does_not_pay() {
    // Hexadecimal noise packs to a little more than a half by its alphabet alone; wide noise not at all.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(80_000)
    .collect();
    assert!(!pays(&noise, &[800; 100], &dictionary()));
}

#[test]
fn other_arrow_readers_read_it() {
    let file = write(header(SegmentKind::Base, Codec::Zstd(dictionary())), &rows());
    let mut reader = FileReader::try_new(std::io::Cursor::new(file), None).unwrap();
    assert_eq!(reader.num_batches(), 1);
    assert_eq!(reader.schema().metadata().get("larder.rows").map(String::as_str), Some("4"));
    let batch = reader.next().unwrap().unwrap();
    assert_eq!(batch.column_by_name("key").unwrap().as_string::<i32>().value(1), "é");
    assert_eq!(batch.column_by_name("index:email").unwrap().as_string::<i32>().value(0), "a@b");
    let tags = batch.column_by_name("index:tag").unwrap().as_list::<i32>().value(3);
    assert_eq!(tags.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["", "b", "c"]);
    assert!(batch.column_by_name("index:tag").unwrap().is_null(1));
}

#[test]
fn nothing_is_copied() {
    let file = write(header(SegmentKind::Base, Codec::Plain), &rows());
    let segment = parse(&file).unwrap();
    let whole = segment.as_bytes().as_ptr_range();
    for row in 0..segment.rows() {
        let pieces = [segment.key(row).as_bytes(), segment.stored_body(row).unwrap()];
        let values = [1, 2].into_iter().flat_map(|number| segment.values(row, number)).map(str::as_bytes);
        for piece in pieces.into_iter().chain(values) {
            assert!(whole.start <= piece.as_ptr() && piece.as_ptr_range().end <= whole.end);
        }
    }
}

#[test]
fn a_line_tells_all() {
    let rows = [put("a\"b", "{\"id\":1}", Some("e"), &["x", "y"]), delete("c")];
    let segment = parse(&write(header(SegmentKind::Changes, Codec::Plain), &rows)).unwrap();
    let (mut decoder, mut out) = (Decoder::new(), Vec::new());
    cat_line(&segment, 0, &mut decoder, &mut out).unwrap();
    cat_line(&segment, 1, &mut decoder, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{\"key\":\"a\\\"b\",\"flags\":0,\"indexes\":{\"email\":\"e\",\"tag\":[\"x\",\"y\"]},\"body\":{\"id\":1}}\n\
         {\"key\":\"c\",\"flags\":0,\"indexes\":{\"email\":null,\"tag\":[]},\"body\":null}\n"
    );
}

#[test]
fn entries_that_do_not_fit_are_refused_and_change_nothing() {
    let mut builder = SegmentBuilder::new(header(SegmentKind::Base, Codec::Plain));
    let values = |pairs: &[(u16, &str)]| {
        let mut values = IndexValues::default();
        for (index, value) in pairs {
            values.push(*index, value);
        }
        values
    };
    let mut push = |body: Option<&[u8]>, values: &IndexValues| {
        builder.push(Entry { key: "k", fingerprint: 1, flags: RecordFlags::default(), body, values })
    };
    for bad in [&[(0, "a")][..], &[(3, "a")], &[(1, "a"), (1, "b")]] {
        assert!(matches!(push(Some(b"{}"), &values(bad)), Err(Error::Misfit(_))), "{bad:?}");
    }
    assert!(matches!(push(None, &values(&[])), Err(Error::Misfit(_))), "a delete in a base");
    push(Some(b"{}"), &values(&[(1, "a"), (2, "b"), (2, "c")])).unwrap();
    let mut file = Vec::new();
    assert_eq!(builder.finish(&mut file).unwrap().rows, 1);
    assert_eq!(read(&parse(&file).unwrap())[0].tags, ["b", "c"]);
}

fn any_row() -> impl Strategy<Value = Row> {
    let text = "[a-zéÿ😀]{0,12}";
    (
        text,
        any::<u128>(),
        any::<bool>(),
        proptest::collection::vec(any::<u8>(), 0..300),
        proptest::option::of(text),
        proptest::collection::vec(text, 0..4),
    )
        .prop_map(|(key, fingerprint, left, body, email, tags)| Row {
            key,
            fingerprint,
            left,
            body: Some(body),
            email,
            tags,
        })
}

proptest! {
    #[test]
    fn any_rows_come_back(rows in proptest::collection::vec(any_row(), 0..40)) {
        let file = write(header(SegmentKind::Base, Codec::Plain), &rows);
        prop_assert_eq!(read(&parse(&file).unwrap()), rows);
    }
}
