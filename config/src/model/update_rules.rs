//! What a peer's routes have to be like and what is done to those it gets, beside filters.

use serde::Serialize;

use crate::document::{Field, Fields};

/// As BGPPeer has them, flat among its other fields. All are additions of ours. `None`: not said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRules {
    /// The AS_PATH of what an external peer sends begins with its AS (RFC 4271 §6.3).
    #[serde(rename = "enforceFirstAS", skip_serializing_if = "Option::is_none")]
    pub enforce_first_as: Option<bool>,
    /// AS_SETs are let in (RFC 9774).
    #[serde(rename = "allowASSets", skip_serializing_if = "std::ops::Not::not")]
    pub allow_as_sets: bool,
    /// What happens to private AS numbers towards an external peer.
    #[serde(rename = "removePrivateAS", skip_serializing_if = "RemovePrivateAs::is_none")]
    pub remove_private_as: RemovePrivateAs,
    /// An external peer gets the node's AS in place of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub as_override: bool,
    /// The GRACEFUL_SHUTDOWN community of an external peer counts (RFC 8326).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honour_graceful_shutdown: Option<bool>,
    /// The session is about to go away (RFC 8326).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub graceful_shutdown: bool,
}

/// What happens to private AS numbers (RFC 6996) in what leaves to an external peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum RemovePrivateAs {
    /// They stay.
    #[default]
    None,
    /// They go if the path has no others.
    IfAllPrivate,
    /// They go.
    All,
    /// The node's AS stands in their place.
    Replace,
}

impl RemovePrivateAs {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

pub(super) const ENFORCE_FIRST_AS: Field = Field::additive(
    "enforceFirstAS",
    "false",
    "eBGP: AS_PATH must begin with the peer's AS; default true, false for role RsClient",
);
pub(super) const ALLOW_AS_SETS: Field = Field::additive(
    "allowASSets",
    "true",
    "take paths with an AS_SET (RFC 9774 forbids them); default false",
);
pub(super) const REMOVE_PRIVATE_AS: Field = Field::additive(
    "removePrivateAS",
    "All",
    "eBGP, private AS numbers in what is sent: None, IfAllPrivate, All or Replace; default None",
);
pub(super) const AS_OVERRIDE: Field =
    Field::additive("asOverride", "true", "eBGP: send the node's AS in place of the peer's; default false");
pub(super) const HONOUR_GRACEFUL_SHUTDOWN: Field = Field::additive(
    "honourGracefulShutdown",
    "false",
    "eBGP: routes with community 65535:0 get LOCAL_PREF 0 (RFC 8326); default true",
);
pub(super) const GRACEFUL_SHUTDOWN: Field = Field::additive(
    "gracefulShutdown",
    "true",
    "maintenance ahead: say so in what is sent, and use what comes last (RFC 8326); default false",
);

impl UpdateRules {
    pub(crate) fn read(spec: &Fields<'_>) -> Self {
        let private_as = [
            ("None", RemovePrivateAs::None),
            ("IfAllPrivate", RemovePrivateAs::IfAllPrivate),
            ("All", RemovePrivateAs::All),
            ("Replace", RemovePrivateAs::Replace),
        ];
        let truth = |name| spec.entry(name).and_then(|entry| entry.boolean());
        Self {
            enforce_first_as: truth("enforceFirstAS"),
            allow_as_sets: truth("allowASSets").unwrap_or_default(),
            remove_private_as: spec
                .entry("removePrivateAS")
                .and_then(|entry| entry.choice(&private_as))
                .unwrap_or_default(),
            as_override: truth("asOverride").unwrap_or_default(),
            honour_graceful_shutdown: truth("honourGracefulShutdown"),
            graceful_shutdown: truth("gracefulShutdown").unwrap_or_default(),
        }
    }
}
