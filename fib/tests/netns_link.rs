//! Links that go down, lose their carrier or vanish, on a kernel that says little about it.

mod netns;

use netns::{Netns, until_ours};

const ALL: &[&str] = &[
    "10.244.1.0/26 via 10.0.0.2 dev eth0 metric 1024",
    "10.244.2.0/26 nexthop 10.0.0.2 dev eth0 weight 1 nexthop 10.0.1.2 dev eth1 weight 1 metric 1024",
    "10.244.3.0/26 via 10.0.1.2 dev eth1 metric 1024",
    "fd44:1::/122 via fd00::2 dev eth0 metric 1024",
    "fd44:2::/122 nexthop fd00::2 dev eth0 weight 1 nexthop fd01::2 dev eth1 weight 1 metric 1024",
    "fd44:3::/122 via fd01::2 dev eth1 metric 1024",
];
const WITHOUT_ETH1: &[&str] = &[
    "10.244.1.0/26 via 10.0.0.2 dev eth0 metric 1024",
    "10.244.2.0/26 via 10.0.0.2 dev eth0 metric 1024",
    "fd44:1::/122 via fd00::2 dev eth0 metric 1024",
    "fd44:2::/122 via fd00::2 dev eth0 metric 1024",
];

fn start(netns: &Netns) -> netns::Running {
    let fib = netns.start();
    fib.own(&[]);
    fib.learn(&[
        ("10.244.1.0/26", &["10.0.0.2"]),
        ("10.244.2.0/26", &["10.0.0.2", "10.0.1.2"]),
        ("10.244.3.0/26", &["10.0.1.2"]),
        ("fd44:1::/122", &["fd00::2"]),
        ("fd44:2::/122", &["fd00::2", "fd01::2"]),
        ("fd44:3::/122", &["fd01::2"]),
    ]);
    fib.in_sync();
    fib.until_in_sync(6);
    assert_eq!(netns.ours(), ALL);
    fib
}

#[test]
fn down_and_up() {
    let Some(netns) = Netns::create("down_and_up") else { return };
    let fib = start(&netns);
    for _ in 0..3 {
        netns.ip("link set eth1 down");
        until_ours(&netns, WITHOUT_ETH1);
        assert_eq!(fib.reason("10.244.3.0/26").unwrap(), "no route to 10.0.1.2");
        netns.ip("link set eth1 up");
        // IPv6 addresses do not survive.
        netns.ip("-6 address add fd01::1/64 dev eth1 nodad");
        until_ours(&netns, ALL);
    }
    // Too quick to be told apart.
    netns.ip("link set eth1 down");
    netns.ip("link set eth1 up");
    netns.ip("-6 address add fd01::1/64 dev eth1 nodad");
    until_ours(&netns, ALL);
    fib.until_in_sync(6);
    let summary = fib.snapshot().summary;
    assert_eq!((summary.scans, summary.repairs), (1, 0), "all by notifications: {summary:?}");
    fib.stop();
}

#[test]
fn carrier() {
    let Some(netns) = Netns::create("carrier") else { return };
    let fib = start(&netns);
    netns.ip("link set peer1 down");
    until_ours(&netns, WITHOUT_ETH1);
    assert_eq!(fib.reason("10.244.3.0/26").unwrap(), "link eth1 is down (next hop 10.0.1.2)");
    netns.ip("link set peer1 up");
    until_ours(&netns, ALL);
    fib.stop();
}

#[test]
fn deleted_and_made_again() {
    let Some(netns) = Netns::create("deleted_and_made_again") else { return };
    let fib = start(&netns);
    netns.ip("link del eth1");
    until_ours(&netns, WITHOUT_ETH1);
    netns.ip("link add eth1 type veth peer name peer1");
    netns.ip("link set peer1 up");
    netns.ip("link set eth1 up");
    netns.ip("address add 10.0.1.1/24 dev eth1");
    netns.ip("-6 address add fd01::1/64 dev eth1 nodad");
    until_ours(&netns, ALL);
    fib.stop();
}

#[test]
fn an_address_that_goes_and_comes() {
    let Some(netns) = Netns::create("an_address_that_goes_and_comes") else { return };
    let fib = start(&netns);
    netns.ip("address del 10.0.1.1/24 dev eth1");
    netns.ip("-6 address del fd01::1/64 dev eth1");
    until_ours(&netns, WITHOUT_ETH1);
    netns.ip("address add 10.0.1.1/24 dev eth1");
    netns.ip("-6 address add fd01::1/64 dev eth1 nodad");
    until_ours(&netns, ALL);
    fib.stop();
}

/// The same, too quick to be told apart: without a route of its own to lose, nothing but a scan tells.
#[test]
fn an_address_that_goes_and_comes_at_once() {
    let Some(netns) = Netns::create("an_address_at_once") else { return };
    let fib = start(&netns);
    for _ in 0..5 {
        netns.ip("address del 10.0.1.1/24 dev eth1");
        netns.ip("address add 10.0.1.1/24 dev eth1");
        until_ours(&netns, ALL);
    }
    fib.until_in_sync(6);
    fib.stop();
}
