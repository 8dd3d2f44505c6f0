//! Index definitions, and the canonical text by which keys and index values are compared.
//!
//! Stored and requested values pass through the same functions, so both sides always agree. Canonical text:
//! whole numbers without `+`, leading zeros or fraction; other numbers with their digits, without an exponent; uuids in lower case; booleans, dates, times and text
//! as they are served.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizer, DecomposingNormalizer};
use serde::{Deserialize, Serialize};

use super::{
    bounded::list,
    compound,
    hash::{self, IndexHash},
    json,
    limits::{INDEX_COLUMNS_MAX, NORMAL_FORMS_MAX},
    name::IndexName,
    row::{CellKind, ColumnKind},
};

/// One step of `normalize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormalForm {
    /// Removes white space (Unicode) at both ends.
    Trim,
    /// Unicode lower case, locale-independent.
    Lowercase,
    /// Unicode normalization form C: an `e` with an accent behind it is an `é`.
    Nfc,
    /// Equal for texts that differ in case or in their Unicode form only: full case folding of the decomposed
    /// text (Unicode Standard, section 3.13, canonical caseless matching), then form C. `ß` is `ss`.
    Casefold,
    /// Whole numbers in canonical form. Any other value counts as absent.
    Integer,
}

/// A look-up path of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDefinition {
    /// Its name in URLs.
    pub name: IndexName,
    /// The model's column that holds the value; of a compound index, its columns with commas between them.
    pub column: String,
    /// Whether the column is a JSON array, each element of which is an index value.
    #[serde(default)]
    pub each: bool,
    /// Applied in order to stored and to requested values.
    #[serde(default, deserialize_with = "list::<_, _, NORMAL_FORMS_MAX>")]
    pub normalize: Vec<NormalForm>,
    /// The type class of the column; `Any` for `each` indexes, `Text` for compound ones.
    pub kind: ColumnKind,
    /// The type classes of a compound index's columns, in order; none for an index on one column.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list::<_, _, INDEX_COLUMNS_MAX>"
    )]
    pub parts: Vec<ColumnKind>,
    /// How its values are hashed; `None` if they are stored themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<IndexHash>,
    /// Which record holds a value that several have.
    #[serde(default, skip_serializing_if = "SharedValues::is_default")]
    pub shared: SharedValues,
    /// Its values are the order of records for [`SharedValues::Newest`]. It is no look-up path.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_order: bool,
}

/// Which of the records holds a value of a secondary index that several have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedValues {
    /// The record with the lowest primary key.
    #[default]
    LowestKey,
    /// None: a look-up of the value is a miss.
    Reject,
    /// The record that is highest in the order index of this name; of equal ones the lowest primary key.
    Newest(IndexName),
}

impl SharedValues {
    /// Whether it is what builds before this setting do.
    pub fn is_default(&self) -> bool {
        *self == Self::LowestKey
    }
}

impl IndexDefinition {
    /// An index on one column, whose values are stored as they are.
    pub fn plain(name: IndexName, column: impl Into<String>, kind: ColumnKind) -> Self {
        Self {
            name,
            column: column.into(),
            each: false,
            normalize: Vec::new(),
            kind,
            parts: Vec::new(),
            hash: None,
            shared: SharedValues::default(),
            is_order: false,
        }
    }

