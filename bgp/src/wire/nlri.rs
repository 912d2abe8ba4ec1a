//! NLRI: prefixes packed as a length in bits and just enough octets (RFC 4271 §4.3, RFC 7911 §3).
//!
//! A hand-written cursor: this loop runs once per prefix of a full table. Whether a prefix makes sense
//! (multicast, loopback) is not asked here: RFC 4271 §6.3 makes that a matter of the route, not of the bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, BytesMut};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{AfiSafi, Nlri};

/// Octets of a path identifier (RFC 7911 §3).
const PATH_ID_LEN: usize = 4;

/// Reads a whole field of NLRI of one supported family; of another family there are none.
///
/// An error says which rule of RFC 7606 §5.3 the field breaks, for the operator.
pub(super) fn decode(mut input: &[u8], family: AfiSafi, add_path: bool) -> Result<Vec<Nlri>, String> {
    let read: fn(&[u8], u8) -> Option<IpNet> = match family {
        AfiSafi::IPV4_UNICAST => ipv4_prefix,
        AfiSafi::IPV6_UNICAST => ipv6_prefix,
        _ => return Ok(Vec::new()),
    };
    // Four octets are a /24, the commonest prefix; the vector stays proportional to the input.
    let mut nlri = Vec::with_capacity(input.len() / 4);
    while !input.is_empty() {
        let mut path_id = 0;
        if add_path {
            let (id, rest) = input.split_first_chunk::<PATH_ID_LEN>().ok_or_else(|| {
                format!("a path identifier overruns the field: {}", super::error::hex(input))
            })?;
            path_id = u32::from_be_bytes(*id);
            input = rest;
        }
        let overrun = || format!("a prefix overruns the field: {}", super::error::hex(input));
        let (&bits, rest) = input.split_first().ok_or_else(overrun)?;
        let (octets, rest) = rest.split_at_checked(usize::from(bits.div_ceil(8))).ok_or_else(overrun)?;
        let prefix =
            read(octets, bits).ok_or_else(|| format!("prefix length {bits} is too long for {family}"))?;
        nlri.push(Nlri { prefix, path_id });
        input = rest;
    }
    Ok(nlri)
}

/// What [`encode`] will write, in octets.
pub(super) fn encoded_len(nlri: &Nlri, add_path: bool) -> usize {
    let octets = usize::from(nlri.prefix.prefix_len().div_ceil(8));
    octets + 1 + if add_path { PATH_ID_LEN } else { 0 }
}

/// The longest that any NLRI of the family can be, in octets.
pub(super) fn max_encoded_len(family: AfiSafi, add_path: bool) -> usize {
    let octets = if family == AfiSafi::IPV4_UNICAST { 4 } else { 16 };
    octets + 1 + if add_path { PATH_ID_LEN } else { 0 }
}

/// Writes one prefix, with its path identifier where the session carries one.
pub(super) fn encode(nlri: &Nlri, add_path: bool, out: &mut BytesMut) {
    if add_path {
        out.put_u32(nlri.path_id);
    }
    let bits = nlri.prefix.prefix_len();
    let octets = usize::from(bits.div_ceil(8));
    out.put_u8(bits);
    // `octets` is at most the size of the address, by the invariant of the prefix types.
    match nlri.prefix {
        IpNet::V4(net) => out.put_slice(net.network().octets().get(..octets).unwrap_or_default()),
        IpNet::V6(net) => out.put_slice(net.network().octets().get(..octets).unwrap_or_default()),
    }
}

fn ipv4_prefix(octets: &[u8], bits: u8) -> Option<IpNet> {
    let mut addr = [0; 4];
    addr.get_mut(..octets.len())?.copy_from_slice(octets);
    // RFC 4271 §4.3: the value of trailing bits is irrelevant.
    Some(IpNet::V4(Ipv4Net::new(Ipv4Addr::from(addr), bits).ok()?.trunc()))
}

fn ipv6_prefix(octets: &[u8], bits: u8) -> Option<IpNet> {
    let mut addr = [0; 16];
    addr.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(IpNet::V6(Ipv6Net::new(Ipv6Addr::from(addr), bits).ok()?.trunc()))
}
