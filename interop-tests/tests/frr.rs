//! A ToR that runs FRR: routes both ways, a restart of each side that costs nobody a route.

use anyhow::{Context, Result, ensure};
use interop_tests::uplink::{self, ANNOUNCED, BLOCKS, NODE, NODE_AS, ROUTER};
use interop_tests::{Family, Frr, Lab, Manx, can_run, ip, kernel, net, secs};

/// The node's blocks at the router, by way of both sessions.
fn wait_for_blocks(lab: &Lab, frr: &Frr) -> Result<()> {
    lab.wait_until("FRR has the node's blocks", secs(20), || {
        for (index, family) in Family::ALL.into_iter().enumerate() {
            let (Some(node), Some(block)) = (NODE.get(index), BLOCKS.get(index)) else { continue };
            let routes = frr.routes(family)?;
            let paths = routes.get(&net(block)).with_context(|| format!("no {block}: {routes:?}"))?;
            let path = paths.first().context("no path")?;
            ensure!(path.best && path.neighbor == Some(ip(node)), "{path:?}");
            ensure!(path.as_path == NODE_AS.to_string() && path.next_hops.contains(&ip(node)), "{path:?}");
        }
        Ok(())
    })
}

fn wait_for_kernel(lab: &Lab) -> Result<()> {
    lab.wait_until("the node has FRR's networks", secs(20), || {
        for (prefix, router) in ANNOUNCED.into_iter().zip(ROUTER) {
            let routes = kernel::learned_routes(lab.host("node1")?, Family::of(net(prefix).addr()))?;
            let route = routes.iter().find(|route| route.destination == net(prefix));
            let gateways = route.map(kernel::KernelRoute::gateways).unwrap_or_default();
            ensure!(gateways.contains(&ip(router)), "{prefix}: {gateways:?}");
        }
        Ok(())
    })
}

#[test]
fn routes_go_both_ways_and_outlive_a_killed_bgpd() -> Result<()> {
    if !can_run("routes_go_both_ways_and_outlive_a_killed_bgpd") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut frr = Frr::start(lab.host("router")?, uplink::frr())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    wait_for_blocks(&lab, &frr)?;
    wait_for_kernel(&lab)?;
    for (node, router) in NODE.into_iter().zip(ROUTER) {
        frr.ensure_established(ip(node))?;
        manx.ensure_established(ip(router))?;
    }
    frr.kill()?;
    wait_for_kernel(&lab)?;
    frr.launch()?;
    wait_for_blocks(&lab, &frr)?;
    wait_for_kernel(&lab)?;
    frr.withdraw(&ANNOUNCED.map(net))?;
    lab.wait_until("the networks are gone", secs(20), || {
        for prefix in ANNOUNCED.map(net) {
            let routes = kernel::learned_routes(lab.host("node1")?, Family::of(prefix.addr()))?;
            ensure!(routes.iter().all(|route| route.destination != prefix), "{routes:?}");
        }
        Ok(())
    })
}
