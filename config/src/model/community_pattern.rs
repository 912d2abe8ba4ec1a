//! Communities of all three kinds as filters and sets write them, and patterns of them. The forms are those of
//! other routers' configurations and of `manx routes`.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::CommunityValue;
use crate::document::quoted;

/// A community of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteCommunity {
    text: String,
    /// What it is.
    pub value: RouteCommunityValue,
}

/// What a [`RouteCommunity`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteCommunityValue {
    /// Standard (RFC 1997) or large (RFC 8092).
    Plain(CommunityValue),
    /// Extended (RFC 4360), its eight octets.
    Extended(u64),
}

/// Communities of one kind, with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommunityPattern {
    text: String,
    /// What it describes.
    pub form: PatternForm,
}

/// What a [`CommunityPattern`] describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternForm {
    /// By the two halves.
    Standard([RangeInclusive<u16>; 2]),
    /// By the three parts.
    Large([RangeInclusive<u32>; 3]),
    /// Any of these: octets that count, and what they are.
    Extended(Vec<(u64, u64)>),
}

/// Why a text is no [`RouteCommunity`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a community: write 65001:100, a well-known name (no-export), 65001:1:2 for a large one, \
     rt:65001:100, soo:65001:100, bandwidth:65001:125000000 (octets per second) or 0x and 16 digits for an \
     extended one"
)]
pub struct RouteCommunityError(String);

/// Why a text is no [`CommunityPattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a community: write 65001:100, 65001:1:2, rt:65001:100, soo:65001:100, bandwidth:65001:*, a \
     well-known name (no-export) or 0x and 16 digits; each number may be * for any, and those of standard and \
     large ones a range (65001:100-199)"
)]
pub struct CommunityPatternError(String);

/// The registered names (RFC 1997, 3765, 7611, 7999, 8326, 9494).
const WELL_KNOWN: [(&str, u16); 9] = [
    ("graceful-shutdown", 0x0000),
    ("accept-own", 0x0001),
    ("llgr-stale", 0x0006),
    ("no-llgr", 0x0007),
    ("blackhole", 0x029a),
    ("no-export", 0xff01),
    ("no-advertise", 0xff02),
    ("no-export-subconfed", 0xff03),
    ("no-peer", 0xff04),
];

fn well_known(text: &str) -> Option<CommunityValue> {
    let (_, value) = WELL_KNOWN.iter().find(|(name, _)| *name == text)?;
    Some(CommunityValue::Standard(u16::MAX, *value))
}

impl FromStr for RouteCommunity {
    type Err = RouteCommunityError;

    fn from_str(text: &str) -> Result<Self, RouteCommunityError> {
        let plain = || well_known(text).or_else(|| text.parse().ok()).map(RouteCommunityValue::Plain);
        let extended = || match extended(text)?.as_slice() {
            [(u64::MAX, value)] => Some(RouteCommunityValue::Extended(*value)),
            _ => None,
        };
        let value = plain().or_else(extended).ok_or_else(|| RouteCommunityError(quoted(text)))?;
        Ok(Self { text: text.to_owned(), value })
    }
}

impl FromStr for CommunityPattern {
    type Err = CommunityPatternError;

    fn from_str(text: &str) -> Result<Self, CommunityPatternError> {
        let plain = || match well_known(text) {
            Some(CommunityValue::Standard(high, low)) => {
                Some(PatternForm::Standard([high..=high, low..=low]))
            }
            Some(CommunityValue::Large(..)) | None => plain(text),
        };
        let form = plain().or_else(|| extended(text).map(PatternForm::Extended));
        let form = form.ok_or_else(|| CommunityPatternError(quoted(text)))?;
        Ok(Self { text: text.to_owned(), form })
    }
}

fn plain(text: &str) -> Option<PatternForm> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [high, low] => Some(PatternForm::Standard([part(high)?, part(low)?])),
        [global, one, two] => Some(PatternForm::Large([part(global)?, part(one)?, part(two)?])),
        _ => None,
    }
}

/// `*`, a number, or a range.
fn part<T: FromStr + Ord + Copy + Bounds>(text: &str) -> Option<RangeInclusive<T>> {
    if text == "*" {
        return Some(T::MIN..=T::MAX);
    }
    match text.split_once('-') {
        None => number(text).map(|number| number..=number),
        Some((low, high)) => {
            let (low, high) = (number(low)?, number(high)?);
            (low <= high).then_some(low..=high)
        }
    }
}

trait Bounds {
    const MIN: Self;
    const MAX: Self;
}

impl Bounds for u16 {
    const MIN: Self = Self::MIN;
    const MAX: Self = Self::MAX;
}

impl Bounds for u32 {
    const MIN: Self = Self::MIN;
    const MAX: Self = Self::MAX;
}

const ROUTE_TARGET: u8 = 2;
const ROUTE_ORIGIN: u8 = 3;

/// An extended community or a pattern of them: the octets that count and what they are.
fn extended(text: &str) -> Option<Vec<(u64, u64)>> {
    if let Some(digits) = text.strip_prefix("0x") {
        let is_hex = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let octets = u64::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
        return Some(vec![(u64::MAX, octets)]);
    }
    let (name, rest) = text.split_once(':')?;
    let (administrator, value) = rest.rsplit_once(':')?;
    match name {
        "rt" => administered(ROUTE_TARGET, administrator, value),
        "soo" => administered(ROUTE_ORIGIN, administrator, value),
        "bandwidth" => bandwidth(administrator, value),
        _ => None,
    }
}

