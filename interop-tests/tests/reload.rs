//! The reload contract on the wire: what has not changed costs no message and no kernel write; what has costs what
//! docs/reload.md says, and only the session that it is about.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use interop_tests::speaker::scripted::{KEEPALIVE, NOTIFICATION, Prefixes, UPDATE, message, open};
use interop_tests::uplink::{self, ANNOUNCED, SESSIONS};
use interop_tests::{
    Bird, Family, Lab, Manifest, Manx, RouteMonitor, Scripted, can_run, end, ip, kernel, net, secs,
};
use ipnet::IpNet;
use serde_json::{Value, json};

const NODE: &str = "10.9.0.1";
const SUBJECT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 10);
const INNOCENT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 11);
const PEER_AS: u32 = 65100;

struct World {
    subject: Scripted,
    innocent: Scripted,
    manx: Manx,
    bird: Bird,
    lab: Lab,
    fences: u8,
}

/// A session whose hold time leaves the tests alone.
fn establish(lab: &Lab, address: Ipv4Addr) -> Result<Scripted> {
    lab.wait_until("the scripted session is up", secs(10), || {
        Scripted::establish_with(lab.host("peers")?, address, ip(NODE), &open(PEER_AS, 600, address))
    })
}

fn peer(name: &str, address: Ipv4Addr) -> Manifest {
    Manifest::bgp_peer(name, &address.to_string(), PEER_AS)
        .with("sourceAddress", "None")
        .with("passive", true)
        .with("holdTime", "600s")
        .with("connectRetryTime", "1s")
}

/// The block with which the `n`th fence is set.
fn block(n: u8) -> String {
    format!("10.64.{}.0/26", 100 + n)
}

/// What the node has from the start, and the two scripted peers.
fn manifests() -> Vec<Manifest> {
    let mut all = uplink::manifests();
    all.extend([peer("subject", SUBJECT), peer("innocent", INNOCENT)]);
    let rule = json!([{"action": "Reject", "cidr": "192.0.2.0/24", "matchOperator": "In"}]);
    all.push(Manifest::bgp_filter("fabric").with("importV4", rule));
    all
}

impl World {
    fn start() -> Result<Self> {
        let addresses = [SUBJECT, INNOCENT].map(|address| format!("{address}/24"));
        let addresses = addresses.each_ref().map(String::as_str);
        let lab = uplink::topology()
            .host("peers")
            .link(end("node1", "peers", &["10.9.0.1/24"]), end("peers", "eth0", &addresses))
            .build()?;
        let bird = Bird::start(lab.host("router")?, uplink::bird())?;
        let mut manx = Manx::prepare(lab.host("node1")?)?;
        manx.write_manifest("all.yaml", &documents(manifests()))?;
        manx.start()?;
        let (subject, innocent) = (establish(&lab, SUBJECT)?, establish(&lab, INNOCENT)?);
        let mut world = Self { subject, innocent, manx, bird, lab, fences: 0 };
        for session in [&mut world.subject, &mut world.innocent] {
            // The end of what it has to say; then it is in sync.
            session.send(&message(UPDATE, &[0, 0, 0, 0]))?;
        }
        world.lab.wait_until("BIRD's routes are in the kernel", secs(20), || {
            for (index, family) in Family::ALL.into_iter().enumerate() {
                let present = kernel::learned(world.lab.host("node1")?, family)?;
                ensure!(present.contains(&net(ANNOUNCED[index])), "{present:?}");
            }
            world.manx.ensure_in_sync()
        })?;
        world.fence()?;
        world.hear_fence(Who::Subject)?;
        world.hear_fence(Who::Innocent)?;
        Ok(world)
    }

    /// A change that every peer hears of. What was to be sent because of earlier ones has been sent before.
    fn fence(&mut self) -> Result<()> {
        self.fences += 1;
        self.manx.apply(&Manifest::block_affinity("node1", &block(self.fences)))
    }

