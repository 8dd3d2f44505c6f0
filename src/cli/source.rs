//! `larder source`: what a source has, before a model is written.

use std::io::{self, Write as _};

use super::{
    args::{ConfigArguments, SourceCommand, SourceQuery},
    exit::Exit,
    output::{Failure, complain, or_dash, print, print_json, print_table, shown},
    session,
};
use crate::{
    admin::{self, Query, Sources},
    config::Environment,
};

pub(super) async fn run(config: &ConfigArguments, command: SourceCommand) -> Result<Exit, Failure> {
    let sources = Sources::new(session::load(config)?.sources);
    match command {
        SourceCommand::Check { source } => check(&sources, &source).await?,
        SourceCommand::Tables { source, pattern } => {
            let tables = sources.tables(&source, &pattern).await?;
            if tables.is_empty() {
                complain("there is none; look at the name, and at the rights of the source's user");
            }
            for table in tables {
                print(&shown(&table))?;
            }
        }
        SourceCommand::Columns { source, table } => {
            let columns = sources.columns(&source, &table_of(table)).await?;
            let rows = columns.into_iter().map(|column| {
                vec![
                    shown(&column.name).into_owned(),
                    column.type_name,
                    format!("{:?}", column.kind).to_lowercase(),
                ]
            });
            print_table(&["COLUMN", "TYPE", "KIND"], rows)?;
        }
        SourceCommand::Query(arguments) => query(&sources, arguments).await?,
    }
    Ok(Exit::Success)
}

/// `larder drivers`: works without a configuration.
pub(super) fn drivers(config: &ConfigArguments, json: bool) -> Result<Exit, Failure> {
    let found = admin::drivers(config.dir(), &Environment::process())?;
    if json {
        print_json(&found)?;
        return Ok(Exit::Success);
    }
    let rows = found.into_iter().map(|driver| {
        let place =
            driver.path.map_or(format!("missing: {}", driver.install), |path| path.display().to_string());
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

async fn check(sources: &Sources, name: &str) -> Result<(), Failure> {
    let found = sources.check(name).await?;
    let version = found.version.map(|version| format!(", {}", shown(&version))).unwrap_or_default();
    print(&format!("ok    {name}: answered within {} ms{version}", found.latency.as_millis()))
}

async fn query(sources: &Sources, arguments: SourceQuery) -> Result<(), Failure> {
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
    sources.rows(&arguments.source, &query, arguments.limit, show).await?;
    written.and_then(|()| stdout.flush()).map_err(Failure::of_output)
}

fn table_of(name: String) -> Query {
    Query::Table { name, columns: None }
}
