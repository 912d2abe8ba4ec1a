//! Everything that can happen to the FIB and everything it can ask for.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{NextHopKey, Route, RouteKey};

/// Where our routes stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FibConfig {
    /// Kernel table; 254 is main.
    pub table: u32,
    /// Metric of IPv4 routes (`ipv4NormalRoutePriority`).
    pub metric_v4: u32,
    /// Metric of IPv6 routes (`ipv6NormalRoutePriority`).
    pub metric_v6: u32,
    /// False resolves next hops and reports, but writes nothing.
    pub install: bool,
    /// A next hop may be found through a default route.
    pub resolve_through_default: bool,
}

/// One usable path of a learned route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LearnedPath {
    /// As BGP gave it; resolved here.
    pub next_hop: NextHopKey,
    /// Share of the traffic, 1 to 256.
    pub weight: u16,
}

/// What BGP says about a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedRoute {
    /// All paths to use at once, never empty.
    pub paths: SmallVec<[LearnedPath; 1]>,
}

/// A link as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// Interface index.
    pub index: u32,
    /// Its name now.
    pub name: String,
    /// Administratively up. When this goes, the kernel throws away the link's routes, IPv4's without a word.
    pub admin_up: bool,
    /// Administratively up and with carrier.
    pub up: bool,
}

/// How the kernel answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As asked.
    Done,
    /// Something with that key was there already (EEXIST).
    Exists,
    /// Nothing with that key was there (ESRCH, ENOENT).
    Missing,
    /// Refused; tried again with backoff.
    Failed {
        /// The errno, positive.
        errno: i32,
        /// The kernel's own words where it gives any.
        message: String,
    },
}

/// Into the FIB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FibEvent {
    /// Replaces the configuration.
    Configure(FibConfig),
    /// BGP's word on a prefix; `None`: it has none any more.
    Learned {
        /// The destination.
        prefix: IpNet,
        /// The paths.
        route: Option<LearnedRoute>,
    },
    /// The whole set of own blocks larger than one address; each gets a blackhole for its unused part.
    OwnBlocks(Vec<IpNet>),
    /// The whole set of peers that are reached by a gateway (`reachableBy`), each with its gateway: a host route to the
    /// peer, there before any session to it.
    PeerGateways(Vec<(IpAddr, IpAddr)>),
    /// The whole set of ranges inside of which learned routes stay out of the kernel: those of services, which a
    /// node answers itself.
    Withheld(Vec<IpNet>),
    /// BGP's picture is complete: from now on what it does not name may be removed.
    LearnedInSync,
    /// Resolve this next hop and report it, now and on every change.
    TrackNextHop(NextHopKey),
    /// No longer of interest.
    UntrackNextHop(NextHopKey),
    /// A link appeared or changed.
    Link(LinkState),
    /// A link is gone.
    LinkGone(u32),
    /// The kernel has this route (monitor or scan), ours or foreign, of any table.
    Actual(Route),
    /// As `Actual`, and it took the place of the first route with its key, whoever owned that
    /// (`NLM_F_REPLACE` in a notification, which says nothing about the old one).
    ActualReplaced(Route),
    /// The kernel no longer has this route. Carries the whole route because the kernel reports a removal
    /// per route, not per key.
    ActualGone(Route),
    /// A next-hop object (`ip nexthop`) appeared, changed or went. With one, routes go by it change or go, and of that
    /// the kernel says nothing.
    NextHopObject(u32),
    /// A full dump begins: what it does not name is gone.
    ScanStarted,
    /// The dump is complete. Links have been given before routes.
    ScanDone,
    /// The dump broke off; what it named stands, what it did not name is not gone.
    ScanFailed(String),
    /// The monitor lost notifications (ENOBUFS): only a scan tells what happened.
    Overrun,
    /// Outcome of a `Create`, `Replace` or `Remove`.
    Applied {
        /// Of which route.
        key: RouteKey,
        /// What the kernel said.
        outcome: Outcome,
    },
    /// Time passed.
    Deadline,
}

/// A tracked next hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextHopReport {
    /// The next hop.
    pub next_hop: NextHopKey,
    /// `Ok(metric)` (0 when connected, else that of the kernel route that resolves it) or why it does not resolve.
    pub status: Result<u32, String>,
}

/// Out of the FIB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FibEffect {
    /// Create the route. Must fail with `Exists` if anything has the key.
    Create(Route),
    /// Replace our route of this key in one step.
    Replace(Route),
    /// Remove our route. Must name enough (protocol, next hops) that a foreign one cannot be hit.
    Remove(Route),
    /// A tracked next hop changed.
    NextHop(NextHopReport),
    /// Dump links, addresses and routes again: `ScanStarted`, `Link`…, `Actual`…, `ScanDone`.
    Scan,
}
