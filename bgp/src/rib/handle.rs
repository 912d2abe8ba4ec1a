//! What events do: store, mark, ask for work. Nothing is decided, packed or sent here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;

use ipnet::IpNet;

use super::Rib;
use super::adj_in::{Announcement, Identity, originated};
use super::adj_out::Group;
use super::event::{NextHopStatus, OriginatedRoute, Retain, RibConfig, RibPeer};
use super::export::Terms;
use super::family::{Family, PerFamily, Prefix};
use super::import::import;
use super::next_hop::Affected;
use super::path::Slot;
use super::policy::Policy;
use super::session::{Lost, PeerEntry, SourceTerms};
use super::update_rules::UpdateRules;
use crate::wire::{PathAttributes, Update};
use crate::{AfiSafi, ClusterId, Nlri, PeerId};

/// RFC 4271 §6.3: a prefix that makes no sense as a unicast destination beyond this host is ignored, and the
/// rest of the message is not. What contains such prefixes, the default route first, is none of them. Nor is
/// 169.254.0.0/16: clouds put services there.
fn is_sensible(prefix: &IpNet) -> bool {
    match prefix {
        IpNet::V4(net) => {
            let first = net.network();
            // 0.0.0.0/8: "this network" (RFC 1122 §3.2.1.3).
            let is_this_network = first.octets().first() == Some(&0) && net.prefix_len() >= 8;
            !(first.is_multicast() || first.is_loopback() || is_this_network)
        }
        IpNet::V6(net) => {
            let first = net.network();
            let is_host_of_nobody =
                first.is_loopback() || (first.is_unspecified() && net.prefix_len() == 128);
            !(first.is_multicast() || first.is_unicast_link_local() || is_host_of_nobody)
        }
    }
}

impl Rib {
    pub(super) fn handle_configure(&mut self, config: RibConfig) {
        let old = self.config.replace(config);
        let Some(config) = &self.config else { return };
        if old.as_ref().map(|old| &old.export) != Some(&config.export) {
            self.v4.mark_all_changed();
            self.v6.mark_all_changed();
        }
        if old.is_some_and(|old| old.decision != config.decision) {
            self.v4.mark_all_dirty();
            self.v6.mark_all_dirty();
        }
        self.update_identity();
    }

    pub(super) fn handle_neighbors(&mut self, neighbors: Vec<PeerId>) {
        let known = neighbors.iter().copied().collect::<BTreeSet<_>>();
        let is_gone =
            |(slot, entry): (Slot, &PeerEntry)| (!known.contains(&entry.terms.peer)).then_some(slot);
        let gone: Vec<Slot> = self.shared.peers.iter().filter_map(is_gone).collect();
        for slot in gone {
            self.remove_peer(slot);
        }
        self.startup.handle_neighbors(neighbors, self.shared.now);
        self.update_identity();
    }

    fn remove_peer(&mut self, slot: Slot) {
        self.leave_group(slot);
        let lost = self.shared.peers.remove(slot, self.shared.now);
        self.request_walk(lost);
    }

    pub(super) fn handle_peer_up(&mut self, peer: Box<RibPeer>) {
        let is_older = |(slot, entry): (Slot, &PeerEntry)| {
            let other = entry.terms.peer;
            let is_older = other.index == peer.peer.index && other.generation < peer.peer.generation;
            is_older.then_some(slot)
        };
        let older: Vec<Slot> = self.shared.peers.iter().filter_map(is_older).collect();
        for slot in older {
            self.remove_peer(slot);
        }
        if let Some(slot) = self.shared.peers.slot(peer.peer) {
            self.leave_group(slot);
        }
        let Some(began) = self.shared.peers.begin(peer, self.shared.now) else { return };
        self.request_walk(began.lost);
        if began.reimport {
            self.reimport.push(began.slot);
        }
        if began.changed {
            self.rejudge = true;
            self.v4.mark_all_changed();
            self.v6.mark_all_changed();
        }
        self.update_identity();
        self.join_group(began.slot);
    }

    pub(super) fn handle_peer_down(&mut self, peer: PeerId, retain: Option<&Retain>) {
        let Some(slot) = self.shared.peers.slot(peer) else { return };
        self.leave_group(slot);
        let lost = self.shared.peers.end(slot, retain, self.shared.now);
        self.request_walk(lost);
    }

