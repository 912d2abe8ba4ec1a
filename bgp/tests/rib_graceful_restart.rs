//! Graceful restart, both sides: what is kept of a lost peer (RFC 4724 §4.2), and what start-up waits for
//! (§4.1).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use bgp::peer::PeerRestart;
use bgp::rib::{
    DEFERRAL_MAX_SECS, NextHopStatus, PathSource, QUIET_SECS, RibConfig, RibEvent, RibPeer,
    STALE_PATHS_MAX_SECS,
};
use bgp::wire::Update;
use rib_support::*;

fn announce(world: &mut World, peer: bgp::PeerId, prefixes: &[&str]) {
    for prefix in prefixes {
        let hop = if prefix.contains(':') { "2001:db8::1" } else { "10.0.0.1" };
        world.update(peer, reach(&via(hop, &[65001]), &[prefix]));
    }
}

fn stale(world: &World, name: &str) -> usize {
    let peers = world.rib.peers();
    let peer = peers.iter().find(|peer| peer.name == name).unwrap();
    peer.families.iter().map(|family| family.stale).sum()
}

#[test]
fn without_retain_everything_goes_at_once() {
    let mut world = World::new();
    let (from, to) = (world.up(with_restart(ebgp(1))), world.up(ebgp(2)));
    announce(&mut world, from, &["10.1.0.0/16", "2001:db8:1::/48"]);
    world.down(from, None);
    assert!(world.loc.is_empty());
    assert!(world.told(to).routes.is_empty());
    assert!(world.tracked.is_empty());
}

#[test]
fn retained_families_stay_in_use_until_the_restart_time_is_over() {
    let mut world = World::new();
    let (from, to) = (world.up(with_restart(ebgp(1))), world.up(ebgp(2)));
    announce(&mut world, from, &["10.1.0.0/16", "2001:db8:1::/48"]);
    world.down(from, retain(&[V4]));
    assert_eq!(world.loc.len(), 1, "IPv6 was not retained");
    assert!(world.held(to, "10.1.0.0/16").is_some());
    assert!(world.route("10.1.0.0/16").paths[0].stale);
    world.pass(119);
    assert_eq!(world.loc.len(), 1);
    world.pass(1);
    assert!(world.loc.is_empty());
    assert!(world.told(to).routes.is_empty());
}

#[test]
fn a_returned_peer_is_swept_at_its_end_of_rib_family_by_family() {
    let mut world = World::new();
    let from = world.up(with_restart(ebgp(1)));
    announce(&mut world, from, &["10.1.0.0/16", "10.2.0.0/16", "2001:db8:1::/48"]);
    world.down(from, retain(&[V4, V6]));
    world.up(with_restart(ebgp(1)));
    assert_eq!(stale(&world, "peer1"), 3);
    announce(&mut world, from, &["10.1.0.0/16"]);
    assert_eq!(world.log, Vec::<String>::new(), "the same again: nobody is told");
    assert_eq!(stale(&world, "peer1"), 2);
    world.update(from, end_of_rib(V4));
    assert_eq!(
        world.loc.keys().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.1.0.0/16", "2001:db8:1::/48"]
    );
    world.update(from, end_of_rib(V6));
    assert_eq!(world.loc.len(), 1);
    assert_eq!(stale(&world, "peer1"), 0);
    assert_eq!(world.rib.next_deadline(), None);
}

#[test]
fn a_peer_that_lost_its_forwarding_state_loses_its_stale_routes_at_once() {
    type Change = fn(&mut RibPeer);
    let changes: [(&str, Change); 3] = [
        ("no graceful restart", |peer| peer.negotiated.restart = None),
        ("no F bit", |peer| peer.negotiated.restart.as_mut().unwrap().families = vec![(V4, false)]),
        ("no IPv4", |peer| peer.negotiated.families = vec![V6]),
    ];
    for (name, change) in changes {
        let mut world = World::new();
        let from = world.up(with_restart(ebgp(1)));
        announce(&mut world, from, &["10.1.0.0/16"]);
        world.down(from, retain(&[V4, V6]));
        assert_eq!(world.loc.len(), 1);
        let mut again = with_restart(ebgp(1));
        change(&mut again);
        world.up(again);
        assert!(world.loc.is_empty(), "{name}");
    }
}

#[test]
fn a_returned_peer_without_end_of_rib_is_swept_in_the_end() {
    let mut world = World::new();
    let from = world.up(with_restart(ebgp(1)));
    announce(&mut world, from, &["10.1.0.0/16", "10.2.0.0/16"]);
    world.down(from, retain(&[V4]));
    world.pass(60);
    world.up(with_restart(ebgp(1)));
    announce(&mut world, from, &["10.1.0.0/16"]);
    world.pass(STALE_PATHS_MAX_SECS - 1);
    assert_eq!(world.loc.len(), 2);
    world.pass(1);
    assert_eq!(world.loc.len(), 1);
}

