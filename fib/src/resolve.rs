//! From a BGP next hop to the kernel's gateway and link: longest-prefix match over routes that are not ours.
//! Pure functions of (address, foreign routes, links); both families by the same code.
//!
//! Our own routes are not candidates: a BGP route never resolves through a BGP route. Recursive resolution,
//! when it comes, is another table handed to [`Resolver`] beside `main`, nothing more.

use std::net::IpAddr;

use ipnet::IpNet;
use smallvec::SmallVec;
use thiserror::Error;

use crate::{
    InterfaceName, NextHop, NextHopKey, RouteKind,
    foreign::ForeignTable,
    held::{Held, HeldList},
    link::Links,
};

/// Where packets for a next hop really go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolution {
    /// Sorted, at least one.
    pub(crate) hops: SmallVec<[NextHop; 1]>,
    /// 0 when connected, else the foreign route's metric or 1.
    pub(crate) metric: u32,
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
    #[error("an IPv6 route cannot use the IPv4 next hop {0}")]
    WrongFamily(IpAddr),
}

/// What one look-up found and what it depended on besides the routes that contain the address.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) result: Result<Resolution, Unresolved>,
    /// Links whose state mattered.
    pub(crate) links: SmallVec<[u32; 2]>,
}

/// Everything a look-up may read.
pub(crate) struct Resolver<'a> {
    pub(crate) main: &'a ForeignTable,
    /// The kernel asks this table first, so we do.
    pub(crate) local: &'a ForeignTable,
    pub(crate) links: &'a Links,
}

impl Resolver<'_> {
    pub(crate) fn resolve(&self, next_hop: NextHopKey) -> Answer {
        let NextHopKey { address, interface } = next_hop;
        let mut links = SmallVec::new();
        let result = match interface {
            Some(interface) => self.on_link(address, interface, &mut links),
            None => self.refuse(address).map_or_else(|| self.look_up(address, &mut links), Err),
        };
        Answer { result, links }
    }

    /// The neighbor is on this link: no route has a say in it.
    fn on_link(
        &self,
        next_hop: IpAddr,
        interface: InterfaceName,
        links: &mut SmallVec<[u32; 2]>,
    ) -> Result<Resolution, Unresolved> {
        let ifindex = self.links.index_of(interface.as_str());
        let ifindex = ifindex.ok_or(Unresolved::NoLink { next_hop, interface })?;
        links.push(ifindex);
        // A link-local address is ours only on the link on which we have it.
        let is_own = |held: &Held| held.next_hops.iter().any(|hop| hop.ifindex == ifindex);
        if self.local.covering(next_hop).into_iter().any(|(_, list)| list.iter().any(is_own)) {
            return Err(Unresolved::OwnAddress(next_hop));
        }
        if !self.links.is_up(ifindex) {
            return Err(Unresolved::LinkDown { next_hop, link: interface.to_string() });
        }
        let hop = NextHop { gateway: Some(next_hop), ifindex, onlink: false, weight: 1 };
        Ok(Resolution { hops: SmallVec::from_slice(&[hop]), metric: 0 })
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

    fn look_up(&self, next_hop: IpAddr, links: &mut SmallVec<[u32; 2]>) -> Result<Resolution, Unresolved> {
        let mut reason = Unresolved::NoRoute(next_hop);
        for (prefix, list) in self.main.covering(next_hop) {
            if is_link_local(next_hop) {
                return self.on_the_only_link(next_hop, list, links);
            }
            match self.through(next_hop, prefix, list, links) {
                Ok(Some(resolution)) => return Ok(resolution),
                // The kernel skips dead routes and goes on with a shorter prefix; so do we.
                Ok(None) => {
                    if let (Unresolved::NoRoute(_), Some(link)) = (&reason, links.first()) {
                        reason = Unresolved::LinkDown { next_hop, link: self.links.name(*link) };
                    }
                }
                Err(unresolved) => return Err(unresolved),
            }
        }
        Err(reason)
    }

    /// The best usable route of one prefix; `None` when all its links are down.
    fn through(
        &self,
        next_hop: IpAddr,
        prefix: IpNet,
        list: &HeldList,
        links: &mut SmallVec<[u32; 2]>,
    ) -> Result<Option<Resolution>, Unresolved> {
        let mut by_metric: SmallVec<[&Held; 4]> = list.iter().collect();
        // Stable: among equals the kernel takes the first.
        by_metric.sort_by_key(|held| held.metric);
        for held in by_metric {
            let kind = match held.kind {
                RouteKind::Unicast => {
                    if let Some(resolution) = self.over(next_hop, held, links) {
                        return Ok(Some(resolution));
                    }
                    continue;
                }
                RouteKind::Blackhole => "blackhole",
                RouteKind::Local => "local",
                RouteKind::Other => "unreachable, prohibited or thrown",
            };
            return Err(Unresolved::Discarded { next_hop, prefix, kind });
        }
        Ok(None)
    }

    /// The next hops of one foreign route that are on links which are up.
    fn over(&self, next_hop: IpAddr, held: &Held, links: &mut SmallVec<[u32; 2]>) -> Option<Resolution> {
        let mut connected = true;
        let mut hops: SmallVec<[NextHop; 1]> = SmallVec::new();
        for hop in &held.next_hops {
            if !links.contains(&hop.ifindex) {
                links.push(hop.ifindex);
            }
            if !self.links.is_up(hop.ifindex) {
                continue;
            }
            connected &= hop.gateway.is_none();
            hops.push(NextHop { gateway: hop.gateway.or(Some(next_hop)), ..*hop });
        }
        hops.sort_unstable();
        let metric = if connected { 0 } else { held.metric.max(1) };
        (!hops.is_empty()).then_some(Resolution { hops, metric })
    }

    /// A link-local address says nothing about its link, so there must be only one it can be on.
    fn on_the_only_link(
        &self,
        next_hop: IpAddr,
        list: &HeldList,
        links: &mut SmallVec<[u32; 2]>,
    ) -> Result<Resolution, Unresolved> {
        let mut usable = list
            .iter()
            .filter(|held| held.kind == RouteKind::Unicast)
            .filter(|held| held.next_hops.iter().all(|hop| hop.gateway.is_none()))
            .filter_map(|held| self.over(next_hop, held, links));
        let first = usable.next();
        let others = usable.count();
        match first {
            Some(resolution) if others == 0 => Ok(resolution),
            Some(_) => Err(Unresolved::AmbiguousLink { next_hop, candidates: others + 1 }),
            None => Err(links.first().map_or(Unresolved::NoRoute(next_hop), |link| Unresolved::LinkDown {
                next_hop,
                link: self.links.name(*link),
            })),
        }
    }
}

/// Of IPv6 only: 169.254.0.0/16 is routed like any other prefix (clouds put routers there).
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
        IpAddr::V4(_) => false,
    }
}
