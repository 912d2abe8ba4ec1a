//! YAML and JSON text as a tree in which every value knows its place.
//!
//! Knows nothing of kinds or fields. Scalars keep the text they were written in, so that `1.10` as an AS
//! number is not read as 1.1, and so that a message can quote what the person wrote.

mod fields;
mod suggest;
mod tree;

pub(crate) use fields::{Entry, Fields, Source};
pub use fields::{Field, Support};
pub(crate) use tree::{Data, MapEntry, Position, Value, parse, quoted};

#[cfg(test)]
mod tests;
