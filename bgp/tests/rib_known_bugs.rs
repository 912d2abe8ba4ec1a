//! Bugs that other speakers shipped, and two of ours, each by its name. Where another test holds one already, it is
//! named in docs/rfcs.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use std::sync::Arc;

use bgp::rib::{
    ExportAction, ExportPolicy, ExportRule, Matches, OriginatedRoute, Policy, PolicyRule, PolicyVerdict,
    RibConfig, RibEvent, RibPeer,
};
use bgp::wire::{Aggregator, Community, EncodeContext, LargeCommunity, PathAttributes};
use bgp::{Asn, PeerId, RouterId};
use rib_support::*;

/// Ours: what came between a session's start and the first drain was never sent, where the session was the first
/// of its update group.
#[test]
fn routes_that_come_while_a_group_begins_reach_its_first_member() {
    for transmit in [true, false] {
        let mut world = World::new();
        world.transmit = transmit;
        // An empty table, then one that grows.
        for (index, prefix) in [(4, "10.0.0.0/8"), (5, "10.1.0.0/16")] {
            let mut peer = ibgp(index);
            peer.negotiated.local_as = Asn(64_512 + u32::from(index));
            let id = peer.peer;
            world.feed(RibEvent::PeerUp(Box::new(peer)));
            let route = |prefix: &str| OriginatedRoute { prefix: net(prefix), local_pref: 100 };
            world.feed(RibEvent::Originate(vec![route("10.0.0.0/8"), route(prefix)]));
            world.drain();
            world.flush();
            assert!(world.held(id, "10.0.0.0/8").is_some(), "{index} {transmit} {:?}", world.log);
            assert!(world.held(id, prefix).is_some(), "{index} {transmit} {:?}", world.log);
        }
    }
}

fn rule(verdict: PolicyVerdict) -> PolicyRule {
    PolicyRule { name: "all".to_owned(), matches: Matches::default(), verdict }
}

/// A selection of IPv6 routes that becomes empty is a withdrawal, not silence: by an export policy, by the rules
/// that all share, by our own routes, by a session that goes and by an import policy. IPv4 stays untouched.
#[test]
fn an_ipv6_selection_that_becomes_empty_is_withdrawn() {
    const PREFIX: &str = "2001:db8:1::/48";
    let reject_v6 =
        || Arc::new(Policy { ipv4: Vec::new().into(), ipv6: vec![rule(PolicyVerdict::Reject)].into() });
    let shared = |within: &str| {
        let action = ExportAction::Reject;
        let export = ExportPolicy {
            rules: vec![ExportRule { within: net(within), own_only: false, action }],
            ..ExportPolicy::default()
        };
        RibEvent::Configure(RibConfig { export, ..config() })
    };
    let kept = OriginatedRoute { prefix: net("192.0.2.0/24"), local_pref: 100 };
    let cases: Vec<(&str, RibEvent)> = vec![
        ("import", RibEvent::PolicyChanged { peer: peer_id(1), import: reject_v6(), export: Arc::default() }),
        ("export", RibEvent::PolicyChanged { peer: peer_id(2), import: Arc::default(), export: reject_v6() }),
        ("shared rules", shared("::/0")),
        ("the peer goes", RibEvent::PeerDown { peer: peer_id(1), retain: None }),
        ("the peer is no longer configured", RibEvent::Neighbors(vec![peer_id(2)])),
    ];
    for (name, event) in cases {
        let mut world = World::new();
        let (from, to) = (world.up(ebgp(1)), world.up(ebgp(2)));
        world.event(RibEvent::Originate(vec![kept.clone()]));
        world.update(from, reach(&via("2001:db8::1", &[65001]), &[PREFIX]));
        assert!(world.held(to, PREFIX).is_some(), "{name}");
        world.event(event);
        assert_eq!(world.held(to, PREFIX), None, "{name}");
        assert!(world.held(to, "192.0.2.0/24").is_some(), "{name}");
        assert_eq!(world.told(to).spurious, 0, "{name}");
    }
    let mut world = World::new();
    let to = world.up(ebgp(2));
    let own = OriginatedRoute { prefix: net(PREFIX), local_pref: 100 };
    world.event(RibEvent::Originate(vec![kept.clone(), own]));
    world.event(RibEvent::Originate(vec![kept]));
    assert_eq!(world.told(to).routes.keys().collect::<Vec<_>>(), [&net("192.0.2.0/24")]);
}