/// projectcalico/felix#1592: a second restart within the first one's window must not cut traffic.
#[test]
fn consecutive_restarts_keep_the_routes() {
    let mut world = World::new();
    let from = world.up(with_restart(ebgp(1)));
    announce(&mut world, from, &["10.1.0.0/16"]);
    for _ in 0..3 {
        world.down(from, retain(&[V4]));
        world.pass(100);
        world.up(with_restart(ebgp(1)));
        world.pass(100);
    }
    assert_eq!(world.loc.len(), 1);
    // Only the restart time counts while it is away, not what was left for its End-of-RIB.
    world.pass(STALE_PATHS_MAX_SECS - 110);
    world.down(from, retain(&[V4]));
    world.pass(119);
    assert_eq!(world.loc.len(), 1);
    world.pass(1);
    assert!(world.loc.is_empty());
}

/// What it said in the session before does not count for this one.
#[test]
fn end_of_rib_is_waited_for_again_after_a_restart() {
    let mut world = World::new();
    world.event(RibEvent::Neighbors(vec![peer_id(1)]));
    let one = world.up(with_restart(ebgp(1)));
    world.update(one, end_of_rib(V4));
    world.down(one, retain(&[V4, V6]));
    world.up(with_restart(ebgp(1)));
    world.update(one, end_of_rib(V6));
    assert!(!world.in_sync);
    world.update(one, end_of_rib(V4));
    assert!(world.in_sync);
}

#[test]
fn stopping_a_retained_peer_ends_the_retention() {
    let mut world = World::new();
    let from = world.up(with_restart(ebgp(1)));
    announce(&mut world, from, &["10.1.0.0/16"]);
    world.down(from, retain(&[V4]));
    world.down(from, None);
    assert!(world.loc.is_empty());
}

#[test]
fn a_peer_that_is_no_longer_configured_loses_its_routes_and_its_late_events_do_nothing() {
    let mut world = World::new();
    let (from, other) = (world.up(with_restart(ebgp(1))), world.up(ebgp(2)));
    announce(&mut world, from, &["10.1.0.0/16"]);
    world.event(RibEvent::Neighbors(vec![other]));
    assert!(world.loc.is_empty());
    announce(&mut world, from, &["10.1.0.0/16"]);
    world.rib.handle(RibEvent::Transmitted { peer: from, bytes: 7 }, world.now);
    world.rib.handle(RibEvent::Refresh { peer: from, family: V4 }, world.now);
    world.down(from, retain(&[V4]));
    assert!(world.loc.is_empty());
    assert_eq!(world.rib.peers().len(), 1);
}

/// A slot of the speaker that is given out again: the old owner's events must not touch the new one's.
#[test]
fn generations_are_kept_apart() {
    let mut world = World::new();
    let old = world.up(ebgp(1));
    announce(&mut world, old, &["10.1.0.0/16"]);
    let mut next = ebgp(1);
    next.peer.generation = 1;
    world.told.remove(&old);
    let new = world.up(next);
    assert!(world.loc.is_empty(), "the old owner is gone");
    announce(&mut world, new, &["10.2.0.0/16"]);
    announce(&mut world, old, &["10.1.0.0/16"]);
    world.down(old, None);
    world.rib.handle(RibEvent::PeerUp(Box::new(ebgp(1))), world.now);
    world.drain();
    assert_eq!(world.loc.len(), 1);
    assert_eq!(world.rib.peers().len(), 1);
}

/// The peer comes back with another identifier: what is kept of it is judged anew.
#[test]
fn stale_paths_follow_the_terms_of_the_new_session() {
    let mut world = World::new();
    let (one, two) = (world.up(with_restart(ibgp(1))), world.up(ibgp(2)));
    announce(&mut world, one, &["10.1.0.0/16"]);
    announce(&mut world, two, &["10.1.0.0/16"]);
    assert_eq!(world.best("10.1.0.0/16").unwrap(), "peer1");
    world.down(one, retain(&[V4]));
    let mut again = with_restart(ibgp(1));
    again.negotiated.remote_router_id = bgp::RouterId([99, 0, 0, 1].into());
    world.up(again);
    assert_eq!(world.loc[&net("10.1.0.0/16")][0].source, PathSource::Peer(two));
}

