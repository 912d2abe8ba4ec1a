//! Away from Established: every way in which a connection ends, and what the peer does then.
//!
//! What follows depends on whose doing it was. A connection that TCP lost, or that the neighbor ended with
//! a Cease, is tried again after the ConnectRetryTimer, and the neighbor may dial in the meantime. Anything
//! that will most likely go wrong again in the same way is damped (DampPeerOscillations, RFC 4271 §8.1.1):
//! Idle for a second, then two, four, up to a minute ([`super::Timing`]), until a session has lasted.
//!
//! A dynamic neighbor that has no connection is forgotten when nothing of it is left: neither routes that a helper
//! keeps (RFC 4724) nor a pause that it has to sit out.

use std::time::{Duration, Instant};

use super::connection::{Connection, Phase};
use super::fsm::Standing;
use super::timer::Timer;
use super::{
    DYNAMIC_GRACE_SECS, DownReason, Peer, PeerEffect, PrefixCount, PrefixExcess, PrefixLimitAction, Role,
    State, StopReason,
};
use crate::AfiSafi;
use crate::wire::{DecodeError, ErrorCode, ErrorSubcode, Message, Notification};

/// A session that was up for so long makes the errors before it forgotten.
const LASTING_UPTIME: Duration = Duration::from_secs(60);

/// The type octet of the messages that can come at a wrong time (RFC 4271 §4.1, RFC 2918 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageType {
    Open = 1,
    Update = 2,
    Keepalive = 4,
    RouteRefresh = 5,
}

/// What the peer does when its last connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// Active, ConnectRetryTimer.
    AfterConnectRetry,
    /// Idle, IdleHoldTimer.
    Damped,
}

impl Peer {
    pub(super) fn stop(&mut self, reason: &StopReason, now: Instant) {
        let roles = self.connections.keys().copied().collect::<Vec<_>>();
        for role in roles {
            let down = DownReason::Stopped(reason.clone());
            let notification = cease(reason).map(|notification| match reason {
                StopReason::Shutdown(_) | StopReason::Deconfigured => self.for_good(role, notification),
                StopReason::ConfigurationChange | StopReason::Restart => notification,
            });
            self.close(role, down, notification, now);
        }
        self.cancel_connect();
        self.timers.stop_all();
        self.standing = Standing::Idle;
        self.consecutive_errors = 0;
        self.is_over_limit = false;
        self.without_capabilities = false;
    }

    pub(super) fn disconnected(&mut self, role: Role, reason: String, now: Instant) {
        self.end(role, DownReason::ConnectionLost(reason), now);
        self.settle(Retry::AfterConnectRetry, now);
    }

    pub(super) fn notified(&mut self, role: Role, notification: Notification, now: Instant) {
        let state = self.connections.get(&role).map(Connection::state);
        // RFC 5492 §3: try again without the parameter, once.
        self.without_capabilities = state == Some(State::OpenSent)
            && !self.without_capabilities
            && notification.is(ErrorSubcode::UNSUPPORTED_OPTIONAL_PARAMETER);
        let enclosed = notification.enclosed();
        let meant = enclosed.as_ref().unwrap_or(&notification);
        // Too many prefixes will be too many the next time as well.
        let will_of_neighbor =
            meant.error_code() == Some(ErrorCode::Cease) && !meant.is(ErrorSubcode::MAXIMUM_PREFIXES_REACHED);
        let retry = if will_of_neighbor { Retry::AfterConnectRetry } else { Retry::Damped };
        self.close(role, DownReason::Received(notification), None, now);
        self.settle(retry, now);
    }

    /// Bytes or an OPEN that end the session.
    pub(super) fn malformed(&mut self, role: Role, error: DecodeError, now: Instant) {
        let DecodeError { notification, reason } = error;
        self.fail(role, notification, reason, now);
    }

    /// A message that the state does not allow (RFC 6608: the data is its type).
    pub(super) fn unexpected(&mut self, role: Role, message: MessageType, now: Instant) {
        let Some(connection) = self.connections.get(&role) else { return };
        let error = match connection.phase {
            Phase::OpenSent => ErrorSubcode::UNEXPECTED_IN_OPEN_SENT,
            Phase::OpenConfirm(_) => ErrorSubcode::UNEXPECTED_IN_OPEN_CONFIRM,
            Phase::Established { .. } => ErrorSubcode::UNEXPECTED_IN_ESTABLISHED,
        };
        let reason = format!("{message:?} came in state {}", connection.state());
        let notification = Notification::with_data(error, vec![message as u8].into());
        self.fail(role, notification, reason, now);
    }

