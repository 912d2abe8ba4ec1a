//! UPDATE: values to as few messages as fit.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Reach, Update};
use crate::wire::attr::write::Outgoing;
use crate::wire::frame::{HEADER_LEN, MessageType, put_header};
use crate::wire::{EncodeContext, EncodeError, NextHop, PathAttributes, mp, nlri};
use crate::{AfiSafi, Nlri};

/// Header and the two length fields of an UPDATE.
const FIXED_LEN: usize = HEADER_LEN + 2 + 2;
/// Header of an attribute with extended length.
const ATTRIBUTE_HEADER_LEN: usize = 4;

/// Encodes prefixes that share `attributes` (whose `next_hop` is set) into as few messages as fit.
///
/// IPv4 unicast with an IPv4 next hop uses the classic fields, all else MP_REACH_NLRI, as the first attribute
/// (RFC 7606 §5.1); the others follow in ascending order of code and are encoded once. The messages hold the
/// prefixes in their order.
///
/// There is no message for empty `nlri`, without a next hop, or where the attributes leave no room for the
/// longest prefix of the family: such a path cannot be advertised on this session, and it is for the caller
/// to say so. Prefixes of another family are left out.
#[must_use]
pub fn encode_reach(
    family: AfiSafi,
    attributes: &PathAttributes,
    nlri: &[Nlri],
    context: &EncodeContext,
) -> Vec<Bytes> {
    let Some(next_hop) = attributes.next_hop else { return Vec::new() };
    let classic = classic_next_hop(family, &next_hop);
    let mut shared = BytesMut::new();
    Outgoing { attributes, next_hop: classic, context }.encode(&mut shared);

    let mut overhead = FIXED_LEN + shared.len();
    if classic.is_none() {
        overhead += ATTRIBUTE_HEADER_LEN + mp::reach_overhead(&next_hop, family);
    }
    pack(family, nlri, overhead, context, |field, out| {
        if classic.is_some() {
            put_update(out, &[], &[&shared], field);
        } else {
            let mut reach = BytesMut::with_capacity(overhead + field.len());
            mp::put_reach(&mut reach, family, &next_hop, field);
            put_update(out, &[], &[&reach, &shared], &[]);
        }
    })
}

/// Encodes withdrawals into as few messages as fit. IPv4 unicast uses the classic field whatever next hop
/// the routes were announced with (RFC 4271 §4.3 names the route by its prefix alone).
#[must_use]
pub fn encode_unreach(family: AfiSafi, nlri: &[Nlri], context: &EncodeContext) -> Vec<Bytes> {
    if family == AfiSafi::IPV4_UNICAST {
        return pack(family, nlri, FIXED_LEN, context, |field, out| put_update(out, field, &[], &[]));
    }
    let overhead = FIXED_LEN + ATTRIBUTE_HEADER_LEN + mp::UNREACH_OVERHEAD;
    pack(family, nlri, overhead, context, |field, out| {
        let mut unreach = BytesMut::with_capacity(overhead + field.len());
        mp::put_unreach(&mut unreach, family, field);
        put_update(out, &[], &[&unreach], &[]);
    })
}

/// Encodes the End-of-RIB marker of a family (RFC 4724 §2).
#[must_use]
pub fn encode_end_of_rib(family: AfiSafi) -> Bytes {
    let mut out = BytesMut::new();
    let mut unreach = BytesMut::new();
    if family != AfiSafi::IPV4_UNICAST {
        mp::put_unreach(&mut unreach, family, &[]);
    }
    put_update(&mut out, &[], &[&unreach], &[]);
    out.freeze()
}

