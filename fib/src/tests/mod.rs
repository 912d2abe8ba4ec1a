//! Stories against the fake kernel, the decision table, and random histories against a naive model.

mod decision_table;
mod model;
mod recovery;
mod recursion;
mod resolution;
mod startup;
mod world;

use world::World;

#[test]
fn a_learned_route_is_installed_and_withdrawn() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24", "fd00::1/64"])]);
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    w.learn("fd44:1::/122", &["fd00::2"]);
    assert_eq!(
        w.ours(),
        "10.244.1.0/26 via 10.0.0.2 dev eth0 proto 109 metric 1024\n\
         fd44:1::/122 via fd00::2 dev eth0 proto 109 metric 1024\n"
    );
    w.learn("10.244.1.0/26", &[]);
    w.learn("fd44:1::/122", &[]);
    assert_eq!(w.ours(), "");
    assert!(w.fib.summary().in_sync);
}

#[test]
fn a_changed_next_hop_is_one_replace() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"])]);
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    w.kernel.take_writes();
    w.learn("10.244.1.0/26", &["10.0.0.3"]);
    assert_eq!(w.kernel.take_writes(), ["replace 10.244.1.0/26 via 10.0.0.3 dev eth0 proto 109 metric 1024"]);
}

#[test]
fn several_paths_are_one_multipath_route() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"]), ("eth1", &["10.0.1.1/24"])]);
    w.learn_weighted("10.244.1.0/26", &[("10.0.1.2", 3), ("10.0.0.2", 1)]);
    assert_eq!(
        w.ours(),
        "10.244.1.0/26 proto 109 metric 1024 nexthop via 10.0.0.2 dev eth0 weight 1 \
         nexthop via 10.0.1.2 dev eth1 weight 3\n"
    );
    // A path that does not resolve is left out; what remains has no weight.
    w.learn_weighted("10.244.1.0/26", &[("10.0.1.2", 3), ("192.0.2.1", 1)]);
    assert_eq!(w.ours(), "10.244.1.0/26 via 10.0.1.2 dev eth1 proto 109 metric 1024\n");
}

#[test]
fn paths_that_lead_to_one_gateway_are_merged() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"])]);
    w.kernel.ip("add 172.16.0.0/12 via 10.0.0.254 dev eth0 proto static").unwrap();
    w.learn_weighted("10.244.1.0/26", &[("172.16.0.1", 200), ("172.16.0.2", 100), ("10.0.0.2", 1)]);
    assert_eq!(
        w.ours(),
        "10.244.1.0/26 proto 109 metric 1024 nexthop via 10.0.0.2 dev eth0 weight 1 \
         nexthop via 10.0.0.254 dev eth0 weight 256\n"
    );
}

#[test]
fn own_blocks_are_blackholes_and_win_over_learned_routes() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"])]);
    w.own(&["10.244.1.0/26", "fd44:1::/122"]);
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    assert_eq!(
        w.ours(),
        "blackhole 10.244.1.0/26 proto 109 metric 1024\nblackhole fd44:1::/122 proto 109 metric 1024\n"
    );
    // The block moves to another node: one replace, never a hole.
    w.kernel.take_writes();
    w.own(&[]);
    assert_eq!(
        w.kernel.take_writes(),
        [
            "replace 10.244.1.0/26 via 10.0.0.2 dev eth0 proto 109 metric 1024",
            "del blackhole fd44:1::/122 proto 109 metric 1024",
        ]
    );
    w.kernel.take_writes();
    w.own(&["10.244.1.0/26"]);
    assert_eq!(w.kernel.take_writes(), ["replace blackhole 10.244.1.0/26 proto 109 metric 1024"]);
}

#[test]
fn an_ipv4_route_may_have_an_ipv6_gateway_but_not_the_reverse() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24", "fd00::1/64"])]);
    w.learn("10.244.1.0/26", &["fd00::2"]);
    w.learn("fd44:1::/122", &["10.0.0.2"]);
    assert_eq!(w.ours(), "10.244.1.0/26 via fd00::2 dev eth0 proto 109 metric 1024\n");
    assert_eq!(w.reason("fd44:1::/122"), "an IPv6 route cannot use the IPv4 next hop 10.0.0.2");
}

