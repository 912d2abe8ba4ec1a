//! The network of `make lab` and of the tests that need a whole one: two manx nodes, each with two pods and
//! two uplinks, one to a ToR that runs BIRD and one to a spine that runs GoBGP.
//!
//! ```text
//!             client                      server
//!                │ 172.31.1.0/24             │ 172.31.2.0/24
//!         tor (BIRD, AS 65001)      spine (GoBGP, AS 65002)
//!      10.1.1.0/24 │    │ 10.1.2.0/24   │         │
//!             ┌────┘    └───────────────┼───┐     │
//!             │   ┌─────────────────────┘   │     │
//!             │   │ 10.2.1.0/24             │     │ 10.2.2.0/24
//!        node1 (AS 64601)              node2 (AS 64602)
//!         pod1a   pod1b                 pod2a   pod2b
//!         10.64.1.0/26                  10.64.2.0/26
//! ```
//! IPv6 is the same with fd.. prefixes, over sessions of its own, as Calico does it. The nodes' BGP addresses
//! are on their loopbacks, as Calico advises for two uplinks, so the peers say `sourceAddress: None`.
//! There is no mesh: what one node knows of the other it learned from BIRD and from GoBGP, with AS paths of
//! equal length, hence as one route over both.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use ipnet::IpNet;

use crate::kernel::{self, Family};
use crate::manifest::Manifest;
use crate::speaker::Neighbor;
use crate::speaker::bird::{Bird, BirdConfig};
use crate::speaker::gobgp::{Gobgp, GobgpConfig};
use crate::speaker::manx::Manx;
use crate::topology::{Lab, Topology, end};
use crate::{ip, net};

/// The nodes' AS numbers.
pub const NODE_AS: [u32; 2] = [64601, 64602];
/// BIRD's.
pub const TOR_AS: u32 = 65001;
/// GoBGP's.
pub const SPINE_AS: u32 = 65002;

/// A host that is pinged, with its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name in the topology.
    pub name: &'static str,
    v4: &'static str,
    v6: &'static str,
}

impl Endpoint {
    /// Its address of a family.
    #[must_use]
    pub fn address(&self, family: Family) -> IpAddr {
        ip(match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        })
    }

    /// Whether the fabric joins the two: the client and the server have no common router, and the nodes are
    /// no transit, because only routes inside a pool are exported.
    #[must_use]
    pub fn reaches(&self, other: &Self) -> bool {
        self != other && !(self.is_outside() && other.is_outside())
    }

    fn is_outside(&self) -> bool {
        ["client", "server"].contains(&self.name)
    }
}

/// The four pods, the client behind the ToR, the server behind the spine.
pub const ENDPOINTS: [Endpoint; 6] = [
    Endpoint { name: "pod1a", v4: "10.64.1.1", v6: "fd64:0:0:1::1" },
    Endpoint { name: "pod1b", v4: "10.64.1.2", v6: "fd64:0:0:1::2" },
    Endpoint { name: "pod2a", v4: "10.64.2.1", v6: "fd64:0:0:2::1" },
    Endpoint { name: "pod2b", v4: "10.64.2.2", v6: "fd64:0:0:2::2" },
    Endpoint { name: "client", v4: "172.31.1.10", v6: "fd31:1::10" },
    Endpoint { name: "server", v4: "172.31.2.10", v6: "fd31:2::10" },
];

/// Every pair that must reach each other, in both directions and families.
pub fn pairs() -> impl Iterator<Item = (Endpoint, Endpoint, Family)> {
    Family::ALL.into_iter().flat_map(|family| {
        ENDPOINTS.into_iter().flat_map(move |from| {
            ENDPOINTS.into_iter().filter(move |to| from.reaches(to)).map(move |to| (from, to, family))
        })
    })
}

/// The running fabric. The fields are dropped in this order: programs before the hosts they run in.
#[derive(Debug)]
pub struct Fabric {
    /// On host `node1`.
    pub node1: Manx,
    /// On host `node2`.
    pub node2: Manx,
    /// On host `tor`.
    pub tor: Bird,
    /// On host `spine`.
    pub spine: Gobgp,
    /// The hosts.
    pub lab: Lab,
}

