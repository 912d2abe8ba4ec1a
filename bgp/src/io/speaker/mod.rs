//! The speaker as its user sees it: told what should be the case ([`Desired`]), and asked what is
//! ([`Observer`]). A task of its own does the work, so that no question ever waits for it.
//!
//! What cannot be done (a port that is taken, a neighbor that does not answer) is retried where it failed and
//! shows in the snapshots; it never stops the rest.

mod admission;
mod observer;
mod plan;
mod supervision;
mod task;

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::RibHandle;
use super::listener::ListenerSnapshot;
use crate::peer::{DynamicNeighbors, NeighborConfig, PeerSnapshot, StopReason};
use crate::rib::{OriginatedRoute, RibConfig};
use task::{Request, SpeakerTask};

pub use observer::{DynamicSnapshot, Observer};

/// How long [`Speaker::shutdown`] waits for last words; beyond every wait in a neighbor's task.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// All there is to say. Two that are equal need no action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Addresses and ports to listen on.
    pub listen: Vec<SocketAddr>,
    /// The neighbors. Of several with one address the first counts.
    pub neighbors: Vec<NeighborConfig>,
    /// Who else may connect.
    pub dynamic: Vec<DynamicNeighbors>,
    /// These may not be all: others are configured in what cannot be read. Until it is false for the first time
    /// the RIB does not know whom to wait for, and nothing of a former run is swept, here or at a helper.
    pub neighbors_are_partial: bool,
    /// What all neighbors share.
    pub rib: RibConfig,
    /// Our own routes.
    pub originate: Vec<OriginatedRoute>,
}

/// The running speaker. Dropping it ends every session as [`StopReason::Restart`] does; the RIB goes on.
#[derive(Debug)]
pub struct Speaker {
    requests: mpsc::Sender<Request>,
    observer: Observer,
}

impl Speaker {
    /// A speaker without neighbors. To be called within a tokio runtime, as every method here.
    #[must_use]
    pub fn spawn(rib: RibHandle) -> Self {
        let (requests, queue) = mpsc::channel(1);
        let (task, observer) = SpeakerTask::new(rib, queue);
        tokio::spawn(task.run());
        Self { requests, observer }
    }

    /// Makes `desired` the case. Neighbors that did not change are not touched, and what is equal to the last call
    /// costs nothing. Returns when every neighbor has been told; those that are removed may still be closing their
    /// sockets.
    pub async fn apply(&self, desired: Desired) {
        let (done, applied) = oneshot::channel();
        self.request(Request::Apply(Box::new(desired), done)).await;
        // The task is gone, and has said why.
        let _ = applied.await;
    }

    /// What can be seen of it, for as long as anybody wants to look.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// See [`Observer::peers`].
    pub async fn peers(&self) -> Vec<PeerSnapshot> {
        self.observer.peers().await
    }

    /// See [`Observer::listeners`].
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerSnapshot> {
        self.observer.listeners()
    }

    /// Ends every session for `reason` and returns when all sockets are closed.
    pub async fn shutdown(self, reason: StopReason) {
        let (done, ended) = oneshot::channel();
        self.request(Request::Shutdown(reason, done)).await;
        if tokio::time::timeout(SHUTDOWN_MAX, ended).await.is_err() {
            warn!("not every session ended in time; their sockets close with the process");
        }
    }

    /// Ends the task of a neighbor in the way of a defect.
    #[cfg(test)]
    pub(crate) async fn panic_neighbor(&self, address: std::net::IpAddr) {
        self.request(Request::Panic(address)).await;
    }

    async fn request(&self, request: Request) {
        if self.requests.send(request).await.is_err() {
            tracing::error!("the speaker's task has ended: no neighbor can be changed any more");
        }
    }
}

#[cfg(test)]
mod tests;
