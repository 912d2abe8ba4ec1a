//! The machine: one match over (state, input), to be read beside RFC 4271 §8.2.2. What an arm does stands
//! in `opening.rs` (towards Established), `established.rs` (there) and `closing.rs` (away from it).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::closing::MessageType;
use super::connection::{Connection, Phase};
use super::input::Input;
use super::timer::{Jitter, TimerTable};
use super::{DownReason, MessageCounters, NeighborConfig, PeerEffect, PeerEvent, Role};

/// The states of RFC 4271 §8.2.2, in the order in which a session comes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not started, stopped, or waiting out an error.
    #[default]
    Idle,
    /// A dial is under way.
    Connect,
    /// Waiting: for the time to dial again, or for the neighbor to dial.
    Active,
    /// TCP is up and our OPEN has been sent.
    OpenSent,
    /// Both OPENs are good; their KEEPALIVE is awaited.
    OpenConfirm,
    /// The session is up.
    Established,
}

/// One neighbor's machine. The module's head draws it.
///
/// How to drive it: `handle` one event, then `poll_effect` until `None`, in order, before the next `handle`;
/// wake it with [`PeerEvent::Deadline`] at [`Peer::next_deadline`]. `handle` is total: an event that makes
/// no sense in the current state, such as bytes of a connection that was just closed, changes nothing.
#[derive(Debug)]
pub struct Peer {
    pub(super) config: NeighborConfig,
    /// The state while no connection carries one.
    pub(super) standing: Standing,
    pub(super) connections: BTreeMap<Role, Connection>,
    pub(super) timers: TimerTable,
    pub(super) jitter: Jitter,
    /// The R bit is still to be set: no session has been up since we restarted (RFC 4724 §4.1).
    pub(super) restarting: bool,
    /// The peer refused the Capabilities parameter in its last NOTIFICATION (RFC 5492 §3).
    pub(super) without_capabilities: bool,
    pub(super) consecutive_errors: u32,
    /// Idle because the neighbor sent too many prefixes.
    pub(super) is_over_limit: bool,
    pub(super) history: History,
    pub(super) effects: VecDeque<PeerEffect>,
}

/// What the peer does beside its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Idle,
    Connect,
    Active,
}

/// What is only there to be shown.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) state_since: Option<Instant>,
    pub(super) last_error: Option<(Instant, DownReason)>,
    pub(super) sessions_established: u64,
    pub(super) malformed_attributes: u64,
    pub(super) received: MessageCounters,
    pub(super) sent: MessageCounters,
}

impl Peer {
    /// A machine at rest; [`PeerEvent::Start`] sets it going. `seed` drives the jitter of its timers and
    /// nothing else.
    #[must_use]
    pub fn new(config: NeighborConfig, seed: u64) -> Self {
        let restarting = config.graceful_restart.is_some_and(|restart| restart.restarting);
        Self {
            config,
            standing: Standing::Idle,
            connections: BTreeMap::new(),
            timers: TimerTable::default(),
            jitter: Jitter::new(seed),
            restarting,
            without_capabilities: false,
            consecutive_errors: 0,
            is_over_limit: false,
            history: History::default(),
            effects: VecDeque::new(),
        }
    }

