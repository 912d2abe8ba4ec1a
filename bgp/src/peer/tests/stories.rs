//! What happens between two peers, told from start to end.

use super::pair::Pair;
use super::*;

fn both() -> [NeighborConfig; 2] {
    [config(1, 2), config(2, 1)]
}

fn passive(config: NeighborConfig) -> NeighborConfig {
    NeighborConfig { passive: true, ..config }
}

#[test]
fn simultaneous_open_leaves_the_connection_of_the_greater_identifier() {
    let mut pair = Pair::new(both());
    pair.run_until_established();
    assert_eq!(pair.dialled_by(), 1, "10.0.0.2 is greater");
    assert_eq!((pair.ups, pair.downs[0].len() + pair.downs[1].len()), ([1, 1], 0));
}

#[test]
fn the_other_way_round_too() {
    let [mut first, second] = both();
    first.router_id = RouterId(Ipv4Addr::new(192, 0, 2, 1));
    let mut pair = Pair::new([first, second]);
    pair.run_until_established();
    assert_eq!(pair.dialled_by(), 0);
}

#[test]
fn rfc6286_equal_identifiers_are_told_apart_by_as() {
    for greater in [0, 1] {
        let mut configs = both();
        let ases = if greater == 0 { [65002, 65001] } else { [65001, 65002] };
        for side in [0, 1] {
            configs[side].router_id = RouterId(Ipv4Addr::new(10, 9, 9, 9));
            configs[side].local_as = Asn(ases[side]);
            configs[side].remote_as = Asn(ases[1 - side]);
        }
        let mut pair = Pair::new(configs);
        pair.run_until_established();
        assert_eq!(pair.dialled_by(), greater);
    }
}

#[test]
fn one_dials_and_one_waits() {
    for side in [0, 1] {
        let mut configs = both();
        configs[side].passive = true;
        let mut pair = Pair::new(configs);
        pair.run_until_established();
        assert_eq!(pair.dialled_by(), 1 - side);
        assert!(!pair.log[side].iter().any(|line| line.contains("dial")));
    }
}

#[test]
fn two_that_wait_never_meet_and_never_wake() {
    let mut pair = Pair::new(both().map(passive));
    pair.run_for(3600 * SECOND);
    assert_eq!(pair.states(), [State::Active; 2]);
}

/// Whatever the offset between the two dials and the two delays: one session, and it stays. Where the RFC's
/// own race lets both connections die (see `opening.rs`), the jitter sorts out the next attempt.
#[test]
fn collisions_at_every_offset_come_to_one_session() {
    for delays in [[10, 10], [10, 30], [30, 10], [1, 100], [100, 1]] {
        for offset in 0..=120 {
            for late in [0, 1] {
                let mut pair = Pair::stopped(both());
                pair.latency = delays.map(Duration::from_millis);
                pair.feed(1 - late, PeerEvent::Start);
                pair.run_for(Duration::from_millis(offset));
                pair.feed(late, PeerEvent::Start);
                pair.run_until_established();
                let flaps = pair.downs[0].len() + pair.downs[1].len();
                assert!(flaps <= 2, "delays {delays:?}, offset {offset}, late {late}: {flaps} flaps");
                pair.run_for(300 * SECOND);
                assert_eq!(pair.downs[0].len() + pair.downs[1].len(), flaps);
            }
        }
    }
}

#[test]
fn nobody_listens_until_somebody_does() {
    let mut pair = Pair::stopped(both());
    pair.deaf = [true, true];
    pair.feed(0, PeerEvent::Start);
    pair.run_for(60 * SECOND);
    assert_eq!(pair.peers[0].snapshot(pair.now).last_error.unwrap(), "cannot connect: refused");
    pair.deaf = [false, false];
    pair.feed(1, PeerEvent::Start);
    pair.run_until_established();
}

#[test]
fn an_idle_session_lives_on_keepalives() {
    let mut pair = Pair::new(both());
    pair.run_until_established();
    pair.run_for(3600 * SECOND);
    assert_eq!((pair.states(), pair.ups), ([State::Established; 2], [1, 1]));
}

