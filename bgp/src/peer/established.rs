//! In Established, and what OpenConfirm shares with it: keepalives, hold timers, and passing on what comes.

use std::time::{Duration, Instant};

use super::connection::Connection;
use super::timer::Timer;
use super::{Peer, PeerEffect, Role};
use crate::AfiSafi;
use crate::wire::{DecodedUpdate, Message, RefreshSubtype, RouteRefresh};

impl Peer {
    /// Queues a message.
    pub(super) fn transmit(&mut self, role: Role, message: Message) {
        self.history.sent.count(&message);
        self.effects.push_back(PeerEffect::Transmit { role, message });
    }

    pub(super) fn send_keepalive(&mut self, role: Role, now: Instant) {
        self.transmit(role, Message::Keepalive);
        let Some(negotiated) = self.connections.get(&role).and_then(Connection::negotiated) else { return };
        if negotiated.keepalive_secs > 0 {
            let interval = Duration::from_secs(negotiated.keepalive_secs.into());
            let interval = self.jitter.shorten(interval);
            self.timers.start(Timer::Keepalive(role), now + interval);
        }
    }

    /// Any whole message restarts the hold timer; the RFC names only KEEPALIVE and UPDATE, but a neighbor
    /// that asks for a refresh is no less alive.
    pub(super) fn restart_hold(&mut self, role: Role, now: Instant) {
        let Some(negotiated) = self.connections.get(&role).and_then(Connection::negotiated) else { return };
        match negotiated.hold_time_secs {
            0 => self.timers.stop(Timer::Hold(role)),
            secs => self.timers.start(Timer::Hold(role), now + Duration::from_secs(secs.into())),
        }
    }

    /// RFC 9687 §3: the timer runs while something waits, and starts anew with every octet that gets out.
    pub(super) fn restart_send_hold(&mut self, role: Role, waiting: bool, now: Instant) {
        let Some(negotiated) = self.connections.get(&role).and_then(Connection::negotiated) else { return };
        if waiting {
            let hold = self.config.timing.send_hold(negotiated.hold_time_secs);
            self.timers.start(Timer::SendHold(role), now + hold);
        } else {
            self.timers.stop(Timer::SendHold(role));
        }
    }

    /// Passes on what belongs to a negotiated family. Routes of another family are ignored (RFC 4760 §7
    /// leaves the choice), since nothing could be answered about them.
    pub(super) fn deliver_update(&mut self, role: Role, decoded: DecodedUpdate, now: Instant) {
        self.restart_hold(role, now);
        let DecodedUpdate { mut update, errors } = decoded;
        self.history.malformed_attributes += errors.len() as u64;
        let Some(negotiated) = self.connections.get(&role).and_then(Connection::negotiated) else { return };
        let carried = |family: &AfiSafi| negotiated.families.contains(family);
        update.reach.retain(|reach| carried(&reach.family));
        update.unreach.retain(|unreach| carried(&unreach.family));
        update.end_of_rib = update.end_of_rib.filter(carried);
        if !(update.reach.is_empty() && update.unreach.is_empty() && update.end_of_rib.is_none()) {
            self.effects.push_back(PeerEffect::Update(Box::new(update)));
        }
    }

    /// RFC 2918 §4: a family that we did not offer is ignored. Begin and End belong to RFC 7313, which we do
    /// not offer; unknown subtypes are ignored (RFC 7313 §5).
    pub(super) fn deliver_refresh(&mut self, role: Role, refresh: RouteRefresh, now: Instant) {
        self.restart_hold(role, now);
        let Some(negotiated) = self.connections.get(&role).and_then(Connection::negotiated) else { return };
        let wanted = match refresh.subtype {
            RefreshSubtype::Request => true,
            RefreshSubtype::Begin | RefreshSubtype::End | RefreshSubtype::Unknown(_) => false,
        };
        if wanted && negotiated.families.contains(&refresh.family) {
            self.effects.push_back(PeerEffect::Refresh(refresh));
        }
    }
}
