//! The whole speaker as one thing to configure: state the desired set, and the differences are carried out.
//!
//! The speaker keeps what was last desired and nothing else; sessions live in their tasks, routes in the
//! RIB. What cannot be done (a port that is taken, a neighbor that does not answer) is retried where it
//! failed and shows in the snapshots; it never stops the rest.

mod plan;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::RibHandle;
use super::listener::{Directory, Entry, Listener, ListenerSnapshot};
use super::peer::{Command, NeighborTask, RefreshDirection};
use crate::PeerId;
use crate::peer::{NeighborConfig, NeighborKey, PeerSnapshot, StopReason};
use crate::rib::{OriginatedRoute, RibConfig, RibEvent};
use plan::{Plan, Slots};

/// Commands that may wait for a neighbor's task. It takes them at once, so only a flood of connections fills
/// this, and the listener then closes what is too much.
const COMMANDS_MAX: usize = 16;
/// How long [`Speaker::shutdown`] waits for last words; beyond every wait in a neighbor's task.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// All there is to say. Two that are equal need no action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Addresses and ports to listen on.
    pub listen: Vec<SocketAddr>,
    /// The neighbors. Of several with one address the first counts.
    pub neighbors: Vec<NeighborConfig>,
    /// These may not be all: others are configured in what cannot be read. Until it is false for the first time
    /// the RIB does not know whom to wait for, and nothing of a former run is swept, here or at a helper.
    pub neighbors_are_partial: bool,
    /// What all neighbors share.
    pub rib: RibConfig,
    /// Our own routes.
    pub originate: Vec<OriginatedRoute>,
}

/// The running speaker. Dropping it ends every session as [`StopReason::Restart`] does; the RIB goes on.
pub struct Speaker {
    rib: RibHandle,
    neighbors: BTreeMap<NeighborKey, Neighbor>,
    slots: Slots,
    listeners: BTreeMap<SocketAddr, Listener>,
    directory: watch::Sender<Directory>,
    /// What the RIB was last told.
    configured: Option<RibConfig>,
    originated: Option<Vec<OriginatedRoute>>,
    neighbors_told: bool,
    /// Random per process, so that a fleet that starts at once does not dial in step.
    seeds: RandomState,
}

#[derive(Debug)]
struct Neighbor {
    id: PeerId,
    config: NeighborConfig,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl Speaker {
    /// A speaker without neighbors. To be called within a tokio runtime, as every method here.
    #[must_use]
    pub fn spawn(rib: RibHandle) -> Self {
        Self {
            rib,
            neighbors: BTreeMap::new(),
            slots: Slots::default(),
            listeners: BTreeMap::new(),
            directory: watch::Sender::new(Directory::default()),
            configured: None,
            originated: None,
            neighbors_told: false,
            seeds: RandomState::new(),
        }
    }

    /// Makes `desired` the case. Neighbors that did not change are not touched, and what is equal to the
    /// last call costs nothing. Returns when every removed neighbor has been told and its sockets are closed.
    pub async fn apply(&mut self, desired: Desired) {
        let Desired { listen, neighbors, neighbors_are_partial, rib, originate } = desired;
        self.apply_routes(rib, originate).await;
        let current = self.neighbors.values().map(|neighbor| &neighbor.config);
        let plan = Plan::between(current, neighbors);
        for duplicate in &plan.duplicates {
            let NeighborConfig { name, address, .. } = duplicate;
            warn!(neighbor = %name, %address, "ignored: another neighbor has this address");
        }
        self.apply_neighbors(plan, neighbors_are_partial).await;
        self.apply_listeners(&listen).await;
    }

    /// Every neighbor as it is, by address.
    pub async fn peers(&self) -> Vec<PeerSnapshot> {
        let mut replies = Vec::with_capacity(self.neighbors.len());
        for neighbor in self.neighbors.values() {
            let (sender, reply) = oneshot::channel();
            if neighbor.commands.send(Command::Snapshot(sender)).await.is_ok() {
                replies.push(reply);
            }
        }
        let mut snapshots = Vec::with_capacity(replies.len());
        for reply in replies {
            snapshots.extend(reply.await);
        }
        snapshots
    }

    /// Asks for routes again, or sends ours again, without touching the session. `None`: nobody has this name.
    /// `false`: there is no session, or the neighbor does not know route refresh (RFC 2918).
    pub async fn refresh(&self, name: &str, direction: RefreshDirection) -> Option<bool> {
        let neighbor = self.neighbors.values().find(|neighbor| neighbor.config.name == name)?;
        let (sender, reply) = oneshot::channel();
        let told = neighbor.commands.send(Command::Refresh(direction, sender)).await;
        Some(told.is_ok() && reply.await.unwrap_or(false))
    }

    /// Every listen address as it is.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerSnapshot> {
        self.listeners.values().map(Listener::snapshot).collect()
    }

