//! The databases that are known: which keys a section has, and the options of the driver that they become.
//!
//! A driver passes over an option that it does not know, or one of another name in another version. A key is therefore
//! in this table, or it is refused.

use super::{
    credentials::{Check, account, authorities, json_credentials, key_pair, memory_limit},
    fault::Words,
    scratch,
};
use crate::{
    source::{
        postgres,
        sql::{Dialect, Times},
        sqlserver,
    },
    support::result_code::Meaning,
};

/// A kind of database, or `adbc` for any.
pub(super) struct Kind {
    /// The word after `type =`.
    pub(super) name: &'static str,
    /// The driver's name; empty when the section names it.
    pub(super) driver: &'static str,
    /// The function that begins the driver, when its file's name does not imply it.
    pub(super) entrypoint: Option<&'static str>,
    /// How the driver is installed.
    install: &'static str,
    pub(super) keys: &'static [Key],
    /// Whether a login needs one of the keys that are credentials.
    pub(super) needs_credential: bool,
    /// Keys that mean nothing, or cannot work, without another one.
    pub(super) needs: &'static [(&'static str, &'static str)],
    /// Options that every connection has.
    pub(super) options: &'static [(&'static str, &'static str)],
    /// Statements that every connection begins with.
    pub(super) setup: &'static [&'static str],
    pub(super) dialect: Dialect,
    /// Whether every query can stand between parentheses. It is sent so: a statement that writes cannot.
    pub(super) nests_queries: bool,
    /// A query of the tables' names; `None` to ask the driver.
    pub(super) tables_sql: Option<&'static str>,
    pub(super) version_sql: Option<&'static str>,
    /// What the beginnings of messages mean, for a database that has no codes.
    pub(super) words: Words,
    /// Beginnings of messages, and what to do about them.
    pub(super) hints: &'static [(&'static str, &'static str)],
}

/// A key of a section, and the option that it becomes.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) option: &'static str,
    pub(super) form: Form,
    pub(super) presence: Presence,
    /// Checks a value; of a file, its content.
    pub(super) check: Option<Check>,
    /// Options that come with it.
    pub(super) implies: &'static [(&'static str, &'static str)],
}

/// How a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A word that may be printed.
    Word,
    /// A host.
    Host,
    /// One of some words.
    OneOf(&'static [(&'static str, &'static str)]),
    /// A whole number.
    Number,
    /// A text that is never printed.
    Secret,
    /// A text that is never printed, with `Bearer ` before it in the option.
    Bearer,
    /// A URL with one of these schemes, the usual one first; its password is never printed.
    Url(&'static [&'static str]),
    /// A path, of a file or directory that exists.
    Path,
    /// The path of a file of DuckDB.
    Database,
    /// The path of a file whose content is the option: a key or certificates.
    Content,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Needed,
    Optional,
    /// At most one of these.
    Credential,
}

const fn key(name: &'static str, option: &'static str, form: Form, presence: Presence) -> Key {
    Key { name, option, form, presence, check: None, implies: &[] }
}

const fn needed(name: &'static str, option: &'static str, form: Form) -> Key {
    key(name, option, form, Presence::Needed)
}

const fn optional(name: &'static str, option: &'static str, form: Form) -> Key {
    key(name, option, form, Presence::Optional)
}

const fn credential(
    name: &'static str,
    option: &'static str,
    form: Form,
    implies: &'static [(&'static str, &'static str)],
) -> Key {
    Key { implies, ..key(name, option, form, Presence::Credential) }
}

/// Any database: what the others are unless they say something else.
pub(super) const ANY: Kind = Kind {
    name: "adbc",
    driver: "",
    entrypoint: None,
    install: "",
    keys: &[],
    needs_credential: false,
    needs: &[],
    options: &[],
    setup: &[],
    dialect: Dialect::STANDARD,
    nests_queries: false,
    tables_sql: None,
    version_sql: None,
    words: &[],
    hints: &[],
};

const PROTOCOLS: &[(&str, &str)] = &[("https", "https"), ("http", "http")];

