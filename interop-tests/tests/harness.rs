//! The harness itself, proved with routers that are known to work: if these fail, no other result here means
//! anything. BIRD stands where manx stands in the other tests.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use interop_tests::kernel::{self, PROTOCOL_BIRD};
use interop_tests::speaker::bird::BirdConfig;
use interop_tests::speaker::gobgp::GobgpConfig;
use interop_tests::speaker::{Neighbor, scripted};
use interop_tests::{
    Bird, Capture, Family, Gobgp, Lab, Ping, RouteMonitor, Scripted, Topology, can_run, end, ip, net, reach,
    secs, table,
};
use ipnet::IpNet;

/// A BIRD with a kernel and a GoBGP on one wire, one session per family.
fn pair() -> Result<(Lab, Bird, Gobgp)> {
    let lab = Topology::new()
        .host("bird")
        .host("gobgp")
        .link(
            end("bird", "eth0", &["10.1.0.1/24", "fd01::1/64"]),
            end("gobgp", "eth0", &["10.1.0.2/24", "fd01::2/64"]),
        )
        .build()?;
    let bird = Bird::start(
        lab.host("bird")?,
        BirdConfig {
            router_id: "10.1.0.1".parse()?,
            local_as: 65001,
            neighbors: vec![
                Neighbor::new("gobgp4", ip("10.1.0.1"), ip("10.1.0.2"), 65002),
                Neighbor::new("gobgp6", ip("fd01::1"), ip("fd01::2"), 65002),
            ],
            announce: vec![net("172.31.1.0/24"), net("fd31:1::/64")],
            kernel: true,
        },
    )?;
    let gobgp = Gobgp::start(
        lab.host("gobgp")?,
        GobgpConfig {
            router_id: "10.1.0.2".parse()?,
            local_as: 65002,
            neighbors: vec![
                Neighbor::new("bird4", ip("10.1.0.2"), ip("10.1.0.1"), 65001),
                Neighbor::new("bird6", ip("fd01::2"), ip("fd01::1"), 65001),
            ],
        },
    )?;
    Ok((lab, bird, gobgp))
}

fn in_kernel(lab: &Lab, family: Family) -> Result<BTreeSet<IpNet>> {
    let routes = kernel::routes(lab.host("bird")?, family, PROTOCOL_BIRD)?;
    Ok(routes.into_iter().map(|route| route.destination).collect())
}

#[test]
fn routes_go_both_ways_into_the_kernel_and_out_again() -> Result<()> {
    if !can_run("routes_go_both_ways_into_the_kernel_and_out_again") {
        return Ok(());
    }
    let (lab, bird, gobgp) = pair()?;
    let prefixes = table(2_000);
    gobgp.announce(&prefixes)?;
    for family in Family::ALL {
        let wanted: BTreeSet<IpNet> =
            prefixes.iter().copied().filter(|prefix| Family::of(prefix.addr()) == family).collect();
        lab.wait_until(&format!("BIRD has all {family} routes in the kernel"), secs(20), || {
            let present = in_kernel(&lab, family)?;
            ensure!(present == wanted, "{} of {}", present.len(), wanted.len());
            Ok(())
        })?;
    }
    for (family, prefix, from) in
        [(Family::V4, "172.31.1.0/24", "10.1.0.1"), (Family::V6, "fd31:1::/64", "fd01::1")]
    {
        let path = gobgp.routes_from(ip(from), family)?.remove(&net(prefix)).unwrap();
        assert_eq!((path.as_path, path.next_hop, path.best), (vec![65001], Some(ip(from)), true));
    }
    let seen = bird.routes_from("gobgp4", Family::V4)?;
    assert_eq!(seen[&net("10.128.7.0/24")].attributes["as_path"], "65002");
    gobgp.withdraw_all()?;
    lab.wait_until("the kernel is empty again", secs(20), || {
        for family in Family::ALL {
            let present = in_kernel(&lab, family)?.len();
            ensure!(present == 0, "{present} {family} routes");
        }
        Ok(())
    })
}

#[test]
fn a_dead_gobgp_is_noticed_and_graceful_restart_keeps_the_other_way() -> Result<()> {
    if !can_run("a_dead_gobgp_is_noticed_and_graceful_restart_keeps_the_other_way") {
        return Ok(());
    }
    let (lab, mut bird, gobgp) = pair()?;
    lab.wait_until("sessions are up", secs(20), || {
        bird.ensure_established("gobgp4")?;
        gobgp.ensure_established(ip("10.1.0.1"))
    })?;
    let before = bird.session("gobgp4")?;
    bird.announce(vec![net("172.31.2.0/24")])?;
    lab.wait_until("GoBGP has the new prefix alone", secs(5), || {
        let routes = gobgp.routes_from(ip("10.1.0.1"), Family::V4)?;
        ensure!(routes.keys().eq([&net("172.31.2.0/24")]), "{routes:?}");
        Ok(())
    })?;
    assert_eq!(bird.session("gobgp4")?, before, "reconfiguring must not touch the session");

    bird.kill()?;
    lab.wait_until("GoBGP sees it", secs(5), || {
        ensure!(gobgp.ensure_established(ip("10.1.0.1")).is_err(), "still established");
        Ok(())
    })?;
    bird.launch()?;
    lab.wait_until("the session is back", secs(30), || gobgp.ensure_established(ip("10.1.0.1")))
}

