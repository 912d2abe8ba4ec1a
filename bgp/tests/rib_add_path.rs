//! Several paths of one prefix (RFC 7911): from one peer, to one peer, and what keeps their identifiers apart.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::sync::Arc;

use bgp::peer::{PrefixLimit, PrefixLimitAction};
use bgp::rib::snapshot::PathUsage;
use bgp::rib::{
    CommunityValue, DecisionRules, LossReason, Matches, MultipathRules, NextHopStatus, Operation, Policy,
    PolicyRule, PolicyVerdict, RibConfig, RibEvent, RibPeer,
};
use bgp::wire::{Community, EncodeContext, PathAttributes};
use bgp::{AfiSafi, PeerId, RouterId};
use rib_support::*;

const P: &str = "10.1.0.0/16";
const P6: &str = "2001:db8:1::/48";

/// It takes several paths in both families.
fn taking_several(peer: RibPeer) -> RibPeer {
    taking(peer, &[V4, V6])
}

fn taking(mut peer: RibPeer, families: &[AfiSafi]) -> RibPeer {
    peer.negotiated.encode = EncodeContext { add_path_send: families.to_vec(), ..EncodeContext::default() };
    peer
}

fn at_most(maximum: u8, peer: RibPeer) -> RibPeer {
    RibPeer { add_path_maximum: NonZeroU8::new(maximum), ..peer }
}

/// Announces paths of one prefix with these identifiers and attributes.
fn announce(world: &mut World, from: PeerId, prefix: &str, paths: &[(u32, PathAttributes)]) {
    for (path_id, attributes) in paths {
        let mut update = reach(attributes, &[prefix]);
        update.reach[0].nlri[0].path_id = *path_id;
        world.feed(RibEvent::Update { peer: from, update: Box::new(update) });
    }
    world.drain();
}

fn withdraw(world: &mut World, from: PeerId, prefix: &str, path_id: u32) {
    let mut update = unreach(&[prefix]);
    update.unreach[0].nlri[0].path_id = path_id;
    world.update(from, update);
}

/// Next hops of the paths that a peer holds of a prefix, by identifier.
fn held(world: &World, peer: PeerId, prefix: &str) -> BTreeMap<u32, String> {
    let paths = world.told(peer).paths.iter().filter(|(nlri, _)| nlri.prefix == net(prefix));
    paths.map(|(nlri, attributes)| (nlri.path_id, attributes.next_hop.unwrap().to_string())).collect()
}

/// The next hops alone, sorted.
fn next_hops(world: &World, peer: PeerId, prefix: &str) -> Vec<String> {
    let mut next_hops: Vec<_> = held(world, peer, prefix).into_values().collect();
    next_hops.sort();
    next_hops
}

/// A reflector with clients 2 and 3, which announce the prefix, and client 4, which takes several paths.
fn anycast(prefix: &str, hops: [&str; 2]) -> (World, PeerId) {
    let mut world = World::new();
    let sources = [2, 3].map(|index| world.up(client(index, 1)));
    let to = world.up(taking_several(client(4, 1)));
    for (source, hop) in sources.into_iter().zip(hops) {
        announce(&mut world, source, prefix, &[(0, via(hop, &[]))]);
    }
    (world, to)
}

#[test]
fn rfc7911_a_reflector_sends_every_usable_path() {
    for (prefix, hops) in [(P, ["10.0.0.2", "10.0.0.3"]), (P6, ["2001:db8::2", "2001:db8::3"])] {
        let (world, to) = anycast(prefix, hops);
        assert_eq!(next_hops(&world, to, prefix), hops);
        let paths: Vec<_> = world.told(to).paths.values().cloned().collect();
        // RFC 4456 §8: each path is reflected for itself.
        let mut originators: Vec<_> = paths.iter().map(|path| path.originator_id.unwrap()).collect();
        originators.sort();
        assert_eq!(originators, [2, 3].map(|n| RouterId([10, 0, 0, n].into())));
        assert!(paths.iter().all(|path| path.cluster_list.len() == 1));
    }
}

