//! OPEN × OPEN: what is offered, refused and agreed.

use super::negotiate::{local_open, negotiate};
use super::*;
use crate::wire::{BgpRole, DecodeError, GracefulRestartCapability};

fn agree(config: &NeighborConfig, received: &OpenMessage) -> Result<Negotiated, DecodeError> {
    negotiate(config, &local_open(config, false, true), received, socket(1), socket(2))
}

fn refused(config: &NeighborConfig, received: &OpenMessage) -> (u8, u8, Vec<u8>) {
    let Notification { code, subcode, data } = agree(config, received).unwrap_err().notification;
    (code, subcode, data.to_vec())
}

fn restart_of(open: &OpenMessage) -> GracefulRestartCapability {
    let found = open.capabilities.iter().find_map(|capability| match capability {
        Capability::GracefulRestart(restart) => Some(restart.clone()),
        _ => None,
    });
    found.expect("offered")
}

#[test]
fn we_offer_what_is_configured() {
    let mut config = with_restart(config(1, 2), true);
    config.families = AfiSafi::ALL.to_vec();
    config.local_as = Asn(4_200_000_000);
    let open = local_open(&config, true, true);
    assert_eq!(open.my_as, 23_456);
    assert_eq!(
        open.capabilities,
        [
            Capability::Multiprotocol(AfiSafi::IPV4_UNICAST),
            Capability::Multiprotocol(AfiSafi::IPV6_UNICAST),
            Capability::RouteRefresh,
            Capability::EnhancedRouteRefresh,
            Capability::ExtendedMessage,
            Capability::GracefulRestart(GracefulRestartCapability {
                restarting: true,
                notification: true,
                restart_time_secs: 120,
                families: vec![(AfiSafi::IPV4_UNICAST, true), (AfiSafi::IPV6_UNICAST, true)],
            }),
            Capability::FourOctetAs(Asn(4_200_000_000)),
        ]
    );
}

#[test]
fn both_sides_terms() {
    let config = NeighborConfig { keepalive_secs: Some(100), ..config(1, 2) };
    let theirs = OpenMessage { hold_time_secs: 30, ..open(2) };
    let negotiated = agree(&config, &theirs).unwrap();
    assert_eq!((negotiated.hold_time_secs, negotiated.keepalive_secs), (30, 10));
    assert_eq!(negotiated.families, [AfiSafi::IPV4_UNICAST]);
    assert!(
        negotiated.route_refresh && negotiated.decode.four_octet_as && negotiated.encode.extended_message
    );
    assert_eq!(negotiated.restart, None);

    let slower = NeighborConfig { keepalive_secs: Some(3), ..config };
    assert_eq!(agree(&slower, &theirs).unwrap().keepalive_secs, 3);
    let none = OpenMessage { hold_time_secs: 0, ..open(2) };
    assert_eq!(agree(&slower, &none).unwrap().keepalive_secs, 0);
}

/// Offered for IPv4 unicast only, and agreed where both list exactly that.
#[test]
fn rfc8950_ipv6_next_hops_need_both_sides() {
    let ours = NeighborConfig { extended_next_hop: true, ..config(1, 2) };
    let entry = |family, afi| Capability::ExtendedNextHop(vec![(family, afi)]);
    let right = entry(AfiSafi::IPV4_UNICAST, 2);
    assert!(local_open(&ours, false, true).capabilities.contains(&right));
    let mut v6_only = ours.clone();
    v6_only.families = vec![AfiSafi::IPV6_UNICAST];
    assert!(!local_open(&v6_only, false, true).capabilities.contains(&right), "nothing to say it of");

    let agreed = |config: &NeighborConfig, theirs: Option<Capability>| {
        let mut open = open(2);
        open.capabilities.extend(theirs);
        let negotiated = agree(config, &open).unwrap();
        assert_eq!(negotiated.decode.extended_next_hop, negotiated.extended_next_hop);
        negotiated.extended_next_hop
    };
    assert!(agreed(&ours, Some(right.clone())));
    assert!(!agreed(&ours, None));
    assert!(!agreed(&config(1, 2), Some(right)));
    assert!(!agreed(&ours, Some(entry(AfiSafi { afi: 1, safi: 128 }, 2))), "VPN");
    assert!(!agreed(&ours, Some(entry(AfiSafi::IPV4_UNICAST, 1))), "IPv4 next hops");
}

#[test]
fn an_open_without_capabilities_is_ipv4_unicast_with_two_octets() {
    let bare = OpenMessage { capabilities: Vec::new(), ..open(2) };
    let negotiated = agree(&config(1, 2), &bare).unwrap();
    assert_eq!(negotiated.families, [AfiSafi::IPV4_UNICAST]);
    assert!(
        !negotiated.route_refresh && !negotiated.decode.four_octet_as && !negotiated.decode.extended_message
    );
}

