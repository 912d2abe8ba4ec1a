//! Conversions against octets that Linux 6.18 sent (a raw netlink socket, iproute2 as the author of the
//! routes), and the inbox's promises. The whole shell is tested against a real kernel in `tests/netns_*.rs`.

use netlink_packet_core::{Emitable, NetlinkMessage, Parseable};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage, link::LinkMessage, route::RouteMessage};
use proptest::prelude::*;

use super::{
    convert::{self, Verb},
    inbox::Inbox,
    reader::{Answers, Reader, links_of_libc},
};
use crate::{FibEvent, LearnedPath, LearnedRoute, LinkState, NextHop, PROTOCOL, Route, RouteKey, RouteKind};

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn ours(prefix: &str, kind: RouteKind, hops: &[(&str, u32, u16)]) -> Route {
    Route {
        key: RouteKey { table: 254, prefix: prefix.parse().unwrap(), metric: 1024 },
        kind,
        protocol: PROTOCOL,
        next_hops: hops
            .iter()
            .map(|(gateway, ifindex, weight)| NextHop {
                gateway: Some(gateway.parse().unwrap()),
                ifindex: *ifindex,
                onlink: false,
                weight: *weight,
            })
            .collect(),
        source: None,
        object: None,
    }
}

#[test]
fn what_linux_sends_is_read() {
    let mut default = ours("0.0.0.0/0", RouteKind::Unicast, &[("10.0.0.2", 3, 1)]);
    default.next_hops[0].onlink = true;
    for (hex, route) in [
        ("02000000fe6d00010400000008000f00fe0000000800060000040000080005000a0000020800040003000000", default),
        (
            "021a0000fe6d00010000000008000f00fe000000080001000af40100080006000004000024000900100000010300000008\
             0005000a0000021000000003000000080005000a000003",
            ours("10.244.1.0/26", RouteKind::Unicast, &[("10.0.0.2", 3, 2), ("10.0.0.3", 3, 1)]),
        ),
        (
            "021a0000fe6d00010000000008000f00fe000000080001000af402000800060000040000160012000a00fd000000000000\
             00000000000000000200000800040003000000",
            ours("10.244.2.0/26", RouteKind::Unicast, &[("fd00::2", 3, 1)]),
        ),
        (
            "021a0000fe6d00060000000008000f00fe000000080001000af403000800060000040000",
            ours("10.244.3.0/26", RouteKind::Blackhole, &[]),
        ),
        (
            "0a7a0000fe6d00010000000008000f00fe00000014000100fd44000100000000000000000000000008000600000400003c\
             0009001c0000020300000014000500fd0000000000000000000000000000021c0000000300000014000500fd0000000000\
             0000000000000000000324000c000000000000000000000000000000000000000000000000000000000000000000050014\
             0000000000",
            ours("fd44:1::/122", RouteKind::Unicast, &[("fd00::2", 3, 3), ("fd00::3", 3, 1)]),
        ),
        (
            "0a7a0000fe6d00060000000008000f00fe00000014000100fd440002000000000000000000000000080006000004000008\
             0004000100000024000c000000000000000000000000000000000000000000000000000000000000000000050014000000\
             0000",
            ours("fd44:2::/122", RouteKind::Blackhole, &[]),
        ),
    ] {
        // In a dump as in a notification.
        let message = RouteMessage::parse(&octets(hex)).unwrap();
        assert_eq!(convert::route(&message, 254).as_ref(), Some(&route));
        assert_eq!(convert::decode_route(&octets(hex), 254), Some(route));
    }
}

#[test]
fn what_nobody_needs_is_not_read() {
    let route = "021a0000fe6d00060000000008000f00fe000000080001000af403000800060000040000";
    let wanted = octets(route);
    assert!(convert::decode_route(&wanted, 254).is_some());
    for (at, value, why) in [
        (0, 28, "another family (MPLS)"),
        (2, 64, "for some sources only"),
        (3, 4, "for one TOS only"),
        (4, 100, "another table"),
        (7, 5, "multicast"),
        (9, 2, "a cache entry (RTM_F_CLONED)"),
    ] {
        let mut other = wanted.clone();
        other[at] = value;
        assert_eq!(convert::decode_route(&other, 254), None, "{why}");
        let message = RouteMessage::parse(&other).unwrap();
        assert_eq!(convert::route(&message, 254), None, "{why}");
    }
    // In another table by attribute, because its number does not fit the header.
    let mut large = wanted.clone();
    large[4] = 252;
    large[16..20].copy_from_slice(&5000u32.to_ne_bytes());
    assert_eq!(convert::decode_route(&large, 254), None);
    assert_eq!(convert::decode_route(&large, 5000).unwrap().key.table, 5000);
}

