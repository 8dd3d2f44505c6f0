//! From what is served to what the catalog names. Pure.
//!
//! A segment's version labels a content: no two different contents of one collection were ever
//! announced with segments that end in the same base and the same version. That is what allows
//! merged change segments to be recognised as content that is already here.

use crate::domain::manifest::{Manifest, SegmentKind, SegmentReference, Version};

/// What leads from what is served to the manifest asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It is served.
    Nothing,
    /// Its content is served; the manifest is another one (settings, merged segments, version).
    Adopt,
    /// These change segments, in this order.
    Changes(Vec<SegmentReference>),
    /// Everything anew: another base or index, or content that what is served does not lead to, as
    /// after a rollback.
    Base,
}

/// The plan from `served` to `target`.
pub fn plan(served: Option<&Manifest>, target: &Manifest) -> Plan {
    let Some(served) = served else { return Plan::Base };
    if served == target {
        return Plan::Nothing;
    }
    let is_kin = served.indexes == target.indexes
        && served.fingerprint_seed == target.fingerprint_seed
        && served.version <= target.version
        && same(base(served), base(target));
    if !is_kin {
        return Plan::Base;
    }
    let Some(missing) = missing(served, target) else { return Plan::Base };
    if missing.is_empty() {
        Plan::Adopt
    } else if missing.iter().all(|segment| segment.version > served.version) {
        Plan::Changes(missing.to_vec())
    } else {
        // Segments of an abandoned line that was taken up again.
        Plan::Base
    }
}

/// The change segments of `target` that are not in `served`, when what is served leads to it.
fn missing<'a>(served: &Manifest, target: &'a Manifest) -> Option<&'a [SegmentReference]> {
    let (here, there) = (changes(served), changes(target));
    if there.len() >= here.len() && same(here, &there[..here.len()]) {
        return Some(&there[here.len()..]);
    }
    // Merged: some segment of the target ends at exactly the content that is here. A merged segment
    // that reaches beyond it may stand for a line on which what is here was undone.
    let content = content(served)?;
    let at = there.iter().rposition(|segment| segment.version == content)?;
    Some(&there[at + 1..])
}

/// The version that labels the content: that of the last segment.
fn content(manifest: &Manifest) -> Option<Version> {
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

fn same(one: &[SegmentReference], other: &[SegmentReference]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.sha256 == other.sha256)
}

#[cfg(test)]
mod tests;
