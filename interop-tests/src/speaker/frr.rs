//! FRR: zebra and bgpd in the foreground, asked through `vtysh … json`. FRR refuses eBGP routes without a policy
//! (RFC 8212); the configuration here says that none is required.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ipnet::IpNet;
use serde_json::Value;

use super::Neighbor;
use crate::host::Host;
use crate::kernel::Family;
use crate::process::Process;

/// Where Debian puts the daemons.
const DAEMONS: &str = "/usr/lib/frr";

/// What an FRR is told.
#[derive(Clone, Debug)]
pub struct FrrConfig {
    /// Its router id.
    pub router_id: Ipv4Addr,
    /// Its AS.
    pub local_as: u32,
    /// Its sessions.
    pub neighbors: Vec<Neighbor>,
    /// Prefixes it announces as its own.
    pub announce: Vec<IpNet>,
    /// Put what it learns into the kernel, so that the host forwards.
    pub kernel: bool,
    /// Further lines of `router bgp`.
    pub lines: Vec<String>,
    /// Lines outside `router bgp`: route maps, lists.
    pub global_lines: Vec<String>,
}

/// A path as FRR shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrrPath {
    /// Whether FRR uses it as the best one.
    pub best: bool,
    /// Used beside the best one.
    pub multipath: bool,
    /// The neighbor it came from; none for its own.
    pub neighbor: Option<IpAddr>,
    /// Its next hops: for IPv6 the global and the link-local one.
    pub next_hops: Vec<IpAddr>,
    /// AS_PATH as text: `65001 65002`.
    pub as_path: String,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
}

/// A running FRR.
#[derive(Debug)]
pub struct Frr {
    host: Host,
    config: FrrConfig,
    directory: PathBuf,
    zebra: Option<Process>,
    bgpd: Option<Process>,
}

impl Frr {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it refuses the configuration or does not answer.
    pub fn start(host: &Host, config: FrrConfig) -> Result<Self> {
        let directory = host.directory().join(format!("{}-frr", host.name()));
        fs::create_dir_all(&directory)?;
        let mut frr = Self { host: host.clone(), config, directory, zebra: None, bgpd: None };
        frr.launch()?;
        Ok(frr)
    }

    /// Starts it again after [`Frr::kill`].
    ///
    /// # Errors
    /// As [`Frr::start`].
    pub fn launch(&mut self) -> Result<()> {
        ensure!(self.bgpd.is_none(), "bgpd on {} runs already", self.host.name());
        fs::write(self.directory.join("zebra.conf"), "hostname zebra\n")?;
        fs::write(self.directory.join("bgpd.conf"), render(&self.config))?;
        // vtysh reads a file of its own; without one it complains on every call.
        fs::write(self.directory.join("vtysh.conf"), "")?;
        // The daemons give up being root for Debian's user `frr`.
        self.host.run(&["chown", "-R", "frr:frr", &self.directory.to_string_lossy()])?;
        if self.zebra.is_none() {
            let mut zebra = self.spawn("zebra", &[])?;
            let socket = self.directory.join("zserv.api");
            zebra.wait_until_ready("zebra answers", self.host.directory(), || {
                ensure!(socket.exists(), "no {}", socket.display());
                Ok(())
            })?;
            self.zebra = Some(zebra);
        }
        let no_kernel: &[&str] = if self.config.kernel { &[] } else { &["-n"] };
        let mut bgpd = self.spawn("bgpd", no_kernel)?;
        let known = self.config.neighbors.len();
        bgpd.wait_until_ready("bgpd answers", self.host.directory(), || {
            let summary = self.ask("show bgp neighbors json")?;
            let neighbors = summary.as_object().into_iter().flatten().filter(|(_, value)| value.is_object());
            let present = neighbors.count();
            ensure!(present >= known, "{present} of {known} neighbors: its configuration was not taken");
            Ok(())
        })?;
        self.bgpd = Some(bgpd);
        Ok(())
    }

