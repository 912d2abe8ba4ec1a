//! The RIB under any events, fed as its thread feeds it: several between two drains, peers that are slow, next
//! hops that come and go. What each peer is sent is decoded and kept as that peer would keep it (`World`).
//!
//! Three things are held against each other, none of which needs a second implementation: a peer that lived
//! through everything holds what a newcomer on the same terms is given; what a peer is told to forget it was
//! told before; and when all are gone nothing is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use bgp::peer::NextHopMode;
use bgp::rib::{
    CommunityValue, DecisionRules, ExportAction, ExportPolicy, ExportRule, Matches, MultipathRules,
    NextHopStatus, Operation, OriginatedRoute, PathSource, Policy, PolicyRule, PolicyVerdict, PrivateAs,
    RibConfig, RibEvent, RibPeer, UpdateRules,
};
use bgp::wire::{Community, Message, Origin, PathAttributes, Unreach, Update, decode_message};
use bgp::{Asn, Nlri, PeerId};
use bytes::Bytes;
use ipnet::IpNet;
use libfuzzer_sys::arbitrary::{Result, Unstructured};

use crate::rib_support::{
    V4, V6, World, client, config, ebgp, end_of_rib, ibgp, net, next_hop, reach, retain, with_restart,
};
use crate::wire::{UPDATE, frame};

const PREFIXES: [&str; 8] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3/32",
    "0.0.0.0/0",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "2001:db8::1/128",
    "::/0",
];
const NEXT_HOPS: [&str; 4] = ["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"];
/// Added to the index of a peer for the newcomer that it is compared with.
const NEWCOMER: u32 = 100;

/// Reads events until the data end.
pub fn events(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let mut life = Life::new();
    // The data have ended.
    let _ = life.run(&mut input);
    life.settle();
    life.compare_with_newcomers();
    life.end();
}

struct Life {
    world: World,
    roster: Vec<RibPeer>,
    up: BTreeMap<PeerId, RibPeer>,
}

impl Life {
    fn new() -> Self {
        let mut slow = ebgp(6);
        slow.transmit_window = 100;
        slow.negotiated.encode.four_octet_as = false;
        let roster = vec![
            with_restart(ebgp(1)),
            ebgp(2),
            RibPeer { next_hop_mode: NextHopMode::Keep, ..ebgp(2 + 1) },
            ibgp(4),
            with_restart(client(5, 1)),
            slow,
            client(7, 1),
            RibPeer { allow_local_as: 1, ..ibgp(8) },
        ];
        Self { world: World::new(), roster, up: BTreeMap::new() }
    }

