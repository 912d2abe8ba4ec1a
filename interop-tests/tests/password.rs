//! TCP-MD5 (RFC 2385) against BIRD and between two manx: the right key is needed, a wrong one is hinted at, and
//! changing it on both ends keeps the session.

use std::fs;

use anyhow::{Result, ensure};
use interop_tests::uplink::{self, NODE, NODE_AS, ROUTER, SESSIONS};
use interop_tests::{Bird, Lab, Manifest, Manx, can_run, ip, net, secs};
use serde_json::json;

/// A Secret as kubectl writes it.
fn secret(password: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: bgp-passwords\n  namespace: kube-system\ntype: Opaque\n\
         stringData:\n  key: {password}\n"
    )
}

fn reference() -> serde_json::Value {
    json!({"secretKeyRef": {"name": "bgp-passwords", "key": "key"}})
}

/// Neither the logs nor any answer may hold a password of these tests, which all begin alike.
fn ensure_not_shown(lab: &Lab, manx: &Manx) -> Result<()> {
    let mut texts = Vec::new();
    for words in [&["status"][..], &["peers"], &["peers", "-o", "json"], &["status", "-o", "json"]] {
        texts.push(manx.command_line(words)?);
    }
    for entry in fs::read_dir(lab.directory())?.flatten() {
        if entry.file_name().to_string_lossy().ends_with("-manx.log") {
            texts.push(fs::read_to_string(entry.path())?);
        }
    }
    ensure!(texts.len() > 4, "no log was found");
    ensure!(texts.iter().all(|text| !text.contains("hunter")), "a password is shown: {texts:?}");
    Ok(())
}

#[test]
fn rfc2385_bird_wants_the_right_password() -> Result<()> {
    if !can_run("rfc2385_bird_wants_the_right_password") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut config = uplink::bird();
    for neighbor in &mut config.neighbors {
        neighbor.bird_options.push("password \"hunter1\"".to_owned());
    }
    let mut manifests = uplink::manifests();
    for manifest in manifests.iter_mut().filter(|manifest| manifest.file_name().starts_with("bgppeer")) {
        *manifest = manifest.clone().with("password", reference());
    }
    let mut bird = Bird::start(lab.host("router")?, config.clone())?;
    let manx = Manx::launch(lab.host("node1")?, &manifests)?;

    // Without the Secret there is no session, and it is said why.
    lab.wait_until("the missing Secret is named", secs(5), || {
        let status = manx.status()?;
        let names = |message: &str| message.contains("there is no Secret named bgp-passwords");
        ensure!(status.problems.iter().any(|problem| names(&problem.message)), "{status:?}");
        // The sessions that are not started are shown with what they lack.
        for router in uplink::routers() {
            let peer = manx.peer(router)?;
            let is_told = peer.last_error.as_ref().is_some_and(|error| names(error));
            ensure!(peer.state == "idle" && is_told, "{peer:?}");
        }
        Ok(())
    })?;

    manx.write_manifest("secret.yaml", &secret("hunter2"))?;
    lab.wait_until("the wrong password is hinted at", secs(15), || {
        for router in uplink::routers() {
            let peer = manx.peer(router)?;
            ensure!(peer.state != "established", "{peer:?}");
            let hints = |error: &String| error.contains("TCP-MD5 password");
            ensure!(peer.last_error.as_ref().is_some_and(hints), "{peer:?}");
        }
        Ok(())
    })?;

    manx.write_manifest("secret.yaml", &secret("hunter1"))?;
    ensure_up(&lab, &bird, &manx)?;

    // BIRD 2 ends a session whose password changes; with the new one on both ends it comes back.
    for neighbor in &mut config.neighbors {
        neighbor.bird_options = vec!["password \"hunter3\"".to_owned()];
    }
    bird.set_neighbors(config.neighbors)?;
    manx.write_manifest("secret.yaml", &secret("hunter3"))?;
    ensure_up(&lab, &bird, &manx)?;

    // The manifest without a password, BIRD with one: nothing may get through.
    let open = Manifest::bgp_peer("router4", ROUTER[0], uplink::ROUTER_AS).with("holdTime", "3s");
    manx.apply(&open.with("connectRetryTime", "1s"))?;
    lab.wait_until("the session without a password ends", secs(15), || {
        let peer = manx.peer(ip(ROUTER[0]))?;
        ensure!(peer.state != "established" && peer.last_error.is_some(), "{peer:?}");
        Ok(())
    })?;
    manx.ensure_established(ip(ROUTER[1]))?;
    ensure_not_shown(&lab, &manx)
}

fn ensure_up(lab: &Lab, bird: &Bird, manx: &Manx) -> Result<()> {
    lab.wait_until("both sessions are up", secs(20), || {
        for (session, router) in SESSIONS.into_iter().zip(uplink::routers()) {
            bird.ensure_established(session)?;
            let peer = manx.ensure_established(router)?;
            ensure!(peer.rest.get("password") == Some(&json!(true)), "{peer:?}");
        }
        Ok(())
    })
}

#[test]
fn rfc2385_a_password_changed_on_both_ends_keeps_the_session() -> Result<()> {
    if !can_run("rfc2385_a_password_changed_on_both_ends_keeps_the_session") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let block = "10.64.2.0/26";
    let manifests = [
        Manifest::node("node1", &["10.1.0.1/24"], Some(NODE_AS), &[]),
        Manifest::node("router", &["10.1.0.2/24"], Some(NODE_AS), &[]),
        Manifest::bgp_configuration(true, 64512).with("nodeMeshPassword", reference()),
        Manifest::ip_pool("pool4", "10.64.0.0/16"),
    ];
    let nodes = ["node1", "router"].map(|host| -> Result<Manx> {
        let mut manx = Manx::prepare(lab.host(host)?)?;
        manx.write_manifest("secret.yaml", &secret("hunter1"))?;
        manx.apply_all(&manifests)?;
        manx.start()?;
        Ok(manx)
    });
    let [node, router] = nodes;
    let (node, router) = (node?, router?);
    let up = |manx: &Manx, address: &str| manx.ensure_established(ip(address));
    lab.wait_until("the mesh is up", secs(20), || {
        up(&node, ROUTER[0])?;
        up(&router, NODE[0]).map(drop)
    })?;

    node.write_manifest("secret.yaml", &secret("hunter2"))?;
    lab.wait_until("one end has changed its key", secs(5), || {
        let log = fs::read_to_string(lab.directory().join("node1-manx.log"))?;
        ensure!(log.contains("password changed in place"), "{log}");
        Ok(())
    })?;
    // A route that is sent while the keys differ is not lost: TCP repeats it.
    router.apply(&Manifest::block_affinity("router", block))?;
    lab.holds_for("nothing gets through while the keys differ", secs(1), || {
        ensure!(node.paths(net(block))?.is_empty(), "{block} came through");
        Ok(())
    })?;
    router.write_manifest("secret.yaml", &secret("hunter2"))?;
    lab.wait_until("the route arrives", secs(20), || {
        ensure!(node.paths(net(block))?.len() == 1, "not there yet");
        Ok(())
    })?;
    for peer in [up(&node, ROUTER[0])?, up(&router, NODE[0])?] {
        ensure!(peer.rest.get("flaps") == Some(&json!(0)), "{peer:?}");
    }
    ensure_not_shown(&lab, &node)
}
