//! Update rules, written a second time from their documentation and as plainly as can be.

use bgp::rib::{PrivateAs, RibPeer, UpdateRules};
use bgp::wire::{AsPath, Community, PathAttributes, Segment};
use bgp::{Asn, PeerKind};
use ipnet::IpNet;
use proptest::prelude::*;

pub(crate) fn rules() -> impl Strategy<Value = UpdateRules> {
    let private_as = prop_oneof![
        Just(PrivateAs::Keep),
        Just(PrivateAs::RemoveIfAll),
        Just(PrivateAs::Remove),
        Just(PrivateAs::Replace)
    ];
    let often = || prop::bool::weighted(0.8);
    let seldom = || prop::bool::weighted(0.2);
    (seldom(), often(), private_as, any::<bool>(), any::<bool>(), seldom(), seldom(), any::<bool>()).prop_map(
        |(first, sets, private_as, as_override, honours, shuts, needs_policy, is_meshed_client)| {
            UpdateRules {
                enforce_first_as: first,
                allow_as_sets: sets,
                private_as,
                as_override,
                honour_graceful_shutdown: honours,
                graceful_shutdown: shuts,
                policy_required: needs_policy,
                is_meshed_client,
            }
        },
    )
}

fn is_external(peer: &RibPeer) -> bool {
    peer.negotiated.kind == PeerKind::Ebgp
}

/// Whether what the peer sent does not count.
pub(crate) fn is_refused(peer: &RibPeer, prefix: IpNet, received: &PathAttributes) -> bool {
    let rules = &peer.rules;
    let first = match received.as_path.0.first() {
        Some(Segment::Sequence(asns)) => Some(asns[0]),
        _ => None,
    };
    let has_set =
        received.as_path.0.iter().any(|segment| matches!(segment, Segment::Set(_) | Segment::ConfedSet(_)));
    let has_no_policy =
        if prefix.addr().is_ipv4() { peer.import.ipv4.is_empty() } else { peer.import.ipv6.is_empty() };
    (is_external(peer) && rules.enforce_first_as && first != Some(peer.negotiated.remote_as))
        || (!rules.allow_as_sets && has_set)
        || (is_external(peer) && rules.policy_required && has_no_policy)
}

/// After import policy.
pub(crate) fn receive(peer: &RibPeer, attributes: &mut PathAttributes) {
    let is_marked = attributes.communities.contains(&Community::GRACEFUL_SHUTDOWN);
    let rules = &peer.rules;
    if is_external(peer) && (rules.graceful_shutdown || (rules.honour_graceful_shutdown && is_marked)) {
        attributes.local_pref = Some(0);
    }
}

pub(crate) fn may_send(peer: &RibPeer, prefix: IpNet) -> bool {
    let policy = if prefix.addr().is_ipv4() { &peer.export.ipv4 } else { &peer.export.ipv6 };
    !(is_external(peer) && peer.rules.policy_required && policy.is_empty())
}

fn is_private(asn: Asn) -> bool {
    (64512..65535).contains(&asn.0) || (4_200_000_000..4_294_967_295).contains(&asn.0)
}

fn each(path: &AsPath, change: impl Fn(Asn) -> Option<Asn>) -> AsPath {
    let segments = path.0.iter().map(|segment| {
        let asns = segment.asns().iter().filter_map(|asn| change(*asn)).collect();
        match segment {
            Segment::Sequence(_) => Segment::Sequence(asns),
            Segment::Set(_) => Segment::Set(asns),
            Segment::ConfedSequence(_) => Segment::ConfedSequence(asns),
            Segment::ConfedSet(_) => Segment::ConfedSet(asns),
        }
    });
    AsPath(segments.filter(|segment| !segment.asns().is_empty()).collect())
}

/// To an external peer, before our own AS.
pub(crate) fn send_out(peer: &RibPeer, sent: &mut PathAttributes) {
    let (ours, theirs) = (peer.negotiated.local_as, peer.negotiated.remote_as);
    let is_all = sent.as_path.asns().all(is_private);
    let goes = |asn: Asn| is_private(asn) && asn != theirs;
    let without = |path: &AsPath| each(path, |asn| (!goes(asn)).then_some(asn));
    sent.as_path = match peer.rules.private_as {
        PrivateAs::Keep => sent.as_path.clone(),
        PrivateAs::RemoveIfAll if !is_all => sent.as_path.clone(),
        PrivateAs::RemoveIfAll | PrivateAs::Remove => without(&sent.as_path),
        PrivateAs::Replace => each(&sent.as_path, |asn| Some(if goes(asn) { ours } else { asn })),
    };
    if peer.rules.as_override {
        sent.as_path = each(&sent.as_path, |asn| Some(if asn == theirs { ours } else { asn }));
    }
    if peer.rules.graceful_shutdown && !sent.communities.contains(&Community::GRACEFUL_SHUTDOWN) {
        sent.communities.push(Community::GRACEFUL_SHUTDOWN);
        sent.communities.sort_unstable();
    }
}
