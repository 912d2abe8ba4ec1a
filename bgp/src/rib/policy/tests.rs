use smallvec::smallvec;

use super::*;

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
    matches.holds(&PolicyRoute { prefix: net(prefix), source, peer_kind: PeerKind::Ebgp, attributes })
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
            let route = PolicyRoute { prefix: net("::/0"), source, peer_kind, attributes: &attributes };
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
        ipv4: vec![rule("a", "10.1.0.0/16"), rule("b", "10.0.0.0/8"), rule("c", "10.1.0.0/16")],
        ipv6: vec![rule("d", "::/0")],
    };
    let decide = |prefix: &str| {
        let attributes = attributes();
        let source = SourceMatch::Own;
        let route =
            PolicyRoute { prefix: net(prefix), source, peer_kind: PeerKind::Ibgp, attributes: &attributes };
        policy.decide(&route).map(|(place, rule)| (place, rule.name.clone()))
    };
    assert_eq!(decide("10.1.1.0/24"), Some((0, "a".to_owned())));
    assert_eq!(decide("10.2.1.0/24"), Some((1, "b".to_owned())));
    assert_eq!(decide("11.0.0.0/8"), None);
    assert_eq!(decide("2001:db8::/32"), Some((0, "d".to_owned())));
}

#[test]
fn operations() {
    let mut changed = attributes();
    Operation::AddCommunity(CommunityValue::Standard(Community::new(65001, 100))).apply(&mut changed);
    Operation::AddCommunity(CommunityValue::Large(large(65001, 1, 2))).apply(&mut changed);
    assert_eq!(changed, attributes(), "what is there is not added again");

    Operation::AddCommunity(CommunityValue::Standard(Community::new(1, 1))).apply(&mut changed);
    Operation::AddCommunity(CommunityValue::Large(large(1, 1, 1))).apply(&mut changed);
    assert_eq!(changed.communities, [Community::new(1, 1), Community::new(65001, 100)], "sorted");
    assert_eq!(changed.large_communities, [large(1, 1, 1), large(65001, 1, 2)]);

    Operation::Prepend(vec![Asn(7), Asn(8)]).apply(&mut changed);
    assert_eq!(changed.as_path.to_string(), "7 8 65001 65002 65003");
    Operation::SetLocalPref(42).apply(&mut changed);
    assert_eq!(changed.local_pref, Some(42));
}
