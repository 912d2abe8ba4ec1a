//! TCP-AO (RFC 5925) through Linux's socket options, which are there since 6.7 if the kernel was built with
//! CONFIG_TCP_AO. Here are the octets of what they take; nothing is ever sent without the keys that are configured.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use socket2::SockRef;

use super::sockopt;
use crate::peer::{AoAlgorithm, AoKey};

/// `linux/tcp.h`.
const TCP_AO_ADD_KEY: libc::c_int = 38;
const TCP_AO_DEL_KEY: libc::c_int = 39;

/// `struct tcp_ao_add` of `linux/tcp.h`, whose fields stand one after the other: the neighbor as a
/// `sockaddr_storage` (128 octets), the algorithm's name (64), interface index (4), flags (4: bit 0 makes it the key
/// that is sent with, bit 1 the one that is asked for), reserved (2), prefix length, SendID, RecvID, length of the
/// signature, key flags, length of the key (1 each), the key (80).
fn add_option(remote: IpNet, key: &AoKey, is_first: bool) -> Vec<u8> {
    let mut option = head(remote);
    option.extend(sockopt::padded::<64>(name(key.algorithm).as_bytes()));
    option.extend([0; 4]);
    option.extend(flags(is_first));
    option.extend([0; 2]);
    let secret = key.secret.octets();
    let key_len = u8::try_from(secret.len()).unwrap_or_default();
    /// 96 bits (RFC 5926 §3.2).
    const SIGNATURE_LEN: u8 = 12;
    option.extend([remote.prefix_len(), key.send_id, key.receive_id, SIGNATURE_LEN, 0, key_len]);
    option.extend(sockopt::padded::<80>(secret));
    option
}

/// `struct tcp_ao_del`: the neighbor (128 octets), interface index (4), flags (4), reserved (2), prefix length, SendID,
/// RecvID, current key, next key, key flags (1 each).
fn del_option(remote: IpNet, key: &AoKey) -> Vec<u8> {
    let mut option = head(remote);
    option.extend([0; 4 + 4 + 2]);
    option.extend([remote.prefix_len(), key.send_id, key.receive_id, 0, 0, 0]);
    option
}

fn head(remote: IpNet) -> Vec<u8> {
    sockopt::padded::<128>(&sockopt::socket_address(remote.addr())).to_vec()
}

/// Bit fields begin at the low bit on little-endian machines and at the high one on big-endian ones.
fn flags(is_first: bool) -> [u8; 4] {
    let both = if cfg!(target_endian = "little") { 0b11 } else { 0b11_u32 << 30 };
    if is_first { both.to_ne_bytes() } else { [0; 4] }
}

/// As the kernel's crypto API calls it.
fn name(algorithm: AoAlgorithm) -> &'static str {
    match algorithm {
        AoAlgorithm::HmacSha1 => "hmac(sha1)",
        AoAlgorithm::Aes128Cmac => "cmac(aes128)",
        AoAlgorithm::HmacSha256 => "hmac(sha256)",
    }
}

/// Gives a connection that is still to be made, or that a listener with the same keys has accepted, its keys. After
/// an error it must not be used.
pub(super) fn set_keys(socket: &SockRef<'_>, remote: IpAddr, keys: &[AoKey]) -> io::Result<()> {
    add_keys(socket, remote.into(), keys, true)
}

/// The same for a listener, which has several neighbors and no key that it sends with.
pub(super) fn add_listener_keys(socket: &SockRef<'_>, remote: IpNet, keys: &[AoKey]) -> io::Result<()> {
    add_keys(socket, remote, keys, false)
}

/// Takes them from a listener again.
pub(super) fn remove_listener_keys(socket: &SockRef<'_>, remote: IpNet, keys: &[AoKey]) -> io::Result<()> {
    keys.iter().try_for_each(|key| {
        match sockopt::set_octets(socket, TCP_AO_DEL_KEY, &del_option(remote, key)) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result.map_err(explain),
        }
    })
}

fn add_keys(socket: &SockRef<'_>, remote: IpNet, keys: &[AoKey], has_current: bool) -> io::Result<()> {
    for (index, key) in keys.iter().enumerate() {
        let option = add_option(remote, key, has_current && index == 0);
        match sockopt::set_octets(socket, TCP_AO_ADD_KEY, &option) {
            // Inherited from the listener.
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
            result => result.map_err(explain)?,
        }
    }
    Ok(())
}

fn explain(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ENOPROTOOPT) => io::Error::other(
            "this kernel has no TCP-AO: it needs Linux 6.7 or later with CONFIG_TCP_AO; the session stays down",
        ),
        Some(libc::ENOENT) => io::Error::other("this kernel has no such TCP-AO algorithm, or no such key"),
        Some(_) | None => io::Error::new(error.kind(), format!("TCP-AO: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Password;

    fn key() -> AoKey {
        let secret = Password::new(*b"secret").unwrap();
        AoKey { send_id: 7, receive_id: 8, algorithm: AoAlgorithm::Aes128Cmac, secret }
    }

    /// Offsets counted in `linux/tcp.h` of Linux 6.7.
    #[test]
    fn rfc5925_options_have_the_octets_that_the_kernel_reads() {
        let remote = "10.1.2.0/24".parse().unwrap();
        let option = add_option(remote, &key(), true);
        assert_eq!(option.len(), 288, "a multiple of 8, as the struct is aligned");
        assert_eq!(&option[..2], &2_u16.to_ne_bytes(), "AF_INET");
        assert_eq!(&option[4..8], &[10, 1, 2, 0]);
        assert_eq!(&option[128..141], b"cmac(aes128)\0");
        assert_eq!(&option[192..196], &[0; 4], "interface");
        assert_eq!(&option[196..200], &flags(true));
        assert_eq!(&option[200..208], &[0, 0, 24, 7, 8, 12, 0, 6]);
        assert_eq!(&option[208..215], b"secret\0");
        assert_eq!(&add_option(remote, &key(), false)[196..200], &[0; 4]);
        let option = del_option("fd00::1/128".parse().unwrap(), &key());
        assert_eq!(option.len(), 144);
        assert_eq!(&option[..2], &10_u16.to_ne_bytes(), "AF_INET6");
        assert_eq!(&option[136..144], &[0, 0, 128, 7, 8, 0, 0, 0]);
    }

    /// Either the kernel can do it, or it is said what it lacks.
    #[test]
    fn a_kernel_without_it_is_named() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        match set_keys(&SockRef::from(&socket), [127, 0, 0, 1].into(), &[key()]) {
            Ok(()) => {}
            Err(error) => assert!(error.to_string().contains("CONFIG_TCP_AO"), "{error}"),
        }
    }
}
