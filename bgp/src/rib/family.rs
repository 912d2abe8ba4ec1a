//! The two families this speaker routes, so that everything above the prefix type is written once.

use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::AfiSafi;

/// A family that has tables here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// In the order in which work is done.
    pub(super) const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub(super) fn of(family: AfiSafi) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.afi_safi() == family)
    }

    pub(super) fn of_prefix(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::V4,
            IpNet::V6(_) => Self::V6,
        }
    }

    /// The route to everywhere.
    pub(super) fn default_route(self) -> IpNet {
        match self {
            Self::V4 => IpNet::V4(Ipv4Net::default()),
            Self::V6 => IpNet::V6(Ipv6Net::default()),
        }
    }

    pub(super) fn afi_safi(self) -> AfiSafi {
        match self {
            Self::V4 => AfiSafi::IPV4_UNICAST,
            Self::V6 => AfiSafi::IPV6_UNICAST,
        }
    }
}

/// One value per family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PerFamily<T> {
    pub(super) v4: T,
    pub(super) v6: T,
}

impl<T> PerFamily<T> {
    pub(super) fn get(&self, family: Family) -> &T {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    pub(super) fn get_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// The key of a table: five octets for IPv4, seventeen for IPv6, so that neither pays for the other.
pub(super) trait Prefix: Copy + Eq + Ord + Debug {
    const FAMILY: Family;

    /// `None` for a prefix of the other family.
    fn from_net(net: IpNet) -> Option<Self>;
    fn to_net(self) -> IpNet;
    fn hash_with(self, state: &RandomState) -> u64;
}

impl Prefix for Ipv4Net {
    const FAMILY: Family = Family::V4;

    fn from_net(net: IpNet) -> Option<Self> {
        match net {
            IpNet::V4(net) => Some(net.trunc()),
            IpNet::V6(_) => None,
        }
    }

    fn to_net(self) -> IpNet {
        IpNet::V4(self)
    }

    fn hash_with(self, state: &RandomState) -> u64 {
        hash(state, u64::from(self.addr().to_bits()) << 8 | u64::from(self.prefix_len()))
    }
}

impl Prefix for Ipv6Net {
    const FAMILY: Family = Family::V6;

    fn from_net(net: IpNet) -> Option<Self> {
        match net {
            IpNet::V4(_) => None,
            IpNet::V6(net) => Some(net.trunc()),
        }
    }

    fn to_net(self) -> IpNet {
        IpNet::V6(self)
    }

    fn hash_with(self, state: &RandomState) -> u64 {
        hash(state, (self.addr().to_bits(), self.prefix_len()))
    }
}

fn hash(state: &RandomState, value: impl Hash) -> u64 {
    state.hash_one(value)
}
