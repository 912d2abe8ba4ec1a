//! A node as BGP sees it: its AS, addresses, port and identifier.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::catalog::Resources;
use crate::model::{Asn, BestPath, BindMode, Node, NodeBgp, PER_NODE_PREFIX};
use crate::problem::{Location, Problem};

/// The port of a node that names none (RFC 4271 §4.2).
pub const PORT_DEFAULT: u16 = 179;
/// Kernel metric of routes where the manifests name none.
pub const NORMAL_ROUTE_PRIORITY_DEFAULT: u32 = 1024;

/// How one node speaks BGP, to all its peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Speaker {
    /// Which node.
    pub node_name: String,
    /// Its AS.
    pub as_number: Asn,
    /// Its identifier: the IPv4 address, or a number made from the name where there is none.
    pub router_id: Ipv4Addr,
    /// Its address; the next hop of IPv4 routes.
    pub ipv4: Option<Ipv4Addr>,
    /// Its address; the next hop of IPv6 routes.
    pub ipv6: Option<Ipv6Addr>,
    /// Where it listens.
    pub listen_port: u16,
    /// On which addresses it listens; empty: on all.
    pub listen_addresses: Vec<IpAddr>,
    /// Set: it is a route reflector.
    pub cluster_id: Option<Ipv4Addr>,
    /// Most next hops of one route whose best path is external, 1 to 64.
    pub multipath_max: u16,
    /// Of one whose best path is internal.
    pub multipath_max_ibgp: u16,
    /// How paths are compared.
    pub best_path: BestPath,
    /// Kernel metric of IPv4 routes.
    pub metric_v4: u32,
    /// Kernel metric of IPv6 routes.
    pub metric_v6: u32,
}

impl Speaker {
    /// The speaker of a node.
    ///
    /// # Errors
    /// There is no such Node, or it takes no part in BGP.
    pub fn of(resources: &Resources, node_name: &str) -> Result<Self, Problem> {
        let Some(node) = resources.nodes.get(node_name) else {
            let message =
                format!("there is no Node named {node_name}: without one this node has no BGP sessions");
            return Err(Problem::error(Location::file("manifests"), "", message));
        };
        let Some(bgp) = &node.spec.bgp else {
            let message = "is missing: without it this node takes no part in BGP";
            return Err(Problem::warning(node.location.clone(), "spec.bgp", message));
        };
        if bgp.addresses().next().is_none() {
            let message =
                "has neither ipv4Address nor ipv6Address: without one this node has no BGP sessions";
            return Err(Problem::error(node.location.clone(), "spec.bgp", message));
        }
        let member = Member::new(resources, node_name, &node.object, bgp);
        let cluster = resources.cluster_configuration().map(|object| &object.spec);
        let bind_mode = cluster.and_then(|spec| spec.bind_mode).unwrap_or_default();
        let best_path = cluster.map(|spec| spec.best_path.clone()).unwrap_or_default();
        let (multipath_max, multipath_max_ibgp) =
            best_path.multipath_max(cluster.and_then(|spec| spec.multipath_max));
        let metric = |given: Option<u32>| given.unwrap_or(NORMAL_ROUTE_PRIORITY_DEFAULT);
        Ok(Self {
            node_name: node_name.to_owned(),
            as_number: member.as_number,
            router_id: member.ipv4.unwrap_or_else(|| identifier_from(node_name)),
            ipv4: member.ipv4,
            ipv6: member.ipv6,
            listen_port: member.listen_port,
            listen_addresses: match bind_mode {
                BindMode::None => Vec::new(),
                BindMode::NodeIp => bgp.addresses().collect(),
            },
            cluster_id: member.cluster_id,
            multipath_max,
            multipath_max_ibgp,
            best_path,
            metric_v4: metric(cluster.and_then(|spec| spec.ipv4_normal_route_priority)),
            metric_v6: metric(cluster.and_then(|spec| spec.ipv6_normal_route_priority)),
        })
    }

    /// Its address of the family of another one.
    #[must_use]
    pub fn address_towards(&self, other: IpAddr) -> Option<IpAddr> {
        match other {
            IpAddr::V4(_) => self.ipv4.map(IpAddr::V4),
            IpAddr::V6(_) => self.ipv6.map(IpAddr::V6),
        }
    }
}

/// What any node of the cluster shows to the others.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) as_number: Asn,
    pub(super) ipv4: Option<Ipv4Addr>,
    pub(super) ipv6: Option<Ipv6Addr>,
    pub(super) listen_port: u16,
    pub(super) cluster_id: Option<Ipv4Addr>,
}

impl<'a> Member<'a> {
    fn new(resources: &Resources, name: &'a str, node: &'a Node, bgp: &NodeBgp) -> Self {
        let cluster = resources.cluster_configuration().map(|object| &object.spec);
        let own = resources.bgp_configurations.get(&format!("{PER_NODE_PREFIX}{name}"));
        let cluster_as = cluster.and_then(|spec| spec.as_number);
        let cluster_port = cluster.and_then(|spec| spec.listen_port);
        let own_port = own.and_then(|object| object.spec.listen_port);
        Self {
            name,
            labels: &node.metadata.labels,
            as_number: bgp.as_number.or(cluster_as).unwrap_or(Asn::CLUSTER_DEFAULT),
            ipv4: bgp.ipv4_address.map(|net| net.addr()),
            ipv6: bgp.ipv6_address.map(|net| net.addr()),
            listen_port: own_port.or(cluster_port).unwrap_or(PORT_DEFAULT),
            cluster_id: bgp.route_reflector_cluster_id,
        }
    }

    /// IPv4 first.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.ipv4.map(IpAddr::V4).into_iter().chain(self.ipv6.map(IpAddr::V6))
    }
}

/// Every node that takes part in BGP, by name.
pub(super) fn members(resources: &Resources) -> Vec<Member<'_>> {
    let mut members = Vec::new();
    for (name, node) in &resources.nodes {
        if let Some(bgp) = &node.spec.bgp {
            members.push(Member::new(resources, name, node, bgp));
        }
    }
    members
}

/// An identifier for a node that has no IPv4 address: any number but 0 will do as long as it is the same
/// after a restart and differs between nodes (RFC 6286 §2.1). FNV-1a, 32 bits.
fn identifier_from(name: &str) -> Ipv4Addr {
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    Ipv4Addr::from(hash.max(1))
}
