//! The bandwidth of a link, as manifests write it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Bytes per second, at least 1.
///
/// Reads `10Gbps`, `2.5Gbps`, `100Mbps` (bits per second, decimal units, as links are sold) and plain whole numbers,
/// which are bytes per second as the community carries them (draft-ietf-idr-link-bandwidth).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bandwidth(pub u64);

/// Why a text is no usable bandwidth.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a bandwidth: write bits per second with a unit, as in 10Gbps or 2.5Gbps, or bytes per second, from 1"
)]
pub struct BandwidthError(String);

/// Bits per second.
const UNITS: [(&str, u128); 4] =
    [("Kbps", 1_000), ("Mbps", 1_000_000), ("Gbps", 1_000_000_000), ("Tbps", 1_000_000_000_000)];

impl FromStr for Bandwidth {
    type Err = BandwidthError;

    fn from_str(text: &str) -> Result<Self, BandwidthError> {
        let with_unit = UNITS.iter().find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
        let bytes = match with_unit {
            Some((number, bits)) => scaled(number, bits).map(|bits| bits / 8),
            None => digits(text),
        };
        let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
        bytes.map(Self).ok_or_else(|| BandwidthError(crate::document::quoted(text)))
    }
}

/// A decimal number times `unit`, rounded down.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= 9)?;
    let part = digits(fraction)?.checked_mul(unit)? / 10_u128.pow(places);
    digits(whole)?.checked_mul(unit)?.checked_add(part)
}

fn digits(text: &str) -> Option<u128> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl fmt::Display for Bandwidth {
    /// Bytes per second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Bandwidth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_bits_and_plain_numbers_bytes() {
        for (text, bytes) in [
            ("10Gbps", 1_250_000_000),
            ("2.5Gbps", 312_500_000),
            ("100Mbps", 12_500_000),
            ("64Kbps", 8_000),
            ("1Tbps", 125_000_000_000),
            ("1250000000", 1_250_000_000),
            ("1", 1),
        ] {
            assert_eq!(text.parse(), Ok(Bandwidth(bytes)), "{text}");
        }
        for text in
            ["", "0", "0Gbps", "-1", "10 Gbps", "10gbps", "10GB", "Gbps", ".5Gbps", "1e9", "99999999999Tbps"]
        {
            assert!(text.parse::<Bandwidth>().is_err(), "{text}");
        }
    }
}
