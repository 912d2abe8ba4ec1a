//! How many prefixes a peer may send. Counted here because only the Adj-RIB-In knows what is new and what
//! replaces something; what to do about it is the session's business.

use super::Rib;
use super::event::RibEffect;
use super::family::Family;
use super::path::Slot;
use super::session::PeerEntry;
use crate::PeerId;
use crate::peer::{PrefixLimit, PrefixLimitAction};

impl PeerEntry {
    /// Up, and not cut off by its limit.
    pub(super) fn takes_updates(&self) -> bool {
        self.is_up() && !(self.is_over_limit && self.terms.prefix_limit.is_some_and(is_enforced))
    }

    fn received(&self) -> u64 {
        Family::ALL.into_iter().map(|family| self.families.get(family).received as u64).sum()
    }
}

fn is_enforced(limit: PrefixLimit) -> bool {
    match limit.action {
        PrefixLimitAction::Warn => false,
        PrefixLimitAction::Restart { .. } | PrefixLimitAction::Shutdown => true,
    }
}

impl Rib {
    pub(super) fn handle_prefix_limit(&mut self, peer: PeerId, limit: Option<PrefixLimit>) {
        let Some(slot) = self.shared.peers.slot(peer) else { return };
        let Some(entry) = self.shared.peers.get_mut(slot) else { return };
        entry.terms.prefix_limit = limit;
        entry.is_over_limit = false;
        self.check_prefix_limit(slot);
    }

    /// After a walk: what was stale or dead is not counted any more.
    pub(super) fn check_prefix_limits(&mut self) {
        let limited = |(slot, entry): (Slot, &PeerEntry)| entry.terms.prefix_limit.map(|_| slot);
        for slot in self.shared.peers.iter().filter_map(limited).collect::<Vec<_>>() {
            self.check_prefix_limit(slot);
        }
    }

    pub(super) fn check_prefix_limit(&mut self, slot: Slot) {
        // Dead paths are still counted; they go with the walk, which checks again.
        if self.v4.walk || self.v6.walk {
            return;
        }
        let Some(entry) = self.shared.peers.get_mut(slot).filter(|entry| entry.is_up()) else { return };
        let Some(limit) = entry.terms.prefix_limit.filter(|_| !entry.is_over_limit) else { return };
        let received = entry.received();
        // Stale paths of the last session (RFC 4724) are no more than the limit, or that would have ended.
        let has_stale = Family::ALL.into_iter().any(|family| entry.may_have_stale(family));
        let allowed = u64::from(limit.received) * if has_stale { 2 } else { 1 };
        if received <= allowed {
            return;
        }
        entry.is_over_limit = true;
        let most = Family::ALL.into_iter().max_by_key(|family| entry.families.get(*family).received);
        let family = most.unwrap_or(Family::V4).afi_safi();
        let peer = entry.terms.peer;
        self.effects.push_back(RibEffect::TooManyPrefixes { peer, family, received });
    }
}
