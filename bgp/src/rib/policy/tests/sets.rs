//! What is looked up, against looking at everything.

use proptest::prelude::*;

use super::*;

fn nets() -> impl Strategy<Value = IpNet> {
    let v4 = (0..4u8, 0..4u8, 0..=32u8)
        .prop_map(|(a, b, len)| IpNet::new([a << 6, b << 6, a, b].into(), len).unwrap().trunc());
    let v6 = (0..4u16, 0..4u16, 0..=128u8).prop_map(|(a, b, len)| {
        let address = std::net::Ipv6Addr::new(a << 14, b, 0, 0, 0, 0, 0, b);
        IpNet::new(address.into(), len).unwrap().trunc()
    });
    prop_oneof![v4, v6]
}

fn entries() -> impl Strategy<Value = Vec<PrefixSetEntry>> {
    let entry = (nets(), 0..=32u8, 0..=128u8).prop_map(|(within, min_len, max_len)| PrefixSetEntry {
        within,
        min_len,
        max_len,
    });
    prop::collection::vec(entry, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// The trie finds what looking at every entry finds.
    #[test]
    fn as_a_list_would(entries in entries(), prefixes in prop::collection::vec(nets(), 1..40)) {
        let set: PrefixSet = entries.clone().into();
        for prefix in prefixes {
            let naive = entries.iter().any(|entry| {
                entry.within.contains(&prefix) && (entry.min_len..=entry.max_len).contains(&prefix.prefix_len())
            });
            prop_assert_eq!(set.contains(&prefix), naive, "{}", prefix);
        }
    }

    #[test]
    fn equal_whatever_the_order(entries in entries()) {
        let mut reversed = entries.clone();
        reversed.reverse();
        let (one, two): (PrefixSet, PrefixSet) = (entries.into(), reversed.into());
        prop_assert_eq!(&one, &two);
        let text = serde_json::to_string(&one).unwrap();
        prop_assert_eq!(&serde_json::from_str::<PrefixSet>(&text).unwrap(), &one);
    }

    /// Rules found by the index are those that trying all of them finds.
    #[test]
    fn rules_are_found_by_prefix(nets_of in prop::collection::vec((nets(), 0..5u8, 0..4u16), 16..40), prefix in nets()) {
        let rules: Vec<PolicyRule> = nets_of.into_iter().enumerate().map(|(place, (net, kind, value))| {
            let prefix = match kind {
                0 => Some(PrefixMatch::Equal(net)),
                1 => Some(PrefixMatch::In(net, 0..=128)),
                2 => Some(PrefixMatch::NotEqual(net)),
                3 => Some(PrefixMatch::NotIn(net, 0..=128)),
                _ => None,
            };
            let community = (value > 0).then(|| standard(1, value));
            let matches = Matches { prefix, community, ..Matches::default() };
            PolicyRule { name: place.to_string(), matches, verdict: PolicyVerdict::Next(vec![]) }
        }).collect();
        let communities = vec![Community::new(1, 1), Community::new(1, 2)];
        let attributes = PathAttributes { communities, ..PathAttributes::default() };
        let facts = Facts::default();
        let route = PolicyRoute {
            prefix, source: SourceMatch::Own, peer_kind: PeerKind::Ibgp, attributes: &attributes, facts: &facts,
        };
        let holding = |rules: &mut dyn Iterator<Item = &PolicyRule>| -> Vec<String> {
            rules.filter(|rule| rule.matches.holds(&route)).map(|rule| rule.name.clone()).collect()
        };
        let all = holding(&mut rules.iter());
        let indexed = Rules::from(rules);
        let found = holding(&mut indexed.candidates(&prefix, &attributes, 0).map(|(_, rule)| rule));
        prop_assert_eq!(found, all);
    }
}
