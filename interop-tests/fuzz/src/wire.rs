//! Bytes of a peer. Whatever they are they become a value or an error that can be sent, and a value says the
//! same again when it is written and read once more.

use std::collections::BTreeMap;

use bgp::wire::{
    AsPath, DecodeContext, DecodedUpdate, EncodeContext, HEADER_LEN, MAX_LEN_EXTENDED, Message, Segment,
    Update, decode_message, encode_message, frame_len,
};
use bgp::{AfiSafi, Nlri, PeerKind};
use bytes::{BufMut, Bytes, BytesMut};

/// OPEN, UPDATE, NOTIFICATION, KEEPALIVE and ROUTE-REFRESH (RFC 4271 §4.1, RFC 2918).
pub const OPEN: u8 = 1;
#[allow(missing_docs)]
pub const UPDATE: u8 = 2;

/// What an UPDATE of an attribute's target carries beside it: ORIGIN, AS_PATH in both widths, NEXT_HOP.
const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9];
const AS_PATH_TWO_OCTET: &[u8] = &[0x40, 2, 4, 2, 1, 0xfd, 0xe9];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 192, 0, 2, 1];

/// The first octet says what was negotiated; the rest is the body of one message of type `kind`.
pub fn message(kind: u8, data: &[u8]) {
    let Some((&options, body)) = data.split_first() else { return };
    if body.len() <= MAX_LEN_EXTENDED - HEADER_LEN {
        judge(&frame(kind, body), &context(options));
    }
}

