//! Update groups: what is shared, how messages are packed, and peers that lag.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use bgp::PeerKind;
use bgp::rib::{NextHopStatus, OriginatedRoute, RibEvent, RibPeer};
use bgp::wire::EncodeContext;
use rib_support::*;

fn prefixes(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("10.{}.{}.{}/32", n >> 16, n >> 8 & 255, n & 255)).collect()
}

fn announce(world: &mut World, from: u8, asn: u32, prefixes: &[String]) {
    for some in prefixes.chunks(500) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        world.feed(RibEvent::Update {
            peer: peer_id(from.into()),
            update: Box::new(reach(&via("10.0.0.1", &[asn]), &some)),
        });
    }
    world.drain();
}

#[test]
fn peers_on_equal_terms_get_the_same_bytes_once() {
    let mut world = World::new();
    world.up(ebgp(1));
    for index in 10..60 {
        world.up(client(index, 1));
    }
    let odd = world.up(RibPeer { reflector_client: None, ..ibgp(60) });
    announce(&mut world, 1, 65001, &prefixes(1000));
    let shared: Vec<_> = world.sent.iter().filter(|(peers, _)| peers.len() == 50).collect();
    let alone: Vec<_> = world.sent.iter().filter(|(peers, _)| *peers == [odd]).collect();
    assert_eq!((shared.len(), alone.len(), world.sent.len()), (1, 1, 2));
    assert_eq!(world.rib.summary().groups.len(), 3);
    assert_eq!(world.told(peer_id(10)).routes.len(), 1000);
}

/// 1000 host routes of five octets each in messages of 4096: two of them, as many as there have to be.
#[test]
fn prefixes_with_equal_attributes_fill_messages() {
    let mut world = World::new();
    let to = world.up(ebgp(2));
    world.up(ebgp(1));
    let before = world.told(to).messages;
    for prefix in prefixes(1000) {
        world.feed(RibEvent::Update {
            peer: peer_id(1),
            update: Box::new(reach(&via("10.0.0.1", &[65001]), &[&prefix])),
        });
    }
    world.drain();
    assert_eq!(world.told(to).messages - before, 2, "however many UPDATEs they came in");
    world.down(peer_id(1), None);
    assert_eq!(world.told(to).messages - before, 4, "withdrawals too");
    assert!(world.told(to).routes.is_empty());
}

#[test]
fn extended_messages_are_used_where_negotiated() {
    let mut world = World::new();
    world.up(ebgp(1));
    let mut peer = ebgp(2);
    peer.negotiated.encode = EncodeContext { extended_message: true, ..EncodeContext::default() };
    let to = world.up(peer);
    let before = world.told(to).messages;
    announce(&mut world, 1, 65001, &prefixes(5000));
    assert_eq!(world.told(to).messages - before, 1);
    assert_eq!(world.told(to).routes.len(), 5000);
}

#[test]
fn effects_are_bounded() {
    let mut world = World::new();
    let to = world.up(ebgp(2));
    world.up(ebgp(1));
    // World asserts 1024 changes per BestChanged and 64 KiB per Transmit.
    announce(&mut world, 1, 65001, &prefixes(40_000));
    assert_eq!(world.loc.len(), 40_000);
    assert_eq!(world.told(to).routes.len(), 40_000);
    assert!(world.sent.len() >= 4);
}

#[test]
fn a_late_joiner_gets_everything_and_then_end_of_rib() {
    let mut world = World::new();
    world.up(ebgp(1));
    world.up(ebgp(2));
    announce(&mut world, 1, 65001, &prefixes(3000));
    let sent = world.told(peer_id(2)).messages;
    let late = world.up(ebgp(3));
    assert_eq!(world.told(late).routes, world.told(peer_id(2)).routes);
    assert_eq!(world.told(late).end_of_rib, [V4, V6]);
    assert_eq!(world.told(peer_id(2)).messages, sent, "nobody else is told again");
    assert_eq!(world.rib.summary().groups.len(), 1);
    let other = world.up(ibgp(4));
    assert_eq!(world.told(other).routes.len(), 3000, "the first of a new group too");
}

