//! Policies worked out the slow way: prefixes as strings of bits, paths as texts, sets as sets.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bgp::rib::{
    AsPathRegex, CommunityPattern, CommunityValue, Condition, MedChange, NextHopChange, Operation, Policy,
    PolicyRule, PolicyVerdict, PrefixMatch, PrefixSetEntry, SourceMatch,
};
use bgp::wire::{AsPath, Community, ExtendedCommunity, LargeCommunity, NextHop, Origin, PathAttributes};
use bgp::{Asn, PeerKind};
use ipnet::IpNet;
use proptest::prelude::*;

/// What a policy makes of a route.
#[allow(clippy::large_enum_variant, reason = "few of them live at a time")]
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// No rule ended it.
    Unmatched(Made),
    Rejected,
    Accepted(Made),
}

/// A route as a policy leaves it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Made {
    pub(crate) attributes: PathAttributes,
    /// It set the MED.
    pub(crate) med: bool,
    /// The next hop it wants.
    pub(crate) next_hop: Option<NextHopChange>,
}

pub(crate) fn outcome(
    policy: &Policy,
    prefix: IpNet,
    source: SourceMatch,
    kind: PeerKind,
    attributes: &PathAttributes,
) -> Outcome {
    let rules = if prefix.addr().is_ipv4() { &policy.ipv4 } else { &policy.ipv6 };
    let mut made = Made { attributes: attributes.clone(), med: false, next_hop: None };
    for rule in rules.iter() {
        if !holds(rule, prefix, source, kind, &made.attributes) {
            continue;
        }
        match &rule.verdict {
            PolicyVerdict::Reject => return Outcome::Rejected,
            PolicyVerdict::Accept(operations) => {
                return Outcome::Accepted(operations.iter().fold(made, apply));
            }
            PolicyVerdict::Next(operations) => made = operations.iter().fold(made, apply),
        }
    }
    Outcome::Unmatched(made)
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
        let extended = attributes.extended_communities.iter().map(|c| CommunityValue::Extended(*c));
        let large = attributes.large_communities.iter().map(|community| CommunityValue::Large(*community));
        all &= standard.chain(extended).chain(large).collect::<BTreeSet<_>>().contains(&wanted);
    }
    if let Some(wanted) = matches.local_pref {
        all &= attributes.local_pref.map_or(wanted == 100, |found| found == wanted);
    }
    // Sets stand at the end of the paths that are tried, and are never matched as far as that.
    let path = format!("{} ", attributes.as_path);
    let wanted: String = matches.as_path_prefix.iter().map(|asn| format!("{asn} ")).collect();
    all &= path.starts_with(&wanted);
    all && matches.conditions.iter().all(|condition| is_met(condition, prefix, attributes))
}

fn is_met(condition: &Condition, prefix: IpNet, attributes: &PathAttributes) -> bool {
    match condition {
        Condition::LocalPref(range) => range.contains(&attributes.local_pref.unwrap_or(100)),
        Condition::Med(range) => range.contains(&attributes.med.unwrap_or(0)),
        Condition::AsPathLength(range) => {
            range.clone().any(|len| len as usize == attributes.as_path.length())
        }
        Condition::Origin(origin) => *origin == attributes.origin,
        Condition::NextHop(nets) => {
            let host = attributes.next_hop.map(|hop| bits(hop.addr().into()));
            nets.iter().any(|net| host.as_ref().is_some_and(|host| host.starts_with(&bits(*net))))
        }
        Condition::Prefixes(sets) => sets.iter().any(|set| {
            let entries: Vec<PrefixSetEntry> = (**set).clone().into();
            entries.iter().any(|entry| {
                bits(prefix).starts_with(&bits(entry.within))
                    && (entry.min_len..=entry.max_len).contains(&prefix.prefix_len())
            })
        }),
        Condition::Communities { groups, all } => {
            let hits: Vec<bool> =
                groups.iter().map(|group| group.iter().any(|c| carries(attributes, c))).collect();
            if *all { !hits.contains(&false) } else { hits.contains(&true) }
        }
        // The expressions that are tried are `_AS_` each.
        Condition::AsPath(regexes) => regexes.iter().any(|regex| {
            let wanted: u32 =
                regex.pattern().chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
            attributes.as_path.contains(Asn(wanted))
        }),
        Condition::Not(condition) => !is_met(condition, prefix, attributes),
    }
}

/// `_AS_` in the plain notation.
fn passes(asn: u32) -> Arc<AsPathRegex> {
    Arc::new(AsPathRegex::new(&format!(r"(?:^|[ ,{{(\[]){asn}(?:$|[ ,}})\]])")).unwrap())
}

fn carries(attributes: &PathAttributes, pattern: &CommunityPattern) -> bool {
    attributes.communities.iter().any(|c| is_standard(pattern, *c))
        || attributes.extended_communities.iter().any(|c| is_extended(pattern, *c))
        || attributes.large_communities.iter().any(|c| is_large(pattern, *c))
}

