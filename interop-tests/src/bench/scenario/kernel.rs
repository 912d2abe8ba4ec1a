//! Routes in the kernel: how fast they get there, and what becomes of them when the daemon is killed.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::{Phases, Scene};
use crate::bench::driver::{RESTART_TIME, Role};
use crate::bench::feed::Feed;
use crate::bench::ground::{Ground, client};
use crate::bench::netlink::{Netlink, Via};
use crate::bench::prefix::Shape;
use crate::bench::stage::{Measure, Stage, external, tags};
use crate::bench::{usage, wire};

const SHAPE: Shape = Shape::Table;
/// Between two looks at the kernel.
const LOOK: Duration = Duration::from_millis(2);
/// How many prefixes are probed before the whole table is read.
const PROBES: usize = 64;
/// One of so many prefixes is not announced again after the restart.
const GONE: u32 = 100;

/// The floor: the generator itself writes.
pub(super) fn raw(ground: &Ground, prefixes: u32, via: Via) -> Result<Phases> {
    let measure = ground.daemon()?.within(|| {
        let mut netlink = Netlink::open(false)?;
        let gateway = client(0);
        let (start, cpu) = (Instant::now(), usage::thread_cpu());
        netlink.write_routes(SHAPE, prefixes, gateway, via)?;
        let wall = start.elapsed().as_secs_f64();
        let cpu = (usage::thread_cpu() - cpu).as_secs_f64();
        let present = netlink.present(SHAPE, prefixes, gateway)?.into_iter().filter(|&one| one).count();
        ensure!(present == usize::try_from(prefixes)?, "{present} of {prefixes} are in the kernel");
        Ok(Measure { wall, cpu, cpu_settled: cpu, ..Measure::default() })
    })?;
    Ok(vec![("", measure)])
}

pub(super) fn fib(scene: &Scene<'_>, prefixes: u32) -> Result<Phases> {
    let mut setup = scene.setup(Role::Ebgp, external(1, 0), SHAPE, prefixes);
    setup.plan.kernel = true;
    let mut stage = Stage::open(&setup, |_, _| {})?;
    let mut netlink = scene.ground.daemon()?.within(|| Netlink::open(false))?;
    let feed = stage.feeder(0).internet(&mut stage.book, prefixes, 1, |_| 0);
    let bytes = feed.announcements(SHAPE, &stage.book);
    let mut kernel = Kernel::new(&feed, vec![true; usize::try_from(prefixes)?]);
    let start = stage.start();
    stage.generator.send(0, &bytes);
    let end = kernel.wait(&mut stage, &mut netlink, start.at)?;
    let mut measure = stage.measure(&start, end);
    stage.settle()?;
    measure.cpu_settled = stage.measure(&start, end).cpu;
    Ok(vec![("", measure)])
}

/// What the kernel should hold, looked at without disturbing it: single prefixes, and when these are right the
/// whole table.
struct Kernel {
    wanted: Vec<bool>,
    probes: Vec<u32>,
}

impl Kernel {
    /// The prefixes announced last are probed first.
    fn new(feed: &Feed, wanted: Vec<bool>) -> Self {
        let order: Vec<u32> = feed.sets.iter().flat_map(|(_, numbers)| numbers).copied().collect();
        let step = (order.len() / PROBES).max(1);
        Self { wanted, probes: order.into_iter().rev().step_by(step).collect() }
    }

