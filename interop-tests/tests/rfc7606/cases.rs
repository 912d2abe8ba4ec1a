//! Every error that RFC 7606 and the documents of the attributes name, as bytes written by hand, and what has to
//! follow. docs/rfc7606.md is printed from this table.

use Expected::{Discard, Fine, Reset, Withdraw};
use Form::{Attribute, Body, Missing, Mp, Twice};
use Speaker::{External, Internal, TwoOctet};

/// Who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Speaker {
    External,
    Internal,
    /// External, and without four-octet AS numbers.
    TwoOctet,
}

/// Where the bytes stand in an UPDATE that is good otherwise. The prefix of the case is `P`.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// This attribute in place of the good one of its code; P in the NLRI field.
    Attribute(Vec<u8>),
    /// This one twice, beside ORIGIN, AS_PATH and NEXT_HOP; P in the NLRI field.
    Twice(Vec<u8>),
    /// Without the mandatory attribute of this code; P in the NLRI field.
    Missing(u8),
    /// This attribute in front of ORIGIN and AS_PATH, and no NLRI field. The octets of P, an IPv6 prefix, stand
    /// in place of `0xff, 0xff, 0xff` where these occur.
    Mp(Vec<u8>),
    /// A whole body.
    Body(Vec<u8>),
}

/// What has to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It is no error.
    Fine,
    /// Attribute discard (RFC 7606 §2): the route counts, without the attribute.
    Discard,
    /// Treat-as-withdraw: the route is gone, the session stays.
    Withdraw,
    /// UPDATE Message Error with this subcode and these data.
    Reset(u8, Vec<u8>),
}

pub(crate) struct Case {
    /// Where it is written.
    pub(crate) rule: &'static str,
    pub(crate) what: &'static str,
    pub(crate) speaker: Speaker,
    pub(crate) form: Form,
    pub(crate) expected: Expected,
}

/// 2001:db8::1.
const GLOBAL: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// Stands for the octets of P.
const P: [u8; 3] = [0xff; 3];

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add =
        |rule, what, speaker, form, expected| all.push(Case { rule, what, speaker, form, expected });
    for (rule, what, speaker, octets, expected) in attributes() {
        add(rule, what, speaker, Attribute(octets), expected);
    }
    for (rule, what, octets, expected) in multiprotocol() {
        add(rule, what, External, Mp(octets), expected);
    }
    for (rule, what, octets) in bodies() {
        let (octets, expected) = octets;
        add(rule, what, External, Body(octets), expected);
    }
    add("RFC 7606 §3 d", "no ORIGIN", External, Missing(1), Withdraw);
    add("RFC 7606 §3 d", "no AS_PATH", External, Missing(2), Withdraw);
    add("RFC 7606 §3 d", "no NEXT_HOP", External, Missing(3), Withdraw);
    add("RFC 7606 §3 g", "MULTI_EXIT_DISC twice", External, Twice(vec![0x80, 4, 4, 0, 0, 0, 1]), Discard);
    add("RFC 7606 §3 g", "COMMUNITIES twice", Internal, Twice(vec![0xc0, 8, 4, 0, 0, 0, 1]), Discard);
    add("RFC 7606 §3 g", "an unknown attribute twice", External, Twice(vec![0xc0, 99, 1, 7]), Discard);
    all
}

type AttributeCase = (&'static str, &'static str, Speaker, Vec<u8>, Expected);

