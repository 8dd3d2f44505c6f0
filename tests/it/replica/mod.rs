//! Following a catalog: against a directory, a store in memory, and a store that misbehaves.

mod faults;
mod following;
mod reporting;
mod restart;
mod room;
mod world;
