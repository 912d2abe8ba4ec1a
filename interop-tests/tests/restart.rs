//! The daemon may die and come back; packets must not notice (ARCHITECTURE.md, invariants 4 and 5). BIRD is a
//! graceful restart helper by default; GoBGP's helper is enabled per neighbor and family by the harness.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use anyhow::{Result, ensure};
use interop_tests::fabric::{ENDPOINTS, Fabric};
use interop_tests::kernel::{self, PROTOCOL_MANX};
use interop_tests::monitor::RouteEvent;
use interop_tests::uplink::{self, BLOCKS, SESSIONS};
use interop_tests::{Bird, Family, Manx, Ping, RouteMonitor, can_run, ip, net, secs};

/// How long the killed daemon stays dead.
const DEAD: Duration = Duration::from_secs(3);

/// The events that concern routes of manx.
fn ours(events: Vec<RouteEvent>) -> Vec<RouteEvent> {
    let mark = format!("proto {PROTOCOL_MANX} ");
    events.into_iter().filter(|event| format!("{} ", event.line).contains(&mark)).collect()
}

/// Pings at 15 ms that cross node2, or do not touch it, in both families.
fn pings(fabric: &Fabric) -> Result<Vec<Ping>> {
    let ways = [
        ("pod1a", "pod2a"),
        ("pod2b", "pod1b"),
        ("client", "pod2a"),
        ("pod2a", "server"),
        ("client", "pod1a"),
    ];
    let endpoint = |name: &str| ENDPOINTS.into_iter().find(|one| one.name == name).unwrap();
    let mut all = Vec::new();
    for (from, to) in ways {
        for family in Family::ALL {
            let host = fabric.lab.host(from)?;
            all.push(Ping::start(host, endpoint(to).address(family), Duration::from_millis(15))?);
        }
    }
    Ok(all)
}

#[test]
fn kill_9_loses_no_packet_and_touches_no_route() -> Result<()> {
    if !can_run("kill_9_loses_no_packet_and_touches_no_route") {
        return Ok(());
    }
    let mut fabric = Fabric::start()?;
    fabric.lab.wait_until("the fabric has converged", secs(30), || fabric.ensure_converged())?;
    let monitors =
        ["node1", "node2"].map(|node| RouteMonitor::start(fabric.lab.host(node).unwrap()).unwrap());
    let pings = pings(&fabric)?;

    fabric.node2.kill()?;
    fabric.lab.holds_for("the helpers keep node2's blocks", DEAD, || {
        for (family, block, session, node) in [
            (Family::V4, "10.64.2.0/26", "node2", "10.2.2.1"),
            (Family::V6, "fd64:0:0:2::/122", "node2v6", "fd02:2::1"),
        ] {
            let at_bird = fabric.tor.routes_from(session, family)?;
            ensure!(at_bird.contains_key(&net(block)), "BIRD has lost {block}: {at_bird:?}");
            let at_gobgp = fabric.spine.routes_from(ip(node), family)?;
            ensure!(at_gobgp.contains_key(&net(block)), "GoBGP has lost {block}: {at_gobgp:?}");
        }
        Ok(())
    })?;
    fabric.node2.start()?;
    fabric.lab.wait_until("all sessions are back and no route is stale", secs(40), || {
        fabric.ensure_converged()?;
        for family in Family::ALL {
            let paths = fabric.spine.routes(family)?;
            ensure!(!paths.values().flatten().any(|path| path.stale), "GoBGP: {paths:?}");
        }
        Ok(())
    })?;

    for ping in &pings {
        ping.ensure_nothing_lost()?;
    }
    for (node, monitor) in ["node1", "node2"].into_iter().zip(monitors) {
        let events = ours(monitor.stop()?);
        ensure!(events.is_empty(), "routes of {node} were touched: {events:#?}");
    }
    Ok(())
}

