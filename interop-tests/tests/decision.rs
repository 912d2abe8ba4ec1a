//! What is chosen and how it is reached, between two FRR ToRs and a second node behind both: weights from link
//! bandwidth, next hops on loopbacks that BGP itself announces, and the kernel's metrics as their cost.
//!
//! ```text
//!   tor1 (FRR, AS 65001)        tor2 (FRR, AS 65002)
//!     │10.1.1.0/24 └10.1.2.0/24┐  │10.2.1.0/24 └10.2.2.0/24┐
//!   node1 (manx, AS 64601, lo 10.10.0.1)        node2 (BIRD, AS 64601, lo 10.10.0.2)
//! ```
//! node1 and node2 speak iBGP between their loopbacks, so node1 needs what the ToRs announce to have that session at
//! all, and again to use what comes over it.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use anyhow::{Context, Result, ensure};
use interop_tests::kernel::PROTOCOL_MANX;
use interop_tests::speaker::Neighbor;
use interop_tests::speaker::bird::BirdConfig;
use interop_tests::speaker::frr::{Frr, FrrConfig};
use interop_tests::{Bird, Lab, Manifest, Manx, RouteMonitor, Topology, can_run, end, ip, net, secs};
use serde_json::Value;

const NODE_AS: u32 = 64601;
const SHARED: &str = "172.31.0.0/24";
const LOOPBACK: &str = "10.10.0.2/32";
const BLOCK: &str = "10.64.2.0/26";
const FAR: &str = "172.31.9.0/24";

fn tor(number: u32) -> String {
    format!("10.{number}.1.254")
}

fn build() -> Result<Lab> {
    let mut topology = Topology::new().host("node1").host("node2").host("tor1").host("tor2");
    for tor in ["1", "2"] {
        for node in ["1", "2"] {
            let near = format!("10.{tor}.{node}.1/24");
            let far = format!("10.{tor}.{node}.254/24");
            topology = topology.link(
                end(&format!("node{node}"), &format!("tor{tor}"), &[&near]),
                end(&format!("tor{tor}"), &format!("node{node}"), &[&far]),
            );
            topology =
                topology.route(&format!("tor{tor}"), &format!("10.10.0.{node}/32 via 10.{tor}.{node}.1"));
        }
    }
    for node in ["1", "2"] {
        topology = topology.addresses(end(&format!("node{node}"), "lo", &[&format!("10.10.0.{node}/32")]));
    }
    topology
        .route("node2", "10.10.0.1/32 via 10.1.2.254")
        // How far the next hops of FAR are from node1.
        .route("node1", "198.51.100.1/32 via 10.1.1.254 metric 10")
        .route("node1", "198.51.100.2/32 via 10.2.1.254 metric 20")
        .build()
}

/// Announces SHARED with a bandwidth, FAR with a next hop of its own, and node2's loopback.
fn start_tor(lab: &Lab, number: u32, mbps: u32) -> Result<Frr> {
    let session = Neighbor::new("node1", ip(&tor(number)), ip(&format!("10.{number}.1.1")), NODE_AS);
    let lines = [
        format!("ip prefix-list shared permit {SHARED}"),
        format!("ip prefix-list far permit {FAR}"),
        "route-map out permit 10".to_owned(),
        " match ip address prefix-list shared".to_owned(),
        format!(" set extcommunity bandwidth {mbps}"),
        "route-map out permit 20".to_owned(),
        " match ip address prefix-list far".to_owned(),
        format!(" set ip next-hop 198.51.100.{number}"),
        "route-map out permit 30".to_owned(),
        "exit".to_owned(),
    ];
    let config = FrrConfig {
        router_id: [10, 0, 0, u8::try_from(number)?].into(),
        local_as: 65000 + number,
        neighbors: vec![session.frr_family_option("route-map out out")],
        announce: [SHARED, LOOPBACK, FAR].map(net).to_vec(),
        kernel: false,
        lines: Vec::new(),
        global_lines: lines.to_vec(),
    };
    Frr::start(lab.host(&format!("tor{number}"))?, config)
}

fn tor_peer(number: u32) -> Manifest {
    Manifest::bgp_peer(&format!("tor{number}"), &tor(number), 65000 + number)
        .with("sourceAddress", "None")
        .with("holdTime", "9s")
        .with("connectRetryTime", "1s")
}

fn manifests() -> Vec<Manifest> {
    let node2 = Manifest::bgp_peer("node2", "10.10.0.2", NODE_AS)
        .with("holdTime", "9s")
        .with("connectRetryTime", "1s");
    vec![
        Manifest::bgp_configuration(false, 64512),
        Manifest::node("node1", &["10.10.0.1/32"], Some(NODE_AS), &[]),
        tor_peer(1),
        tor_peer(2),
        node2,
    ]
}

