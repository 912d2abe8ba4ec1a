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
    /// Templates of dynamic peers, by name; absent when one peer was asked for.
    #[serde(default)]
    pub dynamic: Vec<DynamicPeersDocument>,
}

/// A BGPPeer with a peerPrefix: peers come from it as long as there is room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicPeersDocument {
    /// `bgppeer/…`: the `template` of its peers.
    pub name: String,
    /// Where its peers may connect from.
    pub prefixes: Vec<IpNet>,
    /// Most peers at a time.
    pub maximum: u32,
    /// How many there are.
    pub current: u32,
    /// Connections refused because there were as many as there may be.
    pub refused: u64,
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
    /// The template that a dynamic peer was made from; absent for configured ones.
    #[serde(default)]
    pub template: Option<String>,
    /// We only accept connections.
    #[serde(default)]
    pub passive: bool,
    /// Configured seconds between attempts to connect, before jitter.
    #[serde(default)]
    pub connect_retry_secs: u16,
    /// Configured seconds of the first pause after an error, before jitter.
    #[serde(default)]
    pub idle_hold_secs: u16,
    /// Configured seconds of the longest pause after errors.
    #[serde(default)]
    pub maximum_idle_hold_secs: u16,
    /// Least seconds between two advertisements to it; 0: none.
    #[serde(default)]
    pub minimum_advertisement_secs: u16,
    /// Seconds for which the peer may take nothing before it is down; absent while unknown.
    #[serde(default)]
    pub send_hold_secs: Option<u64>,
    /// Seconds until the next attempt to connect, or until a pause after an error ends.
    #[serde(default)]
    pub next_attempt_secs: Option<u64>,
    /// We reflect routes for it.
    pub reflector_client: bool,
    /// Our role (RFC 9234), `provider`; absent where none is configured.
    pub role: Option<String>,
    /// Most prefixes it may send; absent: any number.
    pub maximum_prefixes: Option<u32>,
    /// TCP-MD5 (RFC 2385) is on.
    pub password: bool,
    /// Families in which it may send several paths of a prefix (RFC 7911), as negotiated.
    #[serde(default)]
    pub add_path_receive: Vec<String>,
    /// Families in which it is sent several.
    #[serde(default)]
    pub add_path_send: Vec<String>,
    /// Most paths of a prefix that it is sent in these; absent: all.
    pub add_path_send_maximum: Option<u8>,
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
    /// Paths we have sent it.
    pub advertised: usize,
    /// Messages received on all sessions.
    pub messages_in: u64,
    /// Messages sent on all sessions, UPDATEs not included.
    pub messages_out: u64,
    /// UPDATEs received on all sessions.
    pub updates_in: u64,
    /// Attributes of theirs that were discarded, or cost their routes (RFC 7606), over all sessions.
    pub malformed_attributes: u64,
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
    /// Path identifier (RFC 7911), as received or as sent; absent where there is none.
    #[serde(default)]
    pub path_id: Option<u32>,
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
    /// The one that is advertised, if one is; in what is advertised every path.
    pub best: bool,
    /// Used for forwarding beside the best one.
    pub multipath: bool,
    /// Kept from the peer's last session.
    pub stale: bool,
    /// Why it cannot be used at all.
    pub ineligible: Option<String>,
    /// The decision step that it lost.
    pub lost: Option<String>,
    /// The source of the path that it lost to: the best one, but for MED the best of its neighboring AS. Absent
    /// for a path in use.
    #[serde(default)]
    pub lost_to: Option<String>,
    /// Why it is not used beside the best one, if it lost only after the metric of the next hop.
    #[serde(default)]
    pub not_multipath: Option<String>,
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

/// What `manx policy test` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTestDocument {
    /// How many are as expected.
    pub passed: usize,
    /// How many are not.
    pub failed: usize,
    /// By name.
    pub tests: Vec<FilterTestDocument>,
}

/// One BGPFilterTest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterTestDocument {
    /// Its name.
    pub name: String,
    /// All is as expected.
    pub ok: bool,
    /// What became of the route: `Accept`, `Reject`, or `Default` where no rule ended it.
    pub action: String,
    /// The rule that ended it.
    pub rule: Option<String>,
    /// What is not as expected.
    pub differences: Vec<DifferenceDocument>,
}

/// Something that is not as expected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceDocument {
    /// A field of `expect`.
    pub field: String,
    /// What stands there.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// `POST /v1/policy/test` with manifests: what they would change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyTrialDocument {
    /// By peer and direction; peers without a session are left out.
    pub trials: Vec<TrialDocument>,
}

/// One peer and direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrialDocument {
    /// The peer's name.
    pub peer: String,
    /// `import` or `export`.
    pub direction: String,
    /// Routes that were looked at.
    pub routes: usize,
    /// Of these: rejected now, would pass.
    pub accepted: usize,
    /// Of these: pass now, would be rejected.
    pub rejected: usize,
    /// Of these: would pass with other attributes.
    pub changed: usize,
    /// Those, by prefix.
    pub different: Vec<TriedRouteDocument>,
}

/// A route that would fare differently.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriedRouteDocument {
    /// The destination.
    pub prefix: IpNet,
    /// As it is.
    pub now: TriedDocument,
    /// As it would be.
    pub then: TriedDocument,
}

/// What a policy makes of a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TriedDocument {
    /// The rule that ends it; absent where none does.
    pub rule: Option<String>,
    /// Its attributes then, and nothing else of a path; absent: it does not pass.
    pub path: Option<PathDocument>,
}

/// `GET /v1/policy`: which rules decide how much, by peer, direction and order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyDocument {
    /// Rules of the filters of peers with a session; those of a family without one are left out.
    pub rules: Vec<RuleDocument>,
}

/// One rule for one peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleDocument {
    /// The peer's name.
    pub peer: String,
    /// `import` or `export`.
    pub direction: String,
    /// `fabric rule 2`; absent: no rule ended it.
    pub rule: Option<String>,
    /// Accept, Reject or Next; absent with `rule`.
    pub action: Option<String>,
    /// `ipv4` or `ipv6`; absent with `rule`.
    pub family: Option<String>,
    /// Routes that it decides, now.
    pub routes: usize,
}

/// Any refusal, with an HTTP status of 4xx or 5xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDocument {
    /// What to tell the user.
    pub error: String,
}
