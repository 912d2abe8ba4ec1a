//! One daemon on its ground with all sessions up: what every scenario begins with, and how each measures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::client::ClientPlan;
use super::driver::{Daemon, Driver, PeerPlan, Plan};
use super::feed::{Book, Feeder};
use super::generator::{Generator, Goal};
use super::ground::{DAEMON, DAEMON_AS, Ground, client};
use super::picture::{Passing, Wanted};
use super::prefix::{self, Shape};
use super::{usage, wire};

/// What is looked at to find out whether a daemon is at rest.
const LOOK: Duration = Duration::from_millis(100);
/// The most processor time in one look of a daemon at rest.
const REST: Duration = Duration::from_millis(5);
/// The longest wait for that. Some daemons never are; then it is as it is.
const SETTLE: Duration = Duration::from_secs(10);

/// What was measured in one phase of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Seconds from the first byte sent to the last receiver complete.
    pub wall: f64,
    /// Processor seconds of all of the daemon's processes in that time.
    pub cpu: f64,
    /// The same until it came to rest.
    pub cpu_settled: f64,
    /// Peak resident memory of all its processes up to then, KiB.
    pub memory_kib: u64,
    /// Bytes of the UPDATEs that the receivers got.
    pub bytes: u64,
    /// How many UPDATEs the receivers got.
    pub messages: u64,
    /// Processor seconds of the generator in that time.
    pub generator_cpu: f64,
    /// What only this scenario measures.
    #[serde(default)]
    pub more: BTreeMap<String, f64>,
}

/// What a scenario asks for.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Whom.
    pub driver: &'a dyn Driver,
    /// Where.
    pub ground: &'a Ground,
    /// How it is configured.
    pub plan: Plan,
    /// How long prefixes are.
    pub shape: Shape,
    /// How many.
    pub prefixes: u32,
    /// How long one phase may take.
    pub limit: Duration,
}

/// A daemon, its sessions, and what has been said.
#[derive(Debug)]
pub struct Stage {
    /// The daemon.
    pub daemon: Box<dyn Daemon>,
    /// The sessions.
    pub generator: Generator,
    /// The sets that were sent.
    pub book: Book,
    /// How long prefixes are.
    pub shape: Shape,
    /// What the daemon may do to attributes.
    pub passing: Passing,
    /// How long one phase may take.
    pub limit: Duration,
    /// Its processes.
    pub pids: Vec<u32>,
}

/// The counters at the beginning of a phase.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The clock.
    pub at: Instant,
    cpu: Duration,
    own: Duration,
    received: (u64, u64),
}

impl Stage {
    /// The daemon is configured, not started; all sessions are down. Must run inside the generator's namespace.
    ///
    /// # Errors
    /// The configuration cannot be written.
    pub fn prepare(setup: &Setup<'_>, adjust: impl Fn(usize, &mut ClientPlan)) -> Result<Self> {
        let Setup { driver, ground, plan, shape, prefixes, limit } = setup;
        prefix::ensure_count(*prefixes)?;
        let clients: Vec<ClientPlan> = plan
            .peers
            .iter()
            .enumerate()
            .map(|(id, peer)| {
                let (address, asn) = (peer.address, peer.asn);
                let mut client = ClientPlan { address, asn, restart_time: None, receive_buffer: None };
                adjust(id, &mut client);
                client
            })
            .collect();
        let passing = match (driver.is_relay(), plan.role) {
            (true, _) => Passing::Untouched,
            (false, super::driver::Role::Ebgp) => Passing::Ebgp { asn: DAEMON_AS, address: DAEMON.into() },
            (false, _) => Passing::Reflected,
        };
        let mut wanted = Wanted::nothing(*shape, *prefixes);
        wanted.returns = driver.returns_routes();
        Ok(Self {
            daemon: driver.prepare(ground.daemon()?, plan)?,
            generator: Generator::new(DAEMON, &clients, wanted)?,
            book: Book::default(),
            shape: *shape,
            passing,
            limit: *limit,
            pids: Vec::new(),
        })
    }

    /// The daemon runs and all sessions are established and quiet.
    ///
    /// # Errors
    /// It does not start, or sessions do not come up.
    pub fn open(setup: &Setup<'_>, adjust: impl Fn(usize, &mut ClientPlan)) -> Result<Self> {
        let mut stage = Self::prepare(setup, adjust)?;
        stage.daemon.start()?;
        stage.generator.establish(stage.limit)?;
        stage.note_processes()?;
        // Nothing is to come: who waits for its peers to have said all (RFC 4724 §4.1) need not.
        let end_of_rib: Arc<[u8]> = wire::end_of_rib().into();
        for client in stage.generator.clients.iter_mut().filter(|client| client.plan.restart_time.is_none()) {
            client.send(Arc::clone(&end_of_rib));
        }
        stage.settle()?;
        Ok(stage)
    }

