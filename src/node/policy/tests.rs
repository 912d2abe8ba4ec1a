use bgp::wire::{Community, LargeCommunity};
use config::catalog::Catalog;
use config::manifest::parse_manifest;

use super::*;
use crate::node::translate::{Desired, desired};

const NODE: &str = "
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: node1}
spec: {bgp: {asNumber: 64512, ipv4Address: 192.0.2.1/24}}
";

/// The documentation's examples, in order.
fn examples() -> impl Iterator<Item = &'static str> {
    let document = include_str!("../../../docs/manifests.md");
    document.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next())
}

#[test]
fn every_documented_manifest_is_accepted() {
    for text in examples() {
        let objects =
            parse_manifest("example.yaml", text).unwrap_or_else(|problems| panic!("{text}{problems:?}"));
        assert!(!objects.is_empty(), "{text}");
    }
}

/// The first two examples, about policy, are in force as they stand.
fn documented() -> Desired {
    let mut catalog = Catalog::default();
    for (nth, text) in examples().take(2).chain([NODE]).enumerate() {
        let file = format!("{nth}.yaml");
        catalog.apply_file(&file, parse_manifest(&file, text));
    }
    let resources = catalog.resolve();
    assert_eq!(resources.problems(), []);
    let (desired, problems) = desired(&resources, "node1", false).unwrap();
    assert_eq!(problems, []);
    desired
}

#[test]
fn the_documented_filter_means_what_the_document_says() {
    let desired = documented();
    let [neighbor] = desired.bgp.neighbors.as_slice() else { panic!("{:?}", desired.bgp.neighbors) };
    let names = |rules: &[PolicyRule]| rules.iter().map(|rule| rule.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&neighbor.import.ipv4), ["no-default rule 1", "fabric rule 1", "fabric rule 2"]);
    assert_eq!(names(&neighbor.export.ipv4), ["fabric rule 1", "fabric rule 2"]);
    assert!(neighbor.import.ipv6.is_empty() && neighbor.export.ipv6.is_empty());

    let [default, marked, long] = &neighbor.import.ipv4[..] else { panic!() };
    assert_eq!(default.matches.prefix, Some(PrefixMatch::Equal("0.0.0.0/0".parse().unwrap())));
    assert_eq!(default.verdict, PolicyVerdict::Reject);
    assert_eq!(marked.matches.community, Some(CommunityValue::Standard(Community::new(65001, 512))));
    let preferred = Operation::SetLocalPref(2_147_483_647 - 512);
    assert_eq!(marked.verdict, PolicyVerdict::Accept(vec![preferred]));
    assert_eq!(long.matches.prefix, Some(PrefixMatch::In("172.16.0.0/12".parse().unwrap(), 25..=32)));

    let [rack, others] = &neighbor.export.ipv4[..] else { panic!() };
    assert_eq!(rack.matches.prefix, Some(PrefixMatch::In("10.244.0.0/20".parse().unwrap(), 20..=32)));
    let large = LargeCommunity { global: 65001, local1: 1, local2: 2 };
    let operations = vec![
        Operation::AddCommunity(CommunityValue::Standard(Community::new(65001, 100))),
        Operation::AddCommunity(CommunityValue::Large(large)),
        Operation::Prepend(vec![Asn(64512), Asn(64512)]),
    ];
    assert_eq!(rack.verdict, PolicyVerdict::Accept(operations));
    assert_eq!(others.matches, Matches { source: Some(SourceMatch::Learned), ..Matches::default() });
    assert_eq!(desired.filters["bgppeer/tor"], ["no-default", "fabric"]);
}

#[test]
fn the_documented_communities_are_added_to_what_leaves() {
    let desired = documented();
    let [entry] = desired.bgp.rib.export.communities.as_slice() else { panic!() };
    assert_eq!(entry.within, "10.244.0.0/16".parse().unwrap());
    let large = LargeCommunity { global: 65001, local1: 244, local2: 1 };
    let expected = [CommunityValue::Standard(Community::new(65001, 244)), CommunityValue::Large(large)];
    assert_eq!(entry.communities, expected);
}

