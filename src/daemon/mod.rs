//! The node agent: starts the shells of the cores, feeds them what the manifests ask for, and ends without
//! disturbing the kernel or the peers.
//!
//! ```text
//!  ManifestDirectory ─watch─► main loop ─ translate ─► Speaker::apply, FibHandle::send
//!  rib thread ─ effects.rs (RibSink) ─► FibHandle::learned          (coalesced by prefix, never blocks)
//!  fib thread ─ effects.rs (FibSink) ─► queue ─► RibHandle::send    (one task, in order)
//!  control socket, metrics ─► agent.rs ─ snapshots of the cores ─► node/snapshot.rs ─► documents
//! ```

mod agent;
mod control;
mod effects;
mod metrics;
pub mod protocol;
mod sole_writer;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context;
use bgp::io::{RibHandle, Speaker};
use bgp::peer::StopReason;
use config::Severity;
use config::catalog::Resources;
use config::io::ManifestDirectory;
use config::settings::Settings;
use fib::FibEvent;
use fib::io::{FibHandle, FibOptions};
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::dispatch::{DaemonOptions, LogFormat};
use crate::node::NodeState;
use crate::node::translate::FibSettings;
use agent::Agent;
use control::ControlSocket;
use effects::{NextHopReports, ToFib};
use sole_writer::SoleWriter;

/// INFO, without netlink-proto's word at ERROR, with a hex dump, on every message of a kernel newer than itself;
/// fib notices on its own what that costs it.
const DEFAULT_FILTER: &str = "info,netlink_proto=off";
/// How long the first reading of the kernel's routes may take before the daemon goes on without it.
const FIRST_SCAN_MAX: Duration = Duration::from_secs(30);

