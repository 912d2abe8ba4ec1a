//! Framing (RFC 4271 §4.1) and dispatch on the message type.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{
    DecodeContext, DecodeError, DecodedUpdate, EncodeContext, ErrorSubcode, Notification, OpenMessage,
    RouteRefresh, update,
};

/// Marker, length and type.
pub const HEADER_LEN: usize = 19;
/// Longest message without RFC 8654.
pub const MAX_LEN: usize = 4096;
/// Longest message with RFC 8654.
pub const MAX_LEN_EXTENDED: usize = 65_535;

const MARKER: [u8; 16] = [0xff; 16];

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

/// A message that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// It does not fit the length that the session allows.
    #[error("the message would take {len} octets, the session allows {max}: split it")]
    TooLong {
        /// What it would take.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// The wire has no form for it.
    #[error("the message cannot be written: {0}")]
    Unrepresentable(&'static str),
}

/// Message types (RFC 4271 §4.1, RFC 2918).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageType {
    Open = 1,
    Update = 2,
    Notification = 3,
    Keepalive = 4,
    RouteRefresh = 5,
}

impl MessageType {
    fn from_code(code: u8) -> Option<Self> {
        [Self::Open, Self::Update, Self::Notification, Self::Keepalive, Self::RouteRefresh]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }

    /// Shortest valid message (RFC 4271 §6.1). A ROUTE-REFRESH of the wrong length is answered by its own
    /// error (RFC 7313 §5), which needs the whole message, so only the header is required here.
    fn min_len(self) -> usize {
        match self {
            Self::Open => 29,
            Self::Update => 23,
            Self::Notification => 21,
            Self::Keepalive | Self::RouteRefresh => HEADER_LEN,
        }
    }

    /// Longest valid message. OPEN and KEEPALIVE are not extended (RFC 8654 §2).
    pub(super) fn max_len(self, extended_message: bool) -> usize {
        match self {
            Self::Open => MAX_LEN,
            Self::Keepalive => HEADER_LEN,
            Self::Update | Self::Notification | Self::RouteRefresh if extended_message => MAX_LEN_EXTENDED,
            Self::Update | Self::Notification | Self::RouteRefresh => MAX_LEN,
        }
    }
}

/// Length of the message that `header` starts, once its 19 octets are there.
///
/// # Errors
/// A wrong marker, an unknown type, a length that the type or the session forbids (RFC 4271 §6.1).
pub fn frame_len(header: &[u8], context: &DecodeContext) -> Result<Option<usize>, DecodeError> {
    match decode_header(header, context)? {
        Some((len, _)) => Ok(Some(len)),
        None => Ok(None),
    }
}

/// Decodes exactly one whole message, header included.
///
/// # Errors
/// Whatever RFC 4271 §6 and RFC 7606 leave as a session reset, with the NOTIFICATION to send.
pub fn decode_message(frame: &Bytes, context: &DecodeContext) -> Result<Message, DecodeError> {
    let kind = match decode_header(frame, context)? {
        Some((len, kind)) if len == frame.len() => kind,
        Some(_) | None => {
            return Err(bad_length(frame.len(), "does not match the length of the frame"));
        }
    };
    let body = frame.slice(HEADER_LEN..);
    Ok(match kind {
        MessageType::Open => Message::Open(OpenMessage::decode(&body)?),
        MessageType::Update => Message::Update(Box::new(update::decode(&body, context)?)),
        MessageType::Notification => Message::Notification(Notification::decode(&body)),
        MessageType::Keepalive => Message::Keepalive,
        MessageType::RouteRefresh => Message::RouteRefresh(RouteRefresh::decode(frame, &body)?),
    })
}

/// Encodes one message, header included. An UPDATE that may be too long goes through
/// [`super::encode_reach`] instead.
///
/// # Errors
/// The message does not fit, or holds what one message cannot express (see [`EncodeError`]).
pub fn encode_message(message: &Message, context: &EncodeContext) -> Result<Bytes, EncodeError> {
    let mut body = BytesMut::new();
    let kind = match message {
        Message::Open(open) => {
            open.encode(&mut body)?;
            MessageType::Open
        }
        Message::Update(decoded) => {
            update::encode(&decoded.update, context, &mut body)?;
            MessageType::Update
        }
        Message::Notification(notification) => {
            notification.encode(&mut body);
            MessageType::Notification
        }
        Message::Keepalive => MessageType::Keepalive,
        Message::RouteRefresh(refresh) => {
            refresh.encode(&mut body);
            MessageType::RouteRefresh
        }
    };
    let len = HEADER_LEN + body.len();
    let max = kind.max_len(context.extended_message);
    if len > max {
        return Err(EncodeError::TooLong { len, max });
    }
    let mut frame = BytesMut::with_capacity(len);
    put_header(&mut frame, len, kind);
    frame.put_slice(&body);
    Ok(frame.freeze())
}

/// Writes marker, length and type. `len` is that of the whole message.
pub(super) fn put_header(frame: &mut BytesMut, len: usize, kind: MessageType) {
    frame.put_slice(&MARKER);
    // Every caller has checked `len` against max_len, which fits 16 bits.
    frame.put_u16(u16::try_from(len).unwrap_or(u16::MAX));
    frame.put_u8(kind as u8);
}

fn decode_header(
    header: &[u8],
    context: &DecodeContext,
) -> Result<Option<(usize, MessageType)>, DecodeError> {
    let Some((&marker, rest)) = header.split_first_chunk::<16>() else { return Ok(None) };
    let &[high, low, code, ..] = rest else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes([high, low]));

    if marker != MARKER {
        return Err(DecodeError::new(
            ErrorSubcode::CONNECTION_NOT_SYNCHRONIZED,
            format!("the marker is {} instead of all ones", super::error::hex(&marker)),
        ));
    }
    if len < HEADER_LEN {
        return Err(bad_length(len, "is shorter than the 19 octets of the header"));
    }
    let Some(kind) = MessageType::from_code(code) else {
        // The length is checked against the general bounds before the type (RFC 4271 §6.1).
        let max = MessageType::Update.max_len(context.extended_message);
        if len > max {
            return Err(bad_length(len, &format!("is longer than the {max} octets of this session")));
        }
        return Err(DecodeError::with_data(
            ErrorSubcode::BAD_MESSAGE_TYPE,
            Bytes::copy_from_slice(&[code]),
            format!("message type {code} is not known"),
        ));
    };
    let (min, max) = (kind.min_len(), kind.max_len(context.extended_message));
    if len < min || len > max {
        return Err(bad_length(len, &format!("is outside {min} to {max} for a {kind:?} message")));
    }
    Ok(Some((len, kind)))
}

/// Bad Message Length carries the erroneous Length field (RFC 4271 §6.1).
pub(super) fn bad_length(len: usize, what: &str) -> DecodeError {
    let field = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    DecodeError::with_data(
        ErrorSubcode::BAD_MESSAGE_LENGTH,
        Bytes::copy_from_slice(&field),
        format!("message length {len} {what}"),
    )
}
