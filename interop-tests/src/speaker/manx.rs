//! manx itself, driven the way a user drives it: a configuration file, a directory of manifests, the command
//! line and its JSON.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ipnet::IpNet;
use nix::sys::signal::Signal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::host::{self, Host};
use crate::manifest::Manifest;
use crate::process::Process;

/// A peer of `manx peers -o json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PeerView {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its AS.
    pub remote_as: u32,
    /// `established`, `idle`, `connect`, `active`, `open_sent`, `open_confirm`.
    pub state: String,
    /// Why the last session, or the last attempt at one, ended.
    pub last_error: Option<String>,
    /// Prefixes received.
    pub received: u64,
    /// Of these, accepted by import policy.
    pub accepted: u64,
    /// Prefixes advertised to it.
    pub advertised: u64,
    /// What else is shown.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A path of `manx routes -o json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PathView {
    /// The peer it came from, or `local`.
    pub source: String,
    /// Its next hop; none for an own route.
    pub next_hop: Option<IpAddr>,
    /// `65001 64602`.
    pub as_path: String,
    /// Whether it is used (several are with ECMP).
    pub best: bool,
    /// Why it never took part in the decision.
    pub ineligible: Option<String>,
    /// What else is shown.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A route of `manx fib -o json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FibView {
    /// Where to.
    pub prefix: IpNet,
    /// `installed`, `unresolved`, …
    pub state: String,
    /// Why it is not installed.
    pub reason: Option<String>,
}

/// A problem with a manifest in `manx status -o json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Problem {
    /// In which file.
    pub file: Option<String>,
    /// In which line, from 1.
    pub line: Option<u64>,
    /// Which field.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// `manx status -o json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// The program's version.
    pub version: String,
    /// Whether the configuration has been read and applied.
    pub in_sync: bool,
    /// Whether every peer has been heard, so that leftovers of a former run may go.
    pub bgp_in_sync: bool,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// A manx on a host: its files, and its process while it runs.
#[derive(Debug)]
pub struct Manx {
    host: Host,
    binary: PathBuf,
    directory: PathBuf,
    process: Option<Process>,
}

impl Manx {
    /// Writes the configuration of a node that is named like its host; nothing runs yet.
    ///
    /// # Errors
    /// When there is no manx to run.
    pub fn prepare(host: &Host) -> Result<Self> {
        let directory = host.directory().join(format!("{}-manx", host.name()));
        fs::create_dir_all(directory.join("manifests"))?;
        let manx = Self { host: host.clone(), binary: binary()?, directory, process: None };
        fs::write(manx.config_path(), manx.render())?;
        Ok(manx)
    }

    /// [`Manx::prepare`] with these manifests, then [`Manx::start`].
    ///
    /// # Errors
    /// As both.
    pub fn launch(host: &Host, manifests: &[Manifest]) -> Result<Self> {
        let mut manx = Self::prepare(host)?;
        manx.apply_all(manifests)?;
        manx.start()?;
        Ok(manx)
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// When it ends, or does not answer within 10 s.
    pub fn start(&mut self) -> Result<()> {
        self.start_unready()?;
        let mut process = self.process.take().context("just started")?;
        let answered = process.wait_until_ready("manx answers", self.host.directory(), || self.status());
        self.process = Some(process);
        answered.map(drop)
    }

    /// Starts the daemon and does not wait.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn start_unready(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "manx on {} runs already", self.host.name());
        let binary = self.binary.to_string_lossy().into_owned();
        let config = self.config_path().to_string_lossy().into_owned();
        let log_level = env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
        self.process = Some(self.host.spawn_with(
            "manx",
            &[&binary, "daemon", "--config", &config],
            &[("RUST_LOG", &log_level)],
        )?);
        Ok(())
    }

