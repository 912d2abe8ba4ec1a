//! What a filter sets the next hop to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::document::quoted;

/// A next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHopTarget {
    /// This address.
    Address(IpAddr),
    /// Our own on the session.
    SelfAddress,
    /// The one that the route came with.
    Unchanged,
    /// The peer's.
    Peer,
}

/// Why a text is no [`NextHopTarget`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no next hop: write an address, Peer (on import), Self or Unchanged (on export)")]
pub struct NextHopTargetError(String);

impl FromStr for NextHopTarget {
    type Err = NextHopTargetError;

    fn from_str(text: &str) -> Result<Self, NextHopTargetError> {
        match text {
            "Self" => Ok(Self::SelfAddress),
            "Unchanged" => Ok(Self::Unchanged),
            "Peer" => Ok(Self::Peer),
            other => other.parse().map(Self::Address).map_err(|_| NextHopTargetError(quoted(text))),
        }
    }
}

impl fmt::Display for NextHopTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::SelfAddress => f.write_str("Self"),
            Self::Unchanged => f.write_str("Unchanged"),
            Self::Peer => f.write_str("Peer"),
        }
    }
}

impl Serialize for NextHopTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
