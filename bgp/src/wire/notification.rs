//! NOTIFICATION (RFC 4271 §4.5): why a session ends.
//!
//! Codes are an open space on the wire, so [`Notification`] keeps the two octets as they came; what we send
//! ourselves is named by [`ErrorSubcode`], whose table also gives the words for what we received.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::frame::{HEADER_LEN, MAX_LEN};

/// Most data that fits into a NOTIFICATION on every session, in octets.
pub const MAX_DATA_LEN: usize = MAX_LEN - HEADER_LEN - 2;
/// Longest shutdown communication, in octets of UTF-8 (RFC 9003 §2).
pub const MAX_COMMUNICATION_LEN: usize = 255;

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

impl Notification {
    /// One without data.
    #[must_use]
    pub fn new(error: ErrorSubcode) -> Self {
        Self::with_data(error, Bytes::new())
    }

    /// One with data. What exceeds [`MAX_DATA_LEN`] is cut off, so that it can be sent on every session.
    #[must_use]
    pub fn with_data(error: ErrorSubcode, mut data: Bytes) -> Self {
        data.truncate(MAX_DATA_LEN);
        Self { code: error.code as u8, subcode: error.subcode, data }
    }

    /// Administrative Shutdown or Administrative Reset with a text for the other operator (RFC 9003 §2).
    ///
    /// The text is cut at a character boundary to at most [`MAX_COMMUNICATION_LEN`] octets; an empty one
    /// gives no data at all.
    #[must_use]
    pub fn with_communication(error: ErrorSubcode, text: &str) -> Self {
        let mut end = text.len().min(MAX_COMMUNICATION_LEN);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        if text.is_empty() {
            return Self::new(error);
        }
        let mut data = BytesMut::with_capacity(1 + text.len());
        data.put_u8(u8::try_from(text.len()).unwrap_or(u8::MAX));
        data.put_slice(text.as_bytes());
        Self::with_data(error, data.freeze())
    }

    /// Cease / Hard Reset around `inner`: the session's routes are not to be kept (RFC 8538 §3.1).
    #[must_use]
    pub fn hard_reset(inner: &Self) -> Self {
        let mut data = BytesMut::with_capacity(2 + inner.data.len());
        data.put_u8(inner.code);
        data.put_u8(inner.subcode);
        data.put_slice(&inner.data);
        Self::with_data(ErrorSubcode::HARD_RESET, data.freeze())
    }

    /// The code, if it is one we know.
    #[must_use]
    pub fn error_code(&self) -> Option<ErrorCode> {
        ErrorCode::ALL.into_iter().find(|code| *code as u8 == self.code)
    }

    /// Whether it is exactly this error.
    #[must_use]
    pub fn is(&self, error: ErrorSubcode) -> bool {
        self.code == error.code as u8 && self.subcode == error.subcode
    }

    /// The text that came with a shutdown or reset (RFC 9003), if it is well-formed UTF-8. It is the peer's:
    /// escape it before showing it, as [`fmt::Display`] does.
    #[must_use]
    pub fn communication(&self) -> Option<&str> {
        if !self.is(ErrorSubcode::ADMINISTRATIVE_SHUTDOWN) && !self.is(ErrorSubcode::ADMINISTRATIVE_RESET) {
            return None;
        }
        let (&len, text) = self.data.split_first()?;
        std::str::from_utf8(text.get(..usize::from(len))?).ok().filter(|text| !text.is_empty())
    }

    /// What a Hard Reset encloses (RFC 8538 §3.1).
    #[must_use]
    pub fn enclosed(&self) -> Option<Self> {
        match *self.data {
            [code, subcode, ..] if self.is(ErrorSubcode::HARD_RESET) => {
                Some(Self { code, subcode, data: self.data.slice(2..) })
            }
            _ => None,
        }
    }

    pub(super) fn decode(body: &Bytes) -> Self {
        // frame_len has seen to it that both octets are there.
        let octet = |at: usize| body.get(at).copied().unwrap_or_default();
        Self { code: octet(0), subcode: octet(1), data: body.slice(body.len().min(2)..) }
    }

    pub(super) fn encode(&self, body: &mut BytesMut) {
        body.put_u8(self.code);
        body.put_u8(self.subcode);
        body.put_slice(&self.data);
    }
}

