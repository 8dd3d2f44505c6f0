//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{config::Overrides, domain::duration, metadata::AUDIT_LISTED_MAX};

/// Shown below the list of commands.
const EXAMPLES: &str = "\
Examples:
  larder quickstart
      try it: sample data, a key, a running server
  larder check --connect
      is larder.toml right, and does everything it names answer?
  larder keys create --name braze --collection customer
      a key for one collection; it is printed once
  larder serve
      run a node
  larder rollback customer --to 41
      serve version 41 again, now

Commands read larder.toml in the working directory, unless --config or LARDER_CONFIG names another
file.
Exit codes: 0 done, 1 failed, 2 wrong configuration or usage, 3 held by a guard, 4 superseded or run
elsewhere, 130 interrupted.";
/// Over the flags of [`Instead`].
const INSTEAD: &str = "Instead of the configuration file";

/// Serves rows of your data warehouse from memory, one record at a time.
#[derive(Debug, Parser)]
#[command(name = "larder", version, max_term_width = 100, disable_help_subcommand = true, after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The configuration file, and the keys of it that flags may set.
#[derive(Debug, Clone, Args)]
pub(super) struct ConfigArgument {
    /// The configuration file
    #[arg(long, short, env = "LARDER_CONFIG", default_value = "larder.toml", value_name = "FILE")]
    pub(super) config: PathBuf,
    #[command(flatten)]
    pub(super) instead: Instead,
}

/// Keys of the configuration that flags may set. The variables are read by `config`.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Instead {
    /// `[node] region`, also `LARDER_REGION`
    #[arg(long, value_name = "NAME", hide_short_help = true, help_heading = INSTEAD)]
    region: Option<String>,
    /// `[node] roles` with commas between them: publisher,replica; also `LARDER_ROLES`
    #[arg(long, value_name = "ROLES", hide_short_help = true, help_heading = INSTEAD)]
    roles: Option<String>,
    /// `[node] data_dir`, also `LARDER_DATA_DIR`
    #[arg(long, value_name = "DIRECTORY", hide_short_help = true, help_heading = INSTEAD)]
    data_dir: Option<String>,
    /// `[server] listen`, also `LARDER_LISTEN`
    #[arg(long, value_name = "ADDRESS", hide_short_help = true, help_heading = INSTEAD)]
    listen: Option<String>,
    /// `[server] admin_listen`, also `LARDER_ADMIN_LISTEN`
    #[arg(long, value_name = "ADDRESS", hide_short_help = true, help_heading = INSTEAD)]
    admin_listen: Option<String>,
    /// `[server] public_url`, also `LARDER_PUBLIC_URL`
    #[arg(long, value_name = "URL", hide_short_help = true, help_heading = INSTEAD)]
    public_url: Option<String>,
    /// `[storage] url`, also `LARDER_STORAGE_URL`
    #[arg(long, value_name = "URL", hide_short_help = true, help_heading = INSTEAD)]
    storage_url: Option<String>,
    /// `[metadata] url`, also `LARDER_METADATA_URL`, which does not show in lists of processes
    #[arg(long, value_name = "URL", hide_short_help = true, help_heading = INSTEAD)]
    metadata_url: Option<String>,
    /// `[log] filter`, also `LARDER_LOG`
    #[arg(long, value_name = "FILTER", hide_short_help = true, help_heading = INSTEAD)]
    log: Option<String>,
    /// `[log] format`, text or json; also `LARDER_LOG_FORMAT`
    #[arg(long, value_name = "FORMAT", hide_short_help = true, help_heading = INSTEAD)]
    log_format: Option<String>,
}

impl ConfigArgument {
    /// A file, and nothing instead of it.
    pub(super) fn file(config: PathBuf) -> Self {
        Self { config, instead: Instead::default() }
    }

    /// `--region`.
    pub(super) fn region(&self) -> Option<&str> {
        self.instead.region.as_deref()
    }

    /// What the flags set.
    pub(super) fn overrides(&self) -> Overrides {
        let Instead {
            region,
            roles,
            data_dir,
            listen,
            admin_listen,
            public_url,
            storage_url,
            metadata_url,
            log,
            log_format,
        } = self.instead.clone();
        Overrides {
            region,
            roles,
            data_dir,
            listen,
            admin_listen,
            public_url,
            storage_url,
            metadata_url,
            log,
            log_format,
        }
    }
}

