//! What is worth a line. By contract: TRACE a packet, DEBUG a decision, INFO a change that people talk about,
//! WARN what an operator should look at.

use std::time::Instant;

use tracing::{debug, info, warn};

use super::NeighborTask;
use crate::peer::{DownReason, NeighborConfig, PeerEvent, PrefixLimitAction, State};
use crate::wire::{ErrorCode, Message};

impl NeighborTask {
    /// The session's end with its reason, a failed attempt, and the steps between.
    pub(super) fn log_changes(&self, before: State, error_at: Option<Instant>) {
        let NeighborConfig { name, address, .. } = self.peer.config();
        let state = self.peer.state();
        if state != before {
            debug!(neighbor = %name, %address, from = %before, to = %state, "state");
        }
        let Some((at, reason)) = self.peer.last_error() else { return };
        if Some(*at) == error_at {
            return;
        }
        let what = if before == State::Established { "session down" } else { "no session" };
        match severity(reason) {
            Severity::Look => warn!(neighbor = %name, %address, %reason, "{what}"),
            Severity::Change if before == State::Established => {
                info!(neighbor = %name, %address, %reason, "{what}");
            }
            Severity::Change => debug!(neighbor = %name, %address, %reason, "{what}"),
        }
    }

    /// A limit that ends the session is logged with its end.
    pub(super) fn log_over_limit(&self, event: &PeerEvent) {
        let NeighborConfig { name, address, prefix_limit, .. } = self.peer.config();
        if let (PeerEvent::TooManyPrefixes { excess, .. }, Some(limit)) = (event, prefix_limit)
            && limit.action == PrefixLimitAction::Warn
        {
            let (prefixes, count, allowed) = (excess.prefixes, excess.count, limit.of(excess.count));
            warn!(neighbor = %name, %address, prefixes, %count, allowed, "more prefixes than maximumPrefixes allows");
        }
    }

    /// RFC 7606: the session survives, somebody should know. Once per session as a warning.
    pub(super) fn log_malformed(&mut self, message: &Message) {
        let Message::Update(decoded) = message else { return };
        let Some(session) = &mut self.session else { return };
        for error in &decoded.errors {
            let name = &self.peer.config().name;
            let action = error.action;
            if session.warned {
                debug!(neighbor = %name, attribute = error.code, ?action, reason = %error.reason, "malformed");
            } else {
                warn!(
                    neighbor = %name, attribute = error.code, ?action, reason = %error.reason,
                    "malformed attribute; further ones of this session are logged at debug level"
                );
            }
            session.warned = true;
        }
    }
}

enum Severity {
    /// An operator should look.
    Look,
    /// It happens.
    Change,
}

fn severity(reason: &DownReason) -> Severity {
    match reason {
        DownReason::HoldTimerExpired | DownReason::Sent { .. } => Severity::Look,
        DownReason::Received(notification) if notification.error_code() == Some(ErrorCode::Cease) => {
            Severity::Change
        }
        DownReason::Received(_) => Severity::Look,
        DownReason::Stopped(_) | DownReason::ConnectionLost(_) | DownReason::ConnectFailed(_) => {
            Severity::Change
        }
    }
}
