//! `make lab`: the fabric of [`interop_tests::fabric`], brought up, shown and judged. With `ONCE=1` it prints
//! the result and exits 0 or 1; otherwise it shows what happens, every second, until Ctrl-C.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use interop_tests::assert::pause;
use interop_tests::fabric::{self, ENDPOINTS, Endpoint, Fabric};
use interop_tests::kernel::{self, PROTOCOL_BIRD, PROTOCOL_MANX};
use interop_tests::{Family, Ping, interrupt, prerequisites, reach, secs, topology};

/// How long the sessions and routes may take.
const CONVERGENCE: Duration = Duration::from_secs(30);
/// How many echoes every pair must have got for a result.
const ECHOES: u64 = 5;
/// Between two looks of the live view.
const REFRESH: Duration = Duration::from_secs(1);
/// The first line of our own file there.
const NAME_MARK: &str = "# for the time of make lab";
/// Where iproute2 looks up the names of route protocols.
const NAMES: &str = "/etc/iproute2/rt_protos.d";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("\nFAIL  {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    if let Some(reason) = prerequisites::missing() {
        anyhow::bail!("the lab cannot run here: {reason}");
    }
    interrupt::install()?;
    for leftover in topology::sweep()? {
        say(&format!("removed {leftover}, left by a run that was killed"));
    }
    let name = ProtocolName::install();
    let once = env::var("ONCE").is_ok_and(|value| !["", "0"].contains(&value.as_str()));

    say("two manx nodes with two pods each, a ToR with BIRD, a spine with GoBGP; starting …");
    let started = Instant::now();
    let fabric = Fabric::start()?;
    say(&format!("started in {:.1} s; waiting for sessions and routes …", started.elapsed().as_secs_f64()));
    let converged =
        fabric.lab.wait_until("the fabric has converged", CONVERGENCE, || fabric.ensure_converged());
    ensure!(!interrupt::requested(), "interrupted");
    let took = started.elapsed();
    let lab = Lab { fabric, pings: Vec::new(), name };
    let lab = lab.start_pings(if once { secs(1) / 10 } else { REFRESH })?;
    if once {
        lab.wait_for_echoes();
        say(&lab.sessions_and_routes());
        say(&lab.matrix());
        return Ok(lab.judge(converged, took));
    }
    lab.watch(converged)?;
    say("\nremoving the namespaces …");
    Ok(true)
}

/// The fabric with a ping running between every pair that should reach each other.
struct Lab {
    pings: Vec<(Endpoint, Endpoint, Family, Ping)>,
    fabric: Fabric,
    name: ProtocolName,
}

impl Lab {
    fn start_pings(mut self, interval: Duration) -> Result<Self> {
        for (from, to, family) in fabric::pairs() {
            let host = self.fabric.lab.host(from.name)?;
            let ping = Ping::start_unchecked(host, to.address(family), interval)?;
            self.pings.push((from, to, family, ping));
        }
        Ok(self)
    }

    /// Until every pair has its echoes, or some have had every chance.
    fn wait_for_echoes(&self) {
        let started = Instant::now();
        let enough = || self.pings.iter().all(|(.., ping)| ping.tally().received >= ECHOES);
        while !enough() && started.elapsed() < secs(5) && !interrupt::requested() {
            pause(secs(1) / 20);
        }
    }

    /// Redraws until Ctrl-C.
    fn watch(&self, converged: Result<()>) -> Result<()> {
        let mut note = converged.err().map(|error| format!("not converged at first: {error:#}\n"));
        while !interrupt::requested() {
            let mut screen = self.sessions_and_routes();
            screen.push_str(&self.matrix());
            let healthy = self.fabric.ensure_converged();
            let _ = match &healthy {
                Ok(()) => writeln!(screen, "\nas it should be: every session, every route over every uplink"),
                Err(error) => writeln!(screen, "\nnot as it should be: {error:#}"),
            };
            if healthy.is_err() {
                screen.push_str(note.as_deref().unwrap_or_default());
            } else {
                note = None;
            }
            screen.push_str(&self.hints()?);
            if io::stdout().is_terminal() {
                screen.insert_str(0, "\x1b[H\x1b[2J");
            }
            say(&screen);
            pause(REFRESH);
        }
        Ok(())
    }

