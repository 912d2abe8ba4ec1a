//! BGPFilters into policies of sessions. Pure.
//!
//! Calico's order: the filters of a session one after the other, the rules of each in order, and the first rule
//! that matches ends it, unless it says Next. So the filters of a session are one list of rules per direction and
//! family.

mod communities;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bgp::rib::{
    AsPathRegex, CommunityPattern, CommunityValue, Condition, Matches, MedChange, NextHopChange, Operation,
    Policy, PolicyRule, PolicyVerdict, PrefixCommunities, PrefixMatch, PrefixSet, PrefixSetEntry,
    SourceMatch,
};
use bgp::wire::{NextHop, Origin};
use bgp::{Asn, PeerKind};
use config::Problem;
use config::catalog::Resources;
use config::model::{
    self, BgpFilter, BgpFilterRule, BgpSet, CommunityMatch, FilterAction, FilterCommunities, FilterOperation,
    FilterPrefix, FilterSource, MatchOperator, MedValue, NextHopTarget, PeerType, PrefixAdvertisement,
    RouteCommunity, RouteConditions, RouteOrigin, SetPrefix,
};

pub(super) use communities::add_communities;
use communities::{exactly, patterns, plain_community, route_community, value_of};

/// Calico's priorities are kernel metrics, of which the lowest wins; LOCAL_PREF is this less the priority.
pub(super) const PRIORITY_BASE: u32 = i32::MAX.unsigned_abs();

/// Import and export.
type Both = (Arc<Policy>, Arc<Policy>);

/// Policies by the filters that they are made of, each worked out once: sessions with the same filters share them,
/// and sets are shared by all.
pub(super) struct Policies<'a> {
    resources: &'a Resources,
    sets: BTreeMap<&'a str, Set>,
    /// By filters and the AS that we are on the session.
    made: RefCell<BTreeMap<(Vec<String>, Asn), Both>>,
}

/// A BGPSet as rules use it.
struct Set {
    prefixes: Arc<PrefixSet>,
    communities: Arc<[CommunityPattern]>,
    as_paths: Vec<Arc<AsPathRegex>>,
}

impl<'a> Policies<'a> {
    /// From the objects in force.
    #[must_use]
    pub(super) fn new(resources: &'a Resources) -> Self {
        let sets = resources.bgp_sets.iter().map(|(name, located)| (name.as_str(), Set::of(&located.object)));
        Self { resources, sets: sets.collect(), made: RefCell::default() }
    }

    /// What a session's filters say, in order, import and export; those that are not there say nothing.
    #[must_use]
    pub(super) fn of(&self, filters: &[String], local_as: Asn) -> Both {
        let key = (filters.to_vec(), local_as);
        if let Some(made) = self.made.borrow().get(&key) {
            return made.clone();
        }
        let named = || filters.iter().filter_map(|name| self.resources.bgp_filters.get(name));
        let rules = |of: fn(&BgpFilter) -> &[BgpFilterRule]| -> Vec<PolicyRule> {
            named().flat_map(|filter| self.numbered(&filter.metadata.name, of(filter), local_as)).collect()
        };
        let import = Policy {
            ipv4: rules(|filter| &filter.spec.import_v4).into(),
            ipv6: rules(|filter| &filter.spec.import_v6).into(),
        };
        let export = Policy {
            ipv4: rules(|filter| &filter.spec.export_v4).into(),
            ipv6: rules(|filter| &filter.spec.export_v6).into(),
        };
        let made = (Arc::new(import), Arc::new(export));
        self.made.borrow_mut().insert(key, made.clone());
        made
    }

