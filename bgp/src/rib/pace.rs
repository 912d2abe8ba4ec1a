//! MinRouteAdvertisementInterval (RFC 4271 §9.2.1.1): pauses between what one peer is told. A member that pauses is
//! one that is behind; what that costs and how it catches up is `member.rs`'s. Without an interval nothing here does
//! anything.

use std::time::{Duration, Instant};

use super::Rib;
use super::adj_out::Group;
use crate::PeerId;

/// MinRouteAdvertisementInterval (RFC 4271 §9.2.1.1), of all that one peer is told: after an advertisement it is
/// told no further one until the interval is over. What changes meanwhile it is behind by, so it hears only the
/// last state; withdrawals are told at once (§9.2.1.1 is about advertisements).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    interval: Duration,
    held_until: Option<Instant>,
}

impl Pace {
    pub(super) fn new(secs: u16) -> Self {
        Self { interval: Duration::from_secs(secs.into()), held_until: None }
    }

    /// Another interval: from the next advertisement on, except that none is over at once.
    pub(super) fn change(&mut self, secs: u16) {
        self.interval = Duration::from_secs(secs.into());
        if secs == 0 {
            self.held_until = None;
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.held_until.is_some()
    }

    /// Something was advertised.
    pub(super) fn hold(&mut self, now: Instant) {
        if self.interval > Duration::ZERO {
            self.held_until = Some(now + self.interval);
        }
    }

    /// When it may be told more, if that is still to come.
    pub(super) fn release(&mut self, now: Instant) -> Option<Instant> {
        self.held_until = self.held_until.filter(|until| *until > now);
        self.held_until
    }
}

impl Rib {
    /// Another interval for a peer that is up.
    pub(super) fn handle_interval(&mut self, peer: PeerId, secs: u16) {
        let Some(slot) = self.shared.peers.slot(peer) else { return };
        if let Some(entry) = self.shared.peers.get_mut(slot) {
            entry.terms.advertisement_interval_secs = secs;
        }
        let mut members = self.groups.iter_mut().flatten().filter_map(|group| group.member_mut(slot));
        if let Some(member) = members.next() {
            member.pace.change(secs);
        }
    }

    /// Whoever has paused long enough catches up with the next drain.
    pub(super) fn release_held(&mut self) {
        let now = self.shared.now;
        if self.next_release.is_some_and(|at| at <= now) {
            let groups = self.groups.iter_mut().flatten();
            self.next_release = groups.filter_map(|group| group.release_held(now)).min();
        }
    }
}

/// Begins the pauses of those that have just been told something; when the first of them ends.
pub(super) fn hold(group: &mut Group, cohort: &[usize], has_reach: bool, now: Instant) -> Option<Instant> {
    if !has_reach {
        return None;
    }
    for &place in cohort {
        if let Some(member) = group.members.get_mut(place) {
            member.note_advertised(now);
        }
    }
    group.release_held(now)
}

pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
