//! Routes again without a new session: `manx refresh` and the marks of RFC 7313, with BIRD.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use anyhow::{Result, ensure};
use interop_tests::uplink::{self, ANNOUNCED, BLOCKS, NODE, ROUTER, SESSIONS};
use interop_tests::{Bird, Capture, Family, Manx, RouteMonitor, can_run, ip, net, secs};

#[test]
fn rfc7313_both_ends_mark_what_they_send_again() -> Result<()> {
    if !can_run("rfc7313_both_ends_mark_what_they_send_again") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let node = lab.host("node1")?;
    let capture = Capture::start(node, "eth0", "tcp port 179")?;
    let bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let manx = Manx::launch(node, &uplink::manifests())?;
    let converged = || {
        for index in [0, 1] {
            manx.ensure_established(ip(ROUTER[index]))?;
            let learned = bird.routes_from(SESSIONS[index], Family::ALL[index])?;
            ensure!(learned.contains_key(&net(BLOCKS[index])), "{learned:?}");
            let path = manx.paths(net(ANNOUNCED[index]))?;
            ensure!(path.len() == 1 && path[0].best, "{path:?}");
        }
        Ok(())
    };
    lab.wait_until("everything is there", secs(20), converged)?;
    let monitor = RouteMonitor::start(node)?;

    // We ask and BIRD answers; BIRD asks and we answer.
    let said = manx.command_line(&["refresh", "bgppeer/router4", "in"])?;
    ensure!(said.contains("bgppeer/router4 is asked for its routes again"), "{said}");
    bird.query(&format!("reload in {}", SESSIONS[0]))?;
    let marks = |from: &str| {
        let display = format!("bgp.type == 5 && ip.src == {from}");
        let rows = capture.packets(&display, &["bgp.route_refresh.subtype"])?;
        let text = rows.into_iter().flatten().collect::<Vec<_>>().join(",");
        anyhow::Ok(text.split(',').map(str::to_owned).collect::<Vec<_>>())
    };
    lab.wait_until("the marks are on the wire", secs(10), || {
        for from in [NODE[0], ROUTER[0]] {
            let mut subtypes = marks(from)?;
            subtypes.sort();
            ensure!(subtypes == ["0", "1", "2"], "{from}: {subtypes:?}");
        }
        Ok(())
    })?;
    // Asked to send ours, without having been asked by BIRD.
    let said = manx.command_line(&["refresh", ROUTER[0], "out"])?;
    ensure!(said.contains("bgppeer/router4 is sent our routes again"), "{said}");
    lab.wait_until("the second answer is on the wire", secs(10), || {
        let ends = marks(NODE[0])?.iter().filter(|subtype| *subtype == "2").count();
        ensure!(ends == 2, "{ends}");
        Ok(())
    })?;

    // Nothing was lost on the way, at either end, and no session either.
    converged()?;
    let events = monitor.stop()?;
    ensure!(events.iter().all(|event| event.destination != net(ANNOUNCED[0])), "{events:?}");
    for router in ROUTER {
        let peer = manx.peer(ip(router))?;
        ensure!(peer.rest.get("flaps").and_then(serde_json::Value::as_u64) == Some(0), "{peer:?}");
        let stale = peer.rest.get("stale").and_then(serde_json::Value::as_u64);
        ensure!(stale == Some(0), "{peer:?}");
    }
    ensure!(manx.command_line(&["refresh", "bgppeer/nobody"]).is_err(), "there is no such peer");
    Ok(())
}
