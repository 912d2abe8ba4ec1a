//! Socket options: what makes a TCP connection a BGP connection. The only file of the crate with unsafe code,
//! for the options that no safe crate has.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use ipnet::IpNet;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::tcp_ao;
use crate::peer::{AoKey, NeighborConfig, Password};

/// Internetwork control, CS6 (RFC 4594 §3.1), as the TOS octet.
const TOS_INTERNET_CONTROL: u32 = 0xc0;
/// The TTL we send without GTSM; enough for a multihop neighbor in any sane network.
const TTL_DEFAULT: u32 = 64;
/// The TTL that GTSM sends (RFC 5082 §3).
const TTL_MAX: u32 = 255;
/// Connections that wait to be accepted: a whole cluster that dials at once. The kernel cuts it to
/// net.core.somaxconn (4096 since Linux 5.4).
const BACKLOG: u32 = 4096;
/// Octets that the kernel takes beyond what is on its way to the neighbor. More would only mean that a
/// KEEPALIVE stands in a longer queue and that a slow neighbor gets older news.
const UNSENT_IN_KERNEL: u32 = 128 * 1024;
/// Idle time before TCP asks whether the other end is there. The hold timer is faster; this is for sessions
/// that have negotiated it away.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Dials the neighbor.
pub(super) async fn connect(config: NeighborConfig) -> io::Result<TcpStream> {
    let remote = SocketAddr::new(config.address, config.port);
    let socket = tcp_socket(remote)?;
    if let Some(local) = config.local_address {
        socket.bind(&SocketAddr::new(local, 0).into())?;
    }
    // Before the SYN, so that the whole handshake has the right TTL and is signed.
    set_password(&SockRef::from(&socket), remote.ip().into(), config.password.as_ref())?;
    tcp_ao::set_keys(&SockRef::from(&socket), remote.ip(), &config.tcp_ao)?;
    apply(SockRef::from(&socket), remote.ip(), &config)?;
    TcpSocket::from_std_stream(socket.into()).connect(remote).await
}

/// Makes an accepted connection what a dialled one is. It has inherited the listener's key of this neighbor; the
/// key is set all the same, because the listener may have accepted it before it was told the key. What comes
/// unsigned is dropped from here on.
pub(super) fn adopt(stream: &TcpStream, remote: IpAddr, config: &NeighborConfig) -> io::Result<()> {
    set_password(&SockRef::from(stream), remote.into(), config.password.as_ref())?;
    tcp_ao::set_keys(&SockRef::from(stream), remote, &config.tcp_ao)?;
    apply(SockRef::from(stream), remote, config)
}

/// Listens on `address`. An IPv6 listener takes IPv6 only: IPv4 neighbors need a listener of their own, and
/// then never appear under mapped addresses.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = tcp_socket(address)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Our SYN-ACK must pass the check of a neighbor that uses GTSM. We cannot know yet which one it is for.
    set_ttl(&SockRef::from(&socket), address.ip(), TTL_MAX)?;
    set_tos(&SockRef::from(&socket), address.ip())?;
    // Without it the TTL of a SYN is not looked at, which GTSM can do without: what follows is.
    if let Err(error) = set_int(&SockRef::from(&socket), libc::IPPROTO_TCP, libc::TCP_SAVE_SYN, 1) {
        tracing::debug!(%address, %error, "the kernel keeps no SYN");
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// Changes the key of a connection that is up, without touching it otherwise: what is sent from now on is
/// signed with the new key and what comes must be. Until the neighbor has changed too, TCP drops and repeats, so
/// nothing is lost as long as the hold time has not run out.
pub(super) fn change_password(
    stream: &TcpStream,
    remote: IpAddr,
    password: Option<&Password>,
) -> io::Result<()> {
    set_password(&SockRef::from(stream), remote.into(), password)
}

/// Sets or removes the key with which a listener answers neighbors, who must be of its family.
pub(super) fn change_listener_password(
    listener: &TcpListener,
    remote: IpNet,
    password: Option<&Password>,
) -> io::Result<()> {
    set_password(&SockRef::from(listener), remote, password)
}

/// Replaces the TCP-AO keys with which a listener answers neighbors.
pub(super) fn change_listener_ao_keys(
    listener: &TcpListener,
    remote: IpNet,
    (old, new): (&[AoKey], &[AoKey]),
) -> io::Result<()> {
    tcp_ao::remove_listener_keys(&SockRef::from(listener), remote, old)?;
    tcp_ao::add_listener_keys(&SockRef::from(listener), remote, new)
}

/// Whether bytes have arrived that have not been read.
pub(super) fn has_unread(stream: &TcpStream) -> bool {
    let mut unread: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as `stream` is borrowed, and FIONREAD writes one c_int to the
    // pointer, which is valid for it.
    #[allow(unsafe_code)]
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::FIONREAD, &raw mut unread) };
    result == 0 && unread > 0
}

/// The TTL (or hop limit) that the SYN of an accepted connection came with; `None` when the kernel did not keep it.
pub(super) fn syn_ttl(stream: &TcpStream) -> Option<u8> {
    /// Enough for the fixed part of either header.
    const HEADER_LEN: usize = 40;
    let mut header = [0_u8; HEADER_LEN + 216];
    let mut len = libc::socklen_t::try_from(header.len()).unwrap_or_default();
    // SAFETY: the descriptor is open as long as `stream` is borrowed; the kernel writes at most `len` octets to
    // the array, which has as many, and the number it wrote to `len`.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_SAVED_SYN,
            header.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result != 0 || len == 0 {
        return None;
    }
    match header.first()? >> 4 {
        4 => header.get(8).copied(),
        6 => header.get(7).copied(),
        _ => None,
    }
}

