//! BIRD 2: one template for all sessions, `direct` because all peers are on the link.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::{Daemon, Driver, HOLD_TIME, Need, Plan, RESTART_TIME, Role, pids};
use crate::bench::ground::{DAEMON, DAEMON_AS};
use crate::host::Host;
use crate::process::Process;

/// The driver.
#[derive(Debug)]
pub(super) struct Bird;

impl Driver for Bird {
    fn name(&self) -> &'static str {
        "bird"
    }

    fn version(&self) -> Result<String> {
        Ok(super::first_line("bird", "--version")?.replace("BIRD version", "BIRD"))
    }

    fn cannot(&self, _need: Need) -> Option<&'static str> {
        None
    }

    fn prepare(&self, host: &Host, plan: &Plan) -> Result<Box<dyn Daemon>> {
        let directory = host.directory().join("bird");
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("bird.conf"), render(plan))?;
        let recovers = plan.graceful_restart;
        Ok(Box::new(Running { host: host.clone(), directory, recovers, was_killed: false, process: None }))
    }
}

#[derive(Debug)]
struct Running {
    host: Host,
    directory: PathBuf,
    recovers: bool,
    was_killed: bool,
    process: Option<Process>,
}

impl Running {
    fn path(&self, name: &str) -> String {
        self.directory.join(name).to_string_lossy().into_owned()
    }
}

impl Daemon for Running {
    fn start(&mut self) -> Result<()> {
        let (config, socket) = (self.path("bird.conf"), self.path("ctl"));
        let _ = fs::remove_file(&socket);
        let mut argv = vec!["bird", "-f", "-c", &config, "-s", &socket];
        if self.recovers && self.was_killed {
            argv.push("-R");
        }
        self.process = Some(self.host.spawn("bird", &argv)?);
        Ok(())
    }

    fn roots(&self) -> Vec<u32> {
        pids(&[&self.process])
    }

    fn reload(&mut self, plan: &Plan) -> Result<()> {
        fs::write(self.directory.join("bird.conf"), render(plan))?;
        let mut stream = UnixStream::connect(self.path("ctl")).context("bird's control socket")?;
        stream.write_all(b"configure\n")?;
        let mut lines = BufReader::new(stream).lines();
        // 0001 greets, 0002 reads; then 0003 Reconfigured, 0004 Reconfiguration in progress, or an error.
        let is_answer =
            |line: &str| !line.starts_with("0001") && !line.starts_with("0002") && !line.starts_with(' ');
        let answer = lines.find(|line| line.as_deref().map_or(true, is_answer));
        let answer = answer.context("bird closed its control socket")??;
        ensure!(answer.contains("Reconfigur"), "bird: {answer}");
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        self.was_killed = true;
        self.process.take().context("bird does not run")?.kill()
    }
}

fn render(plan: &Plan) -> String {
    let mut text =
        format!("router id {DAEMON};\nlog stderr {{ error, fatal, bug }};\nprotocol device {{}}\n");
    if plan.kernel {
        // Its routes stay when it ends, as manx's do.
        text += "protocol kernel { persist; graceful restart; ipv4 { import none; export all; }; }\n";
    }
    let restart = if plan.graceful_restart {
        format!("graceful restart on; graceful restart time {RESTART_TIME};")
    } else {
        "graceful restart off;".to_owned()
    };
    let client = match plan.role {
        Role::Ebgp => "",
        Role::Reflector => "rr client; direct;",
        Role::Mesh => "direct;",
    };
    let _ = writeln!(
        text,
        "template bgp peer {{ local {DAEMON} as {DAEMON_AS}; passive on; hold time {HOLD_TIME}; {restart} \
         {client} error wait time 1, 2; connect delay time 1; ipv4 {{ import all; export all; }}; }}"
    );
    if let Some(filter) = plan.filter {
        let (network, length) = filter.network;
        let _ = writeln!(text, "filter one {{ if net ~ [ {network}/{length}+ ] then reject; accept; }}");
    }
    for (index, peer) in plan.peers.iter().enumerate() {
        let export = match plan.filter_of(index) {
            Some(_) => "ipv4 { export filter one; };",
            None if !peer.receives => "ipv4 { export none; };",
            None => "",
        };
        let _ = writeln!(
            text,
            "protocol bgp c{index} from peer {{ neighbor {} as {}; {export} }}",
            peer.address, peer.asn
        );
    }
    text
}
