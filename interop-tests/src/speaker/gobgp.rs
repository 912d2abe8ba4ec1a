//! GoBGP: a speaker without a kernel table (that would take zebra), asked through `gobgp -j`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ipnet::IpNet;
use serde_json::Value;

use super::{Neighbor, mrt};
use crate::host::Host;
use crate::kernel::Family;
use crate::process::Process;
use crate::secs;

/// Seconds that GoBGP asks a helper to keep its routes, and the time it has to come back.
const RESTART_TIME: u32 = 60;
/// More prefixes than this are given as one MRT file instead of one call each.
const BULK: usize = 8;

/// Twice the messages that `gobgp mrt inject` keeps queued, and forgets at its end.
const PADDING: usize = 2048;

/// What a GoBGP is told.
#[derive(Clone, Debug)]
pub struct GobgpConfig {
    /// Its router id.
    pub router_id: Ipv4Addr,
    /// Its AS.
    pub local_as: u32,
    /// Its sessions.
    pub neighbors: Vec<Neighbor>,
}

/// A path as GoBGP shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GobgpPath {
    /// Whether GoBGP uses it.
    pub best: bool,
    /// Kept for a neighbor that restarts (RFC 4724).
    pub stale: bool,
    /// The neighbor it came from; none for its own.
    pub neighbor: Option<IpAddr>,
    /// The next hop.
    pub next_hop: Option<IpAddr>,
    /// The AS numbers of AS_PATH, in order.
    pub as_path: Vec<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
}

/// A running GoBGP.
#[derive(Debug)]
pub struct Gobgp {
    host: Host,
    config: GobgpConfig,
    directory: PathBuf,
    process: Option<Process>,
}

impl Gobgp {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it refuses the configuration or does not answer.
    pub fn start(host: &Host, config: GobgpConfig) -> Result<Self> {
        let directory = host.directory().join(format!("{}-gobgp", host.name()));
        fs::create_dir_all(&directory)?;
        let mut gobgp = Self { host: host.clone(), config, directory, process: None };
        gobgp.launch()?;
        Ok(gobgp)
    }

