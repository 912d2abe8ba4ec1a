//! One TCP connection of a peer, from the moment it is up: the OPEN that we sent on it and how far the
//! exchange has come.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Negotiated, State};
use crate::wire::OpenMessage;

/// A connection on which our OPEN has been sent.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// When TCP came up.
    pub(super) connected_at: Instant,
    /// Our OPEN: what is negotiated is what was said on this connection, not what is configured by now.
    pub(super) sent: OpenMessage,
    pub(super) phase: Phase,
}

/// How far it has come. What is known only later cannot be asked for earlier.
#[derive(Debug)]
pub(super) enum Phase {
    OpenSent,
    OpenConfirm(Box<Negotiated>),
    Established { negotiated: Box<Negotiated>, at: Instant },
}

impl Connection {
    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::OpenSent => State::OpenSent,
            Phase::OpenConfirm(_) => State::OpenConfirm,
            Phase::Established { .. } => State::Established,
        }
    }

    /// The terms, from OpenConfirm on.
    pub(super) fn negotiated(&self) -> Option<&Negotiated> {
        match &self.phase {
            Phase::OpenSent => None,
            Phase::OpenConfirm(negotiated) | Phase::Established { negotiated, .. } => Some(negotiated),
        }
    }
}