#[test]
fn ping_counts_what_is_lost_and_the_monitor_sees_what_changes() -> Result<()> {
    if !can_run("ping_counts_what_is_lost_and_the_monitor_sees_what_changes") {
        return Ok(());
    }
    let lab = Topology::new()
        .host("node")
        .pod("one", "node", &["10.64.0.1", "fd64::1"])
        .pod("two", "node", &["10.64.0.2", "fd64::2"])
        .build()?;
    let (node, one, two) = (lab.host("node")?, lab.host("one")?, lab.host("two")?);
    for (from, to) in [("10.64.0.1", "10.64.0.2"), ("fd64::1", "fd64::2")] {
        assert_eq!(reach::source_seen(one, two, ip(to))?, ip(from));
    }
    let quiet = RouteMonitor::start(node)?;
    assert_eq!(quiet.stop()?, []);

    let monitor = RouteMonitor::start(node)?;
    let ping = Ping::start(one, ip("10.64.0.2"), Duration::from_millis(20))?;
    ping.ensure_nothing_lost()?;
    node.run(&["ip", "route", "replace", "blackhole", "10.64.0.2/32"])?;
    let before = ping.tally().received;
    lab.holds_for("nothing gets through a blackhole", Duration::from_millis(300), || {
        ensure!(ping.tally().received <= before + 1, "an echo came");
        Ok(())
    })?;
    node.run(&["ip", "route", "replace", "10.64.0.2/32", "dev", "cali-two"])?;
    ping.progress(5)?;
    let lost = ping.tally().lost();
    ensure!(ping.ensure_nothing_lost().is_err() && lost >= 5, "{lost} lost");

    let events = monitor.stop()?;
    let touched: Vec<_> = events.iter().filter(|event| event.destination == net("10.64.0.2/32")).collect();
    assert_eq!(touched.len(), 2, "{events:?}");
    Ok(())
}

#[test]
fn the_scripted_peer_speaks_bgp_and_the_capture_sees_it() -> Result<()> {
    if !can_run("the_scripted_peer_speaks_bgp_and_the_capture_sees_it") {
        return Ok(());
    }
    let lab = Topology::new()
        .host("bird")
        .host("rogue")
        .link(end("bird", "eth0", &["10.1.0.1/24"]), end("rogue", "eth0", &["10.1.0.2/24"]))
        .build()?;
    let neighbor =
        Neighbor { passive: true, ..Neighbor::new("rogue", ip("10.1.0.1"), ip("10.1.0.2"), 65002) };
    let config = BirdConfig {
        router_id: "10.1.0.1".parse()?,
        local_as: 65001,
        neighbors: vec![neighbor],
        announce: vec![],
        kernel: false,
    };
    let bird = Bird::start(lab.host("bird")?, config)?;
    let capture = Capture::start(lab.host("rogue")?, "eth0", "tcp port 179")?;
    let rogue = lab.host("rogue")?;
    // BIRD's connect delay: until then it resets every connection.
    let mut peer = lab.wait_until("the scripted session is up", secs(10), || {
        Scripted::establish(rogue, "10.1.0.2".parse()?, ip("10.1.0.1"), 65002)
    })?;
    peer.send(&scripted::announce("198.51.100.0/24".parse()?, &[65002, 65009], "10.1.0.2".parse()?))?;
    lab.wait_until("BIRD has the route", secs(5), || {
        let routes = bird.routes_from("rogue", Family::V4)?;
        let route = routes.get(&net("198.51.100.0/24"));
        ensure!(route.is_some_and(|route| route.attributes["as_path"] == "65002 65009"), "{route:?}");
        Ok(())
    })?;
    peer.send(&[0; 19])?;
    assert_eq!(peer.expect_notification()?, (1, 1), "RFC 4271 §6.1: connection not synchronized");
    lab.wait_until("the route is gone", secs(5), || {
        ensure!(bird.routes_from("rogue", Family::V4)?.is_empty(), "still there");
        Ok(())
    })?;
    lab.wait_until("the capture has the UPDATE", secs(5), || {
        let updates = capture.packets("bgp.type == 2", &["bgp.nlri_prefix"])?;
        ensure!(updates.iter().any(|one| one.contains(&"198.51.100.0".to_owned())), "{updates:?}");
        Ok(())
    })
}
