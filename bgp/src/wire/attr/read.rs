//! The readers of the attribute table. Each takes one value and either stores it or says what is wrong;
//! what follows from that is in the row.

use std::net::Ipv4Addr;

use super::{Aggregator, Origin, PathAttributes};
use crate::types::PeerKind;
use crate::wire::error::hex;
use crate::wire::mp::{MpReach, MpUnreach};
use crate::wire::{
    AsPath, Community, DecodeContext, ErrorSubcode, ExtendedCommunity, LargeCommunity, Segment,
};
use crate::{Asn, ClusterId, RouterId};

/// What the readers have stored so far.
#[derive(Debug, Default)]
pub(in crate::wire) struct Incoming {
    pub(in crate::wire) attributes: PathAttributes,
    /// NEXT_HOP, unchecked: it matters only beside classic NLRI (RFC 4760 §3).
    pub(in crate::wire) next_hop: Option<Ipv4Addr>,
    pub(in crate::wire) mp_reach: Option<MpReach>,
    pub(in crate::wire) mp_unreach: Option<MpUnreach>,
    pub(in crate::wire) as4_path: Option<AsPath>,
    pub(in crate::wire) as4_aggregator: Option<Aggregator>,
}

/// What is wrong with a value, and the UPDATE error that a reset because of it would send.
#[derive(Debug)]
pub(in crate::wire) struct Malformed {
    pub(in crate::wire) error: ErrorSubcode,
    pub(in crate::wire) reason: String,
}

pub(super) fn origin(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    let [octet] = *fixed::<1>(value)?;
    to.attributes.origin = match octet {
        0 => Origin::Igp,
        1 => Origin::Egp,
        2 => Origin::Incomplete,
        other => {
            return Err(Malformed {
                error: ErrorSubcode::INVALID_ORIGIN,
                reason: format!("value {other} is not 0 to 2"),
            });
        }
    };
    Ok(())
}

pub(super) fn as_path(to: &mut Incoming, value: &[u8], context: &DecodeContext) -> Result<(), Malformed> {
    let malformed = |reason| Malformed { error: ErrorSubcode::MALFORMED_AS_PATH, reason };
    let path = AsPath::decode(value, context.four_octet_as).map_err(malformed)?;
    // RFC 5065 §4: only members of our confederation may send them.
    if context.kind == PeerKind::Ebgp && path.0.iter().any(Segment::is_confederation) {
        return Err(malformed(format!("confederation segments from outside: {}", hex(value))));
    }
    to.attributes.as_path = path;
    Ok(())
}

pub(super) fn next_hop(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    to.next_hop = Some(Ipv4Addr::from(*fixed::<4>(value)?));
    Ok(())
}

pub(super) fn med(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    to.attributes.med = Some(u32::from_be_bytes(*fixed(value)?));
    Ok(())
}

pub(super) fn local_pref(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    to.attributes.local_pref = Some(u32::from_be_bytes(*fixed(value)?));
    Ok(())
}

pub(super) fn atomic_aggregate(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    fixed::<0>(value)?;
    to.attributes.atomic_aggregate = true;
    Ok(())
}

pub(super) fn aggregator(to: &mut Incoming, value: &[u8], context: &DecodeContext) -> Result<(), Malformed> {
    let (asn, addr) = if context.four_octet_as {
        let &[a, b, c, d, ref addr @ ..] = fixed::<8>(value)?;
        (u32::from_be_bytes([a, b, c, d]), *addr)
    } else {
        let &[a, b, ref addr @ ..] = fixed::<6>(value)?;
        (u32::from(u16::from_be_bytes([a, b])), *addr)
    };
    to.attributes.aggregator = Some(checked_aggregator(asn, addr)?);
    Ok(())
}

pub(super) fn communities(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    let list = chunks::<4>(value)?.iter().map(|octets| Community(u32::from_be_bytes(*octets)));
    to.attributes.communities = canonical_set(list);
    Ok(())
}

