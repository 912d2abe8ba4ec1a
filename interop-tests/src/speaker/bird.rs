//! BIRD 2: a router with a kernel table of its own. It answers on its control socket, whose protocol (four
//! digits, text, a blank after the digits on the last line of a reply's part) is what `birdc` speaks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ipnet::IpNet;

use super::Neighbor;
use crate::host::Host;
use crate::kernel::Family;
use crate::process::Process;

/// The longest answer: a table of 20,000 routes on a busy machine.
const ANSWER: Duration = Duration::from_secs(20);

/// What a BIRD is told.
#[derive(Clone, Debug)]
pub struct BirdConfig {
    /// Its router id.
    pub router_id: Ipv4Addr,
    /// Its AS.
    pub local_as: u32,
    /// Its sessions.
    pub neighbors: Vec<Neighbor>,
    /// Prefixes it announces as its own.
    pub announce: Vec<IpNet>,
    /// Put what it learns into the kernel (with ECMP), so that the host forwards.
    pub kernel: bool,
}

/// A route as BIRD shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BirdRoute {
    /// The protocol (session) it came from.
    pub source: String,
    /// Whether BIRD uses it.
    pub best: bool,
    /// Its gateways.
    pub gateways: Vec<IpAddr>,
    /// The BGP attributes by BIRD's names: `as_path`, `local_pref`, `next_hop`, `community`.
    pub attributes: BTreeMap<String, String>,
}

/// A session as BIRD shows it.
#[derive(Clone, Debug)]
pub struct BirdSession {
    /// `up`, `start`, `down`.
    pub state: String,
    /// `Established`, `Active`, …, with the last error behind it.
    pub info: String,
    /// When it came into this state, to the millisecond: unchanged means untouched.
    pub since: String,
}

/// BIRD works out `since` anew with every answer, and is a millisecond off at times.
impl PartialEq for BirdSession {
    fn eq(&self, other: &Self) -> bool {
        const JITTER_MS: u64 = 5;
        let is_since = match (milliseconds(&self.since), milliseconds(&other.since)) {
            (Some(one), Some(two)) => one.abs_diff(two) <= JITTER_MS,
            (None, _) | (_, None) => self.since == other.since,
        };
        is_since && self.state == other.state && self.info == other.info
    }
}

/// Of `12:34:56.789`, since midnight.
fn milliseconds(time: &str) -> Option<u64> {
    let (clock, fraction) = time.split_once('.')?;
    let seconds = clock.split(':').try_fold(0, |sum, part| Some(sum * 60 + part.parse::<u64>().ok()?))?;
    Some(seconds * 1000 + fraction.parse::<u64>().ok()?)
}

/// A running BIRD.
#[derive(Debug)]
pub struct Bird {
    host: Host,
    config: BirdConfig,
    directory: PathBuf,
    process: Option<Process>,
    /// Filter statements that give announced prefixes attributes, `bgp_med = 5;`.
    attributes: BTreeMap<IpNet, String>,
}

impl Bird {
    /// Starts it and waits for its control socket.
    ///
    /// # Errors
    /// When it refuses the configuration or does not answer.
    pub fn start(host: &Host, config: BirdConfig) -> Result<Self> {
        let directory = host.directory().join(format!("{}-bird", host.name()));
        fs::create_dir_all(&directory)?;
        let attributes = BTreeMap::new();
        let mut bird = Self { host: host.clone(), config, directory, process: None, attributes };
        bird.launch()?;
        Ok(bird)
    }

