//! Everything that can happen to the RIB and everything it can ask for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::sync::Arc;

use bytes::Bytes;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::policy::{CommunityValue, Policy};
use super::rules::DecisionRules;
use super::update_rules::UpdateRules;
use crate::peer::{Negotiated, NextHopMode, PrefixLimit};
use crate::wire::{PathAttributes, Update};
use crate::{AfiSafi, ClusterId, PeerId, RouterId};

/// What all peers share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RibConfig {
    /// Our identifier.
    pub router_id: RouterId,
    /// How paths are compared, and how many are used at once. A change is applied to every route, and of what
    /// comes of it only the differences leave; no session notices.
    pub decision: DecisionRules,
    /// What may leave.
    pub export: ExportPolicy,
    /// We told our peers in our OPENs that we restarted (R bit): End-of-RIB to them then waits until we are in
    /// sync (RFC 4724 §4.1). Without it End-of-RIB follows the initial routes at once, as two speakers that
    /// start together would otherwise wait for each other.
    pub restarting: bool,
}

/// What may leave towards any peer, unless the peer's own policy has decided already: the first rule whose
/// prefix contains the route decides, else `otherwise`. Our own originated routes are subject to it too. What
/// leaves by it gets the communities of every one of `communities` that contains it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPolicy {
    /// In order.
    pub rules: Vec<ExportRule>,
    /// What happens to a route that no rule matches.
    pub otherwise: ExportAction,
    /// Communities by prefix.
    pub communities: Vec<PrefixCommunities>,
}

/// Communities that routes inside a prefix get when they leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixCommunities {
    /// For every route inside it.
    pub within: IpNet,
    /// Those.
    pub communities: Vec<CommunityValue>,
}

/// One rule of an [`ExportPolicy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRule {
    /// Matches every route inside it.
    pub within: IpNet,
    /// Matches only routes we originate ourselves.
    pub own_only: bool,
    /// What then happens.
    pub action: ExportAction,
}

/// Verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportAction {
    /// It leaves.
    #[default]
    Accept,
    /// It stays.
    Reject,
}

/// A route of our own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginatedRoute {
    /// The destination.
    pub prefix: IpNet,
    /// LOCAL_PREF towards iBGP.
    pub local_pref: u32,
}

/// An established peer, as the RIB needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RibPeer {
    /// Who.
    pub peer: PeerId,
    /// Its name, for snapshots.
    pub name: String,
    /// Its address: the last tie-break (RFC 4271 §9.1.2.2 g).
    pub address: IpAddr,
    /// The session's terms.
    pub negotiated: Negotiated,
    /// Most paths of one prefix that it is sent in families in which it takes several (RFC 7911), its own among
    /// them; `None`: all.
    pub add_path_maximum: Option<NonZeroU8>,
    /// What next hop it gets.
    pub next_hop_mode: NextHopMode,
    /// Our address for IPv4 routes; `None`: no IPv4 route with next hop self can go to it.
    pub next_hop_v4: Option<Ipv4Addr>,
    /// Our address for IPv6 routes.
    pub next_hop_v6: Option<Ipv6Addr>,
    /// How often our AS may stand in a received AS_PATH.
    pub allow_local_as: u8,
    /// What is demanded of its routes and done to those it gets, beside policy.
    pub rules: UpdateRules,
    /// Most prefixes it may send.
    pub prefix_limit: Option<PrefixLimit>,
    /// Set for our route reflection clients.
    pub reflector_client: Option<ClusterId>,
    /// Bytes that may be handed out for it before some are reported [`RibEvent::Transmitted`].
    pub transmit_window: usize,
    /// MinRouteAdvertisementInterval (RFC 4271 §9.2.1.1) in seconds; 0: none.
    pub advertisement_interval_secs: u16,
    /// What is made of its routes. Those that no rule matches are taken as they are.
    pub import: Arc<Policy>,
    /// What it gets. About routes that no rule matches [`RibConfig::export`] decides.
    pub export: Arc<Policy>,
}

/// What to keep of a lost peer (RFC 4724 §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retain {
    /// Families whose routes become stale instead of going away.
    pub families: Vec<AfiSafi>,
    /// For how long, unless the peer comes back.
    pub restart_time_secs: u16,
}

/// Whether packets for a next hop can be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextHopStatus {
    /// Resolved; the interior cost (RFC 4271 §9.1.2.2 e).
    Reachable {
        /// 0 for a connected one.
        metric: u32,
    },
    /// Not resolved, and why.
    Unreachable {
        /// In words.
        reason: String,
    },
}