    /// In Established the reason stands for itself in [`DownReason`]; the NOTIFICATION is the same.
    pub(super) fn hold_expired(&mut self, role: Role, now: Instant) {
        let notification = Notification::new(ErrorSubcode::HOLD_TIMER_EXPIRED);
        self.close(role, DownReason::HoldTimerExpired, Some(notification), now);
        self.settle(Retry::Damped, now);
    }

    pub(super) fn send_hold_expired(&mut self, role: Role, now: Instant) {
        let notification = Notification::new(ErrorSubcode::SEND_HOLD_TIMER_EXPIRED);
        self.fail(role, notification, "the neighbor takes no data (RFC 9687)".to_owned(), now);
    }

    /// RFC 4271 §6.7. A limit that was raised or dropped while the RIB's word was on its way is not exceeded.
    pub(super) fn too_many_prefixes(&mut self, role: Role, excess: PrefixExcess, now: Instant) {
        let PrefixExcess { count, family, prefixes } = excess;
        let Some(limit) = self.config.prefix_limit else { return };
        let Some(allowed) = limit.of(count).filter(|allowed| prefixes > u64::from(*allowed)) else { return };
        let (idle, next) = match limit.action {
            PrefixLimitAction::Warn => return,
            PrefixLimitAction::Restart { after_secs } => {
                (Some(Duration::from_secs(after_secs.into())), format!("tried again in {after_secs} s"))
            }
            PrefixLimitAction::Shutdown => (None, "down until maximumPrefixes changes".to_owned()),
        };
        let reason = format!("{prefixes} prefixes {count}, {allowed} are allowed; {next}");
        let notification = match count {
            PrefixCount::Received | PrefixCount::Accepted => {
                self.for_good(role, maximum_prefixes_reached(family, allowed))
            }
            // RFC 4486 has no word for what was our own doing.
            PrefixCount::Sent => Notification::with_communication(
                ErrorSubcode::ADMINISTRATIVE_SHUTDOWN,
                &format!("{prefixes} prefixes for you, {allowed} are allowed here"),
            ),
        };
        let down = DownReason::Sent { notification: notification.clone(), reason };
        // The session first: its end is the one to be shown.
        let others = self.connections.keys().copied().filter(|&other| other != role).collect::<Vec<_>>();
        for role in std::iter::once(role).chain(others) {
            self.close(role, down.clone(), Some(notification.clone()), now);
        }
        self.cancel_connect();
        self.standing = Standing::Idle;
        self.is_over_limit = true;
        match idle {
            Some(idle) => {
                self.timers.start(Timer::IdleHold, now + idle);
                self.await_connection(idle, now);
            }
            // A dynamic neighbor that was forgotten would be back with its next dial.
            None => self.timers.stop(Timer::Expire),
        }
    }

    /// RFC 8538 §5: what is meant to last must not leave our routes at a neighbor that would keep them.
    fn for_good(&self, role: Role, notification: Notification) -> Notification {
        let negotiated = self.connections.get(&role).and_then(Connection::negotiated);
        let restart = negotiated.and_then(|negotiated| negotiated.restart.as_ref());
        if restart.is_some_and(|restart| restart.notification) {
            Notification::hard_reset(&notification)
        } else {
            notification
        }
    }

    fn fail(&mut self, role: Role, notification: Notification, reason: String, now: Instant) {
        let down = DownReason::Sent { notification: notification.clone(), reason };
        self.close(role, down, Some(notification), now);
        self.settle(Retry::Damped, now);
    }

    /// Ends a connection that TCP still holds.
    pub(super) fn close(
        &mut self,
        role: Role,
        reason: DownReason,
        notification: Option<Notification>,
        now: Instant,
    ) {
        if let Some(notification) = notification {
            self.transmit(role, Message::Notification(notification));
        }
        self.effects.push_back(PeerEffect::Close { role });
        self.end(role, reason, now);
    }

