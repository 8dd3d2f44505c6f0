//! `larder check`: the configuration, and with `--connect` everything it names.

use super::{
    args::ConfigArguments,
    exit::Exit,
    output::{Failure, complain, counted, print},
    session,
};
use crate::{
    admin::{self, Checked},
    api::serve::tls::Tls,
    app,
    config::{Config, Role, SyncConfig},
    store,
    support::clock::Clock,
};

pub(super) async fn run(arguments: &ConfigArguments, connect: bool) -> Result<Exit, Failure> {
    let config = session::load(arguments)?;
    let syncs = counted(config.syncs.len() as u64, "sync");
    print(&format!("{}: no faults, {syncs} configured", arguments.file.display()))?;
    if !connect {
        return Ok(Exit::Success);
    }
    let mut is_sound = tell_certificate(&config)?;
    if let Some(found) = app::check_signing_key(&config).transpose() {
        is_sound &= tell("signing key", found)?;
    }
    let publishes = config.node.has(Role::Publisher);
    if !publishes || config.storage.read_location.is_some() {
        let what = if publishes { "store to read from" } else { "store" };
        is_sound &= tell(what, app::check_read_store(&config).await)?;
    }
    if publishes {
        is_sound &= tell("store", app::check_store(&config).await)?;
        is_sound &= tell("metadata", app::check_metadata(&config, Clock::default()).await)?;
    }
    is_sound &= tell_statuses(app::check_statuses(&config).await)?;
    for sync in &config.syncs {
        let checked = match session::source_of(&config, sync) {
            Ok(source) => admin::check_sync(&sync.spec, &source).await,
            Err(Failure::Control(error)) => Err(error),
            Err(other) => return Err(other),
        };
        is_sound &= tell_sync(sync, checked)?;
    }
    Ok(if is_sound { Exit::Success } else { Exit::Failed })
}

/// Prints what a sync's check found; whether it is sound.
fn tell_sync(sync: &SyncConfig, result: Result<Checked, admin::Error>) -> Result<bool, Failure> {
    let name = &sync.spec.collection;
    match result {
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
            if let admin::Error::Mapping { faults, .. } = &error {
                for fault in faults {
                    print(&format!("        {fault}"))?;
                }
            }
            Ok(false)
        }
    }
}

/// Prints what was found of the fleet's statuses. A node that may not write its own is sound: it serves
/// all the same.
fn tell_statuses(result: Result<String, admin::Error>) -> Result<bool, Failure> {
    match result {
        Err(error @ admin::Error::Publication(store::Error::Denied { .. })) => {
            complain(&format!(
                "warning: statuses: {error} (code: {}); others see this node as silent",
                error.code()
            ));
            Ok(true)
        }
        result => tell("statuses", result),
    }
}

/// Reads certificate and key as a server would.
fn tell_certificate(config: &Config) -> Result<bool, Failure> {
    match config.server.tls.as_ref().map(Tls::load) {
        None => Ok(true),
        Some(Ok(_)) => print("ok    TLS certificate and key").map(|()| true),
        Some(Err(error)) => {
            print(&format!("FAIL  TLS: {error} (code: {})", error.code()))?;
            Ok(false)
        }
    }
}

fn tell(what: &str, result: Result<String, admin::Error>) -> Result<bool, Failure> {
    match result {
        Ok(found) => print(&format!("ok    {what}: {found}")).map(|()| true),
        Err(error) => {
            print(&format!("FAIL  {what}: {error} (code: {})", error.code()))?;
            Ok(false)
        }
    }
}
