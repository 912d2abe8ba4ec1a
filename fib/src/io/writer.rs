//! The bulk writer of routes. Blocking, on the FIB's own thread: the kernel has answered by the time `send`
//! returns, so there is nothing to wait for but its lock.
//!
//! A socket of its own and not rtnetlink's connection, which sends one request per poll and wants an answer to
//! each: here a batch is one `send`, and only its last message asks for an answer when all went well.

use std::{io, time::Duration};

use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkBuffer,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sys::{
    socket::{setsockopt, sockopt},
    time::TimeVal,
};

use super::convert::{self, RTM_DELROUTE, RTM_NEWROUTE, Verb};
use crate::{FibEffect, Outcome, Route, RouteKey};

/// Most messages in one `send`: beyond this the gain is nil (CRATES: 128 to 512 measure alike) and the time
/// away from the monitor grows.
pub(super) const BATCH_MAX: usize = 256;
/// Octets to receive with; an answer takes a datagram of its own.
const RECEIVE_LEN: usize = 64 * 1024;
/// For answers to a batch of failures with their text.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;
/// Longest wait for an answer; only a kernel in trouble takes it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

const NLMSG_ERROR: u16 = 2;

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EEXIST: i32 = 17;

/// A writing socket in the namespace of the thread that opened it.
pub(super) struct Writer {
    socket: Socket,
    port: u32,
    sequence: u32,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl Writer {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
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

    fn push(&mut self, kind: u16, flags: u16, body: &impl Emitable) {
        let mut octets = vec![0; body.buffer_len()];
        body.emit(&mut octets);
        self.sequence = self.sequence.wrapping_add(1);
        let length = u32::try_from(16 + octets.len()).unwrap_or(u32::MAX);
        // struct nlmsghdr: length, type, flags, sequence, port (0: the kernel fills it in)
        self.outgoing.extend_from_slice(&length.to_ne_bytes());
        self.outgoing.extend_from_slice(&kind.to_ne_bytes());
        self.outgoing.extend_from_slice(&flags.to_ne_bytes());
        self.outgoing.extend_from_slice(&self.sequence.to_ne_bytes());
        self.outgoing.extend_from_slice(&0u32.to_ne_bytes());
        self.outgoing.extend_from_slice(&octets);
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
