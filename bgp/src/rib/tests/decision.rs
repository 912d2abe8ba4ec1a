//! The decision process, after RFC 4271 §9.1.2.2: one named rival per step, and sets in which the order of
//! arrival would decide if paths were compared in pairs.

use std::net::{IpAddr, Ipv4Addr};

use crate::rib::attributes::{DecisionKey, Scope};
use crate::rib::decision::{Candidate, decide};
use crate::rib::event::LossReason;
use crate::wire::Origin;
use crate::{Asn, RouterId};

fn router(last: u8) -> Option<RouterId> {
    Some(RouterId(Ipv4Addr::new(10, 0, 0, last)))
}

fn address(last: u8) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)))
}

/// An external path that the rivals below are measured against.
fn base() -> Candidate {
    Candidate {
        index: 0,
        key: DecisionKey {
            local_pref: 100,
            as_path_len: 2,
            origin: Origin::Egp,
            med: 10,
            neighbor_as: Some(Asn(65001)),
            originator_id: None,
            cluster_list_len: 1,
            scope: Scope::Everywhere,
        },
        is_local: false,
        is_external: true,
        metric: 10,
        next_hop: address(1).map(Into::into),
        router_id: router(5),
        address: address(5),
        path_id: 5,
        is_current: false,
    }
}

fn rival(change: impl Fn(&mut Candidate)) -> Candidate {
    let mut rival = Candidate { index: 1, ..base() };
    change(&mut rival);
    rival
}

/// Every order in which the candidates can stand.
fn permutations(candidates: &[Candidate]) -> Vec<Vec<Candidate>> {
    let [first, rest @ ..] = candidates else { return vec![Vec::new()] };
    let insert_everywhere = |rest: Vec<Candidate>| {
        (0..=rest.len()).map(move |position| {
            let mut order = rest.clone();
            order.insert(position, first.clone());
            order
        })
    };
    permutations(rest).into_iter().flat_map(insert_everywhere).collect()
}

/// The rival is better at exactly one step and, where a later one exists, worse there; so this fails when a
/// step is missing or out of order.
#[test]
fn one_rival_per_step() {
    let rivals = [
        (
            LossReason::NotLocal,
            rival(|path| {
                path.is_local = true;
                path.key.local_pref = 0;
            }),
        ),
        (
            LossReason::LocalPref,
            rival(|path| {
                path.key.local_pref = 101;
                path.key.as_path_len = 3;
            }),
        ),
        (
            LossReason::AsPathLength,
            rival(|path| {
                path.key.as_path_len = 1;
                path.key.origin = Origin::Incomplete;
            }),
        ),
        (
            LossReason::Origin,
            rival(|path| {
                path.key.origin = Origin::Igp;
                path.key.med = 11;
            }),
        ),
        (
            LossReason::Med,
            rival(|path| {
                path.key.med = 9;
                path.is_external = false;
            }),
        ),
        (
            LossReason::NextHopMetric,
            rival(|path| {
                path.metric = 9;
                path.router_id = router(9);
            }),
        ),
        (
            LossReason::NotOldest,
            rival(|path| {
                path.is_current = true;
                path.router_id = router(9);
            }),
        ),
        (
            LossReason::RouterId,
            rival(|path| {
                path.router_id = router(4);
                path.key.cluster_list_len = 2;
            }),
        ),
        (
            LossReason::ClusterListLength,
            rival(|path| {
                path.key.cluster_list_len = 0;
                path.address = address(9);
            }),
        ),
        (
            LossReason::PeerAddress,
            rival(|path| {
                path.address = address(4);
                path.path_id = 9;
            }),
        ),
        (LossReason::PathId, rival(|path| path.path_id = 4)),
    ];
    for (reason, rival) in rivals {
        for order in permutations(&[base(), rival]) {
            let verdict = decide(&order, 1);
            assert_eq!(verdict.used.as_slice(), [1], "{reason:?}");
            assert_eq!(verdict.lost.as_slice(), [(0, reason)]);
        }
    }
}

