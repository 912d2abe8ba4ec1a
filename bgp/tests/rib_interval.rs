//! MinRouteAdvertisementInterval (RFC 4271 §9.2.1.1) under a virtual clock: what one peer is told, and when.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod rib_support;

use std::sync::Arc;

use bgp::rib::{Matches, Policy, PolicyRule, PolicyVerdict, PrefixMatch, RibEvent, RibPeer};
use rib_support::*;

fn paced(index: u8, secs: u16) -> RibPeer {
    RibPeer { advertisement_interval_secs: secs, ..ebgp(index) }
}

/// One peer announces, one is told at once, one every five seconds at most.
fn world() -> (World, bgp::PeerId, bgp::PeerId) {
    let mut world = World::new();
    world.up(ebgp(1));
    let (quick, slow) = (world.up(ebgp(2)), world.up(paced(3, 5)));
    assert_eq!(world.rib.summary().groups.len(), 1, "an interval is one member's, not its group's");
    (world, quick, slow)
}

fn announce(world: &mut World, med: u32, prefix: &str) {
    let mut attributes = via("10.0.0.1", &[65001, 65100 + med]);
    attributes.med = Some(med);
    world.update(peer_id(1), reach(&attributes, &[prefix]));
}

fn as_paths(world: &World, peer: bgp::PeerId, prefix: &str) -> Option<String> {
    world.held(peer, prefix).map(|attributes| attributes.as_path.to_string())
}

#[test]
fn rfc4271_9_2_1_1_the_first_goes_at_once_and_the_rest_together_when_the_interval_is_over() {
    let (mut world, quick, slow) = world();
    announce(&mut world, 0, "192.0.2.0/24");
    assert!(world.held(slow, "192.0.2.0/24").is_some(), "nothing to wait for");
    let before = world.told(slow).messages;
    for med in 1..10 {
        announce(&mut world, med, "192.0.2.0/24");
        announce(&mut world, med, "198.51.100.0/24");
        assert_eq!(as_paths(&world, slow, "192.0.2.0/24").unwrap(), "64512 65001 65100", "held back");
        assert!(world.held(slow, "198.51.100.0/24").is_none());
    }
    assert_eq!(as_paths(&world, quick, "192.0.2.0/24").unwrap(), "64512 65001 65109");
    world.pass(4);
    assert_eq!(world.told(slow).messages, before);
    world.pass(1);
    assert_eq!(world.told(slow).routes, world.told(quick).routes, "the last state");
    assert_eq!(world.told(slow).messages, before + 1, "in one message");

    // And from there again.
    announce(&mut world, 0, "192.0.2.0/24");
    assert_ne!(world.told(slow).routes, world.told(quick).routes);
    world.pass(5);
    assert_eq!(world.told(slow).routes, world.told(quick).routes);
    // Nothing was told for longer than the interval: nothing waits.
    world.pass(6);
    announce(&mut world, 1, "192.0.2.0/24");
    assert_eq!(world.told(slow).routes, world.told(quick).routes);
}

#[test]
fn rfc4271_9_2_1_1_withdrawals_do_not_wait() {
    let (mut world, _, slow) = world();
    announce(&mut world, 0, "192.0.2.0/24");
    announce(&mut world, 0, "198.51.100.0/24");
    announce(&mut world, 1, "192.0.2.0/24");
    // Told, changed since; told never; and one of which it has been told the last.
    world.update(peer_id(1), unreach(&["192.0.2.0/24", "198.51.100.0/24"]));
    assert!(world.told(slow).routes.is_empty());
    assert_eq!(world.told(slow).spurious, 0, "no withdrawal of what it never had");
    let before = world.told(slow).messages;
    world.pass(6);
    assert_eq!(world.told(slow).messages, before, "and nothing is left to tell");

    announce(&mut world, 0, "192.0.2.0/24");
    world.update(peer_id(1), unreach(&["192.0.2.0/24"]));
    announce(&mut world, 2, "192.0.2.0/24");
    assert!(world.told(slow).routes.is_empty(), "it is announced again no sooner");
    world.pass(5);
    assert_eq!(as_paths(&world, slow, "192.0.2.0/24").unwrap(), "64512 65001 65102");
}