    pub(super) fn handle_update(&mut self, peer: PeerId, update: Update) {
        let Some(slot) = self.shared.peers.slot(peer) else { return };
        let Some(entry) = self.shared.peers.get_mut(slot).filter(|entry| entry.takes_updates()) else {
            return;
        };
        entry.active_at = self.shared.now;
        // RFC 4271 §4.3: a prefix in both counts as announced.
        for unreach in update.unreach {
            if let Some(family) = Family::of(unreach.family) {
                with_table!(self, family, table => for nlri in unreach.nlri {
                    if let Some(prefix) = Prefix::from_net(nlri.prefix) {
                        table.withdraw(&mut self.shared, slot, prefix, nlri.path_id);
                    }
                });
            }
        }
        if !update.reach.is_empty() {
            let Some(entry) = self.shared.peers.get(slot) else { return };
            let mut attributes = Some(import(update.attributes, &entry.terms));
            let last = update.reach.len() - 1;
            for (position, reach) in update.reach.into_iter().enumerate() {
                // Copied only when IPv4 and IPv6 stand in one message.
                let taken = if position == last { attributes.take() } else { attributes.clone() };
                let Some(mut attributes) = taken else { continue };
                attributes.next_hop = Some(reach.next_hop);
                self.announce(slot, reach.family, attributes, &reach.nlri);
            }
        }
        if let Some(family) = update.end_of_rib.and_then(Family::of) {
            self.handle_end_of_rib(slot, family);
        }
        self.check_prefix_limit(slot);
    }

    fn announce(&mut self, source: Slot, family: AfiSafi, attributes: PathAttributes, nlri: &[Nlri]) {
        let Some(family) = Family::of(family) else { return };
        let Some(peer) = self.shared.peers.get(source).filter(|peer| peer.has(family)) else { return };
        let epoch = peer.epoch(family);
        let attributes = self.shared.attributes.intern(attributes);
        let announcement = Announcement { source, attributes, epoch };
        with_table!(self, family, table => {
            let sensible = nlri.iter().filter(|nlri| is_sensible(&nlri.prefix));
            let prefixes = sensible.filter_map(|nlri| Some((Prefix::from_net(nlri.prefix)?, nlri.path_id)));
            table.announce(&mut self.shared, announcement, prefixes);
        });
        self.shared.attributes.release(attributes);
    }

    pub(super) fn handle_end_of_rib(&mut self, slot: Slot, family: Family) {
        let Some(entry) = self.shared.peers.get_mut(slot) else { return };
        let state = entry.families.get_mut(family);
        state.end_of_rib = true;
        // RFC 4724 §4.2: what has not been sent again goes.
        if entry.drop_stale(family) {
            with_table!(self, family, table => table.walk = true);
        }
    }

    pub(super) fn handle_refresh(&mut self, peer: PeerId, family: AfiSafi) {
        let Some(family) = Family::of(family) else { return };
        let Some(slot) = self.shared.peers.slot(peer) else { return };
        if let Some(group) = self.group_of(slot) {
            group.refresh(slot, family);
        }
    }

    /// Of a peer that is down too: what is retained of it is judged by the new policy.
    pub(super) fn handle_policy_changed(&mut self, peer: PeerId, import: Arc<Policy>, export: Arc<Policy>) {
        let Some(slot) = self.shared.peers.slot(peer) else { return };
        let Some(entry) = self.shared.peers.get_mut(slot) else { return };
        if entry.terms.import != import {
            entry.terms.import = import;
            self.reimport.push(slot);
        }
        if entry.terms.export != export {
            entry.terms.export = export;
            self.regroup.push(slot);
        }
    }

    /// As with policies.
    pub(super) fn handle_rules_changed(&mut self, peer: PeerId, rules: UpdateRules) {
        let Some(slot) = self.shared.peers.slot(peer) else { return };
        let Some(entry) = self.shared.peers.get_mut(slot) else { return };
        if entry.terms.rules == rules {
            return;
        }
        let before = SourceTerms::of(&entry.terms);
        entry.terms.rules = rules;
        let as_source = SourceTerms::of(&entry.terms);
        self.reimport.push(slot);
        self.regroup.push(slot);
        if before != as_source {
            self.v4.mark_all_changed();
            self.v6.mark_all_changed();
        }
    }

    /// It becomes our client or stops being one. Its paths then leave to others, with other attributes.
    pub(super) fn handle_reflector_client_changed(&mut self, peer: PeerId, client: Option<ClusterId>) {
        let Some(slot) = self.shared.peers.slot(peer) else { return };
        let Some(entry) = self.shared.peers.get_mut(slot) else { return };
        if entry.terms.reflector_client == client {
            return;
        }
        entry.terms.reflector_client = client;
        self.regroup.push(slot);
        self.v4.mark_all_changed();
        self.v6.mark_all_changed();
        self.update_identity();
    }

    pub(super) fn handle_add_path_maximum(&mut self, peer: PeerId, maximum: Option<NonZeroU8>) {
        let Some(slot) = self.shared.peers.slot(peer) else { return };
        let Some(entry) = self.shared.peers.get_mut(slot) else { return };
        entry.terms.add_path_maximum = maximum;
        self.regroup.push(slot);
    }