#[test]
fn rfc7911_a_peer_that_takes_one_path_gets_the_best() {
    let (mut world, _) = anycast(P, ["10.0.0.2", "10.0.0.3"]);
    let plain = world.up(client(5, 1));
    assert_eq!(held(&world, plain, P), BTreeMap::from([(0, "10.0.0.2".to_owned())]));
    let v6_only = world.up(taking(client(6, 1), &[V6]));
    assert_eq!(held(&world, v6_only, P), BTreeMap::from([(0, "10.0.0.2".to_owned())]));
}

/// §3: the identifier names the path; it is not for the decision except as the last tie-break.
#[test]
fn rfc7911_paths_of_one_peer_stand_side_by_side() {
    let mut world = World::new();
    let config = RibConfig {
        decision: DecisionRules { multipath: MultipathRules::up_to(4), ..DecisionRules::default() },
        ..config()
    };
    world.event(RibEvent::Configure(config));
    let from = world.up(ebgp(1));
    let paths = [
        (9, via("10.0.0.1", &[65001])),
        (3, via("10.9.9.1", &[65001])),
        (0, via("10.9.9.2", &[65001])),
        (4, via("10.9.9.3", &[65001, 1])),
    ];
    announce(&mut world, from, P, &paths);
    let usages: Vec<_> = world.route(P).paths.into_iter().map(|path| (path.path_id, path.usage)).collect();
    assert_eq!(
        usages,
        [
            (0, PathUsage::Best),
            (3, PathUsage::Multipath { reason: LossReason::PathId }),
            (9, PathUsage::Multipath { reason: LossReason::PathId }),
            (4, PathUsage::Lost { reason: LossReason::AsPathLength, to: ebgp(1).name, not_multipath: None }),
        ]
    );
}

/// §3: announced again it is replaced, and it is withdrawn by prefix and identifier.
#[test]
fn rfc7911_an_identifier_is_replaced_and_withdrawn_for_itself() {
    let mut world = World::new();
    let (one, other) = (world.up(ebgp(1)), world.up(ebgp(2)));
    let ids = |world: &World| {
        let paths = world.route(P).paths.into_iter();
        let mut ids: Vec<_> =
            paths.map(|path| (path.source, path.path_id, path.attributes.med.unwrap_or(0))).collect();
        ids.sort();
        ids
    };
    let med = |med| PathAttributes { med: Some(med), ..via("10.0.0.1", &[65001]) };
    announce(&mut world, one, P, &[(1, med(1)), (2, med(2)), (1, med(3))]);
    announce(&mut world, other, P, &[(1, med(7))]);
    let named = |source: &str, id, med| (source.to_owned(), id, med);
    assert_eq!(ids(&world), [named("peer1", 1, 3), named("peer1", 2, 2), named("peer2", 1, 7)]);
    withdraw(&mut world, one, P, 1);
    withdraw(&mut world, one, P, 9);
    assert_eq!(ids(&world), [named("peer1", 2, 2), named("peer2", 1, 7)], "that of the other peer stays");
    withdraw(&mut world, other, P, 1);
    withdraw(&mut world, one, P, 2);
    assert!(world.loc.is_empty());
}

#[test]
fn another_set_of_attributes_is_an_implicit_replace() {
    let (mut world, to) = anycast(P, ["10.0.0.2", "10.0.0.3"]);
    let before = held(&world, to, P);
    let messages = world.told(to).messages;
    announce(&mut world, peer_id(3), P, &[(0, PathAttributes { med: Some(5), ..via("10.0.0.3", &[]) })]);
    assert_eq!(held(&world, to, P), before, "the identifiers are the same");
    assert_eq!(world.told(to).messages - messages, 1, "one announcement and no withdrawal");
    let nlri = *world.told(to).paths.iter().find(|(_, path)| path.med == Some(5)).unwrap().0;
    assert_eq!(before[&nlri.path_id], "10.0.0.3");
    withdraw(&mut world, peer_id(2), P, 0);
    assert_eq!(held(&world, to, P), BTreeMap::from([(nlri.path_id, "10.0.0.3".to_owned())]));
}

