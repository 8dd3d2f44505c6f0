//! `larder import`: stores the sources, models and syncs of a file.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::Context as _;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    args::{ActorArgument, ConfigArguments, Import},
    exit::Exit,
    output::{Failure, complain, counted, print},
    remote::Remote,
    session,
};
use crate::{
    admin::{self, Admin, EntryChange, ImportOptions, Imported, ImportedEntry},
    app,
    config::{Config, Environment, Fault, ImportFile},
    domain::StoredSection,
    support::clock::Clock,
};

pub(super) async fn run(config: &ConfigArguments, arguments: Import) -> Result<Exit, Failure> {
    let Import { actor, path, dry_run, prune, yes } = arguments;
    let read = ImportFile::read(&path, &Environment::process()).map_err(Failure::Configuration)?;
    if !(dry_run || yes || io::stdin().is_terminal()) {
        let message = "stdin is no terminal, so nobody can confirm the import: give --yes or --dry-run";
        return Err(Failure::Usage(message.to_owned()));
    }
    let target = Target::of(config).await?;
    let would = target.import(&read, ImportOptions { prune, dry_run: true, newest: None }, &actor).await?;
    show(&would)?;
    let changes = would.entries.iter().filter(|entry| entry.is_written()).count();
    if changes == 0 || dry_run {
        return Ok(Exit::Success);
    }
    if !yes && !is_confirmed(&format!("Store {}?", counted(changes as u64, "change")))? {
        complain("nothing was changed");
        return Ok(Exit::Failed);
    }
    let options = ImportOptions { prune, dry_run: false, newest: Some(would.newest) };
    let done = target.import(&read, options, &actor).await?;
    let version = done.version.map(|version| format!("; version {version}")).unwrap_or_default();
    print(&format!(
        "stored {}{version}; publishers apply them within two poll intervals",
        counted(changes as u64, "change")
    ))?;
    Ok(Exit::Success)
}

/// Checks a file by the rules of a server.
pub(super) async fn check(config: &ConfigArguments) -> Result<Exit, Failure> {
    let read = ImportFile::read(&config.file, &Environment::process()).map_err(Failure::Configuration)?;
    let target = Target::of(config).await?;
    let options = ImportOptions { dry_run: true, ..ImportOptions::default() };
    let would = target.import(&read, options, &ActorArgument::default()).await?;
    let entries = match would.entries.len() as u64 {
        1 => "1 entry".to_owned(),
        entries => format!("{entries} entries"),
    };
    print(&format!("{}: no faults, {entries} could be imported", config.file.display()))?;
    show(&would)?;
    Ok(Exit::Success)
}

/// Where entries are stored.
enum Target {
    /// In the metadata database of a configuration.
    Here(Box<(Config, Admin)>),
    /// By a server.
    Server(Remote),
}

impl Target {
    async fn of(config: &ConfigArguments) -> Result<Self, Failure> {
        if let Some(remote) = Remote::of(config)? {
            return Ok(Self::Server(remote));
        }
        let config = session::load(config)?;
        let admin = app::open_admin(&config, Clock::default()).await?;
        Ok(Self::Here(Box::new((config, admin))))
    }

    async fn import(
        &self,
        file: &ImportFile,
        options: ImportOptions,
        actor: &ActorArgument,
    ) -> Result<Imported, Failure> {
        match self {
            Self::Here(here) => {
                let (config, admin) = &**here;
                let principal = session::principal(actor);
                match admin.import_stored(config, file.import(), options, &principal).await {
                    Err(admin::Error::ConfigurationInvalid(faults)) => Err(invalid(file, &faults)),
                    imported => Ok(imported?),
                }
            }
            Self::Server(remote) => {
                let ImportOptions { prune, dry_run, newest } = options;
                let newest = newest.map(|newest| format!("&newest={newest}")).unwrap_or_default();
                let path = format!("/admin/v1/configuration/import?prune={prune}&dry_run={dry_run}{newest}");
                let answer: Answer = remote.change(Method::POST, &path, body(file)).await?;
                answer.imported.ok_or_else(|| invalid(file, &answer.faults))
            }
        }
    }
}

/// The answer of a server.
#[derive(Deserialize)]
struct Answer {
    faults: Vec<Fault>,
    #[serde(flatten)]
    imported: Option<Imported>,
}

/// The entries as the admin API takes them.
fn body(file: &ImportFile) -> Value {
    let import = file.import();
    let section = |section: StoredSection| -> Map<String, Value> {
        let entries = import.entries.iter().filter(|(entry, _)| entry.section == section);
        entries.map(|(entry, document)| (entry.name.clone(), document.clone())).collect()
    };
    let defaults = if import.defaults.is_null() { json!({}) } else { import.defaults.clone() };
    json!({
        "sources": section(StoredSection::Sources),
        "models": section(StoredSection::Models),
        "syncs": section(StoredSection::Syncs),
        "defaults": defaults,
    })
}

fn invalid(file: &ImportFile, faults: &[Fault]) -> Failure {
    Failure::Admin(admin::Error::ConfigurationInvalid(file.place(faults)))
}

fn show(imported: &Imported) -> Result<(), Failure> {
    for ImportedEntry { entry, change, differences } in &imported.entries {
        let what = match change {
            EntryChange::InFile => "the same in the configuration file".to_owned(),
            change => change.to_string(),
        };
        print(&format!("{entry}: {what}"))?;
        if *change == EntryChange::Changed {
            for difference in differences {
                print(&format!("  {}", super::output::shown(difference)))?;
            }
        }
    }
    Ok(())
}

/// Asks on stderr; only `y` and `yes` confirm.
fn is_confirmed(question: &str) -> Result<bool, Failure> {
    let _ = write!(io::stderr().lock(), "{question} [y/N] ");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read stdin")?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
