//! What is demanded of routes and done to them beside policy: RFC 4271 §6.3, RFC 9774, RFC 6996, RFC 8212,
//! RFC 8326.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use std::sync::Arc;

use bgp::rib::snapshot::{ExportFate, PathUsage, PolicyDirection, RouteSelection, TrialPlace};
use bgp::rib::{
    CommunityValue, Ineligible, Matches, Operation, Policy, PolicyRule, PolicyVerdict, PrivateAs, RibEvent,
    RibPeer, UpdateRules, Withheld,
};
use bgp::wire::{AsPath, Community, PathAttributes, Segment};
use bgp::{Asn, PeerId};
use rib_support::*;

const PREFIX: &str = "10.1.0.0/16";

fn with_rules(peer: RibPeer, rules: UpdateRules) -> RibPeer {
    RibPeer { rules, ..peer }
}

fn asns(asns: &[u32]) -> smallvec::SmallVec<[Asn; 4]> {
    asns.iter().map(|asn| Asn(*asn)).collect()
}

fn along(segments: &[Segment]) -> PathAttributes {
    PathAttributes { as_path: AsPath(segments.iter().cloned().collect()), ..via("10.0.0.1", &[]) }
}

fn refusal(world: &World) -> Option<Ineligible> {
    refusal_of(world, PREFIX)
}

fn change(world: &mut World, peer: PeerId, rules: UpdateRules) {
    world.event(RibEvent::RulesChanged { peer, rules });
}

/// Peer 1 is AS 65001.
#[test]
fn rfc4271_the_leftmost_as_is_the_peers() {
    let enforced = UpdateRules { enforce_first_as: true, ..UpdateRules::default() };
    let cases = [
        (vec![Segment::Sequence(asns(&[65001]))], None),
        (vec![Segment::Sequence(asns(&[65001, 65002]))], None),
        (vec![Segment::Sequence(asns(&[65002, 65001]))], Some(Ineligible::FirstAs)),
        (vec![], Some(Ineligible::FirstAs)),
        (vec![Segment::Set(asns(&[65001]))], Some(Ineligible::FirstAs)),
    ];
    for (segments, expected) in cases {
        let mut world = World::new();
        let from = world.up(with_rules(ebgp(1), enforced));
        world.update(from, reach(&along(&segments), &[PREFIX]));
        assert_eq!(refusal(&world), expected, "{segments:?}");

        // An internal peer's AS stands in no path of its own.
        let mut world = World::new();
        let from = world.up(with_rules(ibgp(1), enforced));
        world.update(from, reach(&along(&segments), &[PREFIX]));
        assert_eq!(refusal(&world), None, "internal, {segments:?}");
    }
}

#[test]
fn rfc9774_sets_are_withdrawn_and_shown() {
    let (sequence, set) = (Segment::Sequence(asns(&[65001])), Segment::Set(asns(&[65002, 65003])));
    let (confed, confed_set) =
        (Segment::ConfedSequence(asns(&[65001])), Segment::ConfedSet(asns(&[65001, 65002])));
    let strict = UpdateRules { allow_as_sets: false, ..UpdateRules::default() };
    for (peer, segments, is_refused) in [
        (ebgp(1), vec![sequence.clone()], false),
        (ebgp(1), vec![sequence.clone(), set.clone()], true),
        (ibgp(1), vec![sequence, set], true),
        (ibgp(1), vec![confed], false),
        (ibgp(1), vec![confed_set], true),
    ] {
        let mut world = World::new();
        let from = world.up(with_rules(peer, strict));
        world.update(from, reach(&along(&segments), &[PREFIX]));
        assert_eq!(refusal(&world), is_refused.then_some(Ineligible::AsSet), "{segments:?}");
        change(&mut world, from, UpdateRules::default());
        assert_eq!(refusal(&world), None, "let in, live, {segments:?}");
        change(&mut world, from, strict);
        assert_eq!(world.loc.contains_key(&net(PREFIX)), !is_refused, "and out again, {segments:?}");
    }
}

