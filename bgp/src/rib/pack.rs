//! Packing: prefixes that are to be sent with the same attributes to the same members share messages, and the
//! messages are encoded once for all of these members.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use hashbrown::HashMap;

use super::adj_in::Shared;
use super::adj_out::Group;
use super::attributes::AttributesId;
use super::event::RibEffect;
use super::family::{Family, Prefix};
use super::member::Member;
use super::path::Slot;
use super::path_ids::EntryId;
use super::table::Table;
use crate::Nlri;
use crate::wire::{encode_reach, encode_unreach};

/// Most octets in one [`RibEffect::Transmit`].
pub(super) const TRANSMIT_MAX: usize = 65_536;

/// Most prefixes that are encoded, and booked against a member's window, at a time: about 41 kB of IPv4 host
/// routes, so that no more than one message in ten is less than full.
const ENCODE_MAX: usize = 8192;

/// What is to be said of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Withdraw,
    Reach(AttributesId),
}

/// To which of the members at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Target {
    /// [`Slot::NONE`]: all.
    AllBut(Slot),
    Only(Slot),
}

/// What the members have of a prefix before they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Nothing,
    /// A route from this source, which has none itself.
    From(Slot),
}

impl Held {
    fn by(self, slot: Slot) -> bool {
        match self {
            Self::Nothing => false,
            Self::From(source) => source != slot,
        }
    }
}

type Item = (EntryId, Held);

struct Bucket {
    action: Action,
    target: Target,
    items: Vec<Item>,
}

/// What is to be said, by who is to hear it and with which attributes.
#[derive(Default)]
pub(super) struct Buckets {
    buckets: Vec<Bucket>,
    places: HashMap<(Target, Action), usize, foldhash::fast::RandomState>,
}

impl Buckets {
    pub(super) fn add(&mut self, action: Action, target: Target, id: EntryId, held: Held) {
        if let Some(last) = self.buckets.last_mut()
            && (last.action, last.target) == (action, target)
        {
            last.items.push((id, held));
            return;
        }
        let next = self.buckets.len();
        let place = *self.places.entry((target, action)).or_insert(next);
        if place == next {
            self.buckets.push(Bucket { action, target, items: vec![(id, held)] });
        } else if let Some(bucket) = self.buckets.get_mut(place) {
            bucket.items.push((id, held));
        }
    }

    /// Whether anything is announced.
    pub(super) fn has_reach(&self) -> bool {
        self.buckets.iter().any(|bucket| bucket.action != Action::Withdraw)
    }

    /// Those for the same members next to each other, withdrawals first, else in the order they were met.
    fn into_sorted(self) -> Vec<Bucket> {
        let mut buckets = self.buckets;
        buckets.sort_by_key(|bucket| (bucket.target, bucket.action != Action::Withdraw));
        buckets
    }
}

/// Messages for one set of members.
#[derive(Default)]
struct Parcel {
    parts: Vec<Bytes>,
    open: BytesMut,
    len: usize,
    items: Vec<Item>,
}

impl Parcel {
    fn add(&mut self, messages: &[Bytes], items: &[Item]) {
        for message in messages {
            if self.open.len() + message.len() > TRANSMIT_MAX {
                self.parts.push(self.open.split().freeze());
            }
            self.open.extend_from_slice(message);
            self.len += message.len();
        }
        self.items.extend_from_slice(items);
    }

    fn into_parts(mut self) -> Vec<Bytes> {
        if !self.open.is_empty() {
            self.parts.push(self.open.freeze());
        }
        self.parts
    }
}

