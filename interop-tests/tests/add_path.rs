//! Several paths of one prefix (RFC 7911) between real speakers, and what they are for: two reflectors, of which
//! one may be lost without any node noticing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Result, ensure};
use interop_tests::kernel::{self, KernelRoute, PROTOCOL_MANX};
use interop_tests::speaker::Neighbor;
use interop_tests::speaker::bird::BirdConfig;
use interop_tests::speaker::gobgp::GobgpConfig;
use interop_tests::{
    Bird, Family, Gobgp, Lab, Manifest, Manx, RouteMonitor, Topology, can_run, end, ip, net, secs,
};
use serde_json::{Value, json};

/// Announced in more than one place; inside the pools, because a node passes on nothing else.
const ANYCAST: [&str; 2] = ["10.64.200.9/32", "fd64:0:0:c8::9/128"];

/// Hosts on one segment, numbered from 1: `10.5.0.N` and `fd05::N`.
fn segment(hosts: &[&str]) -> Result<Lab> {
    let mut topology = Topology::new();
    let mut ends = Vec::new();
    for (name, number) in hosts.iter().zip(1..) {
        topology = topology.host(name);
        let addresses = address(number).map(|address| format!("{address}/{}", prefix_len(address)));
        ends.push(end(name, "eth0", &addresses.each_ref().map(String::as_str)));
    }
    topology.segment("switch", ends).build()
}

/// Of the host of this number, IPv4 and IPv6.
fn address(number: u8) -> [IpAddr; 2] {
    [ip(&format!("10.5.0.{number}")), ip(&format!("fd05::{number:x}"))]
}

fn prefix_len(address: IpAddr) -> u8 {
    if address.is_ipv4() { 24 } else { 64 }
}

/// One session per family between two hosts, as the first is configured with it: `node3v4`, `node3v6`.
fn sessions(local: u8, remote: u8, remote_as: u32) -> [Neighbor; 2] {
    [0, 1].map(|family| {
        let name = format!("node{remote}v{}", if family == 0 { 4 } else { 6 });
        Neighbor::new(&name, address(local)[family], address(remote)[family], remote_as)
    })
}

fn bird(lab: &Lab, (host, number): (&str, u8), local_as: u32, neighbors: Vec<Neighbor>) -> Result<Bird> {
    // Only the edges announce anything: those that have no session with several paths.
    let is_edge = neighbors.iter().all(|neighbor| !neighbor.add_paths) || local_as == CLUSTER_AS;
    let config = BirdConfig {
        router_id: [10, 5, 0, number].into(),
        local_as,
        neighbors,
        announce: ANYCAST.iter().filter(|_| is_edge).map(|prefix| net(prefix)).collect(),
        kernel: false,
    };
    Bird::start(lab.host(host)?, config)
}

/// Calico's default.
const CLUSTER_AS: u32 = 64512;
const NODE_AS: u32 = 64601;
const ROUTER_AS: u32 = 65001;
const FAR_AS: u32 = 65002;
const SPINE_AS: u32 = 65003;
const LEFT_AS: u32 = 65011;
const RIGHT_AS: u32 = 65012;

/// AS paths of the routes that a BIRD has from a session for a prefix.
fn as_paths(bird: &Bird, session: &str, index: usize) -> Result<BTreeSet<String>> {
    let routes = bird.routes(Family::ALL[index])?.into_iter();
    let from = routes.filter(|(prefix, route)| *prefix == net(ANYCAST[index]) && route.source == session);
    Ok(from.filter_map(|(_, route)| route.attributes.get("as_path").cloned()).collect())
}

