//! A community, as manifests write it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::document::quoted;

/// A standard (RFC 1997) or large community (RFC 8092).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommunityValue {
    /// `aa:nn`.
    Standard(u16, u16),
    /// `aa:nn:mm`.
    Large(u32, u32, u32),
}

/// Why a text is not a [`CommunityValue`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a community: write two numbers up to 65535 (65001:100) or three up to 4294967295 (65001:1:2)"
)]
pub struct CommunityValueError(String);

impl FromStr for CommunityValue {
    type Err = CommunityValueError;

    fn from_str(text: &str) -> Result<Self, CommunityValueError> {
        let parts: Vec<&str> = text.split(':').collect();
        let value = match parts.as_slice() {
            [asn, value] => number(asn).zip(number(value)).map(|(asn, value)| Self::Standard(asn, value)),
            [global, one, two] => match (number(global), number(one), number(two)) {
                (Some(global), Some(one), Some(two)) => Some(Self::Large(global, one, two)),
                _ => None,
            },
            _ => None,
        };
        value.ok_or_else(|| CommunityValueError(quoted(text)))
    }
}

/// Rust's parser also takes a plus sign.
fn number<T: FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl fmt::Display for CommunityValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(asn, value) => write!(f, "{asn}:{value}"),
            Self::Large(global, one, two) => write!(f, "{global}:{one}:{two}"),
        }
    }
}

impl Serialize for CommunityValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
