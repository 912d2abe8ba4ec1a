//! The RIB's read-only side: what the CLI, the metrics and the tests see. Every type is a plain, serialisable
//! value with a stable schema; lists are sorted, so equal states give equal text.

mod counts;
mod routes;
mod trial;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use trial::{PolicyDirection, TrialPage, TrialPlace, Tried, TriedRoute};

use super::event::{Ineligible, LossReason, NotMultipath};
use crate::wire::Origin;
use crate::{Asn, ClusterId, PeerId, PeerKind, RouterId};

/// The RIB in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RibSummary {
    /// Start-up is over, see [`super::RibEffect::InSync`].
    pub in_sync: bool,
    /// Every family that has tables.
    pub families: Vec<FamilySummary>,
    /// Distinct sets of path attributes, those of the Adj-RIBs-Out included.
    pub attribute_sets: usize,
    /// Next hops in use of which nothing is known yet.
    pub pending_next_hops: usize,
    /// Update groups.
    pub groups: Vec<GroupSummary>,
}

/// One family in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilySummary {
    /// `ipv4-unicast` or `ipv6-unicast`.
    pub family: String,
    /// Prefixes with at least one path.
    pub prefixes: usize,
    /// Paths of all peers and our own.
    pub paths: usize,
    /// Prefixes with a best path: the size of the Loc-RIB.
    pub best: usize,
    /// Prefixes we originate.
    pub originated: usize,
}

/// One update group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSummary {
    /// Its number, stable while it has members.
    pub group: usize,
    /// Names of its members, sorted.
    pub members: Vec<String>,
    /// How many of them are in step in every family.
    pub in_step: usize,
}

/// State of a peer's session as the RIB knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// Established.
    Up,
    /// Lost, its routes retained (RFC 4724).
    Retained,
    /// Lost.
    Down,
}

/// One peer in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSummary {
    /// Who.
    pub peer: PeerId,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its session.
    pub state: PeerState,
    /// Its update group while the session is up.
    pub group: Option<usize>,
    /// Bytes handed out for it that have not reached its socket.
    pub pending_bytes: usize,
    /// The families of its session, or of its last one.
    pub families: Vec<PeerFamilySummary>,
}

/// One family of one peer in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFamilySummary {
    /// `ipv4-unicast` or `ipv6-unicast`.
    pub family: String,
    /// Paths in its Adj-RIB-In.
    pub received: usize,
    /// Those that take part in the decision.
    pub eligible: usize,
    /// Those that are the best of their prefix.
    pub best: usize,
    /// Those of an earlier session that have not been announced in this one.
    pub stale: usize,
    /// It has sent End-of-RIB in this session.
    pub end_of_rib: bool,
    /// Paths it has been sent in their present form and that have not been withdrawn: one of a prefix, or several
    /// (RFC 7911).
    pub advertised: usize,
    /// Prefixes or paths it has yet to be told about; 0: in step.
    pub behind: usize,
}

/// Which routes are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteSelection {
    /// All, IPv4 before IPv6, in the order of prefixes, beginning after this one.
    All {
        /// `RoutePage::next` of the page before.
        after: Option<IpNet>,
    },
    /// Just this prefix.
    Exact(IpNet),
    /// The route that packets to this prefix take: the longest with a best path that contains it.
    LongestMatch(IpNet),
}

/// A part of a list of routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutePage<R> {
    /// In the order of prefixes.
    pub routes: Vec<R>,
    /// Where to go on; `None`: that was all.
    pub next: Option<IpNet>,
}

/// One prefix with all its paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSnapshot {
    /// The destination.
    pub prefix: IpNet,
    /// The best path first, then those used beside it, the ones that lost, the ones that may not be used.
    pub paths: Vec<PathSnapshot>,
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSnapshot {
    /// Name of the peer that sent it, or `local`.
    pub source: String,
    /// That peer.
    pub peer: Option<PeerId>,
    /// Its address.
    pub peer_address: Option<IpAddr>,
    /// Internal or external; `None` for our own.
    pub kind: Option<PeerKind>,
    /// Path identifier (RFC 7911), 0 without.
    pub path_id: u32,
    /// What the decision made of it.
    pub usage: PathUsage,
    /// Of an earlier session (RFC 4724).
    pub stale: bool,
    /// Seconds since its attributes changed last.
    pub age_secs: u64,
    /// Its attributes.
    #[serde(flatten)]
    pub attributes: AttributesSnapshot,
}

/// What the decision made of a path, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PathUsage {
    /// It won.
    Best,
    /// It is used beside the best one; it lost to that one only at a step after the metric.
    Multipath {
        /// That step.
        reason: LossReason,
    },
    /// It lost.
    Lost {
        /// At this step.
        reason: LossReason,
        /// To the path of this peer (or `local`): the best one, but for MED the best of its neighboring AS.
        to: String,
        /// Why it is not used beside the best one either, if it lost only after the metric.
        not_multipath: Option<NotMultipath>,
    },
    /// It took no part.
    Ineligible {
        /// Why.
        reason: Ineligible,
    },
}

/// A path as a peer has been sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvertisedRoute {
    /// The destination.
    pub prefix: IpNet,
    /// Path identifier (RFC 7911), 0 without.
    pub path_id: u32,
    /// The attributes as sent.
    #[serde(flatten)]
    pub attributes: AttributesSnapshot,
}

/// Path attributes in the form in which people read them. Absent ones are left out or empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributesSnapshot {
    /// The address that is resolved.
    pub next_hop: Option<IpAddr>,
    /// AS_PATH, nearest first, sets in braces: `65001 65002 {65010 65011}`.
    pub as_path: String,
    /// ORIGIN.
    pub origin: Origin,
    /// LOCAL_PREF as it stands in the attributes; where it is absent 100 counts.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// Standard communities, `65001:100` or their registered names.
    pub communities: Vec<String>,
    /// Extended communities.
    pub extended_communities: Vec<String>,
    /// Large communities, `65001:1:2`.
    pub large_communities: Vec<String>,
    /// ORIGINATOR_ID.
    pub originator_id: Option<RouterId>,
    /// CLUSTER_LIST, nearest first.
    pub cluster_list: Vec<ClusterId>,
    /// ONLY_TO_CUSTOMER (RFC 9234).
    pub only_to_customer: Option<Asn>,
}
