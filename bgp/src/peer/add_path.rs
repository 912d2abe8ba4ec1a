//! Add-path (RFC 7911 §4): in which direction several paths of one prefix may go, family by family.
//!
//! A direction is open when the sender says that it can send and the receiver that it can receive; then every
//! prefix of the family carries an identifier in that direction, even where there is but one path. How many paths
//! are sent is not negotiated.

use std::num::NonZeroU8;

use serde::{Deserialize, Serialize};

use super::NeighborConfig;
use crate::AfiSafi;
use crate::wire::{AddPathMode, Capability, OpenMessage};

/// What is configured about several paths of one prefix, for every family of the neighbor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AddPaths {
    /// We can take several.
    pub receive: bool,
    /// We send several to a neighbor that can take them; the best one to any other.
    pub send: bool,
    /// How many are sent at most; `None`: all that may be used.
    pub send_maximum: Option<NonZeroU8>,
}

impl AddPaths {
    /// As many as there are, both ways.
    pub const ALL: Self = Self { receive: true, send: true, send_maximum: None };

    /// What is said in an OPEN; `None`: nothing.
    #[must_use]
    pub fn mode(self) -> Option<AddPathMode> {
        match (self.receive, self.send) {
            (true, true) => Some(AddPathMode::Both),
            (true, false) => Some(AddPathMode::Receive),
            (false, true) => Some(AddPathMode::Send),
            (false, false) => None,
        }
    }
}

/// One instance for all families, as §4 demands.
pub(super) fn offer(config: &NeighborConfig) -> Option<Capability> {
    let mode = config.add_paths.mode()?;
    Some(Capability::AddPath(config.families.iter().map(|&family| (family, mode)).collect()))
}

/// The families in which `to` gets identifiers from `from`.
pub(super) fn agreed(from: &OpenMessage, to: &OpenMessage, families: &[AfiSafi]) -> Vec<AfiSafi> {
    let is_agreed = |family: &AfiSafi| {
        let sends = matches!(mode(from, *family), Some(AddPathMode::Send | AddPathMode::Both));
        let receives = matches!(mode(to, *family), Some(AddPathMode::Receive | AddPathMode::Both));
        sends && receives
    };
    families.iter().copied().filter(is_agreed).collect()
}

/// What an OPEN says of a family; where it says so more than once the last counts, as in BIRD. A capability with a
/// mode that does not exist is not understood as a whole (§4), and so is none of these.
fn mode(open: &OpenMessage, family: AfiSafi) -> Option<AddPathMode> {
    let offers = open.capabilities.iter().filter_map(|capability| match capability {
        Capability::AddPath(offers) => Some(offers),
        Capability::Multiprotocol(_)
        | Capability::RouteRefresh
        | Capability::ExtendedNextHop(_)
        | Capability::ExtendedMessage
        | Capability::Role(_)
        | Capability::GracefulRestart(_)
        | Capability::FourOctetAs(_)
        | Capability::EnhancedRouteRefresh
        | Capability::Unknown { .. } => None,
    });
    offers.flatten().rev().find(|(of, _)| *of == family).map(|(_, mode)| *mode)
}
