//! Trino's errors, by their names (`StandardErrorCode` of Trino).

use serde::Deserialize;

use crate::{
    source::error::{Error, WORDS_CHARS_MAX, cause, database_words, of_database},
    support::result_code::{Meaning, Phase},
};

/// The error of a query, as a page has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::source) struct Words {
    #[serde(default)]
    pub(in crate::source) message: String,
    #[serde(default)]
    pub(in crate::source) error_name: String,
    #[serde(default)]
    pub(in crate::source) error_type: String,
}

/// What names mean, and whether their messages hold names of the query at most.
const NAMES: &[(Meaning, &[&str])] = &[
    (Meaning::UnknownTable, &["TABLE_NOT_FOUND", "SCHEMA_NOT_FOUND"]),
    (Meaning::UnknownDatabase, &["CATALOG_NOT_FOUND", "MISSING_CATALOG_NAME", "MISSING_SCHEMA_NAME"]),
    (Meaning::UnknownColumn, &["COLUMN_NOT_FOUND"]),
    (Meaning::Syntax, &["SYNTAX_ERROR"]),
    (Meaning::PermissionDenied, &["PERMISSION_DENIED"]),
    (
        Meaning::Cancelled,
        &["USER_CANCELED", "ADMINISTRATIVELY_KILLED", "ADMINISTRATIVELY_PREEMPTED", "ABANDONED_QUERY"],
    ),
    (Meaning::ReadOnly, &["READ_ONLY_VIOLATION"]),
];
const TIMEOUTS: [&str; 2] = ["EXCEEDED_TIME_LIMIT", "EXCEEDED_RUN_TIME_LIMIT"];

/// The error of a query.
pub(in crate::source) fn of(words: &Words, phase: Phase) -> Error {
    let name = &*words.error_name;
    let known = NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(meaning, _)| *meaning);
    let meaning = known.unwrap_or(match (&*words.error_type, phase) {
        ("INSUFFICIENT_RESOURCES" | "EXTERNAL", _) => Meaning::Unavailable,
        ("USER_ERROR", Phase::Planning) => Meaning::Statement,
        ("USER_ERROR", _) => Meaning::Data,
        _ => Meaning::Other,
    });
    // Messages of data quote values.
    let is_shown = phase != Phase::Reading || known.is_some();
    let message: String = words.message.chars().take(WORDS_CHARS_MAX).collect();
    let words = database_words(name, "", is_shown.then_some(&*message));
    match meaning {
        _ if TIMEOUTS.contains(&name) => Error::new(cause::STATEMENT_TIMEOUT, words)
            .with_hint("make the query faster or raise the source's statement_timeout"),
        Meaning::UnknownDatabase => {
            of_database(meaning, words).with_hint("check the source's `catalog` and `schema`")
        }
        Meaning::PermissionDenied => {
            of_database(meaning, words).with_hint("grant SELECT on it to the source's `user`")
        }
        meaning => of_database(meaning, words),
    }
}
