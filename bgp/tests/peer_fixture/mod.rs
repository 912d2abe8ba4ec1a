//! Speakers on loopback addresses, and neighbors made of a bare socket and the codec.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bgp::io::{Desired, RibHandle, RibSink, Speaker};
use bgp::peer::{NeighborConfig, PeerSnapshot, State};
use bgp::rib::{BestChange, BestPath, ExportPolicy, NextHopStatus, OriginatedRoute, RibConfig, RibEvent};
use bgp::wire::{
    Capability, DecodeContext, EncodeContext, Message, Notification, OpenMessage, decode_message,
    encode_message, frame_len,
};
use bgp::{AfiSafi, Asn, RouterId};
use bytes::BytesMut;
use ipnet::IpNet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// Longest that anything here may take. Only a failure waits for so long.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The Loc-RIB as a sink has seen it.
pub type Routes = Arc<Mutex<BTreeMap<IpNet, Vec<BestPath>>>>;

/// A speaker, what its RIB chose, and where it listens.
pub struct Node {
    pub speaker: Speaker,
    pub rib: RibHandle,
    pub routes: Routes,
    pub desired: Desired,
    pub address: IpAddr,
    pub port: u16,
}

struct Sink {
    routes: Routes,
    next_hops: mpsc::UnboundedSender<IpAddr>,
    /// Held by a test, it keeps the RIB's thread from going on.
    gate: Arc<Mutex<()>>,
}

impl RibSink for Sink {
    fn best_changed(&mut self, changes: Vec<BestChange>) {
        drop(self.gate.lock().unwrap());
        let mut routes = self.routes.lock().unwrap();
        for BestChange { prefix, paths } in changes {
            if paths.is_empty() {
                routes.remove(&prefix)
            } else {
                routes.insert(prefix, paths)
            };
        }
    }

    fn track_next_hop(&mut self, next_hop: IpAddr) {
        self.next_hops.send(next_hop).ok();
    }

    fn untrack_next_hop(&mut self, _: IpAddr) {}

    fn in_sync(&mut self) {}
}

impl Node {
    /// Listens on a port of its own at `address` and has no neighbors yet.
    pub async fn start(address: &str) -> Self {
        Self::gated(address, Arc::default()).await
    }

    pub async fn gated(address: &str, gate: Arc<Mutex<()>>) -> Self {
        let address: IpAddr = address.parse().unwrap();
        let routes = Routes::default();
        let (next_hops, mut tracked) = mpsc::unbounded_channel();
        let rib = RibHandle::spawn(Box::new(Sink { routes: routes.clone(), next_hops, gate })).unwrap();
        let resolver = rib.clone();
        tokio::spawn(async move {
            while let Some(next_hop) = tracked.recv().await {
                let status = NextHopStatus::Reachable { metric: 0 };
                resolver.send(RibEvent::NextHopChanged(vec![(next_hop, status)])).await;
            }
        });
        let desired = Desired {
            listen: vec![SocketAddr::new(address, 0)],
            neighbors: Vec::new(),
            dynamic: Vec::new(),
            neighbors_are_partial: false,
            rib: RibConfig {
                router_id: RouterId(router_id(address)),
                decision: bgp::rib::DecisionRules::default(),
                restarting: false,
                export: ExportPolicy::default(),
            },
            originate: Vec::new(),
        };
        let mut node = Self { speaker: Speaker::spawn(rib.clone()), rib, routes, desired, address, port: 0 };
        node.apply().await;
        node.port =
            wait("the listener", async || Some(node.speaker.listeners().first()?.bound?.port())).await;
        node
    }

    pub async fn apply(&mut self) {
        self.speaker.apply(self.desired.clone()).await;
    }

    pub async fn add(&mut self, neighbor: NeighborConfig) {
        self.desired.neighbors.push(neighbor);
        self.apply().await;
    }

    pub async fn originate(&mut self, prefixes: impl IntoIterator<Item = IpNet>) {
        let route = |prefix| OriginatedRoute { prefix, local_pref: 100 };
        self.desired.originate = prefixes.into_iter().map(route).collect();
        self.apply().await;
    }

    /// `other` as a neighbor of ours, in the AS of everybody.
    pub fn neighbor(&self, address: IpAddr, port: u16) -> NeighborConfig {
        NeighborConfig {
            port,
            local_address: Some(self.address),
            connect_retry_secs: 1,
            families: AfiSafi::ALL.to_vec(),
            ..NeighborConfig::new(
                format!("{address}"),
                address,
                (Asn(65000), Asn(65000)),
                RouterId(router_id(self.address)),
            )
        }
    }

    /// A neighbor that dials us.
    pub fn waits_for(&self, address: &str) -> NeighborConfig {
        NeighborConfig { passive: true, ..self.neighbor(address.parse().unwrap(), 179) }
    }

