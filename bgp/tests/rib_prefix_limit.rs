//! maximumPrefixes: what counts, what does not, and that nothing is taken beyond.

mod rib_support;

use bgp::peer::{PrefixLimit, PrefixLimitAction};
use std::sync::Arc;

use bgp::rib::{Matches, Policy, PolicyRule, PolicyVerdict, PrefixMatch, RibEvent, RibPeer};
use rib_support::*;

fn limited(received: u32, action: PrefixLimitAction) -> RibPeer {
    let limit = PrefixLimit { received: Some(received), accepted: None, sent: None, action };
    RibPeer { prefix_limit: Some(limit), ..ebgp(1) }
}

fn update(world: &mut World, peer: &RibPeer, prefixes: &[&str]) -> Vec<String> {
    let update = Box::new(reach(&via("10.0.0.1", &[65001]), prefixes));
    world.event(RibEvent::Update { peer: peer.peer, update });
    world.log.iter().filter(|line| line.contains("prefixes")).cloned().collect()
}

#[test]
fn every_family_counts_and_a_replaced_prefix_does_not() {
    let mut world = World::new();
    let peer = limited(3, PrefixLimitAction::Shutdown);
    world.event(RibEvent::PeerUp(Box::new(peer.clone())));
    assert!(update(&mut world, &peer, &["10.1.0.0/16", "10.2.0.0/16"]).is_empty());
    assert!(update(&mut world, &peer, &["10.1.0.0/16", "10.2.0.0/16"]).is_empty());
    assert!(update(&mut world, &peer, &["2001:db8::/32"]).is_empty());
    let said = update(&mut world, &peer, &["10.3.0.0/16"]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("4 prefixes received, most of ipv4-unicast"), "{said:?}");
    // Said once, and nothing more is taken.
    assert!(update(&mut world, &peer, &["10.4.0.0/16"]).is_empty());
    assert!(!world.loc.contains_key(&net("10.4.0.0/16")));
    // The next session begins anew.
    world.event(RibEvent::PeerDown { peer: peer.peer, retain: None });
    world.event(RibEvent::PeerUp(Box::new(peer.clone())));
    assert!(update(&mut world, &peer, &["10.4.0.0/16"]).is_empty());
    assert!(world.loc.contains_key(&net("10.4.0.0/16")));
}

#[test]
fn a_warning_takes_everything() {
    let mut world = World::new();
    let peer = limited(1, PrefixLimitAction::Warn);
    world.event(RibEvent::PeerUp(Box::new(peer.clone())));
    assert_eq!(update(&mut world, &peer, &["10.1.0.0/16", "10.2.0.0/16"]).len(), 1);
    assert!(update(&mut world, &peer, &["10.3.0.0/16"]).is_empty());
    assert!(world.loc.contains_key(&net("10.3.0.0/16")));
    // Another limit is another reason to say so.
    let limit = limited(2, PrefixLimitAction::Shutdown).prefix_limit;
    world.event(RibEvent::PrefixLimit { peer: peer.peer, limit });
    assert!(world.log.iter().any(|line| line.contains("3 prefixes received")), "{:?}", world.log);
}

/// RFC 4724: what is left of the last session is not what the peer sends in this one.
#[test]
fn stale_paths_do_not_end_the_session_that_replaces_them() {
    let mut world = World::new();
    let peer = with_restart(limited(2, PrefixLimitAction::Shutdown));
    world.event(RibEvent::PeerUp(Box::new(peer.clone())));
    assert!(update(&mut world, &peer, &["10.1.0.0/16", "10.2.0.0/16"]).is_empty());
    world.event(RibEvent::PeerDown { peer: peer.peer, retain: retain(&[V4, V6]) });
    world.event(RibEvent::PeerUp(Box::new(peer.clone())));
    assert!(update(&mut world, &peer, &["10.3.0.0/16", "10.4.0.0/16"]).is_empty());
    for family in [V4, V6] {
        let update = Box::new(end_of_rib(family));
        world.event(RibEvent::Update { peer: peer.peer, update });
        assert!(!world.log.iter().any(|line| line.contains("prefixes")), "{:?}", world.log);
    }
    assert_eq!(update(&mut world, &peer, &["10.5.0.0/16"]).len(), 1);
}

