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

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        digest::Digest,
        id::RunId,
        limits::FORMAT,
        manifest::{SegmentReference, ServingSettings, Version},
        name::CollectionName,
    };

    /// A manifest with a base and change segments of these rows, each with its version.
    fn manifest(base: u64, changes: &[(u64, u64)], records: u64) -> Manifest {
        let segment = |kind, (version, rows)| SegmentReference {
            object: String::new(),
            sha256: Digest::of(b""),
            bytes: 0,
            rows,
            deletes: 0,
            kind,
            version: Version(version),
        };
        let changes = changes.iter().map(|change| segment(SegmentKind::Changes, *change));
        Manifest {
            format: FORMAT,
            collection: CollectionName::new("a").unwrap(),
            version: Version(9),
            run_id: RunId::from_uuid(Uuid::from_u128(1)),
            created_at: DateTime::UNIX_EPOCH,
            data_as_of: DateTime::UNIX_EPOCH,
            indexes: Vec::new(),
            columns: Vec::new(),
            fields: Vec::new(),
            mapping: Digest::of(b""),
            configuration: None,
            fingerprint_seed: 0,
            serving: ServingSettings::default(),
            segments: [segment(SegmentKind::Base, (1, base))].into_iter().chain(changes).collect(),
            records,
            left: 0,
            cursor: None,
        }
    }

    #[test]
    fn changes_that_outgrow_their_base_become_a_new_one() {
        for (base, changes, expected) in [
            (0, 1_000, None),
            (0, 1_001, Some(Compaction::NewBase)),
            (5_000, 5_000, None),
            (5_000, 5_001, Some(Compaction::NewBase)),
        ] {
            assert_eq!(due(&manifest(base, &[(2, changes)], base + changes)), expected, "{base} {changes}");
        }
    }

    #[test]
    fn garbage_beyond_its_share_becomes_a_new_base() {
        assert_eq!(due(&manifest(900, &[(2, 100)], 700)), None);
        assert_eq!(due(&manifest(900, &[(2, 100)], 699)), Some(Compaction::NewBase));
        // A base without changes holds what it holds.
        assert_eq!(due(&manifest(1_000, &[], 1)), None);
    }

    #[test]
    fn many_changed_versions_before_the_last_are_merged() {
        let versions =
            |count: u64| -> Vec<(u64, u64)> { (2..2 + count).map(|version| (version, 1)).collect() };
        let most = CHANGED_VERSIONS_MAX as u64;
        assert_eq!(due(&manifest(9_000, &versions(most), 9_000)), None);
        let merged = 1..CHANGED_VERSIONS_MAX + 1;
        assert_eq!(due(&manifest(9_000, &versions(most + 1), 9_000)), Some(Compaction::Merge(merged)));
        // Two segments of one version are merged, or left, together.
        let doubled: Vec<_> = versions(most + 1).into_iter().flat_map(|change| [change, change]).collect();
        let merged = 1..2 * CHANGED_VERSIONS_MAX + 1;
        assert_eq!(due(&manifest(9_000, &doubled, 9_000)), Some(Compaction::Merge(merged)));
        assert_eq!(due(&manifest(9_000, &doubled[..2 * CHANGED_VERSIONS_MAX], 9_000)), None);
        assert_eq!(mergeable(&manifest(9_000, &[], 9_000)), 1..1);
    }
}
