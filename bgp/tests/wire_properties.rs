//! The codec against arbitrary values and arbitrary bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod wire_strategy;

use bgp::wire::{
    Community, DecodeContext, EncodeContext, HEADER_LEN, MAX_LEN, MAX_LEN_EXTENDED, Message, NextHop,
    PathAttributes, RawAttribute, Segment, decode_message, encode_end_of_rib, encode_message, encode_reach,
    encode_unreach, frame_len,
};
use bgp::{AfiSafi, Asn, Nlri};
use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use proptest::sample::Index;
use wire_strategy::{as_path, attributes, context, encode_context, message, nlri, v4_next_hop, v6_next_hop};

fn max(context: &DecodeContext) -> usize {
    if context.extended_message { MAX_LEN_EXTENDED } else { MAX_LEN }
}

/// One family with a next hop that it can have, and prefixes enough for several messages.
fn routes() -> impl Strategy<Value = (DecodeContext, AfiSafi, PathAttributes, Vec<Nlri>)> {
    let next_hop = prop_oneof![
        v4_next_hop().prop_map(|next_hop| (AfiSafi::IPV4_UNICAST, next_hop)),
        v6_next_hop().prop_map(|next_hop| (AfiSafi::IPV4_UNICAST, next_hop)),
        v6_next_hop().prop_map(|next_hop| (AfiSafi::IPV6_UNICAST, next_hop)),
    ];
    (context(), next_hop).prop_flat_map(|(context, (family, next_hop))| {
        let nlri = nlri(&context, family, 0..3000);
        (attributes(&context), nlri).prop_map(move |(attributes, nlri)| {
            let attributes = PathAttributes { next_hop: Some(next_hop), ..attributes };
            (context.clone(), family, attributes, nlri)
        })
    })
}

/// Changes one place: flips bits, cuts octets out, or puts some in.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Cut(Index, usize),
    Insert(Index, Vec<u8>),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let one = prop_oneof![
        4 => (any::<Index>(), 1..=255u8).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        1 => (any::<Index>(), 1..20usize).prop_map(|(at, len)| Mutation::Cut(at, len)),
        1 => (any::<Index>(), proptest::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, new)| Mutation::Insert(at, new)),
    ];
    proptest::collection::vec(one, 1..4)
}

/// The header stays, its length is set right, so that the mutation reaches the body.
fn mutated(frame: &Bytes, mutations: &[Mutation]) -> Bytes {
    let mut body = frame[HEADER_LEN..].to_vec();
    for mutation in mutations {
        match mutation {
            Mutation::Flip(at, bits) if !body.is_empty() => {
                let at = at.index(body.len());
                body[at] ^= bits;
            }
            Mutation::Flip(..) => {}
            Mutation::Cut(at, len) => {
                let at = at.index(body.len() + 1);
                body.drain(at..body.len().min(at + len));
            }
            Mutation::Insert(at, new) => {
                let at = at.index(body.len() + 1);
                body.splice(at..at, new.iter().copied());
            }
        }
    }
    framed(frame[18], &body)
}

fn framed(kind: u8, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_bytes(0xff, 16);
    frame.put_u16(u16::try_from(HEADER_LEN + body.len()).unwrap());
    frame.put_u8(kind);
    frame.put_slice(body);
    frame.freeze()
}

