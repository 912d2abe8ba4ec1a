//! The daemons that are measured. A driver renders a [`Plan`] as its daemon's configuration, the way a user who
//! wants it fast would write it, and starts it. None logs to a disk, none offers graceful restart unless the
//! plan asks for it, and all wait to be dialed.

mod bird;
mod frr;
mod gobgp;
mod manx;
mod openbgpd;
mod raw;
mod relay;

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Result, bail};

use super::netlink::Via;
use super::usage;
use crate::host::Host;
use crate::process::Process;

/// Seconds; what the generator offers as well.
const HOLD_TIME: u32 = 90;
/// Seconds that a plan with graceful restart gives a daemon to come back.
pub const RESTART_TIME: u16 = 120;

/// What a scenario needs that not every daemon has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A table of routes, not only a copy of bytes.
    Rib,
    /// Writing routes to the kernel.
    Kernel,
    /// Coming back while its routes stay in the kernel.
    GracefulRestart,
    /// Reading its configuration again.
    Reload,
}

/// What kind of speaker the daemon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A router with eBGP peers.
    Ebgp,
    /// A route reflector; all peers are its clients.
    Reflector,
    /// One of a full mesh of iBGP peers.
    Mesh,
}

/// A peer of the daemon.
#[derive(Clone, Copy, Debug)]
pub struct PeerPlan {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its AS.
    pub asn: u32,
    /// Whether routes are sent to it.
    pub receives: bool,
}

/// A filter towards one peer: what lies in this network is not sent.
#[derive(Clone, Copy, Debug)]
pub struct FilterPlan {
    /// The index of the peer.
    pub peer: usize,
    /// The network.
    pub network: (Ipv4Addr, u8),
}

/// A configuration.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What kind of speaker.
    pub role: Role,
    /// Its peers.
    pub peers: Vec<PeerPlan>,
    /// Routes go to the kernel.
    pub kernel: bool,
    /// RFC 4724, with [`RESTART_TIME`].
    pub graceful_restart: bool,
    /// At most one filter.
    pub filter: Option<FilterPlan>,
}

impl Plan {
    /// Its filter, if it is about this peer.
    fn filter_of(&self, index: usize) -> Option<FilterPlan> {
        self.filter.filter(|filter| filter.peer == index)
    }
}

/// A kind of daemon.
pub trait Driver: std::fmt::Debug + Sync {
    /// What it is called in selections and tables: `bird`.
    fn name(&self) -> &'static str;

    /// Its name and version for people: `BIRD 2.0.12`.
    ///
    /// # Errors
    /// It is not installed.
    fn version(&self) -> Result<String>;

    /// Why it cannot have this, if so.
    fn cannot(&self, need: Need) -> Option<&'static str>;

    /// Writes its configuration; nothing runs yet.
    ///
    /// # Errors
    /// It cannot be written.
    fn prepare(&self, host: &Host, plan: &Plan) -> Result<Box<dyn Daemon>>;

    /// It is no daemon at all but the raw writer of kernel routes.
    fn raw(&self) -> Option<Via> {
        None
    }

    /// It sends routes also to the peer they came from.
    fn returns_routes(&self) -> bool {
        false
    }

    /// It passes on what it gets as it is.
    fn is_relay(&self) -> bool {
        false
    }
}

/// A configured daemon on a host. It ends with the value.
pub trait Daemon: std::fmt::Debug {
    /// Starts it, without waiting until it answers.
    ///
    /// # Errors
    /// It cannot be started.
    fn start(&mut self) -> Result<()>;

    /// The processes it started, without their children.
    fn roots(&self) -> Vec<u32>;

    /// Takes over another configuration while it runs, as its user would tell it to.
    ///
    /// # Errors
    /// It refuses.
    fn reload(&mut self, plan: &Plan) -> Result<()> {
        bail!("no reload to {} peers", plan.peers.len())
    }

    /// SIGKILL to what speaks BGP.
    ///
    /// # Errors
    /// It does not run.
    fn kill(&mut self) -> Result<()> {
        bail!("not to be killed")
    }

    /// All its processes.
    ///
    /// # Errors
    /// There is no /proc.
    fn processes(&self) -> Result<Vec<u32>> {
        let families: Vec<Vec<u32>> = self.roots().into_iter().map(usage::family).collect::<Result<_>>()?;
        Ok(families.concat())
    }
}

/// All of them, in the order of tables. `program` is the `bench` itself, which the relay runs in.
#[must_use]
pub fn all(program: &Path) -> Vec<Box<dyn Driver>> {
    vec![
        Box::new(manx::Manx),
        Box::new(bird::Bird),
        Box::new(frr::Frr { coalesces: true }),
        Box::new(frr::Frr { coalesces: false }),
        Box::new(openbgpd::Openbgpd),
        Box::new(gobgp::Gobgp),
        Box::new(relay::Relay { program: program.to_owned() }),
        Box::new(raw::Raw(Via::Gateway)),
        Box::new(raw::Raw(Via::Object)),
    ]
}

fn pids(processes: &[&Option<Process>]) -> Vec<u32> {
    processes.iter().filter_map(|process| process.as_ref().map(Process::pid)).collect()
}

/// The first line that a program prints about itself.
fn first_line(program: &str, argument: &str) -> Result<String> {
    let output = std::process::Command::new(program).arg(argument).output()?;
    let all = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&all);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