pub(super) const SNOWFLAKE: Kind = Kind {
    name: "snowflake",
    driver: "snowflake",
    install: "`pipx install dbc && dbc install snowflake`, or the library of the PyPI package adbc-driver-snowflake",
    nests_queries: true,
    keys: &[
        Key { check: Some(account), ..needed("account", "adbc.snowflake.sql.account", Form::Word) },
        optional("user", "username", Form::Word),
        credential("password", "password", Form::Secret, &[]),
        Key {
            check: Some(key_pair),
            ..credential(
                "private_key_file",
                "adbc.snowflake.sql.client_option.jwt_private_key_pkcs8_value",
                Form::Content,
                &[("adbc.snowflake.sql.auth_type", "auth_jwt")],
            )
        },
        credential(
            "token",
            "adbc.snowflake.sql.client_option.auth_token",
            Form::Secret,
            &[("adbc.snowflake.sql.auth_type", "auth_pat")],
        ),
        credential(
            "oauth_token",
            "adbc.snowflake.sql.client_option.auth_token",
            Form::Secret,
            &[("adbc.snowflake.sql.auth_type", "auth_oauth")],
        ),
        credential(
            "workload_identity",
            "adbc.snowflake.sql.client_option.identity_provider",
            Form::Word,
            &[("adbc.snowflake.sql.auth_type", "auth_wif")],
        ),
        optional(
            "private_key_passphrase",
            "adbc.snowflake.sql.client_option.jwt_private_key_pkcs8_password",
            Form::Secret,
        ),
        optional("warehouse", "adbc.snowflake.sql.warehouse", Form::Word),
        optional("database", "adbc.snowflake.sql.db", Form::Word),
        optional("schema", "adbc.snowflake.sql.schema", Form::Word),
        optional("role", "adbc.snowflake.sql.role", Form::Word),
        optional("host", "adbc.snowflake.sql.uri.host", Form::Host),
        optional("port", "adbc.snowflake.sql.uri.port", Form::Number),
        optional("protocol", "adbc.snowflake.sql.uri.protocol", Form::OneOf(PROTOCOLS)),
    ],
    needs_credential: true,
    needs: &[
        ("password", "user"),
        ("private_key_file", "user"),
        ("private_key_passphrase", "private_key_file"),
    ],
    options: &[
        // Numbers are cut to 64 bits without it.
        ("adbc.snowflake.sql.client_option.use_high_precision", "true"),
        // Nanoseconds end in the year 2262.
        ("adbc.snowflake.sql.client_option.max_timestamp_precision", "microseconds"),
        ("adbc.snowflake.sql.client_option.disable_telemetry", "true"),
        ("adbc.snowflake.sql.client_option.app_name", "Larder"),
    ],
    dialect: Dialect {
        has_backslash_escapes: true,
        line_comments: &["--", "//"],
        has_dollar_quotes: true,
        times: Times::Text,
        ..Dialect::STANDARD
    },
    tables_sql: Some(
        "select table_catalog || '.' || table_schema || '.' || table_name as name from information_schema.tables \
         where table_schema <> 'INFORMATION_SCHEMA' order by name",
    ),
    version_sql: Some("select current_version() as version"),
    // Its SQLSTATEs are those of ODBC, and say less than its own numbers.
    words: &[
        ("[Snowflake] 000604", Meaning::Cancelled),
        ("[Snowflake] 000630", Meaning::SessionTimeout),
        ("[Snowflake] 000904", Meaning::UnknownColumn),
        ("[Snowflake] 001003", Meaning::Syntax),
        ("[Snowflake] 002003", Meaning::UnknownTable),
        ("[Snowflake] 002043", Meaning::UnknownTable),
        ("[Snowflake] 003001", Meaning::PermissionDenied),
        ("[Snowflake] 260001", Meaning::LoginRefused),
        ("[Snowflake] 260002", Meaning::LoginRefused),
        ("[Snowflake] 390100", Meaning::WrongPassword),
        ("[Snowflake] 390144", Meaning::LoginRefused),
    ],
    ..ANY
};

