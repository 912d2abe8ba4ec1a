//! The decision process (RFC 4271 §9.1) as elimination over a set.
//!
//! Each step looks at all that are left and removes those that are not the best of them, so the outcome does
//! not depend on the order in which paths came. A pairwise comparison could not do this: MED only counts
//! between paths of one neighboring AS, so "better" is not transitive. In order:
//!
//! 1. a route of our own;
//! 2. highest LOCAL_PREF, 100 where there is none (§9.1.1);
//! 3. shortest AS_PATH (§9.1.2.2 a);
//! 4. lowest ORIGIN (b);
//! 5. lowest MED among those of one neighboring AS, 0 where there is none (c);
//! 6. external before internal (d);
//! 7. lowest metric of the next hop (e). **What is left here is equally good and shares the traffic**, up to
//!    the configured number, one path per next hop; the contents of the AS_PATHs may differ, as in BIRD;
//! 8. the current best path, if external, against external ones from other routers (RFC 5004 §3);
//! 9. lowest ORIGINATOR_ID, or BGP Identifier of the peer where there is none (f; RFC 4456 §9);
//! 10. shortest CLUSTER_LIST (RFC 4456 §9);
//! 11. lowest peer address (g);
//! 12. lowest path identifier, which only ever tells two paths of one peer apart (RFC 7911).
//!
//! The current best path in step 8 is the one that won the last decision and has been there since, though its
//! attributes may have changed. Ours differs from RFC 4271 in nothing else. [`DecisionRules`] leaves out steps
//! 3, 7 and 8, and changes what counts as one neighboring AS and as a missing MED in 5.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::attributes::DecisionKey;
use super::event::{LossReason, NotMultipath};
use super::rules::{DecisionRules, MultipathRules};
use crate::RouterId;
use crate::wire::AsPath;

/// One eligible path.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'a> {
    /// The caller's name for it.
    pub(super) index: usize,
    pub(super) key: DecisionKey,
    pub(super) as_path: &'a AsPath,
    pub(super) is_local: bool,
    pub(super) is_external: bool,
    /// Interior cost of the next hop.
    pub(super) metric: u32,
    pub(super) next_hop: Option<IpAddr>,
    /// ORIGINATOR_ID, or the peer's identifier.
    pub(super) router_id: Option<RouterId>,
    pub(super) address: Option<IpAddr>,
    pub(super) path_id: u32,
    /// It won the last time.
    pub(super) is_current: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The best path first, then those used beside it.
    pub(super) used: SmallVec<[usize; 4]>,
    /// Every path but the best. Those used beside the best are among them.
    pub(super) lost: SmallVec<[Loss; 4]>,
}

/// What became of a path that is not the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Loss {
    pub(super) index: usize,
    /// The step that it lost.
    pub(super) reason: LossReason,
    /// To which path: the best one, but for MED, where the path that beat it may have lost later.
    pub(super) to: usize,
    /// Why it is not used beside the best, if it lost only after the metric.
    pub(super) left_out: Option<NotMultipath>,
}

/// Decides. Nothing is used only if there is no candidate.
pub(super) fn decide(candidates: &[Candidate<'_>], rules: &DecisionRules) -> Verdict {
    let mut left = Survivors { candidates: candidates.iter().collect(), lost: SmallVec::new() };
    left.keep_lowest(LossReason::NotLocal, |path| !path.is_local);
    left.keep_lowest(LossReason::LocalPref, |path| u32::MAX - path.key.local_pref);
    if !rules.ignore_as_path_length {
        left.keep_lowest(LossReason::AsPathLength, |path| path.key.as_path_len);
    }
    left.keep_lowest(LossReason::Origin, |path| path.key.origin);
    left.keep_lowest_med(rules);
    left.keep_lowest(LossReason::Internal, |path| !path.is_external);
    if !rules.ignore_next_hop_metric {
        left.keep_lowest(LossReason::NextHopMetric, |path| path.metric);
    }
    let equal = left.candidates.clone();
    if !rules.compare_router_id {
        left.keep_current_external();
    }
    left.keep_lowest(LossReason::RouterId, |path| path.router_id);
    left.keep_lowest(LossReason::ClusterListLength, |path| path.key.cluster_list_len);
    left.keep_lowest(LossReason::PeerAddress, |path| path.address);
    left.keep_lowest(LossReason::PathId, |path| path.path_id);
    left.verdict(equal, &rules.multipath)
}

type Paths<'a> = SmallVec<[&'a Candidate<'a>; 8]>;

struct Survivors<'a> {
    candidates: Paths<'a>,
    /// `None`: to the best path, which is not known yet.
    lost: SmallVec<[(usize, LossReason, Option<usize>); 4]>,
}

