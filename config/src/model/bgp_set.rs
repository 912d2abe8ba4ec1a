//! BGPSet: prefixes, communities and AS paths by name, for any number of filters. Not Calico's.

use ipnet::IpNet;
use serde::Serialize;

use super::address::MaskedCidr;
use super::bgp_filter::{PrefixLength, list, patterns, prefix_length};
use super::{AsPathRegex, CommunityPattern, Metadata, metadata};
use crate::document::{Data, Entry, Field, Fields};

/// A set that filters name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BgpSet {
    /// Its name is what BGPFilters name it by.
    pub metadata: Metadata,
    /// The set.
    pub spec: BgpSetSpec,
}

/// `BGPSet.spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BgpSetSpec {
    /// Of both families.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<SetPrefix>,
    /// Of all kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub communities: Vec<CommunityPattern>,
    /// Expressions over AS paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub as_paths: Vec<AsPathRegex>,
}

/// Prefixes of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetPrefix {
    /// Without host bits.
    pub cidr: IpNet,
    /// Prefixes inside with such a length; `None`: exactly that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_length: Option<PrefixLength>,
}

const PREFIX_LENGTH: &[Field] = &[
    Field::additive("min", "20", "shortest length; default that of cidr"),
    Field::additive("max", "28", "longest length; default 32 or 128"),
];
const PREFIXES: &[Field] = &[
    Field::additive("cidr", "10.9.0.0/16", "the prefix, of either family"),
    Field::additive("prefixLength", "{min: 24}", "prefixes inside with such a length; default: exactly cidr")
        .with(PREFIX_LENGTH),
];
const SPEC: &[Field] = &[
    Field::additive("prefixes", "[{cidr: 10.8.0.0/16}]", "each a prefix, or cidr and prefixLength")
        .with(PREFIXES),
    Field::additive("communities", "['65001:*']", "of all kinds, with * and ranges as in a BGPFilter"),
    Field::additive("asPaths", "['^65001_']", "regular expressions as in a BGPFilter's asPathRegex"),
];

pub(crate) const FIELDS: &[Field] = &[
    super::API_VERSION,
    super::KIND,
    Field::honoured("metadata", "{name: example}", "name").with(metadata::FIELDS),
    Field::additive("spec", "{prefixes: [{cidr: 10.7.0.0/16}]}", "the set").with(SPEC),
    super::STATUS,
];

impl BgpSet {
    pub(crate) fn read(metadata: Metadata, object: &Fields<'_>) -> Self {
        let Some(spec) = object.fields("spec") else {
            return Self { metadata, spec: BgpSetSpec::default() };
        };
        let spec = BgpSetSpec {
            prefixes: prefixes(&spec),
            communities: patterns(&spec, "communities"),
            as_paths: list(&spec, "asPaths").iter().filter_map(Entry::parse).collect(),
        };
        Self { metadata, spec }
    }
}

fn prefixes(spec: &Fields<'_>) -> Vec<SetPrefix> {
    let one = |item: &Entry<'_>| {
        if let Data::Text(_) = item.data() {
            let MaskedCidr(cidr) = item.parse()?;
            return Some(SetPrefix { cidr, prefix_length: None });
        }
        let fields = item.fields(PREFIXES)?;
        let MaskedCidr(cidr) = fields.required("cidr", "a prefix, as in 10.0.0.0/8")?.parse()?;
        Some(SetPrefix { cidr, prefix_length: prefix_length(&fields, cidr) })
    };
    list(spec, "prefixes").iter().filter_map(one).collect()
}
