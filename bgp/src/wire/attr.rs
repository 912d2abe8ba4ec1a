//! Path attributes (RFC 4271 §5) as values. How each stands on the wire is one row of the table in `table.rs`.

pub(super) mod read;
pub(super) mod table;
pub(super) mod write;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{AsPath, Community, ExtendedCommunity, LargeCommunity};
use crate::{Asn, ClusterId, InterfaceName, NextHopKey, RouterId};

/// ORIGIN (RFC 4271 §5.1.1); lower is preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Interior to the originating AS.
    #[default]
    Igp,
    /// Learned by EGP.
    Egp,
    /// Learned by some other means.
    Incomplete,
}

/// Where packets for a prefix go, as the wire carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NextHop {
    /// Four octets (RFC 4271 §5.1.3).
    V4(Ipv4Addr),
    /// Sixteen or thirty-two octets (RFC 2545 §3). A lone link-local address stands in `global` too.
    V6 {
        /// The global address.
        global: Ipv6Addr,
        /// The address on the shared link, when the sender gave one.
        link_local: Option<Ipv6Addr>,
    },
}

impl NextHop {
    /// The address that is resolved against the routing table.
    #[must_use]
    pub fn addr(&self) -> IpAddr {
        match *self {
            Self::V4(addr) => IpAddr::V4(addr),
            Self::V6 { global, .. } => IpAddr::V6(global),
        }
    }

    /// Sixteen octets.
    pub(crate) fn from_global(global: Ipv6Addr) -> Self {
        Self::V6 { global, link_local: None }
    }

    /// The address on the shared link, alone or beside a global one.
    #[must_use]
    pub fn link_local(&self) -> Option<Ipv6Addr> {
        match *self {
            Self::V4(_) => None,
            Self::V6 { global, link_local } => {
                link_local.or(Some(global)).filter(Ipv6Addr::is_unicast_link_local)
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Igp => "igp",
            Self::Egp => "egp",
            Self::Incomplete => "incomplete",
        })
    }
}

impl fmt::Display for NextHop {
    /// The address that is resolved; a link-local one beside it in parentheses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(addr) => addr.fmt(f),
            Self::V6 { global, link_local: None } => global.fmt(f),
            Self::V6 { global, link_local: Some(link_local) } => write!(f, "{global} ({link_local})"),
        }
    }
}

impl From<IpAddr> for NextHop {
    fn from(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(addr) => Self::V4(addr),
            IpAddr::V6(global) => Self::V6 { global, link_local: None },
        }
    }
}

/// AGGREGATOR (RFC 4271 §5.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Aggregator {
    /// Last AS that formed the aggregate.
    pub asn: Asn,
    /// Its speaker's identifier.
    pub router_id: RouterId,
}

impl fmt::Display for Aggregator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.asn, self.router_id)
    }
}

/// An optional transitive attribute we do not know: carried on with the Partial bit set (RFC 4271 §9).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RawAttribute {
    /// The flags octet without the extended-length bit.
    pub flags: u8,
    /// The type code.
    pub code: u8,
    /// The value.
    pub value: Bytes,
}

/// The attributes of a path, in a form in which equal attributes compare and hash equal.
///
/// Lists that are sets on the wire (communities) are kept sorted and without duplicates by the decoder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PathAttributes {
    /// ORIGIN, code 1.
    pub origin: Origin,
    /// AS_PATH, code 2, already merged with AS4_PATH (RFC 6793 §4.2.3).
    pub as_path: AsPath,
    /// NEXT_HOP or that of MP_REACH_NLRI; absent only inside a decoded [`super::Update`].
    pub next_hop: Option<NextHop>,
    /// Not on the wire: the interface of the link-local part of `next_hop`, if packets go to that. Whoever knows
    /// the session sets it, so that equal attributes from two links stay two sets.
    pub interface: Option<InterfaceName>,
    /// MULTI_EXIT_DISC, code 4.
    pub med: Option<u32>,
    /// LOCAL_PREF, code 5.
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE, code 6.
    pub atomic_aggregate: bool,
    /// AGGREGATOR, code 7, already merged with AS4_AGGREGATOR.
    pub aggregator: Option<Aggregator>,
    /// COMMUNITIES, code 8 (RFC 1997).
    pub communities: Vec<Community>,
    /// ORIGINATOR_ID, code 9 (RFC 4456).
    pub originator_id: Option<RouterId>,
    /// CLUSTER_LIST, code 10 (RFC 4456), nearest first.
    pub cluster_list: Vec<ClusterId>,
    /// EXTENDED COMMUNITIES, code 16 (RFC 4360).
    pub extended_communities: Vec<ExtendedCommunity>,
    /// LARGE_COMMUNITY, code 32 (RFC 8092).
    pub large_communities: Vec<LargeCommunity>,
    /// ONLY_TO_CUSTOMER, code 35 (RFC 9234): the AS that marked it.
    pub only_to_customer: Option<Asn>,
    /// Unknown optional transitive attributes, by code.
    pub unknown: Vec<RawAttribute>,
}

impl PathAttributes {
    /// What the next hop is tracked by. Of two addresses (RFC 2545 §3) the link-local one, where `interface` says
    /// so.
    #[must_use]
    pub fn next_hop_key(&self) -> Option<NextHopKey> {
        let next_hop = self.next_hop?;
        let interface = self.interface.filter(|_| next_hop.link_local().is_some());
        let link_local = next_hop.link_local().filter(|_| interface.is_some()).map(IpAddr::V6);
        Some(NextHopKey { address: link_local.unwrap_or(next_hop.addr()), interface })
    }
}
