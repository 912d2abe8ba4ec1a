//! Framing, OPEN, NOTIFICATION and ROUTE-REFRESH: what is read, what is refused and with which NOTIFICATION.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use bgp::wire::{
    AddPathMode, Capability, DecodeContext, EncodeContext, EncodeError, ErrorSubcode,
    GracefulRestartCapability, HEADER_LEN, MAX_LEN, Message, Notification, OpenMessage, RefreshSubtype,
    RouteRefresh, decode_message, encode_message, frame_len,
};
use bgp::{AfiSafi, Asn, RouterId};
use bytes::{BufMut, Bytes, BytesMut};

fn frame(kind: u8, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_bytes(0xff, 16);
    frame.put_u16(u16::try_from(HEADER_LEN + body.len()).unwrap());
    frame.put_u8(kind);
    frame.put_slice(body);
    frame.freeze()
}

/// Code, subcode and data of the NOTIFICATION.
type Refusal = (u8, u8, Vec<u8>);

fn refused(frame: &Bytes, context: &DecodeContext) -> Refusal {
    let error = decode_message(frame, context).unwrap_err();
    assert!(!error.reason.is_empty());
    (error.notification.code, error.notification.subcode, error.notification.data.to_vec())
}

fn extended() -> DecodeContext {
    DecodeContext { extended_message: true, ..DecodeContext::default() }
}

#[test]
fn a_header_is_judged_as_soon_as_it_is_there() {
    let keepalive = frame(4, &[]);
    for cut in 0..HEADER_LEN {
        assert_eq!(frame_len(&keepalive[..cut], &DecodeContext::default()).unwrap(), None);
    }
    assert_eq!(frame_len(&keepalive, &DecodeContext::default()).unwrap(), Some(19));
}

/// RFC 4271 §6.1, RFC 8654 §2 and §5. (type, length, with extended messages) → accepted.
#[test]
fn length_limits_per_type() {
    let cases = [
        (1, 28, false, false),
        (1, 29, false, true),
        (1, 4096, false, true),
        (1, 4096, true, true),
        (1, 4097, true, false),
        (2, 22, false, false),
        (2, 23, false, true),
        (2, 4096, false, true),
        (2, 4097, false, false),
        (2, 4097, true, true),
        (2, 65535, true, true),
        (3, 20, false, false),
        (3, 21, false, true),
        (3, 4097, false, false),
        (3, 65535, true, true),
        (4, 18, false, false),
        (4, 19, false, true),
        (4, 20, false, false),
        (4, 20, true, false),
        (5, 4096, false, true),
        (5, 4097, false, false),
        (5, 4097, true, true),
    ];
    for (kind, len, extended_message, accepted) in cases {
        let mut header = [0xff; HEADER_LEN];
        header[16..18].copy_from_slice(&u16::to_be_bytes(len));
        header[18] = kind;
        let context = DecodeContext { extended_message, ..DecodeContext::default() };
        match frame_len(&header, &context) {
            Ok(found) => {
                assert!(accepted, "type {kind} length {len}");
                assert_eq!(found, Some(usize::from(len)));
            }
            Err(error) => {
                assert!(!accepted, "type {kind} length {len}");
                let expected = ErrorSubcode::BAD_MESSAGE_LENGTH;
                assert_eq!(
                    error.notification,
                    Notification::with_data(expected, Bytes::copy_from_slice(&len.to_be_bytes()))
                );
            }
        }
    }
}

#[test]
fn bad_headers() {
    let mut no_marker = frame(4, &[]).to_vec();
    no_marker[3] = 0;
    assert_eq!(refused(&no_marker.into(), &DecodeContext::default()), (1, 1, vec![]));
    assert_eq!(refused(&frame(6, &[]), &DecodeContext::default()), (1, 3, vec![6]));
    assert_eq!(refused(&frame(0, &[]), &DecodeContext::default()), (1, 3, vec![0]));
    // A frame that is not what its header says, which the reader never hands over.
    assert_eq!(refused(&frame(2, &[0; 9]).slice(..24), &DecodeContext::default()).0, 1);
    let http = Bytes::from_static(b"GET / HTTP/1.1\r\nHost: node1\r\n");
    assert_eq!(refused(&http, &DecodeContext::default()), (1, 1, vec![]));
}

/// Version, AS, hold time, identifier, then the optional parameters with their length octet.
fn open(version: u8, my_as: u16, hold: u16, id: u32, parameters: &[u8]) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u8(version);
    body.put_u16(my_as);
    body.put_u16(hold);
    body.put_u32(id);
    body.put_slice(parameters);
    frame(1, &body)
}

fn capabilities(frame: &Bytes) -> Vec<Capability> {
    match decode_message(frame, &DecodeContext::default()).unwrap() {
        Message::Open(open) => open.capabilities,
        other => panic!("{other:?}"),
    }
}

