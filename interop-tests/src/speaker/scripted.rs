//! A peer that says exactly what a test tells it to, right or wrong, and shows what came back. Its bytes are
//! written here by hand from RFC 4271, so that manx's own codec is not asked to judge itself.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ipnet::{IpNet, Ipv4Net};
use socket2::{Domain, Protocol, Socket, Type};

use crate::host::Host;

/// The well-known port.
const PORT: u16 = 179;
/// How long an answer may take: no timer of the protocol is shorter than the tests' hold time of 9 s.
const ANSWER: Duration = Duration::from_secs(8);
/// RFC 4271 §4.1.
const HEADER: usize = 19;

/// The type octet of a message (RFC 4271 §4.1).
pub const OPEN: u8 = 1;
/// UPDATE.
pub const UPDATE: u8 = 2;
/// NOTIFICATION.
pub const NOTIFICATION: u8 = 3;
/// KEEPALIVE.
pub const KEEPALIVE: u8 = 4;

/// A message as it came: its type and what is behind the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The type octet.
    pub kind: u8,
    /// Without marker, length and type.
    pub body: Vec<u8>,
}

/// One TCP connection of the scripted peer.
#[derive(Debug)]
pub struct Scripted {
    stream: TcpStream,
}

impl Scripted {
    /// Dials `target` from `local`, inside `host`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(host: &Host, local: IpAddr, target: IpAddr) -> Result<Self> {
        let stream = host.within(|| {
            let domain = if local.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            socket.bind(&SocketAddr::new(local, 0).into())?;
            socket.connect_timeout(&SocketAddr::new(target, PORT).into(), ANSWER)?;
            Ok(TcpStream::from(socket))
        })?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Dials and goes on until the session is established.
    ///
    /// # Errors
    /// When manx says anything but OPEN and KEEPALIVE.
    pub fn establish(host: &Host, local: Ipv4Addr, target: IpAddr, local_as: u32) -> Result<Self> {
        Self::establish_with(host, local, target, &open(local_as, 9, local))
    }

    /// The same, with this OPEN.
    ///
    /// # Errors
    /// As there.
    pub fn establish_with(host: &Host, local: Ipv4Addr, target: IpAddr, open: &[u8]) -> Result<Self> {
        let mut peer = Self::connect(host, IpAddr::V4(local), target)?;
        peer.send(open)?;
        peer.expect(OPEN)?;
        peer.send(&message(KEEPALIVE, &[]))?;
        peer.expect(KEEPALIVE)?;
        Ok(peer)
    }

    /// Sends any bytes.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// The next message.
    ///
    /// # Errors
    /// When none comes in 8 s, or the connection ends.
    pub fn receive(&mut self) -> Result<Received> {
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header).context("no (further) message")?;
        let (marker, rest) = header.split_at(16);
        ensure!(marker.iter().all(|&octet| octet == 0xff), "marker {marker:?}");
        let [high, low, kind] = rest else { bail!("a header of {HEADER} octets") };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let mut body = vec![0; length.checked_sub(HEADER).context("length below 19")?];
        self.stream.read_exact(&mut body)?;
        Ok(Received { kind: *kind, body })
    }

    /// The next message, which must be of this type.
    ///
    /// # Errors
    /// When it is another.
    pub fn expect(&mut self, kind: u8) -> Result<Vec<u8>> {
        let received = self.receive()?;
        ensure!(received.kind == kind, "wanted type {kind}, got {received:?}");
        Ok(received.body)
    }

    /// Error code and subcode of the NOTIFICATION that must come, after any other messages; behind it the
    /// connection must end.
    ///
    /// # Errors
    /// When none comes, or the connection stays open.
    pub fn expect_notification(&mut self) -> Result<(u8, u8)> {
        self.expect_notification_data().map(|(code, subcode, _)| (code, subcode))
    }

    /// The same, with its data.
    ///
    /// # Errors
    /// As there.
    pub fn expect_notification_data(&mut self) -> Result<(u8, u8, Vec<u8>)> {
        loop {
            let received = self.receive().context("waiting for a NOTIFICATION")?;
            if received.kind != NOTIFICATION {
                continue;
            }
            let [code, subcode, data @ ..] = received.body.as_slice() else { bail!("short: {received:?}") };
            let notification = (*code, *subcode, data.to_vec());
            match self.stream.read(&mut [0; 1]) {
                Ok(0) => return Ok(notification),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(notification),
                other => bail!("the connection goes on after a NOTIFICATION: {other:?}"),
            }
        }
    }
}

/// What an UPDATE says, as far as a test compares it. Read here anew, by RFC 4271 §4.3 and RFC 4760.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// In order, of both families.
    pub withdrawn: Vec<IpNet>,
    /// In order, of both families.
    pub announced: Vec<IpNet>,
}

