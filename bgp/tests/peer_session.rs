//! Whole speakers over loopback sockets: sessions, errors, slow neighbors, changes of configuration, the end.
//! Every test has addresses of its own under 127.1.0.0/16.
#![cfg(feature = "io")]
// Helpers of tests are tests too; clippy.toml excuses only functions marked so.
#![allow(clippy::unwrap_used)]

mod peer_fixture;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bgp::io::Speaker;
use bgp::peer::{AoAlgorithm, AoKey, GracefulRestartConfig, NeighborConfig, Password, State, StopReason};
use bgp::wire::{
    AsPath, Capability, GracefulRestartCapability, Message, NextHop, PathAttributes, RawAttribute,
    encode_reach,
};
use bgp::{AfiSafi, Asn, Nlri};
use bytes::Bytes;
use ipnet::{IpNet, Ipv4Net};
use peer_fixture::{BareNeighbor, Node, wait, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Prefix number `n` of 100.64.0.0/10, a /32.
fn prefix(n: u32) -> IpNet {
    let base = u32::from(std::net::Ipv4Addr::new(100, 64, 0, 0));
    IpNet::V4(Ipv4Net::new((base + n).into(), 32).unwrap())
}

/// `count` UPDATEs of one prefix and some 250 octets each, starting at prefix number `from`.
fn updates(next_hop: std::net::IpAddr, from: u32, count: u32) -> Vec<u8> {
    let attributes = PathAttributes {
        as_path: AsPath::default(),
        next_hop: Some(NextHop::from(next_hop)),
        local_pref: Some(100),
        unknown: vec![RawAttribute { flags: 0xc0, code: 200, value: vec![0; 200].into() }],
        ..PathAttributes::default()
    };
    let context = bgp::wire::EncodeContext::default();
    let update = |n| encode_reach(AfiSafi::IPV4_UNICAST, &attributes, &[Nlri::from(prefix(n))], &context);
    (from..from + count).flat_map(update).flat_map(|message: Bytes| message.to_vec()).collect()
}

#[tokio::test]
async fn two_speakers_find_each_other_and_exchange_routes() {
    let (mut a, mut b) = (Node::start("127.1.1.1").await, Node::start("127.1.1.2").await);
    a.originate(["192.0.2.0/24".parse().unwrap()]).await;
    b.originate(["198.51.100.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]).await;
    a.add(a.neighbor(b.address, b.port)).await;
    b.add(NeighborConfig {
        next_hop_v6: Some("2001:db8::b".parse().unwrap()),
        ..b.neighbor(a.address, a.port)
    })
    .await;
    let up = a.wait_for_state("127.1.1.2", State::Established).await;
    b.wait_for_state("127.1.1.1", State::Established).await;
    a.wait_for_route("198.51.100.0/24").await;
    a.wait_for_route("2001:db8::/32").await;
    b.wait_for_route("192.0.2.0/24").await;
    let negotiated = up.negotiated.unwrap();
    assert_eq!(negotiated.families, AfiSafi::ALL);
    assert!(negotiated.encode.extended_message && negotiated.route_refresh);
    let up = a.peer("127.1.1.2").await;
    assert!(up.received.updates > 0 && up.sent.updates > 0 && up.received.bytes > 0 && up.sent.bytes > 0);
    assert_eq!(up.unsent_bytes, 0);
}

#[tokio::test]
async fn a_session_over_ipv6_with_ttl_security() {
    let (mut a, mut b) = (Node::start("::1").await, Node::start("::1").await);
    let mut ids = 1;
    let mut edit = |config: NeighborConfig| {
        ids += 1;
        NeighborConfig {
            ttl_security_hops: Some(1),
            local_as: Asn(65000 + ids % 2),
            remote_as: Asn(65000 + (ids + 1) % 2),
            ..config
        }
    };
    a.add(edit(a.neighbor(b.address, b.port))).await;
    b.add(edit(b.neighbor(a.address, a.port))).await;
    a.wait_for_state("::1", State::Established).await;
    let up = b.wait_for_state("::1", State::Established).await;
    assert_eq!((up.kind, up.remote_as), (bgp::PeerKind::Ebgp, a.desired.neighbors[0].local_as));
}

#[tokio::test]
async fn garbage_instead_of_a_marker_is_answered_1_1() {
    let mut node = Node::start("127.1.2.1").await;
    node.add(node.waits_for("127.1.2.2")).await;
    let mut bare = BareNeighbor::dial(&node, "127.1.2.2").await;
    bare.stream.write_all(&[0; 64]).await.unwrap();
    let notification = bare.receive_notification().await.expect("a NOTIFICATION");
    assert_eq!((notification.code, notification.subcode), (1, 1));
    assert_eq!(bare.receive().await, None, "closed");
    let error = node.wait_for_state("127.1.2.2", State::Idle).await.last_error.unwrap();
    assert!(error.contains("marker"), "{error}");
}

#[tokio::test]
async fn a_wrong_as_is_answered_2_2() {
    let mut node = Node::start("127.1.3.1").await;
    node.add(node.waits_for("127.1.3.2")).await;
    let mut bare = BareNeighbor::dial(&node, "127.1.3.2").await;
    let open = bgp::wire::OpenMessage { my_as: 65001, capabilities: Vec::new(), ..bare.open() };
    bare.send(&Message::Open(open)).await;
    let notification = bare.receive_notification().await.expect("a NOTIFICATION");
    assert_eq!((notification.code, notification.subcode), (2, 2));
    assert_eq!(*notification.data, 65001u16.to_be_bytes());
}

#[tokio::test]
async fn a_stranger_is_closed_and_counted() {
    let node = Node::start("127.1.4.1").await;
    for count in 1..=3 {
        let mut bare = BareNeighbor::dial(&node, "127.1.4.99").await;
        assert_eq!(bare.receive().await, None);
        assert_eq!(node.speaker.listeners()[0].unknown, count);
    }
}

/// One neighbor takes nothing, another one gets everything and its KEEPALIVEs; and the one that takes nothing
/// keeps its session for as long as it says that it is alive.
#[tokio::test]
async fn a_neighbor_that_does_not_read_stops_nobody() {
    let mut node = Node::start("127.1.5.1").await;
    let quick = |config| NeighborConfig { hold_time_secs: 3, ..config };
    node.add(quick(node.waits_for("127.1.5.2"))).await;
    node.add(quick(node.waits_for("127.1.5.3"))).await;
    let mut stuck = BareNeighbor::establish(&node, "127.1.5.2", |_| {}).await;
    let mut reader = BareNeighbor::establish(&node, "127.1.5.3", |_| {}).await;
    const ROUTES: u32 = 400_000;
    node.originate((0..ROUTES).map(prefix)).await;

    let (mut routes, mut outlived_hold_time) = (0, false);
    while routes < ROUTES as usize || !outlived_hold_time {
        match reader.receive().await.expect("the session stays") {
            Message::Update(decoded) => {
                routes += decoded.update.reach.iter().map(|reach| reach.nlri.len()).sum::<usize>();
            }
            Message::Keepalive => {
                reader.send(&Message::Keepalive).await;
                stuck.send(&Message::Keepalive).await;
                let snapshot = node.peer("127.1.5.2").await;
                assert_eq!((snapshot.state, snapshot.sessions_established), (State::Established, 1));
                outlived_hold_time = snapshot.uptime_secs.is_some_and(|secs| secs > 3);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(routes, ROUTES as usize, "each once");
    assert!(node.peer("127.1.5.2").await.unsent_bytes > 0, "it is the socket that is full");
}

/// The RIB stands still. What neighbors send stays in their sockets; their sessions stay up, both ways, for
/// longer than the hold time; and when the RIB goes on, nothing is missing.
// The lock is there to be held: it is the RIB's own thread that waits for it, never this one.
#[allow(clippy::await_holding_lock)]
#[tokio::test]
async fn a_busy_rib_costs_no_session() {
    let gate = Arc::new(Mutex::new(()));
    let mut node = Node::gated("127.1.6.1", gate.clone()).await;
    node.add(NeighborConfig { hold_time_secs: 3, ..node.waits_for("127.1.6.2") }).await;
    let bare = BareNeighbor::establish(&node, "127.1.6.2", |open| open.hold_time_secs = 3).await;
    let address = bare.address;

    let closed = gate.lock().unwrap();
    let BareNeighbor { stream, .. } = bare;
    let (mut reader, mut writer) = stream.into_split();
    const ROUTES: u32 = 80_000;
    let sender = tokio::spawn(async move {
        for from in (0..ROUTES).step_by(1000) {
            writer.write_all(&updates(address, from, 1000)).await.unwrap();
        }
        writer
    });
    // Each comes a second after the last: six are more than the hold time.
    let mut keepalives = 0;
    while keepalives < 6 {
        let mut header = [0; 19];
        within("a message", reader.read_exact(&mut header)).await.unwrap();
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[16], header[17]])) - 19];
        reader.read_exact(&mut body).await.unwrap();
        assert_ne!(header[18], 3, "no NOTIFICATION");
        keepalives += u32::from(header[18] == 4);
    }
    assert!(!sender.is_finished(), "we do not read what the RIB cannot take");
    let snapshot = node.peer("127.1.6.2").await;
    assert_eq!((snapshot.state, snapshot.sessions_established), (State::Established, 1));

    drop(closed);
    let _writer = within("the rest", sender).await.unwrap();
    wait("every route", async || (node.routes.lock().unwrap().len() == ROUTES as usize).then_some(())).await;
}

#[tokio::test]
async fn shutdown_for_a_restart_says_nothing_and_shutdown_says_why() {
    let restart = StopReason::Restart;
    let shutdown = StopReason::Shutdown("moving racks".to_owned());
    for (n, reason, expected) in [(1, restart, None), (2, shutdown, Some("moving racks"))] {
        let mut node = Node::start(&format!("127.1.7.{n}")).await;
        let neighbor = format!("127.1.7.1{n}");
        node.add(node.waits_for(&neighbor)).await;
        let mut bare = BareNeighbor::establish(&node, &neighbor, |_| {}).await;
        let source = bare.address;
        bare.stream.write_all(&updates(source, 0, 1)).await.unwrap();
        node.wait_for_route(&prefix(0).to_string()).await;
        let (address, port) = (node.address, node.port);
        let ended = tokio::spawn(node.speaker.shutdown(reason));
        let notification = bare.receive_notification().await;
        assert_eq!(notification.as_ref().map(|n| n.communication().unwrap()), expected);
        drop(bare);
        within("the end", ended).await.unwrap();
        // Every task has passed its session's end on. A restart is none of the RIB's business: what it
        // would withdraw is what the kernel shall keep.
        node.rib.query(|_| ()).await;
        assert_eq!(node.routes.lock().unwrap().len(), usize::from(expected.is_none()));
        let again = tokio::net::TcpStream::connect(SocketAddr::new(address, port)).await;
        assert!(again.is_err(), "nobody listens any more");
    }
}

#[tokio::test]
async fn a_dropped_speaker_leaves_like_one_that_restarts() {
    let mut node = Node::start("127.1.8.1").await;
    node.add(node.waits_for("127.1.8.2")).await;
    let mut bare = BareNeighbor::establish(&node, "127.1.8.2", |_| {}).await;
    node.speaker = Speaker::spawn(node.rib.clone());
    assert_eq!(bare.receive_notification().await, None);
}

#[tokio::test]
async fn changes_cost_what_they_must() {
    let mut node = Node::start("127.1.9.1").await;
    node.add(node.waits_for("127.1.9.2")).await;
    let mut bare = BareNeighbor::establish(&node, "127.1.9.2", |_| {}).await;
    let id = node.peer("127.1.9.2").await.id;

    node.apply().await;
    node.desired.neighbors[0].description = "the tor".to_owned();
    node.apply().await;
    let snapshot = node.peer("127.1.9.2").await;
    assert_eq!((snapshot.state, snapshot.description.as_str()), (State::Established, "the tor"));

    node.desired.neighbors[0].hold_time_secs = 30;
    node.apply().await;
    let notification = bare.receive_notification().await.expect("a reset");
    assert_eq!((notification.code, notification.subcode), (6, 6));
    drop(bare);
    let mut bare = BareNeighbor::establish(&node, "127.1.9.2", |_| {}).await;
    let snapshot = node.peer("127.1.9.2").await;
    assert_eq!((snapshot.id, snapshot.sessions_established), (id, 2), "the same neighbor");
    assert_eq!(snapshot.negotiated.unwrap().hold_time_secs, 30);

    let kept = node.desired.neighbors.clone();
    node.desired.neighbors.clear();
    let (notification, ()) = tokio::join!(bare.receive_notification(), async {
        node.speaker.apply(node.desired.clone()).await;
    });
    let notification = notification.expect("removed");
    assert_eq!((notification.code, notification.subcode), (6, 3));
    assert!(node.speaker.peers().await.is_empty());
    assert_eq!(bare.receive().await, None);

    node.desired.neighbors = kept;
    node.apply().await;
    let again = node.peer("127.1.9.2").await.id;
    assert_ne!(again, id, "another neighbor, whatever its address");
}

#[tokio::test]
async fn a_port_in_use_is_reported_and_taken_when_it_is_free() {
    let holder = std::net::TcpListener::bind("127.1.10.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let mut node = Node::start("127.1.10.2").await;
    node.desired.listen.push(taken);
    node.add(node.waits_for("127.1.10.3")).await;
    let find = |node: &Node| node.speaker.listeners().into_iter().find(|listener| listener.address == taken);
    let error = wait("the error", async || find(&node)?.error).await;
    assert!(error.contains("in use"), "{error}");
    BareNeighbor::establish(&node, "127.1.10.3", |_| {}).await;
    drop(holder);
    let bound = wait("the port", async || find(&node)?.bound).await;
    assert_eq!((bound, find(&node).unwrap().error), (taken, None));
}

/// Another port or address to listen on is nothing that sessions which are up have to do with.
#[tokio::test]
async fn another_listen_port_costs_no_session() {
    let mut node = Node::start("127.1.12.1").await;
    node.add(node.waits_for("127.1.12.2")).await;
    node.add(node.waits_for("127.1.12.3")).await;
    let _bare = BareNeighbor::establish(&node, "127.1.12.2", |_| {}).await;
    let old = SocketAddr::new(node.address, node.port);
    let free = std::net::TcpListener::bind("127.1.12.1:0").unwrap().local_addr().unwrap();
    node.desired.listen = vec![free];
    node.apply().await;
    node.port = wait("the other port", async || Some(node.speaker.listeners().first()?.bound?.port())).await;
    assert_eq!(node.port, free.port());
    assert!(tokio::net::TcpStream::connect(old).await.is_err(), "nobody listens there any more");
    BareNeighbor::establish(&node, "127.1.12.3", |_| {}).await;
    let peer = node.peer("127.1.12.2").await;
    assert_eq!((peer.state, peer.sessions_established), (State::Established, 1));
}

/// RFC 4724 §4.2: routes of a neighbor whose connection is lost stay; those of one that says goodbye go.
#[tokio::test]
async fn routes_outlive_a_lost_connection_but_not_a_notification() {
    for (n, goodbye) in [(1, false), (2, true)] {
        let mut node = Node::start(&format!("127.1.11.{n}")).await;
        let neighbor = format!("127.1.11.1{n}");
        let restart = GracefulRestartConfig { restart_time_secs: 120, restarting: false };
        node.add(NeighborConfig { graceful_restart: Some(restart), ..node.waits_for(&neighbor) }).await;
        let offer = Capability::GracefulRestart(GracefulRestartCapability {
            restart_time_secs: 120,
            families: vec![(AfiSafi::IPV4_UNICAST, true)],
            ..GracefulRestartCapability::default()
        });
        let mut bare = BareNeighbor::establish(&node, &neighbor, |open| open.capabilities.push(offer)).await;
        let address = bare.address;
        bare.stream.write_all(&updates(address, 0, 1)).await.unwrap();
        node.wait_for_route(&prefix(0).to_string()).await;
        if goodbye {
            let notification = bgp::wire::Notification { code: 6, subcode: 2, data: Bytes::new() };
            bare.send(&Message::Notification(notification)).await;
        }
        drop(bare);
        node.wait_for_state(&neighbor, State::Active).await;
        if goodbye {
            wait("the route to go", async || node.routes.lock().unwrap().is_empty().then_some(())).await;
        } else {
            // The task had passed the session's end on before it answered, so the RIB knows by now.
            node.rib.query(|_| ()).await;
            assert_eq!(node.routes.lock().unwrap().len(), 1);
        }
    }
}

/// RFC 2385: only the listener's key lets the dialling neighbor in, and it follows every change.
#[tokio::test]
async fn rfc2385_a_listener_has_the_keys_of_its_neighbors() {
    let (mut a, mut b) = (Node::start("127.1.40.1").await, Node::start("127.1.40.2").await);
    let one = Password::new(*b"one");
    a.add(NeighborConfig { password: one.clone(), ..a.waits_for("127.1.40.2") }).await;
    b.add(NeighborConfig { password: one, ..b.neighbor(a.address, a.port) }).await;
    assert!(a.wait_for_state("127.1.40.2", State::Established).await.password);

    // Both ends change, to another key and to none, and the session goes on.
    for (password, prefix) in [(Password::new(*b"two"), "192.0.2.0/24"), (None, "198.51.100.0/24")] {
        for node in [&mut a, &mut b] {
            node.desired.neighbors[0].password.clone_from(&password);
            node.apply().await;
        }
        b.originate([prefix.parse().unwrap()]).await;
        a.wait_for_route(prefix).await;
        assert_eq!(a.peer("127.1.40.2").await.sessions_established, 1);

        // A new connection needs the new key as well.
        let neighbors = std::mem::take(&mut b.desired.neighbors);
        b.apply().await;
        a.wait_for_state("127.1.40.2", State::Active).await;
        b.desired.neighbors = neighbors;
        b.apply().await;
        a.wait_for_state("127.1.40.2", State::Established).await;
        if password.is_some() {
            // Counted anew for the next round.
            let neighbors = std::mem::take(&mut a.desired.neighbors);
            a.apply().await;
            a.desired.neighbors = neighbors;
            a.apply().await;
            a.wait_for_state("127.1.40.2", State::Established).await;
        }
    }
}

/// RFC 5925: without the kernel's help there is no session, and nothing leaves unsigned.
#[tokio::test]
async fn rfc5925_a_kernel_without_tcp_ao_keeps_the_session_down_and_says_why() {
    let mut probe = std::process::Command::new("sh");
    probe.args(["-c", "zcat /proc/config.gz | grep -q ^CONFIG_TCP_AO=y"]);
    if probe.status().is_ok_and(|status| status.success()) {
        return;
    }
    let listener = std::net::TcpListener::bind("127.1.41.2:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut node = Node::start("127.1.41.1").await;
    let secret = Password::new(*b"one").unwrap();
    let tcp_ao = vec![AoKey { send_id: 1, receive_id: 1, algorithm: AoAlgorithm::HmacSha1, secret }];
    let dialled = node.neighbor("127.1.41.2".parse().unwrap(), listener.local_addr().unwrap().port());
    node.add(NeighborConfig { tcp_ao: tcp_ao.clone(), ..dialled }).await;
    node.add(NeighborConfig { tcp_ao, ..node.waits_for("127.1.41.3") }).await;
    let error = wait("the reason", async || node.peer("127.1.41.2").await.last_error).await;
    assert!(error.contains("CONFIG_TCP_AO"), "{error}");
    assert!(listener.accept().is_err(), "not even a SYN");
    let mut bare = BareNeighbor::dial(&node, "127.1.41.3").await;
    assert_eq!(bare.receive().await, None, "closed without a word");
    let error = wait("the listener's reason", async || node.speaker.listeners()[0].error.clone()).await;
    assert!(error.contains("CONFIG_TCP_AO"), "{error}");
}
