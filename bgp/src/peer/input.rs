//! What the transition table is entered with.

use std::net::SocketAddr;

use super::timer::Timer;
use super::{Role, StopReason};
use crate::AfiSafi;
use crate::wire::{DecodeError, DecodedUpdate, Message, Notification, OpenMessage, RouteRefresh};

/// The events of RFC 4271 §8.1 with what they carry: [`PeerEvent`]s sorted by message, and timers by name.
#[derive(Debug)]
pub(super) enum Input {
    Start,
    Stop(StopReason),
    ConnectRetryExpired,
    IdleHoldExpired,
    Expired,
    HoldExpired(Role),
    KeepaliveDue(Role),
    SendHoldExpired(Role),
    Connected(Role, SocketAddr, SocketAddr),
    ConnectFailed(String),
    Disconnected(Role, String),
    Open(Role, OpenMessage),
    Keepalive(Role),
    Update(Role, Box<DecodedUpdate>),
    Refresh(Role, RouteRefresh),
    Notification(Role, Notification),
    Malformed(Role, DecodeError),
    Unread(Role),
    Backlog(Role, bool),
    TooManyPrefixes(Role, AfiSafi, u64),
}

impl Input {
    pub(super) fn message(role: Role, message: Message) -> Self {
        match message {
            Message::Open(open) => Self::Open(role, open),
            Message::Update(update) => Self::Update(role, update),
            Message::Notification(notification) => Self::Notification(role, notification),
            Message::Keepalive => Self::Keepalive(role),
            Message::RouteRefresh(refresh) => Self::Refresh(role, refresh),
        }
    }

    pub(super) fn expired(timer: Timer) -> Self {
        match timer {
            Timer::ConnectRetry => Self::ConnectRetryExpired,
            Timer::IdleHold => Self::IdleHoldExpired,
            Timer::Expire => Self::Expired,
            Timer::Hold(role) => Self::HoldExpired(role),
            Timer::Keepalive(role) => Self::KeepaliveDue(role),
            Timer::SendHold(role) => Self::SendHoldExpired(role),
        }
    }
}