#[test]
fn updates_pass_through() {
    let mut pair = Pair::new(both());
    pair.run_until_established();
    pair.send_update(0);
    pair.send_update(0);
    pair.send_update(1);
    pair.run_for(SECOND);
    assert_eq!(pair.updates, [1, 2]);
}

#[test]
fn a_cut_cable_is_noticed_by_the_hold_timer_and_mended() {
    let mut pair = Pair::new(both());
    pair.run_until_established();
    pair.cut = true;
    pair.run_for(91 * SECOND);
    assert_eq!(pair.downs, [vec![DownReason::HoldTimerExpired], vec![DownReason::HoldTimerExpired]]);
    pair.run_for(600 * SECOND);
    pair.cut = false;
    pair.run_until_established();
}

#[test]
fn a_stopped_peer_says_why_and_comes_back_when_started() {
    let mut pair = Pair::new(both());
    pair.run_until_established();
    pair.feed(0, PeerEvent::Stop(StopReason::Shutdown("maintenance".to_owned())));
    pair.run_for(600 * SECOND);
    let text = pair.downs[1][0].to_string();
    assert_eq!(text, r#"received Cease / Administrative Shutdown: "maintenance""#);
    assert_eq!(pair.states()[0], State::Idle);
    assert_ne!(pair.states()[1], State::Established);
    pair.feed(0, PeerEvent::Start);
    pair.run_until_established();
}

#[test]
fn a_restart_is_a_lost_connection_to_the_neighbor() {
    let configs = both().map(|config| with_restart(config, false));
    let mut pair = Pair::new(configs.clone());
    pair.run_until_established();
    pair.feed(0, PeerEvent::Stop(StopReason::Restart));
    pair.run_for(SECOND);
    assert!(pair.downs[1][0].is_graceful(false), "{:?}", pair.downs[1]);
    pair.reboot(0, with_restart(configs[0].clone(), true));
    pair.run_until_established();
    let negotiated = pair.peers[1].session().unwrap().1.negotiated().unwrap();
    let restart = negotiated.restart.clone().unwrap();
    assert!(restart.restarting && restart.families == [(AfiSafi::IPV4_UNICAST, true)]);
}

/// RFC 4724 §4.2: the neighbor's host lost power and is back before anybody noticed.
#[test]
fn rfc4724_a_new_connection_replaces_the_session_of_a_restarted_neighbor() {
    for waits in [0, 1] {
        let mut configs = both().map(|config| with_restart(config, false));
        configs[waits].passive = true;
        let mut pair = Pair::new(configs.clone());
        pair.run_until_established();
        pair.run_for(10 * SECOND);
        let rebooted = 1 - waits;
        pair.reboot(rebooted, with_restart(configs[rebooted].clone(), true));
        pair.run_until(SECOND, |pair| pair.states() == [State::Established; 2] && pair.ups[waits] == 2);
        let reasons = &pair.downs[waits];
        assert!(reasons.len() == 1 && reasons[0].is_graceful(false), "{reasons:?}");
        pair.run_until_established();
        // The session now stands on the other incoming role; the next time works the other way round.
        pair.run_for(10 * SECOND);
        pair.reboot(rebooted, with_restart(configs[rebooted].clone(), true));
        pair.run_until(SECOND, |pair| pair.states() == [State::Established; 2] && pair.ups[waits] == 3);
    }
}

/// Without graceful restart the session stays (RFC 4271 §6.8), but the KEEPALIVE that goes with the refusal
/// makes the rebooted host's kernel tell us, long before the hold timer would.
#[test]
fn a_rebooted_neighbor_without_restart_is_back_within_its_retry() {
    let mut configs = both();
    configs[0].passive = true;
    let mut pair = Pair::new(configs.clone());
    pair.run_until_established();
    pair.run_for(10 * SECOND);
    pair.reboot(1, configs[1].clone());
    pair.run_until(10 * SECOND, |pair| pair.states() == [State::Established; 2] && pair.ups[0] == 2);
    assert_eq!(pair.downs[0], [DownReason::ConnectionLost("closed".to_owned())]);
}

#[test]
fn a_connection_without_an_open_never_harms_a_session() {
    let now = Instant::now();
    let config = with_restart(config(1, 2), false);
    let mut peer = peer_in(State::Established, Role::Incoming, config, now);
    let later = now + 60 * SECOND;
    assert_eq!(peer.role_for_accepted(), Role::Rival);
    assert_eq!(feed(&mut peer, connected(Role::Rival), later), "OPEN<<");
    let garbage = crate::wire::DecodeError {
        notification: Notification::new(ErrorSubcode::CONNECTION_NOT_SYNCHRONIZED),
        reason: "marker".to_owned(),
    };
    let bad = PeerEvent::ReceivedBad { role: Role::Rival, error: garbage };
    assert_eq!(feed(&mut peer, bad, later), "1/1<< close<<");
    assert_eq!(peer.state(), State::Established);
}

/// Two dials that crossed: the second connection came up a moment after the first was established.
#[test]
fn a_second_connection_right_after_the_first_is_no_restart() {
    let now = Instant::now();
    let mut with = open(2);
    with.capabilities.push(Capability::GracefulRestart(crate::wire::GracefulRestartCapability {
        restart_time_secs: 120,
        families: vec![(AfiSafi::IPV4_UNICAST, true)],
        ..Default::default()
    }));
    for (after, expected) in [(4, "6/7< close< KEEPALIVE"), (5, "close down KEEPALIVE<")] {
        let mut peer = peer_in(State::OpenSent, Role::Outgoing, with_restart(config(1, 2), false), now);
        peer.handle(received(Role::Outgoing, Message::Open(with.clone())), now);
        peer.handle(received(Role::Outgoing, Message::Keepalive), now);
        peer.handle(connected(Role::Incoming), now + after * SECOND);
        effects(&mut peer);
        let opened = received(Role::Incoming, Message::Open(with.clone()));
        assert_eq!(feed(&mut peer, opened, now + (after + 1) * SECOND), expected);
    }
}

#[test]
fn a_dial_under_way_is_given_up_once_the_other_connection_is_as_good_as_up() {
    let now = Instant::now();
    let mut peer = peer_in(State::Connect, Role::Outgoing, config(1, 2), now);
    assert_eq!(feed(&mut peer, connected(Role::Incoming), now), "OPEN<");
    let opened = received(Role::Incoming, Message::Open(open(2)));
    assert_eq!(feed(&mut peer, opened, now), "cancel KEEPALIVE<");
    assert_eq!(feed(&mut peer, connected(Role::Outgoing), now), "close", "too late");
}

#[test]
fn a_wrong_as_is_refused_and_damped() {
    let mut configs = both();
    configs[1].local_as = Asn(65001);
    let mut pair = Pair::new(configs.map(|config| NeighborConfig { connect_retry_secs: 1, ..config }));
    pair.run_for(600 * SECOND);
    assert_eq!(pair.ups, [0, 0]);
    let dials = pair.log[0].iter().filter(|line| line.ends_with("dial")).count();
    assert!(dials < 100, "{dials} dials in ten minutes");
    let error = pair.peers[0].snapshot(pair.now).last_error.unwrap();
    assert!(error.contains("Bad Peer AS"), "{error}");
}

#[test]
fn a_snapshot_tells_what_happened() {
    let mut pair = Pair::new(both().map(|config| with_restart(config, false)));
    pair.run_until_established();
    let snapshot = pair.peers[0].snapshot(pair.now + 60 * SECOND);
    assert_eq!((snapshot.state, snapshot.uptime_secs), (State::Established, Some(60 + 1)));
    assert_eq!((snapshot.received.opens, snapshot.sent.opens), (2, 2), "one for each connection");
}
