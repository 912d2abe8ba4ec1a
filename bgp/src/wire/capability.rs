//! Capabilities (RFC 5492): what one side offers in its OPEN.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{BgpRole, EncodeError};
use crate::{AfiSafi, Asn};

/// IANA "Capability Codes".
mod code {
    pub(super) const MULTIPROTOCOL: u8 = 1;
    pub(super) const ROUTE_REFRESH: u8 = 2;
    pub(super) const EXTENDED_NEXT_HOP: u8 = 5;
    pub(super) const EXTENDED_MESSAGE: u8 = 6;
    pub(super) const ROLE: u8 = 9;
    pub(super) const GRACEFUL_RESTART: u8 = 64;
    pub(super) const FOUR_OCTET_AS: u8 = 65;
    pub(super) const ADD_PATH: u8 = 69;
    pub(super) const ENHANCED_ROUTE_REFRESH: u8 = 70;
}

/// Restart Flags and Restart Time share 16 bits (RFC 4724 §3, RFC 8538 §2).
const RESTARTING: u16 = 0x8000;
const NOTIFICATION: u16 = 0x4000;
const RESTART_TIME: u16 = 0x0fff;
/// Forwarding State bit of a family.
const FORWARDING: u8 = 0x80;

/// Which way path identifiers may go (RFC 7911 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AddPathMode {
    /// 1: able to receive.
    Receive,
    /// 2: able to send.
    Send,
    /// 3: both.
    Both,
}

impl AddPathMode {
    fn from_octet(octet: u8) -> Option<Self> {
        [Self::Receive, Self::Send, Self::Both].into_iter().find(|mode| mode.to_octet() == octet)
    }

    fn to_octet(self) -> u8 {
        match self {
            Self::Receive => 1,
            Self::Send => 2,
            Self::Both => 3,
        }
    }
}

/// The graceful restart capability (RFC 4724 §3, N bit RFC 8538).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GracefulRestartCapability {
    /// R bit: the sender has restarted.
    pub restarting: bool,
    /// N bit: NOTIFICATIONs are graceful too.
    pub notification: bool,
    /// How long to keep the sender's routes after the session is lost, 0 to 4095 seconds.
    pub restart_time_secs: u16,
    /// Families, each with its F bit: the sender kept forwarding.
    pub families: Vec<(AfiSafi, bool)>,
}

/// One offered item.
///
/// An OPEN may repeat a capability. Of graceful restart only the last counts (RFC 4724 §3), the others add
/// up (RFC 5492 §4); the decoder keeps all, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Capability {
    /// Code 1 (RFC 4760).
    Multiprotocol(AfiSafi),
    /// Code 2 (RFC 2918).
    RouteRefresh,
    /// Code 5 (RFC 8950): family of the NLRI, AFI of the next hop.
    ExtendedNextHop(Vec<(AfiSafi, u16)>),
    /// Code 6 (RFC 8654).
    ExtendedMessage,
    /// Code 9 (RFC 9234). A value that is not assigned is kept as unknown.
    Role(BgpRole),
    /// Code 64 (RFC 4724).
    GracefulRestart(GracefulRestartCapability),
    /// Code 65 (RFC 6793).
    FourOctetAs(Asn),
    /// Code 69 (RFC 7911).
    AddPath(Vec<(AfiSafi, AddPathMode)>),
    /// Code 70 (RFC 7313).
    EnhancedRouteRefresh,
    /// Anything else, kept to be shown.
    Unknown {
        /// Capability code.
        code: u8,
        /// Its value.
        value: Bytes,
    },
}

