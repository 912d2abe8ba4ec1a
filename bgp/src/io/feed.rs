//! A neighbor's way to the RIB: everything in order, never dropped, and never waited for. While the RIB's
//! queue is full the events stay here, and the neighbor's session is left unread.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use super::{RibHandle, ToPeer};
use crate::PeerId;
use crate::rib::RibEvent;

/// Events that may wait here before the session is left unread. The RIB's own queue is the real one; this
/// only has to hold what one read brings.
const ROOM: usize = 64;

/// What goes to the RIB.
#[derive(Debug)]
pub(super) enum Item {
    /// From now on its bytes go there.
    Attach(mpsc::UnboundedSender<ToPeer>),
    /// Something happened.
    Event(RibEvent),
}

/// The queue of one neighbor.
pub(super) struct Feed {
    rib: RibHandle,
    peer: PeerId,
    queue: VecDeque<Item>,
    sending: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Octets that reached the socket and have not been reported: a number, however often it grows.
    transmitted: usize,
}

impl Feed {
    pub(super) fn new(rib: RibHandle, peer: PeerId) -> Self {
        Self { rib, peer, queue: VecDeque::new(), sending: None, transmitted: 0 }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.queue.push_back(item);
    }

    pub(super) fn push_event(&mut self, event: RibEvent) {
        self.push(Item::Event(event));
    }

    /// Reports octets of the session that is up.
    pub(super) fn add_transmitted(&mut self, bytes: usize) {
        self.transmitted += bytes;
    }

    /// Forgets what was not reported of a session that is over.
    pub(super) fn forget_transmitted(&mut self) {
        self.transmitted = 0;
    }

    /// Whether more may be read.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < ROOM
    }

    /// Whether the RIB has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        self.sending.is_none() && self.queue.is_empty() && self.transmitted == 0
    }

    /// Moves on what the RIB will take; true if it took anything.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        loop {
            if let Some(sending) = &mut self.sending {
                match sending.as_mut().poll(cx) {
                    Poll::Ready(()) => self.sending = None,
                    Poll::Pending => return progress,
                }
                progress = true;
            }
            let Some(item) = self.next() else { return progress };
            self.sending = Some(self.send(item));
        }
    }

    /// Credit first: it is what keeps the other direction going.
    fn next(&mut self) -> Option<Item> {
        match std::mem::take(&mut self.transmitted) {
            0 => self.queue.pop_front(),
            bytes => Some(Item::Event(RibEvent::Transmitted { peer: self.peer, bytes })),
        }
    }

    fn send(&self, item: Item) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (rib, peer) = (self.rib.clone(), self.peer);
        Box::pin(async move {
            match item {
                Item::Attach(bytes) => rib.attach(peer, bytes).await,
                Item::Event(event) => rib.send(event).await,
            }
        })
    }
}
