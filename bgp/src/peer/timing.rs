//! What is configured about a session's timers beyond the hold time (RFC 4271 §8.1.3, RFC 9687). Changes hold from
//! the next start of each timer on; none ends a session.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Seconds, each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timing {
    /// First IdleHoldTimer after an error, at least 1; each further error doubles it (DampPeerOscillations, RFC
    /// 4271 §8.1.1), before jitter.
    pub idle_hold_secs: u16,
    /// The longest that the doubling leads to, not below `idle_hold_secs`.
    pub idle_hold_max_secs: u16,
    /// Least time between two advertisements to the neighbor (MinRouteAdvertisementIntervalTimer, §9.2.1.1); 0:
    /// nothing is delayed. The RIB's, not the machine's.
    pub advertisement_interval_secs: u16,
    /// How long nothing may get out before the session ends (RFC 9687 §3), at least 1; `None`: the greater of eight
    /// minutes and twice the hold time.
    pub send_hold_secs: Option<u16>,
}

/// Send hold time at least, where none is configured (RFC 9687 §3).
const SEND_HOLD_DEFAULT_MIN: Duration = Duration::from_secs(8 * 60);

impl Default for Timing {
    fn default() -> Self {
        Self {
            idle_hold_secs: 1,
            idle_hold_max_secs: 60,
            advertisement_interval_secs: 0,
            send_hold_secs: None,
        }
    }
}

impl Timing {
    /// How long to stay in Idle after so many errors in a row before this one.
    #[must_use]
    pub fn idle_hold(&self, errors_before: u32) -> Duration {
        let first = Duration::from_secs(self.idle_hold_secs.max(1).into());
        let longest = Duration::from_secs(self.idle_hold_max_secs.into()).max(first);
        first.saturating_mul(1 << errors_before.min(16)).min(longest)
    }

    /// The send hold time of a session with this negotiated hold time.
    #[must_use]
    pub fn send_hold(&self, hold_time_secs: u16) -> Duration {
        match self.send_hold_secs {
            Some(secs) => Duration::from_secs(secs.max(1).into()),
            None => Duration::from_secs(u64::from(hold_time_secs) * 2).max(SEND_HOLD_DEFAULT_MIN),
        }
    }
}
