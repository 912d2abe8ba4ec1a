//! One peer in its update group: in step with the group's Adj-RIB-Out, or behind it.
//!
//! A member that is behind holds two bits per prefix and nothing else: that it has to be told, and whether it
//! holds a route that would have to be withdrawn. However long it stays behind and however much changes
//! meanwhile, that is all it costs, and it is told only the last state.

use std::time::Instant;

use crate::PeerId;

use super::family::{Family, PerFamily};
use super::pace::Pace;
use super::path::Slot;
use super::table::PrefixId;

/// A set of prefix numbers.
#[derive(Clone, Debug, Default)]
struct Bitmap(Vec<u64>);

const WORD_BITS: u32 = u64::BITS;

impl Bitmap {
    fn full(len: PrefixId) -> Self {
        let mut words = vec![u64::MAX; (len / WORD_BITS) as usize];
        if !len.is_multiple_of(WORD_BITS) {
            words.push((1 << (len % WORD_BITS)) - 1);
        }
        Self(words)
    }

    fn word(&self, word: usize) -> u64 {
        self.0.get(word).copied().unwrap_or(0)
    }

    fn has(&self, id: PrefixId) -> bool {
        self.word((id / WORD_BITS) as usize) & (1 << (id % WORD_BITS)) != 0
    }

    /// True when it was not in yet.
    fn insert(&mut self, id: PrefixId) -> bool {
        let is_new = !self.has(id);
        let word = (id / WORD_BITS) as usize;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << (id % WORD_BITS);
        }
        is_new
    }

    fn remove(&mut self, id: PrefixId) {
        if let Some(bits) = self.0.get_mut((id / WORD_BITS) as usize) {
            *bits &= !(1 << (id % WORD_BITS));
        }
    }

    fn clear_word(&mut self, word: usize) {
        if let Some(bits) = self.0.get_mut(word) {
            *bits = 0;
        }
    }
}

/// What a member that is behind has yet to be told.
#[derive(Clone, Debug, Default)]
pub(super) struct Behind {
    dirty: Bitmap,
    /// Of the dirty ones, those of which the member holds something.
    held: Bitmap,
    /// Size of `dirty`.
    left: usize,
    /// Word of `dirty` at which to go on.
    cursor: usize,
}

impl Behind {
    /// Of a member that holds nothing and has to be told everything.
    pub(super) fn all(len: PrefixId) -> Self {
        Self { dirty: Bitmap::full(len), left: len as usize, ..Self::default() }
    }

    /// What the member holds of a prefix that is dirty already stays as it is.
    pub(super) fn mark(&mut self, id: PrefixId, is_held: bool) {
        if self.dirty.insert(id) {
            self.left += 1;
            if is_held {
                self.held.insert(id);
            }
        }
    }

    /// The prefix is told now: whether the member holds something of it, by what was marked or by `is_held`.
    pub(super) fn unmark(&mut self, id: PrefixId, is_held: bool) -> bool {
        if !self.dirty.has(id) {
            return is_held;
        }
        let is_held = self.held.has(id);
        self.dirty.remove(id);
        self.held.remove(id);
        self.left -= 1;
        is_held
    }

    pub(super) fn is_dirty(&self, id: PrefixId) -> bool {
        self.dirty.has(id)
    }

