//! OPEN × OPEN: what both sides agreed.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::wire::{Capability, DecodeContext, EncodeContext};
use crate::{AfiSafi, Asn, PeerKind, RouterId};

/// The peer's graceful restart offer (RFC 4724).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRestart {
    /// R bit of its OPEN.
    pub restarting: bool,
    /// How long it wants its routes kept.
    pub restart_time_secs: u16,
    /// Families both sides listed, each with the peer's F bit.
    pub families: Vec<(AfiSafi, bool)>,
}

/// A session's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiated {
    /// Internal or external.
    pub kind: PeerKind,
    /// Our AS.
    pub local_as: Asn,
    /// The peer's AS.
    pub remote_as: Asn,
    /// The peer's identifier.
    pub remote_router_id: RouterId,
    /// Our end of the TCP connection.
    pub local: SocketAddr,
    /// Their end.
    pub remote: SocketAddr,
    /// The smaller of both offers; 0 is no keepalives at all.
    pub hold_time_secs: u16,
    /// How often we send KEEPALIVE.
    pub keepalive_secs: u16,
    /// Families both sides offered (IPv4 unicast is implied by an OPEN without any, RFC 4760 §8).
    pub families: Vec<AfiSafi>,
    /// RFC 2918 by both.
    pub route_refresh: bool,
    /// RFC 4724 offered by both.
    pub restart: Option<PeerRestart>,
    /// How to read its messages.
    pub decode: DecodeContext,
    /// How to write ours.
    pub encode: EncodeContext,
    /// All it offered, to be shown.
    pub remote_capabilities: Vec<Capability>,
}
