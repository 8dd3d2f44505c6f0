//! The base of a run: the version that is announced when the run starts, and its segments.

use std::sync::Arc;

use tokio::runtime::Handle;
use tracing::warn;

use super::{Engine, error::Error};
use crate::{
    disk::{SegmentDirectory, TableDirectory},
    domain::{
        catalog::{CatalogDocument, Pause},
        digest::Digest,
        manifest::{Manifest, SegmentReference, Version},
        name::CollectionName,
    },
    segment::{Codec, Dictionaries, Segment},
    store::Store,
};

/// An announced manifest.
pub(super) struct Base {
    /// SHA-256 of the manifest; the next announcement names it as its predecessor.
    pub(super) sha256: Digest,
    pub(super) manifest: Manifest,
}

/// The state of a collection in the catalog.
pub(super) struct Announced {
    /// `None` when the catalog does not have the collection, or when its manifest is lost and the run is to write
    /// everything anew.
    pub(super) base: Option<Arc<Base>>,
    /// SHA-256 of the announced manifest, also of a lost one: the next announcement names it.
    pub(super) from: Option<Digest>,
    /// The last version that the collection had, also when it was dropped; 0 when it never had one.
    pub(super) last: Version,
    /// Why its scheduled runs wait.
    pub(super) pause: Option<Pause>,
}

impl Announced {
    /// Whether the collection was dropped and not announced since.
    pub(super) fn is_dropped(&self) -> bool {
        self.from.is_none() && self.last > Version(0)
    }

    /// What decides whether the sync runs by its schedule.
    pub(super) fn control(&self) -> (Option<Pause>, bool) {
        (self.pause.clone(), self.is_dropped())
    }
}

impl Engine {
    /// Reads what is announced of a collection.
    pub(super) async fn announced(&self, name: &CollectionName) -> Result<Announced, Error> {
        self.announced_or_lost(name, false).await
    }

    /// Reads what is announced of a collection. A manifest that is missing or damaged is an error, unless
    /// `may_be_lost`: then the collection has no base.
    ///
    /// # Errors
    /// [`Error::MetadataCopied`] for a version that this metadata database does not know: its publisher has other
    /// runs, leases and held runs than this one.
    pub(super) async fn announced_or_lost(
        &self,
        name: &CollectionName,
        may_be_lost: bool,
    ) -> Result<Announced, Error> {
        let mut newest = self.catalog.newest_by_head_of(&self.authority).await?;
        let last = |document: &CatalogDocument| {
            let entry = document.collections.get(name).map(|entry| entry.version);
            entry.or(document.dropped.get(name).copied()).unwrap_or(Version(0))
        };
        // A later version was announced: head is old, and does not lead to the newest document.
        if let Some(last) = newest.as_ref().map(last)
            && self.metadata.has_version(name, Version(last.0 + 1)).await?
        {
            newest = self.catalog.newest_of(&self.authority).await?;
        }
        let Some(mut document) = newest else {
            return Ok(Announced { base: None, from: None, last: Version(0), pause: None });
        };
        let pause = document.pauses.remove(name);
        let Some(entry) = document.collections.remove(name) else {
            let last = document.dropped.remove(name).unwrap_or(Version(0));
            return Ok(Announced { base: None, from: None, last, pause });
        };
        if !self.metadata.has_version(name, entry.version).await? {
            return Err(Error::MetadataCopied { collection: name.clone(), version: entry.version });
        }
        let base = match self.catalog.manifest(name, &entry).await {
            Ok(manifest) => Some(Arc::new(Base { sha256: entry.sha256, manifest })),
            Err(error) if may_be_lost && error.is_of_object() => {
                let code = error.code();
                warn!(
                    code, collection = %name, %error,
                    "the announced manifest cannot be read; this run writes all records again"
                );
                None
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Announced { base, from: Some(entry.sha256), last: entry.version, pause })
    }
}

/// Opens segments one at a time and fetches those that are missing locally. Its methods block: it is used
/// on threads outside the async runtime.
pub(super) struct SegmentReader {
    store: Store,
    directory: SegmentDirectory,
    /// Where the tables of served records are kept.
    pub(super) tables: TableDirectory,
    runtime: Handle,
    dictionaries: Dictionaries,
    /// Keep dictionaries alive for the change segments that name them.
    codecs: Vec<Codec>,
}

impl SegmentReader {
    /// A reader that does its I/O in the current runtime.
    pub(super) fn new(engine: &Engine) -> Self {
        Self {
            store: engine.catalog.store().clone(),
            directory: engine.directory.clone(),
            tables: engine.tables.clone(),
            runtime: Handle::current(),
            dictionaries: Dictionaries::new(),
            codecs: Vec::new(),
        }
    }

    /// Opens a segment, verified.
    pub(super) fn open(&mut self, reference: &SegmentReference) -> Result<Segment, Error> {
        let buffer = self.runtime.block_on(self.directory.load(&self.store, reference))?;
        let segment = Segment::parse(buffer, &mut self.dictionaries)?;
        if self.codecs.is_empty() {
            self.codecs.push(segment.codec().clone());
        }
        Ok(segment)
    }

    /// Adds the dictionary of `codec`, for segments that only name it.
    pub(super) fn add_dictionary(&mut self, codec: &Codec) {
        if let Codec::Zstd(dictionary) = codec {
            self.dictionaries.insert(dictionary);
            self.codecs.push(codec.clone());
        }
    }
}
