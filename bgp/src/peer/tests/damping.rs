//! Retry, damping, keepalive and hold timers of one peer.

use super::*;

#[test]
fn jitter_stays_between_three_quarters_and_one() {
    let mut jitter = timer::Jitter::new(1);
    let drawn = (0..10_000).map(|_| jitter.shorten(100 * SECOND)).collect::<Vec<_>>();
    assert!(drawn.iter().all(|drawn| (75 * SECOND..=100 * SECOND).contains(drawn)));
    assert!(drawn.iter().any(|drawn| *drawn < 80 * SECOND) && drawn.iter().any(|drawn| *drawn > 95 * SECOND));
}

#[test]
fn a_failed_dial_is_tried_again_after_connect_retry_with_jitter() {
    let mut now = Instant::now();
    let mut peer = peer_in(State::Connect, Role::Outgoing, config(1, 2), now);
    for _ in 0..50 {
        let failed_at = now;
        assert_eq!(feed(&mut peer, PeerEvent::ConnectFailed("refused".to_owned()), now), "");
        assert_eq!(wake(&mut peer, &mut now), "dial");
        let waited = now - failed_at;
        assert!((Duration::from_millis(3750)..=5 * SECOND).contains(&waited), "{waited:?}");
    }
    assert_eq!(peer.snapshot(now).consecutive_errors, 0, "a refused connection is nobody's error");
}

#[test]
fn a_dial_that_hangs_is_superseded() {
    let mut now = Instant::now();
    let mut peer = peer_in(State::Connect, Role::Outgoing, config(1, 2), now);
    assert_eq!(wake(&mut peer, &mut now), "dial");
    assert_eq!(peer.state(), State::Connect);
    let error = peer.snapshot(now).last_error.unwrap();
    assert!(error.starts_with("cannot connect: no answer within 5 s"), "{error}");
}

#[test]
fn a_passive_peer_never_dials() {
    let now = Instant::now();
    let config = NeighborConfig { passive: true, ..config(1, 2) };
    let mut peer = Peer::new(config, 1);
    assert_eq!(feed(&mut peer, PeerEvent::Start, now), "");
    assert_eq!((peer.state(), peer.next_deadline()), (State::Active, None));
    assert_eq!(feed(&mut peer, connected(Role::Incoming), now), "OPEN<");
    let lost = PeerEvent::Disconnected { role: Role::Incoming, reason: "reset".to_owned() };
    assert_eq!(feed(&mut peer, lost, now), "");
    assert_eq!((peer.state(), peer.next_deadline()), (State::Active, None));
}

#[test]
fn errors_hold_idle_for_twice_as_long_each_time_up_to_a_minute() {
    let mut now = Instant::now();
    let mut peer = peer_in(State::Connect, Role::Outgoing, config(1, 2), now);
    for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        assert_eq!(feed(&mut peer, connected(Role::Outgoing), now), "OPEN");
        let bad = OpenMessage { hold_time_secs: 2, ..open(2) };
        assert_eq!(feed(&mut peer, received(Role::Outgoing, Message::Open(bad)), now), "2/6 close");
        assert_eq!(peer.state(), State::Idle);
        assert_eq!(feed(&mut peer, connected(Role::Incoming), now), "close<", "Idle refuses connections");
        let held_at = now;
        assert_eq!(wake(&mut peer, &mut now), "dial");
        let held = now - held_at;
        assert!(
            (expected * SECOND * 3 / 4..=expected * SECOND).contains(&held),
            "{held:?}, not {expected} s"
        );
    }
}

#[test]
fn a_session_that_lasted_makes_errors_forgotten() {
    for (uptime, errors) in [(59 * SECOND, 4), (60 * SECOND, 1)] {
        let mut now = Instant::now();
        let mut peer = peer_in(State::Established, Role::Outgoing, config(1, 2), now);
        peer.consecutive_errors = 3;
        now += uptime;
        feed(&mut peer, received(Role::Outgoing, Message::Open(open(2))), now);
        assert_eq!(peer.snapshot(now).consecutive_errors, errors);
    }
}

#[test]
fn a_start_ends_the_damping() {
    let now = Instant::now();
    let mut peer = peer_in(State::OpenSent, Role::Outgoing, config(1, 2), now);
    feed(&mut peer, received(Role::Outgoing, Message::Keepalive), now);
    assert_eq!(peer.state(), State::Idle);
    assert_eq!(feed(&mut peer, PeerEvent::Start, now), "dial");
}

#[test]
fn a_cease_is_not_damped() {
    let now = Instant::now();
    for subcode in [2, 3, 4, 5, 6, 7] {
        let mut peer = peer_in(State::Established, Role::Outgoing, config(1, 2), now);
        let notification = Message::Notification(cease(subcode));
        assert_eq!(feed(&mut peer, received(Role::Outgoing, notification), now), "close down");
        assert_eq!(peer.state(), State::Active);
    }
    let mut peer = peer_in(State::Established, Role::Outgoing, config(1, 2), now);
    feed(&mut peer, received(Role::Outgoing, Message::Notification(cease(1))), now);
    assert_eq!(peer.state(), State::Idle, "too many prefixes will be too many again");
}

