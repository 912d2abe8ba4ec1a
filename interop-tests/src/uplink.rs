//! The smallest network that says something: one manx node, one foreign router, one wire, both families.

use std::net::IpAddr;

use anyhow::Result;

use crate::manifest::Manifest;
use crate::speaker::Neighbor;
use crate::speaker::bird::BirdConfig;
use crate::speaker::frr::FrrConfig;
use crate::speaker::gobgp::GobgpConfig;
use crate::topology::{Lab, Topology, end};
use crate::{ip, net};

/// The AS of the node.
pub const NODE_AS: u32 = 64601;
/// The AS of the router.
pub const ROUTER_AS: u32 = 65001;
/// The blocks of the node.
pub const BLOCKS: [&str; 2] = ["10.64.1.0/26", "fd64:0:0:1::/122"];
/// What the router announces at first.
pub const ANNOUNCED: [&str; 2] = ["172.31.1.0/24", "fd31:1::/64"];
/// The addresses of the node, IPv4 and IPv6.
pub const NODE: [&str; 2] = ["10.1.0.1", "fd01::1"];
/// The addresses of the router.
pub const ROUTER: [&str; 2] = ["10.1.0.2", "fd01::2"];
/// What the router calls its two sessions.
pub const SESSIONS: [&str; 2] = ["node4", "node6"];

/// Hosts `node1` (with a pod) and `router`.
///
/// # Errors
/// When it cannot be built.
pub fn build() -> Result<Lab> {
    topology().build()
}

/// The same as a value, to be extended.
#[must_use]
pub fn topology() -> Topology {
    Topology::new()
        .host("node1")
        .host("router")
        .link(
            end("node1", "eth0", &["10.1.0.1/24", "fd01::1/64"]),
            end("router", "eth0", &["10.1.0.2/24", "fd01::2/64"]),
        )
        .pod("pod1", "node1", &["10.64.1.1", "fd64:0:0:1::1"])
}

/// What the node is told: itself, no mesh, one pool and one block per family, and the router as its peer by
/// both families, with a hold time of 3 s, the shortest that RFC 4271 allows.
#[must_use]
pub fn manifests() -> Vec<Manifest> {
    let mut all = vec![
        Manifest::node("node1", &["10.1.0.1/24", "fd01::1/64"], Some(NODE_AS), &[]),
        Manifest::bgp_configuration(false, 64512),
        Manifest::ip_pool("pool4", "10.64.0.0/16"),
        Manifest::ip_pool("pool6", "fd64::/48"),
    ];
    all.extend(BLOCKS.map(|block| Manifest::block_affinity("node1", block)));
    all.extend(["router4", "router6"].into_iter().zip(ROUTER).map(|(name, address)| {
        Manifest::bgp_peer(name, address, ROUTER_AS).with("holdTime", "3s").with("connectRetryTime", "1s")
    }));
    all
}

/// The router as BIRD, with the routes in its kernel.
#[must_use]
pub fn bird() -> BirdConfig {
    BirdConfig {
        router_id: [10, 1, 0, 2].into(),
        local_as: ROUTER_AS,
        neighbors: neighbors(),
        announce: ANNOUNCED.map(net).to_vec(),
        kernel: true,
    }
}

/// The router as GoBGP; what it announces is given later.
#[must_use]
pub fn gobgp() -> GobgpConfig {
    GobgpConfig { router_id: [10, 1, 0, 2].into(), local_as: ROUTER_AS, neighbors: neighbors() }
}

/// The router as FRR, with the routes in its kernel.
#[must_use]
pub fn frr() -> FrrConfig {
    FrrConfig {
        router_id: [10, 1, 0, 2].into(),
        local_as: ROUTER_AS,
        neighbors: neighbors(),
        announce: ANNOUNCED.map(net).to_vec(),
        kernel: true,
        lines: Vec::new(),
        global_lines: Vec::new(),
    }
}

/// The router's two sessions.
#[must_use]
pub fn neighbors() -> Vec<Neighbor> {
    let one = |index: usize| {
        let pick = |from: [&'static str; 2]| from.get(index).copied().unwrap_or_default();
        Neighbor::new(pick(SESSIONS), ip(pick(ROUTER)), ip(pick(NODE)), NODE_AS).hold_time(3)
    };
    vec![one(0), one(1)]
}

/// The router's addresses, as peers of the node.
#[must_use]
pub fn routers() -> [IpAddr; 2] {
    ROUTER.map(ip)
}
