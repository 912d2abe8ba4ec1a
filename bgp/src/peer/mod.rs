//! One configured neighbor's sessions as a machine: RFC 4271 §8 for several TCP connections at once,
//! collision detection (§6.8), capability negotiation, timers and the session's side of graceful restart.
//!
//! ```text
//!            Start / IdleHoldTimer
//!   Idle ─────────────────────────────► Connect ◄───────────────────┐
//!    ▲ ▲        (passive: to Active)    │   │ dial failed           │ ConnectRetryTimer
//!    │ │                                │   ▼                       │ (never when passive)
//!    │ │ Stop: from everywhere          │  Active ──────────────────┘
//!    │ │                        TCP up, │   │ neighbor dials;   ▲
//!    │ │                        OPEN    ▼   ▼ OPEN              │ TCP lost, Cease received,
//!    │ │ an error: NOTIFICATION,      OpenSent ────────────────►│ and no other connection left
//!    │ │ then IdleHoldTimer             │ OPEN good, collision  │
//!    │ └────────────────────────────────┤ won; KEEPALIVE        │
//!    │                                  ▼                       │
//!    ├──────────────────────────────  OpenConfirm ─────────────►│
//!    │                                  │ KEEPALIVE             │
//!    │                                  ▼                       │
//!    └──────────────────────────────  Established ─────────────►┘   UPDATE, ROUTE-REFRESH, KEEPALIVE
//! ```
//!
//! OpenSent, OpenConfirm and Established are states of a connection, and up to three can exist: the one we
//! dialled and two that the neighbor did. Idle, Connect and Active are what the peer does beside them. At
//! most one connection is Established, and every `Established` effect is followed by exactly one `Down`.
//!
//! The machine opens no socket and reads no clock. It does not see prefixes: a received UPDATE passes
//! through it (hold timer, state check) and out again as an effect; UPDATEs to send never enter it, the RIB
//! hands their bytes to the socket's task.
//!
//! Left out: DelayOpen (§8.1.1). It spares a collision at the price of a delay, and the collision is cheap.

mod add_path;
pub mod change;
mod closing;
mod collision;
pub mod config;
mod connection;
pub mod dynamic;
mod established;
pub mod event;
pub mod fsm;
mod input;
pub mod negotiate;
mod opening;
pub mod snapshot;
pub mod tcp_ao;
mod timer;
pub mod timing;

pub use add_path::AddPaths;
pub use change::ConfigChange;
pub use config::{
    GracefulRestartConfig, NeighborConfig, NextHopMode, Password, PrefixLimit, PrefixLimitAction,
};
pub use dynamic::{AsRange, DYNAMIC_GRACE_SECS, Dynamic, DynamicNeighbors};
pub use event::{DownReason, PeerEffect, PeerEvent, Role, StopReason};
pub use fsm::{Peer, State};
pub use negotiate::{Negotiated, PeerRestart};
pub use snapshot::{ConnectionSnapshot, MessageCounters, PeerSnapshot};
pub use tcp_ao::{AoAlgorithm, AoKey};
pub use timing::Timing;

#[cfg(test)]
mod tests;
