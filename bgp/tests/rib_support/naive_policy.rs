//! Policies worked out the slow way: prefixes as strings of bits, paths as texts, sets as sets.

use std::collections::BTreeSet;

use bgp::rib::{CommunityValue, Operation, Policy, PolicyRule, PolicyVerdict, PrefixMatch, SourceMatch};
use bgp::wire::{AsPath, Community, PathAttributes};
use bgp::{Asn, PeerKind};
use ipnet::IpNet;
use proptest::prelude::*;

/// What a policy makes of a route.
#[allow(clippy::large_enum_variant, reason = "few of them live at a time")]
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Unmatched,
    Rejected,
    Accepted(PathAttributes),
}

pub(crate) fn outcome(
    policy: &Policy,
    prefix: IpNet,
    source: SourceMatch,
    kind: PeerKind,
    attributes: &PathAttributes,
) -> Outcome {
    let rules = if prefix.addr().is_ipv4() { &policy.ipv4 } else { &policy.ipv6 };
    for rule in rules {
        if !holds(rule, prefix, source, kind, attributes) {
            continue;
        }
        let PolicyVerdict::Accept(operations) = &rule.verdict else { return Outcome::Rejected };
        return Outcome::Accepted(operations.iter().fold(attributes.clone(), apply));
    }
    Outcome::Unmatched
}

fn holds(
    rule: &PolicyRule,
    prefix: IpNet,
    source: SourceMatch,
    kind: PeerKind,
    attributes: &PathAttributes,
) -> bool {
    let matches = &rule.matches;
    let mut all = true;
    match &matches.prefix {
        None => {}
        Some(PrefixMatch::Equal(net)) => all &= bits(*net) == bits(prefix),
        Some(PrefixMatch::NotEqual(net)) => all &= bits(*net) != bits(prefix),
        Some(PrefixMatch::In(net, lengths)) => {
            all &= bits(prefix).starts_with(&bits(*net)) && lengths.contains(&prefix.prefix_len());
        }
        Some(PrefixMatch::NotIn(net, lengths)) => {
            all &= !(bits(prefix).starts_with(&bits(*net)) && lengths.contains(&prefix.prefix_len()));
        }
    }
    if let Some(wanted) = matches.source {
        all &= wanted == source;
    }
    if let Some(wanted) = matches.peer_kind {
        all &= wanted == kind;
    }
    if let Some(wanted) = matches.community {
        let standard = attributes.communities.iter().map(|community| CommunityValue::Standard(*community));
        let large = attributes.large_communities.iter().map(|community| CommunityValue::Large(*community));
        all &= standard.chain(large).collect::<BTreeSet<_>>().contains(&wanted);
    }
    if let Some(wanted) = matches.local_pref {
        all &= attributes.local_pref.map_or(wanted == 100, |found| found == wanted);
    }
    // Sets stand at the end of the paths that are tried, and are never matched as far as that.
    let path = format!("{} ", attributes.as_path);
    let wanted: String = matches.as_path_prefix.iter().map(|asn| format!("{asn} ")).collect();
    all && path.starts_with(&wanted)
}

/// The family and then the bits of the prefix.
fn bits(net: IpNet) -> String {
    let (family, all) = match net {
        IpNet::V4(net) => ('4', format!("{:032b}", u32::from(net.addr()))),
        IpNet::V6(net) => ('6', format!("{:0128b}", u128::from(net.addr()))),
    };
    format!("{family}{}", &all[..usize::from(net.prefix_len())])
}

fn apply(mut attributes: PathAttributes, operation: &Operation) -> PathAttributes {
    match operation {
        Operation::AddCommunity(CommunityValue::Standard(community)) => {
            let with = attributes.communities.iter().copied().chain([*community]);
            attributes.communities = with.collect::<BTreeSet<_>>().into_iter().collect();
        }
        Operation::AddCommunity(CommunityValue::Large(community)) => {
            let with = attributes.large_communities.iter().copied().chain([*community]);
            attributes.large_communities = with.collect::<BTreeSet<_>>().into_iter().collect();
        }
        Operation::Prepend(asns) => {
            let mut path: AsPath = attributes.as_path.clone();
            for asn in asns.iter().rev() {
                path.prepend(*asn);
            }
            attributes.as_path = path;
        }
        Operation::SetLocalPref(local_pref) => attributes.local_pref = Some(*local_pref),
    }
    attributes
}

/// Policies over a few prefixes, so that rules meet routes.
pub(crate) fn policies(prefixes: &'static [&'static str]) -> impl Strategy<Value = Policy> {
    let prefix_match = (0..prefixes.len(), 0..4u8, 0..33u8, 0..129u8).prop_map(|(net, kind, min, max)| {
        let net: IpNet = prefixes[net].parse().unwrap();
        match kind {
            0 => PrefixMatch::Equal(net),
            1 => PrefixMatch::NotEqual(net),
            2 => PrefixMatch::In(net, min..=max),
            _ => PrefixMatch::NotIn(net, min..=max),
        }
    });
    let community = || {
        prop_oneof![
            Just(CommunityValue::Standard(Community::new(65001, 7))),
            Just(CommunityValue::Standard(Community::NO_EXPORT)),
            Just(CommunityValue::Large(bgp::wire::LargeCommunity { global: 1, local1: 2, local2: 3 })),
        ]
    };
    let operation = prop_oneof![
        community().prop_map(Operation::AddCommunity),
        prop::collection::vec(prop_oneof![Just(Asn(65099)), Just(Asn(64512))], 1..3)
            .prop_map(Operation::Prepend),
        prop_oneof![Just(100), Just(200)].prop_map(Operation::SetLocalPref),
    ];
    let verdict = prop_oneof![
        Just(PolicyVerdict::Reject),
        prop::collection::vec(operation, 0..3).prop_map(PolicyVerdict::Accept),
    ];
    let matches = (
        prop::option::weighted(0.7, prefix_match),
        prop::option::weighted(0.2, prop_oneof![Just(SourceMatch::Learned), Just(SourceMatch::Own)]),
        prop::option::weighted(0.2, prop_oneof![Just(PeerKind::Ibgp), Just(PeerKind::Ebgp)]),
        prop::option::weighted(0.2, community()),
        prop_oneof![4 => Just(vec![]), 1 => Just(vec![Asn(65001)]), 1 => Just(vec![Asn(65001), Asn(65002)])],
        prop::option::weighted(0.2, prop_oneof![Just(100), Just(200)]),
    );
    let matches = matches.prop_map(|(prefix, source, peer_kind, community, as_path_prefix, local_pref)| {
        bgp::rib::Matches { prefix, source, peer_kind, community, as_path_prefix, local_pref }
    });
    let rule = (matches, verdict).prop_map(|(matches, verdict)| PolicyRule {
        name: "rule".to_owned(),
        matches,
        verdict,
    });
    let rules = move || prop::collection::vec(rule.clone(), 0..4);
    (rules(), rules()).prop_map(|(ipv4, ipv6)| Policy { ipv4, ipv6 })
}
