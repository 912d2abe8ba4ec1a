//! IPPool: a range that pods get their addresses from.

use ipnet::IpNet;
use serde::Serialize;

use super::address::MaskedCidr;
use super::{Metadata, Selector, metadata, unique};
use crate::document::{Field, Fields};

/// A range of addresses, cut into blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IpPool {
    /// Its name.
    pub metadata: Metadata,
    /// The range and its use.
    pub spec: IpPoolSpec,
}

/// `IPPool.spec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IpPoolSpec {
    /// Without host bits; overlaps no other pool.
    pub cidr: IpNet,
    /// Prefix length of its blocks: 20 to 32, or 116 to 128.
    pub block_size: u8,
    /// No new addresses are given out; those given out stay, and so do routes.
    pub disabled: bool,
    /// Its routes are not advertised.
    #[serde(rename = "disableBGPExport")]
    pub disable_bgp_export: bool,
    /// Nodes that may take addresses.
    pub node_selector: Selector,
    /// Namespaces whose pods may take addresses; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<Selector>,
    /// What its addresses are for.
    pub allowed_uses: Vec<AllowedUse>,
    /// Whether addresses are taken from it without being asked for by name.
    pub assignment_mode: AssignmentMode,
}

/// What addresses of a pool are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum AllowedUse {
    /// Pods.
    Workload,
    /// Tunnel devices of nodes.
    Tunnel,
    /// Services; excludes the other uses.
    LoadBalancer,
}

/// When addresses are taken from a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum AssignmentMode {
    /// Whenever one is needed.
    #[default]
    Automatic,
    /// Only when the pool is asked for by name.
    Manual,
}

/// What says how addresses are given out is checked and kept, but gives out nothing: there is no IPAM yet.
const SPEC: &[Field] = &[
    Field::honoured("cidr", "10.250.0.0/16", "the range, without host bits; overlaps no other pool"),
    Field::informational(
        "blockSize",
        "28",
        "prefix length of blocks, 20 to 32 or 116 to 128; default 26 or 122; for IPAM",
    ),
    Field::informational("disabled", "true", "give out no new addresses; default false; for IPAM"),
    Field::honoured("disableBGPExport", "true", "do not advertise its routes; default false"),
    Field::informational(
        "nodeSelector",
        "has(rack)",
        "nodes that may take addresses; default all(); for IPAM",
    ),
    Field::informational(
        "namespaceSelector",
        "has(team)",
        "namespaces that may take addresses; not with Tunnel; for IPAM",
    ),
    Field::informational(
        "allowedUses",
        "[Workload]",
        "Workload and Tunnel, or LoadBalancer; default the first two; for IPAM",
    ),
    Field::informational("assignmentMode", "Manual", "Automatic or Manual; default Automatic; for IPAM"),
    Field::refused("ipipMode", "Never", "Always", "IP in IP towards other nodes"),
    Field::refused("vxlanMode", "Never", "Always", "VXLAN towards other nodes"),
    Field::refused("natOutgoing", "false", "true", "masquerade what leaves the pools"),
];

pub(crate) const FIELDS: &[Field] = &[
    super::API_VERSION,
    super::KIND,
    Field::honoured("metadata", "{name: example}", "name").with(metadata::FIELDS),
    Field::honoured("spec", "{cidr: 10.250.0.0/16}", "the range and its use").with(SPEC),
    super::STATUS,
];

impl IpPool {
    pub(crate) fn read(metadata: Metadata, object: &Fields<'_>) -> Option<Self> {
        object.required("spec", "a mapping with cidr")?;
        let spec = IpPoolSpec::read(&object.fields("spec")?)?;
        Some(Self { metadata, spec })
    }
}

