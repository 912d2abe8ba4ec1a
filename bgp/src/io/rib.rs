//! The RIB's thread: takes events in batches from a bounded queue, drains the core, and hands its effects on.
//!
//! ```text
//!  peers' tasks ──send──►┐                        ┌──bytes──► peers' tasks (unbounded; bounded by the
//!  wiring ───────send───►│ 1024 ─► 256 at a time ─┤            window that the core keeps per peer)
//!  control ─────query───►┘         core, drained  └──RibSink─► fib, next hop resolver
//! ```
//! A thread of its own, because the core may compute for many milliseconds: keepalives, the store and the
//! CNI socket live on other threads and do not notice. A full queue makes senders wait, which is how a
//! peer's socket comes to be left unread and TCP slows that peer down.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::rib::{BestChange, Rib, RibEffect, RibEvent};
use crate::{AfiSafi, PeerId};

/// Requests that may wait. At most one UPDATE of 64 KiB each.
const QUEUE_LEN: usize = 1024;

/// Requests that are taken in before effects are drained. More share decisions and messages better; fewer
/// let the first effect out sooner.
const BATCH_LEN: usize = 256;

/// Where the RIB's effects go that are not bytes for a peer. Called on the RIB's thread, so an
/// implementation must not block; it coalesces by key when its reader is slow.
pub trait RibSink: Send + 'static {
    /// The Loc-RIB changed.
    fn best_changed(&mut self, changes: Vec<BestChange>);
    /// A next hop came into use.
    fn track_next_hop(&mut self, next_hop: IpAddr);
    /// A next hop is no longer in use.
    fn untrack_next_hop(&mut self, next_hop: IpAddr);
    /// See [`crate::rib::RibEffect::InSync`].
    fn in_sync(&mut self);
}

/// The way to the RIB's thread. Cheap to clone; the thread ends when the last one is gone.
#[derive(Clone, Debug)]
pub struct RibHandle {
    requests: mpsc::Sender<Request>,
}

/// From the RIB to a peer's task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToPeer {
    /// Whole messages for its socket.
    Messages(Bytes),
    /// See [`RibEffect::TooManyPrefixes`].
    TooManyPrefixes {
        /// The family with the most.
        family: AfiSafi,
        /// How many of all families.
        received: u64,
    },
}

enum Request {
    Event(RibEvent),
    Attach(PeerId, mpsc::UnboundedSender<ToPeer>),
    Query(Box<dyn FnOnce(&Rib) + Send>),
}

impl RibHandle {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn spawn(sink: Box<dyn RibSink>) -> std::io::Result<Self> {
        let (requests, queue) = mpsc::channel(QUEUE_LEN);
        // Only its timer is used: a channel that can be waited on with a deadline.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new()
            .name("rib".to_owned())
            .spawn(move || runtime.block_on(RibThread::new(sink).run(queue)))?;
        Ok(Self { requests })
    }

    /// Queues an event; waits while the queue is full, which is how a peer's socket comes to be left unread.
    /// Cancel-safe: the event is queued or it is not.
    pub async fn send(&self, event: RibEvent) {
        self.request(Request::Event(event)).await;
    }

    /// From now on bytes for `peer` go to `bytes`, until it is reported down. Send before `PeerUp`. The
    /// channel needs no bound of its own: the RIB hands out at most the peer's `transmit_window` (and what
    /// one message needs) before it is told `Transmitted`.
    pub async fn attach(&self, peer: PeerId, bytes: mpsc::UnboundedSender<ToPeer>) {
        self.request(Request::Attach(peer, bytes)).await;
    }