/// Many clients of a reflector that come up together share what they have to catch up on.
#[test]
fn peers_that_join_together_share_the_initial_routes() {
    let mut world = World::new();
    world.up(ebgp(1));
    announce(&mut world, 1, 65001, &prefixes(3000));
    for index in 10..60 {
        world.feed(RibEvent::PeerUp(Box::new(client(index, 1))));
    }
    world.drain();
    let with_routes = world.sent.iter().filter(|(_, bytes)| bytes.len() > 100).count();
    assert_eq!(with_routes, 1, "{:?}", world.log);
    for index in 10..60 {
        assert_eq!(world.told(peer_id(index)).routes.len(), 3000);
        assert_eq!(world.told(peer_id(index)).end_of_rib, [V4, V6]);
    }
}

#[test]
fn refresh_sends_the_family_again_to_the_one_who_asked() {
    let mut world = World::new();
    world.up(ebgp(1));
    let (two, three) = (world.up(ebgp(2)), world.up(ebgp(3)));
    announce(&mut world, 1, 65001, &prefixes(100));
    world.update(peer_id(1), reach(&via("2001:db8::1", &[65001]), &["2001:db8:1::/48"]));
    world.told.get_mut(&two).unwrap().routes.clear();
    world.event(RibEvent::Refresh { peer: two, family: V4 });
    assert_eq!(world.told(two).routes.len(), 100);
    assert!(world.sent.iter().all(|(peers, _)| *peers == [two]));
    assert_eq!(world.told(three).routes.len(), 101);
    assert_eq!(world.told(two).end_of_rib, [V4, V6], "not a second one");
}

/// Between the first word of a session and the first turn of the work routes come that nobody has been told.
#[test]
fn a_route_that_comes_with_the_session_is_not_forgotten() {
    for routes_before in [0, 3] {
        let mut world = World::new();
        let before: Vec<(String, u32)> =
            prefixes(routes_before).into_iter().map(|prefix| (prefix, 100)).collect();
        let mut routes: Vec<_> = before.iter().map(|(prefix, pref)| (prefix.as_str(), *pref)).collect();
        world.originate(&routes);
        let peer = ebgp(2);
        let two = peer.peer;
        world.feed(RibEvent::PeerUp(Box::new(peer)));
        routes.push(("192.0.2.0/24", 100));
        world.originate(&routes);
        assert_eq!(world.told(two).routes.len(), routes_before as usize + 1);
    }
}

/// A slow peer costs a window of bytes and two bits per prefix, delays nobody, and hears only the last state.
#[test]
fn a_full_window_puts_a_peer_behind_and_room_brings_it_back() {
    let mut world = World::new();
    world.transmit = false;
    world.up(ebgp(1));
    let fast = world.up(ebgp(2));
    let slow = world.up(RibPeer { transmit_window: 5000, ..ebgp(3) });
    announce(&mut world, 1, 65001, &prefixes(20_000));
    assert_eq!(world.told(fast).routes.len(), 20_000);
    assert_eq!(world.told(slow).routes.len(), 0, "one encoded batch is larger than its window");
    for asn in 0..10 {
        announce(&mut world, 1, 65100 + asn, &prefixes(20_000));
    }
    assert_eq!(world.rib.summary().groups.len(), 1, "it stays in its group");
    let pending = world.told(slow).pending;
    assert!(pending <= 5000, "{pending} bytes");

    let before = world.told(slow).messages;
    world.flush();
    assert_eq!(world.told(slow).routes, world.told(fast).routes);
    // Half-filled at worst, as its window is about as long as a message.
    let one_round = 2 * 20_000_usize.div_ceil(800) + 4;
    assert!(world.told(slow).messages - before <= one_round, "one round, not eleven");
    let peers = world.rib.peers();
    assert!(peers.iter().all(|peer| peer.pending_bytes == 0 && peer.families.iter().all(|f| f.behind == 0)));
}

