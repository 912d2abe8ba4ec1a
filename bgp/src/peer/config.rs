//! What is configured about one neighbor, as the speaker needs it: plain values, already validated.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AddPaths, AoKey, Dynamic, Timing};
use crate::rib::{Policy, UpdateRules};
use crate::wire::BgpRole;
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

/// The key of TCP-MD5 (RFC 2385): 1 to [`Password::OCTETS_MAX`] octets, shown to nobody. It has no text form
/// and is left out of what is serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Arc<[u8]>);

impl Password {
    /// The longest that Linux takes (`TCP_MD5SIG_MAXKEYLEN`).
    pub const OCTETS_MAX: usize = 80;

    /// `None`: it is empty or too long.
    #[must_use]
    pub fn new(octets: impl Into<Arc<[u8]>>) -> Option<Self> {
        let octets = octets.into();
        (1..=Self::OCTETS_MAX).contains(&octets.len()).then_some(Self(octets))
    }

    /// For the kernel.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// How many prefixes a neighbor may send, over all families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixLimit {
    /// The most that are allowed, before any policy.
    pub received: u32,
    /// What happens with the first one beyond.
    pub action: PrefixLimitAction,
}

/// What happens to a session that goes beyond its [`PrefixLimit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrefixLimitAction {
    /// A line in the log, once per session; everything is taken.
    Warn,
    /// It ends (Cease, Maximum Number of Prefixes Reached, RFC 4486) and may come back later.
    Restart {
        /// Seconds until then, at least 1.
        after_secs: u16,
    },
    /// It ends, and stays down until the limit changes.
    Shutdown,
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
    /// The AS that its OPEN must carry; with [`NeighborConfig::as_ranges`] one of those that it may.
    pub remote_as: Asn,
    /// Set: it was made from a template, and is gone some time after its session.
    pub dynamic: Option<Dynamic>,
    /// Our BGP Identifier.
    pub router_id: RouterId,
    /// Offered hold time: 0 or 3 to 65535 seconds.
    pub hold_time_secs: u16,
    /// Keepalive interval; `None` is a third of the negotiated hold time.
    pub keepalive_secs: Option<u16>,
    /// ConnectRetryTimer before jitter (RFC 4271 §10 suggests 120 s; we default to 5 s).
    pub connect_retry_secs: u16,
    /// The other timers.
    pub timing: Timing,
    /// Never dial, only accept.
    pub passive: bool,
    /// Families we offer.
    pub families: Vec<AfiSafi>,
    /// Several paths of one prefix (RFC 7911).
    pub add_paths: AddPaths,
    /// Graceful restart; `None` does not offer it.
    pub graceful_restart: Option<GracefulRestartConfig>,
    /// GTSM (RFC 5082): the most hops allowed (1 = directly connected); `None` is off.
    pub ttl_security_hops: Option<u8>,
    /// TCP-MD5 (RFC 2385); `None` is off.
    #[serde(skip)]
    pub password: Option<Password>,
    /// Keys of TCP-AO (RFC 5925), the one that is sent with first; empty: off. Never together with a password.
    #[serde(skip)]
    pub tcp_ao: Vec<AoKey>,
    /// What next hop we send.
    pub next_hop_mode: NextHopMode,
    /// Our address for IPv4 routes when the session's own address is not IPv4.
    pub next_hop_v4: Option<Ipv4Addr>,
    /// Our address for IPv6 routes when the session's own address is not IPv6.
    pub next_hop_v6: Option<Ipv6Addr>,
    /// How often our own AS may stand in a received AS_PATH (allowas-in).
    pub allow_local_as: u8,
    /// What is demanded of its routes and done to those it gets, beside policy.
    pub rules: UpdateRules,
    /// Our role (RFC 9234); has no meaning on internal sessions.
    pub role: Option<BgpRole>,
    /// The neighbor must say its role.
    pub role_strict: bool,
    /// Most prefixes it may send.
    pub prefix_limit: Option<PrefixLimit>,
    /// Administratively down, with a text for the other operator (RFC 9003; empty for none).
    pub shutdown: Option<String>,
    /// We reflect for it: it is our client and this is our cluster (RFC 4456).
    pub reflector_client: Option<ClusterId>,
    /// What is made of its routes.
    pub import: Arc<Policy>,
    /// What it is sent, before the rules that all neighbors share.
    pub export: Arc<Policy>,
}

impl NeighborConfig {
    /// A neighbor on port 179 with the defaults of every field that has one: hold time 90 s, connect retry 5 s,
    /// the family of its address, everything optional off.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        address: IpAddr,
        (local_as, remote_as): (Asn, Asn),
        router_id: RouterId,
    ) -> Self {
        let family = if address.is_ipv4() { AfiSafi::IPV4_UNICAST } else { AfiSafi::IPV6_UNICAST };
        Self {
            name: name.into(),
            description: String::new(),
            address,
            port: 179,
            local_address: None,
            local_as,
            remote_as,
            dynamic: None,
            router_id,
            hold_time_secs: 90,
            keepalive_secs: None,
            connect_retry_secs: 5,
            timing: Timing::default(),
            passive: false,
            families: vec![family],
            add_paths: AddPaths::default(),
            graceful_restart: None,
            ttl_security_hops: None,
            password: None,
            tcp_ao: Vec::new(),
            next_hop_mode: NextHopMode::Auto,
            next_hop_v4: None,
            next_hop_v6: None,
            allow_local_as: 0,
            rules: UpdateRules::default(),
            role: None,
            role_strict: false,
            prefix_limit: None,
            shutdown: None,
            reflector_client: None,
            import: Arc::default(),
            export: Arc::default(),
        }
    }

    /// Internal or external.
    #[must_use]
    pub fn kind(&self) -> PeerKind {
        self.kind_with(self.remote_as)
    }
}