impl Prefixes {
    /// Reads the body of an UPDATE without path identifiers.
    ///
    /// # Errors
    /// When a length in it is wrong.
    pub fn of_update(body: &[u8]) -> Result<Self> {
        let (withdrawn, rest) = split_field(body)?;
        let (mut attributes, announced) = split_field(rest)?;
        let mut prefixes =
            Self { withdrawn: read_prefixes(withdrawn, false)?, announced: read_prefixes(announced, false)? };
        while let [flags, code, rest @ ..] = attributes {
            let (value, rest) = if flags & 0x10 == 0 {
                let (len, rest) = rest.split_first().context("an attribute without a length")?;
                rest.split_at_checked(usize::from(*len)).context("an attribute that overruns")?
            } else {
                split_field(rest)?
            };
            attributes = rest;
            let is_v6 = value.starts_with(&[0, 2]);
            match code {
                14 => {
                    let next_hop = value.get(3).context("MP_REACH_NLRI without a next hop")?;
                    let nlri = value.get(5 + usize::from(*next_hop)..).context("MP_REACH_NLRI overruns")?;
                    prefixes.announced.extend(read_prefixes(nlri, is_v6)?);
                }
                15 => {
                    let nlri = value.get(3..).context("MP_UNREACH_NLRI without a family")?;
                    prefixes.withdrawn.extend(read_prefixes(nlri, is_v6)?);
                }
                _ => {}
            }
        }
        Ok(prefixes)
    }
}

/// A field behind its length in two octets, and what follows.
fn split_field(octets: &[u8]) -> Result<(&[u8], &[u8])> {
    let (len, rest) = octets.split_first_chunk::<2>().context("no length")?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len))).context("a field that overruns")
}

fn read_prefixes(mut field: &[u8], is_v6: bool) -> Result<Vec<IpNet>> {
    let mut prefixes = Vec::new();
    while let [bits, rest @ ..] = field {
        let (octets, rest) =
            rest.split_at_checked(usize::from(bits.div_ceil(8))).context("a prefix that overruns")?;
        field = rest;
        let mut whole = [0; 16];
        whole.get_mut(..octets.len()).context("a prefix that is too long")?.copy_from_slice(octets);
        let address = match whole.first_chunk::<4>() {
            Some(four) if !is_v6 => IpAddr::from(*four),
            _ => IpAddr::from(whole),
        };
        prefixes.push(IpNet::new(address, *bits)?);
    }
    Ok(prefixes)
}

/// A whole message with its header.
#[must_use]
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff; 16];
    bytes.extend(u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.push(kind);
    bytes.extend(body);
    bytes
}

/// OPEN with IPv4 unicast and four-octet AS numbers.
#[must_use]
pub fn open(local_as: u32, hold_time_secs: u16, router_id: Ipv4Addr) -> Vec<u8> {
    let mut capabilities = vec![1, 4, 0, 1, 0, 1, 65, 4];
    capabilities.extend(local_as.to_be_bytes());
    open_with(local_as, hold_time_secs, router_id, &capabilities)
}

/// OPEN with any capabilities.
#[must_use]
pub fn open_with(local_as: u32, hold_time_secs: u16, router_id: Ipv4Addr, capabilities: &[u8]) -> Vec<u8> {
    let mut body = vec![4];
    // AS_TRANS where the number does not fit (RFC 6793 §4.2.2).
    body.extend(u16::try_from(local_as).unwrap_or(23456).to_be_bytes());
    body.extend(hold_time_secs.to_be_bytes());
    body.extend(router_id.octets());
    let length = u8::try_from(capabilities.len()).unwrap_or(u8::MAX);
    body.extend([length + 2, 2, length]);
    body.extend(capabilities);
    message(OPEN, &body)
}

/// UPDATE that announces `prefix` with this path.
#[must_use]
pub fn announce(prefix: Ipv4Net, as_path: &[u32], next_hop: Ipv4Addr) -> Vec<u8> {
    let mut attributes = vec![0x40, 1, 1, 0];
    let path = as_path_octets(as_path);
    attributes.extend([0x40, 2, u8::try_from(path.len()).unwrap_or(u8::MAX)]);
    attributes.extend(path);
    attributes.extend([0x40, 3, 4]);
    attributes.extend(next_hop.octets());
    update(&attributes, prefix)
}

/// UPDATE with any attribute bytes.
#[must_use]
pub fn update(attributes: &[u8], prefix: Ipv4Net) -> Vec<u8> {
    let mut body = vec![0, 0];
    body.extend(u16::try_from(attributes.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend(attributes);
    body.push(prefix.prefix_len());
    body.extend(prefix.network().octets().iter().take(usize::from(prefix.prefix_len()).div_ceil(8)));
    message(UPDATE, &body)
}

/// One AS_SEQUENCE of four-octet numbers.
fn as_path_octets(as_path: &[u32]) -> Vec<u8> {
    let mut octets = vec![2, u8::try_from(as_path.len()).unwrap_or(u8::MAX)];
    octets.extend(as_path.iter().flat_map(|number| number.to_be_bytes()));
    octets
}
