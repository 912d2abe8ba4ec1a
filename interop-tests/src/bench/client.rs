//! One BGP session of the generator: a socket that never blocks, what is still to be written, and the picture
//! of what came. It has no state machine to speak of: it says OPEN and KEEPALIVE when its time has come.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

use super::picture::{Picture, Seen, Wanted};
use super::wire::{self, Open};

/// The most that is written at once, so that a large feed leaves time for reading.
const WRITE: usize = 256 << 10;
/// How long a dial may take; a daemon that lets SYNs fall takes a second per attempt.
const DIAL: Duration = Duration::from_secs(10);

/// What a client is.
#[derive(Clone, Copy, Debug)]
pub struct ClientPlan {
    /// Where it dials from; its router id too.
    pub address: Ipv4Addr,
    /// Its AS.
    pub asn: u32,
    /// Graceful restart (RFC 4724), in seconds; `None`: not offered.
    pub restart_time: Option<u16>,
    /// A receive buffer of this many bytes instead of the kernel's choice.
    pub receive_buffer: Option<usize>,
}

/// How far its session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No connection.
    Down,
    /// The kernel is connecting.
    Dialing,
    /// OPEN is sent.
    OpenSent,
    /// Both KEEPALIVEs that confirm the OPENs are there.
    Established,
}

/// A session.
#[derive(Debug)]
pub struct Client {
    /// What it is.
    pub plan: ClientPlan,
    /// How far it is.
    pub progress: Progress,
    /// What it holds.
    pub picture: Picture,
    /// The connection.
    pub stream: Option<TcpStream>,
    /// It reads nothing.
    pub is_deaf: bool,
    /// Nobody waits for it.
    pub is_ignored: bool,
    /// The loop has been asked to say when it can write.
    pub watches_output: bool,
    /// Bytes of the UPDATEs that came, headers included, on this and former connections.
    pub bytes: u64,
    /// How many UPDATEs these were.
    pub messages: u64,
    /// End-of-RIB came on this connection.
    pub end_of_rib: bool,
    /// When it had all that is wanted.
    pub completed: Option<Instant>,
    /// Why the last connection ended.
    pub closed: Option<String>,
    queue: VecDeque<(Arc<[u8]>, usize)>,
    partial: Vec<u8>,
}

impl Client {
    /// Without a connection.
    #[must_use]
    pub fn new(plan: ClientPlan, picture: Picture) -> Self {
        Self {
            plan,
            progress: Progress::Down,
            picture,
            stream: None,
            is_deaf: false,
            is_ignored: false,
            watches_output: false,
            bytes: 0,
            messages: 0,
            end_of_rib: false,
            completed: None,
            closed: None,
            queue: VecDeque::new(),
            partial: Vec::new(),
        }
    }

    /// Dials and waits for the connection; OPEN is queued.
    ///
    /// # Errors
    /// Refused, or no answer.
    pub fn dial(&mut self, daemon: SocketAddr, open: &Open) -> Result<()> {
        let socket = self.socket()?;
        socket.connect_timeout(&daemon.into(), DIAL).with_context(|| format!("dial {daemon}"))?;
        socket.set_nonblocking(true)?;
        self.begin(socket);
        self.connected(open);
        Ok(())
    }

    /// Dials without waiting; [`Client::connected`] is for when the socket can be written.
    ///
    /// # Errors
    /// The kernel refuses to begin.
    pub fn dial_unready(&mut self, daemon: SocketAddr) -> Result<()> {
        let socket = self.socket()?;
        socket.set_nonblocking(true)?;
        match socket.connect(&daemon.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        self.begin(socket);
        self.progress = Progress::Dialing;
        Ok(())
    }

    fn socket(&self) -> Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(size) = self.plan.receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        socket.bind(&SocketAddr::from((self.plan.address, 0)).into())?;
        Ok(socket)
    }

    fn begin(&mut self, socket: Socket) {
        self.stream = Some(socket.into());
        self.partial.clear();
        self.queue.clear();
        self.end_of_rib = false;
        self.watches_output = false;
        self.closed = None;
    }

    /// The connection stands: says OPEN.
    pub fn connected(&mut self, open: &Open) {
        self.progress = Progress::OpenSent;
        self.send(open.encode().into());
    }

    /// Ends the connection; what it held is kept until [`Picture::clear`].
    pub fn close(&mut self, why: &str) {
        self.stream = None;
        self.progress = Progress::Down;
        self.queue.clear();
        self.partial.clear();
        self.closed = Some(why.to_owned());
    }

    /// Queues bytes.
    pub fn send(&mut self, bytes: Arc<[u8]>) {
        self.queue.push_back((bytes, 0));
    }

    /// Whether something waits to be written.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Writes as much as goes in one call.
    pub fn write(&mut self) {
        let (Some(stream), Some((bytes, written))) = (&mut self.stream, self.queue.front_mut()) else {
            return;
        };
        let rest = bytes.get(*written..).unwrap_or_default();
        let piece = rest.get(..WRITE.min(rest.len())).unwrap_or_default();
        match stream.write(piece) {
            Ok(count) => {
                *written += count;
                if *written >= bytes.len() {
                    self.queue.pop_front();
                }
            }
            Err(error) if is_later(&error) => {}
            Err(error) => self.close(&format!("write: {error}")),
        }
    }

    /// Reads once and takes in every whole message. `scratch` is as long as the longest read.
    pub fn read(&mut self, scratch: &mut [u8], wanted: &Wanted, seen: &mut Seen) {
        let Some(stream) = &mut self.stream else { return };
        let kept = self.partial.len();
        if let Some(front) = scratch.get_mut(..kept) {
            front.copy_from_slice(&self.partial);
        }
        let count = match stream.read(scratch.get_mut(kept..).unwrap_or_default()) {
            Ok(0) => return self.close("closed by the daemon"),
            Ok(count) => count,
            Err(error) if is_later(&error) => return,
            Err(error) => return self.close(&format!("read: {error}")),
        };
        let mut rest = scratch.get(..kept + count).unwrap_or_default();
        loop {
            match wire::next_message(rest) {
                Ok(Some((kind, body, behind))) => {
                    rest = behind;
                    self.take(kind, body, wanted, seen);
                    if self.stream.is_none() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => return self.close(&error.to_string()),
            }
        }
        self.partial.clear();
        self.partial.extend(rest);
    }

    fn take(&mut self, kind: u8, body: &[u8], wanted: &Wanted, seen: &mut Seen) {
        match kind {
            wire::UPDATE => {
                self.messages += 1;
                self.bytes += (wire::HEADER + body.len()) as u64;
                self.end_of_rib |= self.picture.update(body, wanted, seen);
            }
            wire::OPEN => self.send(wire::keepalive().into()),
            wire::KEEPALIVE if self.progress == Progress::OpenSent => self.progress = Progress::Established,
            wire::NOTIFICATION => {
                let mut code = body.iter();
                let (code, subcode) = (code.next().unwrap_or(&0), code.next().unwrap_or(&0));
                self.close(&format!("NOTIFICATION {code}/{subcode}"));
            }
            _ => {}
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
