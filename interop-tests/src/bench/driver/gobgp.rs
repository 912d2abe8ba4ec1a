//! GoBGP, without zebra.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::{Daemon, Driver, HOLD_TIME, Need, Plan, Role, pids};
use crate::bench::ground::{DAEMON, DAEMON_AS};
use crate::host::Host;
use crate::process::Process;

/// The driver.
#[derive(Debug)]
pub(super) struct Gobgp;

impl Driver for Gobgp {
    fn name(&self) -> &'static str {
        "gobgp"
    }

    fn version(&self) -> Result<String> {
        Ok(super::first_line("gobgpd", "--version")?.replace("gobgpd version", "GoBGP"))
    }

    fn cannot(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Kernel | Need::GracefulRestart => Some("GoBGP writes kernel routes only through zebra"),
            Need::Reload => Some("after SIGHUP, GoBGP sends a changed policy's difference only on softreset"),
            Need::Rib => None,
        }
    }

    fn prepare(&self, host: &Host, plan: &Plan) -> Result<Box<dyn Daemon>> {
        let directory = host.directory().join("gobgp");
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("gobgpd.toml"), render(plan))?;
        Ok(Box::new(Running { host: host.clone(), directory, process: None }))
    }
}

#[derive(Debug)]
struct Running {
    host: Host,
    directory: PathBuf,
    process: Option<Process>,
}

impl Daemon for Running {
    fn start(&mut self) -> Result<()> {
        let config = self.directory.join("gobgpd.toml").to_string_lossy().into_owned();
        let argv =
            ["gobgpd", "-f", &config, "-l", "error", "--pprof-disable", "--api-hosts", "127.0.0.1:50051"];
        self.process = Some(self.host.spawn("gobgpd", &argv)?);
        Ok(())
    }

    fn roots(&self) -> Vec<u32> {
        pids(&[&self.process])
    }
}

fn render(plan: &Plan) -> String {
    let mut text = format!("[global.config]\n as = {DAEMON_AS}\n router-id = \"{DAEMON}\"\n");
    let silent: Vec<String> = plan
        .peers
        .iter()
        .filter(|peer| !peer.receives)
        .map(|peer| format!("\"{}/32\"", peer.address))
        .collect();
    if !silent.is_empty() {
        let _ = write!(
            text,
            "[global.apply-policy.config]\n export-policy-list = [\"silence\"]\n default-export-policy = \
             \"accept-route\"\n[[defined-sets.neighbor-sets]]\n neighbor-set-name = \"silent\"\n \
             neighbor-info-list = [{}]\n[[policy-definitions]]\n name = \"silence\"\n \
             [[policy-definitions.statements]]\n  name = \"reject\"\n  \
             [policy-definitions.statements.conditions.match-neighbor-set]\n   neighbor-set = \"silent\"\n   \
             match-set-options = \"any\"\n  [policy-definitions.statements.actions]\n   route-disposition = \
             \"reject-route\"\n",
            silent.join(", ")
        );
    }
    let keepalive = HOLD_TIME / 3;
    for peer in &plan.peers {
        let _ = write!(
            text,
            "[[neighbors]]\n [neighbors.config]\n  neighbor-address = \"{}\"\n  peer-as = {}\n \
             [neighbors.transport.config]\n  passive-mode = true\n [neighbors.timers.config]\n  hold-time = \
             {HOLD_TIME}\n  keepalive-interval = {keepalive}\n",
            peer.address, peer.asn
        );
        if plan.role == Role::Reflector {
            let _ = write!(
                text,
                " [neighbors.route-reflector.config]\n  route-reflector-client = true\n  \
                 route-reflector-cluster-id = \"{DAEMON}\"\n"
            );
        }
        text += " [[neighbors.afi-safis]]\n  [neighbors.afi-safis.config]\n   afi-safi-name = \
                 \"ipv4-unicast\"\n";
    }
    text
}
