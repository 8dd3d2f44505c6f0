//! Every result code of SQLite, primary and extended (<https://www.sqlite.org/rescode.html>).

use super::{
    Group,
    Meaning::{
        Cancelled, Conflict, Constraint, Damaged, Data, FileFailed, FileUnreadable, HotJournal, Locked,
        Other, PermissionDenied, ReadOnly, Statement, Unavailable,
    },
    ResultCode,
    Words::{Fixed, Names, Values},
    find,
};

const TABLE: &[Group] = &[
    (Unavailable, Fixed, &["7 SQLITE_NOMEM", "13 SQLITE_FULL", "3082 SQLITE_IOERR_NOMEM"]),
    (Unavailable, Fixed, &["270 SQLITE_CANTOPEN_NOTEMPDIR", "6410 SQLITE_IOERR_GETTEMPPATH"]),
    (
        Conflict,
        Fixed,
        &[
            "4 SQLITE_ABORT",
            "17 SQLITE_SCHEMA",
            "513 SQLITE_ERROR_RETRY",
            "516 SQLITE_ABORT_ROLLBACK",
            "517 SQLITE_BUSY_SNAPSHOT",
            "769 SQLITE_ERROR_SNAPSHOT",
            "1032 SQLITE_READONLY_DBMOVED",
        ],
    ),
    (
        Locked,
        Fixed,
        &[
            "5 SQLITE_BUSY",
            "6 SQLITE_LOCKED",
            "15 SQLITE_PROTOCOL",
            "261 SQLITE_BUSY_RECOVERY",
            "262 SQLITE_LOCKED_SHAREDCACHE",
            "518 SQLITE_LOCKED_VTAB",
            "773 SQLITE_BUSY_TIMEOUT",
        ],
    ),
    (Cancelled, Fixed, &["9 SQLITE_INTERRUPT"]),
    (PermissionDenied, Names, &["23 SQLITE_AUTH", "279 SQLITE_AUTH_USER"]),
    (ReadOnly, Fixed, &["8 SQLITE_READONLY"]),
    (
        HotJournal,
        Fixed,
        &["264 SQLITE_READONLY_RECOVERY", "520 SQLITE_READONLY_CANTLOCK", "776 SQLITE_READONLY_ROLLBACK"],
    ),
    (
        FileUnreadable,
        Fixed,
        &[
            "3 SQLITE_PERM",
            "14 SQLITE_CANTOPEN",
            "526 SQLITE_CANTOPEN_ISDIR",
            "782 SQLITE_CANTOPEN_FULLPATH",
            "1038 SQLITE_CANTOPEN_CONVPATH",
            "1288 SQLITE_READONLY_CANTINIT",
            "1294 SQLITE_CANTOPEN_DIRTYWAL",
            "1544 SQLITE_READONLY_DIRECTORY",
            "1550 SQLITE_CANTOPEN_SYMLINK",
            "3338 SQLITE_IOERR_ACCESS",
        ],
    ),
    (
        FileFailed,
        Fixed,
        &[
            "10 SQLITE_IOERR",
            "22 SQLITE_NOLFS",
            "266 SQLITE_IOERR_READ",
            "522 SQLITE_IOERR_SHORT_READ",
            "778 SQLITE_IOERR_WRITE",
            "1034 SQLITE_IOERR_FSYNC",
            "1290 SQLITE_IOERR_DIR_FSYNC",
            "1546 SQLITE_IOERR_TRUNCATE",
            "1802 SQLITE_IOERR_FSTAT",
            "2058 SQLITE_IOERR_UNLOCK",
            "2314 SQLITE_IOERR_RDLOCK",
            "2570 SQLITE_IOERR_DELETE",
            "2826 SQLITE_IOERR_BLOCKED",
            "3594 SQLITE_IOERR_CHECKRESERVEDLOCK",
            "3850 SQLITE_IOERR_LOCK",
            "4106 SQLITE_IOERR_CLOSE",
            "4362 SQLITE_IOERR_DIR_CLOSE",
            "4618 SQLITE_IOERR_SHMOPEN",
            "4874 SQLITE_IOERR_SHMSIZE",
            "5130 SQLITE_IOERR_SHMLOCK",
            "5386 SQLITE_IOERR_SHMMAP",
            "5642 SQLITE_IOERR_SEEK",
            "5898 SQLITE_IOERR_DELETE_NOENT",
            "6154 SQLITE_IOERR_MMAP",
            "6666 SQLITE_IOERR_CONVPATH",
            "6922 SQLITE_IOERR_VNODE",
            "7178 SQLITE_IOERR_AUTH",
            "7434 SQLITE_IOERR_BEGIN_ATOMIC",
            "7690 SQLITE_IOERR_COMMIT_ATOMIC",
            "7946 SQLITE_IOERR_ROLLBACK_ATOMIC",
            "8202 SQLITE_IOERR_DATA",
            "8714 SQLITE_IOERR_IN_PAGE",
            "8970 SQLITE_IOERR_BADKEY",
            "9226 SQLITE_IOERR_CODEC",
        ],
    ),
    (
        Damaged,
        Fixed,
        &[
            "11 SQLITE_CORRUPT",
            "24 SQLITE_FORMAT",
            "26 SQLITE_NOTADB",
            "267 SQLITE_CORRUPT_VTAB",
            "523 SQLITE_CORRUPT_SEQUENCE",
            "779 SQLITE_CORRUPT_INDEX",
            "8458 SQLITE_IOERR_CORRUPTFS",
        ],
    ),
    (
        Constraint,
        Fixed,
        &[
            "19 SQLITE_CONSTRAINT",
            "275 SQLITE_CONSTRAINT_CHECK",
            "531 SQLITE_CONSTRAINT_COMMITHOOK",
            "787 SQLITE_CONSTRAINT_FOREIGNKEY",
            "1299 SQLITE_CONSTRAINT_NOTNULL",
            "1555 SQLITE_CONSTRAINT_PRIMARYKEY",
            "2067 SQLITE_CONSTRAINT_UNIQUE",
            "2579 SQLITE_CONSTRAINT_ROWID",
            "2835 SQLITE_CONSTRAINT_PINNED",
        ],
    ),
    // Their message is a trigger's, a function's or a virtual table's own, or has a value.
    (
        Constraint,
        Values,
        &[
            "1043 SQLITE_CONSTRAINT_FUNCTION",
            "1811 SQLITE_CONSTRAINT_TRIGGER",
            "2323 SQLITE_CONSTRAINT_VTAB",
            "3091 SQLITE_CONSTRAINT_DATATYPE",
        ],
    ),
    (Data, Fixed, &["18 SQLITE_TOOBIG", "20 SQLITE_MISMATCH"]),
    // Both a wrong statement and a function that fails on a value: see `source/sqlite/fault.rs`.
    (Data, Names, &["1 SQLITE_ERROR"]),
    (Statement, Names, &["257 SQLITE_ERROR_MISSING_COLLSEQ", "1537 SQLITE_ERROR_UNABLE"]),
    (
        Other,
        Values,
        &[
            "0 SQLITE_OK",
            "2 SQLITE_INTERNAL",
            "12 SQLITE_NOTFOUND",
            "16 SQLITE_EMPTY",
            "21 SQLITE_MISUSE",
            "25 SQLITE_RANGE",
            "27 SQLITE_NOTICE",
            "28 SQLITE_WARNING",
            "100 SQLITE_ROW",
            "101 SQLITE_DONE",
            "256 SQLITE_OK_LOAD_PERMANENTLY",
            "283 SQLITE_NOTICE_RECOVER_WAL",
            "284 SQLITE_WARNING_AUTOINDEX",
            "512 SQLITE_OK_SYMLINK",
            "539 SQLITE_NOTICE_RECOVER_ROLLBACK",
            "795 SQLITE_NOTICE_RBU",
            "1025 SQLITE_ERROR_RESERVESIZE",
            "1281 SQLITE_ERROR_KEY",
        ],
    ),
];

