//! What becomes of a path on its way in: what its peer may not say is taken off, loops are found, and the
//! peer's import policy is held against it.
//!
//! Loops are looked for in the path as it came, so that a policy that prepends our own AS makes a path longer
//! and not unusable. What came is kept, and so everything here can be worked out again without the peer.

use std::sync::Arc;

use hashbrown::HashMap;
use ipnet::IpNet;
use smallvec::SmallVec;

use super::adj_in::{Identity, Shared};
use super::attributes::{AttributeTable, AttributesId};
use super::event::RibPeer;
use super::path::{Refusal, Slot};
use super::policy::{Operation, Policy, PolicyRoute, PolicyVerdict, SourceMatch};
use super::role;
use super::session::PeerEntry;
use super::update_rules::{UpdateRules, make_last_resort};
use crate::PeerKind;
use crate::wire::PathAttributes;

/// The parts of a path that are decided here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Imported {
    pub(super) attributes: AttributesId,
    pub(super) as_received: AttributesId,
    pub(super) refusal: Refusal,
}

/// In the place of a policy's rule.
const NO_RULE: usize = usize::MAX;

/// Judges the prefixes that one peer announced with one set of attributes.
pub(super) struct Import {
    received: AttributesId,
    attributes: Option<Arc<PathAttributes>>,
    kind: PeerKind,
    /// Set if it has a say.
    policy: Option<Arc<Policy>>,
    rules: UpdateRules,
    /// As far as that is the same for every prefix.
    refusal: Refusal,
    /// By rule, or [`NO_RULE`]: the attributes as it leaves them, held.
    changed: SmallVec<[(usize, AttributesId); 1]>,
}

impl Import {
    /// `received` is held by the caller until the end.
    pub(super) fn new(shared: &Shared, source: Slot, received: AttributesId) -> Self {
        let attributes = shared.attributes.get(received).map(|set| &set.attributes);
        let mut import = Self {
            received,
            attributes: None,
            kind: PeerKind::Ibgp,
            policy: None,
            rules: UpdateRules::default(),
            refusal: Refusal::None,
            changed: SmallVec::new(),
        };
        if let (Some(peer), Some(attributes)) = (shared.peers.get(source), attributes) {
            import.refusal = refusal(attributes, peer, &shared.identity);
            import.kind = peer.terms.negotiated.kind;
            import.rules = peer.terms.rules;
            let is_looked_at = !peer.terms.import.is_empty()
                || import.rules.needs_policy(import.kind)
                || import.rules.is_last_resort(attributes, import.kind);
            if import.refusal == Refusal::None && is_looked_at {
                import.policy = Some(Arc::clone(&peer.terms.import));
                import.attributes = Some(Arc::clone(attributes));
            }
        }
        import
    }

    pub(super) fn judge(&mut self, shared: &mut Shared, prefix: IpNet) -> Imported {
        let unchanged =
            Imported { attributes: self.received, as_received: AttributesId::NONE, refusal: self.refusal };
        let (Some(policy), Some(attributes)) = (&self.policy, &self.attributes) else { return unchanged };
        let route = PolicyRoute {
            prefix,
            source: SourceMatch::Learned,
            peer_kind: self.kind.by_as_number(),
            attributes,
        };
        if self.rules.needs_policy(self.kind) && policy.rules(&prefix).is_empty() {
            return Imported { refusal: Refusal::NoImportPolicy, ..unchanged };
        }
        let (key, operations) = match policy.decide(&route) {
            None => (NO_RULE, &[][..]),
            // The family's rules are counted anew, and so one place may name two rules.
            Some((place, rule)) => match &rule.verdict {
                PolicyVerdict::Reject => return Imported { refusal: Refusal::Policy, ..unchanged },
                PolicyVerdict::Accept(operations) => {
                    (place * 2 + usize::from(prefix.addr().is_ipv6()), operations.as_slice())
                }
            },
        };
        if operations.is_empty() && !self.rules.is_last_resort(attributes, self.kind) {
            return unchanged;
        }
        let known = self.changed.iter().find(|(known, _)| *known == key).map(|(_, id)| *id);
        let id = known.unwrap_or_else(|| {
            let mut changed = changed(attributes, operations);
            if self.rules.is_last_resort(&changed, self.kind) {
                make_last_resort(&mut changed);
            }
            let id = shared.attributes.intern(changed);
            self.changed.push((key, id));
            id
        });
        let as_received = if id == self.received { AttributesId::NONE } else { self.received };
        Imported { attributes: id, as_received, refusal: self.refusal }
    }

