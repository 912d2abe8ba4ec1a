//! A real kernel: a network namespace with veth links, a FIB thread inside it, and `ip` as the witness.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of it is test code, outside the test functions"
)]

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use fib::{
    FibConfig, FibEvent, FibSnapshot, LearnedPath, LearnedRoute, NextHopReport, RouteSnapshot,
    io::{FibHandle, FibOptions, ReportSink},
};
use ipnet::IpNet;
use nix::sched::{CloneFlags, setns};
use serde_json::Value;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
static NAMES: AtomicU32 = AtomicU32::new(0);

/// A namespace, removed when dropped, with links eth0 (10.0.0.1/24, fd00::1/64) and eth1 (10.0.1.1/24,
/// fd01::1/64). The far ends are peer0 and peer1.
pub(crate) struct Netns {
    name: String,
}

/// A running FIB.
pub(crate) struct Running {
    handle: Option<FibHandle>,
    join: Option<JoinHandle<()>>,
    pub(crate) reports: Receiver<NextHopReport>,
    runtime: tokio::runtime::Runtime,
}

impl Netns {
    /// `None`, and a line that says so, without the right to make one; with `CI` set that is a failure.
    pub(crate) fn create(test: &str) -> Option<Self> {
        let name = format!("fib-{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed));
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        match made {
            Ok(output) if output.status.success() => {}
            made => {
                assert!(std::env::var_os("CI").is_none(), "{test}: no network namespace: {made:?}");
                println!("skipped {test}: cannot make a network namespace (needs root and iproute2)");
                return None;
            }
        }
        let netns = Self { name };
        netns.ip("link set lo up");
        netns.ip("link add eth0 type veth peer name peer0");
        netns.ip("link add eth1 type veth peer name peer1");
        for link in ["eth0", "eth1", "peer0", "peer1"] {
            netns.ip(&format!("link set {link} up"));
        }
        for (link, number) in [("eth0", 0), ("eth1", 1)] {
            netns.ip(&format!("address add 10.0.{number}.1/24 dev {link}"));
            netns.ip(&format!("-6 address add fd0{number}::1/64 dev {link} nodad"));
        }
        // Carrier has settled before a test looks.
        eventually("links are up", || {
            let links = netns.json("link show");
            ["eth0", "eth1", "peer0", "peer1"].iter().all(|name| {
                links.as_array().unwrap().iter().any(|l| l["ifname"] == *name && l["operstate"] == "UP")
            })
        });
        Some(netns)
    }

    pub(crate) fn ip(&self, command: &str) -> String {
        let output = self.try_ip(command);
        assert!(output.status.success(), "ip {command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Many commands at once, each without the leading `ip`.
    pub(crate) fn batch(&self, commands: &str) {
        let mut child =
            Command::new("ip").args(["-n", &self.name, "-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn try_ip(&self, command: &str) -> std::process::Output {
        Command::new("ip").args(["-n", &self.name]).args(command.split_whitespace()).output().unwrap()
    }

    pub(crate) fn json(&self, command: &str) -> Value {
        let text = self.ip(&format!("-j {command}"));
        if text.trim().is_empty() { Value::Array(Vec::new()) } else { serde_json::from_str(&text).unwrap() }
    }

    /// What `ip -j route show proto 109` says, both families, one line a route, sorted.
    pub(crate) fn ours(&self) -> Vec<String> {
        let mut lines: Vec<String> = ["-4", "-6"]
            .iter()
            .flat_map(|family| {
                let routes = self.json(&format!("{family} route show proto 109"));
                routes.as_array().unwrap().iter().map(line).collect::<Vec<_>>()
            })
            .collect();
        lines.sort();
        lines
    }

    /// `ip monitor route` until dropped.
    pub(crate) fn monitor(&self) -> Monitor {
        let mut child = Command::new("ip")
            .args(["-n", &self.name, "monitor", "route"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let monitor = Monitor { child, lines };
        // It listens once it has told of a change; until then changes are made.
        eventually("ip monitor listens", || {
            self.ip("route replace 192.0.2.1/32 dev lo proto static");
            self.ip("route del 192.0.2.1/32 dev lo proto static");
            monitor.lines.recv_timeout(Duration::from_millis(20)).is_ok()
        });
        monitor
    }

    /// Everything that the monitor has seen until now.
    pub(crate) fn seen(&self, monitor: &Monitor) -> Vec<String> {
        self.ip("route add 192.0.2.99/32 dev lo proto static");
        self.ip("route del 192.0.2.99/32 dev lo proto static");
        let mut seen = Vec::new();
        loop {
            let line = monitor.lines.recv_timeout(PATIENCE).expect("ip monitor tells of the marker");
            if line.starts_with("Deleted 192.0.2.99 ") {
                return seen;
            }
            if !line.contains("192.0.2.") {
                seen.push(line);
            }
        }
    }

    pub(crate) fn start(&self) -> Running {
        self.start_with(FibConfig {
            table: 254,
            metric_v4: 1024,
            metric_v6: 1024,
            install: true,
            resolve_through_default: true,
        })
    }

    pub(crate) fn start_with(&self, config: FibConfig) -> Running {
        let (sender, reports) = channel();
        let sink = Box::new(move |report| {
            let _ = sender.send(report);
        });
        self.start_reporting(config, sink, reports)
    }

    pub(crate) fn start_reporting(
        &self,
        config: FibConfig,
        sink: ReportSink,
        reports: Receiver<NextHopReport>,
    ) -> Running {
        let namespace = File::open(format!("/run/netns/{}", self.name)).unwrap();
        let options = FibOptions {
            config,
            seed: 1,
            before_open: Some(Box::new(move || Ok(setns(namespace, CloneFlags::CLONE_NEWNET)?))),
        };
        let (handle, join) = FibHandle::spawn(options, sink).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Running { handle: Some(handle), join: Some(join), reports, runtime }
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

pub(crate) struct Monitor {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub(crate) fn handle(&self) -> &FibHandle {
        self.handle.as_ref().unwrap()
    }

    pub(crate) fn learn(&self, routes: &[(&str, &[&str])]) {
        self.handle().learned(routes.iter().map(|(prefix, hops)| learned(prefix, hops)).collect());
    }

    pub(crate) fn own(&self, blocks: &[&str]) {
        let blocks = blocks.iter().map(|block| block.parse().unwrap()).collect();
        self.handle().send(FibEvent::OwnBlocks(blocks));
    }

    pub(crate) fn in_sync(&self) {
        self.handle().send(FibEvent::LearnedInSync);
    }

    pub(crate) fn snapshot(&self) -> FibSnapshot {
        self.runtime.block_on(self.handle().snapshot()).unwrap()
    }

    pub(crate) fn route(&self, prefix: &str) -> Option<RouteSnapshot> {
        let prefix: IpNet = prefix.parse().unwrap();
        self.snapshot().routes.into_iter().find(|route| route.prefix == prefix)
    }

    pub(crate) fn reason(&self, prefix: &str) -> Option<String> {
        self.route(prefix)?.reason
    }

    /// Until every source is complete and the kernel is as wanted.
    pub(crate) fn until_in_sync(&self, desired: usize) {
        eventually_or(
            "in sync",
            || format!("{:#?}", self.snapshot().summary),
            || {
                let summary = self.snapshot().summary;
                summary.in_sync && summary.desired == desired
            },
        );
    }

    /// Drops the handle and waits for the thread, as an orderly exit does.
    pub(crate) fn stop(mut self) {
        self.handle = None;
        self.join.take().unwrap().join().unwrap();
    }
}

pub(crate) fn learned(prefix: &str, hops: &[&str]) -> (IpNet, Option<LearnedRoute>) {
    let path = |hop: &&str| {
        let (hop, weight) = hop.split_once('*').unwrap_or((hop, "1"));
        LearnedPath { next_hop: hop.parse().unwrap(), weight: weight.parse().unwrap() }
    };
    let route = (!hops.is_empty()).then(|| LearnedRoute { paths: hops.iter().map(path).collect() });
    (prefix.parse().unwrap(), route)
}

pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_or(what, String::new, condition);
}

/// Waits for a condition, not for a time.
pub(crate) fn eventually_or(
    what: &str,
    mut state: impl FnMut() -> String,
    mut condition: impl FnMut() -> bool,
) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}\n{}", state());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

pub(crate) fn until_ours(netns: &Netns, expected: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ours = netns.ours();
        if ours == expected {
            return;
        }
        assert!(Instant::now() < deadline, "kernel has\n{ours:#?}\nexpected\n{expected:#?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn line(route: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let way = |hop: &Value| {
        let gateway = hop.get("gateway").map(text).or_else(|| hop.get("via").map(|via| text(&via["host"])));
        format!("{} dev {}", gateway.unwrap_or_default(), text(&hop["dev"]))
    };
    let mut line = String::new();
    if let Some(kind) = route.get("type") {
        line.push_str(&format!("{} ", text(kind)));
    }
    line.push_str(&text(&route["dst"]));
    if let Some(hops) = route.get("nexthops") {
        let mut ways: Vec<String> = hops
            .as_array()
            .unwrap()
            .iter()
            .map(|hop| format!(" nexthop {} weight {}", way(hop), hop["weight"]))
            .collect();
        ways.sort();
        line.push_str(&ways.concat());
    } else if route.get("type").is_none() {
        line.push_str(&format!(" via {}", way(route)));
    }
    format!("{line} metric {}", route["metric"])
}
