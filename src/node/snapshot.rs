//! What the cores show of themselves, as the documents of the local socket. Pure.

use bgp::io::{DynamicSnapshot, ListenerSnapshot};
use bgp::peer::{NeighborConfig, PeerSnapshot, State};
use bgp::rib::snapshot::{
    AdvertisedRoute, AttributesSnapshot, PathSnapshot, PathUsage, PeerSummary, RibSummary,
    RouteSnapshot as RibRoute,
};
use bgp::rib::{Ineligible, LossReason, NotMultipath};
use bgp::{AfiSafi, PeerKind};
use config::{Problem, Severity};
use fib::snapshot::{FibSnapshot, FibSummary, NextHopView, RouteSnapshot};
use serde::Serialize;
use std::borrow::Cow;
use std::num::NonZeroU8;

use super::dynamic::MissingSession;
use super::{NodeState, update_rules};
use crate::daemon::protocol::{
    DynamicPeersDocument, FibCounts, FibDocument, FibNextHopDocument, FibRouteDocument, PathDocument,
    PeerCounts, PeerDocument, ProblemDocument, RouteCounts, RouteDocument, RoutesDocument, StatusDocument,
};

/// What `manx status` is made of.
#[derive(Debug)]
pub struct StatusInputs<'a> {
    /// The manifests' side.
    pub state: &'a NodeState,
    /// Since the daemon started.
    pub uptime_secs: u64,
    /// Sessions.
    pub peers: &'a [PeerSnapshot],
    /// Where neighbors can reach us.
    pub listeners: &'a [ListenerSnapshot],
    /// The BGP table.
    pub rib: &'a RibSummary,
    /// The kernel's side.
    pub fib: &'a FibSummary,
    /// Whether kernel routes are written.
    pub fib_enabled: bool,
    /// BGP's picture is complete.
    pub bgp_in_sync: bool,
}

/// The node in one document.
#[must_use]
pub fn status(inputs: &StatusInputs<'_>) -> StatusDocument {
    let StatusInputs { state, peers, listeners, rib, fib, .. } = *inputs;
    let waiting_for: Vec<String> = [
        (state.desired.is_none(), "a Node object that names this node"),
        (fib.scans == 0, "the kernel's routes"),
    ]
    .into_iter()
    .filter(|(waits, _)| *waits)
    .map(|(_, what)| what.to_owned())
    .collect();
    let prefixes = |family: &str| {
        rib.families.iter().find(|summary| summary.family == family).map_or(0, |summary| summary.prefixes)
    };
    StatusDocument {
        node: state.node_name.clone(),
        version: crate::VERSION.to_owned(),
        uptime_secs: inputs.uptime_secs,
        in_sync: waiting_for.is_empty(),
        waiting_for,
        bgp_in_sync: inputs.bgp_in_sync,
        router_id: state.router_id().map(|id| id.to_string()),
        asn: state.desired.as_ref().map(|desired| desired.asn),
        originated: state.originated(),
        peers: PeerCounts {
            configured: peers.len(),
            established: peers.iter().filter(|peer| peer.uptime_secs.is_some()).count(),
        },
        routes: RouteCounts {
            ipv4: prefixes("ipv4-unicast"),
            ipv6: prefixes("ipv6-unicast"),
            paths: rib.families.iter().map(|family| family.paths).sum(),
        },
        fib: fib_counts(fib, inputs.fib_enabled),
        problems: state.problems.iter().map(problem).chain(unreachable(listeners, peers)).collect(),
    }
}

/// Addresses that could not be listened on and that a peer may need: typically another BGP daemon has the port. A
/// host without IPv6 cannot listen there and does not have to.
fn unreachable(listeners: &[ListenerSnapshot], peers: &[PeerSnapshot]) -> Vec<ProblemDocument> {
    let is_needed = |listener: &&ListenerSnapshot| {
        peers.iter().any(|peer| peer.address.is_ipv4() == listener.address.is_ipv4())
    };
    let problem = |listener: &ListenerSnapshot| {
        let error = listener.error.as_ref()?;
        let message = format!(
            "cannot listen on {}: {error}; peers cannot reach us there, tried again",
            listener.address
        );
        let severity = Severity::Warning.to_string();
        Some(ProblemDocument { severity, message, ..ProblemDocument::default() })
    };
    listeners.iter().filter(is_needed).filter_map(problem).collect()
}

