//! Identifiers of the paths that are sent side by side (RFC 7911), of one family.
//!
//! A path that is sent with an identifier has an entry here, under a dense number like that of a prefix, so that
//! the Adj-RIB-Out of a group that sends several paths is a plain array over these numbers, and what a member has
//! yet to be told a bitmap over them. An entry stays as long as its path does, however often the attributes change
//! or the path may not be used, and after that until no peer may still hold it. It costs 24 octets, and four per
//! prefix; while nobody is sent several paths there are none.
//!
//! The identifier itself is made from who sent the path and not from the order in which paths came. After a restart
//! of ours the paths have the identifiers that they had, and each replaces itself where a helper kept it (RFC 4724).

use super::path::Slot;
use super::table::{PrefixId, reserve_slowly};

/// Number of an entry of an Adj-RIB-Out: of a prefix where one path is sent, else a number in [`PathIds`].
pub(super) type EntryId = u32;

const NONE: u32 = u32::MAX;

struct Entry {
    prefix: PrefixId,
    /// Of the same prefix.
    next: EntryId,
    source: Slot,
    /// As received.
    received: u32,
    /// As sent: unique among those of the prefix, never 0, which some speakers take for "none".
    sent: u32,
    lingers: bool,
}

#[derive(Default)]
pub(super) struct PathIds {
    entries: Vec<Entry>,
    free: Vec<EntryId>,
    /// By prefix.
    first: Vec<EntryId>,
    /// Their paths are gone, but a peer that lags may still have to be told so.
    lingering: Vec<EntryId>,
}

/// Whether somebody still needs an entry.
pub(super) struct Uses<A, H> {
    /// The path is there.
    pub(super) is_alive: A,
    /// A peer has been sent it, or may have been.
    pub(super) is_held: H,
}

impl PathIds {
    /// Entries of a prefix.
    pub(super) fn of(&self, prefix: PrefixId) -> impl Iterator<Item = EntryId> {
        let first = self.first.get(prefix as usize).copied();
        let next = |entry: &EntryId| self.get(*entry).map(|entry| entry.next);
        std::iter::successors(first, next).take_while(|&entry| entry != NONE)
    }

    pub(super) fn has(&self, prefix: PrefixId) -> bool {
        self.of(prefix).next().is_some()
    }

    /// Prefix and identifier as sent.
    pub(super) fn nlri(&self, entry: EntryId) -> Option<(PrefixId, u32)> {
        self.get(entry).map(|entry| (entry.prefix, entry.sent))
    }

    /// The entry of a path. A new one gets the identifier `wanted`, or another one where that is taken.
    pub(super) fn insert(&mut self, prefix: PrefixId, source: Slot, received: u32, wanted: u32) -> EntryId {
        let is_of = |entry: &Entry| entry.source == source && entry.received == received;
        let known = self.of(prefix).find(|&entry| self.get(entry).is_some_and(is_of));
        if let Some(known) = known {
            return known;
        }
        let mut sent = wanted.max(1);
        while self.of(prefix).any(|entry| self.get(entry).is_some_and(|entry| entry.sent == sent)) {
            // Not the next number: a neighboring router is likely to want that.
            sent = sent.wrapping_add(FACTOR).max(1);
        }
        let place = prefix as usize;
        while self.first.len() <= place {
            reserve_slowly(&mut self.first);
            self.first.push(NONE);
        }
        let next = self.first.get(place).copied().unwrap_or(NONE);
        let id = self.allocate(Entry { prefix, next, source, received, sent, lingers: false });
        if let Some(first) = self.first.get_mut(place) {
            *first = id;
        }
        id
    }

    /// Frees the entries of a prefix that nobody needs.
    pub(super) fn free_unused(
        &mut self,
        prefix: PrefixId,
        uses: &Uses<impl Fn(PrefixId, Slot, u32) -> bool, impl Fn(EntryId) -> bool>,
    ) {
        let mut previous = NONE;
        let mut id = self.first.get(prefix as usize).copied().unwrap_or(NONE);
        while let Some(entry) = self.entries.get_mut(id as usize) {
            let next = entry.next;
            let is_alive = (uses.is_alive)(prefix, entry.source, entry.received);
            if !is_alive && (uses.is_held)(id) && !std::mem::replace(&mut entry.lingers, true) {
                self.lingering.push(id);
            }
            // What lingers is gone through when a peer has caught up.
            if is_alive || entry.lingers {
                previous = id;
            } else {
                self.unlink(prefix, previous, next);
                self.free.push(id);
            }
            id = next;
        }
    }

    /// Tries the lingering ones again.
    pub(super) fn free_lingering(
        &mut self,
        uses: &Uses<impl Fn(PrefixId, Slot, u32) -> bool, impl Fn(EntryId) -> bool>,
    ) {
        for id in std::mem::take(&mut self.lingering) {
            if let Some(entry) = self.entries.get_mut(id as usize) {
                entry.lingers = false;
                let prefix = entry.prefix;
                self.free_unused(prefix, uses);
            }
        }
    }

    /// Nobody is sent several paths any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn get(&self, id: EntryId) -> Option<&Entry> {
        self.entries.get(id as usize)
    }

    fn allocate(&mut self, entry: Entry) -> EntryId {
        match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.entries.get_mut(id as usize) {
                    *place = entry;
                }
                id
            }
            None => {
                reserve_slowly(&mut self.entries);
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
            }
        }
    }

    fn unlink(&mut self, prefix: PrefixId, previous: EntryId, next: EntryId) {
        if let Some(entry) = self.entries.get_mut(previous as usize) {
            entry.next = next;
        } else if let Some(first) = self.first.get_mut(prefix as usize) {
            *first = next;
        }
    }
}

/// The identifier that suits a path: that of the peer's router, mixed with the identifier that the peer gave it, if
/// any. An odd factor maps different ones of one peer to different ones.
pub(super) fn wanted(router_id: u32, received: u32) -> u32 {
    router_id ^ received.wrapping_mul(FACTOR)
}

/// Odd, with bits all over.
const FACTOR: u32 = 0x9e37_79b1;

const _: () = assert!(size_of::<Entry>() <= 24);
