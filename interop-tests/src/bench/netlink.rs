//! The kernel's routes at full speed: a raw writer that pipelines requests, as the floor that a daemon's FIB is
//! held against, probes of single routes, and a dump for counting.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket, sockopt::RcvBufForce,
};

use super::prefix::{self, Shape};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWNEXTHOP: u16 = 104;
const F_REQUEST: u16 = 1;
const F_ACK: u16 = 4;
const F_EXCLUSIVE_CREATE: u16 = 0x600;
const F_DUMP: u16 = 0x300;
const RTM_F_FIB_MATCH: u32 = 0x2000;
/// The group that hears of IPv4 routes.
const GROUP_IPV4_ROUTE: u32 = 0x40;
/// For whom the raw writer writes; nobody's number.
const PROTOCOL_RAW: u8 = 200;
/// Requests per send.
const BATCH: usize = 512;
/// Bytes: 16 MiB.
const RECEIVE_BUFFER: usize = 16 << 20;
const NEXT_HOP_ID: u32 = 1;

/// A routing socket, of the namespace it was opened in.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
}

/// How the raw writer says where routes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Each route names the gateway.
    Gateway,
    /// All routes share a nexthop object.
    Object,
}

impl Netlink {
    /// Opens it; `hears_routes` to be told of every change of an IPv4 route.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open(hears_routes: bool) -> Result<Self> {
        let protocol = SockProtocol::NetlinkRoute;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER)?;
        let groups = if hears_routes { GROUP_IPV4_ROUTE } else { 0 };
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self { socket, buffer: vec![0; 1 << 16], sequence: 0 })
    }

    /// Writes `count` routes as fast as the kernel takes them.
    ///
    /// # Errors
    /// The kernel refuses one.
    pub fn write_routes(&mut self, shape: Shape, count: u32, gateway: Ipv4Addr, via: Via) -> Result<()> {
        let interface = self.interface(gateway)?;
        if via == Via::Object {
            let mut body = vec![2, 0, PROTOCOL_RAW, 0, 0, 0, 0, 0];
            attribute(&mut body, 1, &NEXT_HOP_ID.to_ne_bytes());
            attribute(&mut body, 5, &interface.to_ne_bytes());
            attribute(&mut body, 6, &gateway.octets());
            let request = self.request(RTM_NEWNEXTHOP, F_ACK | F_EXCLUSIVE_CREATE, &body);
            self.send(&request)?;
            self.acknowledged()?;
        }
        let mut number = 0;
        while number < count {
            let mut batch = Vec::with_capacity(BATCH * 64);
            let end = count.min(number + u32::try_from(BATCH)?);
            for number in number..end {
                let mut body = vec![2, shape.length(number), 0, 0, 254, PROTOCOL_RAW, 0, 1, 0, 0, 0, 0];
                attribute(&mut body, 1, &prefix::address(number).to_be_bytes());
                match via {
                    Via::Gateway => {
                        attribute(&mut body, 5, &gateway.octets());
                        attribute(&mut body, 4, &interface.to_ne_bytes());
                    }
                    Via::Object => attribute(&mut body, 30, &NEXT_HOP_ID.to_ne_bytes()),
                }
                // The last one's answer says that all before it are done; a refusal comes without being asked.
                let ack = if number + 1 == end { F_ACK } else { 0 };
                batch.extend(self.request(RTM_NEWROUTE, ack | F_EXCLUSIVE_CREATE, &body));
            }
            self.send(&batch)?;
            self.acknowledged()?;
            number = end;
        }
        Ok(())
    }

    /// Whether exactly this prefix is in the main table.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub fn has(&mut self, shape: Shape, number: u32) -> Result<bool> {
        let mut body = vec![2, 32, 0, 0, 0, 0, 0, 0];
        body.extend(RTM_F_FIB_MATCH.to_ne_bytes());
        attribute(&mut body, 1, &prefix::address(number).to_be_bytes());
        let request = self.request(RTM_GETROUTE, 0, &body);
        self.send(&request)?;
        let (kind, answer) = self.first_answer()?;
        // rtmsg: family, length of destination, …
        Ok(kind == RTM_NEWROUTE && answer.get(1) == Some(&shape.length(number)))
    }

    /// Which of `count` prefixes are in the main table, by a dump of it.
    ///
    /// # Errors
    /// The kernel does not answer, or a prefix has another length or goes over another gateway.
    pub fn present(&mut self, shape: Shape, count: u32, gateway: Ipv4Addr) -> Result<Vec<bool>> {
        let mut present = vec![false; usize::try_from(count)?];
        let request = self.request(RTM_GETROUTE, F_DUMP, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        self.send(&request)?;
        let mut done = false;
        while !done {
            let bytes = self.receive()?;
            for (kind, body) in Messages(&bytes) {
                match kind {
                    NLMSG_DONE => done = true,
                    NLMSG_ERROR => bail!("the dump failed"),
                    RTM_NEWROUTE => {
                        let Some((number, length)) = destination(body) else { continue };
                        ensure!(length == shape.length(number), "{} has length {length}", shape.show(number));
                        let mut all = attributes(body.get(12..).unwrap_or_default());
                        let via = all.find(|(kind, _)| *kind == 5);
                        let is_right = via.is_none_or(|(_, address)| address == gateway.octets());
                        ensure!(is_right, "{} is not via {gateway}", shape.show(number));
                        if let Some(one) = present.get_mut(usize::try_from(number)?) {
                            *one = true;
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(present)
    }

    /// How many of our prefixes' routes were added and removed since the last call, for a socket that hears
    /// routes.
    ///
    /// # Errors
    /// More came than the socket could hold.
    pub fn changes(&mut self) -> Result<(u64, u64)> {
        let (mut added, mut removed) = (0, 0);
        loop {
            match recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => {
                    for (kind, body) in Messages(self.buffer.get(..length).unwrap_or_default()) {
                        if destination(body).is_some() {
                            added += u64::from(kind == RTM_NEWROUTE);
                            removed += u64::from(kind == RTM_DELROUTE);
                        }
                    }
                }
                Err(nix::errno::Errno::EAGAIN) => return Ok((added, removed)),
                Err(error) => return Err(error).context("the monitor of routes"),
            }
        }
    }

    fn interface(&mut self, gateway: Ipv4Addr) -> Result<u32> {
        let mut body = vec![2, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        attribute(&mut body, 1, &gateway.octets());
        let request = self.request(RTM_GETROUTE, 0, &body);
        self.send(&request)?;
        let (_, answer) = self.first_answer()?;
        let interface = attributes(answer.get(12..).unwrap_or_default()).find(|(kind, _)| *kind == 4);
        let (_, value) = interface.with_context(|| format!("no interface towards {gateway}"))?;
        Ok(u32::from_ne_bytes(value.try_into()?))
    }

    fn request(&mut self, kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(16 + body.len());
        bytes.extend(length.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((F_REQUEST | flags).to_ne_bytes());
        bytes.extend(self.sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        let sent = send(self.socket.as_raw_fd(), bytes, MsgFlags::empty())?;
        ensure!(sent == bytes.len(), "netlink took {sent} of {} bytes", bytes.len());
        Ok(())
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        let length = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty())?;
        Ok(self.buffer.get(..length).unwrap_or_default().to_vec())
    }

    fn acknowledged(&mut self) -> Result<()> {
        let (kind, body) = self.first_answer()?;
        let code = body.first_chunk::<4>().map_or(-1, |octets| i32::from_ne_bytes(*octets));
        ensure!(kind == NLMSG_ERROR && code == 0, "the kernel refuses a route: error {code}");
        Ok(())
    }

    fn first_answer(&mut self) -> Result<(u16, Vec<u8>)> {
        let bytes = self.receive()?;
        let (kind, body) = Messages(&bytes).next().context("an empty answer")?;
        Ok((kind, body.to_vec()))
    }
}

/// Netlink messages, one behind the other.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, _) = self.0.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
        let message = self.0.get(..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
        Some((kind, message.get(16..)?))
    }
}

fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (head, _) = bytes.split_first_chunk::<4>()?;
        let [low, high, kind_low, kind_high] = *head;
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([kind_low, kind_high]), value))
    })
}

/// The number and length of a route's destination, if it is one of ours in the main table.
fn destination(body: &[u8]) -> Option<(u32, u8)> {
    let (header, rest) = body.split_at_checked(12)?;
    let [2, length, _, _, 254, ..] = *header else { return None };
    let (_, value) = attributes(rest).find(|(kind, _)| *kind == 1)?;
    Some((prefix::number(u32::from_be_bytes(value.try_into().ok()?))?, length))
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(u16::try_from(4 + value.len()).unwrap_or(u16::MAX).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}
