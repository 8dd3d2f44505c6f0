//! Amazon Athena: a query runs in the service, which leaves its rows as one CSV file in S3.

mod csv;
mod session;
mod settings;

use async_trait::async_trait;

use self::{csv::CsvRows, session::Session};
use super::{
    Query, check_unchanged,
    driver::{Driver, SourceType, Tables},
    error::{Error, malformed},
    http::Endpoint,
    rows::RowSender,
    sql::Dialect,
    trino::{DIALECT, types::printable, values::PrintedReader},
};
use crate::{domain::row::Column, store::Bucket, support::result_code::Phase};

pub(super) const TYPE: SourceType = SourceType { name: "athena", causes: &[], open: settings::open };

/// The tables of the catalog, as a model names them.
const TABLES: &str = "select table_schema || '.' || table_name as name from information_schema.tables \
     where table_schema <> 'information_schema' order by 1";

/// Athena in one region.
#[derive(Debug)]
struct Athena {
    endpoint: Endpoint,
    region: String,
    /// Where results are left, and the credentials for both services.
    output: Bucket,
    workgroup: Option<String>,
    catalog: Option<String>,
    database: Option<String>,
}

#[async_trait]
impl Driver for Athena {
    fn dialect(&self) -> Option<&'static Dialect> {
        Some(&DIALECT)
    }

    async fn tables(&self) -> Result<Tables, Error> {
        Ok(Tables::Sql(TABLES))
    }

    async fn describe(&self, query: &Query) -> Result<Vec<Column>, Error> {
        let sql = DIALECT.statement(query)?;
        let session = Session::open(self)?;
        let outcome = session.execute(&format!("select * from (\n{sql}\n) limit 0"), Phase::Planning).await?;
        session.columns(&outcome).await
    }

    async fn stream(
        &self,
        query: &Query,
        columns: &[Column],
        limit: Option<u64>,
        rows: &mut RowSender,
    ) -> Result<(), Error> {
        let sql = DIALECT.statement(query)?;
        let limit = limit.map_or_else(String::new, |limit| format!(" limit {limit}"));
        let fields = columns.iter().map(|column| printable(&DIALECT.quote(&column.name), &column.type_name));
        let fields = fields.collect::<Vec<_>>().join(", ");
        let session = Session::open(self)?;
        let sql = format!("select {fields} from (\n{sql}\n){limit}");
        let outcome = session.execute(&sql, Phase::Reading).await?;
        check_unchanged(columns, &described(columns, session.columns(&outcome).await?))?;
        let mut reader = PrintedReader::new(columns);
        let mut file = session.open_result(&outcome).await?;
        let mut lines = CsvRows::new(columns.len());
        let mut is_header = true;
        while let Some(piece) = file.next().await? {
            lines.push(&piece);
            while let Some(row) = lines.next(file.is_ended())? {
                // The first line has the names.
                if !std::mem::take(&mut is_header) {
                    reader.read_row(row.values(), &mut rows.batch);
                    if rows.is_full() && rows.send().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        if lines.is_empty() { Ok(()) } else { Err(malformed("the result ends within a row")) }
    }
}

/// The columns of a result as their model has them: those that were selected as text have their own types.
fn described(columns: &[Column], found: Vec<Column>) -> Vec<Column> {
    let column = |(at, found): (usize, Column)| match columns.get(at) {
        Some(column) if found.name == column.name && printable("x", &column.type_name) != "x" => {
            column.clone()
        }
        _ => found,
    };
    found.into_iter().enumerate().map(column).collect()
}
