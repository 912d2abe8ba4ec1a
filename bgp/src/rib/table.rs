//! The prefixes of one family under dense numbers, each with its paths.
//!
//! A destination is its own Adj-RIB-In of all peers and its own Loc-RIB entry: paths of all peers stand side
//! by side and the best ones are marked. The number of a prefix is stable while anything refers to it, so
//! Adj-RIBs-Out are plain arrays over it.

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::family::Prefix;
use super::path::{Marks, Path};

/// Number of a prefix in its table.
pub(super) type PrefixId = u32;

/// What is to be done about a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    /// Queued for the decision.
    pub(super) const DIRTY: Self = Self(1);
    /// Queued for the Adj-RIBs-Out.
    pub(super) const CHANGED: Self = Self(2);
    /// A path that was in use has gone or has other attributes: whatever the decision says, tell.
    pub(super) const USED_PATH_CHANGED: Self = Self(4);
    /// Out of the index, its number free.
    pub(super) const FREE: Self = Self(8);
    /// Without paths, but a peer that lags may still have to be told so.
    pub(super) const LINGERS: Self = Self(16);

    pub(super) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(super) fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }

    /// Clears the flag; true when it was set.
    pub(super) fn take(&mut self, flag: Self) -> bool {
        let was = self.has(flag);
        self.0 &= !flag.0;
        was
    }
}

pub(super) struct Destination<P> {
    pub(super) prefix: P,
    pub(super) flags: Flags,
    pub(super) paths: SmallVec<[Path; 1]>,
}

const _: () = assert!(size_of::<Destination<ipnet::Ipv4Net>>() <= 40);
const _: () = assert!(size_of::<Destination<ipnet::Ipv6Net>>() <= 56);

impl<P> Destination<P> {
    pub(super) fn best(&self) -> Option<&Path> {
        self.paths.iter().find(|path| path.marks.contains(Marks::BEST))
    }
}

#[derive(Default)]
pub(super) struct Table<P> {
    index: HashTable<PrefixId>,
    hasher: RandomState,
    destinations: Vec<Destination<P>>,
    free: Vec<PrefixId>,
    /// To be decided, oldest first.
    pub(super) dirty: VecDeque<PrefixId>,
    /// To be brought to the Adj-RIBs-Out, oldest first.
    pub(super) changed: VecDeque<PrefixId>,
    /// Without paths, see [`Flags::LINGERS`].
    lingering: Vec<PrefixId>,
    /// Somebody is sent several paths of a prefix: tell also of what changes nothing about the best one.
    pub(super) tells_every_path: bool,
    /// Paths died: walk before the next decision.
    pub(super) walk: bool,
    /// Number of paths.
    pub(super) paths: usize,
}

impl<P: Prefix> Table<P> {
    pub(super) fn get(&self, id: PrefixId) -> Option<&Destination<P>> {
        self.destinations.get(id as usize)
    }

    pub(super) fn get_mut(&mut self, id: PrefixId) -> Option<&mut Destination<P>> {
        self.destinations.get_mut(id as usize)
    }

    pub(super) fn find(&self, prefix: P) -> Option<PrefixId> {
        let destinations = &self.destinations;
        let same = |&id: &PrefixId| destinations.get(id as usize).is_some_and(|known| known.prefix == prefix);
        self.index.find(prefix.hash_with(&self.hasher), same).copied()
    }

