//! `BGPConfiguration.spec.bestPath`: how paths to one destination are compared and how many are used. An addition
//! of ours, for all nodes of the cluster alike: nodes that choose differently can send packets in circles.

use serde::Serialize;

use crate::document::{Field, Fields};

/// Most next hops of one route where the manifests name no number.
pub const MULTIPATH_MAX_DEFAULT: u16 = 16;

/// The choice of the best path (RFC 4271 §9.1.2.2). The default is RFC 4271's, with RFC 5004's stability.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BestPath {
    /// MED counts between neighboring ASes too.
    #[serde(rename = "alwaysCompareMED", skip_serializing_if = "is_off")]
    pub always_compare_med: bool,
    /// A missing MED is the highest, not the lowest.
    #[serde(rename = "missingMEDWorst", skip_serializing_if = "is_off")]
    pub missing_med_worst: bool,
    /// The length of the AS_PATH does not count.
    #[serde(rename = "ignoreASPathLength", skip_serializing_if = "is_off")]
    pub ignore_as_path_length: bool,
    /// How far the next hop is does not count.
    #[serde(skip_serializing_if = "is_off")]
    pub ignore_next_hop_metric: bool,
    /// The lowest router id wins between external paths, not the one that was there first (RFC 5004).
    #[serde(rename = "compareRouterID", skip_serializing_if = "is_off")]
    pub compare_router_id: bool,
    /// What is used beside the best path.
    #[serde(skip_serializing_if = "is_default")]
    pub multipath: Multipath,
}

/// Which equal paths are used at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Multipath {
    /// Most paths of a route whose best path is external; `None`: `multipathMax` or its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_paths: Option<u16>,
    /// Most paths of a route whose best path is internal; `None`: as many as of the other.
    #[serde(rename = "maximumPathsIBGP", skip_serializing_if = "Option::is_none")]
    pub maximum_paths_ibgp: Option<u16>,
    /// AS_PATHs of equal length may name different ASes.
    #[serde(rename = "relaxASPath")]
    pub relax_as_path: bool,
}

impl Default for Multipath {
    /// As Calico's BIRD (`merge paths`) has it.
    fn default() -> Self {
        Self { maximum_paths: None, maximum_paths_ibgp: None, relax_as_path: true }
    }
}

const MULTIPATH: &[Field] = &[
    Field::additive(
        "maximumPaths",
        "8",
        "most next hops of one route, 1 to 64; in place of multipathMax; default 16",
    ),
    Field::additive(
        "maximumPathsIBGP",
        "1",
        "the same where the best path came over iBGP, 1 to 64; default maximumPaths",
    ),
    Field::additive(
        "relaxASPath",
        "false",
        "true: AS_PATHs need only be equally long; false: eBGP paths must come from one neighboring AS, iBGP paths \
         must have the same AS_PATH; default true",
    ),
];

pub(crate) const FIELDS: &[Field] = &[
    Field::additive(
        "alwaysCompareMED",
        "true",
        "compare MED between different neighboring ASes too; default false",
    ),
    Field::additive(
        "missingMEDWorst",
        "true",
        "a path without MED has the highest; default false: the lowest",
    ),
    Field::additive("ignoreASPathLength", "true", "do not compare the length of the AS_PATH; default false"),
    Field::additive("ignoreNextHopMetric", "true", "do not compare how far next hops are; default false"),
    Field::additive(
        "compareRouterID",
        "true",
        "between equal eBGP paths the lowest router id wins; default false: the one that was there first (RFC 5004)",
    ),
    Field::additive("multipath", "{maximumPaths: 8}", "which equal paths are used at once").with(MULTIPATH),
];

impl BestPath {
    pub(crate) fn read(spec: &Fields<'_>) -> Self {
        let Some(fields) = spec.fields("bestPath") else { return Self::default() };
        let is_on = |name| fields.entry(name).and_then(|entry| entry.boolean()).unwrap_or_default();
        Self {
            always_compare_med: is_on("alwaysCompareMED"),
            missing_med_worst: is_on("missingMEDWorst"),
            ignore_as_path_length: is_on("ignoreASPathLength"),
            ignore_next_hop_metric: is_on("ignoreNextHopMetric"),
            compare_router_id: is_on("compareRouterID"),
            multipath: Multipath::read(&fields, spec),
        }
    }

    /// Most next hops of one route, by the kind of its best path: external, internal. 1 to 64.
    #[must_use]
    pub fn multipath_max(&self, multipath_max: Option<u16>) -> (u16, u16) {
        let external = self.multipath.maximum_paths.or(multipath_max).unwrap_or(MULTIPATH_MAX_DEFAULT);
        (external, self.multipath.maximum_paths_ibgp.unwrap_or(external))
    }
}

impl Multipath {
    fn read(best_path: &Fields<'_>, spec: &Fields<'_>) -> Self {
        let Some(fields) = best_path.fields("multipath") else { return Self::default() };
        let number = |name| fields.entry(name).and_then(|entry| entry.integer(1..=64));
        if fields.entry("maximumPaths").is_some() && spec.entry("multipathMax").is_some() {
            fields.report("maximumPaths", "says the same as spec.multipathMax: keep one of them");
        }
        let relax_as_path = fields.entry("relaxASPath").and_then(|entry| entry.boolean());
        Self {
            maximum_paths: number("maximumPaths"),
            maximum_paths_ibgp: number("maximumPathsIBGP"),
            relax_as_path: relax_as_path.unwrap_or(true),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_off(value: &bool) -> bool {
    !value
}

/// For a group that was not given.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