    fn run(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        self.world.transmit = input.arbitrary()?;
        self.world.resolve = input.arbitrary()?;
        while !input.is_empty() {
            self.step(input)?;
        }
        Ok(())
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let terms = input.choose(&self.roster)?.clone();
        let peer = terms.peer;
        let is_up = self.up.contains_key(&peer);
        match input.int_in_range(0..=15_u8)? {
            0..=2 if !is_up => {
                self.up.insert(peer, terms.clone());
                self.world.feed(RibEvent::PeerUp(Box::new(terms)));
            }
            0 => {
                self.up.remove(&peer);
                let kept = *input.choose(&[&[][..], &[V4], &[V4, V6]])?;
                let retain = if kept.is_empty() { None } else { retain(kept) };
                self.world.feed(RibEvent::PeerDown { peer, retain });
            }
            1..=5 => self.update(peer, structured(input)?),
            6 => {
                let len = usize::from(input.arbitrary::<u8>()?).min(input.len());
                let frame = frame(UPDATE, input.bytes(len)?);
                if let Ok(Message::Update(decoded)) = decode_message(&frame, &terms.negotiated.decode) {
                    self.update(peer, decoded.update);
                }
            }
            7 => {
                let mut nlri: Vec<Nlri> = Vec::new();
                for _ in 0..input.int_in_range(1..=4_u8)? {
                    nlri.push(net(input.choose(&PREFIXES)?).into());
                }
                let unreach = [V4, V6].map(|family| {
                    let of = |nlri: &&Nlri| bgp::AfiSafi::of(&nlri.prefix) == family;
                    Unreach { family, nlri: nlri.iter().filter(of).copied().collect() }
                });
                self.update(peer, Update { unreach: unreach.into(), ..Update::default() });
            }
            8 => self.update(peer, end_of_rib(*input.choose(&[V4, V6])?)),
            9 if is_up => {
                let family = *input.choose(&[V4, V6])?;
                self.world.feed(RibEvent::Refresh { peer, family });
                // It will be told again, which is no change of what it holds.
            }
            10 => {
                let mask: u8 = input.arbitrary()?;
                let chosen = PREFIXES.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
                let route =
                    |(_, prefix): (usize, &&str)| OriginatedRoute { prefix: net(prefix), local_pref: 100 };
                self.world.feed(RibEvent::Originate(chosen.map(route).collect()));
            }
            11 => {
                let status = if input.arbitrary()? {
                    NextHopStatus::Reachable { metric: u32::from(input.arbitrary::<u8>()?) }
                } else {
                    NextHopStatus::Unreachable { reason: "no route".to_owned() }
                };
                let changed = input.choose(&NEXT_HOPS)?.parse().expect("an address");
                self.world.feed(RibEvent::NextHopChanged(vec![(changed, status)]));
            }
            12 if is_up => {
                let (import, export) = (policy(input)?, policy(input)?);
                let terms = self.up.get_mut(&peer).expect("is_up");
                (terms.import, terms.export) = (Arc::clone(&import), Arc::clone(&export));
                self.world.feed(RibEvent::PolicyChanged { peer, import, export });
            }
            9 => {}
            13 if is_up && input.arbitrary()? => {
                let rules = rules(input)?;
                self.up.get_mut(&peer).expect("is_up").rules = rules;
                self.world.feed(RibEvent::RulesChanged { peer, rules });
            }
            13 => self.world.feed(RibEvent::Configure(configuration(input)?)),
            14 => {
                self.settle();
                self.world.pass(u64::from(input.arbitrary::<u8>()?) * 4);
            }
            _ => self.world.drain(),
        }
        Ok(())
    }

    /// Only a peer that is up says anything.
    fn update(&mut self, peer: PeerId, update: Update) {
        if self.up.contains_key(&peer) {
            self.world.feed(RibEvent::Update { peer, update: Box::new(update) });
        }
    }

    fn settle(&mut self) {
        self.world.drain();
        self.world.flush();
    }

    fn compare_with_newcomers(&mut self) {
        self.world.transmit = true;
        for (peer, terms) in self.up.clone() {
            let rules = terms.rules;
            let mut newcomer = terms;
            newcomer.peer.index += NEWCOMER;
            newcomer.name += "-again";
            newcomer.transmit_window = 1 << 30;
            let again = self.world.up(newcomer);
            // A route does not go back to the one who sent it.
            let is_its_own = |prefix: &IpNet| {
                let best = self.world.loc.get(prefix).and_then(|paths| paths.first());
                best.is_some_and(|best| best.source == PathSource::Peer(peer))
            };
            let mut expected = self.world.told(again).routes.clone();
            expected.retain(|prefix, _| !is_its_own(prefix));
            // Whoever sent a default route of its own may hold ours nevertheless; the RIB's model tells when.
            let is_ours = |prefix: &IpNet| prefix.prefix_len() == 0 && (rules.default_v4 || rules.default_v6);
            expected.retain(|prefix, _| !is_ours(prefix));
            let told = self.world.told(peer);
            let mut held = told.routes.clone();
            held.retain(|prefix, _| !is_ours(prefix));
            assert_eq!(held, expected, "what {peer} holds and what a newcomer is given");
            assert_eq!(told.spurious, 0, "{peer} was told to forget what it was never told");
            self.world.down(again, None);
        }
    }

    fn end(&mut self) {
        self.world.event(RibEvent::Originate(Vec::new()));
        self.up.clear();
        self.world.event(RibEvent::Neighbors(Vec::new()));
        self.world.pass(1 << 20);
        let summary = self.world.rib.summary();
        assert!(self.world.loc.is_empty(), "{:?}", self.world.loc.keys());
        assert!(self.world.tracked.is_empty(), "{:?}", self.world.tracked);
        assert_eq!(summary.attribute_sets, 0, "attributes that nobody holds");
        assert_eq!(summary.groups.len(), 0);
        assert!(self.world.rib.peers().is_empty());
    }
}

