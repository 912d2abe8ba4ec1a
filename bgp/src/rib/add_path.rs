//! Which paths of a prefix are sent side by side (RFC 7911), so that what a reflector knows reaches those behind it.
//!
//! To a group that takes several go the paths that take part in the decision and may leave on the group's terms, up
//! to its maximum: the best of these, then the best of the rest, and so on. A path that may not leave uses up
//! nothing of the maximum, so a maximum of one may send what RFC 4271 would not, a path that is not the best. A member
//! is not sent its own path, which it then has instead of another one.

use smallvec::{SmallVec, smallvec};

use super::adj_in::Shared;
use super::adj_out::{Exported, Sent};
use super::decision::{Candidate, decide};
use super::family::Prefix;
use super::loc::candidate;
use super::path::{Marks, Path, Slot};
use super::path_ids::{EntryId, wanted};
use super::rules::DecisionRules;
use super::table::{Destination, PrefixId};

type Entries = SmallVec<[(EntryId, Option<Sent>); 2]>;
type Paths<'a> = SmallVec<[(usize, &'a Path, Sent); 4]>;

impl Exported<'_> {
    /// What the entries of a prefix are to be: all that there are and all that there should be.
    pub(super) fn entries<P: Prefix>(
        &mut self,
        shared: &mut Shared,
        id: PrefixId,
        destination: &Destination<P>,
    ) -> Entries {
        if !self.terms.sends_paths(P::FAMILY) {
            let best = destination.best().and_then(|best| self.sent(shared, destination, best));
            return smallvec![(id, best)];
        }
        let mut entries: Entries = shared.path_ids.get(P::FAMILY).of(id).map(|entry| (entry, None)).collect();
        for (_, path, sent) in self.paths(shared, destination) {
            let wanted = wanted(router_id(shared, path.source), path.path_id);
            let path_ids = shared.path_ids.get_mut(P::FAMILY);
            let entry = path_ids.insert(id, path.source, path.path_id, wanted);
            match entries.iter_mut().find(|(known, _)| *known == entry) {
                Some((_, place)) => *place = Some(sent),
                None => entries.push((entry, Some(sent))),
            }
        }
        entries
    }

    /// The paths to be sent, with their places in the destination.
    fn paths<'a, P: Prefix>(&mut self, shared: &mut Shared, destination: &'a Destination<P>) -> Paths<'a> {
        let eligible = destination.paths.iter().enumerate();
        let eligible = eligible.filter(|(_, path)| path.marks.contains(Marks::ELIGIBLE));
        let sent =
            eligible.filter_map(|(index, path)| Some((index, path, self.sent(shared, destination, path)?)));
        let mut paths: Paths<'_> = sent.collect();
        let maximum = self.terms.add_path_maximum();
        if paths.len() > maximum {
            let candidates = paths.iter().filter_map(|&(index, path, _)| candidate(shared, index, path));
            let best = best(candidates.collect(), maximum, self.context.decision);
            paths.retain(|(index, ..)| best.contains(index));
        }
        paths
    }
}

/// The winner, the winner among the others, and so on. A ranking of all at once would not do: what wins may depend
/// on which others there are (MED).
fn best(mut candidates: Vec<Candidate<'_>>, maximum: usize, rules: &DecisionRules) -> SmallVec<[usize; 4]> {
    let mut best = SmallVec::new();
    while best.len() < maximum
        && let Some(&winner) = decide(&candidates, rules).used.first()
    {
        candidates.retain(|candidate| candidate.index != winner);
        best.push(winner);
    }
    best
}

fn router_id(shared: &Shared, source: Slot) -> u32 {
    let peer = shared.peers.get(source).map(|peer| peer.terms.negotiated.remote_router_id);
    peer.or(shared.identity.router_id).map_or(0, |router_id| router_id.0.to_bits())
}
