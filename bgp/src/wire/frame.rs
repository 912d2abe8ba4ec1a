//! Framing (RFC 4271 §4.1) and dispatch on the message type.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    DecodeContext, DecodeError, DecodedUpdate, EncodeContext, Notification, OpenMessage, RouteRefresh,
};

/// Marker, length and type.
pub const HEADER_LEN: usize = 19;
/// Longest message without RFC 8654.
pub const MAX_LEN: usize = 4096;
/// Longest message with RFC 8654.
pub const MAX_LEN_EXTENDED: usize = 65_535;

/// One message of any type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Type 1.
    Open(OpenMessage),
    /// Type 2. What RFC 7606 made of its errors is inside.
    Update(Box<DecodedUpdate>),
    /// Type 3.
    Notification(Notification),
    /// Type 4.
    Keepalive,
    /// Type 5.
    RouteRefresh(RouteRefresh),
}

/// A message that does not fit the length that the session allows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message would take {len} octets, the session allows {max}: split it")]
pub struct EncodeError {
    /// What it would take.
    pub len: usize,
    /// What is allowed.
    pub max: usize,
}

/// Length of the message that `header` starts, once its 19 octets are there.
///
/// # Errors
/// A wrong marker, an unknown type, a length that the type or the session forbids (RFC 4271 §6.1).
pub fn frame_len(header: &[u8], context: &DecodeContext) -> Result<Option<usize>, DecodeError> {
    todo!("{header:?} {context:?}")
}

/// Decodes exactly one whole message, header included.
///
/// # Errors
/// Whatever RFC 4271 §6 and RFC 7606 leave as a session reset, with the NOTIFICATION to send.
pub fn decode_message(frame: &Bytes, context: &DecodeContext) -> Result<Message, DecodeError> {
    todo!("{frame:?} {context:?}")
}

/// Encodes one message, header included. An UPDATE that may be too long goes through
/// [`super::encode_reach`] instead.
///
/// # Errors
/// The message does not fit.
pub fn encode_message(message: &Message, context: &EncodeContext) -> Result<Bytes, EncodeError> {
    todo!("{message:?} {context:?}")
}
