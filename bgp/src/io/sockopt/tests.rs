//! The options as the kernel has them, and what GTSM does with them.

use std::net::Ipv4Addr;

use super::*;
use crate::{Asn, RouterId};

fn neighbor(address: IpAddr, port: u16, ttl_security_hops: Option<u8>) -> NeighborConfig {
    NeighborConfig {
        port,
        ttl_security_hops,
        ..NeighborConfig::new(
            "node".to_owned(),
            address,
            (Asn(65000), Asn(65000)),
            RouterId(Ipv4Addr::LOCALHOST),
        )
    }
}

#[tokio::test]
async fn both_ends_have_the_options_of_a_bgp_connection() {
    for (address, hops, ttl) in
        [("127.0.0.1:0", None, 64), ("127.0.0.1:0", Some(1), 255), ("[::1]:0", Some(1), 255)]
    {
        let listener = listen(address.parse().unwrap()).unwrap();
        let bound = listener.local_addr().unwrap();
        let config = neighbor(bound.ip(), bound.port(), hops);
        let (dialled, accepted) = tokio::join!(connect(config.clone()), listener.accept());
        let (accepted, _) = accepted.unwrap();
        adopt(&accepted, bound.ip(), &config).unwrap();
        for stream in [dialled.unwrap(), accepted] {
            let socket = SockRef::from(&stream);
            assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
            let found = match bound.ip() {
                IpAddr::V4(_) => (socket.ttl_v4().unwrap(), socket.tos_v4().unwrap()),
                IpAddr::V6(_) => (socket.unicast_hops_v6().unwrap(), socket.tclass_v6().unwrap()),
            };
            assert_eq!(found, (ttl, 0xc0), "{address}");
        }
    }
}

#[tokio::test]
async fn the_source_address_is_the_configured_one() {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let bound = listener.local_addr().unwrap();
    let local = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77));
    let config = NeighborConfig { local_address: Some(local), ..neighbor(bound.ip(), bound.port(), None) };
    let (dialled, accepted) = tokio::join!(connect(config), listener.accept());
    dialled.unwrap();
    assert_eq!(accepted.unwrap().1.ip(), local);
}

/// RFC 5082: what comes with the TTL of a neighbor that may be anywhere is dropped by the kernel, which
/// counts it. (Loopback does not decrement the TTL, so both ends are one hop apart.)
#[tokio::test]
async fn ttl_security_drops_what_comes_from_afar() {
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    let before = min_ttl_drops();
    let dial = tokio::spawn(connect(neighbor(IpAddr::V4(Ipv4Addr::LOCALHOST), port, Some(1))));
    let counted = async {
        while min_ttl_drops() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), counted).await.expect("the SYN-ACK of TTL 64 is dropped");
    assert!(!dial.is_finished());
    dial.abort();
}

fn min_ttl_drops() -> u64 {
    tcp_counter("TCPMinTTLDrop")
}

fn tcp_counter(wanted: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/net/netstat").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.split_whitespace().position(|name| name == wanted).expect("a counter");
    values.split_whitespace().nth(at).unwrap().parse().unwrap()
}

#[tokio::test]
async fn unread_bytes_are_seen_without_reading_them() {
    use tokio::io::AsyncWriteExt;
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let bound = listener.local_addr().unwrap();
    let (dialled, accepted) =
        tokio::join!(connect(neighbor(bound.ip(), bound.port(), None)), listener.accept());
    let (mut dialled, (accepted, _)) = (dialled.unwrap(), accepted.unwrap());
    assert!(!has_unread(&accepted));
    dialled.write_all(b"x").await.unwrap();
    accepted.readable().await.unwrap();
    assert!(has_unread(&accepted));
}

fn password(text: &str) -> Option<Password> {
    Password::new(text.as_bytes())
}

/// The counters are the whole namespace's: tests that read them take turns.
static COUNTERS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Counted by the kernel for this namespace: segments whose signature was missing, not expected or wrong.
fn md5_drops() -> u64 {
    ["TCPMD5NotFound", "TCPMD5Unexpected", "TCPMD5Failure"].map(tcp_counter).iter().sum()
}

/// RFC 2385 §2.0: the handshake itself is signed, on both families, whoever dials.
#[tokio::test]
async fn rfc2385_the_same_key_connects_and_another_does_not() {
    let _turn = COUNTERS.lock().await;
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = listen(address.parse().unwrap()).unwrap();
        let bound = listener.local_addr().unwrap();
        change_listener_password(&listener, bound.ip().into(), password("one").as_ref()).unwrap();
        let config =
            |text| NeighborConfig { password: password(text), ..neighbor(bound.ip(), bound.port(), None) };
        let (dialled, accepted) = tokio::join!(connect(config("one")), listener.accept());
        dialled.unwrap();
        accepted.unwrap();

        for wrong in [config("two"), config("")] {
            let before = md5_drops();
            let dial = tokio::spawn(connect(wrong));
            let counted = async {
                while md5_drops() == before {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), counted).await.expect("its SYN is dropped");
            assert!(!dial.is_finished(), "{address}");
            dial.abort();
        }
    }
}

/// A key that both ends change stands in the way of nothing; one that only one end has changed stops everything.
#[tokio::test]
async fn rfc2385_a_connection_that_is_up_takes_a_new_key() {
    let _turn = COUNTERS.lock().await;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let bound = listener.local_addr().unwrap();
    let config = neighbor(bound.ip(), bound.port(), None);
    let (dialled, accepted) = tokio::join!(connect(config.clone()), listener.accept());
    let (mut dialled, (mut accepted, _)) = (dialled.unwrap(), accepted.unwrap());
    for key in [password("one"), password("two"), None, None] {
        change_password(&dialled, bound.ip(), key.as_ref()).unwrap();
        let before = md5_drops();
        dialled.write_all(b"x").await.unwrap();
        if key.is_some() {
            let dropped = async {
                while md5_drops() == before {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), dropped).await.expect("dropped before both changed");
        }
        change_password(&accepted, bound.ip(), key.as_ref()).unwrap();
        let mut octet = [0];
        tokio::time::timeout(Duration::from_secs(10), accepted.read_exact(&mut octet))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&octet, b"x");
    }
}

/// What was accepted before the listener knew the key is no hole: from its adoption on it must be signed.
#[tokio::test]
async fn rfc2385_an_unsigned_connection_is_mute_once_adopted() {
    let _turn = COUNTERS.lock().await;
    use tokio::io::AsyncWriteExt;
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let bound = listener.local_addr().unwrap();
    let config = neighbor(bound.ip(), bound.port(), None);
    let (dialled, accepted) = tokio::join!(connect(config.clone()), listener.accept());
    let (mut dialled, (accepted, _)) = (dialled.unwrap(), accepted.unwrap());
    adopt(&accepted, bound.ip(), &NeighborConfig { password: password("one"), ..config }).unwrap();
    let before = md5_drops();
    dialled.write_all(b"x").await.unwrap();
    let counted = async {
        while md5_drops() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), counted).await.expect("dropped");
    assert!(!has_unread(&accepted));
}

#[test]
fn a_password_is_shown_nowhere() {
    let config =
        NeighborConfig { password: password("hunter2"), ..neighbor([127, 0, 0, 1].into(), 179, None) };
    let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("104"), "{shown}");
    assert_eq!((password(""), password(&"x".repeat(81))), (None, None));
}
