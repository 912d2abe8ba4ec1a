//! Which link a session runs over. Asked once per session; what becomes of the link later the session tells.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use ipnet::IpNet;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_indextoname, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

use crate::InterfaceName;
use crate::rib::SharedLink;

/// The link that both ends are on: that of the zone, or the one on which our address has a prefix with theirs in
/// it. `None`: there are routers between, or the kernel would not say.
pub(super) fn shared_link(local: SocketAddr, remote: SocketAddr) -> Option<SharedLink> {
    let addresses = getifaddrs().ok()?.collect::<Vec<_>>();
    if let SocketAddr::V6(local) = local
        && local.ip().is_unicast_link_local()
    {
        let interface = name_of(local.scope_id())?;
        return Some(SharedLink { interface, link_local: Some(*local.ip()) });
    }
    let (local, remote) = (local.ip().to_canonical(), remote.ip().to_canonical());
    let on = addresses.iter().find(|entry| {
        let net = net_of(entry);
        let is_loopback = entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        !is_loopback && net.is_some_and(|net| net.addr() == local && net.contains(&remote))
    })?;
    let of_link = addresses.iter().filter(|entry| entry.interface_name == on.interface_name);
    let link_local = of_link.filter_map(net_of).find_map(|net| match net.addr() {
        IpAddr::V6(address) => Some(address).filter(Ipv6Addr::is_unicast_link_local),
        IpAddr::V4(_) => None,
    });
    Some(SharedLink { interface: on.interface_name.parse().ok()?, link_local })
}

/// Its name, if the kernel has an interface with this index.
pub(super) fn name_of(index: u32) -> Option<InterfaceName> {
    if_indextoname(index).ok()?.to_str().ok()?.parse().ok()
}

/// Where a neighbor's socket is. The index of its interface is asked anew for every connection: it is another
/// one when the interface comes back.
pub(super) fn socket_address(
    address: IpAddr,
    interface: Option<InterfaceName>,
    port: u16,
) -> io::Result<SocketAddr> {
    match (address, interface) {
        (IpAddr::V6(address), Some(interface)) => {
            let index = if_nametoindex(interface.as_str()).map_err(|_| {
                io::Error::new(io::ErrorKind::NotFound, format!("there is no link {interface}"))
            })?;
            Ok(SocketAddrV6::new(address, port, 0, index).into())
        }
        (IpAddr::V4(_) | IpAddr::V6(_), _) => Ok(SocketAddr::new(address, port)),
    }
}

fn net_of(entry: &InterfaceAddress) -> Option<IpNet> {
    let address = ip(entry.address.as_ref()?)?;
    let mask = ip(entry.netmask.as_ref()?)?;
    IpNet::with_netmask(address, mask).ok()
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}
