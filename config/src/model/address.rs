//! Addresses and prefixes, in the forms in which manifests write them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::document::quoted;

/// `IP`, `IP:port` or `[IPv6]:port` (BGPPeer's peerIP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// Who.
    pub address: IpAddr,
    /// Never 0; `None` leaves it to what is known of the peer.
    pub port: Option<u16>,
}

/// Why a text is not a [`PeerAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the address of a peer: write 10.0.0.1, 10.0.0.1:179, 2001:db8::1 or [2001:db8::1]:179")]
pub struct PeerAddressError(String);

impl FromStr for PeerAddress {
    type Err = PeerAddressError;

    fn from_str(text: &str) -> Result<Self, PeerAddressError> {
        let peer = match text.parse::<IpAddr>() {
            Ok(address) => Some(Self { address, port: None }),
            Err(_) => text.parse::<SocketAddr>().ok().and_then(Self::with_port),
        };
        let usable = peer.filter(|peer| is_unicast(peer.address));
        usable.ok_or_else(|| PeerAddressError(quoted(text)))
    }
}

impl PeerAddress {
    fn with_port(socket: SocketAddr) -> Option<Self> {
        let has_scope = matches!(socket, SocketAddr::V6(socket) if socket.scope_id() != 0);
        let usable = socket.port() != 0 && !has_scope;
        usable.then(|| Self { address: socket.ip(), port: Some(socket.port()) })
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => self.address.fmt(f),
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
        }
    }
}

impl Serialize for PeerAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that can be the source or destination of a TCP connection.
pub(crate) fn is_unicast(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !is_broadcast
}

/// A prefix without host bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MaskedCidr(pub(crate) IpNet);

/// Why a text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CidrError {
    #[error("'{0}' is not a prefix: write an address and a length, as in 10.244.0.0/16 or fd00:10::/48")]
    Syntax(String),
    #[error("'{0}' has bits set behind its length: write {1}")]
    HostBits(String, IpNet),
}

impl FromStr for MaskedCidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let cidr: IpNet = text.parse().map_err(|_| CidrError::Syntax(quoted(text)))?;
        if cidr == cidr.trunc() {
            Ok(Self(cidr))
        } else {
            Err(CidrError::HostBits(quoted(text), cidr.trunc()))
        }
    }
}

/// An address with the length of its network; without a length, the address alone (Node's bgp.ipv4Address).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InterfaceAddress(pub(crate) IpNet);

/// Why a text is not an [`InterfaceAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the address of a node: write the address with its network's length, as in 10.0.0.1/24")]
pub(crate) struct InterfaceAddressError(String);

impl FromStr for InterfaceAddress {
    type Err = InterfaceAddressError;

    fn from_str(text: &str) -> Result<Self, InterfaceAddressError> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let usable = net.ok().filter(|net| is_unicast(net.addr()));
        usable.map(Self).ok_or_else(|| InterfaceAddressError(quoted(text)))
    }
}
