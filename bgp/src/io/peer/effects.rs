//! What the machine asks for, done: messages queued, connections closed, the RIB told.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::{info, trace, warn};

use super::{CLOSING_MAX, NeighborTask, Session, TRANSMIT_WINDOW};
use crate::io::feed::Item;
use crate::io::sockopt;
use crate::peer::{DownReason, Negotiated, PeerEffect, PeerSnapshot, Role, StopReason};
use crate::rib::{Retain, RibEvent, RibPeer};
use crate::wire::{Message, encode_message};

impl NeighborTask {
    pub(super) fn apply_effects(&mut self) {
        while let Some(effect) = self.peer.poll_effect() {
            match effect {
                PeerEffect::Connect => {
                    self.dial = Some(Box::pin(sockopt::connect(self.peer.config().clone())));
                }
                PeerEffect::CancelConnect => self.dial = None,
                PeerEffect::Transmit { role, message } => self.transmit(role, &message),
                PeerEffect::Close { role } => {
                    let connection = self.connections.remove(&role);
                    if let Some(connection) = connection.filter(|_| self.closing.len() < CLOSING_MAX) {
                        self.closing.spawn(connection.close());
                    }
                }
                PeerEffect::Established { role, negotiated } => self.establish(role, negotiated),
                PeerEffect::Update(update) => {
                    self.feed.push_event(RibEvent::Update { peer: self.id, update });
                }
                PeerEffect::Refresh(refresh) => {
                    self.feed.push_event(RibEvent::Refresh { peer: self.id, family: refresh.family });
                }
                PeerEffect::Down(reason) => self.session_down(&reason),
                // The speaker sees the task end, and forgets the neighbor.
                PeerEffect::Expired => self.stopping = true,
            }
        }
    }

    fn transmit(&mut self, role: Role, message: &Message) {
        trace!(neighbor = %self.peer.config().name, %role, ?message, "sent");
        let Some(connection) = self.connections.get_mut(&role) else { return };
        match encode_message(message, &connection.encode) {
            Ok(bytes) => connection.outbox.push_urgent(bytes),
            // Only an OPEN with absurdly many families could do this; the hold timers will end it.
            Err(error) => warn!(neighbor = %self.peer.config().name, %error, "a message cannot be sent"),
        }
    }

    fn establish(&mut self, role: Role, negotiated: Box<Negotiated>) {
        if let Some(connection) = self.connections.get_mut(&role) {
            connection.decode = negotiated.decode.clone();
            connection.encode = negotiated.encode.clone();
        }
        let (sender, bytes) = mpsc::unbounded_channel();
        self.feed.push(Item::Attach(sender));
        self.feed.push_event(RibEvent::PeerUp(Box::new(self.rib_peer(&negotiated))));
        info!(
            neighbor = %self.peer.config().name,
            address = %self.peer.config().address,
            %role,
            remote_as = %negotiated.remote_as,
            router_id = %negotiated.remote_router_id,
            hold_time_secs = negotiated.hold_time_secs,
            "session up"
        );
        self.session = Some(Session { role, negotiated, bytes, warned: false });
    }

    fn rib_peer(&self, negotiated: &Negotiated) -> RibPeer {
        let config = self.peer.config();
        let local = negotiated.local.ip().to_canonical();
        let (local_v4, local_v6) = match local {
            IpAddr::V4(local) => (Some(local), None),
            IpAddr::V6(local) => (None, Some(local)),
        };
        RibPeer {
            peer: self.id,
            name: config.name.clone(),
            address: config.address,
            negotiated: negotiated.clone(),
            add_path_maximum: config.add_paths.send_maximum,
            next_hop_mode: config.next_hop_mode,
            next_hop_v4: local_v4.or(config.next_hop_v4),
            next_hop_v6: local_v6.or(config.next_hop_v6),
            allow_local_as: config.allow_local_as,
            rules: config.rules,
            prefix_limit: config.prefix_limit,
            reflector_client: config.reflector_client,
            transmit_window: TRANSMIT_WINDOW,
            advertisement_interval_secs: config.timing.advertisement_interval_secs,
            import: Arc::clone(&config.import),
            export: Arc::clone(&config.export),
        }
    }

    fn session_down(&mut self, reason: &DownReason) {
        let Some(session) = self.session.take() else { return };
        self.feed.forget_transmitted();
        // We are the ones who restart: the routes stay where they are, in the RIB and in the kernel.
        if *reason != DownReason::Stopped(StopReason::Restart) {
            let retain = retain(reason, &session.negotiated);
            self.feed.push_event(RibEvent::PeerDown { peer: self.id, retain });
        }
    }

    pub(super) fn snapshot(&self, now: Instant) -> PeerSnapshot {
        let mut snapshot = self.peer.snapshot(now);
        snapshot.id = Some(self.id);
        snapshot.received.bytes = self.counters.bytes_received;
        snapshot.sent.bytes = self.counters.bytes_sent;
        snapshot.sent.updates = self.counters.updates_sent;
        snapshot.unsent_bytes = self.connections.values().map(|c| c.outbox.len() as u64).sum();
        snapshot
    }
}

/// RFC 4724 §4.2: a lost connection between two that both do graceful restart.
fn retain(reason: &DownReason, negotiated: &Negotiated) -> Option<Retain> {
    let restart = negotiated.restart.as_ref().filter(|_| reason.is_graceful())?;
    let families = restart.families.iter().map(|&(family, _)| family).collect::<Vec<_>>();
    (!families.is_empty()).then_some(Retain { families, restart_time_secs: restart.restart_time_secs })
}
