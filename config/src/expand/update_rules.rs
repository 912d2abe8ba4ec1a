//! The rules of one session, every choice made.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::session::{Session, SessionOrigin};
use super::speaker::Speaker;
use crate::catalog::Resources;
use crate::model::{Asn, CLUSTER_WIDE, Family, PER_NODE_PREFIX, RemovePrivateAs, Role, UpdateRules};
use crate::problem::Problem;

/// What is demanded of the other end's routes and done to those it gets, beside filters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionRules {
    /// External only: AS_PATH begins with the other end's AS.
    pub enforce_first_as: bool,
    /// Paths with an AS_SET are taken.
    pub allow_as_sets: bool,
    /// External only: private AS numbers in what is sent.
    pub remove_private_as: RemovePrivateAs,
    /// External only: our AS in place of the other end's.
    pub as_override: bool,
    /// External only: its GRACEFUL_SHUTDOWN community counts.
    pub honour_graceful_shutdown: bool,
    /// The session, or the whole node, is about to go away.
    pub graceful_shutdown: bool,
    /// It gets a default route of ours in these families.
    pub default_originate: Vec<Family>,
    /// A client that hears the other clients by itself: nothing is reflected between two of these.
    pub is_meshed_client: bool,
    /// We are in a confederation, and its AS may be too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confederation: Option<SessionConfederation>,
    /// External only: nothing comes in and nothing leaves without a filter (RFC 8212).
    pub policy_required: bool,
}

/// The other end, seen from inside a confederation (RFC 5065).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionConfederation {
    /// What the world sees.
    pub identifier: Asn,
    /// The other end's AS is inside.
    pub is_member: bool,
}

impl Default for SessionRules {
    /// Of a session that nothing is said about.
    fn default() -> Self {
        Self {
            enforce_first_as: true,
            allow_as_sets: false,
            remove_private_as: RemovePrivateAs::None,
            as_override: false,
            honour_graceful_shutdown: true,
            graceful_shutdown: false,
            default_originate: Vec::new(),
            is_meshed_client: false,
            confederation: None,
            policy_required: false,
        }
    }
}

impl SessionRules {
    /// As a BGPPeer has them. `role` is ours on this session. What is done to routes that leave is the node
    /// side's business and not that of its mirror.
    pub(super) fn of_peer(rules: &UpdateRules, origin: SessionOrigin, role: Option<Role>) -> Self {
        let (remove_private_as, as_override, default_originate) = match origin {
            SessionOrigin::Reverse => (RemovePrivateAs::None, false, Vec::new()),
            SessionOrigin::Global | SessionOrigin::Node | SessionOrigin::Mesh => {
                (rules.remove_private_as, rules.as_override, rules.default_originate.clone())
            }
        };
        // RFC 7947 §2.2.2.1: a route server does not put itself into the path.
        let is_first_as_there = role != Some(Role::RsClient);
        Self {
            enforce_first_as: rules.enforce_first_as.unwrap_or(is_first_as_there),
            allow_as_sets: rules.allow_as_sets,
            remove_private_as,
            as_override,
            honour_graceful_shutdown: rules.honour_graceful_shutdown.unwrap_or(true),
            graceful_shutdown: rules.graceful_shutdown,
            default_originate,
            is_meshed_client: false,
            confederation: None,
            policy_required: false,
        }
    }
}

/// What the cluster and the node say of all sessions of the node.
pub(super) fn apply_node(resources: &Resources, local: &Speaker, sessions: &mut [Session]) {
    let (node_name, as_number) = (&local.node_name, local.as_number);
    let own = resources.bgp_configurations.get(&format!("{PER_NODE_PREFIX}{node_name}"));
    let cluster = resources.cluster_configuration();
    let own = own.and_then(|object| object.spec.graceful_shutdown);
    let is_draining = own.or(cluster.and_then(|object| object.spec.graceful_shutdown)).unwrap_or_default();
    let policy_required = cluster.is_some_and(|object| object.spec.ebgp_requires_policy);
    let reflects = cluster.and_then(|object| object.spec.client_to_client_reflection).unwrap_or(true);
    let confederation = cluster.and_then(|object| object.spec.confederation.as_ref());
    for session in sessions {
        session.rules.confederation = confederation.map(|confederation| SessionConfederation {
            identifier: confederation.identifier,
            is_member: session.local_as == session.remote_as
                || confederation.members.contains(&session.remote_as),
        });
        let is_inside = session.rules.confederation.as_ref().is_none_or(|of| of.is_member);
        if let Some(confederation) = confederation.filter(|_| !is_inside)
            && session.local_as == as_number
        {
            session.local_as = confederation.identifier;
        }
        let is_member = session.rules.confederation.as_ref().is_some_and(|of| of.is_member);
        let is_external = session.local_as != session.remote_as && !is_member;
        session.rules.graceful_shutdown |= is_draining;
        session.rules.policy_required = policy_required && is_external;
        // Reflectors of other clusters are clients to us, but nobody else tells them about our own.
        let remote = session.remote_node.as_ref().and_then(|name| resources.nodes.get(name));
        let remote = remote.and_then(|node| node.spec.bgp.as_ref());
        let is_reflector = remote.is_some_and(|bgp| bgp.route_reflector_cluster_id.is_some());
        session.rules.is_meshed_client = !reflects && session.reflector_client.is_some() && !is_reflector;
    }
}