#[test]
fn sigterm_leaves_the_routes_and_the_next_start_takes_them_over() -> Result<()> {
    if !can_run("sigterm_leaves_the_routes_and_the_next_start_takes_them_over") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let mut manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    let node = lab.host("node1")?;
    let in_kernel = || -> Result<Vec<_>> {
        Ok(Family::ALL
            .into_iter()
            .map(|family| kernel::routes(node, family, PROTOCOL_MANX))
            .collect::<Result<Vec<_>>>()?
            .concat())
    };
    lab.wait_until("both ways are there", secs(15), || {
        for (index, family) in Family::ALL.into_iter().enumerate() {
            ensure!(kernel::learned(node, family)?.contains(&net(uplink::ANNOUNCED[index])), "kernel");
            ensure!(bird.routes_from(SESSIONS[index], family)?.contains_key(&net(BLOCKS[index])), "BIRD");
        }
        Ok(())
    })?;
    let before = in_kernel()?;
    let monitor = RouteMonitor::start(node)?;

    let status = manx.terminate(secs(5))?;
    ensure!(status.code() == Some(0), "{status}");
    assert_eq!(in_kernel()?, before, "SIGTERM must leave the kernel alone");
    lab.holds_for("the peer keeps our routes", secs(1), || {
        for (index, family) in Family::ALL.into_iter().enumerate() {
            let routes = bird.routes_from(SESSIONS[index], family)?;
            ensure!(routes.contains_key(&net(BLOCKS[index])), "BIRD has lost {}: {routes:?}", BLOCKS[index]);
        }
        Ok(())
    })?;

    manx.start()?;
    lab.wait_until("the sessions are back", secs(15), || {
        for (index, address) in uplink::routers().into_iter().enumerate() {
            manx.ensure_established(address)?;
            bird.ensure_established(SESSIONS[index])?;
            let peer = manx.peer(address)?;
            ensure!(peer.accepted == 1, "{peer:?}");
        }
        Ok(())
    })?;
    assert_eq!(in_kernel()?, before);
    let events = ours(monitor.stop()?);
    ensure!(events.is_empty(), "routes were touched: {events:#?}");
    Ok(())
}

#[test]
fn what_went_away_while_it_was_dead_is_removed() -> Result<()> {
    if !can_run("what_went_away_while_it_was_dead_is_removed") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let mut manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    let node = lab.host("node1")?;
    lab.wait_until("the route is there", secs(15), || {
        ensure!(kernel::learned(node, Family::V4)?.contains(&net("172.31.1.0/24")), "not yet");
        Ok(())
    })?;
    // A route that only looks like ours must survive us.
    node.run(&["ip", "route", "add", "172.31.77.0/24", "via", uplink::ROUTER[0], "proto", "static"])?;
    manx.kill()?;
    bird.announce(vec![net("172.31.9.0/24")])?;
    manx.start()?;
    lab.wait_until("the kernel has what is announced now and nothing else", secs(20), || {
        let present = kernel::learned(node, Family::V4)?;
        ensure!(present.iter().eq([&net("172.31.9.0/24")]), "{present:?}");
        ensure!(kernel::learned(node, Family::V6)?.is_empty(), "IPv6 is left");
        Ok(())
    })?;
    let foreign = node.run(&["ip", "route", "show", "172.31.77.0/24"])?;
    ensure!(foreign.contains(uplink::ROUTER[0]), "the static route is gone");
    Ok(())
}

/// Manifests are edited while the daemon is down, and are not all there when it comes up: files are copied one
/// after the other, and one of them has a typing error. What the former run learned must stay until it is known
/// whether it still holds.
#[test]
fn a_restart_with_incomplete_manifests_leaves_the_routes_of_the_former_run() -> Result<()> {
    if !can_run("a_restart_with_incomplete_manifests_leaves_the_routes_of_the_former_run") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let _bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let mut manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    let node = lab.host("node1")?;
    let is_learned = || -> Result<()> {
        for (index, family) in Family::ALL.into_iter().enumerate() {
            ensure!(kernel::learned(node, family)?.contains(&net(uplink::ANNOUNCED[index])), "{family:?}");
        }
        Ok(())
    };
    lab.wait_until("the routes are there", secs(15), is_learned)?;

    let peers: Vec<_> =
        uplink::manifests().into_iter().filter(|one| one.file_name().starts_with("bgppeer")).collect();
    manx.kill()?;
    manx.write_manifest(&peers[0].file_name(), "spec: [")?;
    manx.remove_manifest(&peers[1].file_name())?;
    manx.start()?;
    lab.holds_for("one refused, one missing: the routes stay", secs(2), is_learned)?;
    manx.kill()?;
    manx.remove_manifest(&peers[0].file_name())?;
    manx.start()?;
    lab.holds_for("no peer at all: the routes stay", secs(2), is_learned)?;
    manx.apply_all(&peers)?;
    lab.wait_until("all is as before", secs(15), || {
        for address in uplink::routers() {
            manx.ensure_established(address)?;
        }
        manx.ensure_in_sync()
    })?;
    is_learned()
}
