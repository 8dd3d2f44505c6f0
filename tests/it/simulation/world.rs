//! One world: its processes, what happens around them, and how it must end.

use std::{future::pending, path::Path, sync::Arc, time::Duration};

use larder::{
    catalog::retention::{Kept, collect},
    domain::name::CollectionName,
    store::Store,
};
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    chance::Chance,
    hub::{Hub, Who},
    node::Node,
    oracle::KEEP_VERSIONS,
    publisher::{Lane, Publisher, deployment},
    view::View,
};

/// Faults stop after this, in the world's time.
const TROUBLED: Duration = Duration::from_mins(1);
/// Publishers have ended so long after faults have stopped: each change still to be made takes
/// some seconds.
const PUBLISHING_TIMEOUT: Duration = Duration::from_mins(5);
/// Replicas have all after that: the longest waiting time, a probe, and the work itself.
const CATCHING_UP_TIMEOUT: Duration = Duration::from_mins(2);
/// Time between two looks whether they have.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Which world it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) seed: u64,
    /// It tells what happens.
    pub(super) is_traced: bool,
    /// Its store lets a creation overwrite what is there: such a world must not end well.
    pub(super) is_careless: bool,
}

/// Lives through a world. All of it runs on this thread, work that blocks too. Two runs of one origin
/// return the same.
pub(super) fn run(origin: Origin, root: &Path) -> Result<u64, String> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("the operating system gives a clock").block_on(async {
        let hub = Hub::new(origin);
        tokio::select! {
            biased;
            violation = hub.failed() => Err(violation),
            lived = live(&hub, root) => lived,
        }?;
        let digest = hub.state().digest;
        Ok(digest)
    })
}

async fn live(hub: &Arc<Hub>, root: &Path) -> Result<(), String> {
    let mut chance = hub.chance(&["world"]);
    let mut others = JoinSet::new();
    others.spawn(Arc::clone(hub).run());
    let nodes: Vec<_> =
        (0..number(&mut chance)).map(|number| Arc::new(Node::new(hub, number, root))).collect();
    for node in &nodes {
        others.spawn(Arc::clone(node).run());
    }
    let collections = if chance.is(70) { &["a"][..] } else { &["a", "b"] };
    let mut publishers = JoinSet::new();
    for number in 0..number(&mut chance) {
        let names = collections.iter().map(|name| CollectionName::new(name).unwrap());
        let mut lanes: Vec<_> = names.map(Lane::Collection).collect();
        lanes.push(Lane::Keys);
        publishers.spawn(Publisher::new(hub, number, lanes, root).run());
    }
    others.spawn(keep(Arc::clone(hub)));
    others.spawn(weather(Arc::clone(hub)));

    tokio::select! {
        biased;
        Some(Err(error)) = others.join_next() => Err(format!("somebody broke off: {error}")),
        ended = end(hub, publishers, &nodes) => ended,
    }
}

/// How many there are of a kind.
fn number(chance: &mut Chance) -> u8 {
    if chance.is(80) { 2 } else { 3 }
}

/// Waits until all publishers have done their work, makes peace, and looks whether replicas have all.
async fn end(hub: &Hub, mut publishers: JoinSet<()>, nodes: &[Arc<Node>]) -> Result<(), String> {
    let mut done = async || {
        while let Some(joined) = publishers.join_next().await {
            joined.map_err(|error| format!("a publisher broke off: {error}"))?;
        }
        Ok::<_, String>(())
    };
    timeout(TROUBLED, done()).await.unwrap_or(Ok(()))?;
    hub.calm_down();
    timeout(PUBLISHING_TIMEOUT, done()).await.map_err(|_| "publishers do not come to an end")??;
    let caught_up = timeout(CATCHING_UP_TIMEOUT, async {
        while nodes.iter().any(|node| node.lacks().is_some()) {
            sleep(LOOK_INTERVAL).await;
        }
    });
    if caught_up.await.is_err()
        && let Some((number, lacks)) = nodes.iter().find_map(|node| Some((node.number, node.lacks()?)))
    {
        return Err(format!("replica {number} never catches up: {lacks}"));
    }
    Ok(())
}

/// Housekeeping: now and then hours or weeks go by, and what nobody needs is removed.
async fn keep(hub: Arc<Hub>) {
    let mut chance = hub.chance(&["keeper"]);
    for round in 0..chance.within(0, 4) {
        sleep(Duration::from_millis(chance.within(2_000, 12_000))).await;
        let hours = [0, 13, 25, 31 * 24][chance.weighed(&[3, 2, 4, 2])];
        if hours == 0 {
            // Longer than a reading of the catalog may be built on.
            hub.jump(2);
        }
        if hours == 0 || !hub.jump(hours * 60) {
            continue;
        }
        let (life, killed) = hub.begin_life(Who::Keeper);
        let store = Store::from_object_store(Arc::new(View::new(&hub, Who::Keeper, life)));
        let kept = Kept { keep_versions: KEEP_VERSIONS, manifests: hub.state().oracle.held.clone() };
        let deployment = Some(deployment(hub.seed));
        tokio::select! {
            biased;
            () = killed.notified() => {}
            done = collect(&store, &hub.clock, deployment, &kept) => hub.tell(|| format!("{round}: {done:?}")),
        }
    }
    pending::<()>().await;
}

/// Now and then the store cannot be reached by somebody.
async fn weather(hub: Arc<Hub>) {
    let mut chance = hub.chance(&["weather"]);
    for _ in 0..chance.within(0, 3) {
        sleep(Duration::from_millis(chance.within(1_000, 10_000))).await;
        let number = chance.within(0, 2) as u8;
        let who = if chance.is(50) { Who::Publisher(number) } else { Who::Replica(number) };
        hub.cut_off(who, chance.within(2_000, 15_000));
    }
    pending::<()>().await;
}