pub(super) const BIGQUERY: Kind = Kind {
    name: "bigquery",
    driver: "bigquery",
    install: "`pipx install dbc && dbc install bigquery`, or the library of the PyPI package adbc-driver-bigquery",
    nests_queries: true,
    keys: &[
        needed("project", "adbc.bigquery.sql.project_id", Form::Word),
        optional("dataset", "adbc.bigquery.sql.dataset_id", Form::Word),
        optional("location", "adbc.bigquery.sql.location", Form::Word),
        // The driver reads the file again for each connection.
        Key {
            check: Some(json_credentials),
            ..credential(
                "credentials_file",
                "adbc.bigquery.sql.auth_credentials",
                Form::Path,
                &[("adbc.bigquery.sql.auth_type", "adbc.bigquery.sql.auth_type.json_credential_file")],
            )
        },
        Key {
            check: Some(json_credentials),
            ..credential(
                "credentials",
                "adbc.bigquery.sql.auth_credentials",
                Form::Secret,
                &[("adbc.bigquery.sql.auth_type", "adbc.bigquery.sql.auth_type.json_credential_string")],
            )
        },
        optional("impersonate", "adbc.bigquery.sql.impersonate.target_principal", Form::Word),
    ],
    dialect: Dialect {
        identifier_quote: '`',
        has_backslash_escapes: true,
        escapes_identifiers: true,
        line_comments: &["--", "#"],
        has_triple_quotes: true,
        times: Times::Text,
        ..Dialect::STANDARD
    },
    ..ANY
};

pub(super) const DUCKDB: Kind = Kind {
    name: "duckdb",
    driver: "duckdb",
    entrypoint: Some(scratch::DUCKDB),
    install: "`pipx install dbc && dbc install duckdb`, or libduckdb of https://duckdb.org/docs/installation",
    nests_queries: true,
    keys: &[
        Key { implies: &[("access_mode", "READ_ONLY")], ..optional("path", "path", Form::Database) },
        optional("extensions_dir", "extension_directory", Form::Path),
        optional("temp_dir", "temp_directory", Form::Path),
        Key { check: Some(memory_limit), ..optional("memory_limit", "memory_limit", Form::Word) },
    ],
    needs_credential: false,
    needs: &[],
    options: &[("autoinstall_known_extensions", "false"), ("threads", "2")],
    setup: &["set TimeZone = 'UTC'", "set arrow_lossless_conversion = true"],
    dialect: Dialect { table_parts_max: 3, ..postgres::DIALECT },
    tables_sql: Some(
        "select table_catalog || '.' || table_schema || '.' || table_name as name from information_schema.tables \
         order by name",
    ),
    version_sql: Some("select 'DuckDB ' || version() as version"),
    words: &[
        ("Catalog Error: Table", Meaning::UnknownTable),
        ("Catalog Error", Meaning::Statement),
        ("Binder Error: Referenced column", Meaning::UnknownColumn),
        ("Binder Error", Meaning::Statement),
        ("Parser Error", Meaning::Syntax),
        ("Permission Error", Meaning::PermissionDenied),
        ("Invalid Input Error: Cannot execute statement of type", Meaning::ReadOnly),
        ("IO Error", Meaning::FileFailed),
        ("HTTP Error", Meaning::Unavailable),
        ("Out of Memory Error", Meaning::Unavailable),
        ("INTERRUPT Error", Meaning::Cancelled),
        ("Serialization Error", Meaning::Damaged),
        ("Conversion Error", Meaning::Data),
        ("Out of Range Error", Meaning::Data),
    ],
    hints: &[
        (
            "{\"exception_type\":\"Not implemented\",\"exception_message\":\"Unsupported Arrow type",
            "cast the column of that type to JSON or text in the model's SQL, as in cast(x as json)",
        ),
        (
            "Out of Memory Error",
            "raise the source's `memory_limit`, and `memory_max` above it, or read fewer columns or rows; or let `temp_dir` \
             name a directory that can be written and has room",
        ),
        (
            "IO Error: Could not set lock on file",
            "another process has the file open for writing: end it, or read a copy of the file",
        ),
    ],
};

