//! The speaker's task: keeps what was last desired and who there is, and nothing else; sessions live in their own
//! tasks, routes in the RIB.
//!
//! It waits for room in the RIB's queue and for nothing else that takes time: a neighbor that is removed is told,
//! and its task is joined whenever it ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinError, JoinSet};
use tracing::{debug, error, info, warn};

use super::Desired;
use super::admission::Admission;
use super::observer::{DynamicSnapshot, Observer, Roster, Seen};
use super::plan::{Plan, Slots};
use super::supervision::Failure;
use crate::PeerId;
use crate::io::RibHandle;
use crate::io::directory::{Arrival, Directory, Entry};
use crate::io::listener::Listener;
use crate::io::peer::{Command, NeighborTask};
use crate::peer::{DynamicNeighbors, NeighborConfig, StopReason};
use crate::rib::{OriginatedRoute, RibConfig, RibEvent};

/// Commands that may wait for a neighbor's task. It takes them at once, so only a flood of connections fills
/// this, and the listener then closes what is too much.
const COMMANDS_MAX: usize = 16;
/// Connections that may wait for this task.
const ARRIVALS_MAX: usize = 1024;

/// What is asked of the task.
pub(super) enum Request {
    /// Make it the case; answer when it is.
    Apply(Box<Desired>, oneshot::Sender<()>),
    /// End every session, answer, and end.
    Shutdown(StopReason, oneshot::Sender<()>),
    /// See [`super::Speaker::panic_neighbor`].
    #[cfg(test)]
    Panic(IpAddr),
}

/// See the module's head.
pub(super) struct SpeakerTask {
    requests: mpsc::Receiver<Request>,
    /// Connections of who is no neighbor yet.
    arrivals: mpsc::Receiver<Arrival>,
    to_arrivals: mpsc::Sender<Arrival>,
    rib: RibHandle,
    neighbors: BTreeMap<IpAddr, Neighbor>,
    templates: Arc<Vec<DynamicNeighbors>>,
    admission: Admission,
    slots: Slots,
    /// The neighbors' tasks, those that have been told to end included.
    tasks: JoinSet<()>,
    running: HashMap<task::Id, Running>,
    listeners: BTreeMap<SocketAddr, Listener>,
    directory: watch::Sender<Arc<Directory>>,
    roster: watch::Sender<Arc<Roster>>,
    task_failures: u64,
    /// What the RIB was last told.
    configured: Option<RibConfig>,
    originated: Option<Vec<OriginatedRoute>>,
    neighbors_told: bool,
    /// Stands for the dynamic neighbors that a former run had and nobody knows: the RIB waits for it as for one that
    /// does not come, and so for as long as it waits at all.
    unknown: Option<PeerId>,
    /// Random per process, so that a fleet that starts at once does not dial in step.
    seeds: RandomState,
}

struct Neighbor {
    id: PeerId,
    config: Arc<NeighborConfig>,
    commands: mpsc::Sender<Command>,
    is_running: bool,
    /// The last one; why it does not run if it does not.
    failure: Option<Failure>,
}

/// Whose task it is.
struct Running {
    id: PeerId,
    address: IpAddr,
    started: Instant,
}

impl SpeakerTask {
    pub(super) fn new(rib: RibHandle, requests: mpsc::Receiver<Request>) -> (Self, Observer) {
        let (to_arrivals, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let (roster, shown) = watch::channel(Arc::default());
        let task = Self {
            requests,
            arrivals,
            to_arrivals,
            rib,
            neighbors: BTreeMap::new(),
            templates: Arc::default(),
            admission: Admission::default(),
            slots: Slots::default(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            listeners: BTreeMap::new(),
            directory: watch::Sender::new(Arc::default()),
            roster,
            task_failures: 0,
            configured: None,
            originated: None,
            neighbors_told: false,
            unknown: None,
            seeds: RandomState::new(),
        };
        (task, Observer::new(shown))
    }

    /// Until it is told to shut down, or nobody is left to tell it anything.
    pub(super) async fn run(mut self) {
        loop {
            let restart = wake_at(self.next_restart());
            // Each is cancel-safe.
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(Request::Apply(desired, done)) => {
                        self.apply(*desired).await;
                        // Whoever asked may have gone.
                        let _ = done.send(());
                    }
                    Some(Request::Shutdown(reason, done)) => {
                        self.shutdown(&reason).await;
                        let _ = done.send(());
                        return;
                    }
                    #[cfg(test)]
                    Some(Request::Panic(address)) => {
                        if let Some(neighbor) = self.neighbors.get(&address) {
                            neighbor.commands.send(Command::Panic).await.ok();
                        }
                    }
                    None => return self.leave(),
                },
                Some(arrival) = self.arrivals.recv() => self.handle_arrivals(arrival).await,
                Some(ended) = self.tasks.join_next_with_id() => self.handle_ended(ended).await,
                () = restart => self.restart_failed(),
            }
        }
    }

