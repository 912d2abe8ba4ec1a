//! What separates update groups. Both structs are taken apart field by field, so that a new field does not
//! compile until somebody has said here whether it can change a byte.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::sync::Arc;

use crate::peer::{Negotiated, NextHopMode, PeerRestart};
use crate::rib::event::RibPeer;
use crate::rib::export::Terms;
use crate::rib::{Matches, Policy, PolicyRule, PolicyVerdict, PrivateAs, UpdateRules};
use crate::wire::{BgpRole, Capability, DecodeContext, EncodeContext};
use crate::{AfiSafi, Asn, ClusterId, PeerId, PeerKind, RouterId};

pub(super) fn peer() -> RibPeer {
    RibPeer {
        peer: PeerId { index: 1, generation: 0 },
        name: "peer1".to_owned(),
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        negotiated: Negotiated {
            kind: PeerKind::Ibgp,
            local_as: Asn(64512),
            remote_as: Asn(64512),
            remote_router_id: RouterId(Ipv4Addr::new(10, 0, 0, 1)),
            local: SocketAddr::from(([10, 255, 0, 1], 179)),
            remote: SocketAddr::from(([10, 0, 0, 1], 179)),
            hold_time_secs: 90,
            keepalive_secs: 30,
            families: vec![AfiSafi::IPV4_UNICAST],
            route_refresh: true,
            restart: None,
            role: None,
            decode: DecodeContext::default(),
            encode: EncodeContext::default(),
            remote_capabilities: Vec::new(),
        },
        add_path_maximum: None,
        next_hop_mode: NextHopMode::Auto,
        next_hop_v4: None,
        next_hop_v6: None,
        allow_local_as: 0,
        rules: UpdateRules::default(),
        prefix_limit: None,
        reflector_client: None,
        transmit_window: 1000,
        advertisement_interval_secs: 0,
        import: Arc::default(),
        export: Arc::default(),
    }
}

fn reject_all(name: &str) -> Policy {
    let rule =
        PolicyRule { name: name.to_owned(), matches: Matches::default(), verdict: PolicyVerdict::Reject };
    Policy { ipv4: vec![rule].into(), ..Policy::default() }
}

