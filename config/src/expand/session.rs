//! One session of a node, with every choice made.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Serialize;

use super::speaker::{Member, Speaker};
use super::update_rules::SessionRules;
use crate::model::{
    AddPaths, Asn, BgpPeerSpec, CONNECT_RETRY_TIME_DEFAULT, Family, HOLD_TIME_DEFAULT,
    MAX_RESTART_TIME_DEFAULT, MaximumPrefixes, NextHopMode, PeerTiming, Role, Seconds, SecretValue, TcpAoKey,
};

/// Why a session exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionOrigin {
    /// A BGPPeer of every node.
    Global,
    /// A BGPPeer that names or selects this node.
    Node,
    /// The mirror of a BGPPeer of which this node is the remote.
    Reverse,
    /// The full mesh.
    Mesh,
}

/// A session that the node has: who, and every choice made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Unique on the node and stable: `mesh/NODE`, `bgppeer/PEER`, `bgppeer/PEER/NODE` where a selector chose
    /// the node; then `/ipv6` if it is to the node's IPv6 address, then `/reverse` if it is a mirror.
    pub name: String,
    /// Why it exists.
    pub origin: SessionOrigin,
    /// The BGPPeer it comes from.
    pub bgp_peer: Option<String>,
    /// The node at the other end, where it is one of the cluster's.
    pub remote_node: Option<String>,
    /// The other end.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The AS that it must have.
    pub remote_as: Asn,
    /// Our AS on this session.
    pub local_as: Asn,
    /// Where we dial from; `None`: the kernel chooses.
    pub source_address: Option<IpAddr>,
    /// What is exchanged; never empty.
    pub families: Vec<Family>,
    /// Several paths of one prefix (RFC 7911).
    pub add_paths: AddPaths,
    /// Set: the other end is our route reflection client, in this cluster.
    pub reflector_client: Option<Ipv4Addr>,
    /// What next hop we send.
    pub next_hop_mode: NextHopMode,
    /// Offered hold time: 0, or 3 to 65535.
    pub hold_time_secs: u16,
    /// `None`: a third of the negotiated hold time.
    pub keepalive_secs: Option<u16>,
    /// Between attempts to connect, at least 1.
    pub connect_retry_secs: u16,
    /// The other timers.
    pub timing: PeerTiming,
    /// Graceful restart time, at most 4095.
    pub max_restart_time_secs: u16,
    /// The most hops a packet may have taken (RFC 5082); `None`: not looked at.
    pub ttl_security_hops: Option<u8>,
    /// The key of TCP-MD5 (RFC 2385), 1 to 80 octets.
    pub password: Option<SecretValue>,
    /// Keys of TCP-AO (RFC 5925), each with its value; empty: off.
    pub tcp_ao: Vec<(TcpAoKey, SecretValue)>,
    /// How often our own AS may stand in a received AS_PATH.
    pub allow_local_as: u8,
    /// What is demanded of its routes and done to those it gets, beside filters.
    pub rules: SessionRules,
    /// What we are to the other end (RFC 9234); `None` on internal sessions.
    pub role: Option<Role>,
    /// The other end must say its role.
    pub role_strict: bool,
    /// Most prefixes it may send.
    pub maximum_prefixes: Option<MaximumPrefixes>,
    /// Set: administratively down, with a text for the other operator.
    pub shutdown: Option<String>,
    /// BGPFilters that its routes pass, in order; each is there.
    pub filters: Vec<String>,
    /// Never dial.
    pub passive: bool,
    /// For people.
    pub description: String,
}

/// The other end, before any choice.
#[derive(Clone, Debug)]
pub(super) struct RemoteEnd<'a> {
    pub(super) node: Option<&'a str>,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) as_number: Asn,
    pub(super) cluster_id: Option<Ipv4Addr>,
}

