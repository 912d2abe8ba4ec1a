//! A speaker around one RIB: feeds it, drains it, and plays every peer's side by decoding the very bytes that
//! peer is sent.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

// interop-tests/fuzz takes the rest of this module.
#[cfg(not(fuzzing))]
pub(crate) mod naive_policy;
pub(crate) mod naive_rules;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bgp::peer::{Negotiated, NextHopMode, PeerRestart};
use bgp::rib::snapshot::{PathUsage, RouteSelection, RouteSnapshot};
use bgp::rib::{
    BestPath, DecisionRules, ExportPolicy, MultipathRules, NextHopStatus, OriginatedRoute, Retain, Rib,
    RibConfig, RibEffect, RibEvent, RibPeer, UpdateRules,
};
use bgp::wire::{
    AsPath, DecodeContext, EncodeContext, HEADER_LEN, Message, NextHop, PathAttributes, Reach, Unreach,
    Update, decode_message, frame_len,
};
use bgp::{AfiSafi, Asn, ClusterId, Nlri, PeerId, PeerKind, RouterId};
use bytes::Bytes;
use ipnet::IpNet;

pub(crate) const V4: AfiSafi = AfiSafi::IPV4_UNICAST;
pub(crate) const V6: AfiSafi = AfiSafi::IPV6_UNICAST;
pub(crate) const LOCAL_AS: Asn = Asn(64512);
pub(crate) const ROUTER_ID: RouterId = RouterId(Ipv4Addr::new(10, 255, 0, 1));
/// A window that is never full.
pub(crate) const OPEN: usize = 1 << 40;

pub(crate) fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn peer_id(index: u32) -> PeerId {
    PeerId { index, generation: 0 }
}

pub(crate) fn multipath(max: u16) -> DecisionRules {
    DecisionRules { multipath: MultipathRules::up_to(max), ..DecisionRules::default() }
}

pub(crate) fn config() -> RibConfig {
    RibConfig {
        router_id: ROUTER_ID,
        decision: DecisionRules::default(),
        export: ExportPolicy::default(),
        restarting: false,
    }
}

/// Peer `index` with address and identifier 10.0.0.`index`, both families, next hops 10.255.0.1 and
/// 2001:db8:ff::1.
pub(crate) fn peer(index: u8, kind: PeerKind) -> RibPeer {
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, index));
    let remote_as = match kind {
        PeerKind::Ibgp => LOCAL_AS,
        PeerKind::Ebgp => Asn(65000 + u32::from(index)),
    };
    RibPeer {
        peer: peer_id(index.into()),
        name: format!("peer{index}"),
        address,
        negotiated: Negotiated {
            kind,
            local_as: LOCAL_AS,
            remote_as,
            remote_router_id: RouterId(Ipv4Addr::new(10, 0, 0, index)),
            local: SocketAddr::from(([10, 255, 0, 1], 179)),
            remote: SocketAddr::new(address, 179),
            hold_time_secs: 90,
            keepalive_secs: 30,
            families: vec![V4, V6],
            route_refresh: true,
            restart: None,
            role: None,
            decode: DecodeContext { kind, ..DecodeContext::default() },
            encode: EncodeContext::default(),
            remote_capabilities: Vec::new(),
        },
        add_path_maximum: None,
        next_hop_mode: NextHopMode::Auto,
        next_hop_v4: None,
        next_hop_v6: Some("2001:db8:ff::1".parse().unwrap()),
        allow_local_as: 0,
        rules: UpdateRules::default(),
        prefix_limit: None,
        reflector_client: None,
        transmit_window: OPEN,
        advertisement_interval_secs: 0,
        import: Arc::default(),
        export: Arc::default(),
    }
}

pub(crate) fn ebgp(index: u8) -> RibPeer {
    peer(index, PeerKind::Ebgp)
}

pub(crate) fn ibgp(index: u8) -> RibPeer {
    peer(index, PeerKind::Ibgp)
}