    /// Sets that filters name and nobody has defined. A rule that names one fails closed: what is missing counts as
    /// met where the rule rejects, and as not met where it accepts or goes on.
    #[must_use]
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for filter in self.resources.bgp_filters.values() {
            let spec = &filter.spec;
            let rules =
                [&spec.import_v4, &spec.export_v4, &spec.import_v6, &spec.export_v6].into_iter().flatten();
            let missing: BTreeSet<&str> =
                rules.flat_map(set_names).filter(|name| !self.sets.contains_key(name)).collect();
            problems.extend(missing.into_iter().map(|name| {
                let message = format!(
                    "there is no BGPSet named {name}: until there is, rules of this filter that name it match no \
                     route, and those that reject match as if every route were in it"
                );
                Problem::error(filter.place("spec"), "spec", message)
            }));
        }
        problems
    }

    /// Rules named by filter and number, from 1, which is how people count them.
    fn numbered(&self, filter: &str, rules: &[BgpFilterRule], local_as: Asn) -> Vec<PolicyRule> {
        let named = |(place, rule): (usize, &BgpFilterRule)| {
            self.rule(format!("{filter} rule {}", place + 1), rule, local_as)
        };
        rules.iter().enumerate().filter_map(named).collect()
    }

    /// `None`: it can match nothing.
    fn rule(&self, name: String, rule: &BgpFilterRule, local_as: Asn) -> Option<PolicyRule> {
        let BgpFilterRule {
            action,
            prefix,
            source,
            peer_type,
            conditions,
            not,
            as_path_prefix,
            priority,
            operations,
        } = rule;
        let (found, community) = self.conditions(conditions);
        let negated = not.as_ref().map(|not| self.negated(not)).unwrap_or_default();
        // What is not known is taken for whatever lets less pass.
        let is_reject = *action == FilterAction::Reject;
        if !is_reject && set_names(rule).into_iter().any(|name| self.set(name).is_none()) {
            return None;
        }
        let conditions: Option<Vec<Condition>> =
            found.into_iter().chain(negated).filter(|known| known.is_some() || !is_reject).collect();
        let operations =
            operations.iter().flat_map(|operation| self.operations(operation, local_as)).collect();
        Some(PolicyRule {
            name,
            matches: Matches {
                prefix: prefix.as_ref().map(prefix_match),
                source: source.map(|FilterSource::RemotePeers| SourceMatch::Learned),
                peer_kind: peer_type.map(|peer_type| match peer_type {
                    PeerType::External => PeerKind::Ebgp,
                    PeerType::Internal => PeerKind::Ibgp,
                }),
                community,
                as_path_prefix: as_path_prefix.iter().map(|asn| Asn(asn.number())).collect(),
                local_pref: priority.map(local_pref),
                conditions: conditions?,
            },
            verdict: match action {
                FilterAction::Accept => PolicyVerdict::Accept(operations),
                FilterAction::Reject => PolicyVerdict::Reject,
                FilterAction::Next => PolicyVerdict::Next(operations),
            },
        })
    }

    fn negated(&self, not: &RouteConditions) -> Vec<Option<Condition>> {
        let (conditions, community) = self.conditions(not);
        let community = community.map(|value| {
            let groups = vec![[exactly(value)].into()];
            Some(Condition::Communities { groups, all: false })
        });
        let all = conditions.into_iter().chain(community);
        all.map(|condition| condition.map(|condition| Condition::Not(Box::new(condition)))).collect()
    }

    /// The cheap ones first; `None` is one that cannot be known. Calico's one community is apart.
    fn conditions(&self, conditions: &RouteConditions) -> (Vec<Option<Condition>>, Option<CommunityValue>) {
        let RouteConditions {
            communities,
            prefix_sets,
            as_path_regex,
            as_path_sets,
            as_path_length,
            local_preference,
            med,
            next_hop,
            origin,
        } = conditions;
        let mut found: Vec<Option<Condition>> = [
            local_preference.map(|range| Condition::LocalPref(range.bounds())),
            med.map(|range| Condition::Med(range.bounds())),
            as_path_length.map(|range| Condition::AsPathLength(range.bounds())),
            origin.map(|origin| Condition::Origin(route_origin(origin))),
            (!next_hop.is_empty()).then(|| Condition::NextHop(next_hop.clone())),
        ]
        .into_iter()
        .flatten()
        .map(Some)
        .collect();
        if !prefix_sets.is_empty() {
            let sets = prefix_sets.iter().map(|name| Some(Arc::clone(&self.set(name)?.prefixes)));
            found.push(sets.collect::<Option<_>>().map(Condition::Prefixes));
        }
        let mut one = None;
        if let Some(communities) = communities {
            one = single(communities);
            if one.is_none() {
                found.push(self.communities(communities));
            }
        }
        if let Some(regex) = as_path_regex {
            found.push(compiled(regex).map(|regex| Condition::AsPath(vec![regex])));
        }
        if !as_path_sets.is_empty() {
            let sets: Option<Vec<&Set>> = as_path_sets.iter().map(|name| self.set(name)).collect();
            let all =
                sets.map(|sets| sets.into_iter().flat_map(|set| set.as_paths.iter().cloned()).collect());
            found.push(all.map(Condition::AsPath));
        }
        (found, one)
    }

    fn communities(&self, communities: &FilterCommunities) -> Option<Condition> {
        let values = communities.values.iter().map(|value| Some(patterns(value).into()));
        let sets = communities.sets.iter().map(|name| Some(Arc::clone(&self.set(name)?.communities)));
        let groups = values.chain(sets).collect::<Option<_>>()?;
        Some(Condition::Communities { groups, all: communities.quantity == CommunityMatch::All })
    }

    fn set(&self, name: &str) -> Option<&Set> {
        self.sets.get(name)
    }

    fn operations(&self, operation: &FilterOperation, local_as: Asn) -> Vec<Operation> {
        let values = |values: &[RouteCommunity]| values.iter().map(route_community).collect::<Vec<_>>();
        let one = match operation {
            FilterOperation::AddCommunity { value } => Operation::AddCommunity(route_community(value)),
            FilterOperation::PrependAsPath { prefix } => {
                Operation::Prepend(prefix.iter().map(|asn| Asn(asn.number())).collect())
            }
            FilterOperation::SetPriority { value } => Operation::SetLocalPref(local_pref(*value)),
            FilterOperation::AddCommunities { values: added } => {
                return values(added).into_iter().map(Operation::AddCommunity).collect();
            }
            FilterOperation::SetCommunities { values: set } => Operation::SetCommunities(values(set)),
            FilterOperation::RemoveCommunities { values, sets } => {
                let of_sets =
                    sets.iter().filter_map(|name| self.set(name)).flat_map(|set| set.communities.iter());
                let all = values.iter().flat_map(patterns).chain(of_sets.cloned());
                Operation::RemoveCommunities(all.collect())
            }
            FilterOperation::ReplaceCommunities { values: removed, with } => Operation::ReplaceCommunities {
                remove: removed.iter().flat_map(patterns).collect(),
                add: values(with),
            },
            FilterOperation::SetLocalPreference { value } => Operation::SetLocalPref(*value),
            FilterOperation::SetMed { value: MedValue::Value(value) } => {
                Operation::Med(MedChange::Set(*value))
            }
            FilterOperation::SetMed { value: MedValue::Word(model::NoMed::None) } => {
                Operation::Med(MedChange::Remove)
            }
            FilterOperation::AddMed { value } => Operation::Med(MedChange::Add(*value)),
            FilterOperation::SubtractMed { value } => Operation::Med(MedChange::Subtract(*value)),
            FilterOperation::SetNextHop { value } => Operation::SetNextHop(match value {
                NextHopTarget::Address(address) => NextHopChange::Address(NextHop::from(*address)),
                NextHopTarget::SelfAddress => NextHopChange::SelfAddress,
                NextHopTarget::Unchanged => NextHopChange::Unchanged,
                NextHopTarget::Peer => NextHopChange::Peer,
            }),
            FilterOperation::SetOrigin { value } => Operation::SetOrigin(route_origin(*value)),
            FilterOperation::PrependOwnAs { count } => {
                Operation::Prepend(vec![local_as; usize::from(*count)])
            }
        };
        vec![one]
    }
}

