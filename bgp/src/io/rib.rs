//! The RIB's thread: takes events in batches from a bounded queue, drains the core, and hands its effects on.

use std::net::IpAddr;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::PeerId;
use crate::rib::{BestChange, RibEvent};

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
#[derive(Clone)]
pub struct RibHandle {
    // owned by the implementation
}

impl RibHandle {
    /// Starts the thread.
    #[must_use]
    pub fn spawn(sink: Box<dyn RibSink>) -> Self {
        drop(sink);
        todo!()
    }

    /// Queues an event; waits while the queue is full, which is how a peer's socket comes to be left unread.
    pub async fn send(&self, event: RibEvent) {
        todo!("{event:?}")
    }

    /// From now on bytes for `peer` go to `bytes`. Send before `PeerUp`. The channel needs no bound of its
    /// own: the RIB hands out at most the peer's `transmit_window` before it is told `Transmitted`.
    pub async fn attach(&self, peer: PeerId, bytes: mpsc::UnboundedSender<Bytes>) {
        todo!("{peer} {bytes:?}")
    }

    /// Runs `query` on the RIB's thread between two batches and returns what it returns; `None` when the
    /// thread has ended.
    pub async fn query<R: Send + 'static>(
        &self,
        query: impl FnOnce(&crate::rib::Rib) -> R + Send + 'static,
    ) -> Option<R> {
        drop(query);
        todo!()
    }
}
