//! Which blocks are a node's own, and which routes may leave it.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::Serialize;

use super::services::{self, service_routes};
use super::speaker::NORMAL_ROUTE_PRIORITY_DEFAULT;
use crate::catalog::Resources;
use crate::model::{PER_NODE_PREFIX, PrefixAdvertisement};

/// The blocks that a node announces: those confirmed for it, and the pod ranges that Kubernetes gave it.
/// Never one that is pending, because it may be another node's in the end.
#[must_use]
pub fn own_blocks(resources: &Resources, node_name: &str) -> BTreeSet<IpNet> {
    let affinities = resources.block_affinities.values().map(|affinity| &affinity.spec);
    let own = affinities.filter(|spec| spec.node == node_name && spec.is_own_block()).map(|spec| spec.cidr);
    let node = resources.nodes.get(node_name);
    let pod_cidrs = node.into_iter().flat_map(|node| node.status.pod_cidrs.iter().copied());
    own.chain(pod_cidrs).collect()
}

/// The communities that routes get when they leave a node. What its own BGPConfiguration says of a family is
/// said instead of what the cluster's says of that family.
#[must_use]
pub fn prefix_advertisements(resources: &Resources, node_name: &str) -> Vec<PrefixAdvertisement> {
    let own = resources.bgp_configurations.get(&format!("{PER_NODE_PREFIX}{node_name}"));
    let own = own.map(|object| object.spec.prefix_advertisements.as_slice()).unwrap_or_default();
    let cluster = resources.cluster_configuration();
    let cluster = cluster.map(|object| object.spec.prefix_advertisements.as_slice()).unwrap_or_default();
    let mut advertisements = Vec::new();
    for is_ipv4 in [true, false] {
        let of_family = |all: &[PrefixAdvertisement]| -> Vec<PrefixAdvertisement> {
            all.iter().filter(|entry| entry.cidr.addr().is_ipv4() == is_ipv4).cloned().collect()
        };
        let own = of_family(own);
        advertisements.extend(if own.is_empty() { of_family(cluster) } else { own });
    }
    advertisements
}

/// What may leave a node towards any peer. The first rule that contains the route decides, else `otherwise`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportPolicy {
    /// In order.
    pub rules: Vec<ExportRule>,
    /// Whether a route that no rule contains leaves.
    pub otherwise: bool,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportRule {
    /// It is about every route inside.
    pub within: IpNet,
    /// It is only about routes that the node originates itself.
    pub own_only: bool,
    /// What becomes of them.
    pub verdict: ExportVerdict,
}

/// Whether a route leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ExportVerdict {
    /// Yes.
    Accept,
    /// No.
    Reject,
    /// If it is preferred to normal routes: its priority is less than this.
    AcceptElevated(u32),
}

/// Calico's export filter, for the pools that this version supports:
///
/// 1. what lies in a pool with disableBGPExport stays;
/// 2. own blocks leave, even outside of every pool; what others say inside of them stays, but for elevated
///    routes (a workload on the move);
/// 3. own service ranges leave; a route reflector passes on all of external IPs and load balancers;
/// 4. what lies in any other pool leaves (blocks of other nodes that we reflect, borrowed addresses);
/// 5. what lies in a pod range of any node leaves;
/// 6. the rest stays: a node does not carry a fabric's routes on to its peers.
///
/// A cluster that has neither pools nor blocks nor pod ranges uses BGP without Calico's addresses (a plain
/// route reflector), where rule 6 would leave nothing to say; there everything leaves.
#[must_use]
pub fn export_policy(resources: &Resources, node_name: &str) -> ExportPolicy {
    use ExportVerdict::{Accept, AcceptElevated, Reject};
    let pools = || resources.ip_pools.values().map(|pool| &pool.spec);
    let disabled = pools().filter(|pool| pool.disable_bgp_export).map(|pool| pool.cidr);
    let enabled = pools().filter(|pool| !pool.disable_bgp_export).map(|pool| pool.cidr);
    let pod_cidrs: BTreeSet<IpNet> =
        resources.nodes.values().flat_map(|node| node.status.pod_cidrs.iter().copied()).collect();
    let rule = |own_only, verdict| move |within| ExportRule { within, own_only, verdict };
    let blocks = own_blocks(resources, node_name);
    let inside_blocks = blocks.iter().map(|block| {
        let verdict = AcceptElevated(normal_priority(resources, block));
        ExportRule { within: *block, own_only: false, verdict }
    });
    let node = resources.nodes.get(node_name).and_then(|node| node.spec.bgp.as_ref());
    let is_reflector = node.is_some_and(|bgp| bgp.route_reflector_cluster_id.is_some());
    let reflected = if is_reflector { services::reflected_ranges(resources) } else { BTreeSet::new() };
    let has_addresses = pools().next().is_some()
        || !blocks.is_empty()
        || !pod_cidrs.is_empty()
        || !resources.block_affinities.is_empty();
    let rules: Vec<ExportRule> = disabled
        .map(rule(false, Reject))
        .chain(blocks.iter().copied().map(rule(true, Accept)))
        .chain(inside_blocks)
        .chain(service_routes(resources, node_name).into_iter().map(rule(true, Accept)))
        .chain(reflected.into_iter().map(rule(false, Accept)))
        .chain(enabled.map(rule(false, Accept)))
        .chain(pod_cidrs.iter().copied().map(rule(false, Accept)))
        .collect();
    ExportPolicy { rules, otherwise: !has_addresses }
}

/// The priority of a route that is not elevated.
fn normal_priority(resources: &Resources, prefix: &IpNet) -> u32 {
    let cluster = resources.cluster_configuration().map(|object| &object.spec);
    let given = cluster.and_then(|spec| match prefix {
        IpNet::V4(_) => spec.ipv4_normal_route_priority,
        IpNet::V6(_) => spec.ipv6_normal_route_priority,
    });
    given.unwrap_or(NORMAL_ROUTE_PRIORITY_DEFAULT)
}
