//! Policy of one peer and direction as a plain value: ordered rules, of which the first that matches decides,
//! unless it says to go on.
//!
//! Pure, and total: any policy can be held against any route. It knows neither sessions nor tables, and not
//! where its rules were written; a rule's name is for people only. What happens to a route that no rule matches
//! is the caller's business: on import it is taken, on export the rules that all peers share go on
//! ([`super::ExportPolicy`]).
//!
//! A rule is decided in the order in which its matches get dearer: peer, source and prefix are compared with
//! a few instructions, then the attributes are looked at.

mod as_path_regex;
mod community;
mod condition;
mod operation;
mod prefix_set;
mod rules;

use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::attributes::DEFAULT_LOCAL_PREF;
use crate::wire::{AsPath, PathAttributes, Segment};
use crate::{Asn, PeerKind};

pub use as_path_regex::{AsPathRegex, AsPathRegexError, text_of};
pub use community::{CommunityPattern, CommunityValue};
pub use condition::{Condition, Facts};
pub use operation::{Changed, MedChange, NextHopChange, Operation, Will};
pub use prefix_set::{PrefixSet, PrefixSetEntry};
pub use rules::Rules;

/// Ordered rules per family. The default has none, and changes nothing. Two that are equal by value mean the
/// same, names of rules included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// For IPv4 prefixes.
    pub ipv4: Rules,
    /// For IPv6 prefixes.
    pub ipv6: Rules,
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
    /// By the kind of the session that it came from or goes to, by the AS numbers alone: a member of our
    /// confederation is external here.
    pub peer_kind: Option<PeerKind>,
    /// It carries this one.
    pub community: Option<CommunityValue>,
    /// Its AS_PATH begins with these, nearest first.
    pub as_path_prefix: Vec<Asn>,
    /// Its LOCAL_PREF is this; a route without one counts as 100, as in the decision.
    pub local_pref: Option<u32>,
    /// And each of these, best the cheap ones first.
    pub conditions: Vec<Condition>,
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

/// What a rule says of the routes it matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyVerdict {
    /// It passes, changed by these in order.
    Accept(Vec<Operation>),
    /// It does not.
    Reject,
    /// Changed by these in order, it is held against the rules that follow.
    Next(Vec<Operation>),
}

impl PolicyVerdict {
    /// What is changed.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        match self {
            Self::Accept(operations) | Self::Next(operations) => operations,
            Self::Reject => &[],
        }
    }
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
    /// What is known of these attributes.
    pub facts: &'a Facts,
}

/// What a policy says of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Places in [`Policy::rules`] of the rules that change it, in order; none if it is rejected.
    pub changes: SmallVec<[usize; 2]>,
    /// The rule that ended it, with its place; `None`: none did.
    pub end: Option<(usize, &'a PolicyRule)>,
}

impl Decision<'_> {
    /// A rule says that the route does not pass.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.end.is_some_and(|(_, rule)| rule.verdict == PolicyVerdict::Reject)
    }
}

impl Policy {
    /// It has no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }

    /// The rules for prefixes of the same family.
    #[must_use]
    pub fn rules(&self, prefix: &IpNet) -> &Rules {
        match prefix {
            IpNet::V4(_) => &self.ipv4,
            IpNet::V6(_) => &self.ipv6,
        }
    }

    /// Holds a route against the rules. Those after one that says to go on see the route as that one left it.
    #[must_use]
    pub fn decide(&self, route: &PolicyRoute<'_>) -> Decision<'_> {
        let rules = self.rules(&route.prefix);
        let mut decision = Decision::default();
        let mut changed: Option<(Changed, Facts)> = None;
        let mut start = 0;
        loop {
            let seen = match &changed {
                None => *route,
                Some((changed, facts)) => PolicyRoute { attributes: &changed.attributes, facts, ..*route },
            };
            let found = rules
                .candidates(&route.prefix, seen.attributes, start)
                .find(|(_, rule)| rule.matches.holds(&seen));
            let Some((place, rule)) = found else { return decision };
            if !rule.verdict.operations().is_empty() {
                decision.changes.push(place);
            }
            match &rule.verdict {
                PolicyVerdict::Accept(_) => {
                    decision.end = Some((place, rule));
                    return decision;
                }
                PolicyVerdict::Reject => {
                    return Decision { changes: SmallVec::new(), end: Some((place, rule)) };
                }
                PolicyVerdict::Next(operations) => {
                    if !operations.is_empty() {
                        let mut route = changed.map_or_else(|| route.attributes.clone().into(), |(c, _)| c);
                        operations.iter().for_each(|operation| operation.apply(&mut route));
                        changed = Some((route, Facts::default()));
                    }
                    start = place + 1;
                }
            }
        }
    }
}

impl Matches {
    /// Whether all conditions hold.
    #[must_use]
    pub fn holds(&self, route: &PolicyRoute<'_>) -> bool {
        let Self { prefix, source, peer_kind, community, as_path_prefix, local_pref, conditions } = self;
        let attributes = route.attributes;
        peer_kind.is_none_or(|kind| kind == route.peer_kind.by_as_number())
            && source.is_none_or(|source| source == route.source)
            && prefix.as_ref().is_none_or(|prefix| prefix.holds(&route.prefix))
            && local_pref.is_none_or(|wanted| wanted == attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF))
            && community.is_none_or(|community| community.is_in(attributes))
            && begins_with(&attributes.as_path, as_path_prefix)
            && conditions.iter().all(|condition| condition.holds(route))
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
