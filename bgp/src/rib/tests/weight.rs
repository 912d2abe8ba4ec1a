//! Link bandwidth: what is read, and what shares come of it.

use std::num::NonZeroU64;

use proptest::prelude::*;

use crate::Asn;
use crate::rib::weight::{bandwidth, set_bandwidth, weights};
use crate::wire::{ExtendedCommunity, PathAttributes};

fn shares(gigabits: &[u64]) -> Vec<u16> {
    let bandwidths: Vec<_> = gigabits.iter().map(|gbps| NonZeroU64::new(gbps * 125_000_000)).collect();
    weights(&bandwidths).to_vec()
}

#[test]
fn shares_are_as_small_as_the_ratio_allows() {
    assert_eq!(shares(&[10, 10]), [1, 1]);
    assert_eq!(shares(&[10, 40]), [1, 4]);
    assert_eq!(shares(&[100, 25, 50]), [4, 1, 2]);
    assert_eq!(shares(&[10, 30]), [85, 256], "a third of 256, rounded");
    assert_eq!(shares(&[1, 400_000]), [1, 256], "nobody gets nothing");
    assert_eq!(shares(&[7]), [1]);
    assert_eq!(shares(&[]), [] as [u16; 0]);
}

#[test]
fn one_path_without_bandwidth_makes_all_equal() {
    assert_eq!(weights(&[NonZeroU64::new(5), None, NonZeroU64::new(50)]).as_slice(), [1, 1, 1]);
}

fn carrying(octets: &[[u8; 8]]) -> PathAttributes {
    PathAttributes {
        extended_communities: octets.iter().map(|octets| ExtendedCommunity(*octets)).collect(),
        ..PathAttributes::default()
    }
}

fn community(kind: u8, bytes_per_sec: f32) -> [u8; 8] {
    let [a, b, c, d] = bytes_per_sec.to_be_bytes();
    [kind, 4, 0xfd, 0xe9, a, b, c, d]
}

#[test]
fn draft_ietf_idr_link_bandwidth_both_types_are_read_and_nonsense_is_none() {
    // 10 Gbit/s of AS 65001, as FRR and GoBGP write it.
    let golden = [0x40, 0x04, 0xfd, 0xe9, 0x4e, 0x95, 0x02, 0xf9];
    assert_eq!(golden, community(0x40, 1_250_000_000.0));
    assert_eq!(bandwidth(&carrying(&[golden])), NonZeroU64::new(1_250_000_000));
    assert_eq!(bandwidth(&carrying(&[community(0, 125.0)])), NonZeroU64::new(125));
    assert_eq!(bandwidth(&carrying(&[community(0x40, 300.0), community(0, 125.0)])), NonZeroU64::new(125));
    for nonsense in [0.0, -0.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(bandwidth(&carrying(&[community(0x40, nonsense)])), None, "{nonsense}");
    }
    assert_eq!(bandwidth(&carrying(&[community(0x40, 1e-20)])), NonZeroU64::new(1));
    assert_eq!(bandwidth(&carrying(&[community(0x40, f32::MAX)])), NonZeroU64::new(u64::MAX));
    // A route target is none.
    assert_eq!(bandwidth(&carrying(&[[0, 2, 0xfd, 0xe9, 0, 0, 0, 1]])), None);
}

#[test]
fn a_set_bandwidth_replaces_what_came() {
    let target = [0, 2, 0xfd, 0xe9, 0, 0, 0, 1];
    let mut attributes = carrying(&[target, community(0x40, 1.0), community(0, 2.0)]);
    set_bandwidth(&mut attributes, Asn(4_200_000_000), 1_250_000_000);
    let octets: Vec<_> = attributes.extended_communities.iter().map(|community| community.0).collect();
    let as_trans = [0x40, 0x04, 0x5b, 0xa0, 0x4e, 0x95, 0x02, 0xf9];
    assert_eq!(octets, [target, as_trans]);
}

proptest! {
    /// Against shares worked out with fractions: within half a 256th of the fastest, in any order.
    #[test]
    fn shares_follow_the_bandwidths(bandwidths in prop::collection::vec(1..u64::MAX, 1..8)) {
        let given: Vec<_> = bandwidths.iter().map(|bytes| NonZeroU64::new(*bytes)).collect();
        let found = weights(&given);
        let fastest = *bandwidths.iter().max().unwrap();
        let most = *found.iter().max().unwrap();
        prop_assert!(found.iter().all(|weight| (1..=256).contains(weight)));
        for (bytes, weight) in bandwidths.iter().zip(&found) {
            let exact = *bytes as f64 / fastest as f64;
            let share = f64::from(*weight) / f64::from(most);
            prop_assert!((share - exact).abs() <= 1.0 / 256.0, "{share} {exact}");
        }
        let reversed: Vec<_> = given.iter().rev().copied().collect();
        let mut mirrored = weights(&reversed).to_vec();
        mirrored.reverse();
        prop_assert_eq!(found.to_vec(), mirrored);
    }
}
