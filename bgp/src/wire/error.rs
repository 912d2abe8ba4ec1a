//! What is wrong with received bytes, and what follows from it.

use serde::{Deserialize, Serialize};

use super::Notification;

/// An error that ends the session; it knows the NOTIFICATION to send (RFC 4271 §6).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{reason}")]
pub struct DecodeError {
    /// What to tell the peer.
    pub notification: Notification,
    /// What to tell the operator, with the offending value.
    pub reason: String,
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
    /// Type code of the attribute.
    pub code: u8,
    /// What was done.
    pub action: AttributeAction,
    /// What was wrong, for the operator.
    pub reason: String,
}
