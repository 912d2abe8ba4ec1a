//! BGPFilter: rules about the routes of a session, in order, of which the first that matches decides. What is
//! Calico's stands here, what is ours in [`conditions`] and [`operations`].

mod conditions;
mod operations;

use ipnet::IpNet;
use serde::Serialize;

use super::address::MaskedCidr;
use super::{Asn, Metadata, metadata};
use crate::document::{Entry, Field, Fields};

pub use conditions::{CommunityMatch, FilterCommunities, NumberRange, RouteConditions, RouteOrigin};
pub(super) use conditions::{list, names, patterns};
pub(super) use operations::med;
pub use operations::{FilterOperation, MedValue, NoMed};
use operations::{OPERATIONS, RuleContext, operations};

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
    /// By communities, and by what is ours.
    #[serde(flatten)]
    pub conditions: RouteConditions,
    /// Each of these does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<RouteConditions>,
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
    /// It is changed, and held against the rules that follow.
    Next,
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

const PREFIX_LENGTH: &[Field] = &[
    Field::honoured("min", "20", "shortest length; default that of cidr"),
    Field::honoured("max", "28", "longest length; default 32 or 128"),
];
const NOT: &[Field] = &joined::<1, 8, 9>([conditions::COMMUNITIES_FIELD], conditions::FIELDS);

/// The fields of a rule; the families differ in the example of a cidr only.
const fn rule_fields(cidr: &'static str) -> [Field; 10] {
    [
        Field::honoured(
            "action",
            "Reject",
            "Accept or Reject; addition: Next, which changes the route and goes on with the rules that follow",
        ),
        Field::honoured("cidr", cidr, "by prefix; together with matchOperator"),
        Field::honoured("matchOperator", "NotIn", "Equal, NotEqual, In or NotIn"),
        Field::honoured("prefixLength", "{min: 24}", "narrows In and NotIn by length").with(PREFIX_LENGTH),
        Field::honoured("source", "RemotePeers", "RemotePeers: only routes that a peer sent"),
        Field::refused("interface", "", "eth0", "by interface: routes have none here; use source or cidr"),
        Field::honoured("peerType", "iBGP", "eBGP or iBGP: only on such sessions"),
        conditions::COMMUNITIES_FIELD,
        Field::honoured("asPathPrefix", "[65001, 65002]", "by the beginning of the AS path, nearest first"),
        Field::honoured("priority", "512", "by priority: 2147483647 less LOCAL_PREF; 1 to 2147483646"),
    ]
}

/// What follows the conditions that are Calico's.
const MORE: [Field; 10] = joined::<8, 2, 10>(
    conditions::FIELDS,
    [
        Field::additive("not", "{communities: {values: ['65001:100']}}", "each of these does not hold")
            .with(NOT),
        Field::honoured(
            "operations",
            "[{addCommunity: {value: '65001:8'}}]",
            "1 to 10 changes in order, each exactly one; with Accept or Next only",
        )
        .with(OPERATIONS),
    ],
);

/// One table after the other; `C` is `A` and `B`.
#[allow(clippy::indexing_slicing, reason = "worked out by the compiler, which refuses what is out of bounds")]
const fn joined<const A: usize, const B: usize, const C: usize>(
    first: [Field; A],
    second: [Field; B],
) -> [Field; C] {
    let mut all = [first[0]; C];
    let mut place = 0;
    while place < C {
        all[place] = if place < A { first[place] } else { second[place - A] };
        place += 1;
    }
    all
}

const RULE_V4: &[Field] = &joined::<10, 10, 20>(rule_fields("10.9.0.0/16"), MORE);
const RULE_V6: &[Field] = &joined::<10, 10, 20>(rule_fields("'fd00::/8'"), MORE);
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
            import_v4: rules(&spec, "importV4", RuleContext { is_import: true, is_ipv4: true }),
            export_v4: rules(&spec, "exportV4", RuleContext { is_import: false, is_ipv4: true }),
            import_v6: rules(&spec, "importV6", RuleContext { is_import: true, is_ipv4: false }),
            export_v6: rules(&spec, "exportV6", RuleContext { is_import: false, is_ipv4: false }),
        };
        Some(Self { metadata, spec })
    }
}

fn rules(spec: &Fields<'_>, name: &str, context: RuleContext) -> Vec<BgpFilterRule> {
    spec.list_of_fields(name).iter().filter_map(|rule| BgpFilterRule::read(rule, context)).collect()
}

impl BgpFilterRule {
    fn read(rule: &Fields<'_>, context: RuleContext) -> Option<Self> {
        let actions = [
            ("Accept", FilterAction::Accept),
            ("Reject", FilterAction::Reject),
            ("Next", FilterAction::Next),
        ];
        let action =
            rule.required("action", "Accept, Reject or Next").and_then(|entry| entry.choice(&actions));
        let sources = [("RemotePeers", FilterSource::RemotePeers)];
        let peer_types = [("eBGP", PeerType::External), ("iBGP", PeerType::Internal)];
        let given = |name| rule.entry(name).filter(|entry| !entry.data().is_empty());
        let prefix = prefix(rule, if context.is_ipv4 { 32 } else { 128 });
        let source = given("source").and_then(|entry| entry.choice(&sources));
        let peer_type = given("peerType").and_then(|entry| entry.choice(&peer_types));
        let conditions = RouteConditions::read(rule);
        let not = rule.fields("not").map(|fields| RouteConditions::read(&fields));
        let as_path_prefix = asns(rule, "asPathPrefix");
        let priority = priority(rule, "priority");
        let operations = operations(rule, context);
        if action == Some(FilterAction::Reject) && !operations.is_empty() {
            rule.report("operations", "change routes that are accepted: remove them, or set action: Accept");
        }
        if action == Some(FilterAction::Next) && operations.is_empty() {
            rule.report("action", "Next changes a route and goes on: give operations, or remove the rule");
        }
        Some(Self {
            action: action?,
            prefix,
            source,
            peer_type,
            conditions,
            not,
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

pub(super) fn prefix_length(rule: &Fields<'_>, cidr: IpNet) -> Option<PrefixLength> {
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

pub(super) fn asns(fields: &Fields<'_>, name: &str) -> Vec<Asn> {
    let items = fields.entry(name).map(|entry| entry.list()).unwrap_or_default();
    items.iter().filter_map(Entry::parse_scalar).collect()
}

fn priority(fields: &Fields<'_>, name: &str) -> Option<u32> {
    fields.entry(name).and_then(|entry| entry.integer(1..=2_147_483_646))
}

#[cfg(test)]
mod tests;