    pub async fn peer(&self, address: &str) -> PeerSnapshot {
        let address: IpAddr = address.parse().unwrap();
        let peers = self.speaker.peers().await;
        peers.into_iter().find(|peer| peer.address == address).expect("configured")
    }

    pub async fn wait_for_state(&self, address: &str, state: State) -> PeerSnapshot {
        wait(&format!("{address} {state}"), async || {
            Some(self.peer(address).await).filter(|peer| peer.state == state)
        })
        .await
    }

    /// Of a neighbor that may not be there yet.
    pub async fn wait_for_dynamic(&self, address: &str, state: State) -> PeerSnapshot {
        let address: IpAddr = address.parse().unwrap();
        wait(&format!("{address} {state}"), async || {
            let peers = self.speaker.peers().await;
            peers.into_iter().find(|peer| peer.address == address && peer.state == state)
        })
        .await
    }

    pub async fn wait_for_route(&self, prefix: &str) {
        let prefix: IpNet = prefix.parse().unwrap();
        wait(&format!("{prefix}"), async || self.routes.lock().unwrap().get(&prefix).map(|_| ())).await;
    }
}

/// Asks until there is an answer.
pub async fn wait<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let answered = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(what, answered).await
}

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

fn router_id(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::new(10, 6, 6, 6),
    }
}

/// A neighbor that does only what a test tells it.
pub struct BareNeighbor {
    pub stream: TcpStream,
    pub address: IpAddr,
    input: BytesMut,
}

impl BareNeighbor {
    /// Dials `node` from `address`, with a small receive buffer.
    pub async fn dial(node: &Node, address: &str) -> Self {
        Self::dial_to((node.address, node.port), address).await
    }

    pub async fn dial_to(target: (IpAddr, u16), address: &str) -> Self {
        let address: IpAddr = address.parse().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind(SocketAddr::new(address, 0)).unwrap();
        let stream = socket.connect(target.into()).await.unwrap();
        // Without it a last message may still wait for an acknowledgement when the socket is closed.
        stream.set_nodelay(true).unwrap();
        Self { stream, address, input: BytesMut::new() }
    }

    /// Dials and goes through to Established with `open`.
    pub async fn establish(node: &Node, address: &str, open: impl FnOnce(&mut OpenMessage)) -> Self {
        let mut neighbor = Self::dial(node, address).await;
        let mut message = neighbor.open();
        open(&mut message);
        neighbor.send(&Message::Open(message)).await;
        assert!(matches!(neighbor.receive().await, Some(Message::Open(_))));
        neighbor.send(&Message::Keepalive).await;
        assert_eq!(neighbor.receive().await, Some(Message::Keepalive));
        node.wait_for_state(address, State::Established).await;
        neighbor
    }

    /// The same from an address that is no neighbor's yet.
    pub async fn establish_dynamic(node: &Node, address: &str, open: impl FnOnce(&mut OpenMessage)) -> Self {
        let mut neighbor = Self::dial(node, address).await;
        let mut message = neighbor.open();
        open(&mut message);
        neighbor.send(&Message::Open(message)).await;
        assert!(matches!(neighbor.receive().await, Some(Message::Open(_))));
        neighbor.send(&Message::Keepalive).await;
        assert_eq!(neighbor.receive().await, Some(Message::Keepalive));
        node.wait_for_dynamic(address, State::Established).await;
        neighbor
    }

    pub fn open(&self) -> OpenMessage {
        OpenMessage {
            my_as: 65000,
            hold_time_secs: 90,
            router_id: RouterId(router_id(self.address)),
            capabilities: vec![
                Capability::Multiprotocol(AfiSafi::IPV4_UNICAST),
                Capability::FourOctetAs(Asn(65000)),
            ],
        }
    }

    pub async fn send(&mut self, message: &Message) {
        let bytes = encode_message(message, &EncodeContext::default()).unwrap();
        within("room to write", self.stream.write_all(&bytes)).await.unwrap();
    }

    /// The next message; `None` when the connection has ended.
    pub async fn receive(&mut self) -> Option<Message> {
        let context = DecodeContext::default();
        loop {
            let len = frame_len(&self.input, &context).expect("a good header");
            if let Some(len) = len.filter(|&len| len <= self.input.len()) {
                let frame = self.input.split_to(len).freeze();
                return Some(decode_message(&frame, &context).expect("a good message"));
            }
            match within("a message", self.stream.read_buf(&mut self.input)).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Skips to the NOTIFICATION; `None` when the connection ends without one.
    pub async fn receive_notification(&mut self) -> Option<Notification> {
        loop {
            match self.receive().await? {
                Message::Notification(notification) => return Some(notification),
                Message::Open(_) | Message::Update(_) | Message::Keepalive | Message::RouteRefresh(_) => {}
            }
        }
    }
}
