//! BGPPeer: sessions beside the mesh.

use serde::Serialize;

use super::{
    AddPaths, Asn, DynamicPeers, MaximumPrefixes, Metadata, PasswordSource, PeerAddress, PeerTiming, Role,
    Seconds, Selector, Shutdown, TcpAo, UpdateRules, add_paths, dynamic_peers, limits, metadata, secret,
    tcp_ao, timing, unique, update_rules,
};
use crate::document::{Entry, Field, Fields};

/// Sessions between some nodes and one address, or between some nodes and some other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BgpPeer {
    /// Its name is in the name of each of its sessions.
    pub metadata: Metadata,
    /// Who peers with whom, and how.
    pub spec: BgpPeerSpec,
}

/// `BGPPeer.spec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BgpPeerSpec {
    /// Whose sessions these are; `None`: every node's.
    #[serde(flatten)]
    pub nodes: Option<PeeringNodes>,
    /// With whom.
    #[serde(flatten)]
    pub remote: Remote,
    /// The remote AS. Only with an address; a selected node's AS is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_number: Option<Asn>,
    /// The AS of the node side on these sessions, in OPEN and AS_PATH; `None`: the node's own.
    #[serde(rename = "localASNumber", skip_serializing_if = "Option::is_none")]
    pub local_as_number: Option<Asn>,
    /// What next hop we send.
    #[serde(skip_serializing_if = "NextHopMode::is_auto")]
    pub next_hop_mode: NextHopMode,
    /// The older way to say [`NextHopMode::Keep`], for eBGP sessions only. Never together with another mode.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_original_next_hop: bool,
    /// Where we dial from.
    pub source_address: SourceAddress,
    /// Graceful restart time, at most 4095 s; default 120 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_restart_time: Option<Seconds>,
    /// Keepalive interval, shorter than the hold time; `None`: a third of what is negotiated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keepalive_time: Option<Seconds>,
    /// How often our own AS may stand in a received AS_PATH.
    #[serde(rename = "numAllowedLocalASNumbers")]
    pub num_allowed_local_as_numbers: u8,
    /// What its routes have to be like, and what is done to those it gets.
    #[serde(flatten)]
    pub update_rules: UpdateRules,
    /// Names of BGPFilters, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// The most hops that packets of the peer may have taken (RFC 5082); `None`: not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_security: Option<u8>,
    /// Whether remote nodes of this cluster get the mirrored session by themselves.
    pub reverse_peering: ReversePeering,
    /// The key of TCP-MD5 (RFC 2385); `None`: not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordSource>,
    /// TCP-AO; never together with a password. An addition of ours.
    #[serde(rename = "tcpAO", skip_serializing_if = "Option::is_none")]
    pub tcp_ao: Option<TcpAo>,
    /// Hold time: 0, or 3 s and more; default 90 s. An addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_time: Option<Seconds>,
    /// Time between attempts to connect; default 5 s. An addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_retry_time: Option<Seconds>,
    /// The other timers. Additions of ours.
    #[serde(flatten)]
    pub timing: PeerTiming,
    /// Only accept connections, never make one. An addition of ours.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub passive: bool,
    /// Families to exchange, without repetitions; empty: that of the peer's address. An addition of ours.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<Family>,
    /// Several paths of one prefix (RFC 7911). An addition of ours.
    #[serde(skip_serializing_if = "AddPaths::is_default")]
    pub add_paths: AddPaths,
    /// What the node side is to the peer (RFC 9234). An addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The peer must say its role. An addition of ours.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub role_strict: bool,
    /// How many prefixes the peer may send. An addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_prefixes: Option<MaximumPrefixes>,
    /// Administratively down. An addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown: Option<Shutdown>,
    /// For people. An addition of ours.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Which nodes have the sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum PeeringNodes {
    /// The one of this name.
    #[serde(rename = "node")]
    Named(String),
    /// Those whose labels match.
    #[serde(rename = "nodeSelector")]
    Selected(Selector),
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Remote {
    /// This address, be it a node's or not.
    #[serde(rename = "peerIP")]
    Address(PeerAddress),
    /// Every node whose labels match, at each of its addresses.
    #[serde(rename = "peerSelector")]
    Selected(Selector),
    /// Whoever connects from one of some prefixes. An addition of ours.
    #[serde(untagged)]
    Prefixes(DynamicPeers),
}

/// What next hop we send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum NextHopMode {
    /// RFC 4271 §5.1.3.
    #[default]
    Auto,
    /// Always ourselves.
    #[serde(rename = "Self")]
    SelfAddress,
    /// Unchanged, towards eBGP too.
    Keep,
}

