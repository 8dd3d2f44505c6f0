//! ClickHouse's exceptions: `Code: 60. DB::Exception: words. (NAME) (version ...)`.
//!
//! Codes are those of `src/Common/ErrorCodes.cpp` of ClickHouse. Its words are not shown: a query is planned with the values
//! of its scalar subqueries and dictionaries, and any word may be one of them. Names that the query itself has are shown,
//! and line and column.

use std::collections::HashSet;

use super::pinned;
use crate::{
    source::error::{Error, cause, database_words, of_database},
    support::result_code::{Meaning, Phase},
};

/// What codes mean; all others are a fault of the statement while it is planned, and of its data later.
const CODES: &[(Meaning, &[u32])] = &[
    (Meaning::UnknownTable, &[60]),
    (Meaning::UnknownDatabase, &[81]),
    (Meaning::UnknownColumn, &[8, 10, 16, 47]),
    (Meaning::Syntax, &[62]),
    (Meaning::WrongPassword, &[193, 194, 516]),
    (Meaning::LoginRefused, &[192, 195, 291]),
    (Meaning::PermissionDenied, &[291, 497]),
    (Meaning::ReadOnly, &[164, 242]),
    (Meaning::Cancelled, &[394, 236]),
    // Limits of memory, connections and quotas, lost replicas and shards.
    (Meaning::Unavailable, &[159, 160, 201, 202, 203, 209, 210, 225, 241, 243, 279, 373, 999]),
    (Meaning::Data, &[6, 27, 38, 41, 53, 69, 72, 131, 153, 307, 321, 349, 395, 407]),
    (Meaning::Damaged, &[40, 228, 246, 271]),
    // Functions, their arguments' number and types, settings, aliases, aggregates.
    (Meaning::Statement, &[42, 43, 46, 48, 63, 115, 179, 184, 207, 215, 386]),
];

/// The codes of a setting that the user may not change.
const SETTING_REFUSED: [u32; 2] = [164, 452];
/// Most names of a message that are shown.
const NAMES_MAX: usize = 8;
/// Where the part of a message ends that names what is wrong.
const ENDS: [&str; 4] = ["In scope ", "(in query", "Maybe you meant", " (version "];
/// Words before a name that has no quotes.
const BEFORE_NAMES: [&str; 4] = ["Database", "Table", "function", "table"];

/// The code of a query that took longer than `max_execution_time`.
const TIMEOUT_EXCEEDED: u32 = 159;

/// Reads the exception of the query `sql`. `None` when `text` is none.
pub(super) fn read(text: &[u8], sql: &str, phase: Phase, address: &str) -> Option<Error> {
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once("Code: ")?;
    let (code, rest) = rest.split_once(". ")?;
    let code: u32 = code.parse().ok()?;
    let message = ENDS.iter().fold(rest, |message, end| message.split(end).next().unwrap_or_default());
    let found = CODES.iter().find(|(_, codes)| codes.contains(&code)).map(|(meaning, _)| *meaning);
    let meaning = found.unwrap_or(match phase {
        Phase::Reading => Meaning::Other,
        _ => Meaning::Statement,
    });
    let mut words = database_words(&code.to_string(), class(rest), None);
    for part in names(message, sql).into_iter().chain(place(message, sql)) {
        words.push_str(if words.contains(": ") { ", " } else { ": " });
        words.push_str(&part);
    }
    if SETTING_REFUSED.contains(&code)
        && let Some(name) = pinned::named(message)
    {
        return Some(
            Error::new(
                cause::PERMISSION_DENIED,
                format!("the user may not change the setting {name}: {words}"),
            )
            .with_hint("let the source's `user` change settings of its own queries (readonly = 2)"),
        );
    }
    Some(match meaning {
        _ if code == TIMEOUT_EXCEEDED => Error::new(cause::STATEMENT_TIMEOUT, words)
            .with_hint("make the query faster or raise the source's statement_timeout"),
        Meaning::WrongPassword | Meaning::LoginRefused => {
            Error::new(cause::WRONG_PASSWORD, format!("{address} refused the login: {words}"))
                .with_hint("check the source's `user` and `password`")
        }
        Meaning::UnknownDatabase => {
            Error::new(cause::UNKNOWN_DATABASE, words).with_hint("check the source's `database`")
        }
        Meaning::PermissionDenied => {
            Error::new(cause::PERMISSION_DENIED, words).with_hint("grant SELECT on it to the source's `user`")
        }
        meaning => of_database(meaning, words),
    })
}

/// The name of an exception's code, which is at its end.
fn class(text: &str) -> &str {
    let text = text.rsplit_once(" (version ").map_or(text, |(text, _)| text).trim_end();
    let name = text.strip_suffix(')').and_then(|text| text.rsplit_once('(')).map_or("", |(_, name)| name);
    let is_name = name.bytes().all(|byte| byte.is_ascii_uppercase() || b"_0123456789".contains(&byte));
    if is_name { name } else { "" }
}

/// What a message names and the query names, too: such a name is no secret, even if a row holds it.
fn names(message: &str, sql: &str) -> Vec<String> {
    let is_of_word = |char: char| char.is_alphanumeric() || char == '_';
    let known: HashSet<&str> = sql.split(|char| !is_of_word(char)).collect();
    let (mut names, mut before) = (Vec::new(), "");
    for piece in message.split_inclusive(|char: char| !is_of_word(char) && char != '.') {
        let word = piece.trim_end_matches(|char: char| !is_of_word(char));
        let is_name = before.ends_with(['\'', '`', '"']) || word.contains('.') || {
            BEFORE_NAMES.contains(&before.trim_end())
        };
        let parts: Vec<_> = word.split('.').filter(|part| !part.is_empty() && known.contains(part)).collect();
        let name = parts.join(".");
        if is_name && !name.is_empty() && !names.contains(&name) && names.len() < NAMES_MAX {
            names.push(name);
        }
        before = piece;
    }
    names
}

/// Where in the query a message sees its fault. The query begins in the second line of what is sent.
fn place(message: &str, sql: &str) -> Option<String> {
    let (line, column) = message.split_once("(line ")?.1.split_once(')')?.0.split_once(", col ")?;
    let (line, column) = (line.parse::<usize>().ok()?.checked_sub(1)?, column.parse::<usize>().ok()?);
    let is_after = line > sql.lines().count();
    Some(if is_after { "at its end".to_owned() } else { format!("line {line}, column {column}") })
}
