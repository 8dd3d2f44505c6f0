//! Whole worlds of publishers, an object store and replicas, each made out of one number.
//!
//! The code under test is the real one: announcer, publishing, retention, replica, cache, segments.
//! Simulated are the store with its faults, the network, crashes, and time. What must hold at every
//! step stands in [`oracle`] and [`node`]; how a world must end, in [`world`].
//!
//! `LARDER_SIM_SEEDS=100000` lives through more worlds; `LARDER_SIM_SEED=123` through one, and
//! tells what happens in it:
//!
//! ```sh
//! LARDER_SIM_SEED=123 cargo test --locked --test it simulation::worlds -- --nocapture
//! ```

mod bucket;
mod chance;
mod changes;
mod content;
mod fate;
mod hub;
mod node;
mod oracle;
mod publisher;
mod view;
mod world;

use std::{
    any::Any,
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use tempfile::TempDir;

use world::Origin;

/// Worlds that are lived through when nobody says how many.
const WORLDS: u64 = 10_000;
/// One in so many worlds is lived through twice.
const REPEATED_ONE_IN: u64 = 100;

/// A directory in memory, where there is one: nothing here is about disks.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

fn worlds() -> u64 {
    number("LARDER_SIM_SEEDS").unwrap_or(WORLDS)
}

fn live(origin: Origin) -> Result<u64, String> {
    let root = directory();
    let lived = catch_unwind(AssertUnwindSafe(|| world::run(origin, root.path())));
    let lived = lived.unwrap_or_else(|panic| Err(format!("panic: {}", text(&*panic))));
    lived.map_err(|violation| {
        format!("world {}, {violation}\nsee it with: {}", origin.seed, replay(origin.seed, "worlds"))
    })
}

/// The command that lives through one world again.
fn replay(seed: u64, test: &str) -> String {
    format!("LARDER_SIM_SEED={seed} cargo test --locked --test it simulation::{test} -- --nocapture")
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?").to_owned()
}

/// Lives through the worlds before `worlds`, or through the one that somebody wants to see, on all
/// cores, until one fails.
fn live_through(worlds: u64, live: impl Fn(Origin) -> Result<(), String> + Sync) {
    if let Some(seed) = number("LARDER_SIM_SEED") {
        return live(Origin { seed, is_traced: true, is_careless: false })
            .unwrap_or_else(|failure| panic!("{failure}"));
    }
    let (next, failure) = (AtomicU64::new(0), Mutex::new(None));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= worlds || failure.lock().unwrap().is_some() {
                        return;
                    }
                    if let Err(violation) = live(Origin { seed, is_traced: false, is_careless: false }) {
                        failure.lock().unwrap().get_or_insert(violation);
                    }
                }
            });
        }
    });
    if let Some(failure) = failure.into_inner().unwrap() {
        panic!("{failure}");
    }
}

#[test]
fn worlds_end_well() {
    live_through(worlds(), |origin| live(origin).map(drop));
}

#[test]
fn a_world_is_the_same_each_time() {
    live_through(worlds().div_ceil(REPEATED_ONE_IN), |origin| {
        let (once, again) = (live(origin)?, live(origin)?);
        let seed = origin.seed;
        let failure =
            || format!("world {seed} is another one each time\nsee it with: {}", replay(seed, "a_world"));
        if once == again { Ok(()) } else { Err(failure()) }
    });
}

/// What the other tests would say if something were wrong: a store that lets creations overwrite forks the
/// catalog.
#[test]
fn a_failure_comes_back_by_the_command_that_it_names() {
    let fails = |seed| live(Origin { seed, is_traced: false, is_careless: true }).err();
    let (seed, failure) = (0..100).find_map(|seed| Some((seed, fails(seed)?))).unwrap();
    assert!(failure.contains(" was created under "), "{failure}");
    assert!(failure.ends_with(&replay(seed, "worlds")), "{failure}");
    assert_eq!(fails(seed), Some(failure));
}
