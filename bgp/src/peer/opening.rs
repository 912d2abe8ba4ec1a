//! Towards Established: dialling, our OPEN, judging theirs, collisions, and the first KEEPALIVE.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::collision::{Speaker, survivor};
use super::connection::{Connection, Phase};
use super::fsm::Standing;
use super::negotiate::{local_open, negotiate};
use super::timer::Timer;
use super::{DownReason, Negotiated, Peer, PeerEffect, Role, StopReason};
use crate::wire::{ErrorSubcode, Message, Notification, OpenMessage};

/// Hold time until the hold time is agreed (RFC 4271 §8.2.2 suggests four minutes).
const OPEN_HOLD: Duration = Duration::from_secs(4 * 60);

/// The same for a dynamic neighbor.
const OPEN_HOLD_DYNAMIC: Duration = Duration::from_secs(30);

/// How long a session must have been up before a new connection can mean that the neighbor has restarted.
/// Shorter than any reboot; longer than two dials that crossed on the way take to sort themselves out.
const RESTART_UPTIME_MIN: Duration = Duration::from_secs(5);

/// What becomes of a connection whose OPEN collides with another connection.
enum Collision {
    /// It goes on.
    Keep,
    /// It has been closed.
    Closed,
}

impl Peer {
    /// Leaves Idle, or starts over without a connection; unless it is administratively down.
    pub(super) fn begin(&mut self, now: Instant) {
        self.timers.stop(Timer::IdleHold);
        self.is_over_limit = false;
        self.await_connection(Duration::ZERO, now);
        if let Some(text) = &self.config.shutdown {
            let reason = DownReason::Stopped(StopReason::Shutdown(text.clone()));
            self.history.last_error = Some((now, reason));
            self.standing = Standing::Idle;
            return;
        }
        if self.config.passive {
            self.cancel_connect();
            self.standing = Standing::Active;
        } else {
            self.dial(now);
        }
    }

    fn dial(&mut self, now: Instant) {
        self.standing = Standing::Connect;
        self.start_connect_retry(now);
        self.effects.push_back(PeerEffect::Connect);
    }

    fn start_connect_retry(&mut self, now: Instant) {
        let interval = Duration::from_secs(self.config.connect_retry_secs.max(1).into());
        let interval = self.jitter.shorten(interval);
        self.timers.start(Timer::ConnectRetry, now + interval);
    }

    /// Waits for the neighbor, and dials after the ConnectRetryTimer.
    pub(super) fn await_retry(&mut self, now: Instant) {
        self.standing = Standing::Active;
        if self.config.passive {
            self.timers.stop(Timer::ConnectRetry);
        } else {
            self.start_connect_retry(now);
        }
    }

    /// Gives up a dial that is under way.
    pub(super) fn cancel_connect(&mut self) {
        self.timers.stop(Timer::ConnectRetry);
        if self.standing == Standing::Connect {
            self.standing = Standing::Active;
            self.effects.push_back(PeerEffect::CancelConnect);
        }
    }

    /// The ConnectRetryTimer expired in Connect (the dial hangs) or in Active (it is time). While the
    /// neighbor's own connection is up there is nothing to dial for.
    pub(super) fn retry_connect(&mut self, now: Instant) {
        if self.standing == Standing::Connect && self.connections.is_empty() {
            self.history.last_error = Some((now, DownReason::ConnectFailed(self.no_answer())));
        }
        if self.connections.is_empty() && !self.config.passive {
            self.dial(now);
        } else {
            self.cancel_connect();
        }
    }

    /// A wrong password looks like this, too: the kernels drop each other's segments without a word (RFC 2385
    /// §4.0), so the one thing to be said is what it may be.
    fn no_answer(&self) -> String {
        let secs = self.config.connect_retry_secs.max(1);
        let reason = match self.config.password {
            Some(_) => "it cannot be reached, or its TCP-MD5 password is not ours",
            None => "it cannot be reached, or it wants a TCP-MD5 password",
        };
        format!("no answer within {secs} s: {reason}")
    }

    /// RFC 4271 §8.2.2 goes to Idle here when DelayOpen is not in use, and leaves it to the automatic start
    /// to come back. We go to Active, where the neighbor can reach us at once.
    pub(super) fn connect_failed(&mut self, reason: String, now: Instant) {
        self.history.last_error = Some((now, DownReason::ConnectFailed(reason)));
        self.standing = Standing::Active;
        self.timers.stop(Timer::ConnectRetry);
        if self.connections.is_empty() {
            self.await_retry(now);
        }
    }

    /// TCP is up: OpenSent.
    pub(super) fn send_open(&mut self, role: Role, local: SocketAddr, remote: SocketAddr, now: Instant) {
        match role {
            Role::Outgoing => {
                self.standing = Standing::Active;
                self.timers.stop(Timer::ConnectRetry);
            }
            // A dial under way goes on, with its timer: §6.8 decides if it comes up too.
            Role::Incoming | Role::Rival => {
                if self.standing == Standing::Active {
                    self.timers.stop(Timer::ConnectRetry);
                }
            }
        }
        let sent = local_open(&self.config, self.restarting, !self.without_capabilities);
        self.transmit(role, Message::Open(sent.clone()));
        self.timers.start(Timer::Hold(role), now + self.open_hold());
        let connection = Connection { local, remote, connected_at: now, sent, phase: Phase::OpenSent };
        self.connections.insert(role, connection);
    }