    /// SIGKILL to bgpd; zebra stays.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.bgpd.take().context("bgpd does not run")?.kill()
    }

    /// Configuration commands, as typed after `configure terminal`.
    ///
    /// # Errors
    /// When FRR refuses one.
    pub fn configure(&self, lines: &[&str]) -> Result<()> {
        let file = self.directory.join("commands.conf");
        fs::write(&file, lines.join("\n"))?;
        let said = self.vtysh(&["-f", &file.to_string_lossy()])?;
        ensure!(!said.contains('%'), "frr: {said}");
        Ok(())
    }

    /// Announces these as its own; earlier ones stay.
    ///
    /// # Errors
    /// When FRR refuses.
    pub fn announce(&self, prefixes: &[IpNet]) -> Result<()> {
        self.networks(prefixes, "")
    }

    /// Withdraws these.
    ///
    /// # Errors
    /// When FRR refuses.
    pub fn withdraw(&self, prefixes: &[IpNet]) -> Result<()> {
        self.networks(prefixes, "no ")
    }

    fn networks(&self, prefixes: &[IpNet], no: &str) -> Result<()> {
        let mut lines = vec![format!("router bgp {}", self.config.local_as)];
        for prefix in prefixes {
            let family = family_name(Family::of(prefix.addr()));
            lines.push(format!("address-family {family}"));
            lines.push(format!("{no}network {prefix}"));
            lines.push("exit-address-family".to_owned());
        }
        self.configure(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Fails unless the session is established.
    ///
    /// # Errors
    /// The state it is in.
    pub fn ensure_established(&self, neighbor: IpAddr) -> Result<()> {
        let session = self.neighbor(neighbor)?;
        let state = session.get("bgpState").and_then(Value::as_str).unwrap_or("unknown");
        ensure!(state == "Established", "frr on {}: {neighbor} is {state}", self.host.name());
        Ok(())
    }

    /// All that `show bgp neighbors ADDRESS json` says of a session.
    ///
    /// # Errors
    /// When FRR does not know it.
    pub fn neighbor(&self, neighbor: IpAddr) -> Result<Value> {
        let mut answer = self.ask(&format!("show bgp neighbors {neighbor} json"))?;
        answer.get_mut(neighbor.to_string()).map(Value::take).context("no such neighbor")
    }

    /// All paths of a family by prefix.
    ///
    /// # Errors
    /// When FRR says something unknown.
    pub fn routes(&self, family: Family) -> Result<BTreeMap<IpNet, Vec<FrrPath>>> {
        let answer = self.ask(&format!("show bgp {} json", family_name(family)))?;
        let prefixes = answer.get("routes").and_then(Value::as_object);
        prefixes
            .into_iter()
            .flatten()
            .map(|(prefix, paths)| {
                let paths = paths.as_array().map(Vec::as_slice).unwrap_or_default();
                Ok((prefix.parse()?, paths.iter().map(parse_path).collect()))
            })
            .collect()
    }

    /// All that `show bgp … PREFIX json` says, communities and everything.
    ///
    /// # Errors
    /// When FRR does not answer.
    pub fn route(&self, prefix: IpNet) -> Result<Value> {
        self.ask(&format!("show bgp {} {prefix} json", family_name(Family::of(prefix.addr()))))
    }

    /// A command whose answer is JSON.
    ///
    /// # Errors
    /// When it is not.
    pub fn ask(&self, command: &str) -> Result<Value> {
        let text = self.vtysh(&["-c", command])?;
        serde_json::from_str(&text).with_context(|| format!("{command}: {text}"))
    }

    fn vtysh(&self, words: &[&str]) -> Result<String> {
        let directory = self.directory.to_string_lossy();
        let mut argv = vec!["vtysh", "--vty_socket", &directory, "--config_dir", &directory];
        argv.extend(words);
        self.host.run(&argv)
    }

    fn spawn(&self, name: &str, options: &[&str]) -> Result<Process> {
        let program = format!("{DAEMONS}/{name}");
        let path = |file: &str| self.directory.join(file).to_string_lossy().into_owned();
        let (config, pid, zserv) =
            (path(&format!("{name}.conf")), path(&format!("{name}.pid")), path("zserv.api"));
        let vty = self.directory.to_string_lossy().into_owned();
        // A pid file that a killed one left is only locked, never in the way.
        let mut argv =
            vec![&*program, "-f", &config, "-i", &pid, "-z", &zserv, "--vty_socket", &vty, "-P", "0"];
        argv.extend(["--log", "stdout"]);
        argv.extend(options);
        self.host.spawn(name, &argv)
    }
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4 unicast",
        Family::V6 => "ipv6 unicast",
    }
}

fn render(config: &FrrConfig) -> String {
    let FrrConfig { router_id, local_as, neighbors, announce, kernel: _, lines, global_lines } = config;
    let mut text = format!("hostname bgpd\n{}", joined(global_lines, ""));
    let _ = write!(
        text,
        "router bgp {local_as}\n bgp router-id {router_id}\n no bgp ebgp-requires-policy\n no bgp default \
         ipv4-unicast\n no bgp network import-check\n bgp graceful-restart\n{}",
        joined(lines, " ")
    );
    for neighbor in neighbors {
        let Neighbor { name, local, address, remote_as, hold_time, passive, frr_options, .. } = neighbor;
        let keepalive = hold_time / 3;
        let _ = write!(
            text,
            " neighbor {address} remote-as {remote_as}\n neighbor {address} description {name}\n neighbor {address} \
             update-source {local}\n neighbor {address} timers {keepalive} {hold_time}\n neighbor {address} timers \
             connect 2\n"
        );
        if *passive {
            let _ = writeln!(text, " neighbor {address} passive");
        }
        text += &joined(frr_options, &format!(" neighbor {address} "));
    }
    for family in Family::ALL {
        let _ = writeln!(text, " address-family {}", family_name(family));
        for prefix in announce.iter().filter(|prefix| Family::of(prefix.addr()) == family) {
            let _ = writeln!(text, "  network {prefix}");
        }
        for neighbor in neighbors.iter().filter(|neighbor| neighbor.families().contains(&family)) {
            let address = neighbor.address;
            let _ = writeln!(text, "  neighbor {address} activate");
            text += &joined(&neighbor.frr_family_options, &format!("  neighbor {address} "));
        }
        text += " exit-address-family\n";
    }
    text
}

fn joined(lines: &[String], before: &str) -> String {
    lines.iter().map(|line| format!("{before}{line}\n")).collect()
}

fn parse_path(path: &Value) -> FrrPath {
    let flag = |name: &str| path.get(name).and_then(Value::as_bool).unwrap_or(false);
    let number =
        |name: &str| path.get(name).and_then(Value::as_u64).and_then(|value| u32::try_from(value).ok());
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let next_hops = path.get("nexthops").and_then(Value::as_array);
    FrrPath {
        best: flag("bestpath"),
        multipath: flag("multipath"),
        // Its own paths have the peer "(unspec)".
        neighbor: text(path, "peerId").and_then(|peer| peer.parse().ok()),
        next_hops: next_hops
            .into_iter()
            .flatten()
            .filter_map(|next_hop| text(next_hop, "ip")?.parse().ok())
            .collect(),
        as_path: text(path, "path").unwrap_or_default(),
        local_pref: number("locPrf"),
        med: number("metric"),
    }
}
