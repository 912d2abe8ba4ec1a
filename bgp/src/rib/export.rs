//! What leaves, and in what form: the export policy, the rules of RFC 4271 §9.2 and of route reflection
//! (RFC 4456 §8), as functions of plain values.
//!
//! Whether the peer's own AS stands in the path is not checked towards external peers: one that sets
//! allowas-in wants such routes, and to any other they do no harm (§9.1.2). BIRD and GoBGP do the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::sync::Arc;

use ipnet::IpNet;
use smallvec::SmallVec;

use super::attributes::{AttributeTable, DEFAULT_LOCAL_PREF, Scope};
use super::event::{ExportAction, ExportPolicy, PrefixCommunities, RibPeer};
use super::family::{Family, PerFamily};
use super::path::{Path, Slot};
use super::policy::{Changed, Facts, NextHopChange, Policy, PolicyRoute, SourceMatch, Will};
use super::role::mark_sent;
use super::session::SourceTerms;
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
    /// Our address in NEXT_HOP: the session's own, if of the family and global, else the configured one.
    next_hop_v4: Option<Ipv4Addr>,
    next_hop_v6: Option<Ipv6Addr>,
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
        let (mut next_hop_v4, mut next_hop_v6) = (peer.next_hop_v4, peer.next_hop_v6);
        match negotiated.local.ip().to_canonical() {
            IpAddr::V4(address) => next_hop_v4 = Some(address),
            IpAddr::V6(address) if is_global(address) => next_hop_v6 = Some(address),
            IpAddr::V6(_) => {}
        }
        Self {
            kind: negotiated.kind,
            local_as: negotiated.local_as,
            families: PerFamily { v4: has(Family::V4), v6: has(Family::V6) },
            next_hop_mode: peer.next_hop_mode,
            next_hop_v4,
            next_hop_v6,
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

    fn own_next_hop(&self, family: Family) -> Option<NextHop> {
        match family {
            Family::V4 => self.next_hop_v4.map(NextHop::V4),
            Family::V6 => self.next_hop_v6.map(|global| NextHop::V6 { global, link_local: None }),
        }
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
        match (scope, self.kind) {
            (Scope::Here, _) | (Scope::Internal, PeerKind::Ebgp) => return None,
            (Scope::Everywhere, _) | (Scope::Internal, PeerKind::Ibgp) => {}
        }
        let next_hop = self.next_hop(family, source.is_some(), attributes.next_hop, will)?;
        let mut exported = PathAttributes { next_hop: Some(next_hop), ..attributes.clone() };
        match self.kind {
            PeerKind::Ebgp => {
                mark_sent(&mut exported, self.role, self.local_as)?;
                self.to_external(source.is_some(), will, &mut exported);
            }
            PeerKind::Ibgp => {
                self.to_internal(source, &mut exported)?;
                self.rules.to_internal(&mut exported);
            }
        }
        Some(exported)
    }

    /// RFC 4271 §5.1.3. An IPv4 route needs an IPv4 next hop as long as RFC 8950 is not negotiated, and an
    /// IPv6 route a global one: a link-local address means nothing to a peer on another link.
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
                NextHopMode::Auto => is_learned && self.kind == PeerKind::Ibgp,
                NextHopMode::SelfAddress => false,
                NextHopMode::Keep => is_learned,
            },
        };
        if !keeps {
            return self.own_next_hop(family);
        }
        match (family, next_hop?) {
            (Family::V4, NextHop::V4(address)) => Some(NextHop::V4(address)),
            (Family::V6, NextHop::V6 { global, .. }) if is_global(global) => {
                Some(NextHop::V6 { global, link_local: None })
            }
            (Family::V4, NextHop::V6 { .. }) | (Family::V6, NextHop::V4(_) | NextHop::V6 { .. }) => None,
        }
    }

    fn to_external(&self, is_learned: bool, will: Will, attributes: &mut PathAttributes) {
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
    }

    fn to_internal(&self, source: Option<SourceTerms>, attributes: &mut PathAttributes) -> Option<()> {
        // RFC 4271 §5.1.5: every UPDATE to an internal peer carries it.
        attributes.local_pref.get_or_insert(DEFAULT_LOCAL_PREF);
        let Some(source) = source else { return Some(()) };
        match source.kind {
            PeerKind::Ebgp => Some(()),
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
        if !is_accepted(shared, &prefix, is_own) {
            return None;
        }
        leave.communities = communities(&shared.communities, &prefix);
        Some(leave)
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
        let mut changed = rules.change(&leave.rules, attributes);
        for communities in leave.communities.iter().filter_map(|place| shared.communities.get(*place)) {
            communities.communities.iter().for_each(|community| community.add_to(&mut changed.attributes));
        }
        Some(changed)
    }
}

fn communities(communities: &[PrefixCommunities], prefix: &IpNet) -> SmallVec<[usize; 2]> {
    let containing = communities.iter().enumerate().filter(|(_, entry)| entry.within.contains(prefix));
    containing.map(|(place, _)| place).collect()
}

/// Whether the policy that all peers share lets the prefix leave.
fn is_accepted(policy: &ExportPolicy, prefix: &IpNet, is_own: bool) -> bool {
    let matching =
        |rule: &&super::event::ExportRule| (is_own || !rule.own_only) && rule.within.contains(prefix);
    let action = policy.rules.iter().find(matching).map_or(policy.otherwise, |rule| rule.action);
    match action {
        ExportAction::Accept => true,
        ExportAction::Reject => false,
    }
}

fn is_global(address: Ipv6Addr) -> bool {
    !address.is_unicast_link_local() && !address.is_unspecified()
}
