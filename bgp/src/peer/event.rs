//! Everything that can happen to a peer and everything it can ask for. Both are closed and serialisable, so
//! a session can be recorded and replayed.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Negotiated, PrefixExcess};
use crate::wire::{DecodeError, ErrorSubcode, Message, Notification, RouteRefresh, Update};

/// Which connection of a neighbor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// We dialled.
    Outgoing,
    /// The neighbor dialled.
    Incoming,
    /// The neighbor dialled once more while `Incoming` is in use, typically because it has restarted and
    /// we do not know yet. The two incoming roles are alike in all else.
    Rival,
}

/// Why the operator or the configuration stops a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// Cease / Administrative Shutdown, with the communication of RFC 9003 (empty for none).
    Shutdown(String),
    /// Cease / Peer De-configured.
    Deconfigured,
    /// Cease / Other Configuration Change: the peer will be started again.
    ConfigurationChange,
    /// The daemon ends but forwarding goes on: the TCP connection is closed without a NOTIFICATION, so that
    /// a helper keeps our routes (RFC 4724 §4.1).
    Restart,
}

/// Into the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerEvent {
    /// Automatic or manual start (RFC 4271 events 1, 3 to 7).
    Start,
    /// Manual or automatic stop (events 2, 8).
    Stop(StopReason),
    /// A TCP connection is up (events 16, 17).
    Connected {
        /// Ours, or the free one of theirs (see [`super::Peer::role_for_accepted`]).
        role: Role,
        /// Our end.
        local: SocketAddr,
        /// Their end.
        remote: SocketAddr,
    },
    /// Dialling failed (event 18 before the connection was up).
    ConnectFailed(String),
    /// A whole message came.
    Received {
        /// On which connection.
        role: Role,
        /// The message.
        message: Message,
    },
    /// Bytes came that end the session.
    ReceivedBad {
        /// On which connection.
        role: Role,
        /// What is wrong with them.
        error: DecodeError,
    },
    /// The connection is gone (event 18).
    Disconnected {
        /// Which one.
        role: Role,
        /// As the operating system put it.
        reason: String,
    },
    /// Bytes wait on the connection that we have not read yet, because we are behind: the neighbor is alive.
    /// To be said before a [`PeerEvent::Deadline`], so that our slowness never counts as its silence.
    Unread {
        /// On which connection.
        role: Role,
    },
    /// Bytes moved towards the neighbor, or were queued for it (RFC 9687: a neighbor that takes nothing for
    /// the send hold time is gone).
    Backlog {
        /// On which connection.
        role: Role,
        /// Whether more wait.
        waiting: bool,
    },
    /// The RIB holds more prefixes of the session, or for it, than its limit allows.
    TooManyPrefixes {
        /// On which connection.
        role: Role,
        /// Of which, and how many.
        excess: PrefixExcess,
    },
    /// Time passed. Early, late and repeated ones are harmless.
    Deadline,
}

/// Out of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerEffect {
    /// Dial; answer with `Connected` or `ConnectFailed`. A dial under way is superseded.
    Connect,
    /// Give up a dial that is under way, if any. No answer is expected.
    CancelConnect,
    /// Send this (never an UPDATE).
    Transmit {
        /// On which connection.
        role: Role,
        /// The message.
        message: Message,
    },
    /// Flush what was given to `Transmit`, then close. No `Disconnected` is expected.
    Close {
        /// Which one.
        role: Role,
    },
    /// The session is up on this connection; every other one has been closed.
    Established {
        /// On which connection.
        role: Role,
        /// What both sides agreed.
        negotiated: Box<Negotiated>,
    },
    /// Routes from the peer, in order.
    Update(Box<Update>),
    /// The peer asks for our routes again, or marks the ends of its own.
    Refresh(RouteRefresh),
    /// The established session is over. Exactly one per `Established`.
    Down(DownReason),
    /// A dynamic neighbor has been without a connection for so long that it is to be forgotten. Nothing more is
    /// expected of the machine.
    Expired,
}

/// Why a session (or an attempt at one) ended. What `manx peers` shows as the last error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownReason {
    /// We were told to stop.
    Stopped(StopReason),
    /// Nothing came for the hold time.
    HoldTimerExpired,
    /// We sent a NOTIFICATION because of this.
    Sent {
        /// What we sent.
        notification: Notification,
        /// Why, in words.
        reason: String,
    },
    /// The peer sent a NOTIFICATION.
    Received(Notification),
    /// TCP ended without one.
    ConnectionLost(String),
    /// Dialling failed.
    ConnectFailed(String),
}

impl DownReason {
    /// Whether a helper keeps the peer's routes for its restart time: after a lost connection (RFC 4724 §4.2), and
    /// with the N bit of both also after any NOTIFICATION but a Hard Reset, whoever sent it (RFC 8538 §4). Not after
    /// our own hold timer, which RFC 8538 has too: a silent peer is most often dead, and its forwarding with it, and
    /// packets would go nowhere for its restart time beyond the hold time.
    #[must_use]
    pub fn is_graceful(&self, notification_bit: bool) -> bool {
        match self {
            Self::ConnectionLost(_) => true,
            Self::Stopped(StopReason::ConfigurationChange) => notification_bit,
            Self::Sent { notification, .. } | Self::Received(notification) => {
                notification_bit && !notification.is(ErrorSubcode::HARD_RESET)
            }
            Self::HoldTimerExpired
            | Self::Stopped(StopReason::Shutdown(_) | StopReason::Deconfigured | StopReason::Restart)
            | Self::ConnectFailed(_) => false,
        }
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(reason) => write!(f, "stopped: {reason}"),
            Self::HoldTimerExpired => f.write_str("hold timer expired: nothing came for the hold time"),
            Self::Sent { notification, reason } => {
                write!(f, "sent {notification}: {reason}")
            }
            Self::Received(notification) => write!(f, "received {notification}"),
            Self::ConnectionLost(reason) => write!(f, "connection lost: {reason}"),
            Self::ConnectFailed(reason) => write!(f, "cannot connect: {reason}"),
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown(text) if text.is_empty() => f.write_str("administrative shutdown"),
            Self::Shutdown(text) => write!(f, "administrative shutdown: {text}"),
            Self::Deconfigured => f.write_str("no longer configured"),
            Self::ConfigurationChange => f.write_str("its configuration changed"),
            Self::Restart => f.write_str("this speaker restarts"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
            Self::Rival => "rival",
        })
    }
}
