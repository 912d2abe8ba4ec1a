//! A cluster that dials at once. Ignored: it measures. `cargo test --release -p bgp --test peer_storm -- --ignored
//! --nocapture` says how long it takes until every session is up; addresses are 127.3.0.0/16.
#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod peer_fixture;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bgp::peer::{DynamicNeighbors, NeighborConfig, State};
use bgp::wire::{EncodeContext, Message, encode_message};
use peer_fixture::{BareNeighbor, Node, wait};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

fn address(n: u32) -> String {
    format!("127.3.{}.{}", 1 + n / 250, 1 + n % 250)
}

/// Everybody dials, says everything at once and is done when our KEEPALIVE is there.
async fn storm(node: &Node, count: u32) -> Duration {
    let begun = Instant::now();
    let mut dialers = JoinSet::new();
    for n in 0..count {
        let target = (node.address, node.port);
        dialers.spawn(async move {
            let mut bare = BareNeighbor::dial_to(target, &address(n)).await;
            let context = EncodeContext::default();
            let words = [Message::Open(bare.open()), Message::Keepalive];
            let words = words.iter().flat_map(|word| encode_message(word, &context).unwrap().to_vec());
            bare.stream.write_all(&words.collect::<Vec<_>>()).await.unwrap();
            assert!(matches!(bare.receive().await, Some(Message::Open(_))));
            assert_eq!(bare.receive().await, Some(Message::Keepalive));
            bare
        });
    }
    let mut bares = Vec::new();
    while let Some(bare) = dialers.join_next().await {
        bares.push(bare.unwrap());
    }
    wait("every session", async || {
        let peers = node.speaker.peers().await;
        let up = peers.iter().filter(|peer| peer.state == State::Established).count();
        (up == count as usize).then_some(())
    })
    .await;
    begun.elapsed()
}

#[tokio::test]
#[ignore = "measures"]
async fn a_cluster_that_dials_at_once() {
    for (net, count) in [(1, 300), (2, 1000)] {
        let mut node = Node::start(&format!("127.3.0.{net}")).await;
        for n in 0..count {
            let address: IpAddr = address(n).parse().unwrap();
            let neighbor = NeighborConfig { address, ..node.waits_for("127.3.9.9") };
            node.desired.neighbors.push(neighbor);
        }
        node.apply().await;
        let took = storm(&node, count).await;
        eprintln!("{count} configured neighbors: {:.3} s", took.as_secs_f64());
    }
}

#[tokio::test]
#[ignore = "measures"]
async fn a_cluster_of_dynamic_neighbors_that_dials_at_once() {
    for (net, count) in [(3, 300), (4, 1000)] {
        let mut node = Node::start(&format!("127.3.0.{net}")).await;
        node.desired.dynamic = vec![DynamicNeighbors {
            name: "bgppeer/all".to_owned(),
            prefixes: vec!["127.3.0.0/16".parse().unwrap()],
            maximum: 2000,
            as_ranges: Vec::new(),
            template: node.waits_for("127.3.9.9"),
        }];
        node.apply().await;
        let took = storm(&node, count).await;
        eprintln!("{count} dynamic neighbors: {:.3} s", took.as_secs_f64());
    }
}
