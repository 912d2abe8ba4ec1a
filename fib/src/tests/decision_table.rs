//! Every combination of desired, actual, foreign holder and gates, and the one step that follows.

use smallvec::SmallVec;

use crate::{
    NextHop, PROTOCOL, RouteKind,
    delta::{Entry, Gates, Step, Want, Wanted},
    held::Held,
};

fn wanted(gateway: &str) -> Wanted {
    let hop = NextHop { gateway: Some(gateway.parse().unwrap()), ifindex: 2, onlink: false, weight: 1 };
    Wanted { kind: RouteKind::Unicast, next_hops: [hop].into_iter().collect() }
}

fn held(wanted: &Wanted) -> Held {
    Held {
        metric: 1024,
        kind: wanted.kind,
        protocol: PROTOCOL,
        next_hops: wanted.next_hops.clone(),
        source: None,
        object: None,
        epoch: 0,
    }
}

const CLOSED: Gates = Gates { learned_in_sync: false, own_blocks_given: false };
const BLOCKS: Gates = Gates { learned_in_sync: false, own_blocks_given: true };
const LEARNED: Gates = Gates { learned_in_sync: true, own_blocks_given: false };
const OPEN: Gates = Gates { learned_in_sync: true, own_blocks_given: true };

#[test]
fn the_whole_table() {
    use Step::{AwaitSync, Blocked, Create, None as Nothing, Remove, Replace};
    let a = wanted("10.0.0.2");
    let b = wanted("10.0.0.3");
    let hole = Wanted::blackhole();
    let route = |w: &Wanted| Want::Route(w.clone());
    // want, actual, then (free, foreign holds) under CLOSED, BLOCKS, LEARNED, OPEN
    type Row<'a> = (Want, Vec<&'a Wanted>, [(Step, Step); 4]);
    let rows: Vec<Row<'_>> = vec![
        (Want::Nothing, vec![], [(Nothing, Nothing); 4]),
        (Want::Unresolved, vec![], [(Nothing, Nothing); 4]),
        (route(&a), vec![], [(Create, Blocked); 4]),
        (route(&hole), vec![], [(Create, Blocked); 4]),
        // Right already: never touched, in company or alone.
        (route(&a), vec![&a], [(Nothing, Nothing); 4]),
        (route(&hole), vec![&hole], [(Nothing, Nothing); 4]),
        // Not wanted: by kind, when its source is complete.
        (Want::Nothing, vec![&a], [AwaitSync, AwaitSync, Remove(0), Remove(0)].map(|s| (s, s))),
        (Want::Nothing, vec![&hole], [AwaitSync, Remove(0), AwaitSync, Remove(0)].map(|s| (s, s))),
        (Want::Unresolved, vec![&a], [AwaitSync, AwaitSync, Remove(0), Remove(0)].map(|s| (s, s))),
        // Wrong: replaced when alone, removed by name when a foreign route stands beside it.
        (
            route(&a),
            vec![&b],
            [(AwaitSync, AwaitSync), (AwaitSync, AwaitSync), (Replace, Remove(0)), (Replace, Remove(0))],
        ),
        (
            route(&a),
            vec![&hole],
            [(AwaitSync, AwaitSync), (AwaitSync, AwaitSync), (AwaitSync, AwaitSync), (Replace, Remove(0))],
        ),
        (
            route(&hole),
            vec![&a],
            [(AwaitSync, AwaitSync), (AwaitSync, AwaitSync), (Replace, Remove(0)), (Replace, Remove(0))],
        ),
        // Appended by somebody under our number.
        (route(&a), vec![&a, &b], [AwaitSync, AwaitSync, Remove(1), Remove(1)].map(|s| (s, s))),
        (route(&a), vec![&b, &a], [AwaitSync, AwaitSync, Remove(0), Remove(0)].map(|s| (s, s))),
        (route(&a), vec![&b, &b], [AwaitSync, AwaitSync, Remove(0), Remove(0)].map(|s| (s, s))),
    ];
    for (want, actual, steps) in rows {
        let actual: SmallVec<[Held; 1]> = actual.into_iter().map(held).collect();
        let entry = Entry { want, actual, ..Entry::default() };
        for (gates, (free, company)) in [CLOSED, BLOCKS, LEARNED, OPEN].into_iter().zip(steps) {
            assert_eq!(entry.step(false, gates), free, "free, {gates:?}: {entry:?}");
            assert_eq!(entry.step(true, gates), company, "foreign holds, {gates:?}: {entry:?}");
        }
    }
}
