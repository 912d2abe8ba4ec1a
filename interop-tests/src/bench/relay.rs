//! A daemon that knows nothing: it copies every UPDATE that comes to every other session, as bytes. What it
//! takes is what the generator, the sockets and the kernel take, with one thread; no single-threaded daemon can
//! be faster in these namespaces.
//! All that came is one long log, and every session has a place in it, so the copying is one write per session
//! and round.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;

use anyhow::{Context, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Socket, Type};

use super::wire::{self, Open};

/// The first argument of the program that makes it a relay.
pub const ARGUMENT: &str = "relay";
/// As long as a storm of 2,500 sessions.
const BACKLOG: i32 = 4096;
/// One read.
const SCRATCH: usize = 1 << 20;
/// The listener among the epoll's data.
const LISTENER: u64 = u64::MAX;

/// Runs until it is killed. `silent` are sent nothing.
///
/// # Errors
/// The address cannot be bound.
pub fn run(address: Ipv4Addr, asn: u32, silent: &[Ipv4Addr]) -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((address, 179)).into()).context("bind port 179")?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener: TcpListener = socket.into();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let open = Open { asn, router_id: address.into(), hold_time: 90, restart_time: None, restarted: false };
    let mut relay =
        Relay { epoll, open: open.encode(), silent: silent.to_vec(), log: Vec::new(), peers: Vec::new() };
    let mut scratch = vec![0; SCRATCH];
    let mut events = [EpollEvent::empty(); 256];
    loop {
        let count = relay.epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in events.iter().take(count) {
            if event.data() == LISTENER {
                relay.accept(&listener)?;
            } else if event.events().intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP) {
                relay.read(usize::try_from(event.data())?, &mut scratch);
            }
        }
        relay.write_all()?;
    }
}

struct Relay {
    epoll: Epoll,
    open: Vec<u8>,
    silent: Vec<Ipv4Addr>,
    /// Every UPDATE that came, one behind the other.
    log: Vec<u8>,
    peers: Vec<Peer>,
}

struct Peer {
    stream: Option<TcpStream>,
    partial: Vec<u8>,
    /// OPEN and KEEPALIVEs still to write.
    control: VecDeque<u8>,
    /// Up to where the log has been written to it; `None`: it gets nothing.
    place: Option<usize>,
    /// The pieces of the log from there on that came from itself.
    own: VecDeque<Range<usize>>,
    watches_output: bool,
}

impl Relay {
    fn accept(&mut self, listener: &TcpListener) -> Result<()> {
        loop {
            let (stream, from) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let id = self.peers.len() as u64;
            self.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, id))?;
            let is_silent = self.silent.iter().any(|&silent| from.ip() == IpAddr::from(silent));
            let mut control: VecDeque<u8> = self.open.iter().copied().collect();
            control.extend(wire::keepalive());
            self.peers.push(Peer {
                stream: Some(stream),
                partial: Vec::new(),
                control,
                place: (!is_silent).then_some(self.log.len()),
                own: VecDeque::new(),
                watches_output: false,
            });
        }
    }

    fn read(&mut self, id: usize, scratch: &mut [u8]) {
        let Self { peers, log, .. } = self;
        let Some(peer) = peers.get_mut(id) else { return };
        let Some(stream) = &mut peer.stream else { return };
        match stream.read(scratch) {
            Ok(0) => peer.stream = None,
            Ok(count) => peer.partial.extend(scratch.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => peer.stream = None,
        }
        let start = log.len();
        let mut taken = 0;
        while let Ok(Some((kind, body, _))) =
            wire::next_message(peer.partial.get(taken..).unwrap_or_default())
        {
            let end = taken + wire::HEADER + body.len();
            // End-of-RIB is about one session.
            if kind == wire::UPDATE && body.len() > 4 {
                log.extend(peer.partial.get(taken..end).unwrap_or_default());
            }
            taken = end;
        }
        peer.partial.drain(..taken);
        if log.len() > start && peer.place.is_some() {
            match peer.own.back_mut() {
                Some(last) if last.end == start => last.end = log.len(),
                _ => peer.own.push_back(start..log.len()),
            }
        }
    }

    fn write_all(&mut self) -> Result<()> {
        for (id, peer) in (0..).zip(&mut self.peers) {
            let is_behind = peer.write(&self.log);
            let Some(stream) = &peer.stream else { continue };
            if is_behind != peer.watches_output {
                peer.watches_output = is_behind;
                let mut flags = EpollFlags::EPOLLIN;
                flags.set(EpollFlags::EPOLLOUT, is_behind);
                self.epoll.modify(stream, &mut EpollEvent::new(flags, id))?;
            }
        }
        Ok(())
    }
}

impl Peer {
    /// Writes what goes. Gives whether something is left.
    fn write(&mut self, log: &[u8]) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        while !self.control.is_empty() {
            match stream.write(self.control.as_slices().0) {
                Ok(count) => drop(self.control.drain(..count)),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        let Some(place) = &mut self.place else { return false };
        while *place < log.len() {
            let next_own = self.own.front().map_or(log.len(), |own| own.start);
            if next_own == *place {
                *place = self.own.pop_front().map_or(*place, |own| own.end);
                continue;
            }
            match stream.write(log.get(*place..next_own).unwrap_or_default()) {
                Ok(count) => *place += count,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        false
    }
}
