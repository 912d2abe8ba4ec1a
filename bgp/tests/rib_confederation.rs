//! RFC 5065: a member AS of a confederation, between its own AS, other members and the world.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use std::sync::Arc;

use bgp::rib::snapshot::{ExportFate, PathUsage};
use bgp::rib::{
    Confederation, Ineligible, Matches, Policy, PolicyRule, PolicyVerdict, RibEvent, RibPeer, UpdateRules,
    Withheld,
};
use bgp::wire::{AsPath, Community, PathAttributes, Segment};
use bgp::{Asn, ClusterId, PeerKind, RouterId};
use rib_support::*;

const PREFIX: &str = "10.1.0.0/16";
/// What the world sees.
const IDENTIFIER: Asn = Asn(3000);

/// Our own AS, LOCAL_AS, is a member.
fn inside(mut peer: RibPeer, is_member: bool) -> RibPeer {
    peer.rules.confederation = Some(Confederation { identifier: IDENTIFIER, is_member });
    peer
}

fn outside(index: u8) -> RibPeer {
    let mut peer = inside(ebgp(index), false);
    peer.negotiated.local_as = IDENTIFIER;
    peer
}

fn member(index: u8) -> RibPeer {
    inside(peer(index, PeerKind::Confederation), true)
}

fn internal(index: u8) -> RibPeer {
    inside(ibgp(index), true)
}

fn sequence(asns: &[u32]) -> Segment {
    Segment::Sequence(asns.iter().map(|asn| Asn(*asn)).collect())
}

fn confed(asns: &[u32]) -> Segment {
    Segment::ConfedSequence(asns.iter().map(|asn| Asn(*asn)).collect())
}

fn along(segments: &[Segment]) -> PathAttributes {
    PathAttributes { as_path: AsPath(segments.iter().cloned().collect()), ..via("10.0.0.9", &[]) }
}

fn reason(world: &World, prefix: &str) -> Option<Ineligible> {
    match world.usages(prefix).swap_remove(0).1 {
        PathUsage::Ineligible { reason } => Some(reason),
        PathUsage::Best | PathUsage::Multipath { .. } | PathUsage::Lost { .. } => None,
    }
}

/// §4 b and c, §5: what each kind of peer is sent of each kind of source.
#[test]
fn rfc5065_what_goes_to_whom() {
    let mut world = World::new();
    let (from_outside, from_member, from_inside) =
        (world.up(outside(1)), world.up(member(2)), world.up(internal(3)));
    let (to_outside, to_member, to_inside) =
        (world.up(outside(4)), world.up(member(5)), world.up(internal(6)));
    let path = |world: &World, to, prefix| -> Option<String> {
        world.held(to, prefix).map(|attributes| attributes.as_path.to_string())
    };
    world.originate(&[("10.9.0.0/26", 2_147_482_623)]);
    let full = |attributes: PathAttributes| PathAttributes {
        med: Some(7),
        local_pref: Some(300),
        originator_id: Some(RouterId([9, 9, 9, 9].into())),
        cluster_list: vec![ClusterId([8, 8, 8, 8].into())],
        ..attributes
    };
    world.update(from_outside, reach(&full(along(&[sequence(&[65001, 7])])), &["10.1.0.0/16"]));
    world.update(
        from_member,
        reach(&full(along(&[confed(&[65002, 65009]), sequence(&[8])])), &["10.2.0.0/16"]),
    );
    world.update(from_inside, reach(&full(along(&[confed(&[65009]), sequence(&[8])])), &["10.3.0.0/16"]));

    for (prefix, outside, member, inside) in [
        ("10.9.0.0/26", Some("3000"), Some("(64512)"), Some("")),
        ("10.1.0.0/16", Some("3000 65001 7"), Some("(64512) 65001 7"), Some("65001 7")),
        ("10.2.0.0/16", Some("3000 8"), Some("(64512 65002 65009) 8"), Some("(65002 65009) 8")),
        ("10.3.0.0/16", Some("3000 8"), Some("(64512 65009) 8"), None),
    ] {
        for (to, expected) in [(to_outside, outside), (to_member, member), (to_inside, inside)] {
            assert_eq!(path(&world, to, prefix).as_deref(), expected, "{prefix} to {to}");
        }
    }
    let held = |to, prefix| world.held(to, prefix).unwrap();
    // LOCAL_PREF, MED and next hop go from member to member; ORIGINATOR_ID and CLUSTER_LIST are one AS's.
    for prefix in ["10.2.0.0/16", "10.3.0.0/16"] {
        let sent = held(to_member, prefix);
        assert_eq!((sent.local_pref, sent.med), (Some(300), Some(7)), "{prefix}");
        assert_eq!(sent.next_hop, Some(next_hop("10.0.0.9")));
        assert_eq!((sent.originator_id, sent.cluster_list.len()), (None, 0));
        let sent = held(to_outside, prefix);
        assert_eq!((sent.local_pref, sent.med), (None, None), "{prefix}");
        assert_eq!(sent.next_hop, Some(next_hop("10.255.0.1")));
    }
    assert_eq!(held(to_member, "10.1.0.0/16").local_pref, Some(100), "none came from outside");
    assert_eq!(held(to_member, "10.9.0.0/26").local_pref, Some(2_147_482_623));
    assert_eq!(held(to_member, "10.9.0.0/26").next_hop, Some(next_hop("10.255.0.1")), "our own");
    let from_there = held(to_inside, "10.2.0.0/16");
    assert_eq!((from_there.originator_id, from_there.cluster_list.len()), (None, 0));
}

