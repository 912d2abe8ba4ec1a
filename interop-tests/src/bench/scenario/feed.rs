//! Tables between eBGP peers: one feed, several, and a feed that comes and goes.

use std::sync::Arc;

use anyhow::Result;

use super::{Phases, Scene};
use crate::bench::driver::Role;
use crate::bench::generator::Goal;
use crate::bench::prefix::Shape;
use crate::bench::stage::{Stage, external, tags};

pub(super) fn full_table(scene: &Scene<'_>, prefixes: u32) -> Result<Phases> {
    let setup = scene.setup(Role::Ebgp, external(2, 0), Shape::Table, prefixes);
    let mut stage = Stage::open(&setup, |_, _| {})?;
    let sends = load(&mut stage, prefixes);
    Ok(vec![("", stage.timed(&sends)?)])
}

/// The table of client 0, wanted by everybody else.
fn load(stage: &mut Stage, prefixes: u32) -> Vec<(usize, Arc<[u8]>)> {
    let feed = stage.feeder(0).internet(&mut stage.book, prefixes, 1, |_| 0);
    let owners = vec![1; usize::try_from(prefixes).unwrap_or_default()];
    stage.want(tags(&feed, prefixes), owners);
    vec![(0, feed.announcements(stage.shape, &stage.book))]
}

/// Feeder `n % feeders` has the shortest path to prefix `n`; a receiver is complete when it has all of these.
pub(super) fn multi_feed(scene: &Scene<'_>, feeders: usize, prefixes: u32) -> Result<Phases> {
    let setup = scene.setup(Role::Ebgp, external(feeders + 1, feeders), Shape::Table, prefixes);
    let mut stage = Stage::open(&setup, |_, _| {})?;
    let count = usize::try_from(prefixes)?;
    let (mut wanted, mut sends) = (vec![0; count], Vec::new());
    for id in 0..feeders {
        let is_best = |number: u32| usize::try_from(number).is_ok_and(|number| number % feeders == id);
        let hops = |number| if is_best(number) { 0 } else { 6 };
        let seed = 100 + u64::try_from(id)?;
        let feed = stage.feeder(id).internet(&mut stage.book, prefixes, seed, hops);
        for ((tag, number), best) in tags(&feed, prefixes).into_iter().zip(0..).zip(&mut wanted) {
            if is_best(number) {
                *best = tag;
            }
        }
        sends.push((id, feed.announcements(stage.shape, &stage.book)));
        // A feeder is sent nothing: nobody waits for it.
        if let Some(client) = stage.generator.clients.get_mut(id) {
            client.is_ignored = true;
        }
    }
    stage.want(wanted, Vec::new());
    if scene.driver.is_relay() {
        // It chooses nothing: all of it must have come.
        stage.generator.want(Goal::Announcements(u64::from(prefixes) * feeders as u64), |_| {});
    }
    Ok(vec![("", stage.timed(&sends)?)])
}

pub(super) fn flap(scene: &Scene<'_>, prefixes: u32, by_session: bool) -> Result<Phases> {
    let setup = scene.setup(Role::Ebgp, external(2, 0), Shape::Table, prefixes);
    let mut stage = Stage::open(&setup, |_, _| {})?;
    let feed = stage.feeder(0).internet(&mut stage.book, prefixes, 1, |_| 0);
    let owners = vec![1; usize::try_from(prefixes)?];
    let all = tags(&feed, prefixes);
    let announcements = [(0, feed.announcements(stage.shape, &stage.book))];
    let withdrawals = [(0, feed.withdrawals(stage.shape))];
    stage.want(all.clone(), owners.clone());
    stage.timed(&announcements)?;

    stage.want(vec![0; all.len()], owners.clone());
    let down = if by_session {
        let start = stage.start();
        stage.generator.drop_session(0);
        let end = stage.generator.run_until_complete(start.at + stage.limit)?;
        let mut measure = stage.measure(&start, end);
        stage.settle()?;
        measure.cpu_settled = stage.measure(&start, end).cpu;
        stage.generator.establish(stage.limit)?;
        stage.settle()?;
        measure
    } else {
        stage.timed(&withdrawals)?
    };
    stage.want(all, owners);
    let up = stage.timed(&announcements)?;
    Ok(vec![("down", down), ("up", up)])
}
