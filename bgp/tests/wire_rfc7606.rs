//! RFC 7606, attribute by attribute: every error that it names, and what follows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use bgp::wire::{
    AttributeAction, Community, DecodeContext, DecodeError, DecodedUpdate, HEADER_LEN, Message, NextHop,
    decode_message,
};
use bgp::{AfiSafi, Asn, Nlri, PeerKind};
use bytes::{BufMut, Bytes, BytesMut};

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 192, 0, 2, 1];
/// 10.0.0.0/8.
const NLRI: &[u8] = &[8, 10];

#[derive(Debug, PartialEq)]
enum Outcome {
    /// The routes stay, and nothing is reported.
    Fine,
    /// The routes stay, the attribute is reported.
    Discard(u8),
    /// The routes go, the attribute is reported.
    Withdraw(u8),
    /// The session goes, with this subcode of UPDATE Message Error and these data.
    Reset(u8, Vec<u8>),
}
use Outcome::{Discard, Fine, Reset, Withdraw};

fn frame(body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_bytes(0xff, 16);
    frame.put_u16(u16::try_from(HEADER_LEN + body.len()).unwrap());
    frame.put_u8(2);
    frame.put_slice(body);
    frame.freeze()
}

fn update(withdrawn: &[u8], attributes: &[&[u8]], nlri: &[u8]) -> Bytes {
    let attributes = attributes.concat();
    let mut body = BytesMut::new();
    body.put_u16(u16::try_from(withdrawn.len()).unwrap());
    body.put_slice(withdrawn);
    body.put_u16(u16::try_from(attributes.len()).unwrap());
    body.put_slice(&attributes);
    body.put_slice(nlri);
    frame(&body)
}

fn decode(frame: &Bytes, context: &DecodeContext) -> Result<DecodedUpdate, DecodeError> {
    match decode_message(frame, context)? {
        Message::Update(update) => Ok(*update),
        other => panic!("{other:?}"),
    }
}

fn outcome(result: Result<DecodedUpdate, DecodeError>) -> Outcome {
    let DecodedUpdate { update, errors } = match result {
        Ok(decoded) => decoded,
        Err(DecodeError { notification, reason }) => {
            assert_eq!(notification.code, 3, "{reason}");
            assert!(!reason.is_empty());
            return Reset(notification.subcode, notification.data.to_vec());
        }
    };
    let worst = errors.iter().max_by_key(|error| error.action);
    match worst {
        None => Fine,
        Some(error) if error.action == AttributeAction::Discard => {
            assert!(!update.reach.is_empty() && update.unreach.is_empty(), "{update:?} {errors:?}");
            Discard(error.code)
        }
        Some(error) => {
            assert!(update.reach.is_empty() && !update.unreach.is_empty(), "{update:?} {errors:?}");
            Withdraw(error.code)
        }
    }
}

fn ebgp() -> DecodeContext {
    DecodeContext::default()
}

fn ibgp() -> DecodeContext {
    DecodeContext { kind: PeerKind::Ibgp, ..DecodeContext::default() }
}

fn two_octet() -> DecodeContext {
    DecodeContext { four_octet_as: false, ..DecodeContext::default() }
}

/// The attribute under test stands in place of the valid one of its code, beside all mandatory ones.
fn with(attribute: &[u8]) -> Vec<&[u8]> {
    let mandatory = [ORIGIN, AS_PATH, NEXT_HOP];
    let mut list: Vec<&[u8]> = mandatory.into_iter().filter(|valid| valid[1] != attribute[1]).collect();
    list.push(attribute);
    list
}

