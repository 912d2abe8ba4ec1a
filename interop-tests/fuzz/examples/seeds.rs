//! Writes what a corpus begins with: messages that BIRD and GoBGP really sent, taken apart as each target wants
//! them, and texts of the tests. `cargo run --release --example seeds` here; the names say what is in them, so
//! that a second run writes nothing new.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::fs;
use std::path::Path;

/// Type codes of RFC 4271 and their targets.
const MESSAGES: [(u8, &str); 5] = [
    (1, "message_open"),
    (2, "message_update"),
    (3, "message_notification"),
    (4, "message_keepalive"),
    (5, "message_route_refresh"),
];
const ATTRIBUTES: [(u8, &str); 18] = [
    (1, "origin"),
    (2, "as_path"),
    (3, "next_hop"),
    (4, "multi_exit_disc"),
    (5, "local_pref"),
    (6, "atomic_aggregate"),
    (7, "aggregator"),
    (8, "communities"),
    (9, "originator_id"),
    (10, "cluster_list"),
    (14, "mp_reach_nlri"),
    (15, "mp_unreach_nlri"),
    (16, "extended_communities"),
    (17, "as4_path"),
    (18, "as4_aggregator"),
    (32, "large_community"),
    (35, "only_to_customer"),
    (99, "unknown"),
];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // What was negotiated, as `fuzz::wire::context` reads it, from the tests that read these captures.
    let captures = [
        ("bird_all", 2),
        ("bird_extended_next_hop", 0),
        ("bird_full_messages", 2),
        ("bird_two_octet", 3),
        ("gobgp_all", 24),
        ("gobgp_two_octet", 3),
    ];
    for (capture, options) in captures {
        let bytes = fs::read(root.join(format!("bgp/tests/golden/{capture}.bin"))).unwrap();
        messages(capture, &bytes, options);
    }
    for (code, name) in ATTRIBUTES {
        write(&format!("attribute_{name}"), "empty", &[0, 0]);
        write(&format!("attribute_{name}"), "internal", &[4, 0, 0, 0, 0, code]);
    }
    write("message_notification", "shutdown", &[0, 6, 2, 3, b'b', b'y', b'e']);
    write("message_keepalive", "empty", &[0]);
    write("message_route_refresh", "ipv6", &[0, 0, 2, 0, 1]);
    for file in fs::read_dir(root.join("config/tests/clusters")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            write("manifest", &name, text.as_bytes());
        }
    }
    let bombs = [
        ("aliases", "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]\n"),
        ("merge", "a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: [*a, *b], z: 3}\n"),
        ("depth", &"[".repeat(200)),
        ("self", "a: &a [*a]\n"),
    ];
    for (name, text) in bombs {
        write("manifest", name, text.as_bytes());
    }
    let selectors = [
        "all()",
        "role == \"rr\" && has(rack)",
        "!(a in {'b', \"c\",}) || d not in {}",
        "a contains 'b' && c starts with 'd' || e ends with 'f'",
        "projectcalico.org/name != 'x' && global()",
        "((((has(a)))))",
    ];
    for (number, text) in selectors.iter().enumerate() {
        write("selector", &number.to_string(), text.as_bytes());
    }
    let settings = "node_name = \"node1\"\ndata_dir = \"/var/lib/manx\"\nmanifests = \"\"\nmetrics = \"127.0.0.1:9179\"\n[store]\nkind = \"embedded\"\n[bgp]\nenabled = true\n[fib]\nenabled = false\n";
    write("settings", "all", settings.as_bytes());
    for (name, text) in
        [("asdot", "1.0"), ("community", "65001:100"), ("known", "no-export"), ("large", "65001:1:2"), ("rt", "rt:65001:7")]
    {
        write("words", name, text.as_bytes());
    }
    write("rib_events", "up_and_down", &fuzz::rib::seeds()[0]);
    write("rib_events", "slow", &fuzz::rib::seeds()[1]);
    netlink();
}

fn messages(capture: &str, mut bytes: &[u8], options: u8) {
    let whole = [&[options][..], &bytes[..bytes.len().min(4000)]].concat();
    write("stream", capture, &whole);
    let mut number = 0;
    while let [.., ] = bytes && bytes.len() >= 19 {
        let len = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
        let (frame, rest) = bytes.split_at(len);
        bytes = rest;
        number += 1;
        // One of a kind is enough of what was written to fill messages.
        if len > 1500 && number > 4 {
            continue;
        }
        let (kind, body) = (frame[18], &frame[19..]);
        let (_, target) = MESSAGES.into_iter().find(|(code, _)| *code == kind).unwrap();
        write(target, &format!("{capture}_{number}"), &[&[options][..], body].concat());
        match kind {
            1 => write("capabilities", &format!("{capture}_{number}"), body.get(12..).unwrap_or_default()),
            2 => attributes(capture, number, body, options),
            _ => {}
        }
    }
}

fn attributes(capture: &str, number: usize, body: &[u8], options: u8) {
    let withdrawn = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let at = 2 + withdrawn;
    let len = usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    let mut list = &body[at + 2..at + 2 + len];
    while let &[flags, code, first, ..] = list {
        let (start, len) =
            if flags & 0x10 == 0 { (3, usize::from(first)) } else { (4, usize::from(first) << 8 | usize::from(list[3])) };
        let value = &list[start..start + len];
        list = &list[start + len..];
        let known = ATTRIBUTES.into_iter().find(|(known, _)| *known == code);
        let name = known.map_or("unknown", |(_, name)| name);
        if value.len() < 600 {
            write(&format!("attribute_{name}"), &format!("{capture}_{number}"), &[&[options, 0][..], value].concat());
        }
    }
}

/// RTM_NEWROUTE of 10.0.0.0/8 via 192.0.2.1 dev 2, and RTM_NEWLINK of one called a.
fn netlink() {
    let route: &[u8] = &[
        52, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 8, 0, 0, 254, 109, 0, 1, 0, 0, 0, 0, 8, 0, 1, 0, 10, 0, 0, 0, 8,
        0, 5, 0, 192, 0, 2, 1, 8, 0, 4, 0, 2, 0, 0, 0,
    ];
    write("netlink", "route", route);
    let link: &[u8] = &[
        40, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 65, 0, 0, 0, 0, 0, 0, 0, 6, 0, 3, 0, b'a', 0,
        0, 0,
    ];
    write("netlink", "link", link);
    write("netlink", "both", &[route, link].concat());
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(name), bytes).unwrap();
}