/// Into the RIB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RibEvent {
    /// Replaces the shared configuration.
    Configure(RibConfig),
    /// The peers that are configured: start-up waits for them (selection deferral), and a peer that is no
    /// longer listed loses its routes at once.
    Neighbors(Vec<PeerId>),
    /// A session came up. Paths kept from its last one become stale until refreshed.
    PeerUp(Box<RibPeer>),
    /// A session ended.
    PeerDown {
        /// Whose.
        peer: PeerId,
        /// `None`: its routes go at once.
        retain: Option<Retain>,
    },
    /// Routes from an established peer.
    Update {
        /// Whose.
        peer: PeerId,
        /// What.
        update: Box<Update>,
    },
    /// The peer wants this family again (RFC 2918).
    Refresh {
        /// Who.
        peer: PeerId,
        /// What.
        family: AfiSafi,
    },
    /// Another limit for an established peer.
    PrefixLimit {
        /// Whose.
        peer: PeerId,
        /// From now on.
        limit: Option<PrefixLimit>,
    },
    /// Another MinRouteAdvertisementInterval for an established peer, from its next advertisement on.
    AdvertisementInterval {
        /// Whose.
        peer: PeerId,
        /// Seconds; 0: none.
        secs: u16,
    },
    /// Another number of paths for a peer; it is told the difference.
    AddPathMaximum {
        /// Whose.
        peer: PeerId,
        /// Replaces [`RibPeer::add_path_maximum`].
        maximum: Option<NonZeroU8>,
    },
    /// Other policies for a peer, its session staying as it is. What that changes of its paths and of what it
    /// has been sent is worked out from what is there; the peer is not asked for anything.
    PolicyChanged {
        /// Whose.
        peer: PeerId,
        /// Replaces [`RibPeer::import`].
        import: Arc<Policy>,
        /// Replaces [`RibPeer::export`].
        export: Arc<Policy>,
    },
    /// Other rules for a peer, in the same way.
    RulesChanged {
        /// Whose.
        peer: PeerId,
        /// Replace [`RibPeer::rules`].
        rules: UpdateRules,
    },
    /// A peer becomes our route reflection client or stops being one, its session staying as it is.
    ReflectorClientChanged {
        /// Whose.
        peer: PeerId,
        /// Replaces [`RibPeer::reflector_client`].
        client: Option<ClusterId>,
    },
    /// The whole set of our own routes.
    Originate(Vec<OriginatedRoute>),
    /// Next hops whose status changed. A next hop never named is pending, and ineligible.
    NextHopChanged(Vec<(IpAddr, NextHopStatus)>),
    /// So many bytes for this peer have reached its socket.
    Transmitted {
        /// Whose.
        peer: PeerId,
        /// How many.
        bytes: usize,
    },
    /// Time passed.
    Deadline,
}

/// Where a path came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathSource {
    /// We originate it.
    Local,
    /// A peer sent it.
    Peer(PeerId),
}

/// One path that is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BestPath {
    /// Where it came from.
    pub source: PathSource,
    /// Its attributes; `next_hop` is set unless the source is local.
    pub attributes: Arc<PathAttributes>,
}

/// A change of the Loc-RIB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BestChange {
    /// The destination.
    pub prefix: IpNet,
    /// The best path first, then those used beside it; empty: nothing is left.
    pub paths: Vec<BestPath>,
}

/// Out of the RIB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RibEffect {
    /// The Loc-RIB changed, a bounded batch at a time.
    BestChanged(Vec<BestChange>),
    /// Send these bytes (whole messages) to all of these peers.
    Transmit {
        /// To whom.
        peers: Vec<PeerId>,
        /// One or more whole messages, shared between them.
        messages: Bytes,
    },
    /// Tell us, now and whenever it changes, whether this next hop resolves.
    TrackNextHop(IpAddr),
    /// No path uses it any more.
    UntrackNextHop(IpAddr),
    /// The peer has sent more prefixes than its limit allows. Once per session and limit. Unless the limit only
    /// warns, nothing more is taken from this session.
    TooManyPrefixes {
        /// Whose.
        peer: PeerId,
        /// The family with the most.
        family: AfiSafi,
        /// How many of all families.
        received: u64,
    },
    /// Every configured peer has been heard (End-of-RIB), or the time for it is over. Once per life.
    InSync,
}

/// Why a path never ran.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ineligible {
    /// Its next hop does not resolve, and why (RFC 4271 §9.1.2).
    NextHop(String),
    /// Its AS_PATH does not begin with the AS of its external peer (RFC 4271 §6.3).
    FirstAs,
    /// An AS_SET or AS_CONFED_SET stands in its AS_PATH (RFC 9774 §3).
    AsSet,
    /// Its external peer has no import policy for the family, and needs one (RFC 8212).
    NoImportPolicy,
    /// Our AS stands in its AS_PATH (RFC 4271 §9.1.2).
    AsLoop,
    /// We are its ORIGINATOR_ID (RFC 4456 §8).
    OriginatorLoop,
    /// Our cluster stands in its CLUSTER_LIST (RFC 4456 §8).
    ClusterLoop,
    /// The import policy of its peer rejects it; the name of the rule.
    Policy(String),
    /// It is marked as only for customers, and this peer had no business to send it (RFC 9234 §5).
    RouteLeak,
}

/// The step of the decision that a path lost (RFC 4271 §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossReason {
    /// A route of our own exists.
    NotLocal,
    /// Lower LOCAL_PREF.
    LocalPref,
    /// Longer AS_PATH.
    AsPathLength,
    /// Worse ORIGIN.
    Origin,
    /// Higher MED from the same neighboring AS.
    Med,
    /// Internal where an external one exists.
    Internal,
    /// Next hop is farther.
    NextHopMetric,
    /// The current best external path stays (RFC 5004).
    NotOldest,
    /// Higher router or originator id.
    RouterId,
    /// Longer CLUSTER_LIST (RFC 4456 §9).
    ClusterListLength,
    /// Higher peer address.
    PeerAddress,
    /// Higher path identifier (RFC 7911).
    PathId,
}

/// Why a path that lost only after the metric of the next hop is not used beside the best one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotMultipath {
    /// A path in use has the same next hop, so this one would share nothing.
    SameNextHop,
    /// It came through other ASes ([`super::MultipathRules::relax_as_path`]).
    AsPath,
    /// As many as are allowed are in use.
    Limit,
}
