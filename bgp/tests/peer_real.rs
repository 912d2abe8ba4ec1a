//! Sessions with BIRD and GoBGP as Debian ships them, over loopback. Skipped, with a line that says so, where
//! they are not installed.
#![cfg(feature = "io")]
// Helpers of tests are tests too; clippy.toml excuses only functions marked so.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod peer_fixture;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bgp::Asn;
use bgp::peer::{GracefulRestartConfig, NeighborConfig, State, StopReason};
use peer_fixture::{Node, wait};

/// A daemon in a directory of its own; both go when this is dropped.
struct Daemon {
    child: Child,
    directory: PathBuf,
}

impl Daemon {
    /// `address` is its own and tells the tests of one run apart.
    fn start(address: &str, binary: &Path, args: &[&str], config: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("manx-{}-{address}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("config"), config).unwrap();
        let log = fs::File::create(directory.join("log")).unwrap();
        let child = Command::new(binary)
            .args(args)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, directory }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.directory.join("log")).unwrap_or_default());
        }
        fs::remove_dir_all(&self.directory).ok();
    }
}

fn installed(candidates: &[&str]) -> Option<PathBuf> {
    let found = candidates.iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: none of {candidates:?} is installed");
    }
    found
}

/// The daemon is AS 65002 at `address`, we are AS 65001.
fn external(node: &Node, address: &str, port: u16) -> NeighborConfig {
    NeighborConfig {
        local_as: Asn(65001),
        remote_as: Asn(65002),
        graceful_restart: Some(GracefulRestartConfig { restart_time_secs: 120, restarting: false }),
        next_hop_v6: Some("2001:db8::1".parse().unwrap()),
        hold_time_secs: 30,
        ..node.neighbor(address.parse::<IpAddr>().unwrap(), port)
    }
}

fn bird(node: &Node, address: &str, port: u16, extra: &str) -> Option<Daemon> {
    let binary = installed(&["/usr/sbin/bird"])?;
    let config = format!(
        r#"
        log stderr all;
        debug protocols {{ states, events }};
        router id 10.0.0.2;
        protocol device {{ }}
        protocol static {{ ipv4; route 198.51.100.0/24 blackhole; }}
        protocol static {{ ipv6; route 2001:db8:b::/48 blackhole; }}
        protocol bgp manx {{
            local {address} port {port} as 65002;
            neighbor {} port {} as 65001;
            strict bind yes;
            multihop;
            connect retry time 1;
            connect delay time 1;
            error wait time 1, 2;
            graceful restart on;
            enable extended messages on;
            {extra}
            ipv4 {{ import all; export all; next hop self; }};
            ipv6 {{ import all; export all; next hop address 2001:db8::2; }};
        }}
        "#,
        node.address, node.port
    );
    Some(Daemon::start(address, &binary, &["-f", "-c", "config", "-s", "socket", "-P", "pid"], &config))
}

fn birdc(daemon: &Daemon, words: &[&str]) -> String {
    let mut command = Command::new("/usr/sbin/birdc");
    let output = command.args(["-s", "socket"]).args(words).current_dir(&daemon.directory).output();
    String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
}