pub(crate) fn client(index: u8, cluster: u8) -> RibPeer {
    RibPeer { reflector_client: Some(ClusterId(Ipv4Addr::new(1, 1, 1, cluster))), ..ibgp(index) }
}

/// The peer knows graceful restart and kept forwarding for both families.
pub(crate) fn with_restart(mut peer: RibPeer) -> RibPeer {
    peer.negotiated.restart = Some(PeerRestart {
        restarting: false,
        restart_time_secs: 120,
        families: vec![(V4, true), (V6, true)],
    });
    peer
}

pub(crate) fn retain(families: &[AfiSafi]) -> Option<Retain> {
    Some(Retain { families: families.to_vec(), restart_time_secs: 120 })
}

pub(crate) fn as_path(asns: &[u32]) -> AsPath {
    AsPath::sequence(asns.iter().map(|asn| Asn(*asn)))
}

pub(crate) fn next_hop(text: &str) -> NextHop {
    NextHop::from(ip(text))
}

pub(crate) fn via(text: &str, asns: &[u32]) -> PathAttributes {
    PathAttributes { as_path: as_path(asns), next_hop: Some(next_hop(text)), ..PathAttributes::default() }
}

/// An UPDATE as the decoder gives it: the next hop stands beside the prefixes.
pub(crate) fn reach(attributes: &PathAttributes, prefixes: &[&str]) -> Update {
    let nlri: Vec<Nlri> = prefixes.iter().map(|prefix| Nlri::from(net(prefix))).collect();
    let family = AfiSafi::of(&nlri[0].prefix);
    Update {
        attributes: PathAttributes { next_hop: None, ..attributes.clone() },
        reach: vec![Reach { family, next_hop: attributes.next_hop.unwrap(), nlri }],
        ..Update::default()
    }
}

pub(crate) fn unreach(prefixes: &[&str]) -> Update {
    let nlri: Vec<Nlri> = prefixes.iter().map(|prefix| Nlri::from(net(prefix))).collect();
    Update { unreach: vec![Unreach { family: AfiSafi::of(&nlri[0].prefix), nlri }], ..Update::default() }
}

pub(crate) fn end_of_rib(family: AfiSafi) -> Update {
    Update { end_of_rib: Some(family), ..Update::default() }
}

/// What one peer has been told.
pub(crate) struct Told {
    decode: DecodeContext,
    window: usize,
    /// By prefix, as the peer's own Adj-RIB-In would have it; of several paths the one received last.
    pub(crate) routes: BTreeMap<IpNet, PathAttributes>,
    /// By prefix and path identifier.
    pub(crate) paths: BTreeMap<Nlri, PathAttributes>,
    pub(crate) end_of_rib: Vec<AfiSafi>,
    /// Withdrawals of what the peer did not hold.
    pub(crate) spurious: usize,
    pub(crate) messages: usize,
    /// Bytes handed out and not yet reported as transmitted.
    pub(crate) pending: usize,
}

