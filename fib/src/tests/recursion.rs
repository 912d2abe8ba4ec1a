//! Next hops over our own routes: found, followed, and never in a circle.

use super::World;
use crate::FibEvent;

const TWO_TORS: &[(&str, &[&str])] =
    &[("eth0", &["10.0.0.1/24", "fd00::1/64"]), ("eth1", &["10.0.1.1/24", "fd01::1/64"])];

/// The loopback of another node, from both ToRs by eBGP; its blocks with that loopback as the next hop, by iBGP.
#[test]
fn an_ibgp_next_hop_resolves_through_ebgp_routes_and_inherits_their_ecmp() {
    let mut w = World::in_sync(TWO_TORS);
    w.track("10.10.0.2");
    w.learn("10.244.2.0/26", &["10.10.0.2"]);
    assert_eq!(w.reason("10.244.2.0/26"), "no route to 10.10.0.2");
    w.learn("10.10.0.2/32", &["10.0.0.254", "10.0.1.254"]);
    assert_eq!(
        w.ours(),
        "10.10.0.2/32 proto 109 metric 1024 nexthop via 10.0.0.254 dev eth0 weight 1 \
         nexthop via 10.0.1.254 dev eth1 weight 1\n\
         10.244.2.0/26 proto 109 metric 1024 nexthop via 10.0.0.254 dev eth0 weight 1 \
         nexthop via 10.0.1.254 dev eth1 weight 1\n"
    );
    assert_eq!(w.reports(), ["10.10.0.2: no route to 10.10.0.2", "10.10.0.2: metric 1024"]);

    // One ToR goes: each of the two routes is replaced once, and nothing is reported because nothing changed.
    w.kernel.take_writes();
    w.learn("10.10.0.2/32", &["10.0.1.254"]);
    assert_eq!(
        w.kernel.take_writes(),
        [
            "replace 10.10.0.2/32 via 10.0.1.254 dev eth1 proto 109 metric 1024",
            "replace 10.244.2.0/26 via 10.0.1.254 dev eth1 proto 109 metric 1024"
        ]
    );
    assert!(w.reports().is_empty());
    let snapshot = w.fib.snapshot();
    let hop = snapshot.next_hops.iter().find(|hop| hop.next_hop.to_string() == "10.10.0.2").unwrap();
    let through: Vec<String> = hop.through.iter().map(|t| format!("{} {}", t.prefix, t.protocol)).collect();
    assert_eq!(through, ["10.10.0.2/32 manx", "10.0.1.0/24 kernel"]);

    // A link below goes: through two routes it is noticed all the same.
    w.kernel.set_carrier(3, false);
    w.run();
    assert_eq!(w.ours(), "");
    assert_eq!(w.reports(), ["10.10.0.2: link eth1 is down (next hop 10.0.1.254)"]);
}

#[test]
fn weights_multiply_on_the_way_and_stay_what_the_kernel_can_hold() {
    let mut w = World::in_sync(TWO_TORS);
    w.learn_weighted("10.10.0.2/32", &[("10.0.0.254", 1), ("10.0.1.254", 3)]);
    w.learn_weighted("10.244.2.0/26", &[("10.10.0.2", 200), ("10.0.0.9", 100)]);
    let hops: Vec<_> = w
        .route("10.244.2.0/26")
        .next_hops
        .iter()
        .map(|hop| (hop.gateway.unwrap().to_string(), hop.weight))
        .collect();
    // 100, 200 and 600, of which the greatest becomes 256.
    let expected = [("10.0.0.9", 43), ("10.0.0.254", 85), ("10.0.1.254", 256)];
    assert_eq!(hops, expected.map(|(gateway, weight)| (gateway.to_owned(), weight)));
}

/// A ToR announces its own address, and a prefix with it in: what is sent to it still goes straight there.
#[test]
fn a_route_does_not_resolve_itself() {
    let mut w = World::in_sync(TWO_TORS);
    w.learn("10.244.2.0/26", &["10.0.0.254"]);
    let before = w.ours();
    w.learn("10.0.0.254/32", &["10.0.0.254"]);
    w.learn("10.0.0.128/25", &["10.0.0.254", "10.0.1.254"]);
    assert_eq!(w.route("10.244.2.0/26").next_hops.len(), 1);
    assert!(w.ours().contains(&before), "{}", w.ours());
    assert!(w.ours().contains("10.0.0.254/32 via 10.0.0.254 dev eth0"), "{}", w.ours());
}

