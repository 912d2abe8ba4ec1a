//! The loop: events to the core, effects to the kernel. Decides nothing but the order of work.

use std::{io, sync::Arc, time::Instant};

use ipnet::IpNet;
use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
};

use super::{
    FibOptions, ReportSink,
    inbox::{Inbox, Work},
    monitor::Monitor,
    reader::Reader,
    writer::{BATCH_MAX, Writer},
};
use crate::{Counters, Fib, FibEffect, FibEvent, FibSnapshot, FibSummary, Outcome, RouteKey};

/// Events from the inbox between two looks at the monitor and the questions: some milliseconds.
const WORK_CHUNK: usize = 4096;
/// Datagrams read from the monitor in one go.
const MONITOR_CHUNK: usize = 1024;
/// Most of those before a dump.
const MONITOR_CHUNKS_BEFORE_SCAN: usize = 64;

/// What a handle may ask.
#[derive(Debug)]
pub(super) enum Question {
    Snapshot(oneshot::Sender<FibSnapshot>),
    Summary(oneshot::Sender<FibSummary>),
    Route(IpNet, oneshot::Sender<FibSnapshot>),
}

/// Owns the core, the three sockets and the work at hand.
pub(super) struct FibThread {
    fib: Fib,
    table: u32,
    inbox: Arc<Inbox>,
    work: Work,
    questions: mpsc::Receiver<Question>,
    sink: ReportSink,
    monitor: Monitor,
    writer: Writer,
    reader: Reader,
    logged: Counters,
}

/// Why the loop stopped waiting.
enum Woken {
    Inbox,
    Monitor,
    Deadline,
    Question(Question),
}

impl FibThread {
    pub(super) fn open(
        options: FibOptions,
        inbox: Arc<Inbox>,
        questions: mpsc::Receiver<Question>,
        sink: ReportSink,
    ) -> io::Result<(Self, Runtime)> {
        if let Some(hook) = options.before_open {
            hook()?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        // The monitor before the first dump, or what happens between them is lost.
        let monitor = Monitor::open()?;
        let writer = Writer::open()?;
        let reader = Reader::open()?;
        monitor.ignore(writer.port(), options.config.table);
        drop(guard);
        let thread = Self {
            table: options.config.table,
            fib: Fib::new(options.config, options.seed),
            inbox,
            work: Work::default(),
            questions,
            sink,
            monitor,
            writer,
            reader,
            logged: Counters::default(),
        };
        Ok((thread, runtime))
    }

    pub(super) async fn run(mut self) {
        loop {
            if self.work.len() == 0 {
                if self.work.closed {
                    return;
                }
                self.work = self.inbox.take();
            }
            for _ in 0..WORK_CHUNK {
                let Some(event) = self.work.next() else { break };
                self.feed(event);
            }
            let monitor_is_empty = self.read_monitor();
            self.carry_out().await;
            self.log();
            if self.work.len() > 0 || self.work.closed || !monitor_is_empty {
                while let Ok(question) = self.questions.try_recv() {
                    self.answer(question);
                }
                continue;
            }
            match self.wait().await {
                Woken::Inbox | Woken::Monitor => {}
                Woken::Deadline => self.feed(FibEvent::Deadline),
                Woken::Question(question) => self.answer(question),
            }
        }
    }

    /// Until something is to be done. Every branch is cancel-safe: a permit, a datagram, a channel and a timer
    /// lose nothing when dropped.
    async fn wait(&mut self) -> Woken {
        let deadline = self.fib.next_deadline().map(tokio::time::Instant::from_std);
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.inbox.changed.notified() => Woken::Inbox,
            () = self.monitor.wait() => Woken::Monitor,
            Some(question) = self.questions.recv() => Woken::Question(question),
            () = timer => Woken::Deadline,
        }
    }

    fn feed(&mut self, event: FibEvent) {
        if let FibEvent::Configure(config) = &event {
            self.table = config.table;
            self.monitor.ignore(self.writer.port(), self.table);
        }
        self.fib.handle(event, Instant::now());
    }

    /// Carries out effects until there are none: reports at once, writes in batches, a scan in its turn. Hears
    /// the monitor before each batch, because our own writes fill it and because others' change what is right.
    async fn carry_out(&mut self) {
        loop {
            let mut batch = Vec::new();
            let mut scan = false;
            while batch.len() < BATCH_MAX
                && let Some(effect) = self.fib.poll_effect()
            {
                match effect {
                    FibEffect::Create(_) | FibEffect::Replace(_) | FibEffect::Remove(_) => batch.push(effect),
                    FibEffect::NextHop(report) => (self.sink)(report),
                    FibEffect::Scan => scan = true,
                }
            }
            if batch.is_empty() && !scan {
                return;
            }
            if !batch.is_empty() {
                self.write(&batch);
            }
            if scan {
                self.scan().await;
            }
            self.read_monitor();
        }
    }