    /// Starts it again after [`Bird::kill`].
    ///
    /// # Errors
    /// As [`Bird::start`].
    pub fn launch(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "bird on {} runs already", self.host.name());
        self.write_config()?;
        // A socket that a killed BIRD left would answer nothing.
        let socket = self.socket();
        let _ = fs::remove_file(&socket);
        let config = self.directory.join("bird.conf").to_string_lossy().into_owned();
        let socket_text = socket.to_string_lossy().into_owned();
        let pid_file = self.directory.join("bird.pid").to_string_lossy().into_owned();
        let argv = ["bird", "-f", "-c", &config, "-s", &socket_text, "-P", &pid_file];
        let mut process = self.host.spawn("bird", &argv)?;
        process.wait_until_ready("bird answers", self.host.directory(), || self.query("show status"))?;
        self.process = Some(process);
        Ok(())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("bird does not run")?.kill()
    }

    /// The running process, for signals.
    ///
    /// # Errors
    /// When it does not run.
    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("bird does not run")
    }

    /// Changes the announced prefixes to exactly these.
    ///
    /// # Errors
    /// When BIRD refuses.
    pub fn announce(&mut self, prefixes: Vec<IpNet>) -> Result<()> {
        self.config.announce = prefixes;
        self.reconfigure()
    }

    /// The same, each with filter statements that set its attributes.
    ///
    /// # Errors
    /// When BIRD refuses.
    pub fn announce_with(&mut self, routes: &[(&str, &str)]) -> Result<()> {
        let parsed = |(prefix, set): &(&str, &str)| Ok((prefix.parse::<IpNet>()?, (*set).to_owned()));
        self.attributes = routes.iter().map(parsed).collect::<Result<_>>()?;
        self.announce(self.attributes.keys().copied().collect())
    }

    /// Changes the sessions to exactly these; unchanged ones stay up.
    ///
    /// # Errors
    /// When BIRD refuses.
    pub fn set_neighbors(&mut self, neighbors: Vec<Neighbor>) -> Result<()> {
        self.config.neighbors = neighbors;
        self.reconfigure()
    }

    fn reconfigure(&self) -> Result<()> {
        self.write_config()?;
        let answer = self.query("configure")?;
        ensure!(answer.iter().any(|line| line.contains("Reconfigur")), "bird: {answer:?}");
        Ok(())
    }

    /// One session.
    ///
    /// # Errors
    /// When BIRD does not know it.
    pub fn session(&self, name: &str) -> Result<BirdSession> {
        let answer = self.query(&format!("show protocols {name}"))?;
        let line = answer.iter().find(|line| line.starts_with(name)).context("no such protocol")?;
        // name, "BGP", table, state, since, info…
        let words: Vec<&str> = line.split_whitespace().collect();
        let word = |index: usize| words.get(index).copied().unwrap_or_default().to_owned();
        let info = words.get(5..).unwrap_or_default().join(" ");
        Ok(BirdSession { state: word(3), since: word(4), info })
    }

    /// Fails unless the session is established.
    ///
    /// # Errors
    /// The state it is in.
    pub fn ensure_established(&self, name: &str) -> Result<()> {
        let session = self.session(name)?;
        ensure!(session.info.starts_with("Established"), "bird on {}: {name}: {session:?}", self.host.name());
        Ok(())
    }

    /// All routes of a family that came from the session (or protocol) `source`.
    ///
    /// # Errors
    /// When BIRD says something unknown.
    pub fn routes_from(&self, source: &str, family: Family) -> Result<BTreeMap<IpNet, BirdRoute>> {
        let mut found = BTreeMap::new();
        for (prefix, route) in self.routes(family)? {
            if route.source == source {
                found.insert(prefix, route);
            }
        }
        Ok(found)
    }

    /// The whole table of a family; a prefix comes once for each of its routes.
    ///
    /// # Errors
    /// When BIRD says something unknown.
    pub fn routes(&self, family: Family) -> Result<Vec<(IpNet, BirdRoute)>> {
        let table = match family {
            Family::V4 => "master4",
            Family::V6 => "master6",
        };
        parse_routes(&self.query(&format!("show route table {table} all"))?)
    }

    /// Asks as `birdc` would; the answer's lines without their codes.
    ///
    /// # Errors
    /// When the socket is not there, or the answer is an error (codes 8xxx and 9xxx).
    pub fn query(&self, command: &str) -> Result<Vec<String>> {
        let stream = UnixStream::connect(self.socket()).context("bird's control socket")?;
        stream.set_read_timeout(Some(ANSWER))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        read_reply(&mut reader).context("bird's greeting")?;
        writeln!(&stream, "{command}")?;
        read_reply(&mut reader).with_context(|| format!("bird: {command}"))
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("ctl")
    }

    fn write_config(&self) -> Result<()> {
        for (family, file) in [(Family::V4, "static4.conf"), (Family::V6, "static6.conf")] {
            let mut routes = String::new();
            for prefix in self.config.announce.iter().filter(|prefix| Family::of(prefix.addr()) == family) {
                let attributes = self.attributes.get(prefix).map_or("", String::as_str);
                let _ = writeln!(routes, "route {prefix} blackhole {{ {attributes} }};");
            }
            fs::write(self.directory.join(file), routes)?;
        }
        fs::write(self.directory.join("bird.conf"), render(&self.config))?;
        Ok(())
    }
}

/// The configuration file. Graceful restart is left at BIRD's default: a helper ("aware") on every session.
fn render(config: &BirdConfig) -> String {
    let mut text =
        format!("router id {};\nlog stderr all;\nprotocol device {{ scan time 2; }}\n", config.router_id);
    for (number, family) in [("4", "ipv4"), ("6", "ipv6")] {
        let _ = write!(
            text,
            "protocol static announced{number} {{\n  {family};\n  include \"static{number}.conf\";\n}}\n"
        );
        if config.kernel {
            let _ = write!(
                text,
                "protocol kernel kernel{number} {{\n  merge paths yes limit 16;\n  {family} {{ import none; \
                 export where source = RTS_BGP; }};\n}}\n"
            );
        }
    }
    for neighbor in &config.neighbors {
        let Neighbor { name, local, address, remote_as, hold_time, passive, add_paths, bird_options, .. } =
            neighbor;
        let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        let local_as = config.local_as;
        let passive = if *passive { "on" } else { "off" };
        let add_paths = if *add_paths { "on" } else { "off" };
        let options: String = bird_options.iter().map(|line| format!("  {line};\n")).collect();
        let _ = write!(
            text,
            "protocol bgp {name} {{\n  local {local} as {local_as};\n  neighbor {address} as {remote_as};\n  \
             hold time {hold_time};\n  passive {passive};\n  connect delay time 1;\n  connect retry time 2;\n  \
             error wait time 1, 2;\n{options}  {family} {{ import all; export where source ~ [RTS_STATIC, RTS_BGP]; \
             add paths {add_paths}; }};\n}}\n"
        );
    }
    text
}

