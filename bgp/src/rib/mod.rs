//! The routing information bases of RFC 4271 §3.2 as one value: Adj-RIBs-In, decision process, Loc-RIB and
//! one Adj-RIB-Out per update group.
//!
//! Level-triggered: `handle` only stores what came and marks prefixes dirty; the decision runs and messages
//! are packed and encoded when effects are polled, so that any number of events between two drains cost one
//! decision per prefix and share messages. No timer delays an advertisement,
//! unless a peer is configured so. The RIB opens no socket and
//! knows no kernel; it is told which next hops resolve.
//!
//! ```text
//!  Update ─► adj_in ─► table: prefix → paths ──dirty──► decision ─► loc ─► BestChanged
//!               │            ▲                                       │
//!  attributes ◄─┘            │ walk: dead paths, changed next hops   └─changed─► adj_out of each group
//!  next_hop ─► TrackNextHop  │                                                     │ follow, catch up
//!                            peers: epochs, counts                                pack ─► Transmit
//! ```
//!
//! # Memory
//! An IPv4 prefix with one path costs 40 octets for the destination, about 10 for its place in the index and
//! 8 in the Adj-RIB-Out of each group; attributes are shared between prefixes, and between paths and
//! Adj-RIBs-Out where export does not change them. A path that import policy changed holds a second handle, to
//! what came, which fits the same 40 octets. A peer that lags costs at most two bits per prefix. A path that is
//! sent with an identifier (RFC 7911) costs 24 octets and what a prefix costs otherwise: 8 in the Adj-RIB-Out of each
//! group that sends several, two bits per peer that lags; see [`path_ids`].

/// Runs `$body` with the table of a family, whatever its prefix type.
macro_rules! with_table {
    ($rib:expr, $family:expr, $table:ident => $body:expr) => {
        match $family {
            Family::V4 => {
                let $table = &mut $rib.v4;
                $body
            }
            Family::V6 => {
                let $table = &mut $rib.v6;
                $body
            }
        }
    };
}

mod add_path;
mod adj_in;
mod adj_out;
mod attributes;
mod decision;
pub mod event;
mod export;
mod family;
mod handle;
mod import;
mod loc;
mod member;
mod next_hop;
mod pace;
mod pack;
mod path;
mod path_ids;
mod peers;
pub mod policy;
mod prefix_limit;
mod role;
pub mod rules;
mod session;
pub mod snapshot;
mod startup;
mod table;
#[cfg(test)]
mod tests;
mod update_rules;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Instant;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

pub use event::{
    BestChange, BestPath, ExportAction, ExportPolicy, ExportRule, Ineligible, LossReason, NextHopStatus,
    NotMultipath, OriginatedRoute, PathSource, PrefixCommunities, Retain, RibConfig, RibEffect, RibEvent,
    RibPeer,
};
pub use policy::{
    AsPathRegex, Changed, CommunityPattern, CommunityValue, Condition, Decision, Facts, Matches, MedChange,
    NextHopChange, Operation, Policy, PolicyRoute, PolicyRule, PolicyVerdict, PrefixMatch, PrefixSet,
    PrefixSetEntry, Rules, SourceMatch,
};
pub use rules::{DecisionRules, MultipathRules};
pub use session::{QUIET_SECS, STALE_PATHS_MAX_SECS};
pub use startup::DEFERRAL_MAX_SECS;
pub use update_rules::{PrivateAs, UpdateRules};

use adj_in::{Identity, Shared};
use adj_out::Group;
use attributes::AttributeTable;
use family::PerFamily;
use next_hop::NextHops;
use path::Slot;
use peers::Peers;
use startup::Startup;
use table::Table;
use work::Follow;

