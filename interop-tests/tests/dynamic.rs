//! Dynamic neighbors (peerPrefix) against BIRD and GoBGP: several in one prefix, with TCP-MD5, a limit, a restart of
//! one, and changes while they are up.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use interop_tests::speaker::Neighbor;
use interop_tests::speaker::bird::{BirdConfig, BirdSession};
use interop_tests::speaker::gobgp::GobgpConfig;
use interop_tests::topology::{Lab, Topology, end};
use interop_tests::{Bird, Family, Gobgp, Manifest, Manx, can_run, ip, net, secs};
use serde_json::{Value, json};

const NODE: &str = "10.1.0.1";
const NODE_AS: u32 = 64_601;
/// Address, AS and what it announces. The last one comes when the limit is reached.
const ROUTERS: [(&str, &str, u32, &str); 4] = [
    ("router1", "10.1.0.11", 65_001, "172.31.1.0/24"),
    ("router2", "10.1.0.12", 65_012, "172.31.2.0/24"),
    ("router3", "10.1.0.13", 65_020, "172.31.3.0/24"),
    ("router4", "10.1.0.14", 65_001, "172.31.4.0/24"),
];
const NAME: &str = "bgppeer/rack";

fn lab() -> Result<Lab> {
    let port = |host: &str, address: &str| end(host, "eth0", &[&format!("{address}/24")]);
    let mut topology = Topology::new().host("node1");
    let mut ends = vec![port("node1", NODE)];
    for (host, address, ..) in ROUTERS {
        topology = topology.host(host);
        ends.push(port(host, address));
    }
    topology.segment("switch", ends).build()
}

fn rack() -> Manifest {
    // The constructor's peerIP is replaced: null is not there.
    Manifest::bgp_peer("rack", NODE, 0)
        .with("peerIP", Value::Null)
        .with("asNumber", Value::Null)
        .with("peerPrefix", "10.1.0.0/24")
        .with("asNumbers", json!([65_001, "65010-65020"]))
        .with("maximumDynamicPeers", 3)
        .with("holdTime", "6s")
        .with("password", json!({"secretKeyRef": {"name": "keys", "key": "bgp"}}))
}

fn manifests() -> Vec<Manifest> {
    vec![
        Manifest::node("node1", &["10.1.0.1/24"], Some(NODE_AS), &[]),
        Manifest::bgp_configuration(false, 64_512),
        Manifest::ip_pool("pool4", "10.64.0.0/16"),
        Manifest::block_affinity("node1", "10.64.1.0/26"),
        rack(),
    ]
}

fn secret(password: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: keys\n  namespace: kube-system\nstringData:\n  bgp: {password}\n"
    )
}

fn start_manx(lab: &Lab) -> Result<Manx> {
    let mut manx = Manx::prepare(lab.host("node1")?)?;
    manx.write_manifest("secret.yaml", &secret("hunter1"))?;
    manx.apply_all(&manifests())?;
    manx.start()?;
    Ok(manx)
}

fn bird(lab: &Lab, index: usize, password: Option<&str>) -> Result<Bird> {
    let (host, address, local_as, prefix) = *ROUTERS.get(index).context("a router")?;
    let mut neighbor = Neighbor::new("node", ip(address), ip(NODE), NODE_AS).hold_time(6);
    if let Some(password) = password {
        neighbor = neighbor.bird_option(&format!("password \"{password}\""));
    }
    let neighbor = neighbor.bird_option("connect delay time 1").bird_option("connect retry time 2");
    let neighbor = neighbor.bird_option("error wait time 1, 2");
    let router_id: Ipv4Addr = address.parse()?;
    let config = BirdConfig {
        router_id,
        local_as,
        neighbors: vec![neighbor],
        announce: vec![net(prefix)],
        kernel: false,
    };
    Bird::start(lab.host(host)?, config)
}