impl Fabric {
    /// Builds the network and starts everything; sessions come up later ([`Fabric::ensure_converged`]).
    ///
    /// # Errors
    /// When a part does not start.
    pub fn start() -> Result<Self> {
        let lab = topology().build()?;
        let tor = Bird::start(lab.host("tor")?, tor_config())?;
        let spine = Gobgp::start(lab.host("spine")?, spine_config())?;
        spine.announce(&[net("172.31.2.0/24"), net("fd31:2::/64")])?;
        let node1 = Manx::launch(lab.host("node1")?, &manifests())?;
        let node2 = Manx::launch(lab.host("node2")?, &manifests())?;
        Ok(Self { node1, node2, tor, spine, lab })
    }

    /// Both nodes with their numbers.
    #[must_use]
    pub fn nodes(&self) -> [(usize, &Manx); 2] {
        [(1, &self.node1), (2, &self.node2)]
    }

    /// Fails unless every session is established and every node has the routes it should, over every uplink
    /// it should.
    ///
    /// # Errors
    /// What is missing first.
    pub fn ensure_converged(&self) -> Result<()> {
        for (number, node) in self.nodes() {
            for peer in routers(number) {
                node.ensure_established(peer)?;
            }
            node.ensure_in_sync()?;
            for (prefix, gateways) in expected_routes(number) {
                let host = self.lab.host(&format!("node{number}"))?;
                let routes = kernel::learned_routes(host, Family::of(prefix.addr()))?;
                let route = routes.iter().find(|route| route.destination == prefix);
                let present: Vec<IpAddr> =
                    route.map(|route| route.gateways().into_iter().collect()).unwrap_or_default();
                ensure!(present == gateways, "node{number}: {prefix} via {present:?}, wanted {gateways:?}");
            }
        }
        Ok(())
    }
}

/// The routers' addresses towards a node: ToR and spine, IPv4 and IPv6.
#[must_use]
pub fn routers(node: usize) -> [IpAddr; 4] {
    let address = |uplink: u8| ip(&format!("10.{uplink}.{node}.254"));
    let address6 = |uplink: u8| ip(&format!("fd0{uplink}:{node}::fe"));
    [address(1), address(2), address6(1), address6(2)]
}

/// What a node must have in its kernel: the other node's blocks over both uplinks, the outside networks over
/// the one that announces them.
#[must_use]
pub fn expected_routes(node: usize) -> Vec<(IpNet, Vec<IpAddr>)> {
    let other = if node == 1 { 2 } else { 1 };
    let [tor, spine, tor6, spine6] = routers(node);
    vec![
        (net(&format!("10.64.{other}.0/26")), vec![tor, spine]),
        (net(&format!("fd64:0:0:{other}::/122")), vec![tor6, spine6]),
        (net("172.31.1.0/24"), vec![tor]),
        (net("fd31:1::/64"), vec![tor6]),
        (net("172.31.2.0/24"), vec![spine]),
        (net("fd31:2::/64"), vec![spine6]),
    ]
}

