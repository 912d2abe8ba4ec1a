//! A loaded reflector reads its configuration again: nothing has changed, then one client's filter has.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Phases, Scene};
use crate::bench::driver::{FilterPlan, Role};
use crate::bench::generator::Goal;
use crate::bench::prefix::{self, Shape};
use crate::bench::stage::{Measure, Stage, internal, tags};
use crate::bench::usage;

/// The client whose filter changes.
const FILTERED: usize = 3;
/// A network without prefixes.
const NOTHING: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 18, 0, 0), 15);
/// How many prefixes the filter takes away: those in the first /13.
const TAKEN: u32 = 1 << 10;
const TAKEN_LENGTH: u8 = 13;
/// How long is watched what a reload that changes nothing does.
const WATCH: Duration = Duration::from_millis(1_500);
const LOOK: Duration = Duration::from_millis(2);

pub(super) fn reload(scene: &Scene<'_>, clients: usize, prefixes: u32) -> Result<Phases> {
    let mut setup = scene.setup(Role::Reflector, internal(clients + 1), Shape::Table, prefixes);
    setup.plan.filter = Some(FilterPlan { peer: FILTERED, network: NOTHING });
    let mut stage = Stage::open(&setup, |_, _| {})?;
    let feed = stage.feeder(0).internet(&mut stage.book, prefixes, 1, |_| 0);
    let sends = [(0, feed.announcements(stage.shape, &stage.book))];
    let wanted = tags(&feed, prefixes);
    stage.want(wanted.clone(), vec![1; wanted.len()]);
    stage.timed(&sends)?;

    let start = stage.start();
    stage.daemon.reload(&setup.plan)?;
    let unchanged = watch(&mut stage, &start)?;
    stage.check()?;

    // The feeder owns all; of what the filter takes, the filtered client is said to be the owner instead, and
    // nobody looks at the feeder.
    let taken = usize::try_from(TAKEN)?.min(wanted.len());
    let mut owners = vec![1; wanted.len()];
    owners.iter_mut().take(taken).for_each(|owner| *owner = u32::try_from(FILTERED).unwrap_or(0) + 1);
    if let Some(feeder) = stage.generator.clients.first_mut() {
        feeder.is_ignored = true;
    }
    stage.want(wanted, owners);
    stage.generator.want(Goal::Exact, |wanted| wanted.returns = false);
    let network = (Ipv4Addr::from(prefix::address(0)), TAKEN_LENGTH);
    setup.plan.filter = Some(FilterPlan { peer: FILTERED, network });
    let start = stage.start();
    let before = bytes_of_others(&stage);
    stage.daemon.reload(&setup.plan)?;
    let end = stage.generator.run_until_complete(start.at + stage.limit)?;
    let mut changed = stage.measure(&start, end);
    stage.settle()?;
    stage.check()?;
    let settled = stage.measure(&start, end);
    (changed.cpu_settled, changed.bytes, changed.messages) = (settled.cpu, settled.bytes, settled.messages);
    #[expect(clippy::cast_precision_loss, reason = "bytes of one run")]
    let others = (bytes_of_others(&stage) - before) as f64;
    changed.more.insert("bytes to others".to_owned(), others);
    Ok(vec![("unchanged", unchanged), ("one filter", changed)])
}

fn bytes_of_others(stage: &Stage) -> u64 {
    let clients = stage.generator.clients.iter().enumerate();
    clients.filter(|&(id, _)| id != FILTERED).map(|(_, client)| client.bytes).sum()
}

/// `wall` is when the daemon was last seen busy: more than half of two milliseconds on a processor.
fn watch(stage: &mut Stage, start: &crate::bench::stage::Start) -> Result<Measure> {
    let mut busy_until = Instant::now();
    let mut before = usage::cpu(&stage.pids);
    while start.at.elapsed() < WATCH {
        stage.generator.run(Instant::now() + LOOK, |_| false)?;
        let now = usage::cpu(&stage.pids);
        if now.saturating_sub(before) > LOOK / 2 {
            busy_until = Instant::now();
        }
        before = now;
    }
    Ok(stage.measure(start, busy_until))
}
