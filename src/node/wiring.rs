//! The only place where two domains meet: BGP's words into the kernel's and back. Pure; each function is one hop.

use bgp::rib::{BestChange, BestPath, NextHopStatus, PathSource};
use fib::{LearnedPath, LearnedRoute, NextHopReport};
use ipnet::IpNet;

/// A change of the Loc-RIB as the FIB takes it. A prefix whose best path is our own is nothing the FIB learned:
/// the workload's route or the block's blackhole stands in the kernel already.
#[must_use]
pub fn learned(change: &BestChange) -> (IpNet, Option<LearnedRoute>) {
    let own = change.paths.first().is_some_and(|path| path.source == PathSource::Local);
    let paths = change.paths.iter().filter_map(learned_path);
    let route = LearnedRoute { paths: paths.collect() };
    (change.prefix, (!own && !route.paths.is_empty()).then_some(route))
}

fn learned_path(path: &BestPath) -> Option<LearnedPath> {
    match path.source {
        PathSource::Local => None,
        PathSource::Peer(_) => path
            .attributes
            .next_hop_key()
            .map(|key| LearnedPath { next_hop: to_fib(key), weight: path.weight }),
    }
}

/// A next hop as the FIB knows it.
#[must_use]
pub fn to_fib(key: bgp::NextHopKey) -> fib::NextHopKey {
    let bgp::NextHopKey { address, interface } = key;
    // Both take the same names.
    fib::NextHopKey { address, interface: interface.and_then(|name| name.as_str().parse().ok()) }
}

/// A resolved or unresolved next hop as the RIB takes it.
#[must_use]
pub fn next_hop_status(report: NextHopReport) -> (bgp::NextHopKey, NextHopStatus) {
    let status = match report.status {
        Ok(metric) => NextHopStatus::Reachable { metric },
        Err(reason) => NextHopStatus::Unreachable { reason },
    };
    let fib::NextHopKey { address, interface } = report.next_hop;
    let interface = interface.and_then(|name| name.as_str().parse().ok());
    (bgp::NextHopKey { address, interface }, status)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use bgp::PeerId;
    use bgp::wire::PathAttributes;

    use super::*;

    fn path(source: PathSource, next_hop: &str) -> BestPath {
        let next_hop = Some(next_hop.parse::<IpAddr>().unwrap().into());
        BestPath {
            source,
            attributes: Arc::new(PathAttributes { next_hop, ..Default::default() }),
            weight: 3,
        }
    }

    fn change(paths: Vec<BestPath>) -> BestChange {
        BestChange { prefix: "10.0.0.0/24".parse().unwrap(), paths }
    }

    const PEER: PathSource = PathSource::Peer(PeerId { index: 0, generation: 0 });

    #[test]
    fn every_path_of_a_learned_prefix_becomes_a_next_hop() {
        let (_, route) = learned(&change(vec![path(PEER, "192.0.2.1"), path(PEER, "192.0.2.2")]));
        let paths = route.unwrap().paths;
        let hops: Vec<String> = paths.iter().map(|path| path.next_hop.to_string()).collect();
        assert_eq!(hops, ["192.0.2.1", "192.0.2.2"]);
        assert!(paths.iter().all(|path| path.weight == 3));
    }

    #[test]
    fn the_link_of_a_link_local_next_hop_goes_along_both_ways() {
        let mut via_link = path(PEER, "fe80::1");
        Arc::make_mut(&mut via_link.attributes).interface = Some("eth1".parse().unwrap());
        let (_, route) = learned(&change(vec![via_link]));
        let next_hop = route.unwrap().paths[0].next_hop;
        assert_eq!(next_hop.to_string(), "fe80::1%eth1");
        let (key, _) = next_hop_status(NextHopReport { next_hop, status: Ok(0) });
        assert_eq!(key.to_string(), "fe80::1%eth1");
    }

    #[test]
    fn nothing_left_and_own_prefixes_are_no_learned_route() {
        assert_eq!(learned(&change(vec![])).1, None);
        assert_eq!(learned(&change(vec![path(PathSource::Local, "192.0.2.1")])).1, None);
    }
}
