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

    let [default, marked, long] = neighbor.import.ipv4.as_slice() else { panic!() };
    assert_eq!(default.matches.prefix, Some(PrefixMatch::Equal("0.0.0.0/0".parse().unwrap())));
    assert_eq!(default.verdict, PolicyVerdict::Reject);
    assert_eq!(marked.matches.community, Some(CommunityValue::Standard(Community::new(65001, 512))));
    let preferred = Operation::SetLocalPref(2_147_483_647 - 512);
    assert_eq!(marked.verdict, PolicyVerdict::Accept(vec![preferred]));
    assert_eq!(long.matches.prefix, Some(PrefixMatch::In("172.16.0.0/12".parse().unwrap(), 25..=32)));

    let [rack, others] = neighbor.export.ipv4.as_slice() else { panic!() };
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

#[test]
fn every_condition_is_translated() {
    let rule = BgpFilterRule {
        action: FilterAction::Reject,
        prefix: Some(FilterPrefix {
            cidr: "fd00::/16".parse().unwrap(),
            match_operator: MatchOperator::NotIn,
            prefix_length: Some(model::PrefixLength { min: Some(8), max: Some(64) }),
        }),
        source: Some(FilterSource::RemotePeers),
        peer_type: Some(PeerType::Internal),
        communities: Some(model::FilterCommunities { values: [model::CommunityValue::Large(1, 2, 3)] }),
        as_path_prefix: vec![model::Asn::CLUSTER_DEFAULT],
        priority: Some(1024),
        operations: Vec::new(),
    };
    let matches = Matches {
        prefix: Some(PrefixMatch::NotIn("fd00::/16".parse().unwrap(), 16..=64)),
        source: Some(SourceMatch::Learned),
        peer_kind: Some(PeerKind::Ibgp),
        community: Some(CommunityValue::Large(LargeCommunity { global: 1, local1: 2, local2: 3 })),
        as_path_prefix: vec![Asn(64512)],
        local_pref: Some(2_147_482_623),
    };
    let expected = PolicyRule { name: "a rule 1".to_owned(), matches, verdict: PolicyVerdict::Reject };
    assert_eq!(numbered("a", &[rule]), [expected]);
}