    /// Takes one event. Effects that are still queued keep their place before the new ones.
    pub fn handle(&mut self, event: PeerEvent, now: Instant) {
        let state = self.state();
        match event {
            PeerEvent::Start => self.step(Input::Start, now),
            PeerEvent::Stop(reason) => self.step(Input::Stop(reason), now),
            PeerEvent::Connected { role, local, remote } => {
                self.step(Input::Connected(role, local, remote), now);
            }
            PeerEvent::ConnectFailed(reason) => self.step(Input::ConnectFailed(reason), now),
            PeerEvent::Received { role, message } => {
                if self.connections.contains_key(&role) {
                    self.history.received.count(&message);
                }
                self.step(Input::message(role, message), now);
            }
            PeerEvent::ReceivedBad { role, error } => self.step(Input::Malformed(role, error), now),
            PeerEvent::Disconnected { role, reason } => self.step(Input::Disconnected(role, reason), now),
            PeerEvent::Unread { role } => self.step(Input::Unread(role), now),
            PeerEvent::Backlog { role, waiting } => self.step(Input::Backlog(role, waiting), now),
            PeerEvent::TooManyPrefixes { role, family, received } => {
                self.step(Input::TooManyPrefixes(role, family, received), now);
            }
            // Every arm that a timer leads to starts its timer later than `now` or not at all, so this ends.
            PeerEvent::Deadline => {
                while let Some(timer) = self.timers.poll_due(now) {
                    self.step(Input::expired(timer), now);
                }
            }
        }
        if self.history.state_since.is_none() || self.state() != state {
            self.history.state_since = Some(now);
        }
    }

    /// The next thing to do, oldest first; `None` when all is done.
    pub fn poll_effect(&mut self) -> Option<PeerEffect> {
        self.effects.pop_front()
    }

    /// When [`PeerEvent::Deadline`] is next of use.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// The furthest that any connection has come, or what the peer does without one.
    #[must_use]
    pub fn state(&self) -> State {
        self.connections.values().map(Connection::state).max().unwrap_or_else(|| self.standing.state())
    }

    /// The configuration in use.
    #[must_use]
    pub fn config(&self) -> &NeighborConfig {
        &self.config
    }

    /// Why the last session or attempt ended, and when.
    #[must_use]
    pub fn last_error(&self) -> Option<&(Instant, DownReason)> {
        self.history.last_error.as_ref()
    }

    /// Takes over a configuration. It holds from the next dial or OPEN on; where that will not do
    /// ([`super::ConfigChange::Reset`]), stop the peer before and start it afterwards.
    pub fn reconfigure(&mut self, config: NeighborConfig, now: Instant) {
        let NeighborConfig { passive: was_passive, prefix_limit: old_limit, .. } =
            std::mem::replace(&mut self.config, config);
        if self.is_over_limit && old_limit != self.config.prefix_limit {
            return self.begin(now);
        }
        if was_passive == self.config.passive || !self.connections.is_empty() {
            return;
        }
        match self.standing {
            Standing::Idle => {}
            Standing::Connect | Standing::Active => self.begin(now),
        }
    }

    /// Which role an accepted connection gets: a free one, else the one whose connection is not the session
    /// and which the new one then replaces (report that one `Disconnected` first).
    #[must_use]
    pub fn role_for_accepted(&self) -> Role {
        let standing_of = |role| self.connections.get(&role).map(Connection::state);
        if standing_of(Role::Incoming) <= standing_of(Role::Rival) { Role::Incoming } else { Role::Rival }
    }

