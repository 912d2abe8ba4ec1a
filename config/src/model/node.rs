//! Node: a machine of the cluster.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;

use super::address::{InterfaceAddress, MaskedCidr};
use super::{Asn, Metadata, metadata, unique};
use crate::document::{Entry, Field, Fields};

/// A machine of the cluster. Without `spec.bgp` it takes no part in BGP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name is the node's name; its labels are what nodeSelector and peerSelector look at.
    pub metadata: Metadata,
    /// What is wanted of it.
    pub spec: NodeSpec,
    /// What was found out about it.
    #[serde(skip_serializing_if = "NodeStatus::is_empty")]
    pub status: NodeStatus,
}

/// `Node.spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSpec {
    /// Its part in BGP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bgp: Option<NodeBgp>,
    /// Informational.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<NodeAddress>,
    /// Informational.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub orch_refs: Vec<OrchRef>,
    /// Informational.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<NodeInterface>,
}

/// `Node.spec.bgp`. Without an address of either family the node has no sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeBgp {
    /// Overrides the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_number: Option<Asn>,
    /// Its address, with the length of the network it stands in.
    #[serde(rename = "ipv4Address", skip_serializing_if = "Option::is_none")]
    pub ipv4_address: Option<Ipv4Net>,
    /// Its address, with the length of the network it stands in.
    #[serde(rename = "ipv6Address", skip_serializing_if = "Option::is_none")]
    pub ipv6_address: Option<Ipv6Net>,
    /// Set: it is a route reflector of this cluster id and leaves the mesh.
    #[serde(rename = "routeReflectorClusterID", skip_serializing_if = "Option::is_none")]
    pub route_reflector_cluster_id: Option<Ipv4Addr>,
}

impl NodeBgp {
    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.ipv4_address.map(|net| IpAddr::V4(net.addr()));
        v4.into_iter().chain(self.ipv6_address.map(|net| IpAddr::V6(net.addr())))
    }
}

/// One of `Node.spec.addresses`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeAddress {
    /// An address or CIDR.
    pub address: String,
    /// CalicoNodeIP, InternalIP or ExternalIP.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

/// One of `Node.spec.orchRefs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrchRef {
    /// What the orchestrator calls the node.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node_name: String,
    /// `k8s`, for example.
    pub orchestrator: String,
}

/// One of `Node.spec.interfaces`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeInterface {
    /// The interface.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<String>,
}

/// `Node.status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Pod ranges given to the node by Kubernetes: its own blocks where host-local IPAM is used.
    #[serde(rename = "podCIDRs", skip_serializing_if = "Vec::is_empty")]
    pub pod_cidrs: Vec<IpNet>,
    /// Informational.
    #[serde(rename = "wireguardPublicKey", skip_serializing_if = "String::is_empty")]
    pub wireguard_public_key: String,
    /// Informational.
    #[serde(rename = "wireguardPublicKeyV6", skip_serializing_if = "String::is_empty")]
    pub wireguard_public_key_v6: String,
}