impl Capability {
    /// Its IANA code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Multiprotocol(_) => code::MULTIPROTOCOL,
            Self::RouteRefresh => code::ROUTE_REFRESH,
            Self::ExtendedNextHop(_) => code::EXTENDED_NEXT_HOP,
            Self::ExtendedMessage => code::EXTENDED_MESSAGE,
            Self::Role(_) => code::ROLE,
            Self::GracefulRestart(_) => code::GRACEFUL_RESTART,
            Self::FourOctetAs(_) => code::FOUR_OCTET_AS,
            Self::AddPath(_) => code::ADD_PATH,
            Self::EnhancedRouteRefresh => code::ENHANCED_ROUTE_REFRESH,
            Self::Unknown { code, .. } => *code,
        }
    }

    /// Reads the value of capability `code`. A known one of the wrong length makes the optional parameter
    /// malformed (RFC 4271 §6.2), with two exceptions in which the RFC asks for less.
    pub(super) fn decode(code: u8, value: &[u8]) -> Result<Self, String> {
        let malformed = |name: &str| format!("capability {name} is malformed: {}", super::error::hex(value));
        // Copied: a capability outlives the receive buffer by the life of the session.
        let unknown = || Self::Unknown { code, value: Bytes::copy_from_slice(value) };
        Ok(match (code, value) {
            (code::MULTIPROTOCOL, &[afi_high, afi_low, _, safi]) => {
                Self::Multiprotocol(family(afi_high, afi_low, safi))
            }
            (code::MULTIPROTOCOL, _) => return Err(malformed("multiprotocol")),
            (code::ROUTE_REFRESH, []) => Self::RouteRefresh,
            (code::ROUTE_REFRESH, _) => return Err(malformed("route-refresh")),
            (code::EXTENDED_NEXT_HOP, _) => {
                let (triples, []) = value.as_chunks::<6>() else {
                    return Err(malformed("extended-next-hop"));
                };
                // The SAFI has two octets here only; one that needs both is none we could name.
                Self::ExtendedNextHop(
                    triples
                        .iter()
                        .filter(|[_, _, safi_high, ..]| *safi_high == 0)
                        .map(|&[afi_high, afi_low, _, safi, next_hop_high, next_hop_low]| {
                            let next_hop_afi = u16::from_be_bytes([next_hop_high, next_hop_low]);
                            (family(afi_high, afi_low, safi), next_hop_afi)
                        })
                        .collect(),
                )
            }
            (code::EXTENDED_MESSAGE, []) => Self::ExtendedMessage,
            (code::EXTENDED_MESSAGE, _) => return Err(malformed("extended-message")),
            (code::ROLE, &[role]) => BgpRole::from_octet(role).map_or_else(unknown, Self::Role),
            (code::ROLE, _) => return Err(malformed("role")),
            (code::GRACEFUL_RESTART, _) => {
                decode_graceful_restart(value).ok_or_else(|| malformed("graceful-restart"))?
            }
            (code::FOUR_OCTET_AS, _) => match value.as_array::<4>() {
                Some(asn) => Self::FourOctetAs(Asn(u32::from_be_bytes(*asn))),
                None => return Err(malformed("four-octet-as")),
            },
            (code::ADD_PATH, _) => {
                let (entries, []) = value.as_chunks::<4>() else { return Err(malformed("add-path")) };
                let entries: Option<Vec<_>> = entries
                    .iter()
                    .map(|&[afi_high, afi_low, safi, mode]| {
                        Some((family(afi_high, afi_low, safi), AddPathMode::from_octet(mode)?))
                    })
                    .collect();
                // RFC 7911 §4: with another mode the capability is treated as not understood.
                entries.map_or_else(unknown, Self::AddPath)
            }
            (code::ENHANCED_ROUTE_REFRESH, []) => Self::EnhancedRouteRefresh,
            (code::ENHANCED_ROUTE_REFRESH, _) => return Err(malformed("enhanced-route-refresh")),
            (_, _) => unknown(),
        })
    }

    /// Writes code, length and value.
    pub(super) fn encode(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        let mut value = BytesMut::new();
        match self {
            Self::Multiprotocol(family) => {
                value.put_u16(family.afi);
                value.put_u8(0);
                value.put_u8(family.safi);
            }
            Self::RouteRefresh | Self::ExtendedMessage | Self::EnhancedRouteRefresh => {}
            Self::ExtendedNextHop(entries) => {
                for (family, next_hop_afi) in entries {
                    value.put_u16(family.afi);
                    value.put_u16(u16::from(family.safi));
                    value.put_u16(*next_hop_afi);
                }
            }
            Self::GracefulRestart(restart) => {
                let flags = if restart.restarting { RESTARTING } else { 0 }
                    | if restart.notification { NOTIFICATION } else { 0 };
                value.put_u16(flags | restart.restart_time_secs.min(RESTART_TIME));
                for (family, forwarding) in &restart.families {
                    value.put_u16(family.afi);
                    value.put_u8(family.safi);
                    value.put_u8(if *forwarding { FORWARDING } else { 0 });
                }
            }
            Self::Role(role) => value.put_u8(role.to_octet()),
            Self::FourOctetAs(asn) => value.put_u32(asn.0),
            Self::AddPath(entries) => {
                for (family, mode) in entries {
                    value.put_u16(family.afi);
                    value.put_u8(family.safi);
                    value.put_u8(mode.to_octet());
                }
            }
            Self::Unknown { value: raw, .. } => value.put_slice(raw),
        }
        let Ok(len) = u8::try_from(value.len()) else {
            return Err(EncodeError::Unrepresentable("a capability value takes more than 255 octets"));
        };
        out.put_u8(self.code());
        out.put_u8(len);
        out.put_slice(&value);
        Ok(())
    }
}

