//! OPEN × OPEN: what we offer, whether we accept what the neighbor offers, and what both sides then agreed.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{DownReason, GracefulRestartConfig, NeighborConfig, add_path};
use crate::wire::{
    BgpRole, Capability, DecodeContext, DecodeError, EncodeContext, ErrorSubcode, GracefulRestartCapability,
    OpenMessage,
};
use crate::{AfiSafi, Asn, PeerKind, RouterId};

/// Largest restart time, in seconds: twelve bits (RFC 4724 §3).
const RESTART_TIME_MAX_SECS: u16 = 4095;

/// The peer's graceful restart offer (RFC 4724).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRestart {
    /// R bit of its OPEN.
    pub restarting: bool,
    /// How long it wants its routes kept.
    pub restart_time_secs: u16,
    /// Families both sides listed, each with the peer's F bit.
    pub families: Vec<(AfiSafi, bool)>,
}

/// A session's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiated {
    /// Internal or external.
    pub kind: PeerKind,
    /// Our AS.
    pub local_as: Asn,
    /// The peer's AS.
    pub remote_as: Asn,
    /// The peer's identifier.
    pub remote_router_id: RouterId,
    /// Our end of the TCP connection.
    pub local: SocketAddr,
    /// Their end.
    pub remote: SocketAddr,
    /// The smaller of both offers; 0 is no keepalives at all.
    pub hold_time_secs: u16,
    /// How often we send KEEPALIVE.
    pub keepalive_secs: u16,
    /// Families both sides offered (IPv4 unicast is implied by an OPEN without any, RFC 4760 §8).
    pub families: Vec<AfiSafi>,
    /// Our role (RFC 9234); the neighbor's is its counterpart. `None` on internal sessions.
    pub role: Option<BgpRole>,
    /// RFC 2918 by both.
    pub route_refresh: bool,
    /// RFC 4724 offered by both.
    pub restart: Option<PeerRestart>,
    /// How to read its messages.
    pub decode: DecodeContext,
    /// How to write ours.
    pub encode: EncodeContext,
    /// All it offered, to be shown.
    pub remote_capabilities: Vec<Capability>,
}

impl Negotiated {
    /// How long what the peer sent is kept after its session ended for `reason` (RFC 4724 §4.2).
    pub(super) fn retained(&self, reason: &DownReason) -> Duration {
        let restart = self.restart.as_ref().filter(|_| reason.is_graceful());
        let kept = restart.filter(|restart| !restart.families.is_empty());
        kept.map_or(Duration::ZERO, |restart| Duration::from_secs(restart.restart_time_secs.into()))
    }
}

/// Our OPEN. `restarting` is the R bit; without `capabilities` it is what a speaker of 1995 understands
/// (RFC 5492 §3: to a peer that refused the optional parameter).
pub(super) fn local_open(config: &NeighborConfig, restarting: bool, capabilities: bool) -> OpenMessage {
    OpenMessage {
        my_as: config.local_as.to_two_octets(),
        hold_time_secs: config.hold_time_secs,
        router_id: config.router_id,
        capabilities: if capabilities { offer(config, restarting) } else { Vec::new() },
    }
}

fn offer(config: &NeighborConfig, restarting: bool) -> Vec<Capability> {
    let mut capabilities = config.families.iter().copied().map(Capability::Multiprotocol).collect::<Vec<_>>();
    capabilities.push(Capability::RouteRefresh);
    capabilities.push(Capability::ExtendedMessage);
    capabilities.extend(local_role(config).map(Capability::Role));
    if let Some(GracefulRestartConfig { restart_time_secs, .. }) = config.graceful_restart {
        capabilities.push(Capability::GracefulRestart(GracefulRestartCapability {
            restarting,
            notification: false,
            restart_time_secs: restart_time_secs.min(RESTART_TIME_MAX_SECS),
            // F for every family: the kernel's routes stay whatever becomes of this process.
            families: config.families.iter().map(|&family| (family, true)).collect(),
        }));
    }
    capabilities.push(Capability::FourOctetAs(config.local_as));
    capabilities.extend(add_path::offer(config));
    capabilities
}

