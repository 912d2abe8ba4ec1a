//! A hundred prefixes that share their attributes are one UPDATE, in both families, announced and withdrawn.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use interop_tests::speaker::scripted::{Prefixes, UPDATE, open_with};
use interop_tests::uplink::{self, NODE_AS};
use interop_tests::{Lab, Manifest, Manx, Scripted, can_run, ip, secs};
use ipnet::IpNet;

const PEER_AS: u32 = 65100;
const PEER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
const MANY: usize = 100;

fn session(lab: &Lab) -> Result<Scripted> {
    let mut capabilities = vec![1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1, 65, 4];
    capabilities.extend(PEER_AS.to_be_bytes());
    let open = open_with(PEER_AS, 600, PEER, &capabilities);
    lab.wait_until("the session is up", secs(10), || {
        Scripted::establish_with(lab.host("router")?, PEER, ip("10.1.0.1"), &open)
    })
}

/// UPDATEs with prefixes until as many as wanted have been announced or withdrawn: how many, per family.
fn count(session: &mut Scripted, of: impl Fn(Prefixes) -> Vec<IpNet>) -> Result<[usize; 2]> {
    let (mut messages, mut prefixes) = ([0; 2], [0; 2]);
    while prefixes != [MANY; 2] {
        let received = session.receive().with_context(|| format!("{prefixes:?} in {messages:?} messages"))?;
        if received.kind != UPDATE {
            continue;
        }
        let [v4, v6]: [Vec<IpNet>; 2] = {
            let all = of(Prefixes::of_update(&received.body)?);
            let (v4, v6) = all.into_iter().partition(|prefix| matches!(prefix, IpNet::V4(_)));
            [v4, v6]
        };
        for (family, list) in [v4, v6].into_iter().enumerate().filter(|(_, list)| !list.is_empty()) {
            *messages.get_mut(family).unwrap() += 1;
            *prefixes.get_mut(family).unwrap() += list.len();
        }
    }
    Ok(messages)
}

#[test]
fn a_hundred_prefixes_are_one_update() -> Result<()> {
    if !can_run("a_hundred_prefixes_are_one_update") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let mut manx = Manx::prepare(lab.host("node1")?)?;
    let peer = Manifest::bgp_peer("peer", &PEER.to_string(), PEER_AS)
        .with("families", vec!["ipv4-unicast", "ipv6-unicast"])
        .with("holdTime", "600s")
        .with("connectRetryTime", "1s")
        .with("passive", true);
    manx.apply_all(&[
        Manifest::node("node1", &["10.1.0.1/24", "fd01::1/64"], Some(NODE_AS), &[]),
        Manifest::bgp_configuration(false, 64512),
        Manifest::ip_pool("pool4", "10.64.0.0/16"),
        Manifest::ip_pool("pool6", "fd64::/48"),
        peer,
    ])?;
    let blocks = (0..MANY).flat_map(|n| {
        [format!("10.64.{n}.0/26"), format!("fd64:0:0:{n:x}::/122")]
            .map(|block| Manifest::block_affinity("node1", &block).render())
    });
    manx.write_manifest("blocks.yaml", &blocks.collect::<Vec<_>>().join("---\n"))?;
    manx.start()?;
    let mut session = session(&lab)?;
    let messages = count(&mut session, |prefixes| prefixes.announced)?;
    ensure!(messages == [1, 1], "announced in {messages:?} messages");
    manx.remove_manifest("blocks.yaml")?;
    let messages = count(&mut session, |prefixes| prefixes.withdrawn)?;
    ensure!(messages == [1, 1], "withdrawn in {messages:?} messages");
    Ok(())
}
