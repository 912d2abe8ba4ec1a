//! The index from next hop to the routes that use it, and the last answer for each: a change in the kernel
//! touches only the routes behind the next hops it affects.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use smallvec::SmallVec;

use crate::{
    InterfaceName, NextHopKey, NextHopReport,
    resolve::{Answer, Resolution, Resolver, Unresolved},
};

/// Every next hop that a route uses or that somebody tracks.
#[derive(Debug, Default)]
pub(crate) struct NextHops {
    hops: BTreeMap<NextHopKey, Tracked>,
    /// Must be resolved again before anything is decided.
    dirty: BTreeSet<NextHopKey>,
    /// Tracked, with a status that was not reported yet.
    unreported: BTreeSet<NextHopKey>,
    /// By next hop: those that consulted it.
    consulted_by: BTreeMap<NextHopKey, BTreeSet<NextHopKey>>,
}

#[derive(Debug)]
struct Tracked {
    users: BTreeSet<IpNet>,
    tracked: bool,
    result: Result<Resolution, Unresolved>,
    links: SmallVec<[u32; 2]>,
    /// Next hops of our own routes that its resolution went through, or tried to.
    consulted: SmallVec<[NextHopKey; 1]>,
    reported: Option<Result<u32, String>>,
}

impl NextHops {
    pub(crate) fn track(&mut self, next_hop: NextHopKey) {
        let entry = self.entry(next_hop);
        entry.tracked = true;
        entry.reported = None;
        if entry.result != Err(Unresolved::NotScanned) {
            self.unreported.insert(next_hop);
        }
    }

    pub(crate) fn untrack(&mut self, next_hop: NextHopKey) {
        if let Some(entry) = self.hops.get_mut(&next_hop) {
            entry.tracked = false;
            entry.reported = None;
        }
        self.unreported.remove(&next_hop);
        self.forget_if_unused(next_hop);
    }

    pub(crate) fn add_user(&mut self, next_hop: NextHopKey, prefix: IpNet) {
        self.entry(next_hop).users.insert(prefix);
    }

    pub(crate) fn remove_user(&mut self, next_hop: NextHopKey, prefix: IpNet) {
        if let Some(entry) = self.hops.get_mut(&next_hop) {
            entry.users.remove(&prefix);
        }
        self.forget_if_unused(next_hop);
    }

    pub(crate) fn result(&self, next_hop: NextHopKey) -> Result<&Resolution, Unresolved> {
        match self.hops.get(&next_hop) {
            Some(entry) => entry.result.as_ref().map_err(Clone::clone),
            None => Err(Unresolved::NotScanned),
        }
    }

    /// A route to this prefix appeared, changed or went, foreign or ours.
    pub(crate) fn touch_prefix(&mut self, prefix: IpNet) {
        let start = NextHopKey::from(prefix.network());
        let is_inside = |hop: &NextHopKey| hop.address <= prefix.broadcast();
        let inside = self.hops.range(start..).map(|(hop, _)| *hop);
        self.dirty.extend(inside.take_while(is_inside));
        // Each names everything that its resolution consulted, however deep.
        let consulted = self.consulted_by.range(start..).take_while(|(hop, _)| is_inside(hop));
        self.dirty.extend(consulted.flat_map(|(_, behind)| behind));
    }

    /// What resolves may have changed altogether.
    pub(crate) fn touch_all(&mut self) {
        self.dirty.extend(self.hops.keys());
    }

    /// A link changed, and has or had this name. Next hops are few (neighbours, not routes), so looking at each
    /// is cheap.
    pub(crate) fn touch_link(&mut self, index: u32, name: &str) {
        let is_named = |interface: InterfaceName| interface.as_str() == name;
        let is_on = |hop: &NextHopKey| hop.interface.is_some_and(is_named);
        let affected = self.hops.iter().filter(|(hop, entry)| {
            entry.links.contains(&index) || is_on(hop) || entry.consulted.iter().any(is_on)
        });
        self.dirty.extend(affected.map(|(hop, _)| *hop));
    }

    /// Resolves what is dirty; returns the routes whose next hops changed.
    pub(crate) fn settle(&mut self, resolver: &Resolver<'_>) -> BTreeSet<IpNet> {
        let mut affected = BTreeSet::new();
        while let Some(next_hop) = self.dirty.pop_first() {
            let Some(entry) = self.hops.get_mut(&next_hop) else { continue };
            let Answer { result, links, consulted } = resolver.resolve(next_hop);
            entry.links = links;
            let before = std::mem::replace(&mut entry.consulted, consulted.clone());
            relink(&mut self.consulted_by, next_hop, &before, &consulted);
            if entry.tracked && entry.reported.as_ref() != Some(&status(&result)) {
                self.unreported.insert(next_hop);
            }
            if entry.result != result {
                entry.result = result;
                affected.extend(entry.users.iter().copied());
            }
        }
        affected
    }

    pub(crate) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The next tracked next hop whose status the owner has not heard.
    pub(crate) fn poll_report(&mut self) -> Option<NextHopReport> {
        while let Some(next_hop) = self.unreported.pop_first() {
            let Some(entry) = self.hops.get_mut(&next_hop) else { continue };
            let status = status(&entry.result);
            // Changed and changed back before anybody looked.
            if entry.reported.as_ref() == Some(&status) {
                continue;
            }
            entry.reported = Some(status.clone());
            return Some(NextHopReport { next_hop, status });
        }
        None
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NextHopKey, usize, &Result<Resolution, Unresolved>)> {
        self.hops.iter().map(|(hop, entry)| (*hop, entry.users.len(), &entry.result))
    }

    fn entry(&mut self, next_hop: NextHopKey) -> &mut Tracked {
        self.hops.entry(next_hop).or_insert_with(|| {
            self.dirty.insert(next_hop);
            Tracked {
                users: BTreeSet::new(),
                tracked: false,
                result: Err(Unresolved::NotScanned),
                links: SmallVec::new(),
                consulted: SmallVec::new(),
                reported: None,
            }
        })
    }

    fn forget_if_unused(&mut self, next_hop: NextHopKey) {
        if self.hops.get(&next_hop).is_some_and(|entry| entry.users.is_empty() && !entry.tracked) {
            if let Some(entry) = self.hops.remove(&next_hop) {
                relink(&mut self.consulted_by, next_hop, &entry.consulted, &[]);
            }
            self.dirty.remove(&next_hop);
        }
    }
}

/// Keeps the index from consulted to consulting in step.
fn relink(
    index: &mut BTreeMap<NextHopKey, BTreeSet<NextHopKey>>,
    next_hop: NextHopKey,
    before: &[NextHopKey],
    after: &[NextHopKey],
) {
    for gone in before.iter().filter(|hop| !after.contains(hop)) {
        if let Some(behind) = index.get_mut(gone) {
            behind.remove(&next_hop);
            if behind.is_empty() {
                index.remove(gone);
            }
        }
    }
    for new in after.iter().filter(|hop| !before.contains(hop)) {
        index.entry(*new).or_default().insert(next_hop);
    }
}

fn status(result: &Result<Resolution, Unresolved>) -> Result<u32, String> {
    result.as_ref().map(|resolution| resolution.metric).map_err(ToString::to_string)
}