fn problem(problem: &Problem) -> ProblemDocument {
    let position = |number: u32| usize::try_from(number).ok().filter(|number| *number > 0);
    let other = problem.other.as_ref().map_or_else(String::new, |other| format!(" (the other one: {other})"));
    ProblemDocument {
        severity: problem.severity.to_string(),
        file: Some(problem.location.file.to_string()),
        line: position(problem.location.line),
        column: position(problem.location.column),
        field: Some(problem.field.clone()).filter(|field| !field.is_empty()),
        message: format!("{}{other}", problem.message),
    }
}

/// All sessions, by name: what the session's machine shows joined with what the RIB counts.
#[must_use]
pub fn peers(sessions: &[PeerSnapshot], routes: &[PeerSummary], state: &NodeState) -> Vec<PeerDocument> {
    let neighbors = state.desired.iter().flat_map(|desired| {
        let templates = desired.bgp.dynamic.iter().map(|group| &group.template);
        desired.bgp.neighbors.iter().chain(templates)
    });
    let clients: Vec<&str> = neighbors
        .filter(|neighbor| neighbor.reflector_client.is_some())
        .map(|neighbor| neighbor.name.as_str())
        .collect();
    let mut documents: Vec<PeerDocument> = sessions
        .iter()
        .map(|session| {
            // What the manifests say of a dynamic peer they say of its template.
            let configured = session.template.as_ref().unwrap_or(&session.name);
            let mut document = peer(session, clients.contains(&configured.as_str()));
            let filters = state.desired.as_ref().and_then(|desired| desired.filters.get(configured));
            document.filters = filters.cloned().unwrap_or_default();
            if let Some(neighbor) = configured_as(session, state) {
                document.rules = update_rules::describe(&neighbor);
                document.withheld = update_rules::withheld(&neighbor);
            }
            if let Some(summary) = routes.iter().find(|summary| Some(summary.peer) == session.id) {
                add_routes(&mut document, summary);
            }
            document
        })
        .collect();
    documents.extend(state.desired.iter().flat_map(|desired| &desired.missing).map(missing));
    documents.sort_by(|left, right| left.name.cmp(&right.name));
    documents
}

/// What the manifests make of a session; of a dynamic peer's what its template makes of it.
fn configured_as<'a>(session: &PeerSnapshot, state: &'a NodeState) -> Option<Cow<'a, NeighborConfig>> {
    let bgp = &state.desired.as_ref()?.bgp;
    match &session.template {
        None => bgp.neighbors.iter().find(|neighbor| neighbor.name == session.name).map(Cow::Borrowed),
        Some(template) => {
            let group = bgp.dynamic.iter().find(|group| group.name == *template)?;
            Some(Cow::Owned(group.neighbor(session.address)))
        }
    }
}

/// A session that cannot be had is one that is down.
fn missing(session: &MissingSession) -> PeerDocument {
    let kind = if session.local_as == session.remote_as { PeerKind::Ibgp } else { PeerKind::Ebgp };
    PeerDocument {
        name: session.name.clone(),
        description: session.description.clone(),
        address: session.address,
        port: session.port,
        kind: word(&kind),
        local_as: session.local_as,
        remote_as: session.remote_as,
        state: word(&State::Idle),
        last_error: Some(session.reason.clone()),
        ..PeerDocument::default()
    }
}

/// Every template of dynamic peers, by name.
#[must_use]
pub fn dynamic(templates: &[DynamicSnapshot]) -> Vec<DynamicPeersDocument> {
    let mut documents: Vec<_> = templates
        .iter()
        .map(|template| DynamicPeersDocument {
            name: template.name.clone(),
            prefixes: template.prefixes.clone(),
            maximum: template.maximum,
            current: template.current,
            refused: template.refused,
        })
        .collect();
    documents.sort_by(|left, right| left.name.cmp(&right.name));
    documents
}

fn add_routes(document: &mut PeerDocument, summary: &PeerSummary) {
    for family in &summary.families {
        document.received += family.received;
        document.accepted += family.eligible;
        document.best += family.best;
        document.stale += family.stale;
        document.advertised += family.advertised;
    }
}

