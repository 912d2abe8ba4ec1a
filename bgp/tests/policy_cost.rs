//! What a policy costs per route, for people: `cargo test --release -p bgp --test policy_cost -- --ignored --nocapture`.
//! Nothing is asserted about time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bgp::rib::{
    AsPathRegex, CommunityValue, Condition, Facts, Matches, Operation, Policy, PolicyRoute, PolicyRule,
    PolicyVerdict, PrefixMatch, PrefixSetEntry, SourceMatch,
};
use bgp::wire::{AsPath, Community, PathAttributes};
use bgp::{Asn, PeerKind};
use ipnet::{IpNet, Ipv4Net};

fn prefix(number: u32, len: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new((number << (32 - u32::from(len))).into(), len).unwrap())
}

fn rule(matches: Matches, verdict: PolicyVerdict) -> PolicyRule {
    PolicyRule { name: "rule".to_owned(), matches, verdict }
}

fn asking(condition: Condition) -> Matches {
    Matches { conditions: vec![condition], ..Matches::default() }
}

fn set(entries: u32) -> Policy {
    let entries = (0..entries).map(|number| PrefixSetEntry {
        within: prefix(number.wrapping_mul(2_654_435_761) >> 8, 24),
        min_len: 24,
        max_len: 32,
    });
    let set = Condition::Prefixes(vec![Arc::new(entries.collect())]);
    Policy { ipv4: vec![rule(asking(set), PolicyVerdict::Reject)].into(), ..Policy::default() }
}

fn by_prefix(rules: u32) -> Policy {
    let rules = (0..rules).map(|number| {
        let prefix = Some(PrefixMatch::In(prefix(number.wrapping_mul(2_654_435_761) >> 16, 16), 16..=32));
        rule(Matches { prefix, ..Matches::default() }, PolicyVerdict::Reject)
    });
    Policy { ipv4: rules.collect::<Vec<_>>().into(), ..Policy::default() }
}

fn by_community(rules: u16) -> Policy {
    let rules = (0..rules).map(|number| {
        let community = Some(CommunityValue::Standard(Community::new(64000, number)));
        let accept = PolicyVerdict::Accept(vec![Operation::SetLocalPref(1)]);
        rule(Matches { community, ..Matches::default() }, accept)
    });
    Policy { ipv4: rules.collect::<Vec<_>>().into(), ..Policy::default() }
}

fn by_regex(rules: u32) -> Policy {
    let rules = (0..rules).map(|number| {
        let regex =
            AsPathRegex::new(&format!("(?:^|[ ,{{}}()]|$){}(?:^|[ ,{{}}()]|$)", 1000 + number)).unwrap();
        rule(asking(Condition::AsPath(vec![Arc::new(regex)])), PolicyVerdict::Reject)
    });
    Policy { ipv4: rules.collect::<Vec<_>>().into(), ..Policy::default() }
}

fn attributes(number: u32) -> PathAttributes {
    PathAttributes {
        as_path: AsPath::sequence([65001, 65002 + number % 7, 70_000 + number].map(Asn)),
        communities: (0..6).map(|value| Community::new(65001, value)).collect(),
        ..PathAttributes::default()
    }
}

/// `sharing` prefixes come with one set of attributes.
fn measure(name: &str, policy: &Policy, sharing: u32) {
    const ROUTES: u32 = 200_000;
    let sets: Vec<PathAttributes> = (0..ROUTES / sharing).map(attributes).collect();
    let started = Instant::now();
    let mut matched = 0;
    for (place, attributes) in (0..).zip(&sets) {
        let facts = Facts::default();
        for number in place * sharing..(place + 1) * sharing {
            let (source, peer_kind) = (SourceMatch::Learned, PeerKind::Ebgp);
            let prefix = prefix(number, 24);
            let route = PolicyRoute { prefix, source, peer_kind, attributes, facts: &facts };
            matched += u32::from(black_box(policy.decide(black_box(&route))).end.is_some());
        }
    }
    let nanos = started.elapsed().as_nanos() / u128::from(ROUTES);
    println!("{name:32} {sharing:4} prefixes per UPDATE  {nanos:6} ns/route  ({matched} matched)");
}

#[test]
#[ignore = "for people"]
fn per_route() {
    for sharing in [1, 100] {
        measure("no rule", &Policy::default(), sharing);
        for entries in [10, 10_000, 1_000_000] {
            measure(&format!("one set of {entries} prefixes"), &set(entries), sharing);
        }
        for rules in [10, 500, 10_000] {
            measure(&format!("{rules} rules by prefix"), &by_prefix(rules), sharing);
        }
        measure("500 rules by community", &by_community(500), sharing);
        for rules in [1, 500] {
            measure(&format!("{rules} rules by expression"), &by_regex(rules), sharing);
        }
    }
}
