//! Adj-RIB-Out, one per update group: what the members of a group have been told, and how it follows the
//! Loc-RIB.
//!
//! An entry is the attributes as sent and the source. A member has been told every entry of which it is not
//! the source itself (a route never goes back to where it came from), except where it is behind. Entries have the
//! numbers of prefixes where one path of a prefix is sent, and numbers of their own where several are
//! ([`super::path_ids`]); all else is the same for both.

use std::time::Instant;

use hashbrown::HashMap;

use super::adj_in::Shared;
use super::attributes::{AttributeTable, AttributesId};
use super::event::{ExportPolicy, RibPeer};
use super::export::{Leave, Terms};
use super::family::{Family, PerFamily, Prefix};
use super::member::{Answer, Behind, Member};
use super::pace::Pace;
use super::pack::{Action, Buckets, Held, Target};
use super::path::{Path, Refusal, Slot};
use super::path_ids::EntryId;
use super::policy::{Facts, Will};
use super::rules::DecisionRules;
use super::session::SourceTerms;
use super::table::{Destination, PrefixId, Table, reserve_slowly};
use crate::PeerId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) attributes: AttributesId,
    pub(super) source: Slot,
}

impl Sent {
    const NOTHING: Self = Self { attributes: AttributesId::NONE, source: Slot::NONE };
}

#[derive(Default)]
pub(super) struct AdjOut {
    sent: Vec<Sent>,
    /// Entries that say something.
    len: usize,
    /// It follows the Loc-RIB already.
    is_filled: bool,
}

impl AdjOut {
    pub(super) fn get(&self, id: EntryId) -> Option<Sent> {
        self.sent.get(id as usize).copied().filter(|&sent| sent != Sent::NOTHING)
    }

    /// Replaces an entry and takes over the caller's hold on its attributes. The old entry is returned with
    /// its hold.
    fn set(&mut self, id: EntryId, sent: Option<Sent>) -> Option<Sent> {
        let index = id as usize;
        if sent.is_none() && index >= self.sent.len() {
            return None;
        }
        while self.sent.len() <= index {
            reserve_slowly(&mut self.sent);
            self.sent.push(Sent::NOTHING);
        }
        let place = self.sent.get_mut(index)?;
        let old = std::mem::replace(place, sent.unwrap_or(Sent::NOTHING));
        self.len += usize::from(sent.is_some());
        let old = Some(old).filter(|&old| old != Sent::NOTHING);
        self.len -= usize::from(old.is_some());
        old
    }

    pub(super) fn clear(&mut self, attributes: &mut AttributeTable, id: EntryId) {
        if let Some(old) = self.set(id, None) {
            attributes.release(old.attributes);
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many of them a member in step has been told. Walks them all.
    pub(super) fn sent_to(&self, slot: Slot) -> usize {
        self.iter().filter(|(_, sent)| sent.source != slot).count()
    }

    /// Entries with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (EntryId, Sent)> {
        (0..).zip(&self.sent).map(|(id, &sent)| (id, sent)).filter(|&(_, sent)| sent != Sent::NOTHING)
    }

    /// What a member that holds nothing has yet to be told.
    fn owed(&self) -> Option<Box<Behind>> {
        let len = u32::try_from(self.sent.len()).unwrap_or(u32::MAX);
        (len > 0).then(|| Box::new(Behind::all(len)))
    }

    fn release_all(&mut self, attributes: &mut AttributeTable) {
        self.len = 0;
        for sent in std::mem::take(&mut self.sent) {
            attributes.release(sent.attributes);
        }
    }
}

/// Peers on equal terms.
pub(super) struct Group {
    pub(super) terms: Terms,
    /// In the order in which they came.
    pub(super) members: Vec<Member>,
    pub(super) out: PerFamily<AdjOut>,
}

/// What all groups share of the configuration.
#[derive(Clone, Copy)]
pub(super) struct ExportContext<'a> {
    pub(super) policy: &'a ExportPolicy,
    /// For the best of several paths (RFC 7911).
    pub(super) decision: &'a DecisionRules,
}

