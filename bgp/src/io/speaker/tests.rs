//! The plan and the identities; sessions are tried in the crate's `tests/`.

use std::net::Ipv4Addr;

use super::*;
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
    let reset = NeighborConfig { port: 1790, ..neighbor(3) };
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
