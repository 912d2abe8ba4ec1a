//! BGPFilters into policies of sessions. Pure.
//!
//! Calico's order: the filters of a session one after the other, the rules of each in order, and the first rule
//! that matches ends it. So the filters of a session are one list of rules per direction and family.

use std::sync::Arc;

use bgp::rib::{
    CommunityValue, Matches, Operation, Policy, PolicyRule, PolicyVerdict, PrefixCommunities, PrefixMatch,
    SourceMatch,
};
use bgp::wire::{Community, LargeCommunity};
use bgp::{Asn, PeerKind};
use config::catalog::Resources;
use config::model::{
    self, BgpFilter, BgpFilterRule, FilterAction, FilterOperation, FilterPrefix, FilterSource, MatchOperator,
    PeerType, PrefixAdvertisement,
};

/// Calico's priorities are kernel metrics, of which the lowest wins; LOCAL_PREF is this less the priority.
pub(super) const PRIORITY_BASE: u32 = i32::MAX.unsigned_abs();

/// What a session's filters say, in order; those that are not there say nothing.
pub(super) fn policies(resources: &Resources, filters: &[String]) -> (Arc<Policy>, Arc<Policy>) {
    let named = || filters.iter().filter_map(|name| resources.bgp_filters.get(name));
    let rules = |of: fn(&BgpFilter) -> &[BgpFilterRule]| -> Vec<PolicyRule> {
        named().flat_map(|filter| numbered(&filter.metadata.name, of(filter))).collect()
    };
    let import =
        Policy { ipv4: rules(|filter| &filter.spec.import_v4), ipv6: rules(|filter| &filter.spec.import_v6) };
    let export =
        Policy { ipv4: rules(|filter| &filter.spec.export_v4), ipv6: rules(|filter| &filter.spec.export_v6) };
    (Arc::new(import), Arc::new(export))
}

/// Rules named by filter and number, from 1, which is how people count them.
fn numbered(filter: &str, rules: &[BgpFilterRule]) -> Vec<PolicyRule> {
    let named =
        |(place, rule): (usize, &BgpFilterRule)| policy_rule(format!("{filter} rule {}", place + 1), rule);
    rules.iter().enumerate().map(named).collect()
}

fn policy_rule(name: String, rule: &BgpFilterRule) -> PolicyRule {
    let BgpFilterRule {
        action,
        prefix,
        source,
        peer_type,
        communities,
        as_path_prefix,
        priority,
        operations,
    } = rule;
    PolicyRule {
        name,
        matches: Matches {
            prefix: prefix.as_ref().map(prefix_match),
            source: source.map(|FilterSource::RemotePeers| SourceMatch::Learned),
            peer_kind: peer_type.map(|peer_type| match peer_type {
                PeerType::External => PeerKind::Ebgp,
                PeerType::Internal => PeerKind::Ibgp,
            }),
            community: communities.as_ref().map(|communities| {
                let [value] = communities.values;
                community(value)
            }),
            as_path_prefix: as_path_prefix.iter().map(|asn| Asn(asn.number())).collect(),
            local_pref: priority.map(local_pref),
        },
        verdict: match action {
            FilterAction::Accept => PolicyVerdict::Accept(operations.iter().map(operation).collect()),
            FilterAction::Reject => PolicyVerdict::Reject,
        },
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

fn operation(operation: &FilterOperation) -> Operation {
    match operation {
        FilterOperation::AddCommunity { value } => Operation::AddCommunity(community(*value)),
        FilterOperation::PrependAsPath { prefix } => {
            Operation::Prepend(prefix.iter().map(|asn| Asn(asn.number())).collect())
        }
        FilterOperation::SetPriority { value } => Operation::SetLocalPref(local_pref(*value)),
    }
}

/// The LOCAL_PREF that means a priority.
pub(super) fn local_pref(priority: u32) -> u32 {
    PRIORITY_BASE.saturating_sub(priority)
}

fn community(value: model::CommunityValue) -> CommunityValue {
    match value {
        model::CommunityValue::Standard(asn, value) => CommunityValue::Standard(Community::new(asn, value)),
        model::CommunityValue::Large(global, local1, local2) => {
            CommunityValue::Large(LargeCommunity { global, local1, local2 })
        }
    }
}

/// BGPConfiguration's prefixAdvertisements.
pub(super) fn prefix_communities(advertisement: &PrefixAdvertisement) -> PrefixCommunities {
    PrefixCommunities {
        within: advertisement.cidr,
        communities: advertisement.communities.iter().map(|value| community(*value)).collect(),
    }
}

#[cfg(test)]
mod tests;
