//! What the objects in force mean for one node: its speaker, its sessions, its blocks, what it may export.
//!
//! The rules are Calico's, so that a mixed cluster agrees on who peers with whom, except where two BGPPeers
//! overlap: Calico picks one at random, we pick by name and say so.
//!
//! Pure and complete: everything is computed anew from [`Resources`]; nothing is remembered between calls, and
//! one call costs time in proportion to nodes times BGPPeers. It knows nothing of how sessions are run.

mod dynamic;
mod export;
mod overlap;
mod password;
mod peering;
mod session;
mod speaker;
mod update_rules;

pub use dynamic::SessionTemplate;
pub use export::{ExportPolicy, ExportRule, export_policy, own_blocks, prefix_advertisements};
pub use password::Unstartable;
pub use session::{Session, SessionOrigin};
pub use speaker::{NORMAL_ROUTE_PRIORITY_DEFAULT, PORT_DEFAULT, Speaker};
pub use update_rules::SessionRules;

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::Resources;
use crate::model::DynamicPeers;
use crate::problem::Problem;
use overlap::Candidates;
use peering::Peering;
use session::RemoteEnd;
use speaker::Member;

/// The sessions of a node, by name, and what was noticed while finding them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Sorted by name; no two have the same address and port.
    pub sessions: Vec<Session>,
    /// Sorted by name: what sessions are like that others open.
    pub templates: Vec<SessionTemplate>,
    /// Sorted by name: what is configured but cannot be had.
    pub unstartable: Vec<Unstartable>,
    /// Sorted by place. Errors: an object asks for what cannot be. Warnings: it is probably not what was meant.
    pub problems: Vec<Problem>,
}

/// The sessions that `node_name` has.
///
/// A node without a Node object, or with one that has no `spec.bgp`, has none, and the problem says so.
#[must_use]
pub fn sessions(resources: &Resources, node_name: &str) -> Expansion {
    let local = match Speaker::of(resources, node_name) {
        Ok(local) => local,
        Err(problem) => return Expansion { problems: vec![problem], ..Expansion::default() },
    };
    let members = speaker::members(resources);
    let peering = Peering::new(resources, &local, &members);
    let mut candidates = Candidates::default();
    peering.offer_forward(&mut candidates);
    peering.offer_reverse(&mut candidates);
    offer_mesh(resources, &local, &members, &mut candidates);
    let (sessions, mut problems) = candidates.resolve(resources);
    let (templates, mixed) = dynamic::templates(resources, &local, &peering);
    problems.extend(mixed);
    // A template is completed as any session, and taken out again by its name, which no session has.
    let mut prefixes: BTreeMap<_, _> =
        templates.iter().map(|template| (template.session.name.clone(), template.peers.clone())).collect();
    let sessions = sessions.into_iter().chain(templates.into_iter().map(|template| template.session));
    let (mut sessions, mut unstartable, missing) = password::with_passwords(resources, sessions.collect());
    for missing in &mut unstartable {
        missing.is_template = prefixes.contains_key(&missing.session.name);
    }
    problems.extend(missing);
    problems.extend(drop_missing_filters(resources, &mut sessions));
    problems.extend(roles_without_effect(resources, &sessions));
    problems.extend(update_rules::without_effect(resources, &sessions));
    update_rules::apply_node(resources, node_name, &mut sessions);
    problems.extend(peering.into_problems());
    sessions.sort_by(|left, right| left.name.cmp(&right.name));
    let (sessions, templates) = separate(sessions, &mut prefixes);
    let mut expansion = Expansion { sessions, templates, unstartable, problems };
    let unsigned = dynamic::unsigned_within_signed(resources, &expansion);
    expansion.problems.extend(unsigned);
    expansion.problems.sort();
    expansion
}

fn separate(
    all: Vec<Session>,
    prefixes: &mut BTreeMap<String, DynamicPeers>,
) -> (Vec<Session>, Vec<SessionTemplate>) {
    let mut sessions = Vec::with_capacity(all.len());
    let mut templates = Vec::new();
    for session in all {
        match prefixes.remove(&session.name) {
            Some(peers) => templates.push(SessionTemplate { session, peers }),
            None => sessions.push(session),
        }
    }
    (sessions, templates)
}

/// A filter that is not there filters nothing, as in Calico; but there it is not said.
fn drop_missing_filters(resources: &Resources, sessions: &mut [Session]) -> Vec<Problem> {
    let mut missing = BTreeSet::new();
    for session in sessions {
        let bgp_peer = session.bgp_peer.clone();
        session.filters.retain(|filter| {
            let is_there = resources.bgp_filters.contains_key(filter);
            if !is_there {
                missing.insert((bgp_peer.clone(), filter.clone()));
            }
            is_there
        });
    }
    let warning = |(peer, filter): (Option<String>, String)| {
        let peer = resources.bgp_peers.get(&peer?)?;
        let message = format!("there is no BGPFilter named {filter}: it is skipped");
        Some(Problem::warning(peer.place("spec.filters"), "spec.filters", message))
    };
    missing.into_iter().filter_map(warning).collect()
}

/// RFC 9234 §4: roles are for external sessions.
fn roles_without_effect(resources: &Resources, sessions: &[Session]) -> BTreeSet<Problem> {
    let internal = sessions.iter().filter(|session| session.local_as == session.remote_as);
    let peers = internal.filter_map(|session| resources.bgp_peers.get(session.bgp_peer.as_ref()?));
    let with_role = peers.filter(|peer| peer.spec.role.is_some());
    let message = "has no effect on an internal session: remove it, or see whether the AS numbers are right";
    with_role.map(|peer| Problem::warning(peer.place("spec.role"), "spec.role", message)).collect()
}

/// A session with every other node of every common family, unless one of the two is a route reflector.
/// Both ends dial: a Calico node waits passively for the end whose address is the greater text, and RFC 4271
/// §6.8 settles it where both dial.
fn offer_mesh(resources: &Resources, local: &Speaker, members: &[Member<'_>], candidates: &mut Candidates) {
    let configuration = resources.cluster_configuration().map(|object| &object.spec);
    let is_enabled = configuration.and_then(|spec| spec.node_to_node_mesh_enabled).unwrap_or(true);
    if !is_enabled || local.cluster_id.is_some() {
        return;
    }
    let restart_time = configuration.and_then(|spec| spec.node_mesh_max_restart_time);
    for member in members.iter().filter(|member| member.name != local.node_name) {
        if member.cluster_id.is_some() {
            continue;
        }
        for remote in RemoteEnd::of_member(member, local) {
            candidates.offer(Session::of_mesh(local, &remote, restart_time), None);
        }
    }
}

#[cfg(test)]
mod tests;