#[test]
fn every_error_of_section_7() {
    let eight = &[0; 8];
    let cases: Vec<(&str, DecodeContext, Vec<u8>, Outcome)> = vec![
        // 7.1
        ("ORIGIN of two octets", ebgp(), vec![0x40, 1, 2, 0, 0], Withdraw(1)),
        ("ORIGIN of none", ebgp(), vec![0x40, 1, 0], Withdraw(1)),
        ("ORIGIN 3", ebgp(), vec![0x40, 1, 1, 3], Withdraw(1)),
        ("ORIGIN optional", ebgp(), vec![0xc0, 1, 1, 0], Withdraw(1)),
        ("ORIGIN not transitive", ebgp(), vec![0x00, 1, 1, 0], Withdraw(1)),
        ("ORIGIN partial", ebgp(), vec![0x60, 1, 1, 0], Fine),
        ("ORIGIN with extended length", ebgp(), vec![0x50, 1, 0, 1, 2], Fine),
        ("ORIGIN with unused flags", ebgp(), vec![0x4f & !0x10, 1, 1, 2], Fine),
        // 7.2
        ("AS_PATH with segment type 5", ebgp(), vec![0x40, 2, 6, 5, 1, 0, 0, 0, 1], Withdraw(2)),
        ("AS_PATH with segment type 0", ebgp(), vec![0x40, 2, 6, 0, 1, 0, 0, 0, 1], Withdraw(2)),
        ("AS_PATH segment overruns", ebgp(), vec![0x40, 2, 6, 2, 2, 0, 0, 0, 1], Withdraw(2)),
        ("AS_PATH one octet left", ebgp(), vec![0x40, 2, 7, 2, 1, 0, 0, 0, 1, 2], Withdraw(2)),
        ("AS_PATH segment of length 0", ebgp(), vec![0x40, 2, 2, 2, 0], Withdraw(2)),
        ("AS_PATH empty", ebgp(), vec![0x40, 2, 0], Fine),
        ("AS_PATH optional", ebgp(), vec![0xc0, 2, 0], Withdraw(2)),
        ("AS_PATH with AS 0", ebgp(), vec![0x40, 2, 6, 2, 1, 0, 0, 0, 0], Withdraw(2)),
        ("AS_PATH with AS 0 in two octets", two_octet(), vec![0x40, 2, 4, 2, 1, 0, 0], Withdraw(2)),
        ("AS_PATH with a confederation, eBGP", ebgp(), vec![0x40, 2, 6, 3, 1, 0, 0, 0, 1], Withdraw(2)),
        ("AS_PATH with a confederation set, eBGP", ebgp(), vec![0x40, 2, 6, 4, 1, 0, 0, 0, 1], Withdraw(2)),
        ("AS_PATH with a confederation, iBGP", ibgp(), vec![0x40, 2, 6, 3, 1, 0, 0, 0, 1], Fine),
        // 7.3
        ("NEXT_HOP of five octets", ebgp(), vec![0x40, 3, 5, 192, 0, 2, 1, 0], Withdraw(3)),
        ("NEXT_HOP of none", ebgp(), vec![0x40, 3, 0], Withdraw(3)),
        ("NEXT_HOP optional", ebgp(), vec![0x80, 3, 4, 192, 0, 2, 1], Withdraw(3)),
        ("NEXT_HOP 0.0.0.0", ebgp(), vec![0x40, 3, 4, 0, 0, 0, 0], Withdraw(3)),
        ("NEXT_HOP 0.1.2.3", ebgp(), vec![0x40, 3, 4, 0, 1, 2, 3], Withdraw(3)),
        ("NEXT_HOP multicast", ebgp(), vec![0x40, 3, 4, 224, 0, 0, 1], Withdraw(3)),
        ("NEXT_HOP top of multicast", ebgp(), vec![0x40, 3, 4, 239, 255, 255, 255], Withdraw(3)),
        ("NEXT_HOP broadcast", ebgp(), vec![0x40, 3, 4, 255, 255, 255, 255], Withdraw(3)),
        ("NEXT_HOP in 240/4, used by some networks", ebgp(), vec![0x40, 3, 4, 240, 0, 0, 1], Fine),
        // 7.4
        ("MED of three octets", ebgp(), vec![0x80, 4, 3, 0, 0, 0], Withdraw(4)),
        ("MED of none", ebgp(), vec![0x80, 4, 0], Withdraw(4)),
        ("MED transitive", ebgp(), vec![0xc0, 4, 4, 0, 0, 0, 1], Withdraw(4)),
        ("MED", ebgp(), vec![0x80, 4, 4, 0, 0, 0, 1], Fine),
        // 7.5
        ("LOCAL_PREF from eBGP", ebgp(), vec![0x40, 5, 4, 0, 0, 0, 1], Discard(5)),
        ("LOCAL_PREF from eBGP, malformed", ebgp(), vec![0x80, 5, 1, 0], Discard(5)),
        ("LOCAL_PREF of five octets", ibgp(), vec![0x40, 5, 5, 0, 0, 0, 0, 1], Withdraw(5)),
        ("LOCAL_PREF of none", ibgp(), vec![0x40, 5, 0], Withdraw(5)),
        ("LOCAL_PREF optional", ibgp(), vec![0xc0, 5, 4, 0, 0, 0, 1], Withdraw(5)),
        ("LOCAL_PREF", ibgp(), vec![0x40, 5, 4, 0, 0, 0, 1], Fine),
        // 7.6
        ("ATOMIC_AGGREGATE of one octet", ebgp(), vec![0x40, 6, 1, 0], Discard(6)),
        ("ATOMIC_AGGREGATE optional", ebgp(), vec![0xc0, 6, 0], Withdraw(6)),
        ("ATOMIC_AGGREGATE", ebgp(), vec![0x40, 6, 0], Fine),
        // 7.7
        ("AGGREGATOR of six octets", ebgp(), vec![0xc0, 7, 6, 0, 1, 192, 0, 2, 1], Discard(7)),
        ("AGGREGATOR of eight, two-octet", two_octet(), [&[0xc0, 7, 8][..], &eight[..]].concat(), Discard(7)),
        ("AGGREGATOR of none", ebgp(), vec![0xc0, 7, 0], Discard(7)),
        ("AGGREGATOR of AS 0", ebgp(), vec![0xc0, 7, 8, 0, 0, 0, 0, 192, 0, 2, 1], Discard(7)),
        ("AGGREGATOR well-known", ebgp(), vec![0x40, 7, 8, 0, 0, 0, 1, 192, 0, 2, 1], Withdraw(7)),
        ("AGGREGATOR", ebgp(), vec![0xc0, 7, 8, 0, 0, 0, 1, 192, 0, 2, 1], Fine),
        ("AGGREGATOR, partial", ebgp(), vec![0xe0, 7, 8, 0, 0, 0, 1, 192, 0, 2, 1], Fine),
        // 7.8
        ("COMMUNITIES of five octets", ebgp(), vec![0xc0, 8, 5, 0, 0, 0, 0, 0], Withdraw(8)),
        ("COMMUNITIES of none", ebgp(), vec![0xc0, 8, 0], Withdraw(8)),
        ("COMMUNITIES not transitive", ebgp(), vec![0x80, 8, 4, 0, 0, 0, 1], Withdraw(8)),
        ("COMMUNITIES", ebgp(), vec![0xc0, 8, 4, 0, 0, 0, 1], Fine),
        // 7.9
        ("ORIGINATOR_ID from eBGP", ebgp(), vec![0x80, 9, 4, 192, 0, 2, 9], Discard(9)),
        ("ORIGINATOR_ID of three octets", ibgp(), vec![0x80, 9, 3, 192, 0, 2], Withdraw(9)),
        ("ORIGINATOR_ID of none", ibgp(), vec![0x80, 9, 0], Withdraw(9)),
        ("ORIGINATOR_ID transitive", ibgp(), vec![0xc0, 9, 4, 192, 0, 2, 9], Withdraw(9)),
        ("ORIGINATOR_ID", ibgp(), vec![0x80, 9, 4, 192, 0, 2, 9], Fine),
        // 7.10
        ("CLUSTER_LIST from eBGP", ebgp(), vec![0x80, 10, 4, 192, 0, 2, 9], Discard(10)),
        ("CLUSTER_LIST of six octets", ibgp(), vec![0x80, 10, 6, 192, 0, 2, 9, 0, 0], Withdraw(10)),
        ("CLUSTER_LIST of none", ibgp(), vec![0x80, 10, 0], Withdraw(10)),
        ("CLUSTER_LIST transitive", ibgp(), vec![0xc0, 10, 4, 192, 0, 2, 9], Withdraw(10)),
        ("CLUSTER_LIST", ibgp(), vec![0x80, 10, 4, 192, 0, 2, 9], Fine),
        // 7.14
        (
            "EXTENDED COMMUNITIES of nine octets",
            ebgp(),
            vec![0xc0, 16, 9, 0, 2, 0, 0, 0, 0, 0, 0, 0],
            Withdraw(16),
        ),
        ("EXTENDED COMMUNITIES of none", ebgp(), vec![0xc0, 16, 0], Withdraw(16)),
        ("EXTENDED COMMUNITIES well-known", ebgp(), vec![0x40, 16, 8, 0, 2, 0, 0, 0, 0, 0, 0], Withdraw(16)),
        (
            "EXTENDED COMMUNITIES of an unknown type",
            ebgp(),
            vec![0xc0, 16, 8, 255, 255, 0, 0, 0, 0, 0, 0],
            Fine,
        ),
        // RFC 6793 §6
        ("AS4_PATH from a four-octet speaker", ebgp(), vec![0xc0, 17, 6, 2, 1, 0, 1, 0, 0], Discard(17)),
        ("AS4_PATH segment overruns", two_octet(), vec![0xc0, 17, 6, 2, 2, 0, 1, 0, 0], Discard(17)),
        ("AS4_PATH of none", two_octet(), vec![0xc0, 17, 0], Discard(17)),
        ("AS4_PATH segment of length 0", two_octet(), vec![0xc0, 17, 2, 2, 0], Discard(17)),
        ("AS4_PATH with segment type 9", two_octet(), vec![0xc0, 17, 6, 9, 1, 0, 1, 0, 0], Discard(17)),
        ("AS4_PATH with AS 0", two_octet(), vec![0xc0, 17, 6, 2, 1, 0, 0, 0, 0], Discard(17)),
        (
            "AS4_AGGREGATOR from a four-octet speaker",
            ebgp(),
            [&[0xc0, 18, 8][..], &[1; 8]].concat(),
            Discard(18),
        ),
        ("AS4_AGGREGATOR of six octets", two_octet(), [&[0xc0, 18, 6][..], &[1; 6]].concat(), Discard(18)),
        ("AS4_AGGREGATOR of AS 0", two_octet(), [&[0xc0, 18, 8][..], &eight[..]].concat(), Discard(18)),
        // RFC 8092 §6
        (
            "LARGE_COMMUNITY of thirteen octets",
            ebgp(),
            [&[0xc0, 32, 13][..], &[0; 13]].concat(),
            Withdraw(32),
        ),
        ("LARGE_COMMUNITY of none", ebgp(), vec![0xc0, 32, 0], Withdraw(32)),
        ("LARGE_COMMUNITY not transitive", ebgp(), [&[0x80, 32, 12][..], &[0; 12]].concat(), Withdraw(32)),
        ("LARGE_COMMUNITY", ebgp(), [&[0xc0, 32, 12][..], &[0; 12]].concat(), Fine),
        // RFC 9234 §5.
        ("ONLY_TO_CUSTOMER of two octets", ebgp(), vec![0xc0, 35, 2, 0xfd, 0xe9], Withdraw(35)),
        ("ONLY_TO_CUSTOMER of none", ebgp(), vec![0xc0, 35, 0], Withdraw(35)),
        ("ONLY_TO_CUSTOMER not transitive", ebgp(), vec![0x80, 35, 4, 0, 0, 0xfd, 0xe9], Withdraw(35)),
        ("ONLY_TO_CUSTOMER partial", two_octet(), vec![0xe0, 35, 4, 0, 0, 0xfd, 0xe9], Fine),
        // RFC 4271 §5, §6.3
        ("unknown optional transitive", ebgp(), vec![0xc0, 99, 1, 7], Fine),
        ("unknown optional transitive of none", ebgp(), vec![0xc0, 99, 0], Fine),
        ("unknown optional non-transitive", ebgp(), vec![0x80, 99, 1, 7], Fine),
        ("unknown well-known", ebgp(), vec![0x40, 99, 1, 7], Reset(2, vec![0x40, 99, 1, 7])),
        // 4: the list ends inside an attribute
        ("value overruns the list", ebgp(), vec![0x80, 4, 5, 0, 0, 0, 1], Withdraw(4)),
        ("two octets left", ebgp(), vec![0xc0, 99], Withdraw(99)),
        ("one octet left of an extended length", ebgp(), vec![0x90, 4, 0], Withdraw(4)),
    ];
    for (name, context, attribute, expected) in cases {
        // A two-octet speaker writes its AS_PATH in two octets.
        let mut list = with(&attribute);
        if !context.four_octet_as {
            for valid in list.iter_mut().filter(|valid| **valid == AS_PATH) {
                *valid = &[0x40, 2, 4, 2, 1, 0xfd, 0xe9];
            }
        }
        let result = decode(&update(&[], &list, NLRI), &context);
        assert_eq!(outcome(result), expected, "{name}");

        // §5.2: an error that would cost the routes costs the session where there are none.
        if let Withdraw(code) = expected {
            let semantic = [0x40, 3, 4];
            if attribute.starts_with(&semantic) {
                continue; // NEXT_HOP without classic NLRI is ignored (RFC 4760 §3)
            }
            let result = decode(&update(NLRI, &list, &[]), &context);
            assert!(matches!(outcome(result), Reset(..)), "{name}: attribute {code} without routes");
        }
    }
}

