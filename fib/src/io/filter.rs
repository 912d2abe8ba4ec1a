//! A socket filter for the monitor: what nobody here wants to hear is dropped in the kernel, before it costs a
//! wake-up or room in the buffer. On a node with thousands of pods, or while we write a full table, that is
//! nearly everything.

use netlink_sys::Socket;
use socket2::{SockFilter, SockRef};

use super::convert::{RT_TABLE_COMPAT, RTM_DELROUTE, RTM_NEWROUTE};
use crate::ownership::{TABLE_LOCAL, TABLE_MAIN};

// Classic BPF, linux/bpf_common.h.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

// struct nlmsghdr, and rtm_table in the struct rtmsg behind it.
const AT_TYPE: u32 = 4;
const AT_PORT: u32 = 12;
const AT_TABLE: u32 = 16 + 4;

/// Lets pass everything but route notifications that our own writes cause and those of tables that the core
/// has no use for. May be set again at any time.
pub(super) fn attach(socket: &Socket, our_port: u32, our_table: u32) -> std::io::Result<()> {
    SockRef::from(socket).attach_filter(&program(our_port, our_table))
}

/// Loads are in network order and netlink is in the host's, so it is the constants that are swapped.
fn program(our_port: u32, our_table: u32) -> [SockFilter; 12] {
    let kind = |kind: u16| u32::from(kind.to_be());
    // A table over 255 shows as COMPAT; its number is in an attribute.
    let our_table = u8::try_from(our_table).unwrap_or(RT_TABLE_COMPAT);
    let op = SockFilter::new;
    [
        op(LOAD_HALF, 0, 0, AT_TYPE),
        op(JUMP_EQUAL, 1, 0, kind(RTM_NEWROUTE)),
        op(JUMP_EQUAL, 0, 7, kind(RTM_DELROUTE)),
        op(LOAD_WORD, 0, 0, AT_PORT),
        op(JUMP_EQUAL, 6, 0, our_port.to_be()),
        op(LOAD_BYTE, 0, 0, AT_TABLE),
        op(JUMP_EQUAL, 3, 0, TABLE_MAIN),
        op(JUMP_EQUAL, 2, 0, TABLE_LOCAL),
        op(JUMP_EQUAL, 1, 0, u32::from(RT_TABLE_COMPAT)),
        op(JUMP_EQUAL, 0, 1, u32::from(our_table)),
        op(RETURN, 0, 0, u32::MAX), // pass
        op(RETURN, 0, 0, 0),        // drop
    ]
}