/// What peer 2 (AS 65002, or as given) is sent of a path of peer 1, our AS in front taken off.
fn sent(path: &[u32], remote_as: u32, rules: UpdateRules) -> Vec<u32> {
    let mut world = World::new();
    let mut to = with_rules(ebgp(2), rules);
    to.negotiated.remote_as = Asn(remote_as);
    let (from, to) = (world.up(ebgp(1)), world.up(to));
    world.update(from, reach(&via("10.0.0.1", path), &[PREFIX]));
    let sent: Vec<u32> = world.held(to, PREFIX).unwrap().as_path.asns().map(|asn| asn.0).collect();
    assert_eq!(sent[0], LOCAL_AS.0);
    sent[1..].to_vec()
}

/// As FRR's remove-private-AS, remove-private-AS all, and remove-private-AS all replace-AS.
#[test]
fn rfc6996_private_as_numbers_towards_an_external_peer() {
    use PrivateAs::{Keep, Remove, RemoveIfAll, Replace};
    let us = LOCAL_AS.0;
    let cases: [(PrivateAs, &[u32], &[u32]); 14] = [
        (Keep, &[65001, 3], &[65001, 3]),
        (RemoveIfAll, &[65001, 65003], &[]),
        (RemoveIfAll, &[65001, 3], &[65001, 3]),
        (RemoveIfAll, &[65001, 9000, 65003], &[65001, 9000, 65003]),
        (Remove, &[65001, 3, 65003], &[3]),
        (Remove, &[65001, 65003], &[]),
        (Remove, &[64_511, 64_513, 65_534, 65_535], &[64_511, 65_535]),
        (
            Remove,
            &[4_199_999_999, 4_200_000_000, 4_294_967_294, 4_294_967_295],
            &[4_199_999_999, 4_294_967_295],
        ),
        (Replace, &[65001, 3, 65003], &[us, 3, us]),
        (Replace, &[3], &[3]),
        // The peer's own AS stays for its loop check.
        (Remove, &[65001, 65002, 65003], &[65002]),
        (Replace, &[65001, 65002], &[us, 65002]),
        (RemoveIfAll, &[65001, 65002], &[65002]),
        (Remove, &[], &[]),
    ];
    for (private_as, path, expected) in cases {
        let rules = UpdateRules { private_as, ..UpdateRules::default() };
        assert_eq!(sent(path, 65002, rules), expected, "{private_as:?} {path:?}");
    }
}

#[test]
fn an_emptied_segment_goes_and_a_set_loses_its_private_members() {
    let mut world = World::new();
    let rules = UpdateRules { private_as: PrivateAs::Remove, ..UpdateRules::default() };
    let (from, to) = (world.up(ebgp(1)), world.up(with_rules(ebgp(2), rules)));
    let path = [Segment::Sequence(asns(&[65001])), Segment::Set(asns(&[3, 65009]))];
    world.update(from, reach(&along(&path), &[PREFIX]));
    let expected =
        AsPath([Segment::Sequence(asns(&[LOCAL_AS.0])), Segment::Set(asns(&[3]))].into_iter().collect());
    assert_eq!(world.held(to, PREFIX).unwrap().as_path, expected);
}

#[test]
fn the_peers_as_is_replaced_by_ours() {
    let us = LOCAL_AS.0;
    let rules = UpdateRules { as_override: true, ..UpdateRules::default() };
    assert_eq!(sent(&[65001, 65002, 7, 65002], 65002, rules), [65001, us, 7, us]);
    assert_eq!(sent(&[65001, 65002], 65003, rules), [65001, 65002], "another's AS stays");
    // Both: the peer's own AS is spared by the one, and replaced by the other.
    let both = UpdateRules { private_as: PrivateAs::Remove, ..rules };
    assert_eq!(sent(&[65001, 65002, 7], 65002, both), [us, 7]);
}