/// One attribute: the first octet says what was negotiated, the second is XORed onto its right flags, the rest
/// is its value. It stands in an otherwise good UPDATE.
pub fn attribute(code: u8, flags: u8, data: &[u8]) {
    let [options, wrong, value @ ..] = data else { return };
    if value.len() > 60_000 {
        return;
    }
    let context = context(*options);
    let mut list = Vec::new();
    let path = if context.four_octet_as { AS_PATH } else { AS_PATH_TWO_OCTET };
    for good in [ORIGIN, path, NEXT_HOP] {
        if good[1] != code {
            list.extend_from_slice(good);
        }
    }
    let flags = (flags ^ wrong) & !0x10;
    match u8::try_from(value.len()) {
        Ok(len) => list.extend([flags, code, len]),
        Err(_) => {
            list.extend([flags | 0x10, code]);
            list.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    list.extend_from_slice(value);
    let mut body = BytesMut::new();
    body.put_u16(0);
    body.put_u16(u16::try_from(list.len()).expect("below 60100"));
    body.put_slice(&list);
    if !matches!(code, 14 | 15) {
        if context.add_path_receive.contains(&AfiSafi::IPV4_UNICAST) {
            body.put_u32(7);
        }
        body.put_slice(&[8, 10]);
    }
    judge(&frame(UPDATE, &body), &context);
}

/// A list of capabilities in an otherwise good OPEN, in the form of RFC 5492 or RFC 9072.
pub fn capabilities(data: &[u8]) {
    let mut body = vec![4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 1];
    match u8::try_from(data.len() + 2) {
        Ok(len) => body.extend([len, 2, len - 2]),
        Err(_) => {
            let Ok(len) = u16::try_from(data.len() + 3) else { return };
            body.extend([255, 255]);
            body.extend(len.to_be_bytes());
            body.push(2);
            body.extend((len - 3).to_be_bytes());
        }
    }
    body.extend_from_slice(data);
    if body.len() <= MAX_LEN_EXTENDED - HEADER_LEN {
        judge(&frame(OPEN, &body), &DecodeContext::default());
    }
}

/// A whole stream: framing ends, and never claims what is not there.
pub fn stream(data: &[u8]) {
    let Some((&options, rest)) = data.split_first() else { return };
    let context = context(options);
    let mut rest = Bytes::copy_from_slice(rest);
    while let Ok(Some(len)) = frame_len(&rest, &context) {
        assert!((HEADER_LEN..=MAX_LEN_EXTENDED).contains(&len));
        if len > rest.len() {
            return;
        }
        judge(&rest.split_to(len), &context);
    }
}

/// What was negotiated, one bit each.
pub fn context(options: u8) -> DecodeContext {
    let mut add_path_receive = Vec::new();
    if options & 8 != 0 {
        add_path_receive.push(AfiSafi::IPV4_UNICAST);
    }
    if options & 16 != 0 {
        add_path_receive.push(AfiSafi::IPV6_UNICAST);
    }
    DecodeContext {
        four_octet_as: options & 1 == 0,
        extended_message: options & 2 == 0,
        kind: if options & 4 == 0 { PeerKind::Ebgp } else { PeerKind::Ibgp },
        add_path_receive,
    }
}

/// Puts a header before a body.
pub fn frame(kind: u8, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_bytes(0xff, 16);
    frame.put_u16(u16::try_from(HEADER_LEN + body.len()).unwrap_or(u16::MAX));
    frame.put_u8(kind);
    frame.put_slice(body);
    frame.freeze()
}

fn judge(frame: &Bytes, context: &DecodeContext) {
    match decode_message(frame, context) {
        Err(error) => {
            assert!(!error.reason.is_empty() && error.reason.len() < 250, "{}", error.reason);
            let bytes = encode_message(&Message::Notification(error.notification), &EncodeContext::default());
            assert!(bytes.is_ok(), "the NOTIFICATION fits every session");
        }
        Ok(message) => comes_back(message, frame, context),
    }
}

/// Written and read again it means the same, and is then written the same.
fn comes_back(mut message: Message, frame: &Bytes, context: &DecodeContext) {
    let encode = EncodeContext {
        four_octet_as: context.four_octet_as,
        add_path_send: context.add_path_receive.clone(),
        extended_message: context.extended_message,
    };
    if let Message::Update(decoded) = &mut message {
        makes_sense(decoded, frame.len());
        let update = &mut decoded.update;
        // Only families that nobody here routes, which is nothing, and nothing is written as End-of-RIB; or
        // segments that have no place beside AS4_PATH (RFC 6793 §4.2.2).
        if *update == Update::default()
            || !context.four_octet_as && update.attributes.as_path.0.iter().any(Segment::is_confederation)
        {
            return;
        }
        decoded.errors.clear();
    }
    // Too long, where AS4_PATH comes on top or where many empty capabilities are packed.
    let Ok(once) = encode_message(&message, &encode) else { return };
    let again = decode_message(&once, context).expect("what we write ourselves");
    assert_eq!(normal(&again), normal(&message));
    assert_eq!(encode_message(&again, &encode).as_ref(), Ok(&once));
}

fn makes_sense(decoded: &DecodedUpdate, len: usize) {
    let DecodedUpdate { update, errors } = decoded;
    // 17 known attributes, one report each for its value, its absence and its repetition at most; and 239
    // unknown ones.
    assert!(errors.len() <= 3 * 256, "{} reports", errors.len());
    for error in errors {
        assert!(!error.reason.is_empty() && error.reason.len() < 250, "{}", error.reason);
    }
    let reached = update.reach.iter().map(|reach| reach.nlri.len()).sum::<usize>();
    let lost = update.unreach.iter().map(|unreach| unreach.nlri.len()).sum::<usize>();
    assert!(reached + lost <= len, "no more prefixes than octets");
    assert!(update.end_of_rib.is_none() || reached + lost == 0 && errors.is_empty());
    for reach in &update.reach {
        assert!(reach.family.is_supported() && !reach.nlri.is_empty());
        assert!(reach.nlri.iter().all(|nlri| nlri.prefix == nlri.prefix.trunc()));
        assert!(reach.nlri.iter().all(|nlri| AfiSafi::of(&nlri.prefix) == reach.family));
    }
    for path in [&update.attributes.as_path] {
        assert!(path.0.len() <= len && path.to_string().len() <= len * 12);
        assert!(AsPath::clone(path) == *path);
    }
}

/// A message but for the freedom that its form leaves: in how many fields withdrawals stand.
fn normal(message: &Message) -> (Message, BTreeMap<String, Vec<Nlri>>) {
    let mut message = message.clone();
    let mut unreach = BTreeMap::<String, Vec<Nlri>>::new();
    if let Message::Update(decoded) = &mut message {
        for withdrawn in std::mem::take(&mut decoded.update.unreach) {
            unreach.entry(withdrawn.family.to_string()).or_default().extend(withdrawn.nlri);
        }
    }
    (message, unreach)
}
