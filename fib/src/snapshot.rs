//! The FIB as the CLI, the metrics and the tests see it. The JSON of these types is a documented interface:
//! fields are added, never renamed.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::{
    Fib, NextHop, NextHopKey, RouteKey, RouteKind,
    delta::{Entry, Step, Want},
    ownership::protocol_name,
    resolve::Through,
    source::RouteSource,
};

/// Everything: `manx fib -o json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FibSnapshot {
    /// The figures.
    pub summary: FibSummary,
    /// Every route that is wanted or that the kernel holds for us, by table and prefix.
    pub routes: Vec<RouteSnapshot>,
    /// Every next hop in use or tracked.
    pub next_hops: Vec<NextHopSnapshot>,
}

/// The figures, cheap enough for every scrape.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FibSummary {
    /// The sources are complete, the kernel was read, and nothing is pending, failed or left over.
    /// Unresolved and blocked routes do not count against it: the kernel is as right as it can be.
    pub in_sync: bool,
    /// Routes that a source names.
    pub desired: usize,
    /// Of those, forwarding as wanted.
    pub installed: usize,
    /// Of those, waiting for a write, an answer or the sources.
    pub pending: usize,
    /// Of those, without a usable next hop.
    pub unresolved: usize,
    /// Of those, kept out by a foreign route with the same prefix and metric.
    pub blocked: usize,
    /// Of those, refused by the kernel and tried again later.
    pub failed: usize,
    /// Ours in the kernel that no source names.
    pub leftover: usize,
    /// Other people's routes in the tables main, local and ours.
    pub foreign: usize,
    /// Successful writes since the start.
    pub writes: u64,
    /// Refused writes since the start.
    pub refusals: u64,
    /// Routes put back after somebody else removed or changed them.
    pub repairs: u64,
    /// Times the kernel's notifications overran us.
    pub overruns: u64,
    /// Full scans completed.
    pub scans: u64,
    /// Seconds between the last full scan and the last event; absent before the first scan.
    pub last_scan_age_secs: Option<u64>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteSnapshot {
    /// Destination.
    pub prefix: IpNet,
    /// Kernel table.
    pub table: u32,
    /// Kernel metric.
    pub metric: u32,
    /// Forward or drop.
    pub kind: RouteKind,
    /// Who wants it.
    pub source: RouteSource,
    /// Where it goes: as wanted; for what is not wanted or does not resolve, as the kernel has it.
    pub next_hops: Vec<NextHopView>,
    /// How it stands.
    pub state: RouteState,
    /// Why, unless installed.
    pub reason: Option<String>,
    /// Refusals in a row.
    pub attempts: u32,
}

/// One way out, by link name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextHopView {
    /// The neighbor; absent when directly connected.
    pub gateway: Option<IpAddr>,
    /// Link name.
    pub device: String,
    /// Share of the traffic, 1 to 256.
    pub weight: u16,
}

/// How a route stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteState {
    /// The kernel forwards as wanted.
    Installed,
    /// A write, an answer or the sources are awaited.
    Pending,
    /// No next hop is usable.
    Unresolved,
    /// A foreign route holds the key.
    Blocked,
    /// The kernel refused; tried again with backoff.
    Failed,
}

/// A route that took part in the resolution of a next hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThroughView {
    /// Its destination.
    pub prefix: IpNet,
    /// Who made it, as iproute2 calls it.
    pub protocol: String,
}

/// One next hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextHopSnapshot {
    /// As BGP gave it.
    pub next_hop: NextHopKey,
    /// Learned routes that use it.
    pub routes: usize,
    /// Where it leads; empty when unresolved.
    pub via: Vec<NextHopView>,
    /// The route that resolves it, and if that is ours the one that resolves that one's next hop, and so on; empty
    /// when unresolved.
    pub through: Vec<ThroughView>,
    /// 0 when connected, else the kernel metric of the route that resolves it, or 1; absent when unresolved.
    pub metric: Option<u32>,
    /// Why it does not resolve.
    pub reason: Option<String>,
}

impl Fib {
    /// The whole picture. Linear in the number of routes.
    #[must_use]
    pub fn snapshot(&self) -> FibSnapshot {
        let routes = self.entries.iter().map(|(key, entry)| self.route(*key, entry)).collect();
        FibSnapshot { summary: self.summary(), routes, next_hops: self.next_hop_snapshots() }
    }

    /// Of one prefix under the configured table and metric, with the next hops of all: those are few.
    #[must_use]
    pub fn route_snapshot(&self, prefix: IpNet) -> FibSnapshot {
        let key = self.key(prefix);
        let routes = self.entries.get(&key).map(|entry| self.route(key, entry)).into_iter().collect();
        FibSnapshot { summary: self.summary(), routes, next_hops: self.next_hop_snapshots() }
    }