/// Linux refuses an IPv6 gateway to which it has a route over a gateway, itself included.
#[test]
fn an_ipv6_gateway_with_a_route_to_itself_is_marked_as_on_the_link() {
    let mut w = World::in_sync(TWO_TORS);
    w.learn("fd00::fe/128", &["fd00::fe"]);
    w.learn("fd44:2::/122", &["fd00::fe"]);
    assert_eq!(
        w.ours(),
        "fd00::fe/128 via fd00::fe dev eth0 onlink proto 109 metric 1024\n\
         fd44:2::/122 via fd00::fe dev eth0 onlink proto 109 metric 1024\n"
    );
}

/// Each ToR announces the other's address: both are neighbors, and stay that.
#[test]
fn in_a_circle_everybody_takes_the_less_specific_route_whatever_came_first() {
    let routes =
        [("10.0.0.254/32", "10.0.1.254"), ("10.0.1.254/32", "10.0.0.254"), ("10.244.3.0/26", "10.0.0.254")];
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 2, 1]] {
        let mut w = World::in_sync(TWO_TORS);
        for (prefix, hop) in order.map(|index| routes[index]) {
            w.learn(prefix, &[hop]);
        }
        assert_eq!(
            w.ours(),
            "10.0.0.254/32 via 10.0.1.254 dev eth1 proto 109 metric 1024\n\
             10.0.1.254/32 via 10.0.0.254 dev eth0 proto 109 metric 1024\n\
             10.244.3.0/26 via 10.0.0.254 dev eth0 proto 109 metric 1024\n"
        );
    }
}

#[test]
fn a_circle_without_a_way_out_is_unresolved_and_ends_with_it() {
    let mut w = World::in_sync(TWO_TORS);
    w.learn("192.0.2.1/32", &["192.0.2.2"]);
    w.learn("192.0.2.2/32", &["192.0.2.1"]);
    assert_eq!(w.ours(), "");
    assert_eq!(w.reason("192.0.2.1/32"), "no route to 192.0.2.2");
    w.learn("192.0.2.2/32", &["10.0.0.254"]);
    assert_eq!(
        w.ours(),
        "192.0.2.1/32 via 10.0.0.254 dev eth0 proto 109 metric 1024\n\
         192.0.2.2/32 via 10.0.0.254 dev eth0 proto 109 metric 1024\n"
    );
}

#[test]
fn it_is_only_so_deep() {
    let mut w = World::in_sync(TWO_TORS);
    w.learn("192.0.2.0/32", &["10.0.0.254"]);
    for number in 1..=9 {
        w.learn(&format!("192.0.2.{number}/32"), &[&format!("192.0.2.{}", number - 1)]);
    }
    assert_eq!(w.route("192.0.2.8/32").next_hops.len(), 1);
    assert!(w.reason("192.0.2.9/32").contains("more than 8 routes"), "{}", w.reason("192.0.2.9/32"));
}

#[test]
fn a_default_route_resolves_unless_told_otherwise() {
    let mut w = World::in_sync(TWO_TORS);
    w.learn("0.0.0.0/0", &["10.0.0.254"]);
    w.learn("10.244.2.0/26", &["192.0.2.1"]);
    assert_eq!(w.route("10.244.2.0/26").next_hops.len(), 1);
    w.give(FibEvent::Configure(crate::FibConfig { resolve_through_default: false, ..super::world::CONFIG }));
    assert_eq!(w.reason("10.244.2.0/26"), "no route to 192.0.2.1");
    w.kernel.ip("add default via 10.0.0.253 dev eth0 proto dhcp").unwrap();
    w.run();
    assert_eq!(w.reason("10.244.2.0/26"), "no route to 192.0.2.1");
    w.kernel.ip("add 192.0.0.0/16 via 10.0.0.253 dev eth0 proto static").unwrap();
    w.run();
    assert_eq!(w.route("10.244.2.0/26").next_hops.len(), 1);
}

