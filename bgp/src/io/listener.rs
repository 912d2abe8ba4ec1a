//! One listen address: accepts, and hands each connection to the neighbor it comes from. What comes from
//! anybody else is closed and counted.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use super::peer::Command;
use super::shared_link::name_of;
use super::sockopt;
use crate::peer::{NeighborKey, Password};

/// Who may connect, by address. Replaced as a whole when the configuration changes.
pub(super) type Directory = Arc<HashMap<NeighborKey, Entry>>;

/// Somebody who may connect.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// To the neighbor's task.
    pub(super) commands: mpsc::Sender<Command>,
    /// With this key (RFC 2385).
    pub(super) password: Option<Password>,
}

/// First and longest wait before an address that could not be listened on is tried again.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Wait after a failed accept, which is most likely a lack of descriptors or memory.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);
/// Connections from unknown addresses are logged at most so often; a port scan must not fill the log.
const UNKNOWN_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// A listen address as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerSnapshot {
    /// As configured.
    pub address: SocketAddr,
    /// As bound, with the port that was chosen if 0 is configured; `None` while it is not.
    pub bound: Option<SocketAddr>,
    /// Why it is not bound, or which neighbor's password it cannot take.
    pub error: Option<String>,
    /// Connections handed to a neighbor.
    pub accepted: u64,
    /// Connections closed because no neighbor has their address.
    pub unknown: u64,
    /// Connections closed because their neighbor had too many waiting.
    pub overflowed: u64,
}

/// The task of one listen address. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    snapshot: watch::Receiver<ListenerSnapshot>,
    task: JoinHandle<()>,
}

impl Listener {
    pub(super) fn spawn(address: SocketAddr, directory: watch::Receiver<Directory>) -> Self {
        let initial =
            ListenerSnapshot { address, bound: None, error: None, accepted: 0, unknown: 0, overflowed: 0 };
        let (sender, snapshot) = watch::channel(initial);
        let acceptor = Acceptor {
            address,
            directory,
            snapshot: sender,
            passwords: BTreeMap::new(),
            unlogged: 0,
            logged_at: None,
        };
        Self { snapshot, task: tokio::spawn(acceptor.run()) }
    }

    pub(super) fn snapshot(&self) -> ListenerSnapshot {
        self.snapshot.borrow().clone()
    }