    fn next_hop_snapshots(&self) -> Vec<NextHopSnapshot> {
        self.hops
            .iter()
            .map(|(next_hop, routes, result)| NextHopSnapshot {
                next_hop,
                routes,
                via: result.as_ref().map_or_else(|_| Vec::new(), |r| self.view(&r.hops)),
                through: result.as_ref().map_or_else(|_| Vec::new(), |r| through(&r.through)),
                metric: result.as_ref().ok().map(|r| r.metric),
                reason: result.as_ref().err().map(ToString::to_string),
            })
            .collect()
    }

    /// The figures alone.
    #[must_use]
    pub fn summary(&self) -> FibSummary {
        let mut summary = FibSummary {
            foreign: self.foreign.values().map(crate::foreign::ForeignTable::len).sum(),
            writes: self.counters.writes,
            refusals: self.counters.refusals,
            repairs: self.counters.repairs,
            overruns: self.counters.overruns,
            scans: self.scan.completed,
            last_scan_age_secs: self
                .now
                .zip(self.scan.last_completed())
                .map(|(now, scan)| now.saturating_duration_since(scan).as_secs()),
            ..FibSummary::default()
        };
        for (key, entry) in &self.entries {
            if entry.want == Want::Nothing {
                summary.leftover += 1;
                continue;
            }
            summary.desired += 1;
            match self.state(*key, entry) {
                RouteState::Installed => summary.installed += 1,
                RouteState::Pending => summary.pending += 1,
                RouteState::Unresolved => summary.unresolved += 1,
                RouteState::Blocked => summary.blocked += 1,
                RouteState::Failed => summary.failed += 1,
            }
        }
        summary.in_sync = self.is_settled_picture()
            && self.gates.learned_in_sync
            && self.gates.own_blocks_given
            && summary.pending + summary.failed + summary.leftover == 0;
        summary
    }

    fn route(&self, key: RouteKey, entry: &Entry) -> RouteSnapshot {
        let state = self.state(key, entry);
        let in_kernel = entry.actual.first();
        let (kind, hops) = match entry.want.route() {
            Some(wanted) => (wanted.kind, wanted.next_hops.as_slice()),
            None => in_kernel.map_or((RouteKind::Unicast, &[][..]), |held| (held.kind, &held.next_hops)),
        };
        let source = match entry.want {
            Want::Nothing => RouteSource::Leftover,
            Want::Unresolved | Want::Route(_) => self.sources.source_of(key.prefix),
        };
        RouteSnapshot {
            prefix: key.prefix,
            table: key.table,
            metric: key.metric,
            kind,
            source,
            next_hops: self.view(hops),
            state,
            reason: self.reason(key, entry, state),
            attempts: entry.attempts,
        }
    }

    fn state(&self, key: RouteKey, entry: &Entry) -> RouteState {
        if entry.failure.is_some() && !entry.is_installed() && !self.is_blocked(key) {
            return RouteState::Failed;
        }
        match &entry.want {
            Want::Unresolved => RouteState::Unresolved,
            Want::Nothing => RouteState::Pending,
            Want::Route(_) if entry.is_installed() => RouteState::Installed,
            Want::Route(_) if self.is_blocked(key) => RouteState::Blocked,
            Want::Route(_) => RouteState::Pending,
        }
    }

    fn reason(&self, key: RouteKey, entry: &Entry, state: RouteState) -> Option<String> {
        match state {
            RouteState::Installed => None,
            RouteState::Unresolved => Some(self.sources.reasons(key.prefix, &self.hops)),
            RouteState::Failed => entry.failure.clone(),
            RouteState::Blocked => self
                .holder(key)
                .map(|held| format!("{key} is held by proto {}", protocol_name(held.protocol))),
            RouteState::Pending => Some(self.pending_reason(key, entry)),
        }
    }

    fn pending_reason(&self, key: RouteKey, entry: &Entry) -> String {
        let reason = if !self.config.install {
            "installing is switched off"
        } else if !self.is_settled_picture() {
            "the kernel's routes are being read"
        } else if entry.in_flight.is_some() {
            "the kernel has not answered yet"
        } else {
            match entry.step(self.is_blocked(key), self.gates) {
                Step::AwaitSync => "kept as it is until the sources are complete",
                Step::None | Step::Blocked | Step::Create | Step::Replace => "to be written",
                Step::Remove(_) => "to be removed",
            }
        };
        reason.to_owned()
    }

    fn view(&self, hops: &[NextHop]) -> Vec<NextHopView> {
        hops.iter()
            .map(|hop| NextHopView {
                gateway: hop.gateway,
                device: self.links.name(hop.ifindex),
                weight: hop.weight,
            })
            .collect()
    }
}

fn through(routes: &[Through]) -> Vec<ThroughView> {
    routes
        .iter()
        .map(|route| ThroughView {
            prefix: route.prefix,
            protocol: protocol_name(route.protocol).into_owned(),
        })
        .collect()
}
