//! Routes of every shape into a real kernel and out again, as `ip route` sees them.

mod netns;

use netns::{Netns, until_ours};

#[test]
fn every_shape_is_installed_and_withdrawn() {
    let Some(netns) = Netns::create("every_shape_is_installed_and_withdrawn") else { return };
    let before = (netns.ip("-4 route show table all"), netns.ip("-6 route show table all"));
    let fib = netns.start();
    fib.own(&["10.244.0.0/26", "fd44::/122"]);
    fib.learn(&[
        ("10.244.1.0/26", &["10.0.0.2"]),
        ("10.244.2.0/26", &["10.0.0.2*2", "10.0.1.2*3"]),
        ("10.244.3.0/26", &["fd00::2"]),
        ("10.244.4.0/26", &["fd00::2", "10.0.1.2*256"]),
        ("0.0.0.0/0", &["10.0.0.2"]),
        ("fd44:1::/122", &["fd00::2"]),
        ("fd44:2::/122", &["fd00::2*2", "fd01::2*3"]),
        ("::/0", &["fd01::2"]),
    ]);
    fib.in_sync();
    fib.until_in_sync(10);
    assert_eq!(
        netns.ours(),
        [
            "10.244.1.0/26 via 10.0.0.2 dev eth0 metric 1024",
            "10.244.2.0/26 nexthop 10.0.0.2 dev eth0 weight 2 nexthop 10.0.1.2 dev eth1 weight 3 metric 1024",
            "10.244.3.0/26 via fd00::2 dev eth0 metric 1024",
            "10.244.4.0/26 nexthop 10.0.1.2 dev eth1 weight 256 nexthop fd00::2 dev eth0 weight 1 metric 1024",
            "blackhole 10.244.0.0/26 metric 1024",
            "blackhole fd44::/122 metric 1024",
            "default via 10.0.0.2 dev eth0 metric 1024",
            "default via fd01::2 dev eth1 metric 1024",
            "fd44:1::/122 via fd00::2 dev eth0 metric 1024",
            "fd44:2::/122 nexthop fd00::2 dev eth0 weight 2 nexthop fd01::2 dev eth1 weight 3 metric 1024",
        ]
    );

    // Every shape into another: single to group, group to single, blackhole to forward and back.
    fib.own(&["10.244.1.0/26", "fd44:2::/122"]);
    fib.learn(&[
        ("10.244.0.0/26", &["10.0.0.2"]),
        ("10.244.2.0/26", &["10.0.1.2"]),
        ("10.244.3.0/26", &["10.0.0.2", "10.0.0.3"]),
        ("10.244.4.0/26", &[]),
        ("0.0.0.0/0", &[]),
        ("fd44::/122", &["fd00::2", "fd01::2"]),
        ("fd44:1::/122", &["fd01::2", "fd01::3"]),
        ("::/0", &["fd00::2", "fd00::3"]),
    ]);
    until_ours(
        &netns,
        &[
            "10.244.0.0/26 via 10.0.0.2 dev eth0 metric 1024",
            "10.244.2.0/26 via 10.0.1.2 dev eth1 metric 1024",
            "10.244.3.0/26 nexthop 10.0.0.2 dev eth0 weight 1 nexthop 10.0.0.3 dev eth0 weight 1 metric 1024",
            "blackhole 10.244.1.0/26 metric 1024",
            "blackhole fd44:2::/122 metric 1024",
            "default nexthop fd00::2 dev eth0 weight 1 nexthop fd00::3 dev eth0 weight 1 metric 1024",
            "fd44:1::/122 nexthop fd01::2 dev eth1 weight 1 nexthop fd01::3 dev eth1 weight 1 metric 1024",
            "fd44::/122 nexthop fd00::2 dev eth0 weight 1 nexthop fd01::2 dev eth1 weight 1 metric 1024",
        ],
    );
    fib.until_in_sync(8);
    assert_eq!(fib.snapshot().summary.refusals, 0);

    fib.own(&[]);
    fib.learn(&[
        ("10.244.0.0/26", &[]),
        ("10.244.1.0/26", &[]),
        ("10.244.2.0/26", &[]),
        ("10.244.3.0/26", &[]),
        ("fd44::/122", &[]),
        ("fd44:1::/122", &[]),
        ("fd44:2::/122", &[]),
        ("::/0", &[]),
    ]);
    fib.until_in_sync(0);
    assert_eq!((netns.ip("-4 route show table all"), netns.ip("-6 route show table all")), before);
    fib.stop();
}

