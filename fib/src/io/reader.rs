//! Reads the kernel's links and routes in full, over rtnetlink. Knows neither writes nor notifications.
//!
//! What a scan does not name is gone to the core, so a dump that breaks off must never pass for one that ended.
//! rtnetlink's own `execute()` cannot tell them apart: it hides the message that ends a dump, and with it the
//! kernel's errno and the flag that something changed under way, and its stream just ends when the socket
//! fails. So requests are given to its `Handle` and each answer is looked at here.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    num::NonZeroI32,
    time::Duration,
};

use futures::{Stream, StreamExt, channel::mpsc::UnboundedReceiver};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{LinkExtentMask, LinkMessage},
};
use netlink_sys::SocketAddr;
use nix::{
    ifaddrs::getifaddrs,
    net::if_::{Interface, InterfaceFlags, if_nameindex},
};
use rtnetlink::{Handle, new_connection_with_strict_check, proto::Connection};

use super::convert;
use crate::{
    LinkState, Route,
    ownership::{TABLE_LOCAL, TABLE_MAIN},
};

/// Longest silence in a dump; only a kernel in trouble takes it. A limit to the whole would be one to the size
/// of the tables.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Answers looked at under one such limit.
const ANSWERS_MAX: usize = 1024;
/// A dump that the kernel says was changed under way is repeated this often before it counts as broken.
const DUMP_ATTEMPTS: u32 = 3;

const ENOENT: i32 = 2;
const EOPNOTSUPP: i32 = 95;
const EAFNOSUPPORT: i32 = 97;
const ENOBUFS: i32 = 105;

/// A connection in the namespace of the thread that opened it. After an error its state is unknown.
///
/// Nothing is spawned: the connection runs while a dump waits for it, and not in between. It queues up to 128
/// datagrams (tokio's budget) before it gives way to whoever takes the answers, so its queue is bounded whatever
/// the size of the tables: 4 MB of the kernel's octets, some 33 MB when parsed.
pub(super) struct Reader {
    connection: Connection<RouteNetlinkMessage>,
    handle: Handle,
    /// What answers no request, such as the news that an answer was lost.
    unsolicited: Unsolicited,
}

type Unsolicited = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// Everything that a scan reads.
pub(super) struct Dump {
    pub(super) links: Vec<LinkState>,
    pub(super) routes: Vec<Route>,
}

/// What the answers to one dump say about it as a whole.
#[derive(Default)]
pub(super) struct Answers {
    /// Something changed under way: entries may be missing.
    pub(super) interrupted: bool,
}

impl Reader {
    /// Must be called inside the runtime.
    pub(super) fn open() -> io::Result<Self> {
        // Strict: filters in a dump request are honoured, not ignored (Linux 4.20). The receive buffer may stay
        // small, because the kernel makes the next piece of a dump only when there is room.
        let (mut connection, handle, unsolicited) = new_connection_with_strict_check()?;
        connection.set_forward_done(true);
        Ok(Self { connection, handle, unsolicited })
    }

    /// Reads every link, and every route of the tables main, local and ours.
    pub(super) async fn dump(&mut self, our_table: u32) -> io::Result<Dump> {
        let links = self.links().await?;
        let mut routes = Vec::new();
        for table in BTreeSet::from([TABLE_LOCAL, TABLE_MAIN, our_table]) {
            for family in [AddressFamily::Inet, AddressFamily::Inet6] {
                let request = RouteNetlinkMessage::GetRoute(convert::route_request(family, table));
                let dumped = self.dump_all(&request, &mut routes, |answer| match answer {
                    RouteNetlinkMessage::NewRoute(message) => convert::route(message, our_table),
                    _ => None,
                });
                match dumped.await {
                    // A table that nobody has used does not exist; a kernel may be without IPv6.
                    Err(e) if matches!(e.raw_os_error(), Some(ENOENT | EOPNOTSUPP | EAFNOSUPPORT)) => {}
                    dumped => dumped?,
                }
            }
        }
        Ok(Dump { links, routes })
    }

    /// rtnetlink leaves out a link with one attribute that it cannot parse, and with it would go every route
    /// over that link. So libc, which reads no more than we need, is asked what there is.
    async fn links(&mut self) -> io::Result<Vec<LinkState>> {
        let there: BTreeSet<u32> = if_nameindex()?.iter().map(Interface::index).collect();
        let request = RouteNetlinkMessage::GetLink(self.link_request());
        let mut links = Vec::new();
        self.dump_all(&request, &mut links, |answer| match answer {
            RouteNetlinkMessage::NewLink(message) => convert::link(message),
            _ => None,
        })
        .await?;
        let read: BTreeSet<u32> = links.iter().map(|link| link.index).collect();
        if !there.is_subset(&read) {
            links.extend(links_of_libc()?.into_iter().filter(|link| !read.contains(&link.index)));
        }
        Ok(links)
    }

