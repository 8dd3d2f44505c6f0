//! ClickHouse's exceptions: `Code: 60. DB::Exception: words. (NAME) (version ...)`.
//!
//! Codes are those of `src/Common/ErrorCodes.cpp` of ClickHouse.

use crate::{
    source::error::{Error, WORDS_CHARS_MAX, cause, database_words, of_database},
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

/// The code of a query that took longer than `max_execution_time`.
const TIMEOUT_EXCEEDED: u32 = 159;

/// Reads an exception. `None` when `text` is none.
pub(super) fn read(text: &[u8], phase: Phase, address: &str) -> Option<Error> {
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once("Code: ")?;
    let (code, rest) = rest.split_once(". ")?;
    let code: u32 = code.parse().ok()?;
    let (message, name) = parts(rest);
    let found = CODES.iter().find(|(_, codes)| codes.contains(&code)).map(|(meaning, _)| *meaning);
    let meaning = found.unwrap_or(match phase {
        Phase::Reading => Meaning::Other,
        _ => Meaning::Statement,
    });
    let is_login = matches!(meaning, Meaning::WrongPassword | Meaning::LoginRefused);
    // A query is planned with the values of its scalar subqueries: other words may quote one.
    let is_of_schema = found.is_some_and(|meaning| meaning != Meaning::Data);
    let is_shown = is_login || (is_of_schema && phase != Phase::Reading);
    let words = database_words(&code.to_string(), name, is_shown.then_some(&*message));
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

/// The words and the name of an exception, without class and version.
fn parts(text: &str) -> (String, &str) {
    let text = text.split_once(" (version ").map_or(text, |(text, _)| text).trim_end();
    let (words, name) = match text.strip_suffix(')').and_then(|text| text.rsplit_once('(')) {
        Some((words, name))
            if name.bytes().all(|byte| byte.is_ascii_uppercase() || b"_0123456789".contains(&byte)) =>
        {
            (words, name)
        }
        _ => (text, ""),
    };
    let words = words.strip_prefix("DB::Exception: ").unwrap_or(words);
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    (words.trim_end_matches('.').chars().take(WORDS_CHARS_MAX).collect(), name)
}