    /// The normalised text of a cell's value, or `None` when it is absent: null, not a scalar, or empty after
    /// normalisation. `text` is the cell's plain text.
    pub fn stored<'a>(&self, kind: CellKind, text: &'a str) -> Option<Cow<'a, str>> {
        self.stored_as(self.kind, kind, text)
    }

    /// The normalised text of the value of a compound index's column number `part`, as in
    /// [`IndexDefinition::stored`].
    pub fn stored_part<'a>(&self, part: usize, kind: CellKind, text: &'a str) -> Option<Cow<'a, str>> {
        self.stored_as(*self.parts.get(part)?, kind, text)
    }

    fn stored_as<'a>(&self, column: ColumnKind, kind: CellKind, text: &'a str) -> Option<Cow<'a, str>> {
        let canonical = match kind {
            CellKind::Null | CellKind::Json | CellKind::Invalid => return None,
            CellKind::Integer | CellKind::Number => number(text),
            CellKind::Boolean => Cow::Borrowed(text),
            CellKind::Text => self.by_column(column, text),
        };
        normalize(&self.normalize, canonical)
    }

    /// The text to look up for the requested value `text`, or `None` when no record can hold it: a NUL
    /// character, for one. The value of an index with `hash` is requested by its hash.
    pub fn requested<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        match self.hash {
            Some(_) => hash::read(text).map(Cow::Owned),
            None => self.normalized(text),
        }
    }

    /// The normalised text of the requested value `text`: what an index with `hash` hashes.
    pub fn normalized<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        if text.contains('\0') {
            return None;
        }
        if self.parts.is_empty() {
            return normalize(&self.normalize, self.by_column(self.kind, text));
        }
        let mut parts = compound::parts(text);
        let mut joined = String::with_capacity(text.len());
        for (at, &kind) in self.parts.iter().enumerate() {
            let part = parts.next()??;
            let part = normalize(&self.normalize, self.by_column(kind, &part))?;
            compound::push_part(&mut joined, at == 0, &part);
        }
        parts.next().is_none().then_some(Cow::Owned(joined))
    }

    /// The canonical text of a column's value. Trimming comes first, because leading zeros can follow white space.
    fn by_column<'a>(&self, kind: ColumnKind, text: &'a str) -> Cow<'a, str> {
        let text = if self.normalize.contains(&NormalForm::Trim) { text.trim() } else { text };
        by_column(kind, text)
    }
}

fn by_column(kind: ColumnKind, text: &str) -> Cow<'_, str> {
    match kind {
        ColumnKind::Integer | ColumnKind::Number => number(text),
        ColumnKind::Uuid if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Cow::Owned(text.to_ascii_lowercase())
        }
        _ => Cow::Borrowed(text),
    }
}

fn normalize<'a>(forms: &[NormalForm], mut value: Cow<'a, str>) -> Option<Cow<'a, str>> {
    for form in forms {
        value = match form {
            NormalForm::Trim => match value {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
                Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
            },
            NormalForm::Lowercase if is_lowercase_ascii(&value) => value,
            NormalForm::Lowercase => Cow::Owned(value.to_lowercase()),
            NormalForm::Nfc if value.is_ascii() => value,
            NormalForm::Nfc => Cow::Owned(ComposingNormalizer::new_nfc().normalize(&value).into_owned()),
            NormalForm::Casefold if value.is_ascii() => match value {
                lower if is_lowercase_ascii(&lower) => lower,
                upper => Cow::Owned(upper.to_ascii_lowercase()),
            },
            NormalForm::Casefold => {
                let decomposed = DecomposingNormalizer::new_nfd().normalize(&value).into_owned();
                let folded = CaseMapper::new().fold_string(&decomposed).into_owned();
                Cow::Owned(ComposingNormalizer::new_nfc().normalize(&folded).into_owned())
            }
            NormalForm::Integer => match whole(&value)? {
                Cow::Borrowed(_) => value,
                Cow::Owned(text) => Cow::Owned(text),
            },
        };
    }
    (!value.is_empty()).then_some(value)
}

fn is_lowercase_ascii(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
}

/// The canonical text of a number: that of [`whole`], or its digits without an exponent (`1.50e-1` → `0.150`). A text
/// that is no number stays.
pub fn number(text: &str) -> Cow<'_, str> {
    match written_out(text) {
        Some(digits) => Cow::Owned(whole(&digits).map_or_else(|| digits.clone(), Cow::into_owned)),
        None => whole(text).unwrap_or(Cow::Borrowed(text)),
    }
}

/// The digits of a number that has an exponent.
fn written_out(text: &str) -> Option<String> {
    if !text.contains(['e', 'E']) {
        return None;
    }
    let text = text.strip_prefix('+').filter(|text| !text.starts_with('-')).unwrap_or(text);
    let mut digits = Vec::new();
    let length = json::number(text.as_bytes(), &mut digits).ok()?;
    String::from_utf8(digits).ok().filter(|_| length == text.len())
}

