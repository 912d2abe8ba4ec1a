//! Next hops over our own routes, weights, metrics and next-hop objects, in a real kernel.

mod netns;

use netns::{Netns, eventually, until_ours};

const ROUTES: &[(&str, &[&str])] = &[
    ("10.10.0.2/32", &["10.0.0.254", "10.0.1.254*4"]),
    ("10.244.2.0/26", &["10.10.0.2"]),
    ("fd10::2/128", &["fd00::fe*3", "fd01::fe*256"]),
    ("fd44:2::/122", &["fd10::2"]),
];
const IN_KERNEL: &[&str] = &[
    "10.10.0.2 nexthop 10.0.0.254 dev eth0 weight 1 nexthop 10.0.1.254 dev eth1 weight 4 metric 1024",
    "10.244.2.0/26 nexthop 10.0.0.254 dev eth0 weight 1 nexthop 10.0.1.254 dev eth1 weight 4 metric 1024",
    "fd10::2 nexthop fd00::fe dev eth0 weight 3 nexthop fd01::fe dev eth1 weight 256 metric 1024",
    "fd44:2::/122 nexthop fd00::fe dev eth0 weight 3 nexthop fd01::fe dev eth1 weight 256 metric 1024",
];

/// The routes of a former run, written with their weights, are right in the eyes of the next: read back equal by the
/// scan, and nothing is written.
#[test]
fn weights_and_recursion_survive_a_restart_without_a_write() {
    let Some(netns) = Netns::create("weights_and_recursion_survive") else { return };
    let fib = netns.start();
    fib.own(&[]);
    fib.learn(ROUTES);
    fib.in_sync();
    fib.until_in_sync(4);
    assert_eq!(netns.ours(), IN_KERNEL);
    fib.stop();

    let monitor = netns.monitor();
    let fib = netns.start();
    fib.own(&[]);
    // The outer ones first.
    for route in [1, 3, 0, 2] {
        fib.learn(&ROUTES[route..=route]);
    }
    fib.in_sync();
    fib.until_in_sync(4);
    assert_eq!(netns.seen(&monitor), [""; 0]);
    assert_eq!(fib.snapshot().summary.writes, 0);

    // A change of the inner route is one replace of each, and nothing of the IPv6 ones.
    fib.learn(&[("10.10.0.2/32", &["10.0.1.254"])]);
    until_ours(
        &netns,
        &[
            "10.10.0.2 via 10.0.1.254 dev eth1 metric 1024",
            "10.244.2.0/26 via 10.0.1.254 dev eth1 metric 1024",
            IN_KERNEL[2],
            IN_KERNEL[3],
        ],
    );
    assert_eq!(fib.snapshot().summary.writes, 2);
    assert!(netns.seen(&monitor).iter().all(|line| !line.starts_with("Deleted")), "replaced in one step");
    fib.stop();
}

/// Somebody changes a weight, and the monitor's word is understood as just that.
#[test]
fn a_weight_that_somebody_changes_is_put_back() {
    let Some(netns) = Netns::create("a_weight_that_somebody_changes") else { return };
    let fib = netns.start();
    fib.own(&[]);
    fib.learn(&ROUTES[..1]);
    fib.in_sync();
    fib.until_in_sync(1);
    netns.ip("route replace 10.10.0.2 metric 1024 proto 109 nexthop via 10.0.0.254 dev eth0 weight 9 \
         nexthop via 10.0.1.254 dev eth1 weight 9");
    eventually("the repair", || fib.snapshot().summary.repairs == 1);
    assert_eq!(netns.ours(), &IN_KERNEL[..1]);
    assert_eq!(fib.snapshot().summary.scans, 1, "the notification was enough");
    fib.stop();
}

/// Linux refuses `via fd00::fe` while it holds `fd00::fe via fd00::fe`.
#[test]
fn routes_by_an_ipv6_neighbor_that_announces_itself_are_installed() {
    let Some(netns) = Netns::create("an_ipv6_neighbor_that_announces_itself") else { return };
    let fib = netns.start();
    fib.own(&[]);
    fib.learn(&[("fd00::fe/128", &["fd00::fe"]), ("10.0.0.254/32", &["10.0.0.254"])]);
    fib.in_sync();
    fib.until_in_sync(2);
    fib.learn(&[("fd44:2::/122", &["fd00::fe"]), ("10.244.2.0/26", &["10.0.0.254"])]);
    fib.until_in_sync(4);
    assert_eq!(fib.snapshot().summary.refusals, 0);
    assert_eq!(netns.ours().len(), 4);
    fib.stop();
}

#[test]
fn the_metric_of_the_kernel_route_is_the_cost_and_a_change_is_reported() {
    let Some(netns) = Netns::create("the_metric_of_the_kernel_route") else { return };
    netns.ip("route add 172.16.0.0/24 via 10.0.0.254 proto ospf metric 30");
    let fib = netns.start();
    let cost = |expected: Result<u32, String>| {
        let report = fib.reports.recv_timeout(netns::PATIENCE).unwrap();
        assert_eq!(report.status, expected);
    };
    fib.handle().send(fib::FibEvent::TrackNextHop("172.16.0.1".parse().unwrap()));
    cost(Ok(30));
    netns.ip("route add 172.16.0.0/24 via 10.0.1.254 proto ospf metric 10");
    cost(Ok(10));
    netns.ip("route del 172.16.0.0/24 metric 10");
    cost(Ok(30));
    netns.ip("route del 172.16.0.0/24");
    cost(Err("no route to 172.16.0.1".to_owned()));
    fib.stop();
}

/// The kernel says that the object goes, and not a word about the routes that go with it.
#[test]
fn a_deleted_next_hop_object_takes_its_routes_along_at_once() {
    let Some(netns) = Netns::create("a_deleted_next_hop_object") else { return };
    netns.ip("nexthop add id 7 via 10.0.0.254 dev eth0");
    netns.ip("nexthop add id 8 via 10.0.1.254 dev eth1");
    netns.ip("route add 172.16.0.0/24 nhid 7 proto static");
    let fib = netns.start();
    fib.own(&[]);
    fib.learn(&[("10.244.2.0/26", &["172.16.0.1"])]);
    fib.in_sync();
    fib.until_in_sync(1);
    assert_eq!(netns.ours(), ["10.244.2.0/26 via 10.0.0.254 dev eth0 metric 1024"]);

    netns.ip("nexthop replace id 7 via 10.0.0.253 dev eth0");
    until_ours(&netns, &["10.244.2.0/26 via 10.0.0.253 dev eth0 metric 1024"]);
    netns.ip("nexthop del id 7");
    until_ours(&netns, &[]);
    assert_eq!(fib.reason("10.244.2.0/26").unwrap(), "no route to 172.16.0.1");
    // One that no route goes by is nobody's business.
    let scans = fib.snapshot().summary.scans;
    netns.ip("nexthop del id 8");
    netns.ip("route add 172.16.0.0/24 via 10.0.1.254 proto static");
    until_ours(&netns, &["10.244.2.0/26 via 10.0.1.254 dev eth1 metric 1024"]);
    assert_eq!(fib.snapshot().summary.scans, scans);
    fib.stop();
}
