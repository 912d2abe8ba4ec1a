//! One listen address: accepts, and hands each connection to the neighbor it comes from, or to the speaker where
//! only a template covers its address. What comes from anybody else is closed and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use super::directory::{Arrival, Directory};
use super::peer::Command;
use super::sockopt;
use crate::peer::{AoKey, Password};

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
    /// Connections closed because their SYN had come over more hops than `ttlSecurity` allows (RFC 5082).
    pub too_far: u64,
}

/// The task of one listen address. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    snapshot: watch::Receiver<ListenerSnapshot>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Connections that only a template covers go to `arrivals`.
    pub(super) fn spawn(
        address: SocketAddr,
        directory: watch::Receiver<Arc<Directory>>,
        arrivals: mpsc::Sender<Arrival>,
    ) -> Self {
        let initial = ListenerSnapshot {
            address,
            bound: None,
            error: None,
            accepted: 0,
            unknown: 0,
            overflowed: 0,
            too_far: 0,
        };
        let (sender, snapshot) = watch::channel(initial);
        let acceptor = Acceptor {
            address,
            directory,
            arrivals,
            snapshot: sender,
            passwords: BTreeMap::new(),
            ao_keys: BTreeMap::new(),
            unlogged: 0,
            logged_at: None,
        };
        Self { snapshot, task: tokio::spawn(acceptor.run()) }
    }

    /// What it is, at any time.
    pub(super) fn watch(&self) -> watch::Receiver<ListenerSnapshot> {
        self.snapshot.clone()
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
    directory: watch::Receiver<Arc<Directory>>,
    arrivals: mpsc::Sender<Arrival>,
    snapshot: watch::Sender<ListenerSnapshot>,
    /// The keys that the socket has.
    passwords: BTreeMap<IpNet, Password>,
    ao_keys: BTreeMap<IpNet, Vec<AoKey>>,
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
        self.apply_passwords(listener);
        loop {
            // Both are cancel-safe. The keys first: nobody is to be let in by those of yesterday.
            let accepted = tokio::select! {
                biased;
                changed = self.directory.changed() => match changed {
                    Ok(()) => {
                        self.apply_passwords(listener);
                        continue;
                    }
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
        let wanted = self.directory.borrow_and_update().passwords(self.address.is_ipv4());
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
        let failure = self.apply_ao_keys(listener).or(failure);
        self.report_passwords(failure);
    }

    /// The same for TCP-AO. A neighbor whose keys cannot be set is let in by the listener and not by its own task,
    /// which asks for them again.
    fn apply_ao_keys(&mut self, listener: &TcpListener) -> Option<(IpNet, io::Error)> {
        let wanted = self.directory.borrow().ao_keys(self.address.is_ipv4());
        let mut failure = None;
        let all = self.ao_keys.keys().chain(wanted.keys()).copied().collect::<BTreeSet<_>>();
        for remote in all {
            let keys = |of: &BTreeMap<IpNet, Vec<AoKey>>| of.get(&remote).cloned().unwrap_or_default();
            let (old, new) = (keys(&self.ao_keys), keys(&wanted));
            if old == new {
                continue;
            }
            match sockopt::change_listener_ao_keys(listener, remote, (&old, &new)) {
                Ok(()) if new.is_empty() => drop(self.ao_keys.remove(&remote)),
                Ok(()) => drop(self.ao_keys.insert(remote, new)),
                Err(error) => failure = Some((remote, error)),
            }
        }
        failure
    }

    /// A neighbor whose key is not there cannot reach us; our own dials do not depend on it.
    fn report_passwords(&self, failure: Option<(IpNet, io::Error)>) {
        let text = failure.map(|(remote, error)| match error.raw_os_error() {
            // Every key takes from the socket's option memory.
            Some(libc::ENOMEM) => format!("no room for the password of {remote}: raise net.core.optmem_max"),
            Some(_) | None => format!("the key of {remote} cannot be set: {error}"),
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
        let address = remote.ip().to_canonical();
        let directory = self.directory.borrow().clone();
        let Some(config) = directory.config_for(address) else {
            self.snapshot.send_modify(|snapshot| snapshot.unknown += 1);
            self.log_unknown(remote);
            return;
        };
        // The kernel checks only what comes after the neighbor's own options are set; the SYN it has kept for us.
        let is_far = |hops| sockopt::syn_ttl(&stream).is_some_and(|ttl| ttl < sockopt::min_ttl(hops));
        if config.ttl_security_hops.is_some_and(is_far) {
            debug!(%remote, "connection closed: it came over more hops than ttlSecurity allows");
            self.snapshot.send_modify(|snapshot| snapshot.too_far += 1);
            return;
        }
        let handed = match directory.neighbors.get(&address) {
            Some(neighbor) => match neighbor.commands.try_send(Command::Accepted(stream)) {
                // A task that has just ended: the speaker knows what comes after it.
                Err(TrySendError::Closed(Command::Accepted(stream))) => {
                    self.arrivals.try_send(Arrival { stream, remote }).map_err(drop_value)
                }
                result => result.map_err(drop_value),
            },
            None => self.arrivals.try_send(Arrival { stream, remote }).map_err(drop_value),
        };
        match handed {
            Ok(()) => self.snapshot.send_modify(|snapshot| snapshot.accepted += 1),
            // Neither is ever busy for long: more than its queue holds is a flood.
            Err(reason) => {
                debug!(%remote, reason, "connection closed");
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

/// Closes the connection that could not be handed on.
fn drop_value<T>(error: TrySendError<T>) -> &'static str {
    match error {
        TrySendError::Full(_) => "too many wait already",
        TrySendError::Closed(_) => "nobody takes it any more",
    }
}