impl fmt::Display for Capability {
    /// One item for an operator: `add-path ipv4-unicast both`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Multiprotocol(family) => write!(f, "multiprotocol {family}"),
            Self::RouteRefresh => f.write_str("route-refresh"),
            Self::ExtendedNextHop(entries) => {
                f.write_str("extended-next-hop")?;
                entries.iter().try_for_each(|(family, afi)| write!(f, " {family} via afi-{afi}"))
            }
            Self::ExtendedMessage => f.write_str("extended-message"),
            Self::GracefulRestart(restart) => {
                write!(f, "graceful-restart {} s", restart.restart_time_secs)?;
                if restart.restarting {
                    f.write_str(" restarting")?;
                }
                if restart.notification {
                    f.write_str(" notification")?;
                }
                restart.families.iter().try_for_each(|(family, forwarding)| {
                    write!(f, " {family}{}", if *forwarding { " (forwarding)" } else { "" })
                })
            }
            Self::Role(role) => write!(f, "role {role}"),
            Self::FourOctetAs(asn) => write!(f, "four-octet-as {asn}"),
            Self::AddPath(entries) => {
                f.write_str("add-path")?;
                entries.iter().try_for_each(|(family, mode)| {
                    let mode = match mode {
                        AddPathMode::Receive => "receive",
                        AddPathMode::Send => "send",
                        AddPathMode::Both => "both",
                    };
                    write!(f, " {family} {mode}")
                })
            }
            Self::EnhancedRouteRefresh => f.write_str("enhanced-route-refresh"),
            Self::Unknown { code, value } => write!(f, "capability-{code} {}", super::error::hex(value)),
        }
    }
}

fn decode_graceful_restart(value: &[u8]) -> Option<Capability> {
    let (head, families) = value.split_first_chunk::<2>()?;
    let (families, []) = families.as_chunks::<4>() else { return None };
    let head = u16::from_be_bytes(*head);
    Some(Capability::GracefulRestart(GracefulRestartCapability {
        restarting: head & RESTARTING != 0,
        notification: head & NOTIFICATION != 0,
        restart_time_secs: head & RESTART_TIME,
        families: families
            .iter()
            .map(|&[afi_high, afi_low, safi, flags]| {
                (family(afi_high, afi_low, safi), flags & FORWARDING != 0)
            })
            .collect(),
    }))
}

fn family(afi_high: u8, afi_low: u8, safi: u8) -> AfiSafi {
    AfiSafi { afi: u16::from_be_bytes([afi_high, afi_low]), safi }
}
