//! The decision process through the RIB: rules that change while sessions are up, and orders of arrival.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use bgp::rib::snapshot::PathUsage;
use bgp::rib::{DecisionRules, LossReason, MultipathRules, NotMultipath, RibConfig, RibEvent};
use bgp::wire::PathAttributes;
use proptest::prelude::*;
use rib_support::*;

fn configure(world: &mut World, decision: DecisionRules) {
    world.event(RibEvent::Configure(RibConfig { decision, ..config() }));
}

fn with_med(asns: &[u32], hop: &str, med: u32) -> PathAttributes {
    PathAttributes { med: Some(med), ..via(hop, asns) }
}

/// Two routes with two paths each; the rule is about one of them, and only that one leaves again.
#[test]
fn rules_are_applied_live_and_only_differences_leave() {
    let mut world = World::new();
    let listener = world.up(ebgp(3));
    let (one, two) = (world.up(ebgp(1)), world.up(ebgp(2)));
    world.update(one, reach(&with_med(&[65001], "10.0.0.1", 50), &["10.1.0.0/16", "10.2.0.0/16"]));
    world.update(two, reach(&with_med(&[65002], "10.0.0.2", 10), &["10.1.0.0/16"]));
    world.update(two, reach(&with_med(&[65002, 65009], "10.0.0.2", 10), &["10.2.0.0/16"]));
    let first_as =
        |world: &World, prefix| world.held(listener, prefix).unwrap().as_path.asns().nth(1).unwrap().0;
    assert_eq!((first_as(&world, "10.1.0.0/16"), first_as(&world, "10.2.0.0/16")), (65001, 65001));

    let before = world.told(listener).messages;
    configure(&mut world, DecisionRules { always_compare_med: true, ..DecisionRules::default() });
    assert_eq!((first_as(&world, "10.1.0.0/16"), first_as(&world, "10.2.0.0/16")), (65002, 65001));
    assert_eq!(world.told(listener).messages, before + 1, "one route changed, one UPDATE left");

    let before = world.told(listener).messages;
    configure(&mut world, DecisionRules { always_compare_med: true, ..DecisionRules::default() });
    assert_eq!(world.told(listener).messages, before, "the same rules again change nothing");
}

#[test]
fn a_path_says_what_it_lost_to_and_why_it_shares_no_traffic() {
    let mut world = World::new();
    configure(&mut world, multipath(2));
    for index in 1..=4 {
        let peer = world.up(ebgp(index));
        world.update(peer, reach(&via(&format!("10.0.0.{index}"), &[65000]), &["10.1.0.0/16"]));
    }
    let lost = |world: &World, at: usize| world.usages("10.1.0.0/16")[at].1.clone();
    let expected =
        |why| PathUsage::Lost { reason: LossReason::NotOldest, to: "peer1".into(), not_multipath: Some(why) };
    assert_eq!(lost(&world, 3), expected(NotMultipath::Limit));

    let mut rules = multipath(9);
    rules.multipath.relax_as_path = false;
    configure(&mut world, rules);
    world.update(peer_id(4), reach(&via("10.0.0.4", &[65007]), &["10.1.0.0/16"]));
    assert_eq!(lost(&world, 3), expected(NotMultipath::AsPath));
}

fn rules() -> impl Strategy<Value = DecisionRules> {
    (any::<[bool; 5]>(), 1..4u16).prop_map(|(on, max)| DecisionRules {
        always_compare_med: on[0],
        missing_med_worst: on[1],
        ignore_as_path_length: on[2],
        ignore_next_hop_metric: on[3],
        // RFC 5004 is about history, and so the one step where it counts.
        compare_router_id: true,
        multipath: MultipathRules { max_external: max, max_internal: max, relax_as_path: on[4] },
    })
}

proptest! {
    /// What is used does not depend on the order in which paths came, nor on whether the rules were there first.
    #[test]
    fn the_order_of_arrival_does_not_matter(
        rules in rules(),
        paths in prop::collection::vec((0..3u32, prop::option::of(0..3u32), 0..2usize), 2..6),
        order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(),
        rules_last in any::<bool>(),
    ) {
        let arrive = |order: &[usize], rules_last: bool| {
            let mut world = World::new();
            if !rules_last {
                configure(&mut world, rules.clone());
            }
            for index in order.iter().copied().filter(|index| *index < paths.len()) {
                let (neighbor, med, longer) = &paths[index];
                let number = u8::try_from(index).unwrap() + 1;
                let peer = world.up(ebgp(number));
                let asns: Vec<u32> = std::iter::repeat_n(65001 + neighbor, 1 + longer).collect();
                let attributes = PathAttributes { med: *med, ..via(&format!("10.0.0.{number}"), &asns) };
                world.update(peer, reach(&attributes, &["10.1.0.0/16"]));
            }
            if rules_last {
                configure(&mut world, rules.clone());
            }
            world.usages("10.1.0.0/16")
        };
        let straight: Vec<usize> = (0..6).collect();
        prop_assert_eq!(arrive(&straight, false), arrive(&order, rules_last));
    }
}
