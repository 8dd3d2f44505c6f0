//! `larder preview`: records as they would be served.

use std::io::{self, Write};

use super::{
    args::{ConfigArguments, Preview},
    exit::Exit,
    output::{Failure, complain, counted, rejected_row},
    session,
};
use crate::support::clock::Clock;

pub(super) async fn run(config: &ConfigArguments, arguments: Preview) -> Result<Exit, Failure> {
    let registry = session::registry(&session::load(config)?)?;
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let (mut rows, mut rejected) = (0_u64, 0_u64);
    let now = Clock::default().now();
    let show = registry.preview(&arguments.sync, now, arguments.limit, |record, mapped| match mapped {
        Ok(()) => {
            rows += 1;
            if written.is_ok() {
                written = stdout.write_all(&record.body).and_then(|()| stdout.write_all(b"\n"));
            }
        }
        Err(rejection) => {
            rows += 1;
            rejected += 1;
            let field = rejection.field;
            let key = Some(record.key.as_str()).filter(|key| !key.is_empty());
            let row = rejected_row(&rejection.reason.to_string(), field.as_deref(), key);
            complain(&format!("rejected: {row}"));
        }
    });
    let warnings = show.await?;
    written.and_then(|()| stdout.flush()).map_err(Failure::of_output)?;
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
    if rows == 0 {
        complain(
            "warning: the model has no rows; look at the query, and at row-level security of its tables",
        );
    }
    if rejected > 0 {
        complain(&format!("{} rejected", counted(rejected, "row")));
    }
    Ok(Exit::Success)
}
