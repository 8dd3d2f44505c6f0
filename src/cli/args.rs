//! The command line.

mod admin;
mod keys;
mod stored;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

pub(super) use self::{
    admin::{
        AdminCommand, AdminKeysCommand, CreateAdminKey, CreateLoginLink, EndSession, RevokeAdminKey,
        SessionsCommand,
    },
    keys::{CreateKey, KeyLimitArguments, KeysCommand, MintToken, RevokeKey, RotateKey, TokenCommand},
    stored::{Export, Import, SecretsCommand},
};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use crate::{
    admin::{AUDIT_LISTED_MAX, VERSIONS_LISTED_MAX},
    config::{self, Config, Environment, Faults, Overrides, SHORTHANDS, Shorthand},
    domain::duration,
};

/// Shown below the list of commands.
const EXAMPLES: &str = "\
Examples:
  larder quickstart
      try it: sample data, a key, a running server
  larder check --connect
      check larder.toml and everything that it names
  larder keys create --name braze --collection customer
      create a key for one collection; it is printed once
  larder serve
      run a node
  larder rollback customer --to 41
      serve version 41 again

Commands read larder.toml in the working directory, unless --config or LARDER_CONFIG names another
file.
Exit codes: 0 done, 1 failed, 2 wrong configuration or usage, 3 held by a guard, 4 superseded or run
elsewhere, 130 interrupted.";
/// The heading of flags that name a server.
const REMOTE: &str = "On a server";
/// The heading of flags that set keys.
const INSTEAD: &str = "Instead of the configuration file";

/// Serves rows of your data warehouse from memory, one record at a time.
#[derive(Debug, Parser)]
#[command(name = "larder", version, max_term_width = 100, disable_help_subcommand = true, after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) config: ConfigArguments,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The configuration file, and the keys that flags set. They may stand before or after the command.
#[derive(Clone, Args)]
pub(super) struct ConfigArguments {
    /// The configuration file
    #[arg(
        long = "config",
        short = 'c',
        global = true,
        env = "LARDER_CONFIG",
        default_value = "larder.toml",
        value_name = "FILE"
    )]
    pub(super) file: PathBuf,
    /// Work on the server whose admin listener has this URL, instead of a configuration file
    #[arg(long, global = true, env = "LARDER_SERVER", value_name = "URL", help_heading = REMOTE)]
    pub(super) server: Option<String>,
    /// The admin key for --server; prefer the variable, because lists of processes show flags
    #[arg(
        long,
        global = true,
        env = "LARDER_ADMIN_KEY",
        hide_env_values = true,
        value_name = "KEY",
        help_heading = REMOTE
    )]
    pub(super) admin_key: Option<String>,
    #[command(flatten)]
    overrides: OverrideArguments,
}

