//! Requests to the kernel: dumps, and the bulk writer of routes. Blocking, on the FIB's own thread: the
//! kernel has answered by the time `send` returns, so there is nothing to wait for but its lock.
//!
//! Not rtnetlink's connection: that sends one request per poll and queues answers without a bound.

use std::{io, time::Duration};

use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
    NetlinkBuffer,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sys::{
    socket::{setsockopt, sockopt},
    time::TimeVal,
};

use super::convert::{
    self, AF_INET, AF_INET6, RTM_DELROUTE, RTM_GETLINK, RTM_GETROUTE, RTM_NEWLINK, RTM_NEWROUTE, Verb,
};
use crate::{
    FibEffect, LinkState, Outcome, Route, RouteKey,
    ownership::{TABLE_LOCAL, TABLE_MAIN},
};

/// Most messages in one `send`: beyond this the gain is nil (CRATES: 128 to 512 measure alike) and the time
/// away from the monitor grows.
pub(super) const BATCH_MAX: usize = 256;
/// Octets to receive with: dumps come in pieces of at most 32 KiB.
const RECEIVE_LEN: usize = 64 * 1024;
/// For answers to a batch of failures with their text.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;
/// Longest wait for an answer; only a kernel in trouble takes it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A dump that the kernel says was changed under way is repeated this often, then taken as it is: the monitor
/// has what changed.
const DUMP_ATTEMPTS: u32 = 3;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTA_TABLE: u16 = 15;
const IFLA_EXT_MASK: u16 = 29;
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EEXIST: i32 = 17;
const EOPNOTSUPP: i32 = 95;
const EAFNOSUPPORT: i32 = 97;

/// A request socket in the namespace of the thread that opened it.
pub(super) struct Netlink {
    socket: Socket,
    port: u32,
    sequence: u32,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

/// Everything that a scan reads.
pub(super) struct Dump {
    pub(super) links: Vec<LinkState>,
    pub(super) routes: Vec<Route>,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        // Filters in a dump request are honoured, not ignored (Linux 4.20).
        socket.set_netlink_get_strict_chk(true)?;
        widen(&socket, RECEIVE_BUFFER);
        let timeout = TimeVal::new(ANSWER_TIMEOUT.as_secs().cast_signed(), 0);
        setsockopt(&socket, sockopt::ReceiveTimeout, &timeout)?;
        let port = socket.bind_auto()?.port_number();
        Ok(Self {
            socket,
            port,
            sequence: 0,
            outgoing: Vec::new(),
            incoming: Vec::with_capacity(RECEIVE_LEN),
        })
    }

    /// The sender's number on notifications that our own writes cause.
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// Carries out writes in one send, at most [`BATCH_MAX`], and returns the outcome of each in order. An
    /// error means that the outcomes are unknown.
    pub(super) fn write(&mut self, effects: &[FibEffect]) -> io::Result<Vec<(RouteKey, Outcome)>> {
        self.outgoing.clear();
        let mut asked = Vec::with_capacity(effects.len());
        let writes: Vec<(&Route, u16, u16, Verb)> = effects.iter().filter_map(request).collect();
        let first = self.sequence.wrapping_add(1);
        for (at, (route, kind, flags, verb)) in writes.iter().enumerate() {
            // A refusal is always answered; success is told once, at the end of the batch.
            let last = if at + 1 == writes.len() { NLM_F_ACK } else { 0 };
            let body = convert::encode_route(route, *verb);
            self.push(*kind, NLM_F_REQUEST | flags | last, &body);
            asked.push((route.key, Outcome::Done));
        }
        if asked.is_empty() {
            return Ok(asked);
        }
        self.send()?;
        let last = self.sequence;
        let mut ended = false;
        while !ended {
            self.receive()?;
            for message in convert::messages(&self.incoming) {
                let sequence = message.sequence_number();
                let at = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                // Anything else is a late answer to a batch that was given up.
                let Some((_, outcome)) = asked.get_mut(at) else { continue };
                if message.message_type() == NLMSG_ERROR {
                    *outcome = decode_outcome(&message);
                    ended |= sequence == last;
                }
            }
        }
        Ok(asked)
    }

    /// Reads every link, and every route of the tables main, local and ours.
    pub(super) fn dump(&mut self, our_table: u32) -> io::Result<Dump> {
        let mut links = Vec::new();
        self.dump_all(RTM_GETLINK, &link_request(), |message| {
            if message.message_type() == RTM_NEWLINK {
                links.extend(convert::decode_link(message.payload()));
            }
        })?;
        let mut tables = vec![TABLE_LOCAL, TABLE_MAIN];
        if !tables.contains(&our_table) {
            tables.push(our_table);
        }
        let mut routes: Vec<Route> = Vec::new();
        for table in tables {
            for family in [AF_INET, AF_INET6] {
                let before = routes.len();
                let done = self.dump_all(RTM_GETROUTE, &route_request(family, table), |message| {
                    if message.message_type() == RTM_NEWROUTE {
                        routes.extend(convert::decode_route(message.payload(), our_table));
                    }
                });
                match done {
                    // A table that nobody has used does not exist; a kernel may be without IPv6.
                    Err(e) if matches!(e.raw_os_error(), Some(ENOENT | EOPNOTSUPP | EAFNOSUPPORT)) => {
                        routes.truncate(before);
                    }
                    done => done?,
                }
            }
        }
        // What the kernel holds in several tables at once (local and main share one trie until the first
        // rule) is filtered by it; what an interrupted dump gave twice is not.
        Ok(Dump { links, routes })
    }