impl Set {
    fn of(set: &BgpSet) -> Self {
        let spec = &set.spec;
        Self {
            prefixes: Arc::new(spec.prefixes.iter().map(set_entry).collect()),
            communities: spec.communities.iter().flat_map(patterns).collect(),
            as_paths: spec.as_paths.iter().filter_map(compiled).collect(),
        }
    }
}

/// A prefix without lengths is that prefix and no other.
fn set_entry(prefix: &SetPrefix) -> PrefixSetEntry {
    let within = prefix.cidr;
    let length = within.prefix_len();
    match prefix.prefix_length {
        None => PrefixSetEntry { within, min_len: length, max_len: length },
        Some(given) => PrefixSetEntry {
            within,
            min_len: given.min.unwrap_or(0).max(length),
            max_len: given.max.unwrap_or(within.max_prefix_len()),
        },
    }
}

fn set_names(rule: &BgpFilterRule) -> Vec<&str> {
    let of_operations = rule.operations.iter().flat_map(|operation| match operation {
        FilterOperation::RemoveCommunities { sets, .. } => sets.iter().map(String::as_str).collect(),
        FilterOperation::AddCommunity { .. }
        | FilterOperation::PrependAsPath { .. }
        | FilterOperation::SetPriority { .. }
        | FilterOperation::AddCommunities { .. }
        | FilterOperation::SetCommunities { .. }
        | FilterOperation::ReplaceCommunities { .. }
        | FilterOperation::SetLocalPreference { .. }
        | FilterOperation::SetMed { .. }
        | FilterOperation::AddMed { .. }
        | FilterOperation::SubtractMed { .. }
        | FilterOperation::SetNextHop { .. }
        | FilterOperation::SetOrigin { .. }
        | FilterOperation::PrependOwnAs { .. } => Vec::new(),
    });
    let of_not = rule.not.iter().flat_map(RouteConditions::set_names);
    rule.conditions.set_names().chain(of_not).chain(of_operations).collect()
}

