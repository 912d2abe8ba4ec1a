//! The work that `poll_effect` does, one bounded step at a time, the most urgent first: what the kernel has to
//! know, then what peers in step have to know, then what the others have to catch up on, then what closes.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use super::Rib;
use super::adj_in::Shared;
use super::adj_out::{ExportContext, Group};
use super::event::{ExportAction, ExportPolicy, RibConfig, RibEffect};
use super::export::Terms;
use super::family::{Family, PerFamily, Prefix};
use super::member::Member;
use super::pace::{earlier, hold};
use super::pack::{Buckets, transmit};
use super::path::Slot;
use super::path_ids::{EntryId, PathIds, Uses};
use super::rules::DecisionRules;
use super::table::{PrefixId, Table};
use crate::PeerId;
use crate::wire::{RefreshSubtype, RouteRefresh, encode_end_of_rib};

/// Changed prefixes that are brought to the Adj-RIBs-Out at a time: what shares attributes among them shares
/// messages.
const FOLLOW_MAX: usize = 32_768;

/// Prefixes that a member that is behind is told at a time.
const CATCH_UP_MAX: usize = 32_768;

/// A batch of changed prefixes on its way through the groups.
pub(super) struct Follow {
    family: Family,
    ids: Vec<PrefixId>,
    next_group: usize,
}

/// Before the first configuration.
pub(super) static NOTHING_LEAVES: ExportPolicy =
    ExportPolicy { rules: Vec::new(), otherwise: ExportAction::Reject, communities: Vec::new() };

impl Rib {
    /// Does the most urgent piece of work; false when there is none.
    pub(super) fn work(&mut self) -> bool {
        self.walk();
        self.rejudge();
        if let Some(effect) = self.shared.next_hops.poll_effect() {
            self.effects.push_back(effect);
            return true;
        }
        if self.decide() {
            return true;
        }
        self.regroup();
        self.follow() || self.begin_answers() || self.catch_up() || self.finish()
    }

    fn walk(&mut self) {
        let mut has_walked = false;
        for family in Family::ALL {
            with_table!(self, family, table => if table.walk {
                table.walk(&mut self.shared);
                has_walked = true;
            });
        }
        if has_walked {
            // A changed next hop asks for a walk of both tables, so both have been.
            self.shared.next_hops.walked();
            self.check_prefix_limits();
        }
    }

    fn rejudge(&mut self) {
        let all = std::mem::take(&mut self.rejudge);
        let peers = std::mem::take(&mut self.reimport);
        if !all && peers.is_empty() {
            return;
        }
        for family in Family::ALL {
            with_table!(self, family, table => {
                table.rejudge(&mut self.shared, (!all).then_some(peers.as_slice()));
            });
        }
        self.check_prefix_limits();
    }

    /// Moves members to the group of their export policy. After the decision, so that what is decided anew
    /// is not withdrawn in between.
    fn regroup(&mut self) {
        let is_asked = !self.regroup.is_empty();
        for slot in std::mem::take(&mut self.regroup) {
            let Some(terms) = self.shared.peers.get(slot).map(|peer| Terms::of(&peer.terms)) else {
                continue;
            };
            let leaves = |group: &Option<Group>| {
                group.as_ref().is_some_and(|group| group.member(slot).is_some() && group.terms != terms)
            };
            let Some(old) = self.groups.iter().position(leaves) else { continue };
            let new = self.group_on(terms);
            let Some(mut group) = self.groups.get_mut(new).and_then(Option::take) else { continue };
            let context = export_context(self.config.as_ref());
            for family in Family::ALL {
                with_table!(self, family, table => if group.needs_filling(family) {
                    group.fill(&mut self.shared, context, table);
                });
            }
            if let Some(old) = self.groups.get_mut(old) {
                if let Some(old) = old
                    && let Some(member) = old.take(slot)
                {
                    let place = group.members.len();
                    let PerFamily { v4, v6 } = group.adopt(member, &old.out);
                    let (shared, effects) = (&mut self.shared, &mut self.effects);
                    transmit(&mut group, &[place], &self.v4, shared, v4, effects);
                    transmit(&mut group, &[place], &self.v6, shared, v6, effects);
                    Family::ALL.into_iter().for_each(|family| group.settle(family));
                }
                if let Some(empty) = old.take_if(|old| old.members.is_empty()) {
                    empty.release(&mut self.shared.attributes);
                }
            }
            if let Some(place) = self.groups.get_mut(new) {
                *place = Some(group);
            }
            self.release_due = true;
        }
        if is_asked {
            self.update_tells_every_path();
        }
    }