#[test]
fn refused_opens() {
    let none = DecodeContext::default();
    let cases: Vec<(&str, Bytes, Refusal)> = vec![
        ("version 3", open(3, 1, 90, 1, &[0]), (2, 1, vec![0, 4])),
        ("version 5", open(5, 1, 90, 1, &[0]), (2, 1, vec![0, 4])),
        ("AS 0", open(4, 0, 90, 1, &[0]), (2, 2, vec![])),
        ("AS 0 in four octets", open(4, 23456, 90, 1, &[8, 2, 6, 65, 4, 0, 0, 0, 0]), (2, 2, vec![])),
        ("hold time 1", open(4, 1, 1, 1, &[0]), (2, 6, vec![])),
        ("hold time 2", open(4, 1, 2, 1, &[0]), (2, 6, vec![])),
        ("identifier 0", open(4, 1, 90, 0, &[0]), (2, 3, vec![])),
        ("authentication parameter", open(4, 1, 90, 1, &[2, 1, 0]), (2, 4, vec![])),
        ("parameter length too small", open(4, 1, 90, 1, &[0, 2, 0]), (2, 0, vec![])),
        ("parameter length too large", open(4, 1, 90, 1, &[3, 2, 0]), (2, 0, vec![])),
        ("parameter overruns", open(4, 1, 90, 1, &[2, 2, 1]), (2, 0, vec![])),
        ("one octet of a parameter", open(4, 1, 90, 1, &[1, 2]), (2, 0, vec![])),
        ("capability overruns", open(4, 1, 90, 1, &[4, 2, 2, 1, 4]), (2, 0, vec![])),
        ("one octet of a capability", open(4, 1, 90, 1, &[3, 2, 1, 1]), (2, 0, vec![])),
        ("multiprotocol of 3", open(4, 1, 90, 1, &[7, 2, 5, 1, 3, 0, 1, 1]), (2, 0, vec![])),
        ("route refresh of 1", open(4, 1, 90, 1, &[5, 2, 3, 2, 1, 0]), (2, 0, vec![])),
        ("extended next hop of 5", open(4, 1, 90, 1, &[9, 2, 7, 5, 5, 0, 1, 0, 1, 0]), (2, 0, vec![])),
        ("extended message of 1", open(4, 1, 90, 1, &[5, 2, 3, 6, 1, 0]), (2, 0, vec![])),
        ("graceful restart of 1", open(4, 1, 90, 1, &[5, 2, 3, 64, 1, 0]), (2, 0, vec![])),
        ("graceful restart of 5", open(4, 1, 90, 1, &[9, 2, 7, 64, 5, 0, 0, 0, 1, 1]), (2, 0, vec![])),
        ("four-octet AS of 2", open(4, 1, 90, 1, &[6, 2, 4, 65, 2, 0, 1]), (2, 0, vec![])),
        ("add-path of 3", open(4, 1, 90, 1, &[7, 2, 5, 69, 3, 0, 1, 1]), (2, 0, vec![])),
        ("enhanced refresh of 1", open(4, 1, 90, 1, &[5, 2, 3, 70, 1, 0]), (2, 0, vec![])),
        ("extended form cut short", open(4, 1, 90, 1, &[255, 255, 0]), (2, 0, vec![])),
        ("extended form, wrong length", open(4, 1, 90, 1, &[255, 255, 0, 9, 2, 0, 0]), (2, 0, vec![])),
    ];
    for (name, frame, expected) in cases {
        assert_eq!(refused(&frame, &none), expected, "{name}");
    }
}

#[test]
fn capabilities_that_are_read_leniently() {
    // RFC 7911 §4: another mode, and the whole capability is not understood.
    let value = [0, 1, 1, 3, 0, 2, 1, 4];
    let frame = open(4, 1, 90, 1, &[&[12, 2, 10, 69, 8][..], &value].concat());
    let unknown = Capability::Unknown { code: 69, value: Bytes::copy_from_slice(&value) };
    assert_eq!(capabilities(&frame), [unknown]);
    // Two parameters, and capabilities unknown to us between known ones.
    let frame = open(4, 1, 90, 1, &[14, 2, 4, 2, 0, 128, 0, 2, 6, 73, 2, b'h', b'i', 70, 0]);
    let unknown = |code, value| Capability::Unknown { code, value: Bytes::from_static(value) };
    let expected =
        [Capability::RouteRefresh, unknown(128, b""), unknown(73, b"hi"), Capability::EnhancedRouteRefresh];
    assert_eq!(capabilities(&frame), expected);
    // Reserved bits are ignored.
    let restart = GracefulRestartCapability {
        restarting: true,
        notification: true,
        restart_time_secs: 4095,
        families: vec![(AfiSafi::IPV4_UNICAST, true), (AfiSafi::IPV6_UNICAST, false)],
    };
    let frame = open(4, 1, 90, 1, &[14, 2, 12, 64, 10, 0xff, 0xff, 0, 1, 1, 0xff, 0, 2, 1, 0x7f]);
    assert_eq!(capabilities(&frame), [Capability::GracefulRestart(restart)]);
}

