//! What a rule can ask of a route beyond Calico's own conditions.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Serialize;

use crate::document::{Data, Entry, Field, Fields, quoted};
use crate::model::address::MaskedCidr;
use crate::model::as_path_regex::AsPathRegex;
use crate::model::community_pattern::CommunityPattern;

/// Conditions, all of which hold; one that is not there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteConditions {
    /// By communities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub communities: Option<FilterCommunities>,
    /// Names of BGPSets, one of which has the prefix.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefix_sets: Vec<String>,
    /// An expression that matches the AS path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_path_regex: Option<AsPathRegex>,
    /// Names of BGPSets, one of which has an expression that does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub as_path_sets: Vec<String>,
    /// How long the AS path is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_path_length: Option<NumberRange>,
    /// LOCAL_PREF; 100 where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_preference: Option<NumberRange>,
    /// MED; 0 where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub med: Option<NumberRange>,
    /// Where the next hop lies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub next_hop: Vec<IpNet>,
    /// ORIGIN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<RouteOrigin>,
}

/// Communities to look for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilterCommunities {
    /// These.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<CommunityPattern>,
    /// Names of BGPSets; a set is there if one of its communities is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<String>,
    /// How many of them have to be there.
    #[serde(rename = "match", skip_serializing_if = "is_any")]
    pub quantity: CommunityMatch,
}

/// How many of several communities a route has to carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum CommunityMatch {
    /// One.
    #[default]
    Any,
    /// Every one.
    All,
}

fn is_any(quantity: &CommunityMatch) -> bool {
    *quantity == CommunityMatch::Any
}

/// Numbers; `None`: as far as there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NumberRange {
    /// The least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// The greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// ORIGIN (RFC 4271 §5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteOrigin {
    /// Interior to the AS that announced it first.
    Igp,
    /// Learned by EGP.
    Egp,
    /// Learned otherwise.
    Incomplete,
}

impl RouteOrigin {
    pub(in crate::model) const NAMES: [(&'static str, Self); 3] =
        [("igp", Self::Igp), ("egp", Self::Egp), ("incomplete", Self::Incomplete)];
}

const RANGE: &[Field] = &[
    Field::additive("min", "100", "the least; default 0"),
    Field::additive("max", "200", "the greatest; default 4294967295"),
];

const LENGTH: &[Field] =
    &[Field::additive("min", "2", "the least; default 0"), Field::additive("max", "9", "the greatest")];

const COMMUNITIES: &[Field] = &[
    Field::honoured(
        "values",
        "['65001:7']",
        "aa:nn, aa:nn:mm for a large community; additions: more than one, well-known names, rt:, soo: and \
         bandwidth: for extended ones, * for any number, ranges (65001:100-199)",
    ),
    Field::additive("sets", "[customers]", "BGPSets; a set counts as there if one of its communities is"),
    Field::additive("match", "All", "Any or All of values and sets; default Any"),
];

/// Calico's own, of these.
pub(super) const COMMUNITIES_FIELD: Field =
    Field::honoured("communities", "{values: ['65001:100']}", "by communities that the route carries")
        .with(COMMUNITIES);

/// Beyond Calico's.
pub(super) const FIELDS: [Field; 8] = [
    Field::additive("prefixSets", "[bogons]", "by prefix: one of these BGPSets has it"),
    Field::additive(
        "asPathRegex",
        "'^65001_'",
        "by the AS path as text, `65001 65002 {65003,65004}`; _ is a beginning, an end or what is between",
    ),
    Field::additive("asPathSets", "[peers]", "by the AS path: one of the asPaths of these BGPSets matches"),
    Field::additive("asPathLength", "{max: 5}", "by the length of the AS path: a number or min and max")
        .with(LENGTH),
    Field::additive(
        "localPreference",
        "{min: 100, max: 200}",
        "by LOCAL_PREF, 100 if there is none: a number or min and max",
    )
    .with(RANGE),
    Field::additive("med", "{min: 1}", "by MED, 0 if there is none: a number or min and max").with(RANGE),
    Field::additive("nextHop", "[192.0.2.0/24]", "by the next hop: it lies in one of these, or is one"),
    Field::additive("origin", "incomplete", "by ORIGIN: igp, egp or incomplete"),
];

impl RouteConditions {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let given = |name| fields.entry(name).filter(|entry| !entry.data().is_empty());
        Self {
            communities: FilterCommunities::read(fields),
            prefix_sets: names(fields, "prefixSets"),
            as_path_regex: given("asPathRegex").and_then(|entry| entry.parse()),
            as_path_sets: names(fields, "asPathSets"),
            as_path_length: NumberRange::read(fields, "asPathLength"),
            local_preference: NumberRange::read(fields, "localPreference"),
            med: NumberRange::read(fields, "med"),
            next_hop: next_hops(fields),
            origin: given("origin").and_then(|entry| entry.choice(&RouteOrigin::NAMES)),
        }
    }

    /// Nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The BGPSets that are named.
    pub fn set_names(&self) -> impl Iterator<Item = &str> {
        let of_communities = self.communities.iter().flat_map(|communities| &communities.sets);
        self.prefix_sets.iter().chain(&self.as_path_sets).chain(of_communities).map(String::as_str)
    }
}

impl FilterCommunities {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let fields = fields.fields("communities")?;
        let (values, sets) = (patterns(&fields, "values"), names(&fields, "sets"));
        let is_absent = |name| fields.entry(name).is_none_or(|entry| entry.data().is_empty());
        if is_absent("values") && is_absent("sets") {
            fields.report("values", "is missing: give a list of communities, or sets");
            return None;
        }
        let quantities = [("Any", CommunityMatch::Any), ("All", CommunityMatch::All)];
        let quantity = fields.entry("match").and_then(|entry| entry.choice(&quantities)).unwrap_or_default();
        Some(Self { values, sets, quantity })
    }
}