/// Judges the neighbor's OPEN (RFC 4271 §6.2) and works out the session's terms.
///
/// `sent` is the OPEN that went out on this very connection; the configuration may have changed since.
///
/// # Errors
/// The NOTIFICATION to send, and why.
pub(super) fn negotiate(
    config: &NeighborConfig,
    sent: &OpenMessage,
    received: &OpenMessage,
    local: SocketAddr,
    remote: SocketAddr,
) -> Result<Negotiated, DecodeError> {
    check_as(config, received)?;
    check_router_id(config, received)?;
    check_hold_time(received)?;
    let families = common_families(config, sent, received)?;
    let role = check_role(config, received)?;

    let both = |wanted: fn(&Capability) -> bool| {
        sent.capabilities.iter().any(wanted) && received.capabilities.iter().any(wanted)
    };
    let four_octet_as = both(|capability| matches!(capability, Capability::FourOctetAs(_)));
    let extended_message = both(|capability| matches!(capability, Capability::ExtendedMessage));
    let hold_time_secs = sent.hold_time_secs.min(received.hold_time_secs);
    Ok(Negotiated {
        kind: config.kind_with(received.asn()),
        local_as: config.local_as,
        remote_as: received.asn(),
        remote_router_id: received.router_id,
        local,
        remote,
        hold_time_secs,
        keepalive_secs: keepalive_secs(config, hold_time_secs),
        restart: negotiate_restart(sent, received),
        role,
        route_refresh: both(|capability| matches!(capability, Capability::RouteRefresh)),
        decode: DecodeContext {
            four_octet_as,
            add_path_receive: add_path::agreed(received, sent, &families),
            extended_message,
            kind: config.kind_with(received.asn()),
        },
        encode: EncodeContext {
            four_octet_as,
            add_path_send: add_path::agreed(sent, received, &families),
            extended_message,
        },
        families,
        remote_capabilities: received.capabilities.clone(),
    })
}