    pub(super) fn holds(&self, id: PrefixId) -> bool {
        self.held.has(id)
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The next words with dirty prefixes in them, about `max` of these.
    pub(super) fn next_words(&self, max: usize) -> std::ops::Range<usize> {
        let len = self.dirty.0.len();
        let is_dirty = |word: &usize| self.dirty.word(*word) != 0;
        let start = (self.cursor..len).find(is_dirty).or_else(|| (0..len).find(is_dirty)).unwrap_or(len);
        let mut end = start;
        let mut count = 0;
        while end < len && count < max {
            count += self.dirty.word(end).count_ones() as usize;
            end += 1;
        }
        start..end
    }

    /// The dirty prefixes in these words.
    pub(super) fn ids(&self, words: std::ops::Range<usize>) -> impl Iterator<Item = PrefixId> {
        words.flat_map(|word| {
            let bits = self.dirty.word(word);
            let first = u32::try_from(word).unwrap_or(u32::MAX).saturating_mul(WORD_BITS);
            (0..WORD_BITS).filter(move |bit| bits & (1 << bit) != 0).map(move |bit| first.saturating_add(bit))
        })
    }

    /// Whether both have to be told the same in these words.
    pub(super) fn is_like(&self, other: &Self, mut words: std::ops::Range<usize>) -> bool {
        words.all(|word| {
            self.dirty.word(word) == other.dirty.word(word) && self.held.word(word) == other.held.word(word)
        })
    }

    pub(super) fn clear(&mut self, words: std::ops::Range<usize>) {
        self.cursor = words.end;
        for word in words {
            self.left -= self.dirty.word(word).count_ones() as usize;
            self.dirty.clear_word(word);
            self.held.clear_word(word);
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct MemberFamily {
    /// `None`: in step. What it holds is then exactly what the Adj-RIB-Out says, less what it is itself the
    /// source of.
    pub(super) behind: Option<Box<Behind>>,
    /// The initial End-of-RIB has not been sent.
    pub(super) owes_end_of_rib: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) slot: Slot,
    pub(super) peer: PeerId,
    pub(super) families: PerFamily<MemberFamily>,
    /// Most bytes that may be on their way to its socket.
    window: usize,
    /// Bytes on their way.
    outstanding: usize,
    /// It could not be given something and waits for bytes to reach its socket.
    is_stalled: bool,
    pub(super) pace: Pace,
}

impl Member {
    pub(super) fn new(slot: Slot, peer: PeerId, window: usize) -> Self {
        Self {
            slot,
            peer,
            families: PerFamily::default(),
            window,
            outstanding: 0,
            is_stalled: false,
            pace: Pace::default(),
        }
    }

    /// Books `len` bytes, unless the window is full. Something fits always when nothing is on its way, so a
    /// window smaller than a message slows a peer down but cannot stop it.
    pub(super) fn book(&mut self, len: usize) -> bool {
        if self.is_stalled || (self.outstanding > 0 && self.outstanding.saturating_add(len) > self.window) {
            self.is_stalled = true;
            return false;
        }
        self.outstanding = self.outstanding.saturating_add(len);
        true
    }

    /// Books what is too small to be worth a delay.
    pub(super) fn book_always(&mut self, len: usize) {
        self.outstanding = self.outstanding.saturating_add(len);
    }

    /// So many bytes have reached the socket. Below half of the window it may go on, not at once: every
    /// resumption costs a search.
    pub(super) fn handle_transmitted(&mut self, len: usize) {
        self.outstanding = self.outstanding.saturating_sub(len);
        if self.outstanding <= self.window / 2 {
            self.is_stalled = false;
        }
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Nothing can be booked until more has reached its socket.
    pub(super) fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// About how many prefixes it makes sense to look up for it: more than fit its window at the least octets
    /// a prefix takes would be packed for nothing.
    pub(super) fn prefixes_that_fit(&self) -> usize {
        const PREFIX_LEN_MIN: usize = 4;
        const WORTH_A_SEARCH: usize = 256;
        (self.window.saturating_sub(self.outstanding) / PREFIX_LEN_MIN).max(WORTH_A_SEARCH)
    }

    pub(super) fn is_in_step(&self, family: Family) -> bool {
        self.families.get(family).behind.is_none()
    }

    pub(super) fn can_catch_up(&self, family: Family) -> bool {
        !self.is_in_step(family) && !self.is_stalled && !self.pace.is_held()
    }

    /// Everything that was to be told has been, and an advertisement was among it. While a member is behind for lack
    /// of room, pauses would only make it slower.
    pub(super) fn note_advertised(&mut self, now: Instant) {
        if Family::ALL.into_iter().all(|family| self.is_in_step(family)) {
            self.pace.hold(now);
        }
    }

    /// While no advertisement may leave, it is behind by whatever changes.
    pub(super) fn follow_held(&mut self, family: Family) {
        if self.pace.is_held() {
            self.families.get_mut(family).behind.get_or_insert_default();
        }
    }

    pub(super) fn fall_behind(&mut self, family: Family, id: PrefixId, is_held: bool) {
        self.families.get_mut(family).behind.get_or_insert_default().mark(id, is_held);
    }
}
