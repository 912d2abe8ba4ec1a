//! Reads the kernel's links and routes in full, over rtnetlink. Knows neither writes nor notifications.
//!
//! What a scan does not name is gone to the core, so a dump that breaks off must never pass for one that ended.
//! rtnetlink's own `execute()` cannot tell them apart: it hides the message that ends a dump, and with it the
//! kernel's errno and the flag that something changed under way, and its stream just ends when the socket
//! fails. So requests are given to its `Handle` and each answer is looked at here.

use std::{collections::BTreeSet, io, time::Duration};

use futures::{StreamExt, channel::mpsc::UnboundedReceiver};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{LinkExtentMask, LinkMessage},
};
use netlink_sys::SocketAddr;
use nix::{
    ifaddrs::getifaddrs,
    net::if_::{InterfaceFlags, if_nameindex},
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
/// Nothing is spawned: the connection runs while a dump waits for it, and not in between. It reads up to 128
/// datagrams (tokio's budget) before the answers are taken from its queue, which bounds that to some 4 MB of
/// the kernel's octets.
pub(super) struct Reader {
    connection: Connection<RouteNetlinkMessage>,
    handle: Handle,
    /// What answers no request, such as the news that an answer was lost.
    unsolicited: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
}

/// Everything that a scan reads.
pub(super) struct Dump {
    pub(super) links: Vec<LinkState>,
    pub(super) routes: Vec<Route>,
}

/// What one dump has given so far.
pub(super) struct Answers<T> {
    pub(super) found: Vec<T>,
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
                let found = self.dump_all(&request, |answer| match answer {
                    RouteNetlinkMessage::NewRoute(message) => convert::route(message, our_table),
                    _ => None,
                });
                match found.await {
                    // A table that nobody has used does not exist; a kernel may be without IPv6.
                    Err(e) if matches!(e.raw_os_error(), Some(ENOENT | EOPNOTSUPP | EAFNOSUPPORT)) => {}
                    found => routes.append(&mut found?),
                }
            }
        }
        Ok(Dump { links, routes })
    }

    /// rtnetlink leaves out a link with one attribute that it cannot parse, and with it would go every route
    /// over that link. So libc, which reads no more than we need, is asked what there is.
    async fn links(&mut self) -> io::Result<Vec<LinkState>> {
        let there: BTreeSet<u32> = if_nameindex()?.iter().map(nix::net::if_::Interface::index).collect();
        let request = RouteNetlinkMessage::GetLink(self.link_request());
        let mut links = self
            .dump_all(&request, |answer| match answer {
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

    /// One dump, repeated while it is changed under way.
    async fn dump_all<T>(
        &mut self,
        request: &RouteNetlinkMessage,
        read: impl Fn(&RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..DUMP_ATTEMPTS {
            let answers = self.dump_once(request.clone(), &read).await?;
            if !answers.interrupted {
                return Ok(answers.found);
            }
        }
        Err(io::Error::other(format!("changed under way, {DUMP_ATTEMPTS} times over")))
    }

    /// Follows one dump to its end, even when it is known to be of no use: the kernel takes no second request
    /// before that.
    async fn dump_once<T>(
        &mut self,
        request: RouteNetlinkMessage,
        read: impl Fn(&RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<Answers<T>> {
        let mut request = NetlinkMessage::from(request);
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let stream = self.handle.request(request).map_err(io::Error::other)?;
        let mut stream = stream.ready_chunks(ANSWERS_MAX);
        let mut answers = Answers { found: Vec::new(), interrupted: false };
        loop {
            let next = async {
                loop {
                    tokio::select! {
                        biased;
                        chunk = stream.next() => return chunk.ok_or_else(ended),
                        () = &mut self.connection => return Err(ended()),
                        Some((message, _)) = self.unsolicited.next() => {
                            if matches!(message.payload, NetlinkPayload::Overrun(_)) {
                                return Err(io::Error::from_raw_os_error(ENOBUFS));
                            }
                        }
                    }
                }
            };
            for answer in tokio::time::timeout(SILENCE_MAX, next).await?? {
                if answers.take(answer, &read)? {
                    return Ok(answers);
                }
            }
        }
    }
}

impl<T> Answers<T> {
    /// Takes one answer. True when it ends the dump.
    pub(super) fn take(
        &mut self,
        answer: NetlinkMessage<RouteNetlinkMessage>,
        read: impl Fn(&RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<bool> {
        self.interrupted |= answer.header.flags & NLM_F_DUMP_INTR != 0;
        match answer.payload {
            NetlinkPayload::InnerMessage(message) => {
                self.found.extend(read(&message));
                Ok(false)
            }
            NetlinkPayload::Done(end) if end.code == 0 => Ok(true),
            NetlinkPayload::Done(end) => Err(io::Error::from_raw_os_error(end.code.saturating_neg())),
            NetlinkPayload::Error(refusal) => {
                let code = refusal.code.map_or(0, std::num::NonZeroI32::get);
                Err(io::Error::from_raw_os_error(code.saturating_neg()))
            }
            NetlinkPayload::Overrun(_) => Err(io::Error::from_raw_os_error(ENOBUFS)),
            other => Err(io::Error::other(format!("an answer that no dump has: {other:?}"))),
        }
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "a dump without an end")
}

/// The links as libc reads them.
pub(super) fn links_of_libc() -> io::Result<Vec<LinkState>> {
    let flags: std::collections::BTreeMap<String, InterfaceFlags> =
        getifaddrs()?.map(|entry| (entry.interface_name, entry.flags)).collect();
    let links = if_nameindex()?;
    let state = |link: &nix::net::if_::Interface| {
        let name = link.name().to_string_lossy().into_owned();
        let flags = flags.get(&name)?;
        let admin_up = flags.contains(InterfaceFlags::IFF_UP);
        let up = admin_up && flags.contains(InterfaceFlags::IFF_RUNNING);
        Some(LinkState { index: link.index(), name, admin_up, up })
    };
    Ok(links.iter().filter_map(state).collect())
}