/// Two nodes of one cluster are in one confederation, or they would expect each other's wrong AS.
pub(super) fn outside_nodes(resources: &Resources, sessions: &[Session]) -> BTreeSet<Problem> {
    let Some(cluster) = resources.bgp_configurations.get(CLUSTER_WIDE) else { return BTreeSet::new() };
    let outside = sessions.iter().filter(|session| {
        session.rules.confederation.as_ref().is_some_and(|confederation| !confederation.is_member)
    });
    let warning = |session: &Session| {
        let node = session.remote_node.as_ref()?;
        let message = format!(
            "lacks {}, the AS of Node {node}: the session with it will not come up; add it",
            session.remote_as
        );
        let field = "spec.confederation.members";
        Some(Problem::warning(cluster.place(field), field, message))
    };
    outside.filter_map(warning).collect()
}

/// A default route in a family that the session does not carry.
pub(super) fn default_of_no_family(resources: &Resources, sessions: &[Session]) -> BTreeSet<Problem> {
    let is_carried = |session: &Session| {
        session.rules.default_originate.iter().all(|family| session.families.contains(family))
    };
    let peers = sessions.iter().filter(|session| !is_carried(session));
    let peers = peers.filter_map(|session| resources.bgp_peers.get(session.bgp_peer.as_ref()?));
    let field = "spec.defaultOriginate";
    let message = "names a family that the session does not exchange: see families";
    peers.map(|peer| Problem::warning(peer.place(field), field, message)).collect()
}

/// Fields that are for external sessions.
pub(super) fn without_effect(resources: &Resources, sessions: &[Session]) -> BTreeSet<Problem> {
    let internal = sessions.iter().filter(|session| session.local_as == session.remote_as);
    let peers = internal.filter_map(|session| resources.bgp_peers.get(session.bgp_peer.as_ref()?));
    let warnings = peers.flat_map(|peer| {
        let rules = &peer.spec.update_rules;
        let given = [
            ("spec.enforceFirstAS", rules.enforce_first_as == Some(true)),
            ("spec.removePrivateAS", rules.remove_private_as != RemovePrivateAs::None),
            ("spec.asOverride", rules.as_override),
            ("spec.honourGracefulShutdown", rules.honour_graceful_shutdown == Some(true)),
        ];
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(field, _)| {
            let message =
                "has no effect on an internal session: remove it, or see whether the AS numbers are right";
            Problem::warning(peer.place(field), field, message)
        })
    });
    warnings.collect()
}

/// What is not the default.
impl fmt::Display for SessionRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (!self.enforce_first_as, " any-first-as"),
            (self.allow_as_sets, " as-sets"),
            (self.remove_private_as == RemovePrivateAs::IfAllPrivate, " remove-private-as if-all"),
            (self.remove_private_as == RemovePrivateAs::All, " remove-private-as"),
            (self.remove_private_as == RemovePrivateAs::Replace, " replace-private-as"),
            (self.as_override, " as-override"),
            (!self.honour_graceful_shutdown, " ignore-graceful-shutdown"),
            (self.graceful_shutdown, " graceful-shutdown"),
            (self.is_meshed_client, " meshed"),
            (self.policy_required, " policy-required"),
        ];
        if let Some(confederation) = &self.confederation {
            let side = if confederation.is_member { "inside" } else { "outside" };
            write!(f, " {side} confederation {}", confederation.identifier)?;
        }
        for family in &self.default_originate {
            f.write_str(match family {
                Family::Ipv4Unicast => " default-originate ipv4-unicast",
                Family::Ipv6Unicast => " default-originate ipv6-unicast",
            })?;
        }
        words.iter().filter(|(is_said, _)| *is_said).try_for_each(|(_, word)| f.write_str(word))
    }
}
