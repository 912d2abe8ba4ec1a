//! The generator's ceiling: [`crate::bench::relay`] as a daemon.

use std::path::PathBuf;

use anyhow::Result;

use super::{Daemon, Driver, Need, Plan, pids};
use crate::bench::ground::{DAEMON, DAEMON_AS};
use crate::bench::relay::ARGUMENT;
use crate::host::Host;
use crate::process::Process;

/// The driver.
#[derive(Debug)]
pub(super) struct Relay {
    /// The program that the relay is part of.
    pub(super) program: PathBuf,
}

impl Driver for Relay {
    fn name(&self) -> &'static str {
        "relay"
    }

    fn version(&self) -> Result<String> {
        Ok("relay without a RIB".to_owned())
    }

    fn cannot(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Kernel => Some("the relay writes no kernel routes: see raw"),
            Need::Rib | Need::GracefulRestart | Need::Reload => Some("the relay knows no routes"),
        }
    }

    fn prepare(&self, host: &Host, plan: &Plan) -> Result<Box<dyn Daemon>> {
        let silent = plan.peers.iter().filter(|peer| !peer.receives);
        let silent = silent.map(|peer| peer.address.to_string()).collect();
        Ok(Box::new(Running { host: host.clone(), program: self.program.clone(), silent, process: None }))
    }

    fn is_relay(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Running {
    host: Host,
    program: PathBuf,
    silent: Vec<String>,
    process: Option<Process>,
}

impl Daemon for Running {
    fn start(&mut self) -> Result<()> {
        let program = self.program.to_string_lossy().into_owned();
        let (address, asn) = (DAEMON.to_string(), DAEMON_AS.to_string());
        let mut argv = vec![&*program, ARGUMENT, &address, &asn];
        argv.extend(self.silent.iter().map(String::as_str));
        self.process = Some(self.host.spawn("relay", &argv)?);
        Ok(())
    }

    fn roots(&self) -> Vec<u32> {
        pids(&[&self.process])
    }
}
