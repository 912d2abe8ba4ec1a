//! UPDATE (RFC 4271 §4.3, RFC 4760): many prefixes that share one set of path attributes.

mod decode;
mod encode;

pub(super) use decode::decode;
pub(super) use encode::encode;
pub use encode::{encode_end_of_rib, encode_reach, encode_unreach};

use serde::{Deserialize, Serialize};

use super::{AttributeError, NextHop, PathAttributes};
use crate::{AfiSafi, Nlri};

/// Prefixes of one family that became reachable through one next hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Their family.
    pub family: AfiSafi,
    /// NEXT_HOP or the next hop of MP_REACH_NLRI.
    pub next_hop: NextHop,
    /// The prefixes.
    pub nlri: Vec<Nlri>,
}

/// Prefixes of one family that are no longer reachable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreach {
    /// Their family.
    pub family: AfiSafi,
    /// The prefixes.
    pub nlri: Vec<Nlri>,
}

/// A decoded UPDATE. `attributes.next_hop` is absent here: the next hop stands in each [`Reach`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The attributes that all of `reach` share; meaningless while `reach` is empty.
    pub attributes: PathAttributes,
    /// Announced prefixes: at most one entry for classic NLRI and one for MP_REACH_NLRI.
    pub reach: Vec<Reach>,
    /// Withdrawn prefixes, to be applied before `reach` (RFC 4271 §4.3).
    pub unreach: Vec<Unreach>,
    /// End-of-RIB marker for this family (RFC 4724 §2); then all else is empty.
    pub end_of_rib: Option<AfiSafi>,
}

/// An UPDATE after RFC 7606: what is left to apply, and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodedUpdate {
    /// What to apply. Routes that are to be treated as withdrawn stand in `unreach`.
    pub update: Update,
    /// The attributes that were malformed; empty for a well-formed message.
    pub errors: Vec<AttributeError>,
}
