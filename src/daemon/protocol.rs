//! What the local socket serves: one JSON document per read verb. This is the documented schema
//! (docs/json.md): fields are added, never renamed or reused. It names no type of any domain.
//!
//! The transport is HTTP/1.1 over the unix socket, so `curl --unix-socket /run/manx/manx.sock
//! http://manx/v1/peers` works too.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// `GET /v1/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusDocument {
    /// This node's name.
    pub node: String,
    /// The daemon's version.
    pub version: String,
    /// Seconds since the daemon started.
    pub uptime_secs: u64,
    /// The manifests are applied and the kernel's routes have been read. Never waits for a peer.
    pub in_sync: bool,
    /// What `in_sync` still waits for; empty when in sync.
    pub waiting_for: Vec<String>,
    /// Every peer has sent its routes since the start, or the time for that is over: what a former run left in
    /// the kernel and nobody announced has been removed.
    pub bgp_in_sync: bool,
    /// Our BGP identifier; absent when no Node object names this node.
    pub router_id: Option<String>,
    /// Our AS number.
    pub asn: Option<u32>,
    /// The prefixes we originate.
    pub originated: Vec<IpNet>,
    /// Sessions.
    pub peers: PeerCounts,
    /// The BGP table.
    pub routes: RouteCounts,
    /// The kernel's side.
    pub fib: FibCounts,
    /// What is wrong with the manifests; the rest of them is in force.
    pub problems: Vec<ProblemDocument>,
}

/// Sessions in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCounts {
    /// Configured.
    pub configured: usize,
    /// Established.
    pub established: usize,
}

/// The BGP table in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteCounts {
    /// IPv4 prefixes with at least one path.
    pub ipv4: usize,
    /// IPv6 prefixes with at least one path.
    pub ipv6: usize,
    /// Paths over all prefixes.
    pub paths: usize,
}

/// Kernel routes in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FibCounts {
    /// Whether routes are written at all.
    pub enabled: bool,
    /// Routes the kernel should have.
    pub desired: usize,
    /// Of these: there.
    pub installed: usize,
    /// Of these: without a usable next hop.
    pub unresolved: usize,
}

/// One thing that is wrong with a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemDocument {
    /// `error`: something was refused or left out; `warning`: everything is in force.
    pub severity: String,
    /// File name inside the manifests directory; absent for the directory itself.
    pub file: Option<String>,
    /// Line, from 1.
    pub line: Option<usize>,
    /// Column, from 1.
    pub column: Option<usize>,
    /// Path of the field, e.g. `spec.peerIP`.
    pub field: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// `GET /v1/peers[?name=…]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeersDocument {
    /// By name.
    pub peers: Vec<PeerDocument>,
}

/// One session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerDocument {
    /// `bgppeer/…` or `mesh/…`.
    pub name: String,
    /// From the manifest.
    pub description: String,
    /// The neighbor's address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: u16,
    /// `ibgp` or `ebgp`.
    pub kind: String,
    /// Our AS on this session.
    pub local_as: u32,
    /// The AS the neighbor must have.
    pub remote_as: u32,
    /// `idle`, `connect`, `active`, `open_sent`, `open_confirm`, `established`.
    pub state: String,
    /// Seconds in this state.
    pub state_secs: u64,
    /// Seconds since the session came up; absent unless established.
    pub uptime_secs: Option<u64>,
    /// Why the last session or attempt ended.
    pub last_error: Option<String>,
    /// How often an established session was lost.
    pub flaps: u64,
    /// The neighbor's BGP identifier, once known.
    pub router_id: Option<String>,
    /// Negotiated hold time in seconds.
    pub hold_time_secs: Option<u16>,
    /// Keepalive interval in seconds.
    pub keepalive_secs: Option<u16>,
    /// Negotiated families.
    pub families: Vec<String>,
    /// What the neighbor offered in its OPEN.
    pub capabilities: Vec<String>,
    /// Seconds for which the neighbor asked us to keep its routes should it restart.
    pub restart_time_secs: Option<u16>,
    /// We reflect routes for it.
    pub reflector_client: bool,
    /// Our role (RFC 9234), `provider`; absent where none is configured.
    pub role: Option<String>,
    /// Most prefixes it may send; absent: any number.
    pub maximum_prefixes: Option<u32>,
    /// Most that filters may leave of these.
    #[serde(default)]
    pub maximum_prefixes_accepted: Option<u32>,
    /// Most that it may be sent.
    #[serde(default)]
    pub maximum_prefixes_sent: Option<u32>,
    /// TCP-MD5 (RFC 2385) is on.
    pub password: bool,
    /// BGPFilters that its routes pass, in order.
    #[serde(default)]
    pub filters: Vec<String>,
    /// What is demanded of its routes and done to those it gets, beside filters; only what is not the default.
    #[serde(default)]
    pub rules: Vec<String>,
    /// What it is not sent or what is not taken from it for want of a filter (RFC 8212).
    #[serde(default)]
    pub withheld: Vec<String>,
    /// Paths it has sent.
    pub received: usize,
    /// Of these: eligible.
    pub accepted: usize,
    /// Of these: in use.
    pub best: usize,
    /// Kept from its last session until it sends them again.
    pub stale: usize,
    /// Prefixes we have sent it.
    pub advertised: usize,
    /// Messages received on all sessions.
    pub messages_in: u64,
    /// Messages sent on all sessions, UPDATEs not included.
    pub messages_out: u64,
    /// UPDATEs received on all sessions.
    pub updates_in: u64,
}