    /// Forgets a connection; says so if it was the session.
    fn end(&mut self, role: Role, reason: DownReason, now: Instant) {
        self.timers.stop_connection(role);
        let Some(connection) = self.connections.remove(&role) else { return };
        // The end of a surplus connection is not what an operator looks for.
        if self.connections.is_empty() || connection.state() == State::Established {
            self.history.last_error = Some((now, reason.clone()));
        }
        let mut retained = Duration::ZERO;
        match connection.phase {
            Phase::OpenSent | Phase::OpenConfirm(_) => {}
            Phase::Established { at, negotiated } => {
                retained = negotiated.retained(&reason);
                if now.saturating_duration_since(at) >= LASTING_UPTIME {
                    self.consecutive_errors = 0;
                }
                // RFC 4271 §6.8: up at this end alone, while the other one took a second connection for the session.
                let is_collision = matches!(&reason, DownReason::Received(notification)
                    if notification.is(ErrorSubcode::CONNECTION_COLLISION_RESOLUTION));
                if is_collision {
                    self.history.sessions_established = self.history.sessions_established.saturating_sub(1);
                }
                self.effects.push_back(PeerEffect::Down(reason));
            }
        }
        self.await_connection(retained, now);
    }

    /// Goes on after a connection has ended: with another one if there is one, else by `retry`.
    fn settle(&mut self, retry: Retry, now: Instant) {
        if !self.connections.is_empty() {
            return;
        }
        match (retry, self.standing) {
            // Stopped while it ended, or a dial is under way that may still come up.
            (_, Standing::Idle) | (Retry::AfterConnectRetry, Standing::Connect) => {}
            (Retry::AfterConnectRetry, Standing::Active) => self.await_retry(now),
            (Retry::Damped, Standing::Connect | Standing::Active) => self.damp(now),
        }
    }

    fn damp(&mut self, now: Instant) {
        self.cancel_connect();
        self.standing = Standing::Idle;
        let hold = self.config.timing.idle_hold(self.consecutive_errors);
        self.consecutive_errors = self.consecutive_errors.saturating_add(1);
        let hold = self.jitter.shorten(hold);
        self.timers.start(Timer::IdleHold, now + hold);
        self.await_connection(hold, now);
    }

    /// A dynamic neighbor without a connection is to stay for `at_least`, and until a new connection had its chance.
    pub(super) fn await_connection(&mut self, at_least: Duration, now: Instant) {
        if self.config.dynamic.is_none() || !self.connections.is_empty() {
            return;
        }
        let until = now + at_least + Duration::from_secs(DYNAMIC_GRACE_SECS);
        let until = self.timers.due(Timer::Expire).map_or(until, |due| due.max(until));
        self.timers.start(Timer::Expire, until);
    }

    pub(super) fn expire(&mut self) {
        if self.config.dynamic.is_some() && self.connections.is_empty() {
            self.timers.stop_all();
            self.effects.push_back(PeerEffect::Expired);
        }
    }
}

/// RFC 4486 §4: the data is AFI, SAFI and the upper bound. Ours is over all families, so it names the one with
/// the most.
fn maximum_prefixes_reached(family: AfiSafi, limit: u32) -> Notification {
    let data = [&family.afi.to_be_bytes()[..], &[family.safi], &limit.to_be_bytes()].concat();
    Notification::with_data(ErrorSubcode::MAXIMUM_PREFIXES_REACHED, data.into())
}

/// What to say when told to stop; `None` is to say nothing at all.
fn cease(reason: &StopReason) -> Option<Notification> {
    match reason {
        StopReason::Shutdown(text) => {
            Some(Notification::with_communication(ErrorSubcode::ADMINISTRATIVE_SHUTDOWN, text))
        }
        StopReason::Deconfigured => Some(Notification::new(ErrorSubcode::PEER_DECONFIGURED)),
        StopReason::ConfigurationChange => Some(Notification::new(ErrorSubcode::OTHER_CONFIGURATION_CHANGE)),
        // RFC 4724 §4.1 with §4.2: only a connection that ends without a NOTIFICATION makes the neighbor
        // keep our routes.
        StopReason::Restart => None,
    }
}
