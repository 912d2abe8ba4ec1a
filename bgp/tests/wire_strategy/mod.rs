//! Arbitrary valid values of the wire, each with a session on which it survives encoding and decoding.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::net::{Ipv4Addr, Ipv6Addr};

use bgp::wire::{
    AddPathMode, Aggregator, AsPath, BgpRole, Capability, Community, DecodeContext, DecodedUpdate,
    EncodeContext, ExtendedCommunity, GracefulRestartCapability, LargeCommunity, Message, NextHop,
    Notification, OpenMessage, Origin, PathAttributes, RawAttribute, Reach, RefreshSubtype, RouteRefresh,
    Segment, Unreach, Update,
};
use bgp::{AfiSafi, Asn, ClusterId, Nlri, PeerKind, RouterId};
use bytes::Bytes;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

/// A session, both ways alike.
pub(crate) fn context() -> impl Strategy<Value = DecodeContext> {
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(four_octet_as, extended_message, internal, add_path_v4, add_path_v6)| DecodeContext {
            four_octet_as,
            extended_message,
            extended_next_hop: true,
            kind: if internal { PeerKind::Ibgp } else { PeerKind::Ebgp },
            add_path_receive: [(add_path_v4, AfiSafi::IPV4_UNICAST), (add_path_v6, AfiSafi::IPV6_UNICAST)]
                .into_iter()
                .filter_map(|(on, family)| on.then_some(family))
                .collect(),
        },
    )
}

pub(crate) fn encode_context(context: &DecodeContext) -> EncodeContext {
    EncodeContext {
        four_octet_as: context.four_octet_as,
        add_path_send: context.add_path_receive.clone(),
        extended_message: context.extended_message,
    }
}

pub(crate) fn message(context: &DecodeContext) -> impl Strategy<Value = Message> + use<> {
    prop_oneof![
        1 => open().prop_map(Message::Open),
        4 => update(context).prop_map(|update| Message::Update(Box::new(DecodedUpdate { update, errors: vec![] }))),
        1 => (any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..80)).prop_map(|(code, subcode, data)| {
            Message::Notification(Notification { code, subcode, data: data.into() })
        }),
        1 => Just(Message::Keepalive),
        1 => (any_family(), any::<u8>()).prop_map(|(family, octet)| {
            let subtype = match octet {
                0..64 => RefreshSubtype::Request,
                64..128 => RefreshSubtype::Begin,
                128..192 => RefreshSubtype::End,
                other => RefreshSubtype::Unknown(other),
            };
            Message::RouteRefresh(RouteRefresh { family, subtype })
        }),
    ]
}

fn open() -> impl Strategy<Value = OpenMessage> {
    let hold_time = prop_oneof![Just(0), 3..=u16::MAX];
    (1..=u16::MAX, hold_time, 1..=u32::MAX, vec(capability(), 0..12)).prop_map(
        |(my_as, hold_time_secs, id, capabilities)| OpenMessage {
            my_as,
            hold_time_secs,
            router_id: RouterId(Ipv4Addr::from(id)),
            capabilities,
        },
    )
}

fn any_family() -> impl Strategy<Value = AfiSafi> {
    prop_oneof![
        Just(AfiSafi::IPV4_UNICAST),
        Just(AfiSafi::IPV6_UNICAST),
        (any::<u16>(), any::<u8>()).prop_map(|(afi, safi)| AfiSafi { afi, safi }),
    ]
}