    fn decide(&mut self) -> bool {
        let rules = self.config.as_ref().map_or(&DecisionRules::UNCONFIGURED, |config| &config.decision);
        let mut changes = Vec::new();
        for family in Family::ALL {
            with_table!(self, family, table => table.decide(&mut self.shared, rules, &mut changes));
        }
        let has_changes = !changes.is_empty();
        if has_changes {
            self.effects.push_back(RibEffect::BestChanged(changes));
        }
        has_changes
    }

    /// Brings a batch of changes to one group's Adj-RIB-Out.
    fn follow(&mut self) -> bool {
        let Some(mut follow) = self.follow.take().or_else(|| self.next_follow()) else { return false };
        let context = export_context(self.config.as_ref());
        if let Some(place) = self.groups.get_mut(follow.next_group) {
            follow.next_group += 1;
            if let Some(group) = place.as_mut().filter(|group| group.terms.has(follow.family)) {
                let held = with_table!(self, follow.family, table => {
                    fill_and_follow(group, &mut self.shared, context, table, &follow.ids, &mut self.effects)
                });
                self.next_release = earlier(self.next_release, held);
            }
            self.follow = Some(follow);
            return true;
        }
        let (family, groups) = (follow.family, &self.groups);
        let path_ids = self.shared.path_ids.get_mut(family);
        with_table!(self, family, table => {
            for &id in &follow.ids {
                path_ids.free_unused(id, &uses(table, groups));
            }
            for &id in &follow.ids {
                table.free_unused(id, |id| is_held(id, family, groups, path_ids));
            }
        });
        true
    }

    fn next_follow(&mut self) -> Option<Follow> {
        for family in Family::ALL {
            let ids: Vec<_> = with_table!(self, family, table => table.take_changed(FOLLOW_MAX));
            if !ids.is_empty() {
                return Some(Follow { family, ids, next_group: 0 });
            }
        }
        None
    }

    /// Tells one member that is behind, and those behind by the same, its next prefixes.
    fn catch_up(&mut self) -> bool {
        let context = export_context(self.config.as_ref());
        for group in self.groups.iter_mut().flatten() {
            for family in Family::ALL {
                let did = with_table!(self, family, table => {
                    if group.needs_filling(family) {
                        group.fill(&mut self.shared, context, table);
                    }
                    let mut buckets = Buckets::default();
                    let cohort = group.catch_up(family, CATCH_UP_MAX, &mut buckets);
                    let has_reach = buckets.has_reach();
                    transmit(group, &cohort, table, &mut self.shared, buckets, &mut self.effects);
                    group.settle(family);
                    self.next_release = earlier(self.next_release, hold(group, &cohort, has_reach, self.shared.now));
                    !cohort.is_empty()
                });
                if did {
                    self.release_due = true;
                    return true;
                }
            }
        }
        false
    }

    /// What is due once everybody has been told what there is to tell.
    fn finish(&mut self) -> bool {
        if std::mem::take(&mut self.release_due) {
            for family in Family::ALL {
                let groups = &self.groups;
                let path_ids = self.shared.path_ids.get_mut(family);
                with_table!(self, family, table => {
                    path_ids.free_lingering(&uses(table, groups));
                    table.free_lingering(|id| is_held(id, family, groups, path_ids));
                });
            }
        }
        self.shared.peers.free_removed();
        if let Some(RibConfig { restarting, .. }) = self.config {
            let pending = self.shared.next_hops.pending();
            let (v4, v6, shared) = (&self.v4, &self.v6, &self.shared.attributes);
            let next_hops = &self.shared.next_hops;
            let awaits_recursion = || {
                next_hops.unreachable().map(|key| key.address).any(|address| match address {
                    IpAddr::V4(_) => v4.leads_to(shared, address),
                    IpAddr::V6(_) => v6.leads_to(shared, address),
                })
            };
            let (peers, now) = (&mut self.shared.peers, self.shared.now);
            if self.startup.poll_over(peers, pending, awaits_recursion, restarting, now) {
                self.effects.push_back(RibEffect::InSync);
            }
        }
        self.end_of_rib();
        self.mark_answers(RefreshSubtype::End, Group::end_answers);
        self.check_sent_limits();
        !self.effects.is_empty()
    }