/// The canonical text of a whole number: `+007.00` → `7`, `-0` → `0`, `1.5e3` → `1500`. `None` when `text` is
/// not a whole number. Borrowed when `text` is canonical already.
pub fn whole(text: &str) -> Option<Cow<'_, str>> {
    if let Some(digits) = written_out(text) {
        return Some(Cow::Owned(whole(&digits)?.into_owned()));
    }
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (digits, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_whole = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte == b'0');
    if !is_whole {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let significant = if significant.is_empty() { "0" } else { significant };
    let negative = negative && significant != "0";
    if text.len() == significant.len() + usize::from(negative) {
        return Some(Cow::Borrowed(text));
    }
    Some(Cow::Owned(if negative { format!("-{significant}") } else { significant.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(kind: ColumnKind, normalize: &[NormalForm]) -> IndexDefinition {
        let plain = IndexDefinition::plain(IndexName::new("id").unwrap(), "c", kind);
        IndexDefinition { normalize: normalize.to_vec(), ..plain }
    }

    #[test]
    fn whole_numbers_have_one_text() {
        for (text, expected) in [
            ("7", Some("7")),
            ("+007", Some("7")),
            ("-0", Some("0")),
            ("000", Some("0")),
            ("-12.000", Some("-12")),
            ("12.", None),
            (".0", None),
            ("1.5", None),
            ("1e3", Some("1000")),
            ("-1.50E+2", Some("-150")),
            ("+2E0", Some("2")),
            ("0e-5", Some("0")),
            ("+-1e2", None),
            ("1e-2", None),
            ("1e", None),
            ("1e3x", None),
            ("1e999999999", None),
            ("", None),
            ("-", None),
            ("123456789012345678901234567890", Some("123456789012345678901234567890")),
        ] {
            assert_eq!(whole(text).as_deref(), expected, "{text}");
        }
    }

    /// Floats of a source have an exponent far from 1, and requests as their client writes them.
    #[test]
    fn numbers_with_an_exponent_are_compared_by_their_digits() {
        let column = index(ColumnKind::Number, &[]);
        for (texts, expected) in [
            (&["1.5e-10", "0.00000000015", "15e-11", "+1.5E-10"][..], "0.00000000015"),
            (&["1e+22", "1E22", "10000000000000000000000", "+1.0e22"], "10000000000000000000000"),
            (&["12.5", "1.25e1", "125e-1"], "12.5"),
            (&["-1.5", "-15e-1"], "-1.5"),
            (&["0", "-0", "-0.0", "0e-5", "-0.0e+3", "0.00"], "0"),
            (&["1.50", "15.0e-1"], "1.50"),
            (&["1e5x", "1e5x"], "1e5x"),
        ] {
            for text in texts {
                assert_eq!(column.stored(CellKind::Number, text).as_deref(), Some(expected), "{text}");
                assert_eq!(column.requested(text).as_deref(), Some(expected), "{text}");
            }
        }
        assert_eq!(index(ColumnKind::Text, &[]).requested("1e2").as_deref(), Some("1e2"), "a text");
    }

    #[test]
    fn stored_and_requested_values_agree() {
        use NormalForm::{Integer, Lowercase, Trim};
        let email = index(ColumnKind::Text, &[Trim, Lowercase]);
        assert_eq!(email.stored(CellKind::Text, " Jäne@EX.com ").as_deref(), Some("jäne@ex.com"));
        assert_eq!(email.requested("jÄNE@ex.com").as_deref(), Some("jäne@ex.com"));
        assert_eq!(email.stored(CellKind::Text, "  "), None);
        // The texts of each line are equal for people.
        for (forms, texts) in [
            (&[NormalForm::Nfc][..], &["Jos\u{e9}", "Jose\u{301}"][..]),
            (&[NormalForm::Nfc], &["\u{212b}", "\u{c5}", "A\u{30a}"]),
            (&[NormalForm::Casefold], &["JOSE\u{301}@ex.com", "jos\u{e9}@EX.com", "JOS\u{c9}@ex.com"]),
            (&[NormalForm::Casefold], &["ΟΔΥΣΣΕΥΣ", "οδυσσευς", "οδυσσευσ"]),
            (&[NormalForm::Casefold], &["STRASSE", "straße", "Strasse"]),
            (&[NormalForm::Casefold], &["\u{1e9b}\u{323}", "\u{1e69}"]),
            (&[Trim, NormalForm::Casefold], &[" Ab ", "aB"]),
        ] {
            let index = index(ColumnKind::Text, forms);
            let found: Vec<_> =
                texts.iter().map(|text| index.requested(text).unwrap().into_owned()).collect();
            for (text, found_one) in texts.iter().zip(&found) {
                assert_eq!(found_one, &found[0], "{texts:?}");
                assert_eq!(index.stored(CellKind::Text, text).as_deref(), Some(found[0].as_str()), "{text}");
                assert_eq!(index.requested(found_one).as_deref(), Some(found[0].as_str()), "idempotent");
            }
        }
        let plain = index(ColumnKind::Text, &[]);
        assert_eq!(plain.requested("a\0b"), None);
        assert_ne!(plain.requested("Jos\u{e9}"), plain.requested("Jose\u{301}"));
        let number = index(ColumnKind::Number, &[]);
        assert_eq!(number.stored(CellKind::Number, "1e+21"), number.requested("1000000000000000000000"));
        let id = index(ColumnKind::Integer, &[]);
        assert_eq!(id.stored(CellKind::Integer, "12").as_deref(), Some("12"));
        assert_eq!(id.requested("0012").as_deref(), Some("12"));
        let trimmed = index(ColumnKind::Integer, &[NormalForm::Trim]);
        assert_eq!(trimmed.requested(" 0012 ").as_deref(), Some("12"));
        assert_eq!(trimmed.stored(CellKind::Text, " 0012").as_deref(), Some("12"));
        let uuid = index(ColumnKind::Uuid, &[]);
        assert_eq!(uuid.requested("AB-1").as_deref(), Some("ab-1"));
        let text = index(ColumnKind::Text, &[Integer]);
        assert_eq!(text.stored(CellKind::Text, "007").as_deref(), Some("7"));
        assert_eq!(text.stored(CellKind::Text, "x"), None);
        let number = index(ColumnKind::Number, &[]);
        assert_eq!(number.stored(CellKind::Number, "12.00").as_deref(), Some("12"));
        assert_eq!(number.stored(CellKind::Null, ""), None);
    }

    #[test]
    fn compound_values_are_normalised_part_by_part() {
        let forms = [NormalForm::Trim, NormalForm::Lowercase];
        let parts = vec![ColumnKind::Text, ColumnKind::Integer];
        let index = IndexDefinition { parts, ..index(ColumnKind::Text, &forms) };
        assert_eq!(index.stored_part(0, CellKind::Text, " US ").as_deref(), Some("us"));
        for (requested, expected) in [
            (" US,007", Some("us,7")),
            ("us,+7.0", Some("us,7")),
            ("a~1b~0,1", Some("a~1b~0,1")),
            ("us", None),
            ("us,", None),
            (",7", None),
            ("us,7,8", None),
            ("u~s,7", None),
        ] {
            assert_eq!(index.requested(requested).as_deref(), expected, "{requested}");
        }
        let hashed = IndexDefinition { hash: Some(IndexHash::Sha256), ..index };
        assert_eq!(hashed.normalized("US,07").as_deref(), Some("us,7"));
        let hash = "AB".repeat(32);
        assert_eq!(hashed.requested(&hash).unwrap(), hash.to_lowercase());
        assert_eq!(hashed.requested("us,7"), None);
    }

    #[test]
    fn plain_index_is_written_as_by_earlier_builds() {
        let written = serde_json::to_string(&index(ColumnKind::Text, &[])).unwrap();
        assert_eq!(written, r#"{"name":"id","column":"c","each":false,"normalize":[],"kind":"text"}"#);
        assert_eq!(serde_json::from_str::<IndexDefinition>(&written).unwrap(), index(ColumnKind::Text, &[]));
    }
}