    /// The speaker is gone without a word. The neighbors' tasks notice that nobody can reach them any more, and get
    /// their last words out by themselves.
    fn leave(mut self) {
        self.tasks.detach_all();
        self.directory.send_replace(Arc::default());
        self.roster.send_replace(Arc::default());
    }

    async fn shutdown(&mut self, reason: &StopReason) {
        // First, so that nobody comes back in through the front door.
        self.apply_listeners(&[]).await;
        let neighbors = std::mem::take(&mut self.neighbors);
        self.publish();
        stop_all(neighbors.into_values(), reason).await;
        while self.tasks.join_next().await.is_some() {}
    }

    async fn apply(&mut self, desired: Desired) {
        let Desired { listen, mut neighbors, dynamic, neighbors_are_partial, rib, originate } = desired;
        let waits_for_unknown = rib.restarting && !dynamic.is_empty();
        self.unknown = waits_for_unknown.then(|| self.unknown.unwrap_or_else(|| self.slots.take()));
        self.apply_routes(rib, originate).await;
        if *self.templates != dynamic {
            self.templates = Arc::new(dynamic);
        }
        neighbors.extend(self.living(&neighbors));
        let current = self.neighbors.values().map(|neighbor| &*neighbor.config);
        let plan = Plan::between(current, neighbors);
        for duplicate in &plan.duplicates {
            let NeighborConfig { name, address, .. } = duplicate;
            warn!(neighbor = %name, %address, "ignored: another neighbor has this address");
        }
        self.apply_neighbors(plan, neighbors_are_partial).await;
        self.apply_listeners(&listen).await;
        self.publish();
    }

    /// The dynamic neighbors that there are, as their templates have them now.
    fn living(&self, configured: &[NeighborConfig]) -> Vec<NeighborConfig> {
        let configured = configured.iter().map(|config| config.address).collect::<BTreeSet<_>>();
        let living = self.neighbors.values().filter(|neighbor| neighbor.config.dynamic.is_some());
        let addresses = living.map(|neighbor| neighbor.config.address);
        let addresses = addresses.filter(|address| !configured.contains(address));
        let template = |address| DynamicNeighbors::of(&self.templates, address);
        addresses.filter_map(|address| Some(template(address)?.neighbor(address))).collect()
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
        // Before they are told: nobody comes back in meanwhile.
        self.publish();
        for id in removed.iter().filter(|neighbor| !neighbor.is_running).map(|neighbor| neighbor.id) {
            self.slots.give_back(id);
        }
        stop_all(removed, &StopReason::Deconfigured).await;

        let started = start.into_iter().map(|config| (self.slots.take(), config)).collect::<Vec<_>>();
        // The first time in any case: the RIB waits until it knows whom to wait for, be it nobody.
        let is_first = !self.neighbors_told && !are_partial;
        self.neighbors_told |= is_first;
        if is_first || !started.is_empty() || !stop.is_empty() {
            self.tell_neighbors(started.iter().map(|(id, _)| *id)).await;
        }
        for (id, config) in started {
            info!(neighbor = %config.name, address = %config.address, peer = %id, "neighbor added");
            self.start(id, Arc::new(config), None);
        }
        for config in live {
            self.reconfigure(config, false).await;
        }
        for config in reset {
            self.reconfigure(config, true).await;
        }
    }

