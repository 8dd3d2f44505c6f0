//! Why a use case failed.

use super::segment::SegmentFileError;
use crate::{
    auth, catalog,
    domain::{
        error::codes,
        id::RunId,
        manifest::Version,
        name::{CollectionName, IndexName, RegionName},
        run::RunStatus,
        stored::StoredName,
    },
    engine, mapping, metadata, model, segment,
    settings::Fault,
    source,
};

/// An error of a use case.
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No sync of this name is configured.
    #[error("no sync is named {name:?}; configured are: {known}")]
    UnknownSync { name: String, known: String },
    /// No source of this name is configured.
    #[error("no source is named {name:?}; configured are: {known}")]
    UnknownSource { name: String, known: String },
    /// No key has this id.
    #[error("no key has the id {0:?}; `larder keys list` shows them")]
    UnknownKey(String),
    /// No admin key has this id.
    #[error("no admin key has the id {0:?}; `larder admin keys list` shows them")]
    UnknownAdminKey(String),
    /// No session has this id.
    #[error(
        "no session has the id {0:?}, or it has ended; `larder admin sessions list` shows those that are open"
    )]
    UnknownSession(String),
    /// No run has this id.
    #[error("no run has the id {0}; `larder runs` shows the last ones")]
    UnknownRun(String),
    /// No guard holds the run.
    #[error("run {run} is not held: it is {status}{}", as_version(*version))]
    NotHeld {
        run: RunId,
        status: RunStatus,
        /// The version that it announced.
        version: Option<Version>,
    },
    /// The run has ended, or is being announced.
    #[error("run {run} cannot be cancelled: it is {status}")]
    RunNotUnderWay { run: RunId, status: RunStatus },
    /// No operation has this id on this node.
    #[error(
        "no operation has the id {0} on this node; send the request to the node that started it, within an hour of its end"
    )]
    UnknownOperation(String),
    /// Too many operations.
    #[error("{0} requested operations are in progress on this node already; wait for one to end")]
    TooManyOperations(usize),
    /// The first request with this key is under way.
    #[error("a request with this Idempotency-Key is in progress; repeat the request later to get its answer")]
    RequestUnderWay,
    /// The key came with another request.
    #[error("this Idempotency-Key came with another request; use a new key for each request")]
    IdempotencyKeyReused,
    /// No model of this name is configured.
    #[error("no model is named {name:?}; configured are: {known}")]
    UnknownModel { name: String, known: String },
    /// Another run took the place of a held one.
    #[error("run {run} is not held: it is superseded{}", as_successor(*by))]
    HeldRunSuperseded {
        run: RunId,
        /// The run that took its place, and the status of that one.
        by: Option<(RunId, RunStatus)>,
    },
    /// The collection of a held run has changed since.
    #[error(
        "{sync} has changed since {run} was held, so its result can no longer be announced, and nothing was; \
         look at `larder sync {sync} --dry-run`, then give `larder sync {sync}`, with --accept when its guards \
         are wrong"
    )]
    HeldRunOutdated { run: RunId, sync: CollectionName },
    /// No collection of this name is announced.
    #[error("no collection is named {name:?}; announced are: {known}")]
    UnknownCollection { name: String, known: String },
    /// The collection has no such index.
    #[error("{collection} has no index {index:?}; its indexes are: {known}")]
    UnknownIndex { collection: CollectionName, index: String, known: String },
    /// The node serves no records of the collection.
    #[error("this node serves no records of {0}; use a node with the role replica")]
    NoRecordsHere(CollectionName),
    /// The collection is not loaded yet.
    #[error("this node has not loaded {0} yet; try again later")]
    NotLoaded(CollectionName),
    /// Other regions serve the collection.
    #[error("{collection} is not served in this node's region; it is served in: {regions}")]
    ServedElsewhere { collection: CollectionName, regions: String },
    /// The value cannot be hashed.
    #[error(
        "the values of index {index} are hashed with a secret that no sync of this publisher has; enter the value's hash, 64 hexadecimal digits"
    )]
    HashSecretMissing { index: IndexName },
    /// The version was never announced, or its objects are deleted.
    #[error(
        "{collection} has no version {version} to go back to; there are, with the time of their data: {there}"
    )]
    UnknownVersion {
        collection: CollectionName,
        version: Version,
        /// The newest versions that can be found, with the time of their data.
        there: String,
    },
    /// A rollback to the present version.
    #[error("{collection} is at version {version}; roll back to an earlier one")]
    VersionInForce { collection: CollectionName, version: Version },
    /// The collection is not announced for this region.
    #[error("{collection} is not served in region {region}; it is served in: {regions}")]
    NotServedThere { collection: CollectionName, region: RegionName, regions: String },
    /// The region has no pin, so it follows the newest version already.
    #[error("{collection} is not pinned in region {region}; regions with a pin: {pins}")]
    NotPinned { collection: CollectionName, region: RegionName, pins: String },
    /// The configuration is that of a node that does not publish.
    #[error(
        "this configuration has no metadata database and no syncs, because its [node] roles lack \
         \"publisher\"; run the command with a publisher's"
    )]
    NoMetadata,
    /// Other changes of the key set were announced first, at each of so many attempts.
    #[error("other key changes came first {0} times; try again")]
    KeysContended(usize),
    /// A change of keys is stored, and no node knows of it yet: why the store did not take it.
    #[error(
        "the change of keys is stored and not announced, so it is not in force on any node yet; the next publisher \
         that reaches the store announces it: {0}"
    )]
    KeysNotAnnounced(Box<Error>),
    /// A version is announced, and some nodes do not serve it yet.
    #[error(
        "version {version} of {collection} is announced and stays so, but after {seconds} s not every node \
         serves it: {nodes}; `larder status` shows their state"
    )]
    NodesBehind {
        collection: CollectionName,
        version: Version,
        seconds: u64,
        /// Which nodes are behind or silent, in words.
        nodes: String,
    },
    /// A version is announced, and no live node could serve it.
    #[error(
        "version {version} of {collection} is announced and stays so, but within {seconds} s no live node of \
         its regions has reported{silent}; start a node, or see whether nodes may write to \
         [storage] status_url"
    )]
    NoLiveNode {
        collection: CollectionName,
        version: Version,
        seconds: u64,
        /// The silent nodes, in words, behind a colon; may be empty.
        silent: String,
    },
    /// The mapping does not fit the model's columns.
    #[error("the mapping of sync {sync} does not fit its model")]
    Mapping {
        sync: CollectionName,
        /// Every fault found.
        faults: Vec<mapping::MappingFault>,
    },
    /// A change of the stored configuration has faults.
    #[error("the configuration would have these faults, so nothing was changed:")]
    ConfigurationInvalid(Vec<Fault>),
    /// A key of `[secrets]` cannot be used: what it has encrypted would stay under it.
    #[error("nothing was encrypted again: [secrets]: {0}")]
    SecretKeysUnusable(String),
    /// The file declares the name.
    #[error("{0} is declared in the configuration file; change it there, or use another name")]
    ManagedByFile(StoredName),
    /// No such entry is configured.
    #[error("{0} is neither stored nor in the configuration file")]
    UnknownEntry(StoredName),
    /// No such entry is stored.
    #[error("{0} is not stored")]
    UnknownStored(StoredName),
    /// No such version of an entry is kept, or it is a deletion.
    #[error("{entry} has no version {version} to go back to")]
    UnknownStoredVersion { entry: StoredName, version: u64 },
    /// The entry is in another state than the client has seen.
    #[error("{0} was changed since, or exists already; read it again")]
    StoredChanged(StoredName),
    /// A collection is not in the state that the request names.
    #[error("collection {0} was changed meanwhile, and nothing was done; read it again")]
    CollectionChanged(CollectionName),
    /// The stored configuration is not the one that an import was compared with.
    #[error(
        "the stored configuration was changed meanwhile, and nothing was imported; look at the difference again"
    )]
    ImportOutdated,
    /// Other changes came first, at each of so many attempts.
    #[error("other changes of the configuration came first {0} times; try again")]
    StoredContended(usize),
    /// There are as many entries as can be stored.
    #[error("{0} entries are stored already; delete one first")]
    TooManyStored(usize),
    /// The model has no query.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// A message cannot be rendered: every fault of its text, or why the render ended.
    #[error("{0}")]
    MessageInvalid(String),
    /// The source failed.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The catalog or the object store failed.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// An announcement was refused or its outcome is not known.
    #[error(transparent)]
    Announce(#[from] catalog::AnnounceError),
    /// The metadata database failed.
    #[error(transparent)]
    Metadata(#[from] metadata::Error),
    /// A run could not start, or lost its lease.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A token cannot be made.
    #[error(transparent)]
    Token(#[from] auth::tokens::Error),
    /// Nobody is signed in by the identity provider.
    #[error(transparent)]
    Oidc(#[from] auth::oidc::Error),
    /// A stored record cannot be read.
    #[error(transparent)]
    Segment(#[from] segment::Error),
    /// A segment file cannot be read.
    #[error(transparent)]
    SegmentFile(#[from] SegmentFileError),
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
        "unknown_source" NotFound: UnknownSource,
        "unknown_key" NotFound: UnknownKey,
        "unknown_admin_key" NotFound: UnknownAdminKey,
        "unknown_session" NotFound: UnknownSession,
        "unknown_run" NotFound: UnknownRun,
        "run_not_under_way" Conflict: RunNotUnderWay,
        "unknown_operation" NotFound: UnknownOperation,
        "too_many_operations" Unavailable: TooManyOperations,
        "request_under_way" Conflict: RequestUnderWay,
        "idempotency_key_reused" Conflict: IdempotencyKeyReused,
        "unknown_model" NotFound: UnknownModel,
        "run_not_held" Invalid: NotHeld,
        "run_not_held" Conflict: HeldRunSuperseded,
        "held_run_outdated" Conflict: HeldRunOutdated,
        "unknown_collection" NotFound: UnknownCollection,
        "index_not_found" NotFound: UnknownIndex,
        "collection_not_found" NotFound: NoRecordsHere,
        "collection_loading" Unavailable: NotLoaded,
        "collection_in_other_region" NotFound: ServedElsewhere,
        "hash_secret_missing" Invalid: HashSecretMissing,
        "unknown_version" NotFound: UnknownVersion,
        "version_in_force" Invalid: VersionInForce,
        "region_not_served" Invalid: NotServedThere,
        "not_pinned" Invalid: NotPinned,
        "no_metadata" Invalid: NoMetadata,
        "keys_contended" Conflict: KeysContended,
        "keys_not_announced" Unavailable: KeysNotAnnounced,
        "nodes_behind" Unavailable: NodesBehind,
        "no_live_node" Unavailable: NoLiveNode,
        "configuration_invalid" Invalid: ConfigurationInvalid | SecretKeysUnusable,
        "managed_by_file" Conflict: ManagedByFile,
        "unknown_stored" NotFound: UnknownEntry | UnknownStored | UnknownStoredVersion,
        "precondition_failed" Conflict: StoredChanged | ImportOutdated | CollectionChanged,
        "stored_contended" Conflict: StoredContended,
        "too_many_stored" Invalid: TooManyStored,
        "message_invalid" Invalid: MessageInvalid,
        "mapping_mismatch" Invalid: Mapping,
        from: Model | Source | Catalog | Announce | Metadata | Engine | Segment | SegmentFile | Token | Oidc,
    }
}

/// Whether a run would end with this code: it is that of a source, or of a mapping that does not fit.
pub fn is_of_run(code: &str) -> bool {
    code == "mapping_mismatch" || source::codes().any(|known| known == code)
}

impl Error {
    /// Whether the store belongs to another publisher or deployment.
    pub fn is_foreign(&self) -> bool {
        let is_foreign = |error: &catalog::Error| {
            matches!(error, catalog::Error::ForeignMetadata { .. } | catalog::Error::ForeignCatalog { .. })
        };
        match self {
            Self::Catalog(error) => is_foreign(error),
            Self::Announce(catalog::AnnounceError::Refused(error)) => is_foreign(error),
            _ => false,
        }
    }

    /// The message, with every fault of a mapping on a line of its own.
    pub fn text(&self) -> String {
        match self {
            Self::Mapping { faults, .. } => {
                faults.iter().fold(self.to_string(), |text, fault| format!("{text}\n  {fault}"))
            }
            Self::ConfigurationInvalid(faults) => {
                faults.iter().fold(self.to_string(), |text, fault| format!("{text}\n  {fault}"))
            }
            _ => self.to_string(),
        }
    }

    /// Whether a signal ended the run.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Engine(engine::Error::Cancelled))
    }
}
