//! A start writes nothing that need not be written.

use super::{World, world::CONFIG};
use crate::{Fib, FibEvent};

fn settled() -> World {
    let mut w = World::in_sync(&[("eth0", &["10.0.0.1/24", "fd00::1/64"]), ("eth1", &["10.0.1.1/24"])]);
    w.own(&["10.244.0.0/26", "fd44::/122"]);
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    w.learn_weighted("10.244.2.0/26", &[("10.0.0.2", 2), ("10.0.1.2", 1)]);
    w.learn("fd44:1::/122", &["fd00::2"]);
    w
}

#[test]
fn a_restart_with_the_same_input_writes_nothing() {
    let mut w = settled();
    let before = w.ours();
    w.restart();
    w.hear_everything();
    w.advance(crate::scan::SCAN_INTERVAL);
    assert_eq!(w.kernel.take_writes(), [""; 0]);
    assert_eq!(w.ours(), before);
    assert!(w.fib.summary().in_sync);
}

#[test]
fn before_in_sync_only_missing_routes_are_created() {
    let mut w = settled();
    w.restart();
    w.learn("10.244.1.0/26", &["10.0.0.3"]);
    w.learn("10.244.3.0/26", &["10.0.0.2"]);
    w.own(&["10.244.4.0/26"]);
    assert_eq!(
        w.kernel.take_writes(),
        [
            "add 10.244.3.0/26 via 10.0.0.2 dev eth0 proto 109 metric 1024",
            // The blackholes are complete with the first word about them.
            "add blackhole 10.244.4.0/26 proto 109 metric 1024",
            "del blackhole 10.244.0.0/26 proto 109 metric 1024",
            "del blackhole fd44::/122 proto 109 metric 1024",
        ]
    );
    assert_eq!(w.reason("10.244.1.0/26"), "kept as it is until the sources are complete");
    assert!(!w.fib.summary().in_sync);
    w.give(FibEvent::LearnedInSync);
    assert_eq!(
        w.kernel.take_writes(),
        [
            "replace 10.244.1.0/26 via 10.0.0.3 dev eth0 proto 109 metric 1024",
            "del 10.244.2.0/26 proto 109 metric 1024 nexthop via 10.0.0.2 dev eth0 weight 2 \
             nexthop via 10.0.1.2 dev eth1 weight 1",
            "del fd44:1::/122 via fd00::2 dev eth0 proto 109 metric 1024",
        ]
    );
    assert!(w.fib.summary().in_sync);
}

#[test]
fn what_this_process_wrote_follows_its_source_before_in_sync() {
    let mut w = settled();
    w.restart();
    w.learn("10.244.3.0/26", &["10.0.0.2"]);
    w.learn("10.244.3.0/26", &["10.0.0.2", "10.0.1.2"]);
    w.learn("10.244.3.0/26", &[]);
    assert_eq!(
        w.kernel.take_writes(),
        [
            "add 10.244.3.0/26 via 10.0.0.2 dev eth0 proto 109 metric 1024",
            "replace 10.244.3.0/26 proto 109 metric 1024 nexthop via 10.0.0.2 dev eth0 weight 1 \
             nexthop via 10.0.1.2 dev eth1 weight 1",
            "del 10.244.3.0/26 proto 109 metric 1024 nexthop via 10.0.0.2 dev eth0 weight 1 \
             nexthop via 10.0.1.2 dev eth1 weight 1",
        ]
    );
}

#[test]
fn before_own_blocks_are_known_blackholes_stay() {
    let mut w = settled();
    w.restart();
    w.give(FibEvent::LearnedInSync);
    assert_eq!(
        w.ours(),
        "blackhole 10.244.0.0/26 proto 109 metric 1024\nblackhole fd44::/122 proto 109 metric 1024\n"
    );
    assert_eq!(w.reason("10.244.0.0/26"), "kept as it is until the sources are complete");
    w.give(FibEvent::OwnBlocks(Vec::new()));
    assert_eq!(w.ours(), "");
}

#[test]
fn nothing_is_written_before_the_first_scan() {
    let mut w = World::new(&[("eth0", &["10.0.0.1/24"])]);
    w.answer_scans = false;
    for event in w.kernel.scan().into_iter().filter(|event| !matches!(event, FibEvent::ScanDone)) {
        w.give(event);
    }
    w.learn("10.244.1.0/26", &["10.0.0.2"]);
    w.own(&["10.244.0.0/26"]);
    w.give(FibEvent::LearnedInSync);
    assert!(w.kernel.take_writes().is_empty());
    assert_eq!(w.reason("10.244.0.0/26"), "the kernel's routes are being read");
    w.give(FibEvent::ScanDone);
    assert_eq!(w.kernel.take_writes().len(), 2);
}

#[test]
fn the_first_effect_is_a_scan() {
    assert_eq!(Fib::new(CONFIG, 0).poll_effect(), Some(crate::FibEffect::Scan));
}

#[test]
fn a_broken_scan_is_repeated_and_removes_nothing() {
    let mut w = settled();
    w.give(FibEvent::ScanStarted);
    w.give(FibEvent::ScanFailed("dump interrupted".to_owned()));
    assert_eq!(w.fib.summary().desired, w.fib.summary().installed);
    assert_eq!(w.fib.next_deadline(), Some(w.now + crate::scan::SCAN_INTERVAL_MIN));
    w.kernel.take_writes();
    w.advance(crate::scan::SCAN_INTERVAL_MIN);
    assert_eq!(w.fib.summary().scans, 2);
    assert!(w.kernel.take_writes().is_empty());
}

#[test]
fn another_table_is_read_before_it_is_written_and_the_old_one_is_cleared() {
    let mut w = settled();
    w.kernel.ip("add 10.244.1.0/26 via 10.0.0.9 dev eth0 proto bird metric 1024 table 100").unwrap();
    w.kernel.take_notifications();
    w.give(FibEvent::Configure(crate::FibConfig { table: 100, ..CONFIG }));
    w.advance(std::time::Duration::from_secs(5));
    assert_eq!(w.reason("10.244.1.0/26"), "10.244.1.0/26 metric 1024 is held by proto bird");
    assert_eq!(w.fib.counters().refusals, 0, "known before anything was written");
    assert!(w.ours().lines().all(|line| line.contains("table 100")), "{}", w.ours());
    assert_eq!(w.ours().lines().count(), 4);
    assert!(w.fib.summary().in_sync, "{:?}", w.fib.summary());
}

/// What a node answers itself is not forwarded to another, however it came to be learned; and back.
#[test]
fn learned_routes_in_withheld_ranges_are_not_installed() {
    let withheld =
        |ranges: &[&str]| FibEvent::Withheld(ranges.iter().map(|range| range.parse().unwrap()).collect());
    let mut w = settled();
    w.give(withheld(&["10.96.0.0/12"]));
    w.kernel.take_writes();
    w.learn("10.96.0.0/12", &["10.0.0.2"]);
    w.learn("10.96.1.1/32", &["10.0.0.2"]);
    assert_eq!(w.kernel.take_writes(), [""; 0]);
    let one = ["10.96.0.0/12", "10.96.1.1/32"];
    w.give(withheld(&[]));
    let add = |prefix: &str| format!("add {prefix} via 10.0.0.2 dev eth0 proto 109 metric 1024");
    assert_eq!(w.kernel.take_writes(), one.map(add));
    w.give(withheld(&["10.96.0.0/12", "10.9.0.0/16"]));
    let del = |prefix: &str| format!("del {prefix} via 10.0.0.2 dev eth0 proto 109 metric 1024");
    assert_eq!(w.kernel.take_writes(), one.map(del));
}