/// The links have no common prefix but fe80::/64, and both neighbors have the same address.
#[test]
fn one_link_local_address_on_two_links() {
    let Some(netns) = Netns::create("one_link_local_address_on_two_links") else { return };
    let fib = netns.start();
    let tell = |fib: &netns::Running| {
        fib.own(&[]);
        fib.learn(&[
            ("10.244.1.0/26", &["fe80::1%eth1"]),
            ("10.244.2.0/26", &["fe80::1%eth0*2", "fe80::1%eth1*3", "10.0.0.2"]),
            ("fd44:1::/122", &["fe80::1%eth0"]),
            ("fd44:2::/122", &["fe80::1%eth0*2", "fe80::1%eth1*3"]),
        ]);
        fib.in_sync();
    };
    tell(&fib);
    fib.until_in_sync(4);
    let both = "nexthop fe80::1 dev eth0 weight 2 nexthop fe80::1 dev eth1 weight 3 metric 1024";
    let expected = [
        "10.244.1.0/26 via fe80::1 dev eth1 metric 1024".to_owned(),
        format!("10.244.2.0/26 nexthop 10.0.0.2 dev eth0 weight 1 {both}"),
        "fd44:1::/122 via fe80::1 dev eth0 metric 1024".to_owned(),
        format!("fd44:2::/122 {both}"),
    ];
    assert_eq!(netns.ours(), expected);
    fib.stop();

    let monitor = netns.monitor();
    let fib = netns.start();
    tell(&fib);
    fib.until_in_sync(4);
    assert_eq!(netns.seen(&monitor), [""; 0], "a restart is silence");
    fib.learn(&[
        ("10.244.1.0/26", &[]),
        ("10.244.2.0/26", &[]),
        ("fd44:1::/122", &[]),
        ("fd44:2::/122", &[]),
    ]);
    fib.until_in_sync(0);
    assert_eq!(netns.ours(), [""; 0]);
    fib.stop();
}

/// The interface goes and comes back, with another index.
#[test]
fn a_link_that_comes_back_is_found_by_its_name() {
    let Some(netns) = Netns::create("a_link_that_comes_back_is_found_by_its_name") else { return };
    let make_back = || {
        netns.ip("link add back type veth peer name peerback");
        netns.ip("link set peerback up");
        netns.ip("link set back up");
    };
    make_back();
    let fib = netns.start();
    fib.learn(&[("10.244.1.0/26", &["fe80::1%back"]), ("fd44:1::/122", &["fe80::1%back"])]);
    fib.in_sync();
    let there =
        ["10.244.1.0/26 via fe80::1 dev back metric 1024", "fd44:1::/122 via fe80::1 dev back metric 1024"];
    until_ours(&netns, &there);
    netns.ip("link del back");
    until_ours(&netns, &[]);
    netns::eventually("the reason", || {
        fib.reason("10.244.1.0/26").as_deref() == Some("there is no link back (next hop fe80::1)")
    });
    netns.ip("link add other type veth peer name peerother");
    make_back();
    until_ours(&netns, &there);
    fib.stop();
}

#[test]
fn a_table_and_a_metric_of_our_own() {
    let Some(netns) = Netns::create("a_table_and_a_metric_of_our_own") else { return };
    let fib = netns.start_with(fib::FibConfig {
        table: 5000,
        metric_v4: 7,
        metric_v6: 9,
        install: true,
        resolve_through_default: true,
    });
    fib.own(&["10.244.0.0/26"]);
    fib.learn(&[("10.244.1.0/26", &["10.0.0.2"]), ("fd44:1::/122", &["fd00::2"])]);
    fib.in_sync();
    fib.until_in_sync(3);
    assert_eq!(netns.ours(), [""; 0], "not in main");
    let v4 = netns.ip("-4 route show table 5000");
    let v6 = netns.ip("-6 route show table 5000");
    assert!(v4.contains("10.244.1.0/26 via 10.0.0.2 dev eth0 proto 109 metric 7"), "{v4}");
    assert!(v4.contains("blackhole 10.244.0.0/26 proto 109 metric 7"), "{v4}");
    assert!(v6.contains("fd44:1::/122 via fd00::2 dev eth0 proto 109 metric 9"), "{v6}");
    fib.own(&[]);
    fib.learn(&[("10.244.1.0/26", &[]), ("fd44:1::/122", &[])]);
    fib.until_in_sync(0);
    assert_eq!(netns.ip("-4 route show table 5000").trim(), "");
    fib.stop();
}

#[test]
fn the_kernel_s_own_words_reach_the_snapshot_and_the_route_is_tried_again() {
    let Some(netns) = Netns::create("the_kernel_s_own_words_reach_the_snapshot") else { return };
    // For us the next hop is connected; in a table of its own the kernel asks the rules as well.
    netns.ip("rule add pref 10 to 10.0.0.2 prohibit");
    let fib = netns.start_with(fib::FibConfig {
        table: 5000,
        metric_v4: 7,
        metric_v6: 9,
        install: true,
        resolve_through_default: true,
    });
    fib.learn(&[("10.244.1.0/26", &["10.0.0.2"]), ("10.244.2.0/26", &["10.0.0.3"])]);
    netns::eventually("the other is installed", || {
        fib.route("10.244.2.0/26").is_some_and(|route| route.state == fib::RouteState::Installed)
    });
    assert_eq!(fib.reason("10.244.1.0/26").unwrap(), "Nexthop has invalid gateway");
    netns.ip("rule del pref 10");
    netns::eventually("tried again", || fib.reason("10.244.1.0/26").is_none());
    assert!(netns.ip("route show table 5000").contains("10.244.1.0/26 via 10.0.0.2"));
    fib.stop();
}
