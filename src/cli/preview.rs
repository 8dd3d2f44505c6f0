//! `larder preview`: records as they would be served.

use std::io::{self, Write};

use serde_json::value::RawValue;

use super::{
    args::{ConfigArguments, Preview},
    exit::Exit,
    output::{Failure, complain, counted, print, rejected_row},
    remote::{Remote, segment},
    session,
};
use crate::{domain::RejectedRow, support::clock::Clock};

pub(super) async fn run(config: &ConfigArguments, arguments: Preview) -> Result<Exit, Failure> {
    if let Some(remote) = Remote::of(config)? {
        return preview_remote(&remote, &arguments).await;
    }
    let registry = session::registry(&session::load(config)?).await?;
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
    warn(rows, rejected, warnings);
    Ok(Exit::Success)
}

/// The preview of a server.
#[derive(serde::Deserialize)]
struct Previewed<'a> {
    #[serde(borrow)]
    rows: Vec<&'a RawValue>,
    is_cut: bool,
    rejected: Vec<RejectedRow>,
    warnings: Vec<String>,
}

async fn preview_remote(remote: &Remote, arguments: &Preview) -> Result<Exit, Failure> {
    let path = format!("/admin/v1/syncs/{}/preview", segment(&arguments.sync));
    let bytes = remote.bytes(&path, &[("limit", &arguments.limit.to_string())]).await?;
    let previewed: Previewed<'_> = serde_json::from_slice(&bytes).map_err(anyhow::Error::new)?;
    for record in &previewed.rows {
        print(record.get())?;
    }
    for row in &previewed.rejected {
        let row = rejected_row(&row.reason, row.field.as_deref(), row.primary_key.as_deref());
        complain(&format!("rejected: {row}"));
    }
    let rejected = previewed.rejected.len() as u64;
    if previewed.is_cut {
        complain("warning: records were left off, because all of them are too large for one answer");
    }
    warn(previewed.rows.len() as u64 + rejected, rejected, previewed.warnings);
    Ok(Exit::Success)
}

/// What a user should know beside the records.
fn warn(rows: u64, rejected: u64, warnings: Vec<String>) {
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
    if rows == 0 {
        complain(
            "warning: the model has no rows; check what it reads, and whether a database hides rows from the source's user \
             (row-level security)",
        );
    }
    if rejected > 0 {
        complain(&format!("{} rejected", counted(rejected, "row")));
    }
}
