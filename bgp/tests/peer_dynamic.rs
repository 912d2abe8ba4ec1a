//! Dynamic neighbors on whole speakers over loopback sockets. Every test has addresses of its own under
//! 127.2.0.0/16.
#![cfg(feature = "io")]
// Helpers of tests are tests too; clippy.toml excuses only functions marked so.
#![allow(clippy::unwrap_used)]

mod peer_fixture;

use bgp::Asn;
use bgp::io::DynamicSnapshot;
use bgp::peer::{AsRange, DynamicNeighbors, GracefulRestartConfig, NeighborConfig, Password, State};
use bgp::rib::RibConfig;
use bgp::wire::{
    AsPath, Capability, GracefulRestartCapability, Message, NextHop, PathAttributes, encode_reach,
};
use bgp::{AfiSafi, Nlri};
use ipnet::IpNet;
use peer_fixture::{BareNeighbor, Node, wait};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

/// Whoever dials from `prefix` is in our AS and dropped after a moment.
fn group(node: &Node, prefix: &str, maximum: u32) -> DynamicNeighbors {
    DynamicNeighbors {
        name: "bgppeer/rack".to_owned(),
        prefixes: vec![prefix.parse().unwrap()],
        maximum,
        as_ranges: Vec::new(),
        template: node.waits_for("0.0.0.0"),
    }
}

async fn start(address: &str, prefix: &str, maximum: u32) -> Node {
    let mut node = Node::start(address).await;
    node.desired.dynamic = vec![group(&node, prefix, maximum)];
    node.apply().await;
    node
}

fn rack(node: &Node) -> DynamicSnapshot {
    node.speaker.observer().dynamic().remove(0)
}

fn route(from: &BareNeighbor, prefix: &str) -> Vec<u8> {
    let attributes = PathAttributes {
        as_path: AsPath::default(),
        next_hop: Some(NextHop::from(from.address)),
        local_pref: Some(100),
        ..PathAttributes::default()
    };
    let prefix: IpNet = prefix.parse().unwrap();
    let context = bgp::wire::EncodeContext::default();
    let messages = encode_reach(AfiSafi::IPV4_UNICAST, &attributes, &[Nlri::from(prefix)], &context);
    messages.into_iter().flat_map(|message| message.to_vec()).collect()
}

