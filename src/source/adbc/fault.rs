//! What a failed call of a driver means. Words of a driver are shown while it connects and plans: what of a secret stands
//! in them is taken out. Of a query that reads they may quote a row's value, of a statement before it a secret.

use super::{
    job::{DAMAGED, Failure, Step},
    process::Process,
};
use crate::{
    domain::ErrorKind,
    settings::units,
    source::error::{Cause, Error, WORDS_CHARS_MAX, cause, connection_lost, database_words, of_database},
    support::result_code::{Meaning, ResultCode},
};

/// Beginnings of messages, longest of alike ones first, and what they mean.
pub(super) type Words = &'static [(&'static str, Meaning)];

/// The SQLSTATE of drivers that have none.
const NO_SQLSTATE: &str = "00000";
/// The number of drivers that have none: `ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA`.
const NO_VENDOR_CODE: i32 = i32::MIN;

/// The error that the source gives for a failure in its worker.
pub(super) fn of(failure: &Failure, process: &Process) -> Error {
    let error = explained(failure, process);
    let hints = process.kind.hints.iter();
    match hints.copied().find(|(start, _)| failure.message.starts_with(start)) {
        Some((_, hint)) => error.with_hint(hint),
        None => error,
    }
}

fn explained(failure: &Failure, process: &Process) -> Error {
    if failure.status == DAMAGED {
        let (driver, words) = (process.driver.display(), &failure.message);
        let message = format!("the driver {driver} sent data that ADBC does not allow: {words}");
        return Error::new(cause::ANSWER_MALFORMED, message)
            .with_hint("another version of the driver may help; report this to its authors");
    }
    let words = shown(failure, process);
    let driver = process.driver.display();
    match (failure.step, &*failure.status) {
        (Step::Load, _) => {
            Error::new(cause::DRIVER_UNUSABLE, format!("the driver {driver} cannot be loaded: {words}"))
                .with_hint(
                    "check that it is a driver of ADBC for this system and processor, and the source's `entrypoint`, \
                     which is duckdb_adbc_init of DuckDB's library",
                )
        }
        (Step::Connect, "Unauthenticated") => {
            Error::new(cause::WRONG_PASSWORD, format!("the login failed: {words}"))
                .with_hint("check the source's user and credentials")
        }
        (Step::Connect, "Unauthorized") => {
            Error::new(cause::LOGIN_REFUSED, format!("the login was refused: {words}"))
                .with_hint("check the rights of the source's user")
        }
        (Step::Connect, "Timeout") => {
            Error::new(cause::CONNECT_TIMEOUT, format!("the driver could not connect in time: {words}"))
                .with_hint("check the address, and firewalls on the way")
        }
        (Step::Connect, _) if is_of_login(meaning(failure, process.kind.words)) => {
            of_database(meaning(failure, process.kind.words), words)
                .with_hint("check the source's user, credentials and database")
        }
        (Step::Connect, _) if speaks_of_login(&words) => {
            Error::new(cause::LOGIN_REFUSED, format!("the login was refused: {words}"))
                .with_hint("check the source's user and credentials")
        }
        (Step::Connect, _) => Error::new(cause::UNREACHABLE, format!("the driver cannot connect: {words}"))
            .with_hint("check the source's keys, its address, user and credentials"),
        (Step::Extension(at), _) => {
            let which = format!("statement {} of `setup`: ", at + 1 - process.kind.setup.len());
            let error = Cause { kind: ErrorKind::Invalid, ..cause::QUERY_FAILED };
            Error::new(error, format!("the extension cannot be loaded: {which}{words}")).with_hint(
                "install it once with the command of the same version of the database, as the user that runs Larder, or \
                 name its directory with `extensions_dir`",
            )
        }
        (Step::Setup(at), _) => {
            let own = process.kind.setup.len();
            let which =
                if at < own { String::new() } else { format!("statement {} of `setup`: ", at - own + 1) };
            let error = of_database(meaning(failure, process.kind.words), which + &words);
            // Hints of a query speak of the model's.
            if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Forbidden) {
                return error.with_hint("correct the source's `setup`");
            }
            error
        }
        // It was described: what it cannot is stand between parentheses.
        (Step::Read, _) if meaning(failure, process.kind.words) == Meaning::Syntax => {
            of_database(Meaning::Syntax, words).with_hint(
                "write one statement that reads, select or with: it is sent between parentheses, where nothing can write",
            )
        }
        (Step::Describe | Step::Read, _) => of_database(meaning(failure, process.kind.words), words),
    }
}

