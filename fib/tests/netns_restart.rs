//! A restart is not seen by anybody who watches the kernel.

mod netns;

use netns::{Netns, Running};

fn tell_everything(fib: &Running) {
    fib.learn(&[
        ("10.244.1.0/26", &["10.0.0.2"]),
        ("10.244.2.0/26", &["10.0.1.2*3", "10.0.0.2*2"]),
        ("10.244.3.0/26", &["fd00::2"]),
        ("fd44:1::/122", &["fd00::2"]),
        ("fd44:2::/122", &["fd01::2*3", "fd00::2*2"]),
        ("::/0", &["fd01::2"]),
    ]);
    fib.own(&["10.244.0.0/26", "fd44::/122"]);
    fib.in_sync();
}

#[test]
fn a_restart_with_the_same_input_is_silence() {
    let Some(netns) = Netns::create("a_restart_with_the_same_input_is_silence") else { return };
    let fib = netns.start();
    tell_everything(&fib);
    fib.until_in_sync(8);
    let before = netns.ours();
    assert_eq!(before.len(), 8);

    let monitor = netns.monitor();
    fib.stop();
    assert_eq!(netns.ours(), before, "an end leaves the routes");
    let fib = netns.start();
    tell_everything(&fib);
    fib.until_in_sync(8);
    assert_eq!(netns.seen(&monitor), [""; 0], "nothing happened in the kernel");
    assert_eq!(netns.ours(), before);
    assert_eq!(fib.snapshot().summary.writes, 0);
    fib.stop();
}

#[test]
fn what_changed_meanwhile_is_applied_only_when_in_sync_and_nothing_else_is_touched() {
    let Some(netns) = Netns::create("what_changed_meanwhile") else { return };
    let fib = netns.start();
    tell_everything(&fib);
    fib.until_in_sync(8);
    fib.stop();

    let monitor = netns.monitor();
    let fib = netns.start();
    fib.own(&["10.244.0.0/26", "fd44::/122"]);
    fib.learn(&[("10.244.1.0/26", &["10.0.0.3"]), ("10.244.9.0/26", &["10.0.0.2"])]);
    netns::eventually("the new route", || netns.ours().iter().any(|line| line.contains("10.244.9.0")));
    let seen = netns.seen(&monitor);
    assert_eq!(seen, ["10.244.9.0/26 via 10.0.0.2 dev eth0 proto 109 metric 1024 "]);

    fib.learn(&[
        ("10.244.2.0/26", &["10.0.1.2*3", "10.0.0.2*2"]),
        ("10.244.3.0/26", &["fd00::2"]),
        ("fd44:1::/122", &["fd00::2"]),
        ("::/0", &["fd01::2"]),
    ]);
    fib.in_sync();
    fib.until_in_sync(8);
    let seen: Vec<String> = netns.seen(&monitor).iter().map(|line| line.trim().to_owned()).collect();
    assert_eq!(seen.first().unwrap(), "10.244.1.0/26 via 10.0.0.3 dev eth0 proto 109 metric 1024");
    assert!(
        seen.iter().skip(1).all(|line| line.contains("fd44:2::") || line.starts_with("nexthop")),
        "{seen:?}"
    );
    assert_eq!(fib.snapshot().summary.writes, 3);
    fib.stop();
}
