//! The plan, the identities, and a task that fails; sessions are tried in the crate's `tests/`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use tokio::net::{TcpSocket, TcpStream};

use super::plan::{Plan, Slots};
use super::*;
use crate::io::RibSink;
use crate::peer::State;
use crate::rib::{BestChange, ExportPolicy};
use crate::{Asn, RouterId};

fn neighbor(n: u8) -> NeighborConfig {
    NeighborConfig::new(
        format!("node{n}"),
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)),
        (Asn(65000), Asn(65000)),
        RouterId(Ipv4Addr::new(192, 0, 2, 200)),
    )
}

#[test]
fn the_same_again_is_no_plan() {
    let current = [neighbor(1), neighbor(2)];
    assert_eq!(Plan::between(&current, vec![neighbor(2), neighbor(1)]), Plan::default());
    assert_eq!(Plan::between(&[], Vec::new()), Plan::default());
}

#[test]
fn each_neighbor_gets_what_it_needs() {
    let live = NeighborConfig { description: "x".to_owned(), ..neighbor(2) };
    let reset = NeighborConfig { hold_time_secs: 9, ..neighbor(3) };
    let duplicate = NeighborConfig { name: "again".to_owned(), ..neighbor(5) };
    let current = [neighbor(1), neighbor(2), neighbor(3), neighbor(4)];
    let desired = vec![neighbor(1), live.clone(), reset.clone(), neighbor(5), duplicate.clone()];
    let expected = Plan {
        start: vec![neighbor(5)],
        stop: vec![neighbor(4).address],
        live: vec![live],
        reset: vec![reset],
        duplicates: vec![duplicate],
    };
    assert_eq!(Plan::between(&current, desired), expected);
}

#[test]
fn an_identity_never_comes_twice() {
    let mut slots = Slots::default();
    let (first, second) = (slots.take(), slots.take());
    assert_ne!(first, second);
    slots.give_back(first);
    let third = slots.take();
    assert_eq!((third.index, third.generation), (first.index, first.generation + 1));
}

struct NoSink;

impl RibSink for NoSink {
    fn best_changed(&mut self, _: Vec<BestChange>) {}
    fn track_next_hop(&mut self, _: IpAddr) {}
    fn untrack_next_hop(&mut self, _: IpAddr) {}
    fn in_sync(&mut self) {}
}

/// A speaker on 127.1.60.`n` with one passive neighbor at 127.1.60.200.
async fn speaker(n: u8) -> (Speaker, IpAddr, SocketAddr) {
    let rib = RibHandle::spawn(Box::new(NoSink)).unwrap();
    let speaker = Speaker::spawn(rib);
    let us = IpAddr::V4(Ipv4Addr::new(127, 1, 60, n));
    let them = IpAddr::V4(Ipv4Addr::new(127, 1, 60, 200));
    let waiting = NeighborConfig { passive: true, address: them, ..neighbor(1) };
    let rib = RibConfig {
        router_id: RouterId(Ipv4Addr::LOCALHOST),
        decision: crate::rib::DecisionRules::default(),
        restarting: false,
        export: ExportPolicy::default(),
    };
    let listen = vec![SocketAddr::new(us, 0)];
    let neighbors = vec![waiting];
    let (dynamic, originate) = (Vec::new(), Vec::new());
    let desired = Desired { listen, neighbors, dynamic, neighbors_are_partial: false, rib, originate };
    speaker.apply(desired).await;
    let bound = until(async || speaker.listeners().first()?.bound).await;
    (speaker, them, bound)
}

async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn dial(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// A defect costs the session that it is in, and that one only for a moment.
#[tokio::test]
async fn a_neighbor_task_that_panics_is_started_again() {
    let (speaker, them, bound) = speaker(1).await;
    let first = dial(them, bound).await;
    let peer = async || speaker.peers().await.into_iter().next();
    let id = until(async || peer().await.filter(|peer| peer.state == State::OpenSent)).await.id;
    speaker.panic_neighbor(them).await;
    let failed = until(async || peer().await.filter(|peer| peer.last_error.is_some())).await;
    assert_eq!(failed.state, State::Idle);
    let error = failed.last_error.unwrap();
    assert!(error.contains("a defect of manx: told to"), "{error}");
    assert_eq!(speaker.observer().task_failures(), 1);
    drop(first);
    let back = until(async || peer().await.filter(|peer| peer.state == State::Active)).await;
    assert_eq!(back.id, id, "the same neighbor");
    let _second = dial(them, bound).await;
    until(async || peer().await.filter(|peer| peer.state == State::OpenSent)).await;
}
