//! The hub of a simulation: requests on their way to the store, and their order.
//!
//! A request waits in a queue until it is due. One request is carried out at a time, and simulated time advances
//! only when all tasks are idle after it. The outcome of a request follows from the seed, the process, the
//! request, and its count, never from the order in which tasks ran.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use larder::support::clock::Clock;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep, sleep_until},
};

use super::{
    bucket::{Answer, Bucket, Request},
    outcome::{RequestOutcome, choose_outcome, delay_ms},
    reference::ReferenceModel,
    scenario::Scenario,
};
use crate::support::chance::{Chance, place};

/// A process that sends requests to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Who {
    Publisher(u8),
    /// The holder of the housekeeping lease.
    Housekeeper,
    Replica(u8),
}

impl Who {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Publisher(number) => ["publisher 0", "publisher 1", "publisher 2"][usize::from(number)],
            Self::Replica(number) => ["replica 0", "replica 1", "replica 2"][usize::from(number)],
            Self::Housekeeper => "housekeeper",
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The state of a process.
#[derive(Debug, Default)]
struct Process {
    /// The number of its life; requests of earlier lives get no answer.
    life: u32,
    /// Requests until it is killed.
    requests_left: Option<u32>,
    killed: Arc<Notify>,
    /// Until then it cannot reach the store.
    cut_off_until_ms: u64,
}

struct Event {
    who: Who,
    life: u32,
    request: Request,
    outcome: RequestOutcome,
    reply: Option<oneshot::Sender<object_store::Result<Answer>>>,
}

/// See the module.
pub(super) struct Hub {
    pub(super) seed: u64,
    is_traced: bool,
    /// Wall time, the same for all.
    pub(super) clock: Clock,
    began: Instant,
    epoch: DateTime<Utc>,
    state: Mutex<State>,
    queued: Notify,
    failed: Notify,
}

/// The state of a simulation.
pub(super) struct State {
    pub(super) bucket: Bucket,
    pub(super) reference: ReferenceModel,
    processes: BTreeMap<Who, Process>,
    queue: BTreeMap<(u64, u64), Event>,
    /// Counts of equal requests.
    counts: HashMap<u64, u64>,
    /// The sum of all jumps of wall time.
    jumped: TimeDelta,
    /// Percentage of requests with a fault.
    faults: u64,
    is_calm: bool,
    /// Two runs of one seed have the same.
    pub(super) digest: u64,
    violation: Option<String>,
}

impl Hub {
    pub(super) fn new(Scenario { seed, is_traced, overwrites_creations }: Scenario) -> Arc<Self> {
        // Today, like the files that are written; whole seconds, so that times have texts of one length.
        let epoch = Clock::default().now().trunc_subsecs(0);
        let faults = Chance::at(seed, place(&["faults"])).weighed(&[1, 2, 2, 1]) as u64 * 12;
        Arc::new(Self {
            seed,
            is_traced,
            clock: Clock::fixed(epoch),
            began: Instant::now(),
            epoch,
            state: Mutex::new(State {
                bucket: Bucket::new(overwrites_creations),
                reference: ReferenceModel::default(),
                processes: BTreeMap::new(),
                queue: BTreeMap::new(),
                counts: HashMap::new(),
                jumped: TimeDelta::zero(),
                faults,
                is_calm: false,
                digest: seed,
                violation: None,
            }),
            queued: Notify::new(),
            failed: Notify::new(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Random numbers for `what`.
    pub(super) fn chance(&self, what: &[&str]) -> Chance {
        Chance::at(self.seed, place(what))
    }

    fn set_clock(&self, state: &State) {
        self.clock.set(self.epoch + TimeDelta::milliseconds(self.now_ms().cast_signed()) + state.jumped);
    }

    /// Prints an event when the simulation is traced.
    pub(super) fn trace(&self, text: impl FnOnce() -> String) {
        if self.is_traced {
            eprintln!("{:>7} {}", self.now_ms(), text());
        }
    }

    /// Reports a violation; the first one ends the simulation.
    pub(super) fn fail(&self, what: &str) {
        let at = self.now_ms();
        self.trace(|| format!("!!! {what}"));
        self.state().violation.get_or_insert_with(|| format!("at {at} ms: {what}"));
        self.failed.notify_one();
    }

    /// Waits for a violation.
    pub(super) async fn failed(&self) -> String {
        loop {
            if let Some(violation) = self.state().violation.take() {
                return violation;
            }
            self.failed.notified().await;
        }
    }

    /// Reports a violation that `check` finds.
    pub(super) fn check(&self, check: impl FnOnce(&mut State) -> Result<(), String>) {
        let checked = check(&mut self.state());
        if let Err(violation) = checked {
            self.fail(&violation);
        }
    }

    /// Begins a life of a process, which may end with a kill.
    pub(super) fn begin_life(&self, who: Who) -> (u32, Arc<Notify>) {
        let mut state = self.state();
        let is_calm = state.is_calm;
        let process = state.processes.entry(who).or_default();
        process.life += 1;
        let life = process.life;
        let mut chance = self.chance(&["life", &who.to_string(), &life.to_string()]);
        let is_short = !is_calm && life <= 3 && chance.is(45);
        process.requests_left = is_short.then(|| chance.within(1, 45) as u32);
        process.killed = Arc::default();
        (life, Arc::clone(&process.killed))
    }

    /// Stops all faults and lags.
    pub(super) fn stop_faults(&self) {
        self.trace(|| "faults stop".into());
        let now = self.now_ms();
        let mut state = self.state();
        state.is_calm = true;
        state.faults = 0;
        state.bucket.end_lag(now + 1000);
        for process in state.processes.values_mut() {
            process.requests_left = None;
            process.cut_off_until_ms = 0;
        }
    }

    /// `who` cannot reach the store for `ms` milliseconds.
    pub(super) fn cut_off(&self, who: Who, ms: u64) {
        let until = self.now_ms() + ms;
        let mut state = self.state();
        if !state.is_calm {
            state.processes.entry(who).or_default().cut_off_until_ms = until;
        }
        drop(state);
        self.trace(|| format!("{who} is cut off for {ms} ms"));
    }

    /// Advances wall time, as if all machines slept. Returns false, without a jump, when a write would be on its
    /// way for hours.
    pub(super) fn jump(&self, minutes: i64) -> bool {
        let mut state = self.state();
        let is_writing = state.queue.values().any(|event| event.request.is_write());
        if state.is_calm || (is_writing && minutes > 30) {
            return false;
        }
        state.jumped += TimeDelta::minutes(minutes);
        self.set_clock(&state);
        drop(state);
        self.trace(|| format!("{minutes} minutes go by"));
        true
    }

    /// Sends a request and waits for the answer. A killed process waits forever.
    pub(super) async fn ask(&self, who: Who, life: u32, request: Request) -> object_store::Result<Answer> {
        let answer = self.send(who, life, request);
        match answer {
            Some(answer) => match answer.await {
                Ok(answer) => answer,
                Err(_) => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    fn send(
        &self,
        who: Who,
        life: u32,
        request: Request,
    ) -> Option<oneshot::Receiver<object_store::Result<Answer>>> {
        let now = self.now_ms();
        let mut guard = self.state();
        let state = &mut *guard;
        let key = place(&[who.name(), request.verb(), request.stable_path()]);
        let count = state.counts.entry(key).and_modify(|count| *count += 1).or_insert(0);
        let key = key.wrapping_add(*count);
        let mut chance = Chance::at(self.seed, key);
        let process = state.processes.entry(who).or_default();
        if process.life != life {
            return None;
        }
        let mut outcome = if chance.is(state.faults) {
            choose_outcome(who, &request, &mut chance)
        } else {
            RequestOutcome::Done
        };
        let mut due = now + delay_ms(&request, state.is_calm, &mut chance);
        if process.cut_off_until_ms > now {
            (outcome, due) = (RequestOutcome::Fail, now + 50);
        }
        let is_killed = process.requests_left.is_some_and(|left| left == 0);
        if is_killed {
            outcome = if chance.is(50) { RequestOutcome::LoseAnswer } else { RequestOutcome::Fail };
            process.life += 1;
            process.requests_left = None;
            process.killed.notify_one();
        } else if let Some(left) = &mut process.requests_left {
            *left -= 1;
        }
        let earliest = state.queue.first_key_value().map(|((due, _), _)| *due);
        let (reply, answer) = oneshot::channel();
        let mut reply = (!is_killed).then_some(reply);
        let is_earliest = earliest.is_none_or(|earliest| due < earliest);
        if outcome == RequestOutcome::Late {
            // It fails now and is carried out later.
            let later = due + chance.within(100, 20_000);
            let failing = Event {
                who,
                life,
                request: request.clone(),
                outcome: RequestOutcome::Fail,
                reply: reply.take(),
            };
            state.queue.insert((due, key), failing);
            due = later;
        }
        state.queue.insert((due, key), Event { who, life, request, outcome, reply });
        drop(guard);
        if is_killed {
            self.trace(|| format!("{who} is killed"));
        }
        if is_earliest {
            self.queued.notify_one();
        }
        Some(answer)
    }

    /// Carries out requests, forever.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            let due = self.state().queue.first_key_value().map(|((due, _), _)| *due);
            match due {
                None => self.queued.notified().await,
                Some(due) if due > self.now_ms() => tokio::select! {
                    biased;
                    () = self.queued.notified() => {}
                    () = sleep_until(self.began + Duration::from_millis(due)) => {}
                },
                Some(_) => {
                    self.carry_out_first();
                    // All tasks become idle before time advances.
                    sleep(Duration::from_millis(1)).await;
                }
            }
        }
    }

    fn carry_out_first(&self) {
        let now = self.now_ms();
        let mut guard = self.state();
        self.set_clock(&guard);
        let state = &mut *guard;
        let Some(((_, key), event)) = state.queue.pop_first() else { return };
        let Event { who, life, request, outcome, reply } = event;
        let mut chance = Chance::at(self.seed, key ^ 1);
        let wall = self.clock.now();
        let mut problem = None;
        let mut carry_out = |state: &mut State| {
            let answer = state.bucket.carry_out(who, &request, outcome, now, wall, &mut chance);
            if answer.is_ok() && request.is_write() {
                let seen = state.reference.written(&request, &state.bucket, wall);
                problem = problem.take().or(seen.err());
            }
            answer
        };
        let answer = match outcome {
            RequestOutcome::Fail | RequestOutcome::NeverArrives => Err(cut()),
            RequestOutcome::Twice => {
                let _ = carry_out(state);
                carry_out(state)
            }
            RequestOutcome::LoseAnswer => carry_out(state).and(Err(cut())),
            _ => carry_out(state),
        };
        let text = answer.as_ref().map_or_else(|_| "no".to_owned(), ToString::to_string);
        state.digest = place(&[&text]) ^ state.digest.rotate_left(5) ^ key ^ now;
        let is_alive = state.processes.get(&who).is_some_and(|process| process.life == life);
        drop(guard);
        if self.is_traced {
            let answer = match &answer {
                Ok(answer) => answer.to_string(),
                Err(error) => error.to_string(),
            };
            self.trace(|| format!("{who}: {request} [{outcome:?}] → {answer}"));
        }
        if let Some(problem) = problem {
            self.fail(&problem);
        }
        if let Some(reply) = reply {
            if matches!(outcome, RequestOutcome::Hang | RequestOutcome::NeverArrives) || !is_alive {
                // The client times out.
                drop(reply);
            } else {
                // A client that timed out does not want it.
                let _ = reply.send(answer);
            }
        }
    }
}

fn cut() -> object_store::Error {
    object_store::Error::Generic { store: "simulated", source: "connection reset".into() }
}
