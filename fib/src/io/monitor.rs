//! The kernel's notifications about links, routes and next-hop objects. The kernel's own buffer is the queue: it is bounded, and
//! when it overruns the kernel says so and the core asks for a scan.
//!
//! A socket of its own and not rtnetlink's multicast connection. That reads for as long as there is something,
//! parses every attribute and queues without a bound: a storm of notifications would fill the memory instead of
//! the kernel's buffer. It also leaves out, with no word to its user, a notification that it cannot parse.

use std::{future::poll_fn, io};

use netlink_packet_core::{NLM_F_REPLACE, NetlinkBuffer};
use netlink_sys::{AsyncSocket, SocketAddr, TokioSocket, protocols::NETLINK_ROUTE};

use super::{
    convert::{self, RTM_DELLINK, RTM_DELNEXTHOP, RTM_DELROUTE, RTM_NEWLINK, RTM_NEWNEXTHOP, RTM_NEWROUTE},
    filter,
    writer::widen,
};
use crate::FibEvent;

/// A notification takes some 700 octets: room for some twenty thousand unread.
const RECEIVE_BUFFER: usize = 16 * 1024 * 1024;
const RECEIVE_LEN: usize = 64 * 1024;
const ENOBUFS: i32 = 105;

const RTMGRP_LINK: u32 = 0x1;
const RTMGRP_IPV4_ROUTE: u32 = 0x40;
const RTMGRP_IPV6_ROUTE: u32 = 0x400;
/// RTNLGRP_NEXTHOP, 32. Kernels before 5.3 know nothing of it and say nothing there.
const RTMGRP_NEXTHOP: u32 = 0x8000_0000;

/// A listening socket in the namespace of the thread that opened it.
pub(super) struct Monitor {
    socket: TokioSocket,
    buffer: Vec<u8>,
    /// Received by [`wait`](Self::wait) into the buffer, not read yet.
    waiting: Option<io::Result<SocketAddr>>,
}

impl Monitor {
    /// Must be called inside the runtime.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        widen(socket.socket_ref(), RECEIVE_BUFFER);
        socket.socket_mut().bind(&SocketAddr::new(
            0,
            RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_NEXTHOP,
        ))?;
        Ok(Self { socket, buffer: Vec::with_capacity(RECEIVE_LEN), waiting: None })
    }

    /// Spares us what we would not act on: our own writes and other tables. Without it (an old kernel, a
    /// sandbox) everything still works, at the price of more wake-ups.
    pub(super) fn ignore(&self, our_port: u32, our_table: u32) {
        if let Err(error) = filter::attach(self.socket.socket_ref(), our_port, our_table) {
            tracing::debug!(%error, "no filter on the kernel's notifications");
        }
    }

    /// Until there is something to [`read`](Self::read). Cancel-safe: a datagram is either still in the kernel
    /// or in the buffer.
    pub(super) async fn wait(&mut self) {
        if self.waiting.is_none() {
            self.buffer.clear();
            let received = poll_fn(|cx| self.socket.poll_recv_from(cx, &mut self.buffer)).await;
            self.waiting = Some(received);
        }
    }

    /// Reads one datagram and appends what it says. False when there is none.
    ///
    /// Routes written by `our_port` are left out: their outcomes are known already, and better.
    pub(super) fn read(
        &mut self,
        our_port: u32,
        our_table: u32,
        events: &mut Vec<FibEvent>,
    ) -> io::Result<bool> {
        let received = self.waiting.take().unwrap_or_else(|| {
            self.buffer.clear();
            self.socket.socket_ref().recv_from(&mut self.buffer, 0).map(|(_, from)| from)
        });
        match received {
            // Port 0 is the kernel; anybody else may not speak for it.
            Ok(from) if from.port_number() != 0 => {}
            Ok(_) => {
                for message in convert::messages(&self.buffer) {
                    events.extend(decode(&message, our_port, our_table));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(ENOBUFS) => events.push(FibEvent::Overrun),
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}

fn decode(message: &NetlinkBuffer<&[u8]>, our_port: u32, our_table: u32) -> Option<FibEvent> {
    let body = message.payload();
    match message.message_type() {
        RTM_NEWLINK => convert::decode_link(body).map(FibEvent::Link),
        RTM_DELLINK => convert::decode_link(body).map(|link| FibEvent::LinkGone(link.index)),
        RTM_NEWROUTE | RTM_DELROUTE if message.port_number() == our_port => None,
        RTM_NEWROUTE if message.flags() & NLM_F_REPLACE != 0 => {
            convert::decode_route(body, our_table).map(FibEvent::ActualReplaced)
        }
        RTM_NEWROUTE => convert::decode_route(body, our_table).map(FibEvent::Actual),
        RTM_NEWNEXTHOP | RTM_DELNEXTHOP => convert::decode_next_hop_object(body).map(FibEvent::NextHopObject),
        RTM_DELROUTE => convert::decode_route(body, our_table).map(FibEvent::ActualGone),
        _ => None,
    }
}