/// A path that may not be used for a while keeps its identifier.
#[test]
fn an_identifier_lives_as_long_as_its_path() {
    let (mut world, to) = anycast(P, ["10.0.0.2", "10.0.0.3"]);
    // A third that would take the identifier of the first: its router has the same one.
    let mut twin = client(6, 1);
    twin.negotiated.remote_router_id = RouterId([10, 0, 0, 2].into());
    let twin = world.up(twin);
    let unusable = NextHopStatus::Unreachable { reason: "no route".to_owned() };
    world.next_hop("10.0.0.2", unusable.clone());
    announce(&mut world, twin, P, &[(0, via("10.0.0.6", &[]))]);
    world.next_hop("10.0.0.2", NextHopStatus::Reachable { metric: 0 });
    let before = held(&world, to, P);
    assert_eq!(before.len(), 3, "{before:?}");
    for order in [["10.0.0.2", "10.0.0.6"], ["10.0.0.6", "10.0.0.2"]] {
        for hop in order {
            world.next_hop(hop, unusable.clone());
        }
        assert_eq!(next_hops(&world, to, P), ["10.0.0.3"]);
        for hop in order {
            world.next_hop(hop, NextHopStatus::Reachable { metric: 0 });
        }
        assert_eq!(held(&world, to, P), before);
    }
}

/// A helper keeps (prefix, identifier) while we restart (RFC 4724): the same path has to replace it, in whatever
/// order peers come back.
#[test]
fn identifiers_are_the_same_after_a_restart() {
    let order = |order: [u8; 3]| {
        let mut world = World::new();
        let to = world.up(taking_several(client(4, 1)));
        for index in order {
            let from = world.up(client(index, 1));
            let hop = format!("10.0.0.{index}");
            announce(&mut world, from, P, &[(7, via(&hop, &[])), (8, via(&hop, &[65001]))]);
        }
        world.told(to).paths.clone()
    };
    let paths = order([1, 2, 3]);
    assert_eq!(paths.len(), 6);
    assert_eq!(order([3, 2, 1]), paths);
}

#[test]
fn a_peer_is_not_sent_its_own_path() {
    let (mut world, to) = anycast(P, ["10.0.0.2", "10.0.0.3"]);
    announce(&mut world, to, P, &[(5, via("10.0.0.4", &[])), (6, via("10.9.9.4", &[]))]);
    assert_eq!(next_hops(&world, to, P), ["10.0.0.2", "10.0.0.3"]);
    let other = world.up(taking_several(client(5, 1)));
    assert_eq!(next_hops(&world, other, P), ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.9.9.4"]);
    assert_eq!(world.rib.peers()[2].group, world.rib.peers()[3].group, "they share an Adj-RIB-Out");
    assert_eq!(world.told(to).spurious, 0);
}

/// RFC 4456 §6, path by path: what a non-client sent goes to clients only.
#[test]
fn reflection_rules_hold_for_each_path() {
    let mut world = World::new();
    let sources = [world.up(ebgp(1)), world.up(ibgp(2)), world.up(client(3, 1))];
    let (plain, reflected) = (world.up(taking_several(ibgp(4))), world.up(taking_several(client(5, 1))));
    for (source, hop) in sources.into_iter().zip(["10.0.0.1", "10.0.0.2", "10.0.0.3"]) {
        announce(&mut world, source, P, &[(0, via(hop, &[65009]))]);
    }
    assert_eq!(next_hops(&world, plain, P), ["10.0.0.1", "10.0.0.3"]);
    assert_eq!(next_hops(&world, reflected, P), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
}

/// MED counts only between paths of one neighboring AS, so who is second depends on who is left.
#[test]
fn the_best_few_are_chosen_by_repeated_decision() {
    let mut world = World::new();
    let med = |asn: u32, med, hop: &str| PathAttributes { med: Some(med), ..via(hop, &[asn]) };
    let from: Vec<_> = (1..=4).map(|index| world.up(client(index, 1))).collect();
    // Peer 1 wins over 2 and 3 by identifier; of AS 65001 peer 2 is beaten by 4 as long as that one is there.
    let paths = [
        med(65002, 0, "10.0.0.1"),
        med(65001, 9, "10.0.0.2"),
        med(65003, 0, "10.0.0.3"),
        med(65001, 5, "10.0.0.4"),
    ];
    for (from, path) in from.into_iter().zip(paths) {
        announce(&mut world, from, P, &[(0, path)]);
    }
    for (maximum, expected) in [
        (1, &["10.0.0.1"][..]),
        (2, &["10.0.0.1", "10.0.0.3"]),
        (3, &["10.0.0.1", "10.0.0.3", "10.0.0.4"]),
        (4, &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]),
        (255, &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]),
    ] {
        let to = world.up(at_most(maximum, taking_several(client(10 + maximum % 10, 1))));
        assert_eq!(next_hops(&world, to, P), expected, "at most {maximum}");
    }
}

