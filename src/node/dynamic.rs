//! Templates of dynamic peers, sessions that cannot be had, timers and keys, in the speaker's words.

use std::net::IpAddr;

use bgp::Asn;
use bgp::peer::{AoAlgorithm, AoKey, AsRange, DynamicNeighbors, NeighborConfig, Password, Timing};
use config::expand::{Session, SessionTemplate, Unstartable};
use config::model::{IDLE_HOLD_TIME_DEFAULT, MAXIMUM_IDLE_HOLD_TIME_DEFAULT, PeerTiming, TcpAoAlgorithm};

/// A session that is configured but cannot be had, to be shown beside the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSession {
    /// The name it would have.
    pub name: String,
    /// From the manifest.
    pub description: String,
    /// The other end; `None`: a template's, which could be many.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: u16,
    /// Our AS on it.
    pub local_as: u32,
    /// The other end's AS.
    pub remote_as: u32,
    /// Why there is none.
    pub reason: String,
}

/// `neighbor` is the session of the template as any other.
pub(super) fn neighbors(template: &SessionTemplate, neighbor: NeighborConfig) -> DynamicNeighbors {
    let ranges = template.peers.as_ranges.iter();
    let as_ranges =
        ranges.map(|range| AsRange { first: Asn(range.first.number()), last: Asn(range.last.number()) });
    DynamicNeighbors {
        name: template.session.name.clone(),
        prefixes: template.peers.prefixes.clone(),
        maximum: template.peers.maximum,
        as_ranges: as_ranges.collect(),
        template: neighbor,
    }
}

pub(super) fn timing(timing: &PeerTiming) -> Timing {
    let longest = timing.maximum_idle_hold_time.unwrap_or(MAXIMUM_IDLE_HOLD_TIME_DEFAULT);
    Timing {
        idle_hold_secs: timing.idle_hold_time.unwrap_or(IDLE_HOLD_TIME_DEFAULT).0,
        idle_hold_max_secs: longest.0,
        advertisement_interval_secs: timing.minimum_advertisement_time.map_or(0, |time| time.0),
        send_hold_secs: timing.send_hold_time.map(|time| time.0),
    }
}

pub(super) fn missing(unstartable: &Unstartable) -> MissingSession {
    let session = &unstartable.session;
    MissingSession {
        name: session.name.clone(),
        description: session.description.clone(),
        address: Some(session.address).filter(|_| !unstartable.is_template),
        port: session.port,
        local_as: session.local_as.number(),
        remote_as: session.remote_as.number(),
        reason: unstartable.reason.clone(),
    }
}

/// `None`: one of them cannot be one, and then the session must not run.
pub(super) fn ao_keys(session: &Session) -> Option<Vec<AoKey>> {
    let key = |(key, secret): &(config::model::TcpAoKey, config::model::SecretValue)| {
        Some(AoKey {
            send_id: key.send_id,
            receive_id: key.receive_id,
            algorithm: match key.algorithm {
                TcpAoAlgorithm::HmacSha1 => AoAlgorithm::HmacSha1,
                TcpAoAlgorithm::Aes128Cmac => AoAlgorithm::Aes128Cmac,
                TcpAoAlgorithm::HmacSha256 => AoAlgorithm::HmacSha256,
            },
            secret: Password::new(secret.octets().clone())?,
        })
    };
    session.tcp_ao.iter().map(key).collect()
}