#[test]
fn unknown_and_repeated_capabilities_are_no_error() {
    let mut theirs = open(2);
    theirs.capabilities.push(Capability::Unknown { code: 200, value: Bytes::from_static(b"x") });
    theirs.capabilities.push(Capability::Multiprotocol(AfiSafi::IPV4_UNICAST));
    theirs.capabilities.push(Capability::Multiprotocol(AfiSafi { afi: 25, safi: 70 }));
    assert_eq!(agree(&config(1, 2), &theirs).unwrap().families, [AfiSafi::IPV4_UNICAST]);
}

#[test]
fn section_6_2_refusals() {
    let config = config(1, 2);
    let wrong_as = OpenMessage { my_as: 65001, capabilities: Vec::new(), ..open(2) };
    assert_eq!(refused(&config, &wrong_as), (2, 2, vec![0xfd, 0xe9]));
    let wide = OpenMessage { capabilities: vec![Capability::FourOctetAs(Asn(70_000))], ..open(2) };
    assert_eq!(refused(&config, &wide), (2, 2, vec![0xfd, 0xe8]));
    let zero = OpenMessage { router_id: RouterId(Ipv4Addr::UNSPECIFIED), ..open(2) };
    assert_eq!(refused(&config, &zero), (2, 3, vec![0, 0, 0, 0]));
    for hold_time_secs in [1, 2] {
        let short = OpenMessage { hold_time_secs, ..open(2) };
        assert_eq!(refused(&config, &short), (2, 6, vec![0, hold_time_secs as u8]));
    }
}

#[test]
fn rfc6286_our_own_identifier_is_wrong_only_from_inside() {
    assert_eq!(refused(&config(1, 2), &open(1)), (2, 3, vec![10, 0, 0, 1]));
    let external = NeighborConfig { local_as: Asn(65001), ..config(1, 2) };
    assert!(agree(&external, &open(1)).is_ok());
}

#[test]
fn rfc5492_no_family_in_common_names_what_we_miss() {
    let config = NeighborConfig { families: vec![AfiSafi::IPV6_UNICAST], ..config(1, 2) };
    assert_eq!(refused(&config, &open(2)), (2, 7, vec![1, 4, 0, 2, 0, 1]));
    let bare = OpenMessage { capabilities: Vec::new(), ..open(2) };
    assert_eq!(refused(&config, &bare), (2, 7, vec![1, 4, 0, 2, 0, 1]));
}

#[test]
fn restart_needs_both_and_counts_families_of_both() {
    let ours = with_restart(config(1, 2), false);
    assert_eq!(agree(&ours, &open(2)).unwrap().restart, None);
    let mut theirs = open(2);
    theirs.capabilities.push(Capability::GracefulRestart(GracefulRestartCapability {
        restarting: true,
        notification: true,
        restart_time_secs: 60,
        families: vec![(AfiSafi::IPV6_UNICAST, true), (AfiSafi::IPV4_UNICAST, false)],
    }));
    let restart = agree(&ours, &theirs).unwrap().restart.unwrap();
    assert_eq!(
        restart,
        PeerRestart {
            notification: true,
            restarting: true,
            restart_time_secs: 60,
            families: vec![(AfiSafi::IPV4_UNICAST, false)]
        }
    );
    assert_eq!(agree(&config(1, 2), &theirs).unwrap().restart, None);
}

#[test]
fn rfc4724_the_r_bit_is_for_the_first_session_only() {
    let now = Instant::now();
    let restart_bit = |peer: &mut Peer| {
        let opened = std::iter::from_fn(|| peer.poll_effect()).find_map(|effect| match effect {
            PeerEffect::Transmit { message: Message::Open(open), .. } => Some(open),
            _ => None,
        });
        restart_of(&opened.expect("an OPEN")).restarting
    };
    let lost = || PeerEvent::Disconnected { role: Role::Incoming, reason: String::new() };
    let mut peer = peer_in(State::Active, Role::Outgoing, with_restart(config(1, 2), true), now);
    peer.handle(connected(Role::Incoming), now);
    assert!(restart_bit(&mut peer));
    peer.handle(lost(), now);
    peer.handle(connected(Role::Incoming), now);
    assert!(restart_bit(&mut peer), "that was no session yet");
    peer.handle(received(Role::Incoming, Message::Open(open(2))), now);
    peer.handle(received(Role::Incoming, Message::Keepalive), now);
    peer.handle(lost(), now);
    effects(&mut peer);
    peer.handle(connected(Role::Incoming), now);
    assert!(!restart_bit(&mut peer));
}

