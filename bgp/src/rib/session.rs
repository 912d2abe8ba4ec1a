//! One peer's sessions, the present and the past: which of its paths are of the present one, of an earlier one
//! (stale, RFC 4724 §4.2) or gone, and how many there are.
//!
//! A session that ends touches no path. It moves the peer's epochs, which is what says of a path whether it
//! is stale or dead, and asks for one walk of the tables when paths died.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::event::{Retain, RibPeer};
use super::family::{Family, PerFamily};
use super::path::Path;
use super::update_rules::is_meshed_client;
use crate::peer::Negotiated;
use crate::{AfiSafi, ClusterId, PeerKind, RouterId};

/// How long a returned peer has until its End-of-RIB before what it has not sent again is swept (the upper
/// bound that RFC 4724 §4.2 asks for). The value is BIRD's default for a long-lived stale table and the
/// longest initial dump seen in practice; a peer that dies meanwhile is bounded by its restart time instead.
pub const STALE_PATHS_MAX_SECS: u64 = 360;

/// A peer that will not say End-of-RIB counts as heard when nothing has come from it for this long.
pub const QUIET_SECS: u64 = 2;

/// Sessions and refreshes of which paths may be there at once; half of what [`is_before`] can tell apart.
const REFRESHES_MAX: u16 = 0x3FFF;

/// A session, or what is left of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    Up,
    /// Lost; its retained paths go at this time.
    Retained {
        until: Instant,
    },
    Down,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerFamily {
    /// Number of the present or, when down, of the last session. Compared with wrapping.
    epoch: u16,
    /// Paths of sessions before this one are dead.
    dead_below: u16,
    /// When paths of earlier sessions, or from before a refresh, die at the latest, while the session is up.
    stale_until: Option<Instant>,
    /// The peer is sending the family again (RFC 7313 §4). A refresh counts as one more session.
    is_refreshing: bool,
    /// End-of-RIB came in this session.
    pub(super) end_of_rib: bool,
    /// Paths in the Adj-RIB-In, those that took part in the last decision, and those that won it.
    pub(super) received: usize,
    /// Of these: not refused by policy or a check.
    pub(super) accepted: usize,
    pub(super) eligible: usize,
    pub(super) best: usize,
}

pub(super) struct PeerEntry {
    /// Its terms, those of its last session when it is down.
    pub(super) terms: Box<RibPeer>,
    pub(super) session: Session,
    pub(super) families: PerFamily<PeerFamily>,
    /// When the session came up or the last UPDATE came.
    pub(super) active_at: Instant,
    /// Start-up does not wait for it any more.
    pub(super) heard: bool,
    /// It has sent too many prefixes in this session, and that has been said.
    pub(super) is_over_limit: bool,
    /// Not configured any more: the slot is freed once no path is left.
    pub(super) is_removed: bool,
}

impl PeerEntry {
    pub(super) fn is_up(&self) -> bool {
        self.session == Session::Up
    }

    pub(super) fn epoch(&self, family: Family) -> u16 {
        self.families.get(family).epoch
    }

    pub(super) fn is_dead(&self, family: Family, path: &Path) -> bool {
        is_before(path.epoch, self.families.get(family).dead_below)
    }

    pub(super) fn is_stale(&self, family: Family, path: &Path) -> bool {
        !self.is_up() || path.epoch != self.families.get(family).epoch
    }

    /// Whether it is worth looking for stale paths.
    pub(super) fn may_have_stale(&self, family: Family) -> bool {
        let state = self.families.get(family);
        state.received > 0 && (!self.is_up() || state.stale_until.is_some())
    }

    pub(super) fn has(&self, family: Family) -> bool {
        self.terms.negotiated.families.contains(&family.afi_safi())
    }

    /// Everything that is there counts as stale until it is sent again, for a bounded time.
    pub(super) fn begin_refresh(&mut self, family: Family, now: Instant) {
        let afi_safi = family.afi_safi();
        let restart = self.terms.negotiated.restart.as_ref();
        let ends_rib = restart.is_some_and(|restart| restart.families.iter().any(|(f, _)| *f == afi_safi));
        let state = self.families.get_mut(family);
        // RFC 7313 §4: not before the End-of-RIB of a peer that knows graceful restart.
        let is_early = ends_rib && !state.end_of_rib;
        // A peer that begins and never ends must not wrap the numbers around.
        if is_early || state.epoch.wrapping_sub(state.dead_below) >= REFRESHES_MAX {
            return;
        }
        state.epoch = state.epoch.wrapping_add(1);
        state.is_refreshing = true;
        state.stale_until = Some(now + Duration::from_secs(STALE_PATHS_MAX_SECS));
    }

    /// What was not sent again dies. True when that may concern a path. An end without a beginning is nothing.
    pub(super) fn end_refresh(&mut self, family: Family) -> bool {
        self.families.get(family).is_refreshing && self.drop_stale(family)
    }

    pub(super) fn is_refreshing(&self, family: Family) -> bool {
        self.families.get(family).is_refreshing
    }

    /// Everything that is not of the present session dies. True when that may concern a path.
    pub(super) fn drop_stale(&mut self, family: Family) -> bool {
        let state = self.families.get_mut(family);
        state.stale_until = None;
        state.is_refreshing = false;
        state.dead_below = state.epoch;
        state.received > 0
    }

