//! The arguments of commands on stored sources, models and syncs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ActorArgument;

/// `larder export`
#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// Write a new file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
}

/// `larder import`
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    #[command(flatten)]
    pub(in crate::cli) actor: ActorArgument,
    // `file` is the id of --config.
    /// The file; only its sections `[sources]`, `[models]`, `[syncs]` and their `[defaults]` are used
    #[arg(value_name = "FILE")]
    pub(in crate::cli) path: PathBuf,
    /// Only show the difference
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Also delete stored entries that the file does not have
    #[arg(long)]
    pub(in crate::cli) prune: bool,
    /// Do not ask for confirmation
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) yes: bool,
}

/// The commands of `larder secrets`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SecretsCommand {
    /// Encrypt every stored secret under the first key of `[secrets]`, so that the others can be removed
    Rotate(ActorArgument),
}