    /// Everybody who may still have something to say, and `others`.
    async fn tell_neighbors(&self, others: impl IntoIterator<Item = PeerId>) {
        if !self.neighbors_told {
            return;
        }
        let neighbors = self.neighbors.values().map(|neighbor| neighbor.id);
        let running = self.running.values().map(|running| running.id);
        let all = neighbors.chain(running).chain(self.unknown).chain(others).collect::<BTreeSet<_>>();
        self.rib.send(RibEvent::Neighbors(all.into_iter().collect())).await;
    }

    fn start(&mut self, id: PeerId, config: Arc<NeighborConfig>, failure: Option<Failure>) {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let address = config.address;
        let seed = self.seeds.hash_one((address, id));
        let task = NeighborTask::new(id, NeighborConfig::clone(&config), seed, self.rib.clone(), receiver);
        let task = self.tasks.spawn(task.run());
        self.running.insert(task.id(), Running { id, address, started: Instant::now() });
        self.neighbors.insert(address, Neighbor { id, config, commands, is_running: true, failure });
    }

    async fn reconfigure(&mut self, config: NeighborConfig, reset: bool) {
        let Some(neighbor) = self.neighbors.get_mut(&config.address) else { return };
        info!(neighbor = %config.name, address = %config.address, reset, "neighbor changed");
        neighbor.config = Arc::new(config.clone());
        let command = Command::Reconfigure { config: Box::new(config), reset };
        if neighbor.commands.send(command).await.is_err() {
            debug!(neighbor = %neighbor.config.name, "its task does not run: it will begin with this");
        }
    }

    /// Connections from addresses that are no neighbor's, all that wait.
    async fn handle_arrivals(&mut self, first: Arrival) {
        let mut arrived = Some(first);
        let mut is_changed = false;
        while let Some(arrival) = arrived {
            is_changed |= self.admit(arrival);
            arrived = self.arrivals.try_recv().ok();
        }
        if is_changed {
            self.tell_neighbors([]).await;
        }
        self.publish();
    }

    /// True: there is a neighbor more.
    fn admit(&mut self, Arrival { stream, remote }: Arrival) -> bool {
        let address = remote.ip().to_canonical();
        let mut command = Command::Accepted(stream);
        if let Some(neighbor) = self.neighbors.get(&address) {
            match neighbor.commands.try_send(command) {
                // It has just come to its end, and what comes now is the next one.
                Err(mpsc::error::TrySendError::Closed(back)) if neighbor.config.dynamic.is_some() => {
                    command = back;
                    self.neighbors.remove(&address);
                }
                Ok(()) | Err(_) => return false,
            }
        }
        let Command::Accepted(stream) = command else { return false };
        let templates = Arc::clone(&self.templates);
        // Removed since the listener looked.
        let Some(group) = DynamicNeighbors::of(&templates, address) else { return false };
        if let Some(text) = &group.template.shutdown {
            self.admission.refuse_shutdown(stream, text);
            return false;
        }
        if self.count(&group.name) >= group.maximum {
            self.admission.refuse_full(stream, &group.name, group.maximum, Instant::now());
            return false;
        }
        let config = Arc::new(group.neighbor(address));
        let id = self.slots.take();
        info!(neighbor = %config.name, %address, peer = %id, "dynamic neighbor added");
        self.start(id, config, None);
        if let Some(neighbor) = self.neighbors.get(&address) {
            // Its queue is new: there is room.
            let _ = neighbor.commands.try_send(Command::Accepted(stream));
        }
        true
    }

    /// How many neighbors there are of a template.
    fn count(&self, template: &str) -> u32 {
        let dynamic = self.neighbors.values().filter_map(|neighbor| neighbor.config.dynamic.as_ref());
        u32::try_from(dynamic.filter(|dynamic| dynamic.template == template).count()).unwrap_or(u32::MAX)
    }

    /// A neighbor's task ended, and whichever others have.
    async fn handle_ended(&mut self, first: Result<(task::Id, ()), JoinError>) {
        let mut gone = Vec::new();
        let mut ended = Some(first);
        while let Some(end) = ended {
            gone.extend(self.note_end(end).await);
            ended = self.tasks.try_join_next_with_id();
        }
        self.publish();
        if !gone.is_empty() {
            self.tell_neighbors([]).await;
        }
        // Only now: the RIB has heard that the old owners are gone before it hears of new ones.
        gone.into_iter().for_each(|id| self.slots.give_back(id));
    }