/// It has compiled when it was read; `None` would be a defect, and the condition then cannot be known.
fn compiled(regex: &model::AsPathRegex) -> Option<Arc<AsPathRegex>> {
    AsPathRegex::new(regex.pattern()).ok().map(Arc::new)
}

/// The one community that Calico's rules have.
fn single(communities: &FilterCommunities) -> Option<CommunityValue> {
    let [value] = communities.values.as_slice() else { return None };
    let is_alone = communities.sets.is_empty();
    match patterns(value).as_slice() {
        [pattern] if is_alone => value_of(pattern),
        _ => None,
    }
}

fn route_origin(origin: RouteOrigin) -> Origin {
    match origin {
        RouteOrigin::Igp => Origin::Igp,
        RouteOrigin::Egp => Origin::Egp,
        RouteOrigin::Incomplete => Origin::Incomplete,
    }
}

fn prefix_match(prefix: &FilterPrefix) -> PrefixMatch {
    let cidr = prefix.cidr;
    let given = prefix.prefix_length.unwrap_or_default();
    let min = given.min.unwrap_or(0).max(cidr.prefix_len());
    let lengths = min..=given.max.unwrap_or(cidr.max_prefix_len());
    match prefix.match_operator {
        MatchOperator::Equal => PrefixMatch::Equal(cidr),
        MatchOperator::NotEqual => PrefixMatch::NotEqual(cidr),
        MatchOperator::In => PrefixMatch::In(cidr, lengths),
        MatchOperator::NotIn => PrefixMatch::NotIn(cidr, lengths),
    }
}

/// The LOCAL_PREF that means a priority.
pub(super) fn local_pref(priority: u32) -> u32 {
    PRIORITY_BASE.saturating_sub(priority)
}

/// BGPConfiguration's prefixAdvertisements.
pub(super) fn prefix_communities(advertisement: &PrefixAdvertisement) -> PrefixCommunities {
    PrefixCommunities {
        within: advertisement.cidr,
        communities: advertisement.communities.iter().map(|value| plain_community(*value)).collect(),
    }
}

#[cfg(test)]
mod tests;
