//! Next hops over foreign routes: longest prefix, links, and every reason why not.

use super::World;

#[test]
fn connected_is_metric_0_and_a_gateway_route_gives_its_own_metric() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"])]);
    w.kernel.ip("add 172.16.0.0/12 via 10.0.0.254 dev eth0 proto static metric 50").unwrap();
    w.kernel.ip("add default via 10.0.0.253 dev eth0 proto dhcp").unwrap();
    w.run();
    for next_hop in ["10.0.0.2", "172.16.0.1", "192.0.2.1"] {
        w.track(next_hop);
    }
    assert_eq!(w.reports(), ["10.0.0.2: metric 0", "172.16.0.1: metric 50", "192.0.2.1: metric 1"]);
    w.learn("10.244.1.0/26", &["172.16.0.1"]);
    assert_eq!(w.ours(), "10.244.1.0/26 via 10.0.0.254 dev eth0 proto 109 metric 1024\n");
}

#[test]
fn a_longer_foreign_prefix_takes_over_and_gives_back() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"]), ("eth1", &["10.0.1.1/24"])]);
    w.kernel.ip("add default via 10.0.0.254 dev eth0 proto static").unwrap();
    w.learn("10.244.1.0/26", &["172.16.0.9"]);
    w.kernel.ip("add 172.16.0.0/24 via 10.0.1.254 dev eth1 proto static").unwrap();
    w.run();
    assert_eq!(w.ours(), "10.244.1.0/26 via 10.0.1.254 dev eth1 proto 109 metric 1024\n");
    w.kernel.ip("del 172.16.0.0/24").unwrap();
    w.run();
    assert_eq!(w.ours(), "10.244.1.0/26 via 10.0.0.254 dev eth0 proto 109 metric 1024\n");
}

#[test]
fn of_two_routes_to_one_prefix_the_lower_metric_wins_while_its_link_is_up() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"]), ("eth1", &["10.0.1.1/24"])]);
    w.kernel.ip("add 172.16.0.0/24 via 10.0.0.9 dev eth0 proto static metric 20").unwrap();
    w.kernel.ip("add 172.16.0.0/24 via 10.0.1.9 dev eth1 proto static metric 10").unwrap();
    w.run();
    w.track("172.16.0.1");
    w.kernel.set_carrier(3, false);
    w.run();
    w.kernel.set_carrier(3, true);
    w.run();
    assert_eq!(w.reports(), ["172.16.0.1: metric 10", "172.16.0.1: metric 20", "172.16.0.1: metric 10"]);
}

#[test]
fn a_foreign_multipath_route_is_followed_over_all_its_links_that_are_up() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"]), ("eth1", &["10.0.1.1/24"])]);
    w.kernel
        .ip("add 172.16.0.0/24 proto static nexthop via 10.0.0.9 dev eth0 weight 2 nexthop via 10.0.1.9 dev eth1")
        .unwrap();
    w.learn("10.244.1.0/26", &["172.16.0.9"]);
    assert_eq!(
        w.ours(),
        "10.244.1.0/26 proto 109 metric 1024 nexthop via 10.0.0.9 dev eth0 weight 2 \
         nexthop via 10.0.1.9 dev eth1 weight 1\n"
    );
    w.kernel.set_carrier(3, false);
    w.run();
    assert_eq!(w.ours(), "10.244.1.0/26 via 10.0.0.9 dev eth0 proto 109 metric 1024\n");
}

#[test]
fn reasons_why_not() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24", "fd00::1/64"]), ("eth1", &["10.0.1.1/24"])]);
    w.kernel.ip("add blackhole 192.0.2.0/24 proto static").unwrap();
    w.kernel.set_carrier(3, false);
    w.run();
    for (next_hop, reason) in [
        ("10.0.0.1", "10.0.0.1 is an address of this host"),
        ("fd00::1", "fd00::1 is an address of this host"),
        ("172.16.0.1", "no route to 172.16.0.1"),
        ("fd99::1", "no route to fd99::1"),
        ("10.0.1.2", "link eth1 is down (next hop 10.0.1.2)"),
        ("192.0.2.1", "192.0.2.1 is discarded by 192.0.2.0/24 (blackhole)"),
        ("0.0.0.0", "0.0.0.0 is not a unicast address"),
        ("224.0.0.5", "224.0.0.5 is not a unicast address"),
    ] {
        w.track(next_hop);
        assert_eq!(w.reports(), [format!("{next_hop}: {reason}")]);
        w.learn("10.244.1.0/26", &[next_hop]);
        assert_eq!(w.reason("10.244.1.0/26"), reason);
    }
    w.learn("10.244.1.0/26", &["172.16.0.1", "10.0.1.2"]);
    assert_eq!(w.reason("10.244.1.0/26"), "no route to 172.16.0.1; link eth1 is down (next hop 10.0.1.2)");
}

#[test]
fn a_link_local_next_hop_needs_its_link_to_be_the_only_one() {
    let mut w = World::in_sync(&[("eth0", &["fe80::1/64"]), ("eth1", &["10.0.1.1/24"])]);
    w.track("fe80::2");
    assert_eq!(w.reports(), ["fe80::2: metric 0"]);
    w.learn("10.244.1.0/26", &["fe80::2"]);
    assert_eq!(w.ours(), "10.244.1.0/26 via fe80::2 dev eth0 proto 109 metric 1024\n");
    w.kernel.add_address(3, "fe80::3/64".parse().unwrap());
    w.run();
    assert_eq!(w.reports(), ["fe80::2: fe80::2 is link-local and could be on any of 2 links"]);
    assert_eq!(w.ours(), "");
    w.kernel.set_carrier(3, false);
    w.run();
    assert_eq!(w.reports(), ["fe80::2: metric 0"]);
}

