//! A kernel route in the kernel's own words.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Our number in the kernel's route protocol field (`ip route show proto 109`; packages install the name
/// `manx` for it). Not shared with any daemon in iproute2's list.
pub const PROTOCOL: u8 = 109;

/// What identifies a route to the kernel. Two routes with one key cannot stand beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RouteKey {
    /// Kernel table; 254 is main.
    pub table: u32,
    /// Destination, without host bits.
    pub prefix: IpNet,
    /// `RTA_PRIORITY`; lower is preferred.
    pub metric: u32,
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} metric {}", self.prefix, self.metric)
    }
}

/// What the kernel does with a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// Forwards it.
    #[default]
    Unicast,
    /// Drops it silently.
    Blackhole,
    /// Delivers it to this host (an address of ours in table 255); never ours.
    Local,
    /// Any other kernel type; never ours.
    Other,
}

/// One way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NextHop {
    /// The neighbor; `None` for a directly connected destination. May be IPv6 for an IPv4 route.
    pub gateway: Option<IpAddr>,
    /// Interface index.
    pub ifindex: u32,
    /// The kernel need not have a route to the gateway.
    pub onlink: bool,
    /// Share of the traffic, 1 to 256.
    pub weight: u16,
}

/// A route, ours or another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Route {
    /// Its identity.
    pub key: RouteKey,
    /// Forward or drop.
    pub kind: RouteKind,
    /// `rtm_protocol`.
    pub protocol: u8,
    /// Sorted; empty for a blackhole.
    pub next_hops: SmallVec<[NextHop; 1]>,
    /// Preferred source address (`RTA_PREFSRC`).
    pub source: Option<IpAddr>,
    /// The next-hop object (`ip nexthop`) that it goes by; never ours. It shares its fate, without a word of its own.
    pub object: Option<u32>,
}
