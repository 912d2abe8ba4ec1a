//! A reflector's steady state: some clients replace a block at once, then single routes change, and every other
//! client's delay is noted.

use std::time::Instant;

use anyhow::Result;

use super::fan_out::own_blocks;
use super::{Phases, Scene};
use crate::bench::driver::Role;
use crate::bench::prefix::Shape;
use crate::bench::stage::{Measure, Stage, Start, internal};
use crate::bench::statistics::percentile;
use crate::bench::wire;

/// Blocks of each client.
const BLOCKS: u32 = 4;
/// Single changes, one after the other.
const CHANGES: usize = 100;
/// Clients per one that replaces a block.
const FIFTH: usize = 5;

pub(super) fn churn(scene: &Scene<'_>, clients: usize) -> Result<Phases> {
    let held = BLOCKS * u32::try_from(clients)?;
    let replacing = clients.div_ceil(FIFTH);
    let prefixes = held + u32::try_from(replacing)?;
    let setup = scene.setup(Role::Reflector, internal(clients), Shape::Block, prefixes);
    let mut stage = Stage::open(&setup, |_, _| {})?;
    let (sends, mut wanted, mut owners) = own_blocks(&mut stage, clients, BLOCKS);
    wanted.resize(usize::try_from(prefixes)?, 0);
    owners.resize(usize::try_from(prefixes)?, 0);
    stage.want(wanted.clone(), owners.clone());
    stage.timed(&sends)?;

    // Every fifth client withdraws its first block and announces a new one, in one UPDATE.
    let mut sends = Vec::new();
    for (id, new) in (0..clients).step_by(FIFTH).zip(held..) {
        let own = stage.feeder(id).own();
        let tag = stage.book.enter(own);
        let old = u32::try_from(id)? * BLOCKS;
        let (mut attributes, mut bytes) = (Vec::new(), Vec::new());
        if let Some(set) = stage.book.set(tag) {
            set.encode(&mut attributes);
        }
        wire::update(&mut bytes, Shape::Block, &[old], &attributes, &[new]);
        sends.push((id, bytes.into()));
        put(&mut wanted, old, 0);
        put(&mut wanted, new, tag);
        put(&mut owners, new, u32::try_from(id)? + 1);
    }
    stage.want(wanted.clone(), owners.clone());
    let burst = stage.timed(&sends)?;
    let single = singles(&mut stage, clients, wanted, &owners)?;
    Ok(vec![("burst", burst), ("single", single)])
}

/// One route gets another MED, again and again, each time another client's. `wall` is the median delay over all
/// receivers and changes.
fn singles(stage: &mut Stage, clients: usize, mut wanted: Vec<u32>, owners: &[u32]) -> Result<Measure> {
    let mut delays = Vec::new();
    let mut lasts = Vec::new();
    let begin = stage.start();
    for change in 0..CHANGES {
        // Any client, and of its blocks one that it still has.
        let id = (change * 7) % clients;
        let number = u32::try_from(id)? * BLOCKS + 1;
        let mut set = stage.feeder(id).own();
        set.med = Some(u32::try_from(change)? + 1);
        let tag = stage.book.enter(set);
        let (mut attributes, mut bytes) = (Vec::new(), Vec::new());
        if let Some(set) = stage.book.set(tag) {
            set.encode(&mut attributes);
        }
        wire::announce(&mut bytes, Shape::Block, &attributes, &[number]);
        put(&mut wanted, number, tag);
        stage.want(wanted.clone(), owners.to_vec());
        let start = Instant::now();
        stage.generator.send(id, &bytes.into());
        let end = stage.generator.run_until_complete(start + stage.limit)?;
        lasts.push((end - start).as_secs_f64());
        let others = stage.generator.clients.iter().enumerate().filter(|&(other, _)| other != id);
        let completed = others.filter_map(|(_, client)| client.completed);
        delays.extend(completed.map(|at| at.saturating_duration_since(start).as_secs_f64()));
    }
    let mut measure = measure_of(stage, &begin);
    stage.settle()?;
    stage.check()?;
    measure.wall = percentile(&mut delays, 50.0);
    measure.more.insert("p99".to_owned(), percentile(&mut delays, 99.0));
    measure.more.insert("last p50".to_owned(), percentile(&mut lasts, 50.0));
    measure.more.insert("last p99".to_owned(), percentile(&mut lasts, 99.0));
    Ok(measure)
}

fn measure_of(stage: &Stage, begin: &Start) -> Measure {
    stage.measure(begin, Instant::now())
}

fn put(values: &mut [u32], number: u32, value: u32) {
    if let Some(one) = usize::try_from(number).ok().and_then(|number| values.get_mut(number)) {
        *one = value;
    }
}
