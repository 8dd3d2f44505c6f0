//! The fields of the forms: which settings of a source, model or sync have one, and how each is written.

use crate::{
    admin::{Question, questions},
    domain::StoredSection,
};

/// The field with the settings that have none of their own.
pub(super) const OTHER: &str = "other";
/// The field with the name of a new entry.
pub const NAME: &str = "name";
/// The setting that chooses the fields of a source.
pub const TYPE: &str = "type";
/// Names the fields whose stored secret stays when they are left empty.
pub const KEPT: &str = "kept";

/// The field with the record that answers a miss, if the choice is [`RECORD`].
pub(super) const MISS_RECORD: &str = "miss_record";
/// The choice of a record, and its key in the setting.
pub(super) const RECORD: &str = "record";

/// How a setting is written in its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string, in one line.
    Line,
    /// A string that is not shown while it is written.
    Password,
    /// A string of several lines, such as SQL.
    Text,
    /// A share of a whole: a percentage, or a number.
    Share,
    /// Strings, with commas between them.
    List,
    /// The indexes of a collection: a row for each.
    Indexes,
    /// One of these, each with the words for it; empty is the default.
    Choice(&'static [(&'static str, &'static str)]),
    /// `false` or `true`, with the words for each, and before them those for the default.
    Flag(&'static [(&'static str, &'static str)]),
    /// A string, for which the columns of the model are suggested.
    Column,
    /// The fields of a record: a row for each.
    Fields,
    /// The answer to a miss: a word, or a record in [`MISS_RECORD`].
    Miss,
    /// One of the configured sources.
    Source,
    /// One of the configured models.
    Model,
}

/// A field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
    pub(super) kind: Kind,
}

const fn input(key: &'static str, label: &'static str, hint: &'static str, kind: Kind) -> Input {
    Input { key, label, hint, kind }
}

const MODEL: &[Input] = &[
    input("source", "Source", "Where the rows are read from.", Kind::Source),
    input(
        "table",
        "Table",
        "A table or view as the source names it, or a file. Leave it empty to write SQL.",
        Kind::Line,
    ),
    input("sql", "SQL", "One select statement, instead of a table.", Kind::Text),
    input("columns", "Columns", "Of the table, with commas between them. Empty: all.", Kind::List),
    input(
        "primary_key",
        "Primary key",
        "The column whose value is unique. Rows without one are rejected.",
        Kind::Column,
    ),
];

/// The choice of what `[defaults.sync]` has.
const DEFAULT: &str = "As the defaults say";
const ON_DELETE: &[(&str, &str)] = &[
    ("", DEFAULT),
    ("delete", "Remove the record"),
    ("keep", "Keep the record as it is"),
    ("clear", "Keep it, and set every field to null except those of keys and indexes"),
];
/// The answers to a miss.
pub(super) const ON_MISS: &[(&str, &str)] = &[
    ("", DEFAULT),
    ("not_found", "No record: 404"),
    ("empty", "An empty record: 200 and {}"),
    (RECORD, "The record of the next field: 200"),
];
const NULLS: &[(&str, &str)] = &[("", "Null"), ("omit", "Left out of the record")];
const NUMBERS: &[(&str, &str)] = &[("", "Numbers"), ("string", "Strings, so that no reader rounds them")];
const ALLOW_EMPTY: &[(&str, &str)] =
    &[("", DEFAULT), ("false", "Hold it for approval"), ("true", "Announce it")];

const SYNC: &[Input] = &[
    input("model", "Model", "The rows that become records.", Kind::Model),
    input(
        "indexes",
        "Indexes",
        "How records are found. The first is the primary one, and is on the primary key of the model.",
        Kind::Indexes,
    ),
    input(
        "fields",
        "Fields",
        "The fields of a record, in their order. A dot in a name nests: address.city. Without any field, a record has every \
         column under its own name.",
        Kind::Fields,
    ),
    input("nulls", "Fields without a value", "What a record has for them.", Kind::Choice(NULLS)),
    input("numbers", "Numbers of columns", "What a record has for them.", Kind::Choice(NUMBERS)),
    input(
        "schedule",
        "Schedule",
        "every 15m, or manual. Empty: manual, or the times of the next field.",
        Kind::Line,
    ),
    input(
        "cron",
        "Times",
        "Instead of a schedule: minute, hour, day, month, weekday, such as 30 2 * * MON-FRI.",
        Kind::Line,
    ),
    input("timezone", "Time zone of these times", "Such as Europe/Berlin. Empty: UTC.", Kind::Line),
    input("on_delete", "When a row is gone", "What happens to its record.", Kind::Choice(ON_DELETE)),
    input("on_miss", "When a value has no record", "What a reader gets.", Kind::Miss),
    input(
        "regions",
        "Regions",
        "Those that serve the collection, with commas between them. Empty: all.",
        Kind::List,
    ),
    input(
        "max_removed",
        "Largest share removed",
        "A run that would remove more is held for approval. Empty: 30%.",
        Kind::Share,
    ),
    input(
        "max_rejected",
        "Largest share rejected",
        "A run that rejects a larger share of its rows is held for approval. Empty: 10%.",
        Kind::Share,
    ),
    input("allow_empty", "A first run without rows", "What happens to it.", Kind::Flag(ALLOW_EMPTY)),
];

/// The fields of a section, and for sources of the type.
pub(super) fn inputs(section: StoredSection, source_type: &str) -> Vec<Input> {
    match section {
        StoredSection::Sources => {
            // A key of a table is among the others.
            let asked = questions(source_type).iter().filter(|asked| !asked.key.contains('.'));
            // A URL is read while it is written, with its password.
            let kind = |asked: &Question| {
                if asked.is_secret && asked.example.is_empty() { Kind::Password } else { Kind::Line }
            };
            asked.map(|asked| input(asked.key, asked.label, asked.example, kind(asked))).collect()
        }
        StoredSection::Models => MODEL.to_vec(),
        StoredSection::Syncs => SYNC.to_vec(),
    }
}
