//! The peers the RIB has heard of, by identity and by slot.

use std::time::Instant;

use hashbrown::HashMap;

use super::event::{Retain, RibPeer};
use super::family::{Family, PerFamily};
use super::path::{Marks, Refusal, Slot};
use super::session::{Lost, PeerEntry, Session, SourceTerms};
use crate::{ClusterId, PeerId};

#[derive(Default)]
pub(super) struct Peers {
    entries: Vec<Option<PeerEntry>>,
    free: Vec<u32>,
    by_id: HashMap<PeerId, Slot, foldhash::fast::RandomState>,
}

/// What a session that came up changes for paths that are there already.
pub(super) struct Began {
    pub(super) slot: Slot,
    pub(super) lost: Lost,
    /// Paths kept from before are to be judged and exported anew: the peer came back on other terms.
    pub(super) changed: bool,
    /// Its import policy or rules are others than paths kept from before were judged by.
    pub(super) reimport: bool,
}

impl Peers {
    pub(super) fn slot(&self, peer: PeerId) -> Option<Slot> {
        self.by_id.get(&peer).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&PeerEntry> {
        self.entries.get(slot.0 as usize).and_then(Option::as_ref)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut PeerEntry> {
        self.entries.get_mut(slot.0 as usize).and_then(Option::as_mut)
    }

    /// In the order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &PeerEntry)> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(|(slot, entry)| Some((Slot(u32::try_from(slot).ok()?), entry.as_ref()?)))
    }

    /// A session came up. `None` for a peer whose slot in the speaker has a newer owner already.
    pub(super) fn begin(&mut self, terms: Box<RibPeer>, now: Instant) -> Option<Began> {
        let peer = terms.peer;
        let superseded = |other: &PeerEntry| {
            other.terms.peer.index == peer.index && other.terms.peer.generation > peer.generation
        };
        if self.iter().any(|(_, other)| superseded(other)) {
            return None;
        }
        let slot = match self.slot(peer) {
            Some(slot) => slot,
            None => self.insert(terms.clone(), now),
        };
        let entry = self.get_mut(slot)?;
        entry.is_removed = false;
        let before = SourceTerms::of(&entry.terms);
        let has_paths = Family::ALL.into_iter().any(|family| entry.families.get(family).received > 0);
        let judged_by = |terms: &RibPeer| {
            let RibPeer { negotiated, rules, link_bandwidth, allow_local_as, .. } = terms;
            let (local_as, role) = (negotiated.local_as, negotiated.role);
            (std::sync::Arc::clone(&terms.import), *rules, *link_bandwidth, *allow_local_as, local_as, role)
        };
        let old = judged_by(&entry.terms);
        let lost = entry.begin(terms, now);
        let changed = has_paths && before != SourceTerms::of(&entry.terms);
        let reimport = has_paths && old != judged_by(&entry.terms);
        Some(Began { slot, lost, changed, reimport })
    }

    /// A session ended, or what was retained of it is to go.
    pub(super) fn end(&mut self, slot: Slot, retain: Option<&Retain>, now: Instant) -> Lost {
        self.get_mut(slot).map(|entry| entry.end(retain, now)).unwrap_or_default()
    }

    /// A peer is no longer configured.
    pub(super) fn remove(&mut self, slot: Slot, now: Instant) -> Lost {
        let Some(entry) = self.get_mut(slot) else { return Lost::default() };
        entry.is_removed = true;
        entry.end(None, now)
    }

    /// Frees the slots of removed peers that no path names any more. To be called when no Adj-RIB-Out does
    /// either.
    pub(super) fn free_removed(&mut self) {
        for (index, place) in self.entries.iter_mut().enumerate() {
            let is_gone = |entry: &PeerEntry| {
                entry.is_removed
                    && Family::ALL.into_iter().all(|family| entry.families.get(family).received == 0)
            };
            if place.as_ref().is_some_and(is_gone)
                && let Some(entry) = place.take()
                && let Ok(index) = u32::try_from(index)
            {
                self.by_id.remove(&entry.terms.peer);
                self.free.push(index);
            }
        }
    }

    /// Ends whatever has run out. Returns the families that lost paths.
    pub(super) fn handle_deadline(&mut self, now: Instant) -> Lost {
        let mut lost = Lost::default();
        self.entries.iter_mut().flatten().for_each(|entry| lost.add(entry.handle_deadline(now)));
        lost
    }

    /// When [`Peers::handle_deadline`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.entries.iter().flatten().filter_map(PeerEntry::next_deadline).min()
    }

