//! What really went over a wire: tcpdump into a file, tshark to read it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::host::{Host, output};
use crate::process::Process;

/// A running packet capture; it ends when it is dropped.
#[derive(Debug)]
pub struct Capture {
    host: Host,
    _process: Process,
    file: PathBuf,
}

impl Capture {
    /// Captures on `interface` what `filter` (tcpdump's language) lets through; packets after the return are
    /// seen.
    ///
    /// # Errors
    /// When tcpdump does not start.
    pub fn start(host: &Host, interface: &str, filter: &str) -> Result<Self> {
        let file = host.directory().join(format!("{}-{interface}.pcap", host.name()));
        let path = file.to_string_lossy().into_owned();
        // -Z root: the directory belongs to root; -U and --immediate-mode: a packet is in the file as soon as it is
        // seen, so that one can read along.
        let argv = [
            "tcpdump",
            "-i",
            interface,
            "-n",
            "-U",
            "--immediate-mode",
            "-s",
            "0",
            "-Z",
            "root",
            "-w",
            &path,
            filter,
        ];
        let mut process = host.spawn("tcpdump", &argv)?;
        let log = process.log_path().to_owned();
        process.wait_until_ready("tcpdump listens", host.directory(), || {
            ensure!(fs::read_to_string(&log)?.contains("listening on"), "not yet");
            Ok(())
        })?;
        Ok(Self { host: host.clone(), _process: process, file })
    }

    /// The packets so far that match `display` (Wireshark's language, `bgp.type == 3`), one list of the
    /// values of `fields` per packet, as tshark decodes them. A packet that has just been sent may still be
    /// on its way into the file: ask inside [`crate::wait_until`].
    ///
    /// # Errors
    /// When tshark refuses, or meets a packet that is only half written.
    pub fn packets(&self, display: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
        let path = self.file.to_string_lossy().into_owned();
        let mut argv = vec!["tshark", "-n", "-r", &path, "-Y", display, "-T", "json"];
        for field in fields {
            argv.extend(["-e", field]);
        }
        let text = output(&mut self.host.command(&argv)?, None)?;
        let packets: Vec<Value> = serde_json::from_str(&text).context("tshark -T json")?;
        Ok(packets.iter().map(|packet| values(packet, fields)).collect())
    }
}

/// All values of all fields of one packet, in the order of the fields.
fn values(packet: &Value, fields: &[&str]) -> Vec<String> {
    let layers = packet.pointer("/_source/layers");
    let of_field = |field: &&str| -> Vec<String> {
        let found = layers.and_then(|layers| layers.get(*field)).and_then(Value::as_array);
        found.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    fields.iter().flat_map(of_field).collect()
}
