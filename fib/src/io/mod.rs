//! The FIB's own thread: netlink on one side, the rest of the process on the other, the core in between.
//!
//! ```text
//!  RIB thread ──learned()──► inbox ─┐                     ┌─► writer.rs  routes in batches
//!  node task ──send()──────► inbox ─┼─► thread.rs: Fib ───┼─► reader.rs  dumps, over rtnetlink
//!  monitor.rs ──kernel's notices────┤                     └─► sink: next-hop reports
//!  snapshot() ──────────────────────┘
//! ```
//!
//! Nobody waits for this thread, and it waits for nobody but the kernel. When the last [`FibHandle`] is
//! dropped the thread ends and leaves the routes where they are.

mod convert;
mod filter;
mod inbox;
mod monitor;
mod reader;
mod thread;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{Arc, mpsc as std_mpsc},
    thread::JoinHandle,
};

use ipnet::IpNet;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::{FibConfig, FibEvent, FibSnapshot, FibSummary, LearnedRoute, NextHopReport};
use inbox::Inbox;
use thread::{FibThread, Question};

/// For the fuzzer: panics on a datagram of the kernel of which something does not hold that must.
#[cfg(fuzzing)]
pub fn check_datagram(datagram: &[u8]) {
    convert::check_datagram(datagram);
}

/// Unanswered questions; more wait.
const QUESTIONS_MAX: usize = 16;

/// How to start.
pub struct FibOptions {
    /// The core's configuration.
    pub config: FibConfig,
    /// Spreads retries.
    pub seed: u64,
    /// Run on the new thread before it opens a socket: to enter a network namespace.
    pub before_open: Option<Box<dyn FnOnce() -> io::Result<()> + Send>>,
}

/// Receives next-hop reports, on the FIB's thread: must not block.
pub type ReportSink = Box<dyn FnMut(NextHopReport) + Send>;

/// The thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the FIB's thread has ended")]
pub struct Ended;

/// The way to the FIB's thread. Clones share it; the thread ends with the last.
#[derive(Clone, Debug)]
pub struct FibHandle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    inbox: Arc<Inbox>,
    questions: mpsc::Sender<Question>,
}

impl FibHandle {
    /// Starts the thread and opens its sockets. The [`JoinHandle`] ends after the last handle is dropped.
    ///
    /// # Errors
    /// The hook's, or the kernel's refusal to give a thread or a netlink socket.
    pub fn spawn(options: FibOptions, sink: ReportSink) -> io::Result<(Self, JoinHandle<()>)> {
        let inbox = Arc::new(Inbox::default());
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        let (ready, started) = std_mpsc::sync_channel(1);
        let theirs = Arc::clone(&inbox);
        let join = std::thread::Builder::new().name("fib".to_owned()).spawn(move || {
            let opened = FibThread::open(options, theirs, asked, sink);
            // The receiver waits for exactly this.
            match opened {
                Ok((thread, runtime)) => {
                    let _ = ready.send(Ok(()));
                    runtime.block_on(thread.run());
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        })?;
        started.recv().map_err(|_| io::Error::other(Ended))??;
        Ok((Self { inner: Arc::new(Inner { inbox, questions }) }, join))
    }

    /// BGP's word on prefixes; `None`: it has none any more. Never blocks; the latest word on a prefix counts.
    pub fn learned(&self, routes: Vec<(IpNet, Option<LearnedRoute>)>) {
        self.inner.inbox.learned(routes);
    }

    /// Everything else that the node has to say. Never blocks. What only the kernel or the clock can say is
    /// refused with an error in the log.
    ///
    /// [`FibEvent::LearnedInSync`] holds for everything given to [`learned`](Self::learned) before it.
    pub fn send(&self, event: FibEvent) {
        self.inner.inbox.put(event);
    }

    /// The whole picture.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn snapshot(&self) -> Result<FibSnapshot, Ended> {
        let (answer, answered) = oneshot::channel();
        self.inner.questions.send(Question::Snapshot(answer)).await.map_err(|_| Ended)?;
        answered.await.map_err(|_| Ended)
    }

    /// The figures alone, for metrics.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn summary(&self) -> Result<FibSummary, Ended> {
        let (answer, answered) = oneshot::channel();
        self.inner.questions.send(Question::Summary(answer)).await.map_err(|_| Ended)?;
        answered.await.map_err(|_| Ended)
    }

    /// Returns when the thread has ended, which while there is a handle only a panic brings about.
    pub async fn ended(&self) {
        self.inner.questions.closed().await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.inbox.close();
    }
}