fn attributes() -> Vec<AttributeCase> {
    let long = |code: u8, len: u8| [vec![0xc0, code, len], vec![1; usize::from(len)]].concat();
    vec![
        ("RFC 7606 §7.1", "ORIGIN of two octets", External, vec![0x40, 1, 2, 0, 0], Withdraw),
        ("RFC 7606 §7.1", "ORIGIN of none", External, vec![0x40, 1, 0], Withdraw),
        ("RFC 7606 §7.1", "ORIGIN 3", External, vec![0x40, 1, 1, 3], Withdraw),
        ("RFC 7606 §7.1", "ORIGIN 3", Internal, vec![0x40, 1, 1, 3], Withdraw),
        ("RFC 7606 §3 c", "ORIGIN optional", External, vec![0xc0, 1, 1, 0], Withdraw),
        ("RFC 7606 §3 c", "ORIGIN not transitive", External, vec![0x00, 1, 1, 0], Withdraw),
        ("RFC 7606 §3 c", "ORIGIN partial", External, vec![0x60, 1, 1, 0], Fine),
        ("RFC 4271 §4.3", "ORIGIN with Extended Length", External, vec![0x50, 1, 0, 1, 2], Fine),
        ("RFC 7606 §7.2", "AS_PATH, segment type 5", External, vec![0x40, 2, 6, 5, 1, 0, 0, 0, 1], Withdraw),
        (
            "RFC 7606 §7.2",
            "AS_PATH, segment overruns",
            External,
            vec![0x40, 2, 6, 2, 2, 0, 0, 0, 1],
            Withdraw,
        ),
        (
            "RFC 7606 §7.2",
            "AS_PATH, one octet left",
            External,
            vec![0x40, 2, 7, 2, 1, 0, 0, 0, 1, 2],
            Withdraw,
        ),
        ("RFC 7606 §7.2", "AS_PATH, segment of length 0", External, vec![0x40, 2, 2, 2, 0], Withdraw),
        ("RFC 7606 §7.2", "AS_PATH, segment of length 0", Internal, vec![0x40, 2, 2, 2, 0], Withdraw),
        ("RFC 7606 §7.2", "AS_PATH in four octets", TwoOctet, vec![0x40, 2, 6, 2, 1, 0, 0, 0, 1], Withdraw),
        ("RFC 7607 §2", "AS_PATH with AS 0", External, vec![0x40, 2, 6, 2, 1, 0, 0, 0, 0], Withdraw),
        (
            "RFC 5065 §4",
            "AS_PATH with a confederation",
            External,
            vec![0x40, 2, 6, 3, 1, 0, 0, 0, 1],
            Withdraw,
        ),
        ("RFC 7606 §3 c", "AS_PATH optional", External, vec![0xc0, 2, 0], Withdraw),
        ("RFC 7606 §7.3", "NEXT_HOP of five octets", External, vec![0x40, 3, 5, 10, 9, 0, 10, 0], Withdraw),
        ("RFC 7606 §7.3", "NEXT_HOP of none", External, vec![0x40, 3, 0], Withdraw),
        ("RFC 4271 §6.3", "NEXT_HOP 0.0.0.0", External, vec![0x40, 3, 4, 0, 0, 0, 0], Withdraw),
        ("RFC 4271 §6.3", "NEXT_HOP multicast", External, vec![0x40, 3, 4, 224, 0, 0, 1], Withdraw),
        ("RFC 7606 §3 c", "NEXT_HOP optional", External, vec![0x80, 3, 4, 10, 9, 0, 10], Withdraw),
        ("RFC 7606 §7.4", "MULTI_EXIT_DISC of three octets", External, vec![0x80, 4, 3, 0, 0, 0], Withdraw),
        ("RFC 7606 §7.4", "MULTI_EXIT_DISC of none", Internal, vec![0x80, 4, 0], Withdraw),
        ("RFC 7606 §3 c", "MULTI_EXIT_DISC transitive", External, vec![0xc0, 4, 4, 0, 0, 0, 1], Withdraw),
        ("RFC 7606 §7.5", "LOCAL_PREF from outside", External, vec![0x40, 5, 4, 0, 0, 0, 1], Discard),
        ("RFC 7606 §7.5", "LOCAL_PREF of one octet from outside", External, vec![0x40, 5, 1, 0], Discard),
        ("RFC 7606 §7.5", "LOCAL_PREF of five octets", Internal, vec![0x40, 5, 5, 0, 0, 0, 0, 1], Withdraw),
        ("RFC 7606 §7.5", "LOCAL_PREF", Internal, vec![0x40, 5, 4, 0, 0, 0, 1], Fine),
        ("RFC 7606 §7.6", "ATOMIC_AGGREGATE of one octet", External, vec![0x40, 6, 1, 0], Discard),
        ("RFC 7606 §3 c", "ATOMIC_AGGREGATE optional", External, vec![0xc0, 6, 0], Withdraw),
        ("RFC 7606 §7.7", "AGGREGATOR of six octets", External, long(7, 6), Discard),
        ("RFC 7606 §7.7", "AGGREGATOR of eight octets", TwoOctet, long(7, 8), Discard),
        ("RFC 7607 §2", "AGGREGATOR of AS 0", External, vec![0xc0, 7, 8, 0, 0, 0, 0, 192, 0, 2, 1], Discard),
        (
            "RFC 7606 §3 c",
            "AGGREGATOR well-known",
            External,
            vec![0x40, 7, 8, 0, 0, 0, 1, 1, 1, 1, 1],
            Withdraw,
        ),
        ("RFC 7606 §7.8", "COMMUNITIES of five octets", External, long(8, 5), Withdraw),
        ("RFC 7606 §7.8", "COMMUNITIES of none", External, vec![0xc0, 8, 0], Withdraw),
        ("RFC 7606 §3 c", "COMMUNITIES not transitive", External, vec![0x80, 8, 4, 0, 0, 0, 1], Withdraw),
        ("RFC 7606 §7.9", "ORIGINATOR_ID from outside", External, vec![0x80, 9, 4, 192, 0, 2, 9], Discard),
        ("RFC 7606 §7.9", "ORIGINATOR_ID of three octets", Internal, vec![0x80, 9, 3, 192, 0, 2], Withdraw),
        ("RFC 7606 §7.10", "CLUSTER_LIST from outside", External, vec![0x80, 10, 4, 192, 0, 2, 9], Discard),
        (
            "RFC 7606 §7.10",
            "CLUSTER_LIST of six octets",
            Internal,
            vec![0x80, 10, 6, 1, 1, 1, 1, 1, 1],
            Withdraw,
        ),
        ("RFC 7606 §7.10", "CLUSTER_LIST of none", Internal, vec![0x80, 10, 0], Withdraw),
        ("RFC 7606 §7.14", "EXTENDED COMMUNITIES of nine octets", External, long(16, 9), Withdraw),
        ("RFC 7606 §7.14", "EXTENDED COMMUNITIES of none", External, vec![0xc0, 16, 0], Withdraw),
        (
            "RFC 7606 §7.14",
            "EXTENDED COMMUNITIES of an unknown type",
            External,
            [vec![0xc0, 16, 8], vec![0xfe; 8]].concat(),
            Fine,
        ),
        (
            "RFC 6793 §6",
            "AS4_PATH from a four-octet speaker",
            External,
            vec![0xc0, 17, 6, 2, 1, 0, 1, 0, 0],
            Discard,
        ),
        ("RFC 6793 §6", "AS4_PATH, segment overruns", TwoOctet, vec![0xc0, 17, 6, 2, 2, 0, 1, 0, 0], Discard),
        ("RFC 6793 §6", "AS4_PATH, segment type 9", TwoOctet, vec![0xc0, 17, 6, 9, 1, 0, 1, 0, 0], Discard),
        ("RFC 6793 §6", "AS4_PATH, segment of length 0", TwoOctet, vec![0xc0, 17, 2, 2, 0], Discard),
        ("RFC 6793 §6", "AS4_PATH of none", TwoOctet, vec![0xc0, 17, 0], Discard),
        ("RFC 6793 §6", "AS4_AGGREGATOR from a four-octet speaker", External, long(18, 8), Discard),
        ("RFC 6793 §6", "AS4_AGGREGATOR of six octets", TwoOctet, long(18, 6), Discard),
        ("RFC 8092 §6", "LARGE_COMMUNITY of thirteen octets", External, long(32, 13), Withdraw),
        ("RFC 8092 §6", "LARGE_COMMUNITY of none", External, vec![0xc0, 32, 0], Withdraw),
        ("RFC 9234 §5", "ONLY_TO_CUSTOMER of two octets", External, vec![0xc0, 35, 2, 0xfd, 0xe9], Withdraw),
        ("RFC 9234 §5", "ONLY_TO_CUSTOMER of none", External, vec![0xc0, 35, 0], Withdraw),
        ("RFC 4271 §5", "unknown, optional and transitive", External, vec![0xc0, 99, 1, 7], Fine),
        ("RFC 4271 §5", "unknown, optional, not transitive", External, vec![0x80, 99, 1, 7], Fine),
        (
            "RFC 4271 §6.3",
            "unknown, well-known",
            External,
            vec![0x40, 99, 1, 7],
            Reset(2, vec![0x40, 99, 1, 7]),
        ),
        ("RFC 7606 §4", "the value overruns the list", External, vec![0x80, 4, 5, 0, 0, 0, 1], Withdraw),
        ("RFC 7606 §4", "one octet of a header at the end", External, vec![0xc0, 99], Withdraw),
        (
            "RFC 7606 §3 j",
            "MP_UNREACH_NLRI overruns the list",
            External,
            vec![0x80, 15, 4, 0, 2, 1],
            Reset(1, vec![]),
        ),
        (
            "RFC 7606 §3 j",
            "MP_REACH_NLRI overruns the list",
            External,
            vec![0x80, 14, 9, 0, 2, 1],
            Reset(1, vec![]),
        ),
    ]
}