/// Gateways and weights of a route of manx's, as `ip -j` has them; weight 0 for a single next hop.
fn ways(lab: &Lab, prefix: &str) -> Result<Vec<(String, u64)>> {
    let exact = prefix.strip_suffix("/32").unwrap_or(prefix);
    let text = lab.host("node1")?.run(&["ip", "-N", "-j", "route", "show", "exact", exact])?;
    let routes: Vec<Value> = serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text })?;
    let number = PROTOCOL_MANX.to_string();
    let ours = |route: &&Value| route["protocol"] == number.as_str();
    let route = routes.iter().find(ours).with_context(|| format!("no {prefix}: {routes:?}"))?;
    let gateway = |hop: &Value| hop["gateway"].as_str().unwrap_or_default().to_owned();
    let mut ways: Vec<_> = match route["nexthops"].as_array() {
        Some(hops) => {
            hops.iter().map(|hop| (gateway(hop), hop["weight"].as_u64().unwrap_or_default())).collect()
        }
        None => vec![(gateway(route), 0)],
    };
    ways.sort();
    Ok(ways)
}

fn ensure_ways(lab: &Lab, prefix: &str, expected: &[(u32, u64)]) -> Result<()> {
    let expected: Vec<_> = expected.iter().map(|(number, weight)| (tor(*number), *weight)).collect();
    let found = ways(lab, prefix)?;
    ensure!(found == expected, "{prefix} goes {found:?}, not {expected:?}");
    Ok(())
}

/// How often each session was lost.
fn flaps(manx: &Manx) -> Result<Vec<Value>> {
    let document: Value = serde_json::from_str(&manx.command_line(&["peers", "-o", "json"])?)?;
    let peers = document["peers"].as_array().context("no peers")?;
    Ok(peers.iter().map(|peer| peer["flaps"].clone()).collect())
}

/// `manx explain route` tells the whole story of node2's block: one path, which resolves through the loopback that
/// both ToRs announce, and goes on to both of them.
fn ensure_explained(manx: &Manx) -> Result<()> {
    let document: Value =
        serde_json::from_str(&manx.command_line(&["explain", "route", BLOCK, "-o", "json"])?)?;
    let path = &document["paths"][0];
    ensure!(path["best"] == true && path["import_rule"].is_null(), "{path}");
    let hop = &path["resolution"];
    ensure!(hop["address"] == "10.10.0.2" && hop["cost"] == 1024, "{hop}");
    let through: Vec<_> = hop["through"].as_array().into_iter().flatten().map(|one| &one["prefix"]).collect();
    ensure!(through[0] == LOOPBACK && through.len() == 2, "{hop}");
    ensure!(document["kernel"]["state"] == "installed", "{document}");
    let fate = |peer: &str| {
        let exports = document["exports"].as_array().into_iter().flatten();
        exports
            .filter(|export| export["peer"] == format!("bgppeer/{peer}"))
            .map(|export| &export["reason"])
            .next()
    };
    ensure!(fate("node2").context("node2")? == "the best path came from it", "{document}");
    ensure!(fate("tor1").context("tor1")? == "advertised", "{document}");

    // The better next hop of FAR, and the text for people.
    let text = manx.command_line(&["explain", "route", FAR])?;
    for line in [
        "decision  lost to bgppeer/tor1: next hop is farther",
        "next hop  198.51.100.2 through 198.51.100.2/32 (boot): 10.2.1.254 dev tor2, cost 20",
        "installed: 10.1.1.254 dev tor1 metric 1024",
    ] {
        ensure!(text.contains(line), "no '{line}' in\n{text}");
    }
    Ok(())
}