impl fmt::Display for Notification {
    /// `Cease / Administrative Shutdown: "fibre works"`. Safe for a terminal whatever the peer sent, and
    /// never longer than a few hundred characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_names(f)?;
        match self.enclosed() {
            None => self.fmt_data(f),
            // One level only: a Hard Reset inside is shown by its name and data.
            Some(enclosed) => {
                f.write_str(" (")?;
                enclosed.fmt_names(f)?;
                enclosed.fmt_data(f)?;
                f.write_str(")")
            }
        }
    }
}

impl Notification {
    fn fmt_names(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(code) = self.error_code() else {
            return write!(f, "error {}/{}", self.code, self.subcode);
        };
        match (ErrorSubcode { code, subcode: self.subcode }).name() {
            Some(name) => write!(f, "{code} / {name}"),
            None if self.subcode == 0 => write!(f, "{code}"),
            None => write!(f, "{code} / subcode {}", self.subcode),
        }
    }

    fn fmt_data(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.communication() {
            Some(text) => write!(f, ": \"{}\"", text.escape_debug()),
            None if self.data.is_empty() => Ok(()),
            None => write!(f, ", data {}", super::error::hex(&self.data)),
        }
    }
}

/// Error codes of RFC 4271 §4.5, RFC 7313 and RFC 9687.
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
    /// Send Hold Timer Expired (RFC 9687).
    SendHoldTimerExpired = 8,
}

impl ErrorCode {
    const ALL: [Self; 8] = [
        Self::MessageHeader,
        Self::OpenMessage,
        Self::UpdateMessage,
        Self::HoldTimerExpired,
        Self::FiniteStateMachine,
        Self::Cease,
        Self::RouteRefreshMessage,
        Self::SendHoldTimerExpired,
    ];
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessageHeader => "Message Header Error",
            Self::OpenMessage => "OPEN Message Error",
            Self::UpdateMessage => "UPDATE Message Error",
            Self::HoldTimerExpired => "Hold Timer Expired",
            Self::FiniteStateMachine => "Finite State Machine Error",
            Self::Cease => "Cease",
            Self::RouteRefreshMessage => "ROUTE-REFRESH Message Error",
            Self::SendHoldTimerExpired => "Send Hold Timer Expired",
        })
    }
}

/// An error code with a subcode that has a meaning under it (IANA "BGP Error (Notification) Codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ErrorSubcode {
    /// The code.
    pub code: ErrorCode,
    /// The subcode, 0 for unspecific.
    pub subcode: u8,
}

impl ErrorSubcode {
    /// The registry's name; `None` for unspecific and for unassigned ones.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(error, _)| *error == self).map(|(_, name)| *name).filter(|name| !name.is_empty())
    }
}

macro_rules! error_subcodes {
    ($($name:ident = $code:ident / $subcode:literal $text:literal $rfc:literal;)*) => {
        impl ErrorSubcode {
            $(
                #[doc = concat!(stringify!($code), " / ", $subcode, " ", $text, " (", $rfc, ").")]
                pub const $name: Self = Self { code: ErrorCode::$code, subcode: $subcode };
            )*
        }

        const NAMES: &[(ErrorSubcode, &str)] = &[$((ErrorSubcode::$name, $text)),*];
    };
}