/// Encodes the buckets for those of `cohort` (places in `group.members`) that are to hear them. A member
/// without room falls behind for what it misses.
pub(super) fn transmit<P: Prefix>(
    group: &mut Group,
    cohort: &[usize],
    table: &Table<P>,
    shared: &mut Shared,
    buckets: Buckets,
    effects: &mut VecDeque<RibEffect>,
) {
    let mut nlri = Vec::new();
    let mut parcel = Parcel::default();
    let mut target = Target::AllBut(Slot::NONE);
    for bucket in buckets.into_sorted() {
        if bucket.target != target {
            send(group, cohort, P::FAMILY, target, std::mem::take(&mut parcel), effects);
            target = bucket.target;
        }
        if !cohort.iter().any(|&place| is_recipient(group, place, target)) {
            continue;
        }
        for items in bucket.items.chunks(ENCODE_MAX) {
            if cohort.iter().all(|&place| is_stalled(group, place) || !is_recipient(group, place, target)) {
                send(group, cohort, P::FAMILY, target, std::mem::take(&mut parcel), effects);
                fall_behind(group, cohort, P::FAMILY, target, items);
                continue;
            }
            let messages = encode(group, table, shared, bucket.action, items, &mut nlri);
            let len: usize = messages.iter().map(Bytes::len).sum();
            if parcel.len > 0 && parcel.len + len > TRANSMIT_MAX {
                send(group, cohort, P::FAMILY, target, std::mem::take(&mut parcel), effects);
            }
            parcel.add(&messages, items);
        }
    }
    send(group, cohort, P::FAMILY, target, parcel, effects);
}

fn encode<P: Prefix>(
    group: &mut Group,
    table: &Table<P>,
    shared: &mut Shared,
    action: Action,
    items: &[Item],
    nlri: &mut Vec<Nlri>,
) -> Vec<Bytes> {
    let family = P::FAMILY.afi_safi();
    let context = group.terms.encode_context();
    let path_ids = group.terms.sends_paths(P::FAMILY).then(|| shared.path_ids.get(P::FAMILY));
    let named = |&(id, _): &Item| {
        // RFC 7911 §3: a path is named by its prefix and its identifier.
        let (prefix, path_id) = path_ids.map_or(Some((id, 0)), |path_ids| path_ids.nlri(id))?;
        Some(Nlri { prefix: table.get(prefix)?.prefix.to_net(), path_id })
    };
    nlri.clear();
    nlri.extend(items.iter().filter_map(named));
    let messages = match action {
        Action::Withdraw => return encode_unreach(family, nlri, context),
        Action::Reach(id) => {
            shared.attributes.get(id).map(|set| encode_reach(family, &set.attributes, nlri, context))
        }
    };
    if let Some(messages) = messages
        && !messages.is_empty()
    {
        return messages;
    }
    // The attributes alone are longer than a message. The route cannot be sent, so what may have been sent
    // before has to go (RFC 4271 §9.2 leaves it open; this is what RFC 8654 §4 asks for).
    let messages = encode_unreach(family, nlri, context);
    for &(id, _) in items {
        group.out.get_mut(P::FAMILY).clear(&mut shared.attributes, id);
    }
    messages
}

fn send(
    group: &mut Group,
    cohort: &[usize],
    family: Family,
    target: Target,
    parcel: Parcel,
    effects: &mut VecDeque<RibEffect>,
) {
    if parcel.len == 0 {
        return;
    }
    let mut takers = Vec::new();
    for &place in cohort {
        if !is_recipient(group, place, target) {
            continue;
        }
        let Some(member) = group.members.get_mut(place) else { continue };
        if member.book(parcel.len) {
            takers.push(member.peer);
        } else {
            fall_behind(group, &[place], family, target, &parcel.items);
        }
    }
    if takers.is_empty() {
        return;
    }
    for messages in parcel.into_parts() {
        effects.push_back(RibEffect::Transmit { peers: takers.clone(), messages });
    }
}

fn fall_behind(group: &mut Group, cohort: &[usize], family: Family, target: Target, items: &[Item]) {
    for &place in cohort {
        if !is_recipient(group, place, target) {
            continue;
        }
        let Some(member) = group.members.get_mut(place) else { continue };
        for &(id, held) in items {
            let is_held = held.by(member.slot);
            member.fall_behind(family, id, is_held);
        }
    }
}

fn is_stalled(group: &Group, place: usize) -> bool {
    group.members.get(place).is_none_or(Member::is_stalled)
}

fn is_recipient(group: &Group, place: usize, target: Target) -> bool {
    group.members.get(place).is_some_and(|member| match target {
        Target::AllBut(slot) => member.slot != slot,
        Target::Only(slot) => member.slot == slot,
    })
}