impl<'a> RemoteEnd<'a> {
    /// A node at each of its addresses of a family that the local node has too.
    pub(super) fn of_member<'b>(
        member: &'b Member<'a>,
        local: &'b Speaker,
    ) -> impl Iterator<Item = RemoteEnd<'a>> + 'b {
        let reachable = member.addresses().filter(|address| local.address_towards(*address).is_some());
        reachable.map(|address| RemoteEnd {
            node: Some(member.name),
            address,
            port: member.listen_port,
            as_number: member.as_number,
            cluster_id: member.cluster_id,
        })
    }

    /// The part of a session's name that says which node's which address it is.
    pub(super) fn name(&self) -> String {
        let node = self.node.unwrap_or_default();
        if self.address.is_ipv6() { format!("{node}/ipv6") } else { node.to_owned() }
    }

    fn family(&self) -> Family {
        match self.address {
            IpAddr::V4(_) => Family::Ipv4Unicast,
            IpAddr::V6(_) => Family::Ipv6Unicast,
        }
    }

    /// Our client: the session is internal, we reflect, and the other end is no reflector of our own cluster
    /// (RFC 4456 §6). A reflector of another cluster is a client too, as in Calico.
    fn reflector_client(&self, local: &Speaker, is_internal: bool) -> Option<Ipv4Addr> {
        let cluster_id = local.cluster_id?;
        (is_internal && self.cluster_id != Some(cluster_id)).then_some(cluster_id)
    }
}

impl Session {
    pub(super) fn of_mesh(local: &Speaker, remote: &RemoteEnd<'_>, restart_time: Option<Seconds>) -> Self {
        Self {
            name: format!("mesh/{}", remote.name()),
            origin: SessionOrigin::Mesh,
            bgp_peer: None,
            remote_node: remote.node.map(str::to_owned),
            address: remote.address,
            port: remote.port,
            remote_as: remote.as_number,
            local_as: local.as_number,
            source_address: local.address_towards(remote.address),
            families: vec![remote.family()],
            add_paths: AddPaths::default(),
            reflector_client: None,
            next_hop_mode: NextHopMode::Auto,
            hold_time_secs: HOLD_TIME_DEFAULT.0,
            keepalive_secs: None,
            connect_retry_secs: CONNECT_RETRY_TIME_DEFAULT.0,
            timing: PeerTiming::default(),
            max_restart_time_secs: restart_time.unwrap_or(MAX_RESTART_TIME_DEFAULT).0,
            ttl_security_hops: None,
            password: None,
            tcp_ao: Vec::new(),
            allow_local_as: 0,
            rules: SessionRules::default(),
            role: None,
            role_strict: false,
            maximum_prefixes: None,
            shutdown: None,
            filters: Vec::new(),
            passive: false,
            description: String::new(),
        }
    }

    /// `name` is the name of the session, `source_address` already chosen.
    pub(super) fn of_peer(
        peer: (&str, &BgpPeerSpec),
        (origin, name): (SessionOrigin, String),
        local: &Speaker,
        remote: &RemoteEnd<'_>,
        source_address: Option<IpAddr>,
    ) -> Self {
        let (peer_name, spec) = peer;
        // The node side goes by localASNumber, and its mirror expects that.
        let node_side_as = spec.local_as_number;
        let (local_as, remote_as) = match origin {
            SessionOrigin::Reverse => (local.as_number, node_side_as.unwrap_or(remote.as_number)),
            SessionOrigin::Global | SessionOrigin::Node | SessionOrigin::Mesh => {
                (node_side_as.unwrap_or(local.as_number), remote.as_number)
            }
        };
        let is_external = remote_as != local_as;
        let role = spec.role.filter(|_| is_external).map(|role| match origin {
            SessionOrigin::Reverse => role.counterpart(),
            SessionOrigin::Global | SessionOrigin::Node | SessionOrigin::Mesh => role,
        });
        let families = if spec.families.is_empty() { vec![remote.family()] } else { spec.families.clone() };
        Self {
            name,
            origin,
            bgp_peer: Some(peer_name.to_owned()),
            remote_as,
            local_as,
            source_address,
            families,
            add_paths: match origin {
                SessionOrigin::Reverse => spec.add_paths.mirrored(),
                SessionOrigin::Global | SessionOrigin::Node | SessionOrigin::Mesh => spec.add_paths,
            },
            reflector_client: remote.reflector_client(local, !is_external),
            next_hop_mode: if spec.keep_original_next_hop && is_external {
                NextHopMode::Keep
            } else {
                spec.next_hop_mode
            },
            hold_time_secs: spec.hold_time.unwrap_or(HOLD_TIME_DEFAULT).0,
            keepalive_secs: spec.keepalive_time.map(|time| time.0),
            connect_retry_secs: spec.connect_retry_time.unwrap_or(CONNECT_RETRY_TIME_DEFAULT).0,
            timing: spec.timing,
            ttl_security_hops: spec.ttl_security,
            allow_local_as: spec.num_allowed_local_as_numbers,
            filters: spec.filters.clone(),
            // Somebody has to dial: the mirror of a passive session does.
            passive: spec.passive && origin != SessionOrigin::Reverse,
            description: spec.description.clone(),
            rules: SessionRules::of_peer(&spec.update_rules, origin, role),
            role,
            role_strict: spec.role_strict && is_external,
            maximum_prefixes: spec.maximum_prefixes,
            shutdown: spec.shutdown.as_ref().map(|shutdown| shutdown.message.clone()),
            ..Self::of_mesh(local, remote, spec.max_restart_time)
        }
    }
}

