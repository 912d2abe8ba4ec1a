//! The thread around the RIB: what goes in comes out at the right end, and it ends.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use std::time::Duration;

use bgp::NextHopKey;
use bgp::io::{RibHandle, RibSink, ToPeer};
use bgp::rib::{BestChange, NextHopStatus, RibEvent};
use rib_support::*;
use tokio::sync::mpsc;
use tokio::time::timeout;

#[derive(Debug, PartialEq)]
enum Seen {
    Best(usize),
    Track(NextHopKey),
    Untrack(NextHopKey),
    InSync,
    Ended,
}

struct Sink(mpsc::UnboundedSender<Seen>);

impl RibSink for Sink {
    fn best_changed(&mut self, changes: Vec<BestChange>) {
        self.0.send(Seen::Best(changes.len())).ok();
    }
    fn track_next_hop(&mut self, next_hop: NextHopKey) {
        self.0.send(Seen::Track(next_hop)).ok();
    }
    fn untrack_next_hop(&mut self, next_hop: NextHopKey) {
        self.0.send(Seen::Untrack(next_hop)).ok();
    }
    fn in_sync(&mut self) {
        self.0.send(Seen::InSync).ok();
    }
}

/// The thread drops its sink when it ends.
impl Drop for Sink {
    fn drop(&mut self) {
        self.0.send(Seen::Ended).ok();
    }
}

fn spawn() -> (RibHandle, mpsc::UnboundedReceiver<Seen>) {
    let (sender, seen) = mpsc::unbounded_channel();
    (RibHandle::spawn(Box::new(Sink(sender))).unwrap(), seen)
}

async fn next<T>(receiver: &mut mpsc::UnboundedReceiver<T>) -> T {
    let deadline = Duration::from_secs(10);
    timeout(deadline, receiver.recv()).await.expect("nothing came").expect("the other end is gone")
}

#[tokio::test]
async fn events_in_effects_out() {
    let (rib, mut seen) = spawn();
    let (sender, mut bytes) = mpsc::unbounded_channel::<ToPeer>();
    let (from, to) = (ebgp(1), ebgp(2));
    rib.send(RibEvent::Configure(config())).await;
    rib.send(RibEvent::Neighbors(Vec::new())).await;
    assert_eq!(next(&mut seen).await, Seen::InSync);
    let (ignored, _open) = mpsc::unbounded_channel();
    rib.attach(from.peer, ignored).await;
    rib.attach(to.peer, sender).await;
    rib.send(RibEvent::PeerUp(Box::new(from.clone()))).await;
    rib.send(RibEvent::PeerUp(Box::new(to.clone()))).await;
    let update = Box::new(reach(&via("10.0.0.1", &[65001]), &["10.1.0.0/16"]));
    rib.send(RibEvent::Update { peer: from.peer, update }).await;
    assert_eq!(next(&mut seen).await, Seen::Track(ip("10.0.0.1").into()));
    let reachable = NextHopStatus::Reachable { metric: 0 };
    rib.send(RibEvent::NextHopChanged(vec![(ip("10.0.0.1").into(), reachable)])).await;
    assert_eq!(next(&mut seen).await, Seen::Best(1));
    // A query sees all that was sent before it.
    let best = rib.query(|rib| rib.summary().families[0].best).await;
    assert_eq!(best, Some(1));
    let mut received = 0;
    while received < 2 * 23 + 40 {
        let ToPeer::Messages(messages) = next(&mut bytes).await else { panic!("no limit is set") };
        received += messages.len();
    }
    rib.send(RibEvent::PeerDown { peer: to.peer, retain: None }).await;
    // Down: the sender is let go, so that the peer's task sees the end.
    let rest = async { while bytes.recv().await.is_some() {} };
    timeout(Duration::from_secs(10), rest).await.expect("still attached");
    rib.send(RibEvent::PeerDown { peer: from.peer, retain: None }).await;
    assert_eq!(next(&mut seen).await, Seen::Untrack(ip("10.0.0.1").into()));
    assert_eq!(next(&mut seen).await, Seen::Best(1));
}

#[tokio::test]
async fn the_thread_ends_with_the_last_handle() {
    let (rib, mut seen) = spawn();
    let other = rib.clone();
    drop(rib);
    other.send(RibEvent::Configure(config())).await;
    assert_eq!(other.query(|rib| rib.peers().len()).await, Some(0));
    drop(other);
    assert_eq!(next(&mut seen).await, Seen::Ended);
}

/// Time passes without events: the thread wakes up by itself.
#[tokio::test]
async fn deadlines_are_kept() {
    let (rib, mut seen) = spawn();
    rib.send(RibEvent::Configure(config())).await;
    // It knows no graceful restart, so it counts as heard when it is quiet.
    let peer = ebgp(1);
    let (ignored, _open) = mpsc::unbounded_channel();
    rib.attach(peer.peer, ignored).await;
    rib.send(RibEvent::Neighbors(vec![peer.peer])).await;
    rib.send(RibEvent::PeerUp(Box::new(peer))).await;
    assert_eq!(next(&mut seen).await, Seen::InSync);
}

/// Many more events than the queue holds, from several senders at once.
#[tokio::test]
async fn a_full_queue_makes_senders_wait_and_loses_nothing() {
    let (rib, _seen) = spawn();
    rib.send(RibEvent::Configure(config())).await;
    let mut tasks = Vec::new();
    for index in 1..5u8 {
        let rib = rib.clone();
        tasks.push(tokio::spawn(async move {
            let peer = ebgp(index);
            let (ignored, _) = mpsc::unbounded_channel();
            rib.attach(peer.peer, ignored).await;
            rib.send(RibEvent::PeerUp(Box::new(peer.clone()))).await;
            for n in 0..2000u32 {
                let prefix = format!("10.{index}.{}.{}/32", n >> 8, n & 255);
                let update = Box::new(reach(&via("10.0.0.1", &[65001]), &[&prefix]));
                rib.send(RibEvent::Update { peer: peer.peer, update }).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(rib.query(|rib| rib.summary().families[0].paths).await, Some(8000));
}

/// Whoever runs us must be able to notice that nobody routes any more.
#[tokio::test]
async fn a_thread_that_panics_has_ended() {
    struct Broken;
    impl RibSink for Broken {
        fn best_changed(&mut self, _: Vec<BestChange>) {}
        fn track_next_hop(&mut self, _: NextHopKey) {}
        fn untrack_next_hop(&mut self, _: NextHopKey) {}
        fn in_sync(&mut self) {
            panic!("on purpose");
        }
    }
    let rib = RibHandle::spawn(Box::new(Broken)).unwrap();
    assert!(timeout(Duration::from_millis(1), rib.ended()).await.is_err(), "it runs");
    rib.send(RibEvent::Configure(config())).await;
    rib.send(RibEvent::Neighbors(Vec::new())).await;
    timeout(Duration::from_secs(10), rib.ended()).await.expect("it has ended");
}