fn structured(input: &mut Unstructured<'_>) -> Result<Update> {
    let v6 = input.arbitrary::<bool>()?;
    let (prefixes, next_hops) =
        if v6 { (&PREFIXES[4..], &NEXT_HOPS[2..]) } else { (&PREFIXES[..4], &NEXT_HOPS[..2]) };
    let first = *input.choose(prefixes)?;
    let second = *input.choose(prefixes)?;
    let asns: Vec<Asn> = (0..input.int_in_range(0..=2_u8)?)
        .map(|_| Ok(Asn(*input.choose(&[65_001, 65_002, 64_512, 4_200_000_000])?)))
        .collect::<Result<_>>()?;
    let attributes = PathAttributes {
        origin: *input.choose(&[Origin::Igp, Origin::Incomplete])?,
        as_path: bgp::wire::AsPath::sequence(asns),
        next_hop: Some(next_hop(input.choose(next_hops)?)),
        med: *input.choose(&[None, Some(0), Some(7)])?,
        local_pref: *input.choose(&[None, Some(100), Some(200)])?,
        communities: input.choose(&[&[][..], &[Community::NO_EXPORT], &[Community::NO_ADVERTISE]])?.to_vec(),
        ..PathAttributes::default()
    };
    Ok(reach(&attributes, &[first, second]))
}

fn policy(input: &mut Unstructured<'_>) -> Result<Arc<Policy>> {
    let verdict = match input.int_in_range(0..=3_u8)? {
        0 => return Ok(Arc::default()),
        1 => PolicyVerdict::Reject,
        2 => PolicyVerdict::Accept(Vec::new()),
        _ => PolicyVerdict::Accept(vec![
            Operation::AddCommunity(CommunityValue::Standard(Community(7))),
            Operation::Prepend(vec![Asn(64_999)]),
        ]),
    };
    let rule = |name: &str| PolicyRule {
        name: name.to_owned(),
        matches: Matches::default(),
        verdict: verdict.clone(),
    };
    let both: bool = input.arbitrary()?;
    Ok(Arc::new(Policy {
        ipv4: vec![rule("v4")].into(),
        ipv6: if both { vec![rule("v6")] } else { Vec::new() }.into(),
    }))
}

fn rules(input: &mut Unstructured<'_>) -> Result<UpdateRules> {
    Ok(UpdateRules {
        enforce_first_as: input.arbitrary()?,
        allow_as_sets: input.arbitrary()?,
        private_as: *input.choose(&[
            PrivateAs::Keep,
            PrivateAs::RemoveIfAll,
            PrivateAs::Remove,
            PrivateAs::Replace,
        ])?,
        as_override: input.arbitrary()?,
        honour_graceful_shutdown: input.arbitrary()?,
        graceful_shutdown: input.arbitrary()?,
        policy_required: input.arbitrary()?,
        is_meshed_client: input.arbitrary()?,
        default_v4: input.arbitrary()?,
        default_v6: input.arbitrary()?,
        confederation: None,
    })
}

fn configuration(input: &mut Unstructured<'_>) -> Result<RibConfig> {
    let action = *input.choose(&[ExportAction::Accept, ExportAction::Reject])?;
    let rule = ExportRule { within: net("10.0.0.0/8"), own_only: input.arbitrary()?, action };
    let export = ExportPolicy { rules: vec![rule], ..ExportPolicy::default() };
    let multipath = MultipathRules {
        max_external: *input.choose(&[1, 2, 64])?,
        max_internal: *input.choose(&[1, 2])?,
        relax_as_path: input.arbitrary()?,
    };
    let decision = DecisionRules {
        always_compare_med: input.arbitrary()?,
        missing_med_worst: input.arbitrary()?,
        ignore_as_path_length: input.arbitrary()?,
        ignore_next_hop_metric: input.arbitrary()?,
        compare_router_id: input.arbitrary()?,
        multipath,
    };
    Ok(RibConfig { decision, export, ..config() })
}

/// For the corpus: nothing here reads bytes of a peer but [`events`].
#[must_use]
pub fn seeds() -> Vec<Bytes> {
    // Up, up, announce, announce, withdraw, down; and the same with everything slow.
    let steps = [[0_u8, 0], [1, 1], [0, 2], [1, 3], [0, 10], [0, 7], [1, 13], [0, 0]];
    [0_u8, 1]
        .map(|first| {
            steps
                .iter()
                .flatten()
                .fold(vec![first, 1], |mut all, octet| {
                    all.extend([*octet, 3]);
                    all
                })
                .into()
        })
        .into()
}
