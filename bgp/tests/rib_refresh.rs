//! Enhanced route refresh (RFC 7313), both ends: what a peer does not send again goes, and what we send again is
//! marked.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod rib_support;

use std::time::Duration;

use bgp::rib::{RibEvent, RibPeer, STALE_PATHS_MAX_SECS};
use bgp::wire::RefreshSubtype::{self, Begin, End};
use bgp::{AfiSafi, PeerId};
use rib_support::*;

fn announce(world: &mut World, peer: PeerId, prefixes: &[&str]) {
    world.update(peer, reach(&via("10.0.0.1", &[65001]), prefixes));
}

fn prefixes(world: &World) -> Vec<String> {
    world.loc.keys().map(ToString::to_string).collect()
}

fn marking(mut peer: RibPeer) -> RibPeer {
    peer.negotiated.enhanced_route_refresh = true;
    peer
}

fn marks(world: &World, peer: PeerId) -> Vec<(AfiSafi, RefreshSubtype)> {
    world.told[&peer].marks.iter().map(|mark| (mark.family, mark.subtype)).collect()
}

#[test]
fn rfc7313_what_was_not_sent_again_goes_at_the_end() {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    announce(&mut world, from, &["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]);
    world.event(RibEvent::RefreshBegan { peer: from, family: V4 });
    assert_eq!(prefixes(&world).len(), 3, "nothing goes before the end");
    assert_eq!(world.rib.peers()[0].families[0].stale, 3);
    announce(&mut world, from, &["10.1.0.0/16", "10.4.0.0/16"]);
    world.update(from, unreach(&["10.3.0.0/16"]));
    world.event(RibEvent::RefreshEnded { peer: from, family: V6 });
    assert_eq!(prefixes(&world), ["10.1.0.0/16", "10.2.0.0/16", "10.4.0.0/16"], "another family");
    world.event(RibEvent::RefreshEnded { peer: from, family: V4 });
    assert_eq!(prefixes(&world), ["10.1.0.0/16", "10.4.0.0/16"]);
    world.event(RibEvent::RefreshEnded { peer: from, family: V4 });
    assert_eq!(prefixes(&world).len(), 2, "an end without a beginning is nothing");
}

/// §4: a second beginning starts anew.
#[test]
fn rfc7313_a_second_beginning_makes_everything_stale_again() {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    announce(&mut world, from, &["10.1.0.0/16", "10.2.0.0/16"]);
    world.event(RibEvent::RefreshBegan { peer: from, family: V4 });
    announce(&mut world, from, &["10.1.0.0/16"]);
    world.event(RibEvent::RefreshBegan { peer: from, family: V4 });
    announce(&mut world, from, &["10.2.0.0/16"]);
    world.event(RibEvent::RefreshEnded { peer: from, family: V4 });
    assert_eq!(prefixes(&world), ["10.2.0.0/16"]);
}

/// §4: the upper bound.
#[test]
fn rfc7313_an_end_that_never_comes_is_bounded() {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    announce(&mut world, from, &["10.1.0.0/16", "10.2.0.0/16"]);
    world.event(RibEvent::RefreshBegan { peer: from, family: V4 });
    announce(&mut world, from, &["10.1.0.0/16"]);
    let deadline = world.rib.next_deadline().unwrap();
    assert_eq!(deadline, world.now + Duration::from_secs(STALE_PATHS_MAX_SECS));
    world.now = deadline;
    world.event(RibEvent::Deadline);
    assert_eq!(prefixes(&world), ["10.1.0.0/16"]);
}

/// §4: a peer that knows graceful restart marks no refresh before its End-of-RIB; if it does, it is not heard.
#[test]
fn rfc7313_a_beginning_before_end_of_rib_is_ignored() {
    let mut world = World::new();
    let from = world.up(with_restart(ebgp(1)));
    announce(&mut world, from, &["10.1.0.0/16"]);
    world.event(RibEvent::RefreshBegan { peer: from, family: V4 });
    world.event(RibEvent::RefreshEnded { peer: from, family: V4 });
    assert_eq!(prefixes(&world), ["10.1.0.0/16"]);
    world.update(from, end_of_rib(V4));
    world.event(RibEvent::RefreshBegan { peer: from, family: V4 });
    world.event(RibEvent::RefreshEnded { peer: from, family: V4 });
    assert!(world.loc.is_empty());
}

/// Beginnings without an end, more than the numbers of sessions can hold.
#[test]
fn beginnings_without_end_neither_lose_nor_keep_what_they_must_not() {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    announce(&mut world, from, &["10.1.0.0/16"]);
    for _ in 0..70_000 {
        world.feed(RibEvent::RefreshBegan { peer: from, family: V4 });
    }
    announce(&mut world, from, &["10.2.0.0/16"]);
    world.event(RibEvent::RefreshEnded { peer: from, family: V4 });
    assert_eq!(prefixes(&world), ["10.2.0.0/16"]);
}

#[test]
fn rfc7313_our_answer_stands_between_its_marks() {
    let mut world = World::new();
    let (from, to) = (world.up(ebgp(1)), world.up(marking(ebgp(2))));
    let plain = world.up(ebgp(3));
    announce(&mut world, from, &["10.1.0.0/16", "10.2.0.0/16"]);
    world.event(RibEvent::Refresh { peer: to, family: V4 });
    assert_eq!(marks(&world, to), [(V4, Begin), (V4, End)]);
    assert_eq!(world.told[&to].routes.len(), 2, "all of it came again");
    world.event(RibEvent::Refresh { peer: to, family: V6 });
    assert_eq!(marks(&world, to)[2..], [(V6, Begin), (V6, End)], "of nothing, too");
    world.event(RibEvent::Refresh { peer: plain, family: V4 });
    assert_eq!(marks(&world, plain), [], "it has not said that it knows them");
}

/// A slow peer: the end waits until everything is out, and changes meanwhile are in it.
#[test]
fn rfc7313_the_end_comes_when_everything_has_been_sent() {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    let to = world.up(RibPeer { transmit_window: 1, ..marking(ebgp(2)) });
    let many: Vec<String> = (0..2000).map(|n| format!("10.{}.{}.0/24", n / 250, n % 250)).collect();
    announce(&mut world, from, &many.iter().map(String::as_str).collect::<Vec<_>>());
    world.transmit = false;
    world.event(RibEvent::Refresh { peer: to, family: V4 });
    assert_eq!(marks(&world, to), [(V4, Begin)]);
    world.update(from, unreach(&["10.0.1.0/24"]));
    announce(&mut world, from, &["10.99.0.0/24"]);
    assert_eq!(marks(&world, to), [(V4, Begin)]);
    while world.told[&to].pending > 0 {
        let bytes = world.told[&to].pending;
        world.event(RibEvent::Transmitted { peer: to, bytes });
    }
    assert_eq!(marks(&world, to), [(V4, Begin), (V4, End)]);
    assert_eq!(world.told[&to].routes.len(), 2000);
    assert!(world.held(to, "10.0.1.0/24").is_none() && world.held(to, "10.99.0.0/24").is_some());
}
