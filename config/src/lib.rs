//! Calico's manifests as typed, validated values; manx.toml; and what the two together mean for one node.
//!
//! Everything here but `io` is pure: text in, values or problems out. The crate refuses to know how BGP is
//! spoken, what the kernel holds, or which machine it runs on (the host name is an argument).
//!
//! | module | question it answers |
//! |---|---|
//! | [`settings`] | how is the daemon itself set up (manx.toml)? |
//! | [`manifest`] | which objects does this text hold, or what is wrong with it, line by line? |
//! | [`model`] | what is a Node, a BGPPeer, …; what does each of their fields do? |
//! | [`catalog`] | which objects are in force, given all files and their history of mistakes? |
//! | [`expand`] | which BGP sessions does a node have; which blocks are its own; what may it export? |
//!
//! Rule of the whole crate: a field we accept, we honour; a field we cannot honour is an error that names it.

mod document;
mod problem;
pub mod settings;

pub use document::{Field, Support};
pub use problem::{Location, Problem, Severity};
pub mod catalog;
pub mod expand;
#[cfg(feature = "io")]
pub mod io;
pub mod manifest;
pub mod model;
