//! Other people's routes in one table: read for resolution and for keys that are taken, never written.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;
use smallvec::SmallVec;

use crate::{
    Route,
    held::{self, Change, Held, HeldList, LinkLoss},
    link::Links,
};

/// One kernel table's foreign routes. About 150 octets a route: a node agent sees hundreds, a router with a
/// full table in the kernel a million.
#[derive(Debug, Default)]
pub(crate) struct ForeignTable {
    routes: JointPrefixMap<IpNet, HeldList>,
    /// Prefixes with a route over a link, because a lost link takes them along in silence.
    by_link: BTreeMap<u32, BTreeSet<IpNet>>,
    /// How many routes go by a next-hop object.
    by_object: BTreeMap<u32, usize>,
    len: usize,
}

impl ForeignTable {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn present(&mut self, route: Route, replaces: bool, epoch: u32) -> Change {
        let prefix = route.key.prefix;
        let new = Held::new(route, epoch);
        // What nearly every message of a scan says: nothing new.
        if let Some(list) = self.routes.get_mut(&prefix)
            && held::confirm(list, &new, replaces)
        {
            return Change::None;
        }
        self.edit(prefix, |list| held::present(list, is_v6(prefix), new, replaces))
    }

    pub(crate) fn absent(&mut self, route: Route) -> Change {
        let prefix = route.key.prefix;
        self.edit(prefix, |list| held::absent(list, is_v6(prefix), &Held::new(route, 0)))
    }

    /// Forgets what the scan did not name; returns the prefixes that changed.
    pub(crate) fn sweep(&mut self, epoch: u32) -> Vec<IpNet> {
        let stale: Vec<IpNet> = self
            .routes
            .iter()
            .filter(|(_, list)| list.iter().any(|held| held.epoch != epoch))
            .map(|(prefix, _)| prefix)
            .collect();
        for prefix in &stale {
            self.edit(*prefix, |list| held::sweep(list, epoch));
        }
        stale
    }

    /// Forgets what a lost link took along; returns the prefixes that changed.
    pub(crate) fn lose_link(&mut self, index: u32, loss: LinkLoss, links: &Links) -> Vec<IpNet> {
        let candidates: Vec<IpNet> = self.by_link.get(&index).into_iter().flatten().copied().collect();
        candidates
            .into_iter()
            .filter(|prefix| {
                self.edit(*prefix, |list| held::lose_link(list, is_v6(*prefix), index, loss, links))
            })
            .collect()
    }

    /// Whether a route goes by this next-hop object.
    pub(crate) fn goes_by(&self, object: u32) -> bool {
        self.by_object.contains_key(&object)
    }

    /// Who holds this prefix and metric.
    pub(crate) fn holder(&self, prefix: IpNet, metric: u32) -> Option<&Held> {
        self.routes.get(&prefix)?.iter().find(|held| held.metric == metric)
    }

    /// The routes whose prefix contains the address, longest prefix first.
    pub(crate) fn covering(&self, address: IpAddr) -> SmallVec<[(IpNet, &HeldList); 4]> {
        let mut found: SmallVec<[(IpNet, &HeldList); 4]> = self.routes.cover(&IpNet::from(address)).collect();
        found.reverse();
        found
    }

    /// The routes to exactly this prefix.
    pub(crate) fn at(&self, prefix: IpNet) -> Option<&HeldList> {
        self.routes.get(&prefix)
    }

    fn edit<R>(&mut self, prefix: IpNet, change: impl FnOnce(&mut HeldList) -> R) -> R {
        let mut list = self.routes.remove(&prefix).unwrap_or_default();
        let links_before = links_of(&list);
        self.len -= list.len();
        for object in list.iter().filter_map(|held| held.object) {
            if let Some(count) = self.by_object.get_mut(&object) {
                *count -= 1;
                if *count == 0 {
                    self.by_object.remove(&object);
                }
            }
        }
        let result = change(&mut list);
        self.len += list.len();
        for object in list.iter().filter_map(|held| held.object) {
            *self.by_object.entry(object).or_default() += 1;
        }
        let links_after = links_of(&list);
        for link in links_before.iter().filter(|link| !links_after.contains(link)) {
            if let Some(prefixes) = self.by_link.get_mut(link) {
                prefixes.remove(&prefix);
                if prefixes.is_empty() {
                    self.by_link.remove(link);
                }
            }
        }
        for link in links_after.iter().filter(|link| !links_before.contains(link)) {
            self.by_link.entry(*link).or_default().insert(prefix);
        }
        if !list.is_empty() {
            self.routes.insert(prefix, list);
        }
        result
    }
}

fn links_of(list: &HeldList) -> SmallVec<[u32; 4]> {
    list.iter().flat_map(|held| &held.next_hops).map(|hop| hop.ifindex).collect()
}

pub(crate) fn is_v6(prefix: IpNet) -> bool {
    matches!(prefix, IpNet::V6(_))
}
