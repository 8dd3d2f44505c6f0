//! CPU time and memory, as Linux reports them.

use std::{fs, time::Duration};

/// Nanoseconds for each of `count` operations.
pub(crate) fn each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

/// CPU time of this thread. Other work on the machine does not count.
pub(crate) fn on_core() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux reports a thread's CPU time");
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds"))
}

/// CPU time of all threads of this process, in steps of 10 ms.
pub(crate) fn all_on_core() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").expect("Linux reports a process's CPU time");
    let fields: Vec<&str> = text.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

/// A stopwatch of this thread's CPU time.
pub(crate) struct Watch(Duration);

impl Watch {
    /// Starts the watch.
    pub(crate) fn start() -> Self {
        Self(on_core())
    }

    /// CPU time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        on_core().saturating_sub(self.0)
    }
}

/// Resident size of this process, in bytes.
pub(crate) fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux reports the resident size");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4096
}

/// Resident size of this process, in bytes; [`peak`] begins with it.
pub(crate) fn begin_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").expect("Linux lets a process reset its peak");
    resident()
}

/// Highest resident size since [`begin_peak`].
pub(crate) fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux reports the peak");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
    kilobytes * 1024
}
