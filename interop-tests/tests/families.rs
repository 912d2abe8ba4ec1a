//! What a session carries beside what it runs over: both families over either transport, IPv4 routes with IPv6
//! next hops (RFC 8950), and neighbors that have nothing but link-local addresses (RFC 2545).
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use interop_tests::speaker::Neighbor;
use interop_tests::speaker::bird::BirdConfig;
use interop_tests::speaker::frr::FrrConfig;
use interop_tests::uplink::{self, ANNOUNCED, BLOCKS, NODE, NODE_AS, ROUTER, ROUTER_AS};
use interop_tests::{
    Bird, Capture, Family, Frr, Host, Lab, Manifest, Manx, RouteMonitor, Topology, can_run, end, ip, kernel,
    net, secs,
};
use serde_json::{Value, json};

/// A channel of BIRD beside that of the neighbor's own family.
fn channel(family: &str, more: &str) -> String {
    format!("{family} {{ import all; export where source ~ [RTS_STATIC, RTS_BGP]; {more} }}")
}

/// The node's one session, over the transport in this place of `ROUTER`, with both families.
fn manifests(transport: usize, extended: Option<bool>) -> Vec<Manifest> {
    let mut all = uplink::manifests();
    let name = ["bgppeer-router4.yaml", "bgppeer-router6.yaml"];
    all.retain(|manifest| manifest.file_name() != name[1 - transport]);
    for manifest in all.iter_mut().filter(|manifest| manifest.file_name() == name[transport]) {
        let both = manifest.clone().with("families", json!(["ipv4-unicast", "ipv6-unicast"]));
        *manifest = match extended {
            Some(extended) => both.with("extendedNextHop", extended),
            None => both,
        };
    }
    all
}

fn bird(transport: usize, channel: String) -> BirdConfig {
    let mut config = uplink::bird();
    config.neighbors.remove(1 - transport);
    config.neighbors[0].bird_options.push(channel);
    config
}

/// Each announced prefix over exactly this gateway on `eth0`.
fn ensure_kernel(host: &Host, wanted: [&str; 2]) -> Result<()> {
    for (index, family) in Family::ALL.into_iter().enumerate() {
        let routes = kernel::learned_routes(host, family)?;
        let [route] = routes.as_slice() else { anyhow::bail!("{routes:?}") };
        let hops = BTreeSet::from([(Some(ip(wanted[index])), "eth0".to_owned())]);
        ensure!(route.destination == net(ANNOUNCED[index]) && route.next_hops == hops, "{route:?}");
    }
    Ok(())
}

/// BIRD has our blocks with these next hops.
fn ensure_bird(bird: &Bird, session: &str, wanted: [&str; 2]) -> Result<()> {
    for (index, family) in Family::ALL.into_iter().enumerate() {
        let routes = bird.routes_from(session, family)?;
        let route = routes.get(&net(BLOCKS[index])).with_context(|| format!("{routes:?}"))?;
        let next_hop = route.attributes.get("next_hop").map(|hops| hops.split(' ').next());
        ensure!(route.best && next_hop == Some(Some(wanted[index])), "{route:?}");
    }
    Ok(())
}

/// From a pod to an address of the router's inside what it announces, and back.
fn ensure_packets_pass(lab: &Lab) -> Result<()> {
    let router = lab.host("router")?;
    router.run(&["ip", "addr", "add", "172.31.1.99/32", "dev", "lo"])?;
    lab.wait_until("packets pass", secs(10), || {
        lab.host("pod1")?.run(&["ping", "-n", "-c", "1", "-W", "1", "172.31.1.99"])
    })?;
    Ok(())
}

#[test]
fn both_families_over_an_ipv4_session() -> Result<()> {
    if !can_run("both_families_over_an_ipv4_session") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let bird = Bird::start(
        lab.host("router")?,
        bird(0, channel("ipv6", &format!("next hop address {};", ROUTER[1]))),
    )?;
    let manx = Manx::launch(lab.host("node1")?, &manifests(0, None))?;
    lab.wait_until("both have everything", secs(20), || {
        manx.ensure_established(ip(ROUTER[0]))?;
        ensure_kernel(lab.host("node1")?, ROUTER)?;
        ensure_bird(&bird, uplink::SESSIONS[0], NODE)
    })
}

/// Without RFC 8950 the IPv4 routes have the IPv4 address of the Node as their next hop.
#[test]
fn both_families_over_an_ipv6_session() -> Result<()> {
    if !can_run("both_families_over_an_ipv6_session") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let bird = Bird::start(
        lab.host("router")?,
        bird(1, channel("ipv4", &format!("next hop address {};", ROUTER[0]))),
    )?;
    let manx = Manx::launch(lab.host("node1")?, &manifests(1, Some(false)))?;
    lab.wait_until("both have everything", secs(20), || {
        manx.ensure_established(ip(ROUTER[1]))?;
        ensure_kernel(lab.host("node1")?, ROUTER)?;
        ensure_bird(&bird, uplink::SESSIONS[1], NODE)
    })
}

