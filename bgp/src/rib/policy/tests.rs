mod sets;

use smallvec::smallvec;

use super::*;
use crate::wire::{Community, LargeCommunity};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn large(global: u32, local1: u32, local2: u32) -> LargeCommunity {
    LargeCommunity { global, local1, local2 }
}

fn attributes() -> PathAttributes {
    PathAttributes {
        as_path: AsPath::sequence([65001, 65002, 65003].map(Asn)),
        communities: vec![Community::new(65001, 100)],
        large_communities: vec![large(65001, 1, 2)],
        ..PathAttributes::default()
    }
}

fn holds(matches: &Matches, prefix: &str, attributes: &PathAttributes) -> bool {
    let source = SourceMatch::Learned;
    let facts = &Facts::default();
    matches.holds(&PolicyRoute { prefix: net(prefix), source, peer_kind: PeerKind::Ebgp, attributes, facts })
}

#[test]
fn no_condition_matches_everything() {
    assert!(holds(&Matches::default(), "10.0.0.0/8", &PathAttributes::default()));
    assert!(holds(&Matches::default(), "::/0", &attributes()));
}

/// What BIRD makes of `net =`, `!=`, `~` and `!~`.
#[test]
fn prefixes() {
    let ten = || net("10.0.0.0/8");
    let equal = PrefixMatch::Equal(ten());
    let not_equal = PrefixMatch::NotEqual(ten());
    let inside = PrefixMatch::In(ten(), 8..=32);
    let outside = PrefixMatch::NotIn(ten(), 8..=32);
    let some = PrefixMatch::In(ten(), 16..=24);
    let not_some = PrefixMatch::NotIn(ten(), 16..=24);
    for (prefix, expected) in [
        ("10.0.0.0/8", [true, false, true, false, false, true]),
        ("10.0.0.0/9", [false, true, true, false, false, true]),
        ("10.1.0.0/15", [false, true, true, false, false, true]),
        ("10.1.0.0/16", [false, true, true, false, true, false]),
        ("10.1.2.0/24", [false, true, true, false, true, false]),
        ("10.1.2.0/25", [false, true, true, false, false, true]),
        ("10.1.2.3/32", [false, true, true, false, false, true]),
        ("11.0.0.0/16", [false, true, false, true, false, true]),
        ("0.0.0.0/0", [false, true, false, true, false, true]),
    ] {
        let found = [&equal, &not_equal, &inside, &outside, &some, &not_some].map(|prefix_match| {
            holds(
                &Matches { prefix: Some(prefix_match.clone()), ..Matches::default() },
                prefix,
                &attributes(),
            )
        });
        assert_eq!(found, expected, "{prefix}");
    }
}

#[test]
fn sources_and_kinds_of_peers() {
    let attributes = attributes();
    for source in [SourceMatch::Learned, SourceMatch::Own] {
        for peer_kind in [PeerKind::Ibgp, PeerKind::Ebgp] {
            let route = PolicyRoute {
                prefix: net("::/0"),
                source,
                peer_kind,
                attributes: &attributes,
                facts: &Facts::default(),
            };
            let learned = Matches { source: Some(SourceMatch::Learned), ..Matches::default() };
            let own = Matches { source: Some(SourceMatch::Own), ..Matches::default() };
            let internal = Matches { peer_kind: Some(PeerKind::Ibgp), ..Matches::default() };
            assert_eq!(learned.holds(&route), source == SourceMatch::Learned);
            assert_eq!(own.holds(&route), source == SourceMatch::Own);
            assert_eq!(internal.holds(&route), peer_kind == PeerKind::Ibgp);
        }
    }
}

#[test]
fn communities() {
    let with = |community| Matches { community: Some(community), ..Matches::default() };
    for (community, expected) in [
        (CommunityValue::Standard(Community::new(65001, 100)), true),
        (CommunityValue::Standard(Community::new(65001, 101)), false),
        (CommunityValue::Large(large(65001, 1, 2)), true),
        (CommunityValue::Large(large(65001, 2, 1)), false),
    ] {
        assert_eq!(holds(&with(community), "10.0.0.0/8", &attributes()), expected, "{community:?}");
    }
}

#[test]
fn beginnings_of_as_paths() {
    let set = AsPath(smallvec![
        Segment::Sequence(smallvec![Asn(1)]),
        Segment::Set(smallvec![Asn(2), Asn(3)]),
        Segment::Sequence(smallvec![Asn(4)]),
    ]);
    let plain = AsPath::sequence([1, 2, 3].map(Asn));
    let empty = AsPath::default();
    for (path, prefix, expected) in [
        (&plain, &[1][..], true),
        (&plain, &[1, 2], true),
        (&plain, &[1, 2, 3], true),
        (&plain, &[1, 2, 3, 4], false),
        (&plain, &[2], false),
        (&plain, &[1, 3], false),
        (&empty, &[1], false),
        (&set, &[1, 3], true),
        (&set, &[1, 2, 4], true),
        (&set, &[1, 4], false),
        (&set, &[1, 2, 3], false),
    ] {
        let as_path_prefix = prefix.iter().map(|asn| Asn(*asn)).collect();
        let attributes = PathAttributes { as_path: path.clone(), ..PathAttributes::default() };
        let matches = Matches { as_path_prefix, ..Matches::default() };
        assert_eq!(holds(&matches, "10.0.0.0/8", &attributes), expected, "{path} {prefix:?}");
    }
}

