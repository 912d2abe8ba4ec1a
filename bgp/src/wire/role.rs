//! Roles of the two ends of an external session (RFC 9234).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the speaker of an OPEN is to the other one (RFC 9234 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BgpRole {
    /// It sells transit to the other.
    Provider,
    /// It is a route server, the other its client.
    RsServer,
    /// It is the client of a route server.
    RsClient,
    /// It buys transit from the other.
    Customer,
    /// Each gives the other its own and its customers' routes.
    Peer,
}

impl BgpRole {
    const ALL: [Self; 5] = [Self::Provider, Self::RsServer, Self::RsClient, Self::Customer, Self::Peer];

    /// `None` for a value that is not assigned.
    #[must_use]
    pub fn from_octet(octet: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.to_octet() == octet)
    }

    /// Its IANA value.
    #[must_use]
    pub fn to_octet(self) -> u8 {
        match self {
            Self::Provider => 0,
            Self::RsServer => 1,
            Self::RsClient => 2,
            Self::Customer => 3,
            Self::Peer => 4,
        }
    }

    /// The only role that the other end can have (RFC 9234 §4.2, table 2).
    #[must_use]
    pub fn counterpart(self) -> Self {
        match self {
            Self::Provider => Self::Customer,
            Self::Customer => Self::Provider,
            Self::RsServer => Self::RsClient,
            Self::RsClient => Self::RsServer,
            Self::Peer => Self::Peer,
        }
    }
}

impl fmt::Display for BgpRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provider => "provider",
            Self::RsServer => "rs-server",
            Self::RsClient => "rs-client",
            Self::Customer => "customer",
            Self::Peer => "peer",
        })
    }
}
