//! Errors of statements and of the API.

use serde::Deserialize;

use crate::{
    source::error::{Error, WORDS_CHARS_MAX, cause, connection_lost, database_words, of_database},
    support::result_code::{Meaning, Phase, ResultCode},
};

/// An error, of a statement and of the API alike.
#[derive(Deserialize)]
pub(super) struct Words {
    #[serde(default)]
    error_code: String,
    #[serde(default)]
    message: String,
}

/// Classes of errors, which messages begin with, for servers that give no SQLSTATE.
const CLASSES: &[(&str, Meaning)] = &[
    ("[TABLE_OR_VIEW_NOT_FOUND]", Meaning::UnknownTable),
    ("[SCHEMA_NOT_FOUND]", Meaning::UnknownTable),
    ("[NO_SUCH_CATALOG", Meaning::UnknownDatabase),
    ("[UNRESOLVED_COLUMN", Meaning::UnknownColumn),
    ("[PARSE_SYNTAX_ERROR]", Meaning::Syntax),
    ("[INSUFFICIENT_PERMISSIONS]", Meaning::PermissionDenied),
    ("[QUERY_EXECUTION_TIMEOUT_EXCEEDED]", Meaning::SessionTimeout),
];

/// The error of a statement that ended in `state`.
pub(super) fn of_statement(
    state: &str,
    words: Option<&Words>,
    sqlstate: Option<&str>,
    phase: Phase,
) -> Error {
    let Some(words) = words else {
        return match state {
            "CANCELED" => {
                of_database(Meaning::Cancelled, "by an administrator, or a limit of the warehouse".to_owned())
            }
            _ => connection_lost(format_args!("the statement ended as {state}")),
        };
    };
    let class = CLASSES.iter().find(|(start, _)| words.message.starts_with(start));
    let code = sqlstate.map(ResultCode::of_sqlstate);
    let meaning = class.map(|(_, meaning)| *meaning).or(code.map(|code| code.meaning));
    let meaning = meaning.unwrap_or(match (&*words.error_code, phase) {
        ("RESOURCE_EXHAUSTED" | "TEMPORARILY_UNAVAILABLE" | "SERVICE_UNDER_MAINTENANCE", _) => {
            Meaning::Unavailable
        }
        ("CANCELLED" | "ABORTED" | "DEADLINE_EXCEEDED", _) => Meaning::Cancelled,
        (_, Phase::Planning) => Meaning::Statement,
        _ => Meaning::Other,
    });
    // Messages of data quote values.
    let is_shown = phase != Phase::Reading || class.is_some();
    let message: String = words.message.chars().take(WORDS_CHARS_MAX).collect();
    let code = sqlstate.unwrap_or(&words.error_code);
    let words = database_words(code, &words.error_code, is_shown.then_some(&*message));
    match meaning {
        Meaning::UnknownDatabase => {
            of_database(meaning, words).with_hint("check the source's `catalog` and `schema`")
        }
        Meaning::SessionTimeout => Error::new(cause::SESSION_TIMEOUT, words)
            .with_hint("raise STATEMENT_TIMEOUT of the warehouse, or make the query faster"),
        Meaning::PermissionDenied => of_database(meaning, words)
            .with_hint("grant SELECT on it, USE SCHEMA and USE CATALOG to the source's user"),
        meaning => of_database(meaning, words),
    }
}

/// The error of a request that the API refused; `None` when the answer does not say why.
pub(super) fn of_refusal(body: &[u8], phase: Phase) -> Option<Error> {
    let words: Words = serde_json::from_slice(body).ok()?;
    let message =
        |what: &str| format!("{what}: {}", database_words(&words.error_code, "", Some(&words.message)));
    Some(match &*words.error_code {
        "UNAUTHENTICATED" | "INVALID_TOKEN" => {
            Error::new(cause::WRONG_PASSWORD, message("the workspace refused the login"))
                .with_hint("check `token`, or `client_id` and `client_secret`")
        }
        "PERMISSION_DENIED" => {
            Error::new(cause::PERMISSION_DENIED, message("the workspace refused the request"))
                .with_hint("grant CAN USE on the warehouse to the source's user")
        }
        "RESOURCE_DOES_NOT_EXIST" | "NOT_FOUND" => {
            Error::new(cause::UNKNOWN_DATABASE, message("the workspace does not have it"))
                .with_hint("check `warehouse` of the source")
        }
        "RESOURCE_EXHAUSTED" | "TEMPORARILY_UNAVAILABLE" => {
            of_database(Meaning::Unavailable, words.message.clone())
        }
        "" => return None,
        _ => return Some(of_statement("FAILED", Some(&words), None, phase)),
    })
}
