//! The arguments of `larder keys` and `larder token`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::ActorArgument;
use crate::{
    admin::check_overlap,
    domain::{
        duration,
        fields::FieldPath,
        limits::KEY_REQUESTS_PER_SECOND_MAX,
        name::{CollectionName, IndexName},
        network::Network,
    },
};

/// The commands of `larder keys`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeysCommand {
    /// Create a key; it is printed once, alone on stdout
    Create(Box<CreateKey>),
    /// List keys with their grants, limits and last use; revoked ones too
    List {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Give a key a new secret, printed once; the old one works for the time of --overlap
    Rotate(RotateKey),
    /// Revoke a key; refused everywhere within two poll intervals
    Revoke(RevokeKey),
}

/// `larder keys create`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("grant").required(true))]
pub(in crate::cli) struct CreateKey {
    #[command(flatten)]
    pub(in crate::cli) actor: ActorArgument,
    /// The purpose of the key, as lists show it
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) name: String,
    /// A collection that the key grants access to; may be given several times
    #[arg(long = "collection", value_name = "COLLECTION", group = "grant")]
    pub(in crate::cli) collections: Vec<String>,
    /// The key grants access to every collection, present and future
    #[arg(long, group = "grant")]
    pub(in crate::cli) all_collections: bool,
    /// How long the key is valid, from now: 90d, 12h; without it the key does not expire
    #[arg(long, value_name = "DURATION")]
    pub(in crate::cli) expires: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) limits: KeyLimitArguments,
}

/// What limits a key beside its collections.
#[derive(Debug, Args)]
pub(in crate::cli) struct KeyLimitArguments {
    /// An index that the key may look values up in, instead of all; may be given several times
    #[arg(long = "index", value_name = "INDEX")]
    pub(in crate::cli) indexes: Vec<IndexName>,
    /// A field that the key may read, instead of all: `full_name`, `recommendations.concerts`; may be given several times
    #[arg(long = "field", value_name = "PATH", conflicts_with = "without_fields")]
    pub(in crate::cli) fields: Vec<FieldPath>,
    /// A field that the key may not read; may be given several times
    #[arg(long = "without-field", value_name = "PATH")]
    pub(in crate::cli) without_fields: Vec<FieldPath>,
    /// A field that the key may read in one collection, as in `customer:full_name`; `--field` and `--without-field`
    /// then do not apply to that collection; may be given several times
    #[arg(long = "field-of", value_name = "COLLECTION:PATH", value_parser = field_of)]
    pub(in crate::cli) fields_of: Vec<FieldOf>,
    /// A field that the key may not read in one collection; may be given several times
    #[arg(long = "without-field-of", value_name = "COLLECTION:PATH", value_parser = field_of)]
    pub(in crate::cli) without_fields_of: Vec<FieldOf>,
    /// A network that requests must come from, such as 203.0.113.0/24; may be given several times
    #[arg(long = "network", value_name = "CIDR")]
    pub(in crate::cli) networks: Vec<Network>,
    /// Requests a second on one node, instead of `server.key_requests_per_second_max`
    #[arg(long, value_name = "REQUESTS", value_parser = rate())]
    pub(in crate::cli) requests_per_second: Option<u64>,
    /// Requests at once after a pause; by default as many as --requests-per-second
    #[arg(long, value_name = "REQUESTS", requires = "requests_per_second", value_parser = rate())]
    pub(in crate::cli) burst: Option<u64>,
    /// Answer a request over the rate like a miss instead of 429, for callers that take 429 for a broken host
    #[arg(long)]
    pub(in crate::cli) never_throttle_status: bool,
}

/// A field of one collection.
pub(in crate::cli) type FieldOf = (CollectionName, FieldPath);

fn field_of(text: &str) -> Result<FieldOf, String> {
    let (collection, path) =
        text.split_once(':').ok_or("write COLLECTION:PATH, such as customer:full_name")?;
    let collection = CollectionName::new(collection).map_err(|error| error.to_string())?;
    Ok((collection, FieldPath::new(path).map_err(|error| error.to_string())?))
}

fn rate() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=KEY_REQUESTS_PER_SECOND_MAX)
}

/// `larder keys rotate`
#[derive(Debug, Args)]
pub(in crate::cli) struct RotateKey {
    #[command(flatten)]
    pub(in crate::cli) actor: ActorArgument,
    /// The key's id, as `larder keys list` shows it: the 12 characters after `lrd_`
    pub(in crate::cli) id: String,
    /// How long the old secret stays valid: 24h, 7d; 0s ends it at once
    #[arg(long, value_name = "DURATION", value_parser = check_overlap)]
    pub(in crate::cli) overlap: Duration,
}

/// `larder keys revoke`
#[derive(Debug, Args)]
pub(in crate::cli) struct RevokeKey {
    #[command(flatten)]
    pub(in crate::cli) actor: ActorArgument,
    /// The key's id, as `larder keys list` shows it: the 12 characters after `lrd_`
    pub(in crate::cli) id: String,
}

/// The commands of `larder token`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Print a token as an issuer would make it, to try the configuration out
    Mint(MintToken),
}

/// `larder token mint`
#[derive(Debug, Args)]
pub(in crate::cli) struct MintToken {
    /// The issuer: NAME of [tokens.NAME]
    #[arg(value_name = "NAME")]
    pub(in crate::cli) issuer: String,
    /// The claim sub: the index value of the record that the token gives access to
    #[arg(long, value_name = "VALUE")]
    pub(in crate::cli) subject: Option<String>,
    /// A collection that the token is bound to; may be given several times
    #[arg(long = "collection", value_name = "COLLECTION")]
    pub(in crate::cli) collections: Vec<CollectionName>,
    /// The index in which the subject is looked up; needed when the configuration has no `record_index`
    #[arg(long, value_name = "INDEX")]
    pub(in crate::cli) record_index: Option<IndexName>,
    /// A field that the token is bound to; may be given several times
    #[arg(long = "field", value_name = "PATH")]
    pub(in crate::cli) fields: Vec<FieldPath>,
    /// A field that the token does not give access to; may be given several times
    #[arg(long = "without-field", value_name = "PATH")]
    pub(in crate::cli) without_fields: Vec<FieldPath>,
    /// How long the token is valid
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "5m")]
    pub(in crate::cli) expires: Duration,
    /// The key ID (kid) of the private key, for an issuer with several keys
    #[arg(long, value_name = "KID")]
    pub(in crate::cli) key_id: Option<String>,
    /// The private key in PEM (PKCS#8), for an issuer without a shared secret
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) private_key_file: Option<PathBuf>,
}
