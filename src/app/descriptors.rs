//! File descriptors: every connection takes one, and shells and service managers start programs with
//! a soft limit of 1,024 where the hard one is far higher.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Descriptors beside connections: listeners, segments while they are read, databases, the store.
const OTHERS: u64 = 512;

/// Raises the soft limit of this process to what `connections_max` needs, within the hard limit. Logs a warning when
/// that is too low: connections beyond it wait to be accepted.
pub fn provide(connections_max: usize) {
    let wanted = connections_max as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    if enough(current) {
        return;
    }
    let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let is_raised = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok();
    if !is_raised || !enough(maximum) {
        warn!(
            connections_max,
            limit = if is_raised { Some(raised) } else { current },
            "the limit of open files is too low for [server] connections_max; raise LimitNOFILE or `ulimit -Hn`"
        );
    }
}
