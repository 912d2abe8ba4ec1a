//! Several paths of one prefix on one session (RFC 7911).

use serde::Serialize;

use crate::document::{Field, Fields};

/// What the node side does about several paths. Calico's own BIRD configuration has `add paths on` for every session,
/// and so both directions are on unless a manifest says otherwise; what a peer does not know is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddPaths {
    /// It takes several.
    pub receive: bool,
    /// It sends several.
    pub send: bool,
    /// Most of them, at least 1; `None`: all that may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_maximum: Option<u8>,
}

impl Default for AddPaths {
    fn default() -> Self {
        Self { receive: true, send: true, send_maximum: None }
    }
}

pub(crate) const FIELDS: &[Field] = &[
    Field::additive("receive", "false", "the peer may send several paths of a prefix; default true"),
    Field::additive("send", "true", "a peer that takes them is sent several; default true"),
    Field::additive("sendMaximum", "4", "the most that it is sent, the best ones, 1 to 255; default all"),
];

impl AddPaths {
    pub(crate) fn read(spec: &Fields<'_>) -> Self {
        let Some(fields) = spec.fields("addPaths") else { return Self::default() };
        let is_on = |name| fields.entry(name).and_then(|entry| entry.boolean()).unwrap_or(true);
        let send = is_on("send");
        let send_maximum = fields.entry("sendMaximum").and_then(|entry| entry.integer(1..=255));
        if send_maximum.is_some() && !send {
            fields.report("sendMaximum", "has no meaning with send: false: remove one of them");
        }
        Self { receive: is_on("receive"), send, send_maximum }
    }

    /// What the other end of the session does when it mirrors this one. The maximum is that of both ends.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { receive: self.send, send: self.receive, ..self }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
