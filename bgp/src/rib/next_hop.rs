//! Next hops in use, each tracked once however many paths go through it, and what is known of them.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::event::{NextHopStatus, RibEffect};
use super::family::Family;
use crate::NextHopKey;

/// Place of a next hop in [`NextHops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NextHopId(u32);

/// Prefixes that wait for the first word about their next hop are listed up to this many, so that the first
/// resolution of a next hop costs as much as it has prefixes. Beyond it, and for every later change, the
/// tables are walked once per drain, however many next hops changed.
const WAITING_MAX: usize = 4096;

struct NextHopEntry {
    key: NextHopKey,
    /// Attribute sets in an Adj-RIB-In that go through it.
    uses: u32,
    /// What the outside has been told.
    tracked: bool,
    /// In `touched`, because uses or status changed.
    touched: bool,
    /// `None`: pending.
    status: Option<NextHopStatus>,
    /// Changed since the tables were last walked.
    changed: bool,
    waiting: Vec<(Family, u32)>,
    waiting_overflow: bool,
}

#[derive(Default)]
pub(super) struct NextHops {
    entries: Vec<Option<NextHopEntry>>,
    free: Vec<u32>,
    by_key: HashMap<NextHopKey, u32, foldhash::fast::RandomState>,
    /// Entries whose tracking may have to change, in the order in which they did.
    touched: VecDeque<u32>,
    /// Entries in use of which nothing is known yet.
    pending: usize,
}

/// What a changed status asks for.
pub(super) enum Affected {
    Nothing,
    /// Just these.
    Prefixes(Vec<(Family, u32)>),
    /// Whatever a walk of the tables finds to use a [`NextHops::is_changed`] next hop.
    Walk,
}

impl NextHops {
    /// One more attribute set goes through `key`.
    pub(super) fn acquire(&mut self, key: NextHopKey) -> NextHopId {
        let index = match self.by_key.get(&key) {
            Some(&index) => index,
            None => self.insert(key),
        };
        if let Some(entry) = at_mut(&mut self.entries, index) {
            entry.uses += 1;
            if entry.uses == 1 {
                self.pending += usize::from(entry.status.is_none());
                self.touch(index);
            }
        }
        NextHopId(index)
    }

    /// One fewer.
    pub(super) fn release(&mut self, id: NextHopId) {
        let Some(entry) = at_mut(&mut self.entries, id.0) else { return };
        entry.uses -= 1;
        if entry.uses == 0 {
            if entry.status.is_none() {
                self.pending -= 1;
            }
            self.touch(id.0);
        }
    }

    pub(super) fn status(&self, id: NextHopId) -> Option<&NextHopStatus> {
        self.at(id)?.status.as_ref()
    }

    /// The interior cost, if it resolves.
    pub(super) fn metric(&self, id: NextHopId) -> Option<u32> {
        match self.status(id)? {
            NextHopStatus::Reachable { metric } => Some(*metric),
            NextHopStatus::Unreachable { .. } => None,
        }
    }

    /// How many next hops in use have never been reported on.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// Those in use that do not resolve.
    pub(super) fn unreachable(&self) -> impl Iterator<Item = NextHopKey> {
        let is_unreachable = |entry: &&NextHopEntry| {
            entry.uses > 0 && matches!(entry.status, Some(NextHopStatus::Unreachable { .. }))
        };
        self.entries.iter().flatten().filter(is_unreachable).map(|entry| entry.key)
    }

    /// Remembers that `prefix` has to be decided again once something is known of its next hop.
    pub(super) fn wait(&mut self, id: NextHopId, family: Family, prefix: u32) {
        let Some(entry) = at_mut(&mut self.entries, id.0) else { return };
        if entry.status.is_some() || entry.waiting_overflow {
            return;
        }
        if entry.waiting.len() < WAITING_MAX {
            entry.waiting.push((family, prefix));
        } else {
            entry.waiting_overflow = true;
            entry.waiting = Vec::new();
        }
    }

    /// Takes in what the outside says. What is said of a next hop that is not in use is of no interest.
    pub(super) fn update(&mut self, key: NextHopKey, status: NextHopStatus) -> Affected {
        let Some(&index) = self.by_key.get(&key) else { return Affected::Nothing };
        let Some(entry) = at_mut(&mut self.entries, index) else { return Affected::Nothing };
        let old = entry.status.replace(status);
        if old.is_none() && entry.uses > 0 {
            self.pending -= 1;
        }
        let same_for_decision = match (&old, &entry.status) {
            (Some(NextHopStatus::Unreachable { .. }), Some(NextHopStatus::Unreachable { .. })) => true,
            (old, new) => old == new,
        };
        if same_for_decision {
            return Affected::Nothing;
        }
        if old.is_none() && !entry.waiting_overflow {
            return Affected::Prefixes(std::mem::take(&mut entry.waiting));
        }
        entry.waiting = Vec::new();
        entry.changed = true;
        Affected::Walk
    }

    pub(super) fn is_changed(&self, id: NextHopId) -> bool {
        self.at(id).is_some_and(|entry| entry.changed)
    }

    /// All tables have been walked.
    pub(super) fn walked(&mut self) {
        self.entries.iter_mut().flatten().for_each(|entry| entry.changed = false);
    }

    /// The next difference between what is in use and what the outside was told to track.
    pub(super) fn poll_effect(&mut self) -> Option<RibEffect> {
        while let Some(index) = self.touched.pop_front() {
            let Some(entry) = at_mut(&mut self.entries, index) else { continue };
            entry.touched = false;
            let key = entry.key;
            let used = entry.uses > 0;
            let tracked = std::mem::replace(&mut entry.tracked, used);
            if !used {
                self.remove(index);
            }
            match (tracked, used) {
                (false, true) => return Some(RibEffect::TrackNextHop(key)),
                (true, false) => return Some(RibEffect::UntrackNextHop(key)),
                (true, true) | (false, false) => {}
            }
        }
        None
    }

    fn insert(&mut self, key: NextHopKey) -> u32 {
        let entry = NextHopEntry {
            key,
            uses: 0,
            tracked: false,
            touched: false,
            status: None,
            changed: false,
            waiting: Vec::new(),
            waiting_overflow: false,
        };
        let index = match self.free.pop() {
            Some(index) => {
                if let Some(place) = self.entries.get_mut(index as usize) {
                    *place = Some(entry);
                }
                index
            }
            None => {
                self.entries.push(Some(entry));
                u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.by_key.insert(key, index);
        index
    }

    fn remove(&mut self, index: u32) {
        if let Some(place) = self.entries.get_mut(index as usize)
            && let Some(entry) = place.take()
        {
            self.by_key.remove(&entry.key);
            self.free.push(index);
        }
    }

    fn touch(&mut self, index: u32) {
        if let Some(entry) = at_mut(&mut self.entries, index)
            && !entry.touched
        {
            entry.touched = true;
            self.touched.push_back(index);
        }
    }

    fn at(&self, id: NextHopId) -> Option<&NextHopEntry> {
        self.entries.get(id.0 as usize).and_then(Option::as_ref)
    }
}

fn at_mut(entries: &mut [Option<NextHopEntry>], index: u32) -> Option<&mut NextHopEntry> {
    entries.get_mut(index as usize).and_then(Option::as_mut)
}
