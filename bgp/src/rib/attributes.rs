//! Interned path attributes: one shared set per distinct value, hashed once per UPDATE, with what the
//! decision needs worked out beforehand. A path or an Adj-RIB-Out entry holds a four-octet handle.

use std::hash::BuildHasher;
use std::num::NonZeroU64;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::next_hop::NextHopId;
use super::weight::bandwidth;
use crate::wire::{Community, Origin, PathAttributes};
use crate::{Asn, PeerKind, RouterId};

/// LOCAL_PREF of a route that carries none (RFC 4271 §9.1.1 leaves it to policy; every speaker takes 100).
pub(super) const DEFAULT_LOCAL_PREF: u32 = 100;

/// Handle of a set in [`AttributeTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AttributesId(pub(super) u32);

impl AttributesId {
    /// No set.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// What the decision reads of the attributes (RFC 4271 §9.1.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecisionKey {
    pub(super) local_pref: u32,
    pub(super) as_path_len: usize,
    pub(super) origin: Origin,
    /// What a missing one counts for is for the rules to say.
    pub(super) med: Option<u32>,
    /// The AS that MED is compared within; `None` for an empty path or one that starts with a set.
    pub(super) neighbor_as: Option<Asn>,
    pub(super) originator_id: Option<RouterId>,
    pub(super) cluster_list_len: usize,
    pub(super) scope: Scope,
    /// Bytes per second (draft-ietf-idr-link-bandwidth).
    pub(super) bandwidth: Option<NonZeroU64>,
}

/// How far the well-known communities let a route go (RFC 1997).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Everywhere,
    /// NO_EXPORT: not out of the AS, or of the confederation.
    Confederation,
    /// NO_EXPORT_SUBCONFED: internal peers only.
    Internal,
    /// NO_ADVERTISE.
    Here,
}

impl Scope {
    /// Whether the route may go to peers of this kind.
    pub(super) fn reaches(self, kind: PeerKind) -> bool {
        match (self, kind) {
            (Self::Here, _)
            | (Self::Confederation, PeerKind::Ebgp)
            | (Self::Internal, PeerKind::Ebgp | PeerKind::Confederation) => false,
            (Self::Everywhere, _)
            | (Self::Confederation, PeerKind::Ibgp | PeerKind::Confederation)
            | (Self::Internal, PeerKind::Ibgp) => true,
        }
    }
}

impl DecisionKey {
    fn of(attributes: &PathAttributes) -> Self {
        Self {
            local_pref: attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF),
            as_path_len: attributes.as_path.length(),
            origin: attributes.origin,
            med: attributes.med,
            neighbor_as: attributes.as_path.neighbor(),
            originator_id: attributes.originator_id,
            cluster_list_len: attributes.cluster_list.len(),
            scope: scope(&attributes.communities),
            bandwidth: bandwidth(attributes),
        }
    }
}

fn scope(communities: &[Community]) -> Scope {
    let has = |community| communities.contains(&community);
    if has(Community::NO_ADVERTISE) {
        Scope::Here
    } else if has(Community::NO_EXPORT_SUBCONFED) {
        Scope::Internal
    } else if has(Community::NO_EXPORT) {
        Scope::Confederation
    } else {
        Scope::Everywhere
    }
}

pub(super) struct AttributeSet {
    pub(super) attributes: Arc<PathAttributes>,
    pub(super) key: DecisionKey,
    /// Its next hop's place in the tracking table; set while a path of an Adj-RIB-In uses the set.
    pub(super) next_hop: Option<NextHopId>,
    hash: u64,
    /// Everybody who holds the handle.
    references: u32,
    /// Paths of Adj-RIBs-In among them.
    paths: u32,
}

/// Every set of attributes in use, by value and by handle.
#[derive(Default)]
pub(super) struct AttributeTable {
    sets: Vec<Option<AttributeSet>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl AttributeTable {
    /// The handle of `attributes`, held once for the caller until [`AttributeTable::release`].
    pub(super) fn intern(&mut self, attributes: PathAttributes) -> AttributesId {
        let hash = self.hasher.hash_one(&attributes);
        let sets = &mut self.sets;
        let found = self.index.find(hash, |&id| {
            at(sets, id).is_some_and(|set| set.hash == hash && *set.attributes == attributes)
        });
        if let Some(&id) = found {
            let id = AttributesId(id);
            self.retain(id);
            return id;
        }
        let set = AttributeSet {
            key: DecisionKey::of(&attributes),
            attributes: Arc::new(attributes),
            next_hop: None,
            hash,
            references: 1,
            paths: 0,
        };
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(place) = sets.get_mut(id as usize) {
                    *place = Some(set);
                }
                id
            }
            None => {
                sets.push(Some(set));
                u32::try_from(sets.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let sets = &self.sets;
        self.index.insert_unique(hash, id, |&id| at(sets, id).map_or(0, |set| set.hash));
        AttributesId(id)
    }

    pub(super) fn get(&self, id: AttributesId) -> Option<&AttributeSet> {
        at(&self.sets, id.0)
    }

    fn get_mut(&mut self, id: AttributesId) -> Option<&mut AttributeSet> {
        self.sets.get_mut(id.0 as usize).and_then(Option::as_mut)
    }

    /// Holds the set once more.
    pub(super) fn retain(&mut self, id: AttributesId) {
        if let Some(set) = self.get_mut(id) {
            set.references += 1;
        }
    }

    /// Gives one hold back; the last one frees the set.
    pub(super) fn release(&mut self, id: AttributesId) {
        let Some(set) = self.get_mut(id) else { return };
        set.references -= 1;
        if set.references > 0 {
            return;
        }
        let hash = set.hash;
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == id.0) {
            entry.remove();
        }
        if let Some(place) = self.sets.get_mut(id.0 as usize) {
            *place = None;
            self.free.push(id.0);
        }
    }

    /// One more path of an Adj-RIB-In uses the set. True for the first.
    pub(super) fn retain_path(&mut self, id: AttributesId) -> bool {
        let Some(set) = self.get_mut(id) else { return false };
        set.references += 1;
        set.paths += 1;
        set.paths == 1
    }

    /// One path fewer. The next hop to let go of when it was the last.
    pub(super) fn release_path(&mut self, id: AttributesId) -> Option<NextHopId> {
        let set = self.get_mut(id)?;
        set.paths -= 1;
        let next_hop = if set.paths == 0 { set.next_hop.take() } else { None };
        self.release(id);
        next_hop
    }

    pub(super) fn set_next_hop(&mut self, id: AttributesId, next_hop: NextHopId) {
        if let Some(set) = self.get_mut(id) {
            set.next_hop = Some(next_hop);
        }
    }

    /// How many distinct sets are in use.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
}

fn at(sets: &[Option<AttributeSet>], id: u32) -> Option<&AttributeSet> {
    sets.get(id as usize).and_then(Option::as_ref)
}