#[test]
fn what_may_not_leave_uses_up_nothing_of_the_maximum() {
    let mut world = World::new();
    let community = Community::new(65001, 13);
    let rule = PolicyRule {
        name: "inside".to_owned(),
        matches: Matches { community: Some(CommunityValue::Standard(community)), ..Matches::default() },
        verdict: PolicyVerdict::Reject,
    };
    let export = Arc::new(Policy { ipv4: vec![rule].into(), ..Policy::default() });
    let to = world.up(RibPeer { export, ..at_most(2, taking_several(client(9, 1))) });
    for index in 1..=4 {
        let from = world.up(client(index, 1));
        let communities = if index == 1 { vec![community] } else { Vec::new() };
        let path = PathAttributes { communities, ..via(&format!("10.0.0.{index}"), &[]) };
        announce(&mut world, from, P, &[(0, path)]);
    }
    assert_eq!(next_hops(&world, to, P), ["10.0.0.2", "10.0.0.3"]);
}

/// The session stays, and what stays is not told again.
#[test]
fn another_maximum_is_told_as_the_difference() {
    let mut world = World::new();
    for index in 1..=4 {
        let from = world.up(client(index, 1));
        announce(&mut world, from, P, &[(0, via(&format!("10.0.0.{index}"), &[]))]);
    }
    let to = world.up(at_most(3, taking_several(client(9, 1))));
    let before = held(&world, to, P);
    let messages = world.told(to).messages;
    let set = |world: &mut World, maximum| {
        let maximum = NonZeroU8::new(maximum);
        world.event(RibEvent::AddPathMaximum { peer: to, maximum });
    };
    set(&mut world, 1);
    assert_eq!(next_hops(&world, to, P), ["10.0.0.1"]);
    assert_eq!(world.told(to).messages - messages, 1, "two withdrawals in one message");
    set(&mut world, 3);
    assert_eq!(held(&world, to, P), before);
    set(&mut world, 0);
    assert_eq!(held(&world, to, P).len(), 4, "all");
    assert_eq!(world.told(to).messages - messages, 4, "one for each path that it did not hold");
    assert_eq!(world.rib.summary().groups.len(), 2, "the groups it left are gone");
}

/// What changes nothing about the best path is no news to peers that get only that one.
#[test]
fn peers_that_take_one_path_hear_nothing_of_the_others() {
    let (mut world, to) = anycast(P, ["10.0.0.2", "10.0.0.3"]);
    let plain = world.up(client(5, 1));
    let messages = world.told(plain).messages;
    announce(&mut world, peer_id(3), P, &[(0, PathAttributes { med: Some(5), ..via("10.0.0.3", &[]) })]);
    withdraw(&mut world, peer_id(3), P, 0);
    assert_eq!(next_hops(&world, to, P), ["10.0.0.2"]);
    assert_eq!(world.told(plain).messages, messages);
    assert!(world.log.iter().all(|line| !line.starts_with("best")), "{:?}", world.log);
}

