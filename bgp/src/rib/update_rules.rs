//! What is demanded of a peer's routes and done to them beside policy: which AS_PATHs are believed, what is
//! taken out of one that leaves, what a session under maintenance does to its routes. Plain values, worked out
//! per set of attributes; it knows no prefixes but the default route, and no tables.
//!
//! All of it can change while the session is up: what came is kept as it came and judged again, and what has
//! been sent is compared with what is to be sent.

use serde::{Deserialize, Serialize};

use super::event::RibPeer;
use super::path::Refusal;
use super::policy::CommunityValue;
use crate::peer::Negotiated;
use crate::wire::{AsPath, Community, PathAttributes, Segment};
use crate::{Asn, PeerKind};

/// LOCAL_PREF of a route over a session that is about to go away (RFC 8326 §4).
const GRACEFUL_SHUTDOWN_LOCAL_PREF: u32 = 0;

/// The rules of one peer. The default demands nothing and changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UpdateRules {
    /// The leftmost AS of what an external peer sends is its own (RFC 4271 §6.3). Not for the client of a route
    /// server, which does not put itself there (RFC 7947 §2.2.2.1).
    pub enforce_first_as: bool,
    /// AS_SET and AS_CONFED_SET may stand in what the peer sends; RFC 9774 §3 says no.
    pub allow_as_sets: bool,
    /// What happens to private AS numbers towards an external peer.
    pub private_as: PrivateAs,
    /// An external peer gets our AS in place of its own, so that its loop check lets the route in.
    pub as_override: bool,
    /// An external peer's GRACEFUL_SHUTDOWN community counts (RFC 8326 §4.4).
    pub honour_graceful_shutdown: bool,
    /// The session is about to go away (RFC 8326 §4.2, §4.3): external peers get the community, internal ones
    /// LOCAL_PREF 0, and what an external peer sends is used only where there is nothing else.
    pub graceful_shutdown: bool,
    /// An external peer without an import policy for a family sends nothing that counts, and without an export
    /// policy gets nothing (RFC 8212).
    pub policy_required: bool,
    /// A route reflection client that hears its fellow clients by itself: nothing is reflected between two of
    /// these (RFC 4456 §5).
    pub is_meshed_client: bool,
}

impl Default for UpdateRules {
    fn default() -> Self {
        Self {
            enforce_first_as: false,
            allow_as_sets: true,
            private_as: PrivateAs::Keep,
            as_override: false,
            honour_graceful_shutdown: false,
            graceful_shutdown: false,
            policy_required: false,
            is_meshed_client: false,
        }
    }
}

/// What happens to private AS numbers (RFC 6996: 64512 to 65534, 4200000000 to 4294967294) in the AS_PATH of
/// what leaves to an external peer, before our own AS is put in front. The peer's own AS stays in any case, so
/// that its loop check works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivateAs {
    /// They stay.
    #[default]
    Keep,
    /// They go, if the path has no others.
    RemoveIfAll,
    /// They go.
    Remove,
    /// Our AS stands in their place, so that the path stays as long as it was.
    Replace,
}

impl UpdateRules {
    /// Whether a path may take part as far as its attributes say.
    pub(super) fn refusal(&self, attributes: &PathAttributes, negotiated: &Negotiated) -> Refusal {
        let path = &attributes.as_path;
        match negotiated.kind {
            PeerKind::Ebgp if self.enforce_first_as && !begins_with(path, negotiated.remote_as) => {
                Refusal::FirstAs
            }
            PeerKind::Ebgp | PeerKind::Ibgp if !self.allow_as_sets && has_set(path) => Refusal::AsSet,
            PeerKind::Ebgp | PeerKind::Ibgp => Refusal::None,
        }
    }

    /// Whether a path counts only where there is no other, its attributes being as import policy left them: a
    /// policy that takes the community away decides otherwise.
    pub(super) fn is_last_resort(&self, attributes: &PathAttributes, kind: PeerKind) -> bool {
        let is_marked = || attributes.communities.contains(&Community::GRACEFUL_SHUTDOWN);
        match kind {
            PeerKind::Ebgp => self.graceful_shutdown || (self.honour_graceful_shutdown && is_marked()),
            PeerKind::Ibgp => false,
        }
    }

    /// RFC 8212 is about external peers only.
    pub(super) fn needs_policy(&self, kind: PeerKind) -> bool {
        match kind {
            PeerKind::Ebgp => self.policy_required,
            PeerKind::Ibgp => false,
        }
    }
}