#[test]
fn preferences_where_none_is_a_hundred() {
    let wanted = Matches { local_pref: Some(100), ..Matches::default() };
    for (local_pref, expected) in [(None, true), (Some(100), true), (Some(0), false)] {
        let attributes = PathAttributes { local_pref, ..attributes() };
        assert_eq!(holds(&wanted, "10.0.0.0/8", &attributes), expected);
    }
}

#[test]
fn all_conditions_have_to_hold() {
    let both = Matches {
        prefix: Some(PrefixMatch::Equal(net("10.0.0.0/8"))),
        as_path_prefix: vec![Asn(65001)],
        ..Matches::default()
    };
    assert!(holds(&both, "10.0.0.0/8", &attributes()));
    assert!(!holds(&both, "10.0.0.0/9", &attributes()));
    assert!(!holds(&both, "10.0.0.0/8", &PathAttributes::default()));
}

#[test]
fn the_first_rule_that_matches_decides_and_families_are_apart() {
    let rule = |name: &str, cidr: &str| PolicyRule {
        name: name.to_owned(),
        matches: Matches { prefix: Some(PrefixMatch::In(net(cidr), 0..=128)), ..Matches::default() },
        verdict: PolicyVerdict::Reject,
    };
    let policy = Policy {
        ipv4: vec![rule("a", "10.1.0.0/16"), rule("b", "10.0.0.0/8"), rule("c", "10.1.0.0/16")].into(),
        ipv6: vec![rule("d", "::/0")].into(),
    };
    let decide = |prefix: &str| {
        let attributes = attributes();
        let source = SourceMatch::Own;
        let route = PolicyRoute {
            prefix: net(prefix),
            source,
            peer_kind: PeerKind::Ibgp,
            attributes: &attributes,
            facts: &Facts::default(),
        };
        policy.decide(&route).end.map(|(place, rule)| (place, rule.name.clone()))
    };
    assert_eq!(decide("10.1.1.0/24"), Some((0, "a".to_owned())));
    assert_eq!(decide("10.2.1.0/24"), Some((1, "b".to_owned())));
    assert_eq!(decide("11.0.0.0/8"), None);
    assert_eq!(decide("2001:db8::/32"), Some((0, "d".to_owned())));
}

fn accepts(operations: Vec<Operation>) -> PolicyVerdict {
    PolicyVerdict::Accept(operations)
}

fn after(operations: &[Operation]) -> Changed {
    let mut changed = Changed::from(attributes());
    operations.iter().for_each(|operation| operation.apply(&mut changed));
    changed
}

fn standard(asn: u16, value: u16) -> CommunityValue {
    CommunityValue::Standard(Community::new(asn, value))
}

#[test]
fn communities_are_added_once_and_in_their_place() {
    let extended = CommunityValue::Extended("rt:65001:7".parse().unwrap());
    let same = after(&[
        Operation::AddCommunity(standard(65001, 100)),
        Operation::AddCommunity(CommunityValue::Large(large(65001, 1, 2))),
    ]);
    assert_eq!(same.attributes, attributes(), "what is there is not added again");
    let more = after(&[
        Operation::AddCommunity(standard(1, 1)),
        Operation::AddCommunity(CommunityValue::Large(large(1, 1, 1))),
        Operation::AddCommunity(extended),
    ]);
    assert_eq!(more.attributes.communities, [Community::new(1, 1), Community::new(65001, 100)], "sorted");
    assert_eq!(more.attributes.large_communities, [large(1, 1, 1), large(65001, 1, 2)]);
    assert_eq!(more.attributes.extended_communities, ["rt:65001:7".parse().unwrap()]);
    assert!(extended.is_in(&more.attributes) && !extended.is_in(&attributes()));
}

