//! Tables, and properties against `serde_json` and against a plain model.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn compacted(raw: &str) -> Result<(String, usize), RejectReason> {
    let mut out = b"before".to_vec();
    let depth = compact(raw.as_bytes(), &mut out);
    let text = String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned();
    match depth {
        Ok(depth) => Ok((text, depth)),
        Err(reason) => {
            assert_eq!(text, "", "an error leaves the buffer as it was");
            Err(reason)
        }
    }
}

#[test]
fn values_are_made_canonical() {
    for (raw, expected, depth) in [
        (" null ", "null", 0),
        ("\t\r\n1.50 ", "1.50", 0),
        (r#""a\/\u0041\u00e9\ud83d\ude00\u001F\b\"""#, r#""a/Aé😀\u001f\b\"""#, 0),
        (" [ ] ", "[]", 1),
        ("{ }", "{}", 1),
        (r#"[ 1 , [ ] , { "a" : -0 } ]"#, r#"[1,[],{"a":0}]"#, 2),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"b":2,"a":3}"#, 1),
        (r#"{"a":1,"a":2,"a":{"a":1,"a":[]}}"#, r#"{"a":{"a":[]}}"#, 3),
        (r#"{"x":0,"a":1,"\u0061":2,"y":3}"#, r#"{"x":0,"a":2,"y":3}"#, 1),
        (r#"{"a":[{"b":1,"b":2},{"b":3}],"":""}"#, r#"{"a":[{"b":2},{"b":3}],"":""}"#, 3),
        ("[\"{\",\"[\"]", "[\"{\",\"[\"]", 1),
        (r#"{"k":"{","l":1e2}"#, r#"{"k":"{","l":100}"#, 1),
        ("\"\u{7f}\u{2028}\"", "\"\u{7f}\u{2028}\"", 0),
    ] {
        assert_eq!(compacted(raw), Ok((expected.to_owned(), depth)), "{raw}");
    }
}

#[test]
fn what_is_not_json_is_rejected() {
    for raw in [
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "[",
        "]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\":1 \"b\":2}",
        "[1}",
        "{\"a\":1]",
        "1 2",
        "\"",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800a\"",
        "\"\\udc00\"",
        "'a'",
        "NaN",
        "Infinity",
        "\u{feff}1",
        "1e999999",
    ] {
        assert_eq!(compacted(raw), Err(RejectReason::InvalidJson), "{raw:?}");
    }
    assert_eq!(compact(b"\"\xff\"", &mut Vec::new()), Err(RejectReason::InvalidText));
}

#[test]
fn depth_and_size_are_bounded() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(compacted(&nested(DEPTH_MAX)).unwrap().1, DEPTH_MAX);
    assert_eq!(compacted(&nested(DEPTH_MAX + 1)), Err(RejectReason::RecordTooDeep));
    assert_eq!(compacted(&"[".repeat(1_000_000)), Err(RejectReason::RecordTooDeep));

    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    assert_eq!(compacted(&text(RECORD_BYTES_MAX)).unwrap().0.len(), RECORD_BYTES_MAX);
    assert_eq!(compacted(&text(RECORD_BYTES_MAX + 1)), Err(RejectReason::RecordTooLarge));
    let spread = format!("[{}1]", "1e399,".repeat(1_000_000));
    assert_eq!(compacted(&spread), Err(RejectReason::RecordTooLarge));
}

/// Many members, each twice: what is sorted gives what is searched from end to end.
#[test]
fn duplicates_are_found_in_large_objects() {
    let count = 20_000;
    let member = |at: usize, value: &str| format!("\"key number {at}\":{value}");
    let once: Vec<_> = (0..count).map(|at| member(at, "[]")).collect();
    let again: Vec<_> = (0..count).rev().map(|at| member(at, "1")).collect();
    let raw = format!("{{{},{}}}", once.join(","), again.join(" , "));
    assert_eq!(compacted(&raw).unwrap().0, format!("{{{}}}", again.join(",")));
    for count in 30..36 {
        let twice = format!("{{{},{}}}", once[..count].join(","), member(0, "2"));
        let expected = format!("{{{},{}}}", once[1..count].join(","), member(0, "2"));
        assert_eq!(compacted(&twice).unwrap().0, expected, "{count}");
    }
}

/// A JSON value with its duplicates and its spelling still open.
#[derive(Debug, Clone)]
enum Node {
    Word(&'static str),
    Integer(i64),
    Decimal(i32, u8),
    Text(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false"]).prop_map(Node::Word),
        any::<i64>().prop_map(Node::Integer),
        (any::<i32>(), 1_u8..12).prop_map(|(digits, places)| Node::Decimal(digits, places)),
        text().prop_map(Node::Text),
    ];
    leaf.prop_recursive(6, 200, 12, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Node::Array),
            prop::collection::vec((prop_oneof![text(), "[a-c]"], inner), 0..45).prop_map(Node::Object),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,24}", "[^\u{0}]{0,6}"]
}

impl Node {
    /// The canonical text.
    fn plain(&self, out: &mut String) {
        match self {
            Self::Word(word) => out.push_str(word),
            Self::Integer(value) => write!(out, "{value}").unwrap(),
            Self::Decimal(digits, places) => out.push_str(&decimal(*digits, *places)),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    item.plain(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                let mut separator = "";
                for (at, (key, value)) in members.iter().enumerate() {
                    if members[at + 1..].iter().any(|(later, _)| later == key) {
                        continue;
                    }
                    write!(out, "{separator}{}:", quoted(key)).unwrap();
                    value.plain(out);
                    separator = ",";
                }
                out.push('}');
            }
        }
    }

    /// Another text of the same value; `choices` decide spaces, escapes and exponents.
    fn messy(&self, choices: &mut impl Iterator<Item = u8>, out: &mut String) {
        let mut space = |out: &mut String| {
            out.push_str(["", "", " ", "\n\t", "  \r\n"][usize::from(choices.next().unwrap() % 5)]);
        };
        space(out);
        match self {
            Self::Word(word) => out.push_str(word),
            Self::Integer(value) => write!(out, "{value}").unwrap(),
            Self::Decimal(digits, places) if digits % 2 == 0 => {
                write!(out, "{digits}{}{}", if digits % 4 == 0 { "E-" } else { "e-0" }, places).unwrap();
            }
            Self::Decimal(digits, places) => out.push_str(&decimal(*digits, *places)),
            Self::Text(text) => messy_string(text, choices, out),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    item.messy(choices, out);
                }
                out.push_str(" ]");
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    out.push_str(if at == 0 { " " } else { ", " });
                    messy_string(key, choices, out);
                    out.push_str(" :");
                    value.messy(choices, out);
                }
                out.push_str("\n}");
            }
        }
        out.push(' ');
    }
}

fn decimal(digits: i32, places: u8) -> String {
    if digits == 0 {
        return "0".to_owned();
    }
    let unsigned = digits.unsigned_abs();
    let padded = format!("{unsigned:0>width$}", width = usize::from(places) + 1);
    let (whole, fraction) = padded.split_at(padded.len() - usize::from(places));
    format!("{}{whole}.{fraction}", if digits < 0 { "-" } else { "" })
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    crate::domain::json::write_string(&mut out, text.as_bytes());
    String::from_utf8(out).unwrap()
}

fn messy_string(text: &str, choices: &mut impl Iterator<Item = u8>, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        if choices.next().unwrap().is_multiple_of(4) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04X}").unwrap();
            }
        } else {
            let quoted = quoted(&character.to_string());
            out.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
    out.push('"');
}

