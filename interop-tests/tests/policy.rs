//! BGPFilter against BIRD: what comes in is rejected and changed by rule, what leaves is seen changed, and an
//! edited filter takes effect while the session stays up.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use anyhow::{Context, Result, ensure};
use interop_tests::speaker::bird::BirdSession;
use interop_tests::uplink::{self, BLOCKS, NODE_AS, ROUTER, SESSIONS};
use interop_tests::{Bird, Family, Lab, Manifest, Manx, can_run, ip, kernel, net, secs};
use serde_json::{Value, json};

const KEPT: &str = "172.31.1.0/24";
const REJECTED: &str = "172.31.66.0/24";

fn filter(import: Value, export: Value) -> Manifest {
    Manifest::bgp_filter("fabric").with("importV4", import).with("exportV4", export)
}

fn manifests() -> Vec<Manifest> {
    let mut all = uplink::manifests();
    // The same kind and name as one of them: the last one written stays.
    let advertisements = json!([{"cidr": "10.64.0.0/16", "communities": ["65001:244"]}]);
    all.push(Manifest::bgp_configuration(false, 64512).with("prefixAdvertisements", advertisements));
    let position = all.iter().position(|manifest| manifest.file_name() == "bgppeer-router4.yaml");
    if let Some(peer) = position.map(|position| all.remove(position)) {
        all.push(peer.with("filters", json!(["fabric"])));
    }
    all.push(filter(
        json!([{"action": "Reject", "cidr": REJECTED, "matchOperator": "In"}]),
        json!([{
            "action": "Accept",
            "cidr": "10.64.0.0/16",
            "matchOperator": "In",
            "operations": [
                {"addCommunity": {"value": "65001:100"}},
                {"addCommunity": {"value": "65001:1:2"}},
                {"prependASPath": {"prefix": [64999, 64998]}}
            ]
        }]),
    ));
    all
}

#[test]
fn bird_sees_filters_and_their_changes() -> Result<()> {
    if !can_run("bird_sees_filters_and_their_changes") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut bird = Bird::start(lab.host("router")?, uplink::bird())?;
    bird.announce([KEPT, REJECTED].map(net).to_vec())?;
    let manx = Manx::launch(lab.host("node1")?, &manifests())?;

    ensure_block_leaves_as(
        &lab,
        &bird,
        Some((&format!("{NODE_AS} 64999 64998"), "(65001,100)", "(65001, 1, 2)")),
    )?;
    ensure_kernel_has(&lab, &[KEPT])?;
    let paths = manx.paths(net(REJECTED))?;
    let reason = paths.first().and_then(|path| path.ineligible.clone());
    ensure!(reason.as_deref() == Some("rejected by import filter fabric rule 1"), "{paths:?}");
    let shown = manx.command_line(&["peers", ROUTER[0]])?;
    ensure!(shown.lines().any(|line| line.starts_with("filters") && line.contains("fabric")), "{shown}");

    // Another rule each way: the one is let in and the other kept out, and the block leaves with less.
    let session = bird.session(SESSIONS[0])?;
    let received = received_updates(&manx)?;
    manx.apply(&filter(
        json!([{"action": "Reject", "cidr": KEPT, "matchOperator": "Equal"}]),
        json!([{"action": "Accept", "operations": [{"addCommunity": {"value": "65001:7"}}]}]),
    ))?;
    ensure_block_leaves_as(&lab, &bird, Some((&NODE_AS.to_string(), "(65001,7)", "")))?;
    ensure_kernel_has(&lab, &[REJECTED])?;

    // The block is withdrawn, and leaves by the shared rules and with their community when there is no filter.
    manx.apply(&filter(json!([]), json!([{"action": "Reject"}])))?;
    ensure_block_leaves_as(&lab, &bird, None)?;
    manx.remove_manifest("bgpfilter-fabric.yaml")?;
    ensure_block_leaves_as(&lab, &bird, Some((&NODE_AS.to_string(), "(65001,244)", "")))?;
    ensure_kernel_has(&lab, &[KEPT, REJECTED])?;
    let problems = manx.status()?.problems;
    ensure!(
        problems.iter().any(|problem| problem.message == "there is no BGPFilter named fabric: it is skipped"),
        "{problems:?}"
    );

    ensure_untouched(&session, &bird.session(SESSIONS[0])?)?;
    ensure!(received_updates(&manx)? == received, "the router was asked to send its routes again");
    Ok(())
}

/// What the router has of our IPv4 block: AS path, community, large community; empty: none.
fn ensure_block_leaves_as(lab: &Lab, bird: &Bird, wanted: Option<(&str, &str, &str)>) -> Result<()> {
    lab.wait_until(&format!("the router has the block as {wanted:?}"), secs(15), || {
        let routes = bird.routes_from(SESSIONS[0], Family::V4)?;
        let found = routes.get(&net(BLOCKS[0])).map(|route| {
            let attribute = |name: &str| route.attributes.get(name).cloned().unwrap_or_default();
            (attribute("as_path"), attribute("community"), attribute("large_community"))
        });
        let found = found.as_ref().map(|(path, community, large)| (&path[..], &community[..], &large[..]));
        ensure!(found == wanted, "{routes:?}");
        Ok(())
    })
}

fn ensure_kernel_has(lab: &Lab, wanted: &[&str]) -> Result<()> {
    let node = lab.host("node1")?;
    lab.wait_until(&format!("the kernel has exactly {wanted:?}"), secs(10), || {
        let routes = kernel::learned_routes(node, Family::V4)?;
        let found: Vec<_> = routes.iter().map(|route| route.destination).collect();
        ensure!(found == wanted.iter().map(|prefix| net(prefix)).collect::<Vec<_>>(), "{found:?}");
        Ok(())
    })
}

fn received_updates(manx: &Manx) -> Result<u64> {
    let peer = manx.peer(ip(ROUTER[0]))?;
    peer.rest.get("updates_in").and_then(Value::as_u64).context("updates_in")
}

fn ensure_untouched(before: &BirdSession, after: &BirdSession) -> Result<()> {
    ensure!(before == after && after.info.starts_with("Established"), "{before:?} {after:?}");
    Ok(())
}
