//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Serves rows of your data warehouse from memory, one record at a time.
#[derive(Debug, Parser)]
#[command(name = "larder", version, max_term_width = 100, disable_help_subcommand = true)]
pub(super) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The configuration file.
#[derive(Debug, Args)]
pub(super) struct ConfigArgument {
    /// The configuration file
    #[arg(long, short, env = "LARDER_CONFIG", default_value = "larder.toml", value_name = "FILE")]
    pub(super) config: PathBuf,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a sample warehouse, a configuration and a key in ./data, and serve them
    Quickstart(Quickstart),
    /// Run a node: serve records, run syncs
    Serve(Serve),
    /// Check the configuration; every fault at once
    Check(Check),
    /// Show records as they would be served, as JSON lines; rejected rows on stderr
    Preview(Preview),
    /// Run one sync now
    Sync(Sync),
    /// List sync runs, or show one with its rejected rows
    Runs(Runs),
    /// Create, list and revoke API keys
    Keys(Keys),
    /// Show what is announced: collections, versions, records, freshness
    Status(Status),
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
    /// Also connect to sources, store and metadata, and compare mappings with the models' columns
    #[arg(long)]
    pub(super) connect: bool,
}

/// `larder preview`
#[derive(Debug, Args)]
pub(super) struct Preview {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// The sync, by its collection's name
    pub(super) sync: String,
    /// Rows to read
    #[arg(long, default_value_t = 100, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) limit: u64,
}

/// `larder sync`
#[derive(Debug, Args)]
pub(super) struct Sync {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// The sync, by its collection's name
    #[arg(value_name = "SYNC")]
    pub(super) name: String,
    /// Read and compare only; write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Waive the guards for this run: announce it even when it would be held
    #[arg(long)]
    pub(super) accept: bool,
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
    /// Runs to show
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) limit: u64,
    /// Print JSON
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
    /// List keys
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
    /// What the key is for, as people will read it in lists
    #[arg(long)]
    pub(super) name: String,
    /// A collection that the key opens; may be given several times
    #[arg(long = "collection", value_name = "COLLECTION", group = "grant")]
    pub(super) collections: Vec<String>,
    /// The key opens every collection, present and future
    #[arg(long, group = "grant")]
    pub(super) all_collections: bool,
    /// When the key ceases to work, from now: 90d, 12h
    #[arg(long, value_name = "DURATION")]
    pub(super) expires: Option<String>,
}

/// `larder keys list`
#[derive(Debug, Args)]
pub(super) struct ListKeys {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `larder keys revoke`
#[derive(Debug, Args)]
pub(super) struct RevokeKey {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// The key's id: the 12 characters after `lrd_`
    pub(super) id: String,
}

/// `larder status`
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// Print JSON
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
    /// What to ask
    #[arg(long, default_value = "http://127.0.0.1:8080/readyz")]
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