    /// All links, without their statistics.
    fn link_request(&self) -> LinkMessage {
        let mask = vec![LinkExtentMask::SkipStats];
        self.handle.link().get().set_filter_mask(AddressFamily::Unspec, mask).message_mut().clone()
    }

    /// One dump, appended to `found`; repeated while it is changed under way.
    async fn dump_all<T>(
        &mut self,
        request: &RouteNetlinkMessage,
        found: &mut Vec<T>,
        read: impl Fn(&RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<()> {
        let before = found.len();
        for _ in 0..DUMP_ATTEMPTS {
            let mut answers = Answers::default();
            let taken = self.dump_once(request.clone(), |message| answers.take(message, found, &read)).await;
            if taken.is_ok() && !answers.interrupted {
                return Ok(());
            }
            found.truncate(before);
            taken?;
        }
        Err(io::Error::other(format!("changed under way, {DUMP_ATTEMPTS} times over")))
    }

    /// Follows one dump to its end, even when it is known to be of no use: the kernel takes no second request
    /// before that.
    async fn dump_once(
        &mut self,
        request: RouteNetlinkMessage,
        mut take: impl FnMut(NetlinkMessage<RouteNetlinkMessage>) -> io::Result<bool>,
    ) -> io::Result<()> {
        let mut request = NetlinkMessage::from(request);
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut stream = self.handle.request(request).map_err(io::Error::other)?.ready_chunks(ANSWERS_MAX);
        loop {
            let next = next(&mut stream, &mut self.connection, &mut self.unsolicited);
            for answer in tokio::time::timeout(SILENCE_MAX, next).await?? {
                if take(answer)? {
                    return Ok(());
                }
            }
        }
    }
}

/// Runs the connection until it has answers.
async fn next(
    stream: &mut (impl Stream<Item = Vec<NetlinkMessage<RouteNetlinkMessage>>> + Unpin),
    connection: &mut Connection<RouteNetlinkMessage>,
    unsolicited: &mut Unsolicited,
) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
    let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "a dump without an end");
    loop {
        tokio::select! {
            biased;
            answers = stream.next() => return answers.ok_or_else(ended),
            () = &mut *connection => return Err(ended()),
            Some((message, _)) = unsolicited.next() => {
                if matches!(message.payload, NetlinkPayload::Overrun(_)) {
                    return Err(io::Error::from_raw_os_error(ENOBUFS));
                }
            }
        }
    }
}

impl Answers {
    /// Takes one answer and appends what it reads as to `found`. True when it ends the dump.
    pub(super) fn take<T>(
        &mut self,
        answer: NetlinkMessage<RouteNetlinkMessage>,
        found: &mut Vec<T>,
        read: impl Fn(&RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<bool> {
        self.interrupted |= answer.header.flags & NLM_F_DUMP_INTR != 0;
        match answer.payload {
            NetlinkPayload::InnerMessage(message) => {
                found.extend(read(&message));
                Ok(false)
            }
            NetlinkPayload::Done(end) if end.code == 0 => Ok(true),
            NetlinkPayload::Done(end) => Err(io::Error::from_raw_os_error(end.code.saturating_neg())),
            NetlinkPayload::Error(refusal) => {
                let code = refusal.code.map_or(0, NonZeroI32::get);
                Err(io::Error::from_raw_os_error(code.saturating_neg()))
            }
            NetlinkPayload::Overrun(_) => Err(io::Error::from_raw_os_error(ENOBUFS)),
            other => Err(io::Error::other(format!("an answer that no dump has: {other:?}"))),
        }
    }
}

/// The links as libc reads them.
pub(super) fn links_of_libc() -> io::Result<Vec<LinkState>> {
    let flags: BTreeMap<String, InterfaceFlags> =
        getifaddrs()?.map(|entry| (entry.interface_name, entry.flags)).collect();
    let links = if_nameindex()?;
    let state = |link: &Interface| {
        let name = link.name().to_string_lossy().into_owned();
        let flags = flags.get(&name)?;
        let admin_up = flags.contains(InterfaceFlags::IFF_UP);
        let up = admin_up && flags.contains(InterfaceFlags::IFF_RUNNING);
        Some(LinkState { index: link.index(), name, admin_up, up })
    };
    Ok(links.iter().filter_map(state).collect())
}
