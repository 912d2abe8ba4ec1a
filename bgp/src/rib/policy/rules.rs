//! The rules of one family in their order. Where there are many, those that are about one prefix or one community
//! are found by it, so that a route is held only against rules that can match it.

use std::hash::{Hash, Hasher};
use std::ops::Deref;

use hashbrown::HashMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::prefix_set::Covers;
use super::{Changed, CommunityValue, PolicyRule, PrefixMatch};
use crate::wire::PathAttributes;

/// Fewer rules than this are tried one after the other.
const INDEXED_MIN: usize = 4;

/// Ordered rules; equal if the rules are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<PolicyRule>", into = "Vec<PolicyRule>")]
pub struct Rules {
    rules: Vec<PolicyRule>,
    index: Option<Box<Index>>,
}

#[derive(Clone, Debug, Default)]
struct Index {
    /// Places of the rules that match only inside a prefix, by that.
    inside: Covers<SmallVec<[usize; 2]>>,
    /// Of the others: places of those that match only with a community, by that.
    with: HashMap<CommunityValue, SmallVec<[usize; 2]>, foldhash::fast::RandomState>,
    /// Places of all others, in order.
    anywhere: Vec<usize>,
}

impl Rules {
    /// The rules from `start` on that may match a route to `prefix` with these attributes, with their places, in
    /// order.
    pub(super) fn candidates<'a>(
        &'a self,
        prefix: &IpNet,
        attributes: &PathAttributes,
        start: usize,
    ) -> impl Iterator<Item = (usize, &'a PolicyRule)> + use<'a> {
        let places = match &self.index {
            None => Candidates::All(start..self.rules.len()),
            Some(index) => index.candidates(prefix, attributes, start),
        };
        places.filter_map(|place| Some((place, self.rules.get(place)?)))
    }
}

impl Rules {
    /// A copy of the attributes as the rules in these places change them.
    #[must_use]
    pub fn change(&self, changes: &[usize], attributes: &PathAttributes) -> Changed {
        let mut changed = Changed::from(attributes.clone());
        for rule in changes.iter().filter_map(|place| self.rules.get(*place)) {
            rule.verdict.operations().iter().for_each(|operation| operation.apply(&mut changed));
        }
        changed
    }
}

/// Places in order.
enum Candidates<'a> {
    All(std::ops::Range<usize>),
    Merged { inside: SmallVec<[usize; 8]>, next: usize, anywhere: &'a [usize] },
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        match self {
            Self::All(places) => places.next(),
            Self::Merged { inside, next, anywhere } => match (inside.get(*next), anywhere.split_first()) {
                (Some(&place), Some((&other, _))) if place < other => {
                    *next += 1;
                    Some(place)
                }
                (_, Some((&other, rest))) => {
                    *anywhere = rest;
                    Some(other)
                }
                (Some(&place), None) => {
                    *next += 1;
                    Some(place)
                }
                (None, None) => None,
            },
        }
    }
}

impl Index {
    fn of(rules: &[PolicyRule]) -> Self {
        let mut index = Self::default();
        for (place, rule) in rules.iter().enumerate() {
            match &rule.matches.prefix {
                Some(PrefixMatch::Equal(net) | PrefixMatch::In(net, _)) => {
                    index.inside.entry(net.trunc(), |places| places.push(place));
                }
                Some(PrefixMatch::NotEqual(_) | PrefixMatch::NotIn(..)) | None => {
                    match rule.matches.community {
                        Some(community) => index.with.entry(community).or_default().push(place),
                        None => index.anywhere.push(place),
                    }
                }
            }
        }
        index
    }

    fn candidates(&self, prefix: &IpNet, attributes: &PathAttributes, start: usize) -> Candidates<'_> {
        let mut inside: SmallVec<[usize; 8]> = SmallVec::new();
        let mut add = |places: &SmallVec<[usize; 2]>| {
            inside.extend(places.iter().copied().filter(|place| *place >= start));
        };
        self.inside.find(prefix, |places| {
            add(places);
            false
        });
        if !self.with.is_empty() {
            let standard = attributes.communities.iter().map(|c| CommunityValue::Standard(*c));
            let extended = attributes.extended_communities.iter().map(|c| CommunityValue::Extended(*c));
            let large = attributes.large_communities.iter().map(|c| CommunityValue::Large(*c));
            let carried = standard.chain(extended).chain(large);
            carried.filter_map(|community| self.with.get(&community)).for_each(&mut add);
        }
        inside.sort_unstable();
        // A community that stands twice is found twice.
        inside.dedup();
        let from = self.anywhere.partition_point(|place| *place < start);
        Candidates::Merged { inside, next: 0, anywhere: self.anywhere.get(from..).unwrap_or_default() }
    }
}

impl From<Vec<PolicyRule>> for Rules {
    fn from(rules: Vec<PolicyRule>) -> Self {
        let index = (rules.len() >= INDEXED_MIN).then(|| Box::new(Index::of(&rules)));
        Self { rules, index }
    }
}

impl From<Rules> for Vec<PolicyRule> {
    fn from(rules: Rules) -> Self {
        rules.rules
    }
}

impl Deref for Rules {
    type Target = [PolicyRule];

    fn deref(&self) -> &[PolicyRule] {
        &self.rules
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl Eq for Rules {}

impl Hash for Rules {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rules.hash(state);
    }
}