#[test]
fn internal_peers_get_paths_as_they_are() {
    let mut world = World::new();
    let rules = UpdateRules { as_override: true, private_as: PrivateAs::Remove, ..UpdateRules::default() };
    let (from, to) = (world.up(ebgp(1)), world.up(with_rules(ibgp(2), rules)));
    world.update(from, reach(&via("10.0.0.1", &[65001, LOCAL_AS.0 + 9]), &[PREFIX]));
    assert_eq!(world.held(to, PREFIX).unwrap().as_path, as_path(&[65001, LOCAL_AS.0 + 9]));
}

/// A change is told to the one peer, and only if it makes a difference.
#[test]
fn rules_of_what_leaves_change_while_the_session_is_up() {
    let mut world = World::new();
    let (from, to, beside) = (world.up(ebgp(1)), world.up(ebgp(2)), world.up(ebgp(3)));
    world.update(from, reach(&via("10.0.0.1", &[65001, 65002]), &[PREFIX]));
    world.update(from, reach(&via("10.0.0.1", &[1001]), &["10.2.0.0/16"]));
    let (before, before_beside) = (world.told(to).messages, world.told(beside).messages);
    let rules = UpdateRules { as_override: true, ..UpdateRules::default() };
    change(&mut world, to, rules);
    assert_eq!(
        world.held(to, PREFIX).unwrap().as_path,
        as_path(&[LOCAL_AS.0, 65001, LOCAL_AS.0]),
        "told at once"
    );
    assert_eq!(world.told(to).messages, before + 1, "of what differs only");
    assert_eq!(world.told(beside).messages, before_beside);
    change(&mut world, to, rules);
    assert_eq!(world.told(to).messages, before + 1);
    change(&mut world, to, UpdateRules::default());
    assert_eq!(world.held(to, PREFIX).unwrap().as_path, as_path(&[LOCAL_AS.0, 65001, 65002]));
}

fn marked(asns: &[u32]) -> PathAttributes {
    PathAttributes { communities: vec![Community::GRACEFUL_SHUTDOWN], ..via("10.0.0.1", asns) }
}

#[test]
fn rfc8326_a_marked_route_of_an_external_peer_is_the_last_resort() {
    let honours = UpdateRules { honour_graceful_shutdown: true, ..UpdateRules::default() };
    let mut world = World::new();
    let one = world.up(with_rules(ebgp(1), honours));
    let two = world.up(with_rules(ebgp(2), honours));
    let inside = world.up(ibgp(3));
    world.update(one, reach(&via("10.0.0.1", &[65001]), &[PREFIX]));
    world.update(two, reach(&via("10.0.0.2", &[65002, 7, 8, 9]), &[PREFIX]));
    assert_eq!(world.best(PREFIX).unwrap(), "peer1");

    world.update(one, reach(&marked(&[65001]), &[PREFIX]));
    assert_eq!(world.best(PREFIX).unwrap(), "peer2", "any other path is better");
    world.update(two, unreach(&[PREFIX]));
    assert_eq!(world.best(PREFIX).unwrap(), "peer1", "but without another it is used");
    assert_eq!(world.held(inside, PREFIX).unwrap().local_pref, Some(0), "and the whole AS knows");
    assert_eq!(world.held(two, PREFIX).unwrap().communities, [Community::GRACEFUL_SHUTDOWN], "and is told");

    change(&mut world, one, UpdateRules::default());
    assert_eq!(world.held(inside, PREFIX).unwrap().local_pref, Some(100), "the knob is off");
    change(&mut world, one, honours);
    assert_eq!(world.held(inside, PREFIX).unwrap().local_pref, Some(0));
    world.update(one, reach(&via("10.0.0.1", &[65001]), &[PREFIX]));
    assert_eq!(world.held(inside, PREFIX).unwrap().local_pref, Some(100), "the maintenance is over");
}

