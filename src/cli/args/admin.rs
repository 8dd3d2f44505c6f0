//! The arguments of `larder admin`.

use clap::{Args, Subcommand};

use super::ActorArgument;
use crate::admin::AdminRole;

/// The commands of `larder admin`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AdminCommand {
    /// Create, list and revoke admin keys
    #[command(subcommand)]
    Keys(AdminKeysCommand),
    /// List and end the sessions of browsers
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Print a link that signs a browser in to the console, once, within ten minutes
    LoginLink(CreateLoginLink),
}

/// The commands of `larder admin keys`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AdminKeysCommand {
    /// Create an admin key; it is printed once, alone on stdout
    Create(CreateAdminKey),
    /// List admin keys with their roles; revoked ones too
    List {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Revoke an admin key; every publisher refuses it within two seconds
    Revoke(RevokeAdminKey),
}

/// The commands of `larder admin sessions`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SessionsCommand {
    /// List the open sessions with their roles and last use
    List {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// End a session; every publisher refuses it within two seconds
    End(EndSession),
}

/// `larder admin sessions end`
#[derive(Debug, Args)]
pub(in crate::cli) struct EndSession {
    #[command(flatten)]
    pub(in crate::cli) actor: ActorArgument,
    /// The session's id, as `larder admin sessions list` shows it
    pub(in crate::cli) id: String,
}

/// `larder admin keys create`
#[derive(Debug, Args)]
pub(in crate::cli) struct CreateAdminKey {
    #[command(flatten)]
    pub(in crate::cli) actor: ActorArgument,
    /// The purpose of the key, as lists and the audit log show it
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: String,
    /// What its holder may do: `viewer` sees everything but records; `operator` also runs, approves, rolls back and previews; `admin` also drops collections and manages keys
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub(in crate::cli) role: AdminRole,
    /// How long the key is valid, from now: 90d, 12h; without it the key does not expire
    #[arg(long, value_name = "DURATION")]
    pub(in crate::cli) expires: Option<String>,
}

/// `larder admin keys revoke`
#[derive(Debug, Args)]
pub(in crate::cli) struct RevokeAdminKey {
    #[command(flatten)]
    pub(in crate::cli) actor: ActorArgument,
    /// The key's id, as `larder admin keys list` shows it: the 12 characters after `lra_`
    pub(in crate::cli) id: String,
}

/// `larder admin login-link`
#[derive(Debug, Args)]
pub(in crate::cli) struct CreateLoginLink {
    #[command(flatten)]
    pub(in crate::cli) actor: ActorArgument,
    /// What the session may do: `viewer`, `operator` or `admin`
    #[arg(long, value_name = "ROLE", value_parser = role, default_value = "admin")]
    pub(in crate::cli) role: AdminRole,
    /// Where the browser reaches the admin listener; without it --server, or the configured address
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) url: Option<String>,
}

fn role(text: &str) -> Result<AdminRole, &'static str> {
    text.parse().map_err(|_| "write viewer, operator or admin")
}
