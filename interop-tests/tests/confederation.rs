//! A confederation (RFC 5065) of a node and BIRD as another member AS, with GoBGP as the world outside.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use anyhow::{Context, Result, ensure};
use interop_tests::speaker::Neighbor;
use interop_tests::speaker::gobgp::GobgpConfig;
use interop_tests::uplink::{self, BLOCKS, NODE_AS, ROUTER_AS, SESSIONS};
use interop_tests::{Bird, Family, Gobgp, Manifest, Manx, can_run, end, ip, net, secs};
use serde_json::json;

const IDENTIFIER: u32 = 65500;
const WORLD_AS: u32 = 65100;
/// Inside the pool, so that the node passes them on: of BIRD, and of the world.
const MEMBER: &str = "10.64.99.0/26";
const WORLD: &str = "10.64.77.0/26";

#[test]
fn rfc5065_bird_is_inside_and_gobgp_outside() -> Result<()> {
    if !can_run("rfc5065_bird_is_inside_and_gobgp_outside") {
        return Ok(());
    }
    let lab = uplink::topology()
        .host("world")
        .link(end("node1", "eth1", &["10.2.0.1/24"]), end("world", "eth0", &["10.2.0.2/24"]))
        .build()?;
    let mut config = uplink::bird();
    config.announce = vec![net(MEMBER)];
    config.kernel = false;
    for neighbor in &mut config.neighbors {
        neighbor.bird_options.push(format!("confederation {IDENTIFIER}"));
        neighbor.bird_options.push("confederation member yes".to_owned());
        // Else BIRD takes no next hop that is not on the wire.
        neighbor.bird_options.push("multihop".to_owned());
    }
    let bird = Bird::start(lab.host("router")?, config)?;
    let world = Gobgp::start(
        lab.host("world")?,
        GobgpConfig {
            router_id: [10, 2, 0, 2].into(),
            local_as: WORLD_AS,
            neighbors: vec![Neighbor::new("node", ip("10.2.0.2"), ip("10.2.0.1"), IDENTIFIER)],
        },
    )?;
    world.announce(&[net(WORLD)])?;
    let confederation = json!({"identifier": IDENTIFIER, "members": [NODE_AS, ROUTER_AS]});
    let mut manifests = uplink::manifests();
    manifests.push(Manifest::bgp_configuration(false, 64512).with("confederation", confederation));
    let peer = Manifest::bgp_peer("world", "10.2.0.2", WORLD_AS).with("sourceAddress", "None");
    manifests.push(peer.with("connectRetryTime", "1s"));
    let manx = Manx::launch(lab.host("node1")?, &manifests)?;

    lab.wait_until("GoBGP sees one AS, and no member", secs(20), || {
        world.ensure_established(ip("10.2.0.1"))?;
        let routes = world.routes_from(ip("10.2.0.1"), Family::V4)?;
        for prefix in [BLOCKS[0], MEMBER] {
            let path = routes.get(&net(prefix)).with_context(|| format!("{routes:?}"))?;
            ensure!(path.as_path == [IDENTIFIER], "{prefix} {path:?}");
        }
        Ok(())
    })?;
    lab.wait_until("BIRD sees the members, LOCAL_PREF and the world's next hop", secs(20), || {
        let routes = bird.routes_from(SESSIONS[0], Family::V4)?;
        let attribute = |prefix: &str, name: &str| -> Result<String> {
            let route = routes.get(&net(prefix)).with_context(|| format!("{routes:?}"))?;
            Ok(route.attributes.get(name).cloned().unwrap_or_default())
        };
        ensure!(attribute(BLOCKS[0], "as_path")? == format!("({NODE_AS})"), "{routes:?}");
        ensure!(attribute(BLOCKS[0], "local_pref")? == "2147482623", "{routes:?}");
        ensure!(attribute(WORLD, "as_path")? == format!("({NODE_AS}) {WORLD_AS}"), "{routes:?}");
        ensure!(attribute(WORLD, "local_pref")? == "100", "{routes:?}");
        ensure!(attribute(WORLD, "next_hop")? == "10.2.0.2", "{routes:?}");
        Ok(())
    })?;
    lab.wait_until("we see BIRD as a member", secs(10), || {
        let paths = manx.paths(net(MEMBER))?;
        let path = paths.first().context("no path")?;
        ensure!(path.as_path == format!("({ROUTER_AS})") && path.best, "{path:?}");
        ensure!(path.rest.get("local_pref") == Some(&json!(100)), "{path:?}");
        let peer = manx.ensure_established(uplink::routers()[0])?;
        ensure!(peer.rest.get("kind") == Some(&json!("confederation")), "{peer:?}");
        Ok(())
    })
}
