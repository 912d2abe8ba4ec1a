//! The composition root: one program made of the member crates.
//!
//! `node` is pure and is the only place where two domains meet; `daemon` runs the cores and their shells;
//! `ctl` is the command line against a running daemon. No protocol, route or policy is decided here.

pub mod ctl;
pub mod daemon;
pub mod dispatch;
pub mod node;

/// What `manx version` prints.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
