//! The core: events in, differences out. What the kernel says is in `observe.rs`, what it answers in
//! `outcome.rs`, what a key needs next in `delta.rs`, when a next hop is usable in `resolve.rs`.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    net::IpAddr,
    time::Instant,
};

use ipnet::IpNet;

use crate::{
    FibConfig, FibEffect, FibEvent, PROTOCOL, RouteKey,
    backoff::Backoff,
    delta::{Entry, Gates, Operation, Step, Want},
    foreign::ForeignTable,
    held::Held,
    link::Links,
    next_hop::NextHops,
    ownership::{TABLE_LOCAL, TABLE_MAIN},
    resolve::Resolver,
    scan::ScanState,
    source::Sources,
};

/// Metric that the kernel uses for an IPv6 route given none (`IP6_RT_PRIO_USER`).
const METRIC_V6_DEFAULT: u32 = 1024;

/// Desired against actual kernel routes.
///
/// Four verbs. [`handle`](Self::handle) takes one event and cannot fail; [`poll_effect`](Self::poll_effect)
/// is polled after it; [`next_deadline`](Self::next_deadline) says when [`FibEvent::Deadline`] is due (early
/// or late is harmless); [`snapshot`](Self::snapshot) reads.
///
/// Effects need not be drained before the next event: what was not polled is decided again in the light of
/// it. A driver with much to write polls a batch, writes it, hears what the kernel has to say meanwhile, and
/// polls on, so that no decision is older than a batch (Linux has no compare-and-replace: a replace that
/// crosses somebody else's change of the same key hits that).
///
/// Every write is answered with [`FibEvent::Applied`]; there is never more than one in flight per key.
/// Notifications caused by the driver's own writes are not to be fed: the answer says the same, and a late
/// echo of an old write would look like somebody else's.
///
/// Nothing is written before the first [`FibEvent::ScanDone`]; nothing of ours is replaced or removed before
/// [`FibEvent::LearnedInSync`] (blackholes: before the first [`FibEvent::OwnBlocks`]), so that a restart with
/// unchanged input writes nothing at all.
#[derive(Debug)]
pub struct Fib {
    pub(crate) config: FibConfig,
    pub(crate) sources: Sources,
    pub(crate) gates: Gates,
    pub(crate) links: Links,
    /// Foreign routes of the tables main, local and ours, by table.
    pub(crate) foreign: BTreeMap<u32, ForeignTable>,
    pub(crate) hops: NextHops,
    pub(crate) entries: BTreeMap<RouteKey, Entry>,
    /// How many of our next hops in the kernel are on a link.
    pub(crate) our_links: BTreeMap<u32, usize>,
    pub(crate) scan: ScanState,
    /// Prefixes whose desired route must be computed again.
    dirty: BTreeSet<IpNet>,
    /// Keys to create or replace, and keys to remove. Adds go first.
    adds: BTreeSet<RouteKey>,
    removes: BTreeSet<RouteKey>,
    pub(crate) retries: BTreeSet<(Instant, RouteKey)>,
    pub(crate) backoff: Backoff,
    pub(crate) counters: Counters,
    /// The kernel has been read since the tables were configured.
    pub(crate) scanned: bool,
    /// Time of the last event.
    pub(crate) now: Option<Instant>,
}

/// What happened since the start. Only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Routes created, replaced or removed by us.
    pub writes: u64,
    /// Writes that the kernel refused.
    pub refusals: u64,
    /// Routes that somebody else removed or changed and that were put back.
    pub repairs: u64,
    /// The latest of those.
    pub last_repair: Option<RouteKey>,
    /// Times the monitor lost notifications.
    pub overruns: u64,
}

impl Fib {
    /// A FIB that knows nothing; its first effect is [`FibEffect::Scan`]. The seed spreads retries.
    #[must_use]
    pub fn new(config: FibConfig, seed: u64) -> Self {
        let mut fib = Self {
            config: normalise(config),
            sources: Sources::default(),
            gates: Gates::default(),
            links: Links::default(),
            foreign: BTreeMap::new(),
            hops: NextHops::default(),
            entries: BTreeMap::new(),
            our_links: BTreeMap::new(),
            scan: ScanState::new(),
            dirty: BTreeSet::new(),
            adds: BTreeSet::new(),
            removes: BTreeSet::new(),
            retries: BTreeSet::new(),
            backoff: Backoff::new(seed),
            counters: Counters::default(),
            scanned: false,
            now: None,
        };
        fib.prepare_tables();
        fib
    }

