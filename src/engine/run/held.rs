//! The run of a sync that is held, and whether a later run has the same result.
//!
//! An operator writes the id of a held run down and approves it later. A run that would announce the same therefore
//! does not take its place.

use std::collections::BTreeMap;

use tracing::debug;

use super::{guard::Hold, prepare::PreparedRun};
use crate::{
    domain::{
        digest::Digest,
        manifest::{Manifest, SegmentReference},
        record::IndexValues,
        run::{REJECTED_PER_REASON_MAX, RejectedRow, RunRecord},
    },
    engine::{
        Engine,
        base::{Base, SegmentReader},
        error::Error,
        plan::RunPlan,
    },
    segment::Decoder,
    support::background,
};

/// A held run, and the manifest that it would announce.
pub(super) struct HeldResult {
    pub(super) record: RunRecord,
    manifest: Manifest,
}

impl HeldResult {
    /// Whether the run is held for the reason `hold`.
    pub(super) fn is_for(&self, hold: &Hold) -> bool {
        self.record.error.as_ref().is_some_and(|error| error.code == hold.code())
    }
}

impl Engine {
    /// The held run of the sync, if it was compared with the present base and made with the present mapping and
    /// serving settings: what it has published is what this run would publish if the model is as it was.
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

    /// Whether `prepared` is held for the same reason as `held`, would announce the same records and lists the same
    /// rejected rows. When that cannot be found out, its result counts as another one.
    pub(super) async fn is_same_result(&self, held: &HeldResult, prepared: &PreparedRun) -> bool {
        let Some(published) = &prepared.published else { return false };
        let is_alike = prepared.hold.as_ref().is_some_and(|hold| held.is_for(hold))
            && held.record.counts == prepared.counts
            && is_like(&held.manifest, &published.manifest);
        if !is_alike {
            return false;
        }
        let own = changes(&published.manifest, prepared.base.as_deref());
        let earlier = changes(&held.manifest, prepared.base.as_deref());
        let same = async {
            let listed = self.metadata.rejected(held.record.id).await?;
            Ok(whole_lists(&listed) == whole_lists(&prepared.rejected)
                && self.sum_rows(own).await? == self.sum_rows(earlier).await?)
        };
        same.await.unwrap_or_else(|error: Error| {
            debug!(%error, "the held run could not be compared");
            false
        })
    }

    /// A sum over all rows of `changes`, the same whatever their order, dictionary and segments.
    async fn sum_rows(&self, changes: Changes) -> Result<u128, Error> {
        let reader = SegmentReader::new(self);
        let sum = background::spawn_thread("larder-held", move || changes.sum_rows(reader));
        sum.map_err(Error::ThreadRefused)?.await.unwrap_or(Err(Error::WorkerDied))
    }
}

/// Whether two manifests differ only in what two runs of the same result differ in.
fn is_like(one: &Manifest, other: &Manifest) -> bool {
    let Manifest { run_id, created_at, data_as_of, fingerprint_seed, .. } = *other;
    let (segments, mut cursor) = (other.segments.clone(), one.cursor.clone());
    if let (Some(cursor), Some(other)) = (&mut cursor, &other.cursor) {
        // The time of the run that read the whole model.
        cursor.whole_at = other.whole_at;
    }
    Manifest { run_id, created_at, data_as_of, fingerprint_seed, segments, cursor, ..one.clone() } == *other
}

/// The rows that a run lists, in an order of their own. The list of a reason that is full is a sample, and left out.
fn whole_lists(rows: &[RejectedRow]) -> BTreeMap<&str, Vec<Place<'_>>> {
    let mut lists = BTreeMap::<_, Vec<_>>::new();
    for RejectedRow { reason, field, primary_key } in rows {
        lists.entry(reason.as_str()).or_default().push((field.as_deref(), primary_key.as_deref()));
    }
    lists.retain(|_, list| list.len() < REJECTED_PER_REASON_MAX);
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

impl Changes {
    fn sum_rows(self, mut reader: SegmentReader) -> Result<u128, Error> {
        if let Some(reference) = self.dictionary.filter(|_| !self.segments.is_empty()) {
            reader.open(&reference)?;
        }
        let (mut decoder, mut values) = (Decoder::new(), IndexValues::default());
        let (mut row_bytes, mut body) = (Vec::new(), Vec::new());
        let mut sum = 0_u128;
        for reference in &self.segments {
            let segment = reader.open(reference)?;
            for row in 0..segment.rows() {
                row_bytes.clear();
                body.clear();
                if !segment.is_delete(row) {
                    decoder.decode(&segment, row, &mut body)?;
                }
                append(&mut row_bytes, segment.key(row).as_bytes());
                append(&mut row_bytes, &body);
                row_bytes.extend([segment.flags(row).0, u8::from(segment.is_delete(row))]);
                segment.all_values(row, &mut values);
                for (index, value) in values.iter() {
                    row_bytes.extend(index.to_le_bytes());
                    append(&mut row_bytes, value.as_bytes());
                }
                sum = sum.wrapping_add(half(Digest::of(&row_bytes)));
            }
        }
        Ok(sum)
    }
}

/// Appends `part` after its length, so that parts cannot run together.
fn append(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_le_bytes());
    bytes.extend(part);
}

fn half(digest: Digest) -> u128 {
    u128::from_le_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes"))
}
