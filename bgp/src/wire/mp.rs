//! MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 §3 and §4, next hops of RFC 2545 and RFC 8950).

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, BytesMut};
use nom::Parser as _;
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16};

use super::attr::table::{code, flag};
use super::attr::write::put_attribute_header;
use super::{DecodeContext, NextHop, nlri};
use crate::{AfiSafi, Nlri};

/// MP_REACH_NLRI as it came. Of a family we cannot route only its name is kept.
#[derive(Debug)]
pub(super) struct MpReach {
    pub(super) family: AfiSafi,
    /// `None` for a family we cannot route. Not yet checked to be a host's address.
    pub(super) next_hop: Option<NextHop>,
    pub(super) nlri: Vec<Nlri>,
    /// It carries NLRI, whether or not of a family we can route.
    pub(super) announces: bool,
}

impl MpReach {
    /// AFI, SAFI, next hop, a reserved octet, NLRI. Every error resets the session: the NLRI cannot be
    /// trusted any more (RFC 7606 §5.3, §7.11).
    pub(super) fn decode(value: &[u8], context: &DecodeContext) -> Result<Self, String> {
        let (field, (afi, safi, next_hop, _reserved)) = (be_u16::<_, ()>, be_u8, length_data(be_u8), be_u8)
            .parse(value)
            .map_err(|_| format!("it ends inside the next hop: {}", super::error::hex(value)))?;
        let family = AfiSafi { afi, safi };
        let announces = !field.is_empty();
        if !family.is_supported() {
            return Ok(Self { family, next_hop: None, nlri: Vec::new(), announces });
        }
        let next_hop = decode_next_hop(next_hop, family, context)
            .ok_or_else(|| format!("a next hop of {} octets for {family}", next_hop.len()))?;
        let nlri = nlri::decode(field, family, context.add_path_receive.contains(&family))?;
        Ok(Self { family, next_hop: Some(next_hop), nlri, announces })
    }
}

/// MP_UNREACH_NLRI as it came.
#[derive(Debug)]
pub(super) struct MpUnreach {
    pub(super) family: AfiSafi,
    pub(super) nlri: Vec<Nlri>,
    /// It carries no NLRI: alone in its UPDATE, it is the End-of-RIB marker (RFC 4724 §2).
    pub(super) is_empty: bool,
}

impl MpUnreach {
    /// AFI, SAFI, NLRI.
    pub(super) fn decode(value: &[u8], context: &DecodeContext) -> Result<Self, String> {
        let (field, (afi, safi)) = (be_u16::<_, ()>, be_u8)
            .parse(value)
            .map_err(|_| format!("it ends inside the family: {}", super::error::hex(value)))?;
        let family = AfiSafi { afi, safi };
        let nlri = nlri::decode(field, family, context.add_path_receive.contains(&family))?;
        Ok(Self { family, nlri, is_empty: field.is_empty() })
    }
}

/// Octets of an MP_REACH_NLRI value in front of its NLRI.
pub(super) fn reach_overhead(next_hop: &NextHop, family: AfiSafi) -> usize {
    2 + 1 + 1 + next_hop_len(next_hop, family) + 1
}

/// Writes MP_REACH_NLRI around NLRI that are encoded already.
pub(super) fn put_reach(out: &mut BytesMut, family: AfiSafi, next_hop: &NextHop, nlri: &[u8]) {
    let len = reach_overhead(next_hop, family) + nlri.len();
    put_attribute_header(out, flag::OPTIONAL, code::MP_REACH_NLRI, len);
    out.put_u16(family.afi);
    out.put_u8(family.safi);
    // At most 32.
    out.put_u8(u8::try_from(next_hop_len(next_hop, family)).unwrap_or_default());
    put_next_hop(out, next_hop, family);
    out.put_u8(0);
    out.put_slice(nlri);
}

/// Octets of an MP_UNREACH_NLRI value in front of its NLRI.
pub(super) const UNREACH_OVERHEAD: usize = 3;

/// Writes MP_UNREACH_NLRI around NLRI that are encoded already; around none for End-of-RIB.
pub(super) fn put_unreach(out: &mut BytesMut, family: AfiSafi, nlri: &[u8]) {
    put_attribute_header(out, flag::OPTIONAL, code::MP_UNREACH_NLRI, UNREACH_OVERHEAD + nlri.len());
    out.put_u16(family.afi);
    out.put_u8(family.safi);
    out.put_slice(nlri);
}

/// The lengths that RFC 4760, RFC 2545 §3 and RFC 8950 §3 allow for unicast.
fn decode_next_hop(octets: &[u8], family: AfiSafi, context: &DecodeContext) -> Option<NextHop> {
    // RFC 8950 §4: only to a peer that said it understands.
    let may_be_v6 = family != AfiSafi::IPV4_UNICAST || context.extended_next_hop;
    match octets.len() {
        4 if family == AfiSafi::IPV4_UNICAST => {
            octets.as_array::<4>().map(|addr| NextHop::V4(Ipv4Addr::from(*addr)))
        }
        16 if may_be_v6 => octets
            .as_array::<16>()
            .map(|addr| NextHop::V6 { global: Ipv6Addr::from(*addr), link_local: None }),
        32 if may_be_v6 => {
            let (global, link_local) = octets.split_first_chunk::<16>()?;
            let global = Ipv6Addr::from(*global);
            // Some senders fill the second half with zeros or the global address again: no link-local then.
            let link_local = link_local
                .as_array::<16>()
                .map(|addr| Ipv6Addr::from(*addr))
                .filter(Ipv6Addr::is_unicast_link_local);
            match link_local {
                // Others have no global address and say so with zeros: the link-local one is all there is.
                Some(link_local) if global.is_unspecified() => {
                    Some(NextHop::V6 { global: link_local, link_local: None })
                }
                link_local => Some(NextHop::V6 { global, link_local }),
            }
        }
        _ => None,
    }
}

fn next_hop_len(next_hop: &NextHop, family: AfiSafi) -> usize {
    match next_hop {
        NextHop::V4(_) if family.afi == AfiSafi::IPV4_UNICAST.afi => 4,
        NextHop::V4(_) | NextHop::V6 { link_local: None, .. } => 16,
        NextHop::V6 { link_local: Some(_), .. } => 32,
    }
}

fn put_next_hop(out: &mut BytesMut, next_hop: &NextHop, family: AfiSafi) {
    match next_hop {
        NextHop::V4(addr) if family.afi == AfiSafi::IPV4_UNICAST.afi => out.put_u32(addr.to_bits()),
        // An IPv4 next hop of an IPv6 prefix goes as an IPv4-mapped address (as in RFC 4798 §2).
        NextHop::V4(addr) => out.put_u128(addr.to_ipv6_mapped().to_bits()),
        NextHop::V6 { global, link_local } => {
            out.put_u128(global.to_bits());
            if let Some(link_local) = link_local {
                out.put_u128(link_local.to_bits());
            }
        }
    }
}