    /// Takes one event. Total: whatever it is, in whatever order.
    pub fn handle(&mut self, event: FibEvent, now: Instant) {
        self.now = Some(now);
        match event {
            FibEvent::Configure(config) => self.handle_configure(config),
            FibEvent::Learned { prefix, route } => {
                let prefix = prefix.trunc();
                self.sources.set_learned(prefix, route, &mut self.hops);
                self.hops.touch_prefix(prefix);
                self.dirty.insert(prefix);
            }
            FibEvent::OwnBlocks(blocks) => {
                let blocks = blocks.iter().map(IpNet::trunc).collect();
                self.dirty.extend(self.sources.set_own_blocks(blocks));
                self.open(Gates { own_blocks_given: true, ..self.gates });
            }
            FibEvent::PeerGateways(gateways) => {
                let host = |(peer, gateway): (IpAddr, IpAddr)| (IpNet::from(peer), gateway);
                let gateways = gateways.into_iter().map(host).collect();
                let changed = self.sources.set_gateways(gateways, &mut self.hops);
                changed.iter().for_each(|prefix| self.hops.touch_prefix(*prefix));
                self.dirty.extend(changed);
            }
            FibEvent::Withheld(ranges) => {
                let ranges = ranges.iter().map(IpNet::trunc).collect();
                let changed = self.sources.set_withheld(ranges);
                changed.iter().for_each(|prefix| self.hops.touch_prefix(*prefix));
                self.dirty.extend(changed);
            }
            FibEvent::LearnedInSync => self.open(Gates { learned_in_sync: true, ..self.gates }),
            FibEvent::TrackNextHop(next_hop) => self.hops.track(next_hop),
            FibEvent::UntrackNextHop(next_hop) => self.hops.untrack(next_hop),
            FibEvent::Link(state) => self.handle_link(state),
            FibEvent::LinkGone(index) => self.handle_link_gone(index),
            FibEvent::Actual(route) => self.handle_actual(route, false),
            FibEvent::ActualReplaced(route) => self.handle_actual(route, true),
            FibEvent::ActualGone(route) => self.handle_actual_gone(route),
            FibEvent::NextHopObject(object) => {
                if self.foreign.values().any(|table| table.goes_by(object)) {
                    self.scan.want();
                }
            }
            FibEvent::ScanStarted => self.scan.handle_started(),
            FibEvent::ScanDone => self.handle_scan_done(now),
            FibEvent::ScanFailed(_) => self.scan.handle_failed(now),
            FibEvent::Overrun => {
                self.counters.overruns += 1;
                self.scan.want();
            }
            FibEvent::Applied { key, outcome } => self.handle_applied(key, outcome, now),
            FibEvent::Deadline => {}
        }
        self.retry(now);
        self.settle();
        self.scan.tick(now);
    }

    /// The next thing to do. Reports first, then the scan, then creates and replaces, then removes.
    pub fn poll_effect(&mut self) -> Option<FibEffect> {
        if let Some(report) = self.hops.poll_report() {
            return Some(FibEffect::NextHop(report));
        }
        if self.scan.poll() {
            return Some(FibEffect::Scan);
        }
        if !self.may_write() {
            return None;
        }
        while let Some(key) = self.adds.pop_first().or_else(|| self.removes.pop_first()) {
            if let Some(effect) = self.begin(key) {
                return Some(effect);
            }
        }
        None
    }

