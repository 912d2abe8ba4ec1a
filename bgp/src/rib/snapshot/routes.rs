//! Routes: looked up, listed by pages, as received and as advertised.

use std::collections::BinaryHeap;

use ipnet::IpNet;
use smallvec::SmallVec;

use super::super::Rib;
use super::super::adj_out::{Group, Sent};
use super::super::attributes::AttributesId;
use super::super::event::{Ineligible, NextHopStatus};
use super::super::family::{Family, Prefix};
use super::super::loc::verdict;
use super::super::path::{Path, Refusal, Slot};
use super::super::policy::{Facts, PolicyRoute, SourceMatch};
use super::super::rules::DecisionRules;
use super::super::table::{Destination, PrefixId, Table};
use super::{
    AdvertisedRoute, AttributesSnapshot, PathSnapshot, PathUsage, RoutePage, RouteSelection, RouteSnapshot,
};
use crate::PeerId;
use crate::wire::PathAttributes;

/// What a list is of.
#[derive(Clone, Copy)]
enum Listing {
    All,
    Received(Slot),
    Advertised(Slot),
}

impl Rib {
    /// Routes with all their paths, at most `limit` of them.
    #[must_use]
    pub fn routes(&self, selection: &RouteSelection, limit: usize) -> RoutePage<RouteSnapshot> {
        match selection {
            RouteSelection::All { after } => self.page(Listing::All, *after, limit),
            RouteSelection::Exact(prefix) => self.one(prefix, false),
            RouteSelection::LongestMatch(prefix) => self.one(prefix, true),
        }
    }

    /// What a peer has sent, whatever became of it: at most `limit` routes after `after`.
    #[must_use]
    pub fn received(&self, peer: PeerId, after: Option<IpNet>, limit: usize) -> RoutePage<RouteSnapshot> {
        match self.shared.peers.slot(peer) {
            Some(slot) => self.page(Listing::Received(slot), after, limit),
            None => RoutePage { routes: Vec::new(), next: None },
        }
    }

    /// What a peer holds of us: the paths of at most `limit` prefixes after `after`. What it has yet to be told
    /// about is not among them.
    #[must_use]
    pub fn advertised(&self, peer: PeerId, after: Option<IpNet>, limit: usize) -> RoutePage<AdvertisedRoute> {
        let Some(slot) = self.shared.peers.slot(peer) else {
            return RoutePage { routes: Vec::new(), next: None };
        };
        let (ids, next) = self.select(Listing::Advertised(slot), after, limit);
        let routes = ids.into_iter().flat_map(|(family, id)| {
            let prefix = match family {
                Family::V4 => self.v4.get(id).map(|destination| destination.prefix.to_net()),
                Family::V6 => self.v6.get(id).map(|destination| destination.prefix.to_net()),
            };
            let route = |(path_id, sent): (u32, Sent)| {
                let attributes = self.attributes(sent.attributes)?;
                Some(AdvertisedRoute { prefix: prefix?, path_id, attributes })
            };
            self.sent(slot, family, id).into_iter().filter_map(route).collect::<Vec<_>>()
        });
        RoutePage { routes: routes.collect(), next }
    }

    fn page(&self, listing: Listing, after: Option<IpNet>, limit: usize) -> RoutePage<RouteSnapshot> {
        let (ids, next) = self.select(listing, after, limit);
        let route = |(family, id)| match family {
            Family::V4 => Some(self.route(self.v4.get(id)?, listing)),
            Family::V6 => Some(self.route(self.v6.get(id)?, listing)),
        };
        RoutePage { routes: ids.into_iter().filter_map(route).collect(), next }
    }

    /// The lowest `limit` prefixes after `after`, and where to go on if that was not all.
    fn select(
        &self,
        listing: Listing,
        after: Option<IpNet>,
        limit: usize,
    ) -> (Vec<(Family, PrefixId)>, Option<IpNet>) {
        // One more than asked for tells whether there is more.
        let wanted = limit.saturating_add(1);
        let mut found = match after {
            Some(IpNet::V6(_)) => Vec::new(),
            Some(IpNet::V4(_)) | None => self.lowest(&self.v4, listing, after, wanted),
        };
        if found.len() < wanted {
            found.extend(self.lowest(&self.v6, listing, after, wanted - found.len()));
        }
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().map(|(prefix, ..)| *prefix).filter(|_| has_more);
        (found.into_iter().map(|(_, family, id)| (family, id)).collect(), next)
    }