#[test]
fn weights_recursion_and_cost_between_two_tors() -> Result<()> {
    if !can_run("weights_recursion_and_cost_between_two_tors") {
        return Ok(());
    }
    let lab = build()?;
    let tor1 = start_tor(&lab, 1, 1000)?;
    let _tor2 = start_tor(&lab, 2, 4000)?;
    let _bird = Bird::start(
        lab.host("node2")?,
        BirdConfig {
            router_id: [10, 10, 0, 2].into(),
            local_as: NODE_AS,
            neighbors: vec![Neighbor::new("node1", ip("10.10.0.2"), ip("10.10.0.1"), NODE_AS)],
            announce: vec![net(BLOCK)],
            kernel: false,
        },
    )?;
    let mut manx = Manx::launch(lab.host("node1")?, &manifests())?;

    lab.wait_until("the bandwidths are the weights", secs(30), || {
        ensure_ways(&lab, SHARED, &[(1, 1), (2, 4)])
    })?;
    lab.wait_until("node2's block goes as its loopback goes", secs(30), || {
        ensure_ways(&lab, LOOPBACK, &[(1, 1), (2, 1)])?;
        ensure_ways(&lab, BLOCK, &[(1, 1), (2, 1)])
    })?;
    lab.wait_until("the nearer next hop wins", secs(10), || ensure_ways(&lab, FAR, &[(1, 0)]))?;

    ensure_explained(&manx)?;

    // A daemon that dies and comes back writes nothing, though the block is heard before what it resolves through.
    lab.wait_until("in sync", secs(70), || manx.ensure_in_sync())?;
    let monitor = RouteMonitor::start(lab.host("node1")?)?;
    manx.kill()?;
    manx.start()?;
    lab.wait_until("BGP is in sync again", secs(70), || {
        let status: Value = serde_json::from_str(&manx.command_line(&["status", "-o", "json"])?)?;
        ensure!(status["bgp_in_sync"] == true, "{status}");
        manx.ensure_established(ip("10.10.0.2"))?;
        ensure_ways(&lab, BLOCK, &[(1, 1), (2, 1)])
    })?;
    let mark = format!("proto {PROTOCOL_MANX} ");
    let touched: Vec<_> =
        monitor.stop()?.into_iter().filter(|event| format!("{} ", event.line).contains(&mark)).collect();
    ensure!(touched.is_empty(), "a restart is no flap: {touched:#?}");

    // The cost changes in the kernel, and with it the best path.
    lab.host("node1")?.run(&["ip", "route", "add", "198.51.100.2/32", "via", "10.2.1.254", "metric", "5"])?;
    lab.wait_until("the other next hop is nearer now", secs(10), || ensure_ways(&lab, FAR, &[(2, 0)]))?;

    // The link's bandwidth is ours to say, and no session notices.
    let before = flaps(&manx)?;
    manx.apply(&tor_peer(1).with("linkBandwidth", "40Gbps"))?;
    manx.apply(&tor_peer(2).with("linkBandwidth", "10Gbps"))?;
    lab.wait_until("our bandwidths are the weights", secs(10), || {
        ensure_ways(&lab, SHARED, &[(1, 4), (2, 1)])
    })?;
    // The loopback is announced without one, and gets one too; what resolves through it inherits that.
    lab.wait_until("the block goes by the same weights", secs(10), || {
        ensure_ways(&lab, BLOCK, &[(1, 4), (2, 1)])
    })?;

    // The loopback goes by one ToR, and everything behind it.
    tor1.withdraw(&[net(LOOPBACK)])?;
    lab.wait_until("the block follows", secs(10), || {
        ensure_ways(&lab, LOOPBACK, &[(2, 0)])?;
        ensure_ways(&lab, BLOCK, &[(2, 0)])
    })?;
    ensure!(flaps(&manx)? == before, "a session went down");
    Ok(())
}

/// The peer is a loopback of tor1's that nothing else leads to: BGPPeer.reachableBy does, before the first attempt to
/// connect (the next would come after a minute), and no longer than the peer is there.
#[test]
fn a_peer_behind_its_gateway() -> Result<()> {
    if !can_run("a_peer_behind_its_gateway") {
        return Ok(());
    }
    let lab = build()?;
    lab.host("tor1")?.run(&["ip", "address", "add", "192.0.2.77/32", "dev", "lo"])?;
    let session = Neighbor::new("node1", ip("192.0.2.77"), ip("10.1.1.1"), NODE_AS)
        .bird_option("multihop 2")
        .bird_option("passive");
    let config = BirdConfig {
        router_id: [10, 0, 0, 1].into(),
        local_as: 65001,
        neighbors: vec![session],
        announce: vec![net(SHARED)],
        kernel: false,
    };
    let _bird = Bird::start(lab.host("tor1")?, config)?;
    let peer = Manifest::bgp_peer("tor", "192.0.2.77", 65001)
        .with("sourceAddress", "None")
        .with("connectRetryTime", "60s")
        .with("reachableBy", tor(1));
    let node = Manifest::node("node1", &["10.10.0.1/32"], Some(NODE_AS), &[]);
    let manx =
        Manx::launch(lab.host("node1")?, &[Manifest::bgp_configuration(false, 64512), node, peer.clone()])?;
    lab.wait_until("the session is up at the first attempt", secs(20), || {
        manx.ensure_established(ip("192.0.2.77")).map(drop)
    })?;
    lab.wait_until("what it announces goes by the gateway", secs(10), || {
        ensure_ways(&lab, "192.0.2.77/32", &[(1, 0)])?;
        ensure_ways(&lab, SHARED, &[(1, 0)])
    })?;
    manx.remove_manifest(&peer.file_name())?;
    lab.wait_until("the route goes with the peer", secs(20), || {
        ensure!(ways(&lab, "192.0.2.77/32").is_err(), "it is still there");
        Ok(())
    })
}
