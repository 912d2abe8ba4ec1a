//! Peers that are hostile below BGP: connections that say nothing, or one octet at a time, or end in the middle;
//! thousands from nobody; floods of attributes. The innocent session beside them hears nothing of it, and neither
//! descriptors nor memory are used up.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};
use interop_tests::speaker::scripted::{KEEPALIVE, OPEN, UPDATE, message, open};
use interop_tests::uplink::{self, ANNOUNCED, SESSIONS};
use interop_tests::{Bird, Family, Host, Lab, Manifest, Manx, Scripted, can_run, end, ip, kernel, net, secs};
use socket2::{Domain, Protocol, Socket, Type};

const NODE: &str = "10.9.0.1";
const ROGUE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 10);
const UNKNOWN: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 66);
const ROGUE_AS: u32 = 65066;

fn running() -> Result<(Bird, Manx, Lab)> {
    let lab = uplink::topology()
        .host("rogue")
        .link(
            end("node1", "rogue", &["10.9.0.1/24"]),
            end("rogue", "eth0", &["10.9.0.10/24", "10.9.0.66/24"]),
        )
        .build()?;
    let bird = Bird::start(lab.host("router")?, uplink::bird())?;
    let mut manifests = uplink::manifests();
    manifests.push(
        Manifest::bgp_peer("rogue", &ROGUE.to_string(), ROGUE_AS)
            .with("sourceAddress", "None")
            .with("passive", true)
            .with("connectRetryTime", "1s"),
    );
    let manx = Manx::launch(lab.host("node1")?, &manifests)?;
    lab.wait_until("the innocent routes are there", secs(15), || {
        for (index, family) in Family::ALL.into_iter().enumerate() {
            let present = kernel::learned(lab.host("node1")?, family)?;
            ensure!(present.contains(&net(ANNOUNCED[index])), "{present:?}");
        }
        Ok(())
    })?;
    Ok((bird, manx, lab))
}

/// A bare connection to the node.
fn dial(host: &Host, from: Ipv4Addr) -> Result<TcpStream> {
    host.within(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&std::net::SocketAddr::from((from, 0)).into())?;
        socket.connect_timeout(&std::net::SocketAddr::new(ip(NODE), 179).into(), secs(5))?;
        Ok(socket.into())
    })
}

/// Closes it with a reset.
fn reset(stream: TcpStream) -> Result<()> {
    let socket = Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO))?;
    drop(socket);
    Ok(())
}

fn establish(lab: &Lab) -> Result<Scripted> {
    lab.wait_until("the session is up", secs(15), || {
        Scripted::establish_with(lab.host("rogue")?, ROGUE, ip(NODE), &open(ROGUE_AS, 600, ROGUE))
    })
}

#[test]
fn connections_of_every_bad_kind_cost_nobody_anything() -> Result<()> {
    if !can_run("connections_of_every_bad_kind_cost_nobody_anything") {
        return Ok(());
    }
    let (bird, manx, lab) = running()?;
    let before = SESSIONS.map(|session| bird.session(session).unwrap());
    let host = lab.host("rogue")?;
    let (_, files) = manx.usage()?;

    // From nobody: accepted by the kernel, closed by us.
    for _ in 0..3000 {
        drop(dial(host, UNKNOWN)?);
    }
    let silent: Vec<TcpStream> = (0..300).map(|_| dial(host, UNKNOWN)).collect::<Result<_>>()?;
    // From the neighbor: they say nothing, or stop in the middle of an OPEN.
    let half = &open(ROGUE_AS, 600, ROGUE)[..25];
    for _ in 0..100 {
        reset(dial(host, ROGUE)?)?;
        let mut stream = Scripted::connect(host, ROGUE.into(), ip(NODE))?;
        stream.send(half)?;
        drop(stream);
    }
    let mute: Vec<TcpStream> = (0..50).map(|_| dial(host, ROGUE)).collect::<Result<_>>()?;

    // One octet at a time is slow, and right.
    lab.wait_until("an OPEN in single octets is taken", secs(15), || {
        let mut slow = Scripted::connect(host, ROGUE.into(), ip(NODE))?;
        let bytes = [open(ROGUE_AS, 600, ROGUE), message(KEEPALIVE, &[])].concat();
        bytes.chunks(1).try_for_each(|octet| slow.send(octet))?;
        slow.expect(OPEN)?;
        slow.expect(KEEPALIVE)?;
        manx.ensure_established(ROGUE.into()).map(drop)
    })?;
    // Held open by the other end, they must not be held here.
    lab.wait_until("descriptors are given back", secs(15), || {
        let (_, now) = manx.usage()?;
        ensure!(now <= files + 8, "{now} descriptors, {files} at first");
        Ok(())
    })?;
    drop((silent, mute));
    let mut again = establish(&lab)?;
    again.send(&message(KEEPALIVE, &[]))?;
    manx.ensure_established(ROGUE.into())?;
    let after = SESSIONS.map(|session| bird.session(session).unwrap());
    assert_eq!(after, before, "the innocent session was touched");
    Ok(())
}

