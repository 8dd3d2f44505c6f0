//! Simulations of publishers, an object store and replicas. One number, the seed, determines each.
//!
//! The code under test is the real one: announcer, publishing, retention, replica, cache, segments. The store with
//! its faults, the network, crashes, and time are simulated. [`reference`] and [`node`] check what must hold at
//! every step; [`scenario`] checks the end.
//!
//! `LARDER_SIM_SEEDS=100000` runs more simulations. `LARDER_SIM_SEED=123` runs one and prints its events:
//!
//! ```sh
//! LARDER_SIM_SEED=123 cargo test --locked --test it simulation::every -- --nocapture
//! ```

mod bucket;
mod changes;
mod content;
mod hub;
mod node;
mod outcome;
mod publisher;
mod reference;
mod scenario;
mod view;

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

use scenario::Scenario;

/// Simulations to run by default.
const SIMULATIONS: u64 = 10_000;
/// One in this many simulations runs twice.
const REPEATED_ONE_IN: u64 = 100;

/// A directory in memory, where possible: no simulation is about disks.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

fn simulations() -> u64 {
    number("LARDER_SIM_SEEDS").unwrap_or(SIMULATIONS)
}

fn simulate(scenario: Scenario) -> Result<u64, String> {
    let root = directory();
    let ended = catch_unwind(AssertUnwindSafe(|| scenario::run(scenario, root.path())));
    let ended = ended.unwrap_or_else(|panic| Err(format!("panic: {}", text(&*panic))));
    ended.map_err(|violation| {
        format!("simulation {}, {violation}\nsee it with: {}", scenario.seed, replay(scenario.seed, "every"))
    })
}

/// The command that repeats one simulation.
fn replay(seed: u64, test: &str) -> String {
    format!("LARDER_SIM_SEED={seed} cargo test --locked --test it simulation::{test} -- --nocapture")
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?").to_owned()
}

/// Runs the simulations with the first `count` seeds on all cores until one fails, or the one that is requested.
fn run_all(count: u64, run: impl Fn(Scenario) -> Result<(), String> + Sync) {
    if let Some(seed) = number("LARDER_SIM_SEED") {
        return run(Scenario { seed, is_traced: true, overwrites_creations: false })
            .unwrap_or_else(|failure| panic!("{failure}"));
    }
    let (next, failure) = (AtomicU64::new(0), Mutex::new(None));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count || failure.lock().unwrap().is_some() {
                        return;
                    }
                    if let Err(violation) =
                        run(Scenario { seed, is_traced: false, overwrites_creations: false })
                    {
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
fn every_simulation_ends_with_all_replicas_up_to_date() {
    run_all(simulations(), |scenario| simulate(scenario).map(drop));
}

#[test]
fn a_simulation_is_the_same_each_time() {
    run_all(simulations().div_ceil(REPEATED_ONE_IN), |scenario| {
        let (once, again) = (simulate(scenario)?, simulate(scenario)?);
        let seed = scenario.seed;
        let failure = || {
            format!(
                "simulation {seed} is not the same each time\nsee it with: {}",
                replay(seed, "a_simulation")
            )
        };
        if once == again { Ok(()) } else { Err(failure()) }
    });
}

/// A store that lets creations overwrite objects forks the catalog: the failure that the other tests would report.
#[test]
fn a_failure_is_reproduced_by_the_command_that_it_names() {
    let fails = |seed| simulate(Scenario { seed, is_traced: false, overwrites_creations: true }).err();
    let (seed, failure) = (0..100).find_map(|seed| Some((seed, fails(seed)?))).unwrap();
    assert!(failure.contains(" was created under "), "{failure}");
    assert!(failure.ends_with(&replay(seed, "every")), "{failure}");
    assert_eq!(fails(seed), Some(failure));
}