pub(super) fn originator_id(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    to.attributes.originator_id = Some(RouterId(Ipv4Addr::from(*fixed::<4>(value)?)));
    Ok(())
}

pub(super) fn cluster_list(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    let list = chunks::<4>(value)?.iter().map(|octets| ClusterId(Ipv4Addr::from(*octets)));
    to.attributes.cluster_list = list.collect();
    Ok(())
}

pub(super) fn mp_reach(to: &mut Incoming, value: &[u8], context: &DecodeContext) -> Result<(), Malformed> {
    to.mp_reach = Some(MpReach::decode(value, context).map_err(optional_attribute_error)?);
    Ok(())
}

pub(super) fn mp_unreach(to: &mut Incoming, value: &[u8], context: &DecodeContext) -> Result<(), Malformed> {
    to.mp_unreach = Some(MpUnreach::decode(value, context).map_err(optional_attribute_error)?);
    Ok(())
}

pub(super) fn extended_communities(
    to: &mut Incoming,
    value: &[u8],
    _: &DecodeContext,
) -> Result<(), Malformed> {
    to.attributes.extended_communities =
        canonical_set(chunks::<8>(value)?.iter().copied().map(ExtendedCommunity));
    Ok(())
}

pub(super) fn as4_path(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    if value.is_empty() {
        return Err(length_error("at least 6", value));
    }
    let path = AsPath::decode(value, true).map_err(optional_attribute_error)?;
    to.as4_path = Some(path.without_confederation());
    Ok(())
}

pub(super) fn as4_aggregator(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    let &[a, b, c, d, ref addr @ ..] = fixed::<8>(value)?;
    to.as4_aggregator = Some(checked_aggregator(u32::from_be_bytes([a, b, c, d]), *addr)?);
    Ok(())
}

pub(super) fn large_communities(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    let list = chunks::<12>(value)?.iter().map(|&[a, b, c, d, e, f, g, h, i, j, k, l]| LargeCommunity {
        global: u32::from_be_bytes([a, b, c, d]),
        local1: u32::from_be_bytes([e, f, g, h]),
        local2: u32::from_be_bytes([i, j, k, l]),
    });
    to.attributes.large_communities = canonical_set(list);
    Ok(())
}

pub(super) fn only_to_customer(to: &mut Incoming, value: &[u8], _: &DecodeContext) -> Result<(), Malformed> {
    to.attributes.only_to_customer = Some(Asn(u32::from_be_bytes(*fixed(value)?)));
    Ok(())
}

fn checked_aggregator(asn: u32, addr: [u8; 4]) -> Result<Aggregator, Malformed> {
    if asn == 0 {
        return Err(optional_attribute_error("AS number 0 (RFC 7607)".to_owned()));
    }
    Ok(Aggregator { asn: Asn(asn), router_id: RouterId(Ipv4Addr::from(addr)) })
}

fn fixed<const LEN: usize>(value: &[u8]) -> Result<&[u8; LEN], Malformed> {
    value.as_array().ok_or_else(|| length_error(&LEN.to_string(), value))
}

/// A list of at least one item (RFC 7606 §4: no length of zero unless specified).
fn chunks<const LEN: usize>(value: &[u8]) -> Result<&[[u8; LEN]], Malformed> {
    match value.as_chunks::<LEN>() {
        (chunks, []) if !chunks.is_empty() => Ok(chunks),
        _ => Err(length_error(&format!("a multiple of {LEN} above 0"), value)),
    }
}

/// Sorted and without duplicates, so that equal sets are equal values.
fn canonical_set<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut set: Vec<T> = items.collect();
    set.sort_unstable();
    set.dedup();
    set
}

fn length_error(expected: &str, value: &[u8]) -> Malformed {
    Malformed {
        error: ErrorSubcode::ATTRIBUTE_LENGTH_ERROR,
        reason: format!("length {} is not {expected}: {}", value.len(), hex(value)),
    }
}

fn optional_attribute_error(reason: String) -> Malformed {
    Malformed { error: ErrorSubcode::OPTIONAL_ATTRIBUTE_ERROR, reason }
}
