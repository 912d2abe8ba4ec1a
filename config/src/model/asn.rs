//! An AS number, as manifests write it.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// An autonomous system number of four octets (RFC 6793), never 0 (RFC 7607).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Asn(u32);

impl Asn {
    /// Calico's AS number for a cluster that names none.
    pub const CLUSTER_DEFAULT: Self = Self(64_512);

    /// The number; `None` for 0.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Why a text is not an AS number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an AS number: write 1 to 4294967295, or two numbers of 16 bits with a dot between (1.10)"
)]
pub struct AsnError(String);

impl FromStr for Asn {
    type Err = AsnError;

    /// Reads asplain (`65536`) and asdot (`1.0`) of RFC 5396.
    fn from_str(text: &str) -> Result<Self, AsnError> {
        let number = match text.split_once('.') {
            None => digits(text).and_then(|text| text.parse().ok()),
            Some((high, low)) => part(high).zip(part(low)).map(|(high, low)| high << 16 | low),
        };
        number.and_then(Self::new).ok_or_else(|| AsnError(crate::document::quoted(text)))
    }
}

fn part(text: &str) -> Option<u32> {
    digits(text)?.parse::<u16>().ok().map(u32::from)
}

/// Rust's parser also takes a plus sign.
fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
