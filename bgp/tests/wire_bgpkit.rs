//! bgpkit-parser as a second reader: what we write it reads as the same contents, and mutated UPDATEs that it
//! takes without a warning do not reset our session, but for the reasons listed here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod wire_strategy;

use std::net::Ipv4Addr;

use bgp::wire::{
    DecodeContext, DecodeError, DecodedUpdate, Message, NextHop, PathAttributes, Segment, Update,
    decode_message, encode_message,
};
use bgp::{AfiSafi, Nlri, PeerKind};
use bgpkit_parser::models::{
    AsPathSegment, Asn, AsnLength, AttributeValue, BgpMessage, BgpUpdateMessage, Community, MetaCommunity,
    NetworkPrefix, NextHopAddress, Origin,
};
use bgpkit_parser::parser::bgp::messages::parse_bgp_message;
use bytes::Bytes;
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use wire_strategy::{context, encode_context, update};

/// Every fact of an UPDATE that both readers can name.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    announced: Vec<(String, Vec<(IpNet, u32)>)>,
    withdrawn: Vec<(IpNet, u32)>,
    attributes: Option<AttributeFacts>,
}

#[derive(Debug, Default, PartialEq)]
struct AttributeFacts {
    origin: u8,
    as_path: Vec<(u8, Vec<u32>)>,
    med: Option<u32>,
    local_pref: Option<u32>,
    atomic_aggregate: bool,
    aggregator: Option<(u32, u32)>,
    communities: Vec<u32>,
    extended_communities: usize,
    large_communities: Vec<(u32, u32, u32)>,
    originator_id: Option<u32>,
    cluster_list: Vec<u32>,
    unknown: Vec<(u8, Vec<u8>)>,
}

fn ours(update: &Update) -> Facts {
    let pairs = |nlri: &[Nlri]| nlri.iter().map(|nlri| (nlri.prefix, nlri.path_id)).collect::<Vec<_>>();
    Facts {
        announced: update.reach.iter().map(|reach| (next_hop(&reach.next_hop), pairs(&reach.nlri))).collect(),
        withdrawn: update.unreach.iter().flat_map(|unreach| pairs(&unreach.nlri)).collect(),
        attributes: (!update.reach.is_empty()).then(|| our_attributes(&update.attributes)),
    }
}

fn next_hop(next_hop: &NextHop) -> String {
    match next_hop {
        NextHop::V4(addr) => addr.to_string(),
        NextHop::V6 { global, link_local: None } => global.to_string(),
        NextHop::V6 { global, link_local: Some(link_local) } => format!("{global} {link_local}"),
    }
}

fn our_attributes(attributes: &PathAttributes) -> AttributeFacts {
    let segment = |segment: &Segment| {
        let kind = match segment {
            Segment::Set(_) => 1,
            Segment::Sequence(_) => 2,
            Segment::ConfedSequence(_) => 3,
            Segment::ConfedSet(_) => 4,
        };
        (kind, segment.asns().iter().map(|asn| asn.0).collect())
    };
    AttributeFacts {
        origin: attributes.origin as u8,
        as_path: attributes.as_path.0.iter().map(segment).collect(),
        med: attributes.med,
        local_pref: attributes.local_pref,
        atomic_aggregate: attributes.atomic_aggregate,
        aggregator: attributes.aggregator.map(|it| (it.asn.0, it.router_id.0.to_bits())),
        communities: attributes.communities.iter().map(|community| community.0).collect(),
        extended_communities: attributes.extended_communities.len(),
        large_communities: attributes
            .large_communities
            .iter()
            .map(|community| (community.global, community.local1, community.local2))
            .collect(),
        originator_id: attributes.originator_id.map(|id| id.0.to_bits()),
        cluster_list: attributes.cluster_list.iter().map(|cluster| cluster.0.to_bits()).collect(),
        unknown: attributes.unknown.iter().map(|raw| (raw.code, raw.value.to_vec())).collect(),
    }
}

