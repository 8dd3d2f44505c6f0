//! Columns of a SQLite query: SQLite types values, not columns, so the declared type is a hint.

use std::collections::HashMap;

use sqlx::{
    AssertSqlSafe, Column as _, ColumnOrigin, Executor as _, Row as _, SqlSafeStr as _, SqliteConnection,
    Statement as _,
};

use crate::domain::{Column, ColumnKind};

/// The columns of `sql`; no row is read.
pub(super) async fn describe(
    connection: &mut SqliteConnection,
    sql: &str,
) -> Result<Vec<Column>, sqlx::Error> {
    let statement = connection.prepare(AssertSqlSafe(sql.to_owned()).into_sql_str()).await?;
    let found: Vec<_> =
        statement.columns().iter().map(|column| (column.name().to_owned(), column.origin())).collect();
    let mut tables: HashMap<String, HashMap<String, String>> = HashMap::new();
    let mut columns = Vec::new();
    for (name, origin) in found {
        let mut declared = String::new();
        if let ColumnOrigin::Table(column) = origin {
            if !tables.contains_key(&*column.table) {
                tables.insert(column.table.to_string(), declared_types(connection, &column.table).await?);
            }
            declared = tables[&*column.table].get(&*column.name).cloned().unwrap_or_default();
        }
        let kind = kind(&declared);
        let type_name = if declared.is_empty() { "any".to_owned() } else { declared };
        columns.push(Column { name, kind, type_name });
    }
    Ok(columns)
}

/// The declared type of each column of a table.
async fn declared_types(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<HashMap<String, String>, sqlx::Error> {
    let sql = "select name, type from pragma_table_xinfo(?)";
    let rows = sqlx::query(sql).bind(table).fetch_all(connection).await?;
    rows.into_iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The class of a declared type, by words in it, as SQLite finds affinities
/// (<https://www.sqlite.org/datatype3.html>, 3.1).
fn kind(declared: &str) -> ColumnKind {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if has(&["JSON"]) {
        ColumnKind::Json
    } else if has(&["BOOL"]) {
        ColumnKind::Boolean
    } else if has(&["INT"]) {
        ColumnKind::Integer
    } else if has(&["CHAR", "CLOB", "TEXT", "DATE", "TIME", "BLOB", "UUID", "STRING"]) {
        ColumnKind::Text
    } else if has(&["REAL", "FLOA", "DOUB", "NUM", "DEC"]) {
        ColumnKind::Number
    } else {
        ColumnKind::Any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_have_classes() {
        for (declared, expected) in [
            ("INTEGER", ColumnKind::Integer),
            ("unsigned big int", ColumnKind::Integer),
            ("varchar(20)", ColumnKind::Text),
            ("DATETIME", ColumnKind::Text),
            ("timestamp", ColumnKind::Text),
            ("decimal(10,2)", ColumnKind::Number),
            ("DOUBLE PRECISION", ColumnKind::Number),
            ("boolean", ColumnKind::Boolean),
            ("JSONB", ColumnKind::Json),
            ("BLOB", ColumnKind::Text),
            ("", ColumnKind::Any),
            ("whatever", ColumnKind::Any),
        ] {
            assert_eq!(kind(declared), expected, "{declared}");
        }
    }
}
