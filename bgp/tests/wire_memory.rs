//! Decoding allocates at most in proportion to the message: the shapes of input with which a peer could try
//! to make it allocate more, measured with a counting allocator. One test, so that nobody else allocates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bgp::wire::{DecodeContext, HEADER_LEN, decode_message};
use bgp::{AfiSafi, PeerKind};
use bytes::{BufMut, Bytes, BytesMut};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system allocator unchanged; only sums are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller keeps alloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `at` came from `alloc` above with this layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Octets at the peak, per octet of input, that a vector of 24-octet prefixes costs while it grows (old and
/// new at once) from one-octet NLRI, and some.
const PER_OCTET: usize = 100;
const FIXED: usize = 64 * 1024;

#[test]
fn memory_is_proportional_to_the_message() {
    let contexts = [
        DecodeContext { extended_message: true, ..DecodeContext::default() },
        DecodeContext {
            extended_message: true,
            extended_next_hop: true,
            kind: PeerKind::Ibgp,
            four_octet_as: false,
            add_path_receive: AfiSafi::ALL.to_vec(),
        },
    ];
    let longest = 65_535 - HEADER_LEN - 4;
    let attribute = |flags: u8, code: u8, value: &[u8]| {
        let len = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[flags | 0x10, code][..], &len, value].concat()
    };
    let repeat = |unit: &[u8], len: usize| {
        unit.iter().copied().cycle().take(len - len % unit.len()).collect::<Vec<u8>>()
    };
    let value = longest - 4;
    let mp = |head: &[u8], unit: &[u8]| [head, &repeat(unit, value - 40)].concat();
    let next_hop = [&[0, 2, 1, 16][..], &[0x20; 16], &[0]].concat();
    let every_code =
        || (0..=255u8).cycle().flat_map(|code| [0xc0, code, 0]).take(longest - longest % 3).collect();

    let shapes: Vec<(&str, u8, Vec<u8>)> = vec![
        ("default routes", 2, update(&[], &[], &repeat(&[0], longest))),
        ("withdrawn default routes", 2, update(&repeat(&[0], longest), &[], &[])),
        ("path identifiers", 2, update(&[], &[], &repeat(&[0; 5], longest))),
        ("MP default routes", 2, update(&[], &attribute(0x80, 14, &mp(&next_hop, &[0])), &[])),
        ("MP withdrawn default routes", 2, update(&[], &attribute(0x80, 15, &mp(&[0, 2, 1], &[0])), &[])),
        ("segments of one AS", 2, update(&[], &attribute(0x40, 2, &repeat(&[2, 1, 0, 0, 0, 9], value)), &[])),
        ("segments of one short AS", 2, update(&[], &attribute(0x40, 2, &repeat(&[2, 1, 0, 9], value)), &[])),
        ("segments of nothing", 2, update(&[], &attribute(0x40, 2, &repeat(&[2, 0], value)), &[])),
        ("an odd AS_PATH", 2, update(&[], &attribute(0x40, 2, &repeat(&[2], value)), &[])),
        ("communities", 2, update(&[], &attribute(0xc0, 8, &repeat(&[1, 2, 3, 4], value)), &[])),
        ("clusters", 2, update(&[], &attribute(0x80, 10, &repeat(&[1, 2, 3, 4], value)), &[])),
        ("an unknown attribute", 2, update(&[], &attribute(0xc0, 99, &repeat(&[1], value)), &[])),
        ("repeated attributes", 2, update(&[], &repeat(&[0x80, 4, 0], longest), &[])),
        ("every attribute there is", 2, update(&[], &(every_code)() as &Vec<u8>, &[])),
        (
            "empty capabilities",
            1,
            [
                &[4, 0, 1, 0, 90, 1, 1, 1, 1, 255, 255][..],
                &4058u16.to_be_bytes(),
                &[2],
                &4055u16.to_be_bytes(),
                &repeat(&[2, 0], 4055),
                &[2],
            ]
            .concat(),
        ),
        ("notification", 3, repeat(&[6, 2], longest)),
    ];
    for (name, kind, body) in shapes {
        let frame = framed(kind, &body);
        for context in &contexts {
            let before = NOW.load(Relaxed);
            PEAK.store(before, Relaxed);
            let result = decode_message(&frame, context);
            let peak = PEAK.load(Relaxed) - before;
            assert!(peak < PER_OCTET * frame.len() + FIXED, "{name}: {peak} octets for {}", frame.len());
            drop(result);
        }
    }
}

fn update(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let mut body = BytesMut::new();
    body.put_u16(u16::try_from(withdrawn.len()).unwrap());
    body.put_slice(withdrawn);
    body.put_u16(u16::try_from(attributes.len()).unwrap());
    body.put_slice(attributes);
    body.put_slice(nlri);
    body.to_vec()
}

fn framed(kind: u8, body: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_bytes(0xff, 16);
    frame.put_u16(u16::try_from(HEADER_LEN + body.len()).unwrap());
    frame.put_u8(kind);
    frame.put_slice(body);
    frame.freeze()
}
