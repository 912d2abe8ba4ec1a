//! Service ranges: which of them a node announces. Calico's rules, without the addresses of single services.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::catalog::Resources;
use crate::model::{Aggregation, ServiceRange, ServiceRanges};

/// Kubernetes' own label: such a node announces no service of any kind.
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

fn ranges(resources: &Resources) -> Option<&ServiceRanges> {
    resources.cluster_configuration().map(|configuration| &configuration.spec.service_ranges)
}

fn cidrs(ranges: &[ServiceRange]) -> impl Iterator<Item = IpNet> + '_ {
    ranges.iter().map(|range| range.cidr)
}

/// The ranges that the node announces: those of cluster IPs, and of external IPs and load balancers those that
/// are more than one address; of load balancers none if each address is announced by itself.
#[must_use]
pub fn service_routes(resources: &Resources, node_name: &str) -> BTreeSet<IpNet> {
    let labels = resources.nodes.get(node_name).map(|node| &node.metadata.labels);
    let is_excluded = labels.and_then(|labels| labels.get(EXCLUDED)).is_some_and(|value| value == "true");
    let Some(ranges) = ranges(resources).filter(|_| !is_excluded) else { return BTreeSet::new() };
    let load_balancers = match ranges.load_balancer_aggregation.unwrap_or(Aggregation::Enabled) {
        Aggregation::Enabled => ranges.load_balancer_ips.as_slice(),
        Aggregation::Disabled => &[],
    };
    let is_range = |cidr: &IpNet| cidr.prefix_len() < cidr.max_prefix_len();
    let external = cidrs(&ranges.external_ips).chain(cidrs(load_balancers)).filter(is_range);
    cidrs(&ranges.cluster_ips).chain(external).collect()
}

/// Every range of services, announced or not: routes inside of them that a node learns are not for its kernel.
#[must_use]
pub fn service_ranges(resources: &Resources) -> BTreeSet<IpNet> {
    let of = |ranges: &ServiceRanges| -> Vec<IpNet> {
        let all = [&ranges.cluster_ips, &ranges.external_ips, &ranges.load_balancer_ips];
        all.into_iter().flat_map(|ranges| cidrs(ranges)).collect()
    };
    ranges(resources).into_iter().flat_map(of).collect()
}

/// Ranges of external IPs and load balancers, of which a route reflector passes everything on.
pub(super) fn reflected_ranges(resources: &Resources) -> BTreeSet<IpNet> {
    let of = |ranges: &ServiceRanges| -> Vec<IpNet> {
        cidrs(&ranges.external_ips).chain(cidrs(&ranges.load_balancer_ips)).collect()
    };
    ranges(resources).into_iter().flat_map(of).collect()
}
