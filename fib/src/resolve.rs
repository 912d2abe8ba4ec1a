//! From a BGP next hop to the kernel's gateway and link: longest-prefix match over everybody's routes, foreign ones
//! and our own. Pure functions of (address, routes, links); both families by the same code.
//!
//! A route of ours resolves its own next hops first (RFC 4271 §5.1.3: recursive), and only if that does not lead back
//! to the address in question: a next hop is never found through a route that needs it. All routes of such a circle
//! are passed over, each for the next hops that it would need, and less specific ones get their turn; so the outcome
//! does not depend on where one looks first or on what came first. It is at most [`DEPTH_MAX`] routes deep.

use std::net::IpAddr;

use ipnet::IpNet;
use smallvec::SmallVec;
use thiserror::Error;

use crate::{
    InterfaceName, LearnedRoute, NextHop, NextHopKey, PROTOCOL, RouteKind, foreign::ForeignTable, held::Held,
    link::Links, source::Sources,
};

/// Most routes of ours between a next hop and a foreign route. BGP over BGP over the IGP is two.
const DEPTH_MAX: usize = 8;
/// Most addresses looked up for one next hop: ECMP at every depth would be more than anybody means.
const LOOKUPS_MAX: usize = 256;
/// Largest weight the kernel can hold (`rtnh_hops` is an octet, less one).
pub(crate) const WEIGHT_MAX: u16 = 256;

/// Where packets for a next hop really go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolution {
    /// Sorted, at least one.
    pub(crate) hops: SmallVec<[NextHop; 1]>,
    /// 0 when connected, else the kernel metric of the route that resolves it, or 1.
    pub(crate) metric: u32,
    /// The route that resolves it, and those that resolve that one's next hops, outermost first. For people.
    pub(crate) through: SmallVec<[Through; 1]>,
}

/// A route that took part in a resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Through {
    pub(crate) prefix: IpNet,
    /// `rtm_protocol`.
    pub(crate) protocol: u8,
}

/// Why a next hop cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unresolved {
    #[error("the kernel's routes are not known yet")]
    NotScanned,
    #[error("no route to {0}")]
    NoRoute(IpAddr),
    #[error("link {link} is down (next hop {next_hop})")]
    LinkDown { next_hop: IpAddr, link: String },
    #[error("{0} is an address of this host")]
    OwnAddress(IpAddr),
    #[error("{0} is not a unicast address")]
    NotUnicast(IpAddr),
    #[error("{next_hop} is discarded by {prefix} ({kind})")]
    Discarded { next_hop: IpAddr, prefix: IpNet, kind: &'static str },
    #[error("{next_hop} is link-local and could be on any of {candidates} links")]
    AmbiguousLink { next_hop: IpAddr, candidates: usize },
    #[error("there is no link {interface} (next hop {next_hop})")]
    NoLink { next_hop: IpAddr, interface: InterfaceName },
    #[error(
        "{0} resolves through more than {DEPTH_MAX} routes of BGP's, one behind the other, or too many at once"
    )]
    TooDeep(IpAddr),
    #[error("an IPv6 route cannot use the IPv4 next hop {0}")]
    WrongFamily(IpAddr),
}

/// What one look-up found and what it depended on besides the routes that contain the address.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) result: Result<Resolution, Unresolved>,
    /// Links whose state mattered.
    pub(crate) links: SmallVec<[u32; 2]>,
    /// Next hops of our own routes that were looked up on the way.
    pub(crate) consulted: SmallVec<[NextHopKey; 1]>,
}

/// Everything a look-up may read.
pub(crate) struct Resolver<'a> {
    pub(crate) main: &'a ForeignTable,
    /// The kernel asks this table first, so we do.
    pub(crate) local: &'a ForeignTable,
    pub(crate) links: &'a Links,
    /// Our own routes. A block's blackhole is none of them: it is for what has no route of its own.
    pub(crate) own: &'a Sources,
    /// Their kernel metric, IPv4 and IPv6.
    pub(crate) own_metrics: (u32, u32),
    /// A default route resolves too.
    pub(crate) through_default: bool,
}

/// One look-up under way.
#[derive(Default)]
struct Walk {
    links: SmallVec<[u32; 2]>,
    consulted: SmallVec<[NextHopKey; 1]>,
    /// The next hop that was asked for, and what it led to.
    path: SmallVec<[IpAddr; 4]>,
    lookups: usize,
}

/// Why an address on the way gave nothing.
enum Failure {
    Unresolved(Unresolved),
    /// It leads back to this place of the path.
    Circle(usize),
    /// No answer for anybody on the path: one from half of the way would be wrong.
    TooDeep,
}