#[test]
fn hold_time_of_section_4_2() {
    let mut now = Instant::now();
    let start = now;
    let mut peer = peer_in(State::OpenSent, Role::Outgoing, config(1, 2), now);
    assert_eq!(wake(&mut peer, &mut now), "4/0 close");
    assert_eq!(now - start, 240 * SECOND, "large until it is agreed");

    let mut now = start;
    let mut peer = peer_in(State::Established, Role::Outgoing, config(1, 2), now);
    let mut keepalives = 0;
    while peer.state() == State::Established {
        match wake(&mut peer, &mut now).as_str() {
            "KEEPALIVE" => keepalives += 1,
            other => assert_eq!(other, "4/0 close down"),
        }
    }
    assert_eq!(now - start, 90 * SECOND);
    assert!((2..=4).contains(&keepalives), "{keepalives} keepalives at 22.5 to 30 s");
    assert_eq!(peer.snapshot(now).last_error.unwrap(), "hold timer expired: nothing came for the hold time");
}

#[test]
fn whatever_comes_restarts_the_hold_timer_and_so_does_what_we_have_not_read() {
    let start = Instant::now();
    let request = refresh(AfiSafi::IPV6_UNICAST, crate::wire::RefreshSubtype::Begin);
    let events = [
        received(Role::Outgoing, Message::Keepalive),
        received(Role::Outgoing, update()),
        received(Role::Outgoing, request),
        PeerEvent::Unread { role: Role::Outgoing },
    ];
    for event in events {
        let mut peer = peer_in(State::Established, Role::Outgoing, config(1, 2), start);
        peer.handle(event, start + 89 * SECOND);
        peer.handle(PeerEvent::Deadline, start + 178 * SECOND);
        assert_eq!(peer.state(), State::Established);
        peer.handle(PeerEvent::Deadline, start + 179 * SECOND);
        assert_eq!(peer.state(), State::Idle);
    }
}

#[test]
fn hold_time_zero_runs_no_timers() {
    let now = Instant::now();
    let config = NeighborConfig { hold_time_secs: 0, ..config(1, 2) };
    let peer = peer_in(State::Established, Role::Outgoing, config, now);
    assert_eq!(peer.next_deadline(), None);
}

#[test]
fn rfc9687_a_neighbor_that_takes_nothing_is_given_up() {
    let start = Instant::now();
    let mut peer = peer_in(
        State::Established,
        Role::Outgoing,
        NeighborConfig { hold_time_secs: 0, ..config(1, 2) },
        start,
    );
    let backlog = |waiting| PeerEvent::Backlog { role: Role::Outgoing, waiting };
    peer.handle(backlog(true), start);
    assert_eq!(peer.next_deadline(), Some(start + 480 * SECOND));
    peer.handle(backlog(true), start + 100 * SECOND);
    assert_eq!(peer.next_deadline(), Some(start + 580 * SECOND), "some got out");
    peer.handle(backlog(false), start + 200 * SECOND);
    assert_eq!(peer.next_deadline(), None);
    peer.handle(backlog(true), start + 300 * SECOND);
    assert_eq!(feed(&mut peer, PeerEvent::Deadline, start + 780 * SECOND), "8/0 close down");
}

#[test]
fn early_late_and_repeated_deadlines_are_harmless() {
    let start = Instant::now();
    let mut peer = peer_in(State::Established, Role::Outgoing, config(1, 2), start);
    let due = peer.next_deadline().unwrap();
    assert_eq!(feed(&mut peer, PeerEvent::Deadline, due - Duration::from_millis(1)), "");
    assert_eq!(feed(&mut peer, PeerEvent::Deadline, due), "KEEPALIVE");
    assert_eq!(feed(&mut peer, PeerEvent::Deadline, due), "");
    assert!(peer.next_deadline().unwrap() > due);
}

#[test]
fn a_change_to_passive_and_back_takes_hold_at_once() {
    let now = Instant::now();
    let mut peer = peer_in(State::Connect, Role::Outgoing, config(1, 2), now);
    peer.reconfigure(NeighborConfig { passive: true, ..config(1, 2) }, now);
    assert_eq!(
        (effects(&mut peer).as_str(), peer.state(), peer.next_deadline()),
        ("cancel", State::Active, None)
    );
    peer.reconfigure(config(1, 2), now);
    assert_eq!((effects(&mut peer).as_str(), peer.state()), ("dial", State::Connect));
}

/// RFC 2385 §4.0: who has another key does not answer, so the last error has to say what it may be.
#[test]
fn a_dial_that_hangs_is_shown() {
    let now = Instant::now();
    for (password, hint) in
        [(None, "wants a TCP-MD5 password"), (Password::new(*b"x"), "password is not ours")]
    {
        let mut peer = Peer::new(NeighborConfig { password, ..config(1, 2) }, 7);
        peer.handle(PeerEvent::Start, now);
        let due = peer.next_deadline().unwrap();
        peer.handle(PeerEvent::Deadline, due);
        let error = peer.snapshot(due).last_error.unwrap();
        assert!(error.starts_with("cannot connect: no answer within") && error.contains(hint), "{error}");
    }
}
