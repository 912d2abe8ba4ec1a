//! The timers of one peer as a table of instants, and the jitter on them. Nothing here sleeps: the machine
//! says when it wants to be woken, and a wake-up that finds nothing due is harmless.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Role;

/// What can fall due (RFC 4271 §8.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Dial (again).
    ConnectRetry,
    /// Leave Idle after an error (DampPeerOscillations, §8.1.1).
    IdleHold,
    /// A dynamic neighbor without a session has been there long enough.
    Expire,
    /// Nothing came on this connection for the hold time.
    Hold(Role),
    /// Send a KEEPALIVE on this connection.
    Keepalive(Role),
    /// Nothing could be sent on this connection for the send hold time (RFC 9687).
    SendHold(Role),
}

/// Which timers run, and until when.
#[derive(Debug, Default)]
pub(super) struct TimerTable {
    running: BTreeMap<Timer, Instant>,
}

impl TimerTable {
    /// Starts `timer`, or restarts it when it runs.
    pub(super) fn start(&mut self, timer: Timer, at: Instant) {
        self.running.insert(timer, at);
    }

    /// Stops `timer` if it runs.
    pub(super) fn stop(&mut self, timer: Timer) {
        self.running.remove(&timer);
    }

    /// Stops everything that belongs to one connection.
    pub(super) fn stop_connection(&mut self, role: Role) {
        for timer in [Timer::Hold(role), Timer::Keepalive(role), Timer::SendHold(role)] {
            self.stop(timer);
        }
    }

    /// Stops everything.
    pub(super) fn stop_all(&mut self) {
        self.running.clear();
    }

    /// When `timer` falls due, if it runs.
    pub(super) fn due(&self, timer: Timer) -> Option<Instant> {
        self.running.get(&timer).copied()
    }

    /// The earliest instant at which something falls due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.running.values().min().copied()
    }

    /// Takes one timer that is due at `now`, the earliest first.
    pub(super) fn poll_due(&mut self, now: Instant) -> Option<Timer> {
        let (&timer, &at) = self.running.iter().min_by_key(|&(_, &at)| at)?;
        if at > now {
            return None;
        }
        self.stop(timer);
        Some(timer)
    }
}

/// Jitter of RFC 4271 §10: a factor between 0.75 and 1.0, drawn anew each time. Seeded, so that a recorded
/// session replays exactly; the quality of a cryptographic generator is not needed to keep peers apart.
#[derive(Debug)]
pub(super) struct Jitter {
    state: u64,
}

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// `duration` times 0.75 to 1.0.
    pub(super) fn shorten(&mut self, duration: Duration) -> Duration {
        const STEPS: u32 = 1024;
        let step = u32::try_from(self.next() % u64::from(STEPS)).unwrap_or(0);
        duration - duration / 4 * step / STEPS
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }
}