/// The hosts and wires of the drawing.
#[must_use]
pub fn topology() -> Topology {
    let mut topology = Topology::new();
    for host in ["node1", "node2", "tor", "spine", "client", "server"] {
        topology = topology.host(host);
    }
    for node in [1, 2] {
        let name = format!("node{node}");
        for (uplink, router) in [(1, "tor"), (2, "spine")] {
            let at = |host: u8, host6: &str| {
                [format!("10.{uplink}.{node}.{host}/24"), format!("fd0{uplink}:{node}::{host6}/64")]
            };
            let (near, far) = (at(1, "1"), at(254, "fe"));
            topology = topology.link(
                end(&name, router, &near.each_ref().map(String::as_str)),
                end(router, &name, &far.each_ref().map(String::as_str)),
            );
            if router == "spine" {
                // GoBGP writes no kernel routes (that would take zebra), so its host gets static ones.
                topology = topology
                    .route(router, &format!("10.64.{node}.0/26 via 10.2.{node}.1"))
                    .route(router, &format!("fd64:0:0:{node}::/122 via fd02:{node}::1"));
            }
        }
        topology = topology.addresses(end(
            &name,
            "lo",
            &[&format!("10.10.0.{node}/32"), &format!("fd10::{node}/128")],
        ));
    }
    for (outside, router, number) in [("client", "tor", 1), ("server", "spine", 2)] {
        let at = |host: &str| [format!("172.31.{number}.{host}/24"), format!("fd31:{number}::{host}/64")];
        let (near, far) = (at("10"), at("254"));
        topology = topology
            .link(
                end(outside, "eth0", &near.each_ref().map(String::as_str)),
                end(router, outside, &far.each_ref().map(String::as_str)),
            )
            .route(outside, &format!("default via 172.31.{number}.254"))
            .route(outside, &format!("::/0 via fd31:{number}::254"));
    }
    for pod in ENDPOINTS.iter().filter(|endpoint| !endpoint.is_outside()) {
        let node = if pod.name.starts_with("pod1") { "node1" } else { "node2" };
        topology = topology.pod(pod.name, node, &[pod.v4, pod.v6]);
    }
    topology
}

/// What both nodes are told; they differ only in their names, as in a cluster.
#[must_use]
pub fn manifests() -> Vec<Manifest> {
    let mut all = vec![
        Manifest::bgp_configuration(false, 64512),
        Manifest::ip_pool("pool4", "10.64.0.0/16"),
        Manifest::ip_pool("pool6", "fd64::/48"),
    ];
    for (number, as_number) in (1..).zip(NODE_AS) {
        let name = format!("node{number}");
        let addresses = [format!("10.10.0.{number}/32"), format!("fd10::{number}/128")];
        all.push(Manifest::node(&name, &addresses.each_ref().map(String::as_str), Some(as_number), &[]));
        for block in [format!("10.64.{number}.0/26"), format!("fd64:0:0:{number}::/122")] {
            all.push(Manifest::block_affinity(&name, &block));
        }
        let uplinks = [("tor", TOR_AS), ("spine", SPINE_AS), ("tor-v6", TOR_AS), ("spine-v6", SPINE_AS)];
        for (address, (router, remote_as)) in routers(number).into_iter().zip(uplinks) {
            let peer = Manifest::bgp_peer(&format!("{name}-{router}"), &address.to_string(), remote_as)
                .with("node", name.as_str())
                .with("sourceAddress", "None")
                .with("holdTime", "9s")
                .with("connectRetryTime", "1s");
            all.push(peer);
        }
    }
    all
}

/// A router's sessions to both nodes over its uplink (1 the ToR's, 2 the spine's).
fn neighbors(uplink: u8) -> Vec<Neighbor> {
    let mut all = Vec::new();
    for (number, remote_as) in (1..).zip(NODE_AS) {
        let [tor, spine, tor6, spine6] = routers(number);
        let (local, local6) = if uplink == 1 { (tor, tor6) } else { (spine, spine6) };
        let near = ip(&format!("10.{uplink}.{number}.1"));
        let near6 = ip(&format!("fd0{uplink}:{number}::1"));
        all.push(Neighbor::new(&format!("node{number}"), local, near, remote_as));
        all.push(Neighbor::new(&format!("node{number}v6"), local6, near6, remote_as));
    }
    all
}

fn tor_config() -> BirdConfig {
    BirdConfig {
        router_id: [10, 1, 1, 254].into(),
        local_as: TOR_AS,
        neighbors: neighbors(1),
        announce: vec![net("172.31.1.0/24"), net("fd31:1::/64")],
        kernel: true,
    }
}

fn spine_config() -> GobgpConfig {
    GobgpConfig { router_id: [10, 2, 1, 254].into(), local_as: SPINE_AS, neighbors: neighbors(2) }
}
