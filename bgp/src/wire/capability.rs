//! Capabilities (RFC 5492): what one side offers in its OPEN.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{AfiSafi, Asn};

/// Which way path identifiers may go (RFC 7911 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AddPathMode {
    /// 1: able to receive.
    Receive,
    /// 2: able to send.
    Send,
    /// 3: both.
    Both,
}

/// The graceful restart capability (RFC 4724 §3, N bit RFC 8538).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GracefulRestartCapability {
    /// R bit: the sender has restarted.
    pub restarting: bool,
    /// N bit: NOTIFICATIONs are graceful too.
    pub notification: bool,
    /// How long to keep the sender's routes after the session is lost, 0 to 4095 seconds.
    pub restart_time_secs: u16,
    /// Families, each with its F bit: the sender kept forwarding.
    pub families: Vec<(AfiSafi, bool)>,
}

/// One offered item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Capability {
    /// Code 1 (RFC 4760).
    Multiprotocol(AfiSafi),
    /// Code 2 (RFC 2918).
    RouteRefresh,
    /// Code 5 (RFC 8950): family of the NLRI, AFI of the next hop.
    ExtendedNextHop(Vec<(AfiSafi, u16)>),
    /// Code 6 (RFC 8654).
    ExtendedMessage,
    /// Code 64 (RFC 4724).
    GracefulRestart(GracefulRestartCapability),
    /// Code 65 (RFC 6793).
    FourOctetAs(Asn),
    /// Code 69 (RFC 7911).
    AddPath(Vec<(AfiSafi, AddPathMode)>),
    /// Code 70 (RFC 7313).
    EnhancedRouteRefresh,
    /// Anything else, kept to be shown.
    Unknown {
        /// Capability code.
        code: u8,
        /// Its value.
        value: Bytes,
    },
}