/// `current of maximum`, and how many were refused.
fn template(manx: &Manx) -> Result<(u64, u64, u64)> {
    let document: Value = serde_json::from_str(&manx.command_line(&["peers", "-o", "json"])?)?;
    let template = document.pointer("/dynamic/0").context("a template")?;
    ensure!(template.get("name") == Some(&json!(NAME)), "{template}");
    let number = |field: &str| template.get(field).and_then(Value::as_u64).context("a number");
    Ok((number("current")?, number("maximum")?, number("refused")?))
}

fn ensure_up(manx: &Manx, index: usize) -> Result<()> {
    let (_, address, asn, prefix) = *ROUTERS.get(index).context("a router")?;
    let peer = manx.ensure_established(ip(address))?;
    let field = |name: &str| peer.rest.get(name).cloned().unwrap_or_default();
    ensure!(peer.name == format!("{NAME}/dynamic/{address}") && field("template") == json!(NAME), "{peer:?}");
    ensure!(peer.remote_as == asn && field("password") == json!(true), "{peer:?}");
    ensure!(manx.paths(net(prefix))?.len() == 1, "{prefix} is not there");
    Ok(())
}

fn since(bird: &Bird) -> Result<BirdSession> {
    bird.session("node")
}

#[test]
fn several_birds_in_one_prefix_with_a_password_and_a_limit() -> Result<()> {
    if !can_run("several_birds_in_one_prefix_with_a_password_and_a_limit") {
        return Ok(());
    }
    let lab = lab()?;
    let manx = start_manx(&lab)?;
    lab.wait_until("the daemon listens", secs(10), || manx.ensure_in_sync())?;
    let birds = (0..3).map(|index| bird(&lab, index, Some("hunter1"))).collect::<Result<Vec<_>>>()?;
    lab.wait_until("three peers are up, each in its AS", secs(30), || {
        (0..3).try_for_each(|index| ensure_up(&manx, index))
    })?;
    ensure!(template(&manx)? == (3, 3, 0), "{:?}", template(&manx)?);
    for bird in &birds {
        let routes = bird.routes_from("node", Family::V4)?;
        ensure!(routes.contains_key(&net("10.64.1.0/26")), "{routes:?}");
    }
    let text = manx.command_line(&["peers"])?;
    ensure!(text.contains("DYNAMIC PEERS OF") && text.contains("3 of 3"), "{text}");

    // One more is refused, and told so.
    let fourth = bird(&lab, 3, Some("hunter1"))?;
    lab.wait_until("the fourth is refused", secs(20), || {
        let (current, _, refused) = template(&manx)?;
        ensure!(current == 3 && refused > 0, "{current} {refused}");
        let info = fourth.session("node")?.info;
        ensure!(info.contains("Connection rejected"), "{info}");
        Ok(())
    })?;
    ensure!(manx.peer(ip("10.1.0.14")).is_err(), "it is no peer");

    // Timers and the limit change in place; nobody is reset.
    let before = birds.iter().map(since).collect::<Result<Vec<_>>>()?;
    let changed = rack().with("maximumDynamicPeers", 4).with("idleHoldTime", "2s").with("sendHoldTime", "1m");
    manx.apply(&changed.with("minimumAdvertisementTime", "1s"))?;
    lab.wait_until("the fourth is let in", secs(30), || {
        ensure_up(&manx, 3)?;
        let peer = manx.ensure_established(ip("10.1.0.11"))?;
        ensure!(peer.rest.get("send_hold_secs") == Some(&json!(60)), "{peer:?}");
        ensure!(peer.rest.get("minimum_advertisement_secs") == Some(&json!(1)), "{peer:?}");
        Ok(())
    })?;
    ensure!(before == birds.iter().map(since).collect::<Result<Vec<_>>>()?, "a session was reset");

    // An AS that is no longer among those ends its own session and no other.
    manx.apply(&rack().with("asNumbers", json!(["65010-65020"])).with("maximumDynamicPeers", 4))?;
    lab.wait_until("AS 65001 is refused", secs(20), || {
        for address in ["10.1.0.11", "10.1.0.14"] {
            ensure!(manx.ensure_established(ip(address)).is_err(), "{address} is up");
        }
        ensure!(fourth.session("node")?.info.contains("Bad peer AS"), "{:?}", fourth.session("node")?);
        Ok(())
    })?;
    for (index, bird) in birds.iter().enumerate().skip(1) {
        ensure_up(&manx, index)?;
        ensure!(before.get(index) == Some(&since(bird)?), "a session was reset");
    }

    // And without the manifest there is nobody.
    manx.remove_manifest("bgppeer-rack.yaml")?;
    lab.wait_until("all are gone", secs(20), || {
        ensure!(manx.peers()?.is_empty(), "{:?}", manx.peers()?);
        ensure!(manx.paths(net("172.31.2.0/24"))?.is_empty(), "its routes are there");
        Ok(())
    })
}