/// Left and right announce a prefix to a BIRD and a GoBGP; both send both paths to manx, and manx all four to
/// another BIRD. Then left is gone, and is back.
#[test]
fn rfc7911_bird_and_gobgp_both_ways() -> Result<()> {
    if !can_run("rfc7911_bird_and_gobgp_both_ways") {
        return Ok(());
    }
    let lab = segment(&["left", "right", "router", "spine", "node1", "far"])?;
    let edge = |own: u8| [sessions(own, 3, ROUTER_AS), sessions(own, 4, SPINE_AS)].concat();
    let mut left = bird(&lab, ("left", 1), LEFT_AS, edge(1))?;
    let _right = bird(&lab, ("right", 2), RIGHT_AS, edge(2))?;
    let several = |neighbors: [Neighbor; 2]| neighbors.map(Neighbor::add_paths);
    let inner = |own: u8| {
        let edges = [sessions(own, 1, LEFT_AS), sessions(own, 2, RIGHT_AS)].concat();
        [edges, several(sessions(own, 5, NODE_AS)).to_vec()].concat()
    };
    let router = bird(&lab, ("router", 3), ROUTER_AS, inner(3))?;
    let spine = GobgpConfig { router_id: [10, 5, 0, 4].into(), local_as: SPINE_AS, neighbors: inner(4) };
    let spine = Gobgp::start(lab.host("spine")?, spine)?;
    let far = bird(&lab, ("far", 6), FAR_AS, several(sessions(6, 5, NODE_AS)).to_vec())?;
    let mut manifests = vec![
        Manifest::node("node1", &["10.5.0.5/24", "fd05::5/64"], Some(NODE_AS), &[]),
        Manifest::bgp_configuration(false, 64512),
    ];
    for (name, number, asn) in [("router", 3, ROUTER_AS), ("spine", 4, SPINE_AS), ("far", 6, FAR_AS)] {
        for (address, family) in address(number).iter().zip(["v4", "v6"]) {
            manifests.push(Manifest::bgp_peer(&format!("{name}{family}"), &address.to_string(), asn));
        }
    }
    let manx = Manx::launch(lab.host("node1")?, &manifests)?;

    let expect = |what: &str, edges: &[u32], gateways: &[u8]| {
        lab.wait_until(what, secs(30), || {
            for (index, family) in Family::ALL.into_iter().enumerate() {
                let paths = |of: &[u32]| -> BTreeSet<String> {
                    let pairs = of.iter().flat_map(|via| edges.iter().map(move |edge| (via, edge)));
                    pairs.map(|(via, edge)| format!("{NODE_AS} {via} {edge}")).collect()
                };
                let version = ["v4", "v6"][index];
                let at_far = as_paths(&far, &format!("node5{version}"), index)?;
                ensure!(at_far == paths(&[ROUTER_AS, SPINE_AS]), "far has {at_far:?}");
                let at_router = as_paths(&router, &format!("node5{version}"), index)?;
                ensure!(at_router == paths(&[SPINE_AS]), "router has {at_router:?}");
                let at_spine = spine.routes(family)?.remove(&net(ANYCAST[index])).unwrap_or_default();
                let at_spine = at_spine.iter().filter(|path| path.neighbor == Some(address(5)[index]));
                let at_spine: BTreeSet<String> = at_spine
                    .map(|path| path.as_path.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
                    .collect();
                ensure!(at_spine == paths(&[ROUTER_AS]), "spine has {at_spine:?}");
                let routes = kernel::learned_routes(lab.host("node1")?, family)?;
                let route = routes.iter().find(|route| route.destination == net(ANYCAST[index]));
                let found = route.map(KernelRoute::gateways).unwrap_or_default();
                let wanted: BTreeSet<IpAddr> =
                    gateways.iter().map(|&number| address(number)[index]).collect();
                ensure!(found == wanted, "the kernel has {route:?}");
            }
            Ok(())
        })
    };
    // BIRD leaves the next hop as it is on a shared segment, GoBGP sets itself.
    expect("everybody has every path", &[LEFT_AS, RIGHT_AS], &[1, 2, 4])?;
    for (index, address) in address(3).into_iter().enumerate() {
        let peer = manx.ensure_established(address)?;
        let family = ["ipv4-unicast", "ipv6-unicast"][index];
        for field in ["add_path_receive", "add_path_send"] {
            ensure!(peer.rest.get(field) == Some(&json!([family])), "{field}: {peer:?}");
        }
        ensure!(peer.received == 2 && peer.advertised == 2, "{peer:?}");
        let received = manx.command_line(&["routes", "--received", &peer.name, "-o", "json"])?;
        ensure!(path_ids(&received)?.len() == 2, "{received}");
        let sent = manx.command_line(&["routes", "--advertised", &peer.name, "-o", "json"])?;
        ensure!(path_ids(&sent)?.len() == 2, "{sent}");
        let text = manx.command_line(&["routes", "--received", &peer.name])?;
        ensure!(text.contains("PATH ID"), "{text}");
    }
    left.set_neighbors(Vec::new())?;
    expect("left's paths are gone and right's stay", &[RIGHT_AS], &[2, 4])?;
    left.set_neighbors(edge(1))?;
    expect("it is back", &[LEFT_AS, RIGHT_AS], &[1, 2, 4])?;

    // Fewer while the session is up.
    let before = far.session("node5v4")?;
    let peer = Manifest::bgp_peer("farv4", &address(6)[0].to_string(), FAR_AS);
    for maximum in [1, 3] {
        manx.apply(&peer.clone().with("addPaths", json!({"sendMaximum": maximum})))?;
        lab.wait_until("far has as many paths as it may", secs(10), || {
            let paths = as_paths(&far, "node5v4", 0)?;
            ensure!(paths.len() == maximum, "{paths:?}");
            Ok(())
        })?;
    }
    ensure!(far.session("node5v4")? == before, "the session was touched");
    let shown = manx.command_line(&["peers", "bgppeer/farv4"])?;
    ensure!(shown.contains("receives ipv4-unicast; sends ipv4-unicast, at most 3"), "{shown}");
    Ok(())
}

fn path_ids(document: &str) -> Result<BTreeSet<u64>> {
    let document: Value = serde_json::from_str(document)?;
    let routes = document["routes"].as_array().into_iter().flatten();
    let paths = routes.flat_map(|route| route["paths"].as_array().into_iter().flatten());
    Ok(paths.filter_map(|path| path["path_id"].as_u64()).collect())
}

/// The reflectors' numbers, and those of two BIRD nodes; every other host is a manx node.
const REFLECTORS: [u8; 2] = [101, 102];
const BIRDS: [u8; 2] = [1, 2];
const NODES: u8 = 20;

fn node_name(number: u8) -> String {
    if REFLECTORS.contains(&number) { format!("rr{number}") } else { format!("node{number}") }
}

fn block(number: u8) -> [String; 2] {
    [format!("10.64.{number}.0/26"), format!("fd64:0:0:{number:x}::/122")]
}

fn cluster() -> Result<Lab> {
    let mut topology = Topology::new();
    let mut ends = Vec::new();
    for number in (1..=NODES).chain(REFLECTORS) {
        let name = node_name(number);
        let addresses = address(number).map(|address| format!("{address}/{}", prefix_len(address)));
        ends.push(end(&name, "eth0", &addresses.each_ref().map(String::as_str)));
        topology = topology.host(&name);
    }
    topology.segment("switch", ends).build()
}

/// A manx that peers with these. It is a reflector if it is one of those.
fn manx(lab: &Lab, number: u8, peers: &[u8]) -> Result<Manx> {
    let name = node_name(number);
    let addresses = address(number).map(|address| format!("{address}/{}", prefix_len(address)));
    let mut node = json!({"ipv4Address": addresses[0], "ipv6Address": addresses[1]});
    let mut manifests = vec![
        Manifest::bgp_configuration(false, CLUSTER_AS),
        Manifest::ip_pool("pool4", "10.64.0.0/16"),
        Manifest::ip_pool("pool6", "fd64::/48"),
    ];
    if REFLECTORS.contains(&number) {
        node["routeReflectorClusterID"] = json!("10.5.0.255");
    } else {
        manifests.extend(block(number).map(|cidr| Manifest::block_affinity(&name, &cidr)));
    }
    manifests.push(Manifest::node(&name, &[], None, &[]).with("bgp", node));
    for &peer in peers {
        for (address, family) in address(peer).iter().zip(["v4", "v6"]) {
            let peer =
                Manifest::bgp_peer(&format!("{}{family}", node_name(peer)), &address.to_string(), CLUSTER_AS);
            manifests.push(peer.with("holdTime", "6s").with("connectRetryTime", "1s"));
        }
    }
    let mut manx = Manx::prepare(lab.host(&name)?)?;
    manx.apply_all(&manifests)?;
    manx.start_unready()?;
    Ok(manx)
}

/// Two reflectors and twenty nodes, two of them BIRD, which announce an anycast prefix: every node uses both, and
/// goes on to do so when a reflector is cut off, and when it comes back. No kernel route is touched.
#[test]
fn the_loss_of_a_reflector_changes_no_kernel_route() -> Result<()> {
    if !can_run("the_loss_of_a_reflector_changes_no_kernel_route") {
        return Ok(());
    }
    let lab = cluster()?;
    let _birds = BIRDS.map(|number| {
        let sessions =
            REFLECTORS.map(|reflector| sessions(number, reflector, CLUSTER_AS).map(Neighbor::add_paths));
        bird(&lab, (&node_name(number), number), CLUSTER_AS, sessions.concat()).unwrap()
    });
    let everybody: Vec<u8> = (1..=NODES).collect();
    let _reflectors = REFLECTORS.map(|number| manx(&lab, number, &everybody).unwrap());
    let numbers = BIRDS.len() as u8 + 1..=NODES;
    let nodes: Vec<(u8, Manx)> =
        numbers.map(|number| Ok((number, manx(&lab, number, &REFLECTORS)?))).collect::<Result<_>>()?;

    // What a node should have: every other manx node's block over that node, and the anycast prefix over both.
    let ensure_complete = |number: u8| -> Result<()> {
        for (index, family) in Family::ALL.into_iter().enumerate() {
            let routes = kernel::learned_routes(lab.host(&node_name(number))?, family)?;
            let found = routes.iter().find(|route| route.destination == net(ANYCAST[index]));
            let found = found.map(KernelRoute::gateways).unwrap_or_default();
            ensure!(found == BIRDS.map(|bird| address(bird)[index]).into(), "node{number}: {found:?}");
            ensure!(
                routes.len() == usize::from(NODES) - BIRDS.len(),
                "node{number}: {} routes",
                routes.len()
            );
        }
        Ok(())
    };
    lab.wait_until("every node uses both ways to the anycast prefix", secs(60), || {
        nodes.iter().try_for_each(|(number, _)| ensure_complete(*number))
    })?;
    let via = |manx: &Manx, reflector: u8| -> Result<Vec<usize>> {
        let routes = manx.routes()?;
        let name = node_name(reflector);
        let of = |prefix: &str| routes.get(&net(prefix)).into_iter().flatten();
        let from =
            |prefix| of(prefix).filter(|path| path.source.starts_with(&format!("bgppeer/{name}"))).count();
        Ok(ANYCAST.map(from).to_vec())
    };
    lab.wait_until("every node has both paths from both reflectors", secs(20), || {
        for (number, manx) in &nodes {
            for reflector in REFLECTORS {
                let paths = via(manx, reflector)?;
                ensure!(paths == [2, 2], "node{number} has {paths:?} from {reflector}");
            }
        }
        Ok(())
    })?;
    let monitors: Vec<RouteMonitor> = nodes
        .iter()
        .map(|(number, _)| RouteMonitor::start(lab.host(&node_name(*number))?))
        .collect::<Result<_>>()?;

    // Its port on the switch: nobody is told, the hold timers run out, and what it sent goes at once.
    let port = format!("port{NODES}");
    lab.host("switch")?.run(&["ip", "link", "set", &port, "down"])?;
    lab.wait_until("no node has a path from the lost reflector", secs(30), || {
        for (number, manx) in &nodes {
            let paths = via(manx, REFLECTORS[0])?;
            ensure!(paths == [0, 0], "node{number} has {paths:?}");
        }
        Ok(())
    })?;
    nodes.iter().try_for_each(|(number, _)| ensure_complete(*number))?;
    lab.host("switch")?.run(&["ip", "link", "set", &port, "up"])?;
    lab.wait_until("every node has both paths from it again", secs(30), || {
        for (number, manx) in &nodes {
            let paths = via(manx, REFLECTORS[0])?;
            ensure!(paths == [2, 2], "node{number} has {paths:?}");
        }
        Ok(())
    })?;
    nodes.iter().try_for_each(|(number, _)| ensure_complete(*number))?;

    let mark = format!("proto {PROTOCOL_MANX} ");
    for ((number, _), monitor) in nodes.iter().zip(monitors) {
        let events = monitor.stop()?.into_iter();
        let ours: Vec<_> = events.filter(|event| format!("{} ", event.line).contains(&mark)).collect();
        ensure!(ours.is_empty(), "routes of node{number} were touched: {ours:#?}");
    }
    Ok(())
}
