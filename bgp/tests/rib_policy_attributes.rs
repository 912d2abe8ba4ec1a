//! What policies do beyond Calico's operations, as peers are told it; and policies tried without being put in force.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use std::sync::Arc;

use bgp::PeerId;
use bgp::rib::snapshot::{PathUsage, PolicyDirection, TrialPage, TrialPlace};
use bgp::rib::{
    AsPathRegex, CommunityValue, Condition, Ineligible, Matches, MedChange, NextHopChange, NextHopStatus,
    Operation, Policy, PolicyRule, PolicyVerdict, PrefixMatch, PrefixSet, PrefixSetEntry, RibEffect,
    RibEvent, RibPeer,
};
use bgp::wire::{Community, NextHop, PathAttributes};
use ipnet::IpNet;
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

/// RFC 4271 §5.1.4: a MED that came from one AS does not go to another, one that policy sets does.
#[test]
fn rfc4271_5_1_4_a_med_that_policy_sets_goes_to_external_peers() {
    let med = |change| Operation::Med(change);
    let given = PathAttributes { med: Some(7), ..via("10.0.0.1", &[65001]) };
    for (operations, external, internal) in [
        (vec![], None, Some(7)),
        (vec![med(MedChange::Set(50))], Some(50), Some(50)),
        (vec![med(MedChange::Add(1))], Some(8), Some(8)),
        (vec![med(MedChange::Subtract(9))], Some(0), Some(0)),
        (vec![med(MedChange::Remove)], None, None),
        (vec![add(1)], None, Some(7)),
    ] {
        let mut world = World::new();
        let from = world.up(ebgp(1));
        let export = policy(&[accept("10.0.0.0/8", &operations)]);
        let outside = world.up(RibPeer { export: Arc::clone(&export), ..ebgp(2) });
        let inside = world.up(RibPeer { export, ..ibgp(3) });
        world.update(from, reach(&given, &[A]));
        assert_eq!(world.held(outside, A).unwrap().med, external, "{operations:?}");
        assert_eq!(world.held(inside, A).unwrap().med, internal, "{operations:?}");
    }
}

/// RFC 4271 §5.1.3 leaves the next hop to local policy.
#[test]
fn rfc4271_5_1_3_next_hops_by_export_policy() {
    let given = via("10.0.0.1", &[65001]);
    let address = NextHopChange::Address(NextHop::from(ip("10.0.0.77")));
    for (change, external, internal) in [
        (None, "10.255.0.1", "10.0.0.1"),
        (Some(address), "10.0.0.77", "10.0.0.77"),
        (Some(NextHopChange::SelfAddress), "10.255.0.1", "10.255.0.1"),
        (Some(NextHopChange::Unchanged), "10.0.0.1", "10.0.0.1"),
    ] {
        let mut world = World::new();
        let from = world.up(ebgp(1));
        let operations: Vec<_> = change.into_iter().map(Operation::SetNextHop).collect();
        let export = policy(&[accept("10.0.0.0/8", &operations)]);
        let outside = world.up(RibPeer { export: Arc::clone(&export), ..ebgp(2) });
        let inside = world.up(RibPeer { export, ..ibgp(3) });
        world.update(from, reach(&given, &[A]));
        world.originate(&[(B, 100)]);
        let hop = |peer, prefix| world.held(peer, prefix).unwrap().next_hop.unwrap().addr().to_string();
        assert_eq!((hop(outside, A).as_str(), hop(inside, A).as_str()), (external, internal), "{change:?}");
        // Our own have no next hop of their own to keep.
        let own = if change == Some(address) { "10.0.0.77" } else { "10.255.0.1" };
        assert_eq!((hop(outside, B).as_str(), hop(inside, B).as_str()), (own, own), "{change:?}");
    }
}

