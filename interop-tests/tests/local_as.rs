//! localASNumber against BIRD: OPEN and AS_PATH carry it instead of the node's own AS.

use anyhow::{Result, ensure};
use interop_tests::uplink::{self, BLOCKS, NODE_AS, SESSIONS};
use interop_tests::{Bird, Family, Manx, can_run, net, secs};

#[test]
fn rfc7705_bird_sees_only_the_local_as() -> Result<()> {
    if !can_run("rfc7705_bird_sees_only_the_local_as") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let local_as = 65_010;
    let mut config = uplink::bird();
    for neighbor in &mut config.neighbors {
        neighbor.remote_as = local_as;
    }
    let bird = Bird::start(lab.host("router")?, config)?;
    let mut manifests = uplink::manifests();
    for manifest in manifests.iter_mut().filter(|manifest| manifest.file_name().starts_with("bgppeer")) {
        *manifest = manifest.clone().with("localASNumber", local_as);
    }
    let manx = Manx::launch(lab.host("node1")?, &manifests)?;
    lab.wait_until("the router has our blocks from the local AS", secs(20), || {
        for (index, family) in Family::ALL.into_iter().enumerate() {
            let (Some(session), Some(block)) = (SESSIONS.get(index), BLOCKS.get(index)) else { continue };
            let routes = bird.routes_from(session, family)?;
            let path = routes.get(&net(block)).and_then(|route| route.attributes.get("as_path"));
            ensure!(path == Some(&local_as.to_string()), "{routes:?}");
        }
        Ok(())
    })?;
    for router in uplink::routers() {
        let peer = manx.ensure_established(router)?;
        ensure!(peer.rest.get("local_as") == Some(&local_as.into()), "{peer:?}");
    }
    ensure!(manx.status()?.problems.is_empty() && local_as != NODE_AS, "{:?}", manx.status()?);
    Ok(())
}
