//! What leaves towards whom, and in what form: RFC 4271 §5.1 and §9.2, RFC 1997, RFC 4456.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use bgp::peer::NextHopMode;
use bgp::rib::snapshot::PathUsage;
use bgp::rib::{ExportAction, ExportPolicy, ExportRule, Ineligible, RibConfig, RibEvent, RibPeer};
use bgp::wire::{Aggregator, Community, NextHop, Origin, PathAttributes, RawAttribute};
use bgp::{Asn, ClusterId, RouterId};
use rib_support::*;

fn full(hop: &str, asns: &[u32]) -> PathAttributes {
    PathAttributes {
        origin: Origin::Incomplete,
        med: Some(7),
        local_pref: Some(300),
        atomic_aggregate: true,
        aggregator: Some(Aggregator { asn: Asn(65001), router_id: RouterId([9, 9, 9, 9].into()) }),
        communities: vec![Community::new(65001, 1)],
        unknown: vec![RawAttribute { flags: 0xe0, code: 200, value: vec![1, 2].into() }],
        ..via(hop, asns)
    }
}

#[test]
fn towards_external_peers() {
    let mut world = World::new();
    let (from, to) = (world.up(ibgp(1)), world.up(ebgp(2)));
    world.update(from, reach(&full("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
    world.originate(&[("10.9.0.0/26", 2_147_482_623)]);

    let learned = PathAttributes { med: None, local_pref: None, ..full("10.255.0.1", &[LOCAL_AS.0, 65001]) };
    assert_eq!(world.held(to, "10.1.0.0/16"), Some(&learned));
    assert_eq!(world.held(to, "10.9.0.0/26"), Some(&via("10.255.0.1", &[LOCAL_AS.0])));
}

#[test]
fn towards_internal_peers() {
    let mut world = World::new();
    let (from, to) = (world.up(ebgp(1)), world.up(ibgp(2)));
    world.update(from, reach(&full("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
    world.originate(&[("10.9.0.0/26", 2_147_482_623)]);

    // LOCAL_PREF from an external peer does not count (§5.1.5); MED and next hop stay (§5.1.3, §5.1.4).
    let learned = PathAttributes { local_pref: Some(100), ..full("10.0.0.1", &[65001]) };
    assert_eq!(world.held(to, "10.1.0.0/16"), Some(&learned));
    let own = PathAttributes { local_pref: Some(2_147_482_623), ..via("10.255.0.1", &[]) };
    assert_eq!(world.held(to, "10.9.0.0/26"), Some(&own));
}

#[test]
fn next_hop_modes() {
    let mut world = World::new();
    let mode = |peer: RibPeer, next_hop_mode| RibPeer { next_hop_mode, ..peer };
    let from = world.up(ebgp(1));
    let keep = world.up(mode(ebgp(2), NextHopMode::Keep));
    let own = world.up(mode(ibgp(3), NextHopMode::SelfAddress));
    world.update(from, reach(&via("10.0.0.9", &[65001]), &["10.1.0.0/16"]));
    world.originate(&[("10.9.0.0/26", 100)]);
    let hop = |peer, prefix| world.held(peer, prefix).unwrap().next_hop;
    assert_eq!(hop(keep, "10.1.0.0/16"), Some(next_hop("10.0.0.9")));
    assert_eq!(hop(own, "10.1.0.0/16"), Some(next_hop("10.255.0.1")));
    assert_eq!(hop(keep, "10.9.0.0/26"), Some(next_hop("10.255.0.1")), "our own has no other");
}

/// RFC 2545 §3: link-local addresses are for the shared link only.
#[test]
fn ipv6_next_hops_are_global() {
    let mut world = World::new();
    let (from, to) = (world.up(ebgp(1)), world.up(ibgp(2)));
    let without = world.up(RibPeer { next_hop_v6: None, ..ebgp(3) });
    let both = NextHop::V6 { global: v6("2001:db8::1"), link_local: Some(v6("fe80::1")) };
    let attributes = PathAttributes { next_hop: Some(both), ..via("::", &[65001]) };
    world.update(from, reach(&attributes, &["2001:db8:1::/48"]));
    world.update(from, reach(&via("fe80::1", &[65001]), &["2001:db8:2::/48"]));
    world.originate(&[("2001:db8:9::/64", 100)]);
    let hop = |prefix| world.held(to, prefix).and_then(|attributes| attributes.next_hop);
    assert_eq!(hop("2001:db8:1::/48"), Some(next_hop("2001:db8::1")));
    assert_eq!(hop("2001:db8:2::/48"), Some(next_hop("2001:db8:ff::1")), "we are on that link");
    assert_eq!(hop("2001:db8:9::/64"), Some(next_hop("2001:db8:ff::1")));
    assert!(world.told(without).routes.is_empty(), "it has no address of ours to send packets to");
}

#[test]
fn a_route_does_not_go_back_and_the_second_best_does_not_leave() {
    let mut world = World::new();
    let (one, two, three) = (world.up(ebgp(1)), world.up(ebgp(2)), world.up(ebgp(3)));
    world.update(one, reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
    world.update(two, reach(&via("10.0.0.2", &[65002, 65009]), &["10.1.0.0/16"]));
    assert_eq!(world.held(one, "10.1.0.0/16"), None);
    assert_eq!(world.held(two, "10.1.0.0/16").unwrap().as_path, as_path(&[LOCAL_AS.0, 65001]));
    assert_eq!(world.held(three, "10.1.0.0/16").unwrap().as_path, as_path(&[LOCAL_AS.0, 65001]));

    // The best moves to the other: each learns the other's, and the new source loses the old one.
    world.update(one, unreach(&["10.1.0.0/16"]));
    assert_eq!(world.held(one, "10.1.0.0/16").unwrap().as_path, as_path(&[LOCAL_AS.0, 65002, 65009]));
    assert_eq!(world.held(two, "10.1.0.0/16"), None);
    assert_eq!(world.held(three, "10.1.0.0/16").unwrap().as_path, as_path(&[LOCAL_AS.0, 65002, 65009]));
}

/// When only the source changes, everybody else is left alone.
#[test]
fn an_equal_route_from_another_source_concerns_the_two_sources_only() {
    let mut world = World::new();
    let (one, two, three) = (world.up(ebgp(1)), world.up(ebgp(2)), world.up(ebgp(3)));
    world.update(two, reach(&via("10.0.0.9", &[65001]), &["10.1.0.0/16"]));
    let before = world.told(three).messages;
    world.update(one, reach(&via("10.0.0.9", &[65001]), &["10.1.0.0/16"]));
    assert_eq!(world.best("10.1.0.0/16").unwrap(), "peer2", "RFC 5004");
    world.update(two, unreach(&["10.1.0.0/16"]));
    assert_eq!(world.best("10.1.0.0/16").unwrap(), "peer1");
    assert!(world.held(two, "10.1.0.0/16").is_some());
    assert_eq!(world.held(one, "10.1.0.0/16"), None);
    assert_eq!(world.told(three).messages, before);
}

#[test]
fn well_known_communities() {
    let mut world = World::new();
    let (from, external, internal) = (world.up(ebgp(1)), world.up(ebgp(2)), world.up(ibgp(3)));
    let with = |community| PathAttributes { communities: vec![community], ..via("10.0.0.1", &[65001]) };
    world.update(from, reach(&with(Community::NO_EXPORT), &["10.1.0.0/16"]));
    world.update(from, reach(&with(Community::NO_EXPORT_SUBCONFED), &["10.2.0.0/16"]));
    world.update(from, reach(&with(Community::NO_ADVERTISE), &["10.3.0.0/16"]));
    world.update(from, reach(&with(Community::NO_PEER), &["10.4.0.0/16"]));
    let held = |peer| world.told(peer).routes.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(held(external), ["10.4.0.0/16"]);
    assert_eq!(held(internal), ["10.1.0.0/16", "10.2.0.0/16", "10.4.0.0/16"]);
    assert_eq!(world.loc.len(), 4, "all are used");
}

/// RFC 4456 §6: from whom to whom.
#[test]
fn reflection_matrix() {
    let sources = [("own", None), ("external", Some(1)), ("client", Some(4)), ("non-client", Some(2))];
    let expected = [
        ("own", [true, true, true]),
        ("external", [true, true, true]),
        ("client", [true, true, true]),
        ("non-client", [true, true, false]),
    ];
    for ((name, source), (_, reaches)) in sources.into_iter().zip(expected) {
        let mut world = World::new();
        for peer in [ebgp(1), ibgp(2), ibgp(3), client(4, 1), client(5, 1), ebgp(6)] {
            world.up(peer);
        }
        match source {
            None => world.originate(&[("10.1.0.0/16", 100)]),
            Some(index) => world.update(peer_id(index), reach(&via("10.0.0.9", &[]), &["10.1.0.0/16"])),
        }
        let held = [6, 5, 3].map(|peer| world.held(peer_id(peer), "10.1.0.0/16").is_some());
        assert_eq!(held, reaches, "{name} to external, client, non-client");
    }
}

/// RFC 4456 §8.
#[test]
fn a_reflected_route_carries_originator_and_cluster() {
    let mut world = World::new();
    let cluster = |n| ClusterId([1, 1, 1, n].into());
    let (from, plain, other) = (world.up(client(1, 1)), world.up(ibgp(2)), world.up(client(3, 2)));
    world.update(from, reach(&via("10.0.0.1", &[]), &["10.1.0.0/16"]));
    let reflected = PathAttributes {
        local_pref: Some(100),
        originator_id: Some(RouterId([10, 0, 0, 1].into())),
        cluster_list: vec![cluster(1)],
        ..via("10.0.0.1", &[])
    };
    assert_eq!(world.held(plain, "10.1.0.0/16"), Some(&reflected));
    let through_both = PathAttributes { cluster_list: vec![cluster(2), cluster(1)], ..reflected.clone() };
    assert_eq!(world.held(other, "10.1.0.0/16"), Some(&through_both));

    // An originator that is there already stays, and so do the clusters behind ours.
    let far = PathAttributes {
        originator_id: Some(RouterId([7, 7, 7, 7].into())),
        cluster_list: vec![cluster(9)],
        ..via("10.0.0.1", &[])
    };
    world.update(from, reach(&far, &["10.1.0.0/16"]));
    let held = world.held(plain, "10.1.0.0/16").unwrap();
    assert_eq!(held.originator_id, far.originator_id);
    assert_eq!(held.cluster_list, [cluster(1), cluster(9)]);
}

#[test]
fn loops_stay_visible_with_their_reason() {
    let mut world = World::new();
    let (external, internal) = (world.up(ebgp(1)), world.up(client(2, 1)));
    let reason = |world: &World, prefix| match &world.usages(prefix)[..] {
        [(_, PathUsage::Ineligible { reason })] => reason.clone(),
        other => panic!("{other:?}"),
    };
    world.update(external, reach(&via("10.0.0.1", &[65001, LOCAL_AS.0]), &["10.1.0.0/16"]));
    assert_eq!(reason(&world, "10.1.0.0/16"), Ineligible::AsLoop);
    let looped = PathAttributes { originator_id: Some(ROUTER_ID), ..via("10.0.0.2", &[]) };
    world.update(internal, reach(&looped, &["10.2.0.0/16"]));
    assert_eq!(reason(&world, "10.2.0.0/16"), Ineligible::OriginatorLoop);
    let looped =
        PathAttributes { cluster_list: vec![ClusterId([1, 1, 1, 1].into())], ..via("10.0.0.2", &[]) };
    world.update(internal, reach(&looped, &["10.3.0.0/16"]));
    assert_eq!(reason(&world, "10.3.0.0/16"), Ineligible::ClusterLoop);
    world.update(external, reach(&via("10.255.0.1", &[65001]), &["10.4.0.0/16"]));
    assert!(matches!(reason(&world, "10.4.0.0/16"), Ineligible::NextHop(_)));
    assert!(world.loc.is_empty());
    assert!(world.told(internal).routes.is_empty());

    // Our own identity changes: what was a loop is none any more.
    let router_id = RouterId([10, 255, 0, 2].into());
    world.event(RibEvent::Configure(RibConfig { router_id, ..config() }));
    assert!(world.best("10.2.0.0/16").is_some());
}

#[test]
fn allowas_in_counts() {
    let mut world = World::new();
    let from = world.up(RibPeer { allow_local_as: 1, ..ebgp(1) });
    world.update(from, reach(&via("10.0.0.1", &[65001, LOCAL_AS.0]), &["10.1.0.0/16"]));
    world.update(from, reach(&via("10.0.0.1", &[65001, LOCAL_AS.0, LOCAL_AS.0]), &["10.2.0.0/16"]));
    assert!(world.best("10.1.0.0/16").is_some());
    assert!(world.best("10.2.0.0/16").is_none());
}

#[test]
fn a_policy_change_sends_only_what_it_changes() {
    let mut world = World::new();
    let (from, to) = (world.up(ebgp(1)), world.up(ebgp(2)));
    world.update(from, reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16", "10.2.0.0/16"]));
    world.originate(&[("10.1.9.0/26", 100)]);
    let rule = |within, own_only, action| ExportRule { within: net(within), own_only, action };
    let policy = |rules| RibConfig {
        export: ExportPolicy { rules, otherwise: ExportAction::Reject, communities: Vec::new() },
        ..config()
    };
    let held = |world: &World| world.told(to).routes.keys().map(ToString::to_string).collect::<Vec<_>>();
    world.event(RibEvent::Configure(policy(vec![rule("10.1.0.0/16", false, ExportAction::Accept)])));
    assert_eq!(held(&world), ["10.1.0.0/16", "10.1.9.0/26"]);
    assert_eq!(world.sent.len(), 1, "one withdrawal: {:?}", world.log);
    world.event(RibEvent::Configure(policy(vec![rule("10.1.0.0/16", true, ExportAction::Accept)])));
    assert_eq!(held(&world), ["10.1.9.0/26"]);
    world.event(RibEvent::Configure(policy(vec![rule("10.1.0.0/16", true, ExportAction::Accept)])));
    assert_eq!(world.log, Vec::<String>::new(), "the same again is nothing");
}

/// Attributes that leave no room for a prefix: the route cannot go on, and what went before is taken back.
#[test]
fn a_route_too_large_to_send_is_withdrawn() {
    let mut world = World::new();
    let (from, to) = (world.up(ebgp(1)), world.up(ebgp(2)));
    world.update(from, reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
    assert!(world.held(to, "10.1.0.0/16").is_some());
    let communities = (0..1100).map(|value| Community::new(65001, value)).collect();
    let huge = PathAttributes { communities, ..via("10.0.0.1", &[65001]) };
    world.update(from, reach(&huge, &["10.1.0.0/16"]));
    assert_eq!(world.held(to, "10.1.0.0/16"), None);
    assert_eq!(world.rib.advertised(to, None, 9).routes, []);
    world.update(from, reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
    assert!(world.held(to, "10.1.0.0/16").is_some());
}

#[test]
fn nothing_leaves_before_the_first_configuration() {
    let mut world = World::new();
    world.rib = bgp::rib::Rib::new(world.now);
    let (from, to) = (world.up(ebgp(1)), world.up(ebgp(2)));
    world.update(from, reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
    world.event(RibEvent::Neighbors(vec![from, to]));
    world.pass(bgp::rib::DEFERRAL_MAX_SECS);
    assert_eq!((world.loc.len(), world.told(to).messages, world.in_sync), (1, 0, false));
    world.event(RibEvent::Configure(config()));
    assert_eq!((world.told(to).routes.len(), world.told(to).end_of_rib.len()), (1, 2));
}
