//! Tables of cases, and random histories that a replica follows with gaps.

use std::collections::BTreeMap;

use chrono::DateTime;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::{
    digest::Digest,
    id::RunId,
    index::IndexDefinition,
    limits::FORMAT,
    manifest::{OnMiss, ServingSettings},
    name::{CollectionName, IndexName},
    row::ColumnKind,
};

fn segment(kind: SegmentKind, label: &str, version: u64) -> SegmentReference {
    SegmentReference {
        object: label.into(),
        sha256: Digest::of(label.as_bytes()),
        bytes: 1,
        rows: 1,
        deletes: 0,
        kind,
        version: Version(version),
    }
}

/// `b` begins a base segment, everything else changes; the number is the version.
fn manifest(version: u64, segments: &[(&str, u64)]) -> Manifest {
    let segments = segments
        .iter()
        .map(|&(label, version)| {
            let kind = if label.starts_with('b') { SegmentKind::Base } else { SegmentKind::Changes };
            segment(kind, label, version)
        })
        .collect();
    of(version, segments)
}

fn of(version: u64, segments: Vec<SegmentReference>) -> Manifest {
    Manifest {
        format: FORMAT,
        collection: CollectionName::new("a").unwrap(),
        version: Version(version),
        run_id: RunId::from_uuid(Uuid::from_u128(version.into())),
        created_at: DateTime::UNIX_EPOCH,
        data_as_of: DateTime::UNIX_EPOCH,
        indexes: vec![IndexDefinition::plain(IndexName::new("id").unwrap(), "id", ColumnKind::Text)],
        columns: Vec::new(),
        fields: Vec::new(),
        mapping: Digest::of(b""),
        configuration: None,
        fingerprint_seed: 1,
        serving: ServingSettings::default(),
        segments,
        records: 0,
        left: 0,
        cursor: None,
    }
}

fn labels(plan: &Plan) -> Option<Vec<&str>> {
    match plan {
        Plan::Changes(segments) => Some(segments.iter().map(|segment| segment.object.as_str()).collect()),
        _ => None,
    }
}

#[test]
fn plan_applies_only_missing_segments() {
    let served = manifest(3, &[("b1", 1), ("s2", 2), ("s3", 3)]);
    for (target, expected) in [
        (manifest(4, &[("b1", 1), ("s2", 2), ("s3", 3), ("s4", 4)]), vec!["s4"]),
        (manifest(5, &[("b1", 1), ("s2", 2), ("s3", 3), ("s4", 4), ("s5", 5)]), vec!["s4", "s5"]),
        (manifest(4, &[("b1", 1), ("merged-2-3", 3), ("s4", 4)]), vec!["s4"]),
        (manifest(4, &[("b1", 1), ("s2", 2), ("s3", 3), ("s4a", 4), ("s4b", 4)]), vec!["s4a", "s4b"]),
    ] {
        assert_eq!(labels(&plan(Some(&served), &target)), Some(expected));
    }
}