fn theirs(update: &BgpUpdateMessage) -> Facts {
    let pairs = |prefixes: &[NetworkPrefix]| {
        prefixes.iter().map(|it| (it.prefix.trunc(), it.path_id.unwrap_or(0))).collect::<Vec<_>>()
    };
    let mut facts = Facts { withdrawn: pairs(&update.withdrawn_prefixes), ..Facts::default() };
    if !update.announced_prefixes.is_empty() {
        let next_hop = update.attributes.iter().find_map(|attribute| match attribute {
            AttributeValue::NextHop(addr) => Some(addr.to_string()),
            _ => None,
        });
        facts.announced.push((next_hop.unwrap(), pairs(&update.announced_prefixes)));
    }
    if let Some(reach) = update.attributes.get_reachable_nlri() {
        let next_hop = match reach.next_hop.unwrap() {
            NextHopAddress::Ipv4(addr) => addr.to_string(),
            NextHopAddress::Ipv6(addr) => addr.to_string(),
            NextHopAddress::Ipv6LinkLocal(global, link_local) => format!("{global} {link_local}"),
            other => panic!("{other:?}"),
        };
        facts.announced.push((next_hop, pairs(&reach.prefixes)));
    }
    if let Some(unreach) = update.attributes.get_unreachable_nlri() {
        facts.withdrawn.extend(pairs(&unreach.prefixes));
    }
    facts.attributes = (!facts.announced.is_empty()).then(|| their_attributes(update));
    facts
}

fn their_attributes(update: &BgpUpdateMessage) -> AttributeFacts {
    let attributes = &update.attributes;
    let segment = |segment: &AsPathSegment| {
        let (kind, asns) = match segment {
            AsPathSegment::AsSet(asns) => (1, asns),
            AsPathSegment::AsSequence(asns) => (2, asns),
            AsPathSegment::ConfedSequence(asns) => (3, asns),
            AsPathSegment::ConfedSet(asns) => (4, asns),
        };
        (kind, asns.iter().map(Asn::to_u32).collect())
    };
    let path = attributes.as4_path().or(attributes.as_path());
    let mut facts = AttributeFacts {
        origin: match attributes.origin() {
            Origin::IGP => 0,
            Origin::EGP => 1,
            Origin::INCOMPLETE => 2,
        },
        as_path: path.into_iter().flat_map(|path| path.segments.iter()).map(segment).collect(),
        med: attributes.multi_exit_discriminator(),
        local_pref: attributes.local_preference(),
        atomic_aggregate: attributes.atomic_aggregate(),
        originator_id: attributes.origin_id().map(Ipv4Addr::to_bits),
        cluster_list: attributes.clusters().unwrap_or_default().to_vec(),
        ..AttributeFacts::default()
    };
    for value in attributes.iter() {
        match value {
            AttributeValue::Aggregator { asn, id } if facts.aggregator.is_none() => {
                facts.aggregator = Some((asn.to_u32(), id.to_bits()));
            }
            AttributeValue::As4Aggregator { asn, id } => {
                facts.aggregator = Some((asn.to_u32(), id.to_bits()));
            }
            AttributeValue::Unknown(raw) => facts.unknown.push((raw.code, raw.bytes.to_vec())),
            _ => {}
        }
    }
    for community in attributes.iter_communities() {
        match community {
            MetaCommunity::Plain(Community::NoExport) => facts.communities.push(0xffff_ff01),
            MetaCommunity::Plain(Community::NoAdvertise) => facts.communities.push(0xffff_ff02),
            MetaCommunity::Plain(Community::NoExportSubConfed) => facts.communities.push(0xffff_ff03),
            MetaCommunity::Plain(Community::Custom(asn, value)) => {
                facts.communities.push(asn.to_u32() << 16 | u32::from(value));
            }
            MetaCommunity::Extended(_) | MetaCommunity::Ipv6Extended(_) => facts.extended_communities += 1,
            MetaCommunity::Large(large) => {
                let [local1, local2] = large.local_data;
                facts.large_communities.push((large.global_admin, local1, local2));
            }
        }
    }
    facts
}

