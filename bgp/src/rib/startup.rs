//! Start-up: when the picture is complete (RFC 4724 §4.1, "selection deferral").
//!
//! Best paths and advertisements do not wait, the receivers of both only add until then. What waits is what
//! makes others delete: `InSync`, after which the kernel's left-over routes go, and, if we have told our
//! peers that we restarted, our own End-of-RIB, after which they sweep what we have not announced again.

use std::time::{Duration, Instant};

use super::peers::Peers;
use crate::PeerId;

/// How long start-up waits for peers that do not come or do not finish, counted from the first word about
/// which peers there are. Long enough for connect retries (5 s) and a full table; users of 240 s and more
/// complain about the wait, users of less about lost routes.
pub const DEFERRAL_MAX_SECS: u64 = 60;

/// How long start-up waits, once everybody has been heard, for next hops that a route of ours may resolve: that route
/// has to reach the kernel's side, and the word that the next hop resolves has to come back. Short, because what is
/// waited for may never come (the kernel may know better).
const RECURSION_SECS: u64 = 5;

#[derive(Default)]
pub(super) struct Startup {
    neighbors: Option<Vec<PeerId>>,
    deadline: Option<Instant>,
    /// Since when everybody has been heard.
    heard_at: Option<Instant>,
    is_over: bool,
}

impl Startup {
    pub(super) fn handle_neighbors(&mut self, neighbors: Vec<PeerId>, now: Instant) {
        self.deadline.get_or_insert(now + Duration::from_secs(DEFERRAL_MAX_SECS));
        self.neighbors = Some(neighbors);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// True once in a life: when every neighbor has been heard and every next hop has been looked up, or time
    /// is up. `awaits_recursion`: a next hop does not resolve yet, but lies in a best route of ours. A path whose next hop is still pending would otherwise be missing from the picture. After a restart
    /// nobody is no answer: a former run had routes from somebody, whose configuration may be about to arrive.
    pub(super) fn poll_over(
        &mut self,
        peers: &mut Peers,
        pending_next_hops: usize,
        awaits_recursion: impl FnOnce() -> bool,
        restarting: bool,
        now: Instant,
    ) -> bool {
        let Some(neighbors) = self.neighbors.as_ref().filter(|_| !self.is_over) else { return false };
        let is_late = self.deadline.is_some_and(|deadline| deadline <= now);
        let is_unlikely = restarting && neighbors.is_empty();
        let is_complete = !is_unlikely && peers.all_heard(neighbors, now) && pending_next_hops == 0;
        if !is_complete {
            self.heard_at = None;
        }
        let is_settled = is_complete && {
            let heard_at = *self.heard_at.get_or_insert(now);
            heard_at + Duration::from_secs(RECURSION_SECS) <= now || !awaits_recursion()
        };
        self.is_over = is_late || is_settled;
        self.is_over
    }

    pub(super) fn next_deadline(&self, peers: &Peers) -> Option<Instant> {
        let neighbors = self.neighbors.as_ref().filter(|_| !self.is_over)?;
        let recursion = self.heard_at.map(|heard_at| heard_at + Duration::from_secs(RECURSION_SECS));
        self.deadline.into_iter().chain(recursion).chain(peers.next_quiet(neighbors)).min()
    }
}
