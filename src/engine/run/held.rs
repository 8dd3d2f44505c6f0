//! The run of a sync that is held, and whether a later run has the same result.
//!
//! An operator writes the id of a held run down and approves it later. A run that would announce the same therefore
//! does not take its place.

use std::collections::BTreeMap;

use tracing::debug;

use super::{
    guard::Hold,
    prepare::{PreparedRun, Unpublished},
};
use crate::{
    domain::{
        id::RunId,
        manifest::{Manifest, SegmentReference},
        name::IndexName,
        run::{INDEX_CONFLICT, REJECTED_PER_REASON_MAX, RejectedRow, RunRecord},
    },
    engine::{
        Engine,
        base::{Base, SegmentReader},
        error::Error,
        ingest::row_print,
        plan::RunPlan,
    },
    support::background,
};

/// Records that a held run would remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRemovals {
    /// The index under which a record is found by its primary key, if values are kept as they are.
    pub index: Option<IndexName>,
    /// Primary keys.
    pub keys: Vec<String>,
}

/// A held run, and the manifest that it would announce.
pub(super) struct HeldResult {
    pub(super) record: RunRecord,
    manifest: Manifest,
}

impl HeldResult {
    /// The seed of its fingerprints.
    pub(super) fn fingerprint_seed(&self) -> u64 {
        self.manifest.fingerprint_seed
    }

    /// Whether the run is held for the reason `hold`.
    pub(super) fn is_for(&self, hold: &Hold) -> bool {
        self.record.error.as_ref().is_some_and(|error| error.code == hold.code())
    }
}

