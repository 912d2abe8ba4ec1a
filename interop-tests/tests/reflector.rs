//! A mesh of three nodes becomes a star around a route reflector and a mesh again, by manifests alone and in the
//! order that docs/manifests.md gives, while pods talk to each other.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use anyhow::{Result, ensure};
use interop_tests::speaker::manx::PathView;
use interop_tests::{Lab, Manifest, Manx, Ping, Topology, can_run, end, ip, net, secs};
use serde_json::json;

const NODES: [u8; 3] = [1, 2, 3];

fn block(node: u8, is_ipv6: bool) -> String {
    if is_ipv6 { format!("fd64:0:0:{node}::/122") } else { format!("10.64.{node}.0/26") }
}

fn address(node: u8) -> String {
    format!("10.3.0.{node}")
}

fn build() -> Result<Lab> {
    let mut topology = Topology::new();
    let mut ends = Vec::new();
    for node in NODES {
        let name = format!("node{node}");
        let (v4, v6) = (format!("{}/24", address(node)), format!("fd03::{node}/64"));
        ends.push(end(&name, "eth0", &[&v4, &v6]));
        topology = topology.host(&name);
    }
    topology = topology.segment("switch", ends);
    for node in NODES {
        let (v4, v6) = (format!("10.64.{node}.1"), format!("fd64:0:0:{node}::1"));
        topology = topology.pod(&format!("pod{node}"), &format!("node{node}"), &[&v4, &v6]);
    }
    topology.build()
}

fn manifests() -> Vec<Manifest> {
    let mut all = vec![
        Manifest::ip_pool("pool4", "10.64.0.0/16"),
        Manifest::ip_pool("pool6", "fd64::/48"),
        Manifest::bgp_configuration(true, 64512),
    ];
    for node in NODES {
        let name = format!("node{node}");
        if node != 3 {
            let addresses = [format!("{}/24", address(node)), format!("fd03::{node}/64")];
            all.push(Manifest::node(&name, &addresses.each_ref().map(String::as_str), None, &[]));
        }
        all.extend([false, true].map(|is_ipv6| Manifest::block_affinity(&name, &block(node, is_ipv6))));
    }
    all
}

/// Node 3, which carries the label that makes it the others' peer, and may be a reflector.
fn node3(cluster: &str) -> String {
    format!(
        "apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {{name: node3, labels: {{rr: \"yes\"}}}}\nspec:\n  \
         bgp: {{ipv4Address: 10.3.0.3/24, ipv6Address: 'fd03::3/64'{cluster}}}\n"
    )
}

const REFLECTS: &str = ", routeReflectorClusterID: 244.0.0.1";
const PEER: &str = "apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: rr}\n\
                    spec: {nodeSelector: '!has(rr)', peerSelector: has(rr)}\n";

struct Cluster {
    nodes: Vec<Manx>,
    lab: Lab,
}

impl Cluster {
    /// The same change on every node, one after the other, as a store would bring it.
    fn write(&self, file: &str, text: &str) -> Result<()> {
        self.nodes.iter().try_for_each(|manx| manx.write_manifest(file, text))
    }

    fn apply(&self, manifest: &Manifest) -> Result<()> {
        self.nodes.iter().try_for_each(|manx| manx.apply(manifest))
    }

    /// What node 1 and node 2 have of each other's IPv4 and IPv6 blocks.
    fn ensure_paths(&self, what: &str, is_so: impl Fn(&[PathView]) -> bool) -> Result<()> {
        self.lab.wait_until(what, secs(20), || {
            for (manx, other) in self.nodes.iter().zip([2, 1]) {
                for is_ipv6 in [false, true] {
                    let paths = manx.paths(net(&block(other, is_ipv6)))?;
                    ensure!(is_so(&paths), "{paths:?}");
                }
            }
            Ok(())
        })
    }

