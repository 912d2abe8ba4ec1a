//! What to do to get from the neighbors there are to the neighbors there should be; and who gets which
//! identity. Pure.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use crate::PeerId;
use crate::peer::{ConfigChange, NeighborConfig};

/// The differences between two sets of neighbors. A neighbor is known by its address, because that is all a
/// connection tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// To be started.
    pub(super) start: Vec<NeighborConfig>,
    /// To be stopped.
    pub(super) stop: Vec<IpAddr>,
    /// Changed in what a running session can take over.
    pub(super) live: Vec<NeighborConfig>,
    /// Changed in what needs a new session.
    pub(super) reset: Vec<NeighborConfig>,
    /// Refused: an earlier one has the same address.
    pub(super) duplicates: Vec<NeighborConfig>,
}

impl Plan {
    pub(super) fn between<'a>(
        current: impl IntoIterator<Item = &'a NeighborConfig>,
        desired: Vec<NeighborConfig>,
    ) -> Self {
        let mut plan = Self::default();
        let mut missing =
            current.into_iter().map(|config| (config.address, config)).collect::<BTreeMap<_, _>>();
        let mut seen = HashSet::with_capacity(desired.len());
        for config in desired {
            if !seen.insert(config.address) {
                plan.duplicates.push(config);
                continue;
            }
            let change = missing.remove(&config.address).map(|old| ConfigChange::between(old, &config));
            match change {
                Some(ConfigChange::None) => {}
                Some(ConfigChange::Live) => plan.live.push(config),
                Some(ConfigChange::Reset) => plan.reset.push(config),
                // Replace cannot come from two configurations of one address.
                Some(ConfigChange::Replace) | None => plan.start.push(config),
            }
        }
        plan.stop = missing.into_keys().collect();
        plan
    }
}

/// Gives out [`PeerId`]s: the lowest free index, with a generation that tells its owners apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    next: u32,
    /// Free ones, with the generation that comes next.
    free: BTreeMap<u32, u32>,
}

impl Slots {
    pub(super) fn take(&mut self) -> PeerId {
        if let Some((index, generation)) = self.free.pop_first() {
            return PeerId { index, generation };
        }
        let index = self.next;
        self.next += 1;
        PeerId { index, generation: 0 }
    }

    pub(super) fn give_back(&mut self, id: PeerId) {
        self.free.insert(id.index, id.generation.wrapping_add(1));
    }
}
