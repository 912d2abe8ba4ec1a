//! The small nouns that every part of the speaker shares. Each is parsed once and cannot be wrong afterwards.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An autonomous system number of four octets (RFC 6793).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Asn(pub u32);

impl Asn {
    /// What a two-octet speaker sees in place of a larger number (RFC 6793 §9).
    pub const TRANS: Self = Self(23_456);

    /// The number as a two-octet speaker sees it: itself, or [`Asn::TRANS`].
    #[must_use]
    pub fn to_two_octets(self) -> u16 {
        u16::try_from(self.0).unwrap_or(23_456)
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is not an AS number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an AS number: write 1 to 4294967295, or two 16-bit numbers with a dot between (RFC 5396)"
)]
pub struct ParseAsnError(String);

impl FromStr for Asn {
    type Err = ParseAsnError;

    /// Reads asplain (`65536`) and asdot (`1.0`) of RFC 5396. 0 is refused (RFC 7607).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseAsnError(text.to_owned());
        let number = match text.split_once('.') {
            None => text.parse::<u32>().map_err(|_| error())?,
            Some((high, low)) => {
                let high = high.parse::<u16>().map_err(|_| error())?;
                let low = low.parse::<u16>().map_err(|_| error())?;
                u32::from(high) << 16 | u32::from(low)
            }
        };
        if number == 0 { Err(error()) } else { Ok(Self(number)) }
    }
}

/// A BGP Identifier (RFC 4271 §4.2; any non-zero number is valid, RFC 6286).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RouterId(pub Ipv4Addr);

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The cluster of a route reflector (RFC 4456 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub Ipv4Addr);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One configured neighbor for as long as it is configured: the same across its sessions, never reused.
///
/// `index` may be reused after a neighbor is deleted; `generation` then differs, so a late event of the old
/// one can be told from the new one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PeerId {
    /// Slot in the speaker's table of neighbors.
    pub index: u32,
    /// How often that slot has been given out before.
    pub generation: u32,
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// Internal or external, by the two AS numbers of the session (RFC 4271 §1.1) and by what is a confederation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerKind {
    /// Same AS.
    Ibgp,
    /// Another AS.
    Ebgp,
    /// Another member AS of our confederation (RFC 5065 §2).
    Confederation,
}

impl PeerKind {
    /// By the two AS numbers alone: a member AS is another AS.
    #[must_use]
    pub fn by_as_number(self) -> Self {
        match self {
            Self::Ibgp => Self::Ibgp,
            Self::Ebgp | Self::Confederation => Self::Ebgp,
        }
    }
}

impl fmt::Display for PeerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ibgp => "iBGP",
            Self::Ebgp => "eBGP",
            Self::Confederation => "confederation eBGP",
        })
    }
}

/// One prefix as it stands in an UPDATE. The prefix is always truncated (no host bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Nlri {
    /// The destination.
    pub prefix: IpNet,
    /// The path identifier of RFC 7911, 0 where add-path was not negotiated.
    pub path_id: u32,
}

impl From<IpNet> for Nlri {
    fn from(prefix: IpNet) -> Self {
        Self { prefix: prefix.trunc(), path_id: 0 }
    }
}
