//! Random lives: whatever comes in whatever order, the invariants hold.

use proptest::prelude::*;

use super::pair::Pair;
use super::*;
use crate::wire::{DecodeError, RefreshSubtype};

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Outgoing), Just(Role::Incoming), Just(Role::Rival)]
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        4 => (1..4u8).prop_map(|n| Message::Open(open(n))),
        1 => (0..100u16).prop_map(|hold_time_secs| Message::Open(OpenMessage { hold_time_secs, ..open(2) })),
        6 => Just(Message::Keepalive),
        2 => Just(update()),
        1 => (0..9u8, 0..9u8).prop_map(|(code, subcode)| {
            Message::Notification(Notification { code, subcode, data: Bytes::new() })
        }),
        1 => Just(refresh(AfiSafi::IPV4_UNICAST, RefreshSubtype::Request)),
    ]
}

fn event() -> impl Strategy<Value = PeerEvent> {
    let error = || DecodeError {
        notification: Notification::new(ErrorSubcode::MALFORMED_ATTRIBUTE_LIST),
        reason: "bad".to_owned(),
    };
    prop_oneof![
        1 => Just(PeerEvent::Start),
        1 => prop_oneof![Just(StopReason::Restart), Just(StopReason::Deconfigured)].prop_map(PeerEvent::Stop),
        6 => role().prop_map(connected),
        1 => Just(PeerEvent::ConnectFailed("refused".to_owned())),
        12 => (role(), message()).prop_map(|(role, message)| received(role, message)),
        1 => role().prop_map(move |role| PeerEvent::ReceivedBad { role, error: error() }),
        2 => role().prop_map(|role| PeerEvent::Disconnected { role, reason: "reset".to_owned() }),
        1 => role().prop_map(|role| PeerEvent::Unread { role }),
        1 => (role(), any::<bool>()).prop_map(|(role, waiting)| PeerEvent::Backlog { role, waiting }),
        6 => Just(PeerEvent::Deadline),
    ]
}

fn any_config() -> impl Strategy<Value = NeighborConfig> {
    (any::<bool>(), any::<bool>(), any::<bool>(), prop_oneof![Just(0u16), Just(3), Just(90)]).prop_map(
        |(passive, external, restart, hold_time_secs)| {
            let local_as = Asn(if external { 65001 } else { 65000 });
            let config = NeighborConfig { passive, local_as, hold_time_secs, ..config(1, 2) };
            if restart { with_restart(config, true) } else { config }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn one_peer_under_any_events(
        config in any_config(),
        events in prop::collection::vec((event(), 0..100_000u64), 0..120),
    ) {
        let mut now = Instant::now();
        let mut peer = Peer::new(config, 3);
        let (mut ups, mut downs) = (0, 0);
        for (event, millis) in events {
            // Only as late as a shell would be: it wakes the machine at its deadlines.
            let next = now + Duration::from_millis(millis);
            while let Some(deadline) = peer.next_deadline().filter(|&at| at <= next) {
                now = now.max(deadline);
                peer.handle(PeerEvent::Deadline, now);
                let later = peer.next_deadline();
                prop_assert!(later.is_none_or(|at| at > now), "no progress");
                count(&mut peer, &mut ups, &mut downs)?;
            }
            now = next;
            peer.handle(event, now);
            count(&mut peer, &mut ups, &mut downs)?;
        }
        peer.handle(PeerEvent::Stop(StopReason::Deconfigured), now);
        count(&mut peer, &mut ups, &mut downs)?;
        prop_assert_eq!((ups, peer.state(), peer.next_deadline()), (downs, State::Idle, None));
    }

    /// Two that disturb each other for a while find together within minutes once they are left alone.
    #[test]
    fn two_peers_after_any_trouble(
        passive in 0..3usize,
        restart in any::<bool>(),
        latency in (1..200u64, 1..200u64),
        trouble in prop::collection::vec((0..2usize, 0..7u8, 0..20_000u64), 0..25),
    ) {
        let mut configs = [config(1, 2), config(2, 1)].map(|config| {
            if restart { with_restart(config, false) } else { config }
        });
        if let Some(config) = configs.get_mut(passive) {
            config.passive = true;
        }
        let mut pair = Pair::new(configs.clone());
        pair.latency = [latency.0, latency.1].map(Duration::from_millis);
        for (side, kind, millis) in trouble {
            match kind {
                0 => pair.cut = true,
                1 => pair.cut = false,
                2 => pair.feed(side, PeerEvent::Stop(StopReason::Restart)),
                3 => pair.feed(side, PeerEvent::Stop(StopReason::Shutdown(String::new()))),
                4 => pair.feed(side, PeerEvent::Start),
                5 => pair.reboot(side, configs[side].clone()),
                _ => pair.deaf[side] = !pair.deaf[side],
            }
            pair.run_for(Duration::from_millis(millis));
        }
        (pair.cut, pair.deaf) = (false, [false; 2]);
        pair.feed(0, PeerEvent::Start);
        pair.feed(1, PeerEvent::Start);
        // The worst case is an OPEN that was lost on a connection that looks alive.
        pair.run_until(600 * SECOND, |pair| pair.states() == [State::Established; 2]);
        pair.run_for(1200 * SECOND);
        pair.run_until(600 * SECOND, |pair| pair.states() == [State::Established; 2]);
        let ups = pair.ups;
        pair.run_for(1200 * SECOND);
        prop_assert_eq!(pair.ups, ups, "stable once established on both sides");
    }
}

fn count(peer: &mut Peer, ups: &mut u32, downs: &mut u32) -> Result<(), TestCaseError> {
    let mut effects = 0;
    while let Some(effect) = peer.poll_effect() {
        effects += 1;
        match effect {
            PeerEffect::Established { .. } => *ups += 1,
            PeerEffect::Down(_) => *downs += 1,
            _ => {}
        }
        prop_assert!(*ups - *downs <= 1, "two sessions at once, or a Down too many");
    }
    prop_assert!(effects <= 16, "{} effects of one event", effects);
    let established = peer.connections.values().filter(|c| c.state() == State::Established).count();
    prop_assert_eq!((*ups - *downs) as usize, established);
    Ok(())
}
