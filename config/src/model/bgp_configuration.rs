//! BGPConfiguration: what all nodes of the cluster share, and the few things one node may differ in.

use serde::Serialize;

use std::collections::BTreeMap;

use super::address::MaskedCidr;
use super::{
    Asn, BestPath, CommunityValue, Metadata, PasswordSource, Seconds, best_path, metadata, secret, unique,
};
use crate::document::{Entry, Field, Fields};
use ipnet::IpNet;

/// Name of the object that is the whole cluster's.
pub const CLUSTER_WIDE: &str = "default";

/// Beginning of the name of an object that is one node's: `node.<name>`.
pub const PER_NODE_PREFIX: &str = "node.";

/// Settings of the cluster (`default`) or of one node (`node.<name>`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BgpConfiguration {
    /// Its name says whose it is.
    pub metadata: Metadata,
    /// The settings.
    pub spec: BgpConfigurationSpec,
}

/// `BGPConfiguration.spec`. `None` is not set: the default applies, or the cluster's value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BgpConfigurationSpec {
    /// Informational: how much BIRD logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_severity_screen: Option<String>,
    /// Full iBGP mesh of all nodes but route reflectors; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_to_node_mesh_enabled: Option<bool>,
    /// AS of nodes that name none; default 64512.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_number: Option<Asn>,
    /// Port that nodes listen on; default 179.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_port: Option<u16>,
    /// Address that nodes listen on; default any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_mode: Option<BindMode>,
    /// Graceful restart time on mesh sessions; default 120 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_mesh_max_restart_time: Option<Seconds>,
    /// The key of TCP-MD5 on mesh sessions; `None`: not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_mesh_password: Option<PasswordSource>,
    /// Kernel metric of IPv4 routes; default 1024.
    #[serde(rename = "ipv4NormalRoutePriority", skip_serializing_if = "Option::is_none")]
    pub ipv4_normal_route_priority: Option<u32>,
    /// Kernel metric of IPv6 routes; default 1024.
    #[serde(rename = "ipv6NormalRoutePriority", skip_serializing_if = "Option::is_none")]
    pub ipv6_normal_route_priority: Option<u32>,
    /// Informational: interfaces whose routes BIRD does not import. We import none of any interface.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored_interfaces: Vec<String>,
    /// Names for communities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub communities: Vec<NamedCommunity>,
    /// Communities that routes get when they leave.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefix_advertisements: Vec<PrefixAdvertisement>,
    /// Most next hops of one route; default 16. An addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multipath_max: Option<u16>,
    /// A reflector reflects between its clients; default true. An addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_to_client_reflection: Option<bool>,
    /// External sessions without filters carry nothing (RFC 8212). An addition of ours.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ebgp_requires_policy: bool,
    /// Every session is about to go away (RFC 8326); of a node, it is drained. An addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graceful_shutdown: Option<bool>,
    /// How paths are compared. An addition of ours.
    #[serde(skip_serializing_if = "best_path::is_default")]
    pub best_path: BestPath,
}

/// A name for a community.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedCommunity {
    /// What prefixAdvertisements may say instead.
    pub name: String,
    /// The community.
    pub value: CommunityValue,
}

/// Communities that every route inside a prefix gets when it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrefixAdvertisement {
    /// The prefix, without host bits.
    pub cidr: IpNet,
    /// Those, names resolved.
    pub communities: Vec<CommunityValue>,
}

/// Where the speaker listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum BindMode {
    /// On every address.
    #[default]
    None,
    /// On the node's BGP addresses only.
    #[serde(rename = "NodeIP")]
    NodeIp,
}

const COMMUNITIES: &[Field] = &[
    Field::honoured("name", "bgp-large", "what prefixAdvertisements may say instead of the value"),
    Field::honoured("value", "'65001:2:3'", "aa:nn, or aa:nn:mm for a large community"),
];
const PREFIX_ADVERTISEMENTS: &[Field] = &[
    Field::honoured("cidr", "10.250.0.0/16", "every route inside it"),
    Field::honoured("communities", "['65001:200']", "up to 50 values, or names of communities"),
];
const CIDR: &[Field] = &[Field::refused("cidr", "", "10.96.0.0/12", "a range")];

