//! A span of time of BGP's, as manifests write it: a Go duration, of which whole seconds count.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// 0 to 65535 seconds: what BGP's timers can carry.
///
/// Reads Go's durations (`90s`, `1m30s`, `1.5h`, `1500ms`) and, as Calico does before it writes BIRD's
/// configuration, rounds to the nearest second. What would round to 0 without being 0 is refused, because 0
/// switches timers off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub u16);

/// Why a text is not a usable duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecondsError {
    /// Not Go's syntax.
    #[error("'{0}' is not a duration: write numbers with units, as in 90s, 1m30s or 1.5h")]
    Syntax(String),
    /// Negative, above 65535 s, or between 0 and half a second.
    #[error("'{0}' is out of range: BGP counts whole seconds, from 1s to 65535s (18h12m15s), or 0s")]
    Range(String),
}

/// Units of Go's durations, in nanoseconds. Longer names first.
const UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("h", 3600 * NANOS_PER_SECOND),
];

const NANOS_PER_SECOND: u128 = 1_000_000_000;

impl FromStr for Seconds {
    type Err = SecondsError;

    fn from_str(text: &str) -> Result<Self, SecondsError> {
        let quoted = || crate::document::quoted(text);
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        let is_negative = unsigned.starts_with('-');
        let unsigned = unsigned.strip_prefix('-').unwrap_or(unsigned);
        let nanos = nanoseconds(unsigned).ok_or_else(|| SecondsError::Syntax(quoted()))?;
        let seconds = (nanos + NANOS_PER_SECOND / 2) / NANOS_PER_SECOND;
        let vanishes = seconds == 0 && nanos != 0;
        let seconds = u16::try_from(seconds).ok().filter(|_| !vanishes && (!is_negative || nanos == 0));
        seconds.map(Self).ok_or_else(|| SecondsError::Range(quoted()))
    }
}

/// An unsigned Go duration.
fn nanoseconds(text: &str) -> Option<u128> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (name, unit) = UNITS.iter().find(|(name, _)| starts_unit(after, name))?;
        let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
        total = total.checked_add(u128::from(whole).checked_mul(*unit)?)?;
        total = total.checked_add(fraction_of(fraction, *unit))?;
        rest = after.strip_prefix(name)?;
    }
    (!text.is_empty()).then_some(total)
}

/// `m` is not the beginning of `ms`.
fn starts_unit(text: &str, name: &str) -> bool {
    text.strip_prefix(name).is_some_and(|after| !after.starts_with(char::is_alphabetic))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// `0.digits` of a unit; digits beyond the 18th are less than any unit can show.
fn fraction_of(digits: &str, unit: u128) -> u128 {
    let digits = digits.get(..digits.len().min(18)).unwrap_or_default();
    let scale = digits.bytes().fold(1_u128, |scale, _| scale * 10);
    digits.parse::<u128>().map_or(0, |number| number * unit / scale)
}

impl fmt::Display for Seconds {
    /// As Go prints it: `0s`, `5s`, `1m30s`, `1h0m0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        match (hours, minutes) {
            (0, 0) => write!(f, "{seconds}s"),
            (0, _) => write!(f, "{minutes}m{seconds}s"),
            _ => write!(f, "{hours}h{minutes}m{seconds}s"),
        }
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
