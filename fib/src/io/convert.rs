//! Between netlink's words and ours. Pure functions over messages and octets; no socket.
//!
//! The words are `netlink-packet-route`'s. A dump comes as its messages, from rtnetlink; a notification comes
//! as octets, and of those the fixed header is read first, so that one we do not care about costs no more.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NetlinkBuffer, NlasIterator, Parseable};
use netlink_packet_route::{
    AddressFamily,
    link::{LinkAttribute, LinkFlags, LinkHeader, LinkMessage},
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop, RouteNextHopFlags,
        RouteProtocol, RouteScope, RouteType, RouteVia,
    },
};
use rtnetlink::RouteMessageBuilder;
use smallvec::SmallVec;

use crate::{
    LinkState, NextHop, Route, RouteKey, RouteKind,
    ownership::{TABLE_LOCAL, TABLE_MAIN},
};

pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_NEWROUTE: u16 = 24;
pub(super) const RTM_DELROUTE: u16 = 25;
pub(super) const RTM_NEWNEXTHOP: u16 = 104;
pub(super) const RTM_DELNEXTHOP: u16 = 105;

/// Table ids over 255 do not fit `rtm_table`.
pub(super) const RT_TABLE_COMPAT: u8 = 252;
const IFLA_IFNAME: u16 = 3;
const IFINFOMSG_LEN: usize = 16;
/// struct nhmsg, and NHA_ID behind it.
const NHMSG_LEN: usize = 8;
const NHA_ID: u16 = 1;
const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSG_HEADER_LEN: usize = 16;

/// What to do with a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Write,
    Remove,
}

/// The messages of one datagram. Stops at the first that makes no sense.
pub(super) fn messages(datagram: &[u8]) -> impl Iterator<Item = NetlinkBuffer<&[u8]>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(rest).ok()?;
        let length = usize::try_from(message.length()).ok()?;
        // NLMSG_ALIGN
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// A route as the body of RTM_NEWROUTE or RTM_DELROUTE.
pub(super) fn encode_route(route: &Route, verb: Verb) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(route.key.prefix),
        destination_prefix_length: route.key.prefix.prefix_len(),
        table: u8::try_from(route.key.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC),
        protocol: RouteProtocol::from(route.protocol),
        scope: match verb {
            Verb::Write if route.next_hops.iter().any(|hop| hop.gateway.is_none()) => RouteScope::Link,
            Verb::Write => RouteScope::Universe,
            // Matches any.
            Verb::Remove => RouteScope::NoWhere,
        },
        kind: match route.kind {
            RouteKind::Unicast => RouteType::Unicast,
            RouteKind::Blackhole => RouteType::BlackHole,
            RouteKind::Local => RouteType::Local,
            RouteKind::Other => RouteType::Unspec,
        },
        ..RouteHeader::default()
    };
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Destination(address(route.key.prefix.network())));
    attributes.push(RouteAttribute::Priority(route.key.metric));
    attributes.push(RouteAttribute::Table(route.key.table));
    let is_v6 = matches!(route.key.prefix, IpNet::V6(_));
    match route.next_hops.as_slice() {
        [] => {}
        [only] => {
            attributes.extend(only.gateway.map(|gateway| via(gateway, is_v6)));
            attributes.push(RouteAttribute::Oif(only.ifindex));
            if only.onlink {
                message.header.flags |= RouteFlags::Onlink;
            }
        }
        hops @ [_, _, ..] => {
            attributes
                .push(RouteAttribute::MultiPath(hops.iter().map(|hop| encode_hop(hop, is_v6)).collect()));
        }
    }
    message
}

fn encode_hop(hop: &NextHop, is_v6: bool) -> RouteNextHop {
    let mut encoded = RouteNextHop::default();
    encoded.flags = if hop.onlink { RouteNextHopFlags::Onlink } else { RouteNextHopFlags::empty() };
    encoded.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    encoded.interface_index = hop.ifindex;
    encoded.attributes = hop.gateway.map(|gateway| via(gateway, is_v6)).into_iter().collect();
    encoded
}