/// Runs until SIGTERM or SIGINT. Exit code 0 then; 1 when it cannot start or go on.
#[must_use]
pub fn main(options: &DaemonOptions) -> ExitCode {
    let settings = match settings_or_exit(options.config.as_deref()) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    start_logging(options.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("cannot run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Reads manx.toml and the environment, or says what is wrong with them.
///
/// # Errors
/// The exit code 1, after the problems were written to stderr.
pub fn settings_or_exit(path: Option<&Path>) -> Result<Settings, ExitCode> {
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // Variables that are not Unicode are none of ours.
    let environment = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    let problems = match Settings::load(path, environment, host_name.trim()) {
        Ok(settings) => return Ok(settings),
        Err(problems) => problems,
    };
    let mut stderr = std::io::stderr();
    for problem in problems {
        // `{:#}` draws the line and a caret. Nobody is left to tell when stderr is gone.
        let _ = writeln!(stderr, "{problem:#}");
    }
    Err(ExitCode::FAILURE)
}

fn start_logging(format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    // A log that cannot be written (a full disk, a journald that restarts) must not end the daemon, and saying so
    // on the same stderr would.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => builder.json().init(),
    }
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    // Before anything else: a second daemon must not get as far as the kernel or the peers. Held until the end.
    let _sole_writer = settings.fib_enabled.then(SoleWriter::claim).transpose()?;
    let socket = ControlSocket::bind(&settings.socket)
        .await
        .with_context(|| format!("the control socket {}", settings.socket.display()))?;
    let signals = Signals::new()?;
    tracing::info!(node = settings.node_name, version = crate::VERSION, "starting");
    if settings.ipam_enabled || settings.felix_enabled {
        tracing::info!(
            "[ipam] and [felix] have no effect: this version gives out no addresses, enforces no policy"
        );
    }

    let (node, agent) = start(&settings).await?;
    let agent = Arc::new(agent);
    let mut servers = JoinSet::new();
    servers.spawn(socket.serve(Arc::clone(&agent)));
    if let Some(address) = settings.metrics {
        // Routing does not wait for an address that only those who watch it need.
        match TcpListener::bind(address).await {
            Ok(listener) => {
                servers.spawn(metrics::serve(listener, Arc::clone(&agent)));
            }
            Err(error) => {
                tracing::error!(%address, %error, "no metrics: free the address or set another, then restart");
            }
        }
    }
    tokio::select! {
        () = node.follow(settings.manifests.as_deref(), signals) => {}
        // A defect. Without one of the two we would hold sessions and forward by yesterday's routes; a new
        // process takes over from the kernel and the peers.
        () = agent.rib.ended() => anyhow::bail!("the RIB's thread has ended"),
        () = agent.fib.ended() => anyhow::bail!("the FIB's thread has ended"),
    }

    tracing::info!("stopping: kernel routes stay, peers are left to keep ours");
    // Nobody is left to tell when systemd does not listen.
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    if let Some(speaker) = node.speaker {
        speaker.shutdown(StopReason::Restart).await;
    }
    Ok(())
}

/// Starts the shells of the cores and connects them.
async fn start(settings: &Settings) -> anyhow::Result<(Node, Agent)> {
    let reports = Arc::new(NextHopReports::default());
    let options = FibOptions {
        config: FibSettings::default().config(settings.fib_enabled),
        seed: u64::from(std::process::id()),
        before_open: None,
    };
    // The thread ends with the process; its handle is of no use.
    let (fib, _) = FibHandle::spawn(options, reports.sink()).context("netlink")?;
    let restarting = !settings.fib_enabled || kernel_holds_our_routes(&fib).await;
    let bgp_in_sync = Arc::new(AtomicBool::new(!settings.bgp_enabled));
    let sink = ToFib::new(fib.clone(), Arc::clone(&bgp_in_sync));
    let rib = RibHandle::spawn(Box::new(sink)).context("the RIB's thread")?;
    tokio::spawn(reports.forward(rib.clone()));
    if !settings.bgp_enabled {
        // Nobody announces anything: that picture is complete.
        fib.send(FibEvent::LearnedInSync);
    }
    let speaker = settings.bgp_enabled.then(|| Speaker::spawn(rib.clone()));
    let state = NodeState { node_name: settings.node_name.clone(), ..NodeState::default() };
    let (state, shown) = watch::channel(Arc::new(state));
    let (resources, in_force) = watch::channel(Arc::default());
    let agent = Agent {
        started: Instant::now(),
        fib_enabled: settings.fib_enabled,
        observer: speaker.as_ref().map(Speaker::observer),
        rib,
        fib: fib.clone(),
        bgp_in_sync,
        state: shown,
        resources: in_force,
    };
    Ok((Node { fib, fib_enabled: settings.fib_enabled, speaker, restarting, state, resources }, agent))
}

/// What the operator and the service manager say.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Whether a former run left routes: forwarding went on while we were away, and peers may rely on it
/// (RFC 4724 §4.1).
async fn kernel_holds_our_routes(fib: &FibHandle) -> bool {
    let deadline = Instant::now() + FIRST_SCAN_MAX;
    let mut poll = tokio::time::interval(Duration::from_millis(5));
    loop {
        poll.tick().await;
        match fib.summary().await {
            Ok(summary) if summary.scans > 0 => return summary.leftover > 0,
            Ok(_) if Instant::now() < deadline => {}
            Ok(_) => {
                tracing::warn!("the kernel's routes are still unread: starting as after a reboot");
                return false;
            }
            Err(_) => return false,
        }
    }
}

/// Carries out what the manifests ask for.
struct Node {
    fib: FibHandle,
    fib_enabled: bool,
    speaker: Option<Speaker>,
    restarting: bool,
    state: watch::Sender<Arc<NodeState>>,
    resources: watch::Sender<Arc<Resources>>,
}

impl Node {
    /// Carries out the manifests now and whenever they change, until told to stop.
    async fn follow(&self, manifests: Option<&Path>, mut signals: Signals) {
        let directory = match manifests {
            Some(path) => Some(ManifestDirectory::open(path).await),
            None => None,
        };
        let mut updates = directory.as_ref().map(ManifestDirectory::updates);
        loop {
            if let Some(updates) = &mut updates {
                let resources = Arc::clone(&updates.borrow_and_update());
                self.apply(&resources).await;
            }
            // Harmless without systemd, and when repeated.
            let _ = sd_notify::notify(&[NotifyState::Ready]);
            let changed = async {
                match &mut updates {
                    Some(updates) => updates.changed().await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                true = changed => {}
                _ = signals.hangup.recv() => directory.iter().for_each(ManifestDirectory::reread),
                _ = signals.terminate.recv() => return,
                _ = signals.interrupt.recv() => return,
            }
        }
    }

    async fn apply(&self, resources: &Arc<Resources>) {
        self.resources.send_replace(Arc::clone(resources));
        let before = Arc::clone(&self.state.borrow());
        let next = before.next(resources, self.restarting);
        for problem in next.problems.iter().filter(|problem| !before.problems.contains(problem)) {
            match problem.severity {
                Severity::Error => tracing::error!("{problem:#}"),
                Severity::Warning => tracing::warn!("{problem:#}"),
            }
        }
        let desired = next.desired.clone();
        let is_new = desired != before.desired;
        self.state.send_replace(Arc::new(next));
        let Some(desired) = desired.filter(|_| is_new) else { return };
        self.fib.send(FibEvent::Configure(desired.fib.config(self.fib_enabled)));
        self.fib.send(FibEvent::OwnBlocks(desired.blackholes));
        if let Some(speaker) = &self.speaker {
            speaker.apply(desired.bgp).await;
        }
    }
}