/// What became of paths on a group's terms, for as long as one batch lasts.
pub(super) struct Exported<'a> {
    pub(super) terms: &'a Terms,
    family: Family,
    pub(super) context: ExportContext<'a>,
    memo: HashMap<Exporting, AttributesId, foldhash::fast::RandomState>,
    last: Option<(Exporting, AttributesId)>,
    /// Of the attributes that were looked at last.
    facts: (AttributesId, Facts),
}

/// Routes that are alike in this leave alike.
type Exporting = (AttributesId, Slot, Leave);

impl<'a> Exported<'a> {
    fn new(terms: &'a Terms, context: ExportContext<'a>, family: Family) -> Self {
        let facts = (AttributesId::NONE, Facts::default());
        Self { terms, family, context, memo: HashMap::default(), last: None, facts }
    }

    /// What is to be sent for a path of a destination. The attributes are held by the memo.
    pub(super) fn sent<P: Prefix>(
        &mut self,
        shared: &mut Shared,
        destination: &Destination<P>,
        path: &Path,
    ) -> Option<Sent> {
        let source = path.source;
        let prefix = destination.prefix.to_net();
        if self.facts.0 != path.attributes {
            self.facts = (path.attributes, Facts::default());
        }
        let leave = match path.refusal {
            // Our own default for the peer is no business of its policy.
            Refusal::PeerDefault => Leave::default(),
            _ => self.terms.leave(self.context.policy, &shared.attributes, prefix, path, &self.facts.1)?,
        };
        let attributes = self.attributes(shared, (path.attributes, source, leave));
        (attributes != AttributesId::NONE).then_some(Sent { attributes, source })
    }

    fn attributes(&mut self, shared: &mut Shared, key: Exporting) -> AttributesId {
        if let Some((last, exported)) = &self.last
            && *last == key
        {
            return *exported;
        }
        let exported = match self.memo.get(&key) {
            Some(&exported) => exported,
            None => {
                let exported = self.export(shared, &key);
                self.memo.insert(key.clone(), exported);
                exported
            }
        };
        self.last = Some((key, exported));
        exported
    }

    fn export(&self, shared: &mut Shared, (id, source, leave): &Exporting) -> AttributesId {
        let source = shared.peers.get(*source).map(|peer| SourceTerms::of(&peer.terms));
        let exported = shared.attributes.get(*id).and_then(|set| {
            let changed = self.terms.apply(self.context.policy, self.family, leave, &set.attributes);
            let (attributes, will) = match &changed {
                Some(changed) => (&changed.attributes, changed.will),
                None => (&*set.attributes, Will::default()),
            };
            self.terms.export(self.family, source, set.key.scope, attributes, will)
        });
        exported.map_or(AttributesId::NONE, |exported| shared.attributes.intern(exported))
    }

    fn release(self, attributes: &mut AttributeTable) {
        for exported in self.memo.into_values() {
            attributes.release(exported);
        }
    }
}

impl Group {
    pub(super) fn new(terms: Terms) -> Self {
        Self { terms, members: Vec::new(), out: PerFamily::default() }
    }

    /// A member that holds nothing yet, and is owed everything there is.
    pub(super) fn join(&mut self, slot: Slot, peer: &RibPeer) {
        let mut member = Member::new(slot, peer.peer, peer.transmit_window);
        member.pace = Pace::new(peer.advertisement_interval_secs);
        member.marks_refreshes = peer.negotiated.enhanced_route_refresh;
        for family in Family::ALL.into_iter().filter(|&family| self.terms.has(family)) {
            let state = member.families.get_mut(family);
            state.owes_end_of_rib = true;
            state.behind = self.out.get(family).owed();
        }
        self.members.push(member);
    }

