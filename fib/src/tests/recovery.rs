//! What others do to our routes, and what links do.

use std::time::Duration;

use super::World;
use crate::FibEvent;

const ROUTE: &str = "10.244.1.0/26 via 10.0.0.2 dev eth0 proto 109 metric 1024\n";

fn one_route() -> World {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24", "fd00::1/64"]), ("eth1", &["10.0.1.1/24"])]);
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    w.kernel.take_writes();
    w
}

#[test]
fn a_deleted_route_is_put_back_and_counted() {
    let mut w = one_route();
    w.kernel.ip("del 10.244.1.0/26 metric 1024").unwrap();
    w.run();
    assert_eq!(w.ours(), ROUTE);
    assert_eq!(w.fib.counters().repairs, 1);
    assert_eq!(w.fib.counters().last_repair.unwrap().prefix, "10.244.1.0/26".parse().unwrap());
}

#[test]
fn a_route_changed_under_our_protocol_is_put_right() {
    let mut w = one_route();
    w.kernel.ip("replace 10.244.1.0/26 via 10.0.0.7 dev eth0 proto 109 metric 1024").unwrap();
    w.run();
    assert_eq!(w.ours(), ROUTE);
    assert_eq!(w.fib.counters().repairs, 1);
}

#[test]
fn a_route_appended_under_our_protocol_is_removed() {
    let mut w = one_route();
    w.kernel.ip("append 10.244.1.0/26 via 10.0.0.7 dev eth0 proto 109 metric 1024").unwrap();
    w.run();
    assert_eq!(w.ours(), ROUTE);
    assert_eq!(
        w.kernel.take_writes(),
        ["del 10.244.1.0/26 via 10.0.0.7 dev eth0 proto 109 metric 1024"],
        "the right one is not touched"
    );
}

#[test]
fn a_route_taken_over_by_another_owner_is_left_to_it() {
    let mut w = one_route();
    w.kernel.ip("replace 10.244.1.0/26 via 10.0.0.7 dev eth0 proto bird metric 1024").unwrap();
    w.run();
    assert_eq!(w.ours(), "");
    assert_eq!(w.reason("10.244.1.0/26"), "10.244.1.0/26 metric 1024 is held by proto bird");
    w.advance(Duration::from_secs(5));
    assert_eq!(w.reason("10.244.1.0/26"), "10.244.1.0/26 metric 1024 is held by proto bird");
    w.kernel.ip("del 10.244.1.0/26 metric 1024").unwrap();
    w.run();
    assert_eq!(w.ours(), ROUTE);
}

#[test]
fn a_foreign_route_appended_to_ours_is_never_replaced() {
    let mut w = one_route();
    w.kernel.ip("append 10.244.1.0/26 via 10.0.0.7 dev eth0 proto bird metric 1024").unwrap();
    w.run();
    w.learn("10.244.1.0/26", &["10.0.0.3"]);
    w.advance(Duration::from_secs(5));
    assert_eq!(w.ours(), "", "ours is removed by name");
    w.kernel.ip("del 10.244.1.0/26 metric 1024").unwrap();
    w.run();
    assert_eq!(w.ours(), "10.244.1.0/26 via 10.0.0.3 dev eth0 proto 109 metric 1024\n");
}

#[test]
fn routes_are_back_after_a_link_flap_and_that_is_no_repair() {
    let mut w = one_route();
    w.own(&["10.244.0.0/26"]);
    w.learn("fd44:1::/122", &["fd00::2"]);
    w.track("10.0.0.2");
    w.reports();
    let before = w.ours();
    w.kernel.set_admin(2, false);
    w.run();
    assert_eq!(w.ours(), "blackhole 10.244.0.0/26 proto 109 metric 1024\n");
    assert_eq!(w.reason("10.244.1.0/26"), "no route to 10.0.0.2");
    w.kernel.set_admin(2, true);
    w.run();
    assert_eq!(w.ours(), before);
    assert_eq!(w.fib.counters().repairs, 0);
    assert_eq!(w.fib.counters().refusals, 0);
    assert_eq!(w.reports(), ["10.0.0.2: no route to 10.0.0.2", "10.0.0.2: metric 0"]);
}

#[test]
fn a_flap_too_quick_to_be_seen_apart_is_repaired_too() {
    let mut w = one_route();
    w.kernel.set_admin(2, false);
    w.kernel.set_admin(2, true);
    w.run();
    assert_eq!(w.ours(), ROUTE);
}

#[test]
fn a_static_route_lost_with_its_link_resolves_nothing_when_the_link_is_back() {
    let mut w = one_route();
    w.kernel.ip("add 172.16.0.0/24 via 10.0.0.9 dev eth0 proto static").unwrap();
    w.learn("10.244.2.0/26", &["172.16.0.1"]);
    w.kernel.set_admin(2, false);
    w.kernel.set_admin(2, true);
    w.run();
    assert_eq!(w.ours(), ROUTE);
    assert_eq!(w.reason("10.244.2.0/26"), "no route to 172.16.0.1");
}