    fn lowest<P: Prefix>(
        &self,
        table: &Table<P>,
        listing: Listing,
        after: Option<IpNet>,
        count: usize,
    ) -> Vec<(IpNet, Family, PrefixId)> {
        let after = after.and_then(P::from_net);
        let mut lowest = BinaryHeap::new();
        for (id, destination) in table.iter() {
            let prefix = destination.prefix;
            if after.is_some_and(|after| prefix <= after) || !self.is_listed(listing, id, destination) {
                continue;
            }
            if lowest.len() < count {
                lowest.push((prefix, id));
            } else if let Some(mut highest) = lowest.peek_mut()
                && prefix < highest.0
            {
                *highest = (prefix, id);
            }
        }
        let sorted = lowest.into_sorted_vec().into_iter();
        sorted.map(|(prefix, id)| (prefix.to_net(), P::FAMILY, id)).collect()
    }

    fn is_listed<P: Prefix>(&self, listing: Listing, id: PrefixId, destination: &Destination<P>) -> bool {
        match listing {
            Listing::All => true,
            Listing::Received(slot) => destination.paths.iter().any(|path| path.source == slot),
            Listing::Advertised(slot) => !self.sent(slot, P::FAMILY, id).is_empty(),
        }
    }

    fn one(&self, prefix: &IpNet, is_longest: bool) -> RoutePage<RouteSnapshot> {
        let route = match Family::of_prefix(prefix) {
            Family::V4 => self.find(&self.v4, *prefix, is_longest),
            Family::V6 => self.find(&self.v6, *prefix, is_longest),
        };
        RoutePage { routes: route.into_iter().collect(), next: None }
    }

    pub(super) fn find<P: Prefix>(
        &self,
        table: &Table<P>,
        prefix: IpNet,
        is_longest: bool,
    ) -> Option<RouteSnapshot> {
        let mut prefix = prefix.trunc();
        loop {
            let found = table.find(P::from_net(prefix)?).and_then(|id| table.get(id));
            let fits =
                |found: &&Destination<P>| !found.paths.is_empty() && (!is_longest || found.best().is_some());
            if let Some(destination) = found.filter(fits) {
                return Some(self.route(destination, Listing::All));
            }
            prefix = prefix.supernet().filter(|_| is_longest)?;
        }
    }

    /// What the member in `slot` holds of a prefix, by path identifier, 0 without.
    pub(super) fn sent(&self, slot: Slot, family: Family, id: PrefixId) -> SmallVec<[(u32, Sent); 1]> {
        let of = |group: &Group| {
            let behind = &group.member(slot)?.families.get(family).behind;
            let sent = |(path_id, entry)| {
                let is_told = behind.as_ref().is_none_or(|behind| !behind.is_dirty(entry));
                let sent = group.out.get(family).get(entry).filter(|sent| is_told && sent.source != slot);
                Some((path_id, sent?))
            };
            if !group.terms.sends_paths(family) {
                return Some(sent((0, id)).into_iter().collect());
            }
            let path_ids = self.shared.path_ids.get(family);
            let named = path_ids.of(id).filter_map(|entry| Some((path_ids.nlri(entry)?.1, entry)));
            let mut all: SmallVec<_> = named.filter_map(sent).collect();
            all.sort_unstable_by_key(|(path_id, _)| *path_id);
            Some(all)
        };
        self.groups().find_map(|(_, group)| of(group)).unwrap_or_default()
    }

    fn route<P: Prefix>(&self, destination: &Destination<P>, listing: Listing) -> RouteSnapshot {
        let rules = self.config.as_ref().map_or(&DecisionRules::UNCONFIGURED, |config| &config.decision);
        let prefix = destination.prefix.to_net();
        let (_, verdict) = verdict(&self.shared, destination, rules);
        let usage = |index: usize, path: &Path| {
            let lost = verdict.lost.iter().find(|lost| lost.index == index);
            match (verdict.used.iter().position(|&used| used == index), lost) {
                (Some(0), _) => PathUsage::Best,
                (Some(_), Some(lost)) => PathUsage::Multipath { reason: lost.reason },
                (None, Some(lost)) => PathUsage::Lost {
                    reason: lost.reason,
                    to: destination.paths.get(lost.to).map(|path| self.source_name(path)).unwrap_or_default(),
                    not_multipath: lost.left_out,
                },
                (_, None) => PathUsage::Ineligible { reason: self.ineligible(prefix, path) },
            }
        };
        let is_wanted = |path: &Path| match listing {
            Listing::All | Listing::Advertised(_) => true,
            Listing::Received(slot) => path.source == slot,
        };
        let paths = destination.paths.iter().enumerate().filter(|(_, path)| is_wanted(path));
        let mut paths: Vec<_> =
            paths.filter_map(|(index, path)| self.path(P::FAMILY, path, usage(index, path))).collect();
        paths.sort_by_cached_key(|path| (path.usage.clone(), path.peer_address, path.path_id));
        RouteSnapshot { prefix, paths }
    }