#[test]
fn import_chooses_a_next_hop_that_is_then_tracked() {
    let (mut world, from, to) = world();
    world.resolve = false;
    let hop = |address: &str| Operation::SetNextHop(NextHopChange::Address(NextHop::from(ip(address))));
    change(&mut world, from, &[accept(A, &[hop("10.9.9.9")])], &[]);
    assert_eq!(world.held(to, A), None, "nothing is known of it yet");
    let reachable = NextHopStatus::Reachable { metric: 0 };
    world.event(RibEvent::NextHopChanged(vec![(ip("10.9.9.9"), reachable)]));
    assert!(world.held(to, A).is_some());
    assert_eq!(world.loc[&net(A)][0].attributes.next_hop, Some(NextHop::from(ip("10.9.9.9"))));

    change(&mut world, from, &[accept(A, &[Operation::SetNextHop(NextHopChange::Peer)])], &[]);
    assert_eq!(world.loc[&net(A)][0].attributes.next_hop, Some(NextHop::from(ip("10.0.0.1"))));

    // RFC 4271 §5.1.3: never ourselves, whoever says so.
    change(&mut world, from, &[accept(A, &[hop("10.255.0.1")])], &[]);
    let [(_, PathUsage::Ineligible { reason: Ineligible::NextHop(reason) })] = &world.usages(A)[..] else {
        panic!("{:?}", world.usages(A))
    };
    assert!(reason.contains("our own address"), "{reason}");
    assert_eq!(world.held(to, A), None);
}

/// A rule that goes on changes what is left to what all peers share, too.
#[test]
fn changes_of_rules_that_go_on_stay() {
    let next = |operations: &[Operation]| rule("10.0.0.0/8", PolicyVerdict::Next(operations.to_vec()));
    let (mut world, from, to) = world();
    change(&mut world, to, &[], &[next(&[add(1)]), next(&[add(2)]), reject(B)]);
    assert_eq!(world.held(to, A).unwrap().communities, [community(1), community(2)]);
    assert_eq!(world.held(to, B), None);
    change(&mut world, from, &[next(&[add(3)]), accept(C, &[add(4)])], &[]);
    assert_eq!(world.held(to, A).unwrap().communities, [community(1), community(2), community(3)]);
    assert_eq!(world.held(to, C).unwrap().communities.len(), 4);
}

/// What is equal asks for nothing: no effect at all, and no peer is told anything.
#[test]
fn an_equal_policy_is_no_change() {
    let (mut world, from, to) = world();
    let set = || PrefixSet::from(vec![PrefixSetEntry { within: net(A), min_len: 16, max_len: 24 }]);
    let regex = || Arc::new(AsPathRegex::new("^65001").unwrap());
    let matches = || Matches {
        conditions: vec![Condition::Prefixes(vec![Arc::new(set())]), Condition::AsPath(vec![regex()])],
        ..Matches::default()
    };
    let rules = || {
        [PolicyRule {
            name: "a".to_owned(),
            matches: matches(),
            verdict: PolicyVerdict::Accept(vec![add(1)]),
        }]
    };
    change(&mut world, from, &rules(), &[]);
    change(&mut world, to, &[], &rules());
    assert_eq!(world.held(to, A).unwrap().communities, [community(1)]);
    let messages_before = messages(&world, to);
    for peer in [from, to] {
        let (import, export) =
            if peer == from { (policy(&rules()), policy(&[])) } else { (policy(&[]), policy(&rules())) };
        world.rib.handle(RibEvent::PolicyChanged { peer, import, export }, world.now);
        assert_eq!(world.rib.poll_effect(), None);
    }
    assert_eq!(messages(&world, to), messages_before);
}

