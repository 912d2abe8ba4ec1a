//! Which routes are ours, and how the others' owners are called.
//!
//! A route is ours if and only if it carries our protocol number in our table and is of a kind we make. A
//! process with no memory can tell, which is why nothing else (no file, no cookie) decides it.

use std::borrow::Cow;

use crate::{PROTOCOL, Route, RouteKind};

/// Kernel table main.
pub const TABLE_MAIN: u32 = 254;
/// Kernel table local: the host's own addresses.
pub const TABLE_LOCAL: u32 = 255;

/// True when we may change or remove the route.
#[must_use]
pub fn is_ours(route: &Route, our_table: u32) -> bool {
    let our_kind = match route.kind {
        RouteKind::Unicast | RouteKind::Blackhole => true,
        RouteKind::Local | RouteKind::Other => false,
    };
    our_kind && route.protocol == PROTOCOL && route.key.table == our_table
}

/// A protocol number as iproute2 prints it (`/etc/iproute2/rt_protos`).
#[must_use]
pub fn protocol_name(protocol: u8) -> Cow<'static, str> {
    Cow::Borrowed(match protocol {
        1 => "redirect",
        2 => "kernel",
        3 => "boot",
        4 => "static",
        9 => "ra",
        11 => "zebra",
        12 => "bird",
        14 => "xorp",
        16 => "dhcp",
        18 => "keepalived",
        42 => "babel",
        80 => "80 (calico-felix)",
        PROTOCOL => "manx",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        other => return Cow::Owned(other.to_string()),
    })
}