/// LOCAL_PREF is the AS's own there; the first router that heard the community has set it.
#[test]
fn rfc8326_an_internal_peers_local_pref_stays() {
    let honours = UpdateRules { honour_graceful_shutdown: true, ..UpdateRules::default() };
    let mut world = World::new();
    let from = world.up(with_rules(ibgp(1), honours));
    world.update(from, reach(&PathAttributes { local_pref: Some(200), ..marked(&[]) }, &[PREFIX]));
    assert_eq!(world.loc[&net(PREFIX)][0].attributes.local_pref, Some(200));
}

fn rule(name: &str, operations: Vec<Operation>) -> Policy {
    let rule = PolicyRule {
        name: name.to_owned(),
        matches: Matches::default(),
        verdict: PolicyVerdict::Accept(operations),
    };
    Policy { ipv4: vec![rule].into(), ..Policy::default() }
}

/// Import policy may add the community, and cannot undo what it asks for by a preference.
#[test]
fn rfc8326_import_policy_comes_first() {
    let rules = UpdateRules { honour_graceful_shutdown: true, ..UpdateRules::default() };
    for operation in [
        Operation::SetLocalPref(500),
        Operation::AddCommunity(CommunityValue::Standard(Community::new(65001, 1))),
    ] {
        let mut world = World::new();
        let import = Arc::new(rule("a rule 1", vec![operation]));
        let from = world.up(RibPeer { rules, import, ..ebgp(1) });
        world.update(from, reach(&marked(&[65001]), &[PREFIX]));
        assert_eq!(world.loc[&net(PREFIX)][0].attributes.local_pref, Some(0));
    }
    let mut world = World::new();
    let adds = Operation::AddCommunity(CommunityValue::Standard(Community::GRACEFUL_SHUTDOWN));
    let from = world.up(RibPeer { rules, import: Arc::new(rule("b rule 1", vec![adds])), ..ebgp(1) });
    world.update(from, reach(&via("10.0.0.1", &[65001]), &[PREFIX]));
    assert_eq!(world.loc[&net(PREFIX)][0].attributes.local_pref, Some(0));
}

/// §4.2 and §4.3, the side that is about to go away, and back.
#[test]
fn rfc8326_a_session_under_maintenance() {
    let mut world = World::new();
    let (one, two, inside) = (world.up(ebgp(1)), world.up(ebgp(2)), world.up(ibgp(3)));
    world.update(one, reach(&via("10.0.0.1", &[65001]), &[PREFIX]));
    world.update(two, reach(&via("10.0.0.2", &[65002, 7, 8]), &[PREFIX]));
    world.originate(&[("10.9.0.0/26", 2_147_482_623)]);
    let communities = |world: &World, peer, prefix| world.held(peer, prefix).unwrap().communities.clone();
    let shuts = UpdateRules { graceful_shutdown: true, ..UpdateRules::default() };

    change(&mut world, one, shuts);
    assert_eq!(world.best(PREFIX).unwrap(), "peer2", "what it sends is the last resort");
    assert_eq!(communities(&world, one, "10.9.0.0/26"), [Community::GRACEFUL_SHUTDOWN]);
    assert_eq!(communities(&world, two, "10.9.0.0/26"), [], "the other session stays");
    change(&mut world, inside, shuts);
    assert_eq!(world.held(inside, "10.9.0.0/26").unwrap().local_pref, Some(0));
    assert_eq!(communities(&world, inside, "10.9.0.0/26"), []);
    assert_eq!(world.held(inside, PREFIX).unwrap().local_pref, Some(0));

    change(&mut world, one, UpdateRules::default());
    change(&mut world, inside, UpdateRules::default());
    assert_eq!(world.best(PREFIX).unwrap(), "peer1");
    assert_eq!(communities(&world, one, "10.9.0.0/26"), []);
    assert_eq!(world.held(inside, "10.9.0.0/26").unwrap().local_pref, Some(2_147_482_623));
}

