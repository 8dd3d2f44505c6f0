//! Compaction: many change segments become one, and much garbage becomes a new base. No record and no
//! version changes.

mod reencode;
mod rewrite;

use std::ops::Range;

use tracing::{info, warn};

use self::rewrite::Rewrite;
use super::{
    Engine,
    error::Error,
    ingest::{UploadQueue, Uploader},
    lease::SyncLease,
    spec::SyncSpec,
};
use crate::{
    domain::{
        limits::{CHANGED_VERSIONS_MAX, GARBAGE_RATIO_MAX},
        manifest::{Manifest, SegmentKind},
    },
    support::background,
};

/// How a collection is compacted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Compaction {
    /// These change segments into as few as hold their records.
    Merge(Range<usize>),
    /// All records into a new base.
    NewBase,
}

/// Change segments with fewer rows never outgrow their base.
const CHANGED_ROWS_MIN: u64 = 1_000;

/// The compaction that is due.
fn due(manifest: &Manifest) -> Option<Compaction> {
    let rows = |kind| -> u64 {
        manifest.segments.iter().filter(|segment| segment.kind == kind).map(|segment| segment.rows).sum()
    };
    let (base, changes) = (rows(SegmentKind::Base), rows(SegmentKind::Changes));
    // A collection that began empty or small has no dictionary that fits its present records.
    let has_outgrown_base = changes > base.max(CHANGED_ROWS_MIN);
    let is_garbage = manifest.garbage_ratio() > GARBAGE_RATIO_MAX && changes > 0;
    if has_outgrown_base || is_garbage {
        Some(Compaction::NewBase)
    } else {
        let merged = mergeable(manifest);
        let versions = manifest.segments[merged.clone()].chunk_by(|a, b| a.version == b.version).count();
        (versions >= CHANGED_VERSIONS_MAX).then_some(Compaction::Merge(merged))
    }
}

/// The change segments that a merge takes: all before those of the last version. A follower that does not have the
/// last version yet finds what it serves at the end of the merged segments, and applies the last changes as ever. If
/// they were merged too, it would have to rebuild the collection.
fn mergeable(manifest: &Manifest) -> Range<usize> {
    let segments = &manifest.segments;
    let first = segments.partition_point(|segment| segment.kind == SegmentKind::Base);
    let last = segments.last().map(|segment| segment.version);
    let end = segments.iter().position(|segment| Some(segment.version) == last).unwrap_or(first);
    first..end.max(first)
}

impl Engine {
    /// Compacts the collection of `spec` when that is due. A failure is logged and the next run tries
    /// again: reads do not depend on it.
    pub(super) async fn compact(&self, lease: &SyncLease, spec: &SyncSpec) {
        if let Err(error) = self.try_compact(lease, spec).await {
            let code = error.code();
            warn!(sync = %spec.collection, code, %error, "compaction failed; the next run tries again");
        }
    }

    async fn try_compact(&self, lease: &SyncLease, spec: &SyncSpec) -> Result<(), Error> {
        let name = &spec.collection;
        let Some(base) = self.announced(name).await?.base else { return Ok(()) };
        let Some(compaction) = due(&base.manifest) else { return Ok(()) };
        let (run_id, created_at) = (self.new_run_id(), self.clock.now());
        let mut segments = base.manifest.segments.clone();
        let (kind, version, replaced) = match &compaction {
            Compaction::Merge(merged) => {
                (SegmentKind::Changes, segments[merged.end - 1].version, merged.clone())
            }
            Compaction::NewBase => (SegmentKind::Base, base.manifest.version, 0..segments.len()),
        };
        let uploader = Uploader::new(self, run_id, kind, name, version);
        let (sender, written_segments) = tokio::sync::mpsc::channel(1);
        let rewrite = Rewrite::new(self, base.clone(), spec.compression);
        let queue = UploadQueue::Upload(sender);
        let compacting = compaction.clone();
        let work = move || match compacting {
            Compaction::Merge(merged) => rewrite.merge_changes(merged, queue),
            Compaction::NewBase => rewrite.write_base(queue),
        };
        let written = background::spawn_thread("larder-compact", work).map_err(Error::ThreadRefused)?;
        let (written, uploaded) = tokio::join!(written, uploader.run(written_segments));
        let uploaded = uploaded?;
        written.map_err(|_| Error::WorkerDied)??;
        segments.splice(replaced, uploaded.into_values());
        let manifest = Manifest { run_id, created_at, segments, ..base.manifest.clone() };
        self.replace_manifest(lease, &base, manifest).await?;
        info!(sync = %name, ?compaction, "compacted segments");
        Ok(())
    }
}