    pub(super) fn handle_originate(&mut self, routes: &[OriginatedRoute]) {
        let wanted: BTreeMap<IpNet, u32> =
            routes.iter().map(|route| (route.prefix.trunc(), route.local_pref)).collect();
        let old = std::mem::replace(&mut self.originated, wanted);
        for prefix in old.keys().filter(|prefix| !self.originated.contains_key(prefix)) {
            with_table!(self, Family::of_prefix(prefix), table => {
                if let Some(prefix) = Prefix::from_net(*prefix) {
                    table.withdraw(&mut self.shared, Slot::LOCAL, prefix, 0);
                }
            });
        }
        for (prefix, &local_pref) in &self.originated {
            if old.get(prefix) == Some(&local_pref) {
                continue;
            }
            let attributes = self.shared.attributes.intern(originated(local_pref));
            let announcement = Announcement { source: Slot::LOCAL, attributes, epoch: 0 };
            with_table!(self, Family::of_prefix(prefix), table => {
                let prefix = Prefix::from_net(*prefix).map(|prefix| (prefix, 0));
                table.announce(&mut self.shared, announcement, prefix.into_iter());
            });
            self.shared.attributes.release(attributes);
        }
    }

    pub(super) fn handle_next_hop_changed(&mut self, changes: Vec<(IpAddr, NextHopStatus)>) {
        for (address, status) in changes {
            match self.shared.next_hops.update(address, status) {
                Affected::Nothing => {}
                Affected::Prefixes(prefixes) => {
                    for (family, id) in prefixes {
                        with_table!(self, family, table => table.mark_dirty(id));
                    }
                }
                Affected::Walk => self.request_walk(PerFamily { v4: true, v6: true }),
            }
        }
    }

    pub(super) fn handle_transmitted(&mut self, peer: PeerId, bytes: usize) {
        let Some(slot) = self.shared.peers.slot(peer) else { return };
        if let Some(member) = self.group_of(slot).and_then(|group| group.member_mut(slot)) {
            member.handle_transmitted(bytes);
        }
    }

    pub(super) fn request_walk(&mut self, lost: Lost) {
        self.v4.walk |= lost.v4;
        self.v6.walk |= lost.v6;
    }

    /// Our router id or clusters may have changed, and with them what is a loop.
    fn update_identity(&mut self) {
        let router_id = self.config.as_ref().map(|config| config.router_id);
        let identity = Identity { router_id, clusters: self.shared.peers.clusters() };
        if self.shared.identity != identity {
            self.shared.identity = identity;
            self.rejudge = true;
        }
    }

    fn group_of(&mut self, slot: Slot) -> Option<&mut Group> {
        self.groups.iter_mut().flatten().find(|group| group.member(slot).is_some())
    }

    fn join_group(&mut self, slot: Slot) {
        let Some(terms) = self.shared.peers.get(slot).map(|peer| Terms::of(&peer.terms)) else { return };
        let place = self.group_on(terms);
        if let Some(group) = self.groups.get_mut(place).and_then(Option::as_mut)
            && let Some(peer) = self.shared.peers.get(slot)
        {
            group.join(slot, &peer.terms);
        }
        self.update_tells_every_path();
    }

    /// After groups came or went.
    pub(super) fn update_tells_every_path(&mut self) {
        for family in Family::ALL {
            let sends_paths = self.groups.iter().flatten().any(|group| group.terms.sends_paths(family));
            if !sends_paths {
                self.shared.path_ids.get_mut(family).clear();
            }
            with_table!(self, family, table => table.tells_every_path = sends_paths);
        }
    }

    /// The place of the group on these terms, a new one without members if there is none.
    pub(super) fn group_on(&mut self, terms: Terms) -> usize {
        let is_on = |group: &Option<Group>| group.as_ref().is_some_and(|group| group.terms == terms);
        if let Some(place) = self.groups.iter().position(is_on) {
            return place;
        }
        let place = self.groups.iter().position(Option::is_none).unwrap_or(self.groups.len());
        if place == self.groups.len() {
            self.groups.push(None);
        }
        if let Some(vacant) = self.groups.get_mut(place) {
            *vacant = Some(Group::new(terms));
        }
        place
    }

    fn leave_group(&mut self, slot: Slot) {
        self.release_due = true;
        for place in &mut self.groups {
            let is_empty =
                place.as_mut().is_some_and(|group| group.member(slot).is_some() && group.leave(slot));
            if is_empty && let Some(group) = place.take() {
                group.release(&mut self.shared.attributes);
            }
        }
        self.update_tells_every_path();
    }
}