#[test]
fn plan_adopts_served_content_and_rebuilds_other_content() {
    let served = manifest(3, &[("b1", 1), ("s2", 2), ("s3", 3)]);
    assert_eq!(plan(None, &served), Plan::Base);
    assert_eq!(plan(Some(&served), &served), Plan::Nothing);

    let mut settings = served.clone();
    settings.serving.on_miss = OnMiss::Empty;
    assert_eq!(plan(Some(&served), &settings), Plan::Adopt);
    let merged = manifest(3, &[("b1", 1), ("merged-2-3", 3)]);
    assert_eq!(plan(Some(&served), &merged), Plan::Adopt);
    let renamed = manifest(9, &[("b1", 1), ("s2", 2), ("s3", 3)]);
    assert_eq!(plan(Some(&served), &renamed), Plan::Adopt, "a higher version of the same content");

    let mut other_index = manifest(4, &[("b1", 1), ("s2", 2), ("s3", 3), ("s4", 4)]);
    other_index.indexes[0].column = "other".into();
    let mut other_seed = manifest(4, &[("b1", 1), ("s2", 2), ("s3", 3), ("s4", 4)]);
    other_seed.fingerprint_seed = 2;
    for target in [
        manifest(4, &[("b4", 4)]),                        // a new base
        manifest(3, &[("b3", 3)]),                        // a new base of the same content
        manifest(4, &[("b1", 1), ("b1b", 1), ("s4", 4)]), // another base
        manifest(4, &[("b1", 1), ("s2", 2)]),             // rolled back to 2
        manifest(4, &[("b1", 1)]),                        // rolled back to 1
        manifest(5, &[("b1", 1), ("s5", 5)]),             // the same, and changed since
        manifest(5, &[("b1", 1), ("s2", 2), ("s5", 5)]),  // back to 2, and changed since
        manifest(5, &[("b1", 1), ("merged-4-5", 5)]),     // merged beyond what is here
        manifest(2, &[("b1", 1), ("s2", 2), ("s3", 3)]),  // dropped and created again
        other_index,
        other_seed,
    ] {
        assert_eq!(plan(Some(&served), &target), Plan::Base, "{:?}", target.segments);
    }
    // Rolled back to the base, forward again to 3: what lies between may not apply to what is here.
    let back = manifest(4, &[("b1", 1)]);
    let forth = manifest(5, &[("b1", 1), ("s2", 2), ("s3", 3)]);
    assert_eq!(plan(Some(&back), &forth), Plan::Base);
    // A version that an earlier history also had.
    let back = manifest(3, &[("b1", 1)]);
    let forth = manifest(5, &[("b1", 1), ("s3", 3)]);
    assert_eq!(plan(Some(&back), &forth), Plan::Base);
}

#[test]
fn rewritten_base_of_the_served_version_is_exchanged() {
    let served = manifest(3, &[("b1", 1), ("s2", 2), ("s3", 3)]);
    let parts = [("b3a", 3), ("b3b", 3), ("b3c", 3), ("b3d", 3), ("b3e", 3)];
    let rewritten = manifest(3, &parts);
    assert_eq!(plan(Some(&served), &rewritten), Plan::Relocate);
    assert_eq!(plan(Some(&rewritten), &served), Plan::Base, "back again");
    assert_eq!(plan(Some(&served), &manifest(3, &parts[1..])), Plan::Base, "a small one");
    assert_eq!(plan(Some(&served), &manifest(4, &parts)), Plan::Base, "another version");
    let with_changes = [&parts[..], &[("s4", 4)]].concat();
    assert_eq!(plan(Some(&served), &manifest(3, &with_changes)), Plan::Base, "with changes");
    let mut other_index = rewritten.clone();
    other_index.indexes[0].column = "other".into();
    let mut other_seed = rewritten.clone();
    other_seed.fingerprint_seed = 2;
    let mut other_count = rewritten.clone();
    other_count.records = 1;
    for target in [other_index, other_seed, other_count] {
        assert_eq!(plan(Some(&served), &target), Plan::Base);
    }
}

/// What a publisher may do next.
#[derive(Debug, Clone)]
enum Step {
    Change(Vec<(u8, Option<u8>)>),
    Merge,
    Base,
    /// To an earlier announced version, counted back.
    Rollback(usize),
    Settings,
}

fn step() -> impl Strategy<Value = Step> {
    let changes = prop::collection::vec((0..8_u8, prop::option::of(any::<u8>())), 1..4);
    prop_oneof![
        5 => changes.prop_map(Step::Change),
        2 => Just(Step::Merge),
        1 => Just(Step::Base),
        2 => (0..6_usize).prop_map(Step::Rollback),
        1 => Just(Step::Settings),
    ]
}

/// What a replica sees after a step.
#[derive(Debug, Clone)]
enum Poll {
    /// It does not poll.
    Missed,
    AtNewest,
    /// Its region is pinned to some announced manifest.
    AtPinned(prop::sample::Index),
}