/// What [`UpdateRules::is_last_resort`] does.
pub(super) fn make_last_resort(attributes: &mut PathAttributes) {
    attributes.local_pref = Some(GRACEFUL_SHUTDOWN_LOCAL_PREF);
}

/// The rules that change what a peer is sent, and nothing else, so that peers that get the same share a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExportRules {
    private_as: PrivateAs,
    as_override: bool,
    /// The peer's AS, where one of the two has to know it.
    remote_as: Option<Asn>,
    graceful_shutdown: bool,
    needs_policy: bool,
    is_meshed_client: bool,
}

impl ExportRules {
    pub(super) fn of(peer: &RibPeer) -> Self {
        let (rules, negotiated) = (&peer.rules, &peer.negotiated);
        let (private_as, as_override) = match negotiated.kind {
            PeerKind::Ebgp => (rules.private_as, rules.as_override),
            PeerKind::Ibgp => (PrivateAs::Keep, false),
        };
        let is_rewritten = as_override || private_as != PrivateAs::Keep;
        Self {
            private_as,
            as_override,
            remote_as: is_rewritten.then_some(negotiated.remote_as),
            graceful_shutdown: rules.graceful_shutdown,
            needs_policy: rules.needs_policy(negotiated.kind),
            is_meshed_client: is_meshed_client(peer),
        }
    }

    pub(super) fn needs_policy(&self) -> bool {
        self.needs_policy
    }

    pub(super) fn is_meshed_client(&self) -> bool {
        self.is_meshed_client
    }

    /// Towards an external peer, before our own AS is put in front.
    pub(super) fn to_external(&self, local_as: Asn, attributes: &mut PathAttributes) {
        if let Some(remote_as) = self.remote_as {
            rewrite_private(&mut attributes.as_path, self.private_as, (local_as, remote_as));
            if self.as_override {
                replace(&mut attributes.as_path, local_as, |asn| asn == remote_as);
            }
        }
        if self.graceful_shutdown {
            CommunityValue::Standard(Community::GRACEFUL_SHUTDOWN).add_to(attributes);
        }
    }

    /// Towards an internal peer.
    pub(super) fn to_internal(&self, attributes: &mut PathAttributes) {
        if self.graceful_shutdown {
            make_last_resort(attributes);
        }
    }
}

/// See [`UpdateRules::is_meshed_client`].
pub(super) fn is_meshed_client(peer: &RibPeer) -> bool {
    peer.rules.is_meshed_client && peer.reflector_client.is_some()
}

fn begins_with(path: &AsPath, asn: Asn) -> bool {
    match path.0.first() {
        Some(Segment::Sequence(asns)) => asns.first() == Some(&asn),
        Some(Segment::Set(_) | Segment::ConfedSequence(_) | Segment::ConfedSet(_)) | None => false,
    }
}

fn has_set(path: &AsPath) -> bool {
    path.0.iter().any(|segment| match segment {
        Segment::Set(_) | Segment::ConfedSet(_) => true,
        Segment::Sequence(_) | Segment::ConfedSequence(_) => false,
    })
}

/// RFC 6996 §5.
fn is_private(asn: Asn) -> bool {
    matches!(asn.0, 64_512..=65_534 | 4_200_000_000..=4_294_967_294)
}

fn rewrite_private(path: &mut AsPath, private_as: PrivateAs, (local_as, remote_as): (Asn, Asn)) {
    let goes = |asn: Asn| is_private(asn) && asn != remote_as;
    match private_as {
        PrivateAs::Keep => {}
        PrivateAs::RemoveIfAll if path.asns().all(is_private) => remove(path, goes),
        PrivateAs::RemoveIfAll => {}
        PrivateAs::Remove => remove(path, goes),
        PrivateAs::Replace => replace(path, local_as, goes),
    }
}

fn remove(path: &mut AsPath, goes: impl Fn(Asn) -> bool) {
    for segment in &mut path.0 {
        asns_mut(segment).retain(|asn| !goes(*asn));
    }
    path.0.retain(|segment| !segment.asns().is_empty());
}

fn replace(path: &mut AsPath, by: Asn, goes: impl Fn(Asn) -> bool) {
    for asn in path.0.iter_mut().flat_map(|segment| asns_mut(segment).iter_mut()) {
        if goes(*asn) {
            *asn = by;
        }
    }
}

fn asns_mut(segment: &mut Segment) -> &mut smallvec::SmallVec<[Asn; 4]> {
    match segment {
        Segment::Sequence(asns)
        | Segment::Set(asns)
        | Segment::ConfedSequence(asns)
        | Segment::ConfedSet(asns) => asns,
    }
}
