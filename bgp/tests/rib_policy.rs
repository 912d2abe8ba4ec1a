//! Policies of peers in the RIB: what comes in, what goes out, and what a change of either sends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use std::sync::Arc;

use bgp::rib::snapshot::PathUsage;
use bgp::rib::{
    CommunityValue, ExportAction, ExportPolicy, ExportRule, Facts, Ineligible, Matches, Operation, Policy,
    PolicyRoute, PolicyRule, PolicyVerdict, PrefixCommunities, PrefixMatch, RibConfig, RibEvent, RibPeer,
    SourceMatch,
};
use bgp::wire::{Community, NextHop, Origin, PathAttributes};
use bgp::{Asn, PeerId, PeerKind};
use proptest::prelude::*;
use rib_support::naive_policy::{Made, Outcome, outcome, policies};
use rib_support::*;

const A: &str = "10.1.0.0/16";
const B: &str = "10.2.0.0/16";
const C: &str = "10.3.0.0/16";

fn accept(prefix: &str, operations: &[Operation]) -> PolicyRule {
    rule(prefix, PolicyVerdict::Accept(operations.to_vec()))
}

fn reject(prefix: &str) -> PolicyRule {
    rule(prefix, PolicyVerdict::Reject)
}

fn rule(prefix: &str, verdict: PolicyVerdict) -> PolicyRule {
    let prefix = Some(PrefixMatch::In(net(prefix), 0..=32));
    PolicyRule { name: "test rule 1".to_owned(), matches: Matches { prefix, ..Matches::default() }, verdict }
}

fn policy(rules: &[PolicyRule]) -> Arc<Policy> {
    Arc::new(Policy { ipv4: rules.to_vec().into(), ..Policy::default() })
}

fn community(value: u16) -> Community {
    Community::new(65001, value)
}

fn add(value: u16) -> Operation {
    Operation::AddCommunity(CommunityValue::Standard(community(value)))
}

fn change(world: &mut World, peer: PeerId, import: &[PolicyRule], export: &[PolicyRule]) {
    world.event(RibEvent::PolicyChanged { peer, import: policy(import), export: policy(export) });
}

/// Two senders and a receiver, all external; the first sender announces `A`, `B` and `C`.
fn world() -> (World, PeerId, PeerId) {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    let to = world.up(ebgp(2));
    world.update(from, reach(&via("10.0.0.1", &[65001]), &[A, B, C]));
    (world, from, to)
}

fn messages(world: &World, peer: PeerId) -> usize {
    world.told(peer).messages
}

#[test]
fn import_decides_by_prefix_within_one_update() {
    let mut world = World::new();
    let import = policy(&[reject(A), accept(B, &[Operation::SetLocalPref(300), add(7)])]);
    let from = world.up(RibPeer { import, ..ebgp(1) });
    let to = world.up(ibgp(2));
    world.update(from, reach(&via("10.0.0.1", &[65001]), &[A, B, C]));
    assert_eq!(world.held(to, A), None);
    let changed = world.held(to, B).unwrap();
    assert_eq!((changed.local_pref, changed.communities.as_slice()), (Some(300), &[community(7)][..]));
    assert_eq!(world.held(to, C).unwrap().local_pref, Some(100));
    let reason = Ineligible::Policy("test rule 1".to_owned());
    assert_eq!(world.usages(A), [("peer1".to_owned(), PathUsage::Ineligible { reason })]);
}

/// A policy that makes our own AS longer must not make the path a loop; and what came as a loop stays one.
#[test]
fn loops_are_looked_for_in_what_came() {
    let (mut world, from, to) = world();
    change(&mut world, from, &[accept(A, &[Operation::Prepend(vec![LOCAL_AS, LOCAL_AS])])], &[]);
    assert_eq!(world.held(to, A).unwrap().as_path.to_string(), "64512 64512 64512 65001");
    world.update(from, reach(&via("10.0.0.1", &[65001, LOCAL_AS.0]), &[A]));
    let reason = Ineligible::AsLoop;
    assert_eq!(world.usages(A), [("peer1".to_owned(), PathUsage::Ineligible { reason })]);
}