#[test]
fn a_link_local_next_hop_does_not_use_the_default_route() {
    let mut w = World::in_sync(&[("eth0", &["fd00::1/64"])]);
    w.kernel.ip("add ::/0 via fd00::fe dev eth0 proto ra").unwrap();
    w.run();
    w.track("fe80::2");
    assert_eq!(w.reports(), ["fe80::2: no route to fe80::2"]);
}

#[test]
fn every_change_is_reported_once_and_an_untracked_next_hop_is_not() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"])]);
    w.track("10.0.0.2");
    w.track("10.0.0.3");
    w.reports();
    w.give(crate::FibEvent::UntrackNextHop("10.0.0.3".parse().unwrap()));
    w.kernel.set_carrier(2, false);
    w.run();
    w.kernel.set_carrier(2, true);
    w.run();
    w.advance(crate::scan::SCAN_INTERVAL);
    assert_eq!(w.reports(), ["10.0.0.2: link eth0 is down (next hop 10.0.0.2)", "10.0.0.2: metric 0"]);
    w.track("10.0.0.2");
    assert_eq!(w.reports(), ["10.0.0.2: metric 0"], "asking again is answered");
}

#[test]
fn reports_wait_for_the_first_scan() {
    let mut w = World::new(&[("eth0", &["10.0.0.1/24"])]);
    w.answer_scans = false;
    w.track("10.0.0.2");
    assert!(w.reports().is_empty());
    for event in w.kernel.scan() {
        w.give(event);
    }
    assert_eq!(w.reports(), ["10.0.0.2: metric 0"]);
}

#[test]
fn one_link_local_address_on_two_links_is_two_next_hops() {
    let mut w = World::in_sync(&[("eth0", &["fe80::a/64"]), ("eth1", &["fe80::b/64"])]);
    w.learn("fd00:1::/64", &["fe80::1%eth0", "fe80::1%eth1"]);
    w.learn("10.244.1.0/26", &["fe80::1%eth1"]);
    assert_eq!(
        w.ours(),
        "10.244.1.0/26 via fe80::1 dev eth1 proto 109 metric 1024\n\
         fd00:1::/64 proto 109 metric 1024 nexthop via fe80::1 dev eth0 weight 1 \
         nexthop via fe80::1 dev eth1 weight 1\n"
    );
    w.track("fe80::1%eth0");
    w.track("fe80::1%eth2");
    w.kernel.set_carrier(2, false);
    w.run();
    assert_eq!(
        w.reports(),
        [
            "fe80::1%eth0: metric 0",
            "fe80::1%eth2: there is no link eth2 (next hop fe80::1)",
            "fe80::1%eth0: link eth0 is down (next hop fe80::1)",
        ]
    );
}

/// The address of one link is somebody else's on another.
#[test]
fn a_link_local_address_is_ours_only_where_we_have_it() {
    let mut w = World::in_sync(&[("eth0", &["fe80::a/64"]), ("eth1", &["fe80::b/64"])]);
    w.track("fe80::a%eth0");
    w.track("fe80::a%eth1");
    assert_eq!(w.reports(), ["fe80::a%eth0: fe80::a is an address of this host", "fe80::a%eth1: metric 0"]);
}

#[test]
fn a_link_that_comes_back_with_another_index_is_followed_by_its_name() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"]), ("eth1", &["fe80::b/64"])]);
    w.track("fe80::1%eth1");
    w.learn("10.244.1.0/26", &["fe80::1%eth1", "10.0.0.2"]);
    w.kernel.delete_link(3);
    w.run();
    assert_eq!(w.ours(), "10.244.1.0/26 via 10.0.0.2 dev eth0 proto 109 metric 1024\n");
    w.kernel.add_link(9, "eth1");
    w.run();
    assert_eq!(
        w.ours(),
        "10.244.1.0/26 proto 109 metric 1024 nexthop via 10.0.0.2 dev eth0 weight 1 \
         nexthop via fe80::1 dev eth1 weight 1\n"
    );
    assert_eq!(
        w.reports(),
        [
            "fe80::1%eth1: metric 0",
            "fe80::1%eth1: there is no link eth1 (next hop fe80::1)",
            "fe80::1%eth1: metric 0",
        ]
    );
}

/// RFC 8950: IPv4 prefixes over both kinds of gateways at once, and nothing to write after a restart.
#[test]
fn rfc8950_gateways_of_both_families_stand_side_by_side_and_a_restart_writes_nothing() {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24"]), ("eth1", &["fd00::1/64"])]);
    w.learn("10.244.1.0/26", &["fd00::2", "10.0.0.2"]);
    w.learn("10.244.2.0/26", &["fd00::2"]);
    w.learn("fd00:9::/64", &["10.0.0.2"]);
    let both = "10.244.1.0/26 proto 109 metric 1024 nexthop via 10.0.0.2 dev eth0 weight 1 \
                nexthop via fd00::2 dev eth1 weight 1\n\
                10.244.2.0/26 via fd00::2 dev eth1 proto 109 metric 1024\n";
    assert_eq!(w.ours(), both, "there is no IPv6 route over an IPv4 gateway");
    w.restart();
    w.hear_everything();
    assert_eq!(w.kernel.take_writes(), Vec::<String>::new());
    w.learn("10.244.2.0/26", &[]);
    w.kernel.set_carrier(3, false);
    w.run();
    assert_eq!(w.ours(), "10.244.1.0/26 via 10.0.0.2 dev eth0 proto 109 metric 1024\n");
}
