//! BlockAffinity: which node a block belongs to.

use std::fmt;

use ipnet::IpNet;
use serde::Serialize;

use super::address::MaskedCidr;
use super::{Metadata, metadata};
use crate::document::{Data, Entry, Field, Fields};

/// The claim of a node (or of a service controller) to a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockAffinity {
    /// Its name.
    pub metadata: Metadata,
    /// Whose, which, and how far along.
    pub spec: BlockAffinitySpec,
}

/// `BlockAffinity.spec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockAffinitySpec {
    /// How far the claim is.
    pub state: AffinityState,
    /// Whose.
    pub node: String,
    /// A node, or something that is none.
    #[serde(rename = "type")]
    pub kind: AffinityType,
    /// The block, without host bits.
    pub cidr: IpNet,
    /// Being deleted: the claim no longer holds. Written as a text, as Calico does.
    #[serde(serialize_with = "as_text")]
    pub deleted: bool,
}

fn as_text<S: serde::Serializer>(deleted: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(deleted)
}

/// How far a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum AffinityState {
    /// As old versions left it: confirmed.
    #[serde(rename = "")]
    Legacy,
    /// Being claimed; perhaps lost to another node. Never advertised.
    #[serde(rename = "pending")]
    Pending,
    /// Ours.
    #[serde(rename = "confirmed")]
    Confirmed,
    /// Being given up.
    #[serde(rename = "pendingDeletion")]
    PendingDeletion,
}

impl fmt::Display for AffinityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "",
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::PendingDeletion => "pendingDeletion",
        })
    }
}

/// Who can claim a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AffinityType {
    /// A node.
    #[default]
    Host,
    /// Something that is no node (`load-balancer`).
    Virtual,
}

const SPEC: &[Field] = &[
    Field::honoured("state", "pending", "confirmed (or empty), pending, pendingDeletion"),
    Field::honoured("node", "node9", "whose block it is"),
    Field::honoured("type", "virtual", "host or virtual; default host"),
    Field::honoured("cidr", "10.244.9.0/26", "the block, without host bits"),
    Field::honoured("deleted", "'true'", "'true' or 'false'; default false"),
];

pub(crate) const FIELDS: &[Field] = &[
    super::API_VERSION,
    super::KIND,
    Field::honoured("metadata", "{name: example}", "name").with(metadata::FIELDS),
    Field::honoured("spec", "{node: a, cidr: 10.244.9.0/26}", "whose block").with(SPEC),
    super::STATUS,
];

impl BlockAffinity {
    pub(crate) fn read(metadata: Metadata, object: &Fields<'_>) -> Option<Self> {
        object.required("spec", "a mapping with node and cidr")?;
        let spec = BlockAffinitySpec::read(&object.fields("spec")?)?;
        Some(Self { metadata, spec })
    }
}

impl BlockAffinitySpec {
    fn read(spec: &Fields<'_>) -> Option<Self> {
        let states = [
            ("", AffinityState::Legacy),
            ("pending", AffinityState::Pending),
            ("confirmed", AffinityState::Confirmed),
            ("pendingDeletion", AffinityState::PendingDeletion),
        ];
        let kinds = [("host", AffinityType::Host), ("virtual", AffinityType::Virtual)];
        let state = spec.entry("state").and_then(|entry| entry.choice(&states));
        let kind = spec.entry("type").filter(|entry| !entry.data().is_empty());
        let kind = kind.and_then(|entry| entry.choice(&kinds));
        let node = spec.required("node", "the name of the node").and_then(|entry| metadata::name(&entry));
        let cidr = spec.required("cidr", "the block, as in 10.244.9.0/26").and_then(|entry| entry.parse());
        let deleted = spec.entry("deleted").and_then(|entry| truth(&entry));
        let MaskedCidr(cidr) = cidr?;
        Some(Self {
            state: state.unwrap_or(AffinityState::Legacy),
            node: node?,
            kind: kind.unwrap_or_default(),
            cidr,
            deleted: deleted.unwrap_or_default(),
        })
    }

    /// Whether the block is the node's own: confirmed, claimed by a node, not being deleted. A pending claim
    /// may have been lost to another node, so nothing may be advertised for it.
    #[must_use]
    pub fn is_own_block(&self) -> bool {
        let is_confirmed = match self.state {
            AffinityState::Legacy | AffinityState::Confirmed => true,
            AffinityState::Pending | AffinityState::PendingDeletion => false,
        };
        is_confirmed && self.kind == AffinityType::Host && !self.deleted
    }
}

/// Calico's CRD holds `deleted` as a text.
fn truth(entry: &Entry<'_>) -> Option<bool> {
    match entry.data() {
        Data::Text(_) => entry.choice(&[("true", true), ("false", false), ("", false)]),
        Data::Null | Data::Boolean(_) | Data::Number { .. } | Data::List(_) | Data::Map(_) => entry.boolean(),
    }
}