    fn drop_all(&mut self, family: Family) -> bool {
        let state = self.families.get_mut(family);
        state.stale_until = None;
        state.is_refreshing = false;
        state.dead_below = state.epoch.wrapping_add(1);
        state.received > 0
    }

    /// Ends the session, or what was retained of it. Returns the families that lost paths.
    pub(super) fn end(&mut self, retain: Option<&Retain>, now: Instant) -> Lost {
        let mut lost = Lost::default();
        for family in Family::ALL {
            let is_retained = retain.is_some_and(|retain| retain.families.contains(&family.afi_safi()));
            if is_retained {
                // RFC 4724 §4.2 wants paths that were stale already to go when the session is lost again. They
                // stay until the restarted timer ends: a peer that restarts twice in a row has not moved its
                // forwarding, and sweeping in between cuts traffic for nothing.
                let state = self.families.get_mut(family);
                state.stale_until = None;
                state.is_refreshing = false;
            } else {
                *lost.get_mut(family) = self.drop_all(family);
            }
        }
        self.session = match retain {
            Some(retain) if !retain.families.is_empty() => {
                Session::Retained { until: now + Duration::from_secs(u64::from(retain.restart_time_secs)) }
            }
            Some(_) | None => Session::Down,
        };
        lost
    }

    /// Starts a session. Returns the families whose stale paths die at once: those without the F bit in the
    /// new OPEN (RFC 4724 §4.2), and all if it is not the same neighbor: another AS, or of another kind, from which
    /// other attributes are taken.
    pub(super) fn begin(&mut self, terms: Box<RibPeer>, now: Instant) -> Lost {
        let mut lost = Lost::default();
        let is_same =
            |old: &Negotiated, new: &Negotiated| (old.remote_as, old.kind) == (new.remote_as, new.kind);
        let is_same = is_same(&self.terms.negotiated, &terms.negotiated);
        self.terms = terms;
        for family in Family::ALL {
            let forwards = self.is_forwarding(family.afi_safi());
            let state = self.families.get_mut(family);
            state.epoch = state.epoch.wrapping_add(1);
            state.end_of_rib = false;
            if state.received > 0 && forwards && is_same {
                state.stale_until = Some(now + Duration::from_secs(STALE_PATHS_MAX_SECS));
            } else {
                *lost.get_mut(family) = self.drop_stale(family);
            }
        }
        self.session = Session::Up;
        self.is_over_limit = false;
        self.active_at = now;
        lost
    }

    fn is_forwarding(&self, family: AfiSafi) -> bool {
        let negotiated = &self.terms.negotiated;
        negotiated.families.contains(&family)
            && negotiated.restart.as_ref().is_some_and(|restart| restart.families.contains(&(family, true)))
    }

    /// Whether it has said all it has to say: End-of-RIB of every family. A peer that cannot be waited for,
    /// because it does not know graceful restart or is restarting and waits for us (R bit, RFC 4724 §4.1),
    /// has when it is quiet.
    pub(super) fn is_heard(&self, now: Instant) -> bool {
        let all = Family::ALL.into_iter().filter(|&family| self.has(family));
        let ended = all.clone().count() > 0 && all.clone().all(|family| self.families.get(family).end_of_rib);
        self.is_up() && (ended || self.quiet_at().is_some_and(|at| at <= now))
    }

    /// When it will count as quiet, if it is one of those.
    pub(super) fn quiet_at(&self) -> Option<Instant> {
        let waits_for_us = self.terms.negotiated.restart.as_ref().is_none_or(|restart| restart.restarting);
        (self.is_up() && waits_for_us).then(|| self.active_at + Duration::from_secs(QUIET_SECS))
    }

    /// Ends whatever has run out. Returns the families that lost paths.
    pub(super) fn handle_deadline(&mut self, now: Instant) -> Lost {
        let mut lost = Lost::default();
        if matches!(self.session, Session::Retained { until } if until <= now) {
            lost.add(self.end(None, now));
        }
        for family in Family::ALL {
            if self.families.get(family).stale_until.is_some_and(|until| until <= now) {
                *lost.get_mut(family) |= self.drop_stale(family);
            }
        }
        lost
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let session = match self.session {
            Session::Retained { until } => Some(until),
            Session::Up | Session::Down => None,
        };
        let stale = Family::ALL.into_iter().filter_map(|family| self.families.get(family).stale_until);
        stale.chain(session).min()
    }
}

/// Families in which paths died, so that their table has to be walked.
pub(super) type Lost = PerFamily<bool>;

impl Lost {
    pub(super) fn add(&mut self, other: Self) {
        self.v4 |= other.v4;
        self.v6 |= other.v6;
    }
}

/// Serial number arithmetic: at most 32767 sessions may lie between the two.
fn is_before(epoch: u16, other: u16) -> bool {
    (1..=0x7FFF).contains(&other.wrapping_sub(epoch))
}

/// What the decision has to know of a path's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SourceTerms {
    pub(super) kind: PeerKind,
    pub(super) router_id: RouterId,
    pub(super) address: IpAddr,
    pub(super) reflector_client: Option<ClusterId>,
    pub(super) is_meshed_client: bool,
}

impl SourceTerms {
    pub(super) fn of(peer: &RibPeer) -> Self {
        Self {
            kind: peer.negotiated.kind,
            router_id: peer.negotiated.remote_router_id,
            address: peer.address,
            reflector_client: peer.reflector_client,
            is_meshed_client: is_meshed_client(peer),
        }
    }
}