fn check_as(config: &NeighborConfig, received: &OpenMessage) -> Result<(), DecodeError> {
    let asn = received.asn();
    // AS 0 never equals a configured AS, so RFC 7607 needs no branch of its own.
    if config.accepts_as(asn) {
        return Ok(());
    }
    let data = received.my_as.to_be_bytes().to_vec();
    let configured = match config.as_ranges() {
        [] => config.remote_as.to_string(),
        ranges => ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let reason = format!("the neighbor says it is AS {asn}, configured is AS {configured}");
    Err(DecodeError::with_data(ErrorSubcode::BAD_PEER_AS, data.into(), reason))
}

fn check_router_id(config: &NeighborConfig, received: &OpenMessage) -> Result<(), DecodeError> {
    let id = received.router_id;
    // RFC 6286 §2.2: unique within an AS, so our own identifier is wrong only from an internal peer.
    let reason = if id.0 == Ipv4Addr::UNSPECIFIED {
        "the neighbor's BGP identifier is 0.0.0.0".to_owned()
    } else if id == config.router_id && config.kind() == PeerKind::Ibgp {
        format!("the neighbor has our own BGP identifier {id}")
    } else {
        return Ok(());
    };
    let data = id.0.octets().to_vec();
    Err(DecodeError::with_data(ErrorSubcode::BAD_BGP_IDENTIFIER, data.into(), reason))
}

fn check_hold_time(received: &OpenMessage) -> Result<(), DecodeError> {
    let secs = received.hold_time_secs;
    if !matches!(secs, 1 | 2) {
        return Ok(());
    }
    let data = secs.to_be_bytes().to_vec();
    let reason = format!("the neighbor offers a hold time of {secs} s, 0 or at least 3 s is allowed");
    Err(DecodeError::with_data(ErrorSubcode::UNACCEPTABLE_HOLD_TIME, data.into(), reason))
}

/// RFC 9234 §4: for external sessions only.
fn local_role(config: &NeighborConfig) -> Option<BgpRole> {
    match config.kind() {
        PeerKind::Ebgp => config.role,
        PeerKind::Ibgp => None,
    }
}

/// RFC 9234 §4.2. A neighbor that says no role is taken to have the right one, unless we insist. One that
/// says several different ones has none of them right.
fn check_role(config: &NeighborConfig, received: &OpenMessage) -> Result<Option<BgpRole>, DecodeError> {
    let Some(ours) = local_role(config) else { return Ok(None) };
    let wanted = Capability::Role(ours.counterpart());
    let mut said = received.capabilities.iter().filter(|capability| capability.code() == wanted.code());
    let wrong = said.clone().find(|capability| **capability != wanted);
    let reason = match (wrong, said.next()) {
        (Some(theirs), _) => format!("the neighbor says {theirs}, ours is {ours}"),
        (None, None) if config.role_strict => format!("the neighbor says no role, ours is {ours}"),
        (None, Some(_) | None) => return Ok(Some(ours)),
    };
    Err(DecodeError::new(ErrorSubcode::ROLE_MISMATCH, reason))
}

/// What both can carry. None at all is the one capability that we insist on (RFC 5492 §3): a session that
/// carries nothing would look healthy and do nothing.
fn common_families(
    config: &NeighborConfig,
    sent: &OpenMessage,
    received: &OpenMessage,
) -> Result<Vec<AfiSafi>, DecodeError> {
    let theirs = families(received);
    let common = families(sent)
        .into_iter()
        .filter(|family| config.families.contains(family) && theirs.contains(family))
        .collect::<Vec<_>>();
    if !common.is_empty() {
        return Ok(common);
    }
    let names =
        |families: &[AfiSafi]| families.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let reason = format!(
        "no address family in common: the neighbor offers {}, configured is {}",
        names(&theirs),
        names(&config.families)
    );
    // RFC 5492 §3: the data lists the capabilities that are missed, coded as in an OPEN.
    let data = config.families.iter().flat_map(|&family| multiprotocol_octets(family)).collect::<Vec<_>>();
    Err(DecodeError::with_data(ErrorSubcode::UNSUPPORTED_CAPABILITY, data.into(), reason))
}

/// The families an OPEN offers; one without any means IPv4 unicast (RFC 4760 §8).
fn families(open: &OpenMessage) -> Vec<AfiSafi> {
    let mut offered = Vec::new();
    for capability in &open.capabilities {
        if let Capability::Multiprotocol(family) = capability
            && !offered.contains(family)
        {
            offered.push(*family);
        }
    }
    if offered.is_empty() {
        offered.push(AfiSafi::IPV4_UNICAST);
    }
    offered
}

/// Capability code 1, length 4, AFI, reserved, SAFI (RFC 4760 §8).
fn multiprotocol_octets(family: AfiSafi) -> [u8; 6] {
    let [high, low] = family.afi.to_be_bytes();
    [1, 4, high, low, 0, family.safi]
}

/// The configured interval, but at most a third of the hold time (RFC 4271 §4.4) and at least a second.
fn keepalive_secs(config: &NeighborConfig, hold_time_secs: u16) -> u16 {
    match hold_time_secs {
        0 => 0,
        hold => config.keepalive_secs.unwrap_or(u16::MAX).min(hold / 3).max(1),
    }
}

fn negotiate_restart(sent: &OpenMessage, received: &OpenMessage) -> Option<PeerRestart> {
    let ours = graceful_restart(sent)?;
    let theirs = graceful_restart(received)?;
    let families =
        theirs.families.iter().filter(|(family, _)| ours.families.iter().any(|(our, _)| our == family));
    Some(PeerRestart {
        restarting: theirs.restarting,
        restart_time_secs: theirs.restart_time_secs,
        families: families.copied().collect(),
    })
}

/// The capability; of several the last counts (RFC 4724 §3).
fn graceful_restart(open: &OpenMessage) -> Option<&GracefulRestartCapability> {
    open.capabilities.iter().rev().find_map(|capability| match capability {
        Capability::GracefulRestart(restart) => Some(restart),
        Capability::Multiprotocol(_)
        | Capability::RouteRefresh
        | Capability::ExtendedNextHop(_)
        | Capability::ExtendedMessage
        | Capability::Role(_)
        | Capability::FourOctetAs(_)
        | Capability::AddPath(_)
        | Capability::EnhancedRouteRefresh
        | Capability::Unknown { .. } => None,
    })
}
