//! Peers that are not named one by one: whoever connects from a prefix.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::Asn;
use super::address::MaskedCidr;
use super::unique;
use crate::document::{Data, Entry, Field, Fields, quoted};

/// Most dynamic peers of a BGPPeer that names no number.
pub const MAXIMUM_DYNAMIC_PEERS_DEFAULT: u32 = 100;

/// Who may connect (`peerPrefix` and what belongs to it).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DynamicPeers {
    /// Where from; never empty, without repetitions or host bits.
    #[serde(rename = "peerPrefix")]
    pub prefixes: Vec<IpNet>,
    /// Of which the AS may be any; empty: it is given as asNumber.
    #[serde(rename = "asNumbers", skip_serializing_if = "Vec::is_empty")]
    pub as_ranges: Vec<AsRange>,
    /// Most at a time, at least 1.
    #[serde(rename = "maximumDynamicPeers")]
    pub maximum: u32,
}

/// AS numbers from one to another, both included: `65001` or `65010-65020`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsRange {
    /// The lowest.
    pub first: Asn,
    /// The highest, not below `first`.
    pub last: Asn,
}

/// Why a text is not an [`AsRange`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an AS number and not a range of them: write 65001, or 65010-65020 with the lower one first"
)]
pub struct AsRangeError(String);

impl AsRange {
    /// Whether `asn` is in it.
    #[must_use]
    pub fn contains(&self, asn: Asn) -> bool {
        (self.first..=self.last).contains(&asn)
    }
}

impl FromStr for AsRange {
    type Err = AsRangeError;

    fn from_str(text: &str) -> Result<Self, AsRangeError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let numbers = first.trim().parse::<Asn>().ok().zip(last.trim().parse::<Asn>().ok());
        let range = numbers.filter(|(first, last)| first <= last).map(|(first, last)| Self { first, last });
        range.ok_or_else(|| AsRangeError(quoted(text)))
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

impl Serialize for AsRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(crate) const PEER_PREFIX: Field = Field::additive(
    "peerPrefix",
    "[10.1.0.0/24]",
    "whoever connects from it is a peer; one or a list; not with peerIP or peerSelector",
);
pub(crate) const AS_NUMBERS: Field = Field::additive(
    "asNumbers",
    "[65001, 65010-65020]",
    "of which the peer's AS may be any; with peerPrefix only, in place of asNumber",
);
pub(crate) const MAXIMUM: Field = Field::additive(
    "maximumDynamicPeers",
    "20",
    "most peers of a peerPrefix at a time, 1 to 65535; default 100; one more is refused",
);

impl DynamicPeers {
    /// `None`: there is no peerPrefix, or a problem was reported.
    pub(crate) fn read(spec: &Fields<'_>) -> Option<Self> {
        let as_ranges = items(spec, "asNumbers");
        let as_ranges = unique(&as_ranges, as_range);
        let maximum = spec.entry("maximumDynamicPeers").and_then(|entry| entry.integer(1..=65_535));
        let Some(prefix) = spec.entry("peerPrefix").filter(|entry| !entry.data().is_empty()) else {
            for name in ["asNumbers", "maximumDynamicPeers"] {
                if spec.entry(name).is_some() {
                    spec.report(name, "has no meaning without peerPrefix: remove it");
                }
            }
            return None;
        };
        // What is said of dialling. The default of sourceAddress says nothing.
        let is_default = |entry: Entry<'_>| *entry.data() == Data::Text("UseNodeIP".to_owned());
        let source_is_set = spec.entry("sourceAddress").is_some_and(|entry| !is_default(entry));
        let retry_is_set = spec.entry("connectRetryTime").is_some();
        for (name, is_set) in [("sourceAddress", source_is_set), ("connectRetryTime", retry_is_set)] {
            if is_set {
                spec.report(name, "has no meaning with peerPrefix, whose peers are never dialled: remove it");
            }
        }
        match (spec.entry("asNumber").is_some(), spec.entry("asNumbers").is_some()) {
            (true, true) => spec.report("asNumbers", "and asNumber exclude each other: keep one"),
            (false, false) => {
                spec.report("asNumber", "is missing, and asNumbers too: say which AS the peers may have");
            }
            (false, true) if as_ranges.is_empty() => {
                spec.report("asNumbers", "holds at least one AS number or range, as in [65010-65020]");
            }
            (true, false) | (false, true) => {}
        }
        let prefixes = unique(&items(spec, "peerPrefix"), |entry| {
            let MaskedCidr(prefix) = entry.parse()?;
            Some(prefix)
        });
        if prefixes.is_empty() {
            prefix.report("holds at least one prefix, as in 10.1.0.0/24");
            return None;
        }
        Some(Self { prefixes, as_ranges, maximum: maximum.unwrap_or(MAXIMUM_DYNAMIC_PEERS_DEFAULT) })
    }
}

fn as_range(entry: &Entry<'_>) -> Option<AsRange> {
    entry.parse_scalar()
}

/// A list, or the one value that stands for a list of one.
fn items<'a>(spec: &Fields<'a>, name: &str) -> Vec<Entry<'a>> {
    let Some(entry) = spec.entry(name) else { return Vec::new() };
    match entry.data() {
        Data::List(_) => entry.list(),
        Data::Null | Data::Boolean(_) | Data::Number { .. } | Data::Text(_) | Data::Map(_) => vec![entry],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_number_or_two() {
        let range = |text: &str| text.parse::<AsRange>().map(|range| range.to_string());
        assert_eq!(range("65001").unwrap(), "65001");
        assert_eq!(range("65010-65020").unwrap(), "65010-65020");
        assert_eq!(range("1.10 - 1.20").unwrap(), "65546-65556");
        for wrong in ["", "0", "65020-65010", "65010-", "-65010", "1-2-3", "x"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