    /// A member that comes from another group, and holds what that one's Adj-RIBs-Out say; it is owed the
    /// difference. Both have been filled. Returns what a member whose advertisements are held back has to be told no
    /// longer to use: that does not wait.
    pub(super) fn adopt(&mut self, mut member: Member, from: &PerFamily<AdjOut>) -> PerFamily<Buckets> {
        let mut withdrawn = PerFamily::<Buckets>::default();
        let is_paused = member.pace.is_held() && !member.is_stalled();
        for family in Family::ALL.into_iter().filter(|&family| self.terms.has(family)) {
            let (old, new) = (from.get(family), self.out.get(family));
            let state = member.families.get_mut(family);
            let len = old.sent.len().max(new.sent.len());
            for id in 0..u32::try_from(len).unwrap_or(u32::MAX) {
                let (was, is) = (told(old.get(id), member.slot), told(new.get(id), member.slot));
                if is_paused && was.is_some() && is.is_none() {
                    if state.behind.get_or_insert_default().unmark(id, true) {
                        let target = Target::Only(member.slot);
                        withdrawn.get_mut(family).add(Action::Withdraw, target, id, Held::From(Slot::NONE));
                    }
                    continue;
                }
                // What it has yet to be told about stays so, with what it holds of that.
                if was != is && !state.behind.as_ref().is_some_and(|behind| behind.is_dirty(id)) {
                    state.behind.get_or_insert_default().mark(id, was.is_some());
                }
            }
        }
        self.members.push(member);
        withdrawn
    }

