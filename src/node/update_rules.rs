//! A session's rules into the core's, and into words. Pure.

use bgp::peer::NeighborConfig;
use bgp::rib::{PrivateAs, UpdateRules};
use bgp::{AfiSafi, PeerKind};
use config::expand::SessionRules;
use config::model::RemovePrivateAs;

pub(super) fn update_rules(rules: &SessionRules) -> UpdateRules {
    let SessionRules {
        enforce_first_as,
        allow_as_sets,
        remove_private_as,
        as_override,
        honour_graceful_shutdown,
        graceful_shutdown,
        is_meshed_client,
        policy_required,
    } = *rules;
    UpdateRules {
        enforce_first_as,
        allow_as_sets,
        private_as: match remove_private_as {
            RemovePrivateAs::None => PrivateAs::Keep,
            RemovePrivateAs::IfAllPrivate => PrivateAs::RemoveIfAll,
            RemovePrivateAs::All => PrivateAs::Remove,
            RemovePrivateAs::Replace => PrivateAs::Replace,
        },
        as_override,
        honour_graceful_shutdown,
        graceful_shutdown,
        policy_required,
        is_meshed_client,
    }
}

/// Rules that are not the default of a session of its kind, for people.
pub(super) fn describe(neighbor: &NeighborConfig) -> Vec<String> {
    let rules = &neighbor.rules;
    let is_external = match neighbor.kind() {
        PeerKind::Ebgp => true,
        PeerKind::Ibgp => false,
    };
    let private_as = match rules.private_as {
        PrivateAs::Keep => None,
        PrivateAs::RemoveIfAll => Some("removes private AS if the path has no others"),
        PrivateAs::Remove => Some("removes private AS"),
        PrivateAs::Replace => Some("replaces private AS"),
    };
    let words = [
        (is_external && !rules.enforce_first_as).then_some("takes any first AS"),
        rules.allow_as_sets.then_some("takes AS_SETs"),
        private_as.filter(|_| is_external),
        (is_external && rules.as_override).then_some("overrides the peer's AS"),
        (is_external && !rules.honour_graceful_shutdown).then_some("ignores graceful shutdown"),
        rules.graceful_shutdown.then_some("graceful shutdown"),
        rules.is_meshed_client.then_some("hears no other clients through us"),
        (is_external && rules.policy_required).then_some("needs filters"),
    ];
    words.into_iter().flatten().map(str::to_owned).collect()
}

/// What does not go which way for want of a filter (RFC 8212).
pub(super) fn withheld(neighbor: &NeighborConfig) -> Vec<String> {
    if neighbor.kind() == PeerKind::Ibgp || !neighbor.rules.policy_required {
        return Vec::new();
    }
    let mut withheld = Vec::new();
    for (verb, filter, policy) in
        [("takes", "import", &neighbor.import), ("sends", "export", &neighbor.export)]
    {
        for family in &neighbor.families {
            let is_there = match *family {
                AfiSafi::IPV4_UNICAST => !policy.ipv4.is_empty(),
                _ => !policy.ipv6.is_empty(),
            };
            if !is_there {
                withheld.push(format!("{verb} no {family}: no {filter} filter (RFC 8212)"));
            }
        }
    }
    withheld
}