/// MP_REACH_NLRI of IPv6 unicast with this next hop and these octets of NLRI.
fn reach(flags: u8, next_hop: &[u8], nlri: &[u8]) -> Vec<u8> {
    let value = [&[0, 2, 1, octet(next_hop.len())], next_hop, &[0], nlri].concat();
    [&[flags, 14, octet(value.len())], value.as_slice()].concat()
}

fn octet(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

fn multiprotocol() -> Vec<(&'static str, &'static str, Vec<u8>, Expected)> {
    let reset = |octets: Vec<u8>| (octets.clone(), Reset(9, octets));
    let named = |rule, what, (octets, expected)| (rule, what, octets, expected);
    let of = |next_hop: &[u8]| reset(reach(0x80, next_hop, &[0]));
    let twice = [vec![0x80, 15, 3, 0, 2, 1], vec![0x80, 15, 3, 0, 2, 1]].concat();
    vec![
        named("RFC 7606 §7.11", "MP_REACH_NLRI, next hop of 4 octets", of(&[192, 0, 2, 1])),
        named("RFC 7606 §7.11", "MP_REACH_NLRI, next hop of 15 octets", of(&GLOBAL[..15])),
        named("RFC 7606 §7.11", "MP_REACH_NLRI, next hop of 24 octets", of(&[&GLOBAL[..], &[0; 8]].concat())),
        named(
            "RFC 7606 §7.11",
            "MP_REACH_NLRI, next hop overruns",
            reset(vec![0x80, 14, 6, 0, 2, 1, 16, 1, 1]),
        ),
        named("RFC 7606 §7.11", "MP_REACH_NLRI of none", reset(vec![0x80, 14, 0])),
        named("RFC 7606 §5.3", "MP_REACH_NLRI, prefix length 129", reset(reach(0x80, &GLOBAL, &[129]))),
        named("RFC 7606 §5.3", "MP_REACH_NLRI, prefix overruns", reset(reach(0x80, &GLOBAL, &[64, 0x20]))),
        named("RFC 7606 §7.12", "MP_UNREACH_NLRI of none", reset(vec![0x80, 15, 0])),
        named("RFC 7606 §5.3", "MP_UNREACH_NLRI, prefix length 130", reset(vec![0x80, 15, 4, 0, 2, 1, 130])),
        ("RFC 7606 §3 g", "MP_UNREACH_NLRI twice", twice, Reset(1, vec![])),
        ("RFC 7606 §3 c", "MP_REACH_NLRI transitive", reach(0xc0, &GLOBAL, &P), Withdraw),
        ("RFC 4271 §6.3", "MP_REACH_NLRI, next hop ::", reach(0x80, &[0; 16], &P), Withdraw),
        (
            "RFC 4271 §6.3",
            "MP_REACH_NLRI, next hop ff02::1",
            reach(0x80, &[&[0xff, 2][..], &[0; 13], &[1]].concat(), &P),
            Withdraw,
        ),
        (
            "RFC 4760 §6",
            "MP_REACH_NLRI of a family that was not offered",
            vec![0x80, 14, 9, 0, 1, 128, 2, 9, 9, 0, 255, 200],
            Fine,
        ),
    ]
}

type BodyCase = (&'static str, &'static str, (Vec<u8>, Expected));

fn bodies() -> Vec<BodyCase> {
    let mandatory: &[u8] = &[0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9, 0x40, 3, 4, 10, 9, 0, 10];
    let with = |nlri: &[u8]| {
        let len = u16::try_from(mandatory.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[0, 0][..], &len, mandatory, nlri].concat()
    };
    vec![
        (
            "RFC 7606 §3 a",
            "the attributes overrun the message",
            (vec![0, 0, 0, 9, 0x40, 1, 1, 0], Reset(1, vec![])),
        ),
        ("RFC 7606 §3 a", "the withdrawn routes overrun the message", (vec![0, 5, 0, 0], Reset(1, vec![]))),
        ("RFC 7606 §5.3", "NLRI, prefix length 33", (with(&[33, 10, 0, 0, 0, 0]), Reset(10, vec![]))),
        ("RFC 7606 §5.3", "NLRI, prefix overruns", (with(&[24, 10, 0]), Reset(10, vec![]))),
        (
            "RFC 7606 §5.3",
            "withdrawn routes, prefix length 33",
            (vec![0, 6, 33, 10, 0, 0, 0, 0, 0, 0], Reset(10, vec![])),
        ),
        (
            "RFC 7606 §5.2",
            "a malformed ORIGIN and no routes",
            (vec![0, 0, 0, 4, 0x40, 1, 1, 7], Reset(6, vec![0x40, 1, 1, 7])),
        ),
        (
            "RFC 7606 §5.2",
            "a malformed MULTI_EXIT_DISC beside a withdrawal only",
            (vec![0, 2, 8, 10, 0, 4, 0x80, 4, 1, 0], Reset(5, vec![0x80, 4, 1, 0])),
        ),
    ]
}
