//! The load generator: all sessions in one thread around one epoll, so that its own cost is small and the same
//! for every daemon. Feeders write bytes that were encoded before; receivers count down what is still wrong.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::client::{Client, ClientPlan, Progress};
use super::feed::Book;
use super::picture::{Passing, Picture, Seen, Verified, Wanted};
use super::wire::{self, Open};
use crate::interrupt;

/// Room for one read, and what was left of the last.
const SCRATCH: usize = (1 << 20) + wire::MESSAGE_MAX;
/// Seconds, in every OPEN.
const HOLD_TIME: u16 = 90;
/// Between two KEEPALIVEs of ours.
const KEEPALIVE: Duration = Duration::from_secs(25);
/// How many sessions are opened at a time, fewer than the shortest listen backlog (OpenBGPD's 5).
const AT_A_TIME: usize = 4;
/// Between two attempts of a client to dial.
const RETRY: Duration = Duration::from_millis(10);

/// When a receiver is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Every prefix as wanted.
    Exact,
    /// So many announcements: for a relay, which sends on all it gets in whatever order.
    Announcements(u64),
}

/// All sessions with one daemon.
#[derive(Debug)]
pub struct Generator {
    /// The sessions.
    pub clients: Vec<Client>,
    /// What all of them should end up with; [`Generator::want`] sets it.
    pub wanted: Wanted,
    /// What came.
    pub seen: Seen,
    goal: Goal,
    epoll: Epoll,
    daemon: SocketAddr,
    scratch: Vec<u8>,
    keepalive_due: Instant,
}

impl Generator {
    /// Sessions from these clients, all down, that want nothing.
    ///
    /// # Errors
    /// No epoll.
    pub fn new(daemon: Ipv4Addr, plans: &[ClientPlan], wanted: Wanted) -> Result<Self> {
        let count = u32::try_from(wanted.tags.len())?;
        let clients = (0..).zip(plans).map(|(me, plan)| Client::new(*plan, Picture::new(me, count)));
        Ok(Self {
            clients: clients.collect(),
            wanted,
            seen: Seen::default(),
            goal: Goal::Exact,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            daemon: (daemon, 179).into(),
            scratch: vec![0; SCRATCH],
            keepalive_due: Instant::now() + KEEPALIVE,
        })
    }

    /// Opens all sessions that are down, a few at a time, and waits until all are established.
    ///
    /// # Errors
    /// Which are not, `within` that.
    pub fn establish(&mut self, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        let mut down: Vec<usize> = (0..self.clients.len()).filter(|&id| !self.is_established(id)).collect();
        while !down.is_empty() {
            let batch: Vec<usize> = down.drain(..down.len().min(AT_A_TIME)).collect();
            while let Some(&id) = batch.iter().find(|&&id| !self.is_established(id)) {
                if Instant::now() > deadline {
                    let closed = self.clients.get(id).and_then(|client| client.closed.clone());
                    bail!("client {id} is not established {within:?} after the first: {closed:?}");
                }
                for &id in &batch {
                    // A daemon that refuses is asked again.
                    self.dial(id)
                        .or_else(|error| if Instant::now() > deadline { Err(error) } else { Ok(()) })?;
                }
                let next_look = Instant::now() + Duration::from_millis(200);
                self.run(next_look.min(deadline), |all| {
                    batch.iter().all(|&id| all.is_established(id)) || batch.iter().any(|&id| all.is_down(id))
                })?;
                if batch.iter().any(|&id| self.is_down(id)) {
                    self.run(Instant::now() + 5 * RETRY, |_| false)?;
                }
            }
        }
        Ok(())
    }

    fn dial(&mut self, id: usize) -> Result<()> {
        let Some(client) = self.clients.get_mut(id).filter(|client| client.progress == Progress::Down) else {
            return Ok(());
        };
        client.dial(self.daemon, &open(&client.plan, false))?;
        self.watch(id)
    }