impl Engine {
    /// The held run of the sync, if it was compared with the present base and made with the present mapping and
    /// serving settings. Then this run would publish the same, unless the model has changed.
    pub(super) async fn held_before(&self, plan: &RunPlan) -> Result<Option<HeldResult>, Error> {
        let spec = &plan.spec;
        let held = self.metadata.held_run(&spec.collection).await?;
        let Some(held) = held.filter(|held| held.from == plan.from) else { return Ok(None) };
        let (object, sha256) = (&held.manifest, &held.manifest_sha256);
        let manifest = match self.catalog.manifest_by_digest(&spec.collection, object, sha256).await {
            Ok(manifest) => manifest,
            // Its result is lost: this run makes another one.
            Err(error) if error.is_of_object() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_current = manifest.fields == plan.mapping.fields()
            && manifest.mapping == spec.mapping_digest()
            && manifest.serving == spec.serving;
        Ok(is_current.then_some(HeldResult { record: held.record, manifest }))
    }

    /// Whether `prepared`, which has written nothing, would announce the same records as `held` and lists the same
    /// rejected rows. When that cannot be determined, its result counts as different.
    pub(super) async fn is_same_result(&self, held: &HeldResult, prepared: &PreparedRun) -> bool {
        let Some(Unpublished { manifest, sum }) = &prepared.unpublished else { return false };
        if held.record.counts != prepared.counts || !is_like(&held.manifest, manifest) {
            return false;
        }
        let changes = changes(&held.manifest, prepared.base.as_deref());
        let same = async {
            let listed = self.metadata.rejected(held.record.id).await?;
            Ok(whole_lists(&listed) == whole_lists(&prepared.rejected)
                && self.sum_rows(changes).await? == *sum)
        };
        same.await.unwrap_or_else(|error: Error| {
            debug!(%error, "the held run could not be compared");
            false
        })
    }

    /// The first records that the held run `id` would remove, `max` at most; `None` if that cannot be said: the run is held no
    /// more, the collection was changed since, or the run has written a base of its own, which has no deletions.
    ///
    /// # Errors
    /// Those of metadata and the store.
    pub async fn held_removals(&self, id: RunId, max: usize) -> Result<Option<HeldRemovals>, Error> {
        let Some(held) = self.metadata.held_run_by_id(id).await? else { return Ok(None) };
        let sync = &held.record.sync;
        let base = self.announced(sync).await?.base.filter(|base| Some(base.sha256) == held.from);
        let (object, sha256) = (&held.manifest, &held.manifest_sha256);
        let manifest = self.catalog.manifest_by_digest(sync, object, sha256).await?;
        let changes = changes(&manifest, base.as_deref());
        if changes.dictionary.is_none() {
            return Ok(None);
        }
        let index = manifest.indexes.first().filter(|index| index.hash.is_none());
        let index = index.map(|index| index.name.clone());
        let mut reader = SegmentReader::new(self);
        let read = move || {
            let mut keys = Vec::new();
            for reference in changes.dictionary.iter().take(1) {
                reader.open(reference)?;
            }
            // Deletions are written last.
            for reference in changes.segments.iter().rev() {
                let segment = reader.open(reference)?;
                let deleted = (0..segment.rows()).filter(|row| segment.is_delete(*row));
                keys.extend(deleted.take(max - keys.len()).map(|row| segment.key(row).to_owned()));
                if keys.len() == max {
                    break;
                }
            }
            Ok::<_, Error>(keys)
        };
        let keys = background::spawn_thread("larder-held", read);
        let keys = keys.map_err(Error::ThreadRefused)?.await.unwrap_or(Err(Error::WorkerDied))?;
        Ok(Some(HeldRemovals { index, keys }))
    }

    /// The sum of all rows of `changes`, the same whatever their order.
    async fn sum_rows(&self, changes: Changes) -> Result<u128, Error> {
        let mut reader = SegmentReader::new(self);
        let sum = move || {
            let mut sum = 0_u128;
            if let Some(reference) = changes.dictionary.filter(|_| !changes.segments.is_empty()) {
                reader.open(&reference)?;
            }
            for reference in &changes.segments {
                let segment = reader.open(reference)?;
                for row in 0..segment.rows() {
                    let print = row_print(segment.key(row), segment.fingerprint(row), segment.is_delete(row));
                    sum = sum.wrapping_add(print);
                }
            }
            Ok::<_, Error>(sum)
        };
        let sum = background::spawn_thread("larder-held", sum);
        sum.map_err(Error::ThreadRefused)?.await.unwrap_or(Err(Error::WorkerDied))
    }
}

/// Whether two manifests differ only in values that differ between any two runs with the same result.
fn is_like(one: &Manifest, other: &Manifest) -> bool {
    let Manifest { run_id, created_at, data_as_of, version, .. } = *other;
    let (segments, mut cursor) = (other.segments.clone(), one.cursor.clone());
    if let (Some(cursor), Some(other)) = (&mut cursor, &other.cursor) {
        // The time of the run that read the whole model.
        cursor.whole_at = other.whole_at;
    }
    // The version follows from base and segments.
    Manifest { version, run_id, created_at, data_as_of, segments, cursor, ..one.clone() } == *other
}

/// The rejected rows that a run lists, by reason, sorted. A full list is only a sample and is left out. Conflicts are
/// left out, too: they follow from the records, and a run that writes nothing lists none.
fn whole_lists(rows: &[RejectedRow]) -> BTreeMap<&str, Vec<Place<'_>>> {
    let mut lists = BTreeMap::<_, Vec<_>>::new();
    for RejectedRow { reason, field, primary_key } in rows {
        lists.entry(reason.as_str()).or_default().push((field.as_deref(), primary_key.as_deref()));
    }
    lists.retain(|reason, list| *reason != INDEX_CONFLICT && list.len() < REJECTED_PER_REASON_MAX);
    for list in lists.values_mut() {
        list.sort_unstable();
    }
    lists
}

/// Field and primary key of a rejected row.
type Place<'a> = (Option<&'a str>, Option<&'a str>);

/// The segments that a run has written.
struct Changes {
    /// The segment with the dictionary of the others, when that is one of the base.
    dictionary: Option<SegmentReference>,
    segments: Vec<SegmentReference>,
}

/// What `manifest` has beyond `base`.
fn changes(manifest: &Manifest, base: Option<&Base>) -> Changes {
    let of_base = base.map_or(&[][..], |base| &base.manifest.segments);
    let shared = manifest.segments.iter().zip(of_base).take_while(|(own, other)| own == other).count();
    Changes {
        dictionary: manifest.segments.first().filter(|_| shared > 0).cloned(),
        segments: manifest.segments[shared..].to_vec(),
    }
}
