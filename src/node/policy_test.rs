//! BGPFilterTests held against BGPFilters, without a daemon. Pure.
//!
//! What is tested is what policy makes of a route: on export not yet what the session does to it after
//! (docs/policy.md says which is which).

use bgp::rib::{Changed, Facts, NextHopChange, PolicyRoute, SourceMatch};
use bgp::wire::{AsPath, NextHop, Origin, PathAttributes};
use bgp::{Asn, PeerKind};
use config::catalog::Resources;
use config::model::{
    BgpFilterTest, Direction, ExpectedAction, MedValue, NextHopTarget, PeerType, RouteOrigin, RouteSource,
    TestAttributes,
};

use super::policy::{Policies, add_communities};
use crate::daemon::protocol::{DifferenceDocument, FilterTestDocument, PolicyTestDocument};

/// Runs every test there is, by name.
#[must_use]
pub fn run(resources: &Resources) -> PolicyTestDocument {
    let policies = Policies::new(resources);
    let tests: Vec<FilterTestDocument> =
        resources.bgp_filter_tests.values().map(|test| result(resources, &policies, test)).collect();
    let failed = tests.iter().filter(|test| !test.ok).count();
    PolicyTestDocument { passed: tests.len() - failed, failed, tests }
}

fn result(resources: &Resources, policies: &Policies<'_>, test: &BgpFilterTest) -> FilterTestDocument {
    let spec = &test.spec;
    let (import, export) = policies.of(&spec.filters, Asn(spec.local_as_number.number()));
    let policy = match spec.direction {
        Direction::Import => import,
        Direction::Export => export,
    };
    let given = attributes(&spec.route.attributes);
    let prefix = spec.route.prefix;
    let route = PolicyRoute {
        prefix,
        source: match spec.route.source {
            RouteSource::RemotePeers => SourceMatch::Learned,
            RouteSource::Local => SourceMatch::Own,
        },
        peer_kind: match spec.peer_type {
            PeerType::External => PeerKind::Ebgp,
            PeerType::Internal => PeerKind::Ibgp,
        },
        attributes: &given,
        facts: &Facts::default(),
    };
    let decision = policy.decide(&route);
    let rule = decision.end.map(|(_, rule)| rule.name.clone());
    let action = match (decision.is_rejected(), decision.end.is_some()) {
        (true, _) => ExpectedAction::Reject,
        (false, true) => ExpectedAction::Accept,
        (false, false) => ExpectedAction::Default,
    };
    let mut differences = Vec::new();
    let missing = spec.filters.iter().filter(|name| !resources.bgp_filters.contains_key(*name));
    for filter in missing {
        differences.push(difference("filters", filter, "there is no such BGPFilter"));
    }
    let expect = &spec.expect;
    let is_accepted_by_default = spec.direction == Direction::Import
        && (expect.action, action) == (ExpectedAction::Accept, ExpectedAction::Default);
    if action != expect.action && !is_accepted_by_default {
        let by = rule.as_ref().map_or_else(String::new, |rule| format!(" by {rule}"));
        differences.push(difference("action", word(expect.action), &format!("{}{by}", word(action))));
    } else if let Some(wanted) = &expect.rule
        && rule.as_ref() != Some(wanted)
    {
        differences.push(difference("rule", wanted, rule.as_deref().unwrap_or("no rule")));
    }
    if action != ExpectedAction::Reject {
        let changed = policy.rules(&prefix).change(&decision.changes, &given);
        differences.extend(attribute_differences(&expect.attributes, &changed));
    }
    FilterTestDocument {
        name: test.metadata.name.clone(),
        ok: differences.is_empty(),
        action: word(action).to_owned(),
        rule,
        differences,
    }
}

fn word(action: ExpectedAction) -> &'static str {
    match action {
        ExpectedAction::Accept => "Accept",
        ExpectedAction::Reject => "Reject",
        ExpectedAction::Default => "Default",
    }
}

fn difference(field: &str, expected: &str, found: &str) -> DifferenceDocument {
    DifferenceDocument { field: field.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}

/// The route of a test.
fn attributes(given: &TestAttributes) -> PathAttributes {
    let TestAttributes { as_path, origin, next_hop, med, local_preference, communities } = given;
    let mut attributes = PathAttributes {
        as_path: AsPath::sequence(as_path.iter().flatten().map(|asn| Asn(asn.number()))),
        origin: origin.map(wire_origin).unwrap_or_default(),
        next_hop: next_hop.and_then(|target| match target {
            NextHopTarget::Address(address) => Some(NextHop::from(address)),
            NextHopTarget::SelfAddress | NextHopTarget::Unchanged | NextHopTarget::Peer => None,
        }),
        med: med.and_then(|med| match med {
            MedValue::Value(value) => Some(value),
            MedValue::Word(_) => None,
        }),
        local_pref: *local_preference,
        ..PathAttributes::default()
    };
    add_communities(communities.iter().flatten(), &mut attributes);
    attributes
}

fn wire_origin(origin: RouteOrigin) -> Origin {
    match origin {
        RouteOrigin::Igp => Origin::Igp,
        RouteOrigin::Egp => Origin::Egp,
        RouteOrigin::Incomplete => Origin::Incomplete,
    }
}

fn attribute_differences(expected: &TestAttributes, found: &Changed) -> Vec<DifferenceDocument> {
    let TestAttributes { as_path, origin, next_hop, med, local_preference, communities } = expected;
    // Both sides in the words of `manx routes`.
    let wanted = attributes(expected);
    let attributes = &found.attributes;
    let or_none = |number: Option<u32>| number.map_or_else(|| "None".to_owned(), |number| number.to_string());
    let pairs = [
        (as_path.is_some(), "asPath", wanted.as_path.to_string(), attributes.as_path.to_string()),
        (origin.is_some(), "origin", wanted.origin.to_string(), attributes.origin.to_string()),
        (
            next_hop.is_some(),
            "nextHop",
            next_hop.map(|target| target.to_string()).unwrap_or_default(),
            next_hop_word(found),
        ),
        (med.is_some(), "med", or_none(wanted.med), or_none(attributes.med)),
        (
            local_preference.is_some(),
            "localPreference",
            or_none(wanted.local_pref),
            or_none(attributes.local_pref),
        ),
        (communities.is_some(), "communities", communities_of(&wanted), communities_of(attributes)),
    ];
    let differs = |(is_given, _, wanted, found): &(bool, &str, String, String)| *is_given && wanted != found;
    let found = pairs.into_iter().filter(differs);
    found.map(|(_, field, wanted, found)| difference(field, &wanted, &found)).collect()
}

fn next_hop_word(found: &Changed) -> String {
    let address =
        || found.attributes.next_hop.map_or_else(|| "None".to_owned(), |hop| hop.addr().to_string());
    match found.will.next_hop {
        Some(NextHopChange::SelfAddress) => "Self".to_owned(),
        Some(NextHopChange::Unchanged) => "Unchanged".to_owned(),
        Some(NextHopChange::Peer) => "Peer".to_owned(),
        Some(NextHopChange::Address(_)) | None => address(),
    }
}

fn communities_of(attributes: &PathAttributes) -> String {
    let standard = attributes.communities.iter().map(ToString::to_string);
    let extended = attributes.extended_communities.iter().map(ToString::to_string);
    let large = attributes.large_communities.iter().map(ToString::to_string);
    let all: Vec<String> = standard.chain(extended).chain(large).collect();
    if all.is_empty() { "None".to_owned() } else { all.join(" ") }
}

#[cfg(test)]
mod tests;
