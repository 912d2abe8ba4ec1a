//! The kernel's routes as desired against actual: what BGP learned and what the node owns on one side, what
//! the kernel holds on the other, and only the differences as effects.
//!
//! The core does not know netlink, BGP or pools; `io/` (behind the `io` feature) is the only writer of
//! cluster routes. A route is ours if and only if it carries our protocol number in our table; nothing else
//! is ever changed or removed.
//!
//! ```text
//!  Learned, OwnBlocks ──► source.rs ──┐                          ┌── poll_effect: Create, Replace, Remove
//!                                     ├─► delta.rs  one key's ───┤
//!  Applied ─────────────► outcome.rs ─┤   next step              └── NextHop reports, Scan
//!  Link, Actual, Scan… ─► observe.rs ─┘
//!                          │
//!                          └► foreign.rs, link.rs ─► resolve.rs, next_hop.rs
//! ```

mod backoff;
mod delta;
pub mod event;
pub mod fib;
mod foreign;
mod held;
mod link;
mod next_hop;
pub mod next_hop_key;
mod observe;
mod outcome;
pub mod ownership;
mod resolve;
pub mod route;
pub mod scan;
pub mod snapshot;
mod source;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(feature = "io")]
pub mod io;

#[cfg(test)]
mod tests;

pub use event::{
    FibConfig, FibEffect, FibEvent, LearnedPath, LearnedRoute, LinkState, NextHopReport, Outcome,
};
pub use fib::{Counters, Fib};
pub use next_hop_key::{InterfaceName, NextHopKey};
pub use route::{NextHop, PROTOCOL, Route, RouteKey, RouteKind};
pub use snapshot::{
    FibSnapshot, FibSummary, NextHopSnapshot, NextHopView, RouteSnapshot, RouteState, ThroughView,
};
pub use source::RouteSource;