fn capability() -> impl Strategy<Value = Capability> {
    let mode = prop_oneof![Just(AddPathMode::Receive), Just(AddPathMode::Send), Just(AddPathMode::Both)];
    let restart = (any::<bool>(), any::<bool>(), 0..4096u16, vec((any_family(), any::<bool>()), 0..4))
        .prop_map(|(restarting, notification, restart_time_secs, families)| GracefulRestartCapability {
            restarting,
            notification,
            restart_time_secs,
            families,
        });
    prop_oneof![
        any_family().prop_map(Capability::Multiprotocol),
        Just(Capability::RouteRefresh),
        vec((any_family(), any::<u16>()), 0..4).prop_map(Capability::ExtendedNextHop),
        Just(Capability::ExtendedMessage),
        restart.prop_map(Capability::GracefulRestart),
        (1..=u32::MAX).prop_map(|asn| Capability::FourOctetAs(Asn(asn))),
        vec((any_family(), mode), 0..4).prop_map(Capability::AddPath),
        Just(Capability::EnhancedRouteRefresh),
        (0..5u8).prop_map(|octet| Capability::Role(BgpRole::from_octet(octet).unwrap())),
        (71..=255u8, vec(any::<u8>(), 0..=255))
            .prop_map(|(code, value)| Capability::Unknown { code, value: value.into() }),
    ]
}

pub(crate) fn update(context: &DecodeContext) -> impl Strategy<Value = Update> + use<> {
    let routes = (
        attributes(context),
        proptest::option::of((v4_next_hop(), nlri(context, AfiSafi::IPV4_UNICAST, 1..40))),
        proptest::option::of(mp_reach(context)),
        vec(nlri(context, AfiSafi::IPV4_UNICAST, 1..40), 0..2),
        vec(nlri(context, AfiSafi::IPV6_UNICAST, 1..40), 0..2),
    )
        .prop_filter("an empty UPDATE is End-of-RIB", |(_, classic, mp, withdrawn, mp_withdrawn)| {
            classic.is_some() || mp.is_some() || !withdrawn.is_empty() || !mp_withdrawn.is_empty()
        })
        .prop_map(|(attributes, classic, mp, withdrawn, mp_withdrawn)| {
            let unreach = |family| move |nlri| Unreach { family, nlri };
            let classic =
                classic.map(|(next_hop, nlri)| Reach { family: AfiSafi::IPV4_UNICAST, next_hop, nlri });
            let reach: Vec<Reach> = classic.into_iter().chain(mp).collect();
            Update {
                // Attributes without routes mean nothing and are not kept.
                attributes: if reach.is_empty() { PathAttributes::default() } else { attributes },
                reach,
                unreach: (withdrawn.into_iter().map(unreach(AfiSafi::IPV4_UNICAST)))
                    .chain(mp_withdrawn.into_iter().map(unreach(AfiSafi::IPV6_UNICAST)))
                    .collect(),
                end_of_rib: None,
            }
        });
    let end_of_rib = prop_oneof![Just(AfiSafi::IPV4_UNICAST), Just(AfiSafi::IPV6_UNICAST)]
        .prop_map(|family| Update { end_of_rib: Some(family), ..Update::default() });
    prop_oneof![9 => routes, 1 => end_of_rib]
}

fn mp_reach(context: &DecodeContext) -> impl Strategy<Value = Reach> + use<> {
    let reach = |family| {
        (v6_next_hop(), nlri(context, family, 1..40)).prop_map(move |(next_hop, nlri)| Reach {
            family,
            next_hop,
            nlri,
        })
    };
    prop_oneof![reach(AfiSafi::IPV4_UNICAST), reach(AfiSafi::IPV6_UNICAST)]
}

pub(crate) fn v4_next_hop() -> impl Strategy<Value = NextHop> {
    (0x0100_0000..0xe000_0000u32).prop_map(|addr| NextHop::V4(Ipv4Addr::from(addr)))
}

pub(crate) fn v6_next_hop() -> impl Strategy<Value = NextHop> {
    let link_local = any::<u64>().prop_map(|host| Ipv6Addr::from(0xfe80 << 112 | u128::from(host)));
    let global = prop_oneof![
        3 => (1..0xff00u128 << 112).prop_map(Ipv6Addr::from),
        1 => link_local.clone(),
    ];
    (global, proptest::option::of(link_local))
        .prop_map(|(global, link_local)| NextHop::V6 { global, link_local })
}

