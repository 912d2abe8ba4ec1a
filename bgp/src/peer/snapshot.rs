//! What a peer can be seen to be: the same for the command line, metrics and tests.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::connection::{Connection, Phase};
use super::timer::Timer;
use super::{AddPaths, Negotiated, Peer, PrefixLimit, Role, State, Timing};
use crate::wire::{BgpRole, Message};
use crate::{Asn, InterfaceName, PeerId, PeerKind, RouterId};

/// Messages by type, since the neighbor was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCounters {
    /// OPEN.
    pub opens: u64,
    /// UPDATE. The machine does not see those we send; the shell counts them.
    pub updates: u64,
    /// NOTIFICATION.
    pub notifications: u64,
    /// KEEPALIVE.
    pub keepalives: u64,
    /// ROUTE-REFRESH.
    pub refreshes: u64,
    /// Octets on TCP, headers included; counted by the shell.
    pub bytes: u64,
}

impl MessageCounters {
    pub(super) fn count(&mut self, message: &Message) {
        let counter = match message {
            Message::Open(_) => &mut self.opens,
            Message::Update(_) => &mut self.updates,
            Message::Notification(_) => &mut self.notifications,
            Message::Keepalive => &mut self.keepalives,
            Message::RouteRefresh(_) => &mut self.refreshes,
        };
        *counter += 1;
    }
}

/// One TCP connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionSnapshot {
    /// Who dialled.
    pub role: Role,
    /// How far it has come.
    pub state: State,
    /// Our end.
    pub local: SocketAddr,
    /// Their end.
    pub remote: SocketAddr,
}

/// A peer at one instant. Ages are whole seconds before that instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSnapshot {
    /// Its identity towards the RIB; set by the speaker, which is who gives it out.
    pub id: Option<PeerId>,
    /// Configured name.
    pub name: String,
    /// Configured description.
    pub description: String,
    /// Configured address.
    pub address: IpAddr,
    /// The link that a link-local address is on.
    pub interface: Option<InterfaceName>,
    /// Configured port.
    pub port: u16,
    /// Internal or external.
    pub kind: PeerKind,
    /// Our AS.
    pub local_as: Asn,
    /// The AS it has, or must have.
    pub remote_as: Asn,
    /// Our identifier.
    pub router_id: RouterId,
    /// The template that it was made from.
    pub template: Option<String>,
    /// We never dial.
    pub passive: bool,
    /// ConnectRetryTimer before jitter.
    pub connect_retry_secs: u16,
    /// The other timers, as configured.
    pub timing: Timing,
    /// Our role (RFC 9234).
    pub role: Option<BgpRole>,
    /// Several paths of one prefix (RFC 7911), as configured.
    pub add_paths: AddPaths,
    /// Most prefixes it may send.
    pub prefix_limit: Option<PrefixLimit>,
    /// TCP-MD5 (RFC 2385) is on.
    pub password: bool,
    /// The furthest that any connection has come.
    pub state: State,
    /// How long it has been in `state`.
    pub state_secs: u64,
    /// How long the session has been up.
    pub uptime_secs: Option<u64>,
    /// When we shall dial (again), or leave Idle.
    pub next_attempt_secs: Option<u64>,
    /// Why the last session or attempt ended.
    pub last_error: Option<String>,
    /// How long ago that was.
    pub last_error_secs: Option<u64>,
    /// How many sessions came up since the neighbor was configured, without those that the other end at once gave up
    /// for a second connection (RFC 4271 §6.8).
    pub sessions_established: u64,
    /// Errors in a row without a lasting session between them: what the damping goes by.
    pub consecutive_errors: u32,
    /// Every TCP connection there is.
    pub connections: Vec<ConnectionSnapshot>,
    /// The terms of the session.
    pub negotiated: Option<Negotiated>,
    /// Malformed attributes that sessions survived (RFC 7606).
    pub malformed_attributes: u64,
    /// What came.
    pub received: MessageCounters,
    /// What went.
    pub sent: MessageCounters,
    /// Octets handed out for the neighbor that its socket has not taken; set by the shell.
    pub unsent_bytes: u64,
}

impl Peer {
    /// What the peer is at `now`.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> PeerSnapshot {
        let secs_since = |at: Instant| now.saturating_duration_since(at).as_secs();
        let session = self.session().map(|(_, connection)| connection);
        let up_since = session.and_then(|connection| match &connection.phase {
            Phase::Established { at, .. } => Some(*at),
            Phase::OpenSent | Phase::OpenConfirm(_) => None,
        });
        let next_attempt = self.timers.due(Timer::IdleHold).or_else(|| self.timers.due(Timer::ConnectRetry));
        let config = &self.config;
        let terms = session.and_then(Connection::negotiated);
        PeerSnapshot {
            id: None,
            name: config.name.clone(),
            description: config.description.clone(),
            address: config.address,
            interface: config.interface,
            port: config.port,
            kind: terms.map_or(config.kind(), |terms| terms.kind),
            local_as: config.local_as,
            remote_as: terms.map_or(config.remote_as, |terms| terms.remote_as),
            router_id: config.router_id,
            template: config.dynamic.as_ref().map(|dynamic| dynamic.template.clone()),
            passive: config.passive,
            connect_retry_secs: config.connect_retry_secs,
            timing: config.timing,
            role: config.role,
            add_paths: config.add_paths,
            prefix_limit: config.prefix_limit,
            password: config.password.is_some(),
            state: self.state(),
            state_secs: self.history.state_since.map_or(0, secs_since),
            uptime_secs: up_since.map(secs_since),
            next_attempt_secs: next_attempt.map(|at| at.saturating_duration_since(now).as_secs()),
            last_error: self.history.last_error.as_ref().map(|(_, reason)| reason.to_string()),
            last_error_secs: self.history.last_error.as_ref().map(|(at, _)| secs_since(*at)),
            sessions_established: self.history.sessions_established,
            consecutive_errors: self.consecutive_errors,
            connections: self.connections.iter().map(|(&role, c)| c.snapshot(role)).collect(),
            negotiated: terms.cloned(),
            malformed_attributes: self.history.malformed_attributes,
            received: self.history.received,
            sent: self.history.sent,
            unsent_bytes: 0,
        }
    }
}

impl Connection {
    fn snapshot(&self, role: Role) -> ConnectionSnapshot {
        ConnectionSnapshot { role, state: self.state(), local: self.local, remote: self.remote }
    }
}
