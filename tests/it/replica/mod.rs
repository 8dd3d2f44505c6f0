//! Following a catalog in a directory, in memory, and in a store with injected faults.

mod disk_budget;
mod exchange;
mod faults;
mod fixture;
mod following;
mod reporting;
mod restart;
