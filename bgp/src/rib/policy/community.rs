//! Communities as policy speaks of them: one value of any of the three kinds, and patterns of them.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::wire::{Community, ExtendedCommunity, LargeCommunity, PathAttributes};

/// A community to look for or to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommunityValue {
    /// RFC 1997.
    Standard(Community),
    /// RFC 4360.
    Extended(ExtendedCommunity),
    /// RFC 8092.
    Large(LargeCommunity),
}

/// Communities of one kind, by their parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommunityPattern {
    /// By the two halves.
    Standard(RangeInclusive<u16>, RangeInclusive<u16>),
    /// By the eight octets: under `mask` they are `value`.
    Extended {
        /// Bits that count.
        mask: u64,
        /// What they are.
        value: u64,
    },
    /// By global administrator and the two local parts.
    Large(RangeInclusive<u32>, RangeInclusive<u32>, RangeInclusive<u32>),
}

impl CommunityValue {
    pub(super) fn is_in(self, attributes: &PathAttributes) -> bool {
        match self {
            Self::Standard(community) => attributes.communities.contains(&community),
            Self::Extended(community) => attributes.extended_communities.contains(&community),
            Self::Large(community) => attributes.large_communities.contains(&community),
        }
    }

    /// Adds it in its place, unless it is there.
    pub(in crate::rib) fn add_to(self, attributes: &mut PathAttributes) {
        match self {
            Self::Standard(community) => insert_sorted(&mut attributes.communities, community),
            Self::Extended(community) => insert_sorted(&mut attributes.extended_communities, community),
            Self::Large(community) => insert_sorted(&mut attributes.large_communities, community),
        }
    }

    /// Empties the list of its kind.
    pub(super) fn clear_kind(self, attributes: &mut PathAttributes) {
        match self {
            Self::Standard(_) => attributes.communities.clear(),
            Self::Extended(_) => attributes.extended_communities.clear(),
            Self::Large(_) => attributes.large_communities.clear(),
        }
    }
}

impl CommunityPattern {
    /// The route carries one that it describes.
    #[must_use]
    pub fn is_in(&self, attributes: &PathAttributes) -> bool {
        match self {
            Self::Standard(..) => attributes.communities.iter().any(|c| self.is_standard(*c)),
            Self::Extended { .. } => attributes.extended_communities.iter().any(|c| self.is_extended(*c)),
            Self::Large(..) => attributes.large_communities.iter().any(|c| self.is_large(*c)),
        }
    }

    fn is_standard(&self, community: Community) -> bool {
        let [a, b, c, d] = community.0.to_be_bytes();
        match self {
            Self::Standard(high, low) => {
                high.contains(&u16::from_be_bytes([a, b])) && low.contains(&u16::from_be_bytes([c, d]))
            }
            Self::Extended { .. } | Self::Large(..) => false,
        }
    }

    fn is_extended(&self, community: ExtendedCommunity) -> bool {
        match self {
            Self::Extended { mask, value } => u64::from_be_bytes(community.0) & mask == *value,
            Self::Standard(..) | Self::Large(..) => false,
        }
    }

    fn is_large(&self, community: LargeCommunity) -> bool {
        match self {
            Self::Large(global, local1, local2) => {
                global.contains(&community.global)
                    && local1.contains(&community.local1)
                    && local2.contains(&community.local2)
            }
            Self::Standard(..) | Self::Extended { .. } => false,
        }
    }
}

/// Takes off every community that one of these describes. True if there was any.
pub(super) fn remove(patterns: &[CommunityPattern], attributes: &mut PathAttributes) -> bool {
    let count = |attributes: &PathAttributes| {
        attributes.communities.len()
            + attributes.extended_communities.len()
            + attributes.large_communities.len()
    };
    let before = count(attributes);
    attributes.communities.retain(|c| !patterns.iter().any(|pattern| pattern.is_standard(*c)));
    attributes.extended_communities.retain(|c| !patterns.iter().any(|pattern| pattern.is_extended(*c)));
    attributes.large_communities.retain(|c| !patterns.iter().any(|pattern| pattern.is_large(*c)));
    count(attributes) < before
}

fn insert_sorted<T: Ord>(sorted: &mut Vec<T>, value: T) {
    if let Err(place) = sorted.binary_search(&value) {
        sorted.insert(place, value);
    }
}