/// RFC 4360 §3.1 and §3.2, RFC 5668.
fn administered(subtype: u8, administrator: &str, value: &str) -> Option<Vec<(u64, u64)>> {
    let octets = |kind: u8, administrator: u64, width: u32, value: Option<u64>| {
        let head = u64::from(kind) << 56 | u64::from(subtype) << 48 | administrator << width;
        let mask = if value.is_some() { u64::MAX } else { u64::MAX << width };
        (mask, head | value.unwrap_or(0))
    };
    let any = value == "*";
    let of_two = |value: &str| number::<u16>(value).map(u64::from);
    let of_four = |value: &str| number::<u32>(value).map(u64::from);
    if administrator == "*" {
        // Of all three forms; a value has a place in each of them that is its own.
        let kinds: [(u8, u32); 3] = [(0, 32), (1, 16), (2, 16)];
        return any.then(|| {
            let mask = 0xffff << 48;
            kinds.iter().map(|(kind, _)| (mask, u64::from(*kind) << 56 | u64::from(subtype) << 48)).collect()
        });
    }
    let one = if let Ok(address) = administrator.parse::<Ipv4Addr>() {
        octets(1, u64::from(u32::from(address)), 16, if any { None } else { Some(of_two(value)?) })
    } else if let Some((high, low)) = administrator.split_once('.') {
        let asn = u32::from(number::<u16>(high)?) << 16 | u32::from(number::<u16>(low)?);
        octets(2, u64::from(asn), 16, if any { None } else { Some(of_two(value)?) })
    } else {
        let asn: u32 = number(administrator)?;
        if u16::try_from(asn).is_ok() {
            octets(0, u64::from(asn), 32, if any { None } else { Some(of_four(value)?) })
        } else {
            octets(2, u64::from(asn), 16, if any { None } else { Some(of_two(value)?) })
        }
    };
    Some(vec![one])
}

/// draft-ietf-idr-link-bandwidth: an AS of two octets and octets per second as a floating point number.
fn bandwidth(administrator: &str, value: &str) -> Option<Vec<(u64, u64)>> {
    let (mut mask, mut octets) = (0xffff << 48, 0x4004 << 48);
    if administrator != "*" {
        mask |= 0xffff << 32;
        octets |= u64::from(number::<u16>(administrator)?) << 32;
    }
    if value != "*" {
        let is_decimal = value.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
        let rate = value.parse::<f32>().ok().filter(|rate| is_decimal && rate.is_finite())?;
        mask |= 0xffff_ffff;
        octets |= u64::from(rate.to_bits());
    }
    Some(vec![(mask, octets)])
}

/// Rust's parser also takes a plus sign.
fn number<T: FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

impl Display for RouteCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for RouteCommunity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Serialize for CommunityPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_kinds() {
        let extended = |text: &str| match text.parse::<RouteCommunity>().map(|community| community.value) {
            Ok(RouteCommunityValue::Extended(octets)) => octets,
            other => panic!("{text}: {other:?}"),
        };
        let plain = |text: &str| text.parse::<RouteCommunity>().unwrap().value;
        let standard = |high, low| RouteCommunityValue::Plain(CommunityValue::Standard(high, low));
        assert_eq!(plain("65001:100"), standard(65001, 100));
        assert_eq!(plain("no-export"), standard(65535, 65281));
        assert_eq!(plain("1:2:3"), RouteCommunityValue::Plain(CommunityValue::Large(1, 2, 3)));
        assert_eq!(extended("rt:65001:100"), 0x0002_fde9_0000_0064);
        assert_eq!(extended("soo:192.0.2.1:7"), 0x0103_c000_0201_0007);
        assert_eq!(extended("rt:4200000000:7"), 0x0202_fa56_ea00_0007);
        assert_eq!(extended("rt:0.65001:7"), 0x0202_0000_fde9_0007);
        assert_eq!(extended("bandwidth:65001:125000000"), 0x4004_fde9_4cee_6b28);
        assert_eq!(extended("0x4004fde94cee6b28"), extended("bandwidth:65001:125000000"));
    }

    #[test]
    fn patterns() {
        let form = |text: &str| text.parse::<CommunityPattern>().unwrap().form;
        assert_eq!(form("65001:*"), PatternForm::Standard([65001..=65001, 0..=65535]));
        assert_eq!(form("*:100-199"), PatternForm::Standard([0..=65535, 100..=199]));
        assert_eq!(form("blackhole"), PatternForm::Standard([65535..=65535, 666..=666]));
        assert_eq!(form("65001:*:2"), PatternForm::Large([65001..=65001, 0..=u32::MAX, 2..=2]));
        let head = 0xffff_ffff_0000_0000;
        assert_eq!(form("rt:65001:*"), PatternForm::Extended(vec![(head, 0x0002_fde9_0000_0000)]));
        let address = (0xffff_ffff_ffff_0000, 0x0103_c000_0201_0000);
        assert_eq!(form("soo:192.0.2.1:*"), PatternForm::Extended(vec![address]));
        let kinds = [0x0002, 0x0102, 0x0202].map(|kind: u64| (0xffff << 48, kind << 48));
        assert_eq!(form("rt:*:*"), PatternForm::Extended(kinds.to_vec()));
        assert_eq!(form("bandwidth:*:*"), PatternForm::Extended(vec![(0xffff << 48, 0x4004 << 48)]));
    }

    #[test]
    fn what_is_neither() {
        for text in
            ["", "1", "65536:1", "1:2:3:4", "rt:1", "rt:65001:-1", "rt:*:1", "0x12", "no-such", "+1:1"]
        {
            assert!(text.parse::<RouteCommunity>().is_err(), "{text}");
            assert!(text.parse::<CommunityPattern>().is_err(), "{text}");
        }
        for text in ["65001:*", "rt:*:*", "1:2-3"] {
            assert!(text.parse::<RouteCommunity>().is_err(), "{text}");
        }
        assert!("1:3-2".parse::<CommunityPattern>().is_err());
    }
}
