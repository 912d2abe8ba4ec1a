//! eBGP with BIRD and with GoBGP: routes go both ways, reach the kernel exactly as announced, and leave it
//! again; IPv4 and IPv6 over sessions of their own.
#![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use interop_tests::uplink::{self, ANNOUNCED, BLOCKS, NODE, NODE_AS, ROUTER, ROUTER_AS, SESSIONS};
use interop_tests::{Bird, Family, Gobgp, Lab, Manx, can_run, ip, kernel, net, secs};
use ipnet::IpNet;

/// AS path and next hop of what a router has from the node, by prefix.
type Learned = BTreeMap<IpNet, (Vec<u32>, Option<IpAddr>)>;

/// The other end of the session.
trait Router {
    fn ensure_established(&self, index: usize) -> Result<()>;
    fn announce(&mut self, prefixes: &[IpNet]) -> Result<()>;
    fn learned(&self, index: usize) -> Result<Learned>;
}

impl Router for Bird {
    fn ensure_established(&self, index: usize) -> Result<()> {
        self.ensure_established(SESSIONS[index])
    }

    fn announce(&mut self, prefixes: &[IpNet]) -> Result<()> {
        self.announce(prefixes.to_vec())
    }

    fn learned(&self, index: usize) -> Result<Learned> {
        self.routes_from(SESSIONS[index], Family::ALL[index])?
            .into_iter()
            .map(|(prefix, route)| {
                let attribute = |name: &str| {
                    route.attributes.get(name).map(|text| text.split_whitespace()).into_iter().flatten()
                };
                let as_path = attribute("as_path").map(str::parse).collect::<Result<_, _>>()?;
                // For IPv6 BIRD shows the global and the link-local next hop.
                Ok((prefix, (as_path, attribute("next_hop").next().map(str::parse).transpose()?)))
            })
            .collect()
    }
}

impl Router for Gobgp {
    fn ensure_established(&self, index: usize) -> Result<()> {
        self.ensure_established(ip(NODE[index]))
    }

    fn announce(&mut self, prefixes: &[IpNet]) -> Result<()> {
        self.withdraw_all()?;
        Gobgp::announce(self, prefixes)
    }

    fn learned(&self, index: usize) -> Result<Learned> {
        let paths = self.routes_from(ip(NODE[index]), Family::ALL[index])?;
        Ok(paths.into_iter().map(|(prefix, path)| (prefix, (path.as_path, path.next_hop))).collect())
    }
}

#[test]
fn bird_ebgp() -> Result<()> {
    if !can_run("bird_ebgp") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    exchange(&lab, bird, &manx)
}

#[test]
fn gobgp_ebgp() -> Result<()> {
    if !can_run("gobgp_ebgp") {
        return Ok(());
    }
    let lab = uplink::build()?;
    let gobgp = Gobgp::start(lab.host("router")?, uplink::gobgp())?;
    let manx = Manx::launch(lab.host("node1")?, &uplink::manifests())?;
    exchange(&lab, gobgp, &manx)
}

fn exchange(lab: &Lab, mut router: impl Router, manx: &Manx) -> Result<()> {
    router.announce(&ANNOUNCED.map(net))?;
    lab.wait_until("both sessions are up at both ends", secs(15), || {
        for (index, address) in uplink::routers().into_iter().enumerate() {
            manx.ensure_established(address)?;
            router.ensure_established(index)?;
        }
        Ok(())
    })?;

    lab.wait_until("the router has our blocks", secs(10), || {
        for index in [0, 1] {
            let wanted = BTreeMap::from([(net(BLOCKS[index]), (vec![NODE_AS], Some(ip(NODE[index]))))]);
            let learned = router.learned(index)?;
            ensure!(learned == wanted, "{learned:?}");
        }
        Ok(())
    })?;
    ensure_kernel_becomes(lab, ANNOUNCED.map(net))?;
    ensure_routes_are_explained(lab, manx)?;

    // What is withdrawn goes, what is new comes, the rest stays.
    let changed = ["172.31.2.0/24", "172.31.3.128/25", ANNOUNCED[1]].map(net);
    router.announce(&changed)?;
    ensure_kernel_becomes(lab, changed)?;

    for index in [0, 1] {
        let name = format!(
            "blockaffinity-node1-{}.yaml",
            BLOCKS[index].replace(['.', '/', ':'], "-").replace("--", "-")
        );
        manx.remove_manifest(&name).with_context(|| name.clone())?;
    }
    lab.wait_until("the router has nothing of ours any more", secs(10), || {
        for index in [0, 1] {
            let learned = router.learned(index)?;
            ensure!(learned.is_empty(), "{learned:?}");
        }
        Ok(())
    })
}

/// The kernel has exactly these from BGP, each over the router, under our protocol number and metric.
fn ensure_kernel_becomes<const N: usize>(lab: &Lab, wanted: [IpNet; N]) -> Result<()> {
    let node = lab.host("node1")?;
    let wanted: BTreeSet<IpNet> = wanted.into();
    lab.wait_until(&format!("the kernel has exactly {wanted:?}"), secs(10), || {
        let mut present = BTreeSet::new();
        for (index, family) in Family::ALL.into_iter().enumerate() {
            for route in kernel::learned_routes(node, family)? {
                let hops = BTreeSet::from([(Some(ip(ROUTER[index])), "eth0".to_owned())]);
                ensure!(route.next_hops == hops && route.metric == 1024, "{route:?}");
                present.insert(route.destination);
            }
        }
        ensure!(present == wanted, "{present:?}");
        Ok(())
    })
}

/// `manx routes`, `fib` and `peers` say the same as the kernel and the wire.
fn ensure_routes_are_explained(lab: &Lab, manx: &Manx) -> Result<()> {
    lab.wait_until("manx shows what it has", secs(5), || {
        for index in [0, 1] {
            let prefix = net(ANNOUNCED[index]);
            let paths = manx.paths(prefix)?;
            let [path] = paths.as_slice() else { anyhow::bail!("{prefix}: {paths:?}") };
            ensure!(path.best && path.ineligible.is_none(), "{path:?}");
            ensure!(path.as_path == ROUTER_AS.to_string(), "{path:?}");
            ensure!(path.next_hop == Some(ip(ROUTER[index])), "{path:?}");
            let fib = manx.fib()?;
            let route = fib.get(&prefix).with_context(|| format!("{prefix} is not in manx fib"))?;
            ensure!(route.state == "installed", "{route:?}");
            let peer = manx.peer(ip(ROUTER[index]))?;
            let counts = (peer.received, peer.accepted, peer.advertised);
            ensure!(peer.remote_as == ROUTER_AS && counts == (1, 1, 1), "{peer:?}");
        }
        let status = manx.status()?;
        ensure!(status.node == "node1" && status.in_sync && status.problems.is_empty(), "{status:?}");
        Ok(())
    })
}