#[tokio::test]
async fn bird_takes_our_session_and_our_routes() {
    let mut node = Node::start("127.2.1.1").await;
    let Some(daemon) = bird(&node, "127.2.1.2", 1790, "") else { return };
    node.originate(["192.0.2.0/24".parse().unwrap(), "2001:db8:a::/48".parse().unwrap()]).await;
    node.add(external(&node, "127.2.1.2", 1790)).await;
    let up = node.wait_for_state("127.2.1.2", State::Established).await;
    let negotiated = up.negotiated.unwrap();
    assert_eq!(negotiated.families, bgp::AfiSafi::ALL);
    assert!(
        negotiated.route_refresh && negotiated.decode.four_octet_as && negotiated.encode.extended_message
    );
    assert_eq!(negotiated.restart.unwrap().families.len(), 2);
    node.wait_for_route("198.51.100.0/24").await;
    node.wait_for_route("2001:db8:b::/48").await;
    for prefix in ["192.0.2.0/24", "2001:db8:a::/48"] {
        wait(prefix, async || birdc(&daemon, &["show", "route", prefix]).contains("manx").then_some(()))
            .await;
    }

    // What BIRD says when it is told to end the session is what we show.
    birdc(&daemon, &["disable", "manx", "\"fibre works\""]);
    let expected = "received Cease / Administrative Shutdown: \"fibre works\"";
    wait(expected, async || node.peer("127.2.1.2").await.last_error.filter(|error| error == expected)).await;
    birdc(&daemon, &["enable", "manx"]);
    node.wait_for_state("127.2.1.2", State::Established).await;

    // And the other way round.
    node.speaker.shutdown(StopReason::Shutdown("moving racks".to_owned())).await;
    wait("BIRD to show why", async || {
        birdc(&daemon, &["show", "protocols", "all", "manx"])
            .contains("Administrative shutdown")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn bird_that_only_waits_is_dialled() {
    let mut node = Node::start("127.2.2.1").await;
    let Some(_daemon) = bird(&node, "127.2.2.2", 1790, "passive;") else { return };
    node.add(external(&node, "127.2.2.2", 1790)).await;
    node.wait_for_state("127.2.2.2", State::Established).await;
}

#[tokio::test]
async fn bird_dials_us_when_we_wait() {
    let mut node = Node::start("127.2.3.1").await;
    let Some(_daemon) = bird(&node, "127.2.3.2", 1790, "") else { return };
    node.add(NeighborConfig { passive: true, ..external(&node, "127.2.3.2", 1790) }).await;
    node.wait_for_state("127.2.3.2", State::Established).await;
}

/// RFC 4724 as the restarting side: BIRD, our helper, keeps our routes while we are away.
#[tokio::test]
async fn bird_keeps_our_routes_over_our_restart() {
    let mut node = Node::start("127.2.4.1").await;
    let Some(daemon) = bird(&node, "127.2.4.2", 1790, "") else { return };
    node.originate(["192.0.2.0/24".parse().unwrap()]).await;
    node.add(external(&node, "127.2.4.2", 1790)).await;
    let route = || birdc(&daemon, &["show", "route", "192.0.2.0/24"]);
    wait("our route", async || route().contains("manx").then_some(())).await;
    let (address, port) = (node.address.to_string(), node.port);
    let desired = node.desired.clone();
    node.speaker.shutdown(StopReason::Restart).await;
    wait("BIRD to notice", async || {
        birdc(&daemon, &["show", "protocols", "manx"]).contains("Established").eq(&false).then_some(())
    })
    .await;
    assert!(route().contains("manx"), "{}", route());

    let mut again = Node::start(&address).await;
    again.desired = desired;
    again.desired.listen = vec![std::net::SocketAddr::new(again.address, port)];
    again.desired.rib.restarting = true;
    again.desired.neighbors[0].graceful_restart =
        Some(GracefulRestartConfig { restart_time_secs: 120, restarting: true });
    again.apply().await;
    again.wait_for_state("127.2.4.2", State::Established).await;
    assert!(route().contains("manx"), "{}", route());
}

#[tokio::test]
async fn gobgp_takes_our_session_and_our_routes() {
    let mut node = Node::start("127.2.5.1").await;
    let Some(binary) = installed(&["/usr/bin/gobgpd", "/usr/sbin/gobgpd"]) else { return };
    let config = format!(
        r#"
        [global.config]
        as = 65002
        router-id = "10.0.0.3"
        port = 1791
        local-address-list = ["127.2.5.2"]
        [[neighbors]]
        [neighbors.config]
        neighbor-address = "{}"
        peer-as = 65001
        [neighbors.transport.config]
        local-address = "127.2.5.2"
        remote-port = {}
        [neighbors.ebgp-multihop.config]
        enabled = true
        multihop-ttl = 64
        [neighbors.timers.config]
        connect-retry = 5
        hold-time = 30
        [neighbors.graceful-restart.config]
        enabled = true
        restart-time = 60
        [[neighbors.afi-safis]]
        [neighbors.afi-safis.config]
        afi-safi-name = "ipv4-unicast"
        [neighbors.afi-safis.mp-graceful-restart.config]
        enabled = true
        [[neighbors.afi-safis]]
        [neighbors.afi-safis.config]
        afi-safi-name = "ipv6-unicast"
        [neighbors.afi-safis.mp-graceful-restart.config]
        enabled = true
        "#,
        node.address, node.port
    );
    let args = ["-f", "config", "-t", "toml", "--api-hosts", "127.2.5.2:50151", "--pprof-disable"];
    let _daemon = Daemon::start("127.2.5.2", &binary, &args, &config);
    node.originate(["2001:db8:a::/48".parse().unwrap()]).await;
    node.add(external(&node, "127.2.5.2", 1791)).await;
    let up = node.wait_for_state("127.2.5.2", State::Established).await;
    assert_eq!(up.negotiated.unwrap().families, bgp::AfiSafi::ALL);
    let gobgp = |words: &[&str]| {
        let output =
            Command::new("/usr/bin/gobgp").args(["-u", "127.2.5.2", "-p", "50151"]).args(words).output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    };
    // It refuses next hops in 127.0.0.0/8, so our IPv4 routes cannot be its.
    let rib = || gobgp(&["global", "rib", "-a", "ipv6"]);
    wait("our route", async || rib().contains("2001:db8:a::/48").then_some(())).await;
    gobgp(&["global", "rib", "add", "198.51.100.0/24"]);
    node.wait_for_route("198.51.100.0/24").await;
}
