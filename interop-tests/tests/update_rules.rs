//! What is done to routes and demanded of them beside filters, as BIRD and FRR see it and as a scripted peer
//! provokes it: private AS numbers, AS override, first AS, AS_SETs, RFC 8212, RFC 8326.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use interop_tests::speaker::frr::FrrConfig;
use interop_tests::speaker::scripted::{announce, update};
use interop_tests::uplink::{self, ANNOUNCED, BLOCKS, NODE, NODE_AS, ROUTER, ROUTER_AS, SESSIONS};
use interop_tests::{Bird, Family, Frr, Lab, Manifest, Manx, Scripted, can_run, end, ip, net, secs};
use serde_json::{Value, json};

/// The IPv4 session's BGPPeer with these fields.
fn peer(fields: &[(&str, Value)]) -> Manifest {
    let peer = Manifest::bgp_peer("router4", ROUTER[0], ROUTER_AS);
    let peer = peer.with("holdTime", "3s").with("connectRetryTime", "1s");
    fields.iter().fold(peer, |peer, (name, value)| peer.with(name, value.clone()))
}

/// What BIRD has of our IPv4 block: AS path and communities.
fn ensure_block_is(lab: &Lab, bird: &Bird, wanted: Option<(&str, &str)>) -> Result<()> {
    lab.wait_until(&format!("BIRD has the block as {wanted:?}"), secs(10), || {
        let routes = bird.routes_from(SESSIONS[0], Family::V4)?;
        let found = routes.get(&net(BLOCKS[0])).map(|route| {
            let attribute = |name: &str| route.attributes.get(name).cloned().unwrap_or_default();
            (attribute("as_path"), attribute("community"))
        });
        let found = found.as_ref().map(|(path, communities)| (&path[..], &communities[..]));
        ensure!(found == wanted, "{routes:?}");
        Ok(())
    })
}

fn ensure_path(
    lab: &Lab,
    manx: &Manx,
    prefix: &str,
    what: &str,
    is_so: impl Fn(Option<&str>, Option<u64>) -> bool,
) -> Result<()> {
    lab.wait_until(&format!("{prefix}: {what}"), secs(10), || {
        let paths = manx.paths(net(prefix))?;
        let path = paths.first().with_context(|| format!("no {prefix}"))?;
        let local_pref = path.rest.get("local_pref").and_then(Value::as_u64);
        ensure!(is_so(path.ineligible.as_deref(), local_pref), "{path:?}");
        Ok(())
    })
}

