//! maximumPrefixes: what counts, what does not, and that nothing is taken beyond.

mod rib_support;

use bgp::peer::{PrefixLimit, PrefixLimitAction};
use bgp::rib::{RibEvent, RibPeer};
use rib_support::*;

fn limited(received: u32, action: PrefixLimitAction) -> RibPeer {
    RibPeer { prefix_limit: Some(PrefixLimit { received, action }), ..ebgp(1) }
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
    assert!(said[0].contains("sent 4 prefixes, most of ipv4-unicast"), "{said:?}");
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
    let limit = Some(PrefixLimit { received: 2, action: PrefixLimitAction::Shutdown });
    world.event(RibEvent::PrefixLimit { peer: peer.peer, limit });
    assert!(world.log.iter().any(|line| line.contains("sent 3 prefixes")), "{:?}", world.log);
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
