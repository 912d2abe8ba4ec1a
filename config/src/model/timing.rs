//! The timers of a session that are neither hold time nor connect retry.

use serde::Serialize;

use super::Seconds;
use crate::document::{Field, Fields};

/// `None`, each: the default of the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerTiming {
    /// The first pause after an error, at least 1 s; each further one doubles it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_hold_time: Option<Seconds>,
    /// The longest such pause, not shorter than the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_idle_hold_time: Option<Seconds>,
    /// How long the peer may take nothing (RFC 9687), at least 1 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_hold_time: Option<Seconds>,
    /// The least time between two advertisements (RFC 4271 §9.2.1.1); 0 s: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_advertisement_time: Option<Seconds>,
}

/// The first pause after an error.
pub const IDLE_HOLD_TIME_DEFAULT: Seconds = Seconds(1);
/// The longest pause after errors.
pub const MAXIMUM_IDLE_HOLD_TIME_DEFAULT: Seconds = Seconds(60);

pub(crate) const IDLE_HOLD: Field = Field::additive(
    "idleHoldTime",
    "5s",
    "pause after an error, from 1s; each further one doubles it; default 1s",
);
pub(crate) const MAXIMUM_IDLE_HOLD: Field =
    Field::additive("maximumIdleHoldTime", "5m", "the longest pause after errors; default 60s");
pub(crate) const SEND_HOLD: Field = Field::additive(
    "sendHoldTime",
    "2m",
    "a peer that takes nothing for so long is down (RFC 9687), from 1s; default 8m or twice the hold time",
);
pub(crate) const MINIMUM_ADVERTISEMENT: Field = Field::additive(
    "minimumAdvertisementTime",
    "5s",
    "least time between advertisements (RFC 4271 MinRouteAdvertisementInterval); default 0s",
);

impl PeerTiming {
    pub(crate) fn read(spec: &Fields<'_>) -> Self {
        let seconds = |name| spec.entry(name).and_then(|entry| entry.parse_scalar::<Seconds>());
        let timing = Self {
            idle_hold_time: seconds("idleHoldTime"),
            maximum_idle_hold_time: seconds("maximumIdleHoldTime"),
            send_hold_time: seconds("sendHoldTime"),
            minimum_advertisement_time: seconds("minimumAdvertisementTime"),
        };
        if timing.idle_hold_time == Some(Seconds(0)) {
            spec.report("idleHoldTime", "0s would try again at once whatever is wrong: use 1s or more");
        }
        if timing.send_hold_time == Some(Seconds(0)) {
            spec.report("sendHoldTime", "0s would end every session: use 1s or more");
        }
        let first = timing.idle_hold_time.unwrap_or(IDLE_HOLD_TIME_DEFAULT);
        let longest = timing.maximum_idle_hold_time.unwrap_or(MAXIMUM_IDLE_HOLD_TIME_DEFAULT);
        if longest < first {
            let (name, remedy) = match timing.maximum_idle_hold_time {
                Some(_) => ("maximumIdleHoldTime", "raise it"),
                None => ("idleHoldTime", "set maximumIdleHoldTime too"),
            };
            spec.report(
                name,
                format!("the longest pause, {longest}, is shorter than the first, {first}: {remedy}"),
            );
        }
        timing
    }
}