fn peer(peer: &PeerSnapshot, reflector_client: bool) -> PeerDocument {
    let negotiated = peer.negotiated.as_ref();
    let names = |families: &[AfiSafi]| families.iter().map(ToString::to_string).collect::<Vec<_>>();
    let messages = |counters: &bgp::peer::MessageCounters| {
        counters.opens + counters.notifications + counters.keepalives + counters.refreshes
    };
    PeerDocument {
        name: peer.name.clone(),
        description: peer.description.clone(),
        address: Some(peer.address),
        interface: peer.interface.map(|interface| interface.to_string()),
        port: peer.port,
        kind: word(&peer.kind),
        local_as: peer.local_as.0,
        remote_as: peer.remote_as.0,
        state: word(&peer.state),
        state_secs: peer.state_secs,
        uptime_secs: peer.uptime_secs,
        last_error: peer.last_error.clone(),
        flaps: peer.sessions_established.saturating_sub(u64::from(peer.uptime_secs.is_some())),
        router_id: negotiated.map(|terms| terms.remote_router_id.to_string()),
        hold_time_secs: negotiated.map(|terms| terms.hold_time_secs),
        keepalive_secs: negotiated.map(|terms| terms.keepalive_secs),
        families: negotiated.map_or_else(Vec::new, |terms| names(&terms.families)),
        capabilities: negotiated.map_or_else(Vec::new, |terms| {
            terms.remote_capabilities.iter().map(ToString::to_string).collect()
        }),
        restart_time_secs: negotiated
            .and_then(|terms| terms.restart.as_ref())
            .map(|restart| restart.restart_time_secs),
        template: peer.template.clone(),
        passive: peer.passive,
        connect_retry_secs: peer.connect_retry_secs,
        idle_hold_secs: peer.timing.idle_hold_secs,
        maximum_idle_hold_secs: peer.timing.idle_hold_max_secs,
        minimum_advertisement_secs: peer.timing.advertisement_interval_secs,
        send_hold_secs: negotiated
            .map(|terms| peer.timing.send_hold(terms.hold_time_secs).as_secs())
            .or(peer.timing.send_hold_secs.map(u64::from)),
        next_attempt_secs: peer.next_attempt_secs,
        add_path_receive: negotiated.map_or_else(Vec::new, |terms| names(&terms.decode.add_path_receive)),
        add_path_send: negotiated.map_or_else(Vec::new, |terms| names(&terms.encode.add_path_send)),
        add_path_send_maximum: peer.add_paths.send_maximum.map(NonZeroU8::get),
        reflector_client,
        role: peer.role.map(|role| role.to_string()),
        maximum_prefixes: peer.prefix_limit.and_then(|limit| limit.received),
        maximum_prefixes_accepted: peer.prefix_limit.and_then(|limit| limit.accepted),
        maximum_prefixes_sent: peer.prefix_limit.and_then(|limit| limit.sent),
        password: peer.password,
        messages_in: messages(&peer.received) + peer.received.updates,
        messages_out: messages(&peer.sent),
        updates_in: peer.received.updates,
        malformed_attributes: peer.malformed_attributes,
        ..PeerDocument::default()
    }
}

/// One prefix with its paths.
#[must_use]
pub fn route(route: &RibRoute) -> RouteDocument {
    RouteDocument { prefix: route.prefix, paths: route.paths.iter().map(path).collect() }
}

pub(super) fn path(path: &PathSnapshot) -> PathDocument {
    let (mut lost_to, mut not_multipath) = (None, None);
    let (ineligible, lost) = match &path.usage {
        PathUsage::Best => (None, None),
        PathUsage::Multipath { reason } => (None, Some(loss(*reason).to_owned())),
        PathUsage::Lost { reason, to, not_multipath: why } => {
            lost_to = Some(to.clone());
            not_multipath = why.map(|why| left_out(why).to_owned());
            (None, Some(loss(*reason).to_owned()))
        }
        PathUsage::Ineligible { reason } => (Some(ineligible(reason)), None),
    };
    PathDocument {
        source: path.source.clone(),
        path_id: named(path.path_id),
        best: path.usage == PathUsage::Best,
        multipath: matches!(path.usage, PathUsage::Multipath { .. }),
        stale: path.stale,
        ineligible,
        lost,
        lost_to,
        not_multipath,
        age_secs: path.age_secs,
        ..attributes(&path.attributes)
    }
}

/// What a peer was sent, in the order of prefixes, with the paths of one prefix together.
pub fn add_advertised(document: &mut RoutesDocument, routes: &[AdvertisedRoute]) {
    for AdvertisedRoute { prefix, path_id, attributes: sent } in routes {
        let path_id = named(*path_id);
        let path = PathDocument { source: "local".to_owned(), path_id, best: true, ..attributes(sent) };
        match document.routes.last_mut().filter(|last| last.prefix == *prefix) {
            Some(last) => last.paths.push(path),
            None => document.routes.push(RouteDocument { prefix: *prefix, paths: vec![path] }),
        }
    }
}