    pub(super) fn release(self, attributes: &mut AttributeTable) {
        for (_, id) in self.changed {
            attributes.release(id);
        }
    }
}

/// Judges any paths, each peer's each set of attributes once.
#[derive(Default)]
pub(super) struct Imports(HashMap<(Slot, AttributesId), Import, foldhash::fast::RandomState>);

impl Imports {
    pub(super) fn judge(
        &mut self,
        shared: &mut Shared,
        source: Slot,
        received: AttributesId,
        prefix: IpNet,
    ) -> Imported {
        let import =
            self.0.entry((source, received)).or_insert_with(|| Import::new(shared, source, received));
        import.judge(shared, prefix)
    }

    pub(super) fn release(self, attributes: &mut AttributeTable) {
        for import in self.0.into_values() {
            import.release(attributes);
        }
    }
}

/// A copy with the operations done.
pub(super) fn changed(attributes: &PathAttributes, operations: &[Operation]) -> PathAttributes {
    let mut changed = attributes.clone();
    operations.iter().for_each(|operation| operation.apply(&mut changed));
    changed
}

/// The attributes as they count for us. LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST mean nothing from an
/// external peer (RFC 4271 §5.1.5, RFC 4456 §8; RFC 7606 §7.5, §7.9 and §7.10 discard them).
pub(super) fn import(mut attributes: PathAttributes, peer: &RibPeer) -> PathAttributes {
    role::mark_received(&mut attributes, peer);
    match peer.negotiated.kind {
        PeerKind::Ibgp => {}
        // LOCAL_PREF goes through the whole confederation (RFC 5065 §5), a cluster is a matter of one AS.
        PeerKind::Confederation => {
            attributes.originator_id = None;
            attributes.cluster_list = Vec::new();
        }
        PeerKind::Ebgp => {
            attributes.local_pref = None;
            attributes.originator_id = None;
            attributes.cluster_list = Vec::new();
        }
    }
    attributes
}

/// Why a path of this peer with these attributes does not take part.
fn refusal(attributes: &PathAttributes, peer: &PeerEntry, identity: &Identity) -> Refusal {
    let terms = &peer.terms;
    let next_hop = attributes.next_hop.map(|next_hop| next_hop.addr());
    let ours = [
        Some(terms.negotiated.local.ip().to_canonical()),
        terms.next_hop_v4.map(Into::into),
        terms.next_hop_v6.map(Into::into),
    ];
    let by_rules = terms.rules.refusal(attributes, &terms.negotiated);
    if by_rules != Refusal::None {
        return by_rules;
    }
    let own_as = terms.rules.own_as_count(&attributes.as_path, &terms.negotiated);
    // RFC 4271 §9.1.2, relaxed by allowas-in.
    if own_as > usize::from(terms.allow_local_as) {
        Refusal::AsLoop
    // RFC 4456 §8.
    } else if attributes.originator_id.is_some() && attributes.originator_id == identity.router_id {
        Refusal::OriginatorLoop
    // RFC 4456 §8.
    } else if attributes.cluster_list.iter().any(|cluster| identity.clusters.contains(cluster)) {
        Refusal::ClusterLoop
    // RFC 4271 §5.1.3: never a route with ourselves as the next hop.
    } else if next_hop.is_some() && ours.contains(&next_hop) {
        Refusal::OwnNextHop
    // RFC 9234 §5.
    } else if role::is_leak(attributes, terms) {
        Refusal::RouteLeak
    } else {
        Refusal::None
    }
}