/// The least TTL that packets may come with (RFC 5082 §3): one that came over n hops has lost n - 1 of its 255.
pub(super) fn min_ttl(hops: u8) -> u8 {
    u8::MAX - hops.max(1) + 1
}

fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn apply(socket: SockRef<'_>, remote: IpAddr, config: &NeighborConfig) -> io::Result<()> {
    // What goes out is gathered already; a KEEPALIVE or the last UPDATE must not wait for more.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_IN_KERNEL)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    set_tos(&socket, remote)?;
    match config.ttl_security_hops {
        None => set_ttl(&socket, remote, TTL_DEFAULT),
        Some(hops) => {
            set_ttl(&socket, remote, TTL_MAX)?;
            set_min_ttl(&socket, remote, min_ttl(hops).into())
        }
    }
}

fn set_tos(socket: &SockRef<'_>, remote: IpAddr) -> io::Result<()> {
    match remote {
        IpAddr::V4(_) => socket.set_tos_v4(TOS_INTERNET_CONTROL),
        IpAddr::V6(_) => socket.set_tclass_v6(TOS_INTERNET_CONTROL),
    }
}

fn set_ttl(socket: &SockRef<'_>, remote: IpAddr, ttl: u32) -> io::Result<()> {
    match remote {
        IpAddr::V4(_) => socket.set_ttl_v4(ttl),
        IpAddr::V6(_) => socket.set_unicast_hops_v6(ttl),
    }
}

/// Packets with a smaller TTL are dropped by the kernel before TCP sees them.
fn set_min_ttl(socket: &SockRef<'_>, remote: IpAddr, ttl: u32) -> io::Result<()> {
    let (level, option) = match remote {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MINTTL),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT),
    };
    set_int(socket, level, option, libc::c_int::try_from(ttl).unwrap_or(libc::c_int::MAX))
}

/// An option of TCP whose value is a struct, as octets.
pub(super) fn set_octets(socket: &SockRef<'_>, option: libc::c_int, value: &[u8]) -> io::Result<()> {
    let len = libc::socklen_t::try_from(value.len()).unwrap_or_default();
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the kernel reads `len` octets from the
    // slice, which has as many. It copies them, so their alignment does not matter.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, option, value.as_ptr().cast(), len)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn set_int(
    socket: &SockRef<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or_default();
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the kernel reads `len` octets from the
    // pointer, which is valid for a c_int.
    #[allow(unsafe_code)]
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What `TCP_MD5SIG` takes, as in `linux/tcp.h`.
#[repr(C, align(8))]
struct TcpMd5Sig {
    /// The neighbor, as a `sockaddr_storage`.
    address: [u8; size_of::<libc::sockaddr_storage>()],
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    interface_index: libc::c_int,
    key: [u8; Password::OCTETS_MAX],
}

/// `TCP_MD5SIG_FLAG_PREFIX` of `linux/tcp.h`: the key is for a prefix.
const MD5_FLAG_PREFIX: u8 = 1;

/// TCP-MD5 (RFC 2385) with one neighbor, or on a listener with all of a prefix. IPv4 neighbors are only ever on IPv4 sockets here: our IPv6 listeners
/// take nothing else, so mapped addresses do not occur.
fn set_password(socket: &SockRef<'_>, remote: IpNet, password: Option<&Password>) -> io::Result<()> {
    let is_host = remote.prefix_len() == remote.max_prefix_len();
    // Kernels before 4.13 know only the first one.
    let name = if is_host { libc::TCP_MD5SIG } else { libc::TCP_MD5SIG_EXT };
    let octets = password.map_or(&[][..], Password::octets);
    let option = TcpMd5Sig {
        address: padded(&socket_address(remote.addr())),
        flags: if is_host { 0 } else { MD5_FLAG_PREFIX },
        prefix_len: if is_host { 0 } else { remote.prefix_len() },
        // A length of 0 removes the key.
        key_len: u16::try_from(octets.len()).unwrap_or_default(),
        interface_index: 0,
        key: padded(octets),
    };
    let len = libc::socklen_t::try_from(size_of::<TcpMd5Sig>()).unwrap_or_default();
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the kernel reads `len` octets from the
    // pointer, which is valid for a whole TcpMd5Sig without padding (128 + 1 + 1 + 2 + 4 + 80 octets).
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, name, (&raw const option).cast(), len)
    };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    // There was no key to remove: a kernel without TCP-MD5 has none either.
    let had_none = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOPROTOOPT | libc::EINVAL));
    if password.is_none() && had_none { Ok(()) } else { Err(error) }
}

/// A `sockaddr_in` or `sockaddr_in6` up to the end of its address. The port does not count.
pub(super) fn socket_address(address: IpAddr) -> Vec<u8> {
    let family = |number| libc::sa_family_t::try_from(number).unwrap_or_default().to_ne_bytes();
    let port = [0; 2];
    match address {
        IpAddr::V4(address) => [&family(libc::AF_INET)[..], &port, &address.octets()].concat(),
        IpAddr::V6(address) => {
            let flow_info = [0; 4];
            [&family(libc::AF_INET6)[..], &port, &flow_info, &address.octets()].concat()
        }
    }
}

pub(super) fn padded<const LEN: usize>(octets: &[u8]) -> [u8; LEN] {
    let mut padded = [0; LEN];
    for (to, from) in padded.iter_mut().zip(octets) {
        *to = *from;
    }
    padded
}

#[cfg(test)]
mod tests;
