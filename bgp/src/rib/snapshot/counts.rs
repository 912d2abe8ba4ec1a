//! Summaries: mostly counters that are kept anyway. What is sent and what is stale is counted when asked for,
//! in one pass over each Adj-RIB-Out and, if there is a stale path at all, one over the table.

use hashbrown::HashMap;

use super::super::adj_out::{AdjOut, Group};
use super::super::family::{Family, Prefix};
use super::super::member::Member;
use super::super::path::Slot;
use super::super::session::{PeerEntry, Session};
use super::super::table::Table;
use super::super::{Rib, Shared};
use super::{FamilySummary, GroupSummary, PeerFamilySummary, PeerState, PeerSummary, RibSummary};

type Counts = HashMap<Slot, usize, foldhash::fast::RandomState>;

impl Rib {
    /// The whole in numbers.
    #[must_use]
    pub fn summary(&self) -> RibSummary {
        RibSummary {
            in_sync: self.startup.is_over(),
            families: vec![self.family_summary(&self.v4), self.family_summary(&self.v6)],
            attribute_sets: self.shared.attributes.len(),
            pending_next_hops: self.shared.next_hops.pending(),
            groups: self.groups().map(|(number, group)| self.group_summary(number, group)).collect(),
        }
    }

    /// Every known peer, by name.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerSummary> {
        let stale = [stale(&self.shared, &self.v4), stale(&self.shared, &self.v6)];
        let sent: Vec<SentCounts> = self
            .groups()
            .flat_map(|(number, group)| Family::ALL.map(|family| SentCounts::of(number, group, family)))
            .collect();
        let summary = |(slot, entry): (Slot, &PeerEntry)| {
            let group = self.groups().find_map(|(number, group)| Some((number, group, group.member(slot)?)));
            let families = Family::ALL.into_iter().zip(&stale).filter(|(family, _)| entry.has(*family));
            let families = families.map(|(family, stale)| {
                let counts = entry.families.get(family);
                PeerFamilySummary {
                    family: family.afi_safi().to_string(),
                    received: counts.received,
                    eligible: counts.eligible,
                    best: counts.best,
                    stale: stale.get(&slot).copied().unwrap_or(0),
                    end_of_rib: counts.end_of_rib,
                    advertised: group.map_or(0, |(number, group, member)| {
                        let counts =
                            sent.iter().find(|counts| counts.group == number && counts.family == family);
                        counts.map_or(0, |counts| counts.advertised(group.out.get(family), member))
                    }),
                    behind: group.map_or(0, |(_, _, member)| behind(member, family)),
                }
            });
            PeerSummary {
                peer: entry.terms.peer,
                name: entry.terms.name.clone(),
                address: entry.terms.address,
                state: match entry.session {
                    Session::Up => PeerState::Up,
                    Session::Retained { .. } => PeerState::Retained,
                    Session::Down => PeerState::Down,
                },
                group: group.map(|(number, _, _)| number),
                pending_bytes: group.map_or(0, |(_, _, member)| member.outstanding()),
                families: families.collect(),
            }
        };
        let mut peers: Vec<_> = self.shared.peers.iter().map(summary).collect();
        peers.sort_by(|a, b| (&a.name, a.peer).cmp(&(&b.name, b.peer)));
        peers
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = (usize, &Group)> {
        self.groups.iter().enumerate().filter_map(|(number, group)| Some((number, group.as_ref()?)))
    }

    fn family_summary<P: Prefix>(&self, table: &Table<P>) -> FamilySummary {
        let of_family = |prefix: &&ipnet::IpNet| Family::of_prefix(prefix) == P::FAMILY;
        let originated = self.originated.keys().filter(of_family).count();
        let learned: usize =
            self.shared.peers.iter().map(|(_, entry)| entry.families.get(P::FAMILY).best).sum();
        FamilySummary {
            family: P::FAMILY.afi_safi().to_string(),
            prefixes: table.len(),
            paths: table.paths,
            // A route of our own always wins.
            best: learned + originated,
            originated,
        }
    }

    fn group_summary(&self, number: usize, group: &Group) -> GroupSummary {
        let name = |member: &Member| {
            self.shared.peers.get(member.slot).map(|entry| entry.terms.name.clone()).unwrap_or_default()
        };
        let mut members: Vec<_> = group.members.iter().map(name).collect();
        members.sort_unstable();
        let is_in_step = |member: &&Member| Family::ALL.into_iter().all(|family| member.is_in_step(family));
        GroupSummary { group: number, members, in_step: group.members.iter().filter(is_in_step).count() }
    }
}

fn behind(member: &Member, family: Family) -> usize {
    member.families.get(family).behind.as_ref().map_or(0, |behind| behind.left())
}

/// Entries of an Adj-RIB-Out, and how many of them come from each source.
struct SentCounts {
    group: usize,
    family: Family,
    all: usize,
    by_source: Counts,
}

impl SentCounts {
    fn of(number: usize, group: &Group, family: Family) -> Self {
        let mut counts = Self { group: number, family, all: 0, by_source: Counts::default() };
        for (_, sent) in group.out.get(family).iter() {
            counts.all += 1;
            *counts.by_source.entry(sent.source).or_default() += 1;
        }
        counts
    }

    fn advertised(&self, out: &AdjOut, member: &Member) -> usize {
        match &member.families.get(self.family).behind {
            None => self.all - self.by_source.get(&member.slot).copied().unwrap_or(0),
            Some(behind) => {
                out.iter().filter(|(id, sent)| sent.source != member.slot && !behind.is_dirty(*id)).count()
            }
        }
    }
}

fn stale<P: Prefix>(shared: &Shared, table: &Table<P>) -> Counts {
    let mut counts = Counts::default();
    if !shared.peers.iter().any(|(_, entry)| entry.may_have_stale(P::FAMILY)) {
        return counts;
    }
    for (_, destination) in table.iter() {
        for path in &destination.paths {
            if shared.peers.get(path.source).is_some_and(|entry| entry.is_stale(P::FAMILY, path)) {
                *counts.entry(path.source).or_default() += 1;
            }
        }
    }
    counts
}
