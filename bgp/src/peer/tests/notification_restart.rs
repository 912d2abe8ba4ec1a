//! RFC 8538: which ends of a session begin a graceful restart, and what is said so that one does not.

use super::*;
use crate::peer::{PrefixCount, PrefixExcess};
use crate::wire::GracefulRestartCapability;

/// With their N bit as given; ours is always set.
fn established(config: NeighborConfig, their_bit: bool) -> (Peer, Instant) {
    let now = Instant::now();
    let mut theirs = open(2);
    theirs.capabilities.push(Capability::GracefulRestart(GracefulRestartCapability {
        restarting: false,
        notification: their_bit,
        restart_time_secs: 60,
        families: vec![(AfiSafi::IPV4_UNICAST, true)],
    }));
    let mut peer = peer_in(State::OpenSent, Role::Outgoing, with_restart(config, false), now);
    peer.handle(received(Role::Outgoing, Message::Open(theirs)), now);
    peer.handle(received(Role::Outgoing, Message::Keepalive), now);
    effects(&mut peer);
    assert_eq!(peer.state(), State::Established);
    (peer, now)
}

/// What was said, and whether the neighbor's routes are kept.
fn end(peer: &mut Peer, bit: bool) -> (Option<Notification>, bool) {
    let mut said = None;
    let mut kept = None;
    while let Some(effect) = peer.poll_effect() {
        match effect {
            PeerEffect::Transmit { message: Message::Notification(notification), .. } => {
                said = Some(notification);
            }
            PeerEffect::Down(reason) => kept = Some(reason.is_graceful(bit)),
            _ => {}
        }
    }
    (said, kept.expect("the session is down"))
}

#[test]
fn rfc8538_every_end_of_a_session_with_and_without_the_bit() {
    type End = fn(&mut Peer, Instant);
    type Case = (&'static str, End, Option<(u8, u8)>, [bool; 2]);
    // Name, what happens, code and subcode that we say, and whether routes are kept without and with the bit.
    let cases: [Case; 9] = [
        (
            "TCP is lost",
            |peer, now| {
                peer.handle(PeerEvent::Disconnected { role: Role::Outgoing, reason: String::new() }, now);
            },
            None,
            [true, true],
        ),
        (
            "the hold timer expires",
            |peer, now| {
                let later = now + 91 * SECOND;
                peer.handle(PeerEvent::Deadline, later);
            },
            Some((4, 0)),
            [false, false],
        ),
        (
            "they are reset",
            |peer, now| peer.handle(received(Role::Outgoing, Message::Notification(cease(4))), now),
            None,
            [false, true],
        ),
        (
            "they say hard reset",
            |peer, now| {
                let hard = Notification::hard_reset(&cease(2));
                peer.handle(received(Role::Outgoing, Message::Notification(hard)), now);
            },
            None,
            [false, false],
        ),
        (
            "they send nonsense",
            |peer, now| {
                let error = crate::wire::DecodeError::new(ErrorSubcode::MALFORMED_ATTRIBUTE_LIST, "nonsense");
                peer.handle(PeerEvent::ReceivedBad { role: Role::Outgoing, error }, now);
            },
            Some((3, 1)),
            [false, true],
        ),
        (
            "our configuration changes",
            |peer, now| peer.handle(PeerEvent::Stop(StopReason::ConfigurationChange), now),
            Some((6, 6)),
            [false, true],
        ),
        (
            "it is removed",
            |peer, now| peer.handle(PeerEvent::Stop(StopReason::Deconfigured), now),
            Some((6, 3)),
            [false, false],
        ),
        (
            "it is shut down",
            |peer, now| peer.handle(PeerEvent::Stop(StopReason::Shutdown("why".to_owned())), now),
            Some((6, 2)),
            [false, false],
        ),
        (
            "it sends too much",
            |peer, now| {
                let (count, family) = (PrefixCount::Received, AfiSafi::IPV4_UNICAST);
                let excess = PrefixExcess { count, family, prefixes: 11 };
                peer.handle(PeerEvent::TooManyPrefixes { role: Role::Outgoing, excess }, now);
            },
            Some((6, 1)),
            [false, false],
        ),
    ];
    let limited = NeighborConfig { prefix_limit: Some(limit(PrefixLimitAction::Shutdown)), ..config(1, 2) };
    for (name, happens, says, keeps) in cases {
        for bit in [false, true] {
            let (mut peer, now) = established(limited.clone(), bit);
            happens(&mut peer, now);
            let (said, kept) = end(&mut peer, bit);
            assert_eq!(kept, keeps[usize::from(bit)], "{name}, bit {bit}");
            // RFC 8538 §5: what is to last is said in a Hard Reset, if that is understood. That the peer is silent is
            // no wish of ours that it forget our routes.
            let lasts = says.is_some() && !keeps[1] && says != Some((4, 0));
            let meant = match &said {
                Some(said) if bit && lasts => {
                    assert!(said.is(ErrorSubcode::HARD_RESET), "{name}: {said}");
                    said.enclosed()
                }
                said => said.clone(),
            };
            assert_eq!(meant.map(|meant| (meant.code, meant.subcode)), says, "{name}, bit {bit}");
        }
    }
}

/// RFC 8538 §3.1 with RFC 9003: the text is inside.
#[test]
fn rfc8538_a_hard_reset_carries_the_shutdown_communication() {
    let (mut peer, now) = established(config(1, 2), true);
    peer.handle(PeerEvent::Stop(StopReason::Shutdown("fibre works".to_owned())), now);
    let (said, _) = end(&mut peer, true);
    let enclosed = said.unwrap().enclosed().unwrap();
    assert_eq!(enclosed.communication(), Some("fibre works"));
}

/// Too many prefixes stay too many, however it is said.
#[test]
fn an_enclosed_limit_is_damped_like_a_plain_one() {
    for hard in [false, true] {
        let (mut peer, now) = established(config(1, 2), true);
        let limit = Notification { code: 6, subcode: 1, data: Bytes::new() };
        let said = if hard { Notification::hard_reset(&limit) } else { limit };
        peer.handle(received(Role::Outgoing, Message::Notification(said)), now);
        assert_eq!(peer.state(), State::Idle);
    }
}
