//! How many prefixes a peer may send, may have accepted, and may be sent. Counted here because only the RIB knows
//! what is new and what replaces something; what to do about it is the session's business.

use super::Rib;
use super::event::RibEffect;
use super::family::Family;
use super::path::Slot;
use super::session::PeerEntry;
use crate::PeerId;
use crate::peer::{PrefixCount, PrefixExcess, PrefixLimit, PrefixLimitAction};

impl PeerEntry {
    /// Up, and not cut off by its limit.
    pub(super) fn takes_updates(&self) -> bool {
        self.is_up() && !(self.is_over_limit && self.terms.prefix_limit.is_some_and(is_enforced))
    }

    /// Of one family; what has been sent is counted by [`Rib::check_sent_limits`].
    fn prefixes(&self, count: PrefixCount, family: Family) -> u64 {
        let family = self.families.get(family);
        match count {
            PrefixCount::Received => family.received as u64,
            PrefixCount::Accepted => family.accepted as u64,
            PrefixCount::Sent => 0,
        }
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
        // Dead paths are still counted; they go with the walk, which checks again. So does another judgement.
        let is_judged = !self.rejudge && self.reimport.is_empty();
        if self.v4.walk || self.v6.walk || !is_judged {
            return;
        }
        let Some(entry) = self.shared.peers.get_mut(slot).filter(|entry| entry.is_up()) else { return };
        let Some(limit) = entry.terms.prefix_limit.filter(|_| !entry.is_over_limit) else { return };
        // Stale paths of the last session (RFC 4724) are no more than the limit, or that would have ended.
        let has_stale = Family::ALL.into_iter().any(|family| entry.may_have_stale(family));
        let factor = if has_stale { 2 } else { 1 };
        for count in [PrefixCount::Received, PrefixCount::Accepted] {
            let Some(allowed) = limit.of(count) else { continue };
            let excess = excess(count, |family| entry.prefixes(count, family));
            if excess.prefixes > u64::from(allowed) * factor {
                entry.is_over_limit = true;
                let peer = entry.terms.peer;
                self.effects.push_back(RibEffect::TooManyPrefixes { peer, excess });
                return;
            }
        }
    }

    /// Once all have been told what there is to tell: who has been told too much.
    pub(super) fn check_sent_limits(&mut self) {
        for group in self.groups.iter().flatten() {
            for member in &group.members {
                let Some(entry) = self.shared.peers.get_mut(member.slot) else { continue };
                let Some(limit) = entry.terms.prefix_limit.filter(|_| !entry.is_over_limit) else { continue };
                let Some(allowed) = limit.sent.map(u64::from) else { continue };
                // Nearly always enough; what the member is the source of is not sent to it.
                let most: usize = Family::ALL.into_iter().map(|family| group.out.get(family).len()).sum();
                if most as u64 <= allowed {
                    continue;
                }
                let excess =
                    excess(PrefixCount::Sent, |family| group.out.get(family).sent_to(member.slot) as u64);
                if excess.prefixes > allowed {
                    entry.is_over_limit = true;
                    let peer = entry.terms.peer;
                    self.effects.push_back(RibEffect::TooManyPrefixes { peer, excess });
                }
            }
        }
    }
}

fn excess(count: PrefixCount, prefixes: impl Fn(Family) -> u64) -> PrefixExcess {
    let most = Family::ALL.into_iter().max_by_key(|family| prefixes(*family));
    let family = most.unwrap_or(Family::V4).afi_safi();
    PrefixExcess { count, family, prefixes: Family::ALL.into_iter().map(prefixes).sum() }
}
