//! manx: manifests in a directory, one file with all peers.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{Daemon, Driver, HOLD_TIME, Need, Plan, Role, pids};
use crate::bench::ground::{DAEMON, DAEMON_AS};
use crate::host::Host;
use crate::manifest::Manifest;
use crate::process::Process;
use crate::speaker::manx::binary;

/// The driver.
#[derive(Debug)]
pub(super) struct Manx;

impl Driver for Manx {
    fn name(&self) -> &'static str {
        "manx"
    }

    fn version(&self) -> Result<String> {
        super::first_line(&binary()?.to_string_lossy(), "--version")
    }

    fn cannot(&self, _need: Need) -> Option<&'static str> {
        None
    }

    fn prepare(&self, host: &Host, plan: &Plan) -> Result<Box<dyn Daemon>> {
        let directory = host.directory().join("manx");
        fs::create_dir_all(directory.join("manifests"))?;
        let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
        let text = format!(
            "node_name = \"bench\"\ndata_dir = {:?}\nsocket = {:?}\nmanifests = {:?}\nmetrics = \"\"\n\
             [fib]\nenabled = {}\n[ipam]\nenabled = false\n[felix]\nenabled = false\n",
            path("data"),
            path("sock"),
            path("manifests"),
            plan.kernel,
        );
        fs::write(directory.join("manx.toml"), text)?;
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
    /// Complete when it gets its name, as an editor writes.
    fn write(&self, plan: &Plan) -> Result<()> {
        let draft = self.directory.join("draft");
        fs::write(&draft, render(plan))?;
        fs::rename(draft, self.directory.join("manifests/bench.yaml"))?;
        Ok(())
    }
}

impl Daemon for Running {
    fn start(&mut self) -> Result<()> {
        let program = binary()?.to_string_lossy().into_owned();
        let config = self.directory.join("manx.toml").to_string_lossy().into_owned();
        let argv = [&*program, "daemon", "--config", &config];
        self.process = Some(self.host.spawn_with("manx", &argv, &[("RUST_LOG", "warn")])?);
        Ok(())
    }

    fn roots(&self) -> Vec<u32> {
        pids(&[&self.process])
    }

    fn reload(&mut self, plan: &Plan) -> Result<()> {
        self.write(plan)?;
        self.process.as_ref().context("manx does not run")?.signal(Signal::SIGHUP)
    }

    fn kill(&mut self) -> Result<()> {
        self.process.take().context("manx does not run")?.kill()
    }
}

/// No pool and no block: everything that is learned leaves.
fn render(plan: &Plan) -> String {
    let mut node = json!({ "ipv4Address": format!("{DAEMON}/16"), "asNumber": DAEMON_AS });
    if let (Role::Reflector, Some(fields)) = (plan.role, node.as_object_mut()) {
        fields.insert("routeReflectorClusterID".to_owned(), json!(DAEMON));
    }
    let mut all = vec![
        Manifest::node("bench", &[], None, &[]).with("bgp", node),
        Manifest::bgp_configuration(false, DAEMON_AS),
    ];
    if plan.peers.iter().any(|peer| !peer.receives) {
        all.push(Manifest::bgp_filter("nothing").with("exportV4", json!([{ "action": "Reject" }])));
    }
    if let Some(filter) = plan.filter {
        let (network, length) = filter.network;
        let rule =
            json!([{ "action": "Reject", "cidr": format!("{network}/{length}"), "matchOperator": "In" }]);
        all.push(Manifest::bgp_filter("one").with("exportV4", rule));
    }
    for (index, peer) in plan.peers.iter().enumerate() {
        let mut manifest = Manifest::bgp_peer(&format!("c{index}"), &peer.address.to_string(), peer.asn)
            .with("passive", true)
            .with("holdTime", format!("{HOLD_TIME}s"));
        if !peer.receives {
            manifest = manifest.with("filters", json!(["nothing"]));
        } else if plan.filter_of(index).is_some() {
            manifest = manifest.with("filters", json!(["one"]));
        }
        all.push(manifest);
    }
    all.iter().fold(String::new(), |mut text, manifest| {
        let _ = write!(text, "---\n{}", manifest.render());
        text
    })
}