    /// Whoever is no configured neighbor takes a place from others: it has to say soon who it is.
    fn open_hold(&self) -> Duration {
        if self.config.dynamic.is_some() { OPEN_HOLD_DYNAMIC } else { OPEN_HOLD }
    }

    /// Their OPEN came in OpenSent: OpenConfirm, unless it is bad or loses a collision.
    pub(super) fn check_open(&mut self, role: Role, open: &OpenMessage, now: Instant) {
        let Some(connection) = self.connections.get(&role) else { return };
        let Connection { local, remote, sent, .. } = connection;
        let negotiated = match negotiate(&self.config, sent, open, *local, *remote) {
            Ok(negotiated) => negotiated,
            Err(error) => return self.malformed(role, error, now),
        };
        match self.resolve_collision(role, &negotiated, now) {
            Collision::Closed => return,
            Collision::Keep => {}
        }
        // One connection is as good as up; a second would only have to be closed again.
        self.cancel_connect();
        if let Some(connection) = self.connections.get_mut(&role) {
            connection.phase = Phase::OpenConfirm(Box::new(negotiated));
        }
        self.send_keepalive(role, now);
        self.restart_hold(role, now);
    }

    /// RFC 4271 §6.8. A connection in OpenSent is left alone: its neighbor's identifier is not known yet, and
    /// its turn comes with its OPEN.
    ///
    /// The rule has a race of its own: where one side has established the one connection before the OPEN on
    /// the other arrives, and the neighbor has just chosen that other, both end. The window is as wide as
    /// the two delays differ; the jitter of the next dials closes it.
    fn resolve_collision(&mut self, newer: Role, negotiated: &Negotiated, now: Instant) -> Collision {
        let others = self.connections.iter().filter(|&(&role, _)| role != newer);
        let settled = others.filter(|(_, other)| other.negotiated().is_some());
        let Some((&older, other)) = settled.max_by_key(|(_, other)| other.state()) else {
            return Collision::Keep;
        };
        match other.phase {
            Phase::OpenSent => Collision::Keep,
            Phase::OpenConfirm(_) => {
                let us = Speaker { router_id: self.config.router_id, asn: self.config.local_as };
                let neighbor = Speaker { router_id: negotiated.remote_router_id, asn: negotiated.remote_as };
                if survivor(us, neighbor, older, newer) == newer {
                    self.close_for_collision(older, now);
                    Collision::Keep
                } else {
                    self.close_for_collision(newer, now);
                    Collision::Closed
                }
            }
            Phase::Established { .. } if self.has_restarted(older, newer) => {
                let reason = "the neighbor opened a new connection: it has restarted".to_owned();
                self.close(older, DownReason::ConnectionLost(reason), None, now);
                Collision::Keep
            }
            Phase::Established { .. } => {
                self.close_for_collision(newer, now);
                // If the neighbor did lose the session, its kernel answers this with a reset, and we need
                // not wait for the hold timer to find out.
                self.send_keepalive(older, now);
                Collision::Closed
            }
        }
    }

    /// Whether `newer` means that the neighbor behind the session on `older` has restarted.
    ///
    /// RFC 4724 §4.2 drops the session as soon as a neighbor with the graceful restart capability opens
    /// another TCP connection. We wait for its OPEN to be valid: any process on the neighbor's host can open
    /// a connection and must not be able to end a session by that.
    fn has_restarted(&self, older: Role, newer: Role) -> bool {
        let (Some(older), Some(newer_connection)) =
            (self.connections.get(&older), self.connections.get(&newer))
        else {
            return false;
        };
        match &older.phase {
            Phase::OpenSent | Phase::OpenConfirm(_) => false,
            Phase::Established { negotiated, at } => {
                newer != Role::Outgoing
                    && negotiated.restart.as_ref().is_some_and(|restart| !restart.families.is_empty())
                    && newer_connection.connected_at >= *at + RESTART_UPTIME_MIN
            }
        }
    }

    fn close_for_collision(&mut self, role: Role, now: Instant) {
        let notification = Notification::new(ErrorSubcode::CONNECTION_COLLISION_RESOLUTION);
        let reason = format!("another connection to the neighbor stays, the {role} one goes");
        let down = DownReason::Sent { notification: notification.clone(), reason };
        self.close(role, down, Some(notification), now);
    }

    /// Their KEEPALIVE came in OpenConfirm: Established.
    pub(super) fn establish(&mut self, role: Role, now: Instant) {
        let others = self.connections.keys().copied().filter(|&other| other != role).collect::<Vec<_>>();
        for other in others {
            self.close_for_collision(other, now);
        }
        self.cancel_connect();
        let Some(connection) = self.connections.get_mut(&role) else { return };
        let Some(negotiated) = connection.negotiated().cloned().map(Box::new) else { return };
        connection.phase = Phase::Established { negotiated: negotiated.clone(), at: now };
        // RFC 4724 §4.1: the R bit is for the first session after the restart.
        self.restarting = false;
        self.timers.stop(Timer::Expire);
        self.history.sessions_established += 1;
        self.restart_hold(role, now);
        self.effects.push_back(PeerEffect::Established { role, negotiated });
    }
}
