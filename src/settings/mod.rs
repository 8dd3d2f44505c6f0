//! The kit that every part reads its own section of the configuration with.
//!
//! A section is asked for its keys by name; each reader gives a typed value or reports a [`Fault`] with
//! place, key and hint. All faults of a configuration are reported at once.

mod authorities;
pub(crate) mod declaration;
pub(crate) mod environment;
pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod interpolate;
pub(crate) mod item;
pub(crate) mod nearest;
pub(crate) mod printable;
pub(crate) mod section;
pub(crate) mod tree;
pub mod units;
pub(crate) mod url;

pub(crate) use authorities::{certificates, read_authorities};
pub(crate) use declaration::Declaration;
pub use environment::Environment;
pub(crate) use fault::Report;
pub use fault::{Fault, Faults, Place};
pub(crate) use file::{modified_at, read_bounded, read_bytes_bounded};
pub(crate) use interpolate::Text;
pub(crate) use item::Item;
pub(crate) use section::Section;
pub(crate) use tree::{Entry, Node, Table, Value};
