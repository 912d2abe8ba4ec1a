//! NOTIFICATION (RFC 4271 §4.5): why a session ends.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A NOTIFICATION as it stands on the wire. Unknown codes survive decoding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Error code, see [`ErrorCode`].
    pub code: u8,
    /// Subcode, 0 for unspecific.
    pub subcode: u8,
    /// Data, e.g. the shutdown communication of RFC 9003.
    pub data: Bytes,
}

/// Error codes of RFC 4271 §4.5 and RFC 7313.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum ErrorCode {
    /// Message Header Error.
    MessageHeader = 1,
    /// OPEN Message Error.
    OpenMessage = 2,
    /// UPDATE Message Error.
    UpdateMessage = 3,
    /// Hold Timer Expired.
    HoldTimerExpired = 4,
    /// Finite State Machine Error (subcodes: RFC 6608).
    FiniteStateMachine = 5,
    /// Cease (subcodes: RFC 4486).
    Cease = 6,
    /// ROUTE-REFRESH Message Error (RFC 7313).
    RouteRefreshMessage = 7,
}
