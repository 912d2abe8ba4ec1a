//! When the kernel is read in full: at start, when a notification was lost or fits two stories, and every
//! 90 s because notifications are not the truth.

use std::time::{Duration, Instant};

/// Between the end of one full scan and the next, when nothing asks for one earlier (Calico's
/// `routeRefreshInterval`).
pub const SCAN_INTERVAL: Duration = Duration::from_secs(90);
/// Least time between two scans, whatever asks: a storm of lost notifications is one scan a second.
pub const SCAN_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// The scan's own little machine.
#[derive(Debug)]
pub(crate) struct ScanState {
    phase: Phase,
    wanted: bool,
    ended: Option<Instant>,
    /// Completed scans.
    pub(crate) completed: u64,
    last_completed: Option<Instant>,
    /// Number of the running or last scan; what carries another was not seen by it.
    pub(crate) epoch: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// The effect is to be polled.
    Due,
    /// Polled, not begun.
    Asked,
    Running,
}

impl ScanState {
    pub(crate) fn new() -> Self {
        Self { phase: Phase::Due, wanted: false, ended: None, completed: 0, last_completed: None, epoch: 0 }
    }

    /// Something is uncertain.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    pub(crate) fn handle_started(&mut self) {
        self.phase = Phase::Running;
        self.wanted = false;
        self.epoch = self.epoch.wrapping_add(1);
    }

    pub(crate) fn handle_done(&mut self, now: Instant) {
        self.phase = Phase::Idle;
        self.ended = Some(now);
        self.completed += 1;
        self.last_completed = Some(now);
    }

    pub(crate) fn handle_failed(&mut self, now: Instant) {
        self.phase = Phase::Idle;
        self.wanted = true;
        self.ended = Some(now);
    }

    /// Makes the scan due if it is time.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.phase == Phase::Idle && self.deadline().is_none_or(|at| at <= now) {
            self.phase = Phase::Due;
        }
    }

    /// True once when the effect is to be sent.
    pub(crate) fn poll(&mut self) -> bool {
        let due = self.phase == Phase::Due;
        if due {
            self.phase = Phase::Asked;
        }
        due
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.phase != Phase::Idle {
            return None;
        }
        let wait = if self.wanted { SCAN_INTERVAL_MIN } else { SCAN_INTERVAL };
        self.ended.map(|ended| ended + wait)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    pub(crate) fn last_completed(&self) -> Option<Instant> {
        self.last_completed
    }
}
