//! OPEN (RFC 4271 §4.2) with its capabilities (RFC 5492, long form RFC 9072).

use serde::{Deserialize, Serialize};

use super::Capability;
use crate::{Asn, RouterId};

/// A decoded OPEN. Version is always 4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenMessage {
    /// The two-octet "My Autonomous System" field; [`OpenMessage::asn`] is the number that counts.
    pub my_as: u16,
    /// Proposed hold time in seconds: 0 (none) or at least 3.
    pub hold_time_secs: u16,
    /// The sender's identifier, never 0.
    pub router_id: RouterId,
    /// Everything in the Capabilities optional parameters, in order.
    pub capabilities: Vec<Capability>,
}

impl OpenMessage {
    /// The sender's AS: from the four-octet capability if there, else the two-octet field.
    #[must_use]
    pub fn asn(&self) -> Asn {
        self.capabilities
            .iter()
            .find_map(|capability| match capability {
                Capability::FourOctetAs(asn) => Some(*asn),
                _ => None,
            })
            .unwrap_or(Asn(u32::from(self.my_as)))
    }
}