const SPEC: &[Field] = &[
    Field::informational("logSeverityScreen", "Debug", "how much BIRD logs; use manx.toml's means instead"),
    Field::honoured(
        "nodeToNodeMeshEnabled",
        "false",
        "full mesh of all nodes but route reflectors; default true",
    ),
    Field::honoured("asNumber", "65001", "AS of nodes that name none; default 64512"),
    Field::honoured("listenPort", "1790", "port that nodes listen on, 1 to 65535; default 179"),
    Field::honoured(
        "bindMode",
        "NodeIP",
        "None: listen on every address; NodeIP: on the node's; default None",
    ),
    Field::honoured("nodeMeshMaxRestartTime", "60s", "graceful restart time on mesh sessions; default 120s"),
    Field::honoured(
        "nodeMeshPassword",
        "{secretKeyRef: {name: a, key: b}}",
        "TCP-MD5 (RFC 2385) on mesh sessions: a key of a Secret",
    )
    .with(secret::PASSWORD),
    Field::honoured(
        "ipv4NormalRoutePriority",
        "512",
        "kernel metric of routes, 1 to 2147483646; default 1024",
    ),
    Field::honoured(
        "ipv6NormalRoutePriority",
        "512",
        "kernel metric of routes, 1 to 2147483646; default 1024",
    ),
    Field::informational("ignoredInterfaces", "[eth7]", "interfaces not imported from; we import from none"),
    Field::additive("multipathMax", "4", "most next hops of one route, 1 to 64; default 16"),
    Field::additive(
        "clientToClientReflection",
        "false",
        "false: clients of a reflector are a mesh of their own, nothing goes between them; default true",
    ),
    Field::additive(
        "ebgpRequiresPolicy",
        "true",
        "eBGP sessions carry nothing in a direction and family without filter rules (RFC 8212); default false",
    ),
    Field::additive(
        "gracefulShutdown",
        "true",
        "as gracefulShutdown of every session; in node.<name> it drains that node; default false",
    ),
    Field::additive("bestPath", "{compareRouterID: true}", "how paths to one destination are compared")
        .with(best_path::FIELDS),
    Field::refused("serviceClusterIPs", "", "[{cidr: 10.96.0.0/12}]", "service ranges to advertise")
        .with(CIDR),
    Field::refused("serviceExternalIPs", "", "[{cidr: 10.9.0.0/16}]", "service ranges to advertise")
        .with(CIDR),
    Field::refused("serviceLoadBalancerIPs", "", "[{cidr: 10.9.0.0/16}]", "service ranges to advertise")
        .with(CIDR),
    Field::refused(
        "serviceLoadBalancerAggregation",
        "Enabled",
        "Disabled",
        "advertise each address by itself",
    ),
    Field::honoured("communities", "[{name: a, value: '1:2'}]", "names for communities; up to 500")
        .with(COMMUNITIES),
    Field::honoured(
        "prefixAdvertisements",
        "[{cidr: 10.0.0.0/8, communities: ['65001:100']}]",
        "communities of what leaves by the cluster's rules, by prefix; up to 500",
    )
    .with(PREFIX_ADVERTISEMENTS),
    Field::refused("localWorkloadPeeringIPV4", "", "169.254.1.9", "address that local pods peer with"),
    Field::refused("localWorkloadPeeringIPV6", "", "'fe80::9'", "address that local pods peer with"),
    Field::refused(
        "programClusterRoutes",
        "EnabledNoEncapOnly",
        "Disabled",
        "which pools' routes go to the kernel",
    ),
];

pub(crate) const FIELDS: &[Field] = &[
    super::API_VERSION,
    super::KIND,
    Field::honoured("metadata", "{name: default}", "name: default, or node.<name>").with(metadata::FIELDS),
    Field::honoured("spec", "{}", "the settings").with(SPEC),
    super::STATUS,
];

/// What a per-node object may contain.
const PER_NODE: &[&str] = &["gracefulShutdown", "listenPort", "logSeverityScreen", "prefixAdvertisements"];

impl BgpConfiguration {
    pub(crate) fn read(metadata: Metadata, object: &Fields<'_>) -> Option<Self> {
        let per_node = metadata.name.strip_prefix(PER_NODE_PREFIX).filter(|node| metadata::is_name(node));
        if metadata.name != CLUSTER_WIDE && per_node.is_none() {
            let message = format!("'{}' configures nothing: use 'default' or 'node.<name>'", metadata.name);
            object.fields("metadata")?.report("name", message);
        }
        let Some(fields) = object.fields("spec") else {
            return Some(Self { metadata, spec: BgpConfigurationSpec::default() });
        };
        if per_node.is_some() {
            for name in fields.names().into_iter().filter(|name| !PER_NODE.contains(name)) {
                fields.report(name, "is the whole cluster's: set it in the BGPConfiguration named default");
            }
        }
        let spec = BgpConfigurationSpec::read(&fields);
        let of_mesh = [
            ("nodeMeshMaxRestartTime", spec.node_mesh_max_restart_time.is_some()),
            ("nodeMeshPassword", spec.node_mesh_password.is_some()),
        ];
        for (name, is_set) in of_mesh {
            if is_set && spec.node_to_node_mesh_enabled == Some(false) {
                fields.report(name, "has no meaning while nodeToNodeMeshEnabled is false: remove it");
            }
        }
        Some(Self { metadata, spec })
    }

    /// Whose it is; `None`: the cluster's.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.metadata.name.strip_prefix(PER_NODE_PREFIX)
    }
}