/// RFC 9072 §2, which ignores the one-octet length in front unless it is 0.
#[test]
fn extended_optional_parameters() {
    for len in [1, 4, 255] {
        let frame = open(4, 1, 90, 1, &[len, 255, 0, 5, 2, 0, 2, 2, 0]);
        assert_eq!(capabilities(&frame), [Capability::RouteRefresh]);
    }
    assert_eq!(refused(&open(4, 1, 90, 1, &[0, 255, 0, 5, 2, 0, 2, 2, 0]), &DecodeContext::default()).1, 0);
}

fn offered(capabilities: Vec<Capability>) -> Message {
    let router_id = RouterId([192, 0, 2, 1].into());
    Message::Open(OpenMessage { my_as: 65001, hold_time_secs: 90, router_id, capabilities })
}

#[test]
fn an_open_uses_the_long_form_only_where_it_must() {
    let filler = |len: usize| Capability::Unknown { code: 200, value: vec![0; len].into() };
    for (filler_len, is_long) in [(0, false), (250, false), (251, false), (252, true), (255, true)] {
        let message = offered(vec![filler(filler_len)]);
        let bytes = encode_message(&message, &EncodeContext::default()).unwrap();
        let long = bytes[HEADER_LEN + 9] == 255 && bytes[HEADER_LEN + 10] == 255;
        assert_eq!(long, is_long, "{filler_len}");
        assert_eq!(decode_message(&bytes, &DecodeContext::default()).unwrap(), message);
    }
    let message = offered(vec![filler(255); 15]);
    let bytes = encode_message(&message, &EncodeContext::default()).unwrap();
    assert_eq!(decode_message(&bytes, &DecodeContext::default()).unwrap(), message);
    let many = encode_message(
        &offered(vec![filler(255); 16]),
        &EncodeContext { extended_message: true, ..EncodeContext::default() },
    );
    assert!(matches!(many, Err(EncodeError::TooLong { max: MAX_LEN, .. })), "an OPEN is never extended");
    let many = encode_message(&offered(vec![filler(255); 300]), &EncodeContext::default());
    assert!(matches!(many, Err(EncodeError::TooLong { .. })));
    let wide = offered(vec![Capability::AddPath(vec![(AfiSafi::IPV4_UNICAST, AddPathMode::Both); 64])]);
    assert!(matches!(encode_message(&wide, &EncodeContext::default()), Err(EncodeError::Unrepresentable(_))));
}

#[test]
fn the_four_octet_capability_names_the_as() {
    let open = |capabilities| match offered(capabilities) {
        Message::Open(open) => open,
        other => panic!("{other:?}"),
    };
    assert_eq!(open(vec![]).asn(), Asn(65001));
    assert_eq!(open(vec![Capability::RouteRefresh, Capability::FourOctetAs(Asn(70000))]).asn(), Asn(70000));
}

/// RFC 2918, RFC 7313 §5.
#[test]
fn route_refresh() {
    let read = |body: &[u8]| decode_message(&frame(5, body), &DecodeContext::default());
    for (octet, subtype) in [
        (0, RefreshSubtype::Request),
        (1, RefreshSubtype::Begin),
        (2, RefreshSubtype::End),
        (3, RefreshSubtype::Unknown(3)),
        (255, RefreshSubtype::Unknown(255)),
    ] {
        let message = Message::RouteRefresh(RouteRefresh { family: AfiSafi::IPV6_UNICAST, subtype });
        assert_eq!(read(&[0, 2, octet, 1]).unwrap(), message);
        assert_eq!(encode_message(&message, &EncodeContext::default()).unwrap(), frame(5, &[0, 2, octet, 1]));
    }
    let none = DecodeContext::default();
    for bad in [&[0, 2, 1][..], &[0, 2, 1, 1, 0], &[0, 2, 2, 1, 9, 9]] {
        let whole = frame(5, bad);
        assert_eq!(refused(&whole, &none), (7, 1, whole.to_vec()), "the whole message comes back");
    }
    assert_eq!(refused(&frame(5, &[0, 2]), &none), (1, 2, vec![0, 21]));
    assert_eq!(refused(&frame(5, &[0, 2, 0]), &none), (1, 2, vec![0, 22]));
    assert_eq!(refused(&frame(5, &[0, 2, 0, 1, 1]), &none), (1, 2, vec![0, 24]), "ORF was not offered");
    assert!(read(&[0, 2, 7, 1, 1, 2, 3]).is_ok(), "an unknown subtype is to be ignored, whatever follows");
    let long = frame(5, &[&[0, 2, 1][..], &[0; 5000]].concat());
    assert_eq!(refused(&long, &extended()).2.len(), MAX_LEN - HEADER_LEN - 2, "cut to fit every session");
}