proptest! {
    #[test]
    fn every_spelling_becomes_the_canonical_one(
        node in node(),
        choices in prop::collection::vec(any::<u8>(), 1..64),
    ) {
        let (mut plain, mut messy) = (String::new(), String::new());
        node.plain(&mut plain);
        node.messy(&mut choices.into_iter().cycle(), &mut messy);
        let (text, _) = compacted(&messy).unwrap();
        prop_assert_eq!(&text, &plain);
        prop_assert_eq!(compacted(&text).unwrap().0, plain);
    }

    #[test]
    fn what_serde_json_reads_is_kept(node in node()) {
        let mut raw = String::new();
        node.plain(&mut raw);
        let value: serde_json::Value = serde_json::from_str(&raw).unwrap();
        let (text, _) = compacted(&serde_json::to_string_pretty(&value).unwrap()).unwrap();
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    /// One byte of a JSON text is changed: both readers agree whether it is still JSON.
    #[test]
    fn validity_is_that_of_serde_json(
        node in node(),
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"\"\\{}[],:0123456789eE+-. tfnuau\x01\x80".to_vec()),
        cut in any::<bool>(),
    ) {
        let mut raw = String::new();
        node.plain(&mut raw);
        let mut raw = raw.into_bytes();
        let at = at.index(raw.len());
        raw[at] = byte;
        if cut {
            raw.truncate(at + 1);
        }
        let ours = compact(&raw, &mut Vec::new());
        let theirs = serde_json::from_slice::<serde_json::Value>(&raw);
        // An exponent beyond the bound and a NUL are JSON to others.
        let is_ours_alone = raw.windows(6).any(|six| six == b"\\u0000")
            || (ours == Err(RejectReason::InvalidJson) && raw.iter().any(|byte| matches!(byte, b'e' | b'E')));
        prop_assert!(ours.is_ok() == theirs.is_ok() || is_ours_alone, "{ours:?} {theirs:?}");
    }

    #[test]
    fn any_bytes_are_taken_without_panic(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        let ours = compact(&raw, &mut Vec::new()).is_ok();
        if ours {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&raw).is_ok());
        }
    }
}
