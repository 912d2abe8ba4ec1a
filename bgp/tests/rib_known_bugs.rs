//! Bugs that others shipped, by name, and some of ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use bgp::rib::{OriginatedRoute, RibEvent};
use rib_support::*;

#[test]
fn own_routes_stated_while_the_first_peer_comes_up_reach_it() {
    for transmit in [true, false] {
        let mut world = World::new();
        world.transmit = transmit;
        let peer = peer_id(4);
        world.feed(RibEvent::PeerUp(Box::new(ibgp(4))));
        let route = OriginatedRoute { prefix: net("10.0.0.0/8"), local_pref: 100 };
        world.feed(RibEvent::Originate(vec![route]));
        world.drain();
        world.flush();
        assert!(world.held(peer, "10.0.0.0/8").is_some(), "{transmit} {:?}", world.log);
    }
}