/// §4: our member AS in confederation segments, our identifier outside of them; neither where the other belongs.
#[test]
fn rfc5065_loops() {
    let us = LOCAL_AS.0;
    for (segments, is_loop) in [
        (vec![confed(&[65002]), sequence(&[7])], false),
        (vec![confed(&[65002, us]), sequence(&[7])], true),
        (vec![confed(&[65002]), sequence(&[7, IDENTIFIER.0])], true),
        // Another network may use the number of our member AS, and a member that of our identifier.
        (vec![confed(&[65002]), sequence(&[7, us])], false),
        (vec![confed(&[65002, IDENTIFIER.0]), sequence(&[7])], false),
    ] {
        let mut world = World::new();
        let from = world.up(member(2));
        world.update(from, reach(&along(&segments), &[PREFIX]));
        assert_eq!(reason(&world, PREFIX), is_loop.then_some(Ineligible::AsLoop), "{segments:?}");
    }
    let mut world = World::new();
    let from = world.up(outside(1));
    world.update(from, reach(&via("10.0.0.1", &[65001, IDENTIFIER.0]), &[PREFIX]));
    world.update(from, reach(&via("10.0.0.1", &[65001, us]), &["10.2.0.0/16"]));
    assert_eq!(reason(&world, PREFIX), Some(Ineligible::AsLoop));
    assert_eq!(reason(&world, "10.2.0.0/16"), None);
}

/// §5: from another member AS the path begins with AS_CONFED_SEQUENCE; with whose AS is for enforceFirstAS.
#[test]
fn rfc5065_paths_of_members_begin_inside() {
    for enforce_first_as in [false, true] {
        for (segments, is_refused) in [
            (vec![confed(&[65002])], false),
            (vec![confed(&[65009, 65002])], enforce_first_as),
            (vec![sequence(&[65002])], true),
            (vec![], true),
        ] {
            let mut world = World::new();
            let mut peer = member(2);
            peer.rules = UpdateRules { enforce_first_as, ..peer.rules };
            let from = world.up(peer);
            world.update(from, reach(&along(&segments), &[PREFIX]));
            assert_eq!(reason(&world, PREFIX), is_refused.then_some(Ineligible::FirstAs), "{segments:?}");
        }
    }
}

/// RFC 1997: NO_EXPORT stays in the confederation, NO_EXPORT_SUBCONFED in the member AS.
#[test]
fn rfc1997_well_known_communities_in_a_confederation() {
    for (community, reaches) in [
        (Community::NO_EXPORT, [false, true, true]),
        (Community::NO_EXPORT_SUBCONFED, [false, false, true]),
        (Community::NO_ADVERTISE, [false, false, false]),
    ] {
        let mut world = World::new();
        let from = world.up(outside(1));
        let to = [world.up(outside(2)), world.up(member(3)), world.up(internal(4))];
        let attributes = PathAttributes { communities: vec![community], ..via("10.0.0.1", &[65001]) };
        world.update(from, reach(&attributes, &[PREFIX]));
        assert_eq!(to.map(|to| world.held(to, PREFIX).is_some()), reaches, "{community}");
    }
}