/// §3 d.
#[test]
fn a_missing_mandatory_attribute_withdraws() {
    for (missing, code) in [(ORIGIN, 1), (AS_PATH, 2), (NEXT_HOP, 3)] {
        let list: Vec<&[u8]> =
            [ORIGIN, AS_PATH, NEXT_HOP].into_iter().filter(|valid| *valid != missing).collect();
        assert_eq!(outcome(decode(&update(&[], &list, NLRI), &ebgp())), Withdraw(code));
        assert_eq!(outcome(decode(&update(NLRI, &list, &[]), &ebgp())), Fine, "nothing is announced");
    }
}

/// §3 g.
#[test]
fn of_repeated_attributes_the_first_counts() {
    let (first, second): (&[u8], &[u8]) = (&[0x80, 4, 4, 0, 0, 0, 1], &[0x80, 4, 4, 0, 0, 0, 2]);
    let result = decode(&update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, first, second, second], NLRI), &ebgp());
    let decoded = result.unwrap();
    assert_eq!(decoded.update.attributes.med, Some(1));
    assert_eq!(decoded.errors.len(), 1, "reported once");
    assert_eq!(decoded.errors[0].action, AttributeAction::Discard);
    let unknown: &[u8] = &[0xc0, 99, 1, 7];
    let result = decode(&update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, unknown, unknown], NLRI), &ebgp());
    assert_eq!(outcome(result), Discard(99));
}