/// One line: what every session has, then what is not the default.
impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.local_as == self.remote_as { "iBGP" } else { "eBGP" };
        let socket = SocketAddr::new(self.address, self.port);
        write!(f, "{} {socket} {kind} {}->{}", self.name, self.local_as, self.remote_as)?;
        match self.source_address {
            Some(address) => write!(f, " from {address}")?,
            None => f.write_str(" from any")?,
        }
        for family in &self.families {
            f.write_str(match family {
                Family::Ipv4Unicast => " ipv4-unicast",
                Family::Ipv6Unicast => " ipv6-unicast",
            })?;
        }
        if let Some(cluster_id) = self.reflector_client {
            write!(f, " client of {cluster_id}")?;
        }
        match self.next_hop_mode {
            NextHopMode::Auto => {}
            NextHopMode::SelfAddress => f.write_str(" next-hop self")?,
            NextHopMode::Keep => f.write_str(" next-hop keep")?,
        }
        self.write_numbers(f)?;
        if !self.filters.is_empty() {
            write!(f, " filters {}", self.filters.join(","))?;
        }
        if self.passive {
            f.write_str(" passive")?;
        }
        if self.description.is_empty() { Ok(()) } else { write!(f, " \"{}\"", self.description) }
    }
}

impl Session {
    fn write_numbers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hold_time_secs != HOLD_TIME_DEFAULT.0 {
            write!(f, " hold {}", self.hold_time_secs)?;
        }
        if let Some(secs) = self.keepalive_secs {
            write!(f, " keepalive {secs}")?;
        }
        if self.connect_retry_secs != CONNECT_RETRY_TIME_DEFAULT.0 {
            write!(f, " retry {}", self.connect_retry_secs)?;
        }
        let PeerTiming { idle_hold_time, maximum_idle_hold_time, send_hold_time, minimum_advertisement_time } =
            self.timing;
        let times = [
            ("idle-hold", idle_hold_time),
            ("idle-hold-max", maximum_idle_hold_time),
            ("send-hold", send_hold_time),
            ("advertise-every", minimum_advertisement_time),
        ];
        for (word, time) in times {
            if let Some(time) = time {
                write!(f, " {word} {}", time.0)?;
            }
        }
        if self.max_restart_time_secs != MAX_RESTART_TIME_DEFAULT.0 {
            write!(f, " restart {}", self.max_restart_time_secs)?;
        }
        if let Some(hops) = self.ttl_security_hops {
            write!(f, " ttl-security {hops}")?;
        }
        if self.password.is_some() {
            f.write_str(" password")?;
        }
        for (key, _) in &self.tcp_ao {
            write!(f, " tcp-ao {}/{}", key.send_id, key.receive_id)?;
        }
        if let Some(role) = self.role {
            write!(f, " role {role:?}{}", if self.role_strict { " strict" } else { "" })?;
        }
        if let Some(limit) = &self.maximum_prefixes {
            write!(f, " maximum-prefixes {}", limit.received)?;
        }
        if self.shutdown.is_some() {
            f.write_str(" shutdown")?;
        }
        match self.add_paths {
            AddPaths { receive: true, send: true, .. } => {}
            AddPaths { receive: true, send: false, .. } => f.write_str(" add-paths receive")?,
            AddPaths { receive: false, send: true, .. } => f.write_str(" add-paths send")?,
            AddPaths { receive: false, send: false, .. } => f.write_str(" add-paths off")?,
        }
        if let Some(maximum) = self.add_paths.send_maximum {
            write!(f, " add-paths send-maximum {maximum}")?;
        }
        if self.allow_local_as > 0 {
            write!(f, " allow-local-as {}", self.allow_local_as)?;
        }
        write!(f, "{}", self.rules)
    }
}
