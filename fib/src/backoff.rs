//! When a refused route is tried again: exponential, with jitter from a seed so that a replay is exact.

use std::time::Duration;

/// First wait after a refusal.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// Longest wait between two tries, before jitter.
const BACKOFF_MAX: Duration = Duration::from_secs(32);

/// Source of waits.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    state: u64,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The wait after the given number of refusals (1 or more): doubled each time, plus up to a quarter.
    pub(crate) fn wait(&mut self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(16);
        let base = BACKOFF_MIN.saturating_mul(1 << doublings).min(BACKOFF_MAX);
        let jitter = self.next() % 256;
        base + base * u32::try_from(jitter).unwrap_or(0) / 1024
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): any seed will do.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
