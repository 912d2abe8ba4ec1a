//! NOTIFICATIONs that do not interrupt forwarding (RFC 8538), with FRR.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use anyhow::{Result, ensure};
use interop_tests::uplink::{self, ANNOUNCED, BLOCKS, NODE, ROUTER, ROUTER_AS};
use interop_tests::{
    Capture, Family, Frr, Lab, Manifest, Manx, RouteMonitor, can_run, ip, kernel, net, secs,
};
use serde_json::json;

fn peer() -> Manifest {
    Manifest::bgp_peer("router4", ROUTER[0], ROUTER_AS).with("holdTime", "3s").with("connectRetryTime", "1s")
}

/// Both sessions are up, FRR's route is in our kernel and our block is in FRR.
fn ensure_converged(lab: &Lab, frr: &Frr, manx: &Manx) -> Result<()> {
    for index in [0, 1] {
        manx.ensure_established(ip(ROUTER[index]))?;
        frr.ensure_established(ip(NODE[index]))?;
        let learned = kernel::learned(lab.host("node1")?, Family::ALL[index])?;
        ensure!(learned.contains(&net(ANNOUNCED[index])), "{learned:?}");
        let routes = frr.routes(Family::ALL[index])?;
        ensure!(routes.get(&net(BLOCKS[index])).is_some_and(|paths| paths[0].best), "{routes:?}");
    }
    Ok(())
}

fn sessions(frr: &Frr) -> Result<u64> {
    let neighbor = frr.neighbor(ip(NODE[0]))?;
    Ok(neighbor["connectionsEstablished"].as_u64().unwrap_or_default())
}

#[test]
fn rfc8538_resets_keep_routes_and_shutdowns_do_not() -> Result<()> {
    if !can_run("rfc8538_resets_keep_routes_and_shutdowns_do_not") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let (node, router) = (lab.host("node1")?, lab.host("router")?);
    let capture = Capture::start(node, "eth0", "tcp port 179")?;
    let mut config = uplink::frr();
    // Without the F bit its routes would go when it is back (RFC 4724 §4.2).
    let lines = [
        "bgp graceful-restart notification",
        "bgp graceful-restart preserve-fw-state",
        "no bgp hard-administrative-reset",
    ];
    config.lines = lines.map(String::from).to_vec();
    let frr = Frr::start(router, config)?;
    let manx = Manx::launch(node, &uplink::manifests())?;
    let converged = || ensure_converged(&lab, &frr, &manx);
    lab.wait_until("everything is there", secs(25), converged)?;

    let removed = |monitor: RouteMonitor, prefix: &str| -> Result<usize> {
        let events = monitor.stop()?;
        Ok(events.iter().filter(|event| event.deleted && event.destination == net(prefix)).count())
    };
    // An administrative reset by FRR: Cease, not hard. What it announced stays in our kernel all the time.
    let here = RouteMonitor::start(node)?;
    let before = sessions(&frr)?;
    frr.clear(ip(NODE[0]))?;
    lab.wait_until("the session has been reset", secs(20), || {
        ensure!(sessions(&frr)? > before, "not yet");
        let error = manx.peer(ip(ROUTER[0]))?.last_error.unwrap_or_default();
        ensure!(error.contains("Administrative Reset") && !error.contains("Hard"), "{error}");
        converged()
    })?;
    ensure!(removed(here, ANNOUNCED[0])? == 0, "our kernel lost FRR's route in FRR's reset");
    let (here, there) = (RouteMonitor::start(node)?, RouteMonitor::start(router)?);
    // A reset by us: another capability. FRR keeps our block.
    let before = sessions(&frr)?;
    manx.apply(&peer().with("addPaths", json!({"receive": false})))?;
    lab.wait_until("the session has been reset once more", secs(20), || {
        ensure!(sessions(&frr)? > before, "not yet");
        converged()
    })?;
    ensure!(removed(here, ANNOUNCED[0])? == 0, "our kernel lost FRR's route");
    ensure!(removed(there, BLOCKS[0])? == 0, "FRR's kernel lost our block");

    // A shutdown by us is a Hard Reset: FRR lets go of our block at once, not after the restart time.
    manx.apply(&peer().with("shutdown", json!({"message": "fibre works"})))?;
    lab.wait_until("FRR has let go of our block", secs(10), || {
        let routes = frr.routes(Family::V4)?;
        ensure!(!routes.contains_key(&net(BLOCKS[0])), "{routes:?}");
        let display = format!("bgp.type == 3 && ip.src == {}", NODE[0]);
        let rows = capture.packets(&display, &["bgp.notify.major_error", "bgp.notify.minor_error_cease"])?;
        ensure!(rows.iter().any(|row| row == &["6", "9"]), "{rows:?}");
        Ok(())
    })?;
    manx.apply(&peer())?;
    lab.wait_until("it is up again", secs(20), converged)?;

    // And by FRR: we let go of its route.
    frr.configure(&[&format!("router bgp {ROUTER_AS}"), &format!("neighbor {} shutdown", NODE[0])])?;
    lab.wait_until("we have let go of FRR's route", secs(10), || {
        let learned = kernel::learned(node, Family::V4)?;
        ensure!(!learned.contains(&net(ANNOUNCED[0])), "{learned:?}");
        let error = manx.peer(ip(ROUTER[0]))?.last_error.unwrap_or_default();
        ensure!(error.contains("Hard Reset (Cease / Administrative Shutdown"), "{error}");
        Ok(())
    })
}
