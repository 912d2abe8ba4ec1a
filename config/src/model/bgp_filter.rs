//! BGPFilter: rules about the routes of a session, in order, of which the first that matches decides.

use ipnet::IpNet;
use serde::Serialize;

use super::address::MaskedCidr;
use super::{Asn, CommunityValue, Metadata, metadata};
use crate::document::{Entry, Field, Fields};

/// Rules that BGPPeers name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BgpFilter {
    /// Its name is what BGPPeers name it by.
    pub metadata: Metadata,
    /// The rules.
    pub spec: BgpFilterSpec,
}

/// `BGPFilter.spec`. Each list in order; the first rule that matches a route decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BgpFilterSpec {
    /// About IPv4 routes that come in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub import_v4: Vec<BgpFilterRule>,
    /// About IPv4 routes that leave.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub export_v4: Vec<BgpFilterRule>,
    /// About IPv6 routes that come in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub import_v6: Vec<BgpFilterRule>,
    /// About IPv6 routes that leave.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub export_v6: Vec<BgpFilterRule>,
}

/// One rule. It matches a route that meets every condition it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BgpFilterRule {
    /// What happens to the routes it matches.
    pub action: FilterAction,
    /// By prefix.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<FilterPrefix>,
    /// By where the route is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<FilterSource>,
    /// By the kind of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_type: Option<PeerType>,
    /// By a community.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub communities: Option<FilterCommunities>,
    /// By the beginning of the AS path, nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "asPathPrefix")]
    pub as_path_prefix: Vec<Asn>,
    /// By priority: 2147483647 less LOCAL_PREF.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Changes, in order; none where the action is to reject.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<FilterOperation>,
}

/// What happens to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum FilterAction {
    /// It passes; nothing else is asked.
    Accept,
    /// It does not.
    Reject,
}

/// A comparison with a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FilterPrefix {
    /// The prefix, without host bits.
    pub cidr: IpNet,
    /// How to compare.
    pub match_operator: MatchOperator,
    /// Which lengths are inside; only with In and NotIn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix_length: Option<PrefixLength>,
}

/// How to compare with a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum MatchOperator {
    /// The same prefix.
    Equal,
    /// Any other.
    NotEqual,
    /// The same prefix, or one inside.
    In,
    /// Any other than those.
    NotIn,
}

/// Lengths of prefixes; `None`: as far as the cidr and the family go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrefixLength {
    /// The shortest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u8>,
    /// The longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u8>,
}

/// Where a route is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum FilterSource {
    /// A peer sent it.
    RemotePeers,
}

/// The kind of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PeerType {
    /// Between two ASes.
    #[serde(rename = "eBGP")]
    External,
    /// Within one.
    #[serde(rename = "iBGP")]
    Internal,
}

/// Communities to look for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilterCommunities {
    /// Exactly one, so far.
    pub values: [CommunityValue; 1],
}

/// A change of a route. Serialises as a mapping with one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum FilterOperation {
    /// Adds a community.
    #[serde(rename = "addCommunity")]
    AddCommunity {
        /// This one.
        value: CommunityValue,
    },
    /// Puts ASes in front of the AS path, so that it begins with the first.
    #[serde(rename = "prependASPath")]
    PrependAsPath {
        /// These, 1 to 10.
        prefix: Vec<Asn>,
    },
    /// Sets the priority.
    #[serde(rename = "setPriority")]
    SetPriority {
        /// This one: 2147483647 less LOCAL_PREF.
        value: u32,
    },
}

const PREFIX_LENGTH: &[Field] = &[
    Field::honoured("min", "20", "shortest length; default that of cidr"),
    Field::honoured("max", "28", "longest length; default 32 or 128"),
];
const COMMUNITIES: &[Field] =
    &[Field::honoured("values", "['65001:7']", "exactly one: aa:nn, or aa:nn:mm for a large community")];
const ADD_COMMUNITY: &[Field] =
    &[Field::honoured("value", "'65001:9'", "aa:nn, or aa:nn:mm for a large community")];
const PREPEND: &[Field] =
    &[Field::honoured("prefix", "[65001, 65002]", "1 to 10 ASes; the path then begins with the first")];
const SET_PRIORITY: &[Field] = &[Field::honoured("value", "300", "1 to 2147483646")];
const OPERATIONS: &[Field] = &[
    Field::honoured("addCommunity", "{value: '65001:8'}", "adds a community, unless it is there")
        .with(ADD_COMMUNITY),
    Field::honoured("prependASPath", "{prefix: [65001]}", "puts ASes in front of the AS path").with(PREPEND),
    Field::honoured(
        "setPriority",
        "{value: 512}",
        "sets LOCAL_PREF to 2147483647 less this; not the kernel's",
    )
    .with(SET_PRIORITY),
];

