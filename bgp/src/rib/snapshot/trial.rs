//! Policies held against the routes that are there, changing nothing: what another policy would do, and which rules
//! decide how much. Worked out when asked for, a part of the tables at a time; routing counts nothing.
//!
//! The decision is not made anew: what another import policy lets in is not exported here. Of several paths that a
//! peer takes of one prefix (RFC 7911) the best one is tried.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::super::Rib;
use super::super::export::Terms;
use super::super::family::Prefix;
use super::super::import;
use super::super::path::Slot;
use super::super::policy::{Facts, Policy, PolicyRoute, SourceMatch, Will};
use super::super::session::{PeerEntry, SourceTerms};
use super::super::table::{Destination, PrefixId, Table};
use super::super::work::NOTHING_LEAVES;
use super::AttributesSnapshot;
use crate::PeerId;
use crate::wire::PathAttributes;

/// Which policy of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyDirection {
    /// Of what it sends.
    Import,
    /// Of what it is sent.
    Export,
}

/// A part of the routes of one peer and direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialPage {
    /// Routes that were looked at: those that the peer sent and that are no loops, or the best ones of others.
    pub routes: usize,
    /// Those on which the two policies differ.
    pub different: Vec<TriedRoute>,
    /// By family (true: IPv6) and the name of the rule that ends it under the policy that is tried, `None` for
    /// none: how many.
    pub rules: BTreeMap<(bool, Option<String>), usize>,
    /// Where to go on; `None`: that was all.
    pub next: Option<TrialPlace>,
}

impl TrialPage {
    /// Takes in the page that follows.
    pub fn add(&mut self, page: Self) {
        self.routes += page.routes;
        self.different.extend(page.different);
        for (rule, count) in page.rules {
            *self.rules.entry(rule).or_default() += count;
        }
        self.next = page.next;
    }
}

/// A place in the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialPlace {
    is_ipv6: bool,
    id: u32,
}

/// A route on which two policies differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedRoute {
    /// The destination.
    pub prefix: IpNet,
    /// As it is.
    pub now: Tried,
    /// As it would be.
    pub then: Tried,
}

/// What a policy makes of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The rule that ends it.
    pub rule: Option<String>,
    /// Its attributes then; `None`: it does not pass.
    pub attributes: Option<AttributesSnapshot>,
}

/// Before it is worded.
struct Outcome {
    rule: Option<String>,
    attributes: Option<PathAttributes>,
}

impl Rib {
    /// Holds `policy`, or the policy in force if there is none, against routes of an established peer, `count`
    /// prefixes from a place on.
    #[must_use]
    pub fn try_policy(
        &self,
        peer: PeerId,
        direction: PolicyDirection,
        policy: Option<&Arc<Policy>>,
        from: TrialPlace,
        count: u32,
    ) -> TrialPage {
        let Some(slot) = self.shared.peers.slot(peer) else { return TrialPage::default() };
        let Some(entry) = self.shared.peers.get(slot).filter(|entry| entry.is_up()) else {
            return TrialPage::default();
        };
        let in_force = match direction {
            PolicyDirection::Import => &entry.terms.import,
            PolicyDirection::Export => &entry.terms.export,
        };
        let trial = Trial {
            rib: self,
            slot,
            entry,
            direction,
            now: in_force,
            then: policy.unwrap_or(in_force),
            terms: Terms::of(&entry.terms),
        };
        let ids = from.id..from.id.saturating_add(count);
        let mut page = TrialPage::default();
        let len = if from.is_ipv6 {
            trial.walk(&self.v6, ids.clone(), &mut page);
            self.v6.ids().end
        } else {
            trial.walk(&self.v4, ids.clone(), &mut page);
            self.v4.ids().end
        };
        page.next = match (ids.end < len, from.is_ipv6) {
            (true, is_ipv6) => Some(TrialPlace { is_ipv6, id: ids.end }),
            (false, false) => Some(TrialPlace { is_ipv6: true, id: 0 }),
            (false, true) => None,
        };
        page
    }
}

