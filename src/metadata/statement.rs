//! A statement and its values, for either database.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Database, Encode, SqlSafeStr, SqlStr, Type, query::Query};

/// Longest text that is stored, in bytes; longer ones are cut. Error messages and audit details are for people,
/// who read no more.
pub(super) const TEXT_BYTES_MAX: usize = 4096;

/// A value to bind: every column of both databases is one of these two.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

/// Revisions, versions and fencing tokens rise by one and never come near 2^63.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::from(number as u64)
    }
}

impl From<Option<u64>> for Value {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::Number(None), Self::from)
    }
}

impl From<DateTime<Utc>> for Value {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Number(Some(time.timestamp_micros()))
    }
}

impl From<Option<DateTime<Utc>>> for Value {
    fn from(time: Option<DateTime<Utc>>) -> Self {
        time.map_or(Self::Number(None), Self::from)
    }
}

/// `text` as it may be stored: at most `bytes_max` bytes, without NUL, which Postgres refuses.
pub(super) fn storable(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].replace('\0', "\u{fffd}")
}

/// A statement of this module with its values. `{now}` in its text stands for the database's own
/// clock in microseconds.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    sql: Cow<'static, str>,
    values: Vec<Value>,
}

impl Statement {
    /// A statement whose text is fixed.
    pub(super) fn new(sql: &'static str) -> Self {
        Self { sql: Cow::Borrowed(sql), values: Vec::new() }
    }

    /// A statement assembled from fixed parts. Values are bound, never written into the text.
    pub(super) fn assembled(sql: String) -> Self {
        Self { sql: Cow::Owned(sql), values: Vec::new() }
    }

    /// Binds the next placeholder.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The query of one database, in which the clock is written `now`.
    pub(super) fn query<'q, DB>(self, now: &str) -> Query<'q, DB, DB::Arguments>
    where
        DB: Database + sqlx::database::HasStatementCache,
        Option<String>: Encode<'q, DB> + Type<DB>,
        Option<i64>: Encode<'q, DB> + Type<DB>,
    {
        // An assembled text is rarely used twice, so it must not fill the statement cache.
        let fixed = matches!(self.sql, Cow::Borrowed(_));
        let sql: SqlStr = match self.sql {
            Cow::Borrowed(sql) if !sql.contains("{now}") => sql.into_sql_str(),
            // Safe: the text and the clock are constants of this module.
            sql => AssertSqlSafe(sql.replace("{now}", now)).into_sql_str(),
        };
        let query = sqlx::query::<DB>(sql).persistent(fixed);
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_text_is_bounded_and_has_no_nul() {
        assert_eq!(storable("a\0b", 10), "a\u{fffd}b");
        assert_eq!(storable("aé", 2), "a");
        assert_eq!(storable("aé", 3), "aé");
        assert_eq!(storable("", 0), "");
    }
}
