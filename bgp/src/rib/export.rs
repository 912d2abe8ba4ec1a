//! What leaves, and in what form: the export policy, the rules of RFC 4271 §9.2 and of route reflection
//! (RFC 4456 §8), as functions of plain values.
//!
//! Whether the peer's own AS stands in the path is not checked towards external peers: one that sets
//! allowas-in wants such routes, and to any other they do no harm (§9.1.2). BIRD and GoBGP do the same.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU8;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::attributes::{AttributeTable, DEFAULT_LOCAL_PREF, Scope};
use super::event::{ExportAction, ExportPolicy, PrefixCommunities, RibPeer};
use super::family::{Family, PerFamily, Prefix};
use super::path::{Path, Refusal, Slot};
use super::policy::{Changed, Facts, NextHopChange, Policy, PolicyRoute, SourceMatch, Will};
use super::role::mark_sent;
use super::session::SourceTerms;
use super::table::Destination;
use super::update_rules::ExportRules;
use crate::peer::NextHopMode;
use crate::wire::{BgpRole, EncodeContext, NextHop, PathAttributes};
use crate::{Asn, ClusterId, PeerKind};

/// Everything about a peer that can change a byte of what it is sent. Peers on equal terms share one
/// Adj-RIB-Out and the encoded messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    kind: PeerKind,
    local_as: Asn,
    families: PerFamily<bool>,
    next_hop_mode: NextHopMode,
    /// What stands for ourselves.
    own_next_hop: PerFamily<Option<NextHop>>,
    /// IPv4 prefixes may have IPv6 next hops (RFC 8950).
    extended_next_hop: bool,
    reflector_client: Option<ClusterId>,
    /// Our role on external sessions (RFC 9234).
    role: Option<BgpRole>,
    encode: EncodeContext,
    /// Most paths of one prefix, where several are sent at all.
    add_path_maximum: Option<NonZeroU8>,
    policy: Arc<Policy>,
    rules: ExportRules,
}

impl Terms {
    pub(super) fn of(peer: &RibPeer) -> Self {
        let negotiated = &peer.negotiated;
        let has = |family: Family| negotiated.families.contains(&family.afi_safi());
        Self {
            kind: negotiated.kind,
            local_as: negotiated.local_as,
            families: PerFamily { v4: has(Family::V4), v6: has(Family::V6) },
            next_hop_mode: peer.next_hop_mode,
            own_next_hop: own_next_hop(peer),
            extended_next_hop: negotiated.extended_next_hop,
            reflector_client: peer.reflector_client,
            role: negotiated.role,
            encode: negotiated.encode.clone(),
            add_path_maximum: peer.add_path_maximum.filter(|_| !negotiated.encode.add_path_send.is_empty()),
            policy: Arc::clone(&peer.export),
            rules: ExportRules::of(peer),
        }
    }