impl BgpConfigurationSpec {
    fn read(spec: &Fields<'_>) -> Self {
        let bind_modes = [("None", BindMode::None), ("NodeIP", BindMode::NodeIp)];
        let priority = |name| spec.entry(name).and_then(|entry| entry.integer(1..=2_147_483_646));
        let ignored = spec.entry("ignoredInterfaces").map(|entry| entry.list()).unwrap_or_default();
        let communities = communities(spec);
        let truth = |name| spec.entry(name).and_then(|entry| entry.boolean()).unwrap_or_default();
        Self {
            log_severity_screen: spec.entry("logSeverityScreen").and_then(|entry| log_severity(&entry)),
            node_to_node_mesh_enabled: spec.entry("nodeToNodeMeshEnabled").and_then(|entry| entry.boolean()),
            as_number: spec.entry("asNumber").and_then(|entry| entry.parse_scalar()),
            listen_port: spec.entry("listenPort").and_then(|entry| entry.integer(1..=65_535)),
            bind_mode: spec.entry("bindMode").and_then(|entry| entry.choice(&bind_modes)),
            node_mesh_max_restart_time: super::restart_time(spec, "nodeMeshMaxRestartTime"),
            node_mesh_password: PasswordSource::read(spec, "nodeMeshPassword"),
            ipv4_normal_route_priority: priority("ipv4NormalRoutePriority"),
            ipv6_normal_route_priority: priority("ipv6NormalRoutePriority"),
            ignored_interfaces: unique(&ignored, interface_pattern),
            prefix_advertisements: prefix_advertisements(spec, &communities),
            communities,
            client_to_client_reflection: spec
                .entry("clientToClientReflection")
                .and_then(|entry| entry.boolean()),
            ebgp_requires_policy: truth("ebgpRequiresPolicy"),
            graceful_shutdown: spec.entry("gracefulShutdown").and_then(|entry| entry.boolean()),
            best_path: BestPath::read(spec),
            multipath_max: spec.entry("multipathMax").and_then(|entry| entry.integer(1..=64)),
        }
    }
}

/// Calico's bound for both lists.
const ENTRIES_MAX: usize = 500;

fn communities(spec: &Fields<'_>) -> Vec<NamedCommunity> {
    let entries = spec.list_of_fields("communities");
    if entries.len() > ENTRIES_MAX {
        spec.report("communities", format!("has {} entries: use at most {ENTRIES_MAX}", entries.len()));
    }
    if !entries.is_empty() && spec.list_of_fields("prefixAdvertisements").is_empty() {
        spec.report("communities", "has no meaning without prefixAdvertisements: remove it");
    }
    let mut communities: Vec<NamedCommunity> = Vec::new();
    for entry in &entries {
        let name = entry.required("name", "a name").and_then(|name| name.text()).map(str::to_owned);
        let value = entry.required("value", "a community, as in 65001:100").and_then(|value| value.parse());
        let (Some(name), Some(value)) = (name, value) else { continue };
        if name.is_empty() || name.chars().count() > 253 {
            entry.report("name", "has 1 to 253 characters");
        } else if communities.iter().any(|known| known.name == name) {
            entry.report("name", "is in the list already: remove one");
        } else {
            communities.push(NamedCommunity { name, value });
        }
    }
    communities
}

fn prefix_advertisements(spec: &Fields<'_>, communities: &[NamedCommunity]) -> Vec<PrefixAdvertisement> {
    let names: BTreeMap<&str, CommunityValue> =
        communities.iter().map(|community| (community.name.as_str(), community.value)).collect();
    let entries = spec.list_of_fields("prefixAdvertisements");
    if entries.len() > ENTRIES_MAX {
        let message = format!("has {} entries: use at most {ENTRIES_MAX}", entries.len());
        spec.report("prefixAdvertisements", message);
    }
    entries.iter().filter_map(|entry| prefix_advertisement(entry, &names)).collect()
}

fn prefix_advertisement(
    entry: &Fields<'_>,
    names: &BTreeMap<&str, CommunityValue>,
) -> Option<PrefixAdvertisement> {
    let cidr = entry.required("cidr", "a prefix").and_then(|cidr| cidr.parse());
    let given = entry.required("communities", "a list of communities")?.list();
    if !(1..=50).contains(&given.len()) {
        entry.report("communities", "holds 1 to 50 communities");
    }
    let communities = unique(&given, |community| {
        let text = community.text()?;
        if let Some(value) = names.get(text) {
            return Some(*value);
        }
        let value = text.parse().ok();
        if value.is_none() {
            let text = crate::document::quoted(text);
            community.report(format!(
                "'{text}' is neither the name of one of this object's communities nor a community: write \
                 65001:100 or 65001:1:2"
            ));
        }
        value
    });
    let MaskedCidr(cidr) = cidr?;
    Some(PrefixAdvertisement { cidr, communities })
}

fn log_severity(entry: &Entry<'_>) -> Option<String> {
    const LEVELS: &[&str] = &["", "trace", "debug", "info", "warning", "error", "fatal"];
    let text = entry.text()?;
    if !LEVELS.contains(&text.to_lowercase().as_str()) {
        entry.report(format!("'{text}' is not a level: use Trace, Debug, Info, Warning, Error or Fatal"));
        return None;
    }
    Some(text.to_owned())
}

fn interface_pattern(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.*-".contains(&byte);
    if !(1..=15).contains(&text.len()) || !text.bytes().all(is_allowed) {
        entry.report(format!(
            "'{text}' is not an interface: use 1 to 15 letters, digits, '_', '.', '-' or '*'"
        ));
        return None;
    }
    Some(text.to_owned())
}
