//! The wire: bytes of one framed message to a typed value and back, with nothing remembered in between.
//!
//! What a decoder must know of the session (negotiated capabilities) is an argument, [`DecodeContext`];
//! what an error means for the session is part of the error ([`DecodeError`] carries its NOTIFICATION,
//! [`AttributeError`] its RFC 7606 action). Decoding is total: any byte string gives a value or an error,
//! and allocates at most in proportion to its length. The wire knows no peers, timers or tables.

pub mod as_path;
pub mod attr;
pub mod capability;
pub mod community;
pub mod error;
pub mod frame;
pub mod mp;
pub mod nlri;
pub mod notification;
pub mod open;
pub mod refresh;
mod role;
pub mod update;

pub use as_path::{AsPath, Segment};
pub use attr::{Aggregator, NextHop, Origin, PathAttributes, RawAttribute};
pub use capability::{AddPathMode, Capability, GracefulRestartCapability};
pub use community::{Community, ExtendedCommunity, LargeCommunity, ParseCommunityError};
pub use error::{AttributeAction, AttributeError, DecodeError};
pub use frame::{
    EncodeError, HEADER_LEN, MAX_LEN, MAX_LEN_EXTENDED, Message, decode_message, encode_message, frame_len,
};
pub use notification::{ErrorCode, ErrorSubcode, Notification};
pub use open::OpenMessage;
pub use refresh::{RefreshSubtype, RouteRefresh};
pub use role::BgpRole;
pub use update::{DecodedUpdate, Reach, Unreach, Update, encode_end_of_rib, encode_reach, encode_unreach};

use serde::{Deserialize, Serialize};

use crate::types::PeerKind;

/// What a decoder must know of the session. Before OPEN has been exchanged use [`DecodeContext::default`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodeContext {
    /// Both sides sent the four-octet AS capability: AS_PATH and AGGREGATOR carry four octets (RFC 6793).
    pub four_octet_as: bool,
    /// Families for which the peer prefixes every NLRI with a path identifier (RFC 7911).
    pub add_path_receive: Vec<crate::AfiSafi>,
    /// Both sides sent the extended message capability: 65,535 octets instead of 4,096 (RFC 8654).
    pub extended_message: bool,
    /// Both sides sent the extended next hop capability: IPv4 prefixes may have IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// Which RFC 7606 rules apply to LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST.
    pub kind: PeerKind,
}

impl Default for DecodeContext {
    fn default() -> Self {
        Self {
            four_octet_as: true,
            add_path_receive: Vec::new(),
            extended_message: false,
            extended_next_hop: false,
            kind: PeerKind::Ebgp,
        }
    }
}

/// What an encoder must know of the session; equal contexts may share encoded bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EncodeContext {
    /// As in [`DecodeContext`]; otherwise AS_TRANS is written and AS4_PATH added (RFC 6793 §4.2.2).
    pub four_octet_as: bool,
    /// Families for which we send path identifiers.
    pub add_path_send: Vec<crate::AfiSafi>,
    /// As in [`DecodeContext`].
    pub extended_message: bool,
}

impl Default for EncodeContext {
    fn default() -> Self {
        Self { four_octet_as: true, add_path_send: Vec::new(), extended_message: false }
    }
}