    /// One dump, repeated if it was changed under way. What is told twice does no harm.
    fn dump_all(
        &mut self,
        kind: u16,
        body: &[u8],
        mut each: impl FnMut(&NetlinkBuffer<&[u8]>),
    ) -> io::Result<()> {
        for _ in 0..DUMP_ATTEMPTS {
            self.outgoing.clear();
            self.push_octets(kind, NLM_F_REQUEST | NLM_F_DUMP, body);
            self.send()?;
            if self.dump_once(&mut each)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// True unless interrupted.
    fn dump_once(&mut self, each: &mut impl FnMut(&NetlinkBuffer<&[u8]>)) -> io::Result<bool> {
        let mut consistent = true;
        loop {
            self.receive()?;
            for message in convert::messages(&self.incoming) {
                if message.sequence_number() != self.sequence {
                    continue;
                }
                consistent &= message.flags() & NLM_F_DUMP_INTR == 0;
                match message.message_type() {
                    NLMSG_ERROR | NLMSG_DONE => {
                        // Both begin with an errno.
                        return match convert::decode_error(message.payload()) {
                            Some((0, _)) | None => Ok(consistent),
                            Some((errno, _)) => Err(io::Error::from_raw_os_error(errno)),
                        };
                    }
                    _ => each(&message),
                }
            }
        }
    }

    fn push(&mut self, kind: u16, flags: u16, body: &impl Emitable) {
        let mut octets = vec![0; body.buffer_len()];
        body.emit(&mut octets);
        self.push_octets(kind, flags, &octets);
    }

    fn push_octets(&mut self, kind: u16, flags: u16, body: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
        // struct nlmsghdr: length, type, flags, sequence, port (0: the kernel fills it in)
        self.outgoing.extend_from_slice(&length.to_ne_bytes());
        self.outgoing.extend_from_slice(&kind.to_ne_bytes());
        self.outgoing.extend_from_slice(&flags.to_ne_bytes());
        self.outgoing.extend_from_slice(&self.sequence.to_ne_bytes());
        self.outgoing.extend_from_slice(&0u32.to_ne_bytes());
        self.outgoing.extend_from_slice(body);
        self.outgoing.resize(self.outgoing.len().next_multiple_of(4), 0);
    }

    fn send(&self) -> io::Result<()> {
        self.socket.send_to(&self.outgoing, &SocketAddr::new(0, 0), 0).map(|_| ())
    }

    fn receive(&mut self) -> io::Result<()> {
        loop {
            self.incoming.clear();
            match self.socket.recv_from(&mut self.incoming, 0) {
                // Port 0 is the kernel; anybody else may not speak for it.
                Ok((_, from)) if from.port_number() == 0 => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// As large a receive buffer as can be had: beyond the sysctl's limit with CAP_NET_ADMIN.
pub(super) fn widen(socket: &Socket, octets: usize) {
    if setsockopt(socket, sockopt::RcvBufForce, &octets).is_err() {
        let octets = i32::try_from(octets).unwrap_or(i32::MAX);
        if let Err(error) = socket.set_rx_buf_sz(octets) {
            tracing::debug!(%error, "the receive buffer stays small");
        }
    }
}

/// Route, message type, flags and verb of a write.
fn request(effect: &FibEffect) -> Option<(&Route, u16, u16, Verb)> {
    match effect {
        FibEffect::Create(route) => Some((route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, Verb::Write)),
        // Without CREATE: replacing nothing is an error that we want to hear of.
        FibEffect::Replace(route) => Some((route, RTM_NEWROUTE, NLM_F_REPLACE, Verb::Write)),
        FibEffect::Remove(route) => Some((route, RTM_DELROUTE, 0, Verb::Remove)),
        FibEffect::NextHop(_) | FibEffect::Scan => None,
    }
}

fn decode_outcome(message: &NetlinkBuffer<&[u8]>) -> Outcome {
    match convert::decode_error(message.payload()) {
        Some((0, _)) => Outcome::Done,
        Some((EEXIST, _)) => Outcome::Exists,
        Some((ENOENT | ESRCH, _)) => Outcome::Missing,
        Some((errno, words)) if words.is_empty() => {
            Outcome::Failed { errno, message: io::Error::from_raw_os_error(errno).to_string() }
        }
        Some((errno, message)) => Outcome::Failed { errno, message },
        None => Outcome::Failed { errno: 0, message: "an answer that cannot be read".to_owned() },
    }
}

/// struct ifinfomsg of zeros, and no statistics please.
fn link_request() -> Vec<u8> {
    let mut body = vec![0; 16];
    push_u32(&mut body, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    body
}

/// struct rtmsg for a family, and the one table.
fn route_request(family: u8, table: u32) -> Vec<u8> {
    let mut body = vec![family];
    body.resize(12, 0);
    push_u32(&mut body, RTA_TABLE, table);
    body
}

fn push_u32(body: &mut Vec<u8>, kind: u16, value: u32) {
    body.extend_from_slice(&8u16.to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(&value.to_ne_bytes());
}