    /// Starts it again after [`Gobgp::kill`]; what it announced is forgotten.
    ///
    /// # Errors
    /// As [`Gobgp::start`].
    pub fn launch(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "gobgpd on {} runs already", self.host.name());
        let file = self.directory.join("gobgpd.toml");
        fs::write(&file, render(&self.config))?;
        let path = file.to_string_lossy().into_owned();
        let argv = ["gobgpd", "-p", "-f", &path, "--pprof-disable", "--api-hosts", "127.0.0.1:50051"];
        let mut process = self.host.spawn("gobgpd", &argv)?;
        process.wait_until_ready("gobgpd answers", self.host.directory(), || {
            let known = self.ask(&["neighbor"])?.as_array().map_or(0, Vec::len);
            ensure!(known == self.config.neighbors.len(), "{known} neighbors");
            Ok(())
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("gobgpd does not run")?.kill()
    }

    /// Announces these as its own; earlier ones stay.
    ///
    /// # Errors
    /// When GoBGP refuses.
    pub fn announce(&self, prefixes: &[IpNet]) -> Result<()> {
        if prefixes.len() > BULK {
            return self.announce_bulk(prefixes);
        }
        for prefix in prefixes {
            self.rib(&["add", &prefix.to_string()], Family::of(prefix.addr()))?;
        }
        Ok(())
    }

    /// Withdraws these.
    ///
    /// # Errors
    /// When GoBGP refuses.
    pub fn withdraw(&self, prefixes: &[IpNet]) -> Result<()> {
        for prefix in prefixes {
            self.rib(&["del", &prefix.to_string()], Family::of(prefix.addr()))?;
        }
        Ok(())
    }

    /// Withdraws all that it announced.
    ///
    /// # Errors
    /// When GoBGP refuses.
    pub fn withdraw_all(&self) -> Result<()> {
        for family in Family::ALL {
            self.rib(&["del", "all"], family)?;
        }
        Ok(())
    }

    /// Fails unless the session is established.
    ///
    /// # Errors
    /// The state it is in.
    pub fn ensure_established(&self, neighbor: IpAddr) -> Result<()> {
        let answer = self.ask(&["neighbor", &neighbor.to_string()])?;
        let state = answer.pointer("/state/session_state").and_then(Value::as_u64).unwrap_or(0);
        // api.PeerState.SessionState: 1 idle, 2 connect, 3 active, 4 open sent, 5 open confirm, 6 established.
        ensure!(state == 6, "gobgp on {}: {neighbor} is in state {state}", self.host.name());
        Ok(())
    }

    /// All paths of a family by prefix.
    ///
    /// # Errors
    /// When GoBGP says something unknown.
    pub fn routes(&self, family: Family) -> Result<BTreeMap<IpNet, Vec<GobgpPath>>> {
        let answer = self.ask(&["global", "rib", "-a", family_name(family)])?;
        // An empty table is an empty list, not an object.
        let Some(prefixes) = answer.as_object() else { return Ok(BTreeMap::new()) };
        prefixes
            .iter()
            .map(|(prefix, paths)| {
                let paths = paths.as_array().map(Vec::as_slice).unwrap_or_default();
                Ok((prefix.parse()?, paths.iter().map(parse_path).collect()))
            })
            .collect()
    }

    /// The paths of a family that came from `neighbor`.
    ///
    /// # Errors
    /// As [`Gobgp::routes`].
    pub fn routes_from(&self, neighbor: IpAddr, family: Family) -> Result<BTreeMap<IpNet, GobgpPath>> {
        let mut found = BTreeMap::new();
        for (prefix, paths) in self.routes(family)? {
            for path in paths.into_iter().filter(|path| path.neighbor == Some(neighbor)) {
                found.insert(prefix, path);
            }
        }
        Ok(found)
    }

    fn announce_bulk(&self, prefixes: &[IpNet]) -> Result<()> {
        let file = self.directory.join("announce.mrt");
        // The command ends before the messages at its end have been sent, so the file ends with repetitions.
        let padded: Vec<IpNet> =
            prefixes.iter().chain(prefixes.iter().cycle().take(PADDING)).copied().collect();
        fs::write(&file, mrt::encode_dump(self.config.router_id, self.config.local_as, &padded))?;
        let path = file.to_string_lossy().into_owned();
        crate::wait_until("gobgp has taken the dump", secs(20), self.host.directory(), || {
            self.host.run(&["gobgp", "mrt", "inject", "global", &path])?;
            for family in Family::ALL {
                let wanted = prefixes.iter().filter(|prefix| Family::of(prefix.addr()) == family).count();
                let present = self.own_count(family)?;
                ensure!(present >= wanted, "{present} of {wanted} {family} prefixes");
            }
            Ok(())
        })
    }

    fn own_count(&self, family: Family) -> Result<usize> {
        let own = |paths: &Vec<GobgpPath>| paths.iter().any(|path| path.neighbor.is_none());
        Ok(self.routes(family)?.values().filter(|paths| own(paths)).count())
    }

    fn rib(&self, words: &[&str], family: Family) -> Result<String> {
        let mut argv = vec!["gobgp", "global", "rib"];
        argv.extend(words);
        argv.extend(["-a", family_name(family)]);
        self.host.run(&argv)
    }

    fn ask(&self, words: &[&str]) -> Result<Value> {
        let mut argv = vec!["gobgp", "-j"];
        argv.extend(words);
        let text = self.host.run(&argv)?;
        serde_json::from_str(&text).with_context(|| format!("{}: {text}", argv.join(" ")))
    }
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

/// The configuration file. GoBGP is a graceful restart helper only where it is enabled for the neighbor *and*
/// the family, so both are.
fn render(config: &GobgpConfig) -> String {
    let mut text =
        format!("[global.config]\n  as = {}\n  router-id = \"{}\"\n", config.local_as, config.router_id);
    for neighbor in &config.neighbors {
        let Neighbor { name, local, address, remote_as, hold_time, passive, add_paths, .. } = neighbor;
        let family = if address.is_ipv4() { "ipv4-unicast" } else { "ipv6-unicast" };
        let keepalive = hold_time / 3;
        let _ = write!(
            text,
            "[[neighbors]]\n  [neighbors.config]\n    neighbor-address = \"{address}\"\n    peer-as = \
             {remote_as}\n    description = \"{name}\"\n  [neighbors.transport.config]\n    local-address = \
             \"{local}\"\n    passive-mode = {passive}\n  [neighbors.timers.config]\n    hold-time = \
             {hold_time}\n    keepalive-interval = {keepalive}\n    connect-retry = 2\n  \
             [neighbors.graceful-restart.config]\n    enabled = true\n    restart-time = {RESTART_TIME}\n  \
             [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      afi-safi-name = \"{family}\"\n    \
             [neighbors.afi-safis.mp-graceful-restart.config]\n      enabled = true\n"
        );
        if *add_paths {
            text.push_str(
                "    [neighbors.afi-safis.add-paths.config]\n      receive = true\n      send-max = 8\n",
            );
        }
    }
    text
}

/// Attributes are objects with the type code of RFC 4271: 2 AS_PATH, 3 NEXT_HOP, 5 LOCAL_PREF, 14 MP_REACH_NLRI.
fn parse_path(path: &Value) -> GobgpPath {
    let flag = |name: &str| path.get(name).and_then(Value::as_bool).unwrap_or(false);
    let attributes = path.get("attrs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let attribute =
        |code: u64| attributes.iter().find(|one| one.get("type").and_then(Value::as_u64) == Some(code));
    let next_hop = attribute(3).or_else(|| attribute(14)).and_then(|one| one.get("nexthop"));
    let segments = attribute(2).and_then(|one| one.get("as_paths")).and_then(Value::as_array);
    let numbers =
        segments.into_iter().flatten().filter_map(|segment| segment.get("asns")?.as_array()).flatten();
    GobgpPath {
        best: flag("best"),
        stale: flag("stale"),
        neighbor: parse_address(path.get("neighbor-ip")),
        next_hop: parse_address(next_hop),
        as_path: numbers.filter_map(|number| u32::try_from(number.as_u64()?).ok()).collect(),
        local_pref: attribute(5).and_then(|one| u32::try_from(one.get("value")?.as_u64()?).ok()),
    }
}

fn parse_address(value: Option<&Value>) -> Option<IpAddr> {
    let address: IpAddr = value?.as_str()?.parse().ok()?;
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_gobgp_writes() {
        let text = r#"{"nlri":{"prefix":"10.64.0.0/26"},"age":1,"best":true,"attrs":[{"type":1,"value":0},
            {"type":2,"as_paths":[{"segment_type":2,"num":2,"asns":[65001,64602]}]},
            {"type":3,"nexthop":"10.0.0.1"}],"stale":false,"source-id":"10.0.0.1","neighbor-ip":"10.0.0.1"}"#;
        let path = parse_path(&serde_json::from_str(text).unwrap());
        assert_eq!(path.as_path, [65001, 64602]);
        assert_eq!(path.neighbor, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(path.next_hop, path.neighbor);
        let own = r#"{"attrs":[{"type":14,"nexthop":"::","afi":2,"safi":1}],"stale":false}"#;
        assert_eq!(parse_path(&serde_json::from_str(own).unwrap()).neighbor, None);
    }
}