    /// All dial at once, and again whenever they fail, until all are established. Gives how many attempts it
    /// took.
    ///
    /// # Errors
    /// How many are not established, at the deadline.
    pub fn storm(&mut self, deadline: Instant) -> Result<u64> {
        let mut attempts = 0;
        loop {
            for id in 0..self.clients.len() {
                let daemon = self.daemon;
                let Some(client) = self.clients.get_mut(id) else { continue };
                if client.progress == Progress::Down {
                    attempts += 1;
                    client.dial_unready(daemon)?;
                    self.watch(id)?;
                }
            }
            self.run((Instant::now() + RETRY).min(deadline), |all| {
                all.clients.iter().all(|client| client.progress == Progress::Established)
            })?;
            let missing =
                self.clients.iter().filter(|client| client.progress != Progress::Established).count();
            if missing == 0 {
                return Ok(attempts);
            }
            ensure!(Instant::now() < deadline, "{missing} of {} sessions not up", self.clients.len());
        }
    }

    fn watch(&mut self, id: usize) -> Result<()> {
        let client = self.clients.get_mut(id).context("no such client")?;
        if let Some(stream) = &client.stream {
            let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
            self.epoll.add(stream, EpollEvent::new(flags, id as u64))?;
            client.watches_output = true;
        }
        Ok(())
    }

    /// Whether the session stands.
    #[must_use]
    pub fn is_established(&self, id: usize) -> bool {
        self.clients.get(id).is_some_and(|client| client.progress == Progress::Established)
    }

    fn is_down(&self, id: usize) -> bool {
        self.clients.get(id).is_some_and(|client| client.progress == Progress::Down)
    }

