//! Adj-RIB-In: what peers sent, applied to the tables; and ourselves as one more source.
//!
//! A path that may not be used stays, with the reason; only its peer can take it away.

use std::sync::Arc;
use std::time::Instant;

use super::attributes::{AttributeTable, AttributesId};
use super::family::{PerFamily, Prefix};
use super::import::{Import, Imported, Imports};
use super::next_hop::{NextHopId, NextHops};
use super::path::{Marks, Path, Slot};
use super::path_ids::PathIds;
use super::peers::Peers;
use super::table::{Flags, PrefixId, Table};
use crate::wire::PathAttributes;
use crate::{ClusterId, RouterId};

/// What all tables share.
pub(super) struct Shared {
    pub(super) peers: Peers,
    pub(super) attributes: AttributeTable,
    pub(super) next_hops: NextHops,
    pub(super) identity: Identity,
    pub(super) path_ids: PerFamily<PathIds>,
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
    /// As received.
    pub(super) attributes: AttributesId,
    pub(super) epoch: u16,
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

    /// What a path holds.
    fn hold(&mut self, path: &Path) {
        self.retain_path(path.attributes);
        self.attributes.retain(path.as_received);
    }

    fn let_go(&mut self, path: &Path) {
        self.release_path(path.attributes);
        self.attributes.release(path.as_received);
    }

    /// The next hop to wait for, if nothing is known of it yet.
    fn pending_next_hop(&self, id: AttributesId) -> Option<NextHopId> {
        let next_hop = self.attributes.get(id)?.next_hop?;
        self.next_hops.status(next_hop).is_none().then_some(next_hop)
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
        let mut import = Import::new(shared, announcement.source, announcement.attributes);
        for (prefix, path_id) in prefixes {
            let id = self.insert(prefix);
            let imported = import.judge(shared, prefix.to_net());
            let path = Path {
                attributes: imported.attributes,
                as_received: imported.as_received,
                source: announcement.source,
                path_id,
                learned_secs,
                epoch: announcement.epoch,
                refusal: imported.refusal,
                marks: Marks::default(),
            };
            if self.put(shared, id, path) {
                self.mark_dirty(id);
                // Policy may have chosen another next hop.
                let pending = if path.attributes == announcement.attributes {
                    pending
                } else {
                    shared.pending_next_hop(path.attributes)
                };
                if let Some(next_hop) = pending {
                    shared.next_hops.wait(next_hop, P::FAMILY, id);
                }
            }
        }
        import.release(&mut shared.attributes);
        shared.release_path(announcement.attributes);
    }

    /// True when the decision may come out differently.
    fn put(&mut self, shared: &mut Shared, id: PrefixId, path: Path) -> bool {
        let Some(destination) = self.get_mut(id) else { return false };
        let same = |known: &&mut Path| known.source == path.source && known.path_id == path.path_id;
        if let Some(known) = destination.paths.iter_mut().find(same) {
            known.epoch = path.epoch;
            if known.attributes != path.attributes {
                known.learned_secs = path.learned_secs;
            }
            return replace(shared, known, path, &mut destination.flags);
        }
        destination.paths.push(path);
        self.paths += 1;
        shared.hold(&path);
        shared.peers.count_received(path.source, P::FAMILY, 1);
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

    /// Walks the table: removes dead paths, and marks prefixes dirty whose next hop changed. One walk serves
    /// any number of causes.
    pub(super) fn walk(&mut self, shared: &mut Shared) {
        let mut dead = Vec::new();
        let mut dirty = Vec::new();
        for (id, destination) in self.iter_mut() {
            let (paths, flags) = (&mut destination.paths, &mut destination.flags);
            let before = dead.len();
            let mut is_dirty = false;
            paths.retain(|path| {
                let Some(peer) = shared.peers.get(path.source) else { return true };
                if peer.is_dead(P::FAMILY, path) {
                    dead.push(*path);
                    return false;
                }
                let Some(set) = shared.attributes.get(path.attributes) else { return true };
                is_dirty |= set.next_hop.is_some_and(|next_hop| shared.next_hops.is_changed(next_hop));
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

    /// Holds paths against our identity and their peers' import policies again: all of them, or those of
    /// `peers`.
    pub(super) fn rejudge(&mut self, shared: &mut Shared, peers: Option<&[Slot]>) {
        let mut imports = Imports::default();
        for id in self.ids() {
            let Some(destination) = self.get_mut(id) else { continue };
            let prefix = destination.prefix.to_net();
            let mut is_dirty = peers.is_none() && !destination.paths.is_empty();
            let is_asked = |path: &&mut Path| {
                peers.map_or(path.source != Slot::LOCAL, |peers| peers.contains(&path.source))
            };
            for path in destination.paths.iter_mut().filter(is_asked) {
                let imported = imports.judge(shared, path.source, path.received(), prefix);
                let Imported { attributes, as_received, refusal } = imported;
                let judged = Path { attributes, as_received, refusal, ..*path };
                if replace(shared, path, judged, &mut destination.flags) {
                    is_dirty = true;
                    if let Some(next_hop) = shared.pending_next_hop(judged.attributes) {
                        shared.next_hops.wait(next_hop, P::FAMILY, id);
                    }
                }
            }
            if is_dirty {
                self.mark_dirty(id);
            }
        }
        imports.release(&mut shared.attributes);
    }

    fn forget(&mut self, shared: &mut Shared, path: Path) {
        self.paths -= 1;
        shared.peers.count_received(path.source, P::FAMILY, -1);
        shared.peers.count_marks(path.source, P::FAMILY, path.marks, Marks::default());
        shared.let_go(&path);
    }
}

/// Puts what is known anew of a path in its place. True when the decision may come out differently.
fn replace(shared: &mut Shared, known: &mut Path, path: Path, flags: &mut Flags) -> bool {
    let is_refused_alike = std::mem::replace(&mut known.refusal, path.refusal) == path.refusal;
    let is_alike = known.attributes == path.attributes;
    if is_alike && known.as_received == path.as_received {
        return !is_refused_alike;
    }
    shared.hold(&path);
    shared.let_go(known);
    known.attributes = path.attributes;
    known.as_received = path.as_received;
    if !is_alike && known.marks.is_used() {
        flags.set(Flags::USED_PATH_CHANGED);
    }
    !is_alike || !is_refused_alike
}

/// A path of ours.
pub(super) fn originated(local_pref: u32) -> PathAttributes {
    PathAttributes { local_pref: Some(local_pref), ..PathAttributes::default() }
}

/// For snapshots and effects: the shared set itself.
pub(super) fn attributes_of(shared: &Shared, path: &Path) -> Option<Arc<PathAttributes>> {
    Some(Arc::clone(&shared.attributes.get(path.attributes)?.attributes))
}
