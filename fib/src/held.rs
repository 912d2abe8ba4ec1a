//! How Linux keeps routes of one prefix: the rules by which a notification changes what we believe it holds.
//! Shared by our routes and foreign ones; knows nothing of what is wanted.
//!
//! Linux, net/ipv4/fib_trie.c and net/ipv6/ip6_fib.c, tried on 6.12 and 6.18:
//! - IPv4 may hold several routes of one prefix and metric (`ip route append`, one subnet on two links); a
//!   replace takes the place of the first. IPv6 merges gateway routes of one prefix and metric into one group,
//!   announces the whole group on an append, and announces only the lost hop on a removal.
//! - A link that goes administratively down takes along every route all of whose next hops are on links that
//!   are down. IPv4 says nothing about it; IPv6 does, after the link's own notification.
//! - A link that is deleted takes along any IPv4 route that names it; an IPv6 group only loses the hop.

use std::net::IpAddr;

use smallvec::SmallVec;

use crate::{NextHop, Route, RouteKey, RouteKind, link::Links};

/// A route in the kernel, without the parts of the key that its place says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) metric: u32,
    pub(crate) kind: RouteKind,
    pub(crate) protocol: u8,
    pub(crate) next_hops: SmallVec<[NextHop; 1]>,
    pub(crate) source: Option<IpAddr>,
    /// Says where to look when next-hop objects change; no part of what a route is.
    pub(crate) object: Option<u32>,
    /// Scan in which it was last confirmed.
    pub(crate) epoch: u32,
}

/// All routes of one prefix in one table, in the kernel's order.
pub(crate) type HeldList = SmallVec<[Held; 1]>;

/// What a notification did to what we believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Change {
    /// As it was.
    None,
    /// Different now.
    Known,
    /// Different, and the notification fits more than one story: scan.
    Uncertain,
}

/// How a link was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkLoss {
    AdminDown,
    Deleted,
}

impl Held {
    pub(crate) fn new(route: Route, epoch: u32) -> Self {
        let Route { key, kind, protocol, mut next_hops, source, object } = route;
        next_hops.sort_unstable();
        if let [only] = next_hops.as_mut_slice() {
            // The kernel has no weight for a single next hop.
            only.weight = 1;
        }
        Self { metric: key.metric, kind, protocol, next_hops, source, object, epoch }
    }

    pub(crate) fn to_route(&self, key: RouteKey) -> Route {
        Route {
            key,
            kind: self.kind,
            protocol: self.protocol,
            next_hops: self.next_hops.clone(),
            source: self.source,
            object: self.object,
        }
    }

    fn same(&self, other: &Self) -> bool {
        self.metric == other.metric
            && self.kind == other.kind
            && self.protocol == other.protocol
            && self.next_hops == other.next_hops
            && self.source == other.source
    }

    /// IPv6 merges such routes of one metric into one group.
    fn groupable(&self) -> bool {
        self.kind == RouteKind::Unicast
            && !self.next_hops.is_empty()
            && self.next_hops.iter().all(|hop| hop.gateway.is_some())
    }
}

/// True when exactly `new` is known already and nothing else can have changed; it is marked as seen.
pub(crate) fn confirm(list: &mut HeldList, new: &Held, replaces: bool) -> bool {
    let alone = !replaces || list.len() == 1;
    match list.iter_mut().find(|held| held.same(new)) {
        Some(held) if alone => {
            held.epoch = new.epoch;
            true
        }
        Some(_) | None => false,
    }
}

/// The kernel has `new`; with `replaces`, in the place of the first of its metric.
pub(crate) fn present(list: &mut HeldList, is_v6: bool, new: Held, replaces: bool) -> Change {
    let same_metric = list.iter().filter(|held| held.metric == new.metric).count();
    if let Some(held) = list.iter_mut().find(|held| held.same(&new)) {
        held.epoch = new.epoch;
        return if replaces && same_metric > 1 { Change::Uncertain } else { Change::None };
    }
    let merges = is_v6 && new.groupable();
    let place =
        list.iter_mut().find(|held| held.metric == new.metric && (replaces || merges && held.groupable()));
    match place {
        Some(held) => {
            *held = new;
            if replaces && same_metric > 1 { Change::Uncertain } else { Change::Known }
        }
        None => {
            list.push(new);
            Change::Known
        }
    }
}

/// The kernel does not have `gone` any more.
pub(crate) fn absent(list: &mut HeldList, is_v6: bool, gone: &Held) -> Change {
    if let Some(at) = list.iter().position(|held| held.same(gone)) {
        list.remove(at);
        return Change::Known;
    }
    if is_v6 && gone.groupable() {
        let lost = |hop: &NextHop| {
            gone.next_hops.iter().any(|g| g.gateway == hop.gateway && g.ifindex == hop.ifindex)
        };
        let group = list.iter().position(|held| {
            held.metric == gone.metric && held.groupable() && held.next_hops.iter().any(lost)
        });
        if let Some(at) = group {
            keep_hops(list, at, |hop| !lost(hop));
            return Change::Known;
        }
    }
    if list.iter().any(|held| held.metric == gone.metric) { Change::Uncertain } else { Change::None }
}

/// Forgets what the scan with this epoch did not name. True when anything went.
pub(crate) fn sweep(list: &mut HeldList, epoch: u32) -> bool {
    let before = list.len();
    list.retain(|held| held.epoch == epoch);
    list.len() != before
}

/// The kernel threw away what it throws away when a link is lost. True when anything went.
pub(crate) fn lose_link(list: &mut HeldList, is_v6: bool, index: u32, loss: LinkLoss, links: &Links) -> bool {
    let mut changed = false;
    for at in (0..list.len()).rev() {
        let Some(held) = list.get(at) else { continue };
        if !held.next_hops.iter().any(|hop| hop.ifindex == index) {
            continue;
        }
        match loss {
            LinkLoss::AdminDown => {
                if held.next_hops.iter().all(|hop| !links.is_admin_up(hop.ifindex)) {
                    list.remove(at);
                    changed = true;
                }
            }
            LinkLoss::Deleted => {
                if is_v6 {
                    keep_hops(list, at, |hop| hop.ifindex != index);
                } else {
                    list.remove(at);
                }
                changed = true;
            }
        }
    }
    changed
}

fn keep_hops(list: &mut HeldList, at: usize, keep: impl Fn(&NextHop) -> bool) {
    let Some(held) = list.get_mut(at) else { return };
    held.next_hops.retain(|hop| keep(hop));
    match held.next_hops.as_mut_slice() {
        [] => {
            list.remove(at);
        }
        [only] => only.weight = 1,
        [_, _, ..] => {}
    }
}