    /// From now on this is wanted, and receivers are done by this measure.
    pub fn want(&mut self, goal: Goal, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.wanted);
        self.goal = goal;
        for client in &mut self.clients {
            client.completed = None;
            client.picture.recount(&self.wanted, &self.seen);
        }
        self.note_completions();
    }

    /// What is waited for.
    #[must_use]
    pub fn goal(&self) -> Goal {
        self.goal
    }

    /// Marks those that have what they want although nothing came for them.
    fn note_completions(&mut self) {
        for client in &mut self.clients {
            if client.completed.is_none() && is_done(self.goal, client) {
                client.completed = Some(Instant::now());
            }
        }
    }

    /// Queues bytes for a client.
    pub fn send(&mut self, id: usize, bytes: &Arc<[u8]>) {
        if let Some(client) = self.clients.get_mut(id) {
            client.send(Arc::clone(bytes));
        }
    }

    /// Whether everybody who is waited for has all that is wanted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.clients.iter().all(|client| client.is_ignored || client.completed.is_some())
    }

    /// Runs until [`Generator::is_complete`] and gives when the last one was.
    ///
    /// # Errors
    /// What is still wrong at the deadline, or which session ended.
    pub fn run_until_complete(&mut self, deadline: Instant) -> Result<Instant> {
        self.run(deadline, Self::is_complete)?;
        if !self.is_complete() {
            bail!("gave up: {}", self.state());
        }
        let last = self.clients.iter().filter_map(|client| client.completed).max();
        Ok(last.unwrap_or_else(Instant::now))
    }

    /// What is not as wanted, in words.
    #[must_use]
    pub fn state(&self) -> String {
        let waited = || self.clients.iter().filter(|client| !client.is_ignored);
        let waiting = waited().filter(|client| client.completed.is_none()).count();
        let wrong: usize = waited().map(|client| client.picture.wrong()).sum();
        let closed = self.clients.iter().find_map(|client| client.closed.as_deref()).unwrap_or("none");
        let all = self.clients.len();
        format!("{waiting} of {all} receivers wait, {wrong} prefixes wrong; session ended: {closed}")
    }

    /// Serves the sockets until `done` or the deadline; `done` is asked after every round of events.
    ///
    /// # Errors
    /// Epoll fails, or somebody pressed Ctrl-C.
    pub fn run(&mut self, deadline: Instant, done: impl Fn(&Self) -> bool) -> Result<()> {
        let mut events = [EpollEvent::empty(); 256];
        self.arm()?;
        while !done(self) {
            let now = Instant::now();
            let Some(left) = deadline.checked_duration_since(now) else { return Ok(()) };
            ensure!(!interrupt::requested(), "interrupted");
            if now >= self.keepalive_due {
                self.keepalive_due = now + KEEPALIVE;
                let bytes: Arc<[u8]> = wire::keepalive().into();
                for client in &mut self.clients {
                    if client.progress == Progress::Established {
                        client.send(Arc::clone(&bytes));
                    }
                }
                self.arm()?;
            }
            let wait = u16::try_from(left.as_millis().saturating_add(1)).unwrap_or(500).min(500);
            let count = match self.epoll.wait(&mut events, EpollTimeout::from(wait)) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => return Err(error.into()),
            };
            for event in events.iter().take(count) {
                self.serve(usize::try_from(event.data())?, event.events())?;
            }
        }
        Ok(())
    }

    fn serve(&mut self, id: usize, flags: EpollFlags) -> Result<()> {
        let Self { clients, wanted, seen, scratch, goal, .. } = self;
        let Some(client) = clients.get_mut(id) else { return Ok(()) };
        if client.progress == Progress::Dialing {
            if flags.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP) {
                client.close("refused");
                return Ok(());
            }
            client.connected(&open(&client.plan, false));
        }
        if flags.contains(EpollFlags::EPOLLOUT) {
            client.write();
        }
        let input = EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        if flags.intersects(input) && !client.is_deaf {
            client.read(scratch, wanted, seen);
            if client.completed.is_none() && is_done(*goal, client) {
                client.completed = Some(Instant::now());
            }
        }
        self.arm_one(id)
    }

    /// Asks for what each socket waits for.
    fn arm(&mut self) -> Result<()> {
        (0..self.clients.len()).try_for_each(|id| self.arm_one(id))
    }

    fn arm_one(&mut self, id: usize) -> Result<()> {
        let Some(client) = self.clients.get_mut(id) else { return Ok(()) };
        let Some(stream) = &client.stream else { return Ok(()) };
        let wants_output = client.has_output() || client.progress == Progress::Dialing;
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN, !client.is_deaf);
        flags.set(EpollFlags::EPOLLOUT, wants_output);
        if client.watches_output != wants_output || client.is_deaf {
            self.epoll.modify(stream, &mut EpollEvent::new(flags, id as u64))?;
            client.watches_output = wants_output;
        }
        Ok(())
    }

    /// Ends a session without a word, as a crash does.
    pub fn drop_session(&mut self, id: usize) {
        if let Some(client) = self.clients.get_mut(id) {
            client.close("closed by us");
            client.picture.clear();
        }
    }

    /// What all receivers have got so far: bytes, messages.
    #[must_use]
    pub fn received(&self) -> (u64, u64) {
        let add = |(bytes, messages), client: &Client| (bytes + client.bytes, messages + client.messages);
        self.clients.iter().fold((0, 0), add)
    }

    /// Compares what every receiver holds, prefix by prefix, with what is wanted.
    ///
    /// # Errors
    /// The first difference, or a session that ended although it should stand.
    pub fn ensure_right(&self, book: &Book, passing: Passing) -> Result<()> {
        let verified = Verified::compare(&self.seen, book, passing);
        for client in self.clients.iter().filter(|client| !client.is_ignored) {
            if let Some(why) = &client.closed {
                bail!("the session of {} ended: {why}", client.plan.address);
            }
            client.picture.ensure_right(&self.wanted, &self.seen, &verified)?;
        }
        Ok(())
    }
}

fn is_done(goal: Goal, client: &Client) -> bool {
    match goal {
        Goal::Exact => client.picture.wrong() == 0,
        Goal::Announcements(count) => client.picture.announced >= count,
    }
}

fn open(plan: &ClientPlan, restarted: bool) -> Open {
    let ClientPlan { address, asn, restart_time, receive_buffer: _ } = *plan;
    Open { asn, router_id: address.into(), hold_time: HOLD_TIME, restart_time, restarted }
}
