//! The ground: two namespaces and one wire. The daemon has 10.200.0.1; all clients live in the other one, each
//! with an address of its own on the same link, up to 2,500 of them. Neighbour entries are permanent, so that
//! no ARP is in the figures and the host's neighbour table (1,024 by default) does not overflow.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::host::Host;
use crate::topology::{Lab, Topology, end};

/// The daemon's address.
pub const DAEMON: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);
/// The daemon's AS.
pub const DAEMON_AS: u32 = 64_512;
/// Clients begin here.
const FIRST_CLIENT: u32 = 0x0ac8_0100;
/// How many there can be.
const CLIENTS_MAX: usize = 2_500;
/// Files that a daemon with 2,500 sessions may need.
const FILES: u64 = 8_192;
const MAC_DAEMON: &str = "02:00:00:00:00:01";
const MAC_CLIENTS: &str = "02:00:00:00:00:02";

/// The namespaces.
#[derive(Debug)]
pub struct Ground(Lab);

impl Ground {
    /// With addresses for so many clients.
    ///
    /// # Errors
    /// Not root, or the kernel refuses.
    pub fn build(clients: usize) -> Result<Self> {
        ensure!(clients <= CLIENTS_MAX, "{clients} clients: at most {CLIENTS_MAX}");
        let daemon = end("daemon", "eth0", &[&format!("{DAEMON}/16")]);
        let generator = end("generator", "eth0", &["10.200.0.2/16"]);
        let lab = Topology::new().host("daemon").host("generator").link(daemon, generator).build()?;
        let addresses: Vec<Ipv4Addr> = (0..clients).map(client).collect();
        let mac = |own: &str, other: Ipv4Addr, its: &str| {
            vec![
                format!("link set eth0 address {own}"),
                format!("neigh replace {other} lladdr {its} dev eth0 nud permanent"),
            ]
        };
        let mut lines = mac(MAC_CLIENTS, DAEMON, MAC_DAEMON);
        lines.extend(addresses.iter().map(|address| format!("addr add {address}/32 dev eth0")));
        lab.host("generator")?.ip_batch(&lines)?;
        let mut lines = mac(MAC_DAEMON, Ipv4Addr::new(10, 200, 0, 2), MAC_CLIENTS);
        let permanent =
            |address| format!("neigh replace {address} lladdr {MAC_CLIENTS} dev eth0 nud permanent");
        lines.extend(addresses.into_iter().map(permanent));
        lab.host("daemon")?.ip_batch(&lines)?;
        Ok(Self(lab))
    }

    /// Where the daemon runs.
    ///
    /// # Errors
    /// Never, once built.
    pub fn daemon(&self) -> Result<&Host> {
        self.0.host("daemon")
    }

    /// Where the generator runs.
    ///
    /// # Errors
    /// Never, once built.
    pub fn generator(&self) -> Result<&Host> {
        self.0.host("generator")
    }

    /// For files and logs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.0.directory()
    }
}

/// The address of client `id`.
#[must_use]
pub fn client(id: usize) -> Ipv4Addr {
    Ipv4Addr::from(FIRST_CLIENT + u32::try_from(id).unwrap_or_default())
}

/// Lets this process, and the daemons that it starts, open enough files.
///
/// # Errors
/// The limit is lower than needed.
pub fn raise_file_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ensure!(hard >= FILES, "at most {hard} open files are allowed, {FILES} are needed: ulimit -Hn");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raise the limit of open files")
}
