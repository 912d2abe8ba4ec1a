//! What is configured about one neighbor, as the speaker needs it: plain values, already validated.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::rib::Policy;
use crate::{AfiSafi, Asn, ClusterId, PeerKind, RouterId};

/// What NEXT_HOP we send (Calico's `nextHopMode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NextHopMode {
    /// RFC 4271 §5.1.3: ourselves towards eBGP and for our own routes, unchanged towards iBGP.
    #[default]
    Auto,
    /// Always ourselves.
    #[serde(rename = "self")]
    SelfAddress,
    /// Unchanged, towards eBGP too.
    Keep,
}

/// Graceful restart towards one neighbor (RFC 4724).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GracefulRestartConfig {
    /// How long we ask the neighbor to keep our routes: 0 to 4095 seconds.
    pub restart_time_secs: u16,
    /// We ourselves have restarted and kept the kernel's routes: sets R and F in the first OPEN.
    pub restarting: bool,
}

/// One neighbor. Two configurations that are equal need no action at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighborConfig {
    /// Unique name, from the manifests: `bgppeer/tor`, `mesh/node2`.
    pub name: String,
    /// For people.
    pub description: String,
    /// The neighbor's address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The address we dial from; `None` lets the kernel choose.
    pub local_address: Option<IpAddr>,
    /// Our AS on this session.
    pub local_as: Asn,
    /// The AS that its OPEN must carry.
    pub remote_as: Asn,
    /// Our BGP Identifier.
    pub router_id: RouterId,
    /// Offered hold time: 0 or 3 to 65535 seconds.
    pub hold_time_secs: u16,
    /// Keepalive interval; `None` is a third of the negotiated hold time.
    pub keepalive_secs: Option<u16>,
    /// ConnectRetryTimer before jitter (RFC 4271 §10 suggests 120 s; we default to 5 s).
    pub connect_retry_secs: u16,
    /// Never dial, only accept.
    pub passive: bool,
    /// Families we offer.
    pub families: Vec<AfiSafi>,
    /// Graceful restart; `None` does not offer it.
    pub graceful_restart: Option<GracefulRestartConfig>,
    /// GTSM (RFC 5082): the most hops allowed (1 = directly connected); `None` is off.
    pub ttl_security_hops: Option<u8>,
    /// What next hop we send.
    pub next_hop_mode: NextHopMode,
    /// Our address for IPv4 routes when the session's own address is not IPv4.
    pub next_hop_v4: Option<Ipv4Addr>,
    /// Our address for IPv6 routes when the session's own address is not IPv6.
    pub next_hop_v6: Option<Ipv6Addr>,
    /// How often our own AS may stand in a received AS_PATH (allowas-in).
    pub allow_local_as: u8,
    /// We reflect for it: it is our client and this is our cluster (RFC 4456).
    pub reflector_client: Option<ClusterId>,
    /// What is made of its routes.
    pub import: Arc<Policy>,
    /// What it is sent, before the rules that all neighbors share.
    pub export: Arc<Policy>,
}

impl NeighborConfig {
    /// Internal or external.
    #[must_use]
    pub fn kind(&self) -> PeerKind {
        if self.local_as == self.remote_as { PeerKind::Ibgp } else { PeerKind::Ebgp }
    }
}
