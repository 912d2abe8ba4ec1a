//! Mistakes in manifests are named and hurt nothing else; changes touch only what they change.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use anyhow::{Context, Result, ensure};
use interop_tests::speaker::Neighbor;
use interop_tests::speaker::bird::{BirdConfig, BirdSession};
use interop_tests::speaker::manx::Problem;
use interop_tests::uplink::{self, NODE, ROUTER, SESSIONS};
use interop_tests::{Bird, Lab, Manifest, Manx, RouteMonitor, can_run, ip, secs};

/// The node with BIRD as its router, both sessions up.
fn running() -> Result<(Bird, Manx, Lab)> {
    let lab = uplink::build()?;
    let bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    lab.wait_until("both sessions are up", secs(15), || {
        for (session, router) in SESSIONS.into_iter().zip(ROUTER) {
            bird.ensure_established(session)?;
            let peer = manx.ensure_established(ip(router))?;
            ensure!(peer.accepted == 1, "{peer:?}");
        }
        manx.ensure_in_sync()
    })?;
    Ok((bird, manx, lab))
}

fn sessions(bird: &Bird) -> Result<[BirdSession; 2]> {
    Ok([bird.session(SESSIONS[0])?, bird.session(SESSIONS[1])?])
}

/// Waits for a problem with this file and gives it.
fn problem_with(lab: &Lab, manx: &Manx, file: &str) -> Result<Problem> {
    lab.wait_until(&format!("manx status names {file}"), secs(5), || {
        let status = manx.status()?;
        let names = |problem: &Problem| problem.file.as_deref().is_some_and(|path| path.ends_with(file));
        let found = status.problems.iter().find(|problem| names(problem));
        found.cloned().with_context(|| format!("{:?}", status.problems))
    })
}

#[test]
fn mistakes_are_named_by_file_line_and_field_and_no_session_suffers() -> Result<()> {
    if !can_run("mistakes_are_named_by_file_line_and_field_and_no_session_suffers") {
        return Ok(());
    }
    let (bird, manx, lab) = running()?;
    let before = sessions(&bird)?;
    let monitor = RouteMonitor::start(lab.host("node1")?)?;

    let head = "apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata:\n  name: wrong\nspec:\n";
    let peer = format!("{head}  peerIP: 10.1.0.9\n  asNumber: 65009\n");
    // file, text, line, field
    let mistakes = [
        ("syntax.yaml", format!("{head}  peerIP: \"10.1.0.9\n"), None, None),
        ("unknown-field.yaml", format!("{peer}  holdTimer: 9s\n"), Some(8), Some("holdTimer")),
        (
            "bad-value.yaml",
            format!("{head}  peerIP: 10.1.0.9\n  asNumber: 4294967296\n"),
            Some(7),
            Some("asNumber"),
        ),
        ("bad-duration.yaml", format!("{peer}  holdTime: 9 parsecs\n"), Some(8), Some("holdTime")),
        ("unknown-kind.yaml", head.replace("BGPPeer", "BGPPear"), Some(2), Some("kind")),
    ];
    for (file, text, line, field) in &mistakes {
        manx.write_manifest(file, text)?;
        let problem = problem_with(&lab, &manx, file)?;
        ensure!(problem.line.is_some(), "{problem:?}");
        ensure!(line.is_none() || problem.line == *line, "wanted line {line:?}: {problem:?}");
        let named = |field: &str| problem.field.as_deref().is_some_and(|path| path.ends_with(field));
        ensure!(field.is_none_or(named), "wanted field {field:?}: {problem:?}");
        ensure!(!problem.message.is_empty(), "{problem:?}");
    }
    let twin = Manifest::node("node9", &["10.1.0.1/24"], None, &[]);
    manx.apply(&twin)?;
    let problem = lab.wait_until("manx status names both nodes with one address", secs(5), || {
        let problems = manx.status()?.problems;
        let names_both = |problem: &&Problem| {
            ["node1", "node9", "10.1.0.1"].iter().all(|word| format!("{problem:?}").contains(word))
        };
        problems.iter().find(names_both).cloned().with_context(|| format!("{problems:?}"))
    })?;
    ensure!(problem.field.as_deref().is_some_and(|path| path.contains("ipv4Address")), "{problem:?}");
    ensure!(problem.file.is_some() && problem.line.is_some(), "{problem:?}");

    assert_eq!(sessions(&bird)?, before, "a mistake in one manifest must not touch a session");
    assert_eq!(monitor.stop()?, [], "nor a route");
    for (file, ..) in &mistakes {
        manx.remove_manifest(file)?;
    }
    manx.remove_manifest(&twin.file_name())?;
    lab.wait_until("no problem is left", secs(5), || {
        let status = manx.status()?;
        ensure!(status.problems.is_empty() && status.in_sync, "{status:?}");
        Ok(())
    })?;
    assert_eq!(sessions(&bird)?, before);
    Ok(())
}