struct Trial<'a> {
    rib: &'a Rib,
    slot: Slot,
    entry: &'a PeerEntry,
    direction: PolicyDirection,
    now: &'a Arc<Policy>,
    then: &'a Arc<Policy>,
    terms: Terms,
}

impl Trial<'_> {
    fn walk<P: Prefix>(&self, table: &Table<P>, ids: std::ops::Range<PrefixId>, page: &mut TrialPage) {
        let (now, then) = (self.terms.with_policy(self.now), self.terms.with_policy(self.then));
        for destination in ids.filter_map(|id| table.get(id)) {
            let prefix = destination.prefix.to_net();
            let pairs: Vec<(Outcome, Outcome)> = match self.direction {
                PolicyDirection::Import => self.imports(prefix, destination),
                PolicyDirection::Export => {
                    let pair = || Some((self.export(&now, destination)?, self.export(&then, destination)?));
                    pair().into_iter().collect()
                }
            };
            for (now, then) in pairs {
                page.routes += 1;
                *page.rules.entry((prefix.addr().is_ipv6(), then.rule.clone())).or_default() += 1;
                if now.attributes != then.attributes {
                    page.different.push(TriedRoute { prefix, now: worded(now), then: worded(then) });
                }
            }
        }
    }

    fn imports<P: Prefix>(&self, prefix: IpNet, destination: &Destination<P>) -> Vec<(Outcome, Outcome)> {
        let shared = &self.rib.shared;
        let is_asked = |path: &&super::super::path::Path| {
            path.source == self.slot && !self.entry.is_dead(P::FAMILY, path)
        };
        let paths = destination.paths.iter().filter(is_asked);
        let received = paths.filter_map(|path| shared.attributes.get(path.received()));
        // What is a loop is one whatever policy says.
        let usable = received.filter(|set| import::is_usable(&set.attributes, self.entry, &shared.identity));
        let outcome = |policy: &Policy, attributes: &PathAttributes| {
            let (rule, attributes) = import::tried(policy, &self.entry.terms, prefix, attributes);
            Outcome { rule, attributes }
        };
        usable.map(|set| (outcome(self.now, &set.attributes), outcome(self.then, &set.attributes))).collect()
    }

    /// `None`: not about this peer.
    fn export<P: Prefix>(&self, terms: &Terms, destination: &Destination<P>) -> Option<Outcome> {
        let shared = &self.rib.shared;
        let best = destination.best().filter(|best| best.source != self.slot && terms.has(P::FAMILY))?;
        // Ours for the peer is no business of its policy, and stands before this one.
        if terms.own_default(destination).is_some() {
            return None;
        }
        let set = shared.attributes.get(best.attributes)?;
        let prefix = destination.prefix.to_net();
        let policy = self.rib.config.as_ref().map_or(&NOTHING_LEAVES, |config| &config.export);
        let facts = Facts::default();
        let source = if best.source == Slot::LOCAL { SourceMatch::Own } else { SourceMatch::Learned };
        let peer_kind = self.entry.terms.negotiated.kind;
        let route = PolicyRoute { prefix, source, peer_kind, attributes: &set.attributes, facts: &facts };
        let rule = terms.policy().decide(&route).end.map(|(_, rule)| rule.name.clone());
        let leave = terms.leave(policy, &shared.attributes, prefix, best, &facts);
        let attributes = leave.and_then(|leave| {
            let changed = terms.apply(policy, P::FAMILY, &leave, &set.attributes);
            let (attributes, will) = match &changed {
                Some(changed) => (&changed.attributes, changed.will),
                None => (&*set.attributes, Will::default()),
            };
            let source = shared.peers.get(best.source).map(|peer| SourceTerms::of(&peer.terms));
            terms.export(P::FAMILY, source, set.key.scope, attributes, will)
        });
        Some(Outcome { rule, attributes })
    }
}

fn worded(outcome: Outcome) -> Tried {
    let Outcome { rule, attributes } = outcome;
    Tried { rule, attributes: attributes.as_ref().map(AttributesSnapshot::of) }
}
