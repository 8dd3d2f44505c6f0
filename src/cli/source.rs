//! `larder source`: what a source has, before a model is written.

use std::io::{self, Write as _};

use reqwest::Method;
use serde_json::{json, value::RawValue};

use super::{
    args::{ConfigArguments, SourceCommand, SourceQuery},
    exit::Exit,
    output::{Failure, complain, counted, or_dash, print, print_json, print_table, shown},
    remote::{Remote, nothing, segment},
    session,
};
use crate::{
    admin::{self, Configuration, ModelCheck, Query, SourceCheck},
    config::Environment,
    domain::Column,
};

pub(super) async fn run(config: &ConfigArguments, command: SourceCommand) -> Result<Exit, Failure> {
    let place = match Remote::of(config)? {
        Some(remote) => Place::Server(remote),
        None => Place::Here(Box::new(session::layered(&session::load(config)?).await.configuration)),
    };
    match command {
        SourceCommand::Check { source, json } => return check(&place, &source, json).await,
        SourceCommand::Tables { source, pattern } => {
            let tables = place.tables(&source, &pattern).await?;
            if tables.is_empty() {
                let name = if pattern.is_empty() { "" } else { "the name and " };
                complain(&format!("there is none; check {name}the rights of the source's user"));
            }
            for table in tables {
                print(&shown(&table))?;
            }
        }
        SourceCommand::Columns { source, table } => {
            let columns = place.columns(&source, table).await?;
            let rows = columns.into_iter().map(|column| {
                vec![
                    shown(&column.name).into_owned(),
                    column.type_name,
                    format!("{:?}", column.kind).to_lowercase(),
                ]
            });
            print_table(&["COLUMN", "TYPE", "KIND"], rows)?;
        }
        SourceCommand::Query(arguments) => query(&place, arguments).await?,
    }
    Ok(Exit::Success)
}

/// Where sources are read.
enum Place {
    /// By this process, as its configuration says.
    Here(Box<Configuration>),
    /// By a server, as its configuration says.
    Server(Remote),
}

impl Place {
    async fn check(&self, source: &str) -> Result<SourceCheck, Failure> {
        match self {
            Self::Here(configuration) => Ok(configuration.check_source(source).await?),
            Self::Server(remote) => {
                remote.change(Method::POST, &format!("{}/check", path(source)), nothing()).await
            }
        }
    }

    async fn tables(&self, source: &str, pattern: &str) -> Result<Vec<String>, Failure> {
        match self {
            Self::Here(configuration) => Ok(configuration.sources.tables(source, pattern).await?),
            Self::Server(remote) => {
                let path = format!("{}/tables", path(source));
                remote.list(&path, &[("contains", pattern)], usize::MAX).await
            }
        }
    }

    async fn columns(&self, source: &str, table: String) -> Result<Vec<Column>, Failure> {
        match self {
            Self::Here(configuration) => Ok(configuration.sources.columns(source, &table_of(table)).await?),
            Self::Server(remote) => {
                remote.get(&format!("{}/columns", path(source)), &[("table", &table)]).await
            }
        }
    }

    async fn rows(
        &self,
        source: &str,
        query: Query,
        limit: u64,
        mut show: impl FnMut(&[u8]),
    ) -> Result<(), Failure> {
        match self {
            Self::Here(configuration) => Ok(configuration.sources.rows(source, &query, limit, show).await?),
            Self::Server(remote) => {
                let body = match query {
                    Query::Sql(sql) => json!({ "sql": sql, "limit": limit }),
                    Query::Table { name, .. } => json!({ "table": name, "limit": limit }),
                    // No argument asks for one.
                    Query::Increment(_) | Query::KeyCounts(_) => return Ok(()),
                };
                let bytes = remote.send(Method::POST, &format!("{}/query", path(source)), Some(body)).await?;
                let found: Rows<'_> = serde_json::from_slice(&bytes).map_err(anyhow::Error::new)?;
                found.rows.iter().for_each(|row| show(row.get().as_bytes()));
                if found.is_cut {
                    complain("warning: rows were left off, because all of them are too large for one answer");
                }
                Ok(())
            }
        }
    }
}

/// Rows of a server.
#[derive(serde::Deserialize)]
struct Rows<'a> {
    #[serde(borrow)]
    rows: Vec<&'a RawValue>,
    is_cut: bool,
}

fn path(source: &str) -> String {
    format!("/admin/v1/sources/{}", segment(source))
}

/// `larder drivers`: works without a configuration.
pub(super) fn drivers(config: &ConfigArguments, json: bool) -> Result<Exit, Failure> {
    let found = admin::drivers(config.dir(), &Environment::process());
    if json {
        print_json(&found)?;
        return Ok(Exit::Success);
    }
    let rows = found.into_iter().map(|driver| {
        let place = match (driver.fault, driver.path) {
            (Some(fault), _) => format!("unusable: {}", shown(&fault)),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => format!("missing: {}", driver.install),
        };
        vec![shown(&driver.name).into_owned(), or_dash(driver.version), place]
    });
    print_table(&["DRIVER", "VERSION", "FILE"], rows)?;
    Ok(Exit::Success)
}

/// `larder source-worker`: a part of another process of this program.
pub(super) fn work() -> Result<Exit, Failure> {
    admin::work_for_source().map_err(|_| {
        Failure::Usage(
            "this command is a part of others; `larder source` and `larder sync` start it".to_owned(),
        )
    })?;
    Ok(Exit::Success)
}

async fn check(place: &Place, name: &str, json: bool) -> Result<Exit, Failure> {
    let found = place.check(name).await?;
    let is_sound = found.models.iter().all(|model| model.error.is_none());
    if json {
        print_json(&found)?;
    } else {
        let version = found.version.map(|version| format!(", {}", shown(&version))).unwrap_or_default();
        print(&format!("ok    {name}: answered within {} ms{version}", found.latency_ms))?;
        for ModelCheck { model, columns, error } in found.models {
            print(&match error {
                None => format!("ok    model {model}: {}", counted(columns as u64, "column")),
                Some(error) => format!("FAIL  model {model}: {} (code: {})", error.message, error.code),
            })?;
        }
    }
    Ok(if is_sound { Exit::Success } else { Exit::Failed })
}

async fn query(place: &Place, arguments: SourceQuery) -> Result<(), Failure> {
    let query = match (arguments.sql, arguments.table) {
        (Some(sql), _) => Query::Sql(sql),
        (None, Some(table)) => table_of(table),
        (None, None) => return Err(Failure::Usage("write a query, or --table NAME".to_owned())),
    };
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let show = |object: &[u8]| {
        if written.is_ok() {
            written = stdout.write_all(object).and_then(|()| stdout.write_all(b"\n"));
        }
    };
    place.rows(&arguments.source, query, arguments.limit, show).await?;
    written.and_then(|()| stdout.flush()).map_err(Failure::of_output)
}

fn table_of(name: String) -> Query {
    Query::Table { name, columns: None }
}