    /// Takes a member out as it is.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Member> {
        let place = self.members.iter().position(|member| member.slot == slot)?;
        Some(self.members.remove(place))
    }

    /// True when it was the last one.
    pub(super) fn leave(&mut self, slot: Slot) -> bool {
        self.members.retain(|member| member.slot != slot);
        self.members.is_empty()
    }

    pub(super) fn member_mut(&mut self, slot: Slot) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.slot == slot)
    }

    pub(super) fn member(&self, slot: Slot) -> Option<&Member> {
        self.members.iter().find(|member| member.slot == slot)
    }

    /// The peer wants the family again (RFC 2918 §4): everything it holds becomes due, or will when the beginning
    /// has been marked (RFC 7313 §4).
    pub(super) fn refresh(&mut self, slot: Slot, family: Family) {
        let out = self.out.get(family);
        let Some(member) = self.members.iter_mut().find(|member| member.slot == slot) else { return };
        if member.marks_refreshes {
            member.families.get_mut(family).answer = Answer::Due;
        } else {
            make_all_due(out, member, family);
        }
    }

    /// Members whose answer begins now, `len` octets each: not before the initial End-of-RIB (RFC 7313 §4).
    pub(super) fn begin_answers(&mut self, family: Family, len: usize) -> Vec<PeerId> {
        let out = self.out.get(family);
        let mut peers = Vec::new();
        for member in &mut self.members {
            let state = member.families.get_mut(family);
            if state.answer == Answer::Due && !state.owes_end_of_rib {
                state.answer = Answer::Begun;
                make_all_due(out, member, family);
                member.book_always(len);
                peers.push(member.peer);
            }
        }
        peers
    }

    /// Members whose answer has ended.
    pub(super) fn end_answers(&mut self, family: Family, len: usize) -> Vec<PeerId> {
        let mut peers = Vec::new();
        for member in &mut self.members {
            let in_step = member.is_in_step(family);
            let state = member.families.get_mut(family);
            if state.answer == Answer::Begun && in_step {
                state.answer = Answer::None;
                member.book_always(len);
                peers.push(member.peer);
            }
        }
        peers
    }

    pub(super) fn needs_filling(&self, family: Family) -> bool {
        self.terms.has(family) && !self.out.get(family).is_filled
    }

    /// Brings a new group's Adj-RIB-Out up to the Loc-RIB. Its members have been told nothing, and are owed all
    /// of it: what has come since they joined too.
    pub(super) fn fill<P: Prefix>(
        &mut self,
        shared: &mut Shared,
        context: ExportContext<'_>,
        table: &Table<P>,
    ) {
        let out = self.out.get_mut(P::FAMILY);
        out.is_filled = true;
        let mut exported = Exported::new(&self.terms, context, P::FAMILY);
        for (prefix, destination) in table.iter() {
            for (id, sent) in exported.entries(shared, prefix, destination) {
                if let Some(sent) = sent {
                    shared.attributes.retain(sent.attributes);
                }
                if let Some(old) = out.set(id, sent) {
                    shared.attributes.release(old.attributes);
                }
            }
        }
        exported.release(&mut shared.attributes);
        for member in &mut self.members {
            member.families.get_mut(P::FAMILY).behind = out.owed();
        }
    }

    /// Follows the Loc-RIB for these prefixes. What members in step have to be told is added to `buckets`,
    /// what the others have to be told is marked, except that what a member whose advertisements are held back has to
    /// be told no longer to use is added to `withdrawn`.
    pub(super) fn follow<P: Prefix>(
        &mut self,
        shared: &mut Shared,
        context: ExportContext<'_>,
        table: &Table<P>,
        ids: &[PrefixId],
        buckets: &mut Buckets,
        withdrawn: &mut Buckets,
    ) {
        let family = P::FAMILY;
        let out = self.out.get_mut(family);
        let in_step: Vec<Slot> = self
            .members
            .iter()
            .filter(|member| member.is_in_step(family))
            .map(|member| member.slot)
            .collect();
        let mut behind: Vec<(Slot, bool, &mut Behind)> = self
            .members
            .iter_mut()
            .filter_map(|member| {
                let is_paused = member.pace.is_held() && !member.is_stalled();
                Some((member.slot, is_paused, member.families.get_mut(family).behind.as_deref_mut()?))
            })
            .collect();
        let mut exported = Exported::new(&self.terms, context, family);
        let entries = ids.iter().filter_map(|&prefix| Some((prefix, table.get(prefix)?)));
        for (prefix, destination) in entries {
            for (id, new) in exported.entries(shared, prefix, destination) {
                let old = out.get(id);
                if old == new {
                    continue;
                }
                if let Some(new) = new {
                    shared.attributes.retain(new.attributes);
                }
                for (slot, is_paused, behind) in &mut behind {
                    let (was, is) = (told(old, *slot), told(new, *slot));
                    if was == is {
                        continue;
                    }
                    if !*is_paused || is.is_some() {
                        behind.mark(id, was.is_some());
                    } else if behind.unmark(id, was.is_some()) {
                        withdrawn.add(Action::Withdraw, Target::Only(*slot), id, Held::From(Slot::NONE));
                    }
                }
                tell(buckets, &in_step, id, old, new);
                // The buckets name only new attributes, which the new entries hold until they are packed.
                if let Some(old) = out.set(id, new) {
                    shared.attributes.release(old.attributes);
                }
            }
        }
        exported.release(&mut shared.attributes);
    }

    /// Takes the next entries that a member has yet to be told, together with all members that have to be
    /// told the same. Returns their places in `members`; empty: nobody can go on.
    pub(super) fn catch_up(&mut self, family: Family, max: usize, buckets: &mut Buckets) -> Vec<usize> {
        let Some(leader) = self.members.iter().find(|member| member.can_catch_up(family)) else {
            return Vec::new();
        };
        let Some(due) = leader.families.get(family).behind.as_deref() else { return Vec::new() };
        let words = due.next_words(max.min(leader.prefixes_that_fit()));
        let is_like = |member: &&Member| {
            let behind = member.families.get(family).behind.as_deref();
            member.can_catch_up(family) && behind.is_some_and(|other| other.is_like(due, words.clone()))
        };
        let cohort: Vec<usize> = (0..self.members.len())
            .filter(|&place| self.members.get(place).as_ref().is_some_and(is_like))
            .collect();
        let slots: Vec<Slot> = self.members.iter().filter(is_like).map(|member| member.slot).collect();
        // What they hold has attributes and a source that are not known any more, and do not matter.
        let something = Sent { attributes: AttributesId::NONE, source: Slot::LOCAL };
        for id in due.ids(words.clone()) {
            let old = due.holds(id).then_some(something);
            tell(buckets, &slots, id, old, self.out.get(family).get(id));
        }
        for &place in &cohort {
            if let Some(member) = self.members.get_mut(place)
                && let Some(behind) = member.families.get_mut(family).behind.as_deref_mut()
            {
                behind.clear(words.clone());
            }
        }
        cohort
    }

    /// Those whose advertisements are no longer held back, and when the next one's will be.
    pub(super) fn release_held(&mut self, now: Instant) -> Option<Instant> {
        self.members.iter_mut().filter_map(|member| member.pace.release(now)).min()
    }

    /// Members that have been told everything are in step again.
    pub(super) fn settle(&mut self, family: Family) {
        for member in &mut self.members {
            let state = member.families.get_mut(family);
            if state.behind.as_ref().is_some_and(|behind| behind.left() == 0) {
                state.behind = None;
            }
        }
    }

    /// Whether a member that is behind has yet to be told that this prefix is gone.
    pub(super) fn holds_prefix(&self, family: Family, id: PrefixId) -> bool {
        !self.terms.sends_paths(family) && self.is_owed(family, id)
    }

    /// Whether a member holds the path of this entry, or has yet to be told that it is gone.
    pub(super) fn holds_path(&self, family: Family, id: EntryId) -> bool {
        self.terms.sends_paths(family) && (self.out.get(family).get(id).is_some() || self.is_owed(family, id))
    }

    fn is_owed(&self, family: Family, id: EntryId) -> bool {
        self.members
            .iter()
            .any(|member| member.families.get(family).behind.as_ref().is_some_and(|behind| behind.holds(id)))
    }

    /// Lets go of everything.
    pub(super) fn release(mut self, attributes: &mut AttributeTable) {
        for family in Family::ALL {
            self.out.get_mut(family).release_all(attributes);
        }
    }
}

