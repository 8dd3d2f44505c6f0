//! Plans how to get from the served manifest to the announced one. Pure.
//!
//! A segment's version identifies content: no collection ever announces two different contents with the same
//! base and the same last segment version. Merged change segments can therefore be recognised as content that
//! is already served.

use crate::domain::manifest::{Manifest, SegmentKind, SegmentReference, Version};

/// Fewest segments of a base that are exchanged one at a time. That takes ten times as long as to build the collection
/// beside itself; a smaller base takes at most 64 MiB twice.
const RELOCATED_SEGMENTS_MIN: usize = 5;

/// The steps from the served manifest to the target manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// The target is served already.
    Nothing,
    /// The content is served; only the manifest differs (settings, merged segments, version).
    Adopt,
    /// Apply these change segments, in this order.
    Changes(Vec<SegmentReference>),
    /// The content is served, and stands in another base: exchange the segments one at a time.
    Relocate,
    /// Rebuild from all segments: the base or an index differs, or the target does not extend the served
    /// content, as after a rollback.
    Base,
}

/// Plans the way from `served` to `target`.
pub fn plan(served: Option<&Manifest>, target: &Manifest) -> Plan {
    let Some(served) = served else { return Plan::Base };
    if served == target {
        return Plan::Nothing;
    }
    let is_related = served.indexes == target.indexes
        && served.fingerprint_seed == target.fingerprint_seed
        && served.version <= target.version
        && is_same_content(base(served), base(target));
    if !is_related {
        return if is_rewritten(served, target) { Plan::Relocate } else { Plan::Base };
    }
    let Some(missing) = missing(served, target) else { return Plan::Base };
    if missing.is_empty() {
        Plan::Adopt
    } else if missing.iter().all(|segment| segment.version > served.version) {
        Plan::Changes(missing.to_vec())
    } else {
        // A rollback was undone: these segments belong to an abandoned history that is announced again.
        Plan::Base
    }
}

/// Whether compaction has written the served records into a new base. A version has one content. (The target checks
/// each record all the same: it must not depend on what a damaged catalog states.)
fn is_rewritten(served: &Manifest, target: &Manifest) -> bool {
    let segments = &target.segments;
    served.version == target.version
        && served.indexes == target.indexes
        && served.fingerprint_seed == target.fingerprint_seed
        && served.records == target.records
        && segments.len() >= RELOCATED_SEGMENTS_MIN
        && segments.iter().all(|segment| segment.kind == SegmentKind::Base)
}

/// The change segments of `target` that `served` lacks; `None` when `target` does not extend `served`.
fn missing<'a>(served: &Manifest, target: &'a Manifest) -> Option<&'a [SegmentReference]> {
    let (applied, announced) = (changes(served), changes(target));
    if announced.len() >= applied.len() && is_same_content(applied, &announced[..applied.len()]) {
        return Some(&announced[applied.len()..]);
    }
    // Merged segments: one segment of the target must end at exactly the served content. A merged segment
    // that reaches beyond it may belong to a history in which the served content was rolled back.
    let content = content_version(served)?;
    let at = announced.iter().rposition(|segment| segment.version == content)?;
    Some(&announced[at + 1..])
}

/// The version that identifies the content: that of the last segment.
fn content_version(manifest: &Manifest) -> Option<Version> {
    manifest.segments.last().map(|segment| segment.version)
}

fn base(manifest: &Manifest) -> &[SegmentReference] {
    &manifest.segments[..first_change(manifest)]
}

fn changes(manifest: &Manifest) -> &[SegmentReference] {
    &manifest.segments[first_change(manifest)..]
}

fn first_change(manifest: &Manifest) -> usize {
    manifest.segments.partition_point(|segment| segment.kind == SegmentKind::Base)
}

fn is_same_content(one: &[SegmentReference], other: &[SegmentReference]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.sha256 == other.sha256)
}

#[cfg(test)]
mod tests;