/// A gateway of the other family goes into RTA_VIA (RFC 8950 next hops).
fn via(gateway: IpAddr, is_v6: bool) -> RouteAttribute {
    if gateway.is_ipv6() == is_v6 {
        RouteAttribute::Gateway(address(gateway))
    } else {
        RouteAttribute::Via(RouteVia::from(gateway))
    }
}

/// A request for the routes of one table. Under strict checking every field of it filters.
pub(super) fn route_request(family: AddressFamily, table: u32) -> RouteMessage {
    let request = RouteMessageBuilder::<IpAddr>::new().table_id(table);
    // The builder means to add a route and fills in what one mostly has.
    let mut message = request.protocol(RouteProtocol::Unspec).kind(RouteType::Unspec).build();
    message.header.address_family = family;
    message
}

/// The body of RTM_NEWROUTE or RTM_DELROUTE as a [`route`].
pub(super) fn decode_route(body: &[u8], our_table: u32) -> Option<Route> {
    RouteHeader::parse(body).ok().filter(|header| is_of_interest(header, our_table))?;
    let message = RouteMessage::parse(body)
        .inspect_err(|error| tracing::debug!(%error, "a route message that cannot be read"))
        .ok()?;
    route(&message, our_table)
}

/// A message as a route, if it is one the core has a use for: IPv4 or IPv6 in table main, local or ours, for
/// every source and every TOS, and no cache entry.
pub(super) fn route(message: &RouteMessage, our_table: u32) -> Option<Route> {
    if !is_of_interest(&message.header, our_table) {
        return None;
    }
    read_route(message).filter(|route| is_our_table(route.key.table, our_table))
}

/// Most of what a busy node's monitor hears ends here.
fn is_of_interest(header: &RouteHeader, our_table: u32) -> bool {
    let may_be_ours = matches!(header.table, RT_TABLE_COMPAT | RouteHeader::RT_TABLE_UNSPEC);
    matches!(header.address_family, AddressFamily::Inet | AddressFamily::Inet6)
        && header.source_prefix_length == 0
        && header.tos == 0
        && header.kind != RouteType::Multicast
        && !header.flags.contains(RouteFlags::Cloned)
        && (may_be_ours || is_our_table(u32::from(header.table), our_table))
}

fn is_our_table(table: u32, our_table: u32) -> bool {
    table == TABLE_MAIN || table == TABLE_LOCAL || table == our_table
}

fn read_route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let is_v6 = header.address_family == AddressFamily::Inet6;
    let mut destination = None;
    let mut route = Route {
        key: RouteKey { table: u32::from(header.table), prefix: IpNet::default(), metric: 0 },
        kind: match header.kind {
            RouteType::Unicast => RouteKind::Unicast,
            RouteType::BlackHole => RouteKind::Blackhole,
            RouteType::Local => RouteKind::Local,
            _ => RouteKind::Other,
        },
        protocol: u8::from(header.protocol),
        next_hops: SmallVec::new(),
        source: None,
        object: None,
    };
    let mut single =
        NextHop { gateway: None, ifindex: 0, onlink: header.flags.contains(RouteFlags::Onlink), weight: 1 };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => destination = ip(address),
            RouteAttribute::Priority(metric) => route.key.metric = *metric,
            RouteAttribute::Table(table) => route.key.table = *table,
            RouteAttribute::PrefSource(address) => route.source = ip(address),
            RouteAttribute::NhId(object) => route.object = Some(*object),
            RouteAttribute::Oif(index) => single.ifindex = *index,
            RouteAttribute::MultiPath(hops) => route.next_hops = hops.iter().map(decode_hop).collect(),
            other => single.gateway = gateway(other).or(single.gateway),
        }
    }
    // No RTA_DST: a default route.
    let destination = destination.unwrap_or(if is_v6 {
        IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)
    });
    route.key.prefix = IpNet::new(destination, header.destination_prefix_length).ok()?.trunc();
    if route.kind == RouteKind::Blackhole {
        // IPv6 hangs a blackhole on lo.
        route.next_hops.clear();
    } else if route.next_hops.is_empty() && single.ifindex != 0 {
        route.next_hops.push(single);
    }
    route.next_hops.sort_unstable();
    Some(route)
}

