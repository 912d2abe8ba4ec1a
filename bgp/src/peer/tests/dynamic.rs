//! Neighbors made from a template: which one, which AS, and how long they live.

use super::*;
use crate::PeerKind;

const GRACE: Duration = Duration::from_secs(DYNAMIC_GRACE_SECS);

fn group(name: &str, prefixes: &[&str]) -> DynamicNeighbors {
    DynamicNeighbors {
        name: name.to_owned(),
        prefixes: prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect(),
        maximum: 100,
        as_ranges: Vec::new(),
        template: config(1, 0),
    }
}

#[test]
fn the_longest_prefix_says_which_template() {
    let groups = [
        group("all", &["10.0.0.0/8", "fd00::/8"]),
        group("rack", &["10.1.0.0/24"]),
        group("b", &["10.1.0.0/24"]),
    ];
    let of = |address: &str| DynamicNeighbors::of(&groups, address.parse().unwrap()).map(|g| g.name.as_str());
    assert_eq!(of("10.1.0.7"), Some("rack"), "the first of two that are equally long");
    assert_eq!(of("10.2.0.7"), Some("all"));
    assert_eq!(of("fd00::1"), Some("all"));
    assert_eq!(of("192.0.2.1"), None);
}

#[test]
fn a_neighbor_has_everything_of_its_template() {
    let mut rack = group("bgppeer/rack", &["10.1.0.0/24"]);
    rack.template.ttl_security_hops = Some(1);
    rack.template.password = Password::new(*b"one");
    let neighbor = rack.neighbor(address(7));
    assert_eq!(neighbor.name, "bgppeer/rack/dynamic/10.0.0.7");
    let expected = NeighborConfig {
        name: neighbor.name.clone(),
        address: address(7),
        passive: true,
        dynamic: Some(Dynamic { template: "bgppeer/rack".to_owned(), as_ranges: Vec::new() }),
        ..rack.template
    };
    assert_eq!(neighbor, expected);
}

/// A machine as the speaker makes it when number 2 has dialled.
fn dialled(config: NeighborConfig, now: Instant) -> Peer {
    let mut peer = Peer::new(config, 7);
    assert_eq!(feed(&mut peer, PeerEvent::Start, now), "");
    assert_eq!(feed(&mut peer, connected(Role::Incoming), now), "OPEN<");
    peer
}

fn dynamic(ranges: &[(u32, u32)]) -> NeighborConfig {
    let mut rack = group("rack", &["10.0.0.0/24"]);
    let range = |&(first, last): &(u32, u32)| AsRange { first: Asn(first), last: Asn(last) };
    rack.as_ranges = ranges.iter().map(range).collect();
    rack.neighbor(address(2))
}

fn open_of(asn: u32) -> Message {
    let capabilities =
        vec![Capability::Multiprotocol(AfiSafi::IPV4_UNICAST), Capability::FourOctetAs(Asn(asn))];
    Message::Open(OpenMessage { my_as: Asn(asn).to_two_octets(), capabilities, ..open(2) })
}

#[test]
fn rfc4271_6_2_the_as_is_learned_from_the_open_if_it_is_one_of_those() {
    let now = Instant::now();
    for (asn, answer) in
        [(65001, "KEEPALIVE<"), (65015, "KEEPALIVE<"), (4_200_000_000, "KEEPALIVE<"), (65009, "2/2 close<")]
    {
        let answer = answer.replace("2/2 ", "2/2< ");
        let config = dynamic(&[(65001, 65001), (65010, 65020), (4_200_000_000, 4_200_000_010)]);
        let mut peer = dialled(config, now);
        assert_eq!(feed(&mut peer, received(Role::Incoming, open_of(asn)), now), answer, "{asn}");
        if answer.starts_with("KEEPALIVE") {
            feed(&mut peer, received(Role::Incoming, Message::Keepalive), now);
            let snapshot = peer.snapshot(now);
            let terms = snapshot.negotiated.unwrap();
            assert_eq!(
                (terms.remote_as, terms.kind, terms.decode.kind),
                (Asn(asn), PeerKind::Ebgp, PeerKind::Ebgp)
            );
            assert_eq!((snapshot.remote_as, snapshot.template.as_deref()), (Asn(asn), Some("rack")));
        } else {
            let error = peer.snapshot(now).last_error.unwrap();
            assert!(error.contains("AS 65009, configured is AS 65001, 65010-65020, 4200000000-"), "{error}");
        }
    }
}

#[test]
fn it_is_gone_some_time_after_its_connection() {
    let mut now = Instant::now();
    let mut peer = dialled(dynamic(&[]), now);
    let lost = |role| PeerEvent::Disconnected { role, reason: "reset".to_owned() };
    assert_eq!(feed(&mut peer, lost(Role::Incoming), now), "");
    let lost_at = now;
    assert_eq!(wake(&mut peer, &mut now), "gone");
    assert_eq!((now - lost_at, peer.next_deadline()), (GRACE, None), "and nothing runs any more");
}