/// Who gives a command.
#[derive(Debug, Clone, Args)]
pub(super) struct ActorArgument {
    /// Who does it, for the audit log, instead of the system's user@host; it keeps 128 characters
    #[arg(long, env = "LARDER_ACTOR", value_name = "NAME", hide_short_help = true)]
    pub(super) actor: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Try it: create larder.toml, and in ./data a sample warehouse and a key, and serve them
    Quickstart(Quickstart),
    /// Run a node: serve records, run syncs
    Serve(Serve),
    /// Check the configuration; every fault at once
    Check(Check),
    /// Show records as they would be served, as JSON lines; rejected rows on stderr
    Preview(Preview),
    /// Run one sync now; when it is running elsewhere, follow that run to its end
    Sync(Sync),
    /// List sync runs, or show one with its rejected rows
    Runs(Runs),
    /// Announce exactly what a held run made
    Approve(Approve),
    /// Serve an earlier version of a collection again; its scheduled runs wait for `resume`
    Rollback(Rollback),
    /// Let a sync run by its schedule again, after a rollback
    Resume(Resume),
    /// Hold one region at a version of a collection, while the others follow the newest
    Pin(Pin),
    /// Let a pinned region follow the newest version again
    Unpin(Unpin),
    /// Remove a collection that is no longer synced
    Drop(Drop),
    /// Create, list and revoke API keys
    Keys(Keys),
    /// Show what is announced, and which node serves what, how fresh and how far behind
    Status(Status),
    /// Show who did what: keys, runs on request, and everything that undoes
    Audit(Audit),
    /// Look into segment files
    Segment(Segment),
    /// Ask a node whether it is ready; exit code 0 when it is
    Health(Health),
    /// Bring the metadata database's schema up to date (Postgres; SQLite does it by itself)
    Migrate(ConfigArgument),
    /// Show the configuration in force
    Config(Config),
}

/// `larder quickstart`
#[derive(Debug, Args)]
pub(super) struct Quickstart {
    /// Where the configuration and ./data are created
    #[arg(long, default_value = ".", value_name = "DIRECTORY")]
    pub(super) directory: PathBuf,
}

/// `larder serve`
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
}

/// `larder check`
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// Also connect to store, metadata database and sources, and compare mappings with the models' columns
    #[arg(long)]
    pub(super) connect: bool,
}

/// `larder preview`
#[derive(Debug, Args)]
pub(super) struct Preview {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// The sync, by its collection's name
    #[arg(value_name = "SYNC")]
    pub(super) sync: String,
    /// Read so many rows at most
    #[arg(long, default_value_t = 100, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) limit: u64,
}

/// `larder sync`
#[derive(Debug, Args)]
pub(super) struct Sync {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// The sync, by its collection's name
    #[arg(value_name = "SYNC")]
    pub(super) name: String,
    /// Read the rows and say what would change; nothing is announced or recorded
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Announce the result even when a guard would hold it, and write all rows anew when what is announced
    /// cannot be read
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) accept: bool,
    /// Then wait, so long at most, until every live node that serves the collection has this version:
    /// 60s, 5m
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, conflicts_with = "dry_run")]
    pub(super) wait: Option<Duration>,
    /// Print the run as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder runs`