type Change = Box<dyn Fn(&mut RibPeer)>;
type Knobs = Vec<(&'static str, Change)>;

fn change(change: impl Fn(&mut RibPeer) + 'static) -> Change {
    Box::new(change)
}

/// For each field, in order: changes that must separate, and changes that must not.
fn knobs() -> (Knobs, Knobs) {
    let RibPeer {
        peer: _,
        name: _,
        address: _,
        negotiated,
        add_path_maximum: _,
        next_hop_mode: _,
        next_hop_v4: _,
        next_hop_v6: _,
        allow_local_as: _,
        rules,
        prefix_limit: _,
        reflector_client: _,
        transmit_window: _,
        advertisement_interval_secs: _,
        import: _,
        export: _,
    } = peer();
    let Negotiated {
        kind: _,
        local_as: _,
        remote_as: _,
        remote_router_id: _,
        local: _,
        remote: _,
        hold_time_secs: _,
        keepalive_secs: _,
        families: _,
        route_refresh: _,
        restart: _,
        role: _,
        decode: _,
        encode,
        remote_capabilities: _,
    } = negotiated;
    let EncodeContext { four_octet_as: _, add_path_send: _, extended_message: _ } = encode;
    let UpdateRules {
        enforce_first_as: _,
        allow_as_sets: _,
        private_as: _,
        as_override: _,
        honour_graceful_shutdown: _,
        graceful_shutdown: _,
        policy_required: _,
        is_meshed_client: _,
    } = rules;
    let external = |edit: fn(&mut RibPeer)| {
        change(move |peer| {
            (peer.negotiated.kind, peer.negotiated.remote_as) = (PeerKind::Ebgp, Asn(65001));
            edit(peer);
        })
    };
    let separate = vec![
        ("private_as remove", external(|peer| peer.rules.private_as = PrivateAs::Remove)),
        ("private_as remove if all", external(|peer| peer.rules.private_as = PrivateAs::RemoveIfAll)),
        ("private_as replace", external(|peer| peer.rules.private_as = PrivateAs::Replace)),
        ("as_override", external(|peer| peer.rules.as_override = true)),
        (
            "as_override for another AS",
            external(|peer| (peer.rules.as_override, peer.negotiated.remote_as) = (true, Asn(65002))),
        ),
        (
            "meshed client",
            change(|peer| {
                peer.reflector_client = Some(ClusterId(Ipv4Addr::new(1, 1, 1, 1)));
                peer.rules.is_meshed_client = true;
            }),
        ),
        ("graceful_shutdown", change(|peer| peer.rules.graceful_shutdown = true)),
        ("graceful_shutdown, external", external(|peer| peer.rules.graceful_shutdown = true)),
        ("policy_required", external(|peer| peer.rules.policy_required = true)),
        ("kind", change(|peer| peer.negotiated.kind = PeerKind::Ebgp)),
        ("local_as", change(|peer| peer.negotiated.local_as = Asn(1))),
        ("local", change(|peer| peer.negotiated.local = SocketAddr::from(([10, 255, 0, 2], 179)))),
        ("families", change(|peer| peer.negotiated.families = AfiSafi::ALL.to_vec())),
        ("four_octet_as", change(|peer| peer.negotiated.encode.four_octet_as = false)),
        ("add_path_send", change(|peer| peer.negotiated.encode.add_path_send = AfiSafi::ALL.to_vec())),
        (
            "at most two of several paths",
            change(|peer| {
                peer.negotiated.encode.add_path_send = AfiSafi::ALL.to_vec();
                peer.add_path_maximum = NonZeroU8::new(2);
            }),
        ),
        ("extended_message", change(|peer| peer.negotiated.encode.extended_message = true)),
        ("role", change(|peer| peer.negotiated.role = Some(BgpRole::Peer))),
        ("next_hop_mode keep", change(|peer| peer.next_hop_mode = NextHopMode::Keep)),
        ("next_hop_mode self", change(|peer| peer.next_hop_mode = NextHopMode::SelfAddress)),
        (
            "next_hop_v4 on an IPv6 session",
            change(|peer| {
                peer.negotiated.local = "[2001:db8::1]:179".parse().unwrap();
                peer.next_hop_v4 = Some(Ipv4Addr::new(10, 255, 0, 8));
            }),
        ),
        ("next_hop_v6", change(|peer| peer.next_hop_v6 = Some("2001:db8::1".parse().unwrap()))),
        (
            "reflector_client",
            change(|peer| {
                peer.reflector_client = Some(ClusterId(Ipv4Addr::new(1, 1, 1, 1)));
            }),
        ),
        ("export", change(|peer| peer.export = Arc::new(reject_all("a")))),
        ("export by another name", change(|peer| peer.export = Arc::new(reject_all("b")))),
        ("its cluster", change(|peer| peer.reflector_client = Some(ClusterId(Ipv4Addr::new(1, 1, 1, 2))))),
    ];
    // These say who the peer is, how it talks to us, or how fast it takes what it is sent.
    let share = vec![
        ("peer", change(|peer| peer.peer.index = 2)),
        ("name", change(|peer| peer.name = "peer2".to_owned())),
        ("address", change(|peer| peer.address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)))),
        ("remote_as", change(|peer| peer.negotiated.remote_as = Asn(2))),
        (
            "remote_router_id",
            change(|peer| {
                peer.negotiated.remote_router_id = RouterId(Ipv4Addr::new(10, 0, 0, 2));
            }),
        ),
        ("local port", change(|peer| peer.negotiated.local.set_port(50_000))),
        ("remote", change(|peer| peer.negotiated.remote = SocketAddr::from(([10, 0, 0, 2], 5)))),
        ("hold_time_secs", change(|peer| peer.negotiated.hold_time_secs = 3)),
        ("keepalive_secs", change(|peer| peer.negotiated.keepalive_secs = 1)),
        ("route_refresh", change(|peer| peer.negotiated.route_refresh = false)),
        ("restart", change(|peer| peer.negotiated.restart = Some(PeerRestart::default()))),
        ("decode", change(|peer| peer.negotiated.decode.four_octet_as = false)),
        (
            "remote_capabilities",
            change(|peer| {
                peer.negotiated.remote_capabilities = vec![Capability::RouteRefresh];
            }),
        ),
        (
            "next_hop_v4 beside an IPv4 session",
            change(|peer| {
                peer.next_hop_v4 = Some(Ipv4Addr::new(10, 255, 0, 9));
            }),
        ),
        ("a maximum of paths where one is sent", change(|peer| peer.add_path_maximum = NonZeroU8::new(2))),
        ("allow_local_as", change(|peer| peer.allow_local_as = 2)),
        ("meshed, but no client", change(|peer| peer.rules.is_meshed_client = true)),
        ("enforce_first_as", change(|peer| peer.rules.enforce_first_as = true)),
        ("allow_as_sets", change(|peer| peer.rules.allow_as_sets = false)),
        ("honour_graceful_shutdown", change(|peer| peer.rules.honour_graceful_shutdown = true)),
        ("as_override of an internal peer", change(|peer| peer.rules.as_override = true)),
        ("private_as of an internal peer", change(|peer| peer.rules.private_as = PrivateAs::Remove)),
        ("policy_required of an internal peer", change(|peer| peer.rules.policy_required = true)),
        ("import", change(|peer| peer.import = Arc::new(reject_all("a")))),
        ("an export policy of its own that says nothing", change(|peer| peer.export = Arc::default())),
        ("transmit_window", change(|peer| peer.transmit_window = 1)),
        ("advertisement_interval_secs", change(|peer| peer.advertisement_interval_secs = 1)),
    ];
    (separate, share)
}