#[test]
fn bird_sees_what_is_done_to_the_as_path() -> Result<()> {
    if !can_run("bird_sees_what_is_done_to_the_as_path") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    // As if the block came through a private AS, the router's own and a public one.
    let prepend =
        json!([{"action": "Accept", "operations": [{"prependASPath": {"prefix": [64999, 65001, 3]}}]}]);
    manx.apply(&Manifest::bgp_filter("through").with("exportV4", prepend))?;
    let filters = ("filters", json!(["through"]));
    let with = |fields: &[(&'static str, Value)]| {
        manx.apply(&peer(&[std::slice::from_ref(&filters), fields].concat()))
    };
    let (overrides, all, replace) = (
        ("asOverride", json!(true)),
        ("removePrivateAS", json!("All")),
        ("removePrivateAS", json!("Replace")),
    );

    ensure_block_is(&lab, &bird, Some((&NODE_AS.to_string(), "")))?;
    with(&[])?;
    ensure_block_is(&lab, &bird, None).context("its own AS is in the path")?;
    let session = bird.session(SESSIONS[0])?;
    with(std::slice::from_ref(&overrides))?;
    ensure_block_is(&lab, &bird, Some(("64601 64999 64601 3", "")))?;
    with(&[overrides.clone(), all])?;
    ensure_block_is(&lab, &bird, Some(("64601 64601 3", "")))?;
    with(&[overrides.clone(), replace])?;
    ensure_block_is(&lab, &bird, Some(("64601 64601 64601 3", "")))?;
    with(&[overrides, ("removePrivateAS", json!("IfAllPrivate"))])?;
    ensure_block_is(&lab, &bird, Some(("64601 64999 64601 3", "")))?;
    let shown = manx.command_line(&["peers", ROUTER[0]])?;
    ensure!(
        shown.contains("removes private AS if the path has no others, overrides the peer's AS"),
        "{shown}"
    );
    ensure!(bird.session(SESSIONS[0])? == session, "the session did not stay up");
    Ok(())
}

#[test]
fn rfc8326_a_drained_node_says_so_and_rfc8212_without_filters_nothing_goes() -> Result<()> {
    if !can_run("rfc8326_a_drained_node_says_so_and_rfc8212_without_filters_nothing_goes") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    let plain = NODE_AS.to_string();
    ensure_block_is(&lab, &bird, Some((&plain, "")))?;
    ensure_path(&lab, &manx, ANNOUNCED[0], "used", |reason, _| reason.is_none())?;
    ensure_path(&lab, &manx, ANNOUNCED[1], "used", |reason, _| reason.is_none())?;
    let sessions = || SESSIONS.map(|session| bird.session(session).ok());
    let before = sessions();

    // One session, and then the node.
    manx.apply(&peer(&[("gracefulShutdown", json!(true))]))?;
    ensure_block_is(&lab, &bird, Some((&plain, "(65535,0)")))?;
    ensure_path(&lab, &manx, ANNOUNCED[0], "used last", |_, local_pref| local_pref == Some(0))?;
    ensure_path(&lab, &manx, ANNOUNCED[1], "the other session is not", |_, local_pref| local_pref.is_none())?;
    manx.apply(&peer(&[]))?;
    ensure_block_is(&lab, &bird, Some((&plain, "")))?;
    let drain = "apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: {name: node.node1}\n\
                 spec: {gracefulShutdown: true}\n";
    manx.write_manifest("drain.yaml", drain)?;
    ensure_block_is(&lab, &bird, Some((&plain, "(65535,0)")))?;
    ensure_path(&lab, &manx, ANNOUNCED[1], "used last", |_, local_pref| local_pref == Some(0))?;
    manx.remove_manifest("drain.yaml")?;
    ensure_block_is(&lab, &bird, Some((&plain, "")))?;
    ensure_path(&lab, &manx, ANNOUNCED[1], "as before", |_, local_pref| local_pref.is_none())?;

    // Policy becomes compulsory, and is then given for one direction and the other.
    let configuration = Manifest::bgp_configuration(false, 64512);
    manx.apply(&configuration.clone().with("ebgpRequiresPolicy", true))?;
    ensure_block_is(&lab, &bird, None)?;
    let no_filter = |reason: Option<&str>| reason.is_some_and(|reason| reason.contains("RFC 8212"));
    ensure_path(&lab, &manx, ANNOUNCED[0], "without a filter", |reason, _| no_filter(reason))?;
    let shown = manx.command_line(&["peers"])?;
    ensure!(
        shown.contains("takes no ipv4-unicast: no import filter (RFC 8212); sends no ipv4-unicast"),
        "{shown}"
    );
    let accept = json!([{"action": "Accept"}]);
    manx.apply(&Manifest::bgp_filter("open").with("importV4", accept.clone()))?;
    manx.apply(&peer(&[("filters", json!(["open"]))]))?;
    ensure_path(&lab, &manx, ANNOUNCED[0], "used", |reason, _| reason.is_none())?;
    ensure_block_is(&lab, &bird, None)?;
    manx.apply(&Manifest::bgp_filter("open").with("exportV4", accept))?;
    ensure_block_is(&lab, &bird, Some((&plain, "")))?;
    ensure_path(&lab, &manx, ANNOUNCED[0], "without a filter", |reason, _| no_filter(reason))?;
    manx.apply(&configuration)?;
    ensure_path(&lab, &manx, ANNOUNCED[0], "used", |reason, _| reason.is_none())?;
    ensure!(sessions() == before, "a session did not stay up: {before:?} {:?}", sessions());
    Ok(())
}

#[test]
fn rfc8326_frr_and_we_honour_each_others_graceful_shutdown() -> Result<()> {
    if !can_run("rfc8326_frr_and_we_honour_each_others_graceful_shutdown") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let config = FrrConfig {
        router_id: [10, 1, 0, 2].into(),
        local_as: ROUTER_AS,
        neighbors: uplink::neighbors(),
        announce: ANNOUNCED.map(net).to_vec(),
        kernel: false,
        lines: Vec::new(),
        global_lines: Vec::new(),
    };
    let frr = Frr::start(lab.host("router")?, config)?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    ensure_path(&lab, &manx, ANNOUNCED[0], "used", |_, local_pref| local_pref.is_none())?;
    let router = format!("router bgp {ROUTER_AS}");
    frr.configure(&[&router, "bgp graceful-shutdown"])?;
    ensure_path(&lab, &manx, ANNOUNCED[0], "used last", |reason, local_pref| {
        reason.is_none() && local_pref == Some(0)
    })?;
    manx.apply(&peer(&[("honourGracefulShutdown", json!(false))]))?;
    ensure_path(&lab, &manx, ANNOUNCED[0], "the knob is off", |_, local_pref| local_pref.is_none())?;
    manx.apply(&peer(&[]))?;
    ensure_path(&lab, &manx, ANNOUNCED[0], "and on", |_, local_pref| local_pref == Some(0))?;
    frr.configure(&[&router, "no bgp graceful-shutdown"])?;
    ensure_path(&lab, &manx, ANNOUNCED[0], "the maintenance is over", |_, local_pref| local_pref.is_none())?;

    manx.apply(&peer(&[("gracefulShutdown", json!(true))]))?;
    lab.wait_until("FRR uses our block last", secs(10), || {
        let routes = frr.routes(Family::V4)?;
        let paths = routes.get(&net(BLOCKS[0])).context("no block")?;
        ensure!(paths[0].local_pref == Some(0) && paths[0].neighbor == Some(ip(NODE[0])), "{paths:?}");
        Ok(())
    })
}

/// A scripted peer of AS 65066 sends paths that are not as they should be, and they are let in by the knobs.
#[test]
fn paths_of_a_wrong_first_as_and_with_sets_are_shown_and_not_used() -> Result<()> {
    const ROGUE_AS: u32 = 65066;
    let rogue = Ipv4Addr::new(10, 9, 0, 10);
    if !can_run("paths_of_a_wrong_first_as_and_with_sets_are_shown_and_not_used") {
        return Ok(());
    }
    let lab = uplink::topology()
        .host("rogue")
        .link(end("node1", "rogue", &["10.9.0.1/24"]), end("rogue", "eth0", &["10.9.0.10/24"]))
        .build()?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    let peer = Manifest::bgp_peer("rogue", &rogue.to_string(), ROGUE_AS);
    let peer = peer.with("sourceAddress", "None").with("passive", true).with("holdTime", "0s");
    manx.apply(&peer)?;
    let mut session = lab.wait_until("the scripted session is up", secs(10), || {
        Scripted::establish(lab.host("rogue")?, rogue, ip("10.9.0.1"), ROGUE_AS)
    })?;
    let (first, set, good) = ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24");
    session.send(&announce(good.parse()?, &[ROGUE_AS, 7], rogue))?;
    session.send(&announce(first.parse()?, &[7, ROGUE_AS], rogue))?;
    // ORIGIN, AS_PATH of a sequence and a set, NEXT_HOP.
    let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 16, 2, 1];
    attributes.extend(ROGUE_AS.to_be_bytes());
    attributes.extend([1, 2, 0, 0, 0, 7, 0, 0, 0, 8, 0x40, 3, 4]);
    attributes.extend(rogue.octets());
    session.send(&update(&attributes, set.parse()?))?;

    let because =
        |word: &'static str| move |reason: Option<&str>, _| reason.is_some_and(|text| text.contains(word));
    ensure_path(&lab, &manx, good, "used", |reason, _| reason.is_none())?;
    ensure_path(&lab, &manx, first, "wrong first AS", because("enforceFirstAS"))?;
    ensure_path(&lab, &manx, set, "an AS_SET", because("RFC 9774"))?;
    manx.apply(&peer.clone().with("enforceFirstAS", false).with("allowASSets", true))?;
    ensure_path(&lab, &manx, first, "let in", |reason, _| reason.is_none())?;
    ensure_path(&lab, &manx, set, "let in", |reason, _| reason.is_none())?;
    manx.apply(&peer)?;
    ensure_path(&lab, &manx, first, "and out", because("enforceFirstAS"))?;
    ensure_path(&lab, &manx, set, "and out", because("RFC 9774"))?;
    let peer = manx.ensure_established(rogue.into())?;
    ensure!(peer.rest.get("flaps") == Some(&json!(0)), "{peer:?}");
    Ok(())
}