    /// The same with another policy.
    pub(super) fn with_policy(&self, policy: &Arc<Policy>) -> Self {
        Self { policy: Arc::clone(policy), ..self.clone() }
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn has(&self, family: Family) -> bool {
        *self.families.get(family)
    }

    pub(super) fn encode_context(&self) -> &EncodeContext {
        &self.encode
    }

    /// Whether paths are sent with identifiers (RFC 7911), and so as many of them as `add_path_maximum` says.
    pub(super) fn sends_paths(&self, family: Family) -> bool {
        self.encode.add_path_send.contains(&family.afi_safi())
    }

    pub(super) fn add_path_maximum(&self) -> usize {
        self.add_path_maximum.map_or(usize::MAX, |maximum| usize::from(maximum.get()))
    }

    /// The attributes with which a path leaves on these terms; `None` if it does not. `source` is `None` for
    /// a route of our own, `will` what policy wants of the attributes.
    pub(super) fn export(
        &self,
        family: Family,
        source: Option<SourceTerms>,
        scope: Scope,
        attributes: &PathAttributes,
        will: Will,
    ) -> Option<PathAttributes> {
        if !scope.reaches(self.kind) {
            return None;
        }
        let next_hop = self.next_hop(family, source.is_some(), attributes.next_hop, will)?;
        let mut exported = PathAttributes { next_hop: Some(next_hop), interface: None, ..attributes.clone() };
        match self.kind {
            PeerKind::Ebgp => {
                mark_sent(&mut exported, self.role, self.local_as)?;
                self.to_external(source.is_some(), will, &mut exported);
            }
            PeerKind::Confederation => {
                self.to_member(&mut exported);
                self.rules.to_internal(&mut exported);
            }
            PeerKind::Ibgp => {
                self.to_internal(source, &mut exported)?;
                self.rules.to_internal(&mut exported);
            }
        }
        Some(exported)
    }

    /// RFC 4271 §5.1.3. An IPv4 route needs an IPv4 next hop as long as RFC 8950 is not negotiated. A link-local
    /// address means nothing to a peer on another link: we stand in its place, as the one who is on that link.
    fn next_hop(
        &self,
        family: Family,
        is_learned: bool,
        next_hop: Option<NextHop>,
        will: Will,
    ) -> Option<NextHop> {
        let keeps = match (will.next_hop, self.next_hop_mode) {
            (Some(NextHopChange::Address(_)), _) => true,
            (Some(NextHopChange::SelfAddress), _) => false,
            (Some(NextHopChange::Unchanged), _) => is_learned,
            // What is the peer's own address on import is no address for it on export.
            (Some(NextHopChange::Peer) | None, mode) => match mode {
                // RFC 5065 §5 lets it stay inside the confederation; BIRD does that too.
                NextHopMode::Auto => is_learned && self.kind != PeerKind::Ebgp,
                NextHopMode::SelfAddress => false,
                NextHopMode::Keep => is_learned,
            },
        };
        if !keeps {
            return *self.own_next_hop.get(family);
        }
        match (family, next_hop?) {
            (Family::V4, NextHop::V4(address)) => Some(NextHop::V4(address)),
            (Family::V4, NextHop::V6 { .. }) if !self.extended_next_hop => None,
            (Family::V4 | Family::V6, NextHop::V6 { global, .. }) if is_global(global) => {
                Some(NextHop::V6 { global, link_local: None })
            }
            (Family::V4 | Family::V6, NextHop::V6 { .. }) => *self.own_next_hop.get(family),
            (Family::V6, NextHop::V4(_)) => None,
        }
    }

    fn to_external(&self, is_learned: bool, will: Will, attributes: &mut PathAttributes) {
        // RFC 5065 §4 c.
        attributes.as_path.remove_confederation();
        self.rules.to_external(self.local_as, attributes);
        // RFC 4271 §5.1.2.
        attributes.as_path.prepend(self.local_as);
        // RFC 4271 §5.1.5.
        attributes.local_pref = None;
        // RFC 4271 §5.1.4: a MED from one neighboring AS is not for another. One that policy sets is for this one.
        if is_learned && !will.med {
            attributes.med = None;
        }
        // RFC 4456 §8: both are non-transitive.
        attributes.originator_id = None;
        attributes.cluster_list = Vec::new();
        if !will.extended_communities {
            keep_transitive(attributes);
        }
    }

    /// RFC 5065 §4 b, §5: to another member AS of the confederation.
    fn to_member(&self, attributes: &mut PathAttributes) {
        attributes.as_path.prepend_confederation(self.local_as);
        attributes.local_pref.get_or_insert(DEFAULT_LOCAL_PREF);
        attributes.originator_id = None;
        attributes.cluster_list = Vec::new();
    }

    fn to_internal(&self, source: Option<SourceTerms>, attributes: &mut PathAttributes) -> Option<()> {
        // RFC 4271 §5.1.5: every UPDATE to an internal peer carries it.
        attributes.local_pref.get_or_insert(DEFAULT_LOCAL_PREF);
        let Some(source) = source else { return Some(()) };
        match source.kind {
            PeerKind::Ebgp | PeerKind::Confederation => Some(()),
            PeerKind::Ibgp => self.reflect(source, attributes),
        }
    }

    /// RFC 4456 §6: what an internal peer sent goes to internal peers only if one of the two is a client.
    /// §8: with the originator's identifier, and with our cluster in front. Between clients of two clusters
    /// of ours both are put in front, as BIRD does, so that a loop ends in either.
    fn reflect(&self, source: SourceTerms, attributes: &mut PathAttributes) -> Option<()> {
        if source.reflector_client.is_none() && self.reflector_client.is_none() {
            return None;
        }
        if source.is_meshed_client && self.rules.is_meshed_client() {
            return None;
        }
        attributes.originator_id.get_or_insert(source.router_id);
        let mut clusters: SmallVec<[ClusterId; 2]> = source.reflector_client.into_iter().collect();
        if let Some(cluster) = self.reflector_client
            && !clusters.contains(&cluster)
        {
            clusters.insert(0, cluster);
        }
        attributes.cluster_list.splice(0..0, clusters);
        Some(())
    }
}

/// Why a route is kept from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// A rule of the peer's own export policy rejects it.
    Policy,
    /// The peer has no export policy and may get nothing without (RFC 8212).
    NoPolicy,
    /// The rules that all peers share do not let it leave.
    SharedPolicy,
    /// NO_ADVERTISE, NO_EXPORT towards an external peer, or NO_EXPORT_SUBCONFED towards another AS (RFC 1997).
    Community,
    /// It came from an internal peer, and neither that one nor this one is our client (RFC 4456 §6).
    NotReflected,
    /// There is no next hop that the peer could use.
    NextHop,
    /// It is only for customers (RFC 9234 §5).
    Role,
}