/// The fields of a rule; the families differ in the example of a cidr only.
const fn rule_fields(cidr: &'static str) -> [Field; 10] {
    [
        Field::honoured("action", "Reject", "Accept or Reject"),
        Field::honoured("cidr", cidr, "by prefix; together with matchOperator"),
        Field::honoured("matchOperator", "NotIn", "Equal, NotEqual, In or NotIn"),
        Field::honoured("prefixLength", "{min: 24}", "narrows In and NotIn by length").with(PREFIX_LENGTH),
        Field::honoured("source", "RemotePeers", "RemotePeers: only routes that a peer sent"),
        Field::refused("interface", "", "eth0", "by interface: routes have none here; use source or cidr"),
        Field::honoured("peerType", "iBGP", "eBGP or iBGP: only on such sessions"),
        Field::honoured("communities", "{values: ['65001:100']}", "by a community that the route carries")
            .with(COMMUNITIES),
        Field::honoured("asPathPrefix", "[65001, 65002]", "by the beginning of the AS path, nearest first"),
        Field::honoured("priority", "512", "by priority: 2147483647 less LOCAL_PREF; 1 to 2147483646"),
    ]
}

const fn with_operations(fields: [Field; 10]) -> [Field; 11] {
    let operations = Field::honoured(
        "operations",
        "[{addCommunity: {value: '65001:8'}}]",
        "1 to 10 changes in order, each exactly one; with Accept only",
    )
    .with(OPERATIONS);
    let [a, b, c, d, e, f, g, h, i, j] = fields;
    [a, b, c, d, e, f, g, h, i, j, operations]
}

const RULE_V4: &[Field] = &with_operations(rule_fields("10.9.0.0/16"));
const RULE_V6: &[Field] = &with_operations(rule_fields("'fd00::/8'"));
const EXAMPLE_V4: &str = "[{action: Accept, cidr: 10.8.0.0/16, matchOperator: In}]";
const EXAMPLE_V6: &str = "[{action: Accept, cidr: 'fd00::/16', matchOperator: In}]";

const SPEC: &[Field] = &[
    Field::honoured("importV4", EXAMPLE_V4, "about IPv4 routes that come in; no match: accepted")
        .with(RULE_V4),
    Field::honoured(
        "exportV4",
        EXAMPLE_V4,
        "about IPv4 routes that leave; no match: the cluster's rules decide",
    )
    .with(RULE_V4),
    Field::honoured("importV6", EXAMPLE_V6, "about IPv6 routes that come in; no match: accepted")
        .with(RULE_V6),
    Field::honoured(
        "exportV6",
        EXAMPLE_V6,
        "about IPv6 routes that leave; no match: the cluster's rules decide",
    )
    .with(RULE_V6),
];

pub(crate) const FIELDS: &[Field] = &[
    super::API_VERSION,
    super::KIND,
    Field::honoured("metadata", "{name: example}", "name").with(metadata::FIELDS),
    Field::honoured("spec", "{importV4: [{action: Reject}]}", "the rules").with(SPEC),
    super::STATUS,
];

impl BgpFilter {
    pub(crate) fn read(metadata: Metadata, object: &Fields<'_>) -> Option<Self> {
        let Some(spec) = object.fields("spec") else {
            return Some(Self { metadata, spec: BgpFilterSpec::default() });
        };
        let spec = BgpFilterSpec {
            import_v4: rules(&spec, "importV4", 32),
            export_v4: rules(&spec, "exportV4", 32),
            import_v6: rules(&spec, "importV6", 128),
            export_v6: rules(&spec, "exportV6", 128),
        };
        Some(Self { metadata, spec })
    }
}

fn rules(spec: &Fields<'_>, name: &str, length_max: u8) -> Vec<BgpFilterRule> {
    spec.list_of_fields(name).iter().filter_map(|rule| BgpFilterRule::read(rule, length_max)).collect()
}

impl BgpFilterRule {
    /// `length_max` is that of the family's prefixes.
    fn read(rule: &Fields<'_>, length_max: u8) -> Option<Self> {
        let actions = [("Accept", FilterAction::Accept), ("Reject", FilterAction::Reject)];
        let action = rule.required("action", "Accept or Reject").and_then(|entry| entry.choice(&actions));
        let sources = [("RemotePeers", FilterSource::RemotePeers)];
        let peer_types = [("eBGP", PeerType::External), ("iBGP", PeerType::Internal)];
        let given = |name| rule.entry(name).filter(|entry| !entry.data().is_empty());
        let prefix = prefix(rule, length_max);
        let source = given("source").and_then(|entry| entry.choice(&sources));
        let peer_type = given("peerType").and_then(|entry| entry.choice(&peer_types));
        let communities = communities(rule);
        let as_path_prefix = asns(rule, "asPathPrefix");
        let priority = priority(rule, "priority");
        let operations = operations(rule);
        if action == Some(FilterAction::Reject) && !operations.is_empty() {
            rule.report("operations", "change routes that are accepted: remove them, or set action: Accept");
        }
        Some(Self {
            action: action?,
            prefix,
            source,
            peer_type,
            communities,
            as_path_prefix,
            priority,
            operations,
        })
    }
}