#[derive(Debug, Args)]
pub(super) struct Runs {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// A sync's name: its runs; a run's id: that run and its rejected rows; nothing: all runs
    #[arg(value_name = "SYNC|RUN")]
    pub(super) subject: Option<String>,
    /// The newest so many runs
    #[arg(long, default_value_t = 20, value_name = "RUNS", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) limit: u64,
    /// Only runs that announced a version: those to go back to with `rollback` or `pin`
    #[arg(long)]
    pub(super) announced: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder approve`
#[derive(Debug, Args)]
pub(super) struct Approve {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// The held run's id, as `larder status` shows it; when its collection has changed since, the
    /// sync runs again without guards, unless it is paused
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// Print the run as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder rollback`
#[derive(Debug, Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(super) name: String,
    /// The version whose content is announced again, under a new number
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(super) to: u64,
    /// Print what was done as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder resume`
#[derive(Debug, Args)]
pub(super) struct Resume {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// The sync, by its collection's name
    #[arg(value_name = "SYNC")]
    pub(super) name: String,
    /// Print what was done as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder pin`
#[derive(Debug, Args)]
#[command(mut_arg("region", |region| pinned_region(region, "The region that stays at this version; LARDER_REGION and [node] region do not stand in for it")))]
pub(super) struct Pin {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(super) name: String,
    /// The version that the region serves until it is unpinned
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(super) to: u64,
    /// Print what was done as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder unpin`
#[derive(Debug, Args)]
#[command(mut_arg("region", |region| pinned_region(region, "The region that is pinned; LARDER_REGION and [node] region do not stand in for it")))]
pub(super) struct Unpin {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(super) name: String,
    /// Print what was done as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `--region` of a command that is about a region: it must be given, and is shown with the others. Where
/// this node stands does not matter: the command acts on the fleet.
fn pinned_region(region: clap::Arg, help: &'static str) -> clap::Arg {
    region.help(help).required(true).hide_short_help(false).help_heading(None)
}

/// The number of a version.
fn version(text: &str) -> Result<u64, &'static str> {
    let number = text.parse::<u64>().ok().filter(|number| *number > 0);
    number.ok_or("a version is a whole number from 1; `larder runs COLLECTION` shows which there are")
}

/// `larder drop`
#[derive(Debug, Args)]
pub(super) struct Drop {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// The collection; readers see it as one that never was
    #[arg(value_name = "COLLECTION")]
    pub(super) name: String,
    /// Print what was done as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder keys`
#[derive(Debug, Args)]
pub(super) struct Keys {
    /// What to do with keys.
    #[command(subcommand)]
    pub(super) command: KeysCommand,
}

/// The commands of `larder keys`.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Create a key; it is printed once, alone on stdout
    Create(CreateKey),
    /// List keys: what they open and when they expire; revoked ones too
    List(ListKeys),
    /// Revoke a key; refused everywhere within two poll intervals
    Revoke(RevokeKey),
}

/// `larder keys create`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("grant").required(true))]
pub(super) struct CreateKey {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// What the key is for, as people will read it in lists
    #[arg(long, value_name = "NAME")]
    pub(super) name: String,
    /// A collection that the key opens; may be given several times
    #[arg(long = "collection", value_name = "COLLECTION", group = "grant")]
    pub(super) collections: Vec<String>,
    /// The key opens every collection, present and future
    #[arg(long, group = "grant")]
    pub(super) all_collections: bool,
    /// How long the key works, from now: 90d, 12h; without it, until it is revoked
    #[arg(long, value_name = "DURATION")]
    pub(super) expires: Option<String>,
}

/// `larder keys list`
#[derive(Debug, Args)]
pub(super) struct ListKeys {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder keys revoke`
#[derive(Debug, Args)]
pub(super) struct RevokeKey {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// The key's id, as `larder keys list` shows it: the 12 characters after `lrd_`
    pub(super) id: String,
}

/// `larder status`
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder audit`
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// A collection, or a key's id: what was done to it; nothing: everything
    #[arg(value_name = "COLLECTION|KEY")]
    pub(super) subject: Option<String>,
    /// The newest so many entries
    #[arg(long, default_value_t = 50, value_name = "ENTRIES", value_parser = clap::value_parser!(u64).range(1..=AUDIT_LISTED_MAX as u64))]
    pub(super) limit: u64,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder segment`
#[derive(Debug, Args)]
pub(super) struct Segment {
    /// What to do with segments.
    #[command(subcommand)]
    pub(super) command: SegmentCommand,
}

/// The commands of `larder segment`.
#[derive(Debug, Subcommand)]
pub(super) enum SegmentCommand {
    /// Print a segment's records as JSON lines
    Cat(SegmentCat),
}

/// `larder segment cat`
#[derive(Debug, Args)]
pub(super) struct SegmentCat {
    /// The segment file
    pub(super) file: PathBuf,
    /// A segment of the base that a change segment was made for: it holds the dictionary
    #[arg(long, value_name = "FILE")]
    pub(super) base: Option<PathBuf>,
}

/// `larder health`
#[derive(Debug, Args)]
pub(super) struct Health {
    /// What to ask; /readyz: should requests be sent here, /livez: does the process run
    #[arg(long, default_value = "http://127.0.0.1:8080/readyz", value_name = "URL")]
    pub(super) url: String,
}

/// `larder config`
#[derive(Debug, Args)]
pub(super) struct Config {
    /// What to do with the configuration.
    #[command(subcommand)]
    pub(super) command: ConfigCommand,
}

/// The commands of `larder config`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the configuration in force, defaults included; secrets are masked
    Print(ConfigArgument),
}
