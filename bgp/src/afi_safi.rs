//! Address families: an open pair of numbers, so that a family we do not route can still be negotiated away,
//! logged and counted by name.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An address family and its sub-family (RFC 4760 §3; IANA "Address Family Numbers" and "SAFI Namespace").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AfiSafi {
    /// Address family identifier: 1 is IPv4, 2 is IPv6.
    pub afi: u16,
    /// Subsequent address family identifier: 1 is unicast.
    pub safi: u8,
}

impl AfiSafi {
    /// IPv4 unicast, the family of RFC 4271 itself.
    pub const IPV4_UNICAST: Self = Self { afi: 1, safi: 1 };
    /// IPv6 unicast (RFC 2545).
    pub const IPV6_UNICAST: Self = Self { afi: 2, safi: 1 };
    /// Every family this speaker can route, in the order in which it offers them.
    pub const ALL: [Self; 2] = [Self::IPV4_UNICAST, Self::IPV6_UNICAST];

    /// The unicast family that `prefix` belongs to.
    #[must_use]
    pub fn of(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::IPV4_UNICAST,
            IpNet::V6(_) => Self::IPV6_UNICAST,
        }
    }

    /// Whether this speaker can carry routes of the family.
    #[must_use]
    pub fn is_supported(self) -> bool {
        Self::ALL.contains(&self)
    }
}

impl fmt::Display for AfiSafi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IPV4_UNICAST => f.write_str("ipv4-unicast"),
            Self::IPV6_UNICAST => f.write_str("ipv6-unicast"),
            Self { afi, safi } => write!(f, "afi-{afi}-safi-{safi}"),
        }
    }
}