#[test]
fn rfc8950_ipv4_routes_over_ipv6_with_bird() -> Result<()> {
    if !can_run("rfc8950_ipv4_routes_over_ipv6_with_bird") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let node = lab.host("node1")?;
    let capture = Capture::start(node, "eth0", "tcp port 179")?;
    let bird = Bird::start(lab.host("router")?, bird(1, channel("ipv4", "extended next hop on;")))?;
    let mut manx = Manx::launch(node, &manifests(1, None))?;
    lab.wait_until("both have everything", secs(20), || {
        manx.ensure_established(ip(ROUTER[1]))?;
        ensure_kernel(node, [ROUTER[1], ROUTER[1]])?;
        ensure_bird(&bird, uplink::SESSIONS[1], [NODE[1], NODE[1]])
    })?;
    ensure_packets_pass(&lab)?;
    // RFC 2545 §3: to a neighbor on our link the link-local address stands beside the global one.
    lab.wait_until("tshark reads our next hops", secs(10), || {
        let display = format!("bgp.update.path_attribute.mp_reach_nlri && ipv6.src == {}", NODE[1]);
        let lengths = capture.packets(&display, &["bgp.update.path_attribute.mp_reach_nlri.next_hop"])?;
        ensure!(lengths.iter().flatten().any(|text| text.contains("fe80")), "{lengths:?}");
        ensure!(capture.packets("_ws.malformed", &["frame.number"])?.is_empty(), "malformed");
        Ok(())
    })?;

    // A killed daemon finds its routes again and leaves them alone.
    let monitor = RouteMonitor::start(node)?;
    manx.kill()?;
    manx.start()?;
    lab.wait_until("it is back", secs(20), || {
        manx.ensure_established(ip(ROUTER[1]))?;
        ensure!(manx.status()?.bgp_in_sync, "BGP is not in sync");
        ensure_kernel(node, [ROUTER[1], ROUTER[1]])
    })?;
    let of_bgp = |event: &interop_tests::monitor::RouteEvent| ANNOUNCED.map(net).contains(&event.destination);
    let events: Vec<_> = monitor.stop()?.into_iter().filter(of_bgp).collect();
    ensure!(events.is_empty(), "{events:?}");
    Ok(())
}

#[test]
fn rfc8950_ipv4_routes_over_ipv6_with_frr() -> Result<()> {
    if !can_run("rfc8950_ipv4_routes_over_ipv6_with_frr") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut config = uplink::frr();
    config.neighbors.remove(0);
    let neighbor = &mut config.neighbors[0];
    neighbor.frr_families = Family::ALL.to_vec();
    neighbor.frr_options.push("capability extended-nexthop".to_owned());
    let frr = Frr::start(lab.host("router")?, config)?;
    let manx = Manx::launch(lab.host("node1")?, &manifests(1, None))?;
    lab.wait_until("both have everything", secs(20), || {
        manx.ensure_established(ip(ROUTER[1]))?;
        ensure_kernel(lab.host("node1")?, [ROUTER[1], ROUTER[1]])?;
        for (family, block) in Family::ALL.into_iter().zip(BLOCKS) {
            let routes = frr.routes(family)?;
            let paths = routes.get(&net(block)).with_context(|| format!("{routes:?}"))?;
            ensure!(paths[0].best && paths[0].next_hops.contains(&ip(NODE[1])), "{paths:?}");
        }
        Ok(())
    })?;
    ensure_packets_pass(&lab)
}

/// Two routers, each at `fe80::1` on a link of its own.
fn unnumbered() -> Result<Lab> {
    let link = |number: u8| {
        let (near, far) = (format!("eth{number}"), format!("router{number}"));
        (end("node1", &near, &[]), end(&far, "eth0", &[]))
    };
    let (a, b) = (link(0), link(1));
    let topology = Topology::new().host("node1").host("router0").host("router1");
    let lab = topology
        .link(a.0, a.1)
        .link(b.0, b.1)
        .pod("pod1", "node1", &["10.64.1.1", "fd64:0:0:1::1"])
        .build()?;
    for (host, interface, address) in [
        ("node1", "eth0", "fe80::a"),
        ("node1", "eth1", "fe80::b"),
        ("router0", "eth0", "fe80::1"),
        ("router1", "eth0", "fe80::1"),
    ] {
        only_link_local(lab.host(host)?, interface, address)?;
    }
    Ok(lab)
}

/// No other address, so that each end is known by the one it is configured with.
fn only_link_local(host: &Host, interface: &str, address: &str) -> Result<()> {
    host.ip_batch(&[
        format!("link set {interface} addrgenmode none"),
        format!("addr flush dev {interface} scope link"),
        format!("addr add {address}/64 dev {interface} nodad"),
        format!("link set {interface} up"),
    ])
}