impl NextHopMode {
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// Where we dial from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum SourceAddress {
    /// From the node's address of the peer's family.
    #[default]
    #[serde(rename = "UseNodeIP")]
    UseNodeIp,
    /// From what the kernel chooses.
    None,
}

/// Whether the other node gets the mirrored session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum ReversePeering {
    /// Yes.
    #[default]
    Auto,
    /// No: it needs a BGPPeer of its own.
    Manual,
}

/// A family of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Family {
    /// IPv4 unicast.
    #[serde(rename = "ipv4-unicast")]
    Ipv4Unicast,
    /// IPv6 unicast.
    #[serde(rename = "ipv6-unicast")]
    Ipv6Unicast,
}

const SPEC: &[Field] = &[
    Field::honoured("node", "node1", "the one node that has the session; not with nodeSelector"),
    Field::honoured("nodeSelector", "has(rack)", "the nodes that have the session; neither: all nodes"),
    Field::honoured("peerIP", "10.0.0.2:1790", "IP, IP:port or [IPv6]:port; not with peerSelector"),
    Field::honoured("asNumber", "65009", "the remote AS; with peerIP only"),
    Field::honoured("localASNumber", "65010", "the node's AS on these sessions; default the node's own"),
    Field::honoured("peerSelector", "has(rr)", "the nodes at the other end; not with peerIP"),
    Field::honoured("nextHopMode", "Self", "Auto, Self or Keep; default Auto"),
    Field::honoured("keepOriginalNextHop", "true", "older form of Keep, on eBGP only; default false"),
    Field::honoured("sourceAddress", "None", "UseNodeIP or None; default UseNodeIP"),
    Field::honoured("filters", "[a, b]", "BGPFilters by name, in order; the first rule that matches decides"),
    Field::honoured("maxRestartTime", "1m", "graceful restart time, up to 4095s; default 120s"),
    Field::honoured(
        "keepaliveTime",
        "10s",
        "keepalive interval, shorter than holdTime; default a third of it",
    ),
    Field::honoured("numAllowedLocalASNumbers", "2", "own AS accepted in AS_PATH, 0 to 255; default 0"),
    Field::honoured("ttlSecurity", "1", "most hops a packet may have taken, 1 to 255; 0 or absent: off"),
    Field::honoured(
        "reversePeering",
        "Manual",
        "Auto: nodes at the other end get the session too; default Auto",
    ),
    Field::honoured("password", "{secretKeyRef: {name: a, key: b}}", "TCP-MD5 (RFC 2385): a key of a Secret")
        .with(secret::PASSWORD),
    tcp_ao::TCP_AO,
    Field::additive("holdTime", "30s", "0s, or 3s to 65535s; default 90s"),
    Field::additive("connectRetryTime", "2s", "time between attempts to connect, from 1s; default 5s"),
    timing::IDLE_HOLD,
    timing::MAXIMUM_IDLE_HOLD,
    timing::SEND_HOLD,
    timing::MINIMUM_ADVERTISEMENT,
    dynamic_peers::PEER_PREFIX,
    dynamic_peers::AS_NUMBERS,
    dynamic_peers::MAXIMUM,
    Field::additive("passive", "true", "only accept connections; default false"),
    Field::additive("families", "[ipv4-unicast, ipv6-unicast]", "default: the family of the peer's address"),
    Field::additive(
        "addPaths",
        "{sendMaximum: 4}",
        "several paths of a prefix (RFC 7911); default both ways, all",
    )
    .with(add_paths::FIELDS),
    Field::additive(
        "role",
        "Customer",
        "the node's (RFC 9234): Provider, Customer, Peer, RsServer or RsClient; on eBGP only",
    ),
    Field::additive("roleStrict", "true", "the peer must say its role; default false"),
    Field::additive(
        "maximumPrefixes",
        "{received: 1000}",
        "most prefixes of the peer, all families together",
    )
    .with(limits::MAXIMUM_PREFIXES),
    update_rules::ENFORCE_FIRST_AS,
    update_rules::ALLOW_AS_SETS,
    update_rules::REMOVE_PRIVATE_AS,
    update_rules::AS_OVERRIDE,
    update_rules::HONOUR_GRACEFUL_SHUTDOWN,
    update_rules::GRACEFUL_SHUTDOWN,
    Field::additive("shutdown", "{message: fibre works}", "administratively down: true, or with a message")
        .with(limits::SHUTDOWN),
    Field::additive("description", "rack a1, top", "for people; up to 255 characters"),
    Field::refused("reachableBy", "", "10.0.0.254", "gateway to the peer"),
    Field::refused("localWorkloadSelector", "", "has(a)", "local pods to peer with"),
];