    /// What every host has, as its own tools show it.
    fn sessions_and_routes(&self) -> String {
        let mut text = String::new();
        for (number, node) in self.fabric.nodes() {
            let _ = writeln!(text, "\n── node{number} · manx peers");
            text.push_str(&shown(node.command_line(&["peers"])));
            let host = format!("node{number}");
            text.push_str(&self.kernel_routes(&host, &self.name.shown(), "manx"));
        }
        text.push_str(&self.kernel_routes("tor", &PROTOCOL_BIRD.to_string(), "BIRD"));
        text.push_str(&self.kernel_routes(
            "spine",
            "boot",
            "static, because GoBGP writes none without zebra",
        ));
        text
    }

    fn kernel_routes(&self, host: &str, protocol: &str, whose: &str) -> String {
        let mut text = format!("\n── {host} · ip route show proto {protocol}  ({whose})\n");
        for family in Family::ALL {
            let shown_routes =
                self.fabric.lab.host(host).and_then(|host| {
                    host.run(&["ip", "-o", family.flag(), "route", "show", "proto", protocol])
                });
            for line in shown(shown_routes).lines().filter(|line| !line.starts_with("default")) {
                let _ = writeln!(text, "  {}", line.trim_end().replace('\\', "").replace('\t', " "));
            }
        }
        text
    }

    /// One table per family: rows ping columns; a round trip, or what is lost.
    fn matrix(&self) -> String {
        let mut text = String::new();
        for family in Family::ALL {
            let _ = write!(text, "\n── ping {family:<8}");
            for to in ENDPOINTS {
                let _ = write!(text, "{:>12}", to.name);
            }
            text.push('\n');
            for from in ENDPOINTS {
                let _ = write!(text, "   {:<13}", from.name);
                for to in ENDPOINTS {
                    let _ = write!(text, "{:>12}", self.cell(from, to, family));
                }
                text.push('\n');
            }
        }
        text
    }

    fn cell(&self, from: Endpoint, to: Endpoint, family: Family) -> String {
        let found = self.pings.iter().find(|(a, b, f, _)| (*a, *b, *f) == (from, to, family));
        let Some((.., ping)) = found else { return "·".to_owned() };
        let tally = ping.tally();
        match (tally.received, tally.lost()) {
            (0, _) => "no echo".to_owned(),
            (_, 0) => format!("{:.2} ms", Duration::from_micros(tally.round_trip_us).as_secs_f64() * 1000.0),
            (_, lost) => format!("lost {lost}/{}", tally.newest),
        }
    }

    /// The summary; `true` when nothing failed.
    fn judge(&self, converged: Result<()>, took: Duration) -> bool {
        say("\n── result");
        let checks: [(&str, Result<String>); 5] = [
            (
                "sessions and routes",
                converged.map(|()| format!("as they should be after {:.1} s", took.as_secs_f64())),
            ),
            ("sessions", self.judge_sessions()),
            ("ECMP", self.judge_ecmp()),
            ("ping", self.judge_pings()),
            ("source addresses", self.judge_sources()),
        ];
        let mut passed = true;
        for (what, result) in checks {
            match result {
                Ok(found) => say(&format!("PASS  {what}: {found}")),
                Err(error) => {
                    passed = false;
                    say(&format!("FAIL  {what}: {error:#}"));
                }
            }
        }
        say(if passed { "\nPASS" } else { "\nFAIL" });
        passed
    }

    fn judge_sessions(&self) -> Result<String> {
        let mut count = 0;
        for (number, node) in self.fabric.nodes() {
            for router in fabric::routers(number) {
                node.ensure_established(router)?;
                count += 1;
            }
        }
        Ok(format!("{count} established (4 per node: BIRD and GoBGP, IPv4 and IPv6)"))
    }