fn is_standard(pattern: &CommunityPattern, community: Community) -> bool {
    let CommunityPattern::Standard(high, low) = pattern else { return false };
    high.contains(&((community.0 >> 16) as u16)) && low.contains(&((community.0 & 0xffff) as u16))
}

fn is_extended(pattern: &CommunityPattern, community: ExtendedCommunity) -> bool {
    let CommunityPattern::Extended { mask, value } = pattern else { return false };
    let pairs = community.0.iter().zip(mask.to_be_bytes().into_iter().zip(value.to_be_bytes()));
    pairs.into_iter().all(|(octet, (mask, value))| octet & mask == value)
}

fn is_large(pattern: &CommunityPattern, community: LargeCommunity) -> bool {
    let CommunityPattern::Large(global, one, two) = pattern else { return false };
    global.contains(&community.global) && one.contains(&community.local1) && two.contains(&community.local2)
}

fn without(attributes: &PathAttributes, patterns: &[CommunityPattern]) -> PathAttributes {
    let mut left = attributes.clone();
    for pattern in patterns {
        left.communities.retain(|c| !is_standard(pattern, *c));
        left.extended_communities.retain(|c| !is_extended(pattern, *c));
        left.large_communities.retain(|c| !is_large(pattern, *c));
    }
    left
}

fn with(attributes: &mut PathAttributes, community: CommunityValue) {
    fn set<T: Ord + Copy>(list: &mut Vec<T>, more: T) {
        *list = list.iter().copied().chain([more]).collect::<BTreeSet<_>>().into_iter().collect();
    }
    match community {
        CommunityValue::Standard(community) => set(&mut attributes.communities, community),
        CommunityValue::Extended(community) => set(&mut attributes.extended_communities, community),
        CommunityValue::Large(community) => set(&mut attributes.large_communities, community),
    }
}

/// The family and then the bits of the prefix.
fn bits(net: IpNet) -> String {
    let (family, all) = match net {
        IpNet::V4(net) => ('4', format!("{:032b}", u32::from(net.addr()))),
        IpNet::V6(net) => ('6', format!("{:0128b}", u128::from(net.addr()))),
    };
    format!("{family}{}", &all[..usize::from(net.prefix_len())])
}

fn apply(mut made: Made, operation: &Operation) -> Made {
    let attributes = &mut made.attributes;
    match operation {
        Operation::AddCommunity(community) => with(attributes, *community),
        Operation::RemoveCommunities(patterns) => *attributes = without(attributes, patterns),
        Operation::SetCommunities(communities) => {
            for community in communities {
                match community {
                    CommunityValue::Standard(_) => attributes.communities = Vec::new(),
                    CommunityValue::Extended(_) => attributes.extended_communities = Vec::new(),
                    CommunityValue::Large(_) => attributes.large_communities = Vec::new(),
                }
            }
            communities.iter().for_each(|community| with(attributes, *community));
        }
        Operation::ReplaceCommunities { remove, add } => {
            let left = without(attributes, remove);
            if left != *attributes {
                *attributes = left;
                add.iter().for_each(|community| with(attributes, *community));
            }
        }
        Operation::Prepend(asns) => {
            let mut path: AsPath = attributes.as_path.clone();
            for asn in asns.iter().rev() {
                path.prepend(*asn);
            }
            attributes.as_path = path;
        }
        Operation::SetLocalPref(local_pref) => attributes.local_pref = Some(*local_pref),
        Operation::Med(change) => {
            let med = i64::from(attributes.med.unwrap_or(0));
            let med = match change {
                MedChange::Set(med) => Some(i64::from(*med)),
                MedChange::Add(more) => Some(med + i64::from(*more)),
                MedChange::Subtract(less) => Some(med - i64::from(*less)),
                MedChange::Remove => None,
            };
            attributes.med = med.map(|med| med.clamp(0, i64::from(u32::MAX)) as u32);
            made.med = true;
        }
        Operation::SetOrigin(origin) => attributes.origin = *origin,
        Operation::SetNextHop(change) => {
            if let NextHopChange::Address(address) = change {
                attributes.next_hop = Some(*address);
            }
            made.next_hop = Some(*change);
        }
    }
    made
}

fn communities() -> impl Strategy<Value = CommunityValue> {
    prop_oneof![
        Just(CommunityValue::Standard(Community::new(65001, 7))),
        Just(CommunityValue::Standard(Community::NO_EXPORT)),
        Just(CommunityValue::Extended("rt:65001:7".parse().unwrap())),
        Just(CommunityValue::Large(LargeCommunity { global: 1, local1: 2, local2: 3 })),
    ]
}

fn patterns() -> impl Strategy<Value = Arc<[CommunityPattern]>> {
    let pattern = prop_oneof![
        Just(CommunityPattern::Standard(65001..=65001, 0..=u16::MAX)),
        Just(CommunityPattern::Standard(0..=u16::MAX, 7..=9)),
        Just(CommunityPattern::Extended { mask: 0xffff << 48, value: 2 << 48 }),
        Just(CommunityPattern::Large(0..=u32::MAX, 2..=2, 0..=3)),
    ];
    prop::collection::vec(pattern, 1..3).prop_map(Into::into)
}