fn poll() -> impl Strategy<Value = Poll> {
    prop_oneof![
        3 => Just(Poll::Missed),
        3 => Just(Poll::AtNewest),
        2 => any::<prop::sample::Index>().prop_map(Poll::AtPinned),
    ]
}

type Rows = BTreeMap<u8, Option<u8>>;

/// A publisher with the content of every segment it ever made, by label.
#[derive(Default)]
struct Publisher {
    contents: BTreeMap<String, Rows>,
    announced: Vec<Manifest>,
}

impl Publisher {
    fn store(&mut self, kind: SegmentKind, version: u64, rows: Rows) -> SegmentReference {
        let label = format!("{}-{version}", self.contents.len());
        self.contents.insert(label.clone(), rows);
        segment(kind, &label, version)
    }

    fn rows(&self, segments: &[SegmentReference]) -> Rows {
        let mut rows = Rows::new();
        for segment in segments {
            rows.extend(&self.contents[&segment.object]);
        }
        rows
    }

    fn served(&self, segments: &[SegmentReference]) -> Rows {
        let mut rows = self.rows(segments);
        rows.retain(|_, value| value.is_some());
        rows
    }

    fn publish(&mut self, step: Step) {
        let Some(last) = self.announced.last().cloned() else {
            let base = self.store(SegmentKind::Base, 1, Rows::from([(0, Some(0))]));
            return self.announced.push(of(1, vec![base]));
        };
        let next = last.version.0 + 1;
        let manifest = match step {
            Step::Change(rows) => {
                let change = self.store(SegmentKind::Changes, next, rows.into_iter().collect());
                of(next, last.segments.iter().cloned().chain([change]).collect())
            }
            Step::Merge => {
                let (base, changes) = (base(&last), changes(&last));
                if changes.is_empty() {
                    return;
                }
                let rows = self.rows(changes);
                let merged = self.store(SegmentKind::Changes, last.version.0, rows);
                let mut manifest = of(last.version.0, base.iter().cloned().chain([merged]).collect());
                manifest.run_id = RunId::from_uuid(Uuid::from_u128(1000 + self.announced.len() as u128));
                manifest
            }
            Step::Base => {
                let rows = self.served(&last.segments);
                let base = self.store(SegmentKind::Base, next, rows);
                of(next, vec![base])
            }
            Step::Rollback(back) => {
                let at = self.announced.len().saturating_sub(1 + back);
                of(next, self.announced[at].segments.clone())
            }
            Step::Settings => {
                let mut manifest = of(next, last.segments.clone());
                manifest.serving.on_miss = OnMiss::Record(format!("{{\"n\":{next}}}"));
                manifest
            }
        };
        self.announced.push(manifest);
    }
}

proptest! {
    #[test]
    fn replica_that_missed_versions_ends_with_announced_content(
        steps in prop::collection::vec((step(), poll()), 1..40),
    ) {
        let mut publisher = Publisher::default();
        let mut served: Option<Manifest> = None;
        let mut rows = Rows::new();
        for (step, poll) in steps {
            publisher.publish(step);
            let target = match poll {
                Poll::Missed => continue,
                Poll::AtNewest => publisher.announced.last().unwrap().clone(),
                Poll::AtPinned(at) => at.get(&publisher.announced).clone(),
            };
            match plan(served.as_ref(), &target) {
                Plan::Nothing => prop_assert_eq!(served.as_ref(), Some(&target)),
                // The content must be the served one.
                Plan::Adopt | Plan::Relocate => {}
                Plan::Changes(segments) => {
                    // Exactly those of a version above the one served, as the cache checks too.
                    let version = served.as_ref().unwrap().version;
                    let above: Vec<_> = target.segments.iter().filter(|one| one.version > version).collect();
                    prop_assert_eq!(&above, &segments.iter().collect::<Vec<_>>());
                    rows.extend(publisher.rows(&segments));
                    rows.retain(|_, value| value.is_some());
                }
                Plan::Base => rows = publisher.served(&target.segments),
            }
            prop_assert_eq!(&rows, &publisher.served(&target.segments));
            served = Some(target);
        }
    }
}
