//! One simulation: its processes, its fault schedule, and the conditions at its end.

use std::{future::pending, path::Path, sync::Arc, time::Duration};

use larder::{
    catalog::{Retention, RetentionRules},
    domain::name::CollectionName,
};
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    hub::{Hub, Who},
    node::Node,
    publisher::{Lane, Publisher, deployment},
    reference::KEEP_VERSIONS,
    view::View,
};
use crate::support::{catalog::catalog_over, chance::Chance};

/// Faults stop after this duration of simulated time.
const FAULTS_MAX: Duration = Duration::from_mins(1);
/// Publishers end at most this long after faults stopped: each remaining change takes some seconds.
const PUBLISHING_TIMEOUT: Duration = Duration::from_mins(5);
/// Replicas are up to date at most this long after that: the longest backoff, a probe, and the work itself.
const CATCHING_UP_TIMEOUT: Duration = Duration::from_mins(2);
/// Interval between two checks of the replicas.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The parameters of a simulation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    pub(super) seed: u64,
    /// Print its events.
    pub(super) is_traced: bool,
    /// The store lets a creation overwrite an object. Such a simulation must fail.
    pub(super) overwrites_creations: bool,
}

/// Runs a simulation and returns the digest of its events. Everything runs on this thread, blocking work included.
/// Two runs of one scenario return the same.
pub(super) fn run(scenario: Scenario, root: &Path) -> Result<u64, String> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("the operating system gives a clock").block_on(async {
        let hub = Hub::new(scenario);
        tokio::select! {
            biased;
            violation = hub.failed() => Err(violation),
            ended = simulate(&hub, root) => ended,
        }?;
        let digest = hub.state().digest;
        Ok(digest)
    })
}

async fn simulate(hub: &Arc<Hub>, root: &Path) -> Result<(), String> {
    let mut chance = hub.chance(&["simulation"]);
    let mut others = JoinSet::new();
    others.spawn(Arc::clone(hub).run());
    let nodes: Vec<_> =
        (0..number(&mut chance)).map(|number| Arc::new(Node::new(hub, number, root))).collect();
    for node in &nodes {
        others.spawn(Arc::clone(node).run());
    }
    let collections = if chance.is(70) { &["a"][..] } else { &["a", "b"] };
    let mut publishers = JoinSet::new();
    // Now and then publishers have two metadata databases, which take turns.
    let databases = if hub.chance(&["databases"]).is(25) { 2 } else { 1 };
    for number in 0..number(&mut chance) {
        let names = collections.iter().map(|name| CollectionName::new(name).unwrap());
        let mut lanes: Vec<_> = names.map(Lane::Collection).collect();
        lanes.push(Lane::Keys);
        if databases > 1 {
            lanes.push(Lane::Takeover);
        }
        publishers.spawn(Publisher::new(hub, number, number % databases, lanes, root).run());
    }
    others.spawn(keep_house(Arc::clone(hub)));
    others.spawn(interrupt_connections(Arc::clone(hub)));

    tokio::select! {
        biased;
        Some(Err(error)) = others.join_next() => Err(format!("a task panicked: {error}")),
        ended = end(hub, publishers, &nodes) => ended,
    }
}

/// The number of processes of a kind.
fn number(chance: &mut Chance) -> u8 {
    if chance.is(80) { 2 } else { 3 }
}

/// Waits until all publishers are done, stops the faults on the way, and checks that all replicas catch up.
async fn end(hub: &Hub, mut publishers: JoinSet<()>, nodes: &[Arc<Node>]) -> Result<(), String> {
    let mut done = async || {
        while let Some(joined) = publishers.join_next().await {
            joined.map_err(|error| format!("a publisher panicked: {error}"))?;
        }
        Ok::<_, String>(())
    };
    timeout(FAULTS_MAX, done()).await.unwrap_or(Ok(()))?;
    hub.stop_faults();
    timeout(PUBLISHING_TIMEOUT, done()).await.map_err(|_| "publishers do not end")??;
    let caught_up = timeout(CATCHING_UP_TIMEOUT, async {
        while nodes.iter().any(|node| node.missing().is_some()) {
            sleep(LOOK_INTERVAL).await;
        }
    });
    if caught_up.await.is_err()
        && let Some((number, missing)) = nodes.iter().find_map(|node| Some((node.number, node.missing()?)))
    {
        return Err(format!("replica {number} never catches up: {missing}"));
    }
    Ok(())
}

/// Housekeeping: hours or weeks pass now and then, and retention runs.
async fn keep_house(hub: Arc<Hub>) {
    let mut chance = hub.chance(&["housekeeper"]);
    for round in 0..chance.within(0, 4) {
        sleep(Duration::from_millis(chance.within(2_000, 12_000))).await;
        let hours = [0, 13, 25, 31 * 24][chance.weighed(&[3, 2, 4, 2])];
        if hours == 0 {
            // Longer than an announcer may rely on the catalog that it read.
            hub.jump(2);
        }
        if hours == 0 || !hub.jump(hours * 60) {
            continue;
        }
        let (life, killed) = hub.begin_life(Who::Housekeeper);
        let catalog = catalog_over(Arc::new(View::new(&hub, Who::Housekeeper, life)));
        let kept = RetentionRules {
            keep_versions: KEEP_VERSIONS,
            manifests: hub.state().reference.held.clone(),
            ..RetentionRules::default()
        };
        let mut retention = Retention::new(catalog);
        let deployment = Some(deployment(hub.seed));
        tokio::select! {
            biased;
            () = killed.notified() => {}
            done = retention.run(deployment, &kept, Duration::from_hours(1)) => hub.trace(|| format!("{round}: {done:?}")),
        }
    }
    pending::<()>().await;
}

/// The fault schedule of connections: a process cannot reach the store for some time.
async fn interrupt_connections(hub: Arc<Hub>) {
    let mut chance = hub.chance(&["connections"]);
    for _ in 0..chance.within(0, 3) {
        sleep(Duration::from_millis(chance.within(1_000, 10_000))).await;
        let number = chance.within(0, 2) as u8;
        let who = if chance.is(50) { Who::Publisher(number) } else { Who::Replica(number) };
        hub.cut_off(who, chance.within(2_000, 15_000));
    }
    pending::<()>().await;
}
