//! A row of either database, read by column name.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use sqlx::{Row as _, postgres::PgRow, sqlite::SqliteRow};

use super::Error;

/// A row of either database.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub(super) fn text_or_null(&self, column: &'static str) -> Result<Option<String>, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(|_| Error::Unreadable(column))
    }

    pub(super) fn text(&self, column: &'static str) -> Result<String, Error> {
        self.text_or_null(column)?.ok_or(Error::Unreadable(column))
    }

    pub(super) fn number_or_null(&self, column: &'static str) -> Result<Option<i64>, Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(|_| Error::Unreadable(column))
    }

    pub(super) fn number(&self, column: &'static str) -> Result<i64, Error> {
        self.number_or_null(column)?.ok_or(Error::Unreadable(column))
    }

    /// A number that is never negative: a revision, a version, a count.
    pub(super) fn natural(&self, column: &'static str) -> Result<u64, Error> {
        u64::try_from(self.number(column)?).map_err(|_| Error::Unreadable(column))
    }

    pub(super) fn time_or_null(&self, column: &'static str) -> Result<Option<DateTime<Utc>>, Error> {
        self.number_or_null(column)?
            .map(|micros| DateTime::from_timestamp_micros(micros).ok_or(Error::Unreadable(column)))
            .transpose()
    }

    pub(super) fn time(&self, column: &'static str) -> Result<DateTime<Utc>, Error> {
        self.time_or_null(column)?.ok_or(Error::Unreadable(column))
    }

    /// An id, a name, a digest or another value with a text form. May be null.
    pub(super) fn parsed_or_null<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, Error> {
        self.text_or_null(column)?.map(|text| text.parse().map_err(|_| Error::Unreadable(column))).transpose()
    }

    /// A value with a text form.
    pub(super) fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, Error> {
        self.parsed_or_null(column)?.ok_or(Error::Unreadable(column))
    }

    /// JSON text.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<T, Error> {
        serde_json::from_str(&self.text(column)?).map_err(|_| Error::Unreadable(column))
    }
}