/// A node with a peer, this filter and this set.
fn of(filter: &str, sets: &str) -> (Desired, Vec<Problem>) {
    let text = format!(
        "{NODE}---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {{name: tor}}
spec: {{peerIP: 192.0.2.254, asNumber: 65001, filters: [a]}}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {{name: other}}
spec: {{peerIP: 192.0.2.253, asNumber: 65002, filters: [a]}}
---
apiVersion: projectcalico.org/v3
kind: BGPFilter
metadata: {{name: a}}
spec: {filter}
{sets}"
    );
    let mut catalog = Catalog::default();
    catalog.apply_file("a.yaml", parse_manifest("a.yaml", &text));
    let resources = catalog.resolve();
    assert_eq!(resources.problems(), []);
    desired(&resources, "node1", false).unwrap()
}

fn import_rules(filter: &str, sets: &str) -> Vec<PolicyRule> {
    let (desired, problems) = of(filter, sets);
    assert_eq!(problems, []);
    desired.bgp.neighbors[0].import.ipv4.to_vec()
}

const SET: &str = "---
apiVersion: projectcalico.org/v3
kind: BGPSet
metadata: {name: s}
spec:
  prefixes: [10.0.0.0/8, {cidr: 'fd00::/8', prefixLength: {}}, {cidr: 10.1.0.0/16, prefixLength: {min: 8, max: 24}}]
  communities: ['65001:*', 'rt:*:*']
  asPaths: ['^65001_', '_65002$']
";

#[test]
fn every_condition_is_translated() {
    let [rule] = &import_rules(
        "{importV4: [{action: Reject, cidr: 10.0.0.0/8, matchOperator: NotIn, prefixLength: {min: 4, max: 24},
          source: RemotePeers, peerType: iBGP, communities: {values: ['1:2:3']}, asPathPrefix: [64512], priority: 1024,
          localPreference: {min: 7}, med: 5, asPathLength: {max: 3}, origin: egp, nextHop: [192.0.2.1, 10.0.0.0/24],
          prefixSets: [s], asPathRegex: '^1_', asPathSets: [s],
          not: {communities: {values: ['65001:1'], sets: [s], match: All}, med: {max: 1}}}]}",
        SET,
    )[..] else {
        panic!()
    };
    let net = |text: &str| text.parse().unwrap();
    let regex = |text: &str| Arc::new(AsPathRegex::new(text).unwrap());
    let between = r"(?:^|[ ,{}()\[\]]|$)";
    let entry = |within: &str, min_len, max_len| PrefixSetEntry { within: net(within), min_len, max_len };
    let entries = vec![entry("10.0.0.0/8", 8, 8), entry("fd00::/8", 8, 128), entry("10.1.0.0/16", 16, 24)];
    let one: Arc<[CommunityPattern]> = [CommunityPattern::Standard(65001..=65001, 1..=1)].into();
    let rt = |kind: u64| CommunityPattern::Extended { mask: 0xffff << 48, value: (kind << 8 | 2) << 48 };
    let set: Arc<[CommunityPattern]> =
        [CommunityPattern::Standard(65001..=65001, 0..=u16::MAX), rt(0), rt(1), rt(2)].into();
    let matches = Matches {
        prefix: Some(PrefixMatch::NotIn(net("10.0.0.0/8"), 8..=24)),
        source: Some(SourceMatch::Learned),
        peer_kind: Some(PeerKind::Ibgp),
        community: Some(CommunityValue::Large(LargeCommunity { global: 1, local1: 2, local2: 3 })),
        as_path_prefix: vec![Asn(64512)],
        local_pref: Some(2_147_482_623),
        conditions: vec![
            Condition::LocalPref(7..=u32::MAX),
            Condition::Med(5..=5),
            Condition::AsPathLength(0..=3),
            Condition::Origin(Origin::Egp),
            Condition::NextHop(vec![net("192.0.2.1/32"), net("10.0.0.0/24")]),
            Condition::Prefixes(vec![Arc::new(entries.into())]),
            Condition::AsPath(vec![regex(&format!("^1{between}"))]),
            Condition::AsPath(vec![regex(&format!("^65001{between}")), regex(&format!("{between}65002$"))]),
            Condition::Not(Box::new(Condition::Med(0..=1))),
            Condition::Not(Box::new(Condition::Communities { groups: vec![one, set], all: true })),
        ],
    };
    assert_eq!(*rule, PolicyRule { name: "a rule 1".to_owned(), matches, verdict: PolicyVerdict::Reject });
}

