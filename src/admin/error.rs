//! Why a use-case did not come about.

use crate::{
    catalog,
    domain::{
        error::codes,
        id::RunId,
        manifest::Version,
        name::{CollectionName, RegionName},
        run::RunStatus,
    },
    engine, mapping,
    metadata::{self, Pause},
    source, store,
};

/// An error of a command or an admin request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No sync of this name is configured.
    #[error("no sync is named {name:?}; configured are: {known}")]
    UnknownSync {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// No key has this id.
    #[error("no key has the id {id:?}; `larder keys list` shows them")]
    UnknownKey {
        /// What was asked for.
        id: String,
    },
    /// No run has this id.
    #[error("no run has the id {id}; `larder runs` shows the last ones")]
    UnknownRun {
        /// What was asked for.
        id: String,
    },
    /// The run exists, and no guard holds it (any more).
    #[error("run {run} is not held: it is {status}{}{}", as_version(*version), as_successor(*by))]
    NotHeld {
        /// The run.
        run: RunId,
        /// What it is instead.
        status: RunStatus,
        /// The version that it announced.
        version: Option<Version>,
        /// The run that took its place, and what that is.
        by: Option<(RunId, RunStatus)>,
    },
    /// What a guard holds can no longer be announced as it is, and the sync must not run by itself.
    #[error(
        "{sync} has changed since {run} was held, so exactly that can no longer be announced, and its sync is \
         paused ({pause}), so it does not run again by itself; look at `larder sync {sync} --dry-run`, then \
         give `larder sync {sync}`, with --accept when its guards are wrong"
    )]
    HeldWhilePaused {
        /// The held run.
        run: RunId,
        /// Its sync.
        sync: CollectionName,
        /// Why it is paused.
        pause: Pause,
    },
    /// The catalog names no such collection.
    #[error("no collection is named {name:?}; announced are: {known}")]
    UnknownCollection {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Nothing was announced under this number, or it is gone.
    #[error(
        "{collection} has no version {version} to go back to; there are, with the time of their data: {there}"
    )]
    UnknownVersion {
        /// The collection.
        collection: CollectionName,
        /// What was asked for.
        version: Version,
        /// The newest versions that can be found, with the time of their data.
        there: String,
    },
    /// A rollback to what is served anyway.
    #[error("{collection} is at version {version}; roll back to an earlier one")]
    VersionInForce {
        /// The collection.
        collection: CollectionName,
        /// Its version.
        version: Version,
    },
    /// A sync of this name would bring the collection back.
    #[error(
        "a sync named {name} is configured and would bring the collection back; take [syncs.{name}] out of \
         the configuration of every publisher, let them read it again (SIGHUP), then drop it"
    )]
    SyncConfigured {
        /// The collection.
        name: CollectionName,
    },
    /// The collection is not served in this region.
    #[error("{collection} is not served in region {region}; it is served in: {regions}")]
    NotServedThere {
        /// The collection.
        collection: CollectionName,
        /// What was asked for.
        region: RegionName,
        /// Where it is served.
        regions: String,
    },
    /// The region follows the newest version anyway.
    #[error("{collection} is not pinned in region {region}; regions with a pin: {pins}")]
    NotPinned {
        /// The collection.
        collection: CollectionName,
        /// What was asked for.
        region: RegionName,
        /// Where it is pinned.
        pins: String,
    },
    /// The configuration is not a publisher's: it has no metadata database and no syncs.
    #[error(
        "this configuration has no metadata database and no syncs, because its [node] roles lack \
         \"publisher\"; run the command with a publisher's"
    )]
    NoMetadata,
    /// The key set kept changing under this one.
    #[error("other key changes came first {attempts} times; try again")]
    KeysContended {
        /// How often it was tried.
        attempts: usize,
    },
    /// A version is announced, and nodes that should serve it do not yet.
    #[error(
        "version {version} of {collection} is announced and stays so, but after {seconds} s not every node \
         serves it: {nodes}; `larder status` shows how they stand"
    )]
    NodesBehind {
        /// The collection.
        collection: CollectionName,
        /// The version.
        version: Version,
        /// How long they had.
        seconds: u64,
        /// Which nodes are behind or silent, in words.
        nodes: String,
    },
    /// A version is announced, and no node lives that could serve it.
    #[error(
        "version {version} of {collection} is announced and stays so, but within {seconds} s no live node of \
         its regions has left a status{silent}; start a node, or see whether nodes may write to \
         [storage] status_url"
    )]
    NoLiveNode {
        /// The collection.
        collection: CollectionName,
        /// The version.
        version: Version,
        /// How long they had.
        seconds: u64,
        /// The silent nodes, in words, behind a colon; may be empty.
        silent: String,
    },
    /// The mapping does not fit the model's columns.
    #[error("the mapping of sync {sync} does not fit its model")]
    Mapping {
        /// The sync.
        sync: CollectionName,
        /// What does not fit.
        faults: Vec<mapping::Fault>,
    },
    /// The source failed.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The object store failed.
    #[error(transparent)]
    Publication(#[from] store::Error),
    /// An announcement was refused or its outcome is not known.
    #[error(transparent)]
    Announce(#[from] catalog::AnnounceError),
    /// The metadata database failed.
    #[error(transparent)]
    Metadata(#[from] metadata::Error),
    /// No run could begin.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

fn as_version(version: Option<Version>) -> String {
    version.map(|version| format!(" as version {version}")).unwrap_or_default()
}

fn as_successor(by: Option<(RunId, RunStatus)>) -> String {
    match by {
        Some((run, RunStatus::Held)) => format!("; {run} is held in its place"),
        Some((run, status)) => format!("; {run}, which is {status}, came after it"),
        None => String::new(),
    }
}

codes! {
    Error {
        "unknown_sync" NotFound: UnknownSync,
        "unknown_key" NotFound: UnknownKey,
        "unknown_run" NotFound: UnknownRun,
        "run_not_held" Conflict: NotHeld,
        "held_while_paused" Conflict: HeldWhilePaused,
        "unknown_collection" NotFound: UnknownCollection,
        "unknown_version" NotFound: UnknownVersion,
        "version_in_force" Invalid: VersionInForce,
        "sync_configured" Invalid: SyncConfigured,
        "region_not_served" Invalid: NotServedThere,
        "not_pinned" Invalid: NotPinned,
        "no_metadata" Invalid: NoMetadata,
        "keys_contended" Conflict: KeysContended,
        "nodes_behind" Unavailable: NodesBehind,
        "no_live_node" Unavailable: NoLiveNode,
        "mapping_mismatch" Invalid: Mapping,
        from: Source | Publication | Announce | Metadata | Engine,
    }
}