#[test]
fn peers_that_differ_in_a_byte_never_share_a_group() {
    let (separate, share) = knobs();
    let mut seen = vec![("unchanged", Terms::of(&peer()))];
    for (name, change) in separate {
        let mut peer = peer();
        change(&mut peer);
        let terms = Terms::of(&peer);
        for (other, known) in &seen {
            assert_ne!(&terms, known, "{name} and {other}");
        }
        seen.push((name, terms));
    }
    for (name, change) in share {
        let mut peer = peer();
        change(&mut peer);
        assert_eq!(Terms::of(&peer), Terms::of(&self::peer()), "{name}");
    }
}

/// As a dual-stack socket shows an IPv4 session.
#[test]
fn an_ipv4_mapped_session_is_an_ipv4_session() {
    let mut mapped = peer();
    mapped.negotiated.local = "[::ffff:10.255.0.1]:179".parse().unwrap();
    assert_eq!(Terms::of(&mapped), Terms::of(&peer()));
}

/// RFC 2545 §2: the session's own address only serves as a next hop if it means something beyond the link.
#[test]
fn a_link_local_session_has_the_configured_next_hop() {
    let session = |local: &str, configured: &str| {
        let mut peer = peer();
        peer.negotiated.local = local.parse().unwrap();
        peer.next_hop_v6 = Some(configured.parse().unwrap());
        Terms::of(&peer)
    };
    assert_eq!(session("[fe80::1]:179", "2001:db8::1"), session("[fe80::2]:179", "2001:db8::1"));
    assert_eq!(session("[2001:db8::7]:179", "2001:db8::1"), session("[2001:db8::7]:179", "2001:db8::2"));
    assert_ne!(session("[fe80::1]:179", "2001:db8::1"), session("[fe80::1]:179", "2001:db8::2"));
}
