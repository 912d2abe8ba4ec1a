//! FRR: zebra and bgpd, one peer group. By default it gathers changes for up to seconds before it sends any
//! (`coalesce-time`, by the number of peers); measured with and without.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Daemon, Driver, HOLD_TIME, Need, Plan, RESTART_TIME, Role, pids};
use crate::assert::wait_until;
use crate::bench::ground::{DAEMON, DAEMON_AS};
use crate::host::Host;
use crate::process::Process;

const DAEMONS: &str = "/usr/lib/frr";

/// The driver.
#[derive(Debug)]
pub(super) struct Frr {
    /// As it comes.
    pub(super) coalesces: bool,
}

impl Driver for Frr {
    fn name(&self) -> &'static str {
        if self.coalesces { "frr" } else { "frr-0" }
    }

    fn version(&self) -> Result<String> {
        let line = super::first_line(&format!("{DAEMONS}/bgpd"), "--version")?;
        let version = line.replace("bgpd version", "FRR");
        Ok(if self.coalesces { version } else { format!("{version}, coalesce-time 0") })
    }

    fn cannot(&self, _need: Need) -> Option<&'static str> {
        None
    }

    /// All members of an update group are sent the same.
    fn returns_routes(&self) -> bool {
        true
    }

    fn prepare(&self, host: &Host, plan: &Plan) -> Result<Box<dyn Daemon>> {
        let directory = host.directory().join("frr");
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("zebra.conf"), "hostname zebra\n")?;
        fs::write(directory.join("bgpd.conf"), render(plan, self.coalesces))?;
        fs::write(directory.join("vtysh.conf"), "")?;
        // The daemons become the user frr.
        host.run(&["chown", "-R", "frr:frr", &directory.to_string_lossy()])?;
        let kernel = plan.kernel;
        Ok(Box::new(Running { host: host.clone(), directory, kernel, zebra: None, bgpd: None }))
    }
}

#[derive(Debug)]
struct Running {
    host: Host,
    directory: PathBuf,
    kernel: bool,
    zebra: Option<Process>,
    bgpd: Option<Process>,
}

impl Running {
    fn spawn(&self, name: &str, options: &[&str]) -> Result<Process> {
        let path = |file: &str| self.directory.join(file).to_string_lossy().into_owned();
        let program = format!("{DAEMONS}/{name}");
        let (config, pid, zserv) =
            (path(&format!("{name}.conf")), path(&format!("{name}.pid")), path("zserv.api"));
        let vty = self.directory.to_string_lossy().into_owned();
        let mut argv =
            vec![&*program, "-f", &config, "-i", &pid, "-z", &zserv, "--vty_socket", &vty, "-P", "0"];
        argv.extend(options);
        self.host.spawn(name, &argv)
    }
}

impl Daemon for Running {
    fn start(&mut self) -> Result<()> {
        if self.zebra.is_none() {
            self.zebra = Some(self.spawn("zebra", &["-s", "16777216"])?);
            let socket = self.directory.join("zserv.api");
            wait_until("zebra answers", Duration::from_secs(10), self.host.directory(), || {
                ensure!(socket.exists(), "no {}", socket.display());
                Ok(())
            })?;
        }
        let no_kernel: &[&str] = if self.kernel { &[] } else { &["-n"] };
        self.bgpd = Some(self.spawn("bgpd", no_kernel)?);
        Ok(())
    }

    fn roots(&self) -> Vec<u32> {
        pids(&[&self.zebra, &self.bgpd])
    }

    /// Nothing, or the one line that differs, as frr-reload.py would find out.
    fn reload(&mut self, plan: &Plan) -> Result<()> {
        let directory = self.directory.to_string_lossy().into_owned();
        let mut argv = vec!["vtysh", "--vty_socket", &directory, "--config_dir", &directory];
        let line = plan.filter.map(|filter| deny(filter.network));
        argv.extend(["-c", "configure terminal"]);
        if let Some(line) = &line {
            argv.extend(["-c", line]);
        }
        self.host.run(&argv)?;
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        self.bgpd.take().context("bgpd does not run")?.kill()
    }
}

fn deny((network, length): (std::net::Ipv4Addr, u8)) -> String {
    format!("ip prefix-list one seq 5 deny {network}/{length} le 32")
}

fn render(plan: &Plan, coalesces: bool) -> String {
    let mut text = String::from("hostname bgpd\n");
    if let Some(filter) = plan.filter {
        let _ = writeln!(text, "{}\nip prefix-list one seq 10 permit any", deny(filter.network));
    }
    text += "ip prefix-list nothing seq 5 deny any\n";
    let restart = if plan.graceful_restart {
        format!(
            " bgp graceful-restart\n bgp graceful-restart preserve-fw-state\n bgp graceful-restart restart-time \
             {RESTART_TIME}\n"
        )
    } else {
        " bgp graceful-restart-disable\n".to_owned()
    };
    let keepalive = HOLD_TIME / 3;
    let _ = write!(
        text,
        "router bgp {DAEMON_AS}\n bgp router-id {DAEMON}\n no bgp ebgp-requires-policy\n no bgp default \
         ipv4-unicast\n no bgp network import-check\n{restart}{} neighbor peers peer-group\n neighbor peers \
         passive\n neighbor peers timers {keepalive} {HOLD_TIME}\n",
        if coalesces { "" } else { " coalesce-time 0\n" },
    );
    for peer in &plan.peers {
        let _ = writeln!(text, " neighbor {} remote-as {}", peer.address, peer.asn);
        let _ = writeln!(text, " neighbor {} peer-group peers", peer.address);
    }
    text += " address-family ipv4 unicast\n  neighbor peers activate\n";
    if plan.role == Role::Reflector {
        text += "  neighbor peers route-reflector-client\n";
    }
    for (index, peer) in plan.peers.iter().enumerate() {
        let list = match plan.filter_of(index) {
            Some(_) => "one",
            None if !peer.receives => "nothing",
            None => continue,
        };
        let _ = writeln!(text, "  neighbor {} prefix-list {list} out", peer.address);
    }
    text + " exit-address-family\n"
}
