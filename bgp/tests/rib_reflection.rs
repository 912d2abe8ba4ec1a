//! Route reflection (RFC 4456) beyond the basic matrix: clients that are a mesh of their own, reflectors of
//! reflectors, and a peer that becomes a client while its session is up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use bgp::rib::{RibEvent, RibPeer, UpdateRules};
use bgp::{ClusterId, PeerId, RouterId};
use rib_support::*;

const PREFIX: &str = "10.1.0.0/16";

fn meshed(peer: RibPeer) -> RibPeer {
    RibPeer { rules: UpdateRules { is_meshed_client: true, ..UpdateRules::default() }, ..peer }
}

fn cluster(n: u8) -> ClusterId {
    ClusterId([1, 1, 1, n].into())
}

/// Two of each kind. A reflector of another cluster is a client that is not meshed.
fn everybody() -> [(&'static str, RibPeer); 8] {
    [
        ("external", ebgp(1)),
        ("external", ebgp(2)),
        ("non-client", ibgp(3)),
        ("non-client", ibgp(4)),
        ("meshed", meshed(client(5, 1))),
        ("meshed", meshed(client(6, 1))),
        ("client", client(7, 1)),
        ("client", client(8, 1)),
    ]
}

/// RFC 4456 §6, and §5 for clients that are fully meshed: from everybody to everybody.
#[test]
fn rfc4456_the_whole_matrix_with_and_without_client_to_client() {
    for source in 0..8 {
        let mut world = World::new();
        let peers = everybody();
        for (_, peer) in &peers {
            world.up(peer.clone());
        }
        let (from, sender) = &peers[source];
        world.update(sender.peer, reach(&via("10.0.0.9", &[]), &[PREFIX]));
        for (place, (to, receiver)) in peers.iter().enumerate() {
            let expected = place != source
                && match (*from, *to) {
                    ("external", _) | (_, "external") => true,
                    ("non-client", "non-client") | ("meshed", "meshed") => false,
                    _ => true,
                };
            let held = world.held(receiver.peer, PREFIX).is_some();
            assert_eq!(held, expected, "{from} to {to}");
        }
    }
}

/// The mark of a peer that is no client says nothing.
#[test]
fn non_clients_that_are_marked_as_meshed_hear_clients() {
    let mut world = World::new();
    let (from, to) = (world.up(meshed(client(1, 1))), world.up(meshed(ibgp(2))));
    world.update(from, reach(&via("10.0.0.9", &[]), &[PREFIX]));
    assert!(world.held(to, PREFIX).is_some());
}

/// §5: switched off and on again while the sessions are up; the others are not bothered.
#[test]
fn client_to_client_reflection_changes_live() {
    let mut world = World::new();
    let (one, two, plain) = (world.up(client(1, 1)), world.up(client(2, 1)), world.up(ibgp(3)));
    world.update(one, reach(&via("10.0.0.9", &[]), &[PREFIX]));
    world.update(two, reach(&via("10.0.0.8", &[]), &["10.2.0.0/16"]));
    let before = world.told(plain).messages;
    for (is_meshed_client, is_held) in [(true, false), (false, true)] {
        for peer in [one, two] {
            let rules = UpdateRules { is_meshed_client, ..UpdateRules::default() };
            world.event(RibEvent::RulesChanged { peer, rules });
        }
        assert_eq!(world.held(two, PREFIX).is_some(), is_held);
        assert_eq!(world.held(one, "10.2.0.0/16").is_some(), is_held);
        assert!(world.held(plain, PREFIX).is_some());
    }
    assert_eq!(world.told(plain).messages, before);
    assert_eq!(world.told(two).spurious, 0);
}

/// A reflector of a higher level has its own clients and is our client; what it reflected comes back to nobody.
#[test]
fn rfc4456_reflectors_of_reflectors() {
    let mut world = World::new();
    let (above, below) = (world.up(client(1, 1)), world.up(client(2, 1)));
    let from_above = bgp::wire::PathAttributes {
        originator_id: Some(RouterId([7, 7, 7, 7].into())),
        cluster_list: vec![cluster(9), cluster(8)],
        ..via("10.0.0.9", &[])
    };
    world.update(above, reach(&from_above, &[PREFIX]));
    let held = world.held(below, PREFIX).unwrap();
    assert_eq!(held.originator_id, from_above.originator_id, "the first one's stays");
    assert_eq!(held.cluster_list, [cluster(1), cluster(9), cluster(8)], "ours in front");

    let looped = bgp::wire::PathAttributes { cluster_list: vec![cluster(8), cluster(1)], ..from_above };
    world.update(below, reach(&looped, &["10.2.0.0/16"]));
    assert_eq!(world.held(above, "10.2.0.0/16"), None, "it has been here");
}

fn change(world: &mut World, peer: PeerId, client: Option<ClusterId>) {
    world.event(RibEvent::ReflectorClientChanged { peer, client });
}

/// A mesh becomes a star and a mesh again, and nobody is told to forget anything that it still needs.
#[test]
fn peers_become_clients_while_their_sessions_are_up() {
    let mut world = World::new();
    let (one, two, three) = (world.up(ibgp(1)), world.up(ibgp(2)), world.up(ibgp(3)));
    world.originate(&[("10.9.0.0/26", 100)]);
    world.update(one, reach(&via("10.0.0.1", &[]), &[PREFIX]));
    assert_eq!(world.held(two, PREFIX), None, "a mesh");

    change(&mut world, one, Some(cluster(1)));
    assert_eq!(world.held(two, PREFIX).unwrap().cluster_list, [cluster(1)]);
    assert_eq!(world.held(three, PREFIX).unwrap().originator_id, Some(RouterId([10, 0, 0, 1].into())));
    assert!(world.held(one, "10.9.0.0/26").is_some());
    change(&mut world, two, Some(cluster(1)));
    world.update(two, reach(&via("10.0.0.2", &[]), &["10.2.0.0/16"]));
    assert!(world.held(one, "10.2.0.0/16").is_some() && world.held(three, "10.2.0.0/16").is_some());

    // What carries our cluster is a loop from now on.
    let looped = bgp::wire::PathAttributes { cluster_list: vec![cluster(1)], ..via("10.0.0.3", &[]) };
    world.update(three, reach(&looped, &["10.3.0.0/16"]));
    assert_eq!(world.best("10.3.0.0/16"), None);

    change(&mut world, one, None);
    change(&mut world, two, None);
    assert_eq!(world.held(two, PREFIX), None, "and a mesh again");
    assert_eq!(world.held(three, PREFIX), None);
    assert_eq!(world.best("10.3.0.0/16").unwrap(), "peer3", "not our cluster any more");
    assert!([one, two, three].into_iter().all(|peer| world.told(peer).spurious == 0));
}