#[test]
fn a_changed_import_policy_sends_only_differences() {
    let (mut world, from, to) = world();
    let before = messages(&world, to);

    change(&mut world, from, &[reject(A)], &[]);
    assert_eq!((world.held(to, A), messages(&world, to) - before), (None, 1), "one withdrawal");
    assert_eq!(world.log.iter().filter(|line| line.starts_with("best")).count(), 1, "{:?}", world.log);
    assert!(!world.loc.contains_key(&net(A)));

    change(&mut world, from, &[reject(A), accept(B, &[add(1)])], &[]);
    assert_eq!(messages(&world, to) - before, 2, "one announcement");
    assert_eq!(world.held(to, B).unwrap().communities, [community(1)]);

    // Worked out from what came, not from what the last policy made of it.
    change(&mut world, from, &[accept(B, &[add(2)])], &[]);
    assert_eq!(world.held(to, B).unwrap().communities, [community(2)]);
    assert!(world.held(to, A).is_some());

    let before = messages(&world, to);
    change(&mut world, from, &[accept(B, &[add(2)])], &[]);
    change(&mut world, from, &[accept(B, &[add(2)]), accept(A, &[])], &[]);
    assert_eq!(messages(&world, to), before, "nothing differs");
    assert!(world.log.is_empty(), "{:?}", world.log);

    change(&mut world, from, &[], &[]);
    assert_eq!(world.held(to, B).unwrap().communities, []);
    world.down(from, None);
    assert_eq!(world.rib.summary().attribute_sets, 0, "every hold was given back");
}

#[test]
fn import_can_change_the_decision_live() {
    let (mut world, one, to) = world();
    let two = world.up(ebgp(3));
    world.update(two, reach(&via("10.0.0.3", &[65003, 65003]), &[A]));
    assert_eq!(world.best(A).as_deref(), Some("peer1"));
    change(&mut world, two, &[accept(A, &[Operation::SetLocalPref(200)])], &[]);
    assert_eq!(world.best(A).as_deref(), Some("peer3"));
    change(&mut world, two, &[], &[]);
    assert_eq!(world.best(A).as_deref(), Some("peer1"));
    assert_eq!(world.held(to, A).unwrap().as_path.to_string(), "64512 65001");
    assert_ne!(one, two);
}

#[test]
fn a_changed_export_policy_moves_one_peer_and_sends_it_only_differences() {
    let (mut world, from, to) = world();
    let other = world.up(ebgp(3));
    let (before, others) = (messages(&world, to), messages(&world, other));
    assert_eq!(world.rib.summary().groups.len(), 1);

    change(&mut world, to, &[], &[reject(A), accept(B, &[add(1), Operation::Prepend(vec![Asn(7), Asn(8)])])]);
    assert_eq!(world.rib.summary().groups.len(), 2);
    assert_eq!(messages(&world, to) - before, 2, "one withdrawal, one announcement");
    assert_eq!(world.held(to, A), None);
    let sent = world.held(to, B).unwrap();
    assert_eq!(
        (sent.as_path.to_string(), sent.communities.clone()),
        ("64512 7 8 65001".into(), vec![community(1)])
    );
    assert!(world.log.iter().all(|line| !line.starts_with("best")), "{:?}", world.log);

    // It stays a member in step: changes go on to reach it.
    world.update(from, unreach(&[C]));
    assert_eq!((world.held(to, C), world.held(other, C)), (None, None));

    let before = messages(&world, to);
    change(&mut world, to, &[], &[]);
    assert_eq!(messages(&world, to) - before, 1, "both announced anew");
    assert_eq!(world.told(to).routes, world.told(other).routes);
    assert_eq!((world.rib.summary().groups.len(), world.told(to).spurious), (1, 0));
    assert_eq!(messages(&world, other) - others, 1, "the withdrawal of C");
}

#[test]
fn a_policy_changed_while_a_peer_lags_tells_it_the_last_state_only() {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    let to = world.up(RibPeer { transmit_window: 1, ..ebgp(2) });
    world.transmit = false;
    world.update(from, reach(&via("10.0.0.1", &[65001]), &[A, B]));
    change(&mut world, to, &[], &[reject(A)]);
    change(&mut world, to, &[], &[reject(B)]);
    world.flush();
    let held: Vec<String> = world.told(to).routes.keys().map(ToString::to_string).collect();
    assert_eq!((held, world.told(to).spurious), (vec![A.to_owned()], 0));
}

#[test]
fn policies_hold_for_what_is_retained_of_a_lost_peer() {
    let mut world = World::new();
    let from = world.up(with_restart(ebgp(1)));
    let to = world.up(ebgp(2));
    world.update(from, reach(&via("10.0.0.1", &[65001]), &[A, B]));
    world.down(from, retain(&[V4]));
    change(&mut world, from, &[reject(A)], &[]);
    assert!(world.held(to, A).is_none() && world.held(to, B).is_some());
    world.up(RibPeer { import: policy(&[reject(B)]), ..with_restart(ebgp(1)) });
    assert!(world.held(to, A).is_some() && world.held(to, B).is_none());
}