pub(crate) const FIELDS: &[Field] = &[
    super::API_VERSION,
    super::KIND,
    Field::honoured("metadata", "{name: example}", "name").with(metadata::FIELDS),
    Field::honoured("spec", "{peerIP: 10.0.0.2, asNumber: 65009}", "who peers, and how").with(SPEC),
    super::STATUS,
];

/// The hold time of a peer that names none, in our daemon.
pub const HOLD_TIME_DEFAULT: Seconds = Seconds(90);
/// The time between attempts to connect, in our daemon.
pub const CONNECT_RETRY_TIME_DEFAULT: Seconds = Seconds(5);
/// The graceful restart time of a peer that names none (BIRD's default).
pub const MAX_RESTART_TIME_DEFAULT: Seconds = Seconds(120);

impl BgpPeer {
    pub(crate) fn read(metadata: Metadata, object: &Fields<'_>) -> Option<Self> {
        object.required("spec", "a mapping with peerIP or peerSelector")?;
        let spec = BgpPeerSpec::read(&object.fields("spec")?)?;
        Some(Self { metadata, spec })
    }
}

impl BgpPeerSpec {
    fn read(spec: &Fields<'_>) -> Option<Self> {
        let nodes = nodes(spec);
        let remote = remote(spec);
        let as_number = as_number(spec);
        let times = Times::read(spec);
        let timing = PeerTiming::read(spec);
        let modes =
            [("Auto", NextHopMode::Auto), ("Self", NextHopMode::SelfAddress), ("Keep", NextHopMode::Keep)];
        let sources = [("UseNodeIP", SourceAddress::UseNodeIp), ("None", SourceAddress::None)];
        let reverse = [("Auto", ReversePeering::Auto), ("Manual", ReversePeering::Manual)];
        let next_hop_mode = spec.entry("nextHopMode").and_then(|entry| entry.choice(&modes));
        let keep = boolean(spec, "keepOriginalNextHop");
        if keep && next_hop_mode.is_some() {
            spec.report("keepOriginalNextHop", "contradicts nextHopMode: keep only nextHopMode");
        }
        let allowed_as = spec.entry("numAllowedLocalASNumbers").and_then(|entry| entry.integer(0..=255));
        let ttl_security: Option<u8> = spec.entry("ttlSecurity").and_then(|entry| entry.integer(0..=255));
        let source_address = spec.entry("sourceAddress").and_then(|entry| entry.choice(&sources));
        let reverse_peering = spec.entry("reversePeering").and_then(|entry| entry.choice(&reverse));
        let families = families(spec);
        let filters = spec.entry("filters").map(|entry| entry.list()).unwrap_or_default();
        let filters = unique(&filters, metadata::name);
        let description = description(spec);
        let passive = boolean(spec, "passive");
        let local_as_number = spec.entry("localASNumber").and_then(|entry| entry.parse_scalar());
        let role = spec.entry("role").and_then(|entry| entry.choice(&Role::NAMES));
        let role_strict = boolean(spec, "roleStrict");
        if role_strict && spec.entry("role").is_none() {
            spec.report("roleStrict", "has no meaning without role: give one");
        }
        let maximum_prefixes = MaximumPrefixes::read(spec);
        let shutdown = Shutdown::read(spec);
        let password = PasswordSource::read(spec, "password");
        let tcp_ao = TcpAo::read(spec);
        Some(Self {
            nodes: nodes?,
            remote: remote?,
            as_number,
            local_as_number,
            next_hop_mode: next_hop_mode.unwrap_or_default(),
            keep_original_next_hop: keep,
            source_address: source_address.unwrap_or_default(),
            max_restart_time: times.max_restart,
            keepalive_time: times.keepalive,
            num_allowed_local_as_numbers: allowed_as.unwrap_or_default(),
            update_rules: UpdateRules::read(spec),
            filters,
            ttl_security: ttl_security.filter(|hops| *hops > 0),
            reverse_peering: reverse_peering.unwrap_or_default(),
            password,
            tcp_ao,
            hold_time: times.hold,
            connect_retry_time: times.connect_retry,
            timing,
            passive,
            families,
            add_paths: AddPaths::read(spec),
            role,
            role_strict,
            maximum_prefixes,
            shutdown,
            description,
        })
    }
}

