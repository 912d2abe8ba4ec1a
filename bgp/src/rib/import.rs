//! What becomes of a path on its way in: what its peer may not say is taken off, loops are found, and the
//! peer's import policy is held against it.
//!
//! Loops are looked for in the path as it came, so that a policy that prepends our own AS makes a path longer
//! and not unusable. What came is kept, and so everything here can be worked out again without the peer.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use ipnet::IpNet;
use smallvec::SmallVec;

use super::adj_in::{Identity, Shared};
use super::attributes::{AttributeTable, AttributesId};
use super::event::RibPeer;
use super::path::{Refusal, Slot};
use super::policy::{Changed, Facts, NextHopChange, Policy, PolicyRoute, SourceMatch};
use super::role;
use super::session::PeerEntry;
use super::update_rules::{UpdateRules, make_last_resort};
use crate::PeerKind;
use crate::wire::{NextHop, PathAttributes};

/// The parts of a path that are decided here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Imported {
    pub(super) attributes: AttributesId,
    pub(super) as_received: AttributesId,
    pub(super) refusal: Refusal,
}

/// Judges the prefixes that one peer announced with one set of attributes.
pub(super) struct Import {
    source: Slot,
    received: AttributesId,
    attributes: Option<Arc<PathAttributes>>,
    kind: PeerKind,
    /// Set if it has a say.
    policy: Option<Arc<Policy>>,
    rules: UpdateRules,
    /// As far as that is the same for every prefix.
    refusal: Refusal,
    facts: Facts,
    /// By the rules that change them: the attributes as they leave them, held.
    changed: SmallVec<[(Change, AttributesId, Refusal); 1]>,
}

/// A family's rules, by their places; those of IPv6 are marked.
type Change = (bool, SmallVec<[usize; 2]>);

impl Import {
    /// `received` is held by the caller until the end.
    pub(super) fn new(shared: &Shared, source: Slot, received: AttributesId) -> Self {
        let attributes = shared.attributes.get(received).map(|set| &set.attributes);
        let mut import = Self {
            source,
            received,
            attributes: None,
            kind: PeerKind::Ibgp,
            policy: None,
            rules: UpdateRules::default(),
            refusal: Refusal::None,
            facts: Facts::default(),
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
        if self.rules.needs_policy(self.kind) && policy.rules(&prefix).is_empty() {
            return Imported { refusal: Refusal::NoImportPolicy, ..unchanged };
        }
        let (source, facts) = (SourceMatch::Learned, &self.facts);
        let decision =
            policy.decide(&PolicyRoute { prefix, source, peer_kind: self.kind, attributes, facts });
        if decision.is_rejected() {
            return Imported { refusal: Refusal::Policy, ..unchanged };
        }
        if decision.changes.is_empty() && !self.rules.is_last_resort(attributes, self.kind) {
            return unchanged;
        }
        let change = (prefix.addr().is_ipv6(), decision.changes);
        let known = self.changed.iter().find(|(known, ..)| *known == change);
        let (id, refusal) = match known {
            Some((_, id, refusal)) => (*id, *refusal),
            None => {
                let changed = policy.rules(&prefix).change(&change.1, attributes);
                let peer = shared.peers.get(self.source);
                let mut changed =
                    peer.map_or(changed.attributes.clone(), |peer| settled(changed, &peer.terms));
                if self.rules.is_last_resort(&changed, self.kind) {
                    make_last_resort(&mut changed);
                }
                let is_own = peer.is_some_and(|peer| is_own_next_hop(&changed, &peer.terms));
                let refusal = if is_own { Refusal::OwnNextHop } else { self.refusal };
                let id = shared.attributes.intern(changed);
                self.changed.push((change, id, refusal));
                (id, refusal)
            }
        };
        let as_received = if id == self.received { AttributesId::NONE } else { self.received };
        Imported { attributes: id, as_received, refusal }
    }

    pub(super) fn release(self, attributes: &mut AttributeTable) {
        for (_, id, _) in self.changed {
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

/// It takes part as far as policy has no say in it.
pub(super) fn is_usable(attributes: &PathAttributes, peer: &PeerEntry, identity: &Identity) -> bool {
    refusal(attributes, peer, identity) == Refusal::None
}

/// What a policy makes of a path of a peer, for people: the rule that ends it, and the attributes then; `None`: it
/// does not pass.
pub(super) fn tried(
    policy: &Policy,
    peer: &RibPeer,
    prefix: IpNet,
    attributes: &PathAttributes,
) -> (Option<String>, Option<PathAttributes>) {
    let (source, peer_kind, facts) = (SourceMatch::Learned, peer.negotiated.kind, &Facts::default());
    if peer.rules.needs_policy(peer_kind) && policy.rules(&prefix).is_empty() {
        return (None, None);
    }
    let decision = policy.decide(&PolicyRoute { prefix, source, peer_kind, attributes, facts });
    let rule = decision.end.map(|(_, rule)| rule.name.clone());
    if decision.is_rejected() {
        return (rule, None);
    }
    let mut changed = settled(policy.rules(&prefix).change(&decision.changes, attributes), peer);
    if peer.rules.is_last_resort(&changed, peer_kind) {
        make_last_resort(&mut changed);
    }
    (rule, Some(changed).filter(|changed| !is_own_next_hop(changed, peer)))
}

/// What policy made of the attributes, with the peer's address for next hop if that is what it wants. Not where
/// the address is of the other family, or means something on one link only.
fn settled(changed: Changed, peer: &RibPeer) -> PathAttributes {
    let Changed { mut attributes, will } = changed;
    let is_usable = match (peer.address, attributes.next_hop) {
        (IpAddr::V4(_), Some(NextHop::V4(_))) => true,
        (IpAddr::V6(address), Some(NextHop::V6 { .. })) => !address.is_unicast_link_local(),
        (IpAddr::V4(_), Some(NextHop::V6 { .. })) | (IpAddr::V6(_), Some(NextHop::V4(_))) | (_, None) => {
            false
        }
    };
    if will.next_hop == Some(NextHopChange::Peer) && is_usable {
        attributes.next_hop = Some(peer.address.into());
    }
    attributes
}

/// The attributes as they count for us. LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST mean nothing from an
/// external peer (RFC 4271 §5.1.5, RFC 4456 §8; RFC 7606 §7.5, §7.9 and §7.10 discard them).
pub(super) fn import(mut attributes: PathAttributes, peer: &RibPeer) -> PathAttributes {
    role::mark_received(&mut attributes, peer);
    match peer.negotiated.kind {
        PeerKind::Ibgp => {}
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
    let by_rules = terms.rules.refusal(attributes, &terms.negotiated);
    if by_rules != Refusal::None {
        return by_rules;
    }
    let own_as = attributes.as_path.count(terms.negotiated.local_as);
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
    } else if is_own_next_hop(attributes, terms) {
        Refusal::OwnNextHop
    // RFC 9234 §5.
    } else if role::is_leak(attributes, terms) {
        Refusal::RouteLeak
    } else {
        Refusal::None
    }
}

fn is_own_next_hop(attributes: &PathAttributes, terms: &RibPeer) -> bool {
    let next_hop = attributes.next_hop.map(|next_hop| next_hop.addr());
    let ours = [
        Some(terms.negotiated.local.ip().to_canonical()),
        terms.next_hop_v4.map(Into::into),
        terms.next_hop_v6.map(Into::into),
    ];
    next_hop.is_some() && ours.contains(&next_hop)
}