pub(crate) fn nlri(
    context: &DecodeContext,
    family: AfiSafi,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<Nlri>> + use<> {
    let add_path = context.add_path_receive.contains(&family);
    let is_v4 = family == AfiSafi::IPV4_UNICAST;
    let one =
        (any::<u128>(), 0..=if is_v4 { 32u8 } else { 128 }, any::<u32>()).prop_map(move |(bits, len, id)| {
            let prefix = if is_v4 {
                IpNet::V4(Ipv4Net::new(Ipv4Addr::from((bits & 0xffff_ffff) as u32), len).unwrap())
            } else {
                IpNet::V6(Ipv6Net::new(Ipv6Addr::from(bits), len).unwrap())
            };
            Nlri { prefix: prefix.trunc(), path_id: if add_path { id } else { 0 } }
        });
    vec(one, count)
}

/// Attributes that a peer of this kind may send, in the decoder's canonical form.
pub(crate) fn attributes(context: &DecodeContext) -> impl Strategy<Value = PathAttributes> + use<> {
    let is_internal = context.kind == PeerKind::Ibgp;
    let origin = prop_oneof![Just(Origin::Igp), Just(Origin::Egp), Just(Origin::Incomplete)];
    // Between two-octet speakers, confederation segments do not survive beside AS4_PATH (RFC 6793 §4.2.2).
    let path = as_path(is_internal && context.four_octet_as);
    let aggregator = (asn(), any::<u32>())
        .prop_map(|(asn, id)| Aggregator { asn, router_id: RouterId(Ipv4Addr::from(id)) });
    let reflection = (any::<Option<u32>>(), any::<Option<u32>>(), vec(any::<u32>(), 0..5)).prop_map(
        move |(local_pref, originator, clusters)| {
            if is_internal { (local_pref, originator, clusters) } else { (None, None, Vec::new()) }
        },
    );
    let large = (any::<u32>(), any::<u32>(), any::<u32>())
        .prop_map(|(global, local1, local2)| LargeCommunity { global, local1, local2 });
    let sets = (
        btree_set(any::<u32>().prop_map(Community), 0..80),
        btree_set(any::<[u8; 8]>().prop_map(ExtendedCommunity), 0..8),
        btree_set(large, 0..8),
        any::<Option<u32>>(),
    );
    let unknown = btree_map(36..=255u8, vec(any::<u8>(), 0..300), 0..3);
    (
        (origin, path, any::<Option<u32>>(), any::<bool>(), proptest::option::of(aggregator)),
        reflection,
        sets,
        unknown,
    )
        .prop_map(
            |(
                (origin, as_path, med, atomic_aggregate, aggregator),
                (local_pref, originator_id, clusters),
                (communities, extended_communities, large_communities, only_to_customer),
                unknown,
            )| PathAttributes {
                origin,
                as_path,
                next_hop: None,
                interface: None,
                med,
                local_pref,
                atomic_aggregate,
                aggregator,
                communities: communities.into_iter().collect(),
                originator_id: originator_id.map(|id| RouterId(Ipv4Addr::from(id))),
                cluster_list: clusters.into_iter().map(|id| ClusterId(Ipv4Addr::from(id))).collect(),
                extended_communities: extended_communities.into_iter().collect(),
                large_communities: large_communities.into_iter().collect(),
                only_to_customer: only_to_customer.map(Asn),
                unknown: unknown
                    .into_iter()
                    .map(|(code, value)| RawAttribute { flags: 0xe0, code, value: Bytes::from(value) })
                    .collect(),
            },
        )
}

fn asn() -> impl Strategy<Value = Asn> {
    prop_oneof![1..=65_535u32, 1..=u32::MAX].prop_map(Asn)
}

pub(crate) fn as_path(with_confederation: bool) -> impl Strategy<Value = AsPath> {
    let kinds = if with_confederation { 4 } else { 2 };
    let segment = (0..kinds, prop_oneof![9 => vec(asn(), 1..6), 1 => vec(asn(), 250..=255)]).prop_map(
        |(kind, asns)| match kind {
            0 => Segment::Sequence(asns.into()),
            1 => Segment::Set(asns.into()),
            2 => Segment::ConfedSequence(asns.into()),
            _ => Segment::ConfedSet(asns.into()),
        },
    );
    vec(segment, 0..4).prop_map(|segments| AsPath(segments.into()))
}
