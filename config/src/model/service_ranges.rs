//! The address ranges of Kubernetes services, as far as BGP announces them for the whole cluster.

use ipnet::IpNet;
use serde::Serialize;

use super::address::MaskedCidr;
use crate::document::{Field, Fields};

/// Of the whole cluster, flat among the other fields of BGPConfiguration. Addresses of single services are known
/// only to Kubernetes, and this version does not ask it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRanges {
    /// Of cluster IPs.
    #[serde(rename = "serviceClusterIPs", skip_serializing_if = "Vec::is_empty")]
    pub cluster_ips: Vec<ServiceRange>,
    /// Of external IPs.
    #[serde(rename = "serviceExternalIPs", skip_serializing_if = "Vec::is_empty")]
    pub external_ips: Vec<ServiceRange>,
    /// Of load balancers.
    #[serde(rename = "serviceLoadBalancerIPs", skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_ips: Vec<ServiceRange>,
    /// Whether ranges of load balancers are announced whole; default Enabled.
    #[serde(rename = "serviceLoadBalancerAggregation", skip_serializing_if = "Option::is_none")]
    pub load_balancer_aggregation: Option<Aggregation>,
}

/// One range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceRange {
    /// Without host bits.
    pub cidr: IpNet,
}

/// Whether a range is announced as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Aggregation {
    /// Yes.
    Enabled,
    /// Each address by itself, when its service has an endpoint.
    Disabled,
}

pub(super) const RANGE: &[Field] = &[Field::honoured("cidr", "10.96.0.0/12", "a range")];
pub(super) const CLUSTER_IPS: Field = Field::honoured(
    "serviceClusterIPs",
    "[{cidr: 10.96.0.0/12}]",
    "ranges that every node announces (but for nodes excluded from external load balancers)",
)
.with(RANGE);
pub(super) const EXTERNAL_IPS: Field = Field::honoured(
    "serviceExternalIPs",
    "[{cidr: 10.8.0.0/16}]",
    "the same; a single address belongs to a service, and is not announced by this version",
)
.with(RANGE);
pub(super) const LOAD_BALANCER_IPS: Field =
    Field::honoured("serviceLoadBalancerIPs", "[{cidr: 10.9.0.0/16}]", "as serviceExternalIPs").with(RANGE);
pub(super) const LOAD_BALANCER_AGGREGATION: Field = Field::honoured(
    "serviceLoadBalancerAggregation",
    "Disabled",
    "Disabled: ranges of load balancers are not announced whole; default Enabled",
);

impl ServiceRanges {
    pub(super) fn read(spec: &Fields<'_>) -> Self {
        let ranges = |name| -> Vec<ServiceRange> {
            let entries = spec.list_of_fields(name);
            let cidrs = entries.iter().filter_map(|entry| entry.required("cidr", "a range")?.parse());
            cidrs.map(|MaskedCidr(cidr)| ServiceRange { cidr }).collect()
        };
        let aggregation = [("Enabled", Aggregation::Enabled), ("Disabled", Aggregation::Disabled)];
        Self {
            cluster_ips: ranges("serviceClusterIPs"),
            external_ips: ranges("serviceExternalIPs"),
            load_balancer_ips: ranges("serviceLoadBalancerIPs"),
            load_balancer_aggregation: spec
                .entry("serviceLoadBalancerAggregation")
                .and_then(|entry| entry.choice(&aggregation)),
        }
    }
}
