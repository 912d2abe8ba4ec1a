//! One configured neighbor's sessions as a machine: RFC 4271 §8 for up to two TCP connections at once,
//! collision detection (§6.8), capability negotiation, timers and the session's side of graceful restart.
//!
//! The machine opens no socket and reads no clock. It does not see prefixes: a received UPDATE passes
//! through it (hold timer, state check) and out again as an effect; UPDATEs to send never enter it, the RIB
//! hands their bytes to the socket's task.

pub mod config;
pub mod event;
pub mod negotiate;

pub use config::{GracefulRestartConfig, NeighborConfig, NextHopMode};
pub use event::{DownReason, PeerEffect, PeerEvent, Role, StopReason};
pub use negotiate::{Negotiated, PeerRestart};
