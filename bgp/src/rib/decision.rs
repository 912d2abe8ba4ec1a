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
//! attributes may have changed. Ours differs from RFC 4271 in nothing else.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::attributes::DecisionKey;
use super::event::LossReason;
use crate::{NextHopKey, RouterId};

/// One eligible path.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The caller's name for it.
    pub(super) index: usize,
    pub(super) key: DecisionKey,
    pub(super) is_local: bool,
    pub(super) is_external: bool,
    /// Interior cost of the next hop.
    pub(super) metric: u32,
    pub(super) next_hop: Option<NextHopKey>,
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
    /// Every path but the best, with the step that it lost. Those used beside the best are among them.
    pub(super) lost: SmallVec<[(usize, LossReason); 4]>,
}

/// Decides. Nothing is used only if there is no candidate.
pub(super) fn decide(candidates: &[Candidate], multipath_max: u16) -> Verdict {
    let mut left = Survivors { candidates: candidates.iter().collect(), lost: SmallVec::new() };
    left.keep_lowest(LossReason::NotLocal, |path| !path.is_local);
    left.keep_lowest(LossReason::LocalPref, |path| u32::MAX - path.key.local_pref);
    left.keep_lowest(LossReason::AsPathLength, |path| path.key.as_path_len);
    left.keep_lowest(LossReason::Origin, |path| path.key.origin);
    left.keep_lowest_med();
    left.keep_lowest(LossReason::Internal, |path| !path.is_external);
    left.keep_lowest(LossReason::NextHopMetric, |path| path.metric);
    let equal = left.candidates.clone();
    left.keep_current_external();
    left.keep_lowest(LossReason::RouterId, |path| path.router_id);
    left.keep_lowest(LossReason::ClusterListLength, |path| path.key.cluster_list_len);
    left.keep_lowest(LossReason::PeerAddress, |path| path.address);
    left.keep_lowest(LossReason::PathId, |path| path.path_id);
    let Some(&best) = left.candidates.first() else { return Verdict::default() };
    Verdict { used: multipath(best, equal, multipath_max), lost: left.lost }
}

type Paths<'a> = SmallVec<[&'a Candidate; 8]>;

struct Survivors<'a> {
    candidates: Paths<'a>,
    lost: SmallVec<[(usize, LossReason); 4]>,
}

impl<'a> Survivors<'a> {
    fn keep_lowest<K: Ord>(&mut self, reason: LossReason, key: impl Fn(&Candidate) -> K) {
        if let Some(lowest) = self.candidates.iter().map(|path| key(path)).min() {
            self.keep(reason, |path| key(path) == lowest);
        }
    }

    fn keep_lowest_med(&mut self) {
        let all = self.candidates.clone();
        let beaten = |path: &Candidate, other: &Candidate| {
            other.key.neighbor_as == path.key.neighbor_as && other.key.med < path.key.med
        };
        self.keep(LossReason::Med, |path| !all.iter().any(|other| beaten(path, other)));
    }

    /// RFC 5004 §3. Paths that come from the same router as the current one (parallel sessions) stay in.
    fn keep_current_external(&mut self) {
        let current = self.candidates.iter().find(|path| path.is_current && path.is_external);
        if let Some(router_id) = current.map(|path| path.router_id) {
            self.keep(LossReason::NotOldest, |path| path.router_id == router_id);
        }
    }

    fn keep(&mut self, reason: LossReason, stays: impl Fn(&Candidate) -> bool) {
        if self.candidates.len() < 2 {
            return;
        }
        let lost = &mut self.lost;
        self.candidates.retain(|path| {
            let stays = stays(path);
            if !stays {
                lost.push((path.index, reason));
            }
            stays
        });
    }
}

/// Up to `max` of the equally good paths, the best one first and the others by the steps that follow the
/// metric. Two paths through one next hop (one route by two reflectors) would share nothing, so the second is
/// left out.
fn multipath(best: &Candidate, mut equal: Paths<'_>, max: u16) -> SmallVec<[usize; 4]> {
    let mut used = SmallVec::from_slice(&[best.index]);
    let mut next_hops: SmallVec<[Option<NextHopKey>; 8]> = SmallVec::from_slice(&[best.next_hop]);
    equal.sort_by_key(|path| (path.router_id, path.key.cluster_list_len, path.address, path.path_id));
    for path in equal {
        if used.len() >= usize::from(max) {
            break;
        }
        if !next_hops.contains(&path.next_hop) {
            next_hops.push(path.next_hop);
            used.push(path.index);
        }
    }
    used
}
