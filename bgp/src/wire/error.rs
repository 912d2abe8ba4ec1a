//! What is wrong with received bytes, and what follows from it.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ErrorSubcode, Notification};

/// An error that ends the session; it knows the NOTIFICATION to send (RFC 4271 §6).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{reason}")]
pub struct DecodeError {
    /// What to tell the peer.
    pub notification: Notification,
    /// What to tell the operator, with the offending value.
    pub reason: String,
}

impl DecodeError {
    /// An error whose NOTIFICATION carries no data.
    #[must_use]
    pub fn new(error: ErrorSubcode, reason: impl Into<String>) -> Self {
        Self { notification: Notification::new(error), reason: reason.into() }
    }

    /// An error whose NOTIFICATION carries `data`, cut to what fits every session.
    #[must_use]
    pub fn with_data(error: ErrorSubcode, data: Bytes, reason: impl Into<String>) -> Self {
        Self { notification: Notification::with_data(error, data), reason: reason.into() }
    }
}

/// What RFC 7606 §2 asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttributeAction {
    /// Drop the attribute, keep the routes.
    Discard,
    /// Keep the session, treat the routes as withdrawn.
    TreatAsWithdraw,
}

/// A malformed attribute that the session survives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeError {
    /// Type code of the attribute; 0 where the list ends before one can be read.
    pub code: u8,
    /// What was done.
    pub action: AttributeAction,
    /// What was wrong, for the operator.
    pub reason: String,
}

/// Octets for an operator's eyes: `0x4002ff`, cut short after 16.
pub(super) fn hex(octets: &[u8]) -> String {
    const SHOWN: usize = 16;
    let mut text = String::from("0x");
    for octet in octets.iter().take(SHOWN) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{octet:02x}");
    }
    if octets.len() > SHOWN {
        let _ = write!(text, "… ({} octets)", octets.len());
    }
    text
}