/// The kernel would take the route with the lower metric, so what resolves is that one.
#[test]
fn of_a_foreign_route_and_ours_to_one_prefix_the_lower_metric_counts() {
    let mut w = World::in_sync(TWO_TORS);
    w.learn("172.16.0.0/24", &["10.0.0.254"]);
    w.track("172.16.0.1");
    w.kernel.ip("add 172.16.0.0/24 via 10.0.1.9 dev eth1 proto ospf metric 20").unwrap();
    w.run();
    w.kernel.ip("del 172.16.0.0/24 metric 20").unwrap();
    w.run();
    w.kernel.ip("add 172.16.0.0/24 via 10.0.1.9 dev eth1 proto ospf metric 2000").unwrap();
    w.run();
    assert_eq!(w.reports(), ["172.16.0.1: metric 1024", "172.16.0.1: metric 20", "172.16.0.1: metric 1024"]);
}

/// A former run's routes, the outer one heard before the inner one.
#[test]
fn a_restart_writes_nothing() {
    let mut w = World::in_sync(TWO_TORS);
    w.learn("10.99.0.2/32", &["10.0.0.254"]);
    w.learn("10.24.2.0/26", &["10.99.0.2"]);
    let before = w.ours();
    w.restart();
    w.hear_everything();
    assert_eq!(w.ours(), before);
    assert_eq!(w.kernel.take_writes(), Vec::<String>::new());
}

/// The host route to a peer by its gateway wins over what BGP says of that address, resolves next hops like any other,
/// and goes with the peer.
#[test]
fn a_peer_is_reached_by_its_gateway() {
    let mut w = World::in_sync(TWO_TORS);
    let peer = |gateway: &str| vec![("192.0.2.9".parse().unwrap(), gateway.parse().unwrap())];
    w.give(FibEvent::PeerGateways(peer("10.0.0.253")));
    w.learn("192.0.2.9/32", &["10.0.1.254"]);
    w.learn("10.244.2.0/26", &["192.0.2.9"]);
    let by = |gateway: &str, link: &str| {
        format!(
            "10.244.2.0/26 via {gateway} dev {link} proto 109 metric 1024\n\
             192.0.2.9/32 via {gateway} dev {link} proto 109 metric 1024\n"
        )
    };
    assert_eq!(w.ours(), by("10.0.0.253", "eth0"));
    assert_eq!(w.route("192.0.2.9/32").source, crate::RouteSource::PeerGateway);
    w.give(FibEvent::PeerGateways(peer("10.0.0.252")));
    assert_eq!(w.ours(), by("10.0.0.252", "eth0"));
    w.give(FibEvent::PeerGateways(Vec::new()));
    assert_eq!(w.ours(), by("10.0.1.254", "eth1"));
    w.learn("192.0.2.9/32", &[]);
    assert_eq!(w.ours(), "");
    assert_eq!(w.fib.snapshot().next_hops.len(), 1, "nobody's next hops are forgotten");
}

/// A route that is withheld stands in no kernel, so nothing is found through it; nor is it missed when it is back.
#[test]
fn nothing_resolves_through_a_withheld_route() {
    let withheld =
        |ranges: &[&str]| FibEvent::Withheld(ranges.iter().map(|net| net.parse().unwrap()).collect());
    let mut w = World::in_sync(TWO_TORS);
    w.track("10.96.0.2");
    w.learn("10.96.0.2/32", &["10.0.0.254"]);
    w.learn("10.244.2.0/26", &["10.96.0.2"]);
    assert_eq!(w.reports(), ["10.96.0.2: no route to 10.96.0.2", "10.96.0.2: metric 1024"]);
    w.give(withheld(&["10.96.0.0/12"]));
    assert_eq!(w.reports(), ["10.96.0.2: no route to 10.96.0.2"]);
    assert_eq!(w.ours(), "");
    w.give(withheld(&[]));
    assert_eq!(w.reports(), ["10.96.0.2: metric 1024"]);
    assert_eq!(w.route("10.244.2.0/26").next_hops.len(), 1);
}
