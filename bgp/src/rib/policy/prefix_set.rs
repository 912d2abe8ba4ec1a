//! A set of prefixes with ranges of lengths, looked up by a walk over the entries that contain a prefix: its cost
//! does not grow with the set. The entries in their order are what the set is; the tries are made from them.

use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// One entry of a [`PrefixSet`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PrefixSetEntry {
    /// The entry is about this prefix and those inside.
    pub within: IpNet,
    /// The shortest of them.
    pub min_len: u8,
    /// The longest of them.
    pub max_len: u8,
}

/// Prefixes of both families. Two sets of the same entries are equal, whatever the order they were given in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<PrefixSetEntry>", into = "Vec<PrefixSetEntry>")]
pub struct PrefixSet {
    /// Sorted, each once.
    entries: Vec<PrefixSetEntry>,
    tries: Covers<SmallVec<[RangeInclusive<u8>; 1]>>,
}

impl PrefixSet {
    /// Some entry contains the prefix and allows its length.
    #[must_use]
    pub fn contains(&self, prefix: &IpNet) -> bool {
        self.tries.find(prefix, |lengths| lengths.iter().any(|range| range.contains(&prefix.prefix_len())))
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// It contains nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl FromIterator<PrefixSetEntry> for PrefixSet {
    fn from_iter<I: IntoIterator<Item = PrefixSetEntry>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries
            .into_iter()
            .map(|entry| PrefixSetEntry { within: entry.within.trunc(), ..entry })
            .collect();
        entries.sort();
        entries.dedup();
        let mut tries: Covers<SmallVec<[RangeInclusive<u8>; 1]>> = Covers::default();
        for entry in &entries {
            tries.entry(entry.within, |lengths| lengths.push(entry.min_len..=entry.max_len));
        }
        Self { entries, tries }
    }
}

impl From<Vec<PrefixSetEntry>> for PrefixSet {
    fn from(entries: Vec<PrefixSetEntry>) -> Self {
        entries.into_iter().collect()
    }
}

impl From<PrefixSet> for Vec<PrefixSetEntry> {
    fn from(set: PrefixSet) -> Self {
        set.entries
    }
}

impl PartialEq for PrefixSet {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for PrefixSet {}

impl Hash for PrefixSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entries.hash(state);
    }
}

/// Values by prefix, asked for by a prefix that theirs contains.
#[derive(Clone, Debug)]
pub(super) struct Covers<T> {
    v4: PrefixMap<Ipv4Net, T>,
    v6: PrefixMap<Ipv6Net, T>,
}

impl<T> Default for Covers<T> {
    fn default() -> Self {
        Self { v4: PrefixMap::new(), v6: PrefixMap::new() }
    }
}

impl<T: Default> Covers<T> {
    /// Changes the value of exactly this prefix.
    pub(super) fn entry(&mut self, prefix: IpNet, change: impl FnOnce(&mut T)) {
        match prefix {
            IpNet::V4(net) => change(self.v4.entry(net).or_default()),
            IpNet::V6(net) => change(self.v6.entry(net).or_default()),
        }
    }

    /// Whether `is_it` is true of the value of any prefix that contains this one; the longest is asked first.
    pub(super) fn find(&self, prefix: &IpNet, mut is_it: impl FnMut(&T) -> bool) -> bool {
        match prefix {
            IpNet::V4(net) => {
                let mut next = Some(*net);
                while let Some((found, value)) = next.and_then(|net| self.v4.get_lpm(&net)) {
                    if is_it(value) {
                        return true;
                    }
                    next = found.supernet();
                }
                false
            }
            IpNet::V6(net) => {
                let mut next = Some(*net);
                while let Some((found, value)) = next.and_then(|net| self.v6.get_lpm(&net)) {
                    if is_it(value) {
                        return true;
                    }
                    next = found.supernet();
                }
                false
            }
        }
    }
}
