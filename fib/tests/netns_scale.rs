//! Many routes, and notifications lost on the way.

mod netns;

use netns::{Netns, eventually, learned};

const EACH: usize = 10_000;

fn prefixes() -> Vec<(String, &'static str)> {
    let v4 = (0..EACH).map(|n| (format!("10.{}.{}.0/24", 100 + n / 256, n % 256), "10.0.0.2"));
    let v6 = (0..EACH).map(|n| (format!("fd44:{n:x}::/64"), "fd00::2"));
    v4.chain(v6).collect()
}

#[test]
fn twenty_thousand_in_moved_and_out() {
    let Some(netns) = Netns::create("twenty_thousand_in_moved_and_out") else { return };
    let fib = netns.start();
    fib.own(&[]);
    let all = prefixes();
    fib.handle().learned(all.iter().map(|(prefix, hop)| learned(prefix, &[hop])).collect());
    fib.in_sync();
    fib.until_in_sync(2 * EACH);
    let count = |family: &str, via: &str| {
        netns.ip(&format!("{family} route show proto 109")).lines().filter(|line| line.contains(via)).count()
    };
    assert_eq!((count("-4", "via 10.0.0.2 dev eth0"), count("-6", "via fd00::2 dev eth0")), (EACH, EACH));

    // Somebody deletes them all, as often as he finds any.
    netns.ip("-4 route flush proto 109");
    eventually("all are back", || fib.snapshot().summary.repairs >= EACH as u64);
    fib.until_in_sync(2 * EACH);
    assert_eq!(count("-4", "via 10.0.0.2 dev eth0"), EACH);

    let elsewhere = |hop: &str| if hop.contains(':') { "fd01::2" } else { "10.0.1.2" };
    fib.handle().learned(all.iter().map(|(prefix, hop)| learned(prefix, &[elsewhere(hop)])).collect());
    eventually("all are moved", || {
        (count("-4", "via 10.0.1.2 dev eth1"), count("-6", "via fd01::2 dev eth1")) == (EACH, EACH)
    });
    netns.ip("link set eth1 down");
    eventually("all are gone", || (count("-4", ""), count("-6", "")) == (0, 0));
    netns.ip("link set eth1 up");
    netns.ip("-6 address add fd01::1/64 dev eth1 nodad");
    eventually("all are back", || (count("-4", "eth1"), count("-6", "eth1")) == (EACH, EACH));

    fib.handle().learned(all.iter().map(|(prefix, _)| learned(prefix, &[])).collect());
    fib.until_in_sync(0);
    assert_eq!((count("-4", ""), count("-6", "")), (0, 0));
    fib.stop();
}

#[test]
fn lost_notifications_are_made_up_for_by_a_scan() {
    let Some(netns) = Netns::create("lost_notifications_are_made_up_for_by_a_scan") else { return };
    let (stuck, held_up) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    // A sink that blocks, which a real one must not: the thread hears nothing meanwhile.
    let sink = Box::new(move |report| {
        stuck.send(report).unwrap();
        let _ = released.recv();
    });
    let config = fib::FibConfig {
        table: 254,
        metric_v4: 1024,
        metric_v6: 1024,
        install: true,
        resolve_through_default: true,
    };
    let fib = netns.start_reporting(config, sink, held_up);
    fib.own(&[]);
    fib.learn(&[("10.244.1.0/26", &["10.0.0.2"]), ("fd44:1::/122", &["fd00::2"])]);
    fib.in_sync();
    fib.until_in_sync(2);
    let before = fib.snapshot().summary.foreign;
    fib.handle().send(fib::FibEvent::TrackNextHop("10.0.0.2".parse().unwrap()));
    fib.reports.recv_timeout(netns::PATIENCE).unwrap();

    const FLOOD: usize = 60_000;
    let flood: String = (0..FLOOD)
        .map(|n| {
            format!("route add 172.{}.{}.{} dev lo proto static\n", 16 + n / 65536, n / 256 % 256, n % 256)
        })
        .collect();
    netns.batch(&flood);
    netns.ip("route del 10.244.1.0/26 metric 1024");
    netns.ip("-6 route replace fd44:1::/122 via fd00::9 dev eth0 proto 109 metric 1024");
    drop(release);

    eventually("repaired", || fib.snapshot().summary.repairs == 2);
    fib.until_in_sync(2);
    let summary = fib.snapshot().summary;
    assert!(summary.overruns > 0 && summary.scans > 1, "{summary:?}");
    // IPv6's own link-local addresses may have come meanwhile.
    assert!(summary.foreign >= before + FLOOD, "{summary:?}");
    assert_eq!(
        netns.ours(),
        ["10.244.1.0/26 via 10.0.0.2 dev eth0 metric 1024", "fd44:1::/122 via fd00::2 dev eth0 metric 1024"]
    );
    fib.stop();
}
