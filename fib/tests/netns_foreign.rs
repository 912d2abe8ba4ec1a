//! Others' routes are never touched; ours are put back when others touch them.

mod netns;

use netns::{Netns, eventually, eventually_or, until_ours};

#[test]
fn a_foreign_route_keeps_its_key_until_it_goes() {
    let Some(netns) = Netns::create("a_foreign_route_keeps_its_key_until_it_goes") else { return };
    netns.ip("route add 10.244.1.0/26 via 10.0.1.9 proto bird metric 1024");
    netns.ip("-6 route add fd44:1::/122 via fd01::9 proto static metric 1024");
    let fib = netns.start();
    fib.own(&[]);
    fib.learn(&[("10.244.1.0/26", &["10.0.0.2"]), ("fd44:1::/122", &["fd00::2"])]);
    fib.in_sync();
    fib.until_in_sync(2);
    assert_eq!(netns.ours(), [""; 0]);
    assert_eq!(fib.reason("10.244.1.0/26").unwrap(), "10.244.1.0/26 metric 1024 is held by proto bird");
    assert_eq!(fib.reason("fd44:1::/122").unwrap(), "fd44:1::/122 metric 1024 is held by proto static");
    assert_eq!(fib.snapshot().summary.refusals, 0, "known without asking");

    netns.ip("route del 10.244.1.0/26 metric 1024");
    netns.ip("-6 route del fd44:1::/122 metric 1024");
    until_ours(
        &netns,
        &["10.244.1.0/26 via 10.0.0.2 dev eth0 metric 1024", "fd44:1::/122 via fd00::2 dev eth0 metric 1024"],
    );

    // Somebody takes both away from us; they are his then, and ours again when he goes.
    netns.ip("route replace 10.244.1.0/26 via 10.0.1.9 proto bird metric 1024");
    netns.ip("-6 route replace fd44:1::/122 via fd01::9 proto bird metric 1024");
    eventually("both are blocked", || fib.snapshot().summary.blocked == 2);
    assert_eq!(netns.ours(), [""; 0]);
    let foreign = netns.ip("route show proto bird") + &netns.ip("-6 route show proto bird");
    assert_eq!(foreign.lines().count(), 2, "{foreign}");
    netns.ip("route del 10.244.1.0/26 metric 1024");
    netns.ip("-6 route del fd44:1::/122 metric 1024");
    eventually("both are back", || netns.ours().len() == 2);
    fib.stop();
}

#[test]
fn a_deleted_or_changed_route_is_put_back() {
    let Some(netns) = Netns::create("a_deleted_or_changed_route_is_put_back") else { return };
    let fib = netns.start();
    fib.own(&["10.244.0.0/26"]);
    fib.learn(&[
        ("10.244.1.0/26", &["10.0.0.2"]),
        ("fd44:1::/122", &["fd00::2"]),
        ("fd44:2::/122", &["fd00::2", "fd01::2"]),
    ]);
    fib.in_sync();
    fib.until_in_sync(4);
    let before = netns.ours();
    let repairs = |n: u64| {
        eventually_or(
            &format!("repair {n}"),
            || format!("{:#?}\n{:#?}", fib.snapshot(), netns.ours()),
            || fib.snapshot().summary.repairs >= n,
        );
    };
    netns.ip("route del 10.244.1.0/26 metric 1024");
    repairs(1);
    netns.ip("-6 route del fd44:1::/122 metric 1024");
    repairs(2);
    netns.ip("route del blackhole 10.244.0.0/26 metric 1024");
    repairs(3);
    netns.ip("-6 route del fd44:2::/122 via fd01::2 dev eth1 metric 1024");
    repairs(4);
    netns.ip("route replace 10.244.1.0/26 via 10.0.0.7 proto 109 metric 1024");
    repairs(5);
    netns.ip("-6 route append fd44:1::/122 via fd00::7 dev eth0 proto 109 metric 1024");
    repairs(6);
    // Goes round until it finds nothing, or gives up.
    netns.ip("route flush proto 109");
    repairs(8);
    until_ours(&netns, &before.iter().map(String::as_str).collect::<Vec<_>>());
    fib.stop();
}

#[test]
fn foreign_routes_resolve_next_hops() {
    let Some(netns) = Netns::create("foreign_routes_resolve_next_hops") else { return };
    netns.ip("route add default via 10.0.0.254 proto static");
    let fib = netns.start();
    let track = |hop: &str| fib.handle().send(fib::FibEvent::TrackNextHop(hop.parse().unwrap()));
    let report = || {
        let report = fib.reports.recv_timeout(netns::PATIENCE).unwrap();
        (report.next_hop.to_string(), report.status)
    };
    track("172.16.0.1");
    assert_eq!(report(), ("172.16.0.1".to_owned(), Ok(1)));
    netns.ip("route add 172.16.0.0/24 via 10.0.1.254 proto static metric 20");
    assert_eq!(report(), ("172.16.0.1".to_owned(), Ok(20)));
    fib.learn(&[("10.244.1.0/26", &["172.16.0.1"])]);
    until_ours(&netns, &["10.244.1.0/26 via 10.0.1.254 dev eth1 metric 1024"]);
    netns.ip("route del 172.16.0.0/24");
    assert_eq!(report(), ("172.16.0.1".to_owned(), Ok(1)));
    track("10.0.0.1");
    assert_eq!(report(), ("10.0.0.1".to_owned(), Err("10.0.0.1 is an address of this host".to_owned())));
    track("10.0.0.255");
    assert_eq!(report(), ("10.0.0.255".to_owned(), Err("10.0.0.255 is not a unicast address".to_owned())));
    track("fd00::1");
    assert_eq!(report(), ("fd00::1".to_owned(), Err("fd00::1 is an address of this host".to_owned())));
    track("fe80::77");
    let (_, status) = report();
    assert!(status.unwrap_err().contains("could be on any of 4 links"));
    fib.stop();
}