#[test]
fn communities_are_removed_set_and_replaced() {
    let any_of_65001: std::sync::Arc<[CommunityPattern]> =
        [CommunityPattern::Standard(65001..=65001, 0..=u16::MAX)].into();
    let removed = after(&[Operation::RemoveCommunities(any_of_65001.clone())]).attributes;
    assert_eq!((removed.communities.len(), removed.large_communities.len()), (0, 1));

    let set = after(&[Operation::SetCommunities(vec![standard(2, 2), standard(1, 1)])]).attributes;
    assert_eq!(set.communities, [Community::new(1, 1), Community::new(2, 2)]);
    assert_eq!(set.large_communities, [large(65001, 1, 2)], "another kind stays as it is");

    let replace = Operation::ReplaceCommunities { remove: any_of_65001, add: vec![standard(3, 3)] };
    let once = after(std::slice::from_ref(&replace)).attributes;
    assert_eq!(once.communities, [Community::new(3, 3)]);
    let mut twice = Changed::from(once.clone());
    replace.apply(&mut twice);
    assert_eq!(twice.attributes, once, "there is nothing left to replace");
}

#[test]
fn community_patterns() {
    let carrying = PathAttributes {
        extended_communities: vec!["rt:65001:7".parse().unwrap(), "soo:192.0.2.1:9".parse().unwrap()],
        ..attributes()
    };
    let octets = |text: &str| {
        let community: crate::wire::ExtendedCommunity = text.parse().unwrap();
        u64::from_be_bytes(community.0)
    };
    for (pattern, expected) in [
        (CommunityPattern::Standard(65001..=65001, 0..=u16::MAX), true),
        (CommunityPattern::Standard(0..=u16::MAX, 100..=100), true),
        (CommunityPattern::Standard(65001..=65001, 90..=99), false),
        (CommunityPattern::Large(65001..=65001, 0..=u32::MAX, 2..=2), true),
        (CommunityPattern::Large(65001..=65001, 0..=u32::MAX, 3..=9), false),
        (CommunityPattern::Extended { mask: u64::MAX, value: octets("rt:65001:7") }, true),
        (CommunityPattern::Extended { mask: u64::MAX << 32, value: octets("rt:65001:0") }, true),
        (CommunityPattern::Extended { mask: u64::MAX << 32, value: octets("soo:65001:0") }, false),
    ] {
        assert_eq!(pattern.is_in(&carrying), expected, "{pattern:?}");
    }
}

#[test]
fn med_next_hop_origin_and_path() {
    let med = |changes: &[MedChange]| {
        let changed = after(&changes.iter().copied().map(Operation::Med).collect::<Vec<_>>());
        (changed.attributes.med, changed.will.med)
    };
    assert_eq!(med(&[]), (None, false));
    assert_eq!(med(&[MedChange::Set(7)]), (Some(7), true));
    assert_eq!(med(&[MedChange::Add(7)]), (Some(7), true), "none counts as 0");
    assert_eq!(med(&[MedChange::Set(7), MedChange::Subtract(9)]), (Some(0), true));
    assert_eq!(med(&[MedChange::Set(7), MedChange::Add(u32::MAX)]), (Some(u32::MAX), true));
    assert_eq!(med(&[MedChange::Set(7), MedChange::Remove]), (None, true));

    let address = crate::wire::NextHop::V4([192, 0, 2, 7].into());
    let changed = after(&[
        Operation::SetNextHop(NextHopChange::Address(address)),
        Operation::SetOrigin(crate::wire::Origin::Incomplete),
        Operation::Prepend(vec![Asn(7), Asn(8)]),
        Operation::SetLocalPref(42),
    ]);
    assert_eq!(changed.attributes.next_hop, Some(address));
    assert_eq!(changed.will.next_hop, Some(NextHopChange::Address(address)));
    assert_eq!(changed.attributes.origin, crate::wire::Origin::Incomplete);
    assert_eq!(changed.attributes.as_path.to_string(), "7 8 65001 65002 65003");
    assert_eq!(changed.attributes.local_pref, Some(42));
    let kept = after(&[Operation::SetNextHop(NextHopChange::SelfAddress)]);
    assert_eq!((kept.attributes.next_hop, kept.will.next_hop), (None, Some(NextHopChange::SelfAddress)));
}

fn meets(condition: Condition, attributes: &PathAttributes) -> bool {
    let plain = holds(
        &Matches { conditions: vec![condition.clone()], ..Matches::default() },
        "10.1.0.0/16",
        attributes,
    );
    let not = Condition::Not(Box::new(condition));
    let negated = holds(&Matches { conditions: vec![not], ..Matches::default() }, "10.1.0.0/16", attributes);
    assert_ne!(plain, negated);
    plain
}

#[test]
fn conditions() {
    let next_hop = crate::wire::NextHop::V4([192, 0, 2, 7].into());
    let given = PathAttributes { med: Some(5), next_hop: Some(next_hop), ..attributes() };
    let none = PathAttributes::default();
    let nets = || vec![net("198.51.100.0/24"), net("192.0.2.0/24")];
    for (condition, expected) in [
        (Condition::LocalPref(100..=100), [true, true]),
        (Condition::LocalPref(101..=200), [false, false]),
        (Condition::Med(0..=0), [false, true]),
        (Condition::Med(5..=u32::MAX), [true, false]),
        (Condition::AsPathLength(3..=3), [true, false]),
        (Condition::AsPathLength(0..=2), [false, true]),
        (Condition::Origin(crate::wire::Origin::Igp), [true, true]),
        (Condition::Origin(crate::wire::Origin::Incomplete), [false, false]),
        (Condition::NextHop(nets()), [true, false]),
    ] {
        assert_eq!([&given, &none].map(|route| meets(condition.clone(), route)), expected, "{condition:?}");
    }
}