/// Nothing in and nothing out without a policy, by direction and family; internal peers need none.
#[test]
fn rfc8212_external_peers_need_a_policy() {
    let rules = UpdateRules { policy_required: true, ..UpdateRules::default() };
    let mut world = World::new();
    let (from, inside) = (world.up(with_rules(ebgp(1), rules)), world.up(with_rules(ibgp(2), rules)));
    world.update(from, reach(&via("10.0.0.1", &[65001]), &[PREFIX]));
    world.update(from, reach(&via("2001:db8::1", &[65001]), &["2001:db8:1::/48"]));
    world.update(inside, reach(&via("10.0.0.2", &[]), &["10.2.0.0/16"]));
    assert_eq!(refusal(&world), Some(Ineligible::NoImportPolicy));
    assert_eq!(world.best("10.2.0.0/16").unwrap(), "peer2");
    assert_eq!(world.held(from, "10.2.0.0/16"), None);
    assert_eq!(world.told(from).end_of_rib.len(), 2, "it is told that this is all");

    let takes = Arc::new(rule("a rule 1", Vec::new()));
    let policies = |import: &Arc<Policy>, export: &Arc<Policy>| RibEvent::PolicyChanged {
        peer: from,
        import: Arc::clone(import),
        export: Arc::clone(export),
    };
    world.event(policies(&takes, &Arc::default()));
    assert_eq!(refusal(&world), None);
    let page = world.usages("2001:db8:1::/48");
    assert!(matches!(page[0].1, PathUsage::Ineligible { reason: Ineligible::NoImportPolicy }), "{page:?}");
    assert_eq!(world.held(from, "10.2.0.0/16"), None, "the other direction still has none");
    world.event(policies(&Arc::default(), &takes));
    assert_eq!(refusal(&world), Some(Ineligible::NoImportPolicy));
    assert!(world.held(from, "10.2.0.0/16").is_some());
    world.event(policies(&Arc::default(), &Arc::default()));
    assert_eq!(world.held(from, "10.2.0.0/16"), None, "and is taken back");
    change(&mut world, from, UpdateRules::default());
    assert_eq!(refusal(&world), None);
    assert!(world.held(from, "10.2.0.0/16").is_some());
}

/// Kept over a restart, and judged by the rules of the new session.
#[test]
fn what_is_retained_is_judged_by_the_new_rules() {
    let mut world = World::new();
    let peer = with_restart(ebgp(1));
    let id = world.up(peer.clone());
    world.update(id, reach(&via("10.0.0.1", &[7]), &[PREFIX]));
    world.down(id, retain(&[V4, V6]));
    assert_eq!(refusal(&world), None);
    world.up(with_rules(peer, UpdateRules { enforce_first_as: true, ..UpdateRules::default() }));
    assert_eq!(refusal(&world), Some(Ineligible::FirstAs));
}