#[test]
fn a_new_peer_touches_no_other() -> Result<()> {
    if !can_run("a_new_peer_touches_no_other") {
        return Ok(());
    }
    let (bird, manx, lab) = running()?;
    let before = sessions(&bird)?;
    let monitor = RouteMonitor::start(lab.host("node1")?)?;
    let third = Manifest::bgp_peer("third", "10.1.0.33", 65033).with("connectRetryTime", "1s");
    manx.apply(&third)?;
    lab.wait_until("the new peer is tried", secs(5), || {
        let peer = manx.peer(ip("10.1.0.33"))?;
        ensure!(peer.state != "established" && peer.name.contains("third"), "{peer:?}");
        Ok(())
    })?;
    // A change of one session's own field may reset that one, and only that one.
    let named = Manifest::bgp_peer("third", "10.1.0.33", 65034).with("connectRetryTime", "1s");
    manx.apply(&named)?;
    lab.wait_until("the change has arrived", secs(5), || {
        let peer = manx.peer(ip("10.1.0.33"))?;
        ensure!(peer.remote_as == 65034, "{peer:?}");
        Ok(())
    })?;
    manx.remove_manifest(&third.file_name())?;
    lab.wait_until("the peer is gone", secs(5), || {
        let peers = manx.peers()?;
        ensure!(peers.len() == 2, "{peers:?}");
        Ok(())
    })?;
    assert_eq!(sessions(&bird)?, before);
    assert_eq!(monitor.stop()?, []);
    Ok(())
}

#[test]
fn the_wrong_as_is_named() -> Result<()> {
    if !can_run("the_wrong_as_is_named") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut config = uplink::bird();
    config.local_as = 65099;
    let bird = Bird::start(lab.host("router")?, config)?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    lab.wait_until("manx peers names the AS that came and the AS that was wanted", secs(15), || {
        for router in uplink::routers() {
            let peer = manx.peer(router)?;
            let reason = peer.last_error.clone().unwrap_or_default();
            let named = reason.contains("65099") && reason.contains(&uplink::ROUTER_AS.to_string());
            ensure!(named && peer.state != "established", "{peer:?}");
        }
        Ok(())
    })?;
    let session = bird.session(SESSIONS[0])?;
    ensure!(!session.info.starts_with("Established"), "{session:?}");
    Ok(())
}

/// Another BGP daemon on the node is the commonest mistake of a migration.
#[test]
fn a_port_that_is_taken_is_a_problem_of_the_node() -> Result<()> {
    if !can_run("a_port_that_is_taken_is_a_problem_of_the_node") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let neighbor = Neighbor::new("tor1", ip(NODE[0]), ip(ROUTER[0]), uplink::ROUTER_AS);
    let config = BirdConfig { neighbors: vec![neighbor], local_as: uplink::NODE_AS, ..uplink::bird() };
    let mut other = Bird::start(lab.host("node1")?, config)?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    let names_it = || -> Result<bool> {
        Ok(manx.status()?.problems.iter().any(|one| one.message.starts_with("cannot listen on 0.0.0.0:179")))
    };
    lab.wait_until("manx status names the port", secs(5), || {
        ensure!(names_it()?, "{:?}", manx.status()?.problems);
        Ok(())
    })?;
    other.kill()?;
    lab.wait_until("the port is ours", secs(20), || {
        ensure!(!names_it()?, "{:?}", manx.status()?.problems);
        Ok(())
    })
}