/// A number that is used again does not inherit: neither routes, nor policy, nor what is still on its way.
#[test]
fn a_peer_index_that_is_used_again_is_another_peer() {
    let mut world = World::new();
    let watcher = world.up(ebgp(9));
    let reject = Arc::new(Policy { ipv4: vec![rule(PolicyVerdict::Reject)].into(), ipv6: Vec::new().into() });
    let old = world.up(RibPeer { import: Arc::clone(&reject), export: reject, ..ebgp(1) });
    world.update(old, reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
    assert_eq!(world.held(watcher, "10.1.0.0/16"), None);
    world.event(RibEvent::Neighbors(vec![watcher]));

    let new = PeerId { index: old.index, generation: 1 };
    world.up(RibPeer { peer: new, ..ebgp(1) });
    world.update(new, reach(&via("10.0.0.1", &[65001]), &["10.2.0.0/16"]));
    assert!(world.held(watcher, "10.2.0.0/16").is_some(), "the policy of the former owner is gone");
    assert_eq!(world.best("10.1.0.0/16"), None, "so are its routes");

    // What the former owner's task says late is nobody's.
    let late = Box::new(reach(&via("10.0.0.1", &[65001]), &["10.3.0.0/16"]));
    world.rib.handle(RibEvent::Update { peer: old, update: late }, world.now);
    world.rib.handle(RibEvent::Transmitted { peer: old, bytes: 1 << 20 }, world.now);
    world.rib.handle(RibEvent::PeerDown { peer: old, retain: None }, world.now);
    world.drain();
    assert_eq!(world.best("10.3.0.0/16"), None);
    assert!(world.held(watcher, "10.2.0.0/16").is_some(), "the new owner's session is not over");
    assert_eq!(world.told(new).spurious, 0);
}

/// Nothing of a neighbor that is no longer configured is waited for.
#[test]
fn no_deadline_outlives_a_peer() {
    let mut world = World::new();
    let peer = world.up(with_restart(ebgp(1)));
    world.update(peer, reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
    world.pass(bgp::rib::DEFERRAL_MAX_SECS + bgp::rib::QUIET_SECS);
    world.down(peer, retain(&[V4]));
    assert!(world.rib.next_deadline().is_some(), "its routes are kept for a while");
    world.event(RibEvent::Neighbors(Vec::new()));
    assert_eq!(world.rib.next_deadline(), None);
    assert!(world.loc.is_empty());
}

/// Numbers of four octets in every place that has one, towards a peer that knows them and one that does not.
#[test]
fn as_numbers_of_four_octets_go_everywhere() {
    const LARGE: Asn = Asn(4_200_000_001);
    let mut world = World::new();
    let from = world.up(ebgp(1));
    let knows = world.up(RibPeer { peer: peer_id(2), ..with_local_as(ebgp(2), LARGE) });
    let mut two_octet = with_local_as(ebgp(3), LARGE);
    two_octet.negotiated.encode = EncodeContext { four_octet_as: false, ..EncodeContext::default() };
    let two_octet = world.up(two_octet);
    let attributes = PathAttributes {
        aggregator: Some(Aggregator { asn: LARGE, router_id: RouterId([192, 0, 2, 1].into()) }),
        large_communities: vec![LargeCommunity { global: LARGE.0, local1: 1, local2: 2 }],
        communities: vec![Community(65_001 << 16 | 1)],
        ..via("10.0.0.1", &[65_001, LARGE.0 - 1, 70_000])
    };
    world.update(from, reach(&attributes, &["10.1.0.0/16"]));
    for peer in [knows, two_octet] {
        // What the two-octet peer keeps was rebuilt from AS4_PATH and AS4_AGGREGATOR.
        let held = world.held(peer, "10.1.0.0/16").unwrap();
        assert_eq!(held.as_path.to_string(), "4200000001 65001 4200000000 70000", "{peer}");
        assert_eq!(held.aggregator, attributes.aggregator, "{peer}");
        assert_eq!(held.large_communities, attributes.large_communities, "{peer}");
    }
    // allowas-in and the loop check compare all four octets: 23456 is nobody's loop, nor are the low two octets.
    let mut own = with_local_as(ebgp(4), LARGE);
    own.negotiated.decode.four_octet_as = true;
    let own = world.up(own);
    let low = LARGE.0 & 0xffff;
    world.update(own, reach(&via("10.0.0.1", &[65_004, low, 23_456]), &["10.4.0.0/16"]));
    world.update(own, reach(&via("10.0.0.1", &[65_004, LARGE.0]), &["10.5.0.0/16"]));
    assert!(world.best("10.4.0.0/16").is_some());
    assert_eq!(world.best("10.5.0.0/16"), None, "a loop");
}

fn with_local_as(mut peer: RibPeer, asn: Asn) -> RibPeer {
    peer.negotiated.local_as = asn;
    peer
}

/// A hundred prefixes with equal attributes are one message, not a hundred, in both families; so are their
/// withdrawals.
#[test]
fn a_hundred_prefixes_with_equal_attributes_are_one_message() {
    let v4: Vec<String> = (0..100).map(|n| format!("10.0.{n}.0/24")).collect();
    let v6: Vec<String> = (0..100).map(|n| format!("2001:db8:{n}::/48")).collect();
    for (prefixes, next_hop) in [(v4, "10.0.0.1"), (v6, "2001:db8::1")] {
        let mut world = World::new();
        let (from, to) = (world.up(ebgp(1)), world.up(ebgp(2)));
        let before = world.told(to).messages;
        for prefix in &prefixes {
            let update = Box::new(reach(&via(next_hop, &[65001]), &[prefix]));
            world.feed(RibEvent::Update { peer: from, update });
        }
        world.drain();
        assert_eq!((world.told(to).routes.len(), world.told(to).messages - before), (100, 1), "{next_hop}");
        for prefix in &prefixes {
            world.feed(RibEvent::Update { peer: from, update: Box::new(unreach(&[prefix])) });
        }
        world.drain();
        assert_eq!((world.told(to).routes.len(), world.told(to).messages - before), (0, 2), "{next_hop}");
    }
}