fn is_of_login(meaning: Meaning) -> bool {
    matches!(meaning, Meaning::WrongPassword | Meaning::LoginRefused | Meaning::UnknownDatabase)
}

/// Whether a driver that has no code for it says that the login is at fault, and not the way to the database.
fn speaks_of_login(words: &str) -> bool {
    let words = words.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    has(&[
        "password",
        "passphrase",
        "private key",
        "privatekey",
        "pkcs8",
        "credential",
        "username",
        "authenticat",
    ]) && !has(&["dial ", "refused", "no such host", "unreachable", "timeout", "timed out", "x509", "tls:"])
}

fn sqlstate(failure: &Failure) -> Option<&str> {
    failure.sqlstate.as_deref().filter(|code| *code != NO_SQLSTATE)
}

fn known_words(failure: &Failure, words: Words) -> Option<&'static (&'static str, Meaning)> {
    words.iter().find(|(start, _)| failure.message.starts_with(start))
}

fn meaning(failure: &Failure, words: Words) -> Meaning {
    if let Some((_, meaning)) = known_words(failure, words) {
        return *meaning;
    }
    if let Some(code) = sqlstate(failure) {
        return ResultCode::of_sqlstate(code).meaning;
    }
    match &*failure.status {
        "NotFound" => Meaning::UnknownTable,
        "InvalidArguments" | "NotImplemented" | "InvalidState" => Meaning::Statement,
        "Unauthorized" => Meaning::PermissionDenied,
        "Unauthenticated" => Meaning::LoginRefused,
        "IO" => Meaning::ConnectionLost,
        "Cancelled" | "Timeout" => Meaning::Cancelled,
        "InvalidData" | "Integrity" => Meaning::Data,
        _ => Meaning::Other,
    }
}

