//! What the CLI and the metrics see, and in which form.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use bgp::rib::snapshot::{PathUsage, PeerState, RouteSelection};
use bgp::rib::{LossReason, RibConfig, RibEvent, RibPeer};
use bgp::wire::{Community, PathAttributes};
use rib_support::*;

#[test]
fn a_route_says_why_each_path_lost() {
    let mut world = World::new();
    world.event(RibEvent::Configure(RibConfig { decision: multipath(2), ..config() }));
    for index in 1..5 {
        world.up(ebgp(index));
    }
    for (index, asns) in [(1, &[65001][..]), (2, &[65002]), (3, &[65003, 65009]), (4, &[LOCAL_AS.0])] {
        let update = reach(&via(&format!("10.0.0.{index}"), asns), &["10.1.0.0/16"]);
        world.update(peer_id(index), update);
    }
    world.now += std::time::Duration::from_secs(7);
    world.event(RibEvent::Deadline);
    let usages = world.usages("10.1.0.0/16");
    let reason = |reason| PathUsage::Lost { reason, to: "peer1".to_owned(), not_multipath: None };
    assert_eq!(usages[0], ("peer1".to_owned(), PathUsage::Best));
    assert_eq!(usages[1], ("peer2".to_owned(), PathUsage::Multipath { reason: LossReason::NotOldest }));
    assert_eq!(usages[2], ("peer3".to_owned(), reason(LossReason::AsPathLength)));
    assert!(matches!(usages[3].1, PathUsage::Ineligible { .. }));
    assert_eq!(world.route("10.1.0.0/16").paths[0].age_secs, 7);
}

#[test]
fn the_schema_is_stable() {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    let attributes = PathAttributes {
        med: Some(5),
        communities: vec![Community::new(65001, 7), Community::NO_EXPORT],
        ..via("10.0.0.1", &[65001, 65002])
    };
    world.update(from, reach(&attributes, &["10.1.0.0/16"]));
    let expected = r#"{"prefix":"10.1.0.0/16","paths":[{"source":"peer1","peer":{"index":1,"generation":0},
        "peer_address":"10.0.0.1","kind":"ebgp","path_id":0,"usage":{"state":"best"},"stale":false,"age_secs":0,
        "next_hop":"10.0.0.1","as_path":"65001 65002","origin":"igp","local_pref":null,"med":5,
        "communities":["65001:7","no-export"],"extended_communities":[],"large_communities":[],
        "originator_id":null,"cluster_list":[],"only_to_customer":null}]}"#;
    let actual = serde_json::to_value(world.route("10.1.0.0/16")).unwrap();
    assert_eq!(actual, serde_json::from_str::<serde_json::Value>(expected).unwrap());

    let summary = serde_json::to_value(world.rib.summary()).unwrap();
    let expected = r#"{"in_sync":false,"families":[
        {"family":"ipv4-unicast","prefixes":1,"paths":1,"best":1,"originated":0},
        {"family":"ipv6-unicast","prefixes":0,"paths":0,"best":0,"originated":0}],
        "attribute_sets":1,"pending_next_hops":0,"groups":[{"group":0,"members":["peer1"],"in_step":1}]}"#;
    assert_eq!(summary, serde_json::from_str::<serde_json::Value>(expected).unwrap());

    let peers = serde_json::to_value(world.rib.peers()).unwrap();
    let expected = r#"[{"peer":{"index":1,"generation":0},"name":"peer1","address":"10.0.0.1","state":"up",
        "group":0,"pending_bytes":0,"families":[
        {"family":"ipv4-unicast","received":1,"eligible":1,"best":1,"stale":0,"end_of_rib":false,
         "advertised":0,"behind":0},
        {"family":"ipv6-unicast","received":0,"eligible":0,"best":0,"stale":0,"end_of_rib":false,
         "advertised":0,"behind":0}]}]"#;
    assert_eq!(peers, serde_json::from_str::<serde_json::Value>(expected).unwrap());
}