error_subcodes! {
    CONNECTION_NOT_SYNCHRONIZED = MessageHeader / 1 "Connection Not Synchronized" "RFC 4271 §6.1";
    BAD_MESSAGE_LENGTH = MessageHeader / 2 "Bad Message Length" "RFC 4271 §6.1";
    BAD_MESSAGE_TYPE = MessageHeader / 3 "Bad Message Type" "RFC 4271 §6.1";

    OPEN_UNSPECIFIC = OpenMessage / 0 "" "RFC 4271 §6.2";
    UNSUPPORTED_VERSION_NUMBER = OpenMessage / 1 "Unsupported Version Number" "RFC 4271 §6.2";
    BAD_PEER_AS = OpenMessage / 2 "Bad Peer AS" "RFC 4271 §6.2";
    BAD_BGP_IDENTIFIER = OpenMessage / 3 "Bad BGP Identifier" "RFC 4271 §6.2";
    UNSUPPORTED_OPTIONAL_PARAMETER = OpenMessage / 4 "Unsupported Optional Parameter" "RFC 4271 §6.2";
    UNACCEPTABLE_HOLD_TIME = OpenMessage / 6 "Unacceptable Hold Time" "RFC 4271 §6.2";
    UNSUPPORTED_CAPABILITY = OpenMessage / 7 "Unsupported Capability" "RFC 5492 §5";
    ROLE_MISMATCH = OpenMessage / 11 "Role Mismatch" "RFC 9234 §4.2";

    UPDATE_UNSPECIFIC = UpdateMessage / 0 "" "RFC 4271 §6.3";
    MALFORMED_ATTRIBUTE_LIST = UpdateMessage / 1 "Malformed Attribute List" "RFC 4271 §6.3";
    UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE = UpdateMessage / 2 "Unrecognized Well-known Attribute" "RFC 4271 §6.3";
    MISSING_WELL_KNOWN_ATTRIBUTE = UpdateMessage / 3 "Missing Well-known Attribute" "RFC 4271 §6.3";
    ATTRIBUTE_FLAGS_ERROR = UpdateMessage / 4 "Attribute Flags Error" "RFC 4271 §6.3";
    ATTRIBUTE_LENGTH_ERROR = UpdateMessage / 5 "Attribute Length Error" "RFC 4271 §6.3";
    INVALID_ORIGIN = UpdateMessage / 6 "Invalid ORIGIN Attribute" "RFC 4271 §6.3";
    INVALID_NEXT_HOP = UpdateMessage / 8 "Invalid NEXT_HOP Attribute" "RFC 4271 §6.3";
    OPTIONAL_ATTRIBUTE_ERROR = UpdateMessage / 9 "Optional Attribute Error" "RFC 4271 §6.3";
    INVALID_NETWORK_FIELD = UpdateMessage / 10 "Invalid Network Field" "RFC 4271 §6.3";
    MALFORMED_AS_PATH = UpdateMessage / 11 "Malformed AS_PATH" "RFC 4271 §6.3";

    HOLD_TIMER_EXPIRED = HoldTimerExpired / 0 "" "RFC 4271 §6.5";

    FSM_UNSPECIFIC = FiniteStateMachine / 0 "" "RFC 6608";
    UNEXPECTED_IN_OPEN_SENT = FiniteStateMachine / 1 "Receive Unexpected Message in OpenSent State" "RFC 6608";
    UNEXPECTED_IN_OPEN_CONFIRM = FiniteStateMachine / 2 "Receive Unexpected Message in OpenConfirm State" "RFC 6608";
    UNEXPECTED_IN_ESTABLISHED = FiniteStateMachine / 3 "Receive Unexpected Message in Established State" "RFC 6608";

    MAXIMUM_PREFIXES_REACHED = Cease / 1 "Maximum Number of Prefixes Reached" "RFC 4486";
    ADMINISTRATIVE_SHUTDOWN = Cease / 2 "Administrative Shutdown" "RFC 4486";
    PEER_DECONFIGURED = Cease / 3 "Peer De-configured" "RFC 4486";
    ADMINISTRATIVE_RESET = Cease / 4 "Administrative Reset" "RFC 4486";
    CONNECTION_REJECTED = Cease / 5 "Connection Rejected" "RFC 4486";
    OTHER_CONFIGURATION_CHANGE = Cease / 6 "Other Configuration Change" "RFC 4486";
    CONNECTION_COLLISION_RESOLUTION = Cease / 7 "Connection Collision Resolution" "RFC 4486";
    OUT_OF_RESOURCES = Cease / 8 "Out of Resources" "RFC 4486";
    HARD_RESET = Cease / 9 "Hard Reset" "RFC 8538";
    BFD_DOWN = Cease / 10 "BFD Down" "RFC 9384";

    ROUTE_REFRESH_INVALID_LENGTH = RouteRefreshMessage / 1 "Invalid Message Length" "RFC 7313 §5";

    SEND_HOLD_TIMER_EXPIRED = SendHoldTimerExpired / 0 "" "RFC 9687";
}