fn conditions(prefixes: &'static [&'static str]) -> impl Strategy<Value = Condition> {
    fn range(max: u32) -> impl Strategy<Value = RangeInclusive<u32>> {
        (0..=max, 0..=max).prop_map(|(one, two)| one.min(two)..=one.max(two))
    }
    let entry = (0..prefixes.len(), 0..33u8, 0..129u8).prop_map(|(net, min_len, max_len)| PrefixSetEntry {
        within: prefixes[net].parse().unwrap(),
        min_len,
        max_len,
    });
    let set = prop::collection::vec(entry, 0..4).prop_map(|entries| Arc::new(entries.into()));
    let net = prop_oneof![Just("10.0.0.0/24"), Just("10.0.0.2/32"), Just("2001:db8::/64")];
    let condition = prop_oneof![
        range(200).prop_map(Condition::LocalPref),
        range(20).prop_map(Condition::Med),
        range(3).prop_map(Condition::AsPathLength),
        prop_oneof![Just(Origin::Igp), Just(Origin::Incomplete)].prop_map(Condition::Origin),
        net.prop_map(|net| Condition::NextHop(vec![net.parse().unwrap()])),
        prop::collection::vec(set, 1..3).prop_map(Condition::Prefixes),
        (prop::collection::vec(patterns(), 1..3), any::<bool>())
            .prop_map(|(groups, all)| Condition::Communities { groups, all }),
        prop_oneof![Just(65001), Just(65010)].prop_map(|asn| Condition::AsPath(vec![passes(asn)])),
    ];
    (condition, prop::bool::weighted(0.2))
        .prop_map(|(condition, is_not)| if is_not { Condition::Not(Box::new(condition)) } else { condition })
}

fn operations() -> impl Strategy<Value = Operation> {
    let next_hop = prop_oneof![
        Just(NextHopChange::Address(NextHop::from(std::net::IpAddr::from([10, 0, 0, 2])))),
        Just(NextHopChange::SelfAddress),
        Just(NextHopChange::Unchanged),
        Just(NextHopChange::Peer),
    ];
    prop_oneof![
        4 => communities().prop_map(Operation::AddCommunity),
        2 => patterns().prop_map(Operation::RemoveCommunities),
        1 => prop::collection::vec(communities(), 1..3).prop_map(Operation::SetCommunities),
        1 => (patterns(), prop::collection::vec(communities(), 1..3))
            .prop_map(|(remove, add)| Operation::ReplaceCommunities { remove, add }),
        3 => prop::collection::vec(prop_oneof![Just(Asn(65099)), Just(Asn(64512))], 1..3)
            .prop_map(Operation::Prepend),
        2 => prop_oneof![Just(100), Just(200)].prop_map(Operation::SetLocalPref),
        2 => prop_oneof![
            Just(MedChange::Set(10)), Just(MedChange::Add(5)), Just(MedChange::Add(u32::MAX)),
            Just(MedChange::Subtract(7)), Just(MedChange::Remove)
        ].prop_map(Operation::Med),
        1 => prop_oneof![Just(Origin::Egp), Just(Origin::Incomplete)].prop_map(Operation::SetOrigin),
        2 => next_hop.prop_map(Operation::SetNextHop),
    ]
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
    let verdict = prop_oneof![
        2 => Just(PolicyVerdict::Reject),
        3 => prop::collection::vec(operations(), 0..3).prop_map(PolicyVerdict::Accept),
        2 => prop::collection::vec(operations(), 0..3).prop_map(PolicyVerdict::Next),
    ];
    let matches = (
        prop::option::weighted(0.7, prefix_match),
        prop::option::weighted(0.2, prop_oneof![Just(SourceMatch::Learned), Just(SourceMatch::Own)]),
        prop::option::weighted(0.2, prop_oneof![Just(PeerKind::Ibgp), Just(PeerKind::Ebgp)]),
        prop::option::weighted(0.2, communities()),
        prop_oneof![4 => Just(vec![]), 1 => Just(vec![Asn(65001)]), 1 => Just(vec![Asn(65001), Asn(65002)])],
        prop::option::weighted(0.2, prop_oneof![Just(100), Just(200)]),
        prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(conditions(prefixes), 1..3)],
    );
    let matches =
        matches.prop_map(|(prefix, source, peer_kind, community, as_path_prefix, local_pref, conditions)| {
            bgp::rib::Matches { prefix, source, peer_kind, community, as_path_prefix, local_pref, conditions }
        });
    let rule = (matches, verdict)
        .prop_map(|(matches, verdict)| PolicyRule { name: "rule".to_owned(), matches, verdict })
        .boxed();
    // More than a handful are found by an index.
    let rules = move || {
        prop_oneof![
            8 => prop::collection::vec(rule.clone(), 0..4),
            1 => prop::collection::vec(rule.clone(), 16..24),
        ]
    };
    (rules(), rules()).prop_map(|(ipv4, ipv6)| Policy { ipv4: ipv4.into(), ipv6: ipv6.into() })
}
