//! What can be seen of the speaker, without asking it: it publishes who there is, and each neighbor's task answers
//! for itself. So nothing that the speaker waits for makes whoever looks at it wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::supervision::Failure;
use crate::PeerId;
use crate::io::ListenerSnapshot;
use crate::io::peer::Command;
use crate::peer::{NeighborConfig, Peer, PeerSnapshot};

/// A neighbor's task answers between two of its turns. One that does not in this time has a defect, and shall not
/// take everybody's view with it.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// A template of dynamic neighbors and what has come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicSnapshot {
    /// Its name.
    pub name: String,
    /// Where its neighbors may connect from.
    pub prefixes: Vec<IpNet>,
    /// Most at a time.
    pub maximum: u32,
    /// How many there are.
    pub current: u32,
    /// Connections refused because there were as many as there may be.
    pub refused: u64,
}

/// The read side of a [`super::Speaker`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Observer {
    roster: watch::Receiver<Arc<Roster>>,
}

/// Who there is.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// By address.
    pub(super) neighbors: Vec<Seen>,
    pub(super) listeners: Vec<watch::Receiver<ListenerSnapshot>>,
    pub(super) dynamic: Vec<DynamicSnapshot>,
    /// How often the task of a neighbor has failed.
    pub(super) task_failures: u64,
}

/// One neighbor.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: PeerId,
    pub(super) config: Arc<NeighborConfig>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) failure: Option<Failure>,
}

impl Observer {
    pub(super) fn new(roster: watch::Receiver<Arc<Roster>>) -> Self {
        Self { roster }
    }

    /// Every neighbor as it is, by address.
    pub async fn peers(&self) -> Vec<PeerSnapshot> {
        let roster = self.roster();
        let deadline = tokio::time::Instant::now() + ANSWER_MAX;
        let mut asked = Vec::with_capacity(roster.neighbors.len());
        for seen in &roster.neighbors {
            let (sender, reply) = oneshot::channel();
            let question = seen.commands.send(Command::Snapshot(sender));
            // Failed, or in vain: then the reply's sender is gone, and waiting for it ends at once.
            let _ = tokio::time::timeout_at(deadline, question).await;
            asked.push((seen, reply));
        }
        let mut snapshots = Vec::with_capacity(asked.len());
        for (seen, reply) in asked {
            let answer = tokio::time::timeout_at(deadline, reply).await.ok().and_then(Result::ok);
            snapshots.push(answer.unwrap_or_else(|| seen.without_answer()));
        }
        snapshots
    }

    /// Every listen address as it is.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerSnapshot> {
        self.roster().listeners.iter().map(|listener| listener.borrow().clone()).collect()
    }

    /// Every template of dynamic neighbors as it is.
    #[must_use]
    pub fn dynamic(&self) -> Vec<DynamicSnapshot> {
        self.roster().dynamic.clone()
    }

    /// How often the task of a neighbor has failed since the speaker began: each is a defect of ours.
    #[must_use]
    pub fn task_failures(&self) -> u64 {
        self.roster().task_failures
    }

    fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.borrow())
    }
}

impl Seen {
    /// A neighbor whose task does not run, or did not answer: at rest, with what is known.
    fn without_answer(&self) -> PeerSnapshot {
        let now = Instant::now();
        let mut snapshot = Peer::new(NeighborConfig::clone(&self.config), 0).snapshot(now);
        snapshot.id = Some(self.id);
        snapshot.last_error = match &self.failure {
            Some(failure) => Some(failure.reason.clone()),
            None => Some("busy: its task did not answer".to_owned()),
        };
        if let Some(failure) = &self.failure {
            snapshot.last_error_secs = Some(now.saturating_duration_since(failure.at).as_secs());
            snapshot.next_attempt_secs = Some(failure.restart_at.saturating_duration_since(now).as_secs());
        }
        snapshot
    }
}