async fn until_gone(node: &Node, address: &str) {
    wait(&format!("{address} to go"), async || {
        let peers = node.speaker.peers().await;
        peers.iter().all(|peer| peer.address.to_string() != address).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whoever_dials_from_the_prefix_is_a_neighbor() {
    let node = start("127.2.1.1", "127.2.1.128/25", 2).await;
    assert!(node.speaker.peers().await.is_empty());
    let mut one = BareNeighbor::establish_dynamic(&node, "127.2.1.201", |_| {}).await;
    let address = one.address;
    one.stream.write_all(&route(&one, "192.0.2.0/24")).await.unwrap();
    node.wait_for_route("192.0.2.0/24").await;
    let peer = node.peer("127.2.1.201").await;
    assert_eq!((peer.name.as_str(), peer.address), ("bgppeer/rack/dynamic/127.2.1.201", address));
    assert_eq!(peer.template.as_deref(), Some("bgppeer/rack"));
    assert_eq!((rack(&node).current, rack(&node).maximum), (1, 2));

    let mut stranger = BareNeighbor::dial(&node, "127.2.1.2").await;
    assert_eq!(stranger.receive().await, None);
    assert_eq!(node.speaker.listeners()[0].unknown, 1);

    drop(one);
    until_gone(&node, "127.2.1.201").await;
    assert_eq!(rack(&node).current, 0);
    node.rib.query(|_| ()).await;
    assert!(node.routes.lock().unwrap().is_empty());
    assert!(node.rib.query(|rib| rib.peers().is_empty()).await.unwrap(), "no slot is left");
}

/// RFC 4486, Connection Rejected; and whoever is in stays in.
#[tokio::test]
async fn rfc4486_one_too_many_is_refused() {
    let node = start("127.2.2.1", "127.2.2.0/24", 2).await;
    let _one = BareNeighbor::establish_dynamic(&node, "127.2.2.11", |_| {}).await;
    let _two = BareNeighbor::establish_dynamic(&node, "127.2.2.12", |_| {}).await;
    for refused in 1..=3 {
        let mut three = BareNeighbor::dial(&node, "127.2.2.13").await;
        let notification = three.receive_notification().await.expect("a word");
        assert_eq!((notification.code, notification.subcode), (6, 5));
        assert_eq!(three.receive().await, None);
        wait("the count", async || (rack(&node).refused == refused).then_some(())).await;
    }
    assert_eq!(rack(&node).current, 2);
    for address in ["127.2.2.11", "127.2.2.12"] {
        assert_eq!(node.peer(address).await.state, State::Established);
    }
}

#[tokio::test]
async fn a_changed_template_changes_its_neighbors_and_a_removed_one_removes_them() {
    let mut node = start("127.2.3.1", "127.2.3.0/24", 9).await;
    node.desired.dynamic[0].as_ranges = vec![AsRange { first: Asn(65000), last: Asn(65000) }];
    node.apply().await;
    let mut bare = BareNeighbor::establish_dynamic(&node, "127.2.3.11", |_| {}).await;
    let id = node.peer("127.2.3.11").await.id;

    // Live, and that the other AS numbers change is none of this one's business.
    node.desired.dynamic[0].template.description = "the rack".to_owned();
    node.desired.dynamic[0].as_ranges.push(AsRange { first: Asn(65000), last: Asn(65000) });
    node.desired.dynamic[0].maximum = 1;
    node.apply().await;
    let peer = node.peer("127.2.3.11").await;
    assert_eq!((peer.id, peer.state, peer.description.as_str()), (id, State::Established, "the rack"));

    // A reset.
    node.desired.dynamic[0].template.add_paths.receive = true;
    node.desired.dynamic[0].template.hold_time_secs = 30;
    node.apply().await;
    let notification = bare.receive_notification().await.expect("a reset");
    assert_eq!((notification.code, notification.subcode), (6, 6));
    drop(bare);
    let mut bare = BareNeighbor::establish_dynamic(&node, "127.2.3.11", |_| {}).await;
    let peer = node.peer("127.2.3.11").await;
    assert_eq!((peer.id, peer.negotiated.unwrap().hold_time_secs), (id, 30), "the same neighbor");

    // Administratively down: the session ends, and the next connection is told.
    node.desired.dynamic[0].template.shutdown = Some("works".to_owned());
    node.apply().await;
    assert_eq!(bare.receive_notification().await.unwrap().communication().unwrap(), "works");
    drop(bare);
    node.desired.dynamic[0].template.shutdown = None;
    node.apply().await;
    let mut bare = BareNeighbor::establish_dynamic(&node, "127.2.3.11", |_| {}).await;

    node.desired.dynamic.clear();
    node.apply().await;
    let notification = bare.receive_notification().await.expect("removed");
    assert_eq!((notification.code, notification.subcode), (6, 3));
    assert!(node.speaker.peers().await.is_empty());
    drop(bare);
    let mut stranger = BareNeighbor::dial(&node, "127.2.3.11").await;
    assert_eq!(stranger.receive().await, None);
}

/// A neighbor that gets a configuration of its own keeps its session where that is possible.
#[tokio::test]
async fn a_dynamic_neighbor_can_become_a_configured_one() {
    let mut node = start("127.2.4.1", "127.2.4.0/24", 9).await;
    let _bare = BareNeighbor::establish_dynamic(&node, "127.2.4.11", |_| {}).await;
    let id = node.peer("127.2.4.11").await.id;
    let template = node.desired.dynamic[0].template.clone();
    let address = "127.2.4.11".parse().unwrap();
    node.add(NeighborConfig { name: "bgppeer/tor".to_owned(), address, ..template }).await;
    let peer = node.peer("127.2.4.11").await;
    assert_eq!((peer.id, peer.state, peer.name.as_str()), (id, State::Established, "bgppeer/tor"));
    assert_eq!((peer.template, rack(&node).current), (None, 0));
}

/// RFC 4724 §4.2: it is still there for its next session, with its routes.
#[tokio::test]
async fn rfc4724_its_routes_are_kept_for_its_restart_time() {
    let mut node = start("127.2.5.1", "127.2.5.0/24", 9).await;
    node.desired.dynamic[0].template.graceful_restart =
        Some(GracefulRestartConfig { restart_time_secs: 120, restarting: false });
    node.apply().await;
    let offer = Capability::GracefulRestart(GracefulRestartCapability {
        restart_time_secs: 120,
        families: vec![(AfiSafi::IPV4_UNICAST, true)],
        ..GracefulRestartCapability::default()
    });
    let mut bare =
        BareNeighbor::establish_dynamic(&node, "127.2.5.11", |open| open.capabilities.push(offer.clone()))
            .await;
    bare.stream.write_all(&route(&bare, "192.0.2.0/24")).await.unwrap();
    node.wait_for_route("192.0.2.0/24").await;
    let id = node.peer("127.2.5.11").await.id;
    drop(bare);
    node.wait_for_state("127.2.5.11", State::Active).await;
    node.rib.query(|_| ()).await;
    assert_eq!(node.routes.lock().unwrap().len(), 1, "kept");
    let _bare =
        BareNeighbor::establish_dynamic(&node, "127.2.5.11", |open| open.capabilities.push(offer)).await;
    let peer = node.peer("127.2.5.11").await;
    assert_eq!((peer.id, peer.sessions_established), (id, 2), "the same neighbor");
}

/// RFC 8538 keeps routes over a reset, but not those of an AS that is no longer wanted.
#[tokio::test]
async fn rfc8538_nothing_is_kept_of_an_as_that_is_no_longer_accepted() {
    let mut node = start("127.2.9.1", "127.2.9.0/24", 2).await;
    let range = |asn| vec![AsRange { first: Asn(asn), last: Asn(asn) }];
    node.desired.dynamic[0].as_ranges = range(65000);
    node.desired.dynamic[0].template.graceful_restart =
        Some(GracefulRestartConfig { restart_time_secs: 120, restarting: false });
    node.apply().await;
    let offer = Capability::GracefulRestart(GracefulRestartCapability {
        notification: true,
        restart_time_secs: 120,
        families: vec![(AfiSafi::IPV4_UNICAST, true)],
        ..GracefulRestartCapability::default()
    });
    let mut bare =
        BareNeighbor::establish_dynamic(&node, "127.2.9.11", |open| open.capabilities.push(offer)).await;
    bare.stream.write_all(&route(&bare, "192.0.2.0/24")).await.unwrap();
    node.wait_for_route("192.0.2.0/24").await;
    node.desired.dynamic[0].as_ranges = range(65100);
    node.apply().await;
    let notification = bare.receive_notification().await.expect("a reset");
    assert_eq!((notification.code, notification.subcode), (6, 6));
    wait("the route to go", async || node.routes.lock().unwrap().is_empty().then_some(())).await;
}

/// A place that is given to somebody else is another identity, and nothing of the former owner gets there.
#[tokio::test]
async fn peer_index_reused_is_another_identity() {
    let node = start("127.2.6.1", "127.2.6.0/24", 1).await;
    let mut one = BareNeighbor::establish_dynamic(&node, "127.2.6.11", |_| {}).await;
    one.stream.write_all(&route(&one, "192.0.2.0/24")).await.unwrap();
    node.wait_for_route("192.0.2.0/24").await;
    let first = node.peer("127.2.6.11").await.id.unwrap();
    drop(one);
    until_gone(&node, "127.2.6.11").await;
    // What it may still have had under way comes late.
    let mut two = BareNeighbor::establish_dynamic(&node, "127.2.6.12", |_| {}).await;
    let second = node.peer("127.2.6.12").await.id.unwrap();
    assert_eq!((second.index, second.generation), (first.index, first.generation + 1));
    let late = bgp::rib::RibEvent::PeerDown { peer: first, retain: None };
    two.stream.write_all(&route(&two, "198.51.100.0/24")).await.unwrap();
    node.wait_for_route("198.51.100.0/24").await;
    node.rib.send(late).await;
    node.rib.query(|_| ()).await;
    let routes = node.routes.lock().unwrap().keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(routes, ["198.51.100.0/24"], "only those of the second");
    assert_eq!(node.peer("127.2.6.12").await.state, State::Established);
}

/// RFC 2385 with one key for a whole prefix, which follows the template.
#[tokio::test]
async fn rfc2385_the_key_of_a_template_is_for_its_prefix() {
    let mut node = start("127.2.7.1", "127.2.7.0/24", 9).await;
    node.desired.dynamic[0].template.password = Password::new(*b"one");
    node.apply().await;
    let mut dialler = Node::start("127.2.7.11").await;
    let neighbor = dialler.neighbor(node.address, node.port);
    dialler.add(NeighborConfig { password: Password::new(*b"one"), ..neighbor.clone() }).await;
    node.wait_for_dynamic("127.2.7.11", State::Established).await;

    // Unsigned connections do not come up, from within the prefix at least.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.2.7.12:0".parse().unwrap()).unwrap();
    let unsigned = socket.connect((node.address, node.port).into());
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), unsigned).await.is_err());
    assert_eq!(node.speaker.peers().await.len(), 1);

    // Both ends change, and the session goes on.
    let password = Password::new(*b"two");
    node.desired.dynamic[0].template.password.clone_from(&password);
    node.apply().await;
    dialler.desired.neighbors[0].password.clone_from(&password);
    dialler.apply().await;
    dialler.originate(["192.0.2.0/24".parse().unwrap()]).await;
    node.wait_for_route("192.0.2.0/24").await;
    assert_eq!(node.peer("127.2.7.11").await.sessions_established, 1);

    // And the listener has the new one.
    let mut second = Node::start("127.2.7.13").await;
    second.add(NeighborConfig { password, ..second.neighbor(node.address, node.port) }).await;
    node.wait_for_dynamic("127.2.7.13", State::Established).await;
}

