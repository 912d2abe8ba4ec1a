//! AS_PATH (RFC 4271 §5.1.2, confederation segments of RFC 5065).

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::Asn;

/// One segment of an AS_PATH; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// AS_SEQUENCE: in order, nearest first.
    Sequence(SmallVec<[Asn; 4]>),
    /// AS_SET: in no order.
    Set(SmallVec<[Asn; 4]>),
    /// AS_CONFED_SEQUENCE.
    ConfedSequence(SmallVec<[Asn; 4]>),
    /// AS_CONFED_SET.
    ConfedSet(SmallVec<[Asn; 4]>),
}

/// The ASes a path went through, nearest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AsPath(pub SmallVec<[Segment; 1]>);
