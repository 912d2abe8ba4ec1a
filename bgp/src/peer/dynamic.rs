//! Neighbors that are not configured one by one: whoever dials from within a prefix gets a neighbor made from a
//! template. Plain values and the questions they answer; who lives how long is the machine's and the speaker's.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::NeighborConfig;
use crate::{AfiSafi, Asn, PeerKind};

/// How long a dynamic neighbor stays after its session and all that is retained of it are over: as long as it may
/// take to dial again without being forgotten in between.
pub const DYNAMIC_GRACE_SECS: u64 = 10;

/// AS numbers from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AsRange {
    /// The lowest.
    pub first: Asn,
    /// The highest, not below `first`.
    pub last: Asn,
}

/// What is special about a neighbor that was made from a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dynamic {
    /// Name of the template: the [`DynamicNeighbors::name`].
    pub template: String,
    /// Of which its AS may be any, learned from its OPEN; empty: it must be [`NeighborConfig::remote_as`].
    pub as_ranges: Vec<AsRange>,
}

/// Who may connect without being configured, and what such a neighbor is like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicNeighbors {
    /// Unique name, from the manifests: `bgppeer/rack`.
    pub name: String,
    /// Where they may connect from. Of all templates the longest prefix that holds an address counts.
    pub prefixes: Vec<IpNet>,
    /// Most neighbors at a time.
    pub maximum: u32,
    /// AS numbers of which theirs may be any; empty: the template's.
    pub as_ranges: Vec<AsRange>,
    /// All else; its name and address are replaced, it never dials, and no families mean that of its address.
    pub template: NeighborConfig,
}

impl DynamicNeighbors {
    /// The neighbor at `address`.
    #[must_use]
    pub fn neighbor(&self, address: IpAddr) -> NeighborConfig {
        // None named: that of its address, which is known only now.
        let families = match self.template.families.as_slice() {
            [] => vec![AfiSafi::of(&address.into())],
            families => families.to_vec(),
        };
        NeighborConfig {
            name: format!("{}/dynamic/{address}", self.name),
            address,
            passive: true,
            families,
            dynamic: Some(Dynamic { template: self.name.clone(), as_ranges: self.as_ranges.clone() }),
            ..self.template.clone()
        }
    }

    /// The length of the longest prefix of ours that holds `address`.
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> Option<u8> {
        let holding = self.prefixes.iter().filter(|prefix| prefix.contains(&address));
        holding.map(IpNet::prefix_len).max()
    }

    /// Of several templates the one that `address` belongs to; of equally long prefixes the first.
    #[must_use]
    pub fn of(templates: &[Self], address: IpAddr) -> Option<&Self> {
        let matching = templates.iter().rev().filter_map(|group| Some((group.matches(address)?, group)));
        matching.max_by_key(|(len, _)| *len).map(|(_, group)| group)
    }
}

impl NeighborConfig {
    /// Whether a neighbor of this AS is the one that is configured (RFC 4271 §6.2, Bad Peer AS).
    #[must_use]
    pub fn accepts_as(&self, asn: Asn) -> bool {
        match self.as_ranges() {
            [] => asn == self.remote_as,
            ranges => ranges.iter().any(|range| range.contains(asn)),
        }
    }

    /// Internal or external, once the AS is known.
    #[must_use]
    pub fn kind_with(&self, remote_as: Asn) -> PeerKind {
        if self.local_as == remote_as { PeerKind::Ibgp } else { PeerKind::Ebgp }
    }

    /// Empty: exactly [`NeighborConfig::remote_as`].
    #[must_use]
    pub fn as_ranges(&self) -> &[AsRange] {
        self.dynamic.as_ref().map_or(&[], |dynamic| &dynamic.as_ranges)
    }
}

impl AsRange {
    /// Whether `asn` is in it.
    #[must_use]
    pub fn contains(&self, asn: Asn) -> bool {
        (self.first..=self.last).contains(&asn)
    }
}

impl fmt::Display for AsRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return self.first.fmt(f);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}