/// RFC 4724 §4.2: as long as its routes are kept it is there for its next session, and then for the grace.
#[test]
fn rfc4724_it_outlives_its_restart_time() {
    for (graceful, expected) in [(true, 120 * SECOND + GRACE), (false, GRACE)] {
        let mut now = Instant::now();
        let config = NeighborConfig {
            dynamic: dynamic(&[]).dynamic,
            passive: true,
            ..with_restart(config(1, 2), false)
        };
        let mut peer = dialled(config.clone(), now);
        let theirs = negotiate::local_open(&with_restart(super::config(2, 1), false), false, true);
        feed(&mut peer, received(Role::Incoming, Message::Open(theirs.clone())), now);
        assert_eq!(feed(&mut peer, received(Role::Incoming, Message::Keepalive), now), "up<");
        assert!(peer.timers.due(timer::Timer::Expire).is_none());
        let end = if graceful {
            PeerEvent::Disconnected { role: Role::Incoming, reason: "reset".to_owned() }
        } else {
            received(Role::Incoming, Message::Notification(cease(3)))
        };
        feed(&mut peer, end, now);
        let lost_at = now;
        // A connection that comes and goes in between is no reason to forget it earlier.
        now += SECOND;
        feed(&mut peer, connected(Role::Incoming), now);
        feed(&mut peer, PeerEvent::Disconnected { role: Role::Incoming, reason: "reset".to_owned() }, now);
        while wake(&mut peer, &mut now) != "gone" {}
        let lived = now - lost_at;
        assert!(lived >= expected && lived <= expected + SECOND, "{graceful} {lived:?}");
    }
}

/// Forgetting it would forget what it has done.
#[test]
fn it_sits_out_its_damping() {
    let mut now = Instant::now();
    let timing = Timing { idle_hold_secs: 40, idle_hold_max_secs: 40, ..Timing::default() };
    let mut peer = dialled(NeighborConfig { timing, ..dynamic(&[]) }, now);
    let failed_at = now;
    assert_eq!(feed(&mut peer, received(Role::Incoming, open_of(65009)), now), "2/2< close<");
    assert_eq!(wake(&mut peer, &mut now), "", "out of Idle");
    assert!(now - failed_at >= 30 * SECOND);
    let idle_until = now;
    assert_eq!(wake(&mut peer, &mut now), "gone");
    assert_eq!(now - idle_until, GRACE);
}

/// One that has sent too many prefixes and is to stay down would come back with its next dial.
#[test]
fn it_stays_down_where_the_limit_says_so() {
    let now = Instant::now();
    let config = NeighborConfig { prefix_limit: Some(limit(PrefixLimitAction::Shutdown)), ..dynamic(&[]) };
    let mut peer = dialled(config.clone(), now);
    feed(&mut peer, received(Role::Incoming, Message::Open(open(2))), now);
    feed(&mut peer, received(Role::Incoming, Message::Keepalive), now);
    let over =
        PeerEvent::TooManyPrefixes { role: Role::Incoming, family: AfiSafi::IPV4_UNICAST, received: 11 };
    assert_eq!(feed(&mut peer, over, now), "6/1< close< down");
    assert_eq!((peer.state(), peer.next_deadline()), (State::Idle, None));
    peer.reconfigure(NeighborConfig { prefix_limit: None, ..config }, now);
    assert_eq!(peer.next_deadline(), Some(now + GRACE), "the limit changed");
}

/// Nothing of a machine that was told to stop may wake anybody.
#[test]
fn timers_outlive_a_deleted_peer_never_happens() {
    let now = Instant::now();
    let limited = NeighborConfig {
        prefix_limit: Some(limit(PrefixLimitAction::Restart { after_secs: 9 })),
        ..dynamic(&[])
    };
    for config in [config(1, 2), dynamic(&[]), limited] {
        for state in [
            State::Idle,
            State::Connect,
            State::Active,
            State::OpenSent,
            State::OpenConfirm,
            State::Established,
        ] {
            if config.passive && state == State::Connect {
                continue;
            }
            let role = if config.passive { Role::Incoming } else { Role::Outgoing };
            let mut peer = peer_in(state, role, config.clone(), now);
            for reason in [StopReason::Deconfigured, StopReason::Restart] {
                feed(&mut peer, PeerEvent::Stop(reason), now);
                assert_eq!(peer.next_deadline(), None, "{state}");
                let later = now + 1000 * SECOND;
                assert_eq!(feed(&mut peer, PeerEvent::Deadline, later), "", "{state}");
            }
        }
    }
}
