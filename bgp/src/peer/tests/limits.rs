//! What ends a session for reasons that are the operator's: too many prefixes, administrative shutdown.

use super::*;

fn too_many(received: u64) -> PeerEvent {
    of(PrefixCount::Received, received)
}

fn of(count: PrefixCount, prefixes: u64) -> PeerEvent {
    let excess = PrefixExcess { count, family: AfiSafi::IPV6_UNICAST, prefixes };
    PeerEvent::TooManyPrefixes { role: Role::Outgoing, excess }
}

fn limited(action: PrefixLimitAction) -> NeighborConfig {
    NeighborConfig { prefix_limit: Some(limit(action)), ..config(1, 2) }
}

#[test]
fn rfc4486_too_many_prefixes_hold_idle_for_the_restart_time() {
    let mut now = Instant::now();
    let action = PrefixLimitAction::Restart { after_secs: 300 };
    let mut peer = peer_in(State::Established, Role::Outgoing, limited(action), now);
    assert_eq!(feed(&mut peer, too_many(10), now), "", "as many as are allowed");
    peer.handle(too_many(11), now);
    let Some(PeerEffect::Transmit { message: Message::Notification(sent), .. }) = peer.poll_effect() else {
        panic!("no NOTIFICATION")
    };
    assert!(sent.is(ErrorSubcode::MAXIMUM_PREFIXES_REACHED));
    // AFI 2, SAFI 1, the upper bound.
    assert_eq!(&sent.data[..], [0, 2, 1, 0, 0, 0, 10]);
    assert_eq!(effects(&mut peer), "close down");
    assert_eq!(feed(&mut peer, connected(Role::Incoming), now), "close<", "Idle refuses connections");
    let error = peer.snapshot(now).last_error.unwrap();
    assert!(error.contains("11 prefixes received, 10 are allowed; tried again in 300 s"), "{error}");
    let ended = now;
    assert_eq!(wake(&mut peer, &mut now), "dial");
    assert_eq!(now - ended, 300 * SECOND);
}

#[test]
fn too_many_prefixes_shut_down_until_the_limit_changes() {
    let now = Instant::now();
    let shutdown = limited(PrefixLimitAction::Shutdown);
    let mut peer = peer_in(State::Established, Role::Outgoing, shutdown.clone(), now);
    assert_eq!(feed(&mut peer, too_many(11), now), "6/1 close down");
    assert_eq!((peer.state(), peer.next_deadline()), (State::Idle, None));
    peer.reconfigure(NeighborConfig { description: "x".to_owned(), ..shutdown.clone() }, now);
    assert_eq!((effects(&mut peer).as_str(), peer.state()), ("", State::Idle));
    let raised = PrefixLimit { received: Some(11), ..limit(PrefixLimitAction::Shutdown) };
    peer.reconfigure(NeighborConfig { prefix_limit: Some(raised), ..shutdown }, now);
    assert_eq!((effects(&mut peer).as_str(), peer.state()), ("dial", State::Connect));
}

#[test]
fn too_many_prefixes_may_only_be_warned_about() {
    let now = Instant::now();
    let mut peer = peer_in(State::Established, Role::Outgoing, limited(PrefixLimitAction::Warn), now);
    assert_eq!(feed(&mut peer, too_many(11), now), "");
    assert_eq!(peer.state(), State::Established);
}

#[test]
fn rfc9003_an_administratively_shut_peer_stays_idle_and_says_why() {
    let now = Instant::now();
    let shut = NeighborConfig { shutdown: Some("fibre works".to_owned()), ..config(1, 2) };
    let mut peer = peer_in(State::Established, Role::Outgoing, config(1, 2), now);
    // As the shell does it.
    let reason = StopReason::Shutdown("fibre works".to_owned());
    assert_eq!(feed(&mut peer, PeerEvent::Stop(reason), now), "6/2 close down");
    peer.reconfigure(shut.clone(), now);
    for mut peer in [peer, Peer::new(shut, 7)] {
        assert_eq!(feed(&mut peer, PeerEvent::Start, now), "");
        assert_eq!((peer.state(), peer.next_deadline()), (State::Idle, None));
        assert_eq!(feed(&mut peer, connected(Role::Incoming), now), "close<");
        let error = peer.snapshot(now).last_error.unwrap();
        assert!(error.contains("administrative shutdown: fibre works"), "{error}");
        peer.reconfigure(config(1, 2), now);
        assert_eq!(feed(&mut peer, PeerEvent::Start, now), "dial");
    }
}

/// Each count has its limit; what we send too much of is no Maximum Prefixes of the neighbor's (RFC 4486 §4).
#[test]
fn accepted_and_sent_prefixes_have_limits_of_their_own() {
    let now = Instant::now();
    for (count, fits, subcode) in
        [(PrefixCount::Received, 10, "6/1"), (PrefixCount::Accepted, 8, "6/1"), (PrefixCount::Sent, 6, "6/2")]
    {
        let shutdown = limited(PrefixLimitAction::Shutdown);
        let mut peer = peer_in(State::Established, Role::Outgoing, shutdown, now);
        assert_eq!(feed(&mut peer, of(count, fits), now), "", "{count}");
        assert_eq!(feed(&mut peer, of(count, fits + 1), now), format!("{subcode} close down"), "{count}");
        let error = peer.snapshot(now).last_error.unwrap();
        assert!(error.contains(&format!("{} prefixes {count}, {fits} are allowed", fits + 1)), "{error}");
    }
}
