//! One path of one prefix, as small as it can be: a million of them is the normal case.

use super::attributes::AttributesId;

/// A peer's place in [`super::peers::Peers`], or ourselves. A slot is not given out again while any path or
/// any Adj-RIB-Out names it, so it needs no generation of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(pub(super) u32);

impl Slot {
    /// The source of our own routes.
    pub(super) const LOCAL: Self = Self(u32::MAX);
    /// No slot at all.
    pub(super) const NONE: Self = Self(u32::MAX - 1);
}

/// Why a path does not take part, as far as that depends on nothing but the path, its peer and our own
/// identity. Whether the next hop resolves is asked anew at each decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    None,
    FirstAs,
    AsSet,
    /// RFC 8212.
    NoImportPolicy,
    AsLoop,
    OriginatorLoop,
    ClusterLoop,
    OwnNextHop,
    /// The import policy of its peer.
    Policy,
    RouteLeak,
}

/// What the last decision made of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u8);

impl Marks {
    pub(super) const ELIGIBLE: Self = Self(1);
    pub(super) const BEST: Self = Self(2);
    pub(super) const MULTIPATH: Self = Self(4);

    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether packets use the path.
    pub(super) fn is_used(self) -> bool {
        self.contains(Self::BEST.with(Self::MULTIPATH))
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// As they count for us: after import policy.
    pub(super) attributes: AttributesId,
    /// As they came, held a second time; [`AttributesId::NONE`] where policy did not change them.
    pub(super) as_received: AttributesId,
    pub(super) source: Slot,
    /// RFC 7911; 0 without add-path.
    pub(super) path_id: u32,
    /// Seconds from the RIB's start to the last change of the attributes.
    pub(super) learned_secs: u32,
    /// Session of the source in which it was last announced, see [`super::session::PeerFamily`].
    pub(super) epoch: u16,
    pub(super) refusal: Refusal,
    pub(super) marks: Marks,
}

impl Path {
    /// The attributes as they came, from which policy is worked out anew.
    pub(super) fn received(&self) -> AttributesId {
        if self.as_received == AttributesId::NONE { self.attributes } else { self.as_received }
    }
}

const _: () = assert!(size_of::<Path>() <= 24);
