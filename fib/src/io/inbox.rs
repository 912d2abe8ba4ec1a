//! The way in from other threads: one slot per thing that can be said, so it never grows beyond the tables
//! themselves and nobody ever waits.

use std::{
    collections::{BTreeMap, btree_map},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ipnet::IpNet;
use tokio::sync::Notify;

use crate::{FibConfig, FibEvent, LearnedRoute, NextHopKey};

/// Shared between the handles and the FIB's thread.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    slots: Mutex<Slots>,
    pub(super) changed: Notify,
}

/// The latest word on each thing. Bound: one slot per prefix, per next hop, and per setting.
#[derive(Debug, Default)]
struct Slots {
    config: Option<FibConfig>,
    learned: BTreeMap<IpNet, Option<LearnedRoute>>,
    own_blocks: Option<Vec<IpNet>>,
    peer_gateways: Option<Vec<(IpAddr, IpAddr)>>,
    withheld: Option<Vec<IpNet>>,
    /// True to track, false to stop.
    tracked: BTreeMap<NextHopKey, bool>,
    learned_in_sync: bool,
    closed: bool,
}

/// What was in the inbox, in the order in which it must be told: the routes before the word that they are
/// complete.
#[derive(Debug, Default)]
pub(super) struct Work {
    config: Option<FibConfig>,
    withheld: Option<Vec<IpNet>>,
    learned: btree_map::IntoIter<IpNet, Option<LearnedRoute>>,
    rest: std::vec::IntoIter<FibEvent>,
    pub(super) closed: bool,
}

impl Inbox {
    pub(super) fn learned(&self, routes: Vec<(IpNet, Option<LearnedRoute>)>) {
        self.slots().learned.extend(routes);
        self.changed.notify_one();
    }

    pub(super) fn put(&self, event: FibEvent) {
        let mut slots = self.slots();
        match event {
            FibEvent::Configure(config) => slots.config = Some(config),
            FibEvent::Learned { prefix, route } => {
                slots.learned.insert(prefix, route);
            }
            FibEvent::OwnBlocks(blocks) => slots.own_blocks = Some(blocks),
            FibEvent::PeerGateways(gateways) => slots.peer_gateways = Some(gateways),
            FibEvent::Withheld(ranges) => slots.withheld = Some(ranges),
            FibEvent::LearnedInSync => slots.learned_in_sync = true,
            FibEvent::TrackNextHop(next_hop) => {
                slots.tracked.insert(next_hop, true);
            }
            FibEvent::UntrackNextHop(next_hop) => {
                slots.tracked.insert(next_hop, false);
            }
            FibEvent::Link(_)
            | FibEvent::LinkGone(_)
            | FibEvent::Actual(_)
            | FibEvent::ActualReplaced(_)
            | FibEvent::ActualGone(_)
            | FibEvent::NextHopObject(_)
            | FibEvent::ScanStarted
            | FibEvent::ScanDone
            | FibEvent::ScanFailed(_)
            | FibEvent::Overrun
            | FibEvent::Applied { .. }
            | FibEvent::Deadline => {
                tracing::error!(?event, "only the kernel and the clock say that");
                return;
            }
        }
        drop(slots);
        self.changed.notify_one();
    }

    pub(super) fn close(&self) {
        self.slots().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn take(&self) -> Work {
        let slots = std::mem::take(&mut *self.slots());
        let mut rest = Vec::new();
        rest.extend(slots.own_blocks.map(FibEvent::OwnBlocks));
        rest.extend(slots.peer_gateways.map(FibEvent::PeerGateways));
        rest.extend(slots.tracked.into_iter().map(|(next_hop, track)| {
            if track { FibEvent::TrackNextHop(next_hop) } else { FibEvent::UntrackNextHop(next_hop) }
        }));
        rest.extend(slots.learned_in_sync.then_some(FibEvent::LearnedInSync));
        Work {
            config: slots.config,
            withheld: slots.withheld,
            learned: slots.learned.into_iter(),
            rest: rest.into_iter(),
            closed: slots.closed,
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        // Nothing can panic while it is held.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Iterator for Work {
    type Item = FibEvent;

    fn next(&mut self) -> Option<FibEvent> {
        self.config
            .take()
            .map(FibEvent::Configure)
            .or_else(|| self.withheld.take().map(FibEvent::Withheld))
            .or_else(|| self.learned.next().map(|(prefix, route)| FibEvent::Learned { prefix, route }))
            .or_else(|| self.rest.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let exact = usize::from(self.config.is_some())
            + usize::from(self.withheld.is_some())
            + self.learned.len()
            + self.rest.len();
        (exact, Some(exact))
    }
}

impl ExactSizeIterator for Work {}
