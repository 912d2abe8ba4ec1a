//! Filters tried against the routes that are there, and counted: the words for what the RIB finds out. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use bgp::rib::snapshot::{PolicyDirection, TrialPage, Tried, TriedRoute};
use bgp::rib::{Policy, PolicyRule, PolicyVerdict};
use config::catalog::Resources;
use config::manifest::{Located, parse_manifest};
use config::model::Object;

use super::{NodeState, snapshot, translate};
use crate::daemon::protocol::{RuleDocument, TrialDocument, TriedDocument, TriedRouteDocument};

/// Import and export.
type Both = (Arc<Policy>, Arc<Policy>);

/// The filters and sets of manifests that are to be tried.
///
/// # Errors
/// In words, what is wrong with them.
pub fn objects(manifests: &str) -> Result<Vec<Located<Object>>, String> {
    let objects = parse_manifest("manifests", manifests).map_err(|problems| {
        let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
        words.join("\n")
    })?;
    let is_other = |located: &&Located<Object>| {
        !matches!(located.object, Object::BgpFilter(_) | Object::BgpSet(_) | Object::BgpFilterTest(_))
    };
    match objects.iter().find(is_other) {
        Some(other) => {
            let (kind, name) = (other.object.kind().name(), &other.object.metadata().name);
            Err(format!("{kind} {name} cannot be tried: give BGPFilters and BGPSets"))
        }
        None => Ok(objects),
    }
}

/// The policies of every session, by its name, if these objects stood in the files.
///
/// # Errors
/// In words: the node takes no part in BGP, or a set is missing.
pub fn changed(
    state: &NodeState,
    resources: &Resources,
    objects: &[Located<Object>],
) -> Result<BTreeMap<String, Both>, String> {
    let tried = resources.with_policy(objects);
    let (desired, problems) =
        translate::desired(&tried, &state.node_name, false).map_err(|problem| problem.message)?;
    if let Some(problem) = problems.iter().find(|problem| problem.message.starts_with("there is no BGPSet")) {
        return Err(problem.message.clone());
    }
    let policies = desired.bgp.neighbors.into_iter();
    Ok(policies.map(|neighbor| (neighbor.name, (neighbor.import, neighbor.export))).collect())
}

/// The policies of a session as they are.
#[must_use]
pub fn in_force(state: &NodeState, name: &str) -> Option<Both> {
    let neighbors = &state.desired.as_ref()?.bgp.neighbors;
    let neighbor = neighbors.iter().find(|neighbor| neighbor.name == name)?;
    Some((Arc::clone(&neighbor.import), Arc::clone(&neighbor.export)))
}

/// What was found out about one peer and direction.
#[must_use]
pub fn document(peer: &str, direction: PolicyDirection, page: TrialPage) -> TrialDocument {
    let mut document = TrialDocument {
        peer: peer.to_owned(),
        direction: word(direction).to_owned(),
        routes: page.routes,
        ..TrialDocument::default()
    };
    for TriedRoute { prefix, now, then } in page.different {
        match (&now.attributes, &then.attributes) {
            (None, Some(_)) => document.accepted += 1,
            (Some(_), None) => document.rejected += 1,
            (Some(_), Some(_)) => document.changed += 1,
            (None, None) => {}
        }
        document.different.push(TriedRouteDocument { prefix, now: tried(now), then: tried(then) });
    }
    document.different.sort_by_key(|route| route.prefix);
    document
}

fn tried(tried: Tried) -> TriedDocument {
    let Tried { rule, attributes } = tried;
    TriedDocument { rule, path: attributes.as_ref().map(snapshot::attributes) }
}

/// The rules of a policy with how many routes each decides, and at last those that none does.
#[must_use]
pub fn rules(peer: &str, direction: PolicyDirection, policy: &Policy, page: &TrialPage) -> Vec<RuleDocument> {
    let of_family = |family: &'static str, rule: &PolicyRule| RuleDocument {
        peer: peer.to_owned(),
        direction: word(direction).to_owned(),
        routes: page.rules.get(&(family == "ipv6", Some(rule.name.clone()))).copied().unwrap_or(0),
        rule: Some(rule.name.clone()),
        action: Some(
            match rule.verdict {
                PolicyVerdict::Accept(_) => "Accept",
                PolicyVerdict::Reject => "Reject",
                PolicyVerdict::Next(_) => "Next",
            }
            .to_owned(),
        ),
        family: Some(family.to_owned()),
    };
    let ipv4 = policy.ipv4.iter().map(|rule| of_family("ipv4", rule));
    let ipv6 = policy.ipv6.iter().map(|rule| of_family("ipv6", rule));
    let none = RuleDocument {
        peer: peer.to_owned(),
        direction: word(direction).to_owned(),
        routes: page.rules.iter().filter(|((_, rule), _)| rule.is_none()).map(|(_, count)| count).sum(),
        ..RuleDocument::default()
    };
    ipv4.chain(ipv6).chain([none]).collect()
}

fn word(direction: PolicyDirection) -> &'static str {
    match direction {
        PolicyDirection::Import => "import",
        PolicyDirection::Export => "export",
    }
}
