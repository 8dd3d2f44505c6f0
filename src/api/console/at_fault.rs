//! At which field of a form it is shown that a source has refused what the form asks for.

use super::draft::DraftRequest;
use crate::console::{Fields, entry::KEPT};

// Fields that may be at fault, those that say more first.
const ADDRESS: &[&str] = &["host", "url", "account"];
const DATABASE: &[&str] = &["database", "url"];
const CREDENTIALS: &[&str] =
    &["password", "token", "client_secret", "private_key_file", "credentials_file", "url"];
const FILE: &[&str] = &["path", "credentials_file", "private_key_file"];
const QUERY: &[&str] = &["sql", "table"];

/// The field at which a refusal with this code is shown; `None` if no field that is filled in is the cause.
pub(super) fn field_at_fault(code: &str, fields: &Fields, requested: DraftRequest) -> Option<&'static str> {
    let candidates: &[&str] = match (requested, code) {
        (DraftRequest::Key, "source_unknown_column") => &["primary_key"],
        (DraftRequest::Rows, "source_unknown_column") => &["sql", "columns", "table"],
        (
            DraftRequest::Rows | DraftRequest::Key,
            "source_unknown_table"
            | "source_syntax_error"
            | "source_permission_denied"
            | "source_table_name_invalid"
            | "source_file_missing"
            | "source_query_failed"
            | "source_query_empty"
            | "source_several_statements"
            | "source_nul_character"
            | "source_no_columns"
            | "source_duplicate_column",
        ) => QUERY,
        (DraftRequest::Connection, "source_wrong_password" | "source_login_refused") => CREDENTIALS,
        (
            DraftRequest::Connection,
            "source_host_unknown" | "source_unreachable" | "source_connect_timeout" | "source_tls_refused",
        ) => ADDRESS,
        (DraftRequest::Connection, "source_unknown_database") => DATABASE,
        (DraftRequest::Connection, "source_file_missing" | "source_file_unreadable") => FILE,
        _ => &[],
    };
    let is_filled = |field: &&&str| !fields.text(field).is_empty() || fields.has(KEPT, field);
    candidates.iter().find(is_filled).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_at_the_field_that_is_filled_in() {
        let model = Fields::preset(&[("table", "t"), ("sql", ""), ("primary_key", "id")]);
        let postgres = Fields::preset(&[("url", ""), (KEPT, "url")]);
        let snowflake = Fields::preset(&[("account", "a"), ("password", ""), ("private_key_file", "k.p8")]);
        for (code, fields, requested, expected) in [
            ("source_unknown_column", &model, DraftRequest::Key, Some("primary_key")),
            ("source_unknown_column", &model, DraftRequest::Rows, Some("table")),
            ("source_unknown_table", &model, DraftRequest::Key, Some("table")),
            ("source_unreachable", &model, DraftRequest::Rows, None),
            ("source_wrong_password", &postgres, DraftRequest::Connection, Some("url")),
            ("source_wrong_password", &snowflake, DraftRequest::Connection, Some("private_key_file")),
            ("source_unreachable", &snowflake, DraftRequest::Connection, Some("account")),
            ("source_unknown_database", &snowflake, DraftRequest::Connection, None),
        ] {
            assert_eq!(field_at_fault(code, fields, requested), expected, "{code}");
        }
    }
}
