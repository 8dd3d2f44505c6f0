//! `larder check`: the configuration, and with `--connect` everything it names.

use super::{
    args::Check,
    exit::Exit,
    output::{Failure, complain, counted, print},
    session,
};
use crate::{
    app,
    config::{Config, Role},
    control,
    support::clock::Clock,
};

pub(super) async fn run(arguments: Check) -> Result<Exit, Failure> {
    let config = session::load(&arguments.config)?;
    let syncs = counted(config.syncs.len() as u64, "sync");
    print(&format!("{}: no faults, {syncs} configured", arguments.config.config.display()))?;
    if !arguments.connect {
        return Ok(Exit::Success);
    }
    let mut failed = false;
    failed |= !tell("store", app::check_store(&config).await)?;
    if config.node.has(Role::Publisher) {
        failed |= !tell("metadata", app::check_metadata(&config, Clock::default()).await)?;
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
            let columns = counted(checked.columns.len() as u64, "column");
            let fields = counted(checked.mapping.fields().len() as u64, "field");
            print(&format!("ok    sync {name}: {columns}, {fields}"))?;
            for warning in checked.mapping.warnings() {
                complain(&format!("warning: sync {name}: {warning}"));
            }
            Ok(true)
        }
        Err(error) => {
            print(&format!("FAIL  sync {name}: {error} (code: {})", error.code()))?;
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
        Err(error) => print(&format!("FAIL  {what}: {error} (code: {})", error.code())).map(|()| false),
    }
}