/// All routes of one speaker.
///
/// Feed one [`RibEvent`] or several with [`Rib::handle`], then drain [`Rib::poll_effect`] to `None`; wake up
/// again at [`Rib::next_deadline`] with [`RibEvent::Deadline`] (early, late and repeated ones are harmless).
/// Nothing leaves and nobody is in sync before the first [`RibEvent::Configure`]. Events of a peer that is
/// not up are ignored, except those that end what was retained of it. [`snapshot`] has the read-only side;
/// it is exact after a drain.
///
/// The work of a drain is bounded by what changed, except that lost sessions and changed next hops walk the
/// tables once, however many there were; a single effect is bounded by [`RibEffect`]'s own limits.
pub struct Rib {
    config: Option<RibConfig>,
    shared: Shared,
    v4: Table<Ipv4Net>,
    v6: Table<Ipv6Net>,
    /// Our own routes as they were stated last.
    originated: BTreeMap<IpNet, u32>,
    /// A group keeps its place while it has members.
    groups: Vec<Option<Group>>,
    /// Every path is to be held against our identity again.
    rejudge: bool,
    /// Peers whose paths are to be held against their import policy and rules again.
    reimport: Vec<Slot>,
    /// Peers whose export policy or rules are no longer those of their group.
    regroup: Vec<Slot>,
    /// Prefixes that linger may be free: a member caught up or left.
    release_due: bool,
    follow: Option<Follow>,
    /// When advertisements to some peer are no longer held back.
    next_release: Option<Instant>,
    startup: Startup,
    effects: VecDeque<RibEffect>,
}

impl fmt::Debug for Rib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rib").field("v4", &self.v4.len()).field("v6", &self.v6.len()).finish_non_exhaustive()
    }
}

impl Rib {
    /// An empty RIB that starts now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            config: None,
            shared: Shared {
                peers: Peers::default(),
                attributes: AttributeTable::default(),
                next_hops: NextHops::default(),
                identity: Identity::default(),
                path_ids: PerFamily::default(),
                started: now,
                now,
            },
            v4: Table::default(),
            v6: Table::default(),
            originated: BTreeMap::new(),
            groups: Vec::new(),
            rejudge: false,
            reimport: Vec::new(),
            regroup: Vec::new(),
            release_due: false,
            follow: None,
            next_release: None,
            startup: Startup::default(),
            effects: VecDeque::new(),
        }
    }

    /// Takes an event in. Never fails; what an event asks for comes out of [`Rib::poll_effect`].
    pub fn handle(&mut self, event: RibEvent, now: Instant) {
        self.shared.now = now;
        match event {
            RibEvent::Configure(config) => self.handle_configure(config),
            RibEvent::Neighbors(neighbors) => self.handle_neighbors(neighbors),
            RibEvent::PeerUp(peer) => self.handle_peer_up(peer),
            RibEvent::PeerDown { peer, retain } => self.handle_peer_down(peer, retain.as_ref()),
            RibEvent::Update { peer, update } => self.handle_update(peer, *update),
            RibEvent::Refresh { peer, family } => self.handle_refresh(peer, family),
            RibEvent::PrefixLimit { peer, limit } => self.handle_prefix_limit(peer, limit),
            RibEvent::AdvertisementInterval { peer, secs } => self.handle_interval(peer, secs),
            RibEvent::AddPathMaximum { peer, maximum } => self.handle_add_path_maximum(peer, maximum),
            RibEvent::PolicyChanged { peer, import, export } => {
                self.handle_policy_changed(peer, import, export);
            }
            RibEvent::RulesChanged { peer, rules } => self.handle_rules_changed(peer, rules),
            RibEvent::ReflectorClientChanged { peer, client } => {
                self.handle_reflector_client_changed(peer, client);
            }
            RibEvent::Originate(routes) => self.handle_originate(&routes),
            RibEvent::NextHopChanged(changes) => self.handle_next_hop_changed(changes),
            RibEvent::Transmitted { peer, bytes } => self.handle_transmitted(peer, bytes),
            RibEvent::Deadline => {
                let lost = self.shared.peers.handle_deadline(now);
                self.request_walk(lost);
                self.release_held();
            }
        }
    }

    /// The next effect; `None` when all that was handled has taken effect.
    pub fn poll_effect(&mut self) -> Option<RibEffect> {
        loop {
            if let Some(effect) = self.effects.pop_front() {
                return Some(effect);
            }
            if !self.work() {
                return None;
            }
        }
    }

    /// When to come back with [`RibEvent::Deadline`] if nothing happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        // Start-up cannot end before there is a configuration.
        let startup = self.config.as_ref().and_then(|_| self.startup.next_deadline(&self.shared.peers));
        self.shared.peers.next_deadline().into_iter().chain(startup).chain(self.next_release).min()
    }
}