pub(crate) struct World {
    pub(crate) rib: Rib,
    pub(crate) now: Instant,
    pub(crate) told: BTreeMap<PeerId, Told>,
    /// The Loc-RIB as the changes add up.
    pub(crate) loc: BTreeMap<IpNet, Vec<BestPath>>,
    pub(crate) tracked: BTreeSet<IpAddr>,
    pub(crate) in_sync: bool,
    /// Answer `TrackNextHop` at once.
    pub(crate) resolve: bool,
    /// Report bytes as transmitted at once.
    pub(crate) transmit: bool,
    /// Effects of the last drain, in order, as short texts.
    pub(crate) log: Vec<String>,
    /// Every `Transmit` of the last drain.
    pub(crate) sent: Vec<(Vec<PeerId>, Bytes)>,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let mut world = Self {
            rib: Rib::new(now),
            now,
            told: BTreeMap::new(),
            loc: BTreeMap::new(),
            tracked: BTreeSet::new(),
            in_sync: false,
            resolve: true,
            transmit: true,
            log: Vec::new(),
            sent: Vec::new(),
        };
        world.event(RibEvent::Configure(config()));
        world
    }

    /// Without draining.
    pub(crate) fn feed(&mut self, event: RibEvent) {
        match &event {
            RibEvent::PeerUp(peer) => {
                let encode = &peer.negotiated.encode;
                let told = Told {
                    decode: DecodeContext {
                        four_octet_as: encode.four_octet_as,
                        add_path_receive: encode.add_path_send.clone(),
                        extended_message: encode.extended_message,
                        kind: peer.negotiated.kind,
                    },
                    window: peer.transmit_window,
                    routes: BTreeMap::new(),
                    paths: BTreeMap::new(),
                    end_of_rib: Vec::new(),
                    spurious: 0,
                    messages: 0,
                    pending: 0,
                };
                self.told.insert(peer.peer, told);
            }
            RibEvent::PeerDown { peer, .. } => {
                self.told.remove(peer);
            }
            RibEvent::Neighbors(peers) => self.told.retain(|peer, _| peers.contains(peer)),
            RibEvent::Transmitted { peer, bytes } => self.told.get_mut(peer).unwrap().pending -= bytes,
            _ => {}
        }
        self.rib.handle(event, self.now);
    }

    pub(crate) fn event(&mut self, event: RibEvent) {
        self.feed(event);
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        self.log.clear();
        self.sent.clear();
        loop {
            let mut events = Vec::new();
            while let Some(effect) = self.rib.poll_effect() {
                self.apply(effect, &mut events);
            }
            if events.is_empty() {
                return;
            }
            events.into_iter().for_each(|event| self.feed(event));
        }
    }

    fn apply(&mut self, effect: RibEffect, events: &mut Vec<RibEvent>) {
        match effect {
            RibEffect::BestChanged(changes) => {
                assert!(!changes.is_empty() && changes.len() <= 1024);
                for change in changes {
                    self.log.push(format!("best {} {}", change.prefix, change.paths.len()));
                    if change.paths.is_empty() {
                        assert!(self.loc.remove(&change.prefix).is_some(), "nothing to take away");
                    } else {
                        self.loc.insert(change.prefix, change.paths);
                    }
                }
            }
            RibEffect::Transmit { peers, messages } => {
                assert!(!peers.is_empty() && messages.len() <= 65_536);
                for peer in &peers {
                    self.receive(*peer, &messages);
                    if self.transmit {
                        events.push(RibEvent::Transmitted { peer: *peer, bytes: messages.len() });
                    }
                }
                self.log.push(format!("transmit {} to {}", messages.len(), peers.len()));
                self.sent.push((peers, messages));
            }
            RibEffect::TrackNextHop(next_hop) => {
                self.log.push(format!("track {next_hop}"));
                assert!(self.tracked.insert(next_hop), "{next_hop} tracked twice");
                if self.resolve {
                    let status = NextHopStatus::Reachable { metric: 0 };
                    events.push(RibEvent::NextHopChanged(vec![(next_hop, status)]));
                }
            }
            RibEffect::UntrackNextHop(next_hop) => {
                self.log.push(format!("untrack {next_hop}"));
                assert!(self.tracked.remove(&next_hop), "{next_hop} was not tracked");
            }
            RibEffect::TooManyPrefixes { peer, family, received } => {
                self.log.push(format!("{peer} sent {received} prefixes, most of {family}"));
            }
            RibEffect::InSync => {
                self.log.push("in sync".to_owned());
                assert!(!self.in_sync, "in sync twice");
                self.in_sync = true;
            }
        }
    }

    fn receive(&mut self, peer: PeerId, messages: &Bytes) {
        let told = self.told.get_mut(&peer).unwrap_or_else(|| panic!("bytes for {peer}, which is down"));
        told.pending += messages.len();
        let mut rest = messages.clone();
        while !rest.is_empty() {
            let len = frame_len(&rest[..HEADER_LEN], &told.decode).unwrap().unwrap();
            let message = decode_message(&rest.split_to(len), &told.decode).unwrap();
            let Message::Update(decoded) = message else { panic!("not an UPDATE") };
            assert_eq!(decoded.errors, [], "the peer finds errors");
            told.messages += 1;
            let update = decoded.update;
            told.end_of_rib.extend(update.end_of_rib);
            for nlri in update.unreach.iter().flat_map(|unreach| &unreach.nlri) {
                told.spurious += usize::from(told.paths.remove(nlri).is_none());
                let mut others = told.paths.iter().filter(|(other, _)| other.prefix == nlri.prefix);
                match others.next() {
                    Some((_, attributes)) => drop(told.routes.insert(nlri.prefix, attributes.clone())),
                    None => drop(told.routes.remove(&nlri.prefix)),
                }
            }
            for reach in update.reach {
                let attributes =
                    PathAttributes { next_hop: Some(reach.next_hop), ..update.attributes.clone() };
                for nlri in reach.nlri {
                    told.routes.insert(nlri.prefix, attributes.clone());
                    told.paths.insert(nlri, attributes.clone());
                }
            }
        }
    }

    pub(crate) fn up(&mut self, peer: RibPeer) -> PeerId {
        let id = peer.peer;
        self.event(RibEvent::PeerUp(Box::new(peer)));
        id
    }

    pub(crate) fn down(&mut self, peer: PeerId, retain: Option<Retain>) {
        self.event(RibEvent::PeerDown { peer, retain });
    }

    pub(crate) fn update(&mut self, peer: PeerId, update: Update) {
        self.event(RibEvent::Update { peer, update: Box::new(update) });
    }

    pub(crate) fn originate(&mut self, routes: &[(&str, u32)]) {
        let route = |(prefix, local_pref): &(&str, u32)| OriginatedRoute {
            prefix: net(prefix),
            local_pref: *local_pref,
        };
        self.event(RibEvent::Originate(routes.iter().map(route).collect()));
    }

    pub(crate) fn next_hop(&mut self, text: &str, status: NextHopStatus) {
        self.event(RibEvent::NextHopChanged(vec![(ip(text), status)]));
    }

    /// Lets time pass, waking up whenever the RIB asks for it.
    pub(crate) fn pass(&mut self, secs: u64) {
        let end = self.now + Duration::from_secs(secs);
        while let Some(deadline) = self.rib.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.event(RibEvent::Deadline);
            assert!(self.rib.next_deadline() != Some(deadline), "a deadline that does nothing");
        }
        self.now = end;
    }

    /// Reports everything as transmitted until nothing more comes.
    pub(crate) fn flush(&mut self) {
        loop {
            let pending: Vec<_> = self.told.iter().map(|(peer, told)| (*peer, told.pending)).collect();
            let mut is_idle = true;
            for (peer, bytes) in pending.into_iter().filter(|(_, bytes)| *bytes > 0) {
                is_idle = false;
                self.event(RibEvent::Transmitted { peer, bytes });
            }
            if is_idle {
                return;
            }
        }
    }

    pub(crate) fn told(&self, peer: PeerId) -> &Told {
        &self.told[&peer]
    }

    pub(crate) fn held(&self, peer: PeerId, prefix: &str) -> Option<&PathAttributes> {
        self.told[&peer].routes.get(&net(prefix))
    }

    pub(crate) fn route(&self, prefix: &str) -> RouteSnapshot {
        let page = self.rib.routes(&RouteSelection::Exact(net(prefix)), 1);
        page.routes.into_iter().next().unwrap_or_else(|| panic!("no route {prefix}"))
    }

    /// Source and usage of each path.
    pub(crate) fn usages(&self, prefix: &str) -> Vec<(String, PathUsage)> {
        self.route(prefix).paths.into_iter().map(|path| (path.source, path.usage)).collect()
    }

    /// Name of the best path's source.
    pub(crate) fn best(&self, prefix: &str) -> Option<String> {
        let page = self.rib.routes(&RouteSelection::Exact(net(prefix)), 1);
        let paths = page.routes.into_iter().flat_map(|route| route.paths);
        paths.into_iter().find(|path| path.usage == PathUsage::Best).map(|path| path.source)
    }
}

pub(crate) fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}
