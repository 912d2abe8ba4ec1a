//! The RIB against a naive model: a plain map of every path, from which everything is worked out anew after
//! each drain. Compared are the Loc-RIB, and what each peer holds after replaying the bytes it was sent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod rib_support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bgp::peer::{NextHopMode, PeerRestart};
use bgp::rib::snapshot::ExportFate;
use bgp::rib::{
    CommunityValue, DecisionRules, ExportAction, ExportPolicy, ExportRule, MultipathRules, NextHopChange,
    NextHopStatus, OriginatedRoute, PathSource, Policy, PrefixCommunities, RibConfig, RibEvent, RibPeer,
    STALE_PATHS_MAX_SECS, SharedLink, SourceMatch, UpdateRules,
};
use bgp::wire::{
    AsPath, Community, EncodeContext, ExtendedCommunity, NextHop, Origin, PathAttributes, Segment,
};
use bgp::{AfiSafi, Asn, ClusterId, NextHopKey, Nlri, PeerId, PeerKind, RouterId};
use ipnet::IpNet;
use proptest::prelude::*;
use rib_support::naive_policy::{Outcome, outcome, policies};
use rib_support::naive_rules;
use rib_support::*;

const PREFIXES: [&str; 8] = [
    "10.1.0.0/16",
    "10.1.1.0/24",
    "10.2.0.0/16",
    "192.0.2.1/32",
    "0.0.0.0/0",
    "2001:db8:1::/48",
    "2001:db8:2::/64",
    "::/0",
];
const NEXT_HOPS: [&str; 7] =
    ["10.0.0.1", "10.0.0.2", "10.9.9.9", "2001:db8::1", "2001:db8::2", "fe80::1", "fe80::a"];
/// What they may be reported as, beside themselves.
const REPORTED: [&str; 12] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.9.9.9",
    "2001:db8::1",
    "2001:db8::2",
    "fe80::1",
    "fe80::a",
    "fe80::1%eth1",
    "fe80::1%eth3",
    "fe80::1%eth7",
    "fe80::a%eth3",
    "fe80::a%eth7",
];
const PEERS: u8 = 11;

fn link(interface: &str, link_local: Option<&str>) -> Option<SharedLink> {
    let link_local = link_local.map(|address| address.parse().unwrap());
    Some(SharedLink { interface: interface.parse().unwrap(), link_local })
}