/// §3 g, the exception.
#[test]
fn repeated_mp_attributes_reset() {
    let unreach: &[u8] = &[0x80, 15, 3, 0, 2, 1];
    assert_eq!(outcome(decode(&update(&[], &[unreach, unreach], &[]), &ebgp())), Reset(1, vec![]));
    let reach = mp_reach(2, &[1; 16], &[0]);
    let result = decode(&update(&[], &[&reach, ORIGIN, AS_PATH, &reach], &[]), &ebgp());
    assert_eq!(outcome(result), Reset(1, vec![]));
}

/// §3 h: a discard does not hide a withdrawal.
#[test]
fn the_strongest_approach_wins() {
    let (weak, strong): (&[u8], &[u8]) = (&[0xc0, 7, 1, 0], &[0x80, 4, 1, 0]);
    for list in [[weak, strong], [strong, weak]] {
        let list = [&[ORIGIN, AS_PATH, NEXT_HOP][..], &list].concat();
        assert_eq!(outcome(decode(&update(&[], &list, NLRI), &ebgp())), Withdraw(4));
    }
}

/// §3 a.
#[test]
fn lengths_that_exceed_the_message_reset() {
    for body in [&[0, 5, 0, 0][..], &[0, 0, 0, 9, 0x40, 1, 1, 0], &[0xff, 0xff, 0xff, 0xff], &[0, 2, 8, 10]] {
        assert_eq!(outcome(decode(&frame(body), &ebgp())), Reset(1, vec![]), "{body:?}");
    }
}

