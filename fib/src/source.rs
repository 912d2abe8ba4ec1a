//! What the sources want: learned routes and own blocks, and which of them wins for a prefix. Knows next
//! hops only as resolved by others.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde::Serialize;
use smallvec::SmallVec;

use crate::{
    LearnedRoute, NextHop, RouteKind,
    delta::{Want, Wanted},
    next_hop::NextHops,
    resolve::Unresolved,
};

/// Largest weight the kernel can hold (`rtnh_hops` is an octet, less one).
const WEIGHT_MAX: u16 = 256;

/// Who wants a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteSource {
    /// Learned from a BGP peer.
    Bgp,
    /// The unused part of a block of this node's.
    OwnBlock,
    /// Nobody: left by an earlier process or configuration.
    Leftover,
}

/// Desired state as given, before resolution.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    learned: BTreeMap<IpNet, LearnedRoute>,
    own_blocks: BTreeSet<IpNet>,
    /// Learned routes inside of these are not wanted.
    withheld: BTreeSet<IpNet>,
}

impl Sources {
    /// Replaces BGP's word and keeps the next-hop index in step.
    pub(crate) fn set_learned(&mut self, prefix: IpNet, route: Option<LearnedRoute>, hops: &mut NextHops) {
        let route = route.filter(|route| !route.paths.is_empty());
        for path in route.iter().flat_map(|route| &route.paths) {
            hops.add_user(path.next_hop, prefix);
        }
        let kept = route.clone();
        let before = match route {
            Some(route) => self.learned.insert(prefix, route),
            None => self.learned.remove(&prefix),
        };
        let still_used = |hop| {
            kept.iter().flat_map(|route| &route.paths).any(|path: &crate::LearnedPath| path.next_hop == hop)
        };
        for path in before.iter().flat_map(|route| &route.paths) {
            if !still_used(path.next_hop) {
                hops.remove_user(path.next_hop, prefix);
            }
        }
    }

    /// Replaces the set of own blocks; returns what came and went.
    pub(crate) fn set_own_blocks(&mut self, blocks: BTreeSet<IpNet>) -> BTreeSet<IpNet> {
        let changed = self.own_blocks.symmetric_difference(&blocks).copied().collect();
        self.own_blocks = blocks;
        changed
    }

    /// Replaces the ranges whose learned routes are not wanted; returns the routes that this concerns.
    pub(crate) fn set_withheld(&mut self, ranges: BTreeSet<IpNet>) -> BTreeSet<IpNet> {
        let changed: Vec<IpNet> = self.withheld.symmetric_difference(&ranges).copied().collect();
        self.withheld = ranges;
        let is_concerned = |prefix: &&IpNet| changed.iter().any(|range| range.contains(*prefix));
        self.learned.keys().filter(is_concerned).copied().collect()
    }

    fn is_withheld(&self, prefix: IpNet) -> bool {
        self.withheld.iter().any(|range| range.contains(&prefix))
    }

    /// Own wins: what we own is never forwarded to somebody else.
    pub(crate) fn source_of(&self, prefix: IpNet) -> RouteSource {
        if self.own_blocks.contains(&prefix) {
            RouteSource::OwnBlock
        } else if self.learned.contains_key(&prefix) {
            RouteSource::Bgp
        } else {
            RouteSource::Leftover
        }
    }

    pub(crate) fn want(&self, prefix: IpNet, hops: &NextHops) -> Want {
        if self.own_blocks.contains(&prefix) {
            return Want::Route(Wanted::blackhole());
        }
        let Some(route) = self.learned.get(&prefix).filter(|_| !self.is_withheld(prefix)) else {
            return Want::Nothing;
        };
        let next_hops = group(prefix, route, hops);
        if next_hops.is_empty() {
            return Want::Unresolved;
        }
        Want::Route(Wanted { kind: RouteKind::Unicast, next_hops })
    }

    /// Why no path of the prefix resolves, one reason per path.
    pub(crate) fn reasons(&self, prefix: IpNet, hops: &NextHops) -> String {
        let mut reasons: Vec<String> = Vec::new();
        for path in self.learned.get(&prefix).iter().flat_map(|route| &route.paths) {
            let Err(reason) = usable(prefix, path.next_hop, hops) else { continue };
            let reason = reason.to_string();
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        reasons.join("; ")
    }

    /// All prefixes that a source names.
    pub(crate) fn prefixes(&self) -> BTreeSet<IpNet> {
        self.learned.keys().chain(&self.own_blocks).copied().collect()
    }
}

/// The paths that resolve, as one group: sorted, duplicates merged with their weights added, a single next
/// hop with weight 1 as the kernel would say it. A path behind several foreign gateways gives each of them
/// its weight times theirs.
fn group(prefix: IpNet, route: &LearnedRoute, hops: &NextHops) -> SmallVec<[NextHop; 1]> {
    let mut merged: SmallVec<[NextHop; 1]> = SmallVec::new();
    for path in &route.paths {
        let Ok(resolution) = usable(prefix, path.next_hop, hops) else { continue };
        for hop in &resolution.hops {
            let share = path.weight.clamp(1, WEIGHT_MAX).saturating_mul(hop.weight).min(WEIGHT_MAX);
            let same = merged.iter_mut().find(|m| m.gateway == hop.gateway && m.ifindex == hop.ifindex);
            match same {
                Some(same) => same.weight = same.weight.saturating_add(share).min(WEIGHT_MAX),
                None => merged.push(NextHop { weight: share, ..*hop }),
            }
        }
    }
    merged.sort_unstable();
    if let [only] = merged.as_mut_slice() {
        only.weight = 1;
    }
    merged
}

fn usable(
    prefix: IpNet,
    next_hop: std::net::IpAddr,
    hops: &NextHops,
) -> Result<&crate::resolve::Resolution, Unresolved> {
    let resolution = hops.result(next_hop)?;
    // RFC 8950 has IPv4 over an IPv6 next hop; nothing has the reverse, nor has the kernel.
    let ipv4_gateway = resolution.hops.iter().any(|hop| hop.gateway.is_some_and(|gateway| gateway.is_ipv4()));
    if ipv4_gateway && matches!(prefix, IpNet::V6(_)) {
        return Err(Unresolved::WrongFamily(next_hop));
    }
    Ok(resolution)
}