#[test]
fn rfc2385_an_unsigned_bird_does_not_get_in() -> Result<()> {
    if !can_run("rfc2385_an_unsigned_bird_does_not_get_in") {
        return Ok(());
    }
    let lab = lab()?;
    let manx = start_manx(&lab)?;
    lab.wait_until("the daemon listens", secs(10), || manx.ensure_in_sync())?;
    let _signed = bird(&lab, 0, Some("hunter1"))?;
    let _unsigned = bird(&lab, 1, None)?;
    let _wrong = bird(&lab, 2, Some("hunter2"))?;
    lab.wait_until("the signed one is up", secs(20), || ensure_up(&manx, 0))?;
    lab.holds_for("the others are kept out by the kernel", secs(5), || {
        ensure!(template(&manx)? == (1, 3, 0), "{:?}", template(&manx)?);
        Ok(())
    })
}

/// RFC 4724: a GoBGP that is killed finds its place and its routes when it is back; one that stays away is forgotten
/// with everything of it.
#[test]
fn rfc4724_a_dynamic_gobgp_restarts_or_is_forgotten() -> Result<()> {
    if !can_run("rfc4724_a_dynamic_gobgp_restarts_or_is_forgotten") {
        return Ok(());
    }
    let lab = lab()?;
    let manx = Manx::launch(lab.host("node1")?, &{
        let mut all = manifests();
        all.pop();
        all.push(rack().with("password", Value::Null));
        all
    })?;
    let (host, address, local_as, prefix) = ROUTERS[0];
    let neighbors = vec![Neighbor::new("node", ip(address), ip(NODE), NODE_AS).hold_time(6)];
    let router_id = address.parse()?;
    let mut gobgp = Gobgp::start(lab.host(host)?, GobgpConfig { router_id, local_as, neighbors })?;
    gobgp.announce(&[net(prefix)])?;
    let path = || manx.paths(net(prefix));
    let ensure_there = || {
        let peer = manx.ensure_established(ip(address))?;
        ensure!(path()?.len() == 1, "{prefix} is not there");
        Ok(peer)
    };
    let first = lab.wait_until("it is up with its route", secs(30), ensure_there)?;

    gobgp.kill()?;
    lab.wait_until("its session is lost, its route is kept", secs(10), || {
        let peer = manx.peer(ip(address))?;
        ensure!(peer.state != "established", "{peer:?}");
        ensure!(path()?.iter().any(|path| path.rest.get("stale") == Some(&json!(true))), "{:?}", path()?);
        Ok(())
    })?;
    gobgp.launch()?;
    gobgp.announce(&[net(prefix)])?;
    lab.wait_until("it is back in its place", secs(30), || {
        let peer = ensure_there()?;
        ensure!(peer.name == first.name && peer.rest.get("flaps") == Some(&json!(1)), "{peer:?}");
        ensure!(path()?.iter().all(|path| path.rest.get("stale") == Some(&json!(false))), "{:?}", path()?);
        Ok(())
    })?;

    // Its configuration gone with it, and no restart time to wait for.
    gobgp.withdraw_all()?;
    manx.apply(&rack().with("password", Value::Null).with("shutdown", json!({"message": "works"})))?;
    lab.wait_until("it is forgotten", secs(30), || {
        ensure!(manx.peers()?.is_empty(), "{:?}", manx.peers()?);
        Ok(())
    })
}