fn restarting() -> World {
    let mut world = World::new();
    world.event(RibEvent::Configure(RibConfig { restarting: true, ..config() }));
    world
}

#[test]
fn without_neighbors_we_are_in_sync_at_once() {
    let mut world = World::new();
    assert!(!world.in_sync, "nobody has said that there are none");
    world.event(RibEvent::Neighbors(Vec::new()));
    assert!(world.in_sync);
}

/// A former run had routes from somebody. The manifest that names them may come a moment after the one that
/// names us, and the kernel's routes must not go in between.
#[test]
fn after_a_restart_nobody_is_waited_for_as_well() {
    let mut world = restarting();
    world.event(RibEvent::Neighbors(Vec::new()));
    assert!(!world.in_sync);
    world.event(RibEvent::Neighbors(vec![peer_id(1)]));
    let one = world.up(with_restart(ebgp(1)));
    world.update(one, end_of_rib(V4));
    world.update(one, end_of_rib(V6));
    assert!(world.in_sync);

    let mut lonely = restarting();
    lonely.event(RibEvent::Neighbors(Vec::new()));
    lonely.pass(DEFERRAL_MAX_SECS);
    assert!(lonely.in_sync, "there really is nobody");
}

#[test]
fn in_sync_waits_for_every_end_of_rib_of_every_family() {
    let mut world = restarting();
    world.event(RibEvent::Neighbors(vec![peer_id(1), peer_id(2)]));
    let one = world.up(with_restart(ebgp(1)));
    world.originate(&[("10.9.0.0/26", 100)]);
    assert!(world.held(one, "10.9.0.0/26").is_some(), "routes do not wait");
    world.update(one, end_of_rib(V4));
    world.update(one, end_of_rib(V6));
    assert!(!world.in_sync, "the other one has not come");
    assert_eq!(world.told(one).end_of_rib, [], "it would sweep what the other one is about to bring");
    let two = world.up(with_restart(ebgp(2)));
    world.update(two, end_of_rib(V4));
    announce(&mut world, two, &["10.1.0.0/16"]);
    assert_eq!(world.loc.len(), 2, "best paths do not wait");
    assert!(!world.in_sync);
    world.update(two, end_of_rib(V6));
    assert!(world.in_sync);
    assert_eq!(world.told(one).end_of_rib, [V4, V6]);
    assert_eq!(world.told(two).end_of_rib, [V4, V6]);
    let three = world.up(ebgp(3));
    assert_eq!(world.told(three).end_of_rib, [V4, V6], "later ones get it after the initial routes");
}

/// Two speakers that start together would otherwise wait for each other.
#[test]
fn end_of_rib_only_waits_when_we_restarted() {
    let mut world = World::new();
    world.event(RibEvent::Neighbors(vec![peer_id(1)]));
    let one = world.up(with_restart(ebgp(1)));
    assert_eq!(world.told(one).end_of_rib, [V4, V6]);
    assert!(!world.in_sync);
}

#[test]
fn a_peer_that_will_not_say_end_of_rib_is_waited_for_until_it_is_quiet() {
    let mut restarting_peer = with_restart(ebgp(1));
    restarting_peer.negotiated.restart = Some(PeerRestart { restarting: true, ..PeerRestart::default() });
    for peer in [ebgp(1), restarting_peer] {
        let mut world = restarting();
        world.event(RibEvent::Neighbors(vec![peer_id(1)]));
        let one = world.up(peer);
        for _ in 0..4 {
            world.pass(QUIET_SECS - 1);
            world.update(one, Update::default());
        }
        world.pass(QUIET_SECS - 1);
        assert!(!world.in_sync);
        world.pass(1);
        assert!(world.in_sync);
    }
}

#[test]
fn in_sync_comes_at_the_latest_when_the_deferral_is_over() {
    let mut world = restarting();
    world.event(RibEvent::Neighbors(vec![peer_id(1), peer_id(2)]));
    let one = world.up(with_restart(ebgp(1)));
    world.pass(DEFERRAL_MAX_SECS - 1);
    assert!(!world.in_sync);
    world.pass(1);
    assert!(world.in_sync);
    assert_eq!(world.told(one).end_of_rib, [V4, V6]);
}

/// After InSync the kernel's left-over routes go; a route that is only waiting for its next hop to be looked up
/// would go with them, and come back a moment later.
#[test]
fn in_sync_waits_for_next_hops_that_are_being_looked_up() {
    let mut world = World::new();
    world.resolve = false;
    world.event(RibEvent::Neighbors(vec![peer_id(1)]));
    let one = world.up(with_restart(ebgp(1)));
    announce(&mut world, one, &["10.1.0.0/16"]);
    world.update(one, end_of_rib(V4));
    world.update(one, end_of_rib(V6));
    assert!(!world.in_sync);
    world.next_hop("10.0.0.1", NextHopStatus::Reachable { metric: 0 });
    assert!(world.in_sync);
    assert_eq!(world.log, ["best 10.1.0.0/16 1", "in sync"], "the route first");
}