fn read_reply(reader: &mut impl std::io::BufRead) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "bird closed its control socket after {lines:?}");
        let line = line.trim_end_matches('\n');
        let Some(continued) = line.strip_prefix(' ') else {
            let (code, rest) = line.split_at_checked(4).context("a reply without a code")?;
            ensure!(!code.starts_with(['8', '9']), "bird: {rest}");
            let text = rest.get(1..).unwrap_or_default();
            if !text.is_empty() {
                lines.push(text.to_owned());
            }
            // Codes 0xxx are final; a dash behind any code says that more comes.
            if rest.starts_with(' ') && code.starts_with('0') {
                return Ok(lines);
            }
            if !code.bytes().all(|byte| byte.is_ascii_digit()) {
                bail!("bird: {line}");
            }
            continue;
        };
        lines.push(continued.to_owned());
    }
}

/// `show route all`: a line with the prefix (empty for a further route of the same), then what belongs to it.
fn parse_routes(lines: &[String]) -> Result<Vec<(IpNet, BirdRoute)>> {
    let mut found: Vec<(IpNet, BirdRoute)> = Vec::new();
    for line in lines {
        if line.starts_with("Table ") || line.trim().is_empty() {
            continue;
        }
        if let (Some(open), false) = (line.find('['), line.starts_with('\t')) {
            let (head, rest) = line.split_at(open);
            let first = head.split_whitespace().next().unwrap_or_default();
            let prefix = match (head.starts_with(' '), found.last()) {
                (true, Some((prefix, _))) => *prefix,
                _ => first.parse().with_context(|| format!("prefix in {line:?}"))?,
            };
            let (inside, behind) = rest.trim_start_matches('[').split_once(']').context("no ]")?;
            let source = inside.split_whitespace().next().unwrap_or_default().to_owned();
            let best = behind.trim_start().starts_with('*');
            found.push((
                prefix,
                BirdRoute { source, best, gateways: Vec::new(), attributes: BTreeMap::new() },
            ));
            continue;
        }
        let Some((_, route)) = found.last_mut() else { continue };
        let line = line.trim();
        if let Some(via) = line.strip_prefix("via ") {
            let gateway = via.split_whitespace().next().unwrap_or_default();
            route.gateways.push(gateway.parse().with_context(|| format!("gateway in {line:?}"))?);
        } else if let Some((name, value)) = line.strip_prefix("BGP.").and_then(|rest| rest.split_once(": ")) {
            route.attributes.insert(name.to_owned(), value.trim().to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_show_route_all() {
        let text = "1007-Table master4:\n \
            10.64.0.0/26         unicast [node1 10:00:00.000] * (100) [AS64601i]\n\
            1008-\tvia 10.0.1.1 on node1\n \
            \tType: BGP univ\n\
            1012-\tBGP.origin: IGP\n \
            \tBGP.as_path: 64601\n \
            \tBGP.next_hop: 10.0.1.1\n\
            1007-                     unicast [node2 10:00:00.000] (100) [AS64601i]\n\
            1008-\tvia 10.0.2.1 on node2\n \
            \tBGP.as_path: 64602 65002 64601\n\
            1007-203.0.113.0/24       blackhole [announced4 10:00:00.000] * (200)\n\
            0000 \n";
        let lines = read_reply(&mut text.as_bytes()).unwrap();
        let routes = parse_routes(&lines).unwrap();
        assert_eq!(routes.len(), 3);
        assert_eq!(routes[0].0, "10.64.0.0/26".parse().unwrap());
        assert_eq!(routes[0].1.attributes["as_path"], "64601");
        assert!(routes[0].1.best && !routes[1].1.best);
        assert_eq!(routes[1].0, routes[0].0);
        assert_eq!(routes[1].1.gateways, ["10.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!((routes[2].1.source.as_str(), routes[2].1.gateways.len()), ("announced4", 0));
    }

    #[test]
    fn an_error_reply_is_an_error() {
        assert!(read_reply(&mut "9001 syntax error\n".as_bytes()).is_err());
        assert!(read_reply(&mut "8003 No protocols match\n".as_bytes()).is_err());
        assert_eq!(read_reply(&mut "0001 BIRD 2.0.12 ready.\n".as_bytes()).unwrap(), ["BIRD 2.0.12 ready."]);
    }
}