/// With identifiers too, prefixes that share attributes share a message.
#[test]
fn a_hundred_prefixes_with_equal_attributes_go_in_one_update() {
    let mut world = World::new();
    let [one, other] = [2, 3].map(|index| world.up(client(index, 1)));
    let to = world.up(taking_several(client(4, 1)));
    let messages = world.told(to).messages;
    for (from, hop) in [(one, "10.0.0.2"), (other, "10.0.0.3")] {
        for n in 0..100 {
            let mut update = reach(&via(hop, &[]), &[&format!("10.2.{n}.0/24")]);
            update.reach[0].nlri[0].path_id = n;
            world.feed(RibEvent::Update { peer: from, update: Box::new(update) });
        }
    }
    world.drain();
    assert_eq!(world.told(to).paths.len(), 200);
    assert_eq!(world.told(to).messages - messages, 2, "one per set of attributes");
    world.down(one, None);
    assert_eq!(world.told(to).messages - messages, 3, "withdrawals too");
}

/// RFC 4724 §4.2, path by path: what the peer has not sent again goes, what it has stays.
#[test]
fn stale_paths_are_swept_one_by_one() {
    let mut world = World::new();
    let mut from = with_restart(ebgp(1));
    from.negotiated.decode.add_path_receive = vec![V4];
    let peer = world.up(from.clone());
    let to = world.up(taking_several(client(4, 1)));
    let paths = [(1, via("10.0.0.1", &[65001])), (2, via("10.9.9.1", &[65001]))];
    announce(&mut world, peer, P, &paths);
    let before = held(&world, to, P);
    world.down(peer, retain(&[V4, V6]));
    assert_eq!(held(&world, to, P), before, "retained");
    world.up(from);
    announce(&mut world, peer, P, &paths[1..]);
    let stale: Vec<_> = world.route(P).paths.iter().map(|path| (path.path_id, path.stale)).collect();
    assert_eq!(stale, [(1, true), (2, false)]);
    world.update(peer, end_of_rib(V4));
    assert_eq!(next_hops(&world, to, P), ["10.9.9.1"]);
    assert!(before.iter().any(|path| held(&world, to, P).contains_key(path.0)), "it kept its identifier");
}

#[test]
fn import_policy_judges_each_path() {
    let mut world = World::new();
    let marked = Community::new(65001, 1);
    let matches = Matches { community: Some(CommunityValue::Standard(marked)), ..Matches::default() };
    let verdict = PolicyVerdict::Accept(vec![Operation::SetLocalPref(50)]);
    let rule = PolicyRule { name: "less".to_owned(), matches, verdict };
    let import = Arc::new(Policy { ipv4: vec![rule].into(), ..Policy::default() });
    let from = world.up(RibPeer { import, ..ebgp(1) });
    let to = world.up(taking_several(client(4, 1)));
    let with = PathAttributes { communities: vec![marked], ..via("10.9.9.1", &[65001]) };
    announce(&mut world, from, P, &[(1, with), (2, via("10.0.0.1", &[65001]))]);
    let paths = world.route(P).paths;
    let seen: Vec<_> = paths.iter().map(|path| (path.path_id, path.attributes.local_pref)).collect();
    assert_eq!(seen, [(2, None), (1, Some(50))]);
    let mut sent: Vec<_> = world.told(to).paths.values().map(|path| path.local_pref).collect();
    sent.sort();
    assert_eq!(sent, [Some(50), Some(100)]);
}

/// A limit counts paths: they are what costs.
#[test]
fn a_prefix_limit_counts_paths() {
    let mut world = World::new();
    let limit = PrefixLimit { received: 3, action: PrefixLimitAction::Warn };
    let from = world.up(RibPeer { prefix_limit: Some(limit), ..ebgp(1) });
    let path = via("10.0.0.1", &[65001]);
    announce(
        &mut world,
        from,
        P,
        &[(1, path.clone()), (2, path.clone()), (3, path.clone()), (2, path.clone())],
    );
    assert!(!world.log.iter().any(|line| line.contains("prefixes")), "{:?}", world.log);
    announce(&mut world, from, P, &[(4, path)]);
    assert!(world.log.iter().any(|line| line.contains("sent 4 prefixes")), "{:?}", world.log);
}

