//! Numbers of prefixes: stable while anything refers to them, and given out again afterwards.

use std::time::Instant;

use ipnet::Ipv4Net;

use crate::rib::member::Behind;
use crate::rib::table::Table;
use crate::rib::tests::terms::peer;
use crate::rib::{ExportPolicy, OriginatedRoute, Rib, RibConfig, RibEvent};
use crate::{PeerId, RouterId};

fn net(n: u8) -> Ipv4Net {
    Ipv4Net::new([10, 0, 0, n].into(), 32).unwrap()
}

#[test]
fn a_number_is_given_out_again_when_nobody_holds_it() {
    let mut table = Table::default();
    let ids: Vec<_> = (0..3).map(|n| table.insert(net(n))).collect();
    assert_eq!(ids, [0, 1, 2]);
    assert_eq!(table.insert(net(1)), 1, "known");

    table.free_unused(0, |_| false);
    table.free_unused(1, |_| true);
    assert_eq!((table.find(net(0)), table.find(net(1))), (None, Some(1)));
    assert_eq!(table.insert(net(7)), 0);
    assert_eq!(table.insert(net(8)), 3, "1 is still held");

    table.free_lingering(|_| true);
    assert_eq!(table.find(net(1)), Some(1));
    table.free_lingering(|_| false);
    assert_eq!(table.insert(net(9)), 1);
    table.free_lingering(|_| false);
    assert_eq!(table.find(net(9)), Some(1), "it lingers no more");
}

#[test]
fn a_prefix_with_work_to_do_keeps_its_number() {
    let mut table = Table::default();
    let id = table.insert(net(1));
    table.mark_changed(id);
    table.free_unused(id, |_| false);
    assert_eq!(table.find(net(1)), Some(id));
    assert_eq!(table.take_changed(9), [id]);
    table.free_unused(id, |_| false);
    assert_eq!(table.find(net(1)), None);
    table.mark_dirty(id);
    assert!(table.dirty.is_empty(), "a late word about a free number");
}

#[test]
fn a_member_behind_goes_round_once() {
    for len in [0, 1, 63, 64, 65, 200] {
        let mut behind = Behind::all(len);
        behind.mark(300, true);
        behind.mark(300, false);
        let mut ids = Vec::new();
        while behind.left() > 0 {
            let words = behind.next_words(10);
            ids.extend(behind.ids(words.clone()));
            assert_eq!(behind.holds(300), behind.is_dirty(300), "what it held first counts");
            behind.clear(words);
        }
        assert_eq!(ids, (0..len).chain([300]).collect::<Vec<_>>());
    }
    let mut behind = Behind::all(128);
    let words = behind.next_words(1);
    behind.clear(words);
    behind.mark(5, true);
    let ids = |behind: &mut Behind| {
        let words = behind.next_words(1);
        let ids: Vec<_> = behind.ids(words.clone()).collect();
        behind.clear(words);
        ids
    };
    assert_eq!(ids(&mut behind).len(), 64, "it goes on where it was");
    assert_eq!(ids(&mut behind), [5], "and comes round");
}

/// A peer that takes nothing holds the numbers of what it was sent; when it leaves they are free again.
#[test]
fn a_peer_that_leaves_frees_what_it_held() {
    let now = Instant::now();
    let mut rib = Rib::new(now);
    let mut event = |event| {
        rib.handle(event, now);
        while rib.poll_effect().is_some() {}
        (rib.v4.ids().end, rib.v4.len())
    };
    let originate = |nets: std::ops::Range<u8>| {
        RibEvent::Originate(
            nets.map(|n| OriginatedRoute { prefix: net(n).into(), local_pref: 100 }).collect(),
        )
    };
    let slow = PeerId { index: 1, generation: 0 };
    event(RibEvent::Configure(RibConfig {
        router_id: RouterId([10, 255, 0, 1].into()),
        decision: crate::rib::DecisionRules::default(),
        export: ExportPolicy::default(),
        restarting: false,
    }));
    event(originate(0..3));
    let mut slow_peer = peer();
    slow_peer.transmit_window = 1;
    event(RibEvent::PeerUp(Box::new(slow_peer)));
    assert_eq!(event(originate(0..0)), (3, 0));
    assert_eq!(event(originate(3..6)), (6, 3), "the first three are still held");
    event(RibEvent::PeerDown { peer: slow, retain: None });
    assert_eq!(event(originate(3..9)), (6, 6));
}
