//! The other end goes away: its routes go within the hold time, with a reason, and come back with it.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::net::IpAddr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use interop_tests::fabric::{self, ENDPOINTS, Fabric};
use interop_tests::uplink::{self, ANNOUNCED, ROUTER, SESSIONS};
use interop_tests::{Bird, Family, Gobgp, Lab, Manx, Ping, can_run, ip, kernel, net, secs};
use nix::sys::signal::Signal;

fn ensure_learned(lab: &Lab, wanted: bool) -> Result<()> {
    let node = lab.host("node1")?;
    for (index, family) in Family::ALL.into_iter().enumerate() {
        let present = kernel::learned(node, family)?;
        ensure!(present.contains(&net(ANNOUNCED[index])) == wanted, "{present:?}");
    }
    Ok(())
}

/// Not established, and `manx peers` says why in words that contain one of `words`.
fn ensure_down_because(manx: &Manx, address: IpAddr, words: &[&str]) -> Result<()> {
    let peer = manx.peer(address)?;
    let reason = peer.last_error.clone().with_context(|| format!("no reason: {peer:?}"))?.to_lowercase();
    ensure!(peer.state != "established", "{peer:?}");
    ensure!(words.iter().any(|word| reason.contains(word)), "{reason:?} has none of {words:?}");
    Ok(())
}

#[test]
fn a_tor_that_dies_takes_its_routes_along_and_brings_them_back() -> Result<()> {
    if !can_run("a_tor_that_dies_takes_its_routes_along_and_brings_them_back") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    lab.wait_until("the routes are there", secs(15), || {
        manx.ensure_in_sync()?;
        ensure_learned(&lab, true)
    })?;

    bird.kill()?;
    // The hold time is 3 s; BIRD as a helper only offers no restart of its own, so nothing is kept.
    lab.wait_until("the routes are gone within the hold time", secs(4), || ensure_learned(&lab, false))?;
    lab.wait_until("manx says why", secs(5), || {
        ROUTER.iter().try_for_each(|router| {
            ensure_down_because(&manx, ip(router), &["connection", "closed", "reset", "refused"])
        })
    })?;
    bird.launch()?;
    lab.wait_until("the routes are back", secs(15), || ensure_learned(&lab, true))?;
    bird.ensure_established(SESSIONS[0])
}

#[test]
fn a_silent_tor_is_given_up_after_the_hold_time() -> Result<()> {
    if !can_run("a_silent_tor_is_given_up_after_the_hold_time") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    lab.wait_until("the routes are there", secs(15), || {
        manx.ensure_in_sync()?;
        ensure_learned(&lab, true)
    })?;

    // TCP stays up and acknowledges; only BGP has stopped.
    let stopped = Instant::now();
    bird.process()?.signal(Signal::SIGSTOP)?;
    lab.wait_until("the routes are gone after the hold time", secs(8), || ensure_learned(&lab, false))?;
    let took = stopped.elapsed();
    ensure!(took > secs(1), "gone after {took:?}: that was not the hold timer of 3 s");
    lab.wait_until("manx says why", secs(5), || {
        ROUTER.iter().try_for_each(|router| ensure_down_because(&manx, ip(router), &["hold"]))
    })?;
    bird.process()?.signal(Signal::SIGCONT)?;
    lab.wait_until("the routes are back", secs(20), || ensure_learned(&lab, true))
}

#[test]
fn one_of_two_uplinks_fails_and_traffic_goes_on() -> Result<()> {
    if !can_run("one_of_two_uplinks_fails_and_traffic_goes_on") {
        return Ok(());
    }
    let mut fabric = Fabric::start()?;
    fabric.lab.wait_until("the fabric has converged", secs(30), || fabric.ensure_converged())?;
    let [tor, spine, tor6, spine6] = fabric::routers(1);
    let (block, block6) = (net("10.64.2.0/26"), net("fd64:0:0:2::/122"));
    let gateways = |lab: &Lab| -> Result<Vec<Vec<IpAddr>>> {
        let one = |family, prefix| -> Result<Vec<IpAddr>> {
            let routes = kernel::learned_routes(lab.host("node1")?, family)?;
            let route = routes.iter().find(|route| route.destination == prefix).context("no route")?;
            Ok(route.gateways().into_iter().collect())
        };
        Ok(vec![one(Family::V4, block)?, one(Family::V6, block6)?])
    };
    assert_eq!(gateways(&fabric.lab)?, [vec![tor, spine], vec![tor6, spine6]]);

    fabric.tor.kill()?;
    fabric.lab.wait_until("the spine alone carries the traffic", secs(10), || {
        let now = gateways(&fabric.lab)?;
        ensure!(now == [vec![spine], vec![spine6]], "{now:?}");
        Ok(())
    })?;
    let pod = fabric.lab.host("pod1a")?;
    for family in Family::ALL {
        let target = ENDPOINTS[2].address(family);
        Ping::start(pod, target, secs(1) / 50)?.ensure_nothing_lost()?;
    }
    fabric.tor.launch()?;
    fabric.lab.wait_until("both carry it again", secs(20), || fabric.ensure_converged())
}

#[test]
fn a_gobgp_that_announced_graceful_restart_keeps_its_routes_while_it_is_away() -> Result<()> {
    if !can_run("a_gobgp_that_announced_graceful_restart_keeps_its_routes_while_it_is_away") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut gobgp = Gobgp::start(lab.host("router")?, uplink::gobgp())?;
    gobgp.announce(&ANNOUNCED.map(net))?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    lab.wait_until("the routes are there", secs(15), || {
        manx.ensure_in_sync()?;
        ensure_learned(&lab, true)
    })?;
    gobgp.kill()?;
    lab.wait_until("manx has noticed", secs(5), || {
        let peer = manx.peer(ip(ROUTER[0]))?;
        ensure!(peer.state != "established", "{peer:?}");
        Ok(())
    })?;
    // RFC 4724 §4.2: for the restart time of 60 s, or until it is back and has said what it has.
    lab.holds_for("its routes are kept as stale", secs(2), || ensure_learned(&lab, true))?;
    gobgp.launch()?;
    lab.wait_until("it is back without the routes, so they are gone", secs(20), || {
        manx.ensure_established(ip(ROUTER[0]))?;
        ensure_learned(&lab, false)
    })
}
