//! Text forms, and the questions that the decision process asks of a path.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use bgp::wire::{AsPath, Community, ExtendedCommunity, LargeCommunity, NextHop, Segment};
use bgp::{Asn, Nlri};
use proptest::prelude::*;

fn sequence(asns: &[u32]) -> Segment {
    Segment::Sequence(asns.iter().copied().map(Asn).collect())
}

fn set(asns: &[u32]) -> Segment {
    Segment::Set(asns.iter().copied().map(Asn).collect())
}

fn confed_sequence(asns: &[u32]) -> Segment {
    Segment::ConfedSequence(asns.iter().copied().map(Asn).collect())
}

fn confed_set(asns: &[u32]) -> Segment {
    Segment::ConfedSet(asns.iter().copied().map(Asn).collect())
}

#[test]
fn paths() {
    // (segments, text, length, neighbor, origin)
    type Case = (Vec<Segment>, &'static str, usize, Option<u32>, Option<u32>);
    let cases: Vec<Case> = vec![
        (vec![], "", 0, None, None),
        (vec![sequence(&[65001])], "65001", 1, Some(65001), Some(65001)),
        (vec![sequence(&[65001, 64512]), set(&[1, 2])], "65001 64512 {1 2}", 3, Some(65001), None),
        (vec![set(&[1, 2]), sequence(&[3])], "{1 2} 3", 2, None, Some(3)),
        (vec![confed_sequence(&[8, 9]), sequence(&[3, 4])], "(8 9) 3 4", 2, Some(3), Some(4)),
        (vec![confed_set(&[8, 9]), set(&[3, 4])], "[8 9] {3 4}", 1, None, None),
        (vec![confed_sequence(&[8])], "(8)", 0, None, None),
        (vec![sequence(&[1]), sequence(&[4_200_000_000])], "1 4200000000", 2, Some(1), Some(4_200_000_000)),
    ];
    for (segments, text, length, neighbor, origin) in cases {
        let path = AsPath(segments.into());
        assert_eq!(path.to_string(), text);
        assert_eq!(path.length(), length, "{text}");
        assert_eq!(path.neighbor(), neighbor.map(Asn), "{text}");
        assert_eq!(path.origin(), origin.map(Asn), "{text}");
    }
}

#[test]
fn a_path_is_searched_everywhere() {
    let path =
        AsPath(vec![confed_sequence(&[7]), sequence(&[1, 2, 1]), set(&[3, 1]), confed_set(&[4])].into());
    for asn in [7, 1, 2, 3, 4] {
        assert!(path.contains(Asn(asn)), "{asn}");
    }
    assert!(!path.contains(Asn(5)));
    assert_eq!(path.count(Asn(1)), 3);
    assert_eq!(path.count(Asn(5)), 0);
}

#[test]
fn prepending() {
    let prepended = |mut path: AsPath| {
        path.prepend(Asn(9));
        path
    };
    assert_eq!(prepended(AsPath::default()), AsPath::sequence([Asn(9)]));
    assert_eq!(prepended(AsPath::sequence([Asn(1)])), AsPath::sequence([Asn(9), Asn(1)]));
    assert_eq!(prepended(AsPath(vec![set(&[1])].into())).0.to_vec(), [sequence(&[9]), set(&[1])]);
    let confederation = AsPath(vec![confed_sequence(&[1])].into());
    assert_eq!(prepended(confederation).0.to_vec(), [sequence(&[9]), confed_sequence(&[1])]);
    let full = AsPath::sequence((1..=255).map(Asn));
    assert_eq!(prepended(full.clone()).0.to_vec(), [sequence(&[9]), full.0[0].clone()]);
    let nearly = AsPath::sequence((1..=254).map(Asn));
    assert_eq!(prepended(nearly).0.len(), 1);
}

proptest! {
    #[test]
    fn communities_are_read_back(standard: u32, extended: [u8; 8], large: [u32; 3]) {
        let community = Community(standard);
        prop_assert_eq!(community.to_string().parse(), Ok(community));
        let community = ExtendedCommunity(extended);
        prop_assert_eq!(community.to_string().parse(), Ok(community));
        let [global, local1, local2] = large;
        let community = LargeCommunity { global, local1, local2 };
        prop_assert_eq!(community.to_string().parse(), Ok(community));
    }

    #[test]
    fn targets_are_read_back(kind in 0..3u8, subtype in 2..4u8, rest: [u8; 6]) {
        let [a, b, c, d, e, f] = rest;
        let community = ExtendedCommunity([kind, subtype, a, b, c, d, e, f]);
        let text = community.to_string();
        prop_assert!(text.starts_with("rt:") || text.starts_with("soo:"), "{}", text);
        prop_assert_eq!(text.parse(), Ok(community));
    }
}

#[test]
fn communities() {
    for (text, value) in [
        ("65001:100", 0xfde9_0064),
        ("0:0", 0),
        ("no-export", 0xffff_ff01),
        ("no-advertise", 0xffff_ff02),
        ("no-export-subconfed", 0xffff_ff03),
        ("no-peer", 0xffff_ff04),
        ("graceful-shutdown", 0xffff_0000),
        ("blackhole", 0xffff_029a),
        ("llgr-stale", 0xffff_0006),
        ("no-llgr", 0xffff_0007),
        ("accept-own", 0xffff_0001),
    ] {
        assert_eq!(text.parse(), Ok(Community(value)), "{text}");
        assert_eq!(Community(value).to_string(), text);
    }
    assert_eq!("65535:65281".parse(), Ok(Community::NO_EXPORT), "numbers do for the well-known too");
    for text in ["", ":", "1", "65536:1", "1:65536", "1:2:3", "-1:2", "+1:2", " 1:2", "No-Export", "1:"] {
        assert!(text.parse::<Community>().is_err(), "{text}");
    }

    let large = LargeCommunity { global: 4_200_000_000, local1: 1, local2: 2 };
    assert_eq!("4200000000:1:2".parse(), Ok(large));
    for text in ["1:2", "1:2:3:4", "1:2:", "4294967296:1:2", "1:+2:3"] {
        assert!(text.parse::<LargeCommunity>().is_err(), "{text}");
    }

    for (text, octets) in [
        ("rt:65001:100", [0, 2, 0xfd, 0xe9, 0, 0, 0, 100]),
        ("soo:192.0.2.1:7", [1, 3, 192, 0, 2, 1, 0, 7]),
        ("rt:4200000000:7", [2, 2, 0xfa, 0x56, 0xea, 0, 0, 7]),
        ("rt:0.65001:7", [2, 2, 0, 0, 0xfd, 0xe9, 0, 7]),
        ("0x030b000000000001", [3, 11, 0, 0, 0, 0, 0, 1]),
    ] {
        assert_eq!(text.parse(), Ok(ExtendedCommunity(octets)), "{text}");
        assert_eq!(ExtendedCommunity(octets).to_string(), text);
    }
    for text in ["rt:1", "rt:1:2:3", "xx:1:2", "rt:4200000000:65536", "0x01", "0x+30b00000000000", "rt:1:-1"]
    {
        assert!(text.parse::<ExtendedCommunity>().is_err(), "{text}");
    }
    assert!(ExtendedCommunity([0, 2, 0, 0, 0, 0, 0, 0]).is_transitive());
    assert!(!ExtendedCommunity([0x40, 4, 0, 0, 0, 0, 0, 0]).is_transitive());
}

#[test]
fn next_hops() {
    let v6 = |link_local: Option<&str>| NextHop::V6 {
        global: "2001:db8::1".parse().unwrap(),
        link_local: link_local.map(|addr| addr.parse().unwrap()),
    };
    assert_eq!(NextHop::V4([192, 0, 2, 1].into()).to_string(), "192.0.2.1");
    assert_eq!(v6(None).to_string(), "2001:db8::1");
    assert_eq!(v6(Some("fe80::1")).to_string(), "2001:db8::1 (fe80::1)");
}

#[test]
fn a_prefix_has_no_host_bits() {
    let nlri = Nlri::from("10.1.2.3/8".parse::<ipnet::IpNet>().unwrap());
    assert_eq!(nlri.prefix.to_string(), "10.0.0.0/8");
}