pub(super) const FLIGHT_SQL: Kind = Kind {
    name: "flightsql",
    driver: "flightsql",
    install: "`pipx install dbc && dbc install flightsql`, or the library of the PyPI package adbc-driver-flightsql",
    nests_queries: true,
    keys: &[
        needed("url", "uri", Form::Url(&["grpc+tls", "grpc", "grpc+tcp", "grpc+unix"])),
        optional("user", "username", Form::Word),
        credential("password", "password", Form::Secret, &[]),
        credential("token", "adbc.flight.sql.authorization_header", Form::Bearer, &[]),
        Key {
            check: Some(authorities),
            ..optional("ca_file", "adbc.flight.sql.client_option.tls_root_certs", Form::Content)
        },
    ],
    needs: &[("user", "password"), ("password", "user")],
    words: &[("[FlightSQL] error reading from server", Meaning::ConnectionLost)],
    ..ANY
};

const CLUSTER_TYPES: &[(&str, &str)] = &[
    ("redshift", "redshift"),
    ("redshift-iam", "redshift-iam"),
    ("redshift-serverless", "redshift-serverless"),
];

pub(super) const REDSHIFT: Kind = Kind {
    name: "redshift",
    driver: "redshift",
    install: "`pipx install dbc && dbc install redshift`",
    nests_queries: true,
    keys: &[
        needed("url", "uri", Form::Url(&["postgresql", "postgres", "redshift"])),
        optional("cluster_type", "redshift.cluster_type", Form::OneOf(CLUSTER_TYPES)),
        optional("workgroup", "redshift.workgroup_name", Form::Word),
        optional("cluster", "redshift.cluster_identifier", Form::Word),
        optional("database", "redshift.db_name", Form::Word),
    ],
    dialect: Dialect { table_parts_max: 3, ..postgres::DIALECT },
    version_sql: Some("select version() as version"),
    ..ANY
};

pub(super) const ORACLE: Kind = Kind {
    name: "oracle",
    driver: "oracle",
    install: "the library of the PyPI package adbc-driver-oracle",
    nests_queries: true,
    keys: &[
        needed("host", "adbc.oracle.host", Form::Host),
        optional("port", "adbc.oracle.port", Form::Number),
        needed("service", "adbc.oracle.service_name", Form::Word),
        optional("user", "username", Form::Word),
        credential("password", "password", Form::Secret, &[]),
        credential("token", "adbc.oracle.token", Form::Secret, &[]),
        Key {
            check: Some(authorities),
            implies: &[("adbc.oracle.tls", "true")],
            ..optional("ca_file", "adbc.oracle.tls.ca_cert", Form::Path)
        },
        optional("wallet_dir", "adbc.oracle.wallet_location", Form::Path),
        optional("wallet_password", "adbc.oracle.wallet_password", Form::Secret),
    ],
    needs_credential: true,
    needs: &[("user", "password"), ("password", "user"), ("wallet_password", "wallet_dir")],
    dialect: Dialect { times: Times::OracleDate, ..Dialect::STANDARD },
    options: &[("adbc.oracle.number_mode", "decimal"), ("adbc.oracle.use_extension_types", "true")],
    tables_sql: Some("select owner || '.' || table_name as name from all_tables order by name"),
    version_sql: Some("select banner as version from v$version"),
    ..ANY
};

pub(super) const SQL_SERVER: Kind = Kind {
    name: "mssql",
    driver: "mssql",
    install: "`pipx install dbc && dbc install mssql`",
    keys: &[needed("url", "uri", Form::Url(&["sqlserver", "mssql"]))],
    dialect: sqlserver::DIALECT,
    tables_sql: Some(
        "select table_catalog + '.' + table_schema + '.' + table_name as name from information_schema.tables \
         order by name",
    ),
    version_sql: Some("select @@version as version"),
    ..ANY
};

const ALL: [&Kind; 8] = [&SNOWFLAKE, &BIGQUERY, &DUCKDB, &FLIGHT_SQL, &REDSHIFT, &ORACLE, &SQL_SERVER, &ANY];

/// The names of the drivers that source types need.
pub(super) fn driver_names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|kind| kind.driver).filter(|name| !name.is_empty())
}

/// How the driver `name` is installed.
pub(super) fn install(name: &str) -> String {
    match ALL.iter().find(|kind| !name.is_empty() && kind.driver == name) {
        Some(kind) => kind.install.to_owned(),
        None => format!("`pipx install dbc && dbc install {name}`"),
    }
}