#[test]
fn a_neighbor_that_is_deleted_is_not_waited_for() {
    let mut world = World::new();
    world.event(RibEvent::Neighbors(vec![peer_id(1), peer_id(2)]));
    world.up(with_restart(ebgp(1)));
    world.update(peer_id(1), end_of_rib(V4));
    world.update(peer_id(1), end_of_rib(V6));
    assert!(!world.in_sync);
    world.event(RibEvent::Neighbors(vec![peer_id(1)]));
    assert!(world.in_sync);
}

/// What a route of ours is about to resolve is waited for, so that what a former run left of it is not taken away.
#[test]
fn start_up_waits_for_a_next_hop_that_a_best_route_leads_to_but_not_for_long() {
    for comes in [true, false] {
        let mut world = World::new();
        world.resolve = false;
        world.event(RibEvent::Neighbors(vec![peer_id(1)]));
        let peer = world.up(ibgp(1));
        world.next_hop("10.0.0.1", NextHopStatus::Reachable { metric: 0 });
        world.update(peer, reach(&via("10.9.9.9", &[65001]), &["10.1.0.0/16"]));
        world.next_hop("10.9.9.9", NextHopStatus::Unreachable { reason: "no route".into() });
        world.update(peer, reach(&via("10.0.0.1", &[65001]), &["10.9.9.9/32"]));
        world.next_hop("10.0.0.1", NextHopStatus::Reachable { metric: 0 });
        world.update(peer, end_of_rib(V4));
        world.update(peer, end_of_rib(V6));
        assert!(!world.in_sync);
        if comes {
            world.next_hop("10.9.9.9", NextHopStatus::Reachable { metric: 1024 });
            assert_eq!(world.best("10.1.0.0/16").as_deref(), Some("peer1"));
        } else {
            world.pass(4);
            assert!(!world.in_sync);
            world.pass(1);
        }
        assert!(world.in_sync);
    }
}

/// A route that contains its own next hop will not resolve it.
#[test]
fn start_up_does_not_wait_for_what_nothing_leads_to() {
    let mut world = World::new();
    world.resolve = false;
    world.event(RibEvent::Neighbors(vec![peer_id(1)]));
    let peer = world.up(ibgp(1));
    world.update(peer, reach(&via("10.9.9.9", &[65001]), &["10.9.9.0/24"]));
    world.next_hop("10.9.9.9", NextHopStatus::Unreachable { reason: "no route".into() });
    world.update(peer, end_of_rib(V4));
    world.update(peer, end_of_rib(V6));
    assert!(world.in_sync);
}

/// RFC 8538 keeps paths over a reset too, and so over one that changes what they are judged by.
#[test]
fn rfc8538_what_is_kept_is_judged_by_the_terms_of_the_new_session() {
    let mut world = World::new();
    let lenient = bgp::rib::RibPeer { allow_local_as: 1, ..with_restart(ebgp(1)) };
    let id = world.up(lenient);
    world.update(id, reach(&via("10.0.0.1", &[65001, LOCAL_AS.0]), &["10.1.0.0/16"]));
    world.update(id, reach(&via("10.0.0.1", &[65001]), &["10.2.0.0/16"]));
    world.down(id, retain(&[V4, V6]));
    assert!(world.best("10.1.0.0/16").is_some());
    world.up(with_restart(ebgp(1)));
    assert!(world.best("10.1.0.0/16").is_none(), "our AS is in it");
    assert!(world.best("10.2.0.0/16").is_some(), "stale until it is sent again");
}

/// Another AS at the same address is another neighbor, and what an internal peer says is not what an external one
/// does: LOCAL_PREF was taken off.
#[test]
fn rfc8538_nothing_is_kept_of_another_neighbor() {
    for another in [ibgp(1), peer(1, bgp::PeerKind::Confederation), {
        let mut other = ebgp(1);
        other.negotiated.remote_as = bgp::Asn(65099);
        other
    }] {
        let mut world = World::new();
        let id = world.up(with_restart(ebgp(1)));
        world.update(id, reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
        world.down(id, retain(&[V4, V6]));
        assert!(world.best("10.1.0.0/16").is_some());
        world.up(with_restart(another));
        assert!(world.best("10.1.0.0/16").is_none());
    }
}