    /// The sessions of node 1, none of which was lost.
    fn ensure_sessions(&self, expected: &[&str]) -> Result<()> {
        self.lab.wait_until(&format!("node 1 has {expected:?}"), secs(20), || {
            let peers = self.nodes[0].peers()?;
            let mut names = Vec::new();
            for peer in peers.values() {
                ensure!(peer.state == "established" && peer.rest.get("flaps") == Some(&json!(0)), "{peer:?}");
                names.push(peer.name.clone());
            }
            names.sort();
            ensure!(names == expected, "{names:?}");
            Ok(())
        })
    }
}

fn is_reflected(path: &PathView) -> bool {
    path.rest.get("cluster_list") == Some(&json!(["244.0.0.1"]))
}

#[test]
fn a_mesh_becomes_a_star_and_a_mesh_again_without_a_lost_packet() -> Result<()> {
    if !can_run("a_mesh_becomes_a_star_and_a_mesh_again_without_a_lost_packet") {
        return Ok(());
    }
    let lab = build()?;
    let nodes = NODES.map(|node| -> Result<Manx> {
        let manx = Manx::prepare(lab.host(&format!("node{node}"))?)?;
        manx.write_manifest("node3.yaml", &node3(""))?;
        manx.apply_all(&manifests())?;
        Ok(manx)
    });
    let mut cluster = Cluster { nodes: nodes.into_iter().collect::<Result<_>>()?, lab };
    cluster.nodes.iter_mut().try_for_each(Manx::start)?;
    let mesh = ["mesh/node2", "mesh/node2/ipv6", "mesh/node3", "mesh/node3/ipv6"];
    cluster.ensure_sessions(&mesh)?;
    cluster.ensure_paths("the mesh has converged", |paths| paths.len() == 1 && paths[0].best)?;
    let mut pings = Vec::new();
    for (from, to) in [(1, 2), (2, 1), (1, 3), (3, 2)] {
        for target in [format!("10.64.{to}.1"), format!("fd64:0:0:{to}::1")] {
            let host = cluster.lab.host(&format!("pod{from}"))?;
            pings.push(Ping::start(host, ip(&target), Duration::from_millis(15))?);
        }
    }

    // First who is going to peer with whom, then the reflector, and the mesh goes last.
    cluster.write("rr.yaml", PEER)?;
    let both = ["bgppeer/rr/node3", "bgppeer/rr/node3/ipv6", "mesh/node2", "mesh/node2/ipv6"];
    cluster.ensure_sessions(&both)?;
    cluster.write("node3.yaml", &node3(REFLECTS))?;
    cluster.ensure_paths("blocks are reflected too", |paths| {
        paths.iter().any(is_reflected) && paths.len() == 2
    })?;
    cluster.ensure_sessions(&both)?;
    cluster.apply(&Manifest::bgp_configuration(false, 64512))?;
    cluster.ensure_sessions(&both[..2])?;
    cluster.ensure_paths("blocks are reflected only", |paths| {
        paths.len() == 1 && paths[0].best && is_reflected(&paths[0])
    })?;
    for ping in &pings {
        ping.ensure_nothing_lost()?;
    }

    // A mesh of the clients without reflection between them, and back to where it began.
    cluster.apply(&Manifest::bgp_configuration(true, 64512))?;
    cluster.ensure_sessions(&both)?;
    cluster.ensure_paths("blocks come both ways", |paths| paths.len() == 2)?;
    cluster.apply(&Manifest::bgp_configuration(true, 64512).with("clientToClientReflection", false))?;
    cluster.ensure_paths("clients hear each other only themselves", |paths| {
        paths.len() == 1 && paths[0].best && !is_reflected(&paths[0])
    })?;
    cluster.write("node3.yaml", &node3(""))?;
    cluster.nodes.iter().try_for_each(|manx| manx.remove_manifest("rr.yaml"))?;
    cluster.ensure_sessions(&mesh)?;
    for ping in &pings {
        ping.ensure_nothing_lost()?;
    }
    Ok(())
}