#[test]
fn several_communities_by_any_and_all() {
    let group = |asn: u16| -> std::sync::Arc<[CommunityPattern]> {
        [CommunityPattern::Standard(asn..=asn, 0..=u16::MAX)].into()
    };
    for (asns, all, expected) in [
        (&[65001, 7][..], false, true),
        (&[65001, 7], true, false),
        (&[65001, 65001], true, true),
        (&[7, 8], false, false),
    ] {
        let groups = asns.iter().map(|asn| group(*asn)).collect();
        assert_eq!(meets(Condition::Communities { groups, all }, &attributes()), expected, "{asns:?} {all}");
    }
}

#[test]
fn expressions_over_the_path_as_text() {
    let path = AsPath(smallvec![
        Segment::Sequence(smallvec![Asn(65001), Asn(65002)]),
        Segment::Set(smallvec![Asn(65003), Asn(65004)]),
        Segment::ConfedSequence(smallvec![Asn(1), Asn(2)]),
        Segment::ConfedSet(smallvec![Asn(3), Asn(4)]),
    ]);
    assert_eq!(text_of(&path), "65001 65002 {65003,65004} (1 2) [3,4]");
    assert_eq!(text_of(&AsPath::default()), "");
    let attributes = PathAttributes { as_path: path, ..PathAttributes::default() };
    for (pattern, expected) in [
        ("^65001 ", true),
        ("^65002", false),
        ("65001 65002", true),
        (r"\{65003,", true),
        (r"\d{6}", false),
        (".*4]$", true),
        ("", true),
    ] {
        let regex = std::sync::Arc::new(AsPathRegex::new(pattern).unwrap());
        assert_eq!(meets(Condition::AsPath(vec![regex]), &attributes), expected, "{pattern}");
    }
}

#[test]
fn an_expression_is_its_text_and_bounded() {
    let regex = AsPathRegex::new("^65001 ").unwrap();
    assert_eq!(regex, AsPathRegex::new("^65001 ").unwrap());
    assert_ne!(regex, AsPathRegex::new("^65002 ").unwrap());
    let text = serde_json::to_string(&regex).unwrap();
    assert_eq!(text, "\"^65001 \"");
    assert_eq!(serde_json::from_str::<AsPathRegex>(&text).unwrap(), regex);
    assert!(serde_json::from_str::<AsPathRegex>("\"(\"").is_err());
    let error = AsPathRegex::new("((1{100}){100}){100}").unwrap_err();
    assert!(error.to_string().contains("size limit"), "{error}");
}

#[test]
fn a_rule_that_goes_on_shows_its_changes_to_those_that_follow() {
    let rule = |name: &str, matches: Matches, verdict| PolicyRule { name: name.to_owned(), matches, verdict };
    let prefers = |value| Matches { local_pref: Some(value), ..Matches::default() };
    let policy = Policy {
        ipv4: vec![
            rule("a", Matches::default(), PolicyVerdict::Next(vec![Operation::SetLocalPref(200)])),
            rule("b", prefers(100), PolicyVerdict::Reject),
            rule("c", Matches::default(), PolicyVerdict::Next(vec![])),
            rule("d", prefers(200), PolicyVerdict::Next(vec![Operation::Med(MedChange::Set(1))])),
            rule("e", prefers(200), accepts(vec![Operation::SetLocalPref(300)])),
            rule("f", Matches::default(), PolicyVerdict::Reject),
        ]
        .into(),
        ipv6: vec![rule("g", Matches::default(), PolicyVerdict::Next(vec![Operation::SetLocalPref(7)]))]
            .into(),
    };
    let given = attributes();
    let decide = |prefix: &str| {
        let (source, facts) = (SourceMatch::Learned, &Facts::default());
        let route =
            PolicyRoute { prefix: net(prefix), source, peer_kind: PeerKind::Ibgp, attributes: &given, facts };
        let decision = policy.decide(&route);
        let changed = policy.rules(&net(prefix)).change(&decision.changes, &given).attributes;
        (decision.end.map(|(_, rule)| rule.name.clone()), changed.local_pref, changed.med)
    };
    assert_eq!(decide("10.0.0.0/8"), (Some("e".to_owned()), Some(300), Some(1)));
    assert_eq!(decide("::/0"), (None, Some(7), None), "nobody decided, and it is changed");
}
