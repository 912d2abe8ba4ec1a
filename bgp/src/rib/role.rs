//! Only to Customer (RFC 9234 §5): routes that came from above or from the side go down only. Our own role
//! on the session decides; the other end's is its counterpart, or is taken to be where it says none.

use super::event::RibPeer;
use crate::wire::{BgpRole, PathAttributes};
use crate::{Asn, PeerKind};

/// Ingress, rule 3: what a provider, a peer or a route server sent without a mark gets one.
pub(super) fn mark_received(attributes: &mut PathAttributes, peer: &RibPeer) {
    match external_role(peer) {
        Some(BgpRole::Customer | BgpRole::Peer | BgpRole::RsClient) => {
            attributes.only_to_customer.get_or_insert(peer.negotiated.remote_as);
        }
        Some(BgpRole::Provider | BgpRole::RsServer) | None => {}
    }
}

/// Ingress, rules 1 and 2: a marked route from a customer or from a route server's client is a leak, and so is
/// one from a peer that somebody else has marked.
pub(super) fn is_leak(attributes: &PathAttributes, peer: &RibPeer) -> bool {
    let Some(mark) = attributes.only_to_customer else { return false };
    match external_role(peer) {
        Some(BgpRole::Provider | BgpRole::RsServer) => true,
        Some(BgpRole::Peer) => mark != peer.negotiated.remote_as,
        Some(BgpRole::Customer | BgpRole::RsClient) | None => false,
    }
}

/// Egress: what goes to a customer, a peer or a route server's client is marked; what is marked does not go to
/// a provider, a peer or a route server. `None`: it stays.
pub(super) fn mark_sent(attributes: &mut PathAttributes, role: Option<BgpRole>, local_as: Asn) -> Option<()> {
    let is_marked = attributes.only_to_customer.is_some();
    match role {
        Some(BgpRole::Peer | BgpRole::Customer | BgpRole::RsClient) if is_marked => return None,
        Some(BgpRole::Peer | BgpRole::Provider | BgpRole::RsServer) => {
            attributes.only_to_customer.get_or_insert(local_as);
        }
        Some(BgpRole::Customer | BgpRole::RsClient) | None => {}
    }
    Some(())
}

/// RFC 9234 §4: roles are for external sessions only.
fn external_role(peer: &RibPeer) -> Option<BgpRole> {
    match peer.negotiated.kind {
        PeerKind::Ebgp => peer.negotiated.role,
        // RFC 9234 §5: a confederation is one AS.
        PeerKind::Ibgp | PeerKind::Confederation => None,
    }
}