/// What holds of any bytes: a value or an error that can be sent.
fn is_total(frame: &Bytes, context: &DecodeContext) -> Result<(), TestCaseError> {
    match decode_message(frame, context) {
        Ok(Message::Update(decoded)) => {
            for error in &decoded.errors {
                prop_assert!(!error.reason.is_empty() && error.reason.len() < 200, "{}", error.reason);
            }
            for reach in &decoded.update.reach {
                prop_assert!(!reach.nlri.is_empty());
                prop_assert!(reach.nlri.iter().all(|nlri| nlri.prefix == nlri.prefix.trunc()));
            }
        }
        Ok(_) => {}
        Err(error) => {
            prop_assert!(!error.reason.is_empty() && error.reason.len() < 200, "{}", error.reason);
            let bytes = encode_message(&Message::Notification(error.notification), &Default::default());
            prop_assert!(bytes.is_ok(), "the NOTIFICATION fits every session");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_message_comes_back(
        (context, message) in context().prop_flat_map(|context| (Just(context.clone()), message(&context))),
    ) {
        let Ok(bytes) = encode_message(&message, &encode_context(&context)) else {
            return Ok(()); // too long for this session
        };
        prop_assert_eq!(frame_len(&bytes, &context), Ok(Some(bytes.len())));
        prop_assert_eq!(decode_message(&bytes, &context), Ok(message));
    }

    #[test]
    fn bytes_give_a_value_or_an_error(
        context in context(),
        kind in 0..8u8,
        body in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        is_total(&framed(kind, &body), &context)?;
        is_total(&Bytes::from(body), &context)?;
    }

    #[test]
    fn mutated_messages_give_a_value_or_an_error(
        (context, message) in context().prop_flat_map(|context| (Just(context.clone()), message(&context))),
        mutations in mutations(),
    ) {
        if let Ok(bytes) = encode_message(&message, &encode_context(&context)) && bytes.len() < 60_000 {
            is_total(&mutated(&bytes, &mutations), &context)?;
        }
    }

    #[test]
    fn prepending_adds_one(path in as_path(true), asn in 1..=u32::MAX) {
        let mut longer = path.clone();
        longer.prepend(Asn(asn));
        prop_assert_eq!(longer.length(), path.length() + 1);
        prop_assert_eq!(longer.neighbor(), Some(Asn(asn)));
        prop_assert_eq!(longer.count(Asn(asn)), path.count(Asn(asn)) + 1);
    }

    /// What was understood of mutated bytes can be said again, and is then understood the same.
    #[test]
    fn what_is_understood_is_stable(
        (context, message) in context().prop_flat_map(|context| (Just(context.clone()), message(&context))),
        mutations in mutations(),
    ) {
        let encode = encode_context(&context);
        let Ok(bytes) = encode_message(&message, &encode) else { return Ok(()) };
        prop_assume!(bytes.len() < 60_000);
        let Ok(Message::Update(mut first)) = decode_message(&mutated(&bytes, &mutations), &context) else {
            return Ok(());
        };
        first.errors.clear();
        // One of our UPDATEs has one MP_REACH_NLRI and one next hop in it; withdrawals may stand apart.
        let update = &mut first.update;
        if *update == Default::default() || update.reach.is_empty() {
            return Ok(());
        }
        // Confederation segments do not survive beside AS4_PATH (RFC 6793 §4.2.2).
        if !context.four_octet_as && update.attributes.as_path.0.iter().any(Segment::is_confederation) {
            return Ok(());
        }
        update.unreach.clear();
        let Ok(again) = encode_message(&Message::Update(first.clone()), &encode) else { return Ok(()) };
        prop_assert_eq!(decode_message(&again, &context), Ok(Message::Update(first)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn packed_routes_come_back_in_order((context, family, attributes, nlri) in routes()) {
        let messages = encode_reach(family, &attributes, &nlri, &encode_context(&context));
        let mut seen = Vec::new();
        for message in &messages {
            prop_assert!(message.len() <= max(&context));
            let Ok(Message::Update(decoded)) = decode_message(message, &context) else {
                return Err(TestCaseError::fail("not an UPDATE"));
            };
            prop_assert_eq!(&decoded.errors, &[]);
            let [reach] = &decoded.update.reach[..] else { return Err(TestCaseError::fail("not one reach")) };
            prop_assert_eq!(reach.family, family);
            prop_assert_eq!(Some(reach.next_hop), attributes.next_hop);
            prop_assert_eq!(&decoded.update.attributes, &PathAttributes { next_hop: None, ..attributes.clone() });
            seen.extend_from_slice(&reach.nlri);
        }
        if messages.is_empty() {
            // Then a long prefix would not have fit: extended, the first alone comes close to the limit.
            prop_assert!(nlri.is_empty() || !context.extended_message);
            let extended = EncodeContext { extended_message: true, ..encode_context(&context) };
            for message in encode_reach(family, &attributes, &nlri[..nlri.len().min(1)], &extended) {
                prop_assert!(message.len() + 21 + 1 > MAX_LEN, "{} octets", message.len());
            }
        } else {
            prop_assert_eq!(&seen, &nlri);
        }
        // As few as fit: no message has room for the longest prefix, but the last.
        for message in messages.iter().rev().skip(1) {
            prop_assert!(message.len() + 21 + 1 > max(&context), "{} octets", message.len());
        }
    }

    #[test]
    fn packed_withdrawals_come_back_in_order((context, family, _, nlri) in routes()) {
        let messages = encode_unreach(family, &nlri, &encode_context(&context));
        let mut seen = Vec::new();
        for message in &messages {
            prop_assert!(message.len() <= max(&context));
            let Ok(Message::Update(decoded)) = decode_message(message, &context) else {
                return Err(TestCaseError::fail("not an UPDATE"));
            };
            prop_assert_eq!(&decoded.errors, &[]);
            prop_assert!(decoded.update.reach.is_empty() && decoded.update.end_of_rib.is_none());
            let [unreach] = &decoded.update.unreach[..] else { return Err(TestCaseError::fail("not one")) };
            prop_assert_eq!(unreach.family, family);
            seen.extend_from_slice(&unreach.nlri);
        }
        prop_assert_eq!(&seen, &nlri);
        for message in messages.iter().rev().skip(1) {
            prop_assert!(message.len() + 21 + 1 > max(&context), "{} octets", message.len());
        }
    }
}

#[test]
fn nothing_to_say_is_no_message() {
    let (attributes, context) = (PathAttributes::default(), Default::default());
    let next_hop = Some(NextHop::V4([192, 0, 2, 1].into()));
    let with_next_hop = PathAttributes { next_hop, ..attributes.clone() };
    let nlri = [Nlri::from("10.0.0.0/8".parse::<ipnet::IpNet>().unwrap())];
    assert!(encode_reach(AfiSafi::IPV4_UNICAST, &with_next_hop, &[], &context).is_empty());
    assert!(encode_reach(AfiSafi::IPV4_UNICAST, &attributes, &nlri, &context).is_empty(), "no next hop");
    assert!(encode_reach(AfiSafi::IPV6_UNICAST, &with_next_hop, &nlri, &context).is_empty(), "other family");
    assert_eq!(encode_reach(AfiSafi::IPV4_UNICAST, &with_next_hop, &nlri, &context).len(), 1);
    assert!(encode_unreach(AfiSafi::IPV6_UNICAST, &[], &context).is_empty());
}

/// Attributes that fill the message but for less than a prefix, octet by octet.
#[test]
fn attributes_without_room_for_a_prefix_are_no_message() {
    let nlri = [Nlri::from("10.0.0.0/8".parse::<ipnet::IpNet>().unwrap())];
    // 23 fixed, ORIGIN 4, AS_PATH 3, NEXT_HOP 7, header of the filler 4: 41.
    for (filler, messages) in [(4096 - 41 - 5, 1), (4096 - 41 - 4, 0), (4096, 0), (70_000, 0)] {
        let attributes = PathAttributes {
            next_hop: Some(NextHop::V4([192, 0, 2, 1].into())),
            unknown: vec![RawAttribute { flags: 0xe0, code: 99, value: vec![0; filler].into() }],
            ..PathAttributes::default()
        };
        let encoded = encode_reach(AfiSafi::IPV4_UNICAST, &attributes, &nlri, &Default::default());
        assert_eq!(encoded.len(), messages, "{filler}");
    }
}

#[test]
fn end_of_rib_comes_back() {
    for family in AfiSafi::ALL {
        let Ok(Message::Update(decoded)) =
            decode_message(&encode_end_of_rib(family), &DecodeContext::default())
        else {
            panic!("{family}")
        };
        assert_eq!(decoded.update.end_of_rib, Some(family));
    }
    assert_eq!(encode_end_of_rib(AfiSafi::IPV4_UNICAST).len(), 23);
    assert_eq!(encode_end_of_rib(AfiSafi::IPV6_UNICAST).len(), 29);
}

/// RFC 7606 §5.1 for MP_REACH_NLRI, RFC 4271 §5 for the others; Extended Length where it is needed.
#[test]
fn attributes_in_order() {
    let raw = |code, len| RawAttribute { flags: 0xf0, code, value: vec![0; len].into() };
    let attributes = PathAttributes {
        next_hop: Some("2001:db8::1".parse::<std::net::IpAddr>().unwrap().into()),
        med: Some(1),
        communities: vec![Community(1)],
        unknown: vec![raw(11, 255), raw(99, 256)],
        ..PathAttributes::default()
    };
    let nlri = [Nlri::from("2001:db8::/32".parse::<ipnet::IpNet>().unwrap())];
    let message = &encode_reach(AfiSafi::IPV6_UNICAST, &attributes, &nlri, &Default::default())[0];
    let mut rest = &message[HEADER_LEN + 4..];
    let mut seen = Vec::new();
    while let [flags, code, after @ ..] = rest {
        let is_long = flags & 0x10 != 0;
        let len = if is_long { usize::from(after[0]) << 8 | usize::from(after[1]) } else { after[0].into() };
        seen.push((*code, is_long));
        rest = &after[if is_long { 2 } else { 1 } + len..];
    }
    let expected = [(14, false), (1, false), (2, false), (4, false), (8, false), (11, false), (99, true)];
    assert_eq!(seen, expected);
}

/// An IPv4 next hop for IPv6 prefixes goes out as an IPv4-mapped address.
#[test]
fn ipv6_through_an_ipv4_next_hop() {
    let next_hop = Some(NextHop::V4([192, 0, 2, 1].into()));
    let attributes = PathAttributes { next_hop, ..PathAttributes::default() };
    let nlri = [Nlri::from("2001:db8::/32".parse::<ipnet::IpNet>().unwrap())];
    let encoded = encode_reach(AfiSafi::IPV6_UNICAST, &attributes, &nlri, &Default::default());
    let Ok(Message::Update(decoded)) = decode_message(&encoded[0], &DecodeContext::default()) else {
        panic!()
    };
    assert_eq!(decoded.update.reach[0].next_hop.to_string(), "::ffff:192.0.2.1");
}