/// RFC 5082: who is too far away does not even become a neighbor.
#[tokio::test]
async fn rfc5082_a_connection_from_afar_takes_no_place() {
    let mut node = start("127.2.8.1", "127.2.8.0/24", 9).await;
    node.desired.dynamic[0].template.ttl_security_hops = Some(1);
    node.apply().await;
    // The kernel's own TTL, 64.
    let mut far = BareNeighbor::dial(&node, "127.2.8.11").await;
    assert_eq!(far.receive().await, None);
    assert_eq!((node.speaker.listeners()[0].too_far, rack(&node).current), (1, 0));
    let mut near = Node::start("127.2.8.12").await;
    let neighbor = near.neighbor(node.address, node.port);
    near.add(NeighborConfig { ttl_security_hops: Some(1), ..neighbor }).await;
    node.wait_for_dynamic("127.2.8.12", State::Established).await;
}

/// After a restart nobody knows who was there: what a former run left stays until the time for everybody is over.
#[tokio::test]
async fn rfc4724_a_restart_does_not_take_silence_for_the_whole_picture() {
    for (n, restarting, in_sync) in [(1, false, true), (2, true, false)] {
        let mut node = Node::start(&format!("127.2.9.{n}")).await;
        // Not known yet: the first word about neighbors is this one.
        let speaker = bgp::io::Speaker::spawn(node.rib.clone());
        drop(std::mem::replace(&mut node.speaker, speaker));
        node.desired.listen.clear();
        node.desired.rib = RibConfig { restarting, ..node.desired.rib.clone() };
        node.desired.dynamic = vec![group(&node, "127.2.9.0/24", 9)];
        node.apply().await;
        let is_over = node.rib.query(|rib| rib.summary().in_sync).await.unwrap();
        assert_eq!(is_over, in_sync, "{restarting}");
    }
}