    /// When [`FibEvent::Deadline`] is due, if ever.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let retry = self.retries.first().map(|(at, _)| *at);
        retry.into_iter().chain(self.scan.deadline()).min()
    }

    /// What happened since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn handle_configure(&mut self, config: FibConfig) {
        let config = normalise(config);
        if config == self.config {
            return;
        }
        let same_table = config.table == self.config.table;
        let keys: Vec<RouteKey> = self.entries.keys().copied().collect();
        for key in keys {
            // What stands under the old keys is not wanted there any more; it goes like any leftover.
            self.set_want(key, Want::Nothing);
        }
        self.config = config;
        self.hops.touch_all();
        if !same_table {
            self.scanned = false;
            self.scan.want();
            self.prepare_tables();
        }
        self.dirty.extend(self.sources.prefixes());
    }

    fn prepare_tables(&mut self) {
        let tables = [TABLE_MAIN, TABLE_LOCAL, self.config.table];
        self.foreign.retain(|table, _| tables.contains(table));
        for table in tables {
            self.foreign.entry(table).or_default();
        }
    }

    fn open(&mut self, gates: Gates) {
        if gates == self.gates {
            return;
        }
        self.gates = gates;
        let keys: Vec<RouteKey> =
            self.entries.iter().filter(|(_, e)| !e.actual.is_empty()).map(|(key, _)| *key).collect();
        for key in keys {
            self.review(key);
        }
    }

    /// Resolves next hops, unless the picture of the kernel is half told, and computes what is dirty.
    fn settle(&mut self) {
        let mut affected = std::mem::take(&mut self.dirty);
        if self.is_settled_picture()
            && self.hops.has_dirty()
            && let (Some(main), Some(local)) = (self.foreign.get(&TABLE_MAIN), self.foreign.get(&TABLE_LOCAL))
        {
            let FibConfig { metric_v4, metric_v6, resolve_through_default, .. } = self.config;
            let resolver = Resolver {
                main,
                local,
                links: &self.links,
                own: &self.sources,
                own_metrics: (metric_v4, metric_v6),
                through_default: resolve_through_default,
            };
            affected.append(&mut self.hops.settle(&resolver));
        }
        for prefix in affected {
            let want = self.sources.want(prefix, &self.hops);
            let key = self.key(prefix);
            self.set_want(key, want);
        }
    }

    fn set_want(&mut self, key: RouteKey, want: Want) {
        let entry = match self.entries.entry(key) {
            btree_map::Entry::Occupied(entry) => entry.into_mut(),
            btree_map::Entry::Vacant(entry) => {
                if want == Want::Nothing {
                    return;
                }
                entry.insert(Entry::default())
            }
        };
        if entry.want != want {
            entry.want = want;
            entry.lost = false;
            self.clear_failure(key);
        }
        self.review(key);
    }

    /// Queues the key's next step, if it has one.
    pub(crate) fn review(&mut self, key: RouteKey) {
        let step = self.step(key);
        let Some(entry) = self.entries.get(&key) else { return };
        let (add, remove) = match step {
            Step::Create | Step::Replace => (true, false),
            Step::Remove(_) => (false, true),
            Step::None | Step::AwaitSync | Step::Blocked => (false, false),
        };
        if entry.is_empty() {
            self.clear_failure(key);
            self.entries.remove(&key);
        }
        set(&mut self.adds, key, add);
        set(&mut self.removes, key, remove);
    }

    fn step(&self, key: RouteKey) -> Step {
        match self.entries.get(&key) {
            Some(entry) if entry.in_flight.is_none() && entry.retry_at.is_none() => {
                entry.step(self.is_blocked(key), self.gates)
            }
            Some(_) | None => Step::None,
        }
    }

    /// Turns a queued key into a write in flight.
    fn begin(&mut self, key: RouteKey) -> Option<FibEffect> {
        let step = self.step(key);
        let epoch = self.scan.epoch;
        let entry = self.entries.get_mut(&key)?;
        let wanted = entry.want.route().map(|wanted| wanted.to_route(key));
        let (operation, effect) = match step {
            Step::Create => {
                let route = wanted?;
                (Operation::Create(Held::new(route.clone(), epoch)), FibEffect::Create(route))
            }
            Step::Replace => {
                let route = wanted?;
                (Operation::Replace(Held::new(route.clone(), epoch)), FibEffect::Replace(route))
            }
            Step::Remove(at) => {
                let held = entry.actual.get(at)?.clone();
                debug_assert_eq!(held.protocol, PROTOCOL);
                let route = held.to_route(key);
                (Operation::Remove(held), FibEffect::Remove(route))
            }
            Step::None | Step::AwaitSync | Step::Blocked => return None,
        };
        entry.in_flight = Some(operation);
        Some(effect)
    }

    fn may_write(&self) -> bool {
        self.config.install && self.is_settled_picture()
    }

    /// The kernel was read, and is not being read right now.
    pub(crate) fn is_settled_picture(&self) -> bool {
        self.scanned && !self.scan.is_running()
    }

    pub(crate) fn is_blocked(&self, key: RouteKey) -> bool {
        self.holder(key).is_some()
    }

    /// The foreign route that holds the key.
    pub(crate) fn holder(&self, key: RouteKey) -> Option<&Held> {
        self.foreign.get(&key.table)?.holder(key.prefix, key.metric)
    }

    pub(crate) fn key(&self, prefix: IpNet) -> RouteKey {
        let metric = match prefix {
            IpNet::V4(_) => self.config.metric_v4,
            IpNet::V6(_) => self.config.metric_v6,
        };
        RouteKey { table: self.config.table, prefix, metric }
    }
}

fn normalise(config: FibConfig) -> FibConfig {
    let metric_v6 = if config.metric_v6 == 0 { METRIC_V6_DEFAULT } else { config.metric_v6 };
    FibConfig { metric_v6, ..config }
}

fn set(keys: &mut BTreeSet<RouteKey>, key: RouteKey, member: bool) {
    if member {
        keys.insert(key);
    } else {
        keys.remove(&key);
    }
}