#[test]
fn rfc5492_a_peer_that_knows_no_capabilities_gets_an_open_without_once() {
    let now = Instant::now();
    let mut peer = peer_in(State::OpenSent, Role::Outgoing, config(1, 2), now);
    let refusal = || {
        let notification = Notification::new(ErrorSubcode::UNSUPPORTED_OPTIONAL_PARAMETER);
        received(Role::Outgoing, Message::Notification(notification))
    };
    let offered = |peer: &mut Peer| {
        let mut at = peer.next_deadline().unwrap();
        assert_eq!(wake(peer, &mut at), "dial");
        peer.handle(connected(Role::Outgoing), at);
        match peer.poll_effect() {
            Some(PeerEffect::Transmit { message: Message::Open(open), .. }) => open.capabilities.len(),
            other => panic!("{other:?}"),
        }
    };
    feed(&mut peer, refusal(), now);
    assert_eq!(offered(&mut peer), 0);
    feed(&mut peer, refusal(), now);
    assert!(offered(&mut peer) > 0);
}

#[test]
fn routes_of_a_family_that_was_not_agreed_go_no_further() {
    let now = Instant::now();
    let mut peer = peer_in(State::Established, Role::Outgoing, config(1, 2), now);
    let mut message = update();
    if let Message::Update(decoded) = &mut message {
        decoded.update.reach[0].family = AfiSafi::IPV6_UNICAST;
    }
    assert_eq!(feed(&mut peer, received(Role::Outgoing, message), now), "");
    assert_eq!(peer.snapshot(now).received.updates, 1);
    let request = crate::wire::RefreshSubtype::Request;
    let asked = |family| received(Role::Outgoing, refresh(family, request));
    assert_eq!(feed(&mut peer, asked(AfiSafi::IPV6_UNICAST), now), "");
    assert_eq!(feed(&mut peer, asked(AfiSafi::IPV4_UNICAST), now), "refresh");
}

#[test]
fn rfc9003_the_shutdown_communication_is_sent_shown_and_cut() {
    let now = Instant::now();
    let text = "ü".repeat(200);
    let mut peer = peer_in(State::Established, Role::Outgoing, config(1, 2), now);
    peer.handle(PeerEvent::Stop(StopReason::Shutdown(text)), now);
    let Some(PeerEffect::Transmit { message: Message::Notification(sent), .. }) = peer.poll_effect() else {
        panic!("a NOTIFICATION first");
    };
    assert_eq!((sent.code, sent.subcode, sent.data.len(), sent.data[0]), (6, 2, 255, 254));

    let mut peer = peer_in(State::Established, Role::Outgoing, config(1, 2), now);
    let data = Bytes::from_static(b"\x09back\nsoon");
    peer.handle(received(Role::Outgoing, Message::Notification(Notification { data, ..cease(2) })), now);
    assert_eq!(
        peer.snapshot(now).last_error.unwrap(),
        r#"received Cease / Administrative Shutdown: "back\nsoon""#
    );
}

/// RFC 9234 §4.2, table 2: every role against every role.
#[test]
fn rfc9234_only_counterparts_come_up() {
    use BgpRole::{Customer, Peer, Provider, RsClient, RsServer};
    let roles = [Provider, RsServer, RsClient, Customer, Peer];
    let external = |role| NeighborConfig { local_as: Asn(65001), role: Some(role), ..config(1, 2) };
    let says = |said: &[BgpRole]| {
        let mut open = open(2);
        open.capabilities.extend(said.iter().copied().map(Capability::Role));
        open
    };
    let allowed = [
        (Provider, Customer),
        (Customer, Provider),
        (RsServer, RsClient),
        (RsClient, RsServer),
        (Peer, Peer),
    ];
    for ours in roles {
        for theirs in roles {
            let agreed = agree(&external(ours), &says(&[theirs]));
            if allowed.contains(&(ours, theirs)) {
                assert_eq!(agreed.unwrap().role, Some(ours));
            } else {
                assert_eq!(refused(&external(ours), &says(&[theirs])), (2, 11, vec![]), "{ours} {theirs}");
            }
        }
        // Said twice is said once; two different ones are wrong whatever the other is.
        let right = ours.counterpart();
        assert!(agree(&external(ours), &says(&[right, right])).is_ok());
        let wrong = if right == Peer { Provider } else { Peer };
        assert_eq!(refused(&external(ours), &says(&[right, wrong])), (2, 11, vec![]));
        // Nothing said: only the strict insist.
        assert_eq!(agree(&external(ours), &says(&[])).unwrap().role, Some(ours));
        let strict = NeighborConfig { role_strict: true, ..external(ours) };
        assert_eq!(refused(&strict, &says(&[])), (2, 11, vec![]));
        // Not on internal sessions.
        let internal = NeighborConfig { role: Some(ours), role_strict: true, ..config(1, 2) };
        assert_eq!(agree(&internal, &says(&[])).unwrap().role, None);
        assert!(!local_open(&internal, false, true).capabilities.contains(&Capability::Role(ours)));
        assert!(local_open(&external(ours), false, true).capabilities.contains(&Capability::Role(ours)));
    }
    // A value that is not assigned is nobody's counterpart.
    let mut odd = open(2);
    odd.capabilities.push(Capability::Unknown { code: 9, value: Bytes::from_static(&[77]) });
    assert_eq!(refused(&external(Peer), &odd), (2, 11, vec![]));
}
