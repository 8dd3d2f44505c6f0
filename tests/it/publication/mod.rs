//! Publishing, announcing and cleaning up, against a directory, a store in memory, and a store that
//! misbehaves.

mod announcing;
mod buckets;
mod objects;
mod retention;
mod services;
