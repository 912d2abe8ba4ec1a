//! One neighbor's task: owns the machine and its sockets, and only carries things between them.
//!
//! The task is one function that is polled. Each round offers every source its turn (commands, the dial, the
//! RIB, the sockets both ways, the clock) and none is ever awaited, so that a socket that cannot be written
//! or a RIB that is full holds up nothing else:
//!
//! - While the RIB's queue is full the established connection is not read. Before a timer is handed to the
//!   machine, every connection is asked whether bytes wait on it ([`PeerEvent::Unread`]): a neighbor whose
//!   bytes we have not read yet is alive.
//! - While a socket cannot be written, its bytes wait; the RIB stops handing out more at
//!   [`TRANSMIT_WINDOW`], and the machine gives the neighbor up after the send hold time (RFC 9687).
//! - The machine's own messages overtake queued UPDATEs, at a message boundary.
//!
//! There is nothing to cancel: the state is in the struct, and dropping the task closes its sockets.

mod effects;
mod log;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tracing::{debug, info, trace, warn};

use super::connection::{Connection, Written};
use super::feed::Feed;
use super::outbox::count_messages;
use super::{RibHandle, ToPeer, sockopt};
use crate::PeerId;
use crate::peer::{Negotiated, NeighborConfig, Peer, PeerEvent, PeerSnapshot, Role, StopReason};
use crate::rib::RibEvent;

/// Octets the RIB may hand out for a neighbor whose socket does not take them. Enough to keep a fast
/// connection busy between two turns of this task, little enough that a slow neighbor's queue stays fresh.
pub(super) const TRANSMIT_WINDOW: usize = 1 << 20;
/// Rounds before other tasks get their turn.
const ROUNDS: usize = 8;
/// Connections that may get their last words out at the same time; more than that is a flood, and gets none.
const CLOSING_MAX: usize = 16;

/// Which routes are wanted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshDirection {
    /// The neighbor's: it is asked (RFC 2918).
    In,
    /// Ours: they are sent once more.
    Out,
}

/// What the speaker and the listeners ask of a neighbor's task.
#[derive(Debug)]
pub(super) enum Command {
    /// The neighbor dialled.
    Accepted(TcpStream),
    /// Take over this configuration; with `reset`, end the session first.
    Reconfigure { config: Box<NeighborConfig>, reset: bool },
    /// End the session and then the task.
    Stop(StopReason),
    /// Routes again, in this direction. Answers whether that can be done.
    Refresh(RefreshDirection, oneshot::Sender<bool>),
    /// Describe yourself.
    Snapshot(oneshot::Sender<PeerSnapshot>),
    /// Fail in the way of a defect.
    #[cfg(test)]
    Panic,
}

/// See the module's head.
pub(super) struct NeighborTask {
    id: PeerId,
    peer: Peer,
    commands: mpsc::Receiver<Command>,
    feed: Feed,
    connections: BTreeMap<Role, Connection>,
    dial: Option<Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>>,
    session: Option<Session>,
    /// Connections that get their last words out.
    closing: JoinSet<()>,
    timer: Pin<Box<Sleep>>,
    stopping: bool,
    counters: Counters,
}

/// The established session.
struct Session {
    role: Role,
    negotiated: Box<Negotiated>,
    /// UPDATEs from the RIB.
    bytes: mpsc::UnboundedReceiver<ToPeer>,
    /// A malformed attribute has been warned about.
    warned: bool,
}

#[derive(Default)]
struct Counters {
    bytes_received: u64,
    bytes_sent: u64,
    updates_sent: u64,
}

