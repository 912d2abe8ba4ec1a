//! The routing information bases of RFC 4271 §3.2 as one value: Adj-RIBs-In, decision process, Loc-RIB and
//! one Adj-RIB-Out per update group.
//!
//! Level-triggered: `handle` only stores what came and marks prefixes dirty; the decision runs and messages
//! are packed and encoded when effects are polled, so that any number of events between two drains cost one
//! decision per prefix and share messages. No timer delays an advertisement. The RIB opens no socket and
//! knows no kernel; it is told which next hops resolve.

pub mod event;

pub use event::{
    BestChange, BestPath, ExportAction, ExportPolicy, ExportRule, Ineligible, LossReason, NextHopStatus,
    OriginatedRoute, PathSource, Retain, RibConfig, RibEffect, RibEvent, RibPeer,
};

/// The manual stands in the module's head. (Skeleton: `new(now, seed-free)`, `handle`, `poll_effect`,
/// `next_deadline`, `snapshot`.)
#[derive(Debug, Default)]
pub struct Rib {}