impl<'a> Survivors<'a> {
    fn keep_lowest<K: Ord>(&mut self, reason: LossReason, key: impl Fn(&Candidate<'_>) -> K) {
        if let Some(lowest) = self.candidates.iter().map(|path| key(path)).min() {
            self.keep(reason, |path| if key(path) == lowest { Fate::Stays } else { Fate::Lost(None) });
        }
    }

    /// RFC 4271 §9.1.2.2 c, over all that are left at once: what beats a path may itself be beaten.
    fn keep_lowest_med(&mut self, rules: &DecisionRules) {
        let all = self.candidates.clone();
        let missing = if rules.missing_med_worst { u32::MAX } else { 0 };
        let med = |path: &Candidate<'_>| path.key.med.unwrap_or(missing);
        self.keep(LossReason::Med, |path| {
            let beats = |other: &&&Candidate<'_>| {
                let is_comparable = rules.always_compare_med || other.key.neighbor_as == path.key.neighbor_as;
                is_comparable && med(other) < med(path)
            };
            let beater = all.iter().filter(beats).min_by_key(|other| (med(other), tie_break(other)));
            beater.map_or(Fate::Stays, |beater| Fate::Lost(Some(beater.index)))
        });
    }

    /// RFC 5004 §3. Paths that come from the same router as the current one (parallel sessions) stay in.
    fn keep_current_external(&mut self) {
        let current = self.candidates.iter().find(|path| path.is_current && path.is_external);
        if let Some(router_id) = current.map(|path| path.router_id) {
            self.keep(LossReason::NotOldest, |path| {
                if path.router_id == router_id { Fate::Stays } else { Fate::Lost(None) }
            });
        }
    }

    fn keep(&mut self, reason: LossReason, fate: impl Fn(&Candidate<'_>) -> Fate) {
        if self.candidates.len() < 2 {
            return;
        }
        let lost = &mut self.lost;
        self.candidates.retain(|path| match fate(path) {
            Fate::Stays => true,
            Fate::Lost(to) => {
                lost.push((path.index, reason, to));
                false
            }
        });
    }

    fn verdict(self, equal: Paths<'a>, rules: &MultipathRules) -> Verdict {
        let Some(&best) = self.candidates.first() else { return Verdict::default() };
        let Multipath { used, left_out } = multipath(best, equal, rules);
        let loss = |(index, reason, to): (usize, LossReason, Option<usize>)| Loss {
            index,
            reason,
            to: to.unwrap_or(best.index),
            left_out: left_out.iter().find(|(left, _)| *left == index).map(|(_, reason)| *reason),
        };
        Verdict { used, lost: self.lost.into_iter().map(loss).collect() }
    }
}

enum Fate {
    Stays,
    /// `None`: to the best path.
    Lost(Option<usize>),
}

struct Multipath {
    used: SmallVec<[usize; 4]>,
    left_out: SmallVec<[(usize, NotMultipath); 2]>,
}

/// Up to the most allowed of the equally good paths, the best one first and the others by the steps that follow
/// the metric. Two paths through one next hop (one route by two reflectors) would share nothing, so the second is
/// left out.
fn multipath(best: &Candidate<'_>, mut equal: Paths<'_>, rules: &MultipathRules) -> Multipath {
    let max = if best.is_external { rules.max_external } else { rules.max_internal };
    let mut used = SmallVec::from_slice(&[best.index]);
    let mut left_out = SmallVec::new();
    let mut next_hops: SmallVec<[Option<IpAddr>; 8]> = SmallVec::from_slice(&[best.next_hop]);
    equal.sort_by_key(|path| tie_break(path));
    for path in equal {
        if path.index == best.index {
            continue;
        }
        let reason = if next_hops.contains(&path.next_hop) {
            NotMultipath::SameNextHop
        } else if !rules.relax_as_path && !is_of_same_as(best, path) {
            NotMultipath::AsPath
        } else if used.len() >= usize::from(max) {
            NotMultipath::Limit
        } else {
            next_hops.push(path.next_hop);
            used.push(path.index);
            continue;
        };
        left_out.push((path.index, reason));
    }
    Multipath { used, left_out }
}

fn is_of_same_as(best: &Candidate<'_>, path: &Candidate<'_>) -> bool {
    if best.is_external { best.key.neighbor_as == path.key.neighbor_as } else { best.as_path == path.as_path }
}

/// The steps that tell any two paths apart.
fn tie_break(path: &Candidate<'_>) -> (Option<RouterId>, usize, Option<IpAddr>, u32) {
    (path.router_id, path.key.cluster_list_len, path.address, path.path_id)
}
