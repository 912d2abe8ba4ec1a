//! One key's desired against its actual, and the one step that comes next. Pure; the table in the tests is
//! the whole of it.

use std::time::Instant;

use smallvec::SmallVec;

use crate::{
    NextHop, PROTOCOL, Route, RouteKey, RouteKind,
    held::{Held, HeldList},
};

/// What should stand under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) kind: RouteKind,
    /// Sorted, no two alike.
    pub(crate) next_hops: SmallVec<[NextHop; 1]>,
}

/// What the sources say about a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Want {
    /// No source names it.
    #[default]
    Nothing,
    /// Named, but no next hop resolves: nothing should stand.
    Unresolved,
    /// This should stand.
    Route(Wanted),
}

/// A key that is wanted, or that the kernel holds for us, or both.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) want: Want,
    /// Ours in the kernel. More than one only if somebody appended under our protocol number.
    pub(crate) actual: HeldList,
    pub(crate) in_flight: Option<Operation>,
    /// Refusals in a row.
    pub(crate) attempts: u32,
    pub(crate) retry_at: Option<Instant>,
    /// The last refusal.
    pub(crate) failure: Option<String>,
    /// Stood as wanted until somebody changed it.
    pub(crate) lost: bool,
    /// Written by this process, after a source named it: no leftover of a former run that waits for the
    /// sources to be complete.
    pub(crate) written: bool,
}

/// A write whose outcome is awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create(Held),
    Replace(Held),
    Remove(Held),
}

/// What may be taken away yet (ARCHITECTURE.md, law 3: nothing is deleted before in-sync and a full scan).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gates {
    /// BGP's picture is complete.
    pub(crate) learned_in_sync: bool,
    /// The own blocks were given at least once.
    pub(crate) own_blocks_given: bool,
}

/// The next step for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// As it should be.
    None,
    /// A difference that must wait until the sources are complete.
    AwaitSync,
    /// A foreign route holds the key.
    Blocked,
    Create,
    Replace,
    /// Remove the actual route at this place.
    Remove(usize),
}

impl Want {
    pub(crate) fn route(&self) -> Option<&Wanted> {
        match self {
            Self::Route(wanted) => Some(wanted),
            Self::Nothing | Self::Unresolved => None,
        }
    }
}

impl Wanted {
    pub(crate) fn blackhole() -> Self {
        Self { kind: RouteKind::Blackhole, next_hops: SmallVec::new() }
    }

    /// Equal for forwarding. [`Held`] has the kernel's order, weights and flags normalised already; a
    /// preferred source that we never set does not make a route wrong.
    pub(crate) fn matches(&self, held: &Held) -> bool {
        self.kind == held.kind && self.next_hops == held.next_hops
    }

    pub(crate) fn to_route(&self, key: RouteKey) -> Route {
        Route {
            key,
            kind: self.kind,
            protocol: PROTOCOL,
            next_hops: self.next_hops.clone(),
            source: None,
            object: None,
        }
    }
}

impl Gates {
    const OPEN: Self = Self { learned_in_sync: true, own_blocks_given: true };

    fn may_remove(self, held: &Held) -> bool {
        match held.kind {
            RouteKind::Blackhole => self.own_blocks_given,
            RouteKind::Unicast | RouteKind::Local | RouteKind::Other => self.learned_in_sync,
        }
    }

    fn may_replace(self, held: &Held) -> bool {
        self.learned_in_sync && self.may_remove(held)
    }
}

impl Entry {
    pub(crate) fn step(&self, foreign_holds: bool, gates: Gates) -> Step {
        let gates = if self.written { Gates::OPEN } else { gates };
        let Some(wanted) = self.want.route() else {
            return self.removable(|_| true, gates);
        };
        if let Some(right) = self.actual.iter().position(|held| wanted.matches(held)) {
            return self.removable(|at| at != right, gates);
        }
        match self.actual.as_slice() {
            [] if foreign_holds => Step::Blocked,
            [] => Step::Create,
            [only] if !foreign_holds => {
                if gates.may_replace(only) {
                    Step::Replace
                } else {
                    Step::AwaitSync
                }
            }
            // IPv4 replaces the first of its key, whoever owns it: with company, ours goes by name first.
            [..] => self.removable(|_| gates.learned_in_sync, gates),
        }
    }

    /// True when the kernel forwards as wanted.
    pub(crate) fn is_installed(&self) -> bool {
        self.want.route().is_some_and(|wanted| self.actual.iter().any(|held| wanted.matches(held)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.want == Want::Nothing && self.actual.is_empty() && self.in_flight.is_none()
    }

    fn removable(&self, which: impl Fn(usize) -> bool, gates: Gates) -> Step {
        let mut candidates = self.actual.iter().enumerate().filter(|(at, _)| which(*at)).peekable();
        if candidates.peek().is_none() {
            return if self.is_installed() || self.actual.is_empty() { Step::None } else { Step::AwaitSync };
        }
        candidates
            .find(|(_, held)| gates.may_remove(held))
            .map_or(Step::AwaitSync, |(at, _)| Step::Remove(at))
    }
}