/// The driver's words, as far as they hold neither a value nor a secret.
fn shown(failure: &Failure, process: &Process) -> String {
    if matches!(failure.step, Step::Setup(_) | Step::Read) {
        let name = known_words(failure, process.kind.words).map_or(&*failure.status, |(words, _)| words);
        return match (sqlstate(failure), failure.vendor_code) {
            (Some(code), _) => database_words(code, name, None),
            (None, 0 | NO_VENDOR_CODE) => format!("the database answered: {name}"),
            (None, code) => database_words(&code.to_string(), name, None),
        };
    }
    let mut words = failure.message.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in process.secrets.iter().filter(|secret| !secret.is_empty()) {
        words = words.replace(secret, "***");
    }
    match words.char_indices().nth(WORDS_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}

/// The worker ended without saying why.
pub(super) fn crashed(process: &Process, how: &str) -> Error {
    let message = format!("the process that runs the driver {} ended: {how}", process.driver.display());
    Error::new(cause::WORKER_CRASHED, message).with_hint(
        "the run will be tried again; log.filter = \"info,larder::source::adbc=debug\" shows what the driver prints, \
         and another version of the driver may help",
    )
}

/// The worker sent what is no frame, or not the one that was due.
pub(super) fn confused(process: &Process) -> Error {
    crashed(process, "it sent something else than an answer")
}

/// The worker has taken more memory than it may.
pub(super) fn too_large(process: &Process, bytes_max: u64) -> Error {
    let (driver, size) = (process.driver.display(), units::show_size(bytes_max));
    let message = format!("the driver {driver} took more than {size} of memory");
    Error::new(cause::WORKER_MEMORY, message)
        .with_hint("read fewer columns or rows, or raise the source's `memory_max`")
}

/// The worker could not be started, or written to.
pub(super) fn not_started(error: &std::io::Error) -> Error {
    connection_lost(format_args!("the process that runs the driver cannot be started: {error}"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::source::adbc::kinds;

    fn process(secrets: &[&str]) -> Process {
        let secrets = secrets.iter().map(|&secret| secret.to_owned()).collect();
        Process { kind: &kinds::DUCKDB, driver: PathBuf::from("/d.so"), secrets }
    }

    fn failure(step: Step, status: &str, sqlstate: Option<&str>, message: &str) -> Failure {
        let (status, sqlstate) = (status.to_owned(), sqlstate.map(str::to_owned));
        Failure { step, status, sqlstate, vendor_code: 7, message: message.to_owned() }
    }

    #[test]
    fn failures_are_what_status_sqlstate_and_words_say() {
        for (step, status, sqlstate, message, code) in [
            (Step::Load, "Internal", None, "wrong ELF class", "source_driver_unusable"),
            (Step::Connect, "Unauthenticated", None, "no", "source_wrong_password"),
            (Step::Connect, "Unauthorized", None, "no", "source_login_refused"),
            (Step::Connect, "Timeout", None, "no", "source_connect_timeout"),
            (Step::Connect, "IO", None, "no", "source_unreachable"),
            (Step::Connect, "IO", Some("08006"), "no", "source_unreachable"),
            (Step::Connect, "IO", Some("28P01"), "no", "source_wrong_password"),
            (Step::Connect, "IO", Some("3D000"), "no", "source_unknown_database"),
            (
                Step::Connect,
                "InvalidArguments",
                None,
                "cannot read the private key: wrong passphrase",
                "source_login_refused",
            ),
            (Step::Connect, "IO", None, "could not find default credentials", "source_login_refused"),
            (Step::Connect, "IO", None, "dial tcp h:1: refused (user=u password=x)", "source_unreachable"),
            (Step::Describe, "Unknown", Some("42P01"), "no", "source_unknown_table"),
            (Step::Describe, "Unknown", Some("00000"), "Parser Error: syntax", "source_syntax_error"),
            (
                Step::Describe,
                "Unknown",
                None,
                "Binder Error: Referenced column \"x\"",
                "source_unknown_column",
            ),
            (Step::Describe, "NotFound", None, "no", "source_unknown_table"),
            (Step::Setup(3), "InvalidArguments", None, "no", "source_query_failed"),
            (Step::Extension(3), "Unknown", None, "IO Error: x", "source_query_failed"),
            (Step::Read, "IO", None, "no", "source_connection_lost"),
            (Step::Read, "Cancelled", None, "no", "source_query_cancelled"),
        ] {
            let error = of(&failure(step, status, sqlstate, message), &process(&[]));
            assert_eq!(error.code(), code, "{step:?} {status} {sqlstate:?} {message}");
        }
    }

    #[test]
    fn a_statement_of_setup_is_not_the_model() {
        let own = kinds::DUCKDB.setup.len();
        let error = of(&failure(Step::Setup(own + 1), "Unknown", None, "Parser Error: x"), &process(&[]));
        assert!(error.message().contains("statement 2 of `setup`"), "{error}");
        assert_eq!(error.hint(), Some("correct the source's `setup`"));
    }

    #[test]
    fn words_of_a_database_have_their_own_hints() {
        for (step, message, part) in [
            (Step::Read, "Out of Memory Error: could not allocate", "memory_limit"),
            (Step::Connect, "IO Error: Could not set lock on file \"a.duckdb\"", "another process"),
            (Step::Read, "Parser Error: syntax error at or near \"create\"", "between parentheses"),
            (Step::Extension(2), "IO Error: Extension \"/x/httpfs\" not found", "extensions_dir"),
        ] {
            let error = of(&failure(step, "Unknown", None, message), &process(&[]));
            assert!(error.hint().unwrap().contains(part), "{error}");
        }
    }

    #[test]
    fn words_show_neither_secret_nor_value() {
        let text = "cannot parse postgres://me:hunter2@h/d: Conversion Error 'Ada'";
        let shown = of(&failure(Step::Connect, "IO", None, text), &process(&["hunter2"])).to_string();
        assert!(shown.contains("postgres://me:***@h/d") && !shown.contains("hunter2"), "{shown}");
        let shown = of(&failure(Step::Read, "Unknown", None, text), &process(&[])).to_string();
        assert!(!shown.contains("Ada") && shown.contains("code 7"), "{shown}");
        let long =
            of(&failure(Step::Describe, "Unknown", None, &"ü".repeat(5_000)), &process(&[])).to_string();
        assert!(long.chars().count() < 2 * WORDS_CHARS_MAX, "{long}");
    }
}