    /// The transition table. Each column of RFC 4271 §8.2.2 is one block; there is no wildcard, so that a
    /// new state or event has to be thought through everywhere.
    pub(super) fn step(&mut self, input: Input, now: Instant) {
        use Input as I;
        use State as S;
        match (self.state_for(&input), input) {
            // Idle refuses connections (§8.2.2); it ends with a start or with the damping.
            (S::Idle, I::Start | I::IdleHoldExpired) => self.begin(now),
            (S::Idle, I::Connected(role, ..)) => self.effects.push_back(PeerEffect::Close { role }),
            (S::Idle, I::Stop(reason)) => self.stop(&reason, now),
            (S::Idle, I::Expired) => self.expire(),
            (
                S::Idle,
                I::ConnectRetryExpired
                | I::HoldExpired(_)
                | I::KeepaliveDue(_)
                | I::SendHoldExpired(_)
                | I::ConnectFailed(_)
                | I::Disconnected(..)
                | I::Open(..)
                | I::Keepalive(_)
                | I::Update(..)
                | I::Refresh(..)
                | I::Notification(..)
                | I::Malformed(..)
                | I::Unread(_)
                | I::Backlog(..)
                | I::TooManyPrefixes(..),
            ) => {}

            (S::Connect, I::Connected(role, local, remote)) => self.send_open(role, local, remote, now),
            (S::Connect, I::ConnectFailed(reason)) => self.connect_failed(reason, now),
            (S::Connect, I::ConnectRetryExpired) => self.retry_connect(now),
            (S::Connect, I::Stop(reason)) => self.stop(&reason, now),
            (S::Connect, I::Expired) => self.expire(),
            (
                S::Connect,
                I::Start
                | I::IdleHoldExpired
                | I::HoldExpired(_)
                | I::KeepaliveDue(_)
                | I::SendHoldExpired(_)
                | I::Disconnected(..)
                | I::Open(..)
                | I::Keepalive(_)
                | I::Update(..)
                | I::Refresh(..)
                | I::Notification(..)
                | I::Malformed(..)
                | I::Unread(_)
                | I::Backlog(..)
                | I::TooManyPrefixes(..),
            ) => {}

            // A dial that was given up and came up all the same.
            (S::Active, I::Connected(role @ Role::Outgoing, ..)) => {
                self.effects.push_back(PeerEffect::Close { role });
            }
            (S::Active, I::Connected(role @ (Role::Incoming | Role::Rival), local, remote)) => {
                self.send_open(role, local, remote, now);
            }
            (S::Active, I::ConnectRetryExpired) => self.retry_connect(now),
            (S::Active, I::Stop(reason)) => self.stop(&reason, now),
            (S::Active, I::Expired) => self.expire(),
            (
                S::Active,
                I::Start
                | I::IdleHoldExpired
                | I::HoldExpired(_)
                | I::KeepaliveDue(_)
                | I::SendHoldExpired(_)
                | I::ConnectFailed(_)
                | I::Disconnected(..)
                | I::Open(..)
                | I::Keepalive(_)
                | I::Update(..)
                | I::Refresh(..)
                | I::Notification(..)
                | I::Malformed(..)
                | I::Unread(_)
                | I::Backlog(..)
                | I::TooManyPrefixes(..),
            ) => {}

            (S::OpenSent, I::Open(role, open)) => self.check_open(role, &open, now),
            (S::OpenSent, I::Keepalive(role)) => self.unexpected(role, MessageType::Keepalive, now),
            (S::OpenSent, I::Update(role, _)) => self.unexpected(role, MessageType::Update, now),
            (S::OpenSent, I::Refresh(role, _)) => self.unexpected(role, MessageType::RouteRefresh, now),
            (S::OpenSent, I::Notification(role, notification)) => self.notified(role, notification, now),
            (S::OpenSent, I::Malformed(role, error)) => self.malformed(role, error, now),
            (S::OpenSent, I::HoldExpired(role)) => self.hold_expired(role, now),
            (S::OpenSent, I::Disconnected(role, reason)) => self.disconnected(role, reason, now),
            (S::OpenSent, I::Stop(reason)) => self.stop(&reason, now),
            (
                S::OpenSent,
                I::Start
                | I::ConnectRetryExpired
                | I::IdleHoldExpired
                | I::Expired
                | I::KeepaliveDue(_)
                | I::SendHoldExpired(_)
                | I::Connected(..)
                | I::ConnectFailed(_)
                | I::Unread(_)
                | I::Backlog(..)
                | I::TooManyPrefixes(..),
            ) => {}

            (S::OpenConfirm, I::Keepalive(role)) => self.establish(role, now),
            (S::OpenConfirm, I::Open(role, _)) => self.unexpected(role, MessageType::Open, now),
            (S::OpenConfirm, I::Update(role, _)) => self.unexpected(role, MessageType::Update, now),
            (S::OpenConfirm, I::Refresh(role, _)) => self.unexpected(role, MessageType::RouteRefresh, now),
            (S::OpenConfirm, I::Notification(role, notification)) => self.notified(role, notification, now),
            (S::OpenConfirm, I::Malformed(role, error)) => self.malformed(role, error, now),
            (S::OpenConfirm, I::HoldExpired(role)) => self.hold_expired(role, now),
            (S::OpenConfirm, I::KeepaliveDue(role)) => self.send_keepalive(role, now),
            (S::OpenConfirm, I::Disconnected(role, reason)) => self.disconnected(role, reason, now),
            (S::OpenConfirm, I::Unread(role)) => self.restart_hold(role, now),
            (S::OpenConfirm, I::Stop(reason)) => self.stop(&reason, now),
            (
                S::OpenConfirm,
                I::Start
                | I::ConnectRetryExpired
                | I::IdleHoldExpired
                | I::Expired
                | I::SendHoldExpired(_)
                | I::Connected(..)
                | I::ConnectFailed(_)
                | I::Backlog(..)
                | I::TooManyPrefixes(..),
            ) => {}

            (S::Established, I::Update(role, update)) => self.deliver_update(role, *update, now),
            (S::Established, I::Refresh(role, refresh)) => self.deliver_refresh(role, refresh, now),
            (S::Established, I::Keepalive(role) | I::Unread(role)) => self.restart_hold(role, now),
            (S::Established, I::Open(role, _)) => self.unexpected(role, MessageType::Open, now),
            (S::Established, I::Notification(role, notification)) => self.notified(role, notification, now),
            (S::Established, I::Malformed(role, error)) => self.malformed(role, error, now),
            (S::Established, I::HoldExpired(role)) => self.hold_expired(role, now),
            (S::Established, I::KeepaliveDue(role)) => self.send_keepalive(role, now),
            (S::Established, I::SendHoldExpired(role)) => self.send_hold_expired(role, now),
            (S::Established, I::Backlog(role, waiting)) => self.restart_send_hold(role, waiting, now),
            (S::Established, I::TooManyPrefixes(role, family, received)) => {
                self.too_many_prefixes(role, family, received, now);
            }
            (S::Established, I::Disconnected(role, reason)) => self.disconnected(role, reason, now),
            (S::Established, I::Stop(reason)) => self.stop(&reason, now),
            (
                S::Established,
                I::Start
                | I::ConnectRetryExpired
                | I::IdleHoldExpired
                | I::Expired
                | I::Connected(..)
                | I::ConnectFailed(_),
            ) => {}
        }
    }

