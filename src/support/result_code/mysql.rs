//! Error numbers of MySQL and MariaDB that a reader meets
//! (<https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
//! <https://mariadb.com/kb/en/mariadb-error-code-reference/>). Servers that speak their protocol use the same ones.

use super::{
    Group,
    Meaning::{
        Cancelled, Conflict, ConnectionLost, Damaged, Data, FileFailed, Locked, LoginRefused, Other,
        PermissionDenied, ReadOnly, SessionTimeout, Statement, Syntax, Unavailable, UnknownColumn,
        UnknownDatabase, UnknownTable, WrongPassword,
    },
    ResultCode,
    Words::{Fixed, Names, Values},
    find,
};

const TABLE: &[Group] = &[
    (
        ConnectionLost,
        Fixed,
        &[
            "1053 ER_SERVER_SHUTDOWN",
            "1077 ER_NORMAL_SHUTDOWN",
            "1079 ER_SHUTDOWN_COMPLETE",
            "1158 ER_NET_READ_ERROR",
            "1159 ER_NET_READ_INTERRUPTED",
            "1160 ER_NET_ERROR_ON_WRITE",
            "1161 ER_NET_WRITE_INTERRUPTED",
            "1927 ER_CONNECTION_KILLED",
            "3168 ER_SERVER_ISNT_AVAILABLE",
        ],
    ),
    (
        Unavailable,
        Fixed,
        &[
            "1021 ER_DISK_FULL",
            "1037 ER_OUTOFMEMORY",
            "1038 ER_OUT_OF_SORTMEMORY",
            "1040 ER_CON_COUNT_ERROR",
            "1041 ER_OUT_OF_RESOURCES",
            "1135 ER_CANT_CREATE_THREAD",
            "1203 ER_TOO_MANY_USER_CONNECTIONS",
            "1226 ER_USER_LIMIT_REACHED",
            "3032 ER_SERVER_OFFLINE_MODE",
        ],
    ),
    (SessionTimeout, Fixed, &["4031 ER_CLIENT_INTERACTION_TIMEOUT"]),
    (
        Conflict,
        Fixed,
        &[
            "1020 ER_CHECKREAD",
            "1213 ER_LOCK_DEADLOCK",
            "1412 ER_TABLE_DEF_CHANGED",
            "1615 ER_NEED_REPREPARE",
            "3572 ER_LOCK_NOWAIT",
        ],
    ),
    (Locked, Fixed, &["1205 ER_LOCK_WAIT_TIMEOUT"]),
    (Cancelled, Fixed, &["1317 ER_QUERY_INTERRUPTED", "1969 ER_STATEMENT_TIMEOUT", "3024 ER_QUERY_TIMEOUT"]),
    (WrongPassword, Fixed, &["1045 ER_ACCESS_DENIED_ERROR", "1698 ER_ACCESS_DENIED_NO_PASSWORD_ERROR"]),
    (
        LoginRefused,
        Fixed,
        &[
            "1044 ER_DBACCESS_DENIED_ERROR",
            "1129 ER_HOST_IS_BLOCKED",
            "1130 ER_HOST_NOT_PRIVILEGED",
            "1251 ER_NOT_SUPPORTED_AUTH_MODE",
            "1820 ER_MUST_CHANGE_PASSWORD",
            "1862 ER_MUST_CHANGE_PASSWORD_LOGIN",
            "3118 ER_ACCOUNT_HAS_BEEN_LOCKED",
            "3159 ER_SECURE_TRANSPORT_REQUIRED",
            "4151 ER_ACCOUNT_HAS_BEEN_LOCKED",
        ],
    ),
    (UnknownDatabase, Names, &["1046 ER_NO_DB_ERROR", "1049 ER_BAD_DB_ERROR"]),
    (UnknownTable, Names, &["1051 ER_BAD_TABLE_ERROR", "1109 ER_UNKNOWN_TABLE", "1146 ER_NO_SUCH_TABLE"]),
    (UnknownColumn, Names, &["1054 ER_BAD_FIELD_ERROR"]),
    (Syntax, Names, &["1064 ER_PARSE_ERROR", "1065 ER_EMPTY_QUERY", "1149 ER_SYNTAX_ERROR"]),
    (
        PermissionDenied,
        Names,
        &[
            "1142 ER_TABLEACCESS_DENIED_ERROR",
            "1143 ER_COLUMNACCESS_DENIED_ERROR",
            "1227 ER_SPECIFIC_ACCESS_DENIED_ERROR",
            "1345 ER_VIEW_NO_EXPLAIN",
            "1356 ER_VIEW_INVALID",
            "1370 ER_PROCACCESS_DENIED_ERROR",
        ],
    ),
    (
        ReadOnly,
        Fixed,
        &[
            "1290 ER_OPTION_PREVENTS_STATEMENT",
            "1792 ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION",
            "1836 ER_READ_ONLY_MODE",
        ],
    ),
    (
        Statement,
        Names,
        &[
            "1052 ER_NON_UNIQ_ERROR",
            "1055 ER_WRONG_FIELD_WITH_GROUP",
            "1056 ER_WRONG_GROUP_FIELD",
            "1060 ER_DUP_FIELDNAME",
            "1066 ER_NONUNIQ_TABLE",
            "1104 ER_TOO_BIG_SELECT",
            "1111 ER_INVALID_GROUP_FUNC_USE",
            "1140 ER_MIX_OF_GROUP_FUNC_AND_FIELDS",
            "1193 ER_UNKNOWN_SYSTEM_VARIABLE",
            "1222 ER_WRONG_NUMBER_OF_COLUMNS_IN_SELECT",
            "1235 ER_NOT_SUPPORTED_YET",
            "1241 ER_OPERAND_COLUMNS",
            "1248 ER_DERIVED_MUST_HAVE_ALIAS",
            "1267 ER_CANT_AGGREGATE_2COLLATIONS",
            "1271 ER_CANT_AGGREGATE_NCOLLATIONS",
            "1295 ER_UNSUPPORTED_PS",
            "1305 ER_SP_DOES_NOT_EXIST",
            "1582 ER_WRONG_PARAMCOUNT_TO_NATIVE_FCT",
            "1584 ER_WRONG_PARAMETERS_TO_STORED_FCT",
            "1630 ER_FUNC_INEXISTENT_NAME_COLLISION",
        ],
    ),
    (
        Data,
        Values,
        &[
            "1242 ER_SUBQUERY_NO_1_ROW",
            "1264 ER_WARN_DATA_OUT_OF_RANGE",
            "1292 ER_TRUNCATED_WRONG_VALUE",
            "1365 ER_DIVISION_BY_ZERO",
            "1367 ER_ILLEGAL_VALUE_FOR_TYPE",
            "1406 ER_DATA_TOO_LONG",
            "1690 ER_DATA_OUT_OF_RANGE",
            "3140 ER_INVALID_JSON_TEXT",
            "3141 ER_INVALID_JSON_TEXT_IN_PARAM",
            "3143 ER_INVALID_JSON_PATH",
        ],
    ),
    (
        FileFailed,
        Names,
        &[
            "1016 ER_CANT_OPEN_FILE",
            "1017 ER_FILE_NOT_FOUND",
            "1023 ER_ERROR_ON_CLOSE",
            "1024 ER_ERROR_ON_READ",
        ],
    ),
    (
        Damaged,
        Names,
        &[
            "1033 ER_NOT_FORM_FILE",
            "1034 ER_NOT_KEYFILE",
            "1035 ER_OLD_KEYFILE",
            "1194 ER_CRASHED_ON_USAGE",
            "1195 ER_CRASHED_ON_REPAIR",
            "1712 ER_INDEX_CORRUPT",
        ],
    ),
];

/// What an error number means.
pub fn lookup(number: u16) -> ResultCode {
    let unknown = ResultCode { name: "", meaning: Other, words: Values };
    find(TABLE, &number.to_string()).unwrap_or(unknown)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_number_stands_once() {
        let mut seen = HashSet::new();
        for pair in TABLE.iter().flat_map(|(_, _, codes)| *codes) {
            let (number, name) = pair.split_once(' ').expect("a number and a name");
            assert!(seen.insert(number.parse::<u16>().unwrap()), "{name}");
            assert!(name.starts_with("ER_"), "{name}");
        }
        assert_eq!(lookup(1146).meaning, UnknownTable);
        assert_eq!((lookup(9).meaning, lookup(9).words), (Other, Values));
    }
}
