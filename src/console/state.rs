//! The state of collections and nodes in words: problems, and what is out of the ordinary.

use crate::{
    admin::{
        CollectionStatus, Trigger,
        fleet::{NodeDetails, NodeView},
    },
    domain::{RunCounts, RunRecord, RunStatus},
    status::Problem,
};

/// Problems of a collection that an operator should look at.
pub(super) fn troubles_of(one: &CollectionStatus) -> Vec<String> {
    let mut texts = Vec::new();
    texts.extend(one.problem.as_ref().map(|it| format!("{} ({})", it.message, it.code)));
    texts.extend(one.held_run.map(|run| format!("run {run} is held and waits for approval")));
    if let Some(run) = &one.last_run
        && let (RunStatus::Failed | RunStatus::Interrupted, error) = (run.status, &run.error)
    {
        texts.push(match error {
            Some(error) => format!("the last run has failed: {} ({})", error.message, error.code),
            None => format!("the last run has ended as {}", run.status),
        });
    }
    texts
}

/// What of a collection is out of the ordinary, and no fault.
pub(super) fn notes_of(one: &CollectionStatus) -> String {
    let mut notes = Vec::new();
    if one.orphaned {
        notes.push("no longer configured".to_owned());
    }
    if let Some(paused) = &one.paused {
        notes.push(format!("paused: {paused}, by {}", paused.by));
    }
    notes.extend(one.dropped.map(|version| format!("dropped at version {version}")));
    notes.extend(one.pins.iter().map(|(region, version)| format!("{region} is pinned to {version}")));
    notes.join("; ")
}

/// Problems that a node reports, of itself and of its collections.
pub(super) fn troubles_on(node: &NodeDetails) -> Vec<String> {
    let NodeDetails { problem, publisher, tasks, collections, .. } = node;
    let mut texts = Vec::new();
    texts.extend(problem.as_ref().map(problem_text));
    texts.extend(publisher.as_ref().and_then(|it| it.problem.as_ref()).map(problem_text));
    texts.extend(tasks.iter().map(|(task, problem)| format!("task {task}: {}", problem_text(problem))));
    let of_collections = collections.iter().filter_map(|(name, one)| Some((name, one.problem.as_ref()?)));
    texts.extend(of_collections.map(|(name, problem)| format!("{name}: {}", problem_text(problem))));
    texts
}

/// Whether a run with this trigger has read rows, and so has counts of them: one that announces an earlier content again
/// has not.
pub(super) fn has_read_rows(trigger: &str) -> bool {
    ![Trigger::Rollback, Trigger::Takeover].iter().any(|one| one.as_str() == trigger)
}

/// The counts of the rows of a run; `None` while it has none.
pub(super) fn counts_of(run: &RunRecord) -> Option<&RunCounts> {
    let has_counted = !run.status.is_open() || run.counts != RunCounts::default();
    (has_counted && has_read_rows(&run.trigger)).then_some(&run.counts)
}

/// A problem with its code.
pub(super) fn problem_text(problem: &Problem) -> String {
    match problem.message.as_str() {
        "" => problem.code.to_string(),
        message => format!("{message} ({})", problem.code),
    }
}

/// The name of a node for people, or its id.
pub(super) fn name_of(node: &NodeView) -> String {
    node.details.as_ref().map_or_else(|| node.node.to_string(), |details| details.name.to_string())
}