    /// Gives when everything was there.
    fn wait(&mut self, stage: &mut Stage, netlink: &mut Netlink, start: Instant) -> Result<Instant> {
        let count = u32::try_from(self.wanted.len())?;
        loop {
            stage.generator.run(Instant::now() + LOOK, |_| false)?;
            while let Some(&number) = self.probes.first() {
                let wanted = usize::try_from(number).ok().and_then(|number| self.wanted.get(number));
                if wanted != Some(&netlink.has(SHAPE, number)?) {
                    break;
                }
                self.probes.swap_remove(0);
            }
            if self.probes.is_empty() {
                let at = Instant::now();
                let present = netlink.present(SHAPE, count, client(0))?;
                let wrong = (0_u32..).zip(present.iter().zip(&self.wanted));
                self.probes =
                    wrong.filter(|(_, (is, wanted))| is != wanted).map(|(number, _)| number).collect();
                if self.probes.is_empty() {
                    return Ok(at);
                }
                let step = (self.probes.len() / PROBES).max(1);
                self.probes = self.probes.iter().rev().step_by(step).copied().collect();
            }
            if start.elapsed() > stage.limit {
                let present = netlink.present(SHAPE, count, client(0))?;
                let wrong = present.iter().zip(&self.wanted).filter(|(is, wanted)| is != wanted).count();
                bail!("gave up: {wrong} of {count} kernel routes wrong; {}", stage.generator.state());
            }
        }
    }
}

/// Client 0 feeds, client 1 receives, both as helpers (RFC 4724). After the kill the feeder announces all but
/// one in a hundred again: done when the receiver has them and the kernel no longer has the others. How many
/// other routes went meanwhile is noted; it should be none.
pub(super) fn restart(scene: &Scene<'_>, prefixes: u32) -> Result<Phases> {
    let mut setup = scene.setup(Role::Ebgp, external(2, 0), SHAPE, prefixes);
    (setup.plan.kernel, setup.plan.graceful_restart) = (true, true);
    let mut stage = Stage::open(&setup, |_, client| client.restart_time = Some(RESTART_TIME))?;
    let feed = stage.feeder(0).internet(&mut stage.book, prefixes, 1, |_| 0);
    let end_of_rib = wire::end_of_rib().into();
    let count = usize::try_from(prefixes)?;
    let mut sends = vec![(0, feed.announcements(SHAPE, &stage.book)), (1, end_of_rib)];
    sends.push((0, wire::end_of_rib().into()));
    stage.want(tags(&feed, prefixes), vec![1; count]);
    stage.timed(&sends)?;
    let mut netlink = scene.ground.daemon()?.within(|| Netlink::open(false))?;
    let now = Instant::now();
    Kernel::new(&feed, vec![true; count]).wait(&mut stage, &mut netlink, now)?;

    let mut monitor = scene.ground.daemon()?.within(|| Netlink::open(true))?;
    let is_gone = |number: &u32| number.is_multiple_of(GONE);
    let mut again = feed.clone();
    again.sets.iter_mut().for_each(|(_, numbers)| numbers.retain(|number| !is_gone(number)));
    again.sets.retain(|(_, numbers)| !numbers.is_empty());
    stage.daemon.kill()?;
    stage.generator.run(Instant::now() + Duration::from_secs(1), |all| {
        all.clients.iter().all(|client| client.stream.is_none())
    })?;
    (0..2).for_each(|id| stage.generator.drop_session(id));
    stage.want(tags(&again, prefixes), vec![1; count]);
    let start = stage.start();
    stage.daemon.start()?;
    stage.generator.establish(stage.limit)?;
    stage.note_processes()?;
    if let Some((_, bytes)) = sends.first_mut() {
        *bytes = again.announcements(SHAPE, &stage.book);
    }
    sends.iter().for_each(|(id, bytes)| stage.generator.send(*id, bytes));
    let received = stage.generator.run_until_complete(start.at + stage.limit)?;
    let wanted: Vec<bool> = (0..prefixes).map(|number| !is_gone(&number)).collect();
    let swept = Kernel::new(&feed, wanted).wait(&mut stage, &mut netlink, start.at)?;
    let mut measure = stage.measure(&start, received.max(swept));
    stage.settle()?;
    stage.check()?;
    let (added, removed) = monitor.changes()?;
    let gone = u64::from(prefixes.div_ceil(GONE));
    #[expect(clippy::cast_precision_loss, reason = "at most a table")]
    let as_figure = |count: u64| count as f64;
    measure.more.insert("kernel routes lost".to_owned(), as_figure(removed.saturating_sub(gone)));
    measure.more.insert("kernel routes written".to_owned(), as_figure(added));
    measure.more.insert("received".to_owned(), received.saturating_duration_since(start.at).as_secs_f64());
    Ok(vec![("", measure)])
}
