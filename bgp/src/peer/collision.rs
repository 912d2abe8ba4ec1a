//! Connection collision detection (RFC 4271 §6.8): which of two connections to the same neighbor stays.

use super::Role;
use crate::{Asn, RouterId};

/// One end of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Speaker {
    // The derived order is the rule: identifiers as unsigned numbers in host order, and the AS where they
    // are equal (RFC 6286 §2.3).
    pub(super) router_id: RouterId,
    pub(super) asn: Asn,
}

/// Of an `older` connection in OpenConfirm and a `newer` one whose OPEN has just come, the one to keep: the
/// one that the greater speaker dialled.
///
/// Two connections dialled by the same side are no collision in the sense of the RFC; there the older one
/// is most likely dead, so the newer one stays.
pub(super) fn survivor(us: Speaker, neighbor: Speaker, older: Role, newer: Role) -> Role {
    let dialled_by_us = |role| role == Role::Outgoing;
    if dialled_by_us(older) == dialled_by_us(newer) {
        return newer;
    }
    if dialled_by_us(newer) == (us > neighbor) { newer } else { older }
}
