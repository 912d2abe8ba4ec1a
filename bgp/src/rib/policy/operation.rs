//! What a rule does to a route that it lets pass.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::community::{self, CommunityPattern, CommunityValue};
use crate::Asn;
use crate::wire::{NextHop, Origin, PathAttributes};

/// A change of a route's attributes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Once: a route that carries it already stays as it is.
    AddCommunity(CommunityValue),
    /// Takes off what is described.
    RemoveCommunities(Arc<[CommunityPattern]>),
    /// Of each kind that is among these, these and no others.
    SetCommunities(Vec<CommunityValue>),
    /// Takes off what is described and, if there was any, adds others.
    ReplaceCommunities {
        /// What goes.
        remove: Arc<[CommunityPattern]>,
        /// What comes.
        add: Vec<CommunityValue>,
    },
    /// Puts these in front of the AS_PATH, so that it begins with the first of them. On export before our own
    /// AS, which is then the nearest.
    Prepend(Vec<Asn>),
    /// LOCAL_PREF. On export to an external peer it is not seen (RFC 4271 §5.1.5).
    SetLocalPref(u32),
    /// MULTI_EXIT_DISC. On export to an external peer it is sent, which one that merely came is not
    /// (RFC 4271 §5.1.4).
    Med(MedChange),
    /// ORIGIN.
    SetOrigin(Origin),
    /// NEXT_HOP.
    SetNextHop(NextHopChange),
}

/// A change of MULTI_EXIT_DISC; a route without one counts as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MedChange {
    /// To this.
    Set(u32),
    /// By this, up to 4294967295.
    Add(u32),
    /// By this, down to 0.
    Subtract(u32),
    /// Away.
    Remove,
}

/// A change of NEXT_HOP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextHopChange {
    /// To this.
    Address(NextHop),
    /// To our own address on the session.
    SelfAddress,
    /// As the route came; our own routes have our own.
    Unchanged,
    /// To the peer's address, on import.
    Peer,
}

/// A route's attributes while policy works on them, and what it says about them to those who work on them after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// As they are now.
    pub attributes: PathAttributes,
    /// What of them is policy's own will.
    pub will: Will,
}

/// What policy has decided and the rules of sessions must not undo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Will {
    /// MULTI_EXIT_DISC is as policy wants it.
    pub med: bool,
    /// The next hop.
    pub next_hop: Option<NextHopChange>,
    /// What is left of extended communities may leave the AS: the others were taken off before policy had its say.
    pub extended_communities: bool,
}

impl From<PathAttributes> for Changed {
    fn from(attributes: PathAttributes) -> Self {
        Self { attributes, will: Will::default() }
    }
}

impl Operation {
    /// Makes the change.
    pub fn apply(&self, route: &mut Changed) {
        let Changed { attributes, will } = route;
        match self {
            Self::AddCommunity(community) => community.add_to(attributes),
            Self::RemoveCommunities(patterns) => {
                community::remove(patterns, attributes);
            }
            Self::SetCommunities(communities) => {
                communities.iter().for_each(|community| community.clear_kind(attributes));
                communities.iter().for_each(|community| community.add_to(attributes));
            }
            Self::ReplaceCommunities { remove, add } => {
                if community::remove(remove, attributes) {
                    add.iter().for_each(|community| community.add_to(attributes));
                }
            }
            Self::Prepend(asns) => asns.iter().rev().for_each(|asn| attributes.as_path.prepend(*asn)),
            Self::SetLocalPref(local_pref) => attributes.local_pref = Some(*local_pref),
            Self::Med(change) => {
                let med = attributes.med.unwrap_or(0);
                attributes.med = match change {
                    MedChange::Set(med) => Some(*med),
                    MedChange::Add(more) => Some(med.saturating_add(*more)),
                    MedChange::Subtract(less) => Some(med.saturating_sub(*less)),
                    MedChange::Remove => None,
                };
                will.med = true;
            }
            Self::SetOrigin(origin) => attributes.origin = *origin,
            Self::SetNextHop(change) => {
                if let NextHopChange::Address(address) = change {
                    attributes.next_hop = Some(*address);
                }
                will.next_hop = Some(*change);
            }
        }
    }
}
