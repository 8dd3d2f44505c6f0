//! `larder check`: the configuration, and with `--connect` everything it names.

use super::{
    args::ConfigArguments,
    exit::Exit,
    import,
    output::{Failure, complain, counted, print},
    session,
};
use crate::{
    admin::{Configuration, ConfigurationFile as _},
    app::{self, Checked},
    config::Fault,
    support::clock::Clock,
};

pub(super) async fn run(arguments: &ConfigArguments, connect: bool) -> Result<Exit, Failure> {
    if arguments.server.is_some() {
        return import::check(arguments).await;
    }
    let config = session::load(arguments)?;
    let syncs = counted(config.syncs.len() as u64, "sync");
    print(&format!("{}: no faults, {syncs} configured", arguments.file.display()))?;
    if let Some(problem) = config.secret_keys().problem() {
        complain(&format!("warning: [secrets]: {problem}"));
    }
    let layered = session::layered(&config).await;
    let faults = show_stored(&layered.configuration)?;
    let mut is_sound = true;
    let mut report = |checked: Checked| {
        is_sound &= checked.result.is_ok();
        show(&checked)
    };
    app::check_files(&config, &layered.configuration.sources, &mut report)?;
    if connect {
        let configuration = &layered.configuration;
        app::check_configuration(&config, layered.syncs, configuration, Clock::default(), report).await?;
    }
    Ok(match (is_sound, faults) {
        (true, 0) => Exit::Success,
        (true, _) => Exit::Usage,
        (false, _) => Exit::Failed,
    })
}

/// Shows the faults of stored entries; how many there are.
fn show_stored(configuration: &Configuration) -> Result<usize, Failure> {
    let stored = &configuration.stored;
    let faults: Vec<&Fault> = stored.values().flat_map(|state| &state.faults).collect();
    let entries = match stored.len() {
        0 => return Ok(0),
        1 => "1 entry".to_owned(),
        entries => format!("{entries} entries"),
    };
    let found =
        if faults.is_empty() { "no faults".to_owned() } else { counted(faults.len() as u64, "fault") };
    print(&format!("stored configuration: {found}, {entries} checked"))?;
    for fault in &faults {
        complain(&fault.to_string());
    }
    Ok(faults.len())
}

fn show(checked: &Checked) -> Result<(), Failure> {
    let Checked { part, result, warnings } = checked;
    match result {
        Ok(found) if found.is_empty() => print(&format!("ok    {part}"))?,
        Ok(found) => print(&format!("ok    {part}: {found}"))?,
        Err(app::Fault { message, code, details }) => {
            print(&format!("FAIL  {part}: {message} (code: {code})"))?;
            for detail in details {
                print(&format!("        {detail}"))?;
            }
        }
    }
    for warning in warnings {
        complain(&format!("warning: {part}: {warning}"));
    }
    Ok(())
}