    /// The identity that nobody has any more.
    async fn note_end(&mut self, end: Result<(task::Id, ()), JoinError>) -> Option<PeerId> {
        let (task, failure) = match end {
            Ok((task, ())) => (task, None),
            Err(failure) => (failure.id(), Some(failure)),
        };
        let Running { id, address, started } = self.running.remove(&task)?;
        let neighbor = self.neighbors.get_mut(&address).filter(|neighbor| neighbor.id == id);
        let Some(neighbor) = neighbor else {
            if let Some(failure) = failure {
                error!(%address, %failure, "the task of a neighbor that was to end failed");
                self.task_failures += 1;
            }
            return Some(id);
        };
        let name = &neighbor.config.name;
        let Some(failure) = failure else {
            info!(neighbor = %name, %address, peer = %id, "dynamic neighbor is gone");
            self.neighbors.remove(&address);
            return Some(id);
        };
        self.task_failures += 1;
        let failure = Failure::new(failure, neighbor.failure.as_ref(), started, Instant::now());
        error!(neighbor = %name, %address, reason = failure.reason, "report this, please: the session is lost");
        // Its sockets are closed, as the neighbor has noticed.
        self.rib.send(RibEvent::PeerDown { peer: id, retain: None }).await;
        if neighbor.config.dynamic.is_some() {
            self.neighbors.remove(&address);
            return Some(id);
        }
        neighbor.is_running = false;
        neighbor.failure = Some(failure);
        None
    }

    fn next_restart(&self) -> Option<Instant> {
        let resting = self.neighbors.values().filter(|neighbor| !neighbor.is_running);
        resting.filter_map(|neighbor| Some(neighbor.failure.as_ref()?.restart_at)).min()
    }

    /// Starts the tasks again whose time has come. The identity stays: it is the same neighbor.
    fn restart_failed(&mut self) {
        let now = Instant::now();
        let is_due = |neighbor: &&Neighbor| {
            !neighbor.is_running && neighbor.failure.as_ref().is_some_and(|failure| failure.restart_at <= now)
        };
        let due = self.neighbors.values().filter(is_due);
        let due = due.map(|neighbor| (neighbor.id, Arc::clone(&neighbor.config), neighbor.failure.clone()));
        for (id, config, failure) in due.collect::<Vec<_>>() {
            info!(neighbor = %config.name, address = %config.address, "its task is started again");
            self.start(id, config, failure);
        }
        self.publish();
    }

    /// To the listeners who may connect, to the observers who there is.
    fn publish(&self) {
        let entries = self.neighbors.iter().map(|(address, neighbor)| {
            let (commands, config) = (neighbor.commands.clone(), Arc::clone(&neighbor.config));
            (*address, Entry { commands, config })
        });
        let directory = Directory { neighbors: entries.collect(), templates: Arc::clone(&self.templates) };
        self.directory.send_replace(Arc::new(directory));
        let neighbors = self.neighbors.values().map(|neighbor| Seen {
            id: neighbor.id,
            config: Arc::clone(&neighbor.config),
            commands: neighbor.commands.clone(),
            failure: neighbor.failure.clone().filter(|_| !neighbor.is_running),
        });
        let dynamic = self.templates.iter().map(|group| DynamicSnapshot {
            name: group.name.clone(),
            prefixes: group.prefixes.clone(),
            maximum: group.maximum,
            current: self.count(&group.name),
            refused: self.admission.refused(&group.name),
        });
        self.roster.send_replace(Arc::new(Roster {
            neighbors: neighbors.collect(),
            listeners: self.listeners.values().map(Listener::watch).collect(),
            dynamic: dynamic.collect(),
            task_failures: self.task_failures,
        }));
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
            self.listeners.entry(address).or_insert_with(|| {
                Listener::spawn(address, self.directory.subscribe(), self.to_arrivals.clone())
            });
        }
    }
}

async fn wake_at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

/// Tells all of them.
async fn stop_all(neighbors: impl IntoIterator<Item = Neighbor>, reason: &StopReason) {
    for Neighbor { config, commands, .. } in neighbors {
        info!(neighbor = %config.name, address = %config.address, %reason, "neighbor stopped");
        // A task that has ended already needs no telling.
        let _ = commands.send(Command::Stop(reason.clone())).await;
    }
}