/// Prints no key.
impl std::fmt::Debug for ConfigArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigArguments")
            .field("file", &self.file)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl ConfigArguments {
    /// The same flags with another file.
    pub(super) fn with_file(&self, file: PathBuf) -> Self {
        Self { file, ..self.clone() }
    }

    /// The directory that relative paths of the file are from.
    pub(super) fn dir(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// The text that a flag sets `section.key` to.
    pub(super) fn given(&self, key: &str) -> Option<&str> {
        self.overrides.0.text(key)
    }

    /// Reads the configuration; the error has every fault.
    pub(super) fn load(&self) -> Result<Config, Faults> {
        config::load(Some(&self.file), &Environment::process(), &self.overrides.0)
    }
}

/// `--set`, and a flag for each of [`SHORTHANDS`].
#[derive(Debug, Clone)]
struct OverrideArguments(Overrides);

impl Args for OverrideArguments {
    fn augment_args(command: clap::Command) -> clap::Command {
        let flag = |name: &'static str| {
            let flag = Arg::new(id(name)).long(id(name)).global(true);
            flag.hide_short_help(true).help_heading(INSTEAD)
        };
        let set = flag("--set").value_name("KEY=VALUE").action(ArgAction::Append);
        let set = set.help("Any key, as in server.connections_max=500; may be given several times");
        SHORTHANDS.iter().fold(command.arg(set), |command, Shorthand { key, flag: name, variable }| {
            command.arg(flag(name).value_name("VALUE").help(format!("{key}, also ${variable}")))
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OverrideArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut overrides = Overrides::default();
        for shorthand in &SHORTHANDS {
            if let Some(value) = matches.get_one::<String>(id(shorthand.flag)) {
                overrides.set_flag(shorthand, value);
            }
        }
        let refused = |hint| clap::Error::raw(ErrorKind::ValueValidation, format!("--set: {hint}\n"));
        let assignments: Vec<&String> = matches.get_many("set").unwrap_or_default().collect();
        for assignment in &assignments {
            overrides.set(assignment).map_err(refused)?;
        }
        // Of a flag on both sides of the command clap keeps what follows the command.
        let is_set = |word: &OsString| word == "--set" || word.to_string_lossy().starts_with("--set=");
        if std::env::args_os().filter(is_set).count() > assignments.len() {
            return Err(refused("write all of them on one side of the command"));
        }
        Ok(Self(overrides))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The id of a flag in clap: `region` for `--region`.
fn id(flag: &'static str) -> &'static str {
    flag.trim_start_matches('-')
}

/// The name of the caller.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ActorArgument {
    /// The name in the audit log, instead of the system's user@host; at most 128 characters
    #[arg(long, env = "LARDER_ACTOR", value_name = "NAME", hide_short_help = true)]
    pub(super) actor: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Try it: create larder.toml, a sample warehouse and a key in ./data, and serve them
    Quickstart(Quickstart),
    /// Ask a few questions about a source and write a first larder.toml for it
    Init(Box<Init>),
    /// Run a node: serve records, run syncs
    Serve,
    /// Check the configuration, and report every fault at once
    Check {
        /// Also connect to store, metadata database and sources, and compare mappings with the models'
        /// columns
        #[arg(long)]
        connect: bool,
    },
    /// Write sources, models, syncs and all other sections as one file, stored ones included and without secrets
    Export(Export),
    /// Store the sources, models and syncs of a file, all or none, after showing the difference
    Import(Import),
    /// Manage the encryption of stored secrets
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// Print records as they would be served, as JSON lines; rejected rows on stderr
    Preview(Preview),
    /// Inspect a source: test the connection, list tables and columns, query rows
    #[command(subcommand)]
    Source(SourceCommand),
    /// List the ADBC drivers that source types need, and those that were found
    Drivers {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Read a source by a driver of ADBC, for the process that started this one
    #[command(hide = true)]
    SourceWorker,
    /// Run one sync now; if it runs elsewhere already, follow that run to its end
    Sync(Sync),
    /// List sync runs, or show one with its rejected rows
    Runs(Runs),
    /// List the versions of a collection that can be served: those to go back to with `rollback` or `pin`
    Versions(Versions),
    /// Announce the result of a held run
    Approve(Approve),
    /// Serve an earlier version of a collection again, and pause its sync until `resume`
    Rollback(Rollback),
    /// Let a sync run by its schedule again, after a rollback
    Resume(Change),
    /// Pin one region to a version of a collection, while the others follow the newest
    Pin(Pin),
    /// Let a pinned region follow the newest version again
    Unpin(Unpin),
    /// Remove a collection: readers get 404, until `larder sync` makes it again
    Drop(Change),
    /// Let this node's metadata database publish in place of the present one
    Takeover(Takeover),
    /// Create, list, rotate and revoke API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Manage who may use the admin API and the console: admin keys, sessions, sign-in links
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Mint access tokens, to try out the configuration of an issuer
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show the announced versions, and the version, freshness and lag of every node
    Status {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Restore lost catalog documents, manifests and segments of which this node has copies
    Repair {
        #[command(flatten)]
        actor: ActorArgument,
        /// Print what was done as JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete objects that no version needs any more; a server that publishes does so every hour
    Housekeeping {
        /// Print what was done as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the audit log: changes of keys, requested runs, rollbacks, pins
    Audit(Audit),
    /// Inspect segment files
    #[command(subcommand)]
    Segment(SegmentCommand),
    /// Check whether a node is ready; exit code 0 if it is
    Health(Health),
    /// Migrate the metadata database (Postgres; SQLite is migrated when it is opened)
    Migrate,
    /// Show the configuration in force
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// `larder quickstart`
#[derive(Debug, Args)]
pub(super) struct Quickstart {
    /// The directory in which larder.toml and ./data are created; --config is ignored
    #[arg(long, default_value = ".", value_name = "DIRECTORY")]
    pub(super) directory: PathBuf,
}

/// `larder init`
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The type of the source: postgres, mysql, sqlite, ...
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) source_type: Option<String>,
    /// A key of the source with its value, such as `url=${WAREHOUSE_URL}`; may be given several times
    #[arg(long = "source", value_name = "KEY=VALUE", value_parser = assignment)]
    pub(super) source: Vec<(String, String)>,
    /// The table, or the file, that the first model reads
    #[arg(long, value_name = "NAME")]
    pub(super) table: Option<String>,
    /// The column whose value is unique in every row
    #[arg(long, value_name = "COLUMN")]
    pub(super) primary_key: Option<String>,
    /// The name of the collection in URLs
    #[arg(long, value_name = "NAME")]
    pub(super) collection: Option<String>,
    /// The name of the primary index in URLs
    #[arg(long, value_name = "NAME")]
    pub(super) index: Option<String>,
}

fn assignment(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as path=warehouse.db")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// `larder preview`
#[derive(Debug, Args)]
pub(super) struct Preview {
    /// The sync, by its collection's name
    #[arg(value_name = "SYNC")]
    pub(super) sync: String,
    /// Read at most this many rows
    #[arg(long, default_value_t = 100, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) limit: u64,
}

/// `larder sync`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags")]
pub(super) struct Sync {
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// The sync, by its collection's name
    #[arg(value_name = "SYNC")]
    pub(super) name: String,
    /// Read the rows and report what would change; nothing is announced or recorded
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Announce the result even if a guard would hold it, and write all rows again if the announced version
    /// cannot be read
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) accept: bool,
    /// Read the whole model, also when the sync reads increments
    #[arg(long)]
    pub(super) full: bool,
    /// Then wait until every live node that serves the collection has this version, at most this long:
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
    /// A sync's name lists its runs; a run's id shows that run and its rejected rows
    #[arg(value_name = "SYNC|RUN")]
    pub(super) subject: Option<String>,
    /// List at most this many runs, the newest first
    #[arg(long, default_value_t = 20, value_name = "RUNS", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) limit: u64,
    /// Print only the SQL that the run has read, or the table of a source without SQL
    #[arg(long, requires = "subject", conflicts_with = "json")]
    pub(super) sql: bool,
    /// List only runs that announced a version, for `rollback` and `pin`
    #[arg(long)]
    pub(super) announced: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder versions`
#[derive(Debug, Args)]
pub(super) struct Versions {
    /// The collection
    #[arg(value_name = "COLLECTION")]
    pub(super) name: String,
    /// Read at most this many manifests, the newest first
    #[arg(long, default_value_t = 100, value_name = "MANIFESTS", value_parser = clap::value_parser!(u64).range(1..=VERSIONS_LISTED_MAX as u64))]
    pub(super) limit: u64,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder approve`
#[derive(Debug, Args)]
pub(super) struct Approve {
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// The held run's id, as `larder status` shows it
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// Print the run as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// The arguments of commands that change one collection.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// The collection, which is also the sync's name
    #[arg(value_name = "COLLECTION")]
    pub(super) name: String,
    /// Print what was done as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder rollback`
#[derive(Debug, Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    pub(super) change: Change,
    /// The version whose content is announced again under a new number
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(super) to: u64,
}

/// `larder pin`
#[derive(Debug, Args)]
pub(super) struct Pin {
    #[command(flatten)]
    pub(super) change: Change,
    /// The version that the region serves until it is unpinned
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub(super) to: u64,
    /// The region that stays at this version; required even when `LARDER_REGION` or `[node] region` is set
    #[arg(long, value_name = "NAME")]
    pub(super) region: String,
}

/// `larder unpin`
#[derive(Debug, Args)]
pub(super) struct Unpin {
    #[command(flatten)]
    pub(super) change: Change,
    /// The region that is pinned; required even when `LARDER_REGION` or `[node] region` is set
    #[arg(long, value_name = "NAME")]
    pub(super) region: String,
}

/// `larder takeover`
#[derive(Debug, Args)]
pub(super) struct Takeover {
    #[command(flatten)]
    pub(super) actor: ActorArgument,
    /// Print both databases as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// The number of a version.
fn version(text: &str) -> Result<u64, &'static str> {
    let number = text.parse::<u64>().ok().filter(|number| *number > 0);
    number.ok_or("a version is a whole number from 1; `larder versions COLLECTION` shows which there are")
}

/// `larder audit`
#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Only entries about this collection or key id
    #[arg(value_name = "COLLECTION|KEY")]
    pub(super) subject: Option<String>,
    /// List at most this many entries, the newest first
    #[arg(long, default_value_t = 50, value_name = "ENTRIES", value_parser = clap::value_parser!(u64).range(1..=AUDIT_LISTED_MAX as u64))]
    pub(super) limit: u64,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
}

/// The commands of `larder source`.
#[derive(Debug, Subcommand)]
pub(super) enum SourceCommand {
    /// Connect, and read the version and the columns of the first 20 models of the source
    Check {
        /// The source's name in the configuration
        source: String,
        /// Print JSON instead of lines
        #[arg(long)]
        json: bool,
    },
    /// List the tables that the source's user may read, or the files
    Tables {
        /// The source's name in the configuration
        source: String,
        /// Only names that contain this, in any case
        #[arg(default_value = "")]
        pattern: String,
    },
    /// List the columns of a table or file, as `table` of a model names it
    Columns {
        /// The source's name in the configuration
        source: String,
        /// The table, such as public.customers; the file, such as customers.csv
        table: String,
    },
    /// Print rows as JSON lines, before any mapping
    Query(SourceQuery),
}

/// `larder source query`
#[derive(Debug, Args)]
pub(super) struct SourceQuery {
    /// The source's name in the configuration
    pub(super) source: String,
    /// One select statement
    pub(super) sql: Option<String>,
    /// A table or file instead of a statement
    #[arg(long, value_name = "NAME", conflicts_with = "sql")]
    pub(super) table: Option<String>,
    /// Read at most this many rows
    #[arg(long, default_value_t = 10, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) limit: u64,
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
    /// For a change segment: a segment of its base, which has the dictionary
    #[arg(long, value_name = "FILE")]
    pub(super) base: Option<PathBuf>,
}

/// `larder health`
#[derive(Debug, Args)]
pub(super) struct Health {
    /// The URL to request: /readyz (ready for requests) or /livez (the process runs)
    #[arg(long, default_value = "http://127.0.0.1:8080/readyz", value_name = "URL")]
    pub(super) url: String,
}

/// The commands of `larder config`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the configuration in force, defaults included; secrets are masked
    Print,
}

impl Command {
    /// Whether the command works on a server with `--server`.
    pub(super) const fn works_on_a_server(&self) -> bool {
        matches!(
            self,
            Self::Check { connect: false }
                | Self::Export(_)
                | Self::Import(_)
                | Self::Secrets(_)
                | Self::Preview(_)
                | Self::Source(_)
                | Self::Sync(_)
                | Self::Runs(_)
                | Self::Versions(_)
                | Self::Approve(_)
                | Self::Rollback(_)
                | Self::Resume(_)
                | Self::Pin(_)
                | Self::Unpin(_)
                | Self::Drop(_)
                | Self::Keys(_)
                | Self::Admin(_)
                | Self::Status { .. }
                | Self::Audit(_)
                | Self::Config(_)
        )
    }
}