/// The read side does not wait for a neighbor that takes its time to go.
#[tokio::test]
async fn removing_a_neighbor_that_never_reads_keeps_nobody_waiting() {
    let mut node = Node::start("127.2.10.1").await;
    node.add(node.waits_for("127.2.10.2")).await;
    node.add(node.waits_for("127.2.10.3")).await;
    let stuck = BareNeighbor::establish(&node, "127.2.10.2", |_| {}).await;
    let routes =
        (0..100_000_u32).map(|n| IpNet::from(std::net::IpAddr::from((0x6440_0000 + n).to_be_bytes())));
    node.originate(routes).await;
    wait("a full socket", async || (node.peer("127.2.10.2").await.unsent_bytes > 0).then_some(())).await;
    node.desired.neighbors.remove(0);
    let observer = node.speaker.observer();
    let begun = std::time::Instant::now();
    node.apply().await;
    let peers = observer.peers().await;
    assert_eq!(peers.len(), 1);
    // A closing connection lingers for two seconds.
    assert!(begun.elapsed() < std::time::Duration::from_secs(1), "{:?}", begun.elapsed());
    drop(stuck);
}

/// The open message of a template's neighbor that says nothing at all would keep its place for ever.
#[tokio::test]
async fn a_wrong_as_is_answered_2_2_and_forgotten() {
    let node = start("127.2.11.1", "127.2.11.0/24", 9).await;
    let mut bare = BareNeighbor::dial(&node, "127.2.11.11").await;
    let open = bgp::wire::OpenMessage { my_as: 65001, capabilities: Vec::new(), ..bare.open() };
    bare.send(&Message::Open(open)).await;
    let notification = bare.receive_notification().await.expect("a NOTIFICATION");
    assert_eq!((notification.code, notification.subcode), (2, 2));
    drop(bare);
    until_gone(&node, "127.2.11.11").await;
}
