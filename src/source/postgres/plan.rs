//! What a model's query yields, and the copy that reads it.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Column as _, Row as _, postgres::PgConnection, raw_sql};

use super::{
    DIALECT,
    fault::{self, Statement},
    run,
    types::{self, Reader},
};
use crate::{
    domain::{Column, ColumnKind},
    source::error::{Error, cause, malformed},
    support::result_code::Phase,
};

/// Before the model's SQL when the server is asked to parse it.
const PREPARE: &str = "prepare larder_model as\n";
/// Ends the transaction and forgets what [`PREPARE`] left in the session, which a pooler may hand
/// to somebody else.
pub(super) const FORGET: &str = "rollback; deallocate larder_model";

/// The columns of a query and how each is read.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) columns: Vec<Column>,
    pub(super) readers: Vec<Reader>,
}

impl Plan {
    /// Asks the server; no row of the query is read.
    pub(super) async fn make(
        connection: &mut PgConnection,
        sql: &str,
        statement: Statement<'_>,
    ) -> Result<Self, Error> {
        // Parsed on its own first: whatever stands in it is one statement by itself, and errors
        // have their place in the model's text.
        let place =
            Statement { model: statement.model.map(|(model, _)| (model, PREPARE.len())), ..statement };
        run(connection, format!("{PREPARE}{sql}"), place).await?;

        let described = Statement { model: None, phase: Phase::Describing, ..statement };
        let found = describe(connection, sql, described).await?;
        let others: Vec<u32> =
            found.iter().map(|(_, oid)| *oid).filter(|oid| types::direct(*oid).is_none()).collect();
        let catalog = catalog(connection, &others, Statement { model: None, ..statement }).await?;
        let mut plan = Self { columns: Vec::new(), readers: Vec::new() };
        for (name, oid) in found {
            let (reader, kind, type_name) = match (types::direct(oid), catalog.get(&oid)) {
                (Some((reader, kind, type_name)), _) => (reader, kind, type_name.to_owned()),
                (None, Some((reader, kind, type_name))) => (*reader, *kind, type_name.clone()),
                (None, None) => return Err(malformed("a column has a type that the catalog does not know")),
            };
            plan.columns.push(Column { name, kind, type_name });
            plan.readers.push(reader);
        }
        Ok(plan)
    }

    /// The statement that reads the query's rows, at most `limit`, in a way.
    pub(super) fn read(&self, sql: &str, limit: Option<u64>, way: Way) -> String {
        // The model stands on lines of its own: a comment at its end must not swallow the bracket.
        let mut query = format!("\n{sql}\n");
        if limit.is_some() || self.readers.contains(&Reader::ToJson) {
            let fields = self.columns.iter().zip(&self.readers).map(|field| way.field(field));
            let fields: Vec<_> = fields.collect();
            query = format!("select {} from ({query}) as larder_model", fields.join(", "));
        }
        if let Some(limit) = limit {
            query = format!("{query} limit {limit}");
        }
        if way == Way::Copy { format!("copy ({query}) to stdout (format binary)") } else { query }
    }
}

/// How rows are read. A server that speaks the protocol of Postgres may lack a part of its SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Way {
    /// By a binary copy.
    Copy,
    /// By a plain query.
    Rows,
    /// By a plain query that makes text of the types that are not read directly.
    Texts,
}

impl Way {
    /// All of them, the best one first.
    pub(super) const ALL: [Self; 3] = [Self::Copy, Self::Rows, Self::Texts];

    /// Types that are not read directly are made JSON of on the server.
    fn field(self, (column, reader): (&Column, &Reader)) -> String {
        let name = DIALECT.quote(&column.name);
        match (reader, self) {
            (Reader::ToJson, Self::Texts) => format!("{name}::text as {name}"),
            (Reader::ToJson, _) => format!("pg_catalog.to_json({name}) as {name}"),
            _ => name,
        }
    }

    /// What reads a column's values.
    pub(super) fn reader(self, reader: Reader) -> Reader {
        if self == Self::Texts && reader == Reader::ToJson { Reader::Text } else { reader }
    }
}

/// Names and types of the query's columns. The join yields one row of nulls without running the
/// query, and with it the types: a query that yields no row would tell nothing.
async fn describe(
    connection: &mut PgConnection,
    sql: &str,
    statement: Statement<'_>,
) -> Result<Vec<(String, u32)>, Error> {
    let join = format!(
        "select larder_model.* from (select 1) as larder_one left join (\n{sql}\n) as larder_model on false"
    );
    let row = raw_sql(AssertSqlSafe(join)).fetch_one(connection).await;
    let row = row.map_err(|error| match fault::of_query(error, statement) {
        // It parses on its own, but not as a table: it is no select.
        error if error.code() == cause::SYNTAX_ERROR.code => {
            Error::new(cause::NO_COLUMNS, "the query is not one that only reads")
                .with_hint("write a statement that begins with select or with, and changes nothing")
        }
        other => other,
    })?;
    let columns = row.columns().iter().map(|column| {
        let oid = column.type_info().oid().ok_or_else(|| malformed("a column has no type"))?;
        Ok((column.name().to_owned(), oid.0))
    });
    columns.collect()
}

/// What the catalog says of the types `oids`.
async fn catalog(
    connection: &mut PgConnection,
    oids: &[u32],
    statement: Statement<'_>,
) -> Result<HashMap<u32, (Reader, ColumnKind, String)>, Error> {
    if oids.is_empty() {
        return Ok(HashMap::new());
    }
    let list: Vec<_> = oids.iter().map(u32::to_string).collect();
    let sql = format!(
        "select oid::pg_catalog.text, pg_catalog.format_type(oid, null), typtype::pg_catalog.text, \
         typcategory::pg_catalog.text from pg_catalog.pg_type where oid in ({})",
        list.join(", ")
    );
    let rows = raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await;
    let mut types = HashMap::new();
    for row in rows.map_err(|error| fault::of_query(error, statement))? {
        let text = |at: usize| row.try_get::<String, _>(at).map_err(|_| malformed("the catalog"));
        let (oid, name) = (text(0)?, text(1)?);
        let oid = oid.parse().map_err(|_| malformed("the catalog"))?;
        let (reader, kind) = types::other(oid, &name, &text(2)?, &text(3)?);
        types.insert(oid, (reader, kind, name));
    }
    Ok(types)
}
