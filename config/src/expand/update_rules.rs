//! The rules of one session, every choice made.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::session::{Session, SessionOrigin};
use crate::catalog::Resources;
use crate::model::{PER_NODE_PREFIX, RemovePrivateAs, Role, UpdateRules};
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
    /// A client that hears the other clients by itself: nothing is reflected between two of these.
    pub is_meshed_client: bool,
    /// External only: nothing comes in and nothing leaves without a filter (RFC 8212).
    pub policy_required: bool,
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
            is_meshed_client: false,
            policy_required: false,
        }
    }
}

impl SessionRules {
    /// As a BGPPeer has them. `role` is ours on this session. What is done to routes that leave is the node
    /// side's business and not that of its mirror.
    pub(super) fn of_peer(rules: &UpdateRules, origin: SessionOrigin, role: Option<Role>) -> Self {
        let (remove_private_as, as_override) = match origin {
            SessionOrigin::Reverse => (RemovePrivateAs::None, false),
            SessionOrigin::Global | SessionOrigin::Node | SessionOrigin::Mesh => {
                (rules.remove_private_as, rules.as_override)
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
            is_meshed_client: false,
            policy_required: false,
        }
    }
}

/// What the cluster and the node say of all sessions of the node.
pub(super) fn apply_node(resources: &Resources, node_name: &str, sessions: &mut [Session]) {
    let own = resources.bgp_configurations.get(&format!("{PER_NODE_PREFIX}{node_name}"));
    let cluster = resources.cluster_configuration();
    let own = own.and_then(|object| object.spec.graceful_shutdown);
    let is_draining = own.or(cluster.and_then(|object| object.spec.graceful_shutdown)).unwrap_or_default();
    let policy_required = cluster.is_some_and(|object| object.spec.ebgp_requires_policy);
    let reflects = cluster.and_then(|object| object.spec.client_to_client_reflection).unwrap_or(true);
    for session in sessions {
        let is_external = session.local_as != session.remote_as;
        session.rules.graceful_shutdown |= is_draining;
        session.rules.policy_required = policy_required && is_external;
        // Reflectors of other clusters are clients to us, but nobody else tells them about our own.
        let remote = session.remote_node.as_ref().and_then(|name| resources.nodes.get(name));
        let remote = remote.and_then(|node| node.spec.bgp.as_ref());
        let is_reflector = remote.is_some_and(|bgp| bgp.route_reflector_cluster_id.is_some());
        session.rules.is_meshed_client = !reflects && session.reflector_client.is_some() && !is_reflector;
    }
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
        words.iter().filter(|(is_said, _)| *is_said).try_for_each(|(_, word)| f.write_str(word))
    }
}
