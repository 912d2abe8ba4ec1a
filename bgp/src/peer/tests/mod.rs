//! The machine, alone and in pairs. First the whole transition table, then stories under a virtual clock,
//! then random ones.

mod add_path;
mod change;
mod damping;
mod dynamic;
mod limits;
mod negotiation;
mod pair;
mod property;
mod stories;
mod table;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::wire::{Capability, ErrorSubcode, Message, Notification, OpenMessage, Reach, Update};
use crate::{AfiSafi, Asn, RouterId};

const SECOND: Duration = Duration::from_secs(1);

/// Neighbor number `n` as seen from number `us`: addresses and identifiers are 10.0.0.n, the AS is 65000.
fn config(us: u8, n: u8) -> NeighborConfig {
    NeighborConfig::new(
        format!("node{n}"),
        address(n),
        (Asn(65000), Asn(65000)),
        RouterId(Ipv4Addr::new(10, 0, 0, us)),
    )
}

/// At most 10 prefixes.
fn limit(action: PrefixLimitAction) -> PrefixLimit {
    PrefixLimit { received: 10, action }
}

fn with_restart(mut config: NeighborConfig, restarting: bool) -> NeighborConfig {
    config.graceful_restart = Some(GracefulRestartConfig { restart_time_secs: 120, restarting });
    config
}

fn address(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))
}

fn socket(n: u8) -> SocketAddr {
    SocketAddr::new(address(n), 179)
}

/// The OPEN that number `n` sends in AS 65000.
fn open(n: u8) -> OpenMessage {
    negotiate::local_open(&config(n, 0), false, true)
}

fn update() -> Message {
    let reach = Reach {
        family: AfiSafi::IPV4_UNICAST,
        next_hop: address(2).into(),
        nlri: vec!["192.0.2.0/24".parse::<ipnet::IpNet>().unwrap().into()],
    };
    let update = Update { reach: vec![reach], ..Update::default() };
    Message::Update(Box::new(crate::wire::DecodedUpdate { update, errors: Vec::new() }))
}

fn refresh(family: AfiSafi, subtype: crate::wire::RefreshSubtype) -> Message {
    Message::RouteRefresh(crate::wire::RouteRefresh { family, subtype })
}

fn cease(subcode: u8) -> Notification {
    Notification { code: 6, subcode, data: Bytes::new() }
}

/// Drains and renders: `dial`, `OPEN`, `6/7`, `close`, `up`, …; with a role where it is not the outgoing one.
fn effects(peer: &mut Peer) -> String {
    std::iter::from_fn(|| peer.poll_effect()).map(|effect| render(&effect)).collect::<Vec<_>>().join(" ")
}

fn render(effect: &PeerEffect) -> String {
    let on = |role: &Role, what: &str| match role {
        Role::Outgoing => what.to_owned(),
        Role::Incoming => format!("{what}<"),
        Role::Rival => format!("{what}<<"),
    };
    match effect {
        PeerEffect::Connect => "dial".to_owned(),
        PeerEffect::CancelConnect => "cancel".to_owned(),
        PeerEffect::Transmit { role, message } => on(role, &render_message(message)),
        PeerEffect::Close { role } => on(role, "close"),
        PeerEffect::Established { role, .. } => on(role, "up"),
        PeerEffect::Update(_) => "update".to_owned(),
        PeerEffect::Refresh(_) => "refresh".to_owned(),
        PeerEffect::Down(_) => "down".to_owned(),
        PeerEffect::Expired => "gone".to_owned(),
    }
}

fn render_message(message: &Message) -> String {
    match message {
        Message::Open(_) => "OPEN".to_owned(),
        Message::Update(_) => "UPDATE".to_owned(),
        Message::Keepalive => "KEEPALIVE".to_owned(),
        Message::RouteRefresh(_) => "REFRESH".to_owned(),
        Message::Notification(notification) => format!("{}/{}", notification.code, notification.subcode),
    }
}

/// Feeds `event` and drains.
fn feed(peer: &mut Peer, event: PeerEvent, now: Instant) -> String {
    peer.handle(event, now);
    effects(peer)
}

fn connected(role: Role) -> PeerEvent {
    PeerEvent::Connected { role, local: socket(1), remote: socket(2) }
}

fn received(role: Role, message: Message) -> PeerEvent {
    PeerEvent::Received { role, message }
}

/// Number 1, brought to `state` towards number 2 over `role`.
fn peer_in(state: State, role: Role, config: NeighborConfig, now: Instant) -> Peer {
    let mut peer = Peer::new(config, 7);
    if state != State::Idle {
        peer.handle(PeerEvent::Start, now);
    }
    if state == State::Active {
        peer.handle(PeerEvent::ConnectFailed("refused".to_owned()), now);
    }
    if state >= State::OpenSent {
        peer.handle(connected(role), now);
    }
    if state >= State::OpenConfirm {
        peer.handle(received(role, Message::Open(open(2))), now);
    }
    if state == State::Established {
        peer.handle(received(role, Message::Keepalive), now);
    }
    effects(&mut peer);
    assert_eq!(peer.state(), state);
    peer
}

/// Wakes the peer at its next deadline.
fn wake(peer: &mut Peer, now: &mut Instant) -> String {
    *now = peer.next_deadline().expect("something to wait for");
    feed(peer, PeerEvent::Deadline, *now)
}