    /// SIGKILL: what a crash does.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("manx does not run")?.kill()
    }

    /// SIGTERM, and the exit status.
    ///
    /// # Errors
    /// When it does not run or does not end within `within`.
    pub fn terminate(&mut self, within: Duration) -> Result<ExitStatus> {
        self.process.take().context("manx does not run")?.terminate(within)
    }

    /// Memory in use, in KiB, and open descriptors.
    ///
    /// # Errors
    /// When it does not run.
    pub fn usage(&self) -> Result<(u64, usize)> {
        let process =
            PathBuf::from(format!("/proc/{}", self.process.as_ref().context("manx does not run")?.pid()));
        let status = fs::read_to_string(process.join("status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let resident = resident.trim().trim_end_matches(" kB").parse()?;
        Ok((resident, fs::read_dir(process.join("fd"))?.count()))
    }

    /// SIGHUP: it reads its manifests again.
    ///
    /// # Errors
    /// When it does not run.
    pub fn reload(&self) -> Result<()> {
        self.process.as_ref().context("manx does not run")?.signal(Signal::SIGHUP)
    }

    /// Puts a manifest into the directory that the daemon watches, replacing that of the same kind and name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn apply(&self, manifest: &Manifest) -> Result<()> {
        self.write_manifest(&manifest.file_name(), &manifest.render())
    }

    /// [`Manx::apply`], several times.
    ///
    /// # Errors
    /// As there.
    pub fn apply_all(&self, manifests: &[Manifest]) -> Result<()> {
        manifests.iter().try_for_each(|manifest| self.apply(manifest))
    }

    /// Puts any text there, as an editor does: complete when it gets its name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_manifest(&self, file_name: &str, text: &str) -> Result<()> {
        let draft = self.directory.join("draft");
        fs::write(&draft, text)?;
        fs::rename(&draft, self.manifests().join(file_name))?;
        Ok(())
    }

    /// Takes a manifest away.
    ///
    /// # Errors
    /// When it was not there.
    pub fn remove_manifest(&self, file_name: &str) -> Result<()> {
        Ok(fs::remove_file(self.manifests().join(file_name))?)
    }

    /// `manx status`.
    ///
    /// # Errors
    /// When it fails or its JSON is not as documented; so for the others.
    pub fn status(&self) -> Result<Status> {
        self.ask(&["status"])
    }

    /// Fails until manx has the whole picture. Before, it deletes nothing (ARCHITECTURE.md, law 3), so a test
    /// that wants to see routes go must wait for this first.
    ///
    /// # Errors
    /// The status.
    pub fn ensure_in_sync(&self) -> Result<()> {
        let status = self.status()?;
        ensure!(status.in_sync && status.bgp_in_sync, "manx on {}: {status:?}", self.host.name());
        Ok(())
    }

    /// `manx peers`, by address.
    ///
    /// # Errors
    /// As [`Manx::status`].
    pub fn peers(&self) -> Result<BTreeMap<IpAddr, PeerView>> {
        #[derive(Deserialize)]
        struct Peers {
            peers: Vec<PeerView>,
        }
        let answer: Peers = self.ask(&["peers"])?;
        Ok(answer.peers.into_iter().map(|peer| (peer.address, peer)).collect())
    }

    /// The peer with this address.
    ///
    /// # Errors
    /// When there is none.
    pub fn peer(&self, address: IpAddr) -> Result<PeerView> {
        let mut peers = self.peers()?;
        peers.remove(&address).with_context(|| format!("no peer {address} in {:?}", peers.keys()))
    }

    /// Fails unless the session is established.
    ///
    /// # Errors
    /// The state it is in.
    pub fn ensure_established(&self, address: IpAddr) -> Result<PeerView> {
        let peer = self.peer(address)?;
        ensure!(peer.state == "established", "manx on {}: {peer:?}", self.host.name());
        Ok(peer)
    }

    /// `manx routes`, by prefix.
    ///
    /// # Errors
    /// As [`Manx::status`].
    pub fn routes(&self) -> Result<BTreeMap<IpNet, Vec<PathView>>> {
        #[derive(Deserialize)]
        struct Routes {
            routes: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            prefix: IpNet,
            paths: Vec<PathView>,
        }
        let answer: Routes = self.ask(&["routes"])?;
        Ok(answer.routes.into_iter().map(|entry| (entry.prefix, entry.paths)).collect())
    }

    /// The paths of one prefix, none when it is unknown.
    ///
    /// # Errors
    /// As [`Manx::status`].
    pub fn paths(&self, prefix: IpNet) -> Result<Vec<PathView>> {
        Ok(self.routes()?.remove(&prefix).unwrap_or_default())
    }

    /// `manx fib`, by prefix.
    ///
    /// # Errors
    /// As [`Manx::status`].
    pub fn fib(&self) -> Result<BTreeMap<IpNet, FibView>> {
        #[derive(Deserialize)]
        struct Fib {
            routes: Vec<FibView>,
        }
        let answer: Fib = self.ask(&["fib"])?;
        Ok(answer.routes.into_iter().map(|route| (route.prefix, route)).collect())
    }

    /// Runs the command line as a user would and gives what it prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn command_line(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(self.config_path()).args(words);
        host::clear_settings(&mut command);
        host::output(&mut command, None)
    }

    /// The configuration file, for a hint to the user.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.directory.join("manx.toml")
    }

    /// The program, for the same.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    fn ask<T: DeserializeOwned>(&self, words: &[&str]) -> Result<T> {
        let mut all = words.to_vec();
        all.extend(["-o", "json"]);
        let text = self.command_line(&all)?;
        serde_json::from_str(&text).with_context(|| format!("manx {}: {text}", all.join(" ")))
    }

    fn manifests(&self) -> PathBuf {
        self.directory.join("manifests")
    }

    /// Policy is off: these tests are about routes, and namespaces share no nftables with anybody.
    fn render(&self) -> String {
        let mut text = String::new();
        let path = |name: &str| self.directory.join(name).to_string_lossy().into_owned();
        let _ = write!(
            text,
            "node_name = {:?}\ndata_dir = {:?}\nsocket = {:?}\nmanifests = {:?}\nmetrics = \"\"\n\n\
             [store]\nkind = \"embedded\"\n\n[bgp]\nenabled = true\n\n[fib]\nenabled = true\n\n\
             [ipam]\nenabled = true\n\n[felix]\nenabled = false\n",
            self.host.name(),
            path("data"),
            path("manx.sock"),
            path("manifests"),
        );
        text
    }
}

/// The manx to test: `MANX_BIN`, else `manx` beside the running test or lab, else that of the other profile.
///
/// # Errors
/// When there is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("MANX_BIN") {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "MANX_BIN={} is not a file", path.display());
        return Ok(fs::canonicalize(path)?);
    }
    // target/<profile>/lab or target/<profile>/deps/<test>-<hash>
    let running = env::current_exe()?;
    let profile = running
        .ancestors()
        .skip(1)
        .find(|directory| !directory.ends_with("deps"))
        .context("the running program has no directory")?;
    let target = profile.parent().context("no target directory")?;
    let candidates = [profile.join("manx"), target.join("release/manx"), target.join("debug/manx")];
    match candidates.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => bail!("no manx in {}: cargo build -p manx, or set MANX_BIN", target.display()),
    }
}
