//! `larder preview`: records as they would be served.

use std::io::{self, Write};

use super::{
    args::{ConfigArguments, Preview},
    exit::Exit,
    output::{Failure, complain, counted, shown},
    session,
};
use crate::{admin, support::clock::Clock};

pub(super) async fn run(config: &ConfigArguments, arguments: Preview) -> Result<Exit, Failure> {
    let config = session::load(config)?;
    let sync = session::find_sync(&config, &arguments.sync)?;
    let source = session::source_of(&config, sync)?;
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let mut rejected = 0_u64;
    let data_as_of = Clock::default().now();
    admin::preview(&sync.spec, &source, data_as_of, arguments.limit, |record, mapped| match mapped {
        Ok(()) => {
            if written.is_ok() {
                written = stdout.write_all(&record.body).and_then(|()| stdout.write_all(b"\n"));
            }
        }
        Err(rejection) => {
            rejected += 1;
            let field = rejection.field.map(|field| format!(" in {field}")).unwrap_or_default();
            let key = if record.key.is_empty() {
                String::new()
            } else {
                format!(" (primary key {})", shown(&record.key))
            };
            complain(&format!("rejected: {}{field}{key}", rejection.reason));
        }
    })
    .await?;
    written.and_then(|()| stdout.flush()).map_err(Failure::of_output)?;
    if rejected > 0 {
        complain(&format!("{} rejected", counted(rejected, "row")));
    }
    Ok(Exit::Success)
}