#[test]
fn a_link_is_read_and_a_bridge_port_is_not() {
    let mut link = octets(
        "0000010003000000431001000000000009000300657468300000000008000d00e8030000050010000600000005001100000000\
         00050043000000000008000400dc0500000800320044000000",
    );
    let read = |link: &[u8]| {
        let state = convert::decode_link(link);
        assert_eq!(
            convert::link(&LinkMessage::parse(link).unwrap()),
            state,
            "a dump and a notification differ"
        );
        state
    };
    let up = LinkState { index: 3, name: "eth0".to_owned(), admin_up: true, up: true };
    assert_eq!(read(&link), Some(up.clone()));
    link[8] = 0x03; // no IFF_RUNNING
    assert_eq!(read(&link), Some(LinkState { up: false, ..up.clone() }));
    link[8] = 0x42; // IFF_RUNNING without IFF_UP
    assert_eq!(read(&link), Some(LinkState { up: false, admin_up: false, ..up }));
    link[0] = 7; // AF_BRIDGE
    assert_eq!(read(&link), None);
}

#[test]
fn a_request_filters_by_family_and_table_alone() {
    for (family, table, hex) in [
        (AddressFamily::Inet, 254, "0200 0000 fe00 0000 00000000"),
        (AddressFamily::Inet6, 255, "0a00 0000 ff00 0000 00000000"),
        (AddressFamily::Inet, 5000, "0200 0000 fe00 0000 00000000 0800 0f00 88130000"),
    ] {
        let message = convert::route_request(family, table);
        let mut body = vec![0; message.buffer_len()];
        message.emit(&mut body);
        assert_eq!(body, octets(hex), "{table}");
    }
}

/// A message of a dump from its type, flags and body in hex.
fn answer(kind: u16, flags: u16, body: &str) -> NetlinkMessage<RouteNetlinkMessage> {
    let body = octets(body);
    let mut message = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
    message.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
    message.extend([0; 8]);
    message.extend(body);
    NetlinkMessage::deserialize(&message).unwrap()
}

/// Feeds a dump of table main: the error or whether it was interrupted, and how many routes it found. `None`
/// when it has not ended.
fn fed(dump: Vec<NetlinkMessage<RouteNetlinkMessage>>) -> Option<Result<(bool, usize), Option<i32>>> {
    let (mut answers, mut found) = (Answers::default(), Vec::new());
    for answer in dump {
        let ended = answers.take(answer, &mut found, |message| match message {
            RouteNetlinkMessage::NewRoute(message) => convert::route(message, 254),
            _ => None,
        });
        match ended {
            Ok(true) => return Some(Ok((answers.interrupted, found.len()))),
            Ok(false) => {}
            Err(error) => return Some(Err(error.raw_os_error())),
        }
    }
    None
}

#[test]
fn a_dump_that_broke_off_is_not_taken_for_one_that_ended() {
    const MULTI: u16 = 2;
    const INTERRUPTED: u16 = 0x10;
    let route = |flags| answer(24, MULTI | flags, "021a0000fe6d00060000000008000f00fe000000080001000af40300");
    let done = |flags, errno| answer(3, MULTI | flags, errno);
    assert_eq!(fed(vec![route(0), route(0), done(0, "00000000")]), Some(Ok((false, 2))));
    assert_eq!(fed(vec![done(0, "")]), Some(Ok((false, 0))), "an old kernel's end");
    assert_eq!(fed(vec![route(0), route(0)]), None);
    assert_eq!(fed(vec![route(INTERRUPTED), route(0), done(0, "00000000")]), Some(Ok((true, 2))));
    assert_eq!(fed(vec![route(0), done(INTERRUPTED, "00000000")]), Some(Ok((true, 1))));
    // ENOENT in the end itself, EINVAL instead of a dump, and a lost answer.
    assert_eq!(fed(vec![done(0, "feffffff")]), Some(Err(Some(2))));
    assert_eq!(fed(vec![route(0), answer(2, 0, "eaffffff")]), Some(Err(Some(22))));
    assert_eq!(fed(vec![route(0), answer(4, 0, "")]), Some(Err(Some(105))));
    assert_eq!(fed(vec![route(0), answer(1, 0, "")]), Some(Err(None)));
}

#[test]
fn libc_and_rtnetlink_agree_on_a_link() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dump = runtime.block_on(async { Reader::open().unwrap().dump(254).await }).unwrap();
    // Other links of this machine come and go.
    let lo = |links: Vec<LinkState>| links.into_iter().find(|link| link.index == 1);
    let read = lo(dump.links);
    assert!(read.is_some());
    assert_eq!(lo(links_of_libc().unwrap()), read);
}