#[test]
fn lists_come_in_pages_and_in_order() {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    let to = world.up(ebgp(2));
    let prefixes = ["10.3.0.0/16", "0.0.0.0/0", "10.1.0.0/16", "10.1.0.0/24", "192.0.2.0/24"];
    world.update(from, reach(&via("10.0.0.1", &[65001]), &prefixes));
    world.update(from, reach(&via("2001:db8::1", &[65001]), &["2001:db8:2::/48", "::/0"]));
    world.originate(&[("10.2.0.0/16", 100)]);
    let all = [
        "0.0.0.0/0",
        "10.1.0.0/16",
        "10.1.0.0/24",
        "10.2.0.0/16",
        "10.3.0.0/16",
        "192.0.2.0/24",
        "::/0",
        "2001:db8:2::/48",
    ];
    for limit in 1..10 {
        let (mut routes, mut received, mut advertised) = (Vec::new(), Vec::new(), Vec::new());
        let mut after = None;
        loop {
            let page = world.rib.routes(&RouteSelection::All { after }, limit);
            assert!(page.routes.len() == limit || page.next.is_none());
            routes.extend(page.routes.into_iter().map(|route| route.prefix.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = world.rib.received(from, after, limit);
            received.extend(page.routes.into_iter().map(|route| route.prefix.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = world.rib.advertised(to, after, limit);
            advertised.extend(page.routes.into_iter().map(|route| route.prefix.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(routes, all, "pages of {limit}");
        assert_eq!(advertised, all);
        let learned: Vec<_> = all.into_iter().filter(|prefix| *prefix != "10.2.0.0/16").collect();
        assert_eq!(received, learned);
    }
    assert_eq!(world.rib.advertised(from, None, 9).routes.len(), 1, "only what it did not send itself");
    assert_eq!(world.rib.received(peer_id(77), None, 9).routes, []);
}

#[test]
fn the_longest_match_is_the_route_that_packets_take() {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    world.update(from, reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16", "0.0.0.0/0"]));
    world.update(from, reach(&via("10.0.0.1", &[LOCAL_AS.0]), &["10.1.1.0/24"]));
    let longest = |prefix| {
        let page = world.rib.routes(&RouteSelection::LongestMatch(net(prefix)), 1);
        page.routes.first().map(|route| route.prefix.to_string())
    };
    assert_eq!(longest("10.1.1.1/32").unwrap(), "10.1.0.0/16", "the longer one is not usable");
    assert_eq!(longest("10.2.0.1/32").unwrap(), "0.0.0.0/0");
    assert_eq!(longest("2001:db8::1/128"), None);
}

#[test]
fn peers_are_counted_in_every_state() {
    let mut world = World::new();
    world.transmit = false;
    let one = world.up(with_restart(ebgp(1)));
    world.up(RibPeer { transmit_window: 1, ..ebgp(2) });
    world.flush();
    world.update(one, reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
    world.update(one, reach(&via("10.0.0.1", &[65001]), &["10.2.0.0/16"]));
    let peers = world.rib.peers();
    let (first, second) = (&peers[0].families[0], &peers[1].families[0]);
    assert_eq!((first.received, first.eligible, first.best, first.advertised), (2, 2, 2, 0));
    assert_eq!((second.advertised, second.behind), (1, 1));
    assert_eq!(peers[1].pending_bytes, world.told(peer_id(2)).pending);
    assert_eq!(world.rib.advertised(peer_id(2), None, 9).routes.len(), 1);
    world.down(one, retain(&[V4]));
    let peers = world.rib.peers();
    assert_eq!(peers[0].state, PeerState::Retained);
    assert_eq!((peers[0].group, peers[0].families[0].stale), (None, 2));
    world.down(one, None);
    assert_eq!(world.rib.peers()[0].state, PeerState::Down);
}

/// RFC 4271 §6.3: what is semantically incorrect is ignored, the rest of the message counts.
#[test]
fn prefixes_that_are_no_unicast_destination_are_ignored() {
    let mut world = World::new();
    let from = world.up(ebgp(1));
    let bogus = ["127.0.0.0/8", "127.0.0.1/32", "224.0.0.0/4", "239.1.2.0/24", "0.0.0.0/8", "0.0.0.0/32"];
    let good = ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.1.0.0/16", "169.254.1.0/24", "240.0.0.0/8"];
    world.update(from, reach(&via("10.0.0.1", &[65001]), &[bogus, good].concat()));
    let bogus6 = ["ff00::/8", "ff02::1/128", "fe80::/10", "fe80::1/128", "::1/128", "::/128"];
    let good6 = ["::/0", "2000::/3", "fd00::/8", "64:ff9b::/96"];
    let both = [bogus6.as_slice(), &good6].concat();
    world.update(from, reach(&via("2001:db8::1", &[65001]), &both));
    let mut expected: Vec<_> = good.iter().chain(&good6).map(|text| net(text)).collect();
    expected.sort_unstable();
    assert_eq!(world.loc.keys().copied().collect::<Vec<_>>(), expected);
}
