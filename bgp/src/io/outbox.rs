//! What waits to be written on one connection: the machine's messages, which may overtake, and the RIB's
//! UPDATEs, which may be overtaken, but only between two messages. No socket here.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use smallvec::SmallVec;

use crate::wire::HEADER_LEN;

/// Buffers handed to the kernel at once (it takes at most IOV_MAX, 1024).
const SLICES_MAX: usize = 64;

/// The queues. Their bound is the RIB's transmit window for `bulk`, and the send hold time, in which the
/// machine can queue no more than a few KEEPALIVEs, for `urgent`.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The rest of a message of which a part has been written: nothing may come before it.
    started: Bytes,
    /// Whole messages of the machine.
    urgent: VecDeque<Bytes>,
    /// UPDATEs of the RIB; each buffer is one or more whole messages.
    bulk: VecDeque<Bytes>,
}

impl Outbox {
    /// Queues a message of the machine.
    pub(super) fn push_urgent(&mut self, message: Bytes) {
        self.urgent.push_back(message);
    }

    /// Queues UPDATEs.
    pub(super) fn push_bulk(&mut self, messages: Bytes) {
        if !messages.is_empty() {
            self.bulk.push_back(messages);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.started.is_empty() && self.urgent.is_empty() && self.bulk.is_empty()
    }

    /// Octets that wait.
    pub(super) fn len(&self) -> usize {
        self.started.len() + self.urgent.iter().chain(&self.bulk).map(Bytes::len).sum::<usize>()
    }

    /// What to write next, in order.
    pub(super) fn slices(&self) -> SmallVec<[IoSlice<'_>; 8]> {
        let queued = std::iter::once(&self.started).chain(&self.urgent).chain(&self.bulk);
        let queued = queued.filter(|bytes| !bytes.is_empty());
        queued.take(SLICES_MAX).map(|bytes| IoSlice::new(bytes)).collect()
    }

    /// Drops `count` octets of [`Outbox::slices`] that were written, and returns how many octets left
    /// `bulk`. Where the write stopped inside a message, the rest of that message becomes `started` and the
    /// whole of it counts.
    pub(super) fn advance(&mut self, mut count: usize) -> usize {
        let step = count.min(self.started.len());
        self.started.advance(step);
        count -= step;
        while count > 0
            && let Some(mut message) = self.urgent.pop_front()
        {
            let step = count.min(message.len());
            message.advance(step);
            count -= step;
            self.started = message;
        }
        let mut bulk = 0;
        while count > 0
            && let Some(mut messages) = self.bulk.pop_front()
        {
            let whole = message_boundary(&messages, count);
            let mut sent = messages.split_to(whole);
            let step = count.min(whole);
            sent.advance(step);
            count -= step;
            bulk += whole;
            self.started = sent;
            if !messages.is_empty() {
                self.bulk.push_front(messages);
            }
        }
        bulk
    }

    /// What has to get out before the connection is closed: UPDATEs no longer matter.
    pub(super) fn last_words(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.started).chain(&self.urgent)
    }
}

/// The first end of a message at or after `at`, or the end of the buffer.
fn message_boundary(messages: &[u8], at: usize) -> usize {
    let mut boundary = 0;
    while boundary < at {
        let Some(len) = messages.get(boundary..).and_then(message_len) else { return messages.len() };
        boundary += len;
    }
    boundary.min(messages.len())
}

/// How many messages there are in a buffer of whole messages.
pub(super) fn count_messages(mut messages: &[u8]) -> u64 {
    let mut count = 0;
    while let Some(rest) = message_len(messages).and_then(|len| messages.get(len..)) {
        count += 1;
        messages = rest;
    }
    count
}

/// The length field; never less than the header, so that a walk always gets on.
fn message_len(message: &[u8]) -> Option<usize> {
    let &[high, low] = message.get(16..)?.first_chunk::<2>()?;
    Some(usize::from(u16::from_be_bytes([high, low])).max(HEADER_LEN))
}

#[cfg(test)]
mod tests;
