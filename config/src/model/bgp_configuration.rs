//! BGPConfiguration: what all nodes of the cluster share, and the few things one node may differ in.

use serde::Serialize;

use super::{Asn, Metadata, PasswordSource, Seconds, metadata, secret, unique};
use crate::document::{Entry, Field, Fields};

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
    /// Most next hops of one route; default 16. An addition of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multipath_max: Option<u16>,
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
    Field::refused("communities", "", "[{name: a, value: '1:2'}]", "names for communities"),
    Field::refused(
        "prefixAdvertisements",
        "",
        "[{cidr: 10.0.0.0/8, communities: [a]}]",
        "communities by prefix",
    ),
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

/// What a per-node object may contain (Calico honours prefixAdvertisements there too; we refuse it anyway).
const PER_NODE: &[&str] = &["listenPort", "logSeverityScreen", "prefixAdvertisements"];

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
            multipath_max: spec.entry("multipathMax").and_then(|entry| entry.integer(1..=64)),
        }
    }
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
