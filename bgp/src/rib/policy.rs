//! Policy of one peer and direction as a plain value: ordered rules, of which the first that matches decides.
//!
//! Pure, and total: any policy can be held against any route. It knows neither sessions nor tables, and not
//! where its rules were written; a rule's name is for people only. What happens to a route that no rule matches
//! is the caller's business: on import it is taken, on export the rules that all peers share go on
//! ([`super::ExportPolicy`]).
//!
//! A rule is decided in the order in which its matches get dearer: peer, source and prefix are compared with
//! a few instructions, then the attributes are looked at.

use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::attributes::DEFAULT_LOCAL_PREF;
use crate::wire::{AsPath, Community, LargeCommunity, PathAttributes, Segment};
use crate::{Asn, PeerKind};

/// Ordered rules per family. The default has none, and changes nothing. Two that are equal by value mean the
/// same, names of rules included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// For IPv4 prefixes.
    pub ipv4: Vec<PolicyRule>,
    /// For IPv6 prefixes.
    pub ipv6: Vec<PolicyRule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PolicyRule {
    /// For people, who look for it: `no-default rule 2`.
    pub name: String,
    /// All of these have to hold.
    pub matches: Matches,
    /// What then happens.
    pub verdict: PolicyVerdict,
}

/// Conditions, all of which hold; one that is `None` or empty is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Matches {
    /// By prefix.
    pub prefix: Option<PrefixMatch>,
    /// By where the route is from.
    pub source: Option<SourceMatch>,
    /// By the kind of the session that it came from or goes to.
    pub peer_kind: Option<PeerKind>,
    /// It carries this one.
    pub community: Option<CommunityValue>,
    /// Its AS_PATH begins with these, nearest first.
    pub as_path_prefix: Vec<Asn>,
    /// Its LOCAL_PREF is this; a route without one counts as 100, as in the decision.
    pub local_pref: Option<u32>,
}

/// A comparison with a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrefixMatch {
    /// Exactly this one.
    Equal(IpNet),
    /// Any other.
    NotEqual(IpNet),
    /// Inside, with a length in the range.
    In(IpNet, RangeInclusive<u8>),
    /// Everything that `In` does not match.
    NotIn(IpNet, RangeInclusive<u8>),
}

/// Where a route is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceMatch {
    /// A peer sent it.
    Learned,
    /// We originate it.
    Own,
}

/// A community to look for or to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommunityValue {
    /// RFC 1997.
    Standard(Community),
    /// RFC 8092.
    Large(LargeCommunity),
}

/// What a rule says of the routes it matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyVerdict {
    /// It passes, changed by these in order.
    Accept(Vec<Operation>),
    /// It does not.
    Reject,
}

/// A change of a route's attributes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Once: a route that carries it already stays as it is.
    AddCommunity(CommunityValue),
    /// Puts these in front of the AS_PATH, so that it begins with the first of them. On export before our own
    /// AS, which is then the nearest.
    Prepend(Vec<Asn>),
    /// LOCAL_PREF. On export to an external peer it is not seen (RFC 4271 §5.1.5).
    SetLocalPref(u32),
}

/// A route as policies see it.
#[derive(Clone, Copy, Debug)]
pub struct PolicyRoute<'a> {
    /// The destination.
    pub prefix: IpNet,
    /// Where it is from.
    pub source: SourceMatch,
    /// Of the session that it came from or goes to.
    pub peer_kind: PeerKind,
    /// On import as received, on export as in the Loc-RIB.
    pub attributes: &'a PathAttributes,
}

impl Policy {
    /// It has no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }

    /// The rules for prefixes of the same family.
    #[must_use]
    pub fn rules(&self, prefix: &IpNet) -> &[PolicyRule] {
        match prefix {
            IpNet::V4(_) => &self.ipv4,
            IpNet::V6(_) => &self.ipv6,
        }
    }

    /// The first rule that matches, with its place in [`Policy::rules`].
    #[must_use]
    pub fn decide(&self, route: &PolicyRoute<'_>) -> Option<(usize, &PolicyRule)> {
        self.rules(&route.prefix).iter().enumerate().find(|(_, rule)| rule.matches.holds(route))
    }
}

impl Matches {
    /// Whether all conditions hold.
    #[must_use]
    pub fn holds(&self, route: &PolicyRoute<'_>) -> bool {
        let Self { prefix, source, peer_kind, community, as_path_prefix, local_pref } = self;
        let attributes = route.attributes;
        peer_kind.is_none_or(|kind| kind == route.peer_kind)
            && source.is_none_or(|source| source == route.source)
            && prefix.as_ref().is_none_or(|prefix| prefix.holds(&route.prefix))
            && local_pref.is_none_or(|wanted| wanted == attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF))
            && community.is_none_or(|community| community.is_in(attributes))
            && begins_with(&attributes.as_path, as_path_prefix)
    }
}

impl PrefixMatch {
    fn holds(&self, prefix: &IpNet) -> bool {
        let is_in = |net: &IpNet, lengths: &RangeInclusive<u8>| {
            lengths.contains(&prefix.prefix_len()) && net.contains(prefix)
        };
        match self {
            Self::Equal(net) => net == prefix,
            Self::NotEqual(net) => net != prefix,
            Self::In(net, lengths) => is_in(net, lengths),
            Self::NotIn(net, lengths) => !is_in(net, lengths),
        }
    }
}

impl CommunityValue {
    fn is_in(self, attributes: &PathAttributes) -> bool {
        match self {
            Self::Standard(community) => attributes.communities.contains(&community),
            Self::Large(community) => attributes.large_communities.contains(&community),
        }
    }

    /// Adds it in its place, unless it is there.
    pub(super) fn add_to(self, attributes: &mut PathAttributes) {
        match self {
            Self::Standard(community) => insert_sorted(&mut attributes.communities, community),
            Self::Large(community) => insert_sorted(&mut attributes.large_communities, community),
        }
    }
}

impl Operation {
    /// Makes the change.
    pub fn apply(&self, attributes: &mut PathAttributes) {
        match self {
            Self::AddCommunity(community) => community.add_to(attributes),
            Self::Prepend(asns) => asns.iter().rev().for_each(|asn| attributes.as_path.prepend(*asn)),
            Self::SetLocalPref(local_pref) => attributes.local_pref = Some(*local_pref),
        }
    }
}

fn insert_sorted<T: Ord>(sorted: &mut Vec<T>, value: T) {
    if let Err(place) = sorted.binary_search(&value) {
        sorted.insert(place, value);
    }
}

/// Whether the path begins with these ASes. A set stands for any one of its members, as in BIRD's patterns.
fn begins_with(path: &AsPath, prefix: &[Asn]) -> bool {
    let mut wanted = prefix.iter();
    for segment in &path.0 {
        match segment {
            Segment::Sequence(asns) | Segment::ConfedSequence(asns) => {
                for asn in asns {
                    match wanted.next() {
                        None => return true,
                        Some(wanted) if wanted == asn => {}
                        Some(_) => return false,
                    }
                }
            }
            Segment::Set(asns) | Segment::ConfedSet(asns) => match wanted.next() {
                None => return true,
                Some(wanted) if asns.contains(wanted) => {}
                Some(_) => return false,
            },
        }
    }
    wanted.next().is_none()
}

#[cfg(test)]
mod tests;