/// An UPDATE of 10.64.`third`.0/24 with a MED, a community and an unknown attribute of 1 kB of which no two are
/// alike.
fn distinct(third: u8, number: u32) -> Vec<u8> {
    let mut list = vec![0x40, 1, 1, 0, 0x40, 2, 6, 2, 1];
    list.extend(ROGUE_AS.to_be_bytes());
    list.extend([0x40, 3, 4, 10, 9, 0, 10, 0x80, 4, 4]);
    list.extend(number.to_be_bytes());
    list.extend([0xc0, 8, 4]);
    list.extend(number.to_be_bytes());
    list.extend([0xd0, 99, 4, 0]);
    list.extend([number.to_be_bytes()[3]; 1020]);
    list.extend(number.to_be_bytes());
    let len = u16::try_from(list.len()).unwrap().to_be_bytes();
    message(UPDATE, &[&[0, 0], &len[..], &list, &[24, 10, 64, third]].concat())
}

/// 100 MB of attributes that are replaced at once: what is held is what is in use.
#[test]
fn a_flood_of_attributes_does_not_stay_in_memory() -> Result<()> {
    if !can_run("a_flood_of_attributes_does_not_stay_in_memory") {
        return Ok(());
    }
    let (bird, manx, lab) = running()?;
    let before = SESSIONS.map(|session| bird.session(session).unwrap());
    let mut rogue = establish(&lab)?;
    let mut number = 0;
    let mut flood = |rogue: &mut Scripted, messages: u32| -> Result<()> {
        for _ in 0..messages {
            number += 1;
            rogue.send(&distinct(200 + u8::try_from(number % 8).unwrap(), number))?;
        }
        // What came before it has been understood when it is there.
        let fence = format!("10.64.{}.0/24", 210 + number % 2);
        let [.., third, _] = net(&fence)
            .addr()
            .to_string()
            .split('.')
            .map(|octet| octet.parse().unwrap())
            .collect::<Vec<u8>>()[..]
        else {
            unreachable!()
        };
        rogue.send(&distinct(third, number))?;
        lab.wait_until("the flood is over", secs(60), || {
            let paths = manx.paths(net(&fence))?;
            ensure!(paths.iter().any(|path| path.rest.get("med") == Some(&number.into())), "{paths:?}");
            Ok(())
        })
    };
    flood(&mut rogue, 1001)?;
    let (first, _) = manx.usage()?;
    flood(&mut rogue, 100_000)?;
    let (last, _) = manx.usage()?;
    ensure!(last < first + 40 * 1024, "{first} KiB after 1 MB, {last} KiB after 100 MB");
    let after = SESSIONS.map(|session| bird.session(session).unwrap());
    assert_eq!(after, before, "the innocent session was touched");
    Ok(())
}
