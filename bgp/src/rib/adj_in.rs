//! Adj-RIB-In: what peers sent, applied to the tables; and ourselves as one more source.
//!
//! A path that may not be used stays, with the reason; only its peer can take it away.

use std::sync::Arc;
use std::time::Instant;

use super::attributes::{AttributeTable, AttributesId};
use super::event::RibPeer;
use super::family::Prefix;
use super::next_hop::{NextHopId, NextHops};
use super::path::{Marks, Path, Refusal, Slot};
use super::peers::Peers;
use super::role;
use super::session::PeerEntry;
use super::table::{Flags, PrefixId, Table};
use crate::wire::PathAttributes;
use crate::{ClusterId, PeerKind, RouterId};

/// What all tables share.
pub(super) struct Shared {
    pub(super) peers: Peers,
    pub(super) attributes: AttributeTable,
    pub(super) next_hops: NextHops,
    pub(super) identity: Identity,
    pub(super) started: Instant,
    pub(super) now: Instant,
}

/// Who we are, for the loop checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) router_id: Option<RouterId>,
    pub(super) clusters: Vec<ClusterId>,
}

/// What the prefixes of one UPDATE have in common.
#[derive(Clone, Copy)]
pub(super) struct Announcement {
    pub(super) source: Slot,
    pub(super) attributes: AttributesId,
    pub(super) epoch: u16,
    pub(super) refusal: Refusal,
}

impl Shared {
    /// Seconds since the RIB was made.
    fn uptime_secs(&self) -> u32 {
        u32::try_from(self.now.saturating_duration_since(self.started).as_secs()).unwrap_or(u32::MAX)
    }

    fn retain_path(&mut self, id: AttributesId) {
        if self.attributes.retain_path(id)
            && let Some(set) = self.attributes.get(id)
            && let Some(next_hop) = &set.attributes.next_hop
        {
            let next_hop = self.next_hops.acquire(next_hop.addr());
            self.attributes.set_next_hop(id, next_hop);
        }
    }

    fn release_path(&mut self, id: AttributesId) {
        if let Some(next_hop) = self.attributes.release_path(id) {
            self.next_hops.release(next_hop);
        }
    }

    /// The next hop to wait for, if nothing is known of it yet.
    fn pending_next_hop(&self, id: AttributesId) -> Option<NextHopId> {
        let next_hop = self.attributes.get(id)?.next_hop?;
        self.next_hops.status(next_hop).is_none().then_some(next_hop)
    }
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
pub(super) fn refusal(attributes: &PathAttributes, peer: &PeerEntry, identity: &Identity) -> Refusal {
    let terms = &peer.terms;
    let next_hop = attributes.next_hop.map(|next_hop| next_hop.addr());
    let ours = [
        Some(terms.negotiated.local.ip().to_canonical()),
        terms.next_hop_v4.map(Into::into),
        terms.next_hop_v6.map(Into::into),
    ];
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
    } else if next_hop.is_some() && ours.contains(&next_hop) {
        Refusal::OwnNextHop
    // RFC 9234 §5.
    } else if role::is_leak(attributes, terms) {
        Refusal::RouteLeak
    } else {
        Refusal::None
    }
}

impl<P: Prefix> Table<P> {
    /// Adds or replaces one path for each prefix.
    pub(super) fn announce(
        &mut self,
        shared: &mut Shared,
        announcement: Announcement,
        prefixes: impl Iterator<Item = (P, u32)>,
    ) {
        // Held by a path from the first prefix on; before that nothing is tracked.
        shared.retain_path(announcement.attributes);
        let pending = shared.pending_next_hop(announcement.attributes);
        let learned_secs = shared.uptime_secs();
        for (prefix, path_id) in prefixes {
            let id = self.insert(prefix);
            let path = Path {
                attributes: announcement.attributes,
                source: announcement.source,
                path_id,
                learned_secs,
                epoch: announcement.epoch,
                refusal: announcement.refusal,
                marks: Marks::default(),
            };
            if self.put(shared, id, path) {
                self.mark_dirty(id);
                if let Some(next_hop) = pending {
                    shared.next_hops.wait(next_hop, P::FAMILY, id);
                }
            }
        }
        shared.release_path(announcement.attributes);
    }

