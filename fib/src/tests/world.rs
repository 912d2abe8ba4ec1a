//! One FIB and one fake kernel under a virtual clock.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ipnet::IpNet;

use crate::{
    Fib, FibConfig, FibEffect, FibEvent, LearnedPath, LearnedRoute, PROTOCOL, RouteSnapshot,
    testing::FakeKernel,
};

pub(super) struct World {
    pub(super) kernel: FakeKernel,
    pub(super) fib: Fib,
    pub(super) now: Instant,
    pub(super) learned: BTreeMap<IpNet, LearnedRoute>,
    pub(super) own: Vec<IpNet>,
    reports: Vec<String>,
    /// A scan asked for is answered at once.
    pub(super) answer_scans: bool,
    /// Set by the model when next hops need each other.
    pub(super) circle_seen: std::cell::Cell<bool>,
}

pub(super) const CONFIG: FibConfig =
    FibConfig { table: 254, metric_v4: 1024, metric_v6: 1024, install: true, resolve_through_default: true };

impl World {
    /// A process that has started and heard nothing.
    pub(super) fn new(links: &[(&str, &[&str])]) -> Self {
        let mut kernel = FakeKernel::with_links(links);
        kernel.take_notifications();
        Self {
            kernel,
            fib: Fib::new(CONFIG, 1),
            now: Instant::now(),
            learned: BTreeMap::new(),
            own: Vec::new(),
            reports: Vec::new(),
            answer_scans: true,
            circle_seen: std::cell::Cell::new(false),
        }
    }

    /// A process whose sources are complete and empty.
    pub(super) fn in_sync(links: &[(&str, &[&str])]) -> Self {
        let mut world = Self::new(links);
        world.run();
        world.give(FibEvent::OwnBlocks(Vec::new()));
        world.give(FibEvent::LearnedInSync);
        world
    }

    /// The process dies and another starts against the same kernel.
    pub(super) fn restart(&mut self) {
        self.fib = Fib::new(CONFIG, 2);
        self.kernel.take_notifications();
        self.kernel.take_writes();
        self.reports.clear();
        self.run();
    }

    /// The new process hears everything that the old one had heard.
    pub(super) fn hear_everything(&mut self) {
        for (prefix, route) in self.learned.clone() {
            self.give(FibEvent::Learned { prefix, route: Some(route) });
        }
        self.give(FibEvent::OwnBlocks(self.own.clone()));
        self.give(FibEvent::LearnedInSync);
    }

    pub(super) fn give(&mut self, event: FibEvent) {
        self.fib.handle(event, self.now);
        self.run();
    }

    pub(super) fn learn(&mut self, prefix: &str, next_hops: &[&str]) {
        let paths: Vec<(&str, u16)> = next_hops.iter().map(|hop| (*hop, 1)).collect();
        self.learn_weighted(prefix, &paths);
    }

    pub(super) fn learn_weighted(&mut self, prefix: &str, paths: &[(&str, u16)]) {
        let prefix: IpNet = prefix.parse().unwrap();
        let path =
            |(hop, weight): &(&str, u16)| LearnedPath { next_hop: hop.parse().unwrap(), weight: *weight };
        let route = (!paths.is_empty()).then(|| LearnedRoute { paths: paths.iter().map(path).collect() });
        match &route {
            Some(route) => self.learned.insert(prefix, route.clone()),
            None => self.learned.remove(&prefix),
        };
        self.run();
        self.give(FibEvent::Learned { prefix, route });
    }

    pub(super) fn own(&mut self, blocks: &[&str]) {
        self.own = blocks.iter().map(|block| block.parse().unwrap()).collect();
        self.give(FibEvent::OwnBlocks(self.own.clone()));
    }

    pub(super) fn configure(&mut self, install: bool, metric_v4: u32) {
        self.give(FibEvent::Configure(FibConfig { install, metric_v4, ..CONFIG }));
    }

    pub(super) fn track(&mut self, next_hop: &str) {
        self.give(FibEvent::TrackNextHop(next_hop.parse().unwrap()));
    }

    /// Reports since the last call.
    pub(super) fn reports(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reports)
    }

    /// Carries everything out until nothing is left to do.
    pub(super) fn run(&mut self) {
        loop {
            self.drain();
            let notifications = self.kernel.take_notifications();
            if notifications.is_empty() {
                return;
            }
            // As the thread does: hears everything there is, then acts.
            for event in notifications {
                self.fib.handle(event, self.now);
            }
        }
    }

    /// Carries out effects, with their answers, until there are none.
    pub(super) fn drain(&mut self) {
        while let Some(effect) = self.fib.poll_effect() {
            match &effect {
                FibEffect::Create(route) | FibEffect::Replace(route) | FibEffect::Remove(route) => {
                    let key = route.key;
                    let outcome = self.kernel.apply(&effect);
                    self.fib.handle(FibEvent::Applied { key, outcome }, self.now);
                }
                FibEffect::NextHop(report) => self.reports.push(match &report.status {
                    Ok(metric) => format!("{}: metric {metric}", report.next_hop),
                    Err(reason) => format!("{}: {reason}", report.next_hop),
                }),
                FibEffect::Scan => {
                    if self.answer_scans {
                        for event in self.kernel.scan() {
                            self.fib.handle(event, self.now);
                        }
                    }
                }
            }
        }
    }

    /// Lets time pass, waking at every deadline.
    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.fib.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.give(FibEvent::Deadline);
        }
        self.now = end;
        self.give(FibEvent::Deadline);
    }

    /// `ip route show proto 109`.
    pub(super) fn ours(&self) -> String {
        self.kernel.show(Some(PROTOCOL))
    }

    pub(super) fn route(&self, prefix: &str) -> RouteSnapshot {
        let prefix: IpNet = prefix.parse().unwrap();
        self.fib.snapshot().routes.into_iter().find(|route| route.prefix == prefix).unwrap()
    }

    pub(super) fn reason(&self, prefix: &str) -> String {
        self.route(prefix).reason.unwrap()
    }
}