    /// What is said on a session until the last fence is announced; KEEPALIVEs are left out, the fence too.
    fn hear_fence(&mut self, who: Who) -> Result<Vec<(u8, Vec<u8>)>> {
        let session = match who {
            Who::Subject => &mut self.subject,
            Who::Innocent => &mut self.innocent,
        };
        session.send(&message(KEEPALIVE, &[]))?;
        let fence = net(&block(self.fences));
        let mut heard = Vec::new();
        loop {
            let received = session.receive().with_context(|| format!("{who:?} heard {heard:?}"))?;
            match received.kind {
                KEEPALIVE => {}
                UPDATE if Prefixes::of_update(&received.body)?.announced.contains(&fence) => {
                    return Ok(heard);
                }
                NOTIFICATION => {
                    heard.push((received.kind, received.body));
                    return Ok(heard);
                }
                kind => heard.push((kind, received.body)),
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Who {
    Subject,
    Innocent,
}

fn documents(manifests: Vec<Manifest>) -> String {
    manifests.iter().map(Manifest::render).collect::<Vec<_>>().join("---\n")
}

#[test]
fn what_has_not_changed_costs_nothing() -> Result<()> {
    if !can_run("what_has_not_changed_costs_nothing") {
        return Ok(());
    }
    let mut world = World::start()?;
    let before = SESSIONS.map(|session| world.bird.session(session).unwrap());
    let monitor = RouteMonitor::start(world.lab.host("node1")?)?;
    let text = documents(manifests());
    let reversed = documents(manifests().into_iter().rev().collect());
    let commented = text.replace("---\n", "---\n# Nothing new.\n\n");
    let first_fence = world.fences + 1;
    for (what, text) in [
        ("written again", Some(&text)),
        ("with comments", Some(&commented)),
        ("in another order", Some(&reversed)),
        ("as it was", Some(&text)),
        ("SIGHUP", None),
        ("SIGHUP again", None),
    ] {
        match text {
            Some(text) => world.manx.write_manifest("all.yaml", text)?,
            None => world.manx.reload()?,
        }
        world.fence()?;
        for who in [Who::Subject, Who::Innocent] {
            let heard = world.hear_fence(who)?;
            ensure!(heard.is_empty(), "{what}: {who:?} heard {heard:?}");
        }
    }
    // The objects move from one file into many.
    for manifest in manifests() {
        world.manx.apply(&manifest)?;
    }
    world.manx.remove_manifest("all.yaml")?;
    // Twice: what the first is followed by would be heard before the second.
    for _ in 0..2 {
        world.fence()?;
        for who in [Who::Subject, Who::Innocent] {
            let heard = world.hear_fence(who)?;
            ensure!(heard.is_empty(), "other files: {who:?} heard {heard:?}");
        }
    }
    world.lab.wait_until("every fence is in the kernel", secs(5), || {
        ensure!(world.manx.fib()?.contains_key(&net(&block(world.fences))), "not yet");
        Ok(())
    })?;
    let after = SESSIONS.map(|session| world.bird.session(session).unwrap());
    assert_eq!(after, before, "BIRD's sessions were touched");
    let fences: BTreeSet<IpNet> = (first_fence..=world.fences).map(|n| net(&block(n))).collect();
    let others: Vec<_> =
        monitor.stop()?.into_iter().filter(|event| !fences.contains(&event.destination)).collect();
    ensure!(others.is_empty(), "kernel routes were written: {others:#?}");
    Ok(())
}

/// The row of docs/reload.md.
fn contract(field: &str) -> Result<String> {
    let text = include_str!("../../docs/reload.md");
    let (_, peers) = text.split_once("\n## BGPPeer\n").context("no section")?;
    let row = peers.lines().find_map(|line| line.strip_prefix(&format!("| `{field}` | ")));
    Ok(row.with_context(|| format!("no row {field}"))?.trim_end_matches(" |").to_owned())
}

#[test]
fn a_change_costs_what_the_table_says_and_only_its_own_session() -> Result<()> {
    if !can_run("a_change_costs_what_the_table_says_and_only_its_own_session") {
        return Ok(());
    }
    let mut world = World::start()?;
    let before = SESSIONS.map(|session| world.bird.session(session).unwrap());
    let changes: [(&str, &str, Value); 14] = [
        ("spec.description", "description", json!("another")),
        ("spec.holdTime", "holdTime", json!("30s")),
        ("spec.keepaliveTime", "keepaliveTime", json!("100s")),
        ("spec.connectRetryTime", "connectRetryTime", json!("7s")),
        ("spec.maxRestartTime", "maxRestartTime", json!("33s")),
        ("spec.maximumPrefixes.received", "maximumPrefixes", json!({"received": 7})),
        ("spec.filters", "filters", json!(["fabric"])),
        ("spec.enforceFirstAS", "enforceFirstAS", json!(false)),
        ("spec.families", "families", json!(["ipv4-unicast", "ipv6-unicast"])),
        ("spec.numAllowedLocalASNumbers", "numAllowedLocalASNumbers", json!(2)),
        ("spec.nextHopMode", "nextHopMode", json!("Self")),
        ("spec.role", "role", json!("Provider")),
        ("spec.localASNumber", "localASNumber", json!(64999)),
        ("spec.asNumber", "asNumber", json!(65101)),
    ];
    // The objects are in files of their own from now on.
    for manifest in manifests() {
        world.manx.apply(&manifest)?;
    }
    world.manx.remove_manifest("all.yaml")?;
    for (path, field, value) in changes {
        let effect = contract(path)?;
        world.manx.apply(&peer("subject", SUBJECT).with(field, value))?;
        world.fence()?;
        if effect.contains("reset") {
            // RFC 4486: Cease, Other Configuration Change.
            let notification = world.subject.expect_notification().with_context(|| path.to_owned())?;
            ensure!(notification == (6, 6), "{path}: {notification:?}");
        } else {
            // Twice: what the first is followed by would be heard before the second.
            for _ in 0..2 {
                let heard = world.hear_fence(Who::Subject).with_context(|| path.to_owned())?;
                let is_lost = heard.iter().any(|(kind, _)| *kind == NOTIFICATION);
                ensure!(!is_lost, "{path} is '{effect}', and the session is lost: {heard:?}");
                let heard = world.hear_fence(Who::Innocent)?;
                ensure!(heard.is_empty(), "{path}: the innocent heard {heard:?}");
                world.fence()?;
            }
            world.hear_fence(Who::Subject)?;
        }
        let heard = world.hear_fence(Who::Innocent)?;
        ensure!(heard.is_empty(), "{path}: the innocent heard {heard:?}");
        world.manx.apply(&peer("subject", SUBJECT))?;
        world.fence()?;
        let heard = world.hear_fence(Who::Innocent)?;
        ensure!(heard.is_empty(), "back from {path}: the innocent heard {heard:?}");
        if effect.contains("reset") {
            world.subject = establish(&world.lab, SUBJECT).with_context(|| path.to_owned())?;
        } else {
            let heard = world.hear_fence(Who::Subject)?;
            ensure!(heard.iter().all(|(kind, _)| *kind != NOTIFICATION), "back from {path}: {heard:?}");
        }
    }
    let after = SESSIONS.map(|session| world.bird.session(session).unwrap());
    assert_eq!(after, before, "BIRD's sessions were touched");
    Ok(())
}
