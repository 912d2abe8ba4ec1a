//! RFC 9234 §5: what each role makes of a route with and without ONLY_TO_CUSTOMER, in and out.

mod rib_support;

use bgp::Asn;
use bgp::rib::snapshot::PathUsage;
use bgp::rib::{Ineligible, RibEvent, RibPeer};
use bgp::wire::{BgpRole, PathAttributes};
use rib_support::*;

const PREFIX: &str = "10.1.0.0/16";
const OUR_AS: u32 = 64512;

fn with_role(mut peer: RibPeer, role: BgpRole) -> RibPeer {
    peer.negotiated.role = Some(role);
    peer
}

fn marked(by: Option<u32>) -> PathAttributes {
    PathAttributes { only_to_customer: by.map(Asn), ..via("10.0.0.1", &[65001]) }
}

/// Peer 1 (AS 65001) sends the route to us in `role`.
fn receive(role: BgpRole, mark: Option<u32>) -> World {
    let mut world = World::new();
    let from = with_role(ebgp(1), role);
    world.event(RibEvent::PeerUp(Box::new(from.clone())));
    let update = Box::new(reach(&marked(mark), &[PREFIX]));
    world.event(RibEvent::Update { peer: from.peer, update });
    world
}

#[test]
fn rfc9234_ingress() {
    use BgpRole::{Customer, Peer, Provider, RsClient, RsServer};
    // Our role, the mark that comes; the mark that is kept, `None` for a leak.
    for (role, comes, kept) in [
        (Provider, None, Some(None)),
        (Provider, Some(65001), None),
        (RsServer, None, Some(None)),
        (RsServer, Some(65001), None),
        (Customer, None, Some(Some(65001))),
        (Customer, Some(7), Some(Some(7))),
        (RsClient, None, Some(Some(65001))),
        (RsClient, Some(7), Some(Some(7))),
        (Peer, None, Some(Some(65001))),
        (Peer, Some(65001), Some(Some(65001))),
        (Peer, Some(7), None),
    ] {
        let world = receive(role, comes);
        let best = world.loc.get(&net(PREFIX));
        let found = best.map(|paths| paths[0].attributes.only_to_customer.map(|asn| asn.0));
        assert_eq!(found, kept, "{role} {comes:?}");
        if kept.is_none() {
            let usages = world.usages(PREFIX);
            let [(_, PathUsage::Ineligible { reason })] = &usages[..] else { panic!("{usages:?}") };
            assert_eq!(*reason, Ineligible::RouteLeak, "kept, and shown");
        }
    }
}

#[test]
fn rfc9234_egress() {
    use BgpRole::{Customer, Peer, Provider, RsClient, RsServer};
    // Our role, the mark that is there; the mark that goes out, `None` where nothing goes.
    for (role, has, goes) in [
        (Provider, None, Some(Some(OUR_AS))),
        (Provider, Some(7), Some(Some(7))),
        (RsServer, None, Some(Some(OUR_AS))),
        (RsServer, Some(7), Some(Some(7))),
        (Peer, None, Some(Some(OUR_AS))),
        (Peer, Some(7), None),
        (Customer, None, Some(None)),
        (Customer, Some(7), None),
        (RsClient, None, Some(None)),
        (RsClient, Some(7), None),
    ] {
        let mut world = World::new();
        let (from, to) = (ebgp(1), with_role(ebgp(2), role));
        world.event(RibEvent::PeerUp(Box::new(from.clone())));
        world.event(RibEvent::PeerUp(Box::new(to.clone())));
        let update = Box::new(reach(&marked(has), &[PREFIX]));
        world.event(RibEvent::Update { peer: from.peer, update });
        let sent = world.told[&to.peer].routes.get(&net(PREFIX));
        assert_eq!(
            sent.map(|attributes| attributes.only_to_customer.map(|asn| asn.0)),
            goes,
            "{role} {has:?}"
        );
    }
}

/// Inside the AS the mark is carried as it is, whoever has marked it.
#[test]
fn rfc9234_the_mark_is_carried_inside_the_as() {
    let mut world = receive(BgpRole::Customer, None);
    let inside = ibgp(3);
    world.event(RibEvent::PeerUp(Box::new(inside.clone())));
    assert_eq!(world.told[&inside.peer].routes[&net(PREFIX)].only_to_customer, Some(Asn(65001)));
}
