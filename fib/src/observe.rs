//! What the kernel says about itself: links, routes, scans. Turns each word into a change of the picture and
//! marks what depends on it; decides nothing.

use std::time::Instant;

use ipnet::IpNet;

use crate::{
    Fib, LinkState, Route, RouteKey, RouteKind,
    delta::Entry,
    foreign::is_v6,
    held::{self, Change, Held, HeldList, LinkLoss},
    ownership::{TABLE_LOCAL, TABLE_MAIN, is_ours},
};

impl Fib {
    pub(crate) fn handle_link(&mut self, state: LinkState) {
        let index = state.index;
        let change = self.links.apply(state, self.scan.epoch);
        if change.went_down {
            self.lose_link(index, LinkLoss::AdminDown);
        }
        if change.changed {
            self.hops.touch_link(index, &self.links.name(index));
        }
    }

    pub(crate) fn handle_link_gone(&mut self, index: u32) {
        let name = self.links.name(index);
        if self.links.remove(index) {
            self.lose_link(index, LinkLoss::Deleted);
            self.hops.touch_link(index, &name);
        }
    }

    pub(crate) fn handle_actual(&mut self, route: Route, replaces: bool) {
        let key = route.key;
        let epoch = self.scan.epoch;
        if is_ours(&route, self.config.table) {
            if self.is_blocked(key) && !self.scan.is_running() {
                // In company, which of the two was replaced or joined is anybody's guess.
                self.scan.want();
            }
            self.entries.entry(key).or_default();
            let new = Held::new(route, epoch);
            self.observe_ours(key, |list, is_v6| held::present(list, is_v6, new, replaces));
            return;
        }
        let ours_stands = self.entries.get(&key).is_some_and(|entry| !entry.actual.is_empty());
        if ours_stands && !self.scan.is_running() {
            if replaces && !self.is_blocked(key) {
                self.observe_ours(key, |list, _| {
                    list.clear();
                    Change::Known
                });
            }
            self.scan.want();
        }
        let Some(table) = self.foreign.get_mut(&key.table) else { return };
        let change = table.present(route, replaces, epoch);
        self.note_foreign(key.table, key.prefix, change);
    }

    pub(crate) fn handle_actual_gone(&mut self, route: Route) {
        let key = route.key;
        if is_ours(&route, self.config.table) {
            let gone = Held::new(route, 0);
            self.observe_ours(key, |list, is_v6| held::absent(list, is_v6, &gone));
            return;
        }
        if route.kind == RouteKind::Local && !is_v6(key.prefix) {
            // An address has gone. With the last one of a link the kernel throws away every IPv4 route over it, and
            // with any one the routes that prefer it as their source, and says nothing about either; when the
            // address is back before we look, nothing else tells.
            self.scan.want();
        }
        let Some(table) = self.foreign.get_mut(&key.table) else { return };
        let change = table.absent(route);
        self.note_foreign(key.table, key.prefix, change);
    }

    pub(crate) fn handle_scan_done(&mut self, now: Instant) {
        let epoch = self.scan.epoch;
        self.scan.handle_done(now);
        self.scanned = true;
        for index in self.links.unseen(epoch) {
            self.handle_link_gone(index);
        }
        let swept: Vec<(u32, Vec<IpNet>)> =
            self.foreign.iter_mut().map(|(table, routes)| (*table, routes.sweep(epoch))).collect();
        for (table, prefixes) in swept {
            for prefix in prefixes {
                self.note_foreign(table, prefix, Change::Known);
            }
        }
        let table = self.config.table;
        let stale: Vec<RouteKey> = self
            .entries
            .iter()
            .filter(|(key, entry)| key.table == table && entry.actual.iter().any(|h| h.epoch != epoch))
            .map(|(key, _)| *key)
            .collect();
        for key in stale {
            self.observe_ours(
                key,
                |list, _| {
                    if held::sweep(list, epoch) { Change::Known } else { Change::None }
                },
            );
        }
    }

    /// Changes what we believe to hold under a key, on the kernel's own word.
    fn observe_ours(&mut self, key: RouteKey, change: impl FnOnce(&mut HeldList, bool) -> Change) {
        let was_installed = self.entries.get(&key).is_some_and(Entry::is_installed);
        let Some(change) = self.edit_actual(key, change) else { return };
        match change {
            Change::None => return,
            Change::Known => {}
            Change::Uncertain => self.scan.want(),
        }
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.lost |= was_installed && !entry.is_installed();
        }
        self.clear_failure(key);
        self.review(key);
    }

    /// Edits the routes of ours under a key and keeps the count per link in step.
    pub(crate) fn edit_actual<R>(
        &mut self,
        key: RouteKey,
        change: impl FnOnce(&mut HeldList, bool) -> R,
    ) -> Option<R> {
        let entry = self.entries.get_mut(&key)?;
        for hop in entry.actual.iter().flat_map(|held| &held.next_hops) {
            if let Some(count) = self.our_links.get_mut(&hop.ifindex) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.our_links.remove(&hop.ifindex);
                }
            }
        }
        let result = change(&mut entry.actual, is_v6(key.prefix));
        for hop in entry.actual.iter().flat_map(|held| &held.next_hops) {
            *self.our_links.entry(hop.ifindex).or_default() += 1;
        }
        Some(result)
    }

    fn lose_link(&mut self, index: u32, loss: LinkLoss) {
        for (table, prefixes) in self.foreign_lost(index, loss) {
            for prefix in prefixes {
                self.note_foreign(table, prefix, Change::Known);
            }
        }
        if !self.our_links.contains_key(&index) {
            return;
        }
        let over_it =
            |entry: &Entry| entry.actual.iter().flat_map(|h| &h.next_hops).any(|hop| hop.ifindex == index);
        let keys: Vec<RouteKey> =
            self.entries.iter().filter(|(_, entry)| over_it(entry)).map(|(key, _)| *key).collect();
        let links = std::mem::take(&mut self.links);
        for key in keys {
            let lost = self.edit_actual(key, |list, is_v6| held::lose_link(list, is_v6, index, loss, &links));
            // Not somebody's doing, so not counted as a repair when it is put back.
            if lost == Some(true) {
                self.clear_failure(key);
                self.review(key);
            }
        }
        self.links = links;
    }

    fn foreign_lost(&mut self, index: u32, loss: LinkLoss) -> Vec<(u32, Vec<IpNet>)> {
        let links = &self.links;
        self.foreign
            .iter_mut()
            // Table local belongs to the addresses, and those have notifications of their own.
            .filter(|(table, _)| **table != TABLE_LOCAL)
            .map(|(table, routes)| (*table, routes.lose_link(index, loss, links)))
            .collect()
    }

    /// Marks what depends on a foreign prefix: next hops inside it and our key beside it.
    fn note_foreign(&mut self, table: u32, prefix: IpNet, change: Change) {
        match change {
            Change::None => return,
            Change::Known => {}
            Change::Uncertain => self.scan.want(),
        }
        if table == TABLE_MAIN || table == TABLE_LOCAL {
            self.hops.touch_prefix(prefix);
        }
        if table == self.config.table {
            let key = self.key(prefix);
            if self.entries.contains_key(&key) {
                self.clear_failure(key);
                self.review(key);
            }
        }
    }
}