    /// Looks which processes the daemon consists of.
    ///
    /// # Errors
    /// There is no /proc.
    pub fn note_processes(&mut self) -> Result<()> {
        self.pids = self.daemon.processes()?;
        Ok(())
    }

    /// Serves the sessions until nothing comes and the daemon is at rest.
    ///
    /// # Errors
    /// As [`Generator::run`].
    pub fn settle(&mut self) -> Result<()> {
        let deadline = Instant::now() + SETTLE;
        let mut quiet = 0;
        while quiet < 2 && Instant::now() < deadline {
            let before = (self.generator.received(), usage::cpu(&self.pids));
            self.generator.run(Instant::now() + LOOK, |_| false)?;
            let is_quiet = self.generator.received() == before.0
                && usage::cpu(&self.pids).saturating_sub(before.1) < REST;
            quiet = if is_quiet { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// The counters now.
    #[must_use]
    pub fn start(&self) -> Start {
        let (cpu, own) = (usage::cpu(&self.pids), usage::thread_cpu());
        Start { received: self.generator.received(), cpu, own, at: Instant::now() }
    }

    /// What has been used since; the clock stopped at `end`.
    #[must_use]
    pub fn measure(&self, start: &Start, end: Instant) -> Measure {
        let (bytes, messages) = self.generator.received();
        let cpu = usage::cpu(&self.pids).saturating_sub(start.cpu).as_secs_f64();
        Measure {
            wall: end.saturating_duration_since(start.at).as_secs_f64(),
            cpu,
            cpu_settled: cpu,
            memory_kib: usage::peak_memory(&self.pids),
            bytes: bytes - start.received.0,
            messages: messages - start.received.1,
            generator_cpu: usage::thread_cpu().saturating_sub(start.own).as_secs_f64(),
            more: BTreeMap::new(),
        }
    }

    /// Sends, waits until every receiver has what is wanted, and then, with the clock stopped, until the daemon
    /// is at rest; compares every prefix.
    ///
    /// # Errors
    /// The limit is over, or something is not as it should be.
    pub fn timed(&mut self, sends: &[(usize, Arc<[u8]>)]) -> Result<Measure> {
        let start = self.start();
        for (id, bytes) in sends {
            self.generator.send(*id, bytes);
        }
        let end = self.generator.run_until_complete(start.at + self.limit)?;
        let mut measure = self.measure(&start, end);
        self.settle()?;
        measure.cpu_settled = self.measure(&start, end).cpu;
        measure.memory_kib = usage::peak_memory(&self.pids);
        self.check()?;
        Ok(measure)
    }

    /// Compares every prefix at every receiver, unless only numbers were wanted.
    ///
    /// # Errors
    /// The first difference.
    pub fn check(&self) -> Result<()> {
        match self.generator.goal() {
            Goal::Exact => {
                self.generator.ensure_right(&self.book, self.passing).context("the result is wrong")
            }
            Goal::Announcements(_) => Ok(()),
        }
    }

    /// Waits for exactly these: `tags` by prefix number, each not at its owner.
    pub fn want(&mut self, tags: Vec<u32>, owners: Vec<u32>) {
        self.generator.want(Goal::Exact, |wanted| {
            wanted.tags = tags;
            wanted.owners = owners;
        });
    }

    /// Client `id` as a feeder.
    #[must_use]
    pub fn feeder(&self, id: usize) -> Feeder {
        let asn = self.generator.clients.get(id).map(|client| client.plan.asn);
        Feeder { asn: asn.filter(|&asn| asn != DAEMON_AS), address: client(id) }
    }
}

/// The tag of each of `count` prefixes.
#[must_use]
pub fn tags(feed: &super::feed::Feed, count: u32) -> Vec<u32> {
    let mut tags = vec![0; usize::try_from(count).unwrap_or_default()];
    for (tag, numbers) in &feed.sets {
        for number in numbers {
            if let Some(one) = usize::try_from(*number).ok().and_then(|number| tags.get_mut(number)) {
                *one = *tag;
            }
        }
    }
    tags
}

/// `count` iBGP peers.
#[must_use]
pub fn internal(count: usize) -> Vec<PeerPlan> {
    (0..count).map(|id| PeerPlan { address: client(id), asn: DAEMON_AS, receives: true }).collect()
}

/// `count` eBGP peers, each of its own AS, of which the first `silent` are sent nothing.
#[must_use]
pub fn external(count: usize, silent: usize) -> Vec<PeerPlan> {
    (0..count)
        .map(|id| PeerPlan {
            address: client(id),
            asn: 65_001 + u32::try_from(id).unwrap_or_default(),
            receives: id >= silent,
        })
        .collect()
}