    /// RFC 7313 §4: the mark goes before the first route that is sent again.
    fn begin_answers(&mut self) -> bool {
        self.mark_answers(RefreshSubtype::Begin, Group::begin_answers);
        !self.effects.is_empty()
    }

    fn mark_answers(
        &mut self,
        subtype: RefreshSubtype,
        mark: impl Fn(&mut Group, Family, usize) -> Vec<PeerId>,
    ) {
        for group in self.groups.iter_mut().flatten() {
            for family in Family::ALL {
                let messages = RouteRefresh { family: family.afi_safi(), subtype }.to_message();
                let peers = mark(group, family, messages.len());
                if !peers.is_empty() {
                    self.effects.push_back(RibEffect::Transmit { peers, messages });
                }
            }
        }
    }

    /// RFC 4724 §4.1: End-of-RIB follows the initial routes, and while we are restarting not before we have
    /// heard everybody, else a helper sweeps what we are about to announce again.
    fn end_of_rib(&mut self) {
        let Some(config) = &self.config else { return };
        if config.restarting && !self.startup.is_over() {
            return;
        }
        for group in self.groups.iter_mut().flatten() {
            for family in Family::ALL {
                let messages = encode_end_of_rib(family.afi_safi());
                let mut peers = Vec::new();
                for member in &mut group.members {
                    let is_due = member.families.get(family).owes_end_of_rib && member.is_in_step(family);
                    if is_due {
                        member.families.get_mut(family).owes_end_of_rib = false;
                        member.book_always(messages.len());
                        peers.push(member.peer);
                    }
                }
                if !peers.is_empty() {
                    self.effects.push_back(RibEffect::Transmit { peers, messages });
                }
            }
        }
    }
}

/// Who needs the identifiers of paths.
fn uses<P: Prefix>(
    table: &Table<P>,
    groups: &[Option<Group>],
) -> Uses<impl Fn(PrefixId, Slot, u32) -> bool, impl Fn(EntryId) -> bool> {
    let is_alive = |prefix, source, path_id| {
        let paths = table.get(prefix).map(|destination| &destination.paths);
        paths.into_iter().flatten().any(|path| path.source == source && path.path_id == path_id)
    };
    let is_held = |id| groups.iter().flatten().any(|group| group.holds_path(P::FAMILY, id));
    Uses { is_alive, is_held }
}

/// Whether somebody needs the number of a prefix without paths.
fn is_held(id: PrefixId, family: Family, groups: &[Option<Group>], path_ids: &PathIds) -> bool {
    path_ids.has(id) || groups.iter().flatten().any(|group| group.holds_prefix(family, id))
}

fn export_context(config: Option<&RibConfig>) -> ExportContext<'_> {
    match config {
        Some(config) => ExportContext { policy: &config.export, decision: &config.decision },
        None => ExportContext { policy: &NOTHING_LEAVES, decision: &DecisionRules::UNCONFIGURED },
    }
}

fn fill_and_follow<P: Prefix>(
    group: &mut Group,
    shared: &mut Shared,
    context: ExportContext<'_>,
    table: &Table<P>,
    ids: &[PrefixId],
    effects: &mut VecDeque<RibEffect>,
) -> Option<Instant> {
    if group.needs_filling(P::FAMILY) {
        group.fill(shared, context, table);
    }
    group.members.iter_mut().for_each(|member| member.follow_held(P::FAMILY));
    let of = |is_wanted: fn(&Member) -> bool, group: &Group| -> Vec<usize> {
        let places = group.members.iter().enumerate().filter(|(_, member)| is_wanted(member));
        places.map(|(place, _)| place).collect()
    };
    let cohort = of(|member| member.is_in_step(P::FAMILY), group);
    let (mut buckets, mut withdrawn) = (Buckets::default(), Buckets::default());
    group.follow(shared, context, table, ids, &mut buckets, &mut withdrawn);
    let has_reach = buckets.has_reach();
    transmit(group, &cohort, table, shared, buckets, effects);
    let paused = of(|member| member.pace.is_held(), group);
    if !paused.is_empty() {
        transmit(group, &paused, table, shared, withdrawn, effects);
        group.settle(P::FAMILY);
    }
    hold(group, &cohort, has_reach, shared.now)
}
