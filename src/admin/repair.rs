//! Repairing what was lost from the store: documents, and the manifests and segments of announced versions.

use std::collections::BTreeSet;

use bytes::Bytes;
use chrono::TimeDelta;
use serde::Serialize;
use tracing::info;

use super::{Principal, error::Error, publisher::Publisher};
use crate::{
    catalog::{self, Authority, Catalog},
    disk::{ContentDirectory, SegmentDirectory},
    domain::{
        CatalogDocument, CollectionEntry, CollectionName, Manifest,
        limits::{DOCUMENT_BYTES_MAX, NUMBER_MAX},
    },
    metadata::{AUDIT_LISTED_MAX, AuditEntry, Metadata},
    support::clock::Clock,
};

/// Actions whose results are in the catalog alone.
const IN_CATALOG_ALONE: [&str; 6] = [
    "collection.drop",
    "collection.pin",
    "collection.unpin",
    "collection.rollback",
    "sync.resume",
    "catalog.takeover",
];
/// Longest usual time from the beginning of an action to its announcement.
const ANNOUNCEMENT_MAX: TimeDelta = TimeDelta::minutes(1);

/// What became of the newest document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogRepair {
    /// It was there, and head names it.
    Whole {
        /// Its number.
        catalog: u64,
    },
    /// Only head was written again.
    HeadRewritten {
        /// The number of the newest document.
        catalog: u64,
    },
    /// The document that this node had kept was put back.
    DocumentRestored {
        /// Its number.
        catalog: u64,
    },
    /// Documents are lost. The content of the last readable one, and the versions that metadata knows, were announced
    /// under the next free number.
    AnnouncedAgain {
        /// The new number.
        catalog: u64,
        /// The number of the last document that could be read.
        from: u64,
        /// Actions of operators since then that metadata does not have the result of, the newest first. Those that
        /// the lost documents had must be repeated.
        to_repeat: Vec<AuditEntry>,
    },
}

/// What became of one announced or pinned version whose objects were lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionRepair {
    /// The collection.
    pub collection: CollectionName,
    /// The version.
    pub version: u64,
    /// Whether all of its objects are in the store again.
    pub restored: bool,
    /// The code of what is still wrong.
    pub code: Option<&'static str>,
}

/// Repairs the newest document and head. Needs no announcer: while they are broken, none can start. `kept` is the
/// document that this machine's node has followed.
///
/// # Errors
/// `catalog_lost` when no document is left.
pub async fn repair_catalog(
    catalog: &Catalog,
    metadata: &Metadata,
    kept: Option<CatalogDocument>,
    clock: &Clock,
) -> Result<CatalogRepair, Error> {
    let deployment = metadata.deployment().await?;
    let kept = kept.filter(|kept| deployment.is_none_or(|own| own == kept.deployment));
    let last = catalog.last_readable(deployment).await?;
    if last.problem.is_none() {
        let Some(newest) = last.document else { return Ok(CatalogRepair::Whole { catalog: 0 }) };
        if catalog.usable_head().await?.is_some_and(|head| head.n >= newest.n) {
            return Ok(CatalogRepair::Whole { catalog: newest.n });
        }
        catalog.rewrite_head(&newest, clock).await?;
        return Ok(CatalogRepair::HeadRewritten { catalog: newest.n });
    }
    let highest = last.highest.max(kept.as_ref().map_or(0, |kept| kept.n));
    let found = last.document.as_ref().map_or(0, |document| document.n);
    if let Some(kept) = kept.as_ref().filter(|kept| kept.n > found && kept.n == highest)
        && catalog.restore_document(kept, clock).await?
    {
        catalog.rewrite_head(kept, clock).await?;
        return Ok(CatalogRepair::DocumentRestored { catalog: kept.n });
    }
    let best = kept.into_iter().chain(last.document).max_by_key(|document| document.n);
    let Some(best) = best else {
        let (found, known) = ("no document can be read", "the store had a catalog");
        return Err(catalog::Error::CatalogLost { found: found.into(), known: known.into() }.into());
    };
    // The database that does not publish knows other versions.
    Authority::new(best.deployment, metadata.id().await?).check(&best)?;
    if best.n == highest {
        catalog.rewrite_head(&best, clock).await?;
        return Ok(CatalogRepair::HeadRewritten { catalog: best.n });
    }
    let to_repeat = unrecovered_actions(catalog, metadata, found).await?;
    let raised = later_versions(catalog, metadata, &best).await?;
    let n = highest.saturating_add(1).min(NUMBER_MAX);
    if !catalog.announce_again(&best, n, raised, clock).await? {
        return Err(crate::catalog::AnnounceError::Superseded.into());
    }
    let newest = catalog.referenced_document(n).await?;
    catalog.rewrite_head(&newest, clock).await?;
    Ok(CatalogRepair::AnnouncedAgain { catalog: n, from: best.n, to_repeat })
}

