//! Google Sheets: a sheet or a range, whose first row names the columns.
//!
//! <https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets.values/get>

mod session;
mod settings;

use async_trait::async_trait;
use jsonwebtoken::EncodingKey;
use reqwest::Url;
use serde_json::value::RawValue;

use self::session::Session;
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType, Tables},
    error::{Error, cause, malformed, no_columns},
    files::SQL_UNSUPPORTED,
    http::Endpoint,
    rows::RowSender,
};
use crate::{
    domain::{
        reject::RejectReason,
        row::{CellKind, Column, ColumnKind},
    },
    source::cell::{self, CELL_BYTES_MAX},
};

pub(super) const TYPE: SourceType = SourceType { name: "google_sheets", causes: &[], open: settings::open };

/// A spreadsheet.
struct GoogleSheets {
    endpoint: Endpoint,
    spreadsheet: String,
    account: Account,
}

/// A service account.
struct Account {
    email: String,
    key: EncodingKey,
    /// Where it gets its tokens.
    token_url: Url,
}

impl std::fmt::Debug for GoogleSheets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GoogleSheets").field("spreadsheet", &self.spreadsheet).finish_non_exhaustive()
    }
}

#[async_trait]
impl Driver for GoogleSheets {
    fn check_query(&self, query: &Query) -> Result<(), Error> {
        range(query).map(drop)
    }

    async fn check(&self) -> Result<(), Error> {
        Session::open(self).await?.titles().await.map(drop)
    }

    async fn tables(&self) -> Result<Tables, Error> {
        let mut titles = Session::open(self).await?.titles().await?;
        titles.sort();
        Ok(Tables::Listed(titles))
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let (range, chosen) = range(query)?;
        let answer = Session::open(self).await?.values(range).await?;
        Ok(Header::of(&session::rows(&answer)?, chosen)?.columns)
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let (range, chosen) = range(query)?;
        let answer = Session::open(self).await?.values(range).await?;
        let values = session::rows(&answer)?;
        let header = Header::of(&values, chosen)?;
        check_unchanged(columns, &header.columns)?;
        let mut left = limit.unwrap_or(u64::MAX);
        for (at, row) in values.iter().enumerate().skip(1) {
            if left == 0 || row.iter().all(|value| is_empty(value)) {
                continue;
            }
            if row.len() > header.width && row[header.width..].iter().any(|value| !is_empty(value)) {
                let message = format!("row {} of the range has a value in a column without a name", at + 1);
                return Err(malformed(message).with_hint("name every column in the first row"));
            }
            for place in &header.places {
                let value = row.get(*place).map_or("null", |value| value.get());
                rows.batch.push_with(|out| write(value, out));
            }
            left -= 1;
            if rows.is_full() && rows.send().await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The range of a query, and the columns that it chooses.
fn range(query: &Query) -> Result<(&str, Option<&[String]>), Error> {
    let Query::Table { name, columns } = query else {
        return Err(Error::new(SQL_UNSUPPORTED, "a sheet cannot be queried with SQL").with_hint(
            "name the sheet or a range of it instead: `table = \"people!A1:F\"` of a model, `--table people!A1:F` of a command",
        ));
    };
    if name.trim().is_empty() || name.contains(char::is_control) {
        return Err(Error::new(cause::TABLE_NAME_INVALID, "this is not the name of a sheet")
            .with_hint("write \"people\", or a range such as \"people!A1:F\""));
    }
    Ok((name, columns.as_deref()))
}

/// The first row.
struct Header {
    columns: Vec<Column>,
    /// Where the columns stand in a row.
    places: Vec<usize>,
    width: usize,
}

impl Header {
    fn of(rows: &[Vec<&RawValue>], chosen: Option<&[String]>) -> Result<Self, Error> {
        let hint = "write the names of the columns in the first row of the range";
        let first = rows.first().ok_or_else(|| no_columns().with_hint(hint))?;
        let name = |value: &&RawValue| {
            let text = serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned());
            if text.is_empty() { Err(no_columns().with_hint(hint)) } else { Ok(text) }
        };
        let names = first.iter().map(name).collect::<Result<Vec<_>, _>>()?;
        let place = |name: &String| {
            names.iter().position(|other| other == name).ok_or_else(|| {
                Error::new(cause::UNKNOWN_COLUMN, format!("the range has no column `{name}`"))
                    .with_hint("check its name and case in the first row")
            })
        };
        let places: Vec<usize> = match chosen {
            None => (0..names.len()).collect(),
            Some(chosen) => chosen.iter().map(place).collect::<Result<_, Error>>()?,
        };
        let column = |place: &usize| Column {
            name: names[*place].clone(),
            kind: ColumnKind::Any,
            type_name: "sheet".to_owned(),
        };
        Ok(Self { columns: places.iter().map(column).collect(), places, width: names.len() })
    }
}

fn is_empty(value: &RawValue) -> bool {
    matches!(value.get(), "\"\"" | "null")
}

/// Appends a cell. A sheet does not tell an empty cell from an empty text.
fn write(value: &str, out: &mut Vec<u8>) -> CellKind {
    match value {
        "null" | "\"\"" => CellKind::Null,
        "true" | "false" => cell::boolean(value == "true", out),
        _ if value.len() > CELL_BYTES_MAX => cell::invalid(RejectReason::RecordTooLarge, out),
        _ if value.starts_with('"') => match serde_json::from_str::<String>(value) {
            Ok(text) => cell::text(text.as_bytes(), out),
            Err(_) => cell::invalid(RejectReason::InvalidText, out),
        },
        _ => cell::number(value.as_bytes(), out)
            .unwrap_or_else(|| cell::invalid(RejectReason::InvalidValue, out)),
    }
}