    /// Runs `query` on the RIB's thread between two batches and returns what it returns; `None` when the
    /// thread has ended. It sees everything that was sent before it.
    pub async fn query<R: Send + 'static>(
        &self,
        query: impl FnOnce(&Rib) -> R + Send + 'static,
    ) -> Option<R> {
        let (reply, answer) = oneshot::channel();
        let run = move |rib: &Rib| {
            // Nobody waits any more: the answer is of no use.
            reply.send(query(rib)).ok();
        };
        self.request(Request::Query(Box::new(run))).await;
        answer.await.ok()
    }

    /// Returns when the thread has ended, which while there is a handle only a panic brings about.
    pub async fn ended(&self) {
        self.requests.closed().await;
    }

    async fn request(&self, request: Request) {
        if self.requests.send(request).await.is_err() {
            tracing::error!("the RIB's thread has ended");
        }
    }
}

struct RibThread {
    rib: Rib,
    sink: Box<dyn RibSink>,
    /// Where the bytes of each attached peer go.
    peers: BTreeMap<PeerId, mpsc::UnboundedSender<ToPeer>>,
}

impl RibThread {
    fn new(sink: Box<dyn RibSink>) -> Self {
        Self { rib: Rib::new(Instant::now()), sink, peers: BTreeMap::new() }
    }

    /// Until every handle is gone.
    async fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH_LEN);
        loop {
            let received = queue.recv_many(&mut batch, BATCH_LEN);
            let count = match self.rib.next_deadline() {
                // recv_many is cancel-safe: on a timeout nothing has been taken.
                Some(deadline) => tokio::time::timeout_at(deadline.into(), received).await.ok(),
                None => Some(received.await),
            };
            if count == Some(0) {
                return;
            }
            // Also under load, when the queue never runs empty and the wait never times out.
            self.handle(RibEvent::Deadline);
            for request in batch.drain(..) {
                match request {
                    Request::Event(event) => self.handle(event),
                    Request::Attach(peer, bytes) => {
                        // What is due on the old connection must not go to the new one.
                        self.drain();
                        self.peers.insert(peer, bytes);
                    }
                    Request::Query(query) => {
                        self.drain();
                        query(&self.rib);
                    }
                }
            }
            self.drain();
        }
    }

    fn handle(&mut self, event: RibEvent) {
        let down = match &event {
            RibEvent::PeerDown { peer, .. } => Some(*peer),
            RibEvent::Configure(_)
            | RibEvent::Neighbors(_)
            | RibEvent::PeerUp(_)
            | RibEvent::Update { .. }
            | RibEvent::Refresh { .. }
            | RibEvent::PrefixLimit { .. }
            | RibEvent::AdvertisementInterval { .. }
            | RibEvent::AddPathMaximum { .. }
            | RibEvent::PolicyChanged { .. }
            | RibEvent::RulesChanged { .. }
            | RibEvent::ReflectorClientChanged { .. }
            | RibEvent::Originate(_)
            | RibEvent::NextHopChanged(_)
            | RibEvent::Transmitted { .. }
            | RibEvent::Deadline => None,
        };
        self.rib.handle(event, Instant::now());
        if let Some(peer) = down {
            self.peers.remove(&peer);
        }
    }

    fn drain(&mut self) {
        while let Some(effect) = self.rib.poll_effect() {
            match effect {
                RibEffect::BestChanged(changes) => self.sink.best_changed(changes),
                RibEffect::TrackNextHop(next_hop) => self.sink.track_next_hop(next_hop),
                RibEffect::UntrackNextHop(next_hop) => self.sink.untrack_next_hop(next_hop),
                RibEffect::InSync => self.sink.in_sync(),
                RibEffect::Transmit { peers, messages } => self.tell(&peers, &ToPeer::Messages(messages)),
                RibEffect::TooManyPrefixes { peer, family, received } => {
                    self.tell(&[peer], &ToPeer::TooManyPrefixes { family, received });
                }
            }
        }
    }

    fn tell(&self, peers: &[PeerId], what: &ToPeer) {
        for peer in peers {
            match self.peers.get(peer).map(|bytes| bytes.send(what.clone())) {
                Some(Ok(())) => {}
                // Its task has ended; it will be reported down.
                Some(Err(_)) => tracing::trace!(%peer, "no one takes its bytes any more"),
                None => tracing::warn!(%peer, "up but not attached: what it is told is lost"),
            }
        }
    }
}
