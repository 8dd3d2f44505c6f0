//! Publishing, announcing and retention, against a directory, a store in memory, and a store with faults.

mod announcing;
mod objects;
mod reconciling;
mod refusals;
mod retention;
mod selectable;
mod suspended;
mod unreadable;
