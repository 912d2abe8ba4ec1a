//! Carries effects of one core to the next, after `node::wiring` has translated them. Every hop coalesces by key
//! and none blocks, so neither thread can hold up the other.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bgp::NextHopKey;
use bgp::io::{RibHandle, RibSink};
use bgp::rib::{BestChange, NextHopStatus, RibEvent};
use fib::io::{FibHandle, ReportSink};
use fib::{FibEvent, NextHopReport};
use tokio::sync::Notify;

use crate::node::wiring;

/// From the RIB's thread to the FIB's.
pub(super) struct ToFib {
    fib: FibHandle,
    bgp_in_sync: Arc<AtomicBool>,
}

impl ToFib {
    /// `bgp_in_sync` is set when BGP's picture is complete.
    pub(super) fn new(fib: FibHandle, bgp_in_sync: Arc<AtomicBool>) -> Self {
        Self { fib, bgp_in_sync }
    }
}

impl RibSink for ToFib {
    fn best_changed(&mut self, changes: Vec<BestChange>) {
        self.fib.learned(changes.iter().map(wiring::learned).collect());
    }

    fn track_next_hop(&mut self, next_hop: NextHopKey) {
        self.fib.send(FibEvent::TrackNextHop(wiring::to_fib(next_hop)));
    }

    fn untrack_next_hop(&mut self, next_hop: NextHopKey) {
        self.fib.send(FibEvent::UntrackNextHop(wiring::to_fib(next_hop)));
    }

    fn in_sync(&mut self) {
        tracing::info!("BGP is in sync: routes that nobody announces any more may go");
        self.bgp_in_sync.store(true, Ordering::Relaxed);
        self.fib.send(FibEvent::LearnedInSync);
    }
}

/// From the FIB's thread to the RIB's: the latest status of each next hop that changed.
#[derive(Default)]
pub(super) struct NextHopReports {
    latest: Mutex<BTreeMap<NextHopKey, NextHopStatus>>,
    changed: Notify,
}

impl NextHopReports {
    /// The end that the FIB's thread calls.
    pub(super) fn sink(self: &Arc<Self>) -> ReportSink {
        let reports = Arc::clone(self);
        Box::new(move |report| reports.put(report))
    }

    fn put(&self, report: NextHopReport) {
        let (next_hop, status) = wiring::next_hop_status(report);
        tracing::debug!(%next_hop, ?status, "next hop");
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).insert(next_hop, status);
        self.changed.notify_one();
    }

    /// Hands them on until dropped. Cancel-safe but for the batch in hand, and it is cancelled only at shutdown.
    pub(super) async fn forward(self: Arc<Self>, rib: RibHandle) {
        loop {
            self.changed.notified().await;
            let batch = mem::take(&mut *self.latest.lock().unwrap_or_else(PoisonError::into_inner));
            if !batch.is_empty() {
                rib.send(RibEvent::NextHopChanged(batch.into_iter().collect())).await;
            }
        }
    }
}