/// Patterns of communities.
pub(in crate::model) fn patterns(fields: &Fields<'_>, name: &str) -> Vec<CommunityPattern> {
    list(fields, name).iter().filter_map(Entry::parse).collect()
}

/// Names of objects.
pub(in crate::model) fn names(fields: &Fields<'_>, name: &str) -> Vec<String> {
    list(fields, name).iter().filter_map(Entry::text).map(str::to_owned).collect()
}

pub(in crate::model) fn list<'a>(fields: &Fields<'a>, name: &str) -> Vec<Entry<'a>> {
    fields.entry(name).map(|entry| entry.list()).unwrap_or_default()
}

impl NumberRange {
    fn read(fields: &Fields<'_>, name: &str) -> Option<Self> {
        let entry = fields.entry(name)?;
        let all = 0..=u32::MAX.into();
        if !matches!(entry.data(), Data::Map(_)) {
            let number = entry.integer(all)?;
            return Some(Self { min: Some(number), max: Some(number) });
        }
        let inner = fields.fields(name)?;
        let bound = |name| inner.entry(name).and_then(|entry| entry.integer(0..=u32::MAX.into()));
        let range = Self { min: bound("min"), max: bound("max") };
        if inner.is_empty() {
            fields.report(name, "says nothing: give a number, or min or max");
        }
        if let (Some(min), Some(max)) = (range.min, range.max)
            && max < min
        {
            inner.report("max", format!("{max} is less than min, {min}: nothing would match"));
        }
        Some(range)
    }

    /// Both bounds.
    #[must_use]
    pub fn bounds(&self) -> std::ops::RangeInclusive<u32> {
        self.min.unwrap_or(0)..=self.max.unwrap_or(u32::MAX)
    }
}

/// An address or a prefix.
struct AddressOrCidr(IpNet);

impl FromStr for AddressOrCidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.into()));
        }
        let wrong =
            || format!("'{}' is no address and no prefix: write 192.0.2.1 or 192.0.2.0/24", quoted(text));
        if text.contains('/') {
            text.parse::<MaskedCidr>().map(|MaskedCidr(cidr)| Self(cidr)).map_err(|error| error.to_string())
        } else {
            Err(wrong())
        }
    }
}

fn next_hops(fields: &Fields<'_>) -> Vec<IpNet> {
    let one = |item: &Entry<'_>| item.parse().map(|AddressOrCidr(net)| net);
    list(fields, "nextHop").iter().filter_map(one).collect()
}