fn their_update(bytes: &Bytes, context: &DecodeContext) -> Option<BgpUpdateMessage> {
    let width = if context.four_octet_as { AsnLength::Bits32 } else { AsnLength::Bits16 };
    let add_path = !context.add_path_receive.is_empty();
    match parse_bgp_message(&mut bytes.clone(), add_path, &width) {
        Ok(BgpMessage::Update(update)) => Some(update),
        _ => None,
    }
}

/// bgpkit knows one add-path switch for all families, takes a leading default route for a path identifier,
/// and reads some attributes that are unknown to us.
fn for_bgpkit() -> impl Strategy<Value = (DecodeContext, Update)> {
    let context = context().prop_map(|mut context| {
        if context.add_path_receive.len() == 1 {
            context.add_path_receive = AfiSafi::ALL.to_vec();
        }
        context
    });
    context.prop_flat_map(|context| (Just(context.clone()), update(&context))).prop_map(
        |(context, mut update)| {
            update.attributes.unknown.retain(|raw| (200..240).contains(&raw.code));
            if context.add_path_receive.is_empty() {
                let fields = update.reach.iter_mut().map(|reach| &mut reach.nlri);
                let fields = fields.chain(update.unreach.iter_mut().map(|unreach| &mut unreach.nlri));
                fields.for_each(|nlri| nlri.retain(|nlri| nlri.prefix.prefix_len() > 0));
                update.reach.retain(|reach| !reach.nlri.is_empty());
                update.unreach.retain(|unreach| !unreach.nlri.is_empty());
            }
            (context, update)
        },
    )
}

fn encoded(update: Update, context: &DecodeContext) -> Option<Bytes> {
    let message = Message::Update(Box::new(DecodedUpdate { update, errors: Vec::new() }));
    encode_message(&message, &encode_context(context)).ok()
}

/// Why we reset where bgpkit reads on without a warning: it has no session to protect.
fn is_stricter_on_purpose(error: &DecodeError) -> bool {
    let reasons = [
        // RFC 7606 §3 j and §5.2: of an MP attribute, or where no routes are left.
        "the attribute list ends inside attribute",
        // RFC 4271 §6.3: bgpkit knows more attributes than we do, whatever their flags.
        "well-known attribute",
        // bgpkit takes NLRI that start with 0 for path identifiers, negotiated or not.
        "overruns the field",
        "is too long for ipv",
    ];
    reasons.iter().any(|reason| error.reason.contains(reason))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn bgpkit_reads_what_we_write((context, update) in for_bgpkit()) {
        let facts = ours(&update);
        let Some(bytes) = encoded(update, &context) else { return Ok(()) };
        let Some(read) = their_update(&bytes, &context) else {
            return Err(TestCaseError::fail("bgpkit does not read it"));
        };
        prop_assert_eq!(read.attributes.validation_warnings(), &[]);
        prop_assert_eq!(theirs(&read), facts);
    }

}

proptest! {
    // The seed is fixed: which oddity of the other reader comes up next is not for a build to find out.
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7606), ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn we_take_what_bgpkit_takes(
        (context, update) in for_bgpkit(),
        flips in proptest::collection::vec((any::<Index>(), 1..=255u8), 1..3),
    ) {
        // What an external peer may not say is discarded by us, which bgpkit cannot know.
        let context = DecodeContext { kind: PeerKind::Ibgp, ..context };
        let Some(bytes) = encoded(update, &context) else { return Ok(()) };
        let mut mutated = bytes.to_vec();
        for (at, bits) in flips {
            let at = 19 + at.index(mutated.len() - 19);
            mutated[at] ^= bits;
        }
        let mutated = Bytes::from(mutated);
        let Some(read) = their_update(&mutated, &context) else { return Ok(()) };
        if read.attributes.has_validation_warnings() {
            return Ok(());
        }
        match decode_message(&mutated, &context) {
            Ok(_) => {}
            Err(error) => prop_assert!(is_stricter_on_purpose(&error), "{error}"),
        }
    }
}