/// §5.3, in both fields alike.
#[test]
fn nlri_that_cannot_be_read_reset() {
    for field in [&[33, 10, 0, 0, 0, 0][..], &[24, 10, 0], &[32], &[8, 10, 255]] {
        let announced = decode(&update(&[], &[ORIGIN, AS_PATH, NEXT_HOP], field), &ebgp());
        assert_eq!(outcome(announced), Reset(10, vec![]), "{field:?}");
        assert_eq!(outcome(decode(&update(field, &[], &[]), &ebgp())), Reset(10, vec![]), "{field:?}");
    }
    let add_path = DecodeContext { add_path_receive: vec![AfiSafi::IPV4_UNICAST], ..ebgp() };
    assert_eq!(outcome(decode(&update(&[0, 0, 1], &[], &[]), &add_path)), Reset(10, vec![]));
    assert_eq!(outcome(decode(&update(&[0, 0, 0, 1], &[], &[]), &add_path)), Reset(10, vec![]));
}

fn mp_reach(afi: u16, next_hop: &[u8], nlri: &[u8]) -> Vec<u8> {
    let mut value = afi.to_be_bytes().to_vec();
    value.extend([1, u8::try_from(next_hop.len()).unwrap()]);
    value.extend(next_hop);
    value.push(0);
    value.extend(nlri);
    let mut attribute = vec![0x80, 14, u8::try_from(value.len()).unwrap()];
    attribute.extend(value);
    attribute
}