impl NodeStatus {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

const BGP: &[Field] = &[
    Field::honoured("asNumber", "64513", "overrides BGPConfiguration's asNumber"),
    Field::honoured("ipv4Address", "10.0.0.9/24", "the node's address, with its network's length"),
    Field::honoured("ipv6Address", "'fd00::9/64'", "the node's address, with its network's length"),
    Field::honoured(
        "routeReflectorClusterID",
        "10.0.0.254",
        "makes it a route reflector; it leaves the mesh",
    ),
    Field::refused("ipv4IPIPTunnelAddr", "", "10.244.0.1", "address of tunl0"),
];

const WIREGUARD: &[Field] = &[
    Field::refused("interfaceIPv4Address", "", "10.244.0.1", "address of wireguard.cali"),
    Field::refused("interfaceIPv6Address", "", "'fd00::1'", "address of wireguard.cali"),
];

const SPEC: &[Field] = &[
    Field::honoured("bgp", "{ipv4Address: 10.0.0.9/24}", "the node's part in BGP").with(BGP),
    Field::informational("addresses", "[{address: 10.0.0.9, type: InternalIP}]", "addresses known; kept")
        .with(&[
            Field::informational("address", "10.0.0.9", "an address"),
            Field::informational("type", "InternalIP", "CalicoNodeIP, InternalIP or ExternalIP"),
        ]),
    Field::informational(
        "orchRefs",
        "[{nodeName: worker9, orchestrator: k8s}]",
        "the orchestrator's name; kept",
    )
    .with(&[
        Field::informational("nodeName", "worker9", "what the orchestrator calls the node"),
        Field::informational("orchestrator", "k8s", "the orchestrator"),
    ]),
    Field::informational("interfaces", "[{name: eth0, addresses: [10.0.0.9]}]", "interfaces known; kept")
        .with(&[
            Field::informational("name", "eth0", "the interface"),
            Field::informational("addresses", "[10.0.0.9]", "its addresses"),
        ]),
    Field::refused("ipv4VXLANTunnelAddr", "", "10.244.0.1", "address of vxlan.calico"),
    Field::refused("vxlanTunnelMACAddr", "", "'66:00:00:00:00:01'", "MAC of vxlan.calico"),
    Field::refused("ipv6VXLANTunnelAddr", "", "'fd00::1'", "address of vxlan-v6.calico"),
    Field::refused("vxlanTunnelMACAddrV6", "", "'66:00:00:00:00:01'", "MAC of vxlan-v6.calico"),
    Field::refused("wireguard", "", "{interfaceIPv4Address: 10.244.0.1}", "WireGuard").with(WIREGUARD),
];

const STATUS: &[Field] = &[
    Field::honoured("podCIDRs", "[10.244.9.0/24]", "own blocks where Kubernetes gives out pod ranges"),
    Field::informational("wireguardPublicKey", "a2V5", "key of wireguard.cali; kept"),
    Field::informational("wireguardPublicKeyV6", "a2V5", "key of wg-v6.cali; kept"),
];

pub(crate) const FIELDS: &[Field] = &[
    super::API_VERSION,
    super::KIND,
    Field::honoured("metadata", "{name: example}", "name and labels").with(metadata::FIELDS),
    Field::honoured("spec", "{}", "what is wanted").with(SPEC),
    Field::honoured("status", "{podCIDRs: [10.244.9.0/24]}", "what was found out").with(STATUS),
];

impl Node {
    pub(crate) fn read(metadata: Metadata, object: &Fields<'_>) -> Option<Self> {
        let spec = object.fields("spec").map(|spec| NodeSpec::read(&spec)).unwrap_or_default();
        let status = object.fields("status").map(|status| NodeStatus::read(&status)).unwrap_or_default();
        Some(Self { metadata, spec, status })
    }
}

impl NodeSpec {
    fn read(spec: &Fields<'_>) -> Self {
        Self {
            bgp: spec.fields("bgp").and_then(|bgp| NodeBgp::read(&bgp)),
            addresses: spec.list_of_fields("addresses").iter().filter_map(NodeAddress::read).collect(),
            orch_refs: spec.list_of_fields("orchRefs").iter().filter_map(OrchRef::read).collect(),
            interfaces: spec.list_of_fields("interfaces").iter().filter_map(NodeInterface::read).collect(),
        }
    }
}

impl NodeBgp {
    fn read(bgp: &Fields<'_>) -> Option<Self> {
        let ipv4 = bgp.entry("ipv4Address").and_then(|entry| interface_address(&entry, "IPv4", v4));
        let ipv6 = bgp.entry("ipv6Address").and_then(|entry| interface_address(&entry, "IPv6", v6));
        let as_number = bgp.entry("asNumber").and_then(|entry| entry.parse_scalar());
        let cluster_id = bgp.entry("routeReflectorClusterID").and_then(|entry| cluster_id(&entry));
        if bgp.is_empty() {
            bgp.report("ipv4Address", "bgp: {} says nothing: give ipv4Address or ipv6Address, or remove bgp");
        }
        Some(Self {
            as_number,
            ipv4_address: ipv4,
            ipv6_address: ipv6,
            route_reflector_cluster_id: cluster_id,
        })
    }
}

fn interface_address<T>(entry: &Entry<'_>, family: &str, of_family: fn(IpNet) -> Option<T>) -> Option<T> {
    let InterfaceAddress(net) = entry.parse()?;
    let address = of_family(net);
    if address.is_none() {
        entry.report(format!("{net} is not an {family} address"));
    }
    address
}

fn v4(net: IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    }
}

fn v6(net: IpNet) -> Option<Ipv6Net> {
    match net {
        IpNet::V4(_) => None,
        IpNet::V6(net) => Some(net),
    }
}

/// An empty text is none, as in Calico.
fn cluster_id(entry: &Entry<'_>) -> Option<Ipv4Addr> {
    let text = entry.text().filter(|text| !text.is_empty())?;
    match text.parse::<Ipv4Addr>() {
        Ok(id) if !id.is_unspecified() => Some(id),
        _ => {
            entry.report(format!(
                "'{text}' is not a cluster id: write four numbers with dots, as in 10.0.0.254"
            ));
            None
        }
    }
}

impl NodeAddress {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let kinds = ["CalicoNodeIP", "InternalIP", "ExternalIP"].map(|kind| (kind, kind));
        let kind = fields.entry("type").and_then(|entry| entry.choice(&kinds)).unwrap_or_default();
        let address = fields.required("address", "an address").and_then(|entry| {
            entry.parse::<InterfaceAddress>()?;
            entry.text()
        })?;
        Some(Self { address: address.to_owned(), kind: kind.to_owned() })
    }
}

impl OrchRef {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let node_name = fields.entry("nodeName").and_then(|entry| entry.text()).unwrap_or_default();
        let orchestrator = fields.required("orchestrator", "the orchestrator's name")?.text()?;
        Some(Self { node_name: node_name.to_owned(), orchestrator: orchestrator.to_owned() })
    }
}

impl NodeInterface {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let addresses = fields.entry("addresses").map(|entry| entry.list()).unwrap_or_default();
        let addresses = addresses.iter().filter_map(Entry::text).map(str::to_owned).collect();
        let name = fields.required("name", "the name of the interface")?.text()?;
        Some(Self { name: name.to_owned(), addresses })
    }
}

impl NodeStatus {
    fn read(status: &Fields<'_>) -> Self {
        let pod_cidrs = status.entry("podCIDRs").map(|entry| entry.list()).unwrap_or_default();
        let cidr = |entry: &Entry<'_>| entry.parse::<MaskedCidr>().map(|MaskedCidr(cidr)| cidr);
        let text = |name| status.entry(name).and_then(|entry| entry.text()).unwrap_or_default().to_owned();
        Self {
            pod_cidrs: unique(&pod_cidrs, cidr),
            wireguard_public_key: text("wireguardPublicKey"),
            wireguard_public_key_v6: text("wireguardPublicKeyV6"),
        }
    }
}