/// The actions since document `n` whose results only the catalog has. An action is written to the audit log before
/// it is announced, so it counts also if it began a little earlier. All count when the time of the document is not known.
async fn unrecovered_actions(
    catalog: &Catalog,
    metadata: &Metadata,
    n: u64,
) -> Result<Vec<AuditEntry>, Error> {
    let since = catalog.announced_at(n).await?.map(|at| at - ANNOUNCEMENT_MAX);
    let mut actions = metadata.audit_log(None, AUDIT_LISTED_MAX).await?;
    let is_failed =
        |action: &AuditEntry| action.detail.as_deref().is_some_and(|detail| detail.starts_with("failed: "));
    actions.retain(|action| {
        IN_CATALOG_ALONE.contains(&&*action.action)
            && since.is_none_or(|since| action.at >= since)
            && !is_failed(action)
    });
    Ok(actions)
}

/// The versions above those of `document` that metadata knows as announced, and whose objects exist.
async fn later_versions(
    catalog: &Catalog,
    metadata: &Metadata,
    document: &CatalogDocument,
) -> Result<Vec<(CollectionName, CollectionEntry)>, Error> {
    let runs = metadata.announced_runs(None, usize::MAX).await?;
    let names: BTreeSet<CollectionName> =
        runs.into_iter().map(|run| run.sync).chain(document.collections.keys().cloned()).collect();
    let mut raised = Vec::new();
    for name in names {
        let present = document.collections.get(&name);
        let last = present.map(|entry| entry.version).or(document.dropped.get(&name).copied());
        let runs = metadata.announced_runs(Some(&name), 1).await?;
        let Some(version) = runs.first().and_then(|run| run.version).filter(|version| Some(*version) > last)
        else {
            continue;
        };
        let Some((run, manifest)) = metadata.announced_run(&name, version).await? else { continue };
        let (manifest, sha256) = (manifest.object, manifest.sha256);
        let mut entry = CollectionEntry { version, run_id: run.id, regions: None, manifest, sha256 };
        if let Ok(read) = catalog.manifest(&name, &entry).await
            && catalog.check_segments(&read).await.is_ok()
        {
            entry.regions = read.serving.regions;
            raised.push((name, entry));
        }
    }
    Ok(raised)
}

/// The local copies of manifests and segments that a node keeps.
pub struct LocalCopies {
    /// Manifests.
    pub manifests: ContentDirectory,
    /// Segments.
    pub segments: SegmentDirectory,
}

impl Publisher {
    /// Puts lost and damaged objects of announced and pinned versions back, from the copies that this machine's node
    /// has kept. Returns the versions that were not whole.
    pub async fn repair_versions(
        &self,
        copies: &LocalCopies,
        principal: &Principal,
    ) -> Result<Vec<VersionRepair>, Error> {
        let act = self.restore_versions(copies);
        self.audited(principal, "catalog.repair", &self.authority.deployment(), act, |repaired| {
            let restored = repaired.iter().filter(|one| one.restored).count();
            format!("{restored} of {} versions restored", repaired.len())
        })
        .await
    }

    async fn restore_versions(&self, copies: &LocalCopies) -> Result<Vec<VersionRepair>, Error> {
        let Some(newest) = self.catalog.newest(Some(self.authority.deployment())).await? else {
            return Ok(Vec::new());
        };
        let pinned = newest.pins.values().flatten();
        let mut repaired: Vec<VersionRepair> = Vec::new();
        for (name, entry) in newest.collections.iter().chain(pinned) {
            let error = match self.check_version(name, entry).await {
                Ok(()) => continue,
                Err(error) if error.is_of_object() => error,
                Err(error) => return Err(error.into()),
            };
            info!(
                collection = %name, version = %entry.version, code = error.code(),
                "objects of a version are missing or damaged"
            );
            let outcome = match self.restore_version(name, entry, copies).await {
                Ok(()) => self.check_version(name, entry).await,
                Err(error) => Err(error),
            };
            let code = outcome.as_ref().err().map(catalog::Error::code);
            let collection = name.clone();
            repaired.push(VersionRepair {
                collection,
                version: entry.version.0,
                restored: code.is_none(),
                code,
            });
        }
        Ok(repaired)
    }

    async fn check_version(
        &self,
        name: &CollectionName,
        entry: &CollectionEntry,
    ) -> Result<(), catalog::Error> {
        let manifest = self.catalog.manifest(name, entry).await?;
        self.catalog.check_segments(&manifest).await
    }

    async fn restore_version(
        &self,
        name: &CollectionName,
        entry: &CollectionEntry,
        copies: &LocalCopies,
    ) -> Result<(), catalog::Error> {
        let manifest = match self.catalog.manifest(name, entry).await {
            Ok(manifest) => manifest,
            Err(_) => self.restore_manifest(name, entry, copies).await?,
        };
        for segment in &manifest.segments {
            let one = Manifest { segments: vec![segment.clone()], ..manifest.clone() };
            if self.catalog.check_segments(&one).await.is_err() {
                let bytes = copies.segments.read(segment).await?;
                let bytes = Bytes::copy_from_slice(bytes.as_slice());
                self.catalog.restore_segment(name, segment, bytes).await?;
            }
        }
        Ok(())
    }

    async fn restore_manifest(
        &self,
        name: &CollectionName,
        entry: &CollectionEntry,
        copies: &LocalCopies,
    ) -> Result<Manifest, catalog::Error> {
        let bytes = copies.manifests.read(entry.sha256, DOCUMENT_BYTES_MAX).await?;
        let bytes = Bytes::copy_from_slice(bytes.as_slice());
        self.catalog.restore_manifest(name, entry, bytes).await?;
        self.catalog.manifest(name, entry).await
    }
}
