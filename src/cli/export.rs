//! `larder export`: the configuration as a file, stored entries included and without secrets.

use std::{fs::OpenOptions, io::Write as _, path::Path};

use anyhow::Context as _;

use super::{
    args::{ConfigArguments, Export},
    exit::Exit,
    output::{Failure, complain, counted, print},
    remote::Remote,
    session,
};
use crate::{
    admin::{Exported, ExportedVariable},
    app,
    support::clock::Clock,
};

pub(super) async fn run(config: &ConfigArguments, arguments: Export) -> Result<Exit, Failure> {
    let exported: Exported = if let Some(remote) = Remote::of(config)? {
        remote.get("/admin/v1/configuration/export", &[]).await?
    } else {
        let layered = app::open_layered(&session::load(config)?, Clock::default()).await?;
        layered.configuration.export()
    };
    match &arguments.output {
        None => print(exported.toml.trim_end())?,
        Some(file) => {
            write(file, &exported.toml).with_context(|| format!("cannot write {}", file.display()))?;
            print(&format!("wrote {}", file.display()))?;
        }
    }
    if !exported.variables.is_empty() {
        complain("Set these variables where the file is used:");
        for ExportedVariable { name, keys } in &exported.variables {
            complain(&format!("  {name}  {}", keys.join(", ")));
        }
    }
    if exported.left_out.is_empty() {
        return Ok(Exit::Success);
    }
    for fault in &exported.left_out {
        complain(&fault.to_string());
    }
    let faults = counted(exported.left_out.len() as u64, "fault");
    complain(&format!(
        "The export is not complete: the stored entries with the {faults} above are left out."
    ));
    Ok(Exit::Failed)
}

/// Writes a file that does not exist yet.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(file)?.write_all(text.as_bytes())
}