#[test]
fn a_refresh_sends_every_path_again() {
    let (mut world, to) = anycast(P, ["10.0.0.2", "10.0.0.3"]);
    let before = held(&world, to, P);
    world.told.get_mut(&to).unwrap().paths.clear();
    world.event(RibEvent::Refresh { peer: to, family: V4 });
    assert_eq!(held(&world, to, P), before);
}

#[test]
fn a_late_joiner_gets_every_path_and_then_end_of_rib() {
    let (mut world, to) = anycast(P, ["10.0.0.2", "10.0.0.3"]);
    let late = world.up(taking_several(client(5, 1)));
    assert_eq!(held(&world, late, P), held(&world, to, P));
    assert_eq!(world.told(late).end_of_rib, [V4, V6]);
    // The last one that takes several leaves and comes back.
    world.down(late, None);
    world.down(to, None);
    let again = world.up(taking_several(client(5, 1)));
    assert_eq!(next_hops(&world, again, P), ["10.0.0.2", "10.0.0.3"]);
    assert_eq!(world.told(again).end_of_rib, [V4, V6]);
}

/// However long a peer lags and whatever comes and goes meanwhile, what it is owed is bounded by the table, and
/// it is told the last state only. An identifier that it may still hold is nobody else's.
#[test]
fn a_peer_that_lags_ends_up_with_the_last_paths() {
    let mut world = World::new();
    let from = world.up(client(2, 1));
    let other = world.up(client(3, 1));
    let slow = world.up(RibPeer { transmit_window: 1, ..taking_several(client(4, 1)) });
    let fast = world.up(taking_several(client(5, 1)));
    announce(&mut world, from, P, &[(1, via("10.0.0.2", &[])), (2, via("10.9.9.2", &[]))]);
    world.flush();
    let before = held(&world, slow, P);
    assert_eq!(before.len(), 2);
    world.transmit = false;
    for round in 0..500 {
        withdraw(&mut world, from, P, 1);
        withdraw(&mut world, from, P, 2);
        announce(&mut world, other, P, &[(round, via("10.0.0.3", &[]))]);
        world.event(RibEvent::Transmitted { peer: fast, bytes: world.told(fast).pending });
        withdraw(&mut world, other, P, round);
        let behind: usize = world.rib.peers().iter().flat_map(|peer| &peer.families).map(|f| f.behind).sum();
        assert!(behind <= 16, "{behind} after {round}");
    }
    announce(&mut world, other, P, &[(7, via("10.0.0.3", &[]))]);
    world.flush();
    assert_eq!(next_hops(&world, slow, P), ["10.0.0.3"]);
    assert_eq!(held(&world, slow, P), held(&world, fast, P));
    assert_eq!((world.told(slow).spurious, world.told(fast).spurious), (0, 0));
}

#[test]
fn snapshots_name_paths() {
    let (mut world, to) = anycast(P, ["10.0.0.2", "10.0.0.3"]);
    announce(&mut world, to, P6, &[(77, via("2001:db8::4", &[]))]);
    let page = world.rib.advertised(to, None, 10);
    let sent: BTreeMap<_, _> = page
        .routes
        .iter()
        .map(|route| (route.path_id, route.attributes.next_hop.unwrap().to_string()))
        .collect();
    assert_eq!(sent, held(&world, to, P));
    assert_eq!(page.routes.len(), 2);
    let received = world.rib.received(to, None, 10).routes;
    assert_eq!(received[0].paths[0].path_id, 77);
    let plain = world.up(client(5, 1));
    let ids: Vec<_> =
        world.rib.advertised(plain, None, 10).routes.iter().map(|route| route.path_id).collect();
    assert_eq!(ids, [0, 0], "one of each family, without identifiers");
    let counts = world.rib.peers().into_iter().find(|peer| peer.peer == to).unwrap();
    assert_eq!(counts.families.iter().map(|family| family.advertised).sum::<usize>(), 2);
}