#[test]
fn an_error_brings_the_kernel_s_words() {
    let error = octets(
        "9bffffff2c000000180005060100000000000000200001004e657874686f702068617320696e76616c696420676174657761\
         7900",
    );
    assert_eq!(convert::decode_error(&error), Some((101, "Nexthop has invalid gateway".to_owned())));
    let ack = octets("000000002c0000001800050601000000ffffffff");
    assert_eq!(convert::decode_error(&ack), Some((0, String::new())));
    assert_eq!(convert::decode_error(&[]), None);
}

fn hop() -> impl Strategy<Value = NextHop> {
    (any::<std::net::IpAddr>(), 1..100u32, any::<bool>(), 1..=256u16).prop_map(
        |(gateway, ifindex, onlink, weight)| NextHop { gateway: Some(gateway), ifindex, onlink, weight },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        address in any::<std::net::IpAddr>(),
        length in 0..=32u8,
        table in prop_oneof![Just(254u32), Just(100), Just(5000)],
        metric in any::<u32>(),
        hops in prop::collection::btree_set(hop(), 0..5),
    ) {
        let mut next_hops: Vec<NextHop> = hops
            .into_iter()
            // IPv6 has no IPv4 gateways.
            .filter(|hop| address.is_ipv4() || hop.gateway.is_some_and(|gateway| gateway.is_ipv6()))
            .collect();
        if let [only] = next_hops.as_mut_slice() {
            only.weight = 1;
        }
        let kind = if next_hops.is_empty() { RouteKind::Blackhole } else { RouteKind::Unicast };
        let prefix = ipnet::IpNet::new(address, length).unwrap().trunc();
        let route = Route {
            key: RouteKey { table, prefix, metric },
            kind,
            protocol: PROTOCOL,
            next_hops: next_hops.into(),
            source: None,
        object: None,
        };
        let message = convert::encode_route(&route, Verb::Write);
        let mut body = vec![0; message.buffer_len()];
        message.emit(&mut body);
        // What does not fit the header is in the attribute; the kernel says COMPAT where we say nothing.
        prop_assert_eq!(convert::decode_route(&body, table), Some(route));
    }

    #[test]
    fn no_octets_are_too_strange(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = convert::decode_route(&body, 254);
        let _ = convert::decode_link(&body);
        let _ = convert::decode_error(&body);
        prop_assert!(convert::messages(&body).count() <= body.len() / 16);
    }

    #[test]
    fn a_route_damaged_anywhere_is_read_or_refused(at in 0..100usize, value in any::<u8>()) {
        let mut body = octets(
            "021a0000fe6d00010000000008000f00fe000000080001000af40100080006000004000024000900100000010300000008\
             0005000a0000021000000003000000080005000a000003",
        );
        if let Some(octet) = body.get_mut(at) {
            *octet = value;
        }
        let _ = convert::decode_route(&body, 254);
        let _ = RouteMessage::parse(&body);
    }
}

fn via(hop: &str) -> Option<LearnedRoute> {
    Some(LearnedRoute {
        paths: [LearnedPath { next_hop: hop.parse().unwrap(), weight: 1 }].into_iter().collect(),
    })
}

#[test]
fn the_inbox_keeps_the_last_word_and_tells_completeness_last() {
    let inbox = Inbox::default();
    let one: ipnet::IpNet = "10.244.1.0/26".parse().unwrap();
    let two: ipnet::IpNet = "10.244.2.0/26".parse().unwrap();
    inbox.learned(vec![(two, via("10.0.0.2")), (one, via("10.0.0.2"))]);
    inbox.put(FibEvent::LearnedInSync);
    inbox.put(FibEvent::TrackNextHop("10.0.0.2".parse().unwrap()));
    inbox.put(FibEvent::TrackNextHop("10.0.0.3".parse().unwrap()));
    inbox.put(FibEvent::UntrackNextHop("10.0.0.2".parse().unwrap()));
    inbox.put(FibEvent::OwnBlocks(vec![one]));
    inbox.put(FibEvent::OwnBlocks(vec![two]));
    inbox.learned(vec![(one, None)]);
    inbox.put(FibEvent::Overrun); // not theirs to say
    let work = inbox.take();
    assert_eq!(work.len(), 6);
    let told: Vec<FibEvent> = work.collect();
    assert_eq!(
        told,
        [
            FibEvent::Learned { prefix: one, route: None },
            FibEvent::Learned { prefix: two, route: via("10.0.0.2") },
            FibEvent::OwnBlocks(vec![two]),
            FibEvent::UntrackNextHop("10.0.0.2".parse().unwrap()),
            FibEvent::TrackNextHop("10.0.0.3".parse().unwrap()),
            FibEvent::LearnedInSync,
        ]
    );
    assert_eq!(inbox.take().len(), 0);
}
