//! Routes per second through the whole shell into a real kernel: `cargo run --release -p fib --example
//! fib_bench [ROUTES]`, as root. Makes a network namespace with one veth pair and removes it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a measurement, not part of the product"
)]

use std::{
    fs::File,
    net::{Ipv4Addr, Ipv6Addr},
    process::Command,
    time::{Duration, Instant},
};

use fib::{
    FibConfig, FibEvent, LearnedPath, LearnedRoute,
    io::{FibHandle, FibOptions},
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::sched::{CloneFlags, setns};

fn main() {
    let routes: u32 = std::env::args().nth(1).map_or(100_000, |n| n.parse().expect("a number of routes"));
    let name = format!("fib-bench-{}", std::process::id());
    ip(&format!("netns add {name}"));
    for command in [
        "link set lo up",
        "link add eth0 type veth peer name peer0",
        "link set eth0 up",
        "link set peer0 up",
        "address add 10.0.0.1/24 dev eth0",
        "-6 address add fd00::1/64 dev eth0 nodad",
    ] {
        ip(&format!("-n {name} {command}"));
    }
    let namespace = File::open(format!("/run/netns/{name}")).unwrap();
    let options = FibOptions {
        config: FibConfig {
            table: 254,
            metric_v4: 1024,
            metric_v6: 1024,
            install: true,
            resolve_through_default: true,
        },
        seed: 1,
        before_open: Some(Box::new(move || Ok(setns(namespace, CloneFlags::CLONE_NEWNET)?))),
    };
    let (handle, join) = FibHandle::spawn(options, Box::new(|_| {})).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    handle.send(FibEvent::OwnBlocks(Vec::new()));
    handle.send(FibEvent::LearnedInSync);
    until(&runtime, &handle, 0);

    let v4 = |n: u32| IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from(0x6400_0000 + (n << 8)), 24));
    let v6 =
        |n: u32| IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from((0xfd44 << 112) + (u128::from(n) << 64)), 64));
    for (family, prefix, hops) in [
        ("IPv4", &v4 as &dyn Fn(u32) -> IpNet, ["10.0.0.2", "10.0.0.3"]),
        ("IPv6", &v6, ["fd00::2", "fd00::3"]),
    ] {
        let [first, second] = hops.map(|hop| {
            let path = LearnedPath { next_hop: hop.parse().unwrap(), weight: 1 };
            Some(LearnedRoute { paths: [path].into_iter().collect() })
        });
        for (what, route, left) in
            [("create", first, routes as usize), ("replace", second, routes as usize), ("remove", None, 0)]
        {
            let batch: Vec<(IpNet, Option<LearnedRoute>)> =
                (0..routes).map(|n| (prefix(n), route.clone())).collect();
            let writes = runtime.block_on(handle.summary()).unwrap().writes;
            let begin = (Instant::now(), thread_time());
            handle.learned(batch);
            until_written(&runtime, &handle, writes + u64::from(routes));
            let took = begin.0.elapsed();
            let cpu = thread_time() - begin.1;
            until(&runtime, &handle, left);
            let rate = f64::from(routes) / took.as_secs_f64();
            let cpu_rate = f64::from(routes) / cpu.as_secs_f64();
            println!(
                "{family} {what}: {routes} routes in {took:.2?}, {rate:.0} routes/s; \
                 {cpu:.2?} of processor time, {cpu_rate:.0} routes/s of it"
            );
        }
    }
    let summary = runtime.block_on(handle.summary()).unwrap();
    println!("overruns {}, scans {}, refusals {}", summary.overruns, summary.scans, summary.refusals);
    drop(handle);
    join.join().unwrap();
    ip(&format!("netns del {name}"));
}

fn until(runtime: &tokio::runtime::Runtime, handle: &FibHandle, installed: usize) {
    loop {
        let summary = runtime.block_on(handle.summary()).unwrap();
        if summary.in_sync && summary.installed == installed {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn until_written(runtime: &tokio::runtime::Runtime, handle: &FibHandle, writes: u64) {
    while runtime.block_on(handle.summary()).unwrap().writes < writes {
        std::thread::park_timeout(Duration::from_millis(300));
    }
}

/// Processor time of the FIB's thread, which other work on the machine does not stretch as it does the clock.
fn thread_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let fib = tasks
        .map(|task| task.unwrap().path())
        .find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "fib"))
        .unwrap();
    let schedstat = std::fs::read_to_string(fib.join("schedstat")).unwrap();
    Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
}

fn ip(command: &str) {
    let status = Command::new("ip").args(command.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {command}");
}