fn peer_on(interface: &str) -> Manifest {
    Manifest::bgp_peer(&format!("on-{interface}"), "fe80::1", ROUTER_AS)
        .with("interface", interface)
        .with("families", json!(["ipv4-unicast", "ipv6-unicast"]))
        .with("holdTime", "3s")
        .with("connectRetryTime", "1s")
}

/// State by interface.
fn established(manx: &Manx) -> Result<BTreeSet<String>> {
    let peers: Value = serde_json::from_str(&manx.command_line(&["peers", "-o", "json"])?)?;
    let peers = peers["peers"].as_array().context("no peers")?.clone();
    let up = peers.iter().filter(|peer| peer["state"] == "established");
    Ok(up.filter_map(|peer| peer["interface"].as_str().map(str::to_owned)).collect())
}

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: bgp-passwords\n  namespace: kube-system\n\
                      type: Opaque\nstringData:\n  key: hunter1\n";

/// BIRD and FRR, both at `fe80::1`: one with a password and GTSM, on links of their own. Both announce the same,
/// so the routes go over both links. Then one link is taken away and comes back with another index.
#[test]
fn rfc2545_two_neighbors_with_one_link_local_address() -> Result<()> {
    if !can_run("rfc2545_two_neighbors_with_one_link_local_address") {
        return Ok(());
    }
    let lab = unnumbered()?;
    let node = lab.host("node1")?;
    let neighbor = |address: &str| {
        let (local, remote): (IpAddr, IpAddr) = (ip("fe80::1"), ip(address));
        Neighbor::new("node1", local, remote, NODE_AS).hold_time(3)
    };
    let bird_neighbor = neighbor("fe80::a")
        .bird_option("interface \"eth0\"")
        .bird_option("ttl security on")
        .bird_option("password \"hunter1\"")
        .bird_option(&channel("ipv4", "extended next hop on;"));
    let bird = BirdConfig { neighbors: vec![bird_neighbor], ..uplink::bird() };
    let bird = Bird::start(lab.host("router0")?, bird)?;
    let mut frr_neighbor =
        neighbor("fe80::b").frr_option("interface eth0").frr_option("capability extended-nexthop");
    frr_neighbor.frr_families = Family::ALL.to_vec();
    let frr = FrrConfig { neighbors: vec![frr_neighbor], ..uplink::frr() };
    let frr = Frr::start(lab.host("router1")?, frr)?;

    let mut all = uplink::manifests();
    all.retain(|manifest| !manifest.file_name().starts_with("bgppeer"));
    let password = json!({"secretKeyRef": {"name": "bgp-passwords", "key": "key"}});
    all.extend([peer_on("eth0").with("ttlSecurity", 1).with("password", password), peer_on("eth1")]);
    let mut manx = Manx::prepare(node)?;
    manx.write_manifest("secret.yaml", SECRET)?;
    manx.apply_all(&all)?;
    manx.start()?;
    let over = |links: &'static [&'static str]| {
        let wanted: BTreeSet<_> =
            links.iter().map(|link| (Some(ip("fe80::1")), (*link).to_owned())).collect();
        move |host: &Host| {
            for (family, prefix) in Family::ALL.into_iter().zip(ANNOUNCED) {
                let routes = kernel::learned_routes(host, family)?;
                let route = routes.iter().find(|route| route.destination == net(prefix));
                ensure!(route.is_some_and(|route| route.next_hops == wanted), "{routes:?}, {wanted:?}");
            }
            Ok(())
        }
    };
    let both = over(&["eth0", "eth1"]);
    lab.wait_until("the routes go over both links", secs(25), || {
        let up = established(&manx)?;
        ensure!(up.len() == 2, "{up:?}");
        both(node)
    })?;
    lab.wait_until("both routers have our blocks", secs(10), || {
        for (family, block) in Family::ALL.into_iter().zip(BLOCKS) {
            let routes = bird.routes_from("node1", family)?;
            let route = routes.get(&net(block)).with_context(|| format!("bird: {routes:?}"))?;
            ensure!(route.best && route.gateways == [ip("fe80::a")], "{route:?}");
            let routes = frr.routes(family)?;
            let paths = routes.get(&net(block)).with_context(|| format!("frr: {routes:?}"))?;
            ensure!(paths[0].best && paths[0].next_hops.contains(&ip("fe80::b")), "{paths:?}");
        }
        Ok(())
    })?;

    // The link is deleted with both its ends.
    node.run(&["ip", "link", "del", "eth0"])?;
    lab.wait_until("the other link is left", secs(15), || over(&["eth1"])(node))?;
    let far = lab.host("router0")?;
    node.ip_batch(&[
        "link add other type veth peer name other1".to_owned(),
        format!("link add eth0 type veth peer name eth0 netns {}", far.namespace()),
    ])?;
    only_link_local(node, "eth0", "fe80::a")?;
    only_link_local(far, "eth0", "fe80::1")?;
    lab.wait_until("the link is in use again", secs(30), || {
        let up = established(&manx)?;
        ensure!(up.len() == 2, "{up:?}: {}", manx.command_line(&["peers"])?);
        both(node)
    })
}