    /// The state that `input` meets: that of the connection it came on, of the peer beside its connections,
    /// or of the whole.
    fn state_for(&self, input: &Input) -> State {
        match input {
            Input::Start | Input::Stop(_) | Input::Expired => self.state(),
            Input::ConnectRetryExpired | Input::IdleHoldExpired | Input::ConnectFailed(_) => {
                self.standing.state()
            }
            Input::Connected(role, ..)
            | Input::HoldExpired(role)
            | Input::KeepaliveDue(role)
            | Input::SendHoldExpired(role)
            | Input::Disconnected(role, _)
            | Input::Open(role, _)
            | Input::Keepalive(role)
            | Input::Update(role, _)
            | Input::Refresh(role, _)
            | Input::Notification(role, _)
            | Input::Malformed(role, _)
            | Input::Unread(role)
            | Input::Backlog(role, _)
            | Input::TooManyPrefixes(role, ..) => {
                self.connections.get(role).map_or_else(|| self.standing.state(), Connection::state)
            }
        }
    }

    /// The established connection.
    pub(super) fn session(&self) -> Option<(Role, &Connection)> {
        self.connections
            .iter()
            .find(|(_, connection)| matches!(connection.phase, Phase::Established { .. }))
            .map(|(&role, connection)| (role, connection))
    }
}

impl Standing {
    fn state(self) -> State {
        match self {
            Self::Idle => State::Idle,
            Self::Connect => State::Connect,
            Self::Active => State::Active,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        })
    }
}