/// The state flags (dead, linkdown, offload, trap) are the kernel's own and say nothing about what was asked.
fn decode_hop(hop: &RouteNextHop) -> NextHop {
    NextHop {
        gateway: hop.attributes.iter().find_map(gateway),
        ifindex: hop.interface_index,
        onlink: hop.flags.contains(RouteNextHopFlags::Onlink),
        weight: u16::from(hop.hops) + 1,
    }
}

fn gateway(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

/// A message as a link. `None` for the bridge family, which tells about ports.
pub(super) fn link(message: &LinkMessage) -> Option<LinkState> {
    let name = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    });
    read_link(&message.header, name)
}

/// The body of RTM_NEWLINK or RTM_DELLINK as a [`link`]. Of a hundred attributes one is wanted, so the others
/// are not parsed and may be as strange as they like.
pub(super) fn decode_link(body: &[u8]) -> Option<LinkState> {
    let header = LinkHeader::parse(body).ok()?;
    let attributes = NlasIterator::new(body.get(IFINFOMSG_LEN..)?);
    let name = attributes.filter_map(Result::ok).find(|nla| nla.kind() == IFLA_IFNAME);
    read_link(&header, name.map(|nla| text(nla.value())))
}

fn read_link(header: &LinkHeader, name: Option<String>) -> Option<LinkState> {
    let index = header.index;
    let name = name.unwrap_or_else(|| format!("if{index}"));
    let admin_up = header.flags.contains(LinkFlags::Up);
    let up = admin_up && header.flags.contains(LinkFlags::Running);
    (header.interface_family == AddressFamily::Unspec).then_some(LinkState { index, name, admin_up, up })
}

/// The body of NLMSG_ERROR: errno (0: done) and the kernel's own words, which stand in the attributes after
/// the header of the request (NETLINK_EXT_ACK with NETLINK_CAP_ACK).
pub(super) fn decode_error(body: &[u8]) -> Option<(i32, String)> {
    let errno = word(body, 0)?.cast_signed().checked_neg()?;
    let attributes = NlasIterator::new(body.get(4 + NLMSG_HEADER_LEN..).unwrap_or_default());
    let words = attributes.filter_map(Result::ok).find(|nla| nla.kind() == NLMSGERR_ATTR_MSG);
    Some((errno, words.map_or_else(String::new, |nla| text(nla.value()))))
}

/// The id in the body of RTM_NEWNEXTHOP or RTM_DELNEXTHOP.
pub(super) fn decode_next_hop_object(body: &[u8]) -> Option<u32> {
    let attributes = NlasIterator::new(body.get(NHMSG_LEN..)?);
    let id = attributes.filter_map(Result::ok).find(|nla| nla.kind() == NHA_ID)?;
    word(id.value(), 0)
}

/// What must hold of any datagram: everything in it can be looked at, and a route that can be read and written
/// is read the same again.
#[cfg(fuzzing)]
pub(super) fn check_datagram(datagram: &[u8]) {
    use netlink_packet_core::Emitable as _;
    for message in messages(datagram).take(datagram.len()) {
        let body = message.payload();
        let _ = (decode_link(body), decode_error(body));
        let Some(route) = decode_route(body, 100) else { continue };
        // What we write carries none of these.
        let is_plain = route.source.is_none()
            && route.object.is_none()
            && matches!(route.kind, RouteKind::Unicast | RouteKind::Blackhole);
        let is_whole = route.next_hops.iter().all(|hop| (1..=256).contains(&hop.weight) && hop.ifindex != 0);
        if !is_plain || !is_whole || route.next_hops.is_empty() == (route.kind == RouteKind::Unicast) {
            continue;
        }
        let written = encode_route(&route, Verb::Write);
        let mut octets = vec![0; written.buffer_len()];
        written.emit(&mut octets);
        let mut again = decode_route(&octets, 100);
        if let (Some(again), [only]) = (&mut again, route.next_hops.as_slice()) {
            again.next_hops.iter_mut().for_each(|hop| hop.weight = only.weight);
        }
        assert_eq!(again.as_ref(), Some(&route));
    }
}

fn word(body: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*body.get(at..)?.first_chunk()?))
}

/// A string with or without its NUL.
fn text(value: &[u8]) -> String {
    let end = value.iter().position(|octet| *octet == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

fn family(prefix: IpNet) -> AddressFamily {
    match prefix {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    }
}

fn address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}
