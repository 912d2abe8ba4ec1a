//! What the kernel tells over netlink. It is to be trusted, but a newer one says things that we do not know.

/// One datagram.
pub fn datagram(data: &[u8]) {
    fib::io::check_datagram(data);
}