/// §7.11, §7.12 with §5.3: Optional Attribute Error, the attribute as data.
#[test]
fn mp_attributes_that_cannot_be_read_reset() {
    let global = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![0x80, 14, 0]),
        ("no next hop length", vec![0x80, 14, 3, 0, 2, 1]),
        ("next hop overruns", vec![0x80, 14, 6, 0, 2, 1, 16, 1, 1]),
        ("no reserved octet", [&[0x80, 14, 20, 0, 2, 1, 16][..], &global].concat()),
        ("IPv6 with 4 octets of next hop", mp_reach(2, &[192, 0, 2, 1], &[0])),
        ("IPv6 with 15", mp_reach(2, &global[..15], &[0])),
        ("IPv6 with none", mp_reach(2, &[], &[0])),
        ("IPv6 with 24", mp_reach(2, &[global.as_slice(), &[0; 8]].concat(), &[0])),
        ("IPv4 with 12 (VPN)", mp_reach(1, &[1; 12], &[0])),
        ("IPv4 with 16, not negotiated (RFC 8950)", mp_reach(1, &global, &[0])),
        ("IPv4 with 32, not negotiated (RFC 8950)", mp_reach(1, &[global, global].concat(), &[0])),
        ("prefix length 129", mp_reach(2, &global, &[129])),
        ("prefix overruns", mp_reach(2, &global, &[64, 0x20])),
        ("unreach empty", vec![0x80, 15, 0]),
        ("unreach without SAFI", vec![0x80, 15, 2, 0, 2]),
        ("unreach prefix length 33", vec![0x80, 15, 4, 0, 1, 1, 33]),
        ("unreach prefix overruns", vec![0x80, 15, 4, 0, 2, 1, 64]),
    ];
    for (name, attribute) in cases {
        let result = decode(&update(&[], &[&attribute, ORIGIN, AS_PATH], &[]), &ebgp());
        assert_eq!(outcome(result), Reset(9, attribute), "{name}");
    }
}

/// §4 and §3 j: the NLRI that it held are lost.
#[test]
fn mp_attributes_that_overrun_the_list_reset() {
    for cut in [&[0x80, 14, 9, 0, 2, 1][..], &[0x80, 15, 4, 0, 2, 1], &[0x90, 14, 0]] {
        let result = decode(&update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, cut], NLRI), &ebgp());
        assert_eq!(outcome(result), Reset(1, vec![]), "{cut:?}");
    }
}

/// §3 c: the attribute is still read, for its prefixes are what is to be withdrawn.
#[test]
fn mp_attributes_with_wrong_flags_withdraw() {
    let mut attribute = mp_reach(2, &[0x20; 16], &[0]);
    attribute[0] = 0xc0;
    let decoded = decode(&update(&[], &[&attribute, ORIGIN, AS_PATH], &[]), &ebgp()).unwrap();
    assert_eq!(decoded.update.unreach[0].nlri, [Nlri::from("::/0".parse::<ipnet::IpNet>().unwrap())]);
    assert_eq!(outcome(Ok(decoded)), Withdraw(14));

    let decoded = decode(&update(&[], &[&[0xc0, 15, 4, 0, 2, 1, 0]], &[]), &ebgp()).unwrap();
    assert_eq!(decoded.update.unreach.len(), 1);
    assert_eq!(outcome(Ok(decoded)), Withdraw(15));
}

#[test]
fn mp_next_hops() {
    let global: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
    let link_local: std::net::Ipv6Addr = "fe80::1".parse().unwrap();
    let join = |a: std::net::Ipv6Addr, b: std::net::Ipv6Addr| [a.octets(), b.octets()].concat();
    let v6 = |global, link_local| Some(NextHop::V6 { global, link_local });
    let zero = std::net::Ipv6Addr::UNSPECIFIED;
    let multicast = "ff02::1".parse().unwrap();
    let cases: Vec<(u16, Vec<u8>, Option<NextHop>)> = vec![
        (1, vec![192, 0, 2, 1], Some(NextHop::V4([192, 0, 2, 1].into()))),
        (1, global.octets().to_vec(), v6(global, None)),
        (1, join(global, link_local), v6(global, Some(link_local))),
        (2, global.octets().to_vec(), v6(global, None)),
        (2, link_local.octets().to_vec(), v6(link_local, None)),
        (2, join(global, link_local), v6(global, Some(link_local))),
        // What senders on links without global addresses make of RFC 2545.
        (2, join(link_local, link_local), v6(link_local, Some(link_local))),
        (2, join(zero, link_local), v6(link_local, None)),
        (2, join(global, zero), v6(global, None)),
        (2, join(global, global), v6(global, None)),
        // Not the address of a host: RFC 4271 §6.3 without the reset (RFC 7606 §3 e).
        (1, vec![0, 0, 0, 0], None),
        (1, vec![224, 0, 0, 5], None),
        (2, zero.octets().to_vec(), None),
        (2, join(zero, zero), None),
        (2, std::net::Ipv6Addr::octets(&multicast).to_vec(), None),
    ];
    for (afi, octets, expected) in cases {
        let context = DecodeContext { extended_next_hop: true, ..ebgp() };
        let frame = update(&[], &[&mp_reach(afi, &octets, &[0]), ORIGIN, AS_PATH], &[]);
        let decoded = decode(&frame, &context).unwrap();
        assert_eq!(decoded.update.reach.first().map(|reach| reach.next_hop), expected, "{afi} {octets:?}");
        if expected.is_none() {
            assert_eq!(outcome(Ok(decoded)), Withdraw(14));
        }
    }
}