/// A route that contains the address.
enum Candidate<'a> {
    Foreign(&'a Held),
    Own(&'a LearnedRoute),
}

impl Resolver<'_> {
    pub(crate) fn resolve(&self, next_hop: NextHopKey) -> Answer {
        let mut walk = Walk::default();
        let result = self.step(next_hop, &mut walk).map_err(|failure| match failure {
            Failure::Unresolved(reason) => reason,
            // Only the address that a circle leads to hears of it, and that goes on with another route.
            Failure::Circle(_) => Unresolved::NoRoute(next_hop.address),
            Failure::TooDeep => Unresolved::TooDeep(next_hop.address),
        });
        Answer { result, links: walk.links, consulted: walk.consulted }
    }

    fn step(&self, next_hop: NextHopKey, walk: &mut Walk) -> Result<Resolution, Failure> {
        let NextHopKey { address, interface } = next_hop;
        if let Some(interface) = interface {
            return self.on_link(address, interface, walk).map_err(Failure::Unresolved);
        }
        if let Some(place) = walk.path.iter().position(|seen| *seen == address) {
            return Err(Failure::Circle(place));
        }
        walk.lookups += 1;
        if walk.lookups > LOOKUPS_MAX || walk.path.len() > DEPTH_MAX {
            return Err(Failure::TooDeep);
        }
        if let Some(reason) = self.refuse(address) {
            return Err(Failure::Unresolved(reason));
        }
        walk.path.push(address);
        let result = self.look_up(address, walk);
        walk.path.pop();
        result
    }

    /// The neighbor is on this link: no route has a say in it.
    fn on_link(
        &self,
        next_hop: IpAddr,
        interface: InterfaceName,
        walk: &mut Walk,
    ) -> Result<Resolution, Unresolved> {
        let ifindex = self.links.index_of(interface.as_str());
        let ifindex = ifindex.ok_or(Unresolved::NoLink { next_hop, interface })?;
        if !walk.links.contains(&ifindex) {
            walk.links.push(ifindex);
        }
        // A link-local address is ours only on the link on which we have it.
        let is_own = |held: &Held| held.next_hops.iter().any(|hop| hop.ifindex == ifindex);
        if self.local.covering(next_hop).into_iter().any(|(_, list)| list.iter().any(is_own)) {
            return Err(Unresolved::OwnAddress(next_hop));
        }
        if !self.links.is_up(ifindex) {
            return Err(Unresolved::LinkDown { next_hop, link: interface.to_string() });
        }
        let hop = NextHop { gateway: Some(next_hop), ifindex, onlink: false, weight: 1 };
        Ok(Resolution { hops: SmallVec::from_slice(&[hop]), metric: 0, through: SmallVec::new() })
    }

    /// Addresses that no route can make usable.
    fn refuse(&self, next_hop: IpAddr) -> Option<Unresolved> {
        if next_hop.is_unspecified() || next_hop.is_multicast() {
            return Some(Unresolved::NotUnicast(next_hop));
        }
        let (_, list) = self.local.covering(next_hop).into_iter().next()?;
        if list.iter().any(|held| held.kind == RouteKind::Local) {
            Some(Unresolved::OwnAddress(next_hop))
        } else {
            // Broadcast, anycast or multicast.
            Some(Unresolved::NotUnicast(next_hop))
        }
    }

    fn look_up(&self, next_hop: IpAddr, walk: &mut Walk) -> Result<Resolution, Failure> {
        let mut reason = None;
        let mut passed_over = false;
        for (prefix, list) in self.candidates(next_hop) {
            if is_link_local(next_hop) {
                let foreign = self.main.at(prefix).map_or(&[][..], |list| list.as_slice());
                return self.on_the_only_link((next_hop, prefix), foreign, walk).map_err(Failure::Unresolved);
            }
            for candidate in list {
                let found = match candidate {
                    Candidate::Foreign(held) => self.through_foreign(next_hop, prefix, held, walk),
                    Candidate::Own(route) => self.through_own(prefix, route, walk),
                };
                match found {
                    Ok(mut resolution) => {
                        if passed_over {
                            resolution.lie_on_link(next_hop);
                        }
                        return Ok(resolution);
                    }
                    // What would need this very address, or what is needed to get here: the latter is for that
                    // one to pass over.
                    Err(Failure::Circle(place)) if place + 1 < walk.path.len() => {
                        return Err(Failure::Circle(place));
                    }
                    Err(Failure::Circle(_)) => passed_over = true,
                    Err(Failure::TooDeep) => return Err(Failure::TooDeep),
                    Err(Failure::Unresolved(discarded @ Unresolved::Discarded { next_hop: of, .. }))
                        if of == next_hop =>
                    {
                        return Err(Failure::Unresolved(discarded));
                    }
                    // The kernel skips dead routes and goes on with a shorter prefix; so do we. What we pass over
                    // does not stand in the kernel.
                    Err(Failure::Unresolved(why)) => {
                        reason.get_or_insert(why);
                    }
                }
            }
        }
        Err(Failure::Unresolved(reason.unwrap_or(Unresolved::NoRoute(next_hop))))
    }

    /// The routes that contain the address, longest prefix first, each prefix's in the order in which the kernel
    /// would take them.
    fn candidates(&self, next_hop: IpAddr) -> SmallVec<[(IpNet, SmallVec<[Candidate<'_>; 2]>); 4]> {
        let is_candidate = |prefix: &IpNet| self.through_default || prefix.prefix_len() > 0;
        let mut found: SmallVec<[(IpNet, SmallVec<[Candidate<'_>; 2]>); 4]> = SmallVec::new();
        for (prefix, list) in
            self.main.covering(next_hop).into_iter().filter(|(prefix, _)| is_candidate(prefix))
        {
            let mut by_metric: SmallVec<[&Held; 4]> = list.iter().collect();
            // Stable: among equals the kernel takes the first.
            by_metric.sort_by_key(|held| held.metric);
            found.push((prefix, by_metric.into_iter().map(Candidate::Foreign).collect()));
        }
        if is_link_local(next_hop) {
            return found;
        }
        for (prefix, route) in self.own.covering(next_hop).filter(|(prefix, _)| is_candidate(prefix)) {
            let metric = self.own_metric(prefix);
            match found.iter_mut().find(|(other, _)| *other == prefix) {
                Some((_, list)) => {
                    let before = |candidate: &Candidate<'_>| match candidate {
                        Candidate::Foreign(held) => held.metric < metric,
                        Candidate::Own(_) => true,
                    };
                    let place = list.iter().position(|candidate| !before(candidate)).unwrap_or(list.len());
                    // Somebody who has our metric keeps us out of the kernel.
                    let is_blocked =
                        matches!(list.get(place), Some(Candidate::Foreign(held)) if held.metric == metric);
                    if !is_blocked {
                        list.insert(place, Candidate::Own(route));
                    }
                }
                None => found.push((prefix, SmallVec::from_iter([Candidate::Own(route)]))),
            }
        }
        found.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.prefix_len()));
        found
    }

    fn own_metric(&self, prefix: IpNet) -> u32 {
        match prefix {
            IpNet::V4(_) => self.own_metrics.0,
            IpNet::V6(_) => self.own_metrics.1,
        }
    }

    /// Through one route of somebody else's.
    fn through_foreign(
        &self,
        next_hop: IpAddr,
        prefix: IpNet,
        held: &Held,
        walk: &mut Walk,
    ) -> Result<Resolution, Failure> {
        let kind = match held.kind {
            RouteKind::Unicast => {
                let resolution = self.over(next_hop, prefix, held, walk);
                return resolution.ok_or_else(|| Failure::Unresolved(self.link_down(next_hop, walk)));
            }
            RouteKind::Blackhole => "blackhole",
            RouteKind::Local => "local",
            RouteKind::Other => "unreachable, prohibited or thrown",
        };
        Err(Failure::Unresolved(Unresolved::Discarded { next_hop, prefix, kind }))
    }

    /// Through one of ours: where that one's own next hops lead, together.
    fn through_own(
        &self,
        prefix: IpNet,
        route: &LearnedRoute,
        walk: &mut Walk,
    ) -> Result<Resolution, Failure> {
        let next_hop = walk.path.last().copied().unwrap_or(prefix.addr());
        let mut resolved: SmallVec<[(u16, Resolution); 2]> = SmallVec::new();
        let mut reason = None;
        for path in &route.paths {
            if !walk.consulted.contains(&path.next_hop) {
                walk.consulted.push(path.next_hop);
            }
            match self.step(path.next_hop, walk) {
                Ok(inner) if prefix.addr().is_ipv6() && inner.leads_to_ipv4() => {
                    reason.get_or_insert(Unresolved::WrongFamily(path.next_hop.address));
                }
                Ok(inner) => resolved.push((path.weight, inner)),
                Err(whole @ (Failure::Circle(_) | Failure::TooDeep)) => return Err(whole),
                Err(Failure::Unresolved(why)) => {
                    reason.get_or_insert(why);
                }
            }
        }
        let Some((_, first)) = resolved.first() else {
            return Err(Failure::Unresolved(reason.unwrap_or(Unresolved::NoRoute(next_hop))));
        };
        let mut through: SmallVec<[Through; 1]> =
            SmallVec::from_elem(Through { prefix, protocol: PROTOCOL }, 1);
        through.extend_from_slice(&first.through);
        let hops = merge(resolved.iter().map(|(weight, inner)| (*weight, inner)));
        Ok(Resolution { hops, metric: self.own_metric(prefix).max(1), through })
    }

    fn link_down(&self, next_hop: IpAddr, walk: &Walk) -> Unresolved {
        walk.links.first().map_or(Unresolved::NoRoute(next_hop), |link| Unresolved::LinkDown {
            next_hop,
            link: self.links.name(*link),
        })
    }

    /// The next hops of one foreign route that are on links which are up.
    fn over(&self, next_hop: IpAddr, prefix: IpNet, held: &Held, walk: &mut Walk) -> Option<Resolution> {
        let mut connected = true;
        let mut hops: SmallVec<[NextHop; 1]> = SmallVec::new();
        for hop in &held.next_hops {
            if !walk.links.contains(&hop.ifindex) {
                walk.links.push(hop.ifindex);
            }
            if !self.links.is_up(hop.ifindex) {
                continue;
            }
            connected &= hop.gateway.is_none();
            hops.push(NextHop { gateway: hop.gateway.or(Some(next_hop)), ..*hop });
        }
        hops.sort_unstable();
        let metric = if connected { 0 } else { held.metric.max(1) };
        let through = SmallVec::from_elem(Through { prefix, protocol: held.protocol }, 1);
        (!hops.is_empty()).then_some(Resolution { hops, metric, through })
    }

    /// A link-local address says nothing about its link, so there must be only one it can be on.
    fn on_the_only_link(
        &self,
        (next_hop, prefix): (IpAddr, IpNet),
        list: &[Held],
        walk: &mut Walk,
    ) -> Result<Resolution, Unresolved> {
        let mut usable = list
            .iter()
            .filter(|held| held.kind == RouteKind::Unicast)
            .filter(|held| held.next_hops.iter().all(|hop| hop.gateway.is_none()))
            .filter_map(|held| self.over(next_hop, prefix, held, walk));
        let first = usable.next();
        let others = usable.count();
        match first {
            Some(resolution) if others == 0 => Ok(resolution),
            Some(_) => Err(Unresolved::AmbiguousLink { next_hop, candidates: others + 1 }),
            None => Err(self.link_down(next_hop, walk)),
        }
    }
}

impl Resolution {
    /// RFC 8950 has IPv4 over an IPv6 next hop; nothing has the reverse, nor has the kernel.
    pub(crate) fn leads_to_ipv4(&self) -> bool {
        self.hops.iter().any(|hop| hop.gateway.is_some_and(|gateway| gateway.is_ipv4()))
    }

    /// A route of ours to the gateway itself was passed over, but the kernel holds it, and Linux refuses an IPv6
    /// gateway to which it has a route over a gateway, unless it is told not to look.
    fn lie_on_link(&mut self, gateway: IpAddr) {
        for hop in self.hops.iter_mut().filter(|hop| gateway.is_ipv6() && hop.gateway == Some(gateway)) {
            hop.onlink = true;
        }
    }
}

/// Several ways as one group: sorted, duplicates merged with their weights added, and all scaled down if one is more
/// than the kernel can hold. Each way's gateways get its weight times theirs.
pub(crate) fn merge<'a>(ways: impl Iterator<Item = (u16, &'a Resolution)>) -> SmallVec<[NextHop; 1]> {
    let mut merged: SmallVec<[(NextHop, u32); 2]> = SmallVec::new();
    for (weight, resolution) in ways {
        for hop in &resolution.hops {
            let share = u32::from(weight.clamp(1, WEIGHT_MAX)) * u32::from(hop.weight);
            let same = |(other, _): &&mut (NextHop, u32)| {
                other.gateway == hop.gateway && other.ifindex == hop.ifindex
            };
            match merged.iter_mut().find(same) {
                Some((other, sum)) => {
                    other.onlink |= hop.onlink;
                    *sum = sum.saturating_add(share);
                }
                None => merged.push((*hop, share)),
            }
        }
    }
    let most = merged.iter().map(|(_, share)| *share).max().unwrap_or(1);
    let max = u32::from(WEIGHT_MAX);
    let fits = |share: u32| {
        let scaled = (u64::from(share) * u64::from(max) + u64::from(most) / 2) / u64::from(most);
        if most > max { scaled.max(1) } else { u64::from(share) }
    };
    let hop = |(hop, share): (NextHop, u32)| NextHop {
        weight: u16::try_from(fits(share)).unwrap_or(WEIGHT_MAX),
        ..hop
    };
    let mut hops: SmallVec<[NextHop; 1]> = merged.into_iter().map(hop).collect();
    hops.sort_unstable();
    if let [only] = hops.as_mut_slice() {
        only.weight = 1;
    }
    hops
}

/// Of IPv6 only: 169.254.0.0/16 is routed like any other prefix (clouds put routers there).
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
        IpAddr::V4(_) => false,
    }
}
