//! Ranges of services: announced to BIRD, and kept out of the node's kernel when BIRD announces inside of them.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use anyhow::{Result, ensure};
use interop_tests::uplink::{self, ANNOUNCED, SESSIONS};
use interop_tests::{Bird, Family, Manifest, Manx, can_run, kernel, net, secs};
use serde_json::json;

const RANGE: &str = "10.96.0.0/12";
const INSIDE: &str = "10.96.1.0/24";

#[test]
fn service_ranges_are_announced_and_not_installed() -> Result<()> {
    if !can_run("service_ranges_are_announced_and_not_installed") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut config = uplink::bird();
    config.announce.push(net(INSIDE));
    let bird = Bird::start(lab.host("router")?, config)?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    let ensure_state = |is_service: bool| {
        lab.wait_until(&format!("{RANGE} is one of services: {is_service}"), secs(15), || {
            let routes = bird.routes_from(SESSIONS[0], Family::V4)?;
            ensure!(routes.contains_key(&net(RANGE)) == is_service, "{routes:?}");
            ensure!(manx.paths(net(INSIDE))?.iter().any(|path| path.best), "{:?}", manx.paths(net(INSIDE))?);
            let installed = kernel::learned(lab.host("node1")?, Family::V4)?;
            ensure!(installed.contains(&net(INSIDE)) != is_service, "{installed:?}");
            ensure!(installed.contains(&net(ANNOUNCED[0])), "{installed:?}");
            Ok(())
        })
    };
    ensure_state(false)?;
    let plain = Manifest::bgp_configuration(false, 64512);
    manx.apply(&plain.clone().with("serviceClusterIPs", json!([{"cidr": RANGE}])))?;
    ensure_state(true)?;
    manx.apply(&plain)?;
    ensure_state(false)
}