/// To the one peer only, over what we have learned, and gone when switched off; nothing of it is used here.
#[test]
fn a_default_route_for_one_peer() {
    let mut world = World::new();
    let (one, two, inside) = (world.up(ebgp(1)), world.up(ebgp(2)), world.up(ibgp(3)));
    let own = UpdateRules { default_v4: true, ..UpdateRules::default() };
    change(&mut world, one, own);
    let default = via("10.255.0.1", &[LOCAL_AS.0]);
    assert_eq!(world.held(one, "0.0.0.0/0"), Some(&default));
    assert!([two, inside].iter().all(|peer| world.held(*peer, "0.0.0.0/0").is_none()));
    assert_eq!(world.held(one, "::/0"), None, "not asked for");
    assert!(world.loc.is_empty(), "packets do not follow it");
    assert_eq!(refusal_of(&world, "0.0.0.0/0"), Some(Ineligible::PeerDefault));

    // A learned one goes to the others, and not over ours.
    world.update(two, reach(&via("10.0.0.2", &[65002]), &["0.0.0.0/0"]));
    assert_eq!(world.held(one, "0.0.0.0/0"), Some(&default));
    assert_eq!(world.held(inside, "0.0.0.0/0").unwrap().as_path, as_path(&[65002]));
    change(&mut world, one, UpdateRules::default());
    assert_eq!(world.held(one, "0.0.0.0/0").unwrap().as_path, as_path(&[LOCAL_AS.0, 65002]));
    world.update(two, unreach(&["0.0.0.0/0"]));
    assert_eq!(world.held(one, "0.0.0.0/0"), None);

    // For an internal peer, for both families, and for one that comes up with it; then it is gone again.
    let both = UpdateRules { default_v6: true, ..own };
    change(&mut world, inside, both);
    assert_eq!(world.held(inside, "0.0.0.0/0").unwrap().local_pref, Some(100));
    assert_eq!(world.held(inside, "::/0").unwrap().next_hop, Some(next_hop("2001:db8:ff::1")));
    let four = world.up(with_rules(ebgp(4), own));
    assert_eq!(world.held(four, "0.0.0.0/0"), Some(&default));
    change(&mut world, inside, UpdateRules::default());
    change(&mut world, four, UpdateRules::default());
    assert!([one, two, inside, four].iter().all(|peer| world.told(*peer).routes.is_empty()));
    assert!([one, two, inside, four].iter().all(|peer| world.told(*peer).spurious == 0));
    assert!(world.rib.routes(&RouteSelection::All { after: None }, 9).routes.is_empty(), "no place is left");
}

fn refusal_of(world: &World, prefix: &str) -> Option<Ineligible> {
    match world.usages(prefix).swap_remove(0).1 {
        PathUsage::Ineligible { reason } => Some(reason),
        PathUsage::Best | PathUsage::Multipath { .. } | PathUsage::Lost { .. } => None,
    }
}

/// The default route of ours is explained as what it is: no filter is asked about it, and the learned one does not
/// stand in its place.
#[test]
fn a_default_route_for_one_peer_is_explained_as_such() {
    let mut world = World::new();
    let reject = PolicyRule {
        name: "no default".to_owned(),
        matches: Matches::default(),
        verdict: PolicyVerdict::Reject,
    };
    let export = Arc::new(Policy { ipv4: vec![reject].into(), ..Policy::default() });
    let own = UpdateRules { default_v4: true, default_v6: true, ..UpdateRules::default() };
    // It has no IPv6 address of ours to be sent to.
    let one = world.up(RibPeer { rules: own, export, next_hop_v6: None, ..ebgp(1) });
    let two = world.up(ebgp(2));
    let fate = |world: &World, prefix: &str| {
        let exports = world.rib.explain(net(prefix), false).unwrap().exports;
        let export = exports.into_iter().find(|export| export.peer == "peer1").unwrap();
        (export.rule, export.fate)
    };
    for is_learned in [false, true] {
        if is_learned {
            world.update(two, reach(&via("10.0.0.2", &[65002]), &["0.0.0.0/0"]));
            world.update(two, reach(&via("2001:db8::2", &[65002]), &["::/0"]));
        }
        let (rule, advertised) = fate(&world, "0.0.0.0/0");
        assert_eq!(rule, None, "its filter was not asked");
        let ExportFate::Advertised { paths } = advertised else { panic!("{advertised:?}") };
        assert_eq!(paths[0].as_path, LOCAL_AS.to_string());
        assert_eq!(fate(&world, "::/0"), (None, ExportFate::Withheld { reason: Withheld::NextHop }));
    }
    let other = Arc::new(Policy::default());
    let tried = world.rib.try_policy(one, PolicyDirection::Export, Some(&other), TrialPlace::default(), 9);
    assert_eq!((tried.routes, tried.different.len()), (0, 0), "no policy makes a difference");
}
