//! A RIB dump (RFC 6396, TABLE_DUMP_V2) of prefixes without any path: the only way to give GoBGP ten
//! thousand routes in well under a second.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// RFC 6396 §4: the record type and its subtypes.
const TABLE_DUMP_V2: u16 = 13;
const PEER_INDEX_TABLE: u16 = 1;
const RIB_IPV4_UNICAST: u16 = 2;
const RIB_IPV6_UNICAST: u16 = 4;

/// The dump. Next hops are unspecified, which GoBGP takes as its own.
#[must_use]
pub fn encode_dump(router_id: Ipv4Addr, local_as: u32, prefixes: &[IpNet]) -> Vec<u8> {
    let mut dump = Vec::with_capacity(prefixes.len() * 80);
    push_record(&mut dump, PEER_INDEX_TABLE, &peer_index(router_id, local_as));
    for (sequence, prefix) in prefixes.iter().enumerate() {
        let nlri = encode_nlri(*prefix);
        let (subtype, attributes) = match prefix {
            IpNet::V4(_) => (RIB_IPV4_UNICAST, attributes_v4()),
            IpNet::V6(_) => (RIB_IPV6_UNICAST, attributes_v6(&nlri)),
        };
        let mut body = Vec::with_capacity(64);
        body.extend(u32::try_from(sequence).unwrap_or(u32::MAX).to_be_bytes());
        body.extend(&nlri);
        // One entry: peer 0, originated at 0.
        body.extend(1_u16.to_be_bytes());
        body.extend(0_u16.to_be_bytes());
        body.extend(0_u32.to_be_bytes());
        push_sized(&mut body, &attributes);
        push_record(&mut dump, subtype, &body);
    }
    dump
}

/// Length in bits, then as many octets as it needs.
fn encode_nlri(prefix: IpNet) -> Vec<u8> {
    let octets = match prefix.network() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let needed = usize::from(prefix.prefix_len()).div_ceil(8);
    std::iter::once(prefix.prefix_len()).chain(octets.into_iter().take(needed)).collect()
}

/// ORIGIN IGP, an empty AS_PATH, NEXT_HOP 0.0.0.0.
fn attributes_v4() -> Vec<u8> {
    vec![0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 3, 4, 0, 0, 0, 0]
}

/// ORIGIN IGP, an empty AS_PATH, MP_REACH_NLRI in full: GoBGP does not read the short form of RFC 6396 §4.3.4.
fn attributes_v6(nlri: &[u8]) -> Vec<u8> {
    let mut reach = vec![0, 2, 1, 16];
    reach.extend([0; 16]);
    reach.push(0);
    reach.extend(nlri);
    let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 0, 0x80, 14];
    attributes.push(u8::try_from(reach.len()).unwrap_or(u8::MAX));
    attributes.extend(reach);
    attributes
}

/// Collector, no view name, one peer with a four-octet AS and an IPv4 address (RFC 6396 §4.3.1).
fn peer_index(router_id: Ipv4Addr, local_as: u32) -> Vec<u8> {
    let id = router_id.octets();
    let mut body = Vec::new();
    body.extend(id);
    body.extend(0_u16.to_be_bytes());
    body.extend(1_u16.to_be_bytes());
    body.push(2);
    body.extend(id);
    body.extend(id);
    body.extend(local_as.to_be_bytes());
    body
}

fn push_record(dump: &mut Vec<u8>, subtype: u16, body: &[u8]) {
    dump.extend(0_u32.to_be_bytes());
    dump.extend(TABLE_DUMP_V2.to_be_bytes());
    dump.extend(subtype.to_be_bytes());
    dump.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    dump.extend(body);
}

fn push_sized(body: &mut Vec<u8>, content: &[u8]) {
    body.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend(content);
}