#[test]
fn external_beats_internal_whatever_the_metric() {
    let internal = rival(|path| {
        path.is_external = false;
        path.metric = 0;
    });
    for order in permutations(&[base(), internal]) {
        let verdict = decide(&order, 1);
        assert_eq!(verdict.used.as_slice(), [0]);
        assert_eq!(verdict.lost.as_slice(), [(1, LossReason::Internal)]);
    }
}

#[test]
fn nothing_wins_among_nothing() {
    assert!(decide(&[], 8).used.is_empty());
}

/// A beats B on router id, B beats C on router id, C beats A on MED: a cycle for anyone who compares pairs.
#[test]
fn med_is_compared_within_a_neighboring_as_and_the_order_of_arrival_does_not_matter() {
    let path = |index: usize, asn: u32, med: u32, id: u8| Candidate {
        index,
        key: DecisionKey { neighbor_as: Some(Asn(asn)), med, ..base().key },
        router_id: router(id),
        ..base()
    };
    let paths = [path(0, 65001, 20, 1), path(1, 65002, 5, 2), path(2, 65001, 10, 3), path(3, 65002, 6, 0)];
    for order in permutations(&paths) {
        let verdict = decide(&order, 1);
        assert_eq!(verdict.used.as_slice(), [1]);
        let mut lost = verdict.lost.to_vec();
        lost.sort_unstable();
        assert_eq!(lost, [(0, LossReason::Med), (2, LossReason::RouterId), (3, LossReason::Med)]);
    }
}

/// Paths without a neighboring AS (empty AS_PATH) are compared with each other.
#[test]
fn med_counts_between_paths_of_our_own_as() {
    let path = |index: usize, med: u32, id: u8| Candidate {
        index,
        key: DecisionKey { neighbor_as: None, med, ..base().key },
        is_external: false,
        router_id: router(id),
        ..base()
    };
    for order in permutations(&[path(0, 20, 1), path(1, 10, 2)]) {
        assert_eq!(decide(&order, 1).used.as_slice(), [1]);
    }
}

/// RFC 5004 §3: only among external paths, and not between parallel sessions with one router.
#[test]
fn the_current_external_path_stays() {
    let current = Candidate { is_current: true, router_id: router(9), ..base() };
    let challenger = rival(|path| path.router_id = router(1));
    assert_eq!(decide(&[current.clone(), challenger.clone()], 1).used.as_slice(), [0]);

    let internal = |path: &Candidate| Candidate { is_external: false, ..path.clone() };
    assert_eq!(decide(&[internal(&current), internal(&challenger)], 1).used.as_slice(), [1]);

    let parallel = Candidate { router_id: router(9), address: address(1), ..challenger };
    let verdict = decide(&[current, parallel], 1);
    assert_eq!(verdict.used.as_slice(), [1]);
    assert_eq!(verdict.lost.as_slice(), [(0, LossReason::PeerAddress)]);
}

#[test]
fn what_is_equal_up_to_the_metric_shares_the_traffic() {
    let path = |index: usize, hop: u8, id: u8| Candidate {
        index,
        next_hop: address(hop).map(Into::into),
        router_id: router(id),
        ..base()
    };
    let farther = Candidate { metric: 11, ..path(4, 4, 0) };
    // 1 goes through the same next hop as 0, the best one, and adds nothing.
    let paths = [path(0, 1, 1), path(1, 1, 2), path(2, 2, 3), path(3, 3, 4), farther];
    for order in permutations(&paths) {
        assert_eq!(decide(&order, 8).used.as_slice(), [0, 2, 3]);
        assert_eq!(decide(&order, 2).used.as_slice(), [0, 2]);
        assert_eq!(decide(&order, 1).used.as_slice(), [0]);
        assert_eq!(decide(&order, 0).used.as_slice(), [0], "one path is always used");
    }
}