/// What changes the attributes of a route that leaves, apart from the peer's terms: places of rules of the
/// peer's policy, and then of communities that all peers share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Leave {
    rules: SmallVec<[usize; 2]>,
    communities: SmallVec<[usize; 2]>,
}

impl Terms {
    /// Whether and why a path leaves to peers on these terms: their own policy first, then what all share.
    /// `facts` are about the path's attributes.
    pub(super) fn leave(
        &self,
        shared: &ExportPolicy,
        table: &AttributeTable,
        prefix: IpNet,
        path: &Path,
        facts: &Facts,
    ) -> Option<Leave> {
        let is_own = path.source == Slot::LOCAL;
        let has_rules = !self.policy.rules(&prefix).is_empty();
        if self.rules.needs_policy() && !has_rules {
            return None;
        }
        let mut leave = Leave::default();
        // Attributes are looked at only where there is somebody to look.
        if has_rules {
            let source = if is_own { SourceMatch::Own } else { SourceMatch::Learned };
            let attributes = &table.get(path.attributes)?.attributes;
            let route = PolicyRoute { prefix, source, peer_kind: self.kind, attributes, facts };
            let decision = self.policy.decide(&route);
            if decision.is_rejected() {
                return None;
            }
            leave.rules = decision.changes;
            if decision.end.is_some() {
                return Some(leave);
            }
        }
        let local_pref = || table.get(path.attributes).map_or(0, |set| set.key.local_pref);
        if !is_accepted(shared, &prefix, is_own, local_pref) {
            return None;
        }
        leave.communities = communities(&shared.communities, &prefix);
        Some(leave)
    }

    /// The rule of the peer's policy that decides about a path; for people.
    pub(super) fn deciding_rule(&self, table: &AttributeTable, prefix: IpNet, path: &Path) -> Option<String> {
        let is_own = path.source == Slot::LOCAL;
        let source = if is_own { SourceMatch::Own } else { SourceMatch::Learned };
        let attributes = &table.get(path.attributes)?.attributes;
        let facts = &Facts::default();
        let route = PolicyRoute { prefix, source, peer_kind: self.kind, attributes, facts };
        self.policy.decide(&route).end.map(|(_, rule)| rule.name.clone())
    }

    /// Why a path does not leave to peers on these terms: asks the same questions as [`Terms::leave`] and
    /// [`Terms::export`], in their order; `None`: it leaves.
    pub(super) fn withheld(
        &self,
        shared: &ExportPolicy,
        table: &AttributeTable,
        family: Family,
        (prefix, path): (IpNet, &Path),
        source: Option<SourceTerms>,
    ) -> Option<Withheld> {
        let set = table.get(path.attributes)?;
        let leave = match path.refusal {
            // As when it is sent.
            Refusal::PeerDefault => Some(Leave::default()),
            _ => self.leave(shared, table, prefix, path, &Facts::default()),
        };
        let Some(leave) = leave else {
            let needs_rules = self.rules.needs_policy() && self.policy.rules(&prefix).is_empty();
            return Some(match self.deciding_rule(table, prefix, path) {
                Some(_) => Withheld::Policy,
                None if needs_rules => Withheld::NoPolicy,
                None => Withheld::SharedPolicy,
            });
        };
        let changed = self.apply(shared, family, &leave, &set.attributes);
        let (attributes, will) = match &changed {
            Some(changed) => (&changed.attributes, changed.will),
            None => (&*set.attributes, Will::default()),
        };
        if self.export(family, source, set.key.scope, attributes, will).is_some() {
            return None;
        }
        Some(if !set.key.scope.reaches(self.kind) {
            Withheld::Community
        } else if self.next_hop(family, source.is_some(), attributes.next_hop, will).is_none() {
            Withheld::NextHop
        } else {
            match self.kind {
                PeerKind::Ibgp | PeerKind::Confederation => Withheld::NotReflected,
                PeerKind::Ebgp => Withheld::Role,
            }
        })
    }