/// What a result code means. An extended code that the table does not have means what its primary code, the
/// lowest byte, means, and its message may hold anything.
pub fn lookup(code: &str) -> ResultCode {
    let primary = || find(TABLE, &(code.parse::<i32>().ok()? & 0xff).to_string());
    let unknown = ResultCode { name: "", meaning: Other, words: Values };
    find(TABLE, code)
        .or_else(|| primary().map(|primary| ResultCode { meaning: primary.meaning, ..unknown }))
        .unwrap_or(unknown)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_code_stands_once_and_means_something_of_its_primary_codes_kind() {
        let mut seen = HashMap::new();
        for (meaning, _, codes) in TABLE {
            for pair in *codes {
                let (code, name) = pair.split_once(' ').expect("a code and a name");
                assert_eq!(seen.insert(code.parse::<i32>().unwrap(), *meaning), None, "{name}");
                let primary = find(TABLE, &(code.parse::<i32>().unwrap() & 0xff).to_string()).unwrap();
                assert!(name.starts_with(primary.name), "{name} is no {}", primary.name);
            }
        }
    }

    #[test]
    fn unknown_extended_codes_mean_what_their_primary_code_means() {
        for (code, meaning) in
            [("25605", Locked), ("25610", FileFailed), ("25611", Damaged), ("77", Other), ("", Other)]
        {
            let found = lookup(code);
            assert_eq!((found.meaning, found.words), (meaning, Values), "{code}");
        }
        assert_eq!(lookup("1544").meaning, FileUnreadable);
        assert_eq!(lookup("776").meaning, HotJournal);
    }
}