    fn path(&self, family: Family, path: &Path, usage: PathUsage) -> Option<PathSnapshot> {
        let peer = self.shared.peers.get(path.source);
        let uptime_secs = self.shared.now.saturating_duration_since(self.shared.started).as_secs();
        Some(PathSnapshot {
            source: self.source_name(path),
            peer: peer.map(|peer| peer.terms.peer),
            peer_address: peer.map(|peer| peer.terms.address),
            kind: peer.map(|peer| peer.terms.negotiated.kind),
            path_id: path.path_id,
            usage,
            stale: peer.is_some_and(|peer| peer.is_stale(family, path)),
            age_secs: uptime_secs.saturating_sub(u64::from(path.learned_secs)),
            attributes: self.attributes(path.attributes)?,
        })
    }

    fn source_name(&self, path: &Path) -> String {
        let peer = self.shared.peers.get(path.source);
        peer.map_or_else(|| "local".to_owned(), |peer| peer.terms.name.clone())
    }

    pub(super) fn attributes(&self, id: AttributesId) -> Option<AttributesSnapshot> {
        Some(AttributesSnapshot::of(&self.shared.attributes.get(id)?.attributes))
    }

    fn ineligible(&self, prefix: IpNet, path: &Path) -> Ineligible {
        match path.refusal {
            Refusal::FirstAs => Ineligible::FirstAs,
            Refusal::AsSet => Ineligible::AsSet,
            Refusal::NoImportPolicy => Ineligible::NoImportPolicy,
            Refusal::AsLoop => Ineligible::AsLoop,
            Refusal::OriginatorLoop => Ineligible::OriginatorLoop,
            Refusal::ClusterLoop => Ineligible::ClusterLoop,
            Refusal::Policy => Ineligible::Policy(self.rejecting_rule(prefix, path)),
            Refusal::RouteLeak => Ineligible::RouteLeak,
            Refusal::PeerDefault => Ineligible::PeerDefault,
            Refusal::OwnNextHop => Ineligible::NextHop("it is our own address (RFC 4271 §5.1.3)".to_owned()),
            Refusal::None => {
                let set = self.shared.attributes.get(path.attributes);
                let next_hop = set.and_then(|set| set.next_hop);
                match next_hop.and_then(|next_hop| self.shared.next_hops.status(next_hop)) {
                    Some(NextHopStatus::Unreachable { reason }) => Ineligible::NextHop(reason.clone()),
                    Some(NextHopStatus::Reachable { .. }) | None => {
                        Ineligible::NextHop("not looked up yet".to_owned())
                    }
                }
            }
        }
    }
}

impl Rib {
    /// Name of the rule that rejected a path.
    fn rejecting_rule(&self, prefix: IpNet, path: &Path) -> String {
        let Some(peer) = self.shared.peers.get(path.source) else { return String::new() };
        let Some(set) = self.shared.attributes.get(path.received()) else { return String::new() };
        let route = PolicyRoute {
            prefix,
            source: SourceMatch::Learned,
            peer_kind: peer.terms.negotiated.kind,
            attributes: &set.attributes,
            facts: &Facts::default(),
        };
        peer.terms.import.decide(&route).end.map(|(_, rule)| rule.name.clone()).unwrap_or_default()
    }
}

impl AttributesSnapshot {
    pub(super) fn of(attributes: &PathAttributes) -> Self {
        Self {
            next_hop: attributes.next_hop_key(),
            as_path: attributes.as_path.to_string(),
            origin: attributes.origin,
            local_pref: attributes.local_pref,
            med: attributes.med,
            communities: attributes.communities.iter().map(ToString::to_string).collect(),
            extended_communities: attributes.extended_communities.iter().map(ToString::to_string).collect(),
            large_communities: attributes.large_communities.iter().map(ToString::to_string).collect(),
            originator_id: attributes.originator_id,
            cluster_list: attributes.cluster_list.clone(),
            only_to_customer: attributes.only_to_customer,
        }
    }
}