fn make_all_due(out: &AdjOut, member: &mut Member, family: Family) {
    for (id, sent) in out.iter() {
        if sent.source != member.slot {
            member.fall_behind(family, id, true);
        }
    }
}

/// What the member in `slot` is told of an entry.
fn told(sent: Option<Sent>, slot: Slot) -> Option<AttributesId> {
    sent.filter(|sent| sent.source != slot).map(|sent| sent.attributes)
}

/// Adds to `buckets` what turns `old` into `new` for the members in `slots`.
fn tell(buckets: &mut Buckets, slots: &[Slot], id: EntryId, old: Option<Sent>, new: Option<Sent>) {
    if slots.is_empty() {
        return;
    }
    // A source that is not among them needs no exception, and one exception fewer is one message fewer.
    let exception = |sent: Sent| if slots.contains(&sent.source) { sent.source } else { Slot::NONE };
    let held = old.map_or(Held::Nothing, |old| Held::From(old.source));
    match (old, new) {
        (None, None) => {}
        (Some(old), None) => buckets.add(Action::Withdraw, Target::AllBut(exception(old)), id, held),
        (None, Some(new)) => {
            buckets.add(Action::Reach(new.attributes), Target::AllBut(exception(new)), id, held);
        }
        (Some(old), Some(new)) => {
            let (was, is) = (exception(old), exception(new));
            if old.attributes != new.attributes {
                buckets.add(Action::Reach(new.attributes), Target::AllBut(is), id, held);
            } else if was != is && was != Slot::NONE {
                buckets.add(Action::Reach(new.attributes), Target::Only(was), id, held);
            }
            if was != is && is != Slot::NONE {
                buckets.add(Action::Withdraw, Target::Only(is), id, held);
            }
        }
    }
}
