//! What the operator sets against a peer, seen by BIRD: too many prefixes, administrative shutdown.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use anyhow::{Result, ensure};
use interop_tests::speaker::manx::PeerView;
use interop_tests::uplink::{self, ANNOUNCED, ROUTER, ROUTER_AS, SESSIONS};
use interop_tests::{Bird, Lab, Manifest, Manx, can_run, ip, net, secs};
use serde_json::{Value, json};

/// The IPv4 session's BGPPeer.
fn peer() -> Manifest {
    Manifest::bgp_peer("router4", ROUTER[0], ROUTER_AS).with("holdTime", "3s").with("connectRetryTime", "1s")
}

fn limit(received: u32, action: &str) -> Value {
    json!({"received": received, "action": action})
}

/// The node with BIRD as its router, both sessions up.
fn running() -> Result<(Bird, Manx, Lab)> {
    let lab = uplink::build()?;
    let bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    ensure_up(&lab, &bird, &manx)?;
    Ok((bird, manx, lab))
}

fn ensure_up(lab: &Lab, bird: &Bird, manx: &Manx) -> Result<()> {
    lab.wait_until("both sessions are up", secs(15), || {
        for (session, router) in SESSIONS.into_iter().zip(uplink::routers()) {
            bird.ensure_established(session)?;
            manx.ensure_established(router)?;
        }
        Ok(())
    })
}

/// The IPv4 session is idle for this reason, and BIRD has been told so; the IPv6 session does not care.
fn wait_until_idle(lab: &Lab, bird: &Bird, manx: &Manx, ours: &str, theirs: &str) -> Result<PeerView> {
    lab.wait_until(&format!("the session is idle: {ours}"), secs(10), || {
        let peer = manx.peer(ip(ROUTER[0]))?;
        let says = peer.last_error.as_ref().is_some_and(|error| error.contains(ours));
        ensure!(peer.state == "idle" && says, "{peer:?}");
        let log = std::fs::read_to_string(lab.directory().join("router-bird.log"))?;
        ensure!(log.contains(theirs), "{:?} {log}", bird.session(SESSIONS[0])?);
        manx.ensure_established(ip(ROUTER[1]))?;
        Ok(peer)
    })
}

#[test]
fn rfc4486_too_many_prefixes_end_the_session() -> Result<()> {
    if !can_run("rfc4486_too_many_prefixes_end_the_session") {
        return Ok(());
    }
    let (mut bird, manx, lab) = running()?;
    // A limit that is kept changes nothing, not even its being set.
    manx.apply(&peer().with("maximumPrefixes", limit(2, "Shutdown")))?;
    lab.wait_until("the limit is shown", secs(5), || {
        let peer = manx.ensure_established(ip(ROUTER[0]))?;
        ensure!(peer.rest.get("maximum_prefixes") == Some(&json!(2)), "{peer:?}");
        ensure!(peer.rest.get("flaps") == Some(&json!(0)), "{peer:?}");
        Ok(())
    })?;
    let mut announced = ANNOUNCED.map(net).to_vec();
    announced.extend(["172.31.2.0/24", "172.31.3.0/24"].map(net));
    bird.announce(announced)?;
    let theirs = "Received: Maximum number of prefixes reached";
    let peer_view =
        wait_until_idle(&lab, &bird, &manx, "3 prefixes received, 2 are allowed; down until", theirs)?;
    ensure!(peer_view.received == 0, "{peer_view:?}");

    // Raising the limit is enough; a warning lets everything in.
    manx.apply(&peer().with("maximumPrefixes", limit(3, "Shutdown")))?;
    ensure_up(&lab, &bird, &manx)?;
    manx.apply(&peer().with("maximumPrefixes", limit(1, "Warn")))?;
    lab.wait_until("the warning is in the log", secs(5), || {
        let log = std::fs::read_to_string(lab.directory().join("node1-manx.log"))?;
        ensure!(log.contains("more prefixes than maximumPrefixes allows"), "{log}");
        let peer = manx.ensure_established(ip(ROUTER[0]))?;
        ensure!(peer.received == 3, "{peer:?}");
        Ok(())
    })?;

    // With a restart time the session comes back by itself, and ends again.
    let restart = json!({"received": 1, "restartTime": "2s"});
    manx.apply(&peer().with("maximumPrefixes", restart))?;
    wait_until_idle(&lab, &bird, &manx, "tried again in 2 s", theirs)?;
    bird.announce(ANNOUNCED.map(net).to_vec())?;
    ensure_up(&lab, &bird, &manx)
}

/// What filters leave, and what goes out, have limits of their own.
#[test]
fn too_many_prefixes_accepted_or_sent_end_the_session() -> Result<()> {
    if !can_run("too_many_prefixes_accepted_or_sent_end_the_session") {
        return Ok(());
    }
    let (mut bird, manx, lab) = running()?;
    bird.announce(["172.31.1.0/24", "172.31.2.0/24"].map(net).to_vec())?;
    let reject = json!([{"action": "Reject", "cidr": "172.31.2.0/24", "matchOperator": "Equal"}]);
    manx.apply(&Manifest::bgp_filter("one").with("importV4", reject))?;
    let limited = |limit: Value| peer().with("filters", json!(["one"])).with("maximumPrefixes", limit);
    manx.apply(&limited(json!({"accepted": 1, "sent": 1, "action": "Shutdown"})))?;
    lab.wait_until("one of two is accepted", secs(10), || {
        let peer = manx.ensure_established(ip(ROUTER[0]))?;
        ensure!((peer.received, peer.accepted, peer.advertised) == (2, 1, 1), "{peer:?}");
        Ok(())
    })?;
    // The filter lets the second one in: that is one too many.
    manx.apply(&Manifest::bgp_filter("one"))?;
    let theirs = "Received: Maximum number of prefixes reached";
    wait_until_idle(&lab, &bird, &manx, "2 prefixes accepted, 1 are allowed", theirs)?;
    manx.apply(&limited(json!({"sent": 1, "action": "Shutdown"})))?;
    ensure_up(&lab, &bird, &manx)?;
    manx.apply(&Manifest::block_affinity("node1", "10.64.7.0/26"))?;
    let theirs = "Administrative shutdown: \"2 prefixes for you, 1 are allowed here\"";
    wait_until_idle(&lab, &bird, &manx, "2 prefixes sent, 1 are allowed", theirs)?;
    Ok(())
}

#[test]
fn rfc9003_administrative_shutdown_tells_the_neighbor_why() -> Result<()> {
    if !can_run("rfc9003_administrative_shutdown_tells_the_neighbor_why") {
        return Ok(());
    }
    let (bird, manx, lab) = running()?;
    manx.apply(&peer().with("shutdown", json!({"message": "fibre works until noon"})))?;
    let why = "fibre works until noon";
    let ours = format!("administrative shutdown: {why}");
    let view = wait_until_idle(&lab, &bird, &manx, &ours, why)?;
    ensure!(view.received == 0, "{view:?}");
    ensure!(manx.command_line(&["peers"])?.contains(why), "{}", manx.command_line(&["peers"])?);
    // BIRD dials every two seconds and is refused.
    lab.holds_for("it stays down", secs(3), || {
        let peer = manx.peer(ip(ROUTER[0]))?;
        ensure!(peer.state == "idle", "{peer:?}");
        Ok(())
    })?;
    manx.apply(&peer())?;
    ensure_up(&lab, &bird, &manx)
}
