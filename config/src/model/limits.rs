//! What an operator sets against a peer: how much it may send, what it is to us, and that it is to be down.

use serde::Serialize;

use super::Seconds;
use crate::document::{Data, Field, Fields};

/// How many prefixes may be exchanged with a peer, of all families together. At least one is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MaximumPrefixes {
    /// That the peer may send, before any policy; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<u32>,
    /// That may be left of these by filters; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<u32>,
    /// That the peer may be sent; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<u32>,
    /// What happens with one more.
    pub action: LimitAction,
    /// With [`LimitAction::Restart`]: when the session may come back; 0: when the limit changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_time: Option<Seconds>,
}

/// What happens to a session with too many prefixes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum LimitAction {
    /// It is logged, once per session.
    Warn,
    /// It ends, and comes back after a time.
    #[default]
    Restart,
    /// It ends, and comes back when the limit changes.
    Shutdown,
}

/// The time until a session with too many prefixes comes back, where none is given.
pub const PREFIX_RESTART_TIME_DEFAULT: Seconds = Seconds(300);

/// What the node side is to the peer (RFC 9234).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Role {
    /// It sells transit to the peer.
    Provider,
    /// It buys transit from the peer.
    Customer,
    /// Each gives the other its own and its customers' routes.
    Peer,
    /// It is a route server, the peer its client.
    RsServer,
    /// It is the client of a route server.
    RsClient,
}

impl Role {
    /// As manifests spell them.
    pub(crate) const NAMES: [(&'static str, Self); 5] = [
        ("Provider", Self::Provider),
        ("Customer", Self::Customer),
        ("Peer", Self::Peer),
        ("RsServer", Self::RsServer),
        ("RsClient", Self::RsClient),
    ];

    /// What the peer is to the node side.
    #[must_use]
    pub fn counterpart(self) -> Self {
        match self {
            Self::Provider => Self::Customer,
            Self::Customer => Self::Provider,
            Self::Peer => Self::Peer,
            Self::RsServer => Self::RsClient,
            Self::RsClient => Self::RsServer,
        }
    }
}

/// A peer that is administratively down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shutdown {
    /// For the other operator (RFC 9003): at most 255 octets, may be empty.
    pub message: String,
}

/// RFC 9003 §2.
const MESSAGE_OCTETS_MAX: usize = 255;

pub(crate) const MAXIMUM_PREFIXES: &[Field] = &[
    Field::additive("received", "1000", "the most that the peer may send, before any policy, from 1"),
    Field::additive("accepted", "500", "the most that filters may leave of these, from 1"),
    Field::additive("sent", "200", "the most that the peer may be sent, from 1"),
    Field::additive("action", "Warn", "Warn, Restart or Shutdown with one more; default Restart"),
    Field::additive("restartTime", "1m", "Restart: time until the next attempt; default 5m; 0s: as Shutdown"),
];

pub(crate) const SHUTDOWN: &[Field] =
    &[Field::additive("message", "fibre works", "for the other operator (RFC 9003); up to 255 octets")];

impl MaximumPrefixes {
    pub(crate) fn read(spec: &Fields<'_>) -> Option<Self> {
        let actions = [
            ("Warn", LimitAction::Warn),
            ("Restart", LimitAction::Restart),
            ("Shutdown", LimitAction::Shutdown),
        ];
        let limit = spec.fields("maximumPrefixes")?;
        let bound = |name| limit.entry(name).and_then(|entry| entry.integer(1..=i128::from(u32::MAX)));
        let (received, accepted, sent) = (bound("received"), bound("accepted"), bound("sent"));
        if ["received", "accepted", "sent"].iter().all(|name| limit.entry(name).is_none()) {
            limit.report(
                "received",
                "is missing: say how many prefixes are received, accepted or sent at most",
            );
        }
        let action = limit.entry("action").and_then(|entry| entry.choice(&actions)).unwrap_or_default();
        let restart_time = limit.entry("restartTime").and_then(|entry| entry.parse_scalar());
        if restart_time.is_some() && action != LimitAction::Restart {
            limit.report("restartTime", "has no meaning without action Restart: remove it");
        }
        Some(Self { received, accepted, sent, action, restart_time })
    }
}

impl Shutdown {
    pub(crate) fn read(spec: &Fields<'_>) -> Option<Self> {
        let entry = spec.entry("shutdown")?;
        match entry.data() {
            Data::Boolean(true) => Some(Self { message: String::new() }),
            Data::Boolean(false) | Data::Null => None,
            Data::Map(_) => {
                let shutdown = spec.fields("shutdown")?;
                let message = shutdown.entry("message").and_then(|entry| entry.text()).unwrap_or_default();
                if message.len() > MESSAGE_OCTETS_MAX {
                    shutdown.report("message", format!("is longer than {MESSAGE_OCTETS_MAX} octets"));
                }
                Some(Self { message: message.to_owned() })
            }
            Data::Number { .. } | Data::Text(_) | Data::List(_) => {
                entry.report("expected true, false or {message: a text}");
                None
            }
        }
    }
}
