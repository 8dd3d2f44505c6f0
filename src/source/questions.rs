//! What a first configuration of each source type needs: `larder init` asks for it, and so does the form of a source.

/// A key of a source that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// The key.
    pub key: &'static str,
    /// What is asked for.
    pub label: &'static str,
    /// What an answer looks like; empty where the label says it.
    pub example: &'static str,
    /// Whether there must be an answer.
    pub is_needed: bool,
    /// Whether the answer has a secret.
    pub is_secret: bool,
}

const fn needed(key: &'static str, label: &'static str, example: &'static str) -> Question {
    Question { key, label, example, is_needed: true, is_secret: false }
}

const fn optional(key: &'static str, label: &'static str, example: &'static str) -> Question {
    Question { is_needed: false, ..needed(key, label, example) }
}

const fn secret(question: Question) -> Question {
    Question { is_secret: true, ..question }
}

const USER: Question = optional("user", "User", "");
const PASSWORD: Question = secret(optional("password", "Password", ""));
const DATABASE: Question = optional("database", "Database", "");
const SCHEMA: Question = optional("schema", "Schema", "");
const CATALOG: Question = optional("catalog", "Catalog", "");
const HTTP_URL: Question = needed("url", "URL", "https://host:8443");

/// What is asked about each type of source, the usual ones first.
pub const QUESTIONS: [(&str, &[Question]); 12] = [
    ("postgres", &[secret(needed("url", "URL", "postgres://user:password@host:5432/database"))]),
    ("mysql", &[secret(needed("url", "URL", "mysql://user:password@host:3306/database"))]),
    ("sqlserver", &[needed("host", "Host", "server.database.windows.net"), DATABASE, USER, PASSWORD]),
    ("sqlite", &[needed("path", "Path of the file", "")]),
    ("clickhouse", &[HTTP_URL, USER, PASSWORD, DATABASE]),
    ("trino", &[HTTP_URL, needed("user", "User", ""), PASSWORD, CATALOG, SCHEMA]),
    (
        "databricks",
        &[
            needed("url", "URL of the workspace", "https://host"),
            needed("warehouse", "Id of the SQL warehouse", ""),
            secret(needed("token", "Token", "")),
            CATALOG,
            SCHEMA,
        ],
    ),
    (
        "snowflake",
        &[
            needed("account", "Account", "organization-account"),
            USER,
            PASSWORD,
            optional("private_key_file", "File of the private key", ""),
            optional("warehouse", "Warehouse", ""),
            DATABASE,
            SCHEMA,
            optional("role", "Role", ""),
        ],
    ),
    (
        "bigquery",
        &[
            needed("project", "Project", ""),
            optional("dataset", "Dataset", ""),
            optional("credentials_file", "File of the service account's key, none for the machine's own", ""),
        ],
    ),
    (
        "duckdb",
        &[
            needed("path", "Path of the file", ""),
            optional("driver", "Path of libduckdb, none to search it", ""),
        ],
    ),
    ("files", &[needed("path", "Directory of the files", "")]),
    ("redshift", &[secret(needed("url", "URL", "postgres://user:password@host:5439/database"))]),
];

/// The questions about a type; none about one that is configured by its keys alone.
pub fn questions(source_type: &str) -> &'static [Question] {
    QUESTIONS.iter().find(|(name, _)| *name == source_type).map_or(&[], |(_, questions)| questions)
}
