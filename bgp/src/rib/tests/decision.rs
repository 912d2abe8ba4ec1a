//! The decision process, after RFC 4271 §9.1.2.2: one named rival per step, and sets in which the order of
//! arrival would decide if paths were compared in pairs.

use std::net::{IpAddr, Ipv4Addr};

use crate::rib::attributes::{DecisionKey, Scope};
use crate::rib::decision::{Candidate, Verdict};
use crate::rib::event::{LossReason, NotMultipath};
use crate::rib::rules::{DecisionRules, MultipathRules};
use crate::wire::{AsPath, Origin};
use crate::{Asn, RouterId};

fn router(last: u8) -> Option<RouterId> {
    Some(RouterId(Ipv4Addr::new(10, 0, 0, last)))
}

fn address(last: u8) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)))
}

static NO_AS: std::sync::LazyLock<AsPath> = std::sync::LazyLock::new(AsPath::default);

fn decide(candidates: &[Candidate<'_>], max: u16) -> Verdict {
    let rules = DecisionRules { multipath: MultipathRules::up_to(max), ..DecisionRules::default() };
    crate::rib::decision::decide(candidates, &rules)
}

fn losses(verdict: &Verdict) -> Vec<(usize, LossReason)> {
    let mut losses: Vec<_> = verdict.lost.iter().map(|loss| (loss.index, loss.reason)).collect();
    losses.sort_unstable();
    losses
}

/// An external path that the rivals below are measured against.
fn base() -> Candidate<'static> {
    Candidate {
        index: 0,
        key: DecisionKey {
            local_pref: 100,
            as_path_len: 2,
            origin: Origin::Egp,
            med: Some(10),
            neighbor_as: Some(Asn(65001)),
            originator_id: None,
            cluster_list_len: 1,
            scope: Scope::Everywhere,
        },
        as_path: &NO_AS,
        is_local: false,
        is_external: true,
        metric: 10,
        next_hop: address(1),
        router_id: router(5),
        address: address(5),
        path_id: 5,
        is_current: false,
    }
}

