//! What the sources want: learned routes and own blocks, and which of them wins for a prefix. Knows next
//! hops only as resolved by others.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use serde::Serialize;
use smallvec::SmallVec;

use crate::{
    LearnedPath, LearnedRoute, NextHop, NextHopKey, RouteKind,
    delta::{Want, Wanted},
    next_hop::NextHops,
    resolve::{Resolution, Unresolved, merge},
};

/// Who wants a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteSource {
    /// Learned from a BGP peer.
    Bgp,
    /// A peer that is reached by a gateway.
    PeerGateway,
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
    /// Host routes to peers, each with its gateway.
    gateways: BTreeMap<IpNet, LearnedRoute>,
    /// How many of the prefixes that lead somewhere have a length, IPv4 and IPv6: what need be looked for.
    lengths: (BTreeMap<u8, usize>, BTreeMap<u8, usize>),
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
        self.count(prefix, before.is_some(), kept.is_some());
        let gateway = self.gateways.get(&prefix);
        let still_used = |hop| {
            kept.iter()
                .chain(gateway)
                .flat_map(|route| &route.paths)
                .any(|path: &crate::LearnedPath| path.next_hop == hop)
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

    /// Replaces the gateways of peers and keeps the next-hop index in step; returns what changed.
    pub(crate) fn set_gateways(
        &mut self,
        gateways: BTreeMap<IpNet, IpAddr>,
        hops: &mut NextHops,
    ) -> BTreeSet<IpNet> {
        let route =
            |next_hop| LearnedRoute { paths: [LearnedPath { next_hop, weight: 1 }].into_iter().collect() };
        let wanted: BTreeMap<IpNet, LearnedRoute> =
            gateways.into_iter().map(|(prefix, gateway)| (prefix, route(gateway.into()))).collect();
        let before = std::mem::replace(&mut self.gateways, wanted);
        let all: BTreeSet<IpNet> = before.keys().chain(self.gateways.keys()).copied().collect();
        let changed: BTreeSet<IpNet> =
            all.into_iter().filter(|prefix| before.get(prefix) != self.gateways.get(prefix)).collect();
        for prefix in &changed {
            let hops_of = |route: Option<&LearnedRoute>| -> SmallVec<[NextHopKey; 1]> {
                route.iter().flat_map(|route| &route.paths).map(|path| path.next_hop).collect()
            };
            let (old, new) = (hops_of(before.get(prefix)), hops_of(self.gateways.get(prefix)));
            new.iter().for_each(|hop| hops.add_user(*hop, *prefix));
            // What BGP says of the same prefix may need it too.
            let learned = hops_of(self.learned.get(prefix));
            for hop in old.iter().filter(|hop| !new.contains(hop) && !learned.contains(hop)) {
                hops.remove_user(*hop, *prefix);
            }
            self.count(*prefix, before.contains_key(prefix), self.gateways.contains_key(prefix));
        }
        changed
    }

    /// Where a prefix goes: a peer's gateway before what BGP says.
    fn forwards(&self, prefix: IpNet) -> Option<&LearnedRoute> {
        let learned = || self.learned.get(&prefix).filter(|_| !self.is_withheld(prefix));
        self.gateways.get(&prefix).or_else(learned)
    }

    fn count(&mut self, prefix: IpNet, was_there: bool, is_there: bool) {
        let lengths = match prefix {
            IpNet::V4(_) => &mut self.lengths.0,
            IpNet::V6(_) => &mut self.lengths.1,
        };
        let count = lengths.entry(prefix.prefix_len()).or_default();
        *count = (*count + usize::from(is_there)).saturating_sub(usize::from(was_there));
        if *count == 0 {
            lengths.remove(&prefix.prefix_len());
        }
    }

    /// Learned routes that contain the address, longest prefix first.
    pub(crate) fn covering(&self, address: IpAddr) -> impl Iterator<Item = (IpNet, &LearnedRoute)> {
        let lengths = match address {
            IpAddr::V4(_) => &self.lengths.0,
            IpAddr::V6(_) => &self.lengths.1,
        };
        lengths.keys().rev().filter_map(move |length| {
            let prefix = IpNet::new(address, *length).ok()?.trunc();
            Some((prefix, self.forwards(prefix)?))
        })
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
        } else if self.gateways.contains_key(&prefix) {
            RouteSource::PeerGateway
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
        let Some(route) = self.forwards(prefix) else { return Want::Nothing };
        let next_hops = group(prefix, route, hops);
        if next_hops.is_empty() {
            return Want::Unresolved;
        }
        Want::Route(Wanted { kind: RouteKind::Unicast, next_hops })
    }

    /// Why no path of the prefix resolves, one reason per path.
    pub(crate) fn reasons(&self, prefix: IpNet, hops: &NextHops) -> String {
        let mut reasons: Vec<String> = Vec::new();
        for path in self.forwards(prefix).iter().flat_map(|route| &route.paths) {
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
        self.learned.keys().chain(self.gateways.keys()).chain(&self.own_blocks).copied().collect()
    }
}

/// The paths that resolve, as one group. A path behind several gateways gives each of them its weight times theirs.
fn group(prefix: IpNet, route: &LearnedRoute, hops: &NextHops) -> SmallVec<[NextHop; 1]> {
    let usable = |path: &LearnedPath| Some((path.weight, usable(prefix, path.next_hop, hops).ok()?));
    merge(route.paths.iter().filter_map(usable))
}

fn usable(prefix: IpNet, next_hop: NextHopKey, hops: &NextHops) -> Result<&Resolution, Unresolved> {
    let resolution = hops.result(next_hop)?;
    if resolution.leads_to_ipv4() && matches!(prefix, IpNet::V6(_)) {
        return Err(Unresolved::WrongFamily(next_hop.address));
    }
    Ok(resolution)
}
