//! Time and memory, as Linux tells them.

use std::{fs, time::Duration};

/// Nanoseconds each.
pub(crate) fn each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

/// Time that this thread has been on a core: other work on the machine does not count.
pub(crate) fn on_core() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells a thread's time");
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds"))
}

/// Time that all threads of this process have been on a core, to 10 ms.
pub(crate) fn all_on_core() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").expect("Linux tells a process's time");
    let fields: Vec<&str> = text.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// A thread's own clock.
pub(crate) struct Watch(Duration);

impl Watch {
    /// Starts.
    pub(crate) fn start() -> Self {
        Self(on_core())
    }

    /// Time on a core since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        on_core().saturating_sub(self.0)
    }
}

/// Resident size of this process, in bytes.
pub(crate) fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux tells the resident size");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4096
}