    /// Stops listening; returns once the port is free.
    pub(super) async fn stop(mut self) {
        self.task.abort();
        // An aborted task ends with an error; there is nothing else to learn.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Acceptor {
    address: SocketAddr,
    directory: watch::Receiver<Directory>,
    snapshot: watch::Sender<ListenerSnapshot>,
    /// The keys that the socket has.
    passwords: BTreeMap<IpAddr, Password>,
    /// Unknown connections since the last one that was logged.
    unlogged: u64,
    logged_at: Option<Instant>,
}

impl Acceptor {
    /// Holds no lock and no half-done work across an await, so it may be aborted anywhere.
    async fn run(mut self) {
        let mut backoff = RETRY_MIN;
        let listener = loop {
            match sockopt::listen(self.address) {
                Ok(listener) => break listener,
                Err(error) => self.report_unbound(&error, backoff),
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(RETRY_MAX);
        };
        self.snapshot.send_modify(|snapshot| {
            snapshot.error = None;
            snapshot.bound = listener.local_addr().ok();
        });
        info!(address = %self.address, "listening");
        self.accept_all(&listener).await;
    }

    fn report_unbound(&self, error: &io::Error, retry: Duration) {
        let text = error.to_string();
        let known = self.snapshot.borrow().error.as_deref() == Some(text.as_str());
        if known {
            debug!(address = %self.address, %error, ?retry, "still cannot listen");
        } else {
            warn!(address = %self.address, %error, ?retry, "cannot listen: neighbors cannot reach us there");
        }
        self.snapshot.send_modify(|snapshot| snapshot.error = Some(text));
    }

    /// Ends when the speaker is gone, which aborts it anyway.
    async fn accept_all(&mut self, listener: &TcpListener) {
        loop {
            self.apply_passwords(listener);
            // Both are cancel-safe.
            let accepted = tokio::select! {
                changed = self.directory.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => self.dispatch(stream, remote),
                Err(error) => {
                    warn!(address = %self.address, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// The listening socket must have a neighbor's key before its SYN comes: unsigned or wrongly signed ones are
    /// then dropped by the kernel.
    fn apply_passwords(&mut self, listener: &TcpListener) {
        let directory = self.directory.borrow_and_update().clone();
        let is_v4 = self.address.is_ipv4();
        // Linux knows a key by its address alone: one that stands on two links has the same key on both.
        let wanted = directory.iter().filter(|((remote, _), _)| remote.is_ipv4() == is_v4);
        let wanted = wanted.filter_map(|((remote, _), entry)| Some((*remote, entry.password.clone()?)));
        let wanted = wanted.collect::<BTreeMap<_, _>>();
        let surplus = self.passwords.keys().filter(|remote| !wanted.contains_key(*remote));
        let mut failure = None;
        for remote in surplus.copied().collect::<Vec<_>>() {
            match sockopt::change_listener_password(listener, remote, None) {
                Ok(()) => drop(self.passwords.remove(&remote)),
                Err(error) => failure = Some((remote, error)),
            }
        }
        for (remote, password) in wanted {
            if self.passwords.get(&remote) == Some(&password) {
                continue;
            }
            match sockopt::change_listener_password(listener, remote, Some(&password)) {
                Ok(()) => drop(self.passwords.insert(remote, password)),
                Err(error) => failure = Some((remote, error)),
            }
        }
        self.report_passwords(failure);
    }

    /// A neighbor whose key is not there cannot reach us; our own dials do not depend on it.
    fn report_passwords(&self, failure: Option<(IpAddr, io::Error)>) {
        let text = failure.map(|(remote, error)| match error.raw_os_error() {
            // Every key takes from the socket's option memory.
            Some(libc::ENOMEM) => format!("no room for the password of {remote}: raise net.core.optmem_max"),
            Some(_) | None => format!("the password of {remote} cannot be set: {error}"),
        });
        if self.snapshot.borrow().error == text {
            return;
        }
        if let Some(text) = &text {
            warn!(address = %self.address, "{text}");
        }
        self.snapshot.send_modify(|snapshot| snapshot.error = text);
    }

    fn dispatch(&mut self, stream: TcpStream, remote: SocketAddr) {
        let neighbor = self.directory.borrow().get(&key_of(remote)).cloned();
        let Some(neighbor) = neighbor else {
            self.snapshot.send_modify(|snapshot| snapshot.unknown += 1);
            self.log_unknown(remote);
            return;
        };
        match neighbor.commands.try_send(Command::Accepted(stream)) {
            Ok(()) => self.snapshot.send_modify(|snapshot| snapshot.accepted += 1),
            // The neighbor's task is never busy for long: more than its queue holds is a flood.
            Err(_) => {
                debug!(%remote, "connection closed: too many wait already");
                self.snapshot.send_modify(|snapshot| snapshot.overflowed += 1);
            }
        }
    }

    fn log_unknown(&mut self, remote: SocketAddr) {
        debug!(%remote, "connection closed: no such neighbor");
        let now = Instant::now();
        let quiet = self.logged_at.is_some_and(|at| now.duration_since(at) < UNKNOWN_LOG_INTERVAL);
        if quiet {
            self.unlogged += 1;
            return;
        }
        info!(%remote, others = self.unlogged, "connection from an address that is no neighbor's: closed");
        self.logged_at = Some(now);
        self.unlogged = 0;
    }
}

/// Who it is that connects from there.
fn key_of(remote: SocketAddr) -> NeighborKey {
    let interface = match remote {
        SocketAddr::V6(remote) if remote.ip().is_unicast_link_local() => name_of(remote.scope_id()),
        SocketAddr::V4(_) | SocketAddr::V6(_) => None,
    };
    (remote.ip().to_canonical(), interface)
}