    /// Whether every one of these peers has been heard; remembers those that have.
    pub(super) fn all_heard(&mut self, peers: &[PeerId], now: Instant) -> bool {
        let mut all = true;
        for &peer in peers {
            let slot = self.slot(peer);
            let entry = slot.and_then(|slot| self.get_mut(slot));
            let Some(entry) = entry else {
                all = false;
                continue;
            };
            entry.heard |= entry.is_heard(now);
            all &= entry.heard;
        }
        all
    }

    /// When the next of these peers will count as quiet.
    pub(super) fn next_quiet(&self, peers: &[PeerId]) -> Option<Instant> {
        let entries = peers.iter().filter_map(|&peer| self.get(self.slot(peer)?));
        entries.filter(|entry| !entry.heard).filter_map(PeerEntry::quiet_at).min()
    }

    /// Our clusters (RFC 4456 §7): those of every client we have seen and that is still configured.
    pub(super) fn clusters(&self) -> Vec<ClusterId> {
        let configured = self.iter().filter(|(_, entry)| !entry.is_removed);
        let mut clusters: Vec<_> = configured.filter_map(|(_, entry)| entry.terms.reflector_client).collect();
        clusters.sort_unstable();
        clusters.dedup();
        clusters
    }

    pub(super) fn count_received(&mut self, slot: Slot, family: Family, change: isize) {
        if let Some(entry) = self.get_mut(slot) {
            let received = &mut entry.families.get_mut(family).received;
            *received = received.saturating_add_signed(change);
        }
    }

    /// Keeps the count in step with a change of a path's refusal; `None`: no path.
    pub(super) fn count_accepted(
        &mut self,
        slot: Slot,
        family: Family,
        (old, new): (Option<Refusal>, Option<Refusal>),
    ) {
        let change = isize::from(new == Some(Refusal::None)) - isize::from(old == Some(Refusal::None));
        if change != 0
            && let Some(entry) = self.get_mut(slot)
        {
            let accepted = &mut entry.families.get_mut(family).accepted;
            *accepted = accepted.saturating_add_signed(change);
        }
    }

    /// Keeps the counts in step with a change of a path's marks.
    pub(super) fn count_marks(&mut self, slot: Slot, family: Family, old: Marks, new: Marks) {
        let Some(entry) = self.get_mut(slot) else { return };
        let counts = entry.families.get_mut(family);
        for (mark, count) in [(Marks::ELIGIBLE, &mut counts.eligible), (Marks::BEST, &mut counts.best)] {
            match (old.contains(mark), new.contains(mark)) {
                (false, true) => *count += 1,
                (true, false) => *count -= 1,
                (true, true) | (false, false) => {}
            }
        }
    }

    fn insert(&mut self, terms: Box<RibPeer>, now: Instant) -> Slot {
        let peer = terms.peer;
        let entry = PeerEntry {
            terms,
            session: Session::Down,
            families: PerFamily::default(),
            active_at: now,
            heard: false,
            is_over_limit: false,
            is_removed: false,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.entries.get_mut(slot as usize) {
                    *place = Some(entry);
                }
                Slot(slot)
            }
            None => {
                self.entries.push(Some(entry));
                Slot(u32::try_from(self.entries.len() - 1).unwrap_or(0))
            }
        };
        self.by_id.insert(peer, slot);
        slot
    }
}