    /// Ends every session for `reason` and returns when all sockets are closed.
    pub async fn shutdown(mut self, reason: StopReason) {
        // First, so that nobody comes back in through the front door.
        self.apply_listeners(&[]).await;
        let neighbors = std::mem::take(&mut self.neighbors);
        let ends = stop_all(neighbors.into_values(), &reason).await;
        let joined = async {
            for end in ends {
                end.joined().await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_MAX, joined).await.is_err() {
            warn!("not every session ended in time; their sockets close with the process");
        }
    }

    async fn apply_routes(&mut self, rib: RibConfig, originate: Vec<OriginatedRoute>) {
        if self.configured.as_ref() != Some(&rib) {
            self.rib.send(RibEvent::Configure(rib.clone())).await;
            self.configured = Some(rib);
        }
        if self.originated.as_ref() != Some(&originate) {
            self.rib.send(RibEvent::Originate(originate.clone())).await;
            self.originated = Some(originate);
        }
    }

    /// The RIB knows a neighbor before its session comes up and until after its session is down.
    async fn apply_neighbors(&mut self, plan: Plan, are_partial: bool) {
        let Plan { start, stop, live, reset, duplicates: _ } = plan;
        let removed = stop.iter().filter_map(|address| self.neighbors.remove(address)).collect::<Vec<_>>();
        self.publish_directory();
        let ends = stop_all(removed, &StopReason::Deconfigured).await;

        let started = start.into_iter().map(|config| (self.slots.take(), config)).collect::<Vec<_>>();
        // The first time in any case: the RIB waits until it knows whom to wait for, be it nobody.
        let is_first = !self.neighbors_told && !are_partial;
        self.neighbors_told |= is_first;
        if is_first || (self.neighbors_told && !started.is_empty()) {
            let ids = self.neighbors.values().map(|neighbor| neighbor.id);
            let ids = ids.chain(ends.iter().map(|end| end.id)).chain(started.iter().map(|(id, _)| *id));
            self.rib.send(RibEvent::Neighbors(ids.collect())).await;
        }
        for (id, config) in started {
            self.start(id, config);
        }
        for config in live {
            self.reconfigure(config, false).await;
        }
        for config in reset {
            self.reconfigure(config, true).await;
        }
        self.publish_directory();

        if ends.is_empty() {
            return;
        }
        for end in ends {
            let id = end.id;
            end.joined().await;
            self.slots.give_back(id);
        }
        if self.neighbors_told {
            let ids = self.neighbors.values().map(|neighbor| neighbor.id).collect();
            self.rib.send(RibEvent::Neighbors(ids)).await;
        }
    }

    fn start(&mut self, id: PeerId, config: NeighborConfig) {
        info!(neighbor = %config.name, address = %config.address, peer = %id, "neighbor added");
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let seed = self.seeds.hash_one((config.key(), id));
        let task = NeighborTask::new(id, config.clone(), seed, self.rib.clone(), receiver);
        let task = tokio::spawn(task.run());
        self.neighbors.insert(config.key(), Neighbor { id, config, commands, task });
    }

    async fn reconfigure(&mut self, config: NeighborConfig, reset: bool) {
        let Some(neighbor) = self.neighbors.get_mut(&config.key()) else { return };
        info!(neighbor = %config.name, address = %config.address, reset, "neighbor changed");
        neighbor.config = config.clone();
        let command = Command::Reconfigure { config: Box::new(config), reset };
        if neighbor.commands.send(command).await.is_err() {
            warn!(neighbor = %neighbor.config.name, "its task has ended; remove the neighbor and add it again");
        }
    }

    fn publish_directory(&self) {
        let entries = self.neighbors.iter().map(|(key, neighbor)| {
            let password = neighbor.config.password.clone();
            (*key, Entry { commands: neighbor.commands.clone(), password })
        });
        self.directory.send_replace(Arc::new(entries.collect::<HashMap<_, _>>()));
    }

    async fn apply_listeners(&mut self, listen: &[SocketAddr]) {
        let surplus = self.listeners.keys().copied().filter(|address| !listen.contains(address));
        for address in surplus.collect::<Vec<_>>() {
            if let Some(listener) = self.listeners.remove(&address) {
                listener.stop().await;
                info!(%address, "no longer listening");
            }
        }
        for &address in listen {
            let directory = || self.directory.subscribe();
            self.listeners.entry(address).or_insert_with(|| Listener::spawn(address, directory()));
        }
    }
}

/// A neighbor that has been told to stop.
struct Ending {
    id: PeerId,
    name: String,
    task: JoinHandle<()>,
}

impl Ending {
    async fn joined(self) {
        if let Err(error) = self.task.await {
            warn!(neighbor = %self.name, %error, "the neighbor's task failed");
        }
    }
}

/// Tells all of them before waiting for any.
async fn stop_all(neighbors: impl IntoIterator<Item = Neighbor>, reason: &StopReason) -> Vec<Ending> {
    let mut ends = Vec::new();
    for Neighbor { id, config, commands, task } in neighbors {
        info!(neighbor = %config.name, address = %config.address, %reason, "neighbor stopped");
        // A task that has ended already needs no telling.
        let _ = commands.send(Command::Stop(reason.clone())).await;
        ends.push(Ending { id, name: config.name, task });
    }
    ends
}

#[cfg(test)]
mod tests;
