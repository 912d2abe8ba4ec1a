//! The kernel's routes as desired against actual: what BGP learned and what the node owns on one side, what
//! the kernel holds on the other, and only the differences as effects.
//!
//! The core does not know netlink, BGP or pools; `io/` (behind the `io` feature) is the only writer of
//! cluster routes. A route is ours if and only if it carries our protocol number in our table; nothing else
//! is ever changed or removed.

pub mod event;
pub mod route;

#[cfg(feature = "io")]
pub mod io;

pub use event::{
    FibConfig, FibEffect, FibEvent, LearnedPath, LearnedRoute, LinkState, NextHopReport, Outcome,
};
pub use route::{NextHop, PROTOCOL, Route, RouteKey, RouteKind};
