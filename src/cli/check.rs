//! `larder check`: the configuration, and with `--connect` everything it names.

use super::{
    args::ConfigArguments,
    exit::Exit,
    output::{Failure, complain, counted, print},
    session,
};
use crate::{
    app::{self, Checked, Fault},
    support::clock::Clock,
};

pub(super) async fn run(arguments: &ConfigArguments, connect: bool) -> Result<Exit, Failure> {
    let config = session::load(arguments)?;
    let syncs = counted(config.syncs.len() as u64, "sync");
    print(&format!("{}: no faults, {syncs} configured", arguments.file.display()))?;
    let mut is_sound = true;
    if connect {
        app::check_configuration(&config, Clock::default(), |checked| {
            is_sound &= checked.result.is_ok();
            show(&checked)
        })
        .await?;
    }
    Ok(if is_sound { Exit::Success } else { Exit::Failed })
}

fn show(checked: &Checked) -> Result<(), Failure> {
    let Checked { part, result, warnings } = checked;
    match result {
        Ok(found) if found.is_empty() => print(&format!("ok    {part}"))?,
        Ok(found) => print(&format!("ok    {part}: {found}"))?,
        Err(Fault { message, code, details }) => {
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