fn only(accepted: Option<u32>, sent: Option<u32>) -> Option<PrefixLimit> {
    Some(PrefixLimit { received: None, accepted, sent, action: PrefixLimitAction::Shutdown })
}

fn said(world: &World) -> Vec<&String> {
    world.log.iter().filter(|line| line.contains("prefixes")).collect()
}

/// What policy rejects does not count, and a policy that rejects less may be one too many.
#[test]
fn accepted_prefixes_are_counted_after_policy() {
    let rejects = |prefix: &str| {
        let matches = Matches { prefix: Some(PrefixMatch::Equal(net(prefix))), ..Matches::default() };
        let rule = PolicyRule { name: "a rule 1".to_owned(), matches, verdict: PolicyVerdict::Reject };
        Arc::new(Policy { ipv4: vec![rule].into(), ..Policy::default() })
    };
    let mut world = World::new();
    let peer = RibPeer { prefix_limit: only(Some(2), None), import: rejects("10.1.0.0/16"), ..ebgp(1) };
    world.up(peer.clone());
    assert!(update(&mut world, &peer, &["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]).is_empty());
    // Rejected instead of another, and taken away and announced again.
    assert!(update(&mut world, &peer, &["10.2.0.0/16"]).is_empty());
    world.update(peer.peer, unreach(&["10.2.0.0/16"]));
    assert!(update(&mut world, &peer, &["10.2.0.0/16"]).is_empty());
    let import = Arc::new(Policy::default());
    world.event(RibEvent::PolicyChanged { peer: peer.peer, import, export: Arc::default() });
    assert_eq!(said(&world), ["1.0: 3 prefixes accepted, most of ipv4-unicast"].iter().collect::<Vec<_>>());
}

/// A loop is not accepted, and a next hop that does not resolve is no reason to let more in.
#[test]
fn accepted_prefixes_are_those_that_are_not_refused() {
    let mut world = World::new();
    world.resolve = false;
    let peer = RibPeer { prefix_limit: only(Some(1), None), ..ebgp(1) };
    world.up(peer.clone());
    world.update(peer.peer, reach(&via("10.0.0.1", &[65001, LOCAL_AS.0]), &["10.9.0.0/16"]));
    assert!(said(&world).is_empty());
    assert!(update(&mut world, &peer, &["10.1.0.0/16"]).is_empty());
    assert_eq!(update(&mut world, &peer, &["10.2.0.0/16"]).len(), 1);
}

/// What a peer is the source of is not sent to it.
#[test]
fn sent_prefixes_are_counted_by_peer() {
    let mut world = World::new();
    let peer = RibPeer { prefix_limit: only(None, Some(2)), ..ebgp(1) };
    let (id, other) = (world.up(peer.clone()), world.up(ebgp(2)));
    world.update(id, reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]));
    world.update(other, reach(&via("10.0.0.2", &[65002]), &["10.4.0.0/16", "2001:db8::/32"][..1]));
    world.originate(&[("10.5.0.0/26", 100)]);
    assert_eq!(world.told(id).routes.len(), 2);
    assert!(said(&world).is_empty());
    world.originate(&[("10.5.0.0/26", 100), ("10.6.0.0/26", 100)]);
    assert_eq!(said(&world), ["1.0: 3 prefixes sent, most of ipv4-unicast"].iter().collect::<Vec<_>>());
    world.originate(&[("10.5.0.0/26", 100), ("10.7.0.0/26", 100)]);
    assert!(said(&world).is_empty(), "said once");
}

/// A limit and the policy that makes it good come together.
#[test]
fn a_limit_is_held_against_the_newest_policy() {
    let mut world = World::new();
    let peer = ebgp(1);
    world.up(peer.clone());
    update(&mut world, &peer, &["10.1.0.0/16", "10.2.0.0/16"]);
    let matches = Matches { prefix: Some(PrefixMatch::Equal(net("10.1.0.0/16"))), ..Matches::default() };
    let rule = PolicyRule { name: "a rule 1".to_owned(), matches, verdict: PolicyVerdict::Reject };
    let import = Arc::new(Policy { ipv4: vec![rule].into(), ..Policy::default() });
    world.feed(RibEvent::PolicyChanged { peer: peer.peer, import, export: Arc::default() });
    world.feed(RibEvent::PrefixLimit { peer: peer.peer, limit: only(Some(1), None) });
    world.drain();
    assert!(said(&world).is_empty());
}