impl IpPoolSpec {
    fn read(spec: &Fields<'_>) -> Option<Self> {
        let cidr = spec.required("cidr", "the range, as in 10.244.0.0/16").and_then(|entry| entry.parse());
        let cidr = cidr.map(|MaskedCidr(cidr)| cidr);
        let flag = |name| spec.entry(name).and_then(|entry| entry.boolean()).unwrap_or_default();
        let selector = |name| {
            let entry = spec.entry(name).filter(|entry| !entry.data().is_empty());
            entry.and_then(|entry| super::selector_of(&entry))
        };
        let modes = [("Automatic", AssignmentMode::Automatic), ("Manual", AssignmentMode::Manual)];
        let mode = spec.entry("assignmentMode").and_then(|entry| entry.choice(&modes));
        let disabled = flag("disabled");
        let disable_bgp_export = flag("disableBGPExport");
        let node_selector = selector("nodeSelector").unwrap_or_else(Selector::all);
        let namespace_selector = selector("namespaceSelector");
        let block_size = cidr.and_then(|cidr| block_size(spec, cidr, disabled));
        let uses = allowed_uses(spec);
        if let Some(cidr) = cidr {
            check_range(spec, cidr);
        }
        if uses.contains(&AllowedUse::LoadBalancer) {
            check_load_balancer(spec, disable_bgp_export, &node_selector);
        }
        if namespace_selector.is_some() && uses.contains(&AllowedUse::Tunnel) {
            spec.report("namespaceSelector", "cannot choose tunnel addresses: set allowedUses: [Workload]");
        }
        Some(Self {
            cidr: cidr?,
            block_size: block_size?,
            disabled,
            disable_bgp_export,
            node_selector,
            namespace_selector,
            allowed_uses: uses,
            assignment_mode: mode.unwrap_or_default(),
        })
    }
}

/// Within the family's bounds, and no larger than the pool unless that is disabled anyway.
fn block_size(spec: &Fields<'_>, cidr: IpNet, disabled: bool) -> Option<u8> {
    let (range, default) = match cidr {
        IpNet::V4(_) => (20..=32, 26),
        IpNet::V6(_) => (116..=128, 122),
    };
    let size = match spec.entry("blockSize") {
        Some(entry) => entry.integer(range)?,
        None => default,
    };
    if size < cidr.prefix_len() && !disabled {
        let message = format!(
            "a block of /{size} does not fit into {cidr}: set blockSize to {} or more",
            cidr.prefix_len()
        );
        spec.report("blockSize", message);
        return None;
    }
    Some(size)
}

/// Calico refuses pools over link-local ranges.
fn check_range(spec: &Fields<'_>, cidr: IpNet) {
    let link_local = match cidr {
        IpNet::V4(_) => "169.254.0.0/16",
        IpNet::V6(_) => "fe80::/10",
    };
    if link_local.parse().is_ok_and(|link_local| overlap(cidr, link_local)) {
        spec.report("cidr", format!("{cidr} overlaps the link-local range {link_local}: choose another"));
    }
}

/// Whether two prefixes share an address: one of them contains the other.
pub(crate) fn overlap(left: IpNet, right: IpNet) -> bool {
    left.contains(&right) || right.contains(&left)
}

fn allowed_uses(spec: &Fields<'_>) -> Vec<AllowedUse> {
    let choices = [
        ("Workload", AllowedUse::Workload),
        ("Tunnel", AllowedUse::Tunnel),
        ("LoadBalancer", AllowedUse::LoadBalancer),
    ];
    let items = spec.entry("allowedUses").map(|entry| entry.list()).unwrap_or_default();
    let uses = unique(&items, |entry| entry.choice(&choices));
    if uses.is_empty() { vec![AllowedUse::Workload, AllowedUse::Tunnel] } else { uses }
}

fn check_load_balancer(spec: &Fields<'_>, disable_bgp_export: bool, node_selector: &Selector) {
    if spec.entry("allowedUses").map(|entry| entry.list().len()) != Some(1) {
        spec.report("allowedUses", "LoadBalancer excludes the other uses: make another pool for them");
    }
    if disable_bgp_export {
        spec.report("disableBGPExport", "cannot be true in a pool for LoadBalancer: remove it");
    }
    if !node_selector.is_all() {
        spec.report("nodeSelector", "must be all() in a pool for LoadBalancer: remove it");
    }
}
