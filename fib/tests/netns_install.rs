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