    fn write(&mut self, batch: &[FibEffect]) {
        let outcomes = self.writer.write(batch).unwrap_or_else(|error| {
            tracing::warn!(%error, routes = batch.len(), "no answer from the kernel; reading its routes again");
            self.reopen_writer();
            self.feed(FibEvent::Overrun);
            unknown(batch, &error)
        });
        let refused = outcomes.iter().find_map(|(key, outcome)| match outcome {
            Outcome::Failed { message, .. } => Some((*key, message.clone())),
            Outcome::Done | Outcome::Exists | Outcome::Missing => None,
        });
        if let Some((key, reason)) = refused {
            tracing::warn!(route = %key, reason, "refused by the kernel, tried again later");
        }
        for (key, outcome) in outcomes {
            self.feed(FibEvent::Applied { key, outcome });
        }
    }

    async fn scan(&mut self) {
        // What was notified before the dump is older than the dump. In a storm that does not end, a stale word
        // costs a spurious write that the kernel refuses, and another scan.
        for _ in 0..MONITOR_CHUNKS_BEFORE_SCAN {
            if self.read_monitor() {
                break;
            }
        }
        match self.reader.dump(self.table).await {
            Ok(dump) => {
                self.feed(FibEvent::ScanStarted);
                for link in dump.links {
                    self.feed(FibEvent::Link(link));
                }
                for route in dump.routes {
                    self.feed(FibEvent::Actual(route));
                }
                self.feed(FibEvent::ScanDone);
            }
            Err(error) => {
                tracing::warn!(%error, "the kernel's routes cannot be read, trying again");
                self.reopen_reader();
                self.feed(FibEvent::ScanFailed(error.to_string()));
            }
        }
    }

    /// Feeds what the monitor has. True when it is empty.
    fn read_monitor(&mut self) -> bool {
        let mut events = Vec::new();
        for _ in 0..MONITOR_CHUNK {
            let more = self.monitor.read(self.writer.port(), self.table, &mut events);
            for event in events.drain(..) {
                self.feed(event);
            }
            match more {
                Ok(true) => {}
                Ok(false) => return true,
                Err(error) => {
                    tracing::error!(%error, "the kernel's notifications cannot be read; listening anew");
                    self.reopen_monitor();
                    self.feed(FibEvent::Overrun);
                    return true;
                }
            }
        }
        false
    }

    /// A socket with an answer outstanding is in an unknown state; a new one is not.
    fn reopen_writer(&mut self) {
        match Writer::open() {
            Ok(writer) => {
                self.monitor.ignore(writer.port(), self.table);
                self.writer = writer;
            }
            Err(error) => tracing::error!(%error, "no new writing socket, keeping the old one"),
        }
    }

    fn reopen_reader(&mut self) {
        match Reader::open() {
            Ok(reader) => self.reader = reader,
            Err(error) => tracing::error!(%error, "no new reading socket, keeping the old one"),
        }
    }

    fn reopen_monitor(&mut self) {
        match Monitor::open() {
            Ok(monitor) => {
                monitor.ignore(self.writer.port(), self.table);
                self.monitor = monitor;
            }
            Err(error) => tracing::error!(%error, "no new listening socket, keeping the old one"),
        }
    }

    fn answer(&mut self, question: Question) {
        // Brings the age of the last scan up to now.
        self.feed(FibEvent::Deadline);
        // Whoever asked may be gone; then nobody needs the answer.
        match question {
            Question::Snapshot(answer) => drop(answer.send(self.fib.snapshot())),
            Question::Route(prefix, answer) => drop(answer.send(self.fib.route_snapshot(prefix))),
            Question::Summary(answer) => drop(answer.send(self.fib.summary())),
        }
    }

    /// One line for whatever happened since the last, however often it happened.
    fn log(&mut self) {
        let now = self.fib.counters();
        if let Some(last) = now.last_repair.filter(|_| now.repairs > self.logged.repairs) {
            let routes = now.repairs - self.logged.repairs;
            tracing::warn!(routes, %last, "put back what somebody else had removed or changed");
        }
        if now.overruns > self.logged.overruns {
            tracing::warn!("the kernel's notifications came too fast; reading its routes again");
        }
        self.logged = now;
    }
}

fn unknown(batch: &[FibEffect], error: &io::Error) -> Vec<(RouteKey, Outcome)> {
    let outcome =
        Outcome::Failed { errno: error.raw_os_error().unwrap_or(0), message: format!("no answer: {error}") };
    batch
        .iter()
        .filter_map(|effect| match effect {
            FibEffect::Create(route) | FibEffect::Replace(route) | FibEffect::Remove(route) => {
                Some((route.key, outcome.clone()))
            }
            FibEffect::NextHop(_) | FibEffect::Scan => None,
        })
        .collect()
}