#[test]
fn losing_one_link_of_a_group_leaves_the_other_hop() {
    let mut w = one_route();
    w.learn("10.244.1.0/26", &["10.0.0.2", "10.0.1.2"]);
    w.kernel.set_admin(3, false);
    w.run();
    assert_eq!(w.ours(), ROUTE);
    w.kernel.set_admin(3, true);
    w.run();
    assert_eq!(
        w.ours(),
        "10.244.1.0/26 proto 109 metric 1024 nexthop via 10.0.0.2 dev eth0 weight 1 \
         nexthop via 10.0.1.2 dev eth1 weight 1\n"
    );
    w.kernel.delete_link(3);
    w.run();
    assert_eq!(w.ours(), ROUTE);
}

#[test]
fn an_overrun_is_counted_and_answered_by_a_scan() {
    let mut w = one_route();
    w.kernel.ip("del 10.244.1.0/26 metric 1024").unwrap();
    w.kernel.take_notifications();
    w.give(FibEvent::Overrun);
    w.advance(Duration::from_secs(1));
    assert_eq!(w.ours(), ROUTE);
    let summary = w.fib.summary();
    assert_eq!((summary.overruns, summary.scans, summary.repairs), (1, 2, 1));
}

#[test]
fn what_no_notification_told_the_paced_scan_finds() {
    let mut w = one_route();
    w.kernel.ip("del 10.244.1.0/26 metric 1024").unwrap();
    w.kernel.take_notifications();
    w.advance(crate::scan::SCAN_INTERVAL - Duration::from_secs(1));
    assert_eq!(w.ours(), "");
    w.advance(Duration::from_secs(1));
    assert_eq!(w.ours(), ROUTE);
}

#[test]
fn an_ipv6_group_announced_hop_by_hop_is_understood() {
    let mut w = World::in_sync(&[("eth0", &["fd00::1/64"]), ("eth1", &["fd01::1/64"])]);
    w.kernel.ip("add fd99::/64 via fd00::9 dev eth0 proto static").unwrap();
    w.kernel.ip("append fd99::/64 via fd01::9 dev eth1 proto static").unwrap();
    w.learn("fd44:1::/122", &["fd99::1"]);
    assert_eq!(
        w.ours(),
        "fd44:1::/122 proto 109 metric 1024 nexthop via fd00::9 dev eth0 weight 1 \
         nexthop via fd01::9 dev eth1 weight 1\n"
    );
    w.kernel.delete_link(3);
    w.run();
    assert_eq!(w.ours(), "fd44:1::/122 via fd00::9 dev eth0 proto 109 metric 1024\n");
}

#[test]
fn a_group_that_loses_a_link_by_itself_is_not_written_again() {
    let mut w = World::in_sync(&[("eth0", &["fd00::1/64"]), ("eth1", &["fd01::1/64"])]);
    w.learn_weighted("fd44:1::/122", &[("fd00::2", 2), ("fd01::2", 3)]);
    w.kernel.take_writes();
    w.kernel.delete_link(3);
    w.run();
    assert_eq!(w.kernel.take_writes(), [""; 0]);
    assert_eq!(w.ours(), "fd44:1::/122 via fd00::2 dev eth0 proto 109 metric 1024\n");
    assert!(w.fib.summary().in_sync);
}

#[test]
fn a_replace_among_several_is_settled_by_a_scan() {
    let mut w = one_route();
    w.kernel.ip("add 172.16.0.0/24 via 10.0.0.8 dev eth0 proto static").unwrap();
    w.kernel.ip("append 172.16.0.0/24 via 10.0.0.9 dev eth0 proto static").unwrap();
    w.run();
    w.advance(Duration::from_secs(2));
    assert_eq!(w.fib.summary().scans, 1, "an append alone is clear");
    w.kernel.ip("replace 172.16.0.0/24 via 10.0.0.7 dev eth0 proto static").unwrap();
    w.run();
    w.advance(Duration::from_secs(2));
    assert_eq!(w.fib.summary().scans, 2);
}

/// `netplan apply`, a DHCP client, `ip address del` and `add` in one script: the kernel has thrown our routes away
/// without a word, and by the time we look the connected route is there as before.
#[test]
fn an_address_that_goes_and_comes_at_once_takes_our_routes_along_and_they_come_back() {
    let mut w = one_route();
    let address = "10.0.0.1/24".parse().unwrap();
    w.advance(Duration::from_secs(5));
    w.kernel.delete_address(2, address);
    w.kernel.add_address(2, address);
    assert_eq!(w.ours(), "", "gone in silence");
    w.run();
    w.advance(Duration::from_secs(2));
    assert_eq!(w.ours(), ROUTE);
    assert!(w.fib.summary().in_sync);
}
