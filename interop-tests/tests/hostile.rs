//! A peer that breaks the protocol hurts itself: it gets the NOTIFICATION that RFC 4271 §6 names, and the
//! innocent session beside it keeps its routes.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use interop_tests::monitor::RouteEvent;
use interop_tests::speaker::scripted::{KEEPALIVE, announce, message, open, update};
use interop_tests::uplink::{self, ANNOUNCED, NODE_AS, SESSIONS};
use interop_tests::{
    Bird, Family, Lab, Manifest, Manx, RouteMonitor, Scripted, can_run, end, ip, kernel, net, secs,
};

/// The AS of every rogue.
const ROGUE_AS: u32 = 65066;
/// The node on the wire to the rogues.
const NODE: &str = "10.9.0.1";
/// How many there are: one for each violation, because manx holds back longer after each error of one peer.
const ROGUES: u8 = 10;

/// The address of a rogue.
fn rogue(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, 10 + number)
}

/// The node with BIRD as the innocent neighbor, and a host `rogue` on a wire of its own with the addresses of
/// all rogues. They become peers when the start is over, so that what they lose is removed at once.
fn running() -> Result<(Bird, Manx, Lab)> {
    let addresses: Vec<String> = (0..ROGUES).map(|number| format!("{}/24", rogue(number))).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let lab = uplink::topology()
        .host("rogue")
        .link(end("node1", "rogue", &["10.9.0.1/24"]), end("rogue", "eth0", &addresses))
        .build()?;
    let bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    lab.wait_until("the innocent routes are there", secs(15), || {
        for (index, family) in Family::ALL.into_iter().enumerate() {
            let present = kernel::learned(lab.host("node1")?, family)?;
            ensure!(present.contains(&net(ANNOUNCED[index])), "{present:?}");
        }
        manx.ensure_in_sync()
    })?;
    for number in 0..ROGUES {
        let peer = Manifest::bgp_peer(&format!("rogue{number}"), &rogue(number).to_string(), ROGUE_AS);
        let peer = peer.with("sourceAddress", "None").with("passive", true);
        manx.apply(&peer.with("holdTime", "9s").with("connectRetryTime", "1s"))?;
    }
    lab.wait_until("manx knows the rogues", secs(5), || {
        let peers = manx.peers()?;
        ensure!(peers.len() == 2 + usize::from(ROGUES), "{:?}", peers.keys());
        Ok(())
    })?;
    Ok((bird, manx, lab))
}

/// A session of a rogue, as soon as manx takes it.
fn establish(lab: &Lab, number: u8) -> Result<Scripted> {
    lab.wait_until("the scripted session is up", secs(10), || {
        Scripted::establish(lab.host("rogue")?, rogue(number), ip(NODE), ROGUE_AS)
    })
}

/// ORIGIN, AS_PATH and NEXT_HOP as they should be, behind `first`.
fn attributes(first: &[u8]) -> Vec<u8> {
    let mut all = first.to_vec();
    all.extend([0x40, 2, 6, 2, 1]);
    all.extend(ROGUE_AS.to_be_bytes());
    all.extend([0x40, 3, 4]);
    all.extend(rogue(0).octets());
    all
}

#[test]
fn violations_get_their_notification_and_the_innocent_keep_their_routes() -> Result<()> {
    if !can_run("violations_get_their_notification_and_the_innocent_keep_their_routes") {
        return Ok(());
    }
    let (bird, manx, lab) = running()?;
    let before = SESSIONS.map(|session| bird.session(session).unwrap());
    let monitor = RouteMonitor::start(lab.host("node1")?)?;
    let host = lab.host("rogue")?;

    let mut length_18 = message(KEEPALIVE, &[]);
    length_18[17] = 18;
    let mut bad_version = open(ROGUE_AS, 9, rogue(0));
    bad_version[19] = 3;
    // What is said first instead of OPEN, or as OPEN; RFC 4271 §6.1 and §6.2.
    let openings: [(&str, Vec<u8>, (u8, u8)); 7] = [
        ("garbage instead of a marker", b"GET / HTTP/1.1\r\nHost: manx\r\n\r\n".to_vec(), (1, 1)),
        ("a length below 19", length_18, (1, 2)),
        ("an unknown type", message(9, &[]), (1, 3)),
        ("version 3", bad_version, (2, 1)),
        ("another AS than configured", open(65067, 9, rogue(0)), (2, 2)),
        ("a router id of 0.0.0.0", open(ROGUE_AS, 9, Ipv4Addr::UNSPECIFIED), (2, 3)),
        ("a hold time of 1 s", open(ROGUE_AS, 1, rogue(0)), (2, 6)),
    ];
    for (number, (what, bytes, expected)) in (0..).zip(openings) {
        let notified = lab.wait_until(&format!("{what} is answered"), secs(10), || {
            let mut peer = Scripted::connect(host, rogue(number).into(), ip(NODE))?;
            peer.send(&bytes)?;
            peer.expect_notification()
        })?;
        ensure!(notified == expected, "{what}: got {notified:?}, wanted {expected:?}");
    }

    // Behind an established session; RFC 4271 §6.1, §6.3 and §6.5.
    let mut truncated = announce("198.51.100.0/24".parse()?, &[ROGUE_AS], rogue(7));
    // The path attributes claim more octets than the message has.
    truncated[21..23].copy_from_slice(&200_u16.to_be_bytes());
    let violations: [(&str, Vec<u8>, u8, Option<u8>); 3] = [
        ("an UPDATE whose attributes go beyond its end", truncated, 3, Some(1)),
        ("garbage instead of a marker", vec![0; 19], 1, Some(1)),
        // RFC 6608 §4: unexpected message in Established, 5/3; older speakers say 5/0.
        ("a second OPEN", open(ROGUE_AS, 9, rogue(0)), 5, None),
    ];
    for (number, (what, bytes, code, subcode)) in (7..).zip(violations) {
        let mut peer = establish(&lab, number)?;
        peer.send(&announce("198.51.100.0/24".parse()?, &[ROGUE_AS], rogue(number)))?;
        ensure_rogue_route(&lab, "198.51.100.0/24", true)?;
        peer.send(&bytes)?;
        let notified = peer.expect_notification()?;
        let matches = notified.0 == code && subcode.is_none_or(|subcode| notified.1 == subcode);
        ensure!(matches, "{what}: got {notified:?}, wanted {code}/{subcode:?}");
        ensure_rogue_route(&lab, "198.51.100.0/24", false)?;
        let error = manx.peer(rogue(number).into())?.last_error;
        ensure!(error.is_some(), "{what}: manx peers gives no reason");
    }

    let after = SESSIONS.map(|session| bird.session(session).unwrap());
    assert_eq!(after, before, "the innocent session was touched");
    let innocent = |event: &&RouteEvent| ANNOUNCED.iter().any(|prefix| event.destination == net(prefix));
    let events = monitor.stop()?;
    let touched: Vec<_> = events.iter().filter(innocent).collect();
    ensure!(touched.is_empty(), "innocent routes were touched: {touched:#?}");
    Ok(())
}

