//! Parses TOML into a [`Table`] with places, and reports every fault of grammar.
//!
//! Crate `toml` sorts tables by key; the places of the keys restore the order of the file.

use std::{ops::Range, path::Path, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use toml_parser::{Source, lexer::TokenKind};

use crate::settings::{Entry, Environment, Fault, Node, Place, Report, Table, Text, Value};

/// Most dots of one key. Inline tables are bounded by the parser, dotted keys are not, and a tree
/// of any depth would overflow the stack.
const KEY_DOTS_MAX: usize = 16;

/// The tree of `text`, or `None` after reporting why it is not TOML.
pub(super) fn parse(text: &str, path: &Arc<Path>, env: &Environment, report: &Report) -> Option<Table> {
    let places = Places::new(text, path);
    let grammar = |at: usize, message: &str| {
        let place = places.at(at);
        report.push(Fault { place, message: message.to_owned(), ..Fault::default() });
    };
    if let Some(at) = too_many_dots(text) {
        grammar(at, "a key with more than 16 dots");
        return None;
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        grammar(error.span().map_or(0, |span| span.start), error.message());
    }
    let read = Reader { place: &|at| places.at(at), text: &|raw| Text::interpolate(raw, env) };
    errors.is_empty().then(|| read.table(root.get_ref()))
}

/// The tree of a flag's text, in which variables are not replaced; `None` when it is not TOML.
pub(super) fn parse_flag(text: &str, flag: &'static str) -> Option<Table> {
    let root = DeTable::parse(text).ok().filter(|_| too_many_dots(text).is_none())?;
    Some(Reader { place: &|_| Place::Flag(flag), text: &Text::plain }.table(root.get_ref()))
}

/// Converts offsets to places, and strings to texts.
struct Reader<'a> {
    place: &'a dyn Fn(usize) -> Place,
    text: &'a dyn Fn(&str) -> Text,
}

impl Reader<'_> {
    fn table(&self, from: &DeTable<'_>) -> Table {
        let mut entries: Vec<_> = from.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (&Spanned<_>, &Spanned<_>)| Entry {
            key: AsRef::<str>::as_ref(key.get_ref()).to_owned(),
            key_place: (self.place)(key.span().start),
            node: self.node(value),
        };
        Table(entries.into_iter().map(entry).collect())
    }

    fn node(&self, from: &Spanned<DeValue<'_>>) -> Node {
        let value = match from.get_ref() {
            DeValue::String(raw) => Value::String((self.text)(raw)),
            DeValue::Integer(integer) => {
                i64::from_str_radix(integer.as_str(), integer.radix()).map_or(Value::TooLarge, Value::Integer)
            }
            DeValue::Float(float) => match float.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => Value::Float(number),
                // Infinities and NaN are legal TOML; nothing here can use them.
                _ => Value::TooLarge,
            },
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(datetime) => Value::Datetime(datetime.to_string()),
            DeValue::Array(array) => Value::Array(array.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(inner) => Value::Table(self.table(inner)),
        };
        Node { place: (self.place)(from.span().start), value }
    }
}

/// Turns byte offsets into lines and columns.
struct Places<'a> {
    text: &'a str,
    path: &'a Arc<Path>,
    line_starts: Vec<usize>,
}

impl<'a> Places<'a> {
    fn new(text: &'a str, path: &'a Arc<Path>) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { text, path, line_starts }
    }

    fn at(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        let before: Range<usize> = start..offset.min(self.text.len());
        let column = self.text.get(before).map_or(0, |before| before.chars().count()) + 1;
        Place::File { path: Arc::clone(self.path), line: line as u32, column: column as u32 }
    }
}

/// The offset of a key with more than [`KEY_DOTS_MAX`] dots.
fn too_many_dots(text: &str) -> Option<usize> {
    let mut dots = 0;
    Source::new(text).lex().find_map(|token| {
        use TokenKind::{Atom, BasicString, Dot, LiteralString, Whitespace};
        dots = match token.kind() {
            Dot => dots + 1,
            // Parts of a key, or of the space between them. All others end it.
            Atom | BasicString | LiteralString | Whitespace => dots,
            _ => 0,
        };
        (dots > KEY_DOTS_MAX).then(|| token.span().start())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Table, String> {
        let report = Report::default();
        let table = parse(text, &Path::new("t.toml").into(), &Environment::default(), &report);
        report.into_result(table).map_err(|faults| faults.to_string())
    }

    #[test]
    fn entries_keep_the_order_of_the_file() {
        let table = parsed("[z]\nb = 1\na.y = 2\na.x = 3\n[y]\n[\"a b\"]\n").unwrap();
        let keys = |table: &Table| table.0.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&table), ["z", "y", "a b"]);
        assert_eq!(keys(table.table("z").unwrap()), ["b", "a"]);
        assert_eq!(keys(table.table("z").unwrap().table("a").unwrap()), ["y", "x"]);
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let table = parsed("# é\n\n[a]\n  \"é\" = 'x'\n").unwrap();
        let entry = &table.table("a").unwrap().0[0];
        assert_eq!(entry.key_place.to_string(), "t.toml:4:3");
        assert_eq!(entry.node.place.to_string(), "t.toml:4:9");
    }

    #[test]
    fn every_fault_of_grammar_is_reported() {
        let faults = parsed("a = \nb = 1\nb = 2\n[c\n").unwrap_err();
        assert_eq!(faults.lines().count(), 3, "{faults}");
        assert!(faults.contains("t.toml:3:1  duplicate key"), "{faults}");
    }

    #[test]
    fn endless_dotted_keys_are_refused_and_dots_elsewhere_are_not() {
        for (text, good) in [
            (format!("a{} = 1", ".a".repeat(16)), true),
            (format!("a{} = 1", ".a".repeat(17)), false),
            (format!("[a{}]", ".'b'".repeat(100_000)), false),
            (format!("x = {{ a{} = 1 }}", " . \"b\"".repeat(17)), false),
            (format!("a = \"{}\"", ".".repeat(100)), true),
            (format!("a = '''\n'{}''' # {}", ".".repeat(100), ".".repeat(100)), true),
            (format!("a = \"\"\"\\\"\"\"\"\nb = [{}]", "1.5,".repeat(100)), true),
        ] {
            assert_eq!(parsed(&text).is_ok(), good, "{text}");
        }
    }
}
