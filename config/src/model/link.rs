//! How packets get to a peer: the link of a link-local address, and next hops of the other family.

use super::{Family, PeerAddress, Remote};
use crate::document::Fields;

/// `IFNAMSIZ` less the NUL.
const INTERFACE_OCTETS_MAX: usize = 15;

/// The link of a link-local peer: there if and only if the address needs one.
pub(super) fn interface(spec: &Fields<'_>, remote: Option<&Remote>) -> Option<String> {
    let entry = spec.entry("interface").filter(|entry| !entry.data().is_empty());
    let address = match remote {
        Some(Remote::Address(PeerAddress { address, .. })) => Some(*address),
        Some(Remote::Selected(_) | Remote::Prefixes(_)) | None => None,
    };
    let is_link_local = match address {
        Some(std::net::IpAddr::V6(address)) => address.is_unicast_link_local(),
        Some(std::net::IpAddr::V4(_)) | None => false,
    };
    match entry {
        None if is_link_local => {
            spec.report("interface", "is missing: a link-local peerIP is on one link, say on which");
            None
        }
        None => None,
        Some(entry) if !is_link_local => {
            entry.report("is for a link-local peerIP (fe80::/10) only: remove it");
            None
        }
        Some(entry) => {
            let name = entry.text()?;
            let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
            let is_short = (1..=INTERFACE_OCTETS_MAX).contains(&name.len());
            if !is_short || matches!(name, "." | "..") || name.contains(is_odd) {
                entry.report("is not the name of an interface: write one as `ip link` shows it, as in eth0");
                return None;
            }
            Some(name.to_owned())
        }
    }
}

/// `None`: as the session's transport has it.
pub(super) fn extended_next_hop(spec: &Fields<'_>, families: &[Family]) -> Option<bool> {
    let extended = spec.entry("extendedNextHop").and_then(|entry| entry.boolean());
    if extended == Some(true) && !families.is_empty() && !families.contains(&Family::Ipv4Unicast) {
        spec.report("extendedNextHop", "is about IPv4 routes: add ipv4-unicast to families");
    }
    extended
}