#[test]
fn a_foreign_route_keeps_its_key() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"])]);
    w.kernel.ip("add 10.244.1.0/26 via 10.0.0.9 dev eth0 proto bird metric 1024").unwrap();
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    assert_eq!(w.ours(), "");
    assert_eq!(w.reason("10.244.1.0/26"), "10.244.1.0/26 metric 1024 is held by proto bird");
    assert!(w.fib.summary().in_sync, "nothing more can be done");
    w.kernel.ip("del 10.244.1.0/26 metric 1024").unwrap();
    w.run();
    assert_eq!(w.ours(), "10.244.1.0/26 via 10.0.0.2 dev eth0 proto 109 metric 1024\n");
}

#[test]
fn an_unknown_holder_is_found_by_a_scan() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"])]);
    w.kernel.ip("add 10.244.1.0/26 via 10.0.0.9 dev eth0 proto bird metric 1024").unwrap();
    w.kernel.take_notifications(); // lost, and nobody said so
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    assert_eq!(w.reason("10.244.1.0/26"), "the kernel holds another route of this prefix and metric");
    w.advance(std::time::Duration::from_secs(2));
    assert_eq!(w.reason("10.244.1.0/26"), "10.244.1.0/26 metric 1024 is held by proto bird");
}

#[test]
fn a_refused_route_is_tried_again_with_growing_waits_and_holds_up_nobody() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"])]);
    w.kernel.refuse("10.244.1.0/26".parse().unwrap(), 12);
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    w.learn("10.244.2.0/26", &["10.0.0.2"]);
    assert_eq!(w.ours(), "10.244.2.0/26 via 10.0.0.2 dev eth0 proto 109 metric 1024\n");
    assert_eq!(w.reason("10.244.1.0/26"), "told to refuse");
    let first = w.fib.next_deadline().unwrap() - w.now;
    w.advance(first);
    assert_eq!(w.route("10.244.1.0/26").attempts, 2);
    let second = w.fib.next_deadline().unwrap() - w.now;
    assert!(second > first, "{second:?} after {first:?}");
    w.kernel.refuse_nothing();
    w.advance(second);
    assert_eq!(w.route("10.244.1.0/26").attempts, 0);
    assert_eq!(w.fib.summary().installed, 2);
}

#[test]
fn with_installing_off_next_hops_are_reported_and_nothing_is_written() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"])]);
    w.configure(false, 1024);
    w.track("10.0.0.2");
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    assert_eq!(w.reports(), ["10.0.0.2: metric 0"]);
    assert_eq!(w.reason("10.244.1.0/26"), "installing is switched off");
    assert!(w.kernel.take_writes().is_empty());
}

#[test]
fn a_new_metric_moves_routes_create_first() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"])]);
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    w.kernel.take_writes();
    w.configure(true, 512);
    assert_eq!(
        w.kernel.take_writes(),
        [
            "add 10.244.1.0/26 via 10.0.0.2 dev eth0 proto 109 metric 512",
            "del 10.244.1.0/26 via 10.0.0.2 dev eth0 proto 109 metric 1024",
        ]
    );
}

#[test]
fn the_snapshot_is_stable_json() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"])]);
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    let json = serde_json::to_value(w.fib.snapshot()).unwrap();
    assert_eq!(
        json["routes"][0],
        serde_json::json!({
            "prefix": "10.244.1.0/26", "table": 254, "metric": 1024, "kind": "unicast", "source": "bgp",
            "next_hops": [{"gateway": "10.0.0.2", "device": "eth0", "weight": 1}],
            "state": "installed", "reason": null, "attempts": 0
        })
    );
    assert_eq!(json["summary"]["in_sync"], true);
    assert_eq!(json["next_hops"][0]["metric"], 0);
}
