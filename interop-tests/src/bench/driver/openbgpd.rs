//! OpenBGPD, portable. Debian's writes no kernel routes.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::Result;

use super::{Daemon, Driver, HOLD_TIME, Need, Plan, Role, pids};
use crate::bench::ground::{DAEMON, DAEMON_AS};
use crate::host::Host;
use crate::process::Process;

/// Where its processes shut themselves in; its service unit would make it.
const CHROOT: &str = "/run/openbgpd";

/// The driver.
#[derive(Debug)]
pub(super) struct Openbgpd;

impl Driver for Openbgpd {
    fn name(&self) -> &'static str {
        "openbgpd"
    }

    fn version(&self) -> Result<String> {
        super::first_line("bgpd", "-V")
    }

    fn cannot(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Kernel => Some("Debian's OpenBGPD is built without kernel routes"),
            Need::GracefulRestart => Some("OpenBGPD does not keep kernel routes over a restart"),
            Need::Rib | Need::Reload => None,
        }
    }

    fn prepare(&self, host: &Host, plan: &Plan) -> Result<Box<dyn Daemon>> {
        let directory = host.directory().join("openbgpd");
        fs::create_dir_all(&directory)?;
        fs::create_dir_all(CHROOT)?;
        let daemon = Running { host: host.clone(), directory, process: None };
        daemon.write(plan)?;
        Ok(Box::new(daemon))
    }
}

#[derive(Debug)]
struct Running {
    host: Host,
    directory: PathBuf,
    process: Option<Process>,
}

impl Running {
    fn config(&self) -> PathBuf {
        self.directory.join("bgpd.conf")
    }

    fn socket(&self) -> String {
        self.directory.join("ctl").to_string_lossy().into_owned()
    }

    fn write(&self, plan: &Plan) -> Result<()> {
        let text = format!("socket \"{}\"\n{}", self.socket(), render(plan));
        fs::write(self.config(), text)?;
        // It insists that nobody else can read it.
        fs::set_permissions(self.config(), fs::Permissions::from_mode(0o600))?;
        Ok(())
    }
}

impl Daemon for Running {
    fn start(&mut self) -> Result<()> {
        let config = self.config().to_string_lossy().into_owned();
        self.process = Some(self.host.spawn("openbgpd", &["bgpd", "-d", "-f", &config])?);
        Ok(())
    }

    fn roots(&self) -> Vec<u32> {
        pids(&[&self.process])
    }

    fn reload(&mut self, plan: &Plan) -> Result<()> {
        self.write(plan)?;
        self.host.run(&["bgpctl", "-s", &self.socket(), "reload"])?;
        Ok(())
    }
}

fn render(plan: &Plan) -> String {
    let mut text = format!(
        "AS {DAEMON_AS}\nrouter-id {DAEMON}\nlisten on {DAEMON}\nfib-update no\nholdtime {HOLD_TIME}\n\
         nexthop qualify via default\n"
    );
    let reflector = if plan.role == Role::Reflector { " route-reflector\n" } else { "" };
    let _ = write!(text, "group \"peers\" {{\n passive\n announce restart no\n{reflector}");
    for peer in &plan.peers {
        let _ = writeln!(text, " neighbor {} {{ remote-as {} }}", peer.address, peer.asn);
    }
    text += "}\nallow from any\nallow to any\n";
    for peer in plan.peers.iter().filter(|peer| !peer.receives) {
        let _ = writeln!(text, "deny to {}", peer.address);
    }
    let filtered = plan.filter.and_then(|filter| Some((plan.peers.get(filter.peer)?, filter.network)));
    if let Some((peer, (network, length))) = filtered {
        let _ = writeln!(text, "deny to {} prefix {network}/{length} or-longer", peer.address);
    }
    text
}