fn rival(change: impl Fn(&mut Candidate<'static>)) -> Candidate<'static> {
    let mut rival = Candidate { index: 1, ..base() };
    change(&mut rival);
    rival
}

/// Every order in which the candidates can stand.
fn permutations<'a>(candidates: &[Candidate<'a>]) -> Vec<Vec<Candidate<'a>>> {
    let [first, rest @ ..] = candidates else { return vec![Vec::new()] };
    let insert_everywhere = |rest: Vec<Candidate<'a>>| {
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
                path.key.med = Some(11);
            }),
        ),
        (
            LossReason::Med,
            rival(|path| {
                path.key.med = Some(9);
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
            assert_eq!(losses(&verdict), [(0, reason)]);
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
        assert_eq!(losses(&verdict), [(1, LossReason::Internal)]);
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
        key: DecisionKey { neighbor_as: Some(Asn(asn)), med: Some(med), ..base().key },
        router_id: router(id),
        ..base()
    };
    let paths = [path(0, 65001, 20, 1), path(1, 65002, 5, 2), path(2, 65001, 10, 3), path(3, 65002, 6, 0)];
    for order in permutations(&paths) {
        let verdict = decide(&order, 1);
        assert_eq!(verdict.used.as_slice(), [1]);
        assert_eq!(losses(&verdict), [(0, LossReason::Med), (2, LossReason::RouterId), (3, LossReason::Med)]);
    }
}

/// Paths without a neighboring AS (empty AS_PATH) are compared with each other.
#[test]
fn med_counts_between_paths_of_our_own_as() {
    let path = |index: usize, med: u32, id: u8| Candidate {
        index,
        key: DecisionKey { neighbor_as: None, med: Some(med), ..base().key },
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

    let internal = |path: &Candidate<'static>| Candidate { is_external: false, ..path.clone() };
    assert_eq!(decide(&[internal(&current), internal(&challenger)], 1).used.as_slice(), [1]);

    let parallel = Candidate { router_id: router(9), address: address(1), ..challenger };
    let verdict = decide(&[current, parallel], 1);
    assert_eq!(verdict.used.as_slice(), [1]);
    assert_eq!(losses(&verdict), [(0, LossReason::PeerAddress)]);
}

#[test]
fn what_is_equal_up_to_the_metric_shares_the_traffic() {
    let path = |index: usize, hop: u8, id: u8| Candidate {
        index,
        next_hop: address(hop),
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

/// The path that beat one on MED may itself lose later, and still it is the one to name.
#[test]
fn a_loss_names_the_path_that_it_was_lost_to() {
    let path = |index: usize, asn: u32, med: u32, id: u8| Candidate {
        index,
        key: DecisionKey { neighbor_as: Some(Asn(asn)), med: Some(med), ..base().key },
        router_id: router(id),
        ..base()
    };
    for order in permutations(&[path(0, 65001, 20, 1), path(1, 65001, 10, 3), path(2, 65002, 0, 2)]) {
        let verdict = decide(&order, 1);
        let mut lost: Vec<_> = verdict.lost.iter().map(|loss| (loss.index, loss.reason, loss.to)).collect();
        lost.sort_unstable();
        assert_eq!(lost, [(0, LossReason::Med, 1), (1, LossReason::RouterId, 2)]);
    }
}

/// Each rule changes the outcome of two paths that it is about, and of nothing else here.
#[test]
fn rules_change_one_step_each() {
    let mut rules: Vec<(&str, DecisionRules)> = vec![("none", DecisionRules::default())];
    let mut rule = |name, change: fn(&mut DecisionRules)| {
        let mut changed = DecisionRules::default();
        change(&mut changed);
        rules.push((name, changed));
    };
    rule("always_compare_med", |rules| rules.always_compare_med = true);
    rule("missing_med_worst", |rules| rules.missing_med_worst = true);
    rule("ignore_as_path_length", |rules| rules.ignore_as_path_length = true);
    rule("ignore_next_hop_metric", |rules| rules.ignore_next_hop_metric = true);
    rule("compare_router_id", |rules| rules.compare_router_id = true);

    let with = |path: Candidate<'static>, change: fn(&mut Candidate<'static>)| {
        let mut changed = path;
        change(&mut changed);
        changed
    };
    // For each rule, two paths of which the first wins without and the second with it.
    let duels = [
        (
            "always_compare_med",
            with(base(), |path| path.router_id = router(1)),
            rival(|path| (path.key.neighbor_as, path.key.med) = (Some(Asn(65002)), Some(1))),
        ),
        ("missing_med_worst", with(base(), |path| path.key.med = None), base()),
        (
            "ignore_as_path_length",
            with(base(), |path| path.key.as_path_len = 1),
            rival(|path| path.key.med = Some(1)),
        ),
        (
            "ignore_next_hop_metric",
            with(base(), |path| path.metric = 1),
            rival(|path| path.router_id = router(1)),
        ),
        (
            "compare_router_id",
            with(base(), |path| path.is_current = true),
            rival(|path| path.router_id = router(1)),
        ),
    ];
    for (duel, first, second) in duels {
        let second = Candidate { index: 1, ..second };
        for (name, rules) in &rules {
            for order in permutations(&[first.clone(), second.clone()]) {
                let verdict = crate::rib::decision::decide(&order, rules);
                assert_eq!(verdict.used.as_slice(), [usize::from(*name == duel)], "{duel} under {name}");
            }
        }
    }
}

#[test]
fn a_path_that_is_not_used_beside_the_best_says_why() {
    let (here, there) = (AsPath::sequence([Asn(65001)]), AsPath::sequence([Asn(65002)]));
    let path = |index: usize, hop: u8, neighbor: u32| Candidate {
        index,
        key: DecisionKey { neighbor_as: Some(Asn(neighbor)), ..base().key },
        as_path: if neighbor == 65001 { &here } else { &there },
        next_hop: address(hop),
        router_id: router(u8::try_from(index).unwrap()),
        ..base()
    };
    let paths =
        [path(0, 1, 65001), path(1, 1, 65001), path(2, 2, 65002), path(3, 3, 65001), path(4, 4, 65001)];
    let internal = paths.clone().map(|path| Candidate { is_external: false, ..path });
    for (is_external, paths) in [(true, paths), (false, internal)] {
        for (relax_as_path, used, left_out) in [
            (
                true,
                [0, 2],
                [(1, NotMultipath::SameNextHop), (3, NotMultipath::Limit), (4, NotMultipath::Limit)],
            ),
            (
                false,
                [0, 3],
                [(1, NotMultipath::SameNextHop), (2, NotMultipath::AsPath), (4, NotMultipath::Limit)],
            ),
        ] {
            // The other kind's limit does not count.
            let (max_external, max_internal) = if is_external { (2, 9) } else { (9, 2) };
            let multipath = MultipathRules { max_external, max_internal, relax_as_path };
            let rules = DecisionRules { multipath, ..DecisionRules::default() };
            for order in permutations(&paths) {
                let verdict = crate::rib::decision::decide(&order, &rules);
                assert_eq!(verdict.used.as_slice(), used);
                let reasons = verdict.lost.iter().filter_map(|loss| Some((loss.index, loss.left_out?)));
                let mut reasons: Vec<_> = reasons.collect();
                reasons.sort_unstable();
                assert_eq!(reasons, left_out);
            }
        }
    }
}