/// `GET /v1/routes[?prefix=…|received=PEER|advertised=PEER]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoutesDocument {
    /// By prefix, IPv4 first.
    pub routes: Vec<RouteDocument>,
}

/// One prefix of the BGP table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteDocument {
    /// The destination.
    pub prefix: IpNet,
    /// Its paths, best first.
    pub paths: Vec<PathDocument>,
}

/// One path.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PathDocument {
    /// `local` or the peer's name.
    pub source: String,
    /// Where packets go; absent for our own routes.
    pub next_hop: Option<String>,
    /// The AS_PATH, nearest first.
    pub as_path: String,
    /// `igp`, `egp`, `incomplete`.
    pub origin: String,
    /// LOCAL_PREF as received or set.
    pub local_pref: Option<u32>,
    /// MED.
    pub med: Option<u32>,
    /// Standard, extended and large communities.
    pub communities: Vec<String>,
    /// ORIGINATOR_ID.
    pub originator_id: Option<String>,
    /// CLUSTER_LIST.
    pub cluster_list: Vec<String>,
    /// ONLY_TO_CUSTOMER (RFC 9234): the AS that marked it.
    pub only_to_customer: Option<u32>,
    /// The one that is advertised.
    pub best: bool,
    /// Used for forwarding beside the best one.
    pub multipath: bool,
    /// Kept from the peer's last session.
    pub stale: bool,
    /// Why it cannot be used at all.
    pub ineligible: Option<String>,
    /// The decision step that it lost.
    pub lost: Option<String>,
    /// Seconds since it was received.
    pub age_secs: u64,
}

/// `GET /v1/fib`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FibDocument {
    /// In numbers.
    pub counts: FibCounts,
    /// By prefix, IPv4 first.
    pub routes: Vec<FibRouteDocument>,
}

/// One kernel route, wanted or there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FibRouteDocument {
    /// The destination.
    pub prefix: IpNet,
    /// `unicast` or `blackhole`.
    pub kind: String,
    /// Kernel metric.
    pub metric: u32,
    /// Kernel table.
    pub table: u32,
    /// `bgp`, `own-block` or `leftover`.
    pub source: String,
    /// `installed`, `pending`, `unresolved`, `blocked`, `failed`.
    pub state: String,
    /// Why it is not installed.
    pub reason: Option<String>,
    /// Ways out, resolved; empty for a blackhole.
    pub next_hops: Vec<FibNextHopDocument>,
}

/// One way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FibNextHopDocument {
    /// The neighbor on the link.
    pub gateway: Option<IpAddr>,
    /// Interface name.
    pub device: String,
    /// Share of the traffic.
    pub weight: u16,
}

/// Any refusal, with an HTTP status of 4xx or 5xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDocument {
    /// What to tell the user.
    pub error: String,
}
