//! What leaves, and in what form: the export policy, the rules of RFC 4271 §9.2 and of route reflection
//! (RFC 4456 §8), as functions of plain values.
//!
//! Whether the peer's own AS stands in the path is not checked towards external peers: one that sets
//! allowas-in wants such routes, and to any other they do no harm (§9.1.2). BIRD and GoBGP do the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use smallvec::SmallVec;

use super::attributes::{AttributeTable, DEFAULT_LOCAL_PREF, Scope};
use super::event::{ExportAction, ExportPolicy, PrefixCommunities, RibPeer};
use super::family::{Family, PerFamily, Prefix};
use super::import::changed;
use super::path::{Path, Refusal, Slot};
use super::policy::{Policy, PolicyRoute, PolicyVerdict, SourceMatch};
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
    /// Our address in NEXT_HOP: the session's own, if of the family and global, else the configured one.
    next_hop_v4: Option<Ipv4Addr>,
    next_hop_v6: Option<Ipv6Addr>,
    reflector_client: Option<ClusterId>,
    /// Our role on external sessions (RFC 9234).
    role: Option<BgpRole>,
    encode: EncodeContext,
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
            policy: Arc::clone(&peer.export),
            rules: ExportRules::of(peer),
        }
    }

    pub(super) fn has(&self, family: Family) -> bool {
        *self.families.get(family)
    }

    pub(super) fn encode_context(&self) -> &EncodeContext {
        &self.encode
    }

    fn own_next_hop(&self, family: Family) -> Option<NextHop> {
        match family {
            Family::V4 => self.next_hop_v4.map(NextHop::V4),
            Family::V6 => self.next_hop_v6.map(|global| NextHop::V6 { global, link_local: None }),
        }
    }

    /// The attributes with which a path leaves on these terms; `None` if it does not. `source` is `None` for
    /// a route of our own.
    pub(super) fn export(
        &self,
        family: Family,
        source: Option<SourceTerms>,
        scope: Scope,
        attributes: &PathAttributes,
    ) -> Option<PathAttributes> {
        match (scope, self.kind) {
            (Scope::Here, _)
            | (Scope::Confederation, PeerKind::Ebgp)
            | (Scope::Internal, PeerKind::Ebgp | PeerKind::Confederation) => return None,
            (Scope::Everywhere, _)
            | (Scope::Confederation, PeerKind::Ibgp | PeerKind::Confederation)
            | (Scope::Internal, PeerKind::Ibgp) => {}
        }
        let next_hop = self.next_hop(family, source.is_some(), attributes.next_hop)?;
        let mut exported = PathAttributes { next_hop: Some(next_hop), ..attributes.clone() };
        match self.kind {
            PeerKind::Ebgp => {
                mark_sent(&mut exported, self.role, self.local_as)?;
                self.to_external(source.is_some(), &mut exported);
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

    /// RFC 4271 §5.1.3. An IPv4 route needs an IPv4 next hop as long as RFC 8950 is not negotiated, and an
    /// IPv6 route a global one: a link-local address means nothing to a peer on another link.
    fn next_hop(&self, family: Family, is_learned: bool, next_hop: Option<NextHop>) -> Option<NextHop> {
        let keeps = match self.next_hop_mode {
            // RFC 5065 §5 lets it stay inside the confederation; BIRD does that too.
            NextHopMode::Auto => is_learned && self.kind != PeerKind::Ebgp,
            NextHopMode::SelfAddress => false,
            NextHopMode::Keep => is_learned,
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

    fn to_external(&self, is_learned: bool, attributes: &mut PathAttributes) {
        // RFC 5065 §4 c.
        attributes.as_path.remove_confederation();
        self.rules.to_external(self.local_as, attributes);
        // RFC 4271 §5.1.2.
        attributes.as_path.prepend(self.local_as);
        // RFC 4271 §5.1.5.
        attributes.local_pref = None;
        // RFC 4271 §5.1.4: a MED from one neighboring AS is not for another.
        if is_learned {
            attributes.med = None;
        }
        // RFC 4456 §8: both are non-transitive.
        attributes.originator_id = None;
        attributes.cluster_list = Vec::new();
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

/// Why a route leaves, which is what changes its attributes apart from the peer's terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Leave {
    /// By what all peers share, unchanged.
    #[default]
    Plain,
    /// By what all peers share, with the communities of these places in it.
    With(SmallVec<[usize; 2]>),
    /// By the rule of the peer's policy in this place.
    Rule(usize),
}

impl Terms {
    /// Whether and why a path leaves to peers on these terms: their own policy first, then what all share.
    pub(super) fn leave(
        &self,
        shared: &ExportPolicy,
        table: &AttributeTable,
        prefix: IpNet,
        path: &Path,
    ) -> Option<Leave> {
        let is_own = path.source == Slot::LOCAL;
        let has_rules = !self.policy.rules(&prefix).is_empty();
        if self.rules.needs_policy() && !has_rules {
            return None;
        }
        // Attributes are looked at only where there is somebody to look.
        if has_rules {
            let source = if is_own { SourceMatch::Own } else { SourceMatch::Learned };
            let attributes = &table.get(path.attributes)?.attributes;
            let route = PolicyRoute { prefix, source, peer_kind: self.kind.by_as_number(), attributes };
            match self.policy.decide(&route) {
                Some((_, rule)) if rule.verdict == PolicyVerdict::Reject => return None,
                Some((place, _)) => return Some(Leave::Rule(place)),
                None => {}
            }
        }
        let local_pref = || table.get(path.attributes).map_or(0, |set| set.key.local_pref);
        is_accepted(shared, &prefix, is_own, local_pref)
            .then(|| with_communities(&shared.communities, &prefix))
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
    ) -> Option<PathAttributes> {
        match leave {
            Leave::Plain => None,
            Leave::With(places) => {
                let mut with = attributes.clone();
                for communities in places.iter().filter_map(|place| shared.communities.get(*place)) {
                    communities.communities.iter().for_each(|community| community.add_to(&mut with));
                }
                Some(with)
            }
            Leave::Rule(place) => {
                let rules = match family {
                    Family::V4 => &self.policy.ipv4,
                    Family::V6 => &self.policy.ipv6,
                };
                match &rules.get(*place)?.verdict {
                    PolicyVerdict::Accept(operations) if !operations.is_empty() => {
                        Some(changed(attributes, operations))
                    }
                    PolicyVerdict::Accept(_) | PolicyVerdict::Reject => None,
                }
            }
        }
    }
}

fn with_communities(communities: &[PrefixCommunities], prefix: &IpNet) -> Leave {
    let containing = communities.iter().enumerate().filter(|(_, entry)| entry.within.contains(prefix));
    let places: SmallVec<[usize; 2]> = containing.map(|(place, _)| place).collect();
    if places.is_empty() { Leave::Plain } else { Leave::With(places) }
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

fn is_global(address: Ipv6Addr) -> bool {
    !address.is_unicast_link_local() && !address.is_unspecified()
}
