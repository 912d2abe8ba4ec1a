//! Roles and ONLY_TO_CUSTOMER (RFC 9234) against BIRD.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use anyhow::{Context, Result, ensure};
use interop_tests::uplink::{self, ANNOUNCED, BLOCKS, NODE_AS, ROUTER_AS, SESSIONS};
use interop_tests::{Bird, Family, Lab, Manifest, Manx, can_run, net, secs};
use serde_json::json;

fn set_bird_role(bird: &mut Bird, lines: &[&str]) -> Result<()> {
    let mut neighbors = uplink::neighbors();
    for neighbor in &mut neighbors {
        neighbor.bird_options.extend(lines.iter().map(|&line| line.to_owned()));
    }
    bird.set_neighbors(neighbors)
}

/// The manifests of the two sessions, with our role.
fn peers(role: &str, strict: bool) -> Vec<Manifest> {
    let peers = uplink::manifests().into_iter().filter(|one| one.file_name().starts_with("bgppeer"));
    peers.map(|peer| peer.with("role", role).with("roleStrict", strict)).collect()
}

fn ensure_up(lab: &Lab, bird: &Bird, manx: &Manx, role: &str) -> Result<()> {
    lab.wait_until(&format!("both sessions are up, we are the {role}"), secs(20), || {
        for (session, router) in SESSIONS.into_iter().zip(uplink::routers()) {
            bird.ensure_established(session)?;
            let peer = manx.ensure_established(router)?;
            ensure!(peer.rest.get("role") == Some(&json!(role)) && peer.received == 1, "{peer:?}");
        }
        Ok(())
    })
}

/// The mark on BIRD's routes here, and on our blocks there.
fn ensure_marks(lab: &Lab, bird: &Bird, manx: &Manx, here: u32, there: Option<u32>) -> Result<()> {
    lab.wait_until(&format!("marks are {here} here and {there:?} there"), secs(10), || {
        for (index, family) in Family::ALL.into_iter().enumerate() {
            let paths = manx.paths(net(ANNOUNCED[index]))?;
            let path = paths.first().with_context(|| format!("no {}", ANNOUNCED[index]))?;
            ensure!(path.rest.get("only_to_customer") == Some(&json!(here)), "{path:?}");
            let routes = bird.routes_from(SESSIONS[index], family)?;
            let block = routes.get(&net(BLOCKS[index])).with_context(|| format!("{routes:?}"))?;
            ensure!(block.attributes.get("otc") == there.map(|asn| asn.to_string()).as_ref(), "{block:?}");
        }
        Ok(())
    })
}

#[test]
fn rfc9234_roles_and_marks_with_bird() -> Result<()> {
    if !can_run("rfc9234_roles_and_marks_with_bird") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut bird = Bird::start(lab.host("router")?, uplink::bird())?;
    set_bird_role(&mut bird, &["local role provider", "require roles on"])?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    manx.apply_all(&peers("Customer", true))?;
    ensure_up(&lab, &bird, &manx, "customer")?;
    // BIRD marks what it sends to a customer; what we send to a provider is not marked.
    ensure_marks(&lab, &bird, &manx, ROUTER_AS, None)?;

    // Between peers each end marks what it sends.
    set_bird_role(&mut bird, &["local role peer", "require roles on"])?;
    manx.apply_all(&peers("Peer", true))?;
    ensure_up(&lab, &bird, &manx, "peer")?;
    ensure_marks(&lab, &bird, &manx, ROUTER_AS, Some(NODE_AS))?;

    // Both providers: neither end accepts it.
    set_bird_role(&mut bird, &["local role provider"])?;
    manx.apply_all(&peers("Provider", false))?;
    ensure_down(&lab, &manx, &["Role Mismatch"])?;

    // A neighbor without a role is good enough unless we insist.
    set_bird_role(&mut bird, &[])?;
    ensure_up(&lab, &bird, &manx, "provider")?;
    manx.apply_all(&peers("Provider", true))?;
    ensure_down(&lab, &manx, &["Role Mismatch", "the neighbor says no role, ours is provider"])
}

fn ensure_down(lab: &Lab, manx: &Manx, words: &[&str]) -> Result<()> {
    lab.wait_until(&format!("both sessions are down: {words:?}"), secs(15), || {
        for router in uplink::routers() {
            let peer = manx.peer(router)?;
            let error = peer.last_error.clone().unwrap_or_default();
            ensure!(peer.state != "established" && words.iter().all(|word| error.contains(word)), "{peer:?}");
        }
        Ok(())
    })
}