/// Ten peers with ten export policies are ten groups; a change of one is told to that one, one message for what
/// differs, and nothing is decided anew.
#[test]
fn a_change_of_one_export_policy_concerns_one_group() {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    let peers: Vec<PeerId> = (2..12)
        .map(|index| world.up(RibPeer { export: policy(&[accept(A, &[add(index.into())])]), ..ebgp(index) }))
        .collect();
    world.update(from, reach(&via("10.0.0.1", &[65001]), &[A, B, C]));
    assert_eq!(world.rib.summary().groups.len(), 11, "and that of the sender");
    let export = policy(&[accept(A, &[add(99)])]);
    world.rib.handle(RibEvent::PolicyChanged { peer: peers[4], import: policy(&[]), export }, world.now);
    let effects: Vec<_> = std::iter::from_fn(|| world.rib.poll_effect()).collect();
    let [RibEffect::Transmit { peers: told, messages }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(told, &[peers[4]]);
    assert_eq!(
        bgp::wire::frame_len(messages, &bgp::wire::DecodeContext::default()).ok().flatten(),
        Some(messages.len()),
        "one message"
    );
}

/// Peers that differ only in what a policy does beyond Calico's operations are told different things.
#[test]
fn policies_of_other_value_do_not_share_a_group() {
    let conditions = [
        Condition::Med(1..=2),
        Condition::Prefixes(vec![Arc::new(PrefixSet::default())]),
        Condition::AsPath(vec![Arc::new(AsPathRegex::new("1").unwrap())]),
        Condition::AsPath(vec![Arc::new(AsPathRegex::new("2").unwrap())]),
        Condition::Not(Box::new(Condition::Med(1..=2))),
    ];
    let verdicts = [
        PolicyVerdict::Accept(vec![]),
        PolicyVerdict::Next(vec![]),
        PolicyVerdict::Accept(vec![Operation::Med(MedChange::Set(1))]),
        PolicyVerdict::Accept(vec![Operation::SetNextHop(NextHopChange::SelfAddress)]),
        PolicyVerdict::Accept(vec![Operation::SetNextHop(NextHopChange::Unchanged)]),
    ];
    let mut world = World::new();
    let mut index = 1;
    for condition in &conditions {
        for verdict in &verdicts {
            let matches = Matches { conditions: vec![condition.clone()], ..Matches::default() };
            let rule = PolicyRule { name: "a".to_owned(), matches, verdict: verdict.clone() };
            world.up(RibPeer { export: policy(&[rule]), ..ebgp(index) });
            index += 1;
        }
    }
    assert_eq!(world.rib.summary().groups.len(), conditions.len() * verdicts.len());
}

fn tried(world: &World, peer: PeerId, direction: PolicyDirection, rules: Option<&[PolicyRule]>) -> TrialPage {
    let policy = rules.map(policy);
    let mut all = TrialPage::default();
    let mut next = Some(TrialPlace::default());
    while let Some(from) = next {
        // One prefix at a time.
        let page = world.rib.try_policy(peer, direction, policy.as_ref(), from, 1);
        next = page.next;
        all.add(page);
    }
    all.different.sort_by_key(|route| route.prefix);
    all
}

/// What is tried is what is then the case, and before that nothing is.
#[test]
fn a_trial_says_what_a_change_then_does() {
    let (mut world, from, to) = world();
    world.update(from, reach(&via("10.0.0.1", &[65001, LOCAL_AS.0]), &["10.9.0.0/16"]));
    world.originate(&[("10.64.0.0/26", 100)]);
    let rules = [reject(A), accept(B, &[add(7)]), rule("10.3.0.0/16", PolicyVerdict::Next(vec![]))];

    let import = tried(&world, from, PolicyDirection::Import, Some(&rules));
    assert_eq!(import.routes, 3, "a loop is none of policy's business");
    let [a, b] = import.different.as_slice() else { panic!("{:?}", import.different) };
    assert_eq!((a.prefix, a.then.attributes.is_none()), (net(A), true));
    assert_eq!(
        (b.prefix, b.then.rule.as_deref(), b.now.rule.as_deref()),
        (net(B), Some("test rule 1"), None)
    );
    assert_eq!(b.then.attributes.as_ref().unwrap().communities, ["65001:7"]);
    assert_eq!(import.rules[&(false, Some("test rule 1".to_owned()))], 2);
    assert_eq!(import.rules[&(false, None)], 1);

    let export = tried(&world, to, PolicyDirection::Export, Some(&rules));
    assert_eq!((export.routes, export.different.len()), (4, 2));
    // To the one it came from nothing of it goes.
    assert_eq!(tried(&world, from, PolicyDirection::Export, Some(&rules)).routes, 1);
    assert!(world.held(to, A).is_some(), "nothing was changed");
    assert_eq!(world.rib.poll_effect(), None);

    let before = world.told(to).routes.clone();
    change(&mut world, to, &[], &rules);
    let after = world.told(to).routes.clone();
    let changed = |prefix: &&IpNet| before.get(prefix) != after.get(prefix);
    let changed: Vec<IpNet> = before.keys().filter(changed).copied().collect();
    assert_eq!(changed, export.different.iter().map(|route| route.prefix).collect::<Vec<_>>());
    let sent = &export.different[1].then.attributes.as_ref().unwrap();
    let held = world.held(to, B).unwrap();
    assert_eq!((&sent.as_path, sent.med), (&held.as_path.to_string(), held.med));
    assert_eq!(tried(&world, to, PolicyDirection::Export, Some(&rules)).different, []);
    assert_eq!(tried(&world, to, PolicyDirection::Export, None).rules[&(false, None)], 2, "what is in force");
    assert_eq!(tried(&world, to, PolicyDirection::Export, Some(&[])).different.len(), 2);
    world.down(to, None);
    assert_eq!(tried(&world, to, PolicyDirection::Export, Some(&[])), TrialPage::default());
}
