//! `larder check`: the configuration, and with `--connect` everything it names.

use super::{
    args::Check,
    exit::Exit,
    output::{Failure, complain, print},
    session,
};
use crate::{app, config::Config, control, support::clock::Clock};

pub(super) async fn run(arguments: Check) -> Result<Exit, Failure> {
    let config = session::load(&arguments.config)?;
    let syncs = config.syncs.len();
    print(&format!("{}: {syncs} sync{} configured", arguments.config.config.display(), plural(syncs)))?;
    if !arguments.connect {
        return Ok(Exit::Success);
    }
    let mut failed = false;
    for (what, result) in [
        ("store", app::check_store(&config).await),
        ("metadata", app::check_metadata(&config, Clock::default()).await),
    ] {
        failed |= !tell(what, result)?;
    }
    for sync in &config.syncs {
        failed |= !check_sync(&config, sync).await?;
    }
    Ok(if failed { Exit::Failed } else { Exit::Success })
}

async fn check_sync(config: &Config, sync: &crate::config::SyncConfig) -> Result<bool, Failure> {
    let name = &sync.spec.collection;
    let source = session::source_of(config, sync)?;
    match control::check_sync(&sync.spec, &source).await {
        Ok(checked) => {
            let fields = checked.mapping.fields().len();
            print(&format!("ok    sync {name}: {} columns, {fields} fields", checked.columns.len()))?;
            for warning in checked.mapping.warnings() {
                complain(&format!("warning: sync {name}: {warning}"));
            }
            Ok(true)
        }
        Err(error) => {
            print(&format!("FAIL  sync {name}: {error}"))?;
            if let control::Error::Mapping { faults, .. } = &error {
                for fault in faults {
                    print(&format!("        {fault}"))?;
                }
            }
            Ok(false)
        }
    }
}

fn tell(what: &str, result: Result<String, control::Error>) -> Result<bool, Failure> {
    match result {
        Ok(found) => print(&format!("ok    {what}: {found}")).map(|()| true),
        Err(error) => print(&format!("FAIL  {what}: {error}")).map(|()| false),
    }
}

pub(super) const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