/// Writes the body of one message. The form is that of [`encode_reach`] and [`encode_unreach`].
pub(in crate::wire) fn encode(
    update: &Update,
    context: &EncodeContext,
    body: &mut BytesMut,
) -> Result<(), EncodeError> {
    if let Some(family) = update.end_of_rib {
        body.put_slice(encode_end_of_rib(family).get(HEADER_LEN..).unwrap_or_default());
        return Ok(());
    }
    let mut attributes = BytesMut::new();
    let mut announced = BytesMut::new();
    let mut next_hop = None;
    let mut mp_reach = None;
    for reach in &update.reach {
        match (classic_next_hop(reach.family, &reach.next_hop), next_hop, mp_reach) {
            (Some(addr), None, _) => {
                next_hop = Some(addr);
                announced = field(reach.family, &reach.nlri, context);
            }
            (None, _, None) => mp_reach = Some(reach),
            (Some(_), Some(_), _) | (None, _, Some(_)) => {
                return Err(EncodeError::Unrepresentable("an UPDATE with two next hops of one kind"));
            }
        }
    }
    if let Some(Reach { family, next_hop, nlri }) = mp_reach {
        mp::put_reach(&mut attributes, *family, next_hop, &field(*family, nlri, context));
    }

    let mut withdrawn = BytesMut::new();
    let mut mp_unreach: Option<(AfiSafi, BytesMut)> = None;
    for unreach in &update.unreach {
        let field = field(unreach.family, &unreach.nlri, context);
        match &mut mp_unreach {
            _ if unreach.family == AfiSafi::IPV4_UNICAST => withdrawn.put_slice(&field),
            None => mp_unreach = Some((unreach.family, field)),
            Some((family, mp_unreach)) if *family == unreach.family => mp_unreach.put_slice(&field),
            Some(_) => {
                return Err(EncodeError::Unrepresentable("an UPDATE that withdraws from two MP families"));
            }
        }
    }
    if let Some((family, field)) = mp_unreach {
        mp::put_unreach(&mut attributes, family, &field);
    }
    if !update.reach.is_empty() {
        Outgoing { attributes: &update.attributes, next_hop, context }.encode(&mut attributes);
    }
    put_body(body, &withdrawn, &[&attributes], &announced);
    Ok(())
}

/// The next hop that goes into NEXT_HOP, beside NLRI in the classic field.
fn classic_next_hop(family: AfiSafi, next_hop: &NextHop) -> Option<std::net::Ipv4Addr> {
    match *next_hop {
        NextHop::V4(addr) if family == AfiSafi::IPV4_UNICAST => Some(addr),
        NextHop::V4(_) | NextHop::V6 { .. } => None,
    }
}

/// Fills messages with NLRI: `put` writes one message around an encoded field that, with `overhead`, is as
/// long as the session allows at most.
fn pack(
    family: AfiSafi,
    nlri: &[Nlri],
    overhead: usize,
    context: &EncodeContext,
    mut put: impl FnMut(&[u8], &mut BytesMut),
) -> Vec<Bytes> {
    let add_path = context.add_path_send.contains(&family);
    let max = MessageType::Update.max_len(context.extended_message);
    let room = max.saturating_sub(overhead);
    if room < nlri::max_encoded_len(family, add_path) {
        return Vec::new();
    }
    let mut messages = Vec::new();
    let mut out = BytesMut::new();
    let mut field = BytesMut::with_capacity(room.min(nlri.len() * nlri::max_encoded_len(family, add_path)));
    for nlri in nlri.iter().filter(|nlri| AfiSafi::of(&nlri.prefix) == family) {
        if field.len() + nlri::encoded_len(nlri, add_path) > room {
            put(&field, &mut out);
            messages.push(out.split().freeze());
            field.clear();
        }
        nlri::encode(nlri, add_path, &mut field);
    }
    if !field.is_empty() {
        put(&field, &mut out);
        messages.push(out.split().freeze());
    }
    messages
}

fn field(family: AfiSafi, nlri: &[Nlri], context: &EncodeContext) -> BytesMut {
    let add_path = context.add_path_send.contains(&family);
    let mut field = BytesMut::new();
    for nlri in nlri.iter().filter(|nlri| AfiSafi::of(&nlri.prefix) == family) {
        nlri::encode(nlri, add_path, &mut field);
    }
    field
}

fn put_update(out: &mut BytesMut, withdrawn: &[u8], attributes: &[&[u8]], announced: &[u8]) {
    let attributes_len: usize = attributes.iter().map(|part| part.len()).sum();
    let len = FIXED_LEN + withdrawn.len() + attributes_len + announced.len();
    out.reserve(len);
    put_header(out, len, MessageType::Update);
    put_body(out, withdrawn, attributes, announced);
}

/// The caller sees to it that the whole fits a message, and so each length 16 bits.
fn put_body(out: &mut BytesMut, withdrawn: &[u8], attributes: &[&[u8]], announced: &[u8]) {
    let attributes_len: usize = attributes.iter().map(|part| part.len()).sum();
    out.put_u16(u16::try_from(withdrawn.len()).unwrap_or(u16::MAX));
    out.put_slice(withdrawn);
    out.put_u16(u16::try_from(attributes_len).unwrap_or(u16::MAX));
    for part in attributes {
        out.put_slice(part);
    }
    out.put_slice(announced);
}