    fn judge_ecmp(&self) -> Result<String> {
        let mut count = 0;
        for (number, _) in self.fabric.nodes() {
            let host = self.fabric.lab.host(&format!("node{number}"))?;
            for (prefix, gateways) in fabric::expected_routes(number).iter().filter(|(_, all)| all.len() > 1)
            {
                let routes = kernel::learned_routes(host, Family::of(prefix.addr()))?;
                let route = routes.iter().find(|route| route.destination == *prefix);
                let route = route.with_context(|| format!("node{number} has no route to {prefix}"))?;
                ensure!(route.next_hops.len() == gateways.len(), "node{number}: {route:?}");
                count += 1;
            }
        }
        Ok(format!("{count} routes between the nodes, each over the ToR and the spine"))
    }

    fn judge_pings(&self) -> Result<String> {
        for (from, to, family, ping) in &self.pings {
            let tally = ping.tally();
            ensure!(tally.received > 0, "no echo from {} to {} ({family})", to.name, from.name);
            ensure!(tally.lost() == 0, "{} → {} ({family}): {} lost", from.name, to.name, tally.lost());
        }
        let echoes: u64 = self.pings.iter().map(|(.., ping)| ping.tally().received).sum();
        Ok(format!("{} of {} pairs answer, none of {echoes} echoes lost", self.pings.len(), self.pings.len()))
    }

    fn judge_sources(&self) -> Result<String> {
        let mut count = 0;
        for (from, to, family) in fabric::pairs() {
            let (client, server) = (self.fabric.lab.host(from.name)?, self.fabric.lab.host(to.name)?);
            let seen = reach::source_seen(client, server, to.address(family))?;
            let own = from.address(family);
            ensure!(seen == own, "{} sees {} as {seen}, not as {own}", to.name, from.name);
            count += 1;
        }
        Ok(format!("unchanged on {count} of {count} TCP connections"))
    }

    fn hints(&self) -> Result<String> {
        let (node, pod) = (self.fabric.lab.host("node1")?, self.fabric.lab.host("pod1a")?);
        let manx = &self.fabric.node1;
        let namespaces: Vec<_> = self.fabric.lab.hosts().map(interop_tests::Host::namespace).collect();
        Ok(format!(
            "\nto look around:  ip netns exec {} bash        ip netns exec {} ping {}\n                 {} --config {} \
             routes\nhosts: {}\nlogs and manifests: {}\nCtrl-C ends the lab and removes everything.\n",
            node.namespace(),
            pod.namespace(),
            ENDPOINTS.get(2).map(|to| to.address(Family::V4)).context("endpoints")?,
            manx.binary().display(),
            manx.config_path().display(),
            namespaces.join(" "),
            self.fabric.lab.directory().display(),
        ))
    }
}

/// The name of manx's routes for `ip route show proto manx`, put where iproute2 reads it unless it is there
/// already, and taken away again.
struct ProtocolName {
    known: bool,
    ours: bool,
}

impl ProtocolName {
    /// Never fails: without a name the number does.
    fn install() -> Self {
        let directory = Path::new(NAMES);
        let file = directory.join("manx.conf");
        // One with our mark is what a killed run left.
        if fs::read_to_string(&file).is_ok_and(|text| !text.starts_with(NAME_MARK)) {
            return Self { known: true, ours: false };
        }
        let written = fs::create_dir_all(directory)
            .and_then(|()| fs::write(&file, format!("{NAME_MARK}\n{PROTOCOL_MANX}\tmanx\n")));
        Self { known: written.is_ok(), ours: written.is_ok() }
    }

    fn shown(&self) -> String {
        if self.known { "manx".to_owned() } else { PROTOCOL_MANX.to_string() }
    }
}

impl Drop for ProtocolName {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(Path::new(NAMES).join("manx.conf"));
        }
    }
}

fn shown(result: Result<String>) -> String {
    result.unwrap_or_else(|error| format!("  {error:#}\n"))
}

/// A line for the user. A closed pipe is no reason to end without cleaning up.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}
