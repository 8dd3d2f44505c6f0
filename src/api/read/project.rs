//! Projection: the part of a record that a selection of fields allows.

use crate::domain::{
    fields::FieldSelection,
    json::{elements, members, unescaped},
};

/// Appends the selected part of `value` and returns true; returns false if nothing of it is selected.
fn append(value: &[u8], selection: &FieldSelection, out: &mut Vec<u8>) -> bool {
    let others = match selection {
        FieldSelection::Nothing => return false,
        FieldSelection::All => {
            out.extend_from_slice(value);
            return true;
        }
        FieldSelection::Members { others, .. } => *others,
    };
    match value.first() {
        Some(b'{') => {
            append_all(*b"{}", members(value), out, |(key, value), out| {
                // Damaged text has no name and is left out.
                let Some(name) = unescaped(key) else { return false };
                let selected = selection.of_member(&name);
                if *selected == FieldSelection::Nothing {
                    return false;
                }
                out.extend_from_slice(key);
                out.push(b':');
                append(value, selected, out)
            });
            true
        }
        Some(b'[') => {
            append_all(*b"[]", elements(value), out, |element, out| append(element, selection, out));
            true
        }
        _ => {
            if others {
                out.extend_from_slice(value);
            }
            others
        }
    }
}

/// Appends the parts for which `part` returns true, with commas, between the two `brackets`.
fn append_all<T>(
    brackets: [u8; 2],
    parts: impl Iterator<Item = T>,
    out: &mut Vec<u8>,
    mut append_part: impl FnMut(T, &mut Vec<u8>) -> bool,
) {
    out.push(brackets[0]);
    let mut is_first = true;
    for part in parts {
        let start = out.len();
        if !is_first {
            out.push(b',');
        }
        if append_part(part, out) {
            is_first = false;
        } else {
            out.truncate(start);
        }
    }
    out.push(brackets[1]);
}

/// The selected part of `record`, a JSON object as the mapping writes it; `{}` if nothing of it is selected. Members and
/// elements keep their order, values their exact bytes.
pub(super) fn project(record: &[u8], selection: &FieldSelection) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len().max(2));
    if !append(record, selection, &mut out) {
        out.extend_from_slice(b"{}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fields::FieldPath;

    const RECORD: &str = r#"{"id":9007199254740993,"n":1.50,"t":"a\"},{","o":{"a":1,"b":{"c":[]},"d.e":2},"l":[{"a":1,"b":2},3,[{"a":4}],{}],"é\\":null}"#;

    fn only(paths: &[&str]) -> FieldSelection {
        FieldSelection::only(&paths.iter().map(|path| FieldPath::new(path).unwrap()).collect::<Vec<_>>())
    }

    fn without(paths: &[&str]) -> FieldSelection {
        FieldSelection::without(&paths.iter().map(|path| FieldPath::new(path).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn selected_fields_keep_their_order_and_bytes() {
        for (selection, expected) in [
            (FieldSelection::all(), RECORD),
            (FieldSelection::Nothing, "{}"),
            (without(&[]), RECORD),
            (only(&[]), "{}"),
            (only(&["nowhere"]), "{}"),
            (only(&["n", "id"]), r#"{"id":9007199254740993,"n":1.50}"#),
            (only(&["t"]), r#"{"t":"a\"},{"}"#),
            (only(&["id.x"]), "{}"),
            (only(&[r"é\\"]), r#"{"é\\":null}"#),
            (only(&["o.b", r"o.d\.e"]), r#"{"o":{"b":{"c":[]},"d.e":2}}"#),
            (only(&["o.b.c.d"]), r#"{"o":{"b":{"c":[]}}}"#),
            (only(&["o.d.e"]), r#"{"o":{}}"#),
            (only(&["l.a"]), r#"{"l":[{"a":1},[{"a":4}],{}]}"#),
            (without(&["t", "o", "l", r"é\\", "id"]), r#"{"n":1.50}"#),
            (without(&["id", "n", "t", "o", r"é\\", "l.a"]), r#"{"l":[{"b":2},3,[{}],{}]}"#),
            (without(&["l", r"o.d\.e", "o.b.c"]).intersect(&only(&["o", "l"])), r#"{"o":{"a":1,"b":{}}}"#),
        ] {
            let projected = String::from_utf8(project(RECORD.as_bytes(), &selection)).unwrap();
            assert_eq!(projected, expected, "{selection:?}");
            serde_json::from_str::<serde_json::Value>(&projected).unwrap();
        }
    }
}