/// An empty text is none, as in Calico.
fn given<'a>(spec: &Fields<'a>, name: &str) -> Option<Entry<'a>> {
    spec.entry(name).filter(|entry| !entry.data().is_empty())
}

fn boolean(spec: &Fields<'_>, name: &str) -> bool {
    spec.entry(name).and_then(|entry| entry.boolean()).unwrap_or_default()
}

/// Outer `None`: a problem was reported.
fn nodes(spec: &Fields<'_>) -> Option<Option<PeeringNodes>> {
    match (given(spec, "node"), given(spec, "nodeSelector")) {
        (Some(_), Some(selector)) => {
            selector.report("node and nodeSelector exclude each other: keep one");
            None
        }
        (Some(node), None) => metadata::name(&node).map(|node| Some(PeeringNodes::Named(node))),
        (None, Some(selector)) => {
            super::selector_of(&selector).map(|selector| Some(PeeringNodes::Selected(selector)))
        }
        (None, None) => Some(None),
    }
}

fn remote(spec: &Fields<'_>) -> Option<Remote> {
    let dynamic = DynamicPeers::read(spec);
    if let Some(prefix) = given(spec, "peerPrefix") {
        if given(spec, "peerIP").or(given(spec, "peerSelector")).is_some() {
            prefix.report("peerIP, peerSelector and peerPrefix exclude each other: keep one");
            return None;
        }
        return dynamic.map(Remote::Prefixes);
    }
    match (given(spec, "peerIP"), given(spec, "peerSelector")) {
        (Some(_), Some(selector)) => {
            selector.report("peerIP and peerSelector exclude each other: keep one");
            None
        }
        (Some(address), None) => address.parse().map(Remote::Address),
        (None, Some(selector)) => super::selector_of(&selector).map(Remote::Selected),
        (None, None) => {
            spec.report("peerIP", "is missing, and peerSelector and peerPrefix too: say with whom to peer");
            None
        }
    }
}

fn as_number(spec: &Fields<'_>) -> Option<Asn> {
    let number = spec.entry("asNumber");
    if let (Some(number), Some(_)) = (&number, given(spec, "peerSelector")) {
        number.report("is not allowed with peerSelector: the AS of each selected node is used");
    }
    number.and_then(|entry| entry.parse_scalar())
}

fn families(spec: &Fields<'_>) -> Vec<Family> {
    let choices = [("ipv4-unicast", Family::Ipv4Unicast), ("ipv6-unicast", Family::Ipv6Unicast)];
    let items = spec.entry("families").map(|entry| entry.list()).unwrap_or_default();
    unique(&items, |entry| entry.choice(&choices))
}

fn description(spec: &Fields<'_>) -> String {
    let text = spec.entry("description").and_then(|entry| entry.text()).unwrap_or_default();
    if text.chars().count() > 255 {
        spec.report("description", "is longer than 255 characters");
    }
    text.to_owned()
}

struct Times {
    hold: Option<Seconds>,
    keepalive: Option<Seconds>,
    connect_retry: Option<Seconds>,
    max_restart: Option<Seconds>,
}

impl Times {
    fn read(spec: &Fields<'_>) -> Self {
        let seconds = |name| spec.entry(name).and_then(|entry| entry.parse_scalar::<Seconds>());
        let times = Self {
            hold: seconds("holdTime"),
            keepalive: seconds("keepaliveTime"),
            connect_retry: seconds("connectRetryTime"),
            max_restart: super::restart_time(spec, "maxRestartTime"),
        };
        // RFC 4271 §4.2: the hold time is zero or at least three seconds.
        if let Some(hold @ Seconds(1 | 2)) = times.hold {
            spec.report(
                "holdTime",
                format!("{hold} is too short: use 3s or more, or 0s to send no keepalives"),
            );
        }
        if times.connect_retry == Some(Seconds(0)) {
            spec.report("connectRetryTime", "0s would never pause between attempts: use 1s or more");
        }
        let hold = times.hold.unwrap_or(HOLD_TIME_DEFAULT);
        match times.keepalive {
            Some(Seconds(0)) => {
                spec.report("keepaliveTime", "0s is no interval: to send none, set holdTime to 0s");
            }
            Some(keepalive) if hold > Seconds(0) && keepalive >= hold => {
                let message = format!(
                    "{keepalive} is not shorter than the hold time of {hold}: lower it or raise holdTime"
                );
                spec.report("keepaliveTime", message);
            }
            Some(_) | None => {}
        }
        times
    }
}