/// A family we cannot route: no routes, no error, and its NLRI are not looked at.
#[test]
fn other_families_are_skipped() {
    let vpn: &[u8] = &[0x80, 14, 9, 0, 1, 128, 2, 9, 9, 0, 255, 255];
    let unreach: &[u8] = &[0x80, 15, 5, 0, 25, 70, 255, 255];
    let decoded = decode(&update(&[], &[vpn, unreach, ORIGIN, AS_PATH], &[]), &ebgp()).unwrap();
    assert_eq!(decoded, DecodedUpdate::default());
    let end_of_evpn: &[u8] = &[0x80, 15, 3, 0, 25, 70];
    assert_eq!(decode(&update(&[], &[end_of_evpn], &[]), &ebgp()).unwrap(), DecodedUpdate::default());
    // A malformed attribute costs those routes, not the session: they could be found.
    let decoded = decode(&update(&[], &[vpn, AS_PATH, &[0x40, 1, 1, 9]], &[]), &ebgp()).unwrap();
    assert_eq!(decoded.errors.len(), 1);
}

/// §5.2 for a withdrawal: MP_UNREACH_NLRI alone is above suspicion, with anything else it is not.
#[test]
fn withdrawals_with_malformed_attributes_reset() {
    let unreach: &[u8] = &[0x80, 15, 4, 0, 2, 1, 0];
    let result = decode(&update(&[], &[unreach, &[0x80, 4, 1, 0]], &[]), &ebgp());
    assert_eq!(outcome(result), Reset(5, vec![0x80, 4, 1, 0]));
    // Nor is MP_REACH_NLRI without a single prefix an announcement.
    let result = decode(&update(&[], &[&mp_reach(2, &[0x20; 16], &[]), &[0x80, 4, 1, 0]], &[]), &ebgp());
    assert_eq!(outcome(result), Reset(5, vec![0x80, 4, 1, 0]));
    // Attribute discard is no reason for it.
    let decoded = decode(&update(&[], &[unreach, &[0xc0, 7, 1, 0]], &[]), &ebgp()).unwrap();
    assert_eq!(decoded.update.unreach.len(), 1);
}

/// The data of the NOTIFICATION where an error resets (RFC 4271 §6.3).
#[test]
fn notification_data() {
    let reset = |list: &[&[u8]]| outcome(decode(&update(&[], list, &[]), &ebgp()));
    assert_eq!(reset(&[&[0xc0, 1, 1, 0]]), Reset(4, vec![0xc0, 1, 1, 0]), "flags");
    assert_eq!(reset(&[&[0x50, 1, 0, 2, 0, 0]]), Reset(5, vec![0x50, 1, 0, 2, 0, 0]), "length");
    assert_eq!(reset(&[&[0x40, 1, 1, 7]]), Reset(6, vec![0x40, 1, 1, 7]), "ORIGIN");
    assert_eq!(reset(&[&[0x40, 2, 2, 2, 0]]), Reset(11, vec![]), "AS_PATH");
    assert_eq!(reset(&[&[0x40, 1]]), Reset(1, vec![]), "list");
}

#[test]
fn end_of_rib_markers() {
    let end = |list: &[&[u8]]| decode(&update(&[], list, &[]), &ebgp()).unwrap().update.end_of_rib;
    assert_eq!(end(&[]), Some(AfiSafi::IPV4_UNICAST));
    assert_eq!(end(&[&[0x80, 15, 3, 0, 1, 1]]), Some(AfiSafi::IPV4_UNICAST));
    assert_eq!(end(&[&[0x80, 15, 3, 0, 2, 1]]), Some(AfiSafi::IPV6_UNICAST));
    assert_eq!(end(&[&[0x90, 15, 0, 3, 0, 2, 1]]), Some(AfiSafi::IPV6_UNICAST));
    assert_eq!(end(&[&[0x80, 15, 4, 0, 2, 1, 0]]), None);
    assert_eq!(end(&[&[0x80, 15, 3, 0, 2, 1], ORIGIN]), None);
    assert_eq!(end(&[&[0xc0, 15, 3, 0, 2, 1]]), None, "wrong flags");
}

