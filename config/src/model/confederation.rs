//! A confederation: several ASes that are one to everybody else (RFC 5065).

use serde::Serialize;

use super::{Asn, unique};
use crate::document::{Entry, Field, Fields};

/// Of the whole cluster. An addition of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confederation {
    /// The AS number that the world sees.
    pub identifier: Asn,
    /// The AS numbers inside; a node's own may be left out.
    pub members: Vec<Asn>,
}

pub(super) const FIELDS: &[Field] = &[
    Field::additive("identifier", "3000", "the AS number that the world sees"),
    Field::additive("members", "[64601]", "the AS numbers inside, at least one"),
];

impl Confederation {
    pub(super) fn read(spec: &Fields<'_>) -> Option<Self> {
        let fields = spec.fields("confederation")?;
        let identifier = fields.required("identifier", "the AS number that the world sees");
        let members = fields.required("members", "the AS numbers inside").map(|entry| entry.list());
        let identifier = identifier?.parse_scalar()?;
        let members = unique(&members?, number);
        if members.is_empty() {
            fields.report("members", "is empty: name the AS numbers inside");
        }
        if members.contains(&identifier) {
            fields
                .report("identifier", "is a member too: the two kinds of numbers must differ (RFC 5065 §4)");
        }
        Some(Self { identifier, members })
    }
}

fn number(entry: &Entry<'_>) -> Option<Asn> {
    entry.parse_scalar()
}