/// §5.3: confederation segments add no length, and a member is no better than an internal peer.
#[test]
fn rfc5065_the_decision_treats_members_as_internal() {
    let mut world = World::new();
    let (from_inside, from_member, from_outside) =
        (world.up(internal(1)), world.up(member(2)), world.up(outside(3)));
    world
        .update(from_member, reach(&along(&[confed(&[65002, 65008, 65009]), sequence(&[65003])]), &[PREFIX]));
    world.update(from_inside, reach(&along(&[sequence(&[65003])]), &[PREFIX]));
    // The lower identifier decides, as the two are alike in everything before.
    assert_eq!(world.best(PREFIX).unwrap(), "peer1");
    world.update(from_outside, reach(&along(&[sequence(&[65003])]), &[PREFIX]));
    assert_eq!(world.best(PREFIX).unwrap(), "peer3", "external before both");
    world.update(from_outside, unreach(&[PREFIX]));
    world.update(from_inside, unreach(&[PREFIX]));
    assert_eq!(world.best(PREFIX).unwrap(), "peer2");
}

/// A filter's `peerType: External` means another AS, in both directions, and another member is one.
#[test]
fn a_filter_takes_another_member_for_an_external_peer() {
    let reject = |kind| {
        let matches = Matches { peer_kind: Some(kind), ..Matches::default() };
        let rule = PolicyRule { name: "by kind".to_owned(), matches, verdict: PolicyVerdict::Reject };
        Arc::new(Policy { ipv4: vec![rule].into(), ..Policy::default() })
    };
    let mut world = World::new();
    let (from, to) = (world.up(member(1)), world.up(member(2)));
    world.update(from, reach(&along(&[confed(&[65001])]), &[PREFIX]));
    let (nothing, external, internal) = (Arc::default(), reject(PeerKind::Ebgp), reject(PeerKind::Ibgp));
    for (policy, is_rejected) in [(&nothing, false), (&external, true), (&internal, false)] {
        let import = (Arc::clone(policy), Arc::clone(&nothing));
        world.event(RibEvent::PolicyChanged { peer: from, import: import.0, export: import.1 });
        assert_eq!(world.best(PREFIX).is_none(), is_rejected, "import {policy:?}");
        if is_rejected {
            assert_eq!(reason(&world, PREFIX), Some(Ineligible::Policy("by kind".to_owned())));
        }
    }
    for (policy, is_rejected) in [(&external, true), (&internal, false)] {
        let export = (Arc::clone(&nothing), Arc::clone(policy));
        world.event(RibEvent::PolicyChanged { peer: to, import: export.0, export: export.1 });
        assert_eq!(world.held(to, PREFIX).is_none(), is_rejected, "export {policy:?}");
    }
}

/// Whatever keeps a route in is named, inside a confederation and without one.
#[test]
fn rfc1997_explanations_name_the_community() {
    for (community, peers) in [
        (Community::NO_EXPORT, vec![ebgp(2), outside(2)]),
        (Community::NO_EXPORT_SUBCONFED, vec![ebgp(2), outside(2), member(2)]),
        (Community::NO_ADVERTISE, vec![ebgp(2), ibgp(2), outside(2), member(2), internal(2)]),
    ] {
        for peer in peers {
            let mut world = World::new();
            let kind = peer.negotiated.kind;
            let from = world.up(internal(1));
            world.up(peer);
            let attributes = PathAttributes { communities: vec![community], ..via("10.0.0.1", &[65001]) };
            world.update(from, reach(&attributes, &[PREFIX]));
            let exports = world.rib.explain(net(PREFIX), false).unwrap().exports;
            let export = exports.iter().find(|export| export.peer == "peer2").unwrap();
            let expected = ExportFate::Withheld { reason: Withheld::Community };
            assert_eq!(export.fate, expected, "{community} {kind}");
        }
    }
}