#[test]
fn sets_become_canonical() {
    let communities: &[u8] = &[0xc0, 8, 12, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    let list = [ORIGIN, AS_PATH, NEXT_HOP, communities];
    let decoded = decode(&update(&[], &list, NLRI), &ebgp()).unwrap();
    assert_eq!(decoded.update.attributes.communities, [Community(1), Community(2)]);
    // CLUSTER_LIST is a path: its order and repetitions mean something.
    let clusters: &[u8] = &[0x80, 10, 12, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    let decoded = decode(&update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, clusters], NLRI), &ibgp()).unwrap();
    let seen: Vec<_> = decoded.update.attributes.cluster_list.iter().map(ToString::to_string).collect();
    assert_eq!(seen, ["0.0.0.2", "0.0.0.1", "0.0.0.2"]);
}

#[test]
fn an_unknown_attribute_is_passed_on_as_partial() {
    let decoded = decode(
        &update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, &[0xd5, 99, 0, 1, 7], &[0xc0, 98, 0]], NLRI),
        &ebgp(),
    );
    let unknown = decoded.unwrap().update.attributes.unknown;
    let seen: Vec<_> = unknown.iter().map(|raw| (raw.flags, raw.code, &raw.value[..])).collect();
    assert_eq!(seen, [(0xe0, 98, &[][..]), (0xe0, 99, &[7][..])]);
}

/// RFC 6793 §4.2.3.
#[test]
fn four_octet_paths_are_rebuilt() {
    // Segments as (type, ASes).
    fn path(segments: &[(u8, &[u32])], width: usize) -> Vec<u8> {
        let mut value = Vec::new();
        for (kind, asns) in segments {
            value.extend([*kind, u8::try_from(asns.len()).unwrap()]);
            for asn in *asns {
                value.extend(&asn.to_be_bytes()[4 - width..]);
            }
        }
        value
    }
    type Segments<'a> = &'a [(u8, &'a [u32])];
    let cases: &[(&str, Segments<'_>, Segments<'_>, &str)] = &[
        ("whole path", &[(2, &[1, 23456])], &[(2, &[1, 70000])], "1 70000"),
        ("a two-octet AS in front", &[(2, &[9, 1, 23456])], &[(2, &[1, 70000])], "9 1 70000"),
        ("AS4_PATH longer", &[(2, &[1])], &[(2, &[1, 70000])], "1"),
        ("a set counts as one", &[(2, &[9]), (1, &[5, 23456])], &[(1, &[5, 70000])], "9 {5 70000}"),
        ("a set in front", &[(1, &[7, 8]), (2, &[23456])], &[(2, &[70000])], "{7 8} 70000"),
        ("confederation in front", &[(3, &[6]), (2, &[9, 23456])], &[(2, &[70000])], "(6) 9 70000"),
        ("confederation alone in front", &[(3, &[6]), (2, &[23456])], &[(2, &[70000])], "(6) 70000"),
        ("confederation in AS4_PATH", &[(2, &[23456])], &[(3, &[6]), (2, &[70000])], "70000"),
    ];
    for (name, as_path, as4_path, expected) in cases {
        let (as_path, as4_path) = (path(as_path, 2), path(as4_path, 4));
        let as_path = [&[0x40, 2, u8::try_from(as_path.len()).unwrap()][..], &as_path].concat();
        let as4_path = [&[0xc0, 17, u8::try_from(as4_path.len()).unwrap()][..], &as4_path].concat();
        let context = DecodeContext { kind: PeerKind::Ibgp, ..two_octet() };
        let list = [ORIGIN, &as_path, NEXT_HOP, &as4_path];
        let decoded = decode(&update(&[], &list, NLRI), &context).unwrap();
        assert_eq!(decoded.errors, [], "{name}");
        assert_eq!(decoded.update.attributes.as_path.to_string(), *expected, "{name}");

        // An AGGREGATOR that is not AS_TRANS beside AS4_AGGREGATOR voids both.
        let aggregator: &[u8] = &[0xc0, 7, 6, 0, 9, 192, 0, 2, 1];
        let trans: &[u8] = &[0xc0, 7, 6, 0x5b, 0xa0, 192, 0, 2, 1];
        let as4_aggregator: &[u8] = &[0xc0, 18, 8, 0, 1, 0, 0, 192, 0, 2, 1];
        let decoded =
            decode(&update(&[], &[&list[..], &[aggregator, as4_aggregator]].concat(), NLRI), &context);
        let attributes = decoded.unwrap().update.attributes;
        assert_eq!(attributes.aggregator.unwrap().asn, Asn(9));
        assert!(!attributes.as_path.contains(Asn(70000)), "{name}");
        let decoded = decode(&update(&[], &[&list[..], &[trans, as4_aggregator]].concat(), NLRI), &context);
        let attributes = decoded.unwrap().update.attributes;
        assert_eq!(attributes.aggregator.unwrap().asn, Asn(65536));
        assert_eq!(attributes.as_path.to_string(), *expected, "{name}");
    }
}
