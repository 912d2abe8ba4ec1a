//! A cluster without any BGPPeer: Calico's default mesh on one layer 2 segment. Two nodes run manx, one runs
//! BIRD and one GoBGP, each configured as a mesh node of that kind would be.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use interop_tests::speaker::Neighbor;
use interop_tests::speaker::bird::BirdConfig;
use interop_tests::speaker::gobgp::GobgpConfig;
use interop_tests::{
    Bird, Family, Gobgp, Lab, Manifest, Manx, Ping, Topology, can_run, end, ip, kernel, net, reach, secs,
};

/// Calico's default.
const CLUSTER_AS: u32 = 64512;
/// What own blocks carry on iBGP: 2³¹−1 minus the normal route priority 1024.
const LOCAL_PREF: u32 = 2_147_482_623;

fn v4(node: u8) -> String {
    format!("10.3.0.{node}")
}

fn v6(node: u8) -> String {
    format!("fd03::{node}")
}

fn blocks(node: u8) -> [String; 2] {
    [format!("10.64.{node}.0/26"), format!("fd64:0:0:{node}::/122")]
}

fn manifests() -> Vec<Manifest> {
    let mut all = vec![Manifest::ip_pool("pool4", "10.64.0.0/16"), Manifest::ip_pool("pool6", "fd64::/48")];
    for node in 1..=4 {
        let addresses = [format!("{}/24", v4(node)), format!("{}/64", v6(node))];
        all.push(Manifest::node(
            &format!("node{node}"),
            &addresses.each_ref().map(String::as_str),
            None,
            &[],
        ));
    }
    for node in 1..=2 {
        all.extend(blocks(node).iter().map(|cidr| Manifest::block_affinity(&format!("node{node}"), cidr)));
    }
    all
}

/// Sessions of a foreign node to the three others, named `mesh<node>` and `mesh<node>v6`.
fn mesh(of: u8) -> Vec<Neighbor> {
    (1..=4)
        .filter(|&node| node != of)
        .flat_map(|node| {
            [
                Neighbor::new(&format!("mesh{node}"), ip(&v4(of)), ip(&v4(node)), CLUSTER_AS),
                Neighbor::new(&format!("mesh{node}v6"), ip(&v6(of)), ip(&v6(node)), CLUSTER_AS),
            ]
        })
        .collect()
}

fn build() -> Result<Lab> {
    let mut topology = Topology::new();
    let mut ends = Vec::new();
    for node in 1..=4 {
        let name = format!("node{node}");
        ends.push(end(&name, "eth0", &[&format!("{}/24", v4(node)), &format!("{}/64", v6(node))]));
        topology = topology.host(&name);
    }
    topology
        .segment("switch", ends)
        .pod("pod1", "node1", &["10.64.1.1", "fd64:0:0:1::1"])
        .pod("pod2", "node2", &["10.64.2.1", "fd64:0:0:2::1"])
        .build()
}

#[test]
fn mesh_of_manx_bird_and_gobgp() -> Result<()> {
    if !can_run("mesh_of_manx_bird_and_gobgp") {
        return Ok(());
    }
    let lab = build()?;
    let config = BirdConfig {
        router_id: v4(3).parse()?,
        local_as: CLUSTER_AS,
        neighbors: mesh(3),
        announce: blocks(3).iter().map(|block| net(block)).collect(),
        kernel: true,
    };
    let bird = Bird::start(lab.host("node3")?, config)?;
    let gobgp = Gobgp::start(
        lab.host("node4")?,
        GobgpConfig { router_id: v4(4).parse()?, local_as: CLUSTER_AS, neighbors: mesh(4) },
    )?;
    gobgp.announce(&blocks(4).map(|block| net(&block)))?;
    let one = Manx::launch(lab.host("node1")?, &manifests())?;
    let two = Manx::launch(lab.host("node2")?, &manifests())?;

    lab.wait_until("every node has every other node's blocks, over that node", secs(30), || {
        for (number, manx) in [(1_u8, &one), (2, &two)] {
            for other in (1..=4).filter(|&other| other != number) {
                manx.ensure_established(ip(&v4(other)))?;
                manx.ensure_established(ip(&v6(other)))?;
                for (family, (block, gateway)) in
                    Family::ALL.into_iter().zip(blocks(other).into_iter().zip([v4(other), v6(other)]))
                {
                    let routes = kernel::learned_routes(lab.host(&format!("node{number}"))?, family)?;
                    let route = routes.iter().find(|route| route.destination == net(&block));
                    let gateways = route.map(kernel::KernelRoute::gateways).unwrap_or_default();
                    ensure!(gateways == BTreeSet::from([ip(&gateway)]), "node{number} {block}: {route:?}");
                }
            }
        }
        Ok(())
    })?;

    ensure_foreign_nodes_agree(&lab, &bird, &gobgp)?;

    let (pod1, pod2) = (lab.host("pod1")?, lab.host("pod2")?);
    for (from, to) in [("10.64.1.1", "10.64.2.1"), ("fd64:0:0:1::1", "fd64:0:0:2::1")] {
        Ping::start(pod1, ip(to), Duration::from_millis(20))?.ensure_nothing_lost()?;
        assert_eq!(reach::source_seen(pod1, pod2, ip(to))?, ip(from), "no address translation");
    }
    Ok(())
}

/// BIRD and GoBGP have from each manx exactly that node's blocks (nothing is passed on over iBGP, RFC 4271
/// §9.2.1), with an empty AS path and Calico's LOCAL_PREF.
fn ensure_foreign_nodes_agree(lab: &Lab, bird: &Bird, gobgp: &Gobgp) -> Result<()> {
    lab.wait_until("BIRD and GoBGP have exactly each node's blocks from it", secs(10), || {
        for node in 1..=2 {
            let sides = [(v4(node), format!("mesh{node}")), (v6(node), format!("mesh{node}v6"))];
            for ((family, block), (address, session)) in Family::ALL.into_iter().zip(blocks(node)).zip(sides)
            {
                let at_bird = bird.routes_from(&session, family)?;
                ensure!(at_bird.keys().eq([&net(&block)]), "BIRD from {session}: {at_bird:?}");
                for route in at_bird.values() {
                    let attribute = |name: &str| route.attributes.get(name).map_or("", String::as_str);
                    ensure!(attribute("local_pref") == LOCAL_PREF.to_string(), "{route:?}");
                    ensure!(attribute("as_path").is_empty(), "{route:?}");
                    ensure!(attribute("next_hop").split_whitespace().next() == Some(&address), "{route:?}");
                }
                let at_gobgp = gobgp.routes_from(ip(&address), family)?;
                ensure!(at_gobgp.keys().eq([&net(&block)]), "GoBGP from {address}: {at_gobgp:?}");
                for path in at_gobgp.values() {
                    let seen = (path.local_pref, path.as_path.as_slice(), path.next_hop);
                    ensure!(seen == (Some(LOCAL_PREF), &[], Some(ip(&address))), "{path:?}");
                }
            }
        }
        Ok(())
    })
}
