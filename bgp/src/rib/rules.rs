//! What an operator may change about the decision process: one value, given with the shared configuration and
//! applied to every route as soon as it changes. Says nothing about one peer; that is what policy is for.

use serde::{Deserialize, Serialize};

/// How paths are compared (RFC 4271 §9.1.2.2), and how many of the equal ones are used.
///
/// The default is RFC 4271's order with RFC 5004's stability, and one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRules {
    /// MED counts between paths of different neighboring ASes too. Sound only where all of them mean the same
    /// by it.
    pub always_compare_med: bool,
    /// A path without MED has the worst, 4294967295, and not the best, 0 (RFC 4271 §9.1.2.2 c).
    pub missing_med_worst: bool,
    /// Step a is left out.
    pub ignore_as_path_length: bool,
    /// Step e is left out: how far next hops are does not matter.
    pub ignore_next_hop_metric: bool,
    /// The lowest router id wins between external paths too, instead of the one that was there first (RFC 5004):
    /// the outcome then depends on nothing but the paths, for the price of a change whenever a lower id appears.
    pub compare_router_id: bool,
    /// Which equal paths are used at once.
    pub multipath: MultipathRules,
}

impl DecisionRules {
    /// The default, before there is a configuration.
    pub(super) const UNCONFIGURED: Self = Self {
        always_compare_med: false,
        missing_med_worst: false,
        ignore_as_path_length: false,
        ignore_next_hop_metric: false,
        compare_router_id: false,
        multipath: MultipathRules { max_external: 1, max_internal: 1, relax_as_path: true },
    };
}

/// Which paths are used beside the best one: those equal to it in every step up to the metric of the next hop,
/// one for each next hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultipathRules {
    /// Most paths if the best one is external; one is always used.
    pub max_external: u16,
    /// Most paths if the best one is internal.
    pub max_internal: u16,
    /// The ASes in the AS_PATHs may differ, as long as their number does not. Without it external paths must come
    /// from one neighboring AS, and internal ones must have the AS_PATH of the best.
    pub relax_as_path: bool,
}

impl Default for MultipathRules {
    fn default() -> Self {
        Self::up_to(1)
    }
}

impl MultipathRules {
    /// At most `max` paths, whatever ASes they came through: what BIRD's `merge paths` does.
    #[must_use]
    pub fn up_to(max: u16) -> Self {
        Self { max_external: max, max_internal: max, relax_as_path: true }
    }
}