fn named(path_id: u32) -> Option<u32> {
    Some(path_id).filter(|path_id| *path_id != 0)
}

pub(super) fn attributes(attributes: &AttributesSnapshot) -> PathDocument {
    let AttributesSnapshot { communities, extended_communities, large_communities, .. } = attributes;
    PathDocument {
        next_hop: attributes.next_hop.as_ref().map(ToString::to_string),
        as_path: attributes.as_path.clone(),
        origin: word(&attributes.origin),
        local_pref: attributes.local_pref,
        med: attributes.med,
        communities: [communities.as_slice(), extended_communities, large_communities].concat(),
        originator_id: attributes.originator_id.map(|id| id.to_string()),
        cluster_list: attributes.cluster_list.iter().map(ToString::to_string).collect(),
        only_to_customer: attributes.only_to_customer.map(|asn| asn.0),
        ..PathDocument::default()
    }
}

fn loss(reason: LossReason) -> &'static str {
    match reason {
        LossReason::NotLocal => "a route of our own exists",
        LossReason::LocalPref => "lower LOCAL_PREF",
        LossReason::AsPathLength => "longer AS_PATH",
        LossReason::Origin => "worse ORIGIN",
        LossReason::Med => "higher MED",
        LossReason::Internal => "internal, the best is external",
        LossReason::NextHopMetric => "next hop is farther",
        LossReason::NotOldest => "the best was there first",
        LossReason::RouterId => "higher router id",
        LossReason::ClusterListLength => "longer CLUSTER_LIST",
        LossReason::PeerAddress => "higher peer address",
        LossReason::PathId => "higher path id",
    }
}

fn left_out(reason: NotMultipath) -> &'static str {
    match reason {
        NotMultipath::SameNextHop => "a path in use has the same next hop",
        NotMultipath::AsPath => "it came through other ASes (relaxASPath is off)",
        NotMultipath::Limit => "as many paths as allowed are in use (maximumPaths)",
    }
}

fn ineligible(reason: &Ineligible) -> String {
    match reason {
        Ineligible::NextHop(reason) => format!("next hop: {reason}"),
        Ineligible::FirstAs => "its AS_PATH does not begin with the peer's AS (enforceFirstAS)".to_owned(),
        Ineligible::AsSet => "an AS_SET is in its AS_PATH (RFC 9774; allowASSets)".to_owned(),
        Ineligible::NoImportPolicy => {
            "the peer has no import filter of the family (RFC 8212; ebgpRequiresPolicy)".to_owned()
        }
        Ineligible::AsLoop => "our AS is in its AS_PATH".to_owned(),
        Ineligible::OriginatorLoop => "we are its ORIGINATOR_ID".to_owned(),
        Ineligible::ClusterLoop => "our cluster is in its CLUSTER_LIST".to_owned(),
        Ineligible::Policy(rule) => format!("rejected by import filter {rule}"),
        Ineligible::PeerDefault => "only for peers with defaultOriginate".to_owned(),
        Ineligible::RouteLeak => "route leak: it is marked as only for customers (RFC 9234)".to_owned(),
    }
}

/// The kernel's side in numbers.
#[must_use]
pub fn fib_counts(summary: &FibSummary, enabled: bool) -> FibCounts {
    FibCounts {
        enabled,
        desired: summary.desired,
        installed: summary.installed,
        unresolved: summary.unresolved,
    }
}

/// The kernel's side, route by route, IPv4 first.
#[must_use]
pub fn fib(snapshot: &FibSnapshot, enabled: bool) -> FibDocument {
    let routes = snapshot.routes.iter().map(fib_route).collect();
    FibDocument { counts: fib_counts(&snapshot.summary, enabled), routes }
}

pub(super) fn fib_route(route: &RouteSnapshot) -> FibRouteDocument {
    FibRouteDocument {
        prefix: route.prefix,
        kind: word(&route.kind),
        metric: route.metric,
        table: route.table,
        source: word(&route.source),
        state: word(&route.state),
        reason: route.reason.clone(),
        next_hops: route.next_hops.iter().map(fib_next_hop).collect(),
    }
}

pub(super) fn fib_next_hop(hop: &NextHopView) -> FibNextHopDocument {
    FibNextHopDocument { gateway: hop.gateway, device: hop.device.clone(), weight: hop.weight }
}

/// The serialised name of a field-less variant, which is the word that the documents use.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