#[test]
fn notifications_in_words() {
    let raw =
        |code, subcode, data: &'static [u8]| Notification { code, subcode, data: Bytes::from_static(data) };
    let cases = [
        (raw(1, 2, b"\x10\x01"), "Message Header Error / Bad Message Length, data 0x1001"),
        (raw(2, 0, b""), "OPEN Message Error"),
        (raw(2, 2, b""), "OPEN Message Error / Bad Peer AS"),
        (raw(2, 99, b""), "OPEN Message Error / subcode 99"),
        (raw(3, 11, b""), "UPDATE Message Error / Malformed AS_PATH"),
        (raw(4, 0, b""), "Hold Timer Expired"),
        (raw(5, 3, b""), "Finite State Machine Error / Receive Unexpected Message in Established State"),
        (raw(6, 2, b"\x0bfibre works"), "Cease / Administrative Shutdown: \"fibre works\""),
        (raw(6, 4, b"\x02\xc3\xab"), "Cease / Administrative Reset: \"\u{eb}\""),
        (raw(6, 2, b"\x00"), "Cease / Administrative Shutdown, data 0x00"),
        // Not for a terminal: escape sequences, line breaks, right-to-left override.
        (raw(6, 2, b"\x07a\x1b[2J\n\""), "Cease / Administrative Shutdown: \"a\\u{1b}[2J\\n\\\"\""),
        (raw(6, 2, b"\x03\xe2\x80\xae"), "Cease / Administrative Shutdown: \"\\u{202e}\""),
        (raw(6, 2, b"\x02\xff\xff"), "Cease / Administrative Shutdown, data 0x02ffff"),
        (raw(6, 2, b"\x09short"), "Cease / Administrative Shutdown, data 0x0973686f7274"),
        (raw(6, 7, b""), "Cease / Connection Collision Resolution"),
        (raw(6, 9, b"\x06\x02\x02hi"), "Cease / Hard Reset (Cease / Administrative Shutdown: \"hi\")"),
        (raw(6, 9, b"\x04\x00"), "Cease / Hard Reset (Hold Timer Expired)"),
        (raw(6, 9, b"\x06"), "Cease / Hard Reset, data 0x06"),
        (raw(8, 0, b""), "Send Hold Timer Expired"),
        (raw(77, 3, b""), "error 77/3"),
        (
            raw(3, 1, &[0xab; 40]),
            "UPDATE Message Error / Malformed Attribute List, data 0xabababababababababababababababab… (40 octets)",
        ),
    ];
    for (notification, text) in cases {
        assert_eq!(notification.to_string(), text);
    }
}

/// RFC 9003 §2.
#[test]
fn shutdown_communications() {
    let shutdown = |text: &str| Notification::with_communication(ErrorSubcode::ADMINISTRATIVE_SHUTDOWN, text);
    assert_eq!(shutdown("hello").data, Bytes::from_static(b"\x05hello"));
    assert_eq!(shutdown("hello").communication(), Some("hello"));
    assert_eq!(shutdown(""), Notification::new(ErrorSubcode::ADMINISTRATIVE_SHUTDOWN));
    // 128 times two octets: cut at a character, not through one.
    let long = "ë".repeat(128);
    assert_eq!(shutdown(&long).communication(), Some("ë".repeat(127).as_str()));
    assert_eq!(Notification::new(ErrorSubcode::PEER_DECONFIGURED).communication(), None);
}

/// RFC 8538 §3.1.
#[test]
fn hard_resets() {
    let inner = Notification::with_communication(ErrorSubcode::ADMINISTRATIVE_RESET, "hi");
    let outer = Notification::hard_reset(&inner);
    assert!(outer.is(ErrorSubcode::HARD_RESET));
    assert_eq!(outer.enclosed(), Some(inner));
    assert_eq!(Notification::new(ErrorSubcode::HARD_RESET).enclosed(), None);
}

#[test]
fn notifications_keep_unknown_codes() {
    let message =
        Message::Notification(Notification { code: 200, subcode: 9, data: Bytes::from_static(b"x") });
    let bytes = encode_message(&message, &EncodeContext::default()).unwrap();
    assert_eq!(decode_message(&bytes, &DecodeContext::default()).unwrap(), message);
}