/// The initial routes are one advertisement, however long they take.
#[test]
fn the_initial_routes_are_told_without_a_pause_and_end_with_end_of_rib() {
    let mut world = World::new();
    world.transmit = false;
    world.up(ebgp(1));
    let prefixes: Vec<String> = (0..5000).map(|n| format!("10.{}.{}.0/24", n >> 8, n & 255)).collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    world.update(peer_id(1), reach(&via("10.0.0.1", &[65001]), &prefixes));
    let slow = world.up(RibPeer { transmit_window: 600, ..paced(3, 5) });
    world.flush();
    assert_eq!(world.told(slow).routes.len(), 5000);
    assert_eq!(world.told(slow).end_of_rib.len(), 2);
}

#[test]
fn another_interval_holds_from_the_next_advertisement_and_none_at_once() {
    let (mut world, quick, slow) = world();
    announce(&mut world, 0, "192.0.2.0/24");
    announce(&mut world, 1, "192.0.2.0/24");
    world.event(RibEvent::AdvertisementInterval { peer: slow, secs: 0 });
    assert_eq!(world.told(slow).routes, world.told(quick).routes, "no longer held back");
    announce(&mut world, 2, "192.0.2.0/24");
    assert_eq!(world.told(slow).routes, world.told(quick).routes);
    world.event(RibEvent::AdvertisementInterval { peer: slow, secs: 9 });
    announce(&mut world, 3, "192.0.2.0/24");
    announce(&mut world, 4, "192.0.2.0/24");
    world.pass(8);
    assert_ne!(world.told(slow).routes, world.told(quick).routes);
    world.pass(1);
    assert_eq!(world.told(slow).routes, world.told(quick).routes);
}

/// A peer that asks for everything again is not answered with less.
#[test]
fn a_refresh_waits_for_the_interval_like_everything_else() {
    let (mut world, quick, slow) = world();
    announce(&mut world, 0, "192.0.2.0/24");
    world.told.get_mut(&slow).unwrap().routes.clear();
    world.event(RibEvent::Refresh { peer: slow, family: V4 });
    world.pass(5);
    assert_eq!(world.told(slow).routes, world.told(quick).routes);
}

/// A changed policy takes a route away: that is a withdrawal like any other, though what it lets through waits.
#[test]
fn rfc4271_9_2_1_1_what_another_policy_withdraws_does_not_wait() {
    let (mut world, quick, slow) = world();
    announce(&mut world, 0, "192.0.2.0/24");
    announce(&mut world, 0, "198.51.100.0/24");
    assert!(world.held(slow, "192.0.2.0/24").is_some() && world.held(slow, "198.51.100.0/24").is_none());
    // A new state of the first waits too, and must not come after its withdrawal.
    announce(&mut world, 1, "192.0.2.0/24");
    let rule = PolicyRule {
        name: "no 192.0.2.0/24".to_owned(),
        matches: Matches { prefix: Some(PrefixMatch::Equal(net("192.0.2.0/24"))), ..Matches::default() },
        verdict: PolicyVerdict::Reject,
    };
    let export = Arc::new(Policy { ipv4: vec![rule].into(), ..Policy::default() });
    world.event(RibEvent::PolicyChanged { peer: slow, import: Arc::default(), export: Arc::clone(&export) });
    assert_eq!(world.held(slow, "192.0.2.0/24"), None);
    assert_eq!(world.held(slow, "198.51.100.0/24"), None, "that waits");
    world.pass(5);
    assert_eq!(world.held(slow, "192.0.2.0/24"), None);
    assert_eq!(world.held(slow, "198.51.100.0/24"), world.held(quick, "198.51.100.0/24"));
    assert_eq!(world.told(slow).spurious, 0);
}