#[test]
fn a_peer_behind_is_told_of_what_went_but_not_of_what_it_never_had() {
    let mut world = World::new();
    world.transmit = false;
    world.up(ebgp(1));
    let slow = world.up(RibPeer { transmit_window: 1, ..ebgp(3) });
    world.update(peer_id(1), reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
    world.flush();
    assert_eq!(world.told(slow).routes.len(), 1);
    // Blocked by this one:
    world.update(peer_id(1), reach(&via("10.0.0.1", &[65001]), &["10.2.0.0/16"]));
    assert!(world.told(slow).pending > 0);
    world.update(peer_id(1), reach(&via("10.0.0.1", &[65001]), &["10.3.0.0/16"]));
    world.update(peer_id(1), unreach(&["10.3.0.0/16"]));
    world.update(peer_id(1), unreach(&["10.1.0.0/16"]));
    // Its number must not be given to another prefix while the slow peer has still to be told.
    world.update(peer_id(1), reach(&via("10.0.0.1", &[65001]), &["10.4.0.0/16"]));
    world.flush();
    let held: Vec<_> = world.told(slow).routes.keys().map(ToString::to_string).collect();
    assert_eq!(held, ["10.2.0.0/16", "10.4.0.0/16"]);
    assert_eq!(world.told(slow).spurious, 0);
}

/// End-of-RIB means that all initial routes have gone before it.
#[test]
fn end_of_rib_waits_until_the_initial_routes_fit_the_window() {
    let mut world = World::new();
    world.transmit = false;
    world.up(ebgp(1));
    for n in 0..20 {
        announce(&mut world, 1, 65100 + n, &prefixes(2000)[n as usize * 100..][..100]);
    }
    let slow = world.up(RibPeer { transmit_window: 600, ..ebgp(3) });
    while world.told(slow).routes.len() < 2000 {
        assert!(!world.told(slow).end_of_rib.contains(&V4));
        let bytes = world.told(slow).pending;
        assert!(bytes > 0, "stuck at {}", world.told(slow).routes.len());
        world.event(RibEvent::Transmitted { peer: slow, bytes });
    }
    world.flush();
    assert!(world.told(slow).end_of_rib.contains(&V4));
}

/// What stood for a peer that was behind is given back when it leaves.
#[test]
fn numbers_are_freed_when_the_peer_that_lagged_leaves() {
    let mut world = World::new();
    world.transmit = false;
    world.up(ebgp(1));
    let slow = world.up(RibPeer { transmit_window: 1, ..ebgp(3) });
    announce(&mut world, 1, 65001, &prefixes(50));
    world.flush();
    announce(&mut world, 1, 65002, &prefixes(1));
    assert!(world.told(slow).pending > 0);
    world.down(peer_id(1), None);
    assert_eq!(world.rib.summary().families[0].prefixes, 0);
    world.down(slow, None);
    assert_eq!(world.rib.summary().attribute_sets, 0);
    let summary = world.rib.summary();
    assert_eq!((summary.families[0].prefixes, summary.groups.len()), (0, 0));
}

/// Nothing is left of routes, attributes, next hops and groups when everybody is gone.
#[test]
fn everything_is_given_back() {
    let mut world = World::new();
    for (index, kind) in [(1, PeerKind::Ebgp), (2, PeerKind::Ibgp), (3, PeerKind::Ebgp)] {
        world.up(peer(index, kind));
    }
    announce(&mut world, 1, 65001, &prefixes(300));
    announce(&mut world, 3, 65003, &prefixes(300));
    world.originate(&[("10.9.0.0/26", 100), ("2001:db8:9::/64", 100)]);
    world.originate(&[]);
    for index in 1..4 {
        world.down(peer_id(index), None);
    }
    let summary = world.rib.summary();
    assert_eq!(summary.attribute_sets, 0);
    assert_eq!(summary.groups, []);
    assert!(summary.families.iter().all(|family| (family.prefixes, family.paths, family.best) == (0, 0, 0)));
    assert!(world.tracked.is_empty() && world.loc.is_empty());
}

#[test]
fn a_next_hop_is_tracked_once_and_decides_only_those_that_use_it() {
    let mut world = World::new();
    world.resolve = false;
    world.up(ebgp(1));
    announce(&mut world, 1, 65001, &prefixes(100));
    announce(&mut world, 1, 65002, &prefixes(200)[100..]);
    assert_eq!(world.tracked.len(), 1, "one next hop, two attribute sets");
    assert!(world.loc.is_empty(), "pending is not usable");
    world.next_hop("10.0.0.1", NextHopStatus::Reachable { metric: 0 });
    assert_eq!(world.loc.len(), 200);
    world.next_hop("10.0.0.1", NextHopStatus::Reachable { metric: 0 });
    assert_eq!(world.log, Vec::<String>::new());
    world.next_hop("10.0.0.1", NextHopStatus::Unreachable { reason: "gone".into() });
    assert!(world.loc.is_empty());
    world.next_hop("10.0.0.1", NextHopStatus::Reachable { metric: 3 });
    assert_eq!(world.loc.len(), 200);
    world.down(peer_id(1), None);
    assert_eq!(world.log.last().unwrap(), "best 10.0.0.199/32 0");
    assert!(world.tracked.is_empty());
}

/// More prefixes than are listed one by one wait for the first word about their next hop.
#[test]
fn any_number_of_prefixes_waits_for_a_next_hop() {
    let mut world = World::new();
    world.resolve = false;
    world.up(ebgp(1));
    announce(&mut world, 1, 65001, &prefixes(10_000));
    world.next_hop("10.0.0.1", NextHopStatus::Reachable { metric: 0 });
    assert_eq!(world.loc.len(), 10_000);
}

/// A withdrawal that is in the same message as an announcement comes first (RFC 4271 §4.3).
#[test]
fn withdrawals_come_before_announcements_of_one_update() {
    let mut world = World::new();
    world.up(ebgp(1));
    let mut update = reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16"]);
    update.unreach = unreach(&["10.1.0.0/16", "10.2.0.0/16"]).unreach;
    world.update(peer_id(1), update);
    assert_eq!(world.loc.len(), 1);
}

/// The same events give the same effects, byte by byte.
#[test]
fn the_same_events_give_the_same_effects() {
    let run = || {
        let mut world = World::new();
        world.up(ebgp(1));
        for index in 2..9 {
            world.up(if index % 2 == 0 { ibgp(index) } else { ebgp(index) });
        }
        let mut sent = Vec::new();
        for asn in 0..5 {
            announce(&mut world, 1 + asn as u8, 65001 + asn, &prefixes(700));
            sent.extend(std::mem::take(&mut world.sent));
        }
        world.down(peer_id(1), None);
        sent.extend(std::mem::take(&mut world.sent));
        (sent, world.log.clone())
    };
    assert_eq!(run(), run());
}

/// The RIB takes what its queue holds before it works, so a session may come up in the same turn as routes.
#[test]
fn routes_that_come_in_the_turn_of_a_session_reach_it() {
    let mut world = World::new();
    for index in [1, 2] {
        world.feed(RibEvent::PeerUp(Box::new(ebgp(index))));
    }
    let route = |prefix| OriginatedRoute { prefix: net(prefix), local_pref: 100 };
    world.feed(RibEvent::Originate(vec![route("10.1.0.0/16"), route("2001:db8:1::/48")]));
    world.drain();
    assert_eq!(world.told(peer_id(2)).routes.len(), 2, "{:?}", world.log);
}
