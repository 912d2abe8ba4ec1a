//! Communities: standard (RFC 1997), extended (RFC 4360), large (RFC 8092).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A standard community, `asn:value` as two 16-bit halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Community(pub u32);

impl Community {
    /// RFC 8326: the sender is about to go away; prefer any other path.
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xffff_0000);
    /// RFC 7611: accept even though it carries our own identity.
    pub const ACCEPT_OWN: Self = Self(0xffff_0001);
    /// RFC 9494: kept beyond the restart time.
    pub const LLGR_STALE: Self = Self(0xffff_0006);
    /// RFC 9494: never to be kept beyond the restart time.
    pub const NO_LLGR: Self = Self(0xffff_0007);
    /// RFC 7999: discard the traffic.
    pub const BLACKHOLE: Self = Self(0xffff_029a);
    /// RFC 1997: not beyond the AS or confederation.
    pub const NO_EXPORT: Self = Self(0xffff_ff01);
    /// RFC 1997: to no peer at all.
    pub const NO_ADVERTISE: Self = Self(0xffff_ff02);
    /// RFC 1997: to no external peer, members of the confederation included.
    pub const NO_EXPORT_SUBCONFED: Self = Self(0xffff_ff03);
    /// RFC 3765: to no bilateral peer.
    pub const NO_PEER: Self = Self(0xffff_ff04);

    const WELL_KNOWN: [(Self, &'static str); 9] = [
        (Self::GRACEFUL_SHUTDOWN, "graceful-shutdown"),
        (Self::ACCEPT_OWN, "accept-own"),
        (Self::LLGR_STALE, "llgr-stale"),
        (Self::NO_LLGR, "no-llgr"),
        (Self::BLACKHOLE, "blackhole"),
        (Self::NO_EXPORT, "no-export"),
        (Self::NO_ADVERTISE, "no-advertise"),
        (Self::NO_EXPORT_SUBCONFED, "no-export-subconfed"),
        (Self::NO_PEER, "no-peer"),
    ];

    /// From its halves.
    #[must_use]
    pub fn new(asn: u16, value: u16) -> Self {
        Self(u32::from(asn) << 16 | u32::from(value))
    }
}

impl fmt::Display for Community {
    /// The registered name, or `65001:100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::WELL_KNOWN.iter().find(|(community, _)| community == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff),
        }
    }
}

impl FromStr for Community {
    type Err = ParseCommunityError;

    /// Reads `65001:100` and the registered names (`no-export`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((community, _)) = Self::WELL_KNOWN.iter().find(|(_, name)| *name == text) {
            return Ok(*community);
        }
        let (asn, value) = text.split_once(':').ok_or_else(|| ParseCommunityError(text.to_owned()))?;
        match (number(asn), number(value)) {
            (Some(asn), Some(value)) => Ok(Self::new(asn, value)),
            _ => Err(ParseCommunityError(text.to_owned())),
        }
    }
}

/// An extended community, as its eight octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExtendedCommunity(pub [u8; 8]);

impl ExtendedCommunity {
    /// Whether it may leave the AS: the T bit of its type is clear (RFC 4360 §2).
    #[must_use]
    pub fn is_transitive(self) -> bool {
        self.0[0] & 0x40 == 0
    }
}

impl fmt::Display for ExtendedCommunity {
    /// `rt:65001:100` and `soo:192.0.2.1:7` for the two that people write (RFC 4360 §4 and §5, RFC 5668),
    /// `bandwidth:65001:125000000` for a link's octets per second (draft-ietf-idr-link-bandwidth), else `0x` and
    /// sixteen digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, subtype, a, b, c, d, e, g] = self.0;
        if let [0x40, 4, ..] = self.0 {
            let bytes_per_sec = f32::from_be_bytes([c, d, e, g]);
            // What is no rate is shown as it came.
            if bytes_per_sec.is_finite() && bytes_per_sec.is_sign_positive() {
                return write!(f, "bandwidth:{}:{bytes_per_sec}", u16::from_be_bytes([a, b]));
            }
        }
        let name = match subtype {
            2 => "rt",
            3 => "soo",
            _ => return write!(f, "{:#018x}", u64::from_be_bytes(self.0)),
        };
        match kind {
            0 => write!(f, "{name}:{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, g])),
            1 => write!(f, "{name}:{}:{}", Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([e, g])),
            // A small number in four octets is another community than in two; asdot (`0.65001`) tells them apart.
            2 => {
                let asn = u32::from_be_bytes([a, b, c, d]);
                let dot = if u16::try_from(asn).is_ok() { "0." } else { "" };
                write!(f, "{name}:{dot}{asn}:{}", u16::from_be_bytes([e, g]))
            }
            _ => write!(f, "{:#018x}", u64::from_be_bytes(self.0)),
        }
    }
}