#[test]
fn every_operation_is_translated() {
    let (desired, problems) = of(
        "{exportV4: [
          {action: Next, operations: [{addCommunities: {values: ['1:2', no-export]}}, {setCommunities: {values: ['rt:1:2']}},
            {removeCommunities: {values: ['1:*:2'], sets: [s]}}, {replaceCommunities: {values: ['1:*'], with: ['1:1']}}]},
          {action: Accept, operations: [{setLocalPreference: {value: 3}}, {setMED: {value: 4}}, {setMED: {value: None}},
            {addMED: {value: 5}}, {subtractMED: {value: 6}}, {setNextHop: {value: Self}}, {setNextHop: {value: 192.0.2.9}},
            {setNextHop: {value: Unchanged}}, {setOrigin: {value: incomplete}}, {prependOwnAS: {count: 2}}]}],
          importV4: [{action: Accept, operations: [{setNextHop: {value: Peer}}]}]}",
        SET,
    );
    assert_eq!(problems, []);
    let [neighbor, other] = &desired.bgp.neighbors[..] else { panic!() };
    assert!(
        Arc::ptr_eq(&neighbor.export, &other.export),
        "sessions with the same filters share what they mean"
    );
    let [next, accept] = &neighbor.export.ipv4[..] else { panic!() };
    let standard = |high, low| CommunityValue::Standard(Community::new(high, low));
    let all = 0..=u16::MAX;
    let extended = CommunityValue::Extended("rt:1:2".parse().unwrap());
    let rt = |kind: u64| CommunityPattern::Extended { mask: 0xffff << 48, value: (kind << 8 | 2) << 48 };
    let removed = [
        CommunityPattern::Large(1..=1, 0..=u32::MAX, 2..=2),
        CommunityPattern::Standard(65001..=65001, all.clone()),
        rt(0),
        rt(1),
        rt(2),
    ];
    let replaced = [CommunityPattern::Standard(1..=1, all)];
    assert_eq!(
        next.verdict,
        PolicyVerdict::Next(vec![
            Operation::AddCommunity(standard(1, 2)),
            Operation::AddCommunity(CommunityValue::Standard(Community::NO_EXPORT)),
            Operation::SetCommunities(vec![extended]),
            Operation::RemoveCommunities(removed.into()),
            Operation::ReplaceCommunities { remove: replaced.into(), add: vec![standard(1, 1)] },
        ])
    );
    let address = NextHop::V4([192, 0, 2, 9].into());
    assert_eq!(
        accept.verdict,
        PolicyVerdict::Accept(vec![
            Operation::SetLocalPref(3),
            Operation::Med(MedChange::Set(4)),
            Operation::Med(MedChange::Remove),
            Operation::Med(MedChange::Add(5)),
            Operation::Med(MedChange::Subtract(6)),
            Operation::SetNextHop(NextHopChange::SelfAddress),
            Operation::SetNextHop(NextHopChange::Address(address)),
            Operation::SetNextHop(NextHopChange::Unchanged),
            Operation::SetOrigin(Origin::Incomplete),
            Operation::Prepend(vec![Asn(64512); 2]),
        ])
    );
    let peer = vec![Operation::SetNextHop(NextHopChange::Peer)];
    assert_eq!(neighbor.import.ipv4[0].verdict, PolicyVerdict::Accept(peer));
}

/// What is missing lets less pass, never more, and is said.
#[test]
fn a_set_that_is_not_there_fails_closed() {
    let rules = "[
      {action: Accept, prefixSets: [s]},
      {action: Accept, not: {prefixSets: [s]}},
      {action: Next, operations: [{removeCommunities: {sets: [s]}}]},
      {action: Reject, prefixSets: [s], med: 1},
      {action: Reject, not: {asPathSets: [s]}},
      {action: Reject, communities: {sets: [s]}}]";
    let (desired, problems) = of(&format!("{{importV4: {rules}}}"), "");
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert!(problem.message.starts_with("there is no BGPSet named s"), "{problem}");
    assert_eq!(problem.severity, config::Severity::Error);
    let rules: Vec<_> = desired.bgp.neighbors[0].import.ipv4.iter().collect();
    let found: Vec<_> =
        rules.iter().map(|rule| (rule.name.as_str(), rule.matches.conditions.as_slice())).collect();
    assert_eq!(found, [("a rule 4", &[Condition::Med(1..=1)][..]), ("a rule 5", &[]), ("a rule 6", &[])]);
}