/// A peer's own policy comes first and ends it; the rules that all share, and the communities by prefix, are
/// for what it says nothing about.
#[test]
fn the_peers_own_policy_comes_before_what_all_share() {
    let mut world = World::new();
    world.event(RibEvent::Configure(RibConfig {
        export: ExportPolicy {
            rules: vec![ExportRule { within: net(C), own_only: false, action: ExportAction::Reject }],
            otherwise: ExportAction::Accept,
            communities: vec![
                PrefixCommunities {
                    within: net("10.0.0.0/8"),
                    communities: vec![CommunityValue::Standard(community(9))],
                },
                PrefixCommunities {
                    within: net(B),
                    communities: vec![CommunityValue::Standard(community(8))],
                },
            ],
        },
        ..config()
    }));
    let plain = world.up(ebgp(2));
    let own = world.up(RibPeer { export: policy(&[accept(C, &[add(1)]), reject(A)]), ..ebgp(3) });
    world.originate(&[(A, 100), (B, 100), (C, 100)]);
    let communities = |peer, prefix| world.held(peer, prefix).map(|sent| sent.communities.clone());
    assert_eq!(communities(plain, A), Some(vec![community(9)]));
    assert_eq!(communities(plain, B), Some(vec![community(8), community(9)]));
    assert_eq!(communities(plain, C), None);
    assert_eq!(communities(own, A), None);
    assert_eq!(communities(own, B), Some(vec![community(8), community(9)]));
    assert_eq!(communities(own, C), Some(vec![community(1)]));
}

#[test]
fn a_preference_set_on_export_is_seen_by_internal_peers_only() {
    let rules = [accept("10.0.0.0/8", &[Operation::SetLocalPref(7)])];
    let mut world = World::new();
    let internal = world.up(RibPeer { export: policy(&rules), ..ibgp(2) });
    let external = world.up(RibPeer { export: policy(&rules), ..ebgp(3) });
    world.originate(&[(A, 100)]);
    assert_eq!(world.held(internal, A).unwrap().local_pref, Some(7));
    assert_eq!(world.held(external, A).unwrap().local_pref, None);
}

const PREFIXES: [&str; 6] =
    ["10.1.0.0/16", "10.1.1.0/24", "192.0.2.1/32", "0.0.0.0/0", "2001:db8::/32", "::/0"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn decides_as_the_naive_evaluator(
        policy in policies(&PREFIXES),
        prefix in (0..PREFIXES.len()).prop_map(|place| net(PREFIXES[place])),
        (is_own, is_internal) in any::<(bool, bool)>(),
        path in prop::collection::vec(65001..65003_u32, 0..3),
        communities in prop::collection::btree_set(prop_oneof![Just(community(7)), Just(Community::NO_EXPORT)], 0..2),
        (has_extended, has_large, is_incomplete) in any::<(bool, bool, bool)>(),
        (local_pref, med) in (
            prop::option::of(prop_oneof![Just(100), Just(200)]),
            prop::option::of(prop_oneof![Just(0), Just(10), Just(u32::MAX)]),
        ),
        next_hop in prop::option::of(prop_oneof![Just("10.0.0.1"), Just("10.0.0.2"), Just("2001:db8::1")]),
    ) {
        let source = if is_own { SourceMatch::Own } else { SourceMatch::Learned };
        let peer_kind = if is_internal { PeerKind::Ibgp } else { PeerKind::Ebgp };
        let communities = communities.into_iter().collect();
        let attributes = PathAttributes {
            as_path: as_path(&path),
            communities,
            extended_communities: if has_extended { vec!["rt:65001:7".parse().unwrap()] } else { vec![] },
            large_communities: if has_large { vec!["1:2:3".parse().unwrap()] } else { vec![] },
            origin: if is_incomplete { Origin::Incomplete } else { Origin::Igp },
            local_pref,
            med,
            next_hop: next_hop.map(|address| NextHop::from(ip(address))),
            ..PathAttributes::default()
        };
        let route = PolicyRoute { prefix, source, peer_kind, attributes: &attributes, facts: &Facts::default() };
        let decision = policy.decide(&route);
        let changed = policy.rules(&prefix).change(&decision.changes, &attributes);
        let changed = Made {
            attributes: changed.attributes, med: changed.will.med, next_hop: changed.will.next_hop,
        };
        let decided = match decision.end {
            Some(_) if decision.is_rejected() => Outcome::Rejected,
            Some(_) => Outcome::Accepted(changed),
            None => Outcome::Unmatched(changed),
        };
        prop_assert_eq!(decided, outcome(&policy, prefix, source, peer_kind, &attributes));
    }

    #[test]
    fn survives_being_written_and_read(policy in policies(&PREFIXES)) {
        let text = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    }
}