    /// The prefix's number, a new one if it has none.
    pub(super) fn insert(&mut self, prefix: P) -> PrefixId {
        if let Some(id) = self.find(prefix) {
            return id;
        }
        let destination = Destination { prefix, flags: Flags::default(), paths: SmallVec::new() };
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.get_mut(id) {
                    *place = destination;
                }
                id
            }
            None => {
                reserve_slowly(&mut self.destinations);
                self.destinations.push(destination);
                u32::try_from(self.destinations.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let (destinations, hasher) = (&self.destinations, &self.hasher);
        let hash = |&id: &PrefixId| {
            destinations.get(id as usize).map_or(0, |destination| destination.prefix.hash_with(hasher))
        };
        self.index.insert_unique(prefix.hash_with(hasher), id, hash);
        id
    }

    pub(super) fn mark_dirty(&mut self, id: PrefixId) {
        let Some(destination) = self.destinations.get_mut(id as usize) else { return };
        if !destination.flags.has(Flags::DIRTY) && !destination.flags.has(Flags::FREE) {
            destination.flags.set(Flags::DIRTY);
            self.dirty.push_back(id);
        }
    }

    pub(super) fn mark_changed(&mut self, id: PrefixId) {
        let Some(destination) = self.destinations.get_mut(id as usize) else { return };
        if !destination.flags.has(Flags::CHANGED) && !destination.flags.has(Flags::FREE) {
            destination.flags.set(Flags::CHANGED);
            self.changed.push_back(id);
        }
    }

    /// Brings every prefix to the Adj-RIBs-Out again.
    pub(super) fn mark_all_changed(&mut self) {
        for id in self.ids() {
            self.mark_changed(id);
        }
    }

    /// Decides every prefix again.
    pub(super) fn mark_all_dirty(&mut self) {
        for id in self.ids() {
            self.mark_dirty(id);
        }
    }

    /// The next prefixes for the Adj-RIBs-Out.
    pub(super) fn take_changed(&mut self, max: usize) -> Vec<PrefixId> {
        let len = self.changed.len().min(max);
        let ids: Vec<_> = self.changed.drain(..len).collect();
        for &id in &ids {
            if let Some(destination) = self.get_mut(id) {
                destination.flags.take(Flags::CHANGED);
            }
        }
        ids
    }

    /// Every number that has been given out, free ones included.
    pub(super) fn ids(&self) -> std::ops::Range<PrefixId> {
        0..u32::try_from(self.destinations.len()).unwrap_or(u32::MAX)
    }

    /// Prefixes with at least one path, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PrefixId, &Destination<P>)> {
        self.ids().zip(&self.destinations).filter(|(_, destination)| !destination.paths.is_empty())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (PrefixId, &mut Destination<P>)> {
        let ids = self.ids();
        ids.zip(&mut self.destinations).filter(|(_, destination)| !destination.paths.is_empty())
    }

    /// Number of prefixes with at least one path.
    pub(super) fn len(&self) -> usize {
        self.index.len() - self.lingering.len().min(self.index.len())
    }

    /// Frees the number of a prefix that has no path and waits for nothing, unless `is_held` by somebody who
    /// has yet to be told that it is gone; then it lingers and [`Table::free_lingering`] tries again.
    pub(super) fn free_unused(&mut self, id: PrefixId, mut is_held: impl FnMut(PrefixId) -> bool) {
        let Some(destination) = self.destinations.get_mut(id as usize) else { return };
        let flags = &mut destination.flags;
        let is_queued = flags.has(Flags::DIRTY) || flags.has(Flags::CHANGED) || flags.has(Flags::FREE);
        if is_queued || flags.has(Flags::LINGERS) || !destination.paths.is_empty() {
            return;
        }
        if is_held(id) {
            flags.set(Flags::LINGERS);
            self.lingering.push(id);
            return;
        }
        flags.set(Flags::FREE);
        let hash = destination.prefix.hash_with(&self.hasher);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        self.free.push(id);
    }

    /// Tries the lingering ones again.
    pub(super) fn free_lingering(&mut self, mut is_held: impl FnMut(PrefixId) -> bool) {
        for id in std::mem::take(&mut self.lingering) {
            if let Some(destination) = self.get_mut(id) {
                destination.flags.take(Flags::LINGERS);
            }
            self.free_unused(id, &mut is_held);
        }
    }
}

/// Grows by a quarter, not by doubling: at a million entries the slack would otherwise weigh as much as the
/// Adj-RIB-Out.
pub(super) fn reserve_slowly<T>(vec: &mut Vec<T>) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact((vec.len() / 4).max(64));
    }
}