/// As text: the link's name counts for link-local addresses of peers on a known link only.
fn hop_of(attributes: &PathAttributes) -> Option<NextHopKey> {
    let hop = attributes.next_hop?.addr();
    let is_link_local = matches!(hop, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let text = match attributes.interface.filter(|_| is_link_local) {
        Some(interface) => format!("{hop}%{interface}"),
        None => hop.to_string(),
    };
    Some(text.parse().unwrap())
}

/// The same eleven peers in every run: every kind, three pairs on equal terms, odd ones out. Four of them take
/// several paths of a prefix.
fn roster(index: u8) -> RibPeer {
    let mut peer = roster_without_marks(index);
    // RFC 7313 with every other one: it does not separate groups.
    peer.negotiated.enhanced_route_refresh = index % 2 == 1;
    peer
}

fn roster_without_marks(index: u8) -> RibPeer {
    match index {
        0 => with_restart(ebgp(0)),
        1 => {
            let mut near = with_restart(ebgp(1));
            near.link = link("eth1", Some("fe80::a"));
            near
        }
        2 => with_restart(ibgp(2)),
        3 => {
            let mut near = ibgp(3);
            near.link = link("eth3", None);
            near.negotiated.extended_next_hop = true;
            near
        }
        4 => with_restart(client(4, 1)),
        5 => client(5, 1),
        6 => {
            let mut keeper = client(6, 2);
            keeper.next_hop_mode = NextHopMode::SelfAddress;
            keeper.negotiated.encode =
                EncodeContext { add_path_send: vec![V4], extended_message: true, ..EncodeContext::default() };
            keeper.negotiated.families = vec![V4];
            keeper
        }
        8 | 9 => {
            let mut client = client(index, 1);
            client.negotiated.encode =
                EncodeContext { add_path_send: vec![V4, V6], ..EncodeContext::default() };
            // Two of one identifier: what they send would get the same path identifiers.
            client.negotiated.remote_router_id = RouterId([10, 0, 0, 8].into());
            with_restart(client)
        }
        10 => {
            let mut external = ebgp(10);
            external.negotiated.encode =
                EncodeContext { add_path_send: vec![V6], ..EncodeContext::default() };
            external
        }
        _ => {
            let mut keeper = ebgp(7);
            keeper.next_hop_mode = NextHopMode::Keep;
            keeper.negotiated.encode = EncodeContext { four_octet_as: false, ..EncodeContext::default() };
            keeper.negotiated.local = "[2001:db8:ff::7]:179".parse().unwrap();
            keeper.next_hop_v6 = None;
            keeper.link = link("eth7", Some("fe80::7"));
            keeper.negotiated.extended_next_hop = true;
            keeper.allow_local_as = 1;
            keeper
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Up {
        peer: u8,
        forwarding: bool,
    },
    Down {
        peer: u8,
        retain: Vec<AfiSafi>,
    },
    Announce {
        peer: u8,
        prefixes: Vec<usize>,
        attributes: Box<PathAttributes>,
        path_id: u32,
    },
    Withdraw {
        peer: u8,
        prefixes: Vec<usize>,
        path_id: u32,
    },
    EndOfRib {
        peer: u8,
        family: AfiSafi,
    },
    RefreshBegan {
        peer: u8,
        family: AfiSafi,
    },
    RefreshEnded {
        peer: u8,
        family: AfiSafi,
    },
    Refresh {
        peer: u8,
        family: AfiSafi,
    },
    Originate(BTreeMap<usize, u32>),
    NextHop {
        next_hop: usize,
        status: NextHopStatus,
    },
    /// Every next hop that is asked about, and was not answered, is there.
    Resolve,
    Configure(RibConfig),
    Bandwidth {
        peer: u8,
        bytes_per_sec: Option<u64>,
    },
    /// `None`: it keeps what it has.
    Policy {
        peer: u8,
        import: Option<Policy>,
        export: Option<Policy>,
    },
    /// Most paths of a prefix that the peer is sent, if it takes several.
    Maximum {
        peer: u8,
        maximum: Option<NonZeroU8>,
    },
    Rules {
        peer: u8,
        rules: UpdateRules,
    },
    /// In this cluster; `None`: no client.
    Interval {
        peer: u8,
        secs: u16,
    },
    Client {
        peer: u8,
        cluster: Option<u8>,
    },
    Pass(u64),
    Transmitted {
        peer: u8,
    },
    Neighbors(Vec<u8>),
    Drain,
}

fn families() -> impl Strategy<Value = AfiSafi> {
    prop_oneof![Just(V4), Just(V6)]
}

fn paths() -> impl Strategy<Value = AsPath> {
    let sequence = prop::collection::vec(
        prop_oneof![5 => Just(65001), 5 => Just(65002), 1 => Just(LOCAL_AS.0), 3 => Just(200_000)],
        0..3,
    );
    (sequence, prop::bool::weighted(0.1)).prop_map(|(asns, has_set)| {
        let mut path = as_path(&asns);
        if has_set {
            path.0.push(Segment::Set(smallvec(&[65010, 65011])));
        }
        path
    })
}

fn smallvec(asns: &[u32]) -> smallvec::SmallVec<[Asn; 4]> {
    asns.iter().map(|asn| Asn(*asn)).collect()
}

fn attributes() -> impl Strategy<Value = PathAttributes> {
    (
        paths(),
        prop_oneof![4 => Just(None), 1 => Just(Some(100)), 1 => Just(Some(200))],
        prop_oneof![3 => Just(None), 1 => Just(Some(0)), 2 => Just(Some(10))],
        prop_oneof![4 => Just(Origin::Igp), 1 => Just(Origin::Incomplete)],
        0..NEXT_HOPS.len(),
        prop_oneof![
            6 => Just(vec![]),
            1 => Just(vec![Community::NO_EXPORT]),
            1 => Just(vec![Community::NO_ADVERTISE]),
            1 => Just(vec![Community::new(65001, 7)]),
            1 => Just(vec![Community::GRACEFUL_SHUTDOWN])
        ],
        prop_oneof![4 => Just(None), 1 => Just(Some(ROUTER_ID)), 2 => Just(Some(RouterId([10, 0, 0, 1].into())))],
        prop_oneof![4 => Just(vec![]), 1 => Just(vec![1]), 1 => Just(vec![9, 2]), 2 => Just(vec![9])],
        prop_oneof![2 => Just(None), 4 => (0..2u8, 1..5u16).prop_map(Some)],
    )
        .prop_map(|(as_path, local_pref, med, origin, hop, communities, originator_id, clusters, speed)| PathAttributes {
            extended_communities: speed
                .map(|(kind, speed)| {
                    let [a, b, c, d] = f32::from(speed).to_be_bytes();
                    ExtendedCommunity([kind * 0x40, 4, 0, 7, a, b, c, d])
                })
                .into_iter()
                .collect(),
            as_path,
            local_pref,
            med,
            origin,
            next_hop: Some(next_hop(NEXT_HOPS[hop])),
            communities,
            originator_id,
            cluster_list: clusters.into_iter().map(|n| ClusterId([1, 1, 1, n].into())).collect(),
            ..PathAttributes::default()
        })
}

fn statuses() -> impl Strategy<Value = NextHopStatus> {
    prop_oneof![
        3 => (0..3u32).prop_map(|metric| NextHopStatus::Reachable { metric }),
        1 => Just(NextHopStatus::Unreachable { reason: "no route".into() })
    ]
}

fn configs() -> impl Strategy<Value = RibConfig> {
    let rule =
        (0..PREFIXES.len(), any::<bool>(), 0..3usize).prop_map(|(within, own_only, action)| ExportRule {
            within: net(PREFIXES[within]),
            own_only,
            action: [ExportAction::Accept, ExportAction::Reject, ExportAction::AcceptAbove(100)][action],
        });
    let within = prop::collection::vec(0..PREFIXES.len(), 0..3);
    (prop::collection::vec(rule, 0..3), prop::bool::weighted(0.8), decision_rules(), within).prop_map(
        |(rules, accept, decision, within)| RibConfig {
            decision,
            export: ExportPolicy {
                rules,
                otherwise: if accept { ExportAction::Accept } else { ExportAction::Reject },
                communities: within
                    .into_iter()
                    .map(|within| PrefixCommunities {
                        within: net(PREFIXES[within]),
                        communities: vec![CommunityValue::Standard(Community::new(65001, within as u16))],
                    })
                    .collect(),
            },
            ..config()
        },
    )
}

fn decision_rules() -> impl Strategy<Value = DecisionRules> {
    (any::<[bool; 6]>(), 1..4u16, 1..4u16).prop_map(|(on, max_external, max_internal)| DecisionRules {
        always_compare_med: on[0],
        missing_med_worst: on[1],
        ignore_as_path_length: on[2],
        ignore_next_hop_metric: on[3],
        compare_router_id: on[4],
        multipath: MultipathRules { max_external, max_internal, relax_as_path: on[5] },
    })
}

fn maybe_policies() -> impl Strategy<Value = Option<Policy>> {
    prop::option::of(policies(&PREFIXES))
}

fn ops() -> impl Strategy<Value = Op> {
    // Some prefixes have more paths than others.
    let prefix = || prop_oneof![2 => Just(0), 2 => Just(5), 3 => 0..PREFIXES.len()];
    let some = move || prop::collection::vec(prefix(), 1..4);
    let retain = prop_oneof![Just(vec![]), Just(vec![V4]), Just(vec![V4, V6])];
    prop_oneof![
        3 => (0..PEERS, any::<bool>()).prop_map(|(peer, forwarding)| Op::Up { peer, forwarding }),
        1 => (0..PEERS, retain).prop_map(|(peer, retain)| Op::Down { peer, retain }),
        14 => (0..PEERS, some(), attributes().prop_map(Box::new), 0..3u32)
            .prop_map(|(peer, prefixes, attributes, path_id)| Op::Announce { peer, prefixes, attributes, path_id }),
        4 => (0..PEERS, some(), 0..3u32).prop_map(|(peer, prefixes, path_id)| Op::Withdraw { peer, prefixes, path_id }),
        2 => (0..PEERS, families()).prop_map(|(peer, family)| Op::EndOfRib { peer, family }),
        2 => (0..PEERS, families()).prop_map(|(peer, family)| Op::Refresh { peer, family }),
        2 => (0..PEERS, families()).prop_map(|(peer, family)| Op::RefreshBegan { peer, family }),
        2 => (0..PEERS, families()).prop_map(|(peer, family)| Op::RefreshEnded { peer, family }),
        1 => prop::collection::btree_map(0..PREFIXES.len(), 100..103u32, 0..3).prop_map(Op::Originate),
        6 => (0..REPORTED.len(), statuses()).prop_map(|(next_hop, status)| Op::NextHop { next_hop, status }),
        6 => Just(Op::Resolve),
        1 => configs().prop_map(Op::Configure),
        1 => (0..PEERS, prop::option::of(1..4u64))
            .prop_map(|(peer, bytes_per_sec)| Op::Bandwidth { peer, bytes_per_sec }),
        2 => (0..PEERS, maybe_policies(), maybe_policies())
            .prop_map(|(peer, import, export)| Op::Policy { peer, import, export }),
        2 => (prop_oneof![Just(6), 8..PEERS], 0..4u8)
            .prop_map(|(peer, maximum)| Op::Maximum { peer, maximum: NonZeroU8::new(maximum) }),
        2 => (0..PEERS, naive_rules::rules()).prop_map(|(peer, rules)| Op::Rules { peer, rules }),
        2 => (0..PEERS, prop_oneof![Just(0u16), Just(1), Just(30)])
            .prop_map(|(peer, secs)| Op::Interval { peer, secs }),
        1 => (2..PEERS - 1, prop::option::of(1..3u8)).prop_map(|(peer, cluster)| Op::Client { peer, cluster }),
        1 => prop_oneof![Just(1u64), Just(60), Just(400)].prop_map(Op::Pass),
        4 => (0..PEERS).prop_map(|peer| Op::Transmitted { peer }),
        1 => prop::collection::vec(0..PEERS, 8..11).prop_map(Op::Neighbors),
        8 => Just(Op::Drain),
    ]
}

/// A path of a session: dead when the session that sent it is not retained.
#[derive(Clone, Debug)]
struct ModelPath {
    received: PathAttributes,
    /// After import policy, worked out anew before each decision.
    attributes: PathAttributes,
    is_rejected: bool,
    session: usize,
    /// Sent before a refresh began (RFC 7313).
    is_stale: bool,
}

#[derive(Clone, Debug)]
struct ModelPeer {
    terms: RibPeer,
    up: bool,
    session: usize,
    retained_until: Option<Instant>,
    stale_until: BTreeMap<AfiSafi, Instant>,
    ended: BTreeSet<AfiSafi>,
    refreshing: BTreeSet<AfiSafi>,
}

type Key = (IpNet, Option<PeerId>, u32);

#[derive(Default)]
struct Model {
    peers: BTreeMap<PeerId, ModelPeer>,
    paths: BTreeMap<Key, ModelPath>,
    statuses: BTreeMap<NextHopKey, NextHopStatus>,
    config: Option<RibConfig>,
    /// The winner of the last decision while it stands (RFC 5004).
    current: BTreeMap<IpNet, Key>,
    best: BTreeMap<IpNet, Vec<Key>>,
}

impl Model {
    fn remove_paths(&mut self, gone: impl Fn(&Key, &ModelPath) -> bool) {
        let keys: Vec<_> =
            self.paths.iter().filter(|(key, path)| gone(key, path)).map(|(key, _)| *key).collect();
        for key in keys {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: Key) {
        self.paths.remove(&key);
        if self.current.get(&key.0) == Some(&key) {
            self.current.remove(&key.0);
        }
    }

    fn up(&mut self, terms: &RibPeer, now: Instant) {
        let id = terms.peer;
        let session = self.peers.get(&id).map_or(1, |peer| peer.session + 1);
        let restart = terms.negotiated.restart.clone().unwrap_or_default();
        let keeps = |family: AfiSafi| {
            terms.negotiated.families.contains(&family) && restart.families.contains(&(family, true))
        };
        self.remove_paths(|key, _| key.1 == Some(id) && !keeps(AfiSafi::of(&key.0)));
        let stale: BTreeSet<AfiSafi> =
            self.paths.keys().filter(|key| key.1 == Some(id)).map(|key| AfiSafi::of(&key.0)).collect();
        let until = now + Duration::from_secs(STALE_PATHS_MAX_SECS);
        let peer = ModelPeer {
            terms: terms.clone(),
            up: true,
            session,
            retained_until: None,
            stale_until: stale.into_iter().map(|family| (family, until)).collect(),
            ended: BTreeSet::new(),
            refreshing: BTreeSet::new(),
        };
        self.peers.insert(id, peer);
    }

    fn down(&mut self, id: PeerId, retained: &[AfiSafi], now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.up = false;
        peer.stale_until.clear();
        peer.refreshing.clear();
        peer.retained_until = (!retained.is_empty()).then(|| now + Duration::from_secs(120));
        self.remove_paths(|key, _| key.1 == Some(id) && !retained.contains(&AfiSafi::of(&key.0)));
    }

    fn sweep(&mut self, id: PeerId, family: AfiSafi) {
        let peer = self.peers.get_mut(&id).unwrap();
        peer.stale_until.remove(&family);
        peer.refreshing.remove(&family);
        let session = peer.session;
        self.remove_paths(|key, path| {
            key.1 == Some(id) && AfiSafi::of(&key.0) == family && (path.session < session || path.is_stale)
        });
    }

    fn refresh(&mut self, id: PeerId, family: AfiSafi, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.up) else { return };
        let restart = peer.terms.negotiated.restart.clone().unwrap_or_default();
        let says_end = restart.families.iter().any(|(listed, _)| *listed == family);
        let is_carried = peer.terms.negotiated.families.contains(&family);
        if !is_carried || (says_end && !peer.ended.contains(&family)) {
            return;
        }
        peer.refreshing.insert(family);
        peer.stale_until.insert(family, now + Duration::from_secs(STALE_PATHS_MAX_SECS));
        for (key, path) in &mut self.paths {
            path.is_stale |= key.1 == Some(id) && AfiSafi::of(&key.0) == family;
        }
    }

    fn pass(&mut self, now: Instant) {
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            if self.peers[&id].retained_until.is_some_and(|until| until <= now) {
                self.down(id, &[], now);
            }
            for (family, until) in self.peers[&id].stale_until.clone() {
                if until <= now {
                    self.sweep(id, family);
                }
            }
        }
    }

    fn clusters(&self) -> BTreeSet<ClusterId> {
        self.peers.values().filter_map(|peer| peer.terms.reflector_client).collect()
    }

    fn is_eligible(&self, key: &Key, path: &ModelPath) -> bool {
        let Some(id) = key.1 else { return true };
        let terms = &self.peers[&id].terms;
        let hop = hop_of(&path.attributes).unwrap();
        !path.is_rejected
            && !is_ours(terms, &path.attributes)
            && matches!(self.statuses.get(&hop), Some(NextHopStatus::Reachable { .. }))
    }

    fn is_external(&self, key: &Key) -> bool {
        key.1.is_some_and(|id| self.peers[&id].terms.negotiated.kind == PeerKind::Ebgp)
    }

    fn router_id(&self, key: &Key) -> Option<RouterId> {
        let peer = &self.peers[&key.1?].terms;
        Some(self.paths[key].attributes.originator_id.unwrap_or(peer.negotiated.remote_router_id))
    }

    fn eligible(&self, prefix: IpNet) -> Vec<Key> {
        let all = self.paths.iter().filter(|(key, path)| key.0 == prefix && self.is_eligible(key, path));
        all.map(|(key, _)| *key).collect()
    }

    /// Of these, the paths in use, the best one first.
    fn decide(&self, prefix: IpNet, mut left: Vec<Key>) -> Vec<Key> {
        let attributes = |key: &Key| &self.paths[key].attributes;
        let metric = |key: &Key| match hop_of(attributes(key)).map(|hop| self.statuses.get(&hop)) {
            Some(Some(NextHopStatus::Reachable { metric })) => *metric,
            _ => 0,
        };
        let address = |key: &Key| key.1.map(|id| self.peers[&id].terms.address);
        let neighbor = |key: &Key| attributes(key).as_path.neighbor();
        let rules = &self.config.as_ref().unwrap().decision;
        lowest(&mut left, |key| key.1.is_some());
        lowest(&mut left, |key| std::cmp::Reverse(attributes(key).local_pref.unwrap_or(100)));
        lowest(
            &mut left,
            |key| if rules.ignore_as_path_length { 0 } else { attributes(key).as_path.length() },
        );
        lowest(&mut left, |key| attributes(key).origin);
        let missing = if rules.missing_med_worst { u32::MAX } else { 0 };
        let med = |key: &Key| attributes(key).med.unwrap_or(missing);
        let before = left.clone();
        left.retain(|key| {
            let rivals = before.iter().filter(|r| neighbor(r) == neighbor(key) || rules.always_compare_med);
            rivals.map(med).min() == Some(med(key))
        });
        lowest(&mut left, |key| !self.is_external(key));
        lowest(&mut left, |key| if rules.ignore_next_hop_metric { 0 } else { metric(key) });
        let mut equal = left.clone();
        if let Some(current) = self.current.get(&prefix)
            && !rules.compare_router_id
            && left.contains(current)
            && self.is_external(current)
        {
            left.retain(|key| self.router_id(key) == self.router_id(current));
        }
        let order =
            |key: &Key| (self.router_id(key), attributes(key).cluster_list.len(), address(key), key.2);
        lowest(&mut left, order);
        let Some(best) = left.first() else { return Vec::new() };
        equal.retain(|key| key != best);
        equal.sort_by_key(order);
        let mut used = vec![*best];
        for key in equal {
            let is_new = used.iter().all(|other| hop_of(attributes(other)) != hop_of(attributes(&key)));
            let (max, is_of_same_as) = match self.is_external(best) {
                true => (rules.multipath.max_external, neighbor(best) == neighbor(&key)),
                false => (rules.multipath.max_internal, attributes(best).as_path == attributes(&key).as_path),
            };
            let fits = is_of_same_as || rules.multipath.relax_as_path;
            if used.len() < usize::from(max) && is_new && fits {
                used.push(key);
            }
        }
        used
    }

    fn import(&mut self) {
        let clusters = self.clusters();
        for (key, path) in &mut self.paths {
            let Some(terms) = key.1.map(|id| &self.peers[&id].terms) else { continue };
            // What loops, or is not to be had from this peer, is not held against policy.
            if is_loop(terms, &path.received, &clusters)
                || naive_rules::is_refused(terms, key.0, &path.received)
            {
                path.is_rejected = true;
                path.attributes = path.received.clone();
                continue;
            }
            let kind = terms.negotiated.kind;
            let mut received = path.received.clone();
            if let Some(speed) = terms.link_bandwidth.filter(|_| kind == PeerKind::Ebgp) {
                let [a, b, c, d] = (speed as f32).to_be_bytes();
                let [high, low] = (LOCAL_AS.0 as u16).to_be_bytes();
                received.extended_communities = vec![ExtendedCommunity([0x40, 4, high, low, a, b, c, d])];
            }
            let outcome = outcome(&terms.import, key.0, SourceMatch::Learned, kind, &received);
            path.is_rejected = outcome == Outcome::Rejected;
            path.attributes = match outcome {
                Outcome::Accepted(made) | Outcome::Unmatched(made) => {
                    let mut attributes = made.attributes;
                    // Every peer's address here is an IPv4 one.
                    let wants_peer = made.next_hop == Some(NextHopChange::Peer);
                    if wants_peer && attributes.next_hop.is_some_and(|hop| hop.addr().is_ipv4()) {
                        attributes.next_hop = Some(NextHop::from(terms.address));
                    }
                    attributes
                }
                Outcome::Rejected => received,
            };
            naive_rules::receive(terms, &mut path.attributes);
        }
    }

    /// Shares in the proportion of whole bytes per second, all of them small enough here to be exact.
    fn weights(&self, used: &[Key]) -> Vec<u16> {
        let speed = |key: &Key| {
            let all = self.paths[key].attributes.extended_communities.iter().map(|community| community.0);
            let speeds = all.filter(|octets| octets[0] & !0x40 == 0 && octets[1] == 4);
            speeds.map(|octets| f32::from_be_bytes([octets[4], octets[5], octets[6], octets[7]]) as u16).min()
        };
        let speeds: Option<Vec<u16>> = used.iter().map(speed).collect();
        let Some(speeds) = speeds else { return vec![1; used.len()] };
        let fastest = *speeds.iter().max().unwrap();
        let scaled: Vec<u16> = speeds
            .iter()
            .map(|speed| (f64::from(*speed) * 256.0 / f64::from(fastest)).round() as u16)
            .collect();
        let divisor =
            (1..=256).rev().find(|divisor| scaled.iter().all(|weight| weight % divisor == 0)).unwrap();
        scaled.iter().map(|weight| weight / divisor).collect()
    }

    fn recompute(&mut self) {
        self.import();
        let prefixes: BTreeSet<IpNet> = self.paths.keys().map(|key| key.0).collect();
        self.best =
            prefixes.into_iter().map(|prefix| (prefix, self.decide(prefix, self.eligible(prefix)))).collect();
        self.best.retain(|_, used| !used.is_empty());
        self.current = self.best.iter().map(|(prefix, used)| (*prefix, used[0])).collect();
    }

    /// What a peer should hold, from RFC 4271 §9.2, RFC 4456 and RFC 7911.
    fn advertised(&self, to: &RibPeer) -> BTreeMap<IpNet, Vec<(Key, PathAttributes)>> {
        let mut advertised = BTreeMap::new();
        for (prefix, used) in &self.best {
            let takes_several = to.negotiated.encode.add_path_send.contains(&AfiSafi::of(prefix));
            let mut left: Vec<Key> = if takes_several { self.eligible(*prefix) } else { vec![used[0]] };
            left.retain(|key| self.export(to, *prefix, *key).is_some());
            let mut chosen = Vec::new();
            while !left.is_empty() && to.add_path_maximum.is_none_or(|max| chosen.len() < max.get().into()) {
                let best = self.decide(*prefix, left.clone())[0];
                left.retain(|key| *key != best);
                chosen.push(best);
            }
            chosen.retain(|key| key.1 != Some(to.peer));
            let paths = chosen.into_iter().map(|key| (key, self.export(to, *prefix, key).unwrap()));
            let paths: Vec<_> = paths.collect();
            if !paths.is_empty() {
                advertised.insert(*prefix, paths);
            }
        }
        for (is_wanted, family, prefix) in
            [(to.rules.default_v4, V4, "0.0.0.0/0"), (to.rules.default_v6, V6, "::/0")]
        {
            let prefix = net(prefix);
            let may_go = to.negotiated.families.contains(&family) && naive_rules::may_send(to, prefix);
            if !is_wanted || !may_go {
                continue;
            }
            // Ours stands before any other, and without an address of ours there is none.
            advertised.remove(&prefix);
            if let Some(attributes) = own_default(to, family) {
                advertised.insert(prefix, vec![((prefix, None, u32::MAX), attributes)]);
            }
        }
        advertised
    }

    fn export(&self, to: &RibPeer, prefix: IpNet, key: Key) -> Option<PathAttributes> {
        let config = self.config.as_ref().unwrap();
        let rule = config
            .export
            .rules
            .iter()
            .find(|rule| rule.within.contains(&prefix) && (!rule.own_only || key.1.is_none()));
        let action = rule.map_or(config.export.otherwise, |rule| rule.action);
        let leaves = match action {
            ExportAction::Accept => true,
            ExportAction::Reject => false,
            ExportAction::AcceptAbove(bound) => self.paths[&key].attributes.local_pref.unwrap_or(100) > bound,
        };
        let family = AfiSafi::of(&prefix);
        if !to.negotiated.families.contains(&family) || !naive_rules::may_send(to, prefix) {
            return None;
        }
        let before = &self.paths[&key].attributes;
        let is_from = if key.1.is_none() { SourceMatch::Own } else { SourceMatch::Learned };
        let outcome = outcome(&to.export, prefix, is_from, to.negotiated.kind, before);
        let is_unmatched = matches!(outcome, Outcome::Unmatched(_));
        let (Outcome::Accepted(made) | Outcome::Unmatched(made)) = outcome else { return None };
        let mut sent = match made.attributes {
            sent if !is_unmatched => sent,
            _ if !leaves => return None,
            mut sent => {
                for entry in config.export.communities.iter().filter(|entry| entry.within.contains(&prefix)) {
                    for community in &entry.communities {
                        let CommunityValue::Standard(community) = community else { continue };
                        let with = sent.communities.iter().copied().chain([*community]);
                        sent.communities = with.collect::<BTreeSet<_>>().into_iter().collect();
                    }
                }
                sent
            }
        };
        let internal = to.negotiated.kind == PeerKind::Ibgp;
        if before.communities.contains(&Community::NO_ADVERTISE)
            || (!internal && before.communities.contains(&Community::NO_EXPORT))
        {
            return None;
        }
        let source = key.1.map(|id| &self.peers[&id].terms);
        let keep = source.is_some()
            && match to.next_hop_mode {
                NextHopMode::Auto => internal,
                NextHopMode::SelfAddress => false,
                NextHopMode::Keep => true,
            };
        let keep = match made.next_hop {
            Some(NextHopChange::Address(_)) => true,
            Some(NextHopChange::SelfAddress) => false,
            Some(NextHopChange::Unchanged) => source.is_some(),
            Some(NextHopChange::Peer) | None => keep,
        };
        let extended = to.negotiated.extended_next_hop;
        let own = own_next_hop(to, family);
        let kept = sent.next_hop.map(|hop| hop.addr()).filter(|_| keep);
        sent.interface = None;
        sent.next_hop = Some(match kept {
            None => own?,
            Some(IpAddr::V4(_)) if family == V6 => return None,
            Some(IpAddr::V6(_)) if family == V4 && !extended => return None,
            Some(IpAddr::V6(hop)) if hop.is_unicast_link_local() => own?,
            Some(hop) => NextHop::from(hop),
        });
        if !internal {
            naive_rules::send_out(to, &mut sent);
            sent.as_path.prepend(LOCAL_AS);
            sent.local_pref = None;
            // Our own routes carry none of themselves.
            if !made.med {
                sent.med = None;
            }
            sent.originator_id = None;
            sent.cluster_list.clear();
            sent.extended_communities.retain(|community| community.0[0] & 0x40 == 0);
            return Some(sent);
        }
        sent.local_pref = Some(sent.local_pref.unwrap_or(100));
        if to.rules.graceful_shutdown {
            sent.local_pref = Some(0);
        }
        if let Some(source) = source.filter(|source| source.negotiated.kind == PeerKind::Ibgp) {
            let is_meshed = to.rules.is_meshed_client;
            let (from, to) = (source.reflector_client, to.reflector_client);
            let are_meshed = source.rules.is_meshed_client && is_meshed && from.is_some() && to.is_some();
            if (from.is_none() && to.is_none()) || are_meshed {
                return None;
            }
            sent.originator_id = sent.originator_id.or(Some(source.negotiated.remote_router_id));
            if let Some(cluster) = from {
                sent.cluster_list.insert(0, cluster);
            }
            if let Some(cluster) = to.filter(|_| from != to) {
                sent.cluster_list.insert(0, cluster);
            }
        }
        Some(sent)
    }
}

fn is_ours(terms: &RibPeer, attributes: &PathAttributes) -> bool {
    let key = hop_of(attributes).unwrap();
    let hop = key.address;
    let own_on_link = terms.link.and_then(|link| link.link_local).map(IpAddr::from);
    (key.interface.is_some() && Some(hop) == own_on_link)
        || hop == terms.negotiated.local.ip()
        || Some(hop) == terms.next_hop_v4.map(IpAddr::from)
        || Some(hop) == terms.next_hop_v6.map(IpAddr::from)
}

fn is_loop(terms: &RibPeer, received: &PathAttributes, clusters: &BTreeSet<ClusterId>) -> bool {
    received.as_path.asns().filter(|asn| *asn == LOCAL_AS).count() > usize::from(terms.allow_local_as)
        || received.originator_id == Some(ROUTER_ID)
        || received.cluster_list.iter().any(|cluster| clusters.contains(cluster))
        || is_ours(terms, received)
}

fn own_next_hop(to: &RibPeer, family: AfiSafi) -> Option<NextHop> {
    let extended = to.negotiated.extended_next_hop;
    let on_link = to.link.and_then(|link| link.link_local);
    match (family == V4, to.negotiated.local.ip()) {
        (true, IpAddr::V4(own)) => Some(NextHop::V4(own)),
        (true, IpAddr::V6(global)) if extended => Some(NextHop::V6 { global, link_local: on_link }),
        (false, IpAddr::V6(global)) => Some(NextHop::V6 { global, link_local: on_link }),
        (true, _) => to.next_hop_v4.map(NextHop::V4),
        (false, _) => to.next_hop_v6.map(|own| NextHop::from(IpAddr::from(own))),
    }
}

fn own_default(to: &RibPeer, family: AfiSafi) -> Option<PathAttributes> {
    let next_hop = Some(own_next_hop(to, family)?);
    let mut sent = PathAttributes { next_hop, ..PathAttributes::default() };
    if to.negotiated.kind == PeerKind::Ibgp {
        sent.local_pref = Some(if to.rules.graceful_shutdown { 0 } else { 100 });
    } else {
        naive_rules::send_out(to, &mut sent);
        sent.as_path.prepend(LOCAL_AS);
    }
    Some(sent)
}

fn lowest<K: Ord>(keys: &mut Vec<Key>, by: impl Fn(&Key) -> K) {
    if let Some(min) = keys.iter().map(&by).min() {
        keys.retain(|key| by(key) == min);
    }
}

struct Both {
    /// As configured last.
    policies: BTreeMap<u8, (Arc<Policy>, Arc<Policy>)>,
    maximums: BTreeMap<u8, Option<NonZeroU8>>,
    rules: BTreeMap<u8, UpdateRules>,
    clients: BTreeMap<u8, Option<ClusterId>>,
    intervals: BTreeMap<u8, u16>,
    world: World,
    model: Model,
    /// Identifiers with which living paths have been sent.
    path_ids: BTreeMap<Key, u32>,
}

impl Both {
    fn new() -> Self {
        let mut world = World::new();
        world.resolve = false;
        let model = Model { config: Some(config()), ..Model::default() };
        Self {
            policies: BTreeMap::new(),
            maximums: BTreeMap::new(),
            rules: BTreeMap::new(),
            clients: BTreeMap::new(),
            intervals: BTreeMap::new(),
            world,
            model,
            path_ids: BTreeMap::new(),
        }
    }

    fn run(&mut self, op: Op, window: usize) {
        let now = self.world.now;
        let is_up =
            |model: &Model, peer: u8| model.peers.get(&peer_id(peer.into())).is_some_and(|peer| peer.up);
        match op {
            Op::Up { peer, forwarding } if !is_up(&self.model, peer) => {
                self.drain();
                let (import, export) = self.policies.get(&peer).cloned().unwrap_or_default();
                let add_path_maximum = self.maximums.get(&peer).copied().flatten();
                let terms = RibPeer { transmit_window: window, import, export, ..roster(peer) };
                let advertisement_interval_secs = self.intervals.get(&peer).copied().unwrap_or_default();
                let mut terms = RibPeer { add_path_maximum, advertisement_interval_secs, ..terms };
                terms.rules = self.rules.get(&peer).copied().unwrap_or_default();
                if let Some(client) = self.clients.get(&peer) {
                    terms.reflector_client = *client;
                }
                if let Some(PeerRestart { families, .. }) = &mut terms.negotiated.restart {
                    families[0].1 = forwarding;
                }
                self.model.up(&terms, now);
                // What comes before the next drain comes with the session.
                self.world.feed(RibEvent::PeerUp(Box::new(terms)));
            }
            Op::Down { peer, retain } => {
                self.drain();
                let peer = peer_id(peer.into());
                self.model.down(peer, &retain, now);
                self.world.feed(RibEvent::PeerDown { peer, retain: rib_support::retain(&retain) });
                self.drain();
            }
            Op::Announce { peer, prefixes, attributes, path_id } => {
                self.announce(peer, &prefixes, *attributes, path_id);
            }
            Op::Withdraw { peer, prefixes, path_id } => {
                let id = peer_id(peer.into());
                if is_up(&self.model, peer) {
                    prefixes.iter().for_each(|p| self.model.remove((net(PREFIXES[*p]), Some(id), path_id)));
                }
                for prefix in prefixes {
                    let mut update = unreach(&[PREFIXES[prefix]]);
                    update.unreach[0].nlri[0].path_id = path_id;
                    self.world.feed(RibEvent::Update { peer: id, update: Box::new(update) });
                }
            }
            Op::EndOfRib { peer, family } => {
                let id = peer_id(peer.into());
                if let Some(known) = self.model.peers.get_mut(&id).filter(|peer| peer.up) {
                    known.ended.insert(family);
                    if !known.refreshing.contains(&family) {
                        self.model.sweep(id, family);
                    }
                }
                self.world.feed(RibEvent::Update { peer: id, update: Box::new(end_of_rib(family)) });
            }
            Op::Refresh { peer, family } => {
                self.world.feed(RibEvent::Refresh { peer: peer_id(peer.into()), family });
            }
            Op::RefreshBegan { peer, family } => {
                let id = peer_id(peer.into());
                self.model.refresh(id, family, now);
                self.world.feed(RibEvent::RefreshBegan { peer: id, family });
            }
            Op::RefreshEnded { peer, family } => {
                let id = peer_id(peer.into());
                if self.model.peers.get(&id).is_some_and(|peer| peer.refreshing.contains(&family)) {
                    self.model.sweep(id, family);
                }
                self.world.feed(RibEvent::RefreshEnded { peer: id, family });
            }
            Op::Originate(routes) => {
                let routes: BTreeMap<_, _> =
                    routes.into_iter().map(|(p, pref)| (net(PREFIXES[p]), pref)).collect();
                self.model.remove_paths(|key, _| key.1.is_none() && !routes.contains_key(&key.0));
                for (prefix, local_pref) in &routes {
                    let attributes =
                        PathAttributes { local_pref: Some(*local_pref), ..PathAttributes::default() };
                    let path = ModelPath {
                        received: attributes.clone(),
                        attributes,
                        is_rejected: false,
                        session: 0,
                        is_stale: false,
                    };
                    self.model.paths.insert((*prefix, None, 0), path);
                }
                let routes =
                    routes.into_iter().map(|(prefix, local_pref)| OriginatedRoute { prefix, local_pref });
                self.world.feed(RibEvent::Originate(routes.collect()));
            }
            Op::NextHop { next_hop, status } => {
                // Only what is tracked is reported, as the resolver does; so drain first.
                self.drain();
                let next_hop: NextHopKey = REPORTED[next_hop].parse().unwrap();
                if self.world.tracked.contains(&next_hop) {
                    self.model.statuses.insert(next_hop, status.clone());
                    self.world.feed(RibEvent::NextHopChanged(vec![(next_hop, status)]));
                }
            }
            Op::Resolve => {
                self.drain();
                let unknown = self.world.tracked.iter().filter(|hop| !self.model.statuses.contains_key(hop));
                for next_hop in unknown.copied().collect::<Vec<_>>() {
                    let status = NextHopStatus::Reachable { metric: 0 };
                    self.model.statuses.insert(next_hop, status.clone());
                    self.world.feed(RibEvent::NextHopChanged(vec![(next_hop, status)]));
                }
            }
            Op::Configure(config) => {
                self.model.config = Some(config.clone());
                self.world.feed(RibEvent::Configure(config));
            }
            Op::Bandwidth { peer, bytes_per_sec } => {
                let id = peer_id(peer.into());
                if let Some(peer) = self.model.peers.get_mut(&id) {
                    peer.terms.link_bandwidth = bytes_per_sec;
                }
                self.world.feed(RibEvent::LinkBandwidth { peer: id, bytes_per_sec });
            }
            Op::Policy { peer, import, export } => {
                let (old_import, old_export) = self.policies.get(&peer).cloned().unwrap_or_default();
                let import = import.map_or(old_import, Arc::new);
                let export = export.map_or(old_export, Arc::new);
                self.policies.insert(peer, (Arc::clone(&import), Arc::clone(&export)));
                let peer = peer_id(peer.into());
                if let Some(known) = self.model.peers.get_mut(&peer) {
                    known.terms.import = Arc::clone(&import);
                    known.terms.export = Arc::clone(&export);
                }
                self.world.feed(RibEvent::PolicyChanged { peer, import, export });
            }
            Op::Maximum { peer, maximum } => {
                self.maximums.insert(peer, maximum);
                let peer = peer_id(peer.into());
                if let Some(known) = self.model.peers.get_mut(&peer) {
                    known.terms.add_path_maximum = maximum;
                }
                self.world.feed(RibEvent::AddPathMaximum { peer, maximum });
            }
            Op::Rules { peer, rules } => {
                self.rules.insert(peer, rules);
                let peer = peer_id(peer.into());
                if let Some(known) = self.model.peers.get_mut(&peer) {
                    known.terms.rules = rules;
                }
                self.world.feed(RibEvent::RulesChanged { peer, rules });
            }
            Op::Interval { peer, secs } => {
                self.intervals.insert(peer, secs);
                self.world.feed(RibEvent::AdvertisementInterval { peer: peer_id(peer.into()), secs });
            }
            Op::Client { peer, cluster } => {
                let client = cluster.map(|n| ClusterId([1, 1, 1, n].into()));
                self.clients.insert(peer, client);
                let peer = peer_id(peer.into());
                if let Some(known) = self.model.peers.get_mut(&peer) {
                    known.terms.reflector_client = client;
                }
                self.world.feed(RibEvent::ReflectorClientChanged { peer, client });
            }
            Op::Pass(secs) => {
                self.drain();
                self.world.pass(secs);
                self.model.pass(self.world.now);
                self.drain();
            }
            Op::Transmitted { peer } => {
                let peer = peer_id(peer.into());
                if let Some(bytes) =
                    self.world.told.get(&peer).map(|told| told.pending).filter(|bytes| *bytes > 0)
                {
                    self.world.feed(RibEvent::Transmitted { peer, bytes });
                }
            }
            Op::Neighbors(peers) => {
                self.drain();
                let peers: Vec<_> = peers.into_iter().map(|peer| peer_id(peer.into())).collect();
                for id in self.model.peers.keys().copied().collect::<Vec<_>>() {
                    if !peers.contains(&id) {
                        self.model.down(id, &[], now);
                        self.model.peers.remove(&id);
                    }
                }
                self.world.feed(RibEvent::Neighbors(peers));
                self.drain();
            }
            Op::Up { .. } | Op::Drain => self.drain(),
        }
    }

    fn announce(&mut self, peer: u8, prefixes: &[usize], attributes: PathAttributes, path_id: u32) {
        let id = peer_id(peer.into());
        let hop = attributes.next_hop.unwrap().addr();
        // RFC 8950 where it is negotiated.
        let is_sent = |prefix: &&str| {
            hop.is_ipv6() == prefix.contains(':')
                || (hop.is_ipv6() && roster(peer).negotiated.extended_next_hop)
        };
        for prefix in prefixes.iter().map(|prefix| PREFIXES[*prefix]).filter(is_sent) {
            let mut update = reach(&attributes, &[prefix]);
            update.reach[0].nlri[0].path_id = path_id;
            self.world.feed(RibEvent::Update { peer: id, update: Box::new(update) });
            let Some(known) = self.model.peers.get(&id).filter(|peer| peer.up) else { continue };
            if !known.terms.negotiated.families.contains(&AfiSafi::of(&net(prefix))) {
                continue;
            }
            let mut attributes = attributes.clone();
            let is_link_local = matches!(hop, IpAddr::V6(hop) if hop.is_unicast_link_local());
            attributes.interface = known.terms.link.map(|link| link.interface).filter(|_| is_link_local);
            if known.terms.negotiated.kind == PeerKind::Ebgp {
                attributes.local_pref = None;
                attributes.originator_id = None;
                attributes.cluster_list.clear();
            }
            let path = ModelPath {
                received: attributes.clone(),
                attributes,
                is_rejected: false,
                session: known.session,
                is_stale: false,
            };
            self.model.paths.insert((net(prefix), Some(id), path_id), path);
        }
    }

    fn drain(&mut self) {
        self.world.drain();
        // What is not used any more is forgotten, and looked up anew when it comes back.
        let tracked = &self.world.tracked;
        self.model.statuses.retain(|next_hop, _| tracked.contains(next_hop));
        self.model.recompute();
        self.check_loc();
    }

    fn check_loc(&self) {
        let mut expected = BTreeMap::new();
        for (prefix, used) in &self.model.best {
            let weights = self.model.weights(used);
            let used: Vec<_> = used
                .iter()
                .zip(weights)
                .map(|(key, weight)| {
                    let source = key.1.map_or(PathSource::Local, PathSource::Peer);
                    (source, self.model.paths[key].attributes.clone(), weight)
                })
                .collect();
            expected.insert(*prefix, used);
        }
        let actual: BTreeMap<_, Vec<_>> = self
            .world
            .loc
            .iter()
            .map(|(prefix, paths)| {
                (
                    *prefix,
                    paths
                        .iter()
                        .map(|path| (path.source.clone(), (*path.attributes).clone(), path.weight))
                        .collect(),
                )
            })
            .collect();
        assert_eq!(actual, expected, "Loc-RIB");
        let used: BTreeSet<NextHopKey> =
            self.model.paths.values().filter_map(|path| hop_of(&path.attributes)).collect();
        assert_eq!(self.world.tracked, used, "tracked next hops");
    }

    /// Nobody is said to have what he has not, and nothing is said to be on its way when all is told.
    fn check_explanations(&self) {
        for prefix in self.model.paths.keys().map(|key| key.0).collect::<BTreeSet<_>>() {
            for export in &self.world.rib.explain(prefix, false).unwrap().exports {
                let is_it = |(id, _): &(&PeerId, &Told)| {
                    self.model.peers.get(*id).is_some_and(|peer| peer.terms.name == export.peer)
                };
                let told = self.world.told.iter().find(is_it);
                let holds = told.is_some_and(|(_, told)| told.paths.keys().any(|nlri| nlri.prefix == prefix));
                match &export.fate {
                    ExportFate::Advertised { .. } => assert!(holds, "{prefix}: {export:?}"),
                    ExportFate::Pending => panic!("{prefix}: {export:?}"),
                    ExportFate::Down => assert!(told.is_none(), "{prefix}: {export:?}"),
                    ExportFate::Family
                    | ExportFate::NoBest
                    | ExportFate::Source
                    | ExportFate::Withheld { .. } => assert!(!holds, "{prefix}: {export:?}"),
                }
            }
        }
    }

    /// Every interval ends at once.
    fn end_pauses(&mut self) {
        for peer in 0..PEERS {
            self.world.feed(RibEvent::AdvertisementInterval { peer: peer_id(peer.into()), secs: 0 });
        }
        self.drain();
    }

    /// Nobody holds a prefix of which there is nothing for him any more.
    fn check_withdrawals(&self) {
        for (id, told) in &self.world.told {
            let Some(peer) = self.model.peers.get(id) else { continue };
            let expected = self.model.advertised(&peer.terms);
            for nlri in told.paths.keys() {
                assert!(expected.contains_key(&nlri.prefix), "{id} still holds {nlri:?}");
            }
            assert_eq!(told.spurious, 0, "{id} was told to forget what it was never told");
        }
    }

    fn check_peers(&mut self) {
        self.check_explanations();
        let is_up = |peer: &ModelPeer| peer.up && !peer.terms.negotiated.encode.add_path_send.is_empty();
        if !self.model.peers.values().any(is_up) {
            self.path_ids.clear();
        }
        self.path_ids.retain(|key, _| self.model.paths.contains_key(key));
        for (id, told) in &self.world.told {
            let Some(peer) = self.model.peers.get(id) else { continue };
            let expected = self.model.advertised(&peer.terms);
            let mut left = told.paths.clone();
            for (key, attributes) in expected.values().flatten() {
                let is_it =
                    |(nlri, sent): &(&Nlri, &PathAttributes)| nlri.prefix == key.0 && *sent == attributes;
                let alike: Vec<Nlri> = left.iter().filter(is_it).map(|(nlri, _)| *nlri).collect();
                assert!(!alike.is_empty(), "{id} has not been told {key:?} {attributes:?}: {left:#?}");
                left.remove(&alike[0]);
                let is_named = peer.terms.negotiated.encode.add_path_send.contains(&AfiSafi::of(&key.0));
                assert_eq!(alike[0].path_id != 0, is_named, "{:?}", alike[0]);
                let twins = expected[&key.0].iter().filter(|(_, other)| other == attributes).count();
                if is_named && twins == 1 {
                    let known = *self.path_ids.entry(*key).or_insert(alike[0].path_id);
                    assert_eq!(alike[0].path_id, known, "{key:?} has another identifier now");
                }
            }
            assert_eq!(left, BTreeMap::new(), "{id} holds more");
            assert_eq!(told.spurious, 0, "{id} was told to forget what it was never told");
        }
        let summaries = self.world.rib.peers();
        for summary in &summaries {
            let paths = self.model.paths.keys().filter(|key| key.1 == Some(summary.peer)).count();
            let received: usize = summary.families.iter().map(|family| family.received).sum();
            let best = self.model.best.values().filter(|used| used[0].1 == Some(summary.peer)).count();
            assert_eq!(received, paths, "{} received", summary.name);
            assert_eq!(summary.families.iter().map(|f| f.best).sum::<usize>(), best, "{} best", summary.name);
            let advertised: usize = summary.families.iter().map(|family| family.advertised).sum();
            let told = self.world.told.get(&summary.peer).map_or(0, |told| told.paths.len());
            assert_eq!(advertised, told, "{} advertised", summary.name);
        }
    }
}

/// In every second run all peers are up from the beginning.
fn runs(ops_max: usize) -> impl Strategy<Value = Vec<Op>> {
    (any::<bool>(), prop::collection::vec(ops(), 1..ops_max)).prop_map(|(is_up, ops)| {
        let up = (0..PEERS).filter(|_| is_up).map(|peer| Op::Up { peer, forwarding: true });
        up.chain(ops).collect()
    })
}

proptest! {
    #[test]
    fn loc_rib_and_every_peer_agree_with_the_model(ops in runs(120)) {
        let mut both = Both::new();
        for op in ops {
            both.run(op, OPEN);
            both.world.drain();
            both.drain();
            both.end_pauses();
            both.check_peers();
        }
    }

    /// Advertisements that wait (RFC 4271 §9.2.1.1) are told in the end, and withdrawals never wait.
    #[test]
    fn paced_peers_end_up_with_the_last_state(ops in runs(160), intervals in prop::array::uniform11(prop_oneof![Just(0u16), Just(1), Just(30)])) {
        let mut both = Both::new();
        both.intervals = (0..PEERS).zip(intervals).collect();
        for op in ops {
            both.run(op, OPEN);
            both.drain();
            both.check_withdrawals();
        }
        both.end_pauses();
        both.check_peers();
    }

    /// Windows smaller than one message: peers fall behind all the time, and still end up with the last state.
    #[test]
    fn slow_peers_end_up_with_the_last_state(ops in runs(160), window in 1..400usize) {
        let mut both = Both::new();
        both.world.transmit = false;
        for op in ops {
            both.run(op, window);
        }
        both.drain();
        both.end_pauses();
        both.world.flush();
        both.check_peers();
    }
}