#[test]
fn malformed_attributes_withdraw_a_route_and_keep_the_session() -> Result<()> {
    if !can_run("malformed_attributes_withdraw_a_route_and_keep_the_session") {
        return Ok(());
    }
    let (_bird, manx, lab) = running()?;
    let mut peer = establish(&lab, 0)?;
    peer.send(&announce("198.51.100.0/24".parse()?, &[ROGUE_AS], rogue(0)))?;
    ensure_rogue_route(&lab, "198.51.100.0/24", true)?;
    // ORIGIN 7 is treat-as-withdraw (RFC 7606 §7.1); the route that follows proves that the session goes on.
    peer.send(&update(&attributes(&[0x40, 1, 1, 7]), "198.51.100.0/24".parse()?))?;
    peer.send(&announce("203.0.113.0/24".parse()?, &[ROGUE_AS], rogue(0)))?;
    ensure_rogue_route(&lab, "203.0.113.0/24", true)?;
    ensure_rogue_route(&lab, "198.51.100.0/24", false)?;
    manx.ensure_established(rogue(0).into())?;
    Ok(())
}

#[test]
fn a_path_with_our_own_as_is_shown_as_ineligible() -> Result<()> {
    if !can_run("a_path_with_our_own_as_is_shown_as_ineligible") {
        return Ok(());
    }
    let (_bird, manx, lab) = running()?;
    let mut peer = establish(&lab, 0)?;
    let looped = "198.51.100.0/24";
    peer.send(&announce(looped.parse()?, &[ROGUE_AS, NODE_AS, 65099], rogue(0)))?;
    peer.send(&announce("203.0.113.0/24".parse()?, &[ROGUE_AS], rogue(0)))?;
    ensure_rogue_route(&lab, "203.0.113.0/24", true)?;
    // RFC 4271 §9.1.2: an AS loop excludes the path from the decision; it is not forgotten.
    let paths = manx.paths(net(looped))?;
    let [path] = paths.as_slice() else { anyhow::bail!("{paths:?}") };
    ensure!(!path.best && path.ineligible.as_ref().is_some_and(|reason| !reason.is_empty()), "{path:?}");
    ensure!(path.as_path == format!("{ROGUE_AS} {NODE_AS} 65099"), "{path:?}");
    ensure_rogue_route(&lab, looped, false)
}

/// Whether the kernel has (or has no longer) this route over the rogue.
fn ensure_rogue_route(lab: &Lab, prefix: &str, wanted: bool) -> Result<()> {
    lab.wait_until(
        &format!("the route to {prefix} is {}", if wanted { "there" } else { "gone" }),
        secs(5),
        || {
            let present = kernel::learned(lab.host("node1")?, Family::V4)?;
            ensure!(present.contains(&net(prefix)) == wanted, "{present:?}");
            Ok(())
        },
    )
}

/// A disk that is full, or a journald that restarts, takes the log away; routing goes on.
#[test]
fn a_log_that_cannot_be_written_does_not_end_the_daemon() -> Result<()> {
    if !can_run("a_log_that_cannot_be_written_does_not_end_the_daemon") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let node = lab.host("node1")?;
    let _bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let manx = Manx::prepare(node)?;
    manx.apply_all(&uplink::manifests())?;
    let daemon = format!(
        "exec {} daemon --config {} 2>/dev/full",
        manx.binary().display(),
        manx.config_path().display()
    );
    let mut process = node.spawn("deaf-manx", &["sh", "-c", &daemon])?;
    lab.wait_until("the routes are there", secs(15), || {
        process.ensure_running()?;
        for (index, family) in Family::ALL.into_iter().enumerate() {
            ensure!(kernel::learned(node, family)?.contains(&net(ANNOUNCED[index])), "{family:?}");
        }
        Ok(())
    })?;
    let status = process.terminate(secs(5))?;
    ensure!(status.code() == Some(0), "{status}");
    Ok(())
}