impl NeighborTask {
    pub(super) fn new(
        id: PeerId,
        config: NeighborConfig,
        seed: u64,
        rib: RibHandle,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        Self {
            id,
            peer: Peer::new(config, seed),
            commands,
            feed: Feed::new(rib, id),
            connections: BTreeMap::new(),
            dial: None,
            session: None,
            closing: JoinSet::new(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            stopping: false,
            counters: Counters::default(),
        }
    }

    /// Runs until it is told to stop (or nobody is left to tell it), and until its last words are out.
    pub(super) async fn run(mut self) {
        self.handle(PeerEvent::Start, Instant::now());
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            let now = Instant::now();
            let mut progress = self.poll_commands(cx, now);
            progress |= self.poll_dial(cx, now);
            progress |= self.poll_read(cx, now);
            progress |= self.poll_rib(cx, now);
            progress |= self.poll_write(cx, now);
            progress |= self.poll_timer(cx, now);
            // After everything that fills it, so that its waker is set while anything is left in it.
            progress |= self.feed.poll(cx);
            while let Poll::Ready(Some(_)) = self.closing.poll_join_next(cx) {}
            if self.stopping && self.closing.is_empty() && self.feed.is_empty() {
                return Poll::Ready(());
            }
            if !progress {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        while !self.stopping
            && let Poll::Ready(command) = self.commands.poll_recv(cx)
        {
            progress = true;
            match command {
                Some(Command::Accepted(stream)) => self.accept(stream, now),
                Some(Command::Reconfigure { config, reset }) => self.reconfigure(*config, reset, now),
                Some(Command::Stop(reason)) => self.stop(reason, now),
                Some(Command::Refresh(direction, reply)) => drop(reply.send(self.refresh(direction))),
                // Whoever asked may have gone.
                Some(Command::Snapshot(reply)) => drop(reply.send(self.snapshot(now))),
                #[cfg(test)]
                Some(Command::Panic) => panic!("told to"),
                // The speaker is gone without a word, and so is the process soon: leave as for a restart.
                None => self.stop(StopReason::Restart, now),
            }
        }
        progress
    }

    fn stop(&mut self, reason: StopReason, now: Instant) {
        self.stopping = true;
        self.handle(PeerEvent::Stop(reason), now);
    }

    /// False: there is no session, or the neighbor cannot be asked.
    fn refresh(&mut self, direction: RefreshDirection) -> bool {
        match (direction, &self.session) {
            (_, None) => false,
            (RefreshDirection::In, Some(_)) => {
                let can = self.peer.request_refresh();
                self.apply_effects();
                can
            }
            (RefreshDirection::Out, Some(session)) => {
                for family in session.negotiated.families.clone() {
                    self.feed.push_event(RibEvent::Refresh { peer: self.id, family });
                }
                true
            }
        }
    }

    fn reconfigure(&mut self, config: NeighborConfig, reset: bool, now: Instant) {
        // Of several AS numbers the one that it has may no longer be among those that it may have.
        let asn = self.session.as_ref().map(|session| session.negotiated.remote_as);
        let old = self.peer.config();
        // Without a session: which of several it was, the RIB sees when it is back.
        let known = asn.or_else(|| old.as_ranges().is_empty().then_some(old.remote_as));
        let is_another =
            known.is_some_and(|asn| !config.accepts_as(asn) || config.kind_with(asn) != old.kind_with(asn));
        let reset = reset || (is_another && asn.is_some());
        if reset {
            let reason =
                config.shutdown.clone().map_or(StopReason::ConfigurationChange, StopReason::Shutdown);
            self.handle(PeerEvent::Stop(reason), now);
        }
        // A helper (RFC 8538) keeps the routes of a neighbor that comes back, and this one does not.
        if is_another {
            self.feed.push_event(RibEvent::PeerDown { peer: self.id, retain: None });
        }
        let secs = config.timing.advertisement_interval_secs;
        if self.session.is_some() && secs != self.peer.config().timing.advertisement_interval_secs {
            self.feed.push_event(RibEvent::AdvertisementInterval { peer: self.id, secs });
        }
        if config.link_bandwidth != self.peer.config().link_bandwidth {
            let bytes_per_sec = config.link_bandwidth;
            self.feed.push_event(RibEvent::LinkBandwidth { peer: self.id, bytes_per_sec });
        }
        let add_path_maximum = config.add_paths.send_maximum;
        if self.session.is_some() && add_path_maximum != self.peer.config().add_paths.send_maximum {
            let maximum = add_path_maximum;
            self.feed.push_event(RibEvent::AddPathMaximum { peer: self.id, maximum });
        }
        let old_limit = self.peer.config().prefix_limit;
        let rotates = config.password != self.peer.config().password;
        let policies = |config: &NeighborConfig| (Arc::clone(&config.import), Arc::clone(&config.export));
        let old = policies(self.peer.config());
        let old_rules = self.peer.config().rules;
        let old_client = self.peer.config().reflector_client;
        self.peer.reconfigure(config, now);
        self.apply_effects();
        let (import, export) = policies(self.peer.config());
        if (&import, &export) != (&old.0, &old.1) {
            self.feed.push_event(RibEvent::PolicyChanged { peer: self.id, import, export });
        }
        let rules = self.peer.config().rules;
        if rules != old_rules {
            self.feed.push_event(RibEvent::RulesChanged { peer: self.id, rules });
        }
        let client = self.peer.config().reflector_client;
        if client != old_client {
            self.feed.push_event(RibEvent::ReflectorClientChanged { peer: self.id, client });
        }
        // After what decides how many are accepted.
        let limit = self.peer.config().prefix_limit;
        if self.session.is_some() && limit != old_limit {
            self.feed.push_event(RibEvent::PrefixLimit { peer: self.id, limit });
        }
        if rotates {
            self.rotate_password(now);
        }
        if reset {
            self.handle(PeerEvent::Start, now);
        }
    }

    /// The connections that are up go on with the new key. One that cannot take it must not go on at all.
    fn rotate_password(&mut self, now: Instant) {
        let config = self.peer.config();
        let (address, password) = (config.address, config.password.clone());
        let changed = |connection: &Connection| connection.change_password(address, password.as_ref());
        let results = self.connections.iter().map(|(&role, connection)| (role, changed(connection)));
        for (role, result) in results.collect::<Vec<_>>() {
            match result {
                Ok(()) => info!(neighbor = %self.peer.config().name, %role, "password changed in place"),
                Err(error) => self.disconnect(role, format!("its password cannot be changed: {error}"), now),
            }
        }
    }

    fn accept(&mut self, stream: TcpStream, now: Instant) {
        let role = self.peer.role_for_accepted();
        if self.connections.remove(&role).is_some() {
            let reason = "the neighbor opened a newer connection".to_owned();
            self.handle(PeerEvent::Disconnected { role, reason }, now);
        }
        let config = self.peer.config();
        if let Err(error) = sockopt::adopt(&stream, config.address, config) {
            warn!(neighbor = %config.name, %error, "accepted connection closed: its options cannot be set");
            return;
        }
        self.connect(role, stream, now);
    }

    fn poll_dial(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(dial) = &mut self.dial else { return false };
        let Poll::Ready(result) = dial.as_mut().poll(cx) else { return false };
        self.dial = None;
        match result {
            Ok(stream) => self.connect(Role::Outgoing, stream, now),
            Err(error) => self.handle(PeerEvent::ConnectFailed(error.to_string()), now),
        }
        true
    }

    /// TCP is up.
    fn connect(&mut self, role: Role, stream: TcpStream, now: Instant) {
        let addresses = stream.local_addr().and_then(|local| Ok((local, stream.peer_addr()?)));
        match addresses {
            Ok((local, remote)) => {
                self.connections.insert(role, Connection::new(stream));
                self.handle(PeerEvent::Connected { role, local, remote }, now);
            }
            // It ended before we could look at it.
            Err(error) if role == Role::Outgoing => {
                self.handle(PeerEvent::ConnectFailed(error.to_string()), now);
            }
            Err(error) => debug!(neighbor = %self.peer.config().name, %error, "accepted connection is gone"),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        for role in [Role::Outgoing, Role::Incoming, Role::Rival] {
            progress |= self.poll_read_connection(role, cx, now);
        }
        progress
    }

    /// Hands on what has been read, then reads once.
    fn poll_read_connection(&mut self, role: Role, cx: &mut Context<'_>, now: Instant) -> bool {
        if !self.hand_on(role, now) {
            return false;
        }
        let Some(connection) = self.connections.get_mut(&role) else { return false };
        let reason = match connection.poll_read(cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0)) => "closed by the neighbor".to_owned(),
            Poll::Ready(Ok(count)) => {
                self.counters.bytes_received += count as u64;
                return true;
            }
            Poll::Ready(Err(error)) => error.to_string(),
        };
        self.disconnect(role, reason, now);
        true
    }

    fn disconnect(&mut self, role: Role, reason: String, now: Instant) {
        self.connections.remove(&role);
        self.handle(PeerEvent::Disconnected { role, reason }, now);
    }

    /// Gives the machine the whole messages that have been read; false when the RIB has no room for what may
    /// follow from them, and the connection is to be left unread.
    fn hand_on(&mut self, role: Role, now: Instant) -> bool {
        loop {
            let is_session = self.session.as_ref().is_some_and(|session| session.role == role);
            if is_session && !self.feed.has_room() {
                return false;
            }
            match self.connections.get_mut(&role).and_then(Connection::next_message) {
                None => return true,
                Some(Ok(message)) => {
                    trace!(neighbor = %self.peer.config().name, %role, ?message, "received");
                    self.log_malformed(&message);
                    self.handle(PeerEvent::Received { role, message }, now);
                }
                Some(Err(error)) => {
                    self.handle(PeerEvent::ReceivedBad { role, error }, now);
                    // The machine has closed it; what is left in its buffer must not be read a second time.
                    if self.connections.contains_key(&role) {
                        self.disconnect(role, "its bytes make no sense".to_owned(), now);
                    }
                }
            }
        }
    }

    fn poll_rib(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(session) = &mut self.session else { return false };
        let Some(connection) = self.connections.get_mut(&session.role) else { return false };
        let role = session.role;
        let mut progress = false;
        let mut over_limit = None;
        while let Poll::Ready(Some(item)) = session.bytes.poll_recv(cx) {
            progress = true;
            match item {
                ToPeer::Messages(messages) => {
                    self.counters.updates_sent += count_messages(&messages);
                    connection.outbox.push_bulk(messages);
                }
                ToPeer::TooManyPrefixes(excess) => {
                    over_limit = Some(PeerEvent::TooManyPrefixes { role, excess });
                }
            }
        }
        if let Some(event) = over_limit {
            self.log_over_limit(&event);
            self.handle(event, now);
        }
        progress
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut progress = false;
        for role in [Role::Outgoing, Role::Incoming, Role::Rival] {
            let Some(connection) = self.connections.get_mut(&role) else { continue };
            match connection.poll_write(cx) {
                Ok(written) => {
                    progress |= written.total > 0;
                    self.account(role, written, now);
                }
                Err(error) => {
                    self.write_failed(role, &error, cx, now);
                    progress = true;
                }
            }
        }
        progress
    }

    /// What the neighbor said before it closed may still wait to be read, and a NOTIFICATION must not be
    /// taken for a lost connection: the one ends graceful restart, the other begins it.
    fn write_failed(&mut self, role: Role, error: &io::Error, cx: &mut Context<'_>, now: Instant) {
        while self.poll_read_connection(role, cx, now) {}
        if self.connections.contains_key(&role) {
            self.disconnect(role, error.to_string(), now);
        }
    }

    /// Credits the RIB, and tells the machine about a backlog when one begins, moves or ends.
    fn account(&mut self, role: Role, written: Written, now: Instant) {
        self.counters.bytes_sent += written.total as u64;
        if written.bulk > 0 {
            self.feed.add_transmitted(written.bulk);
        }
        let Some(connection) = self.connections.get_mut(&role) else { return };
        let waiting = !connection.outbox.is_empty();
        let was_waiting = std::mem::replace(&mut connection.blocked, waiting);
        if waiting != was_waiting || (waiting && written.total > 0) {
            self.handle(PeerEvent::Backlog { role, waiting }, now);
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(deadline) = self.peer.next_deadline().map(tokio::time::Instant::from_std) else {
            return false;
        };
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        let unread = self.connections.iter().filter(|(_, connection)| connection.has_unread());
        for role in unread.map(|(&role, _)| role).collect::<Vec<_>>() {
            self.handle(PeerEvent::Unread { role }, now);
        }
        // The clock has moved on since the round began, and a timer is never early.
        self.handle(PeerEvent::Deadline, Instant::now());
        true
    }

    fn handle(&mut self, event: PeerEvent, now: Instant) {
        let state = self.peer.state();
        let error_at = self.peer.last_error().map(|(at, _)| *at);
        self.peer.handle(event, now);
        self.apply_effects();
        self.log_changes(state, error_at);
    }
}
