//! The writers of the attribute table, and the loop that puts flags, code and length around what they write.

use std::net::Ipv4Addr;

use bytes::{BufMut, BytesMut};

use super::table::{TABLE, flag};
use super::{Aggregator, Origin, PathAttributes};
use crate::Asn;
use crate::wire::EncodeContext;

/// What the writers write from.
pub(in crate::wire) struct Outgoing<'a> {
    pub(in crate::wire) attributes: &'a PathAttributes,
    /// NEXT_HOP, where the message carries classic NLRI; `attributes.next_hop` is not looked at.
    pub(in crate::wire) next_hop: Option<Ipv4Addr>,
    pub(in crate::wire) context: &'a EncodeContext,
}

impl Outgoing<'_> {
    /// Writes every attribute but MP_REACH_NLRI and MP_UNREACH_NLRI, in ascending order of code
    /// (RFC 4271 §5). A value of more than 65,535 octets is written too; the message is then too long.
    pub(in crate::wire) fn encode(&self, out: &mut BytesMut) {
        let mut value = BytesMut::new();
        let mut unknown = self.attributes.unknown.iter().peekable();
        for row in &TABLE {
            while let Some(raw) = unknown.next_if(|raw| raw.code < row.code) {
                put_attribute(out, raw.flags, raw.code, &raw.value);
            }
            value.clear();
            if (row.write)(self, &mut value) {
                put_attribute(out, row.flags, row.code, &value);
            }
        }
        for raw in unknown {
            put_attribute(out, raw.flags, raw.code, &raw.value);
        }
    }

    fn is_two_octet(&self) -> bool {
        !self.context.four_octet_as
    }
}

/// Writes one attribute, with the Extended Length bit only where the length needs it (RFC 4271 §4.3).
pub(in crate::wire) fn put_attribute(out: &mut BytesMut, flags: u8, code: u8, value: &[u8]) {
    put_attribute_header(out, flags, code, value.len());
    out.put_slice(value);
}

/// Writes flags, code and length of an attribute whose value follows.
pub(in crate::wire) fn put_attribute_header(out: &mut BytesMut, flags: u8, code: u8, len: usize) {
    if let Ok(len) = u8::try_from(len) {
        out.put_u8(flags & !flag::EXTENDED_LENGTH);
        out.put_u8(code);
        out.put_u8(len);
    } else {
        out.put_u8(flags | flag::EXTENDED_LENGTH);
        out.put_u8(code);
        out.put_u16(u16::try_from(len).unwrap_or(u16::MAX));
    }
}

pub(super) fn origin(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    out.put_u8(match from.attributes.origin {
        Origin::Igp => 0,
        Origin::Egp => 1,
        Origin::Incomplete => 2,
    });
    true
}

pub(super) fn as_path(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    from.attributes.as_path.encode(from.context.four_octet_as, out);
    true
}

pub(super) fn next_hop(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    from.next_hop.map(|addr| out.put_u32(addr.to_bits())).is_some()
}

pub(super) fn med(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    from.attributes.med.map(|med| out.put_u32(med)).is_some()
}

pub(super) fn local_pref(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    from.attributes.local_pref.map(|local_pref| out.put_u32(local_pref)).is_some()
}

pub(super) fn atomic_aggregate(from: &Outgoing<'_>, _: &mut BytesMut) -> bool {
    from.attributes.atomic_aggregate
}

pub(super) fn aggregator(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    let Some(Aggregator { asn, router_id }) = from.attributes.aggregator else { return false };
    if from.is_two_octet() {
        out.put_u16(asn.to_two_octets());
    } else {
        out.put_u32(asn.0);
    }
    out.put_u32(router_id.0.to_bits());
    true
}

pub(super) fn communities(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    let list = &from.attributes.communities;
    list.iter().for_each(|community| out.put_u32(community.0));
    !list.is_empty()
}

pub(super) fn originator_id(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    from.attributes.originator_id.map(|id| out.put_u32(id.0.to_bits())).is_some()
}

pub(super) fn cluster_list(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    let list = &from.attributes.cluster_list;
    list.iter().for_each(|cluster| out.put_u32(cluster.0.to_bits()));
    !list.is_empty()
}

/// MP_REACH_NLRI and MP_UNREACH_NLRI precede all others (RFC 7606 §5.1); [`super::super::mp`] writes them.
pub(super) fn stands_first(_: &Outgoing<'_>, _: &mut BytesMut) -> bool {
    false
}

pub(super) fn extended_communities(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    let list = &from.attributes.extended_communities;
    list.iter().for_each(|community| out.put_slice(&community.0));
    !list.is_empty()
}

pub(super) fn as4_path(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    let path = if from.is_two_octet() { from.attributes.as_path.to_as4_path() } else { None };
    path.map(|path| path.encode(true, out)).is_some()
}

/// Only beside an AGGREGATOR that had to say AS_TRANS (RFC 6793 §4.2.2).
pub(super) fn as4_aggregator(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    let Some(Aggregator { asn, router_id }) = from.attributes.aggregator else { return false };
    if from.context.four_octet_as || Asn(u32::from(asn.to_two_octets())) == asn {
        return false;
    }
    out.put_u32(asn.0);
    out.put_u32(router_id.0.to_bits());
    true
}

pub(super) fn large_communities(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    let list = &from.attributes.large_communities;
    for community in list {
        out.put_u32(community.global);
        out.put_u32(community.local1);
        out.put_u32(community.local2);
    }
    !list.is_empty()
}

/// Four octets on every session (RFC 9234 §5).
pub(super) fn only_to_customer(from: &Outgoing<'_>, out: &mut BytesMut) -> bool {
    from.attributes.only_to_customer.map(|asn| out.put_u32(asn.0)).is_some()
}