    /// True when the decision may come out differently.
    fn put(&mut self, shared: &mut Shared, id: PrefixId, path: Path) -> bool {
        let Some(destination) = self.get_mut(id) else { return false };
        let same = |known: &&mut Path| known.source == path.source && known.path_id == path.path_id;
        if let Some(known) = destination.paths.iter_mut().find(same) {
            known.epoch = path.epoch;
            let is_refused_alike = std::mem::replace(&mut known.refusal, path.refusal) == path.refusal;
            if known.attributes == path.attributes {
                return !is_refused_alike;
            }
            known.learned_secs = path.learned_secs;
            let old = std::mem::replace(&mut known.attributes, path.attributes);
            if known.marks.is_used() {
                destination.flags.set(Flags::USED_PATH_CHANGED);
            }
            shared.retain_path(path.attributes);
            shared.release_path(old);
        } else {
            destination.paths.push(path);
            self.paths += 1;
            shared.retain_path(path.attributes);
            shared.peers.count_received(path.source, P::FAMILY, 1);
        }
        true
    }

    /// Takes one path away, if it is there.
    pub(super) fn withdraw(&mut self, shared: &mut Shared, source: Slot, prefix: P, path_id: u32) {
        let Some(id) = self.find(prefix) else { return };
        let Some(destination) = self.get_mut(id) else { return };
        let same = |path: &Path| path.source == source && path.path_id == path_id;
        let Some(position) = destination.paths.iter().position(same) else { return };
        let path = destination.paths.remove(position);
        if path.marks.is_used() {
            destination.flags.set(Flags::USED_PATH_CHANGED);
        }
        self.forget(shared, path);
        self.mark_dirty(id);
    }

    /// Walks the table: removes dead paths, and marks prefixes dirty whose next hop changed. With `rejudge`
    /// every path is held against our identity again. One walk serves any number of causes.
    pub(super) fn walk(&mut self, shared: &mut Shared, rejudge: bool) {
        let mut dead = Vec::new();
        let mut dirty = Vec::new();
        for (id, destination) in self.iter_mut() {
            let (paths, flags) = (&mut destination.paths, &mut destination.flags);
            let before = dead.len();
            let mut is_dirty = rejudge;
            paths.retain(|path| {
                let Some(peer) = shared.peers.get(path.source) else { return true };
                if peer.is_dead(P::FAMILY, path) {
                    dead.push(*path);
                    return false;
                }
                let Some(set) = shared.attributes.get(path.attributes) else { return true };
                is_dirty |= set.next_hop.is_some_and(|next_hop| shared.next_hops.is_changed(next_hop));
                if rejudge {
                    path.refusal = refusal(&set.attributes, peer, &shared.identity);
                }
                true
            });
            let gone = dead.get(before..).unwrap_or_default();
            if gone.iter().any(|path| path.marks.is_used()) {
                flags.set(Flags::USED_PATH_CHANGED);
            }
            if is_dirty || !gone.is_empty() {
                dirty.push(id);
            }
        }
        for path in dead {
            self.forget(shared, path);
        }
        for id in dirty {
            self.mark_dirty(id);
        }
        self.walk = false;
    }

    fn forget(&mut self, shared: &mut Shared, path: Path) {
        self.paths -= 1;
        shared.peers.count_received(path.source, P::FAMILY, -1);
        shared.peers.count_marks(path.source, P::FAMILY, path.marks, Marks::default());
        shared.release_path(path.attributes);
    }
}

/// A path of ours.
pub(super) fn originated(local_pref: u32) -> PathAttributes {
    PathAttributes { local_pref: Some(local_pref), ..PathAttributes::default() }
}

/// For snapshots and effects: the shared set itself.
pub(super) fn attributes_of(shared: &Shared, path: &Path) -> Option<Arc<PathAttributes>> {
    Some(Arc::clone(&shared.attributes.get(path.attributes)?.attributes))
}
