//! See `fuzz::kernel::datagram`.
#![no_main]
fuzz::target!(fuzz::kernel::datagram);
