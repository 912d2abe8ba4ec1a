//! Loc-RIB: runs the decision for prefixes that are dirty, keeps the marks and says what changed.

use smallvec::SmallVec;

use super::adj_in::{Shared, attributes_of};
use super::decision::{Candidate, Verdict, decide};
use super::event::{BestChange, BestPath, PathSource};
use super::family::{Family, Prefix};
use super::path::{Marks, Path, Refusal, Slot};
use super::rules::DecisionRules;
use super::table::{Destination, Flags, PrefixId, Table};
use crate::PeerKind;

/// Prefixes in one [`super::RibEffect::BestChanged`].
pub(super) const BEST_CHANGED_MAX: usize = 1024;

impl<P: Prefix> Table<P> {
    /// Decides dirty prefixes until none is left or `changes` is full.
    pub(super) fn decide(
        &mut self,
        shared: &mut Shared,
        rules: &DecisionRules,
        changes: &mut Vec<BestChange>,
    ) {
        while changes.len() < BEST_CHANGED_MAX {
            let Some(id) = self.dirty.pop_front() else { return };
            if let Some(change) = self.decide_one(shared, rules, id) {
                changes.push(change);
                self.mark_changed(id);
            } else if self.tells_every_path
                || self.get(id).is_some_and(|destination| destination.paths.is_empty())
            {
                // Came and went between two drains: nobody knows of it, but its number has to be freed.
                self.mark_changed(id);
            }
        }
    }

    fn decide_one(&mut self, shared: &mut Shared, rules: &DecisionRules, id: PrefixId) -> Option<BestChange> {
        let destination = self.get_mut(id)?;
        destination.flags.take(Flags::DIRTY);
        let mut is_changed = destination.flags.take(Flags::USED_PATH_CHANGED);
        let used = match destination.paths.as_slice() {
            [only] => {
                let is_eligible = candidate(shared, 0, only).is_some();
                let marks = if is_eligible { Marks::ELIGIBLE.with(Marks::BEST) } else { Marks::default() };
                is_changed |= mark(shared, P::FAMILY, destination.paths.first_mut(), marks);
                SmallVec::from_slice(if is_eligible { &[0] } else { &[] })
            }
            _ => {
                let (eligible, verdict) = verdict(shared, destination, rules);
                for (index, path) in destination.paths.iter_mut().enumerate() {
                    let marks = marks_of(index, &eligible, &verdict);
                    is_changed |= mark(shared, P::FAMILY, Some(path), marks);
                }
                verdict.used
            }
        };
        is_changed.then(|| BestChange {
            prefix: destination.prefix.to_net(),
            paths: used
                .iter()
                .filter_map(|&index| best_path(shared, destination.paths.get(index)?))
                .collect(),
        })
    }
}

/// Which paths take part, and what the decision makes of them.
pub(super) fn verdict<P: Prefix>(
    shared: &Shared,
    destination: &Destination<P>,
    rules: &DecisionRules,
) -> (SmallVec<[usize; 4]>, Verdict) {
    let eligible: SmallVec<[Candidate<'_>; 4]> = destination
        .paths
        .iter()
        .enumerate()
        .filter_map(|(index, path)| candidate(shared, index, path))
        .collect();
    let verdict = decide(&eligible, rules);
    (eligible.iter().map(|path| path.index).collect(), verdict)
}

/// The path as the decision sees it; `None` for one that takes no part.
pub(super) fn candidate<'a>(shared: &'a Shared, index: usize, path: &Path) -> Option<Candidate<'a>> {
    if path.refusal != Refusal::None {
        return None;
    }
    let set = shared.attributes.get(path.attributes)?;
    let base = Candidate {
        index,
        key: set.key,
        as_path: &set.attributes.as_path,
        is_local: true,
        is_external: false,
        metric: 0,
        next_hop: None,
        router_id: None,
        address: None,
        path_id: path.path_id,
        is_current: path.marks.contains(Marks::BEST),
    };
    if path.source == Slot::LOCAL {
        return Some(base);
    }
    let peer = shared.peers.get(path.source)?;
    Some(Candidate {
        is_local: false,
        is_external: peer.terms.negotiated.kind == PeerKind::Ebgp,
        // RFC 4271 §9.1.2: without a next hop that resolves there is no route.
        metric: shared.next_hops.metric(set.next_hop?)?,
        next_hop: set.attributes.next_hop.map(|next_hop| next_hop.addr()),
        router_id: Some(set.key.originator_id.unwrap_or(peer.terms.negotiated.remote_router_id)),
        address: Some(peer.terms.address),
        ..base
    })
}

fn marks_of(index: usize, eligible: &[usize], verdict: &Verdict) -> Marks {
    if !eligible.contains(&index) {
        return Marks::default();
    }
    match verdict.used.iter().position(|&used| used == index) {
        None => Marks::ELIGIBLE,
        Some(0) => Marks::ELIGIBLE.with(Marks::BEST),
        Some(_) => Marks::ELIGIBLE.with(Marks::MULTIPATH),
    }
}

/// Sets a path's marks. True when its part in forwarding changed.
fn mark(shared: &mut Shared, family: Family, path: Option<&mut Path>, marks: Marks) -> bool {
    let Some(path) = path else { return false };
    let old = std::mem::replace(&mut path.marks, marks);
    if old != marks {
        shared.peers.count_marks(path.source, family, old, marks);
    }
    (old.is_used() || marks.is_used()) && old != marks
}

fn best_path(shared: &Shared, path: &Path) -> Option<BestPath> {
    Some(BestPath { source: path_source(shared, path.source)?, attributes: attributes_of(shared, path)? })
}

pub(super) fn path_source(shared: &Shared, source: Slot) -> Option<PathSource> {
    if source == Slot::LOCAL {
        return Some(PathSource::Local);
    }
    Some(PathSource::Peer(shared.peers.get(source)?.terms.peer))
}
