//! What a first configuration of each source type needs: `larder init` asks for it, and so does the form of a source.

/// A key of a source that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// The key; of a table in the section with the table's name before it.
    pub key: &'static str,
    /// What is asked for.
    pub label: &'static str,
    /// What an answer looks like; empty where the label says it.
    pub example: &'static str,
    /// Whether there must be an answer.
    pub is_needed: bool,
    /// Whether the answer has a secret.
    pub is_secret: bool,
    /// The key that stands in place of this one; empty for none. With an answer for it, this one is not asked for.
    pub alternative: &'static str,
}

const fn needed(key: &'static str, label: &'static str, example: &'static str) -> Question {
    Question { key, label, example, is_needed: true, is_secret: false, alternative: "" }
}

const fn optional(key: &'static str, label: &'static str, example: &'static str) -> Question {
    Question { is_needed: false, ..needed(key, label, example) }
}

const fn secret(question: Question) -> Question {
    Question { is_secret: true, ..question }
}

const fn unless(alternative: &'static str, question: Question) -> Question {
    Question { alternative, ..question }
}

const USER: Question = optional("user", "User", "");
const PASSWORD: Question = secret(optional("password", "Password", ""));
const DATABASE: Question = optional("database", "Database", "");
const SCHEMA: Question = optional("schema", "Schema", "");
const CATALOG: Question = optional("catalog", "Catalog", "");
const HTTP_URL: Question = needed("url", "URL", "https://host:8443");

/// What is asked about each type of source, the usual ones first.
pub const QUESTIONS: [(&str, &[Question]); 19] = [
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
            unless("password", optional("private_key_file", "File of the private key", "")),
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
            optional("path", "Path of the file, none for a database in memory", ""),
            optional("driver", "Path of libduckdb, none to search it", ""),
        ],
    ),
    (
        "files",
        &[
            optional("path", "Directory of the files, none for files elsewhere", ""),
            unless("path", needed("url", "URL of their bucket or server", "s3://bucket/prefix")),
        ],
    ),
    ("redshift", &[secret(needed("url", "URL", "postgresql://user:password@host:5439/database"))]),
    (
        "athena",
        &[
            needed("region", "Region", "eu-central-1"),
            needed("output", "Where Athena leaves results", "s3://bucket/prefix"),
            DATABASE,
            optional("workgroup", "Workgroup", ""),
        ],
    ),
    (
        "flightsql",
        &[
            needed("url", "URL", "grpc+tls://host:port"),
            USER,
            PASSWORD,
            unless("user", secret(optional("token", "Token, in place of user and password", ""))),
        ],
    ),
    (
        "oracle",
        &[
            needed("host", "Host", ""),
            needed("service", "Name of the service", ""),
            needed("user", "User", ""),
            secret(needed("password", "Password", "")),
        ],
    ),
    ("mssql", &[secret(needed("url", "URL", "sqlserver://user:password@host:1433?database=shop"))]),
    (
        "google_sheets",
        &[
            needed("spreadsheet", "Id of the spreadsheet: between /d/ and /edit in its address", ""),
            needed("credentials_file", "File of the service account's key", ""),
        ],
    ),
    (
        "microsoft_excel",
        &[
            needed("tenant", "Directory (tenant) id", ""),
            needed("client_id", "Application (client) id", ""),
            secret(needed("client_secret", "Client secret", "")),
            secret(optional("share_url", "Link of the workbook, none to name site and path", "")),
            unless("share_url", optional("site", "SharePoint site", "contoso.sharepoint.com/sites/sales")),
            unless(
                "share_url",
                optional("path", "Path of the workbook in the site's library", "Plans/offers.xlsx"),
            ),
        ],
    ),
    (
        "adbc",
        &[
            needed("driver", "Name or path of the driver, as `larder drivers` lists it", ""),
            secret(needed("options.uri", "URL, as the driver takes it", "")),
        ],
    ),
];

/// What a type reads, in few words.
pub fn about(source_type: &str) -> &'static str {
    match source_type {
        "postgres" => "PostgreSQL, and databases that speak its protocol",
        "mysql" => "MySQL and MariaDB",
        "sqlserver" => "Microsoft SQL Server and Azure SQL, by user and password or token; the usual choice",
        "sqlite" => "a SQLite file",
        "clickhouse" => "ClickHouse, over HTTP",
        "trino" => "Trino, over HTTP",
        "databricks" => "Databricks SQL warehouses",
        "snowflake" => "Snowflake; needs a driver",
        "bigquery" => "Google BigQuery; needs a driver",
        "duckdb" => "DuckDB and MotherDuck; needs a driver",
        "files" => "CSV, Parquet, JSON and Excel files of a directory, bucket or server",
        "redshift" => "Amazon Redshift; needs a driver",
        "athena" => "Amazon Athena",
        "flightsql" => "Dremio, StarRocks, Doris and others with Arrow Flight SQL; needs a driver",
        "oracle" => "Oracle Database; needs a driver",
        "mssql" => "SQL Server by a driver, for Windows, Kerberos and managed identities",
        "google_sheets" => "a spreadsheet of Google Sheets",
        "microsoft_excel" => "an Excel workbook in OneDrive or SharePoint",
        "adbc" => "any other database that has a driver of ADBC",
        _ => "",
    }
}

/// The questions about a type; none about one that is configured by its keys alone.
pub fn questions(source_type: &str) -> &'static [Question] {
    QUESTIONS.iter().find(|(name, _)| *name == source_type).map_or(&[], |(_, questions)| questions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_questions_and_words() {
        for name in crate::source::type_names() {
            assert!(!questions(name).is_empty() && !about(name).is_empty(), "{name}");
        }
    }
}