fn prefix(rule: &Fields<'_>, length_max: u8) -> Option<FilterPrefix> {
    let operators = [
        ("Equal", MatchOperator::Equal),
        ("NotEqual", MatchOperator::NotEqual),
        ("In", MatchOperator::In),
        ("NotIn", MatchOperator::NotIn),
    ];
    let given = |name| rule.entry(name).filter(|entry| !entry.data().is_empty());
    let (cidr, operator) = (given("cidr"), given("matchOperator"));
    match (&cidr, &operator) {
        (Some(_), None) => rule.report("matchOperator", "is missing: say how to compare with cidr, as in In"),
        (None, Some(_)) => rule.report("cidr", "is missing: matchOperator compares with it"),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if cidr.is_none() && given("prefixLength").is_some() {
        rule.report("cidr", "is missing: prefixLength narrows it");
    }
    let MaskedCidr(cidr) = cidr?.parse()?;
    if cidr.max_prefix_len() != length_max {
        let family = if length_max == 32 { "IPv4" } else { "IPv6" };
        rule.report("cidr", format!("{cidr} is not an {family} prefix, and these rules are about {family}"));
        return None;
    }
    let match_operator = operator?.choice(&operators)?;
    let prefix_length = prefix_length(rule, cidr);
    if prefix_length.is_some() && matches!(match_operator, MatchOperator::Equal | MatchOperator::NotEqual) {
        rule.report("prefixLength", "has no meaning where the whole prefix is compared: use In or NotIn");
    }
    Some(FilterPrefix { cidr, match_operator, prefix_length })
}

fn prefix_length(rule: &Fields<'_>, cidr: IpNet) -> Option<PrefixLength> {
    let fields = rule.fields("prefixLength")?;
    let length = |name| fields.entry(name).and_then(|entry| entry.integer(0..=cidr.max_prefix_len().into()));
    let length = PrefixLength { min: length("min"), max: length("max") };
    let shortest = length.min.unwrap_or(0).max(cidr.prefix_len());
    if let Some(max) = length.max.filter(|max| *max < shortest) {
        let message = format!("/{max} is shorter than /{shortest}, the shortest inside: nothing would match");
        fields.report("max", message);
    }
    Some(length)
}

fn communities(rule: &Fields<'_>) -> Option<FilterCommunities> {
    let fields = rule.fields("communities")?;
    let values = fields.required("values", "a list of one community")?;
    let items = values.list();
    let [value] = items.as_slice() else {
        values.report("holds exactly one community: write another rule for another community");
        return None;
    };
    Some(FilterCommunities { values: [value.parse()?] })
}

fn asns(fields: &Fields<'_>, name: &str) -> Vec<Asn> {
    let items = fields.entry(name).map(|entry| entry.list()).unwrap_or_default();
    items.iter().filter_map(Entry::parse_scalar).collect()
}

fn priority(fields: &Fields<'_>, name: &str) -> Option<u32> {
    fields.entry(name).and_then(|entry| entry.integer(1..=2_147_483_646))
}

fn operations(rule: &Fields<'_>) -> Vec<FilterOperation> {
    let Some(entry) = rule.entry("operations") else { return Vec::new() };
    let count = entry.list().len();
    if count > 10 {
        entry.report(format!("has {count} operations: use at most 10"));
    }
    rule.list_of_fields("operations").iter().filter_map(operation).collect()
}

fn operation(fields: &Fields<'_>) -> Option<FilterOperation> {
    // One that is unknown has been reported.
    let is_known = |name: &&str| OPERATIONS.iter().any(|field| field.name == *name);
    let names: Vec<&str> = fields.names().into_iter().filter(is_known).collect();
    let [name] = names.as_slice() else {
        let last = names.last().copied().unwrap_or("addCommunity");
        fields.report(last, "one operation is exactly one of addCommunity, prependASPath and setPriority");
        return None;
    };
    let inner = fields.fields(name)?;
    match *name {
        "addCommunity" => {
            let value = inner.required("value", "a community, as in 65001:100")?.parse()?;
            Some(FilterOperation::AddCommunity { value })
        }
        "prependASPath" => {
            let entry = inner.required("prefix", "a list of 1 to 10 ASes")?;
            let prefix = asns(&inner, "prefix");
            if !(1..=10).contains(&entry.list().len()) {
                entry.report("holds 1 to 10 ASes");
            }
            Some(FilterOperation::PrependAsPath { prefix })
        }
        "setPriority" => {
            inner.required("value", "a number from 1 to 2147483646")?;
            Some(FilterOperation::SetPriority { value: priority(&inner, "value")? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