    /// Our default route for the peer, which stands before any other and is no business of its policy.
    pub(super) fn own_default<'a, P: Prefix>(&self, destination: &'a Destination<P>) -> Option<&'a Path> {
        let prefix = destination.prefix.to_net();
        let is_withheld = self.rules.needs_policy() && self.policy.rules(&prefix).is_empty();
        if !self.rules.is_own_default(&prefix) || is_withheld {
            return None;
        }
        destination.paths.iter().find(|path| path.refusal == Refusal::PeerDefault)
    }

    /// The attributes as policy leaves them, for a prefix of this family; `None`: it changes nothing.
    pub(super) fn apply(
        &self,
        shared: &ExportPolicy,
        family: Family,
        leave: &Leave,
        attributes: &PathAttributes,
    ) -> Option<Changed> {
        if *leave == Leave::default() {
            return None;
        }
        let rules = match family {
            Family::V4 => &self.policy.ipv4,
            Family::V6 => &self.policy.ipv6,
        };
        // What policy adds for an external peer is for that one, transitive or not.
        let kept = (self.kind == PeerKind::Ebgp).then(|| {
            let mut kept = attributes.clone();
            keep_transitive(&mut kept);
            kept
        });
        let mut changed = rules.change(&leave.rules, kept.as_ref().unwrap_or(attributes));
        changed.will.extended_communities = kept.is_some();
        for communities in leave.communities.iter().filter_map(|place| shared.communities.get(*place)) {
            communities.communities.iter().for_each(|community| community.add_to(&mut changed.attributes));
        }
        Some(changed)
    }
}

/// RFC 4360 §6: what is not transitive stays in the AS; the bandwidth of a link of ours first of all.
fn keep_transitive(attributes: &mut PathAttributes) {
    attributes.extended_communities.retain(|community| community.is_transitive());
}

fn communities(communities: &[PrefixCommunities], prefix: &IpNet) -> SmallVec<[usize; 2]> {
    let containing = communities.iter().enumerate().filter(|(_, entry)| entry.within.contains(prefix));
    containing.map(|(place, _)| place).collect()
}

/// Whether the policy that all peers share lets the prefix leave.
fn is_accepted(
    policy: &ExportPolicy,
    prefix: &IpNet,
    is_own: bool,
    local_pref: impl FnOnce() -> u32,
) -> bool {
    let matching =
        |rule: &&super::event::ExportRule| (is_own || !rule.own_only) && rule.within.contains(prefix);
    let action = policy.rules.iter().find(matching).map_or(policy.otherwise, |rule| rule.action);
    match action {
        ExportAction::Accept => true,
        ExportAction::Reject => false,
        ExportAction::AcceptAbove(bound) => local_pref() > bound,
    }
}

/// Our address in NEXT_HOP: the session's own where it is of the family and means something to the peer, else the
/// configured one.
fn own_next_hop(peer: &RibPeer) -> PerFamily<Option<NextHop>> {
    let (mut v4, mut v6) = (peer.next_hop_v4.map(NextHop::V4), peer.next_hop_v6.map(NextHop::from_global));
    match peer.negotiated.local.ip().to_canonical() {
        IpAddr::V4(address) => v4 = Some(NextHop::V4(address)),
        IpAddr::V6(global) => {
            let link_local = peer.link.and_then(|link| link.link_local);
            // RFC 2545 §3: the link-local one too, to a peer on the same link. On a session between link-local
            // addresses there is no global one that is on that link for certain.
            match link_local {
                _ if is_global(global) => v6 = Some(NextHop::V6 { global, link_local }),
                Some(link_local) => v6 = Some(NextHop::from_global(link_local)),
                None => {}
            }
            // RFC 8950 §4.
            if peer.negotiated.extended_next_hop {
                v4 = v6;
            }
        }
    }
    PerFamily { v4, v6 }
}

fn is_global(address: Ipv6Addr) -> bool {
    !address.is_unicast_link_local() && !address.is_unspecified()
}