impl FromStr for ExtendedCommunity {
    type Err = ParseCommunityError;

    /// Reads what [`fmt::Display`] writes, and asplain (`rt:4200000000:7`) for AS numbers above 65535.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.strip_prefix("0x") {
            Some(digits) if digits.len() == 16 => u64::from_str_radix(digits, 16).ok().map(u64::to_be_bytes),
            Some(_) => None,
            None => administered(text),
        };
        parsed.map(Self).ok_or_else(|| ParseCommunityError(text.to_owned()))
    }
}

/// `rt:`, `soo:` or `bandwidth:`, an administrator, and its value.
fn administered(text: &str) -> Option<[u8; 8]> {
    let (name, rest) = text.split_once(':')?;
    let (administrator, value) = rest.split_once(':')?;
    if name == "bandwidth" {
        let [a, b] = number::<u16>(administrator)?.to_be_bytes();
        let is_decimal = value.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
        let bytes_per_sec = value.parse::<f32>().ok().filter(|rate| is_decimal && rate.is_finite())?;
        let [c, d, e, f] = bytes_per_sec.to_be_bytes();
        return Some([0x40, 4, a, b, c, d, e, f]);
    }
    let subtype = match name {
        "rt" => 2,
        "soo" => 3,
        _ => return None,
    };
    let six_octets = |kind, [a, b, c, d]: [u8; 4], value: u16| {
        let [e, f] = value.to_be_bytes();
        Some([kind, subtype, a, b, c, d, e, f])
    };
    if let Ok(addr) = administrator.parse::<Ipv4Addr>() {
        return six_octets(1, addr.octets(), number(value)?);
    }
    if let Some((high, low)) = administrator.split_once('.') {
        let asn = u32::from(number::<u16>(high)?) << 16 | u32::from(number::<u16>(low)?);
        return six_octets(2, asn.to_be_bytes(), number(value)?);
    }
    let asn: u32 = number(administrator)?;
    match u16::try_from(asn) {
        Ok(asn) => {
            let [a, b] = asn.to_be_bytes();
            let [c, d, e, f] = number::<u32>(value)?.to_be_bytes();
            Some([0, subtype, a, b, c, d, e, f])
        }
        Err(_) => six_octets(2, asn.to_be_bytes(), number(value)?),
    }
}

/// A large community.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LargeCommunity {
    /// Global administrator.
    pub global: u32,
    /// Local data part 1.
    pub local1: u32,
    /// Local data part 2.
    pub local2: u32,
}

impl fmt::Display for LargeCommunity {
    /// `65001:1:2`, in decimal without leading zeros (RFC 8092 §5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.global, self.local1, self.local2)
    }
}

impl FromStr for LargeCommunity {
    type Err = ParseCommunityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split(':').map(number);
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Some(global)), Some(Some(local1)), Some(Some(local2)), None) => {
                Ok(Self { global, local1, local2 })
            }
            _ => Err(ParseCommunityError(text.to_owned())),
        }
    }
}

/// Why a text is not a community.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a community: write 65001:100, 65001:1:2, rt:65001:100, soo:65001:100 or a well-known name"
)]
pub struct ParseCommunityError(String);

/// Digits only: `u32::from_str` alone would take `+1`.
fn number<T: FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|octet| octet.is_ascii_digit()) { text.parse().ok() } else { None }
}
