//! What BIRD 2.0.12 and GoBGP 3.10.0 really send (see `golden/capture.py`, which says what each was told to
//! announce), read by our decoder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use bgp::wire::{
    DecodeContext, DecodedUpdate, Message, PathAttributes, RawAttribute, Reach, decode_message, frame_len,
};
use bgp::{AfiSafi, PeerKind};
use bytes::Bytes;
use std::fmt::Write as _;

/// Every message of a capture; each must decode without any error.
fn decode(capture: &'static [u8], context: &DecodeContext) -> Vec<Message> {
    let mut stream = Bytes::from_static(capture);
    let mut messages = Vec::new();
    while !stream.is_empty() {
        // The OPEN is read before anything is negotiated.
        let context = if messages.is_empty() { &DecodeContext::default() } else { context };
        let len = frame_len(&stream, context).unwrap().expect("a whole header");
        let message = decode_message(&stream.split_to(len), context).unwrap();
        if let Message::Update(update) = &message {
            assert_eq!(update.errors, [], "{update:?}");
        }
        messages.push(message);
    }
    messages
}

/// One line per fact, in the order in which they came.
fn render(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages {
        match message {
            Message::Open(open) => {
                let capabilities: Vec<String> = open.capabilities.iter().map(ToString::to_string).collect();
                let head =
                    format!("open as {} hold {} id {}", open.my_as, open.hold_time_secs, open.router_id);
                writeln!(text, "{head}: {}", capabilities.join(", ")).unwrap();
            }
            Message::Keepalive => writeln!(text, "keepalive").unwrap(),
            Message::Notification(notification) => writeln!(text, "notification {notification}").unwrap(),
            Message::RouteRefresh(refresh) => {
                writeln!(text, "refresh {} {:?}", refresh.family, refresh.subtype).unwrap();
            }
            Message::Update(decoded) => render_update(decoded, &mut text),
        }
    }
    text
}

fn render_update(decoded: &DecodedUpdate, text: &mut String) {
    let update = &decoded.update;
    if let Some(family) = update.end_of_rib {
        writeln!(text, "end of {family}").unwrap();
    }
    for unreach in &update.unreach {
        let nlri: Vec<String> =
            unreach.nlri.iter().map(|nlri| format!("{}#{}", nlri.prefix, nlri.path_id)).collect();
        writeln!(text, "withdraw {}", nlri.join(" ")).unwrap();
    }
    for Reach { nlri, next_hop, .. } in &update.reach {
        let nlri: Vec<String> = nlri.iter().map(|nlri| format!("{}#{}", nlri.prefix, nlri.path_id)).collect();
        writeln!(text, "{} via {next_hop}{}", nlri.join(" "), attributes(&update.attributes)).unwrap();
    }
}

fn attributes(attributes: &PathAttributes) -> String {
    let PathAttributes {
        origin,
        as_path,
        next_hop,
        med,
        local_pref,
        atomic_aggregate,
        aggregator,
        communities,
        originator_id,
        cluster_list,
        extended_communities,
        large_communities,
        only_to_customer,
        interface: _,
        unknown,
    } = attributes;
    assert_eq!(*next_hop, None);
    let mut text = format!(" {origin} path '{as_path}'");
    let mut field = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(text, " {name} {value}").unwrap();
        }
    };
    field("med", med.map(|med| med.to_string()));
    field("local-pref", local_pref.map(|local_pref| local_pref.to_string()));
    field("atomic", atomic_aggregate.then(String::new));
    field("aggregator", aggregator.map(|aggregator| aggregator.to_string()));
    field("only-to-customer", only_to_customer.map(|asn| asn.to_string()));
    field("originator", originator_id.map(|id| id.to_string()));
    for cluster in cluster_list {
        field("cluster", Some(cluster.to_string()));
    }
    for community in communities {
        field("community", Some(community.to_string()));
    }
    for community in extended_communities {
        field("extended", Some(community.to_string()));
    }
    for community in large_communities {
        field("large", Some(community.to_string()));
    }
    for RawAttribute { flags, code, value } in unknown {
        field("unknown", Some(format!("{flags:#x}/{code} {value:?}")));
    }
    text
}

fn every_option() -> DecodeContext {
    DecodeContext {
        add_path_receive: AfiSafi::ALL.to_vec(),
        extended_message: true,
        ..DecodeContext::default()
    }
}

fn two_octet_ibgp() -> DecodeContext {
    DecodeContext { four_octet_as: false, kind: PeerKind::Ibgp, ..DecodeContext::default() }
}

/// The two thousand prefixes of one path, however BIRD spreads them over messages.
#[test]
fn bird_full_messages() {
    let messages = decode(include_bytes!("golden/bird_full_messages.bin"), &DecodeContext::default());
    let mut prefixes: Vec<String> = messages
        .iter()
        .filter_map(|message| if let Message::Update(update) = message { Some(update) } else { None })
        .flat_map(|update| &update.update.reach)
        .flat_map(|reach| &reach.nlri)
        .map(|nlri| nlri.prefix.to_string())
        .collect();
    prefixes.sort();
    let mut announced: Vec<String> = (0..2000).map(|i| format!("10.{}.{}.0/24", i / 256, i % 256)).collect();
    announced.sort();
    assert_eq!(prefixes, announced);
}

/// Every option, add-path included; then our refresh, its refresh, withdrawals, a shutdown.
#[test]
fn bird_all() {
    let text = render(&decode(include_bytes!("golden/bird_all.bin"), &every_option()));
    let expected = r#"
open as 65001 hold 240 id 192.0.2.1: multiprotocol ipv4-unicast, multiprotocol ipv6-unicast, route-refresh, extended-message, graceful-restart 120 s ipv4-unicast ipv6-unicast, four-octet-as 65001, add-path ipv4-unicast both ipv6-unicast both, enhanced-route-refresh, capability-71 0x
keepalive
0.0.0.0/0#2 10.0.0.0/8#2 via 192.0.2.1 igp path '65001'
10.65.1.0/26#2 10.65.1.1/32#2 via 192.0.2.1 igp path '65001 4200000002 64512'
10.65.0.0/26#2 via 192.0.2.1 igp path '65001' community 65001:100 community no-export
10.65.0.64/26#2 via 192.0.2.1 igp path '65001' extended rt:65001:100 extended soo:4200000001:7 large 4200000001:1:2
end of ipv4-unicast
::/0#3 2001:db8:65:1::/122#3 2001:db8:65:2::1/128#3 via 2001:db8::2 igp path '65001'
2001:db8:65::/48#3 via 2001:db8::2 igp path '65001' community 65001:100
end of ipv6-unicast
refresh ipv4-unicast Begin
0.0.0.0/0#2 10.0.0.0/8#2 via 192.0.2.1 igp path '65001'
10.65.1.0/26#2 10.65.1.1/32#2 via 192.0.2.1 igp path '65001 4200000002 64512'
10.65.0.0/26#2 via 192.0.2.1 igp path '65001' community 65001:100 community no-export
10.65.0.64/26#2 via 192.0.2.1 igp path '65001' extended rt:65001:100 extended soo:4200000001:7 large 4200000001:1:2
refresh ipv4-unicast End
refresh ipv4-unicast Request
refresh ipv6-unicast Request
withdraw 0.0.0.0/0#2 10.65.1.0/26#2 10.65.0.0/26#2 10.65.1.1/32#2 10.0.0.0/8#2 10.65.0.64/26#2
withdraw ::/0#3 2001:db8:65::/48#3 2001:db8:65:1::/122#3 2001:db8:65:2::1/128#3
notification Cease / Administrative Shutdown: "fibre works at 10:00, ask Zoë"
"#;
    assert_eq!(text, expected.trim_start());
}

/// AS_TRANS and AS4_PATH merge into the path that BIRD was configured with (RFC 6793).
#[test]
fn bird_two_octet() {
    let text = render(&decode(include_bytes!("golden/bird_two_octet.bin"), &two_octet_ibgp()));
    let expected = r#"
open as 65001 hold 240 id 192.0.2.1: multiprotocol ipv4-unicast, route-refresh, graceful-restart 120 s, four-octet-as 65001, enhanced-route-refresh, capability-71 0x
keepalive
0.0.0.0/0#0 10.0.0.0/8#0 via 192.0.2.1 igp path '' local-pref 100
10.65.1.0/26#0 10.65.1.1/32#0 via 192.0.2.1 igp path '4200000002 64512' local-pref 100
10.65.0.0/26#0 via 192.0.2.1 igp path '' med 7 local-pref 100 community 65001:100 community no-export
10.65.0.64/26#0 via 192.0.2.1 igp path '' local-pref 100 extended rt:65001:100 extended soo:4200000001:7 large 4200000001:1:2
end of ipv4-unicast
"#;
    assert_eq!(text, expected.trim_start());
}

/// IPv4 prefixes through a link-local IPv6 next hop (RFC 8950).
#[test]
fn bird_extended_next_hop() {
    let extended = DecodeContext { extended_next_hop: true, ..DecodeContext::default() };
    let text = render(&decode(include_bytes!("golden/bird_extended_next_hop.bin"), &extended));
    let expected = r#"
open as 65001 hold 240 id 192.0.2.1: multiprotocol ipv4-unicast, multiprotocol ipv6-unicast, route-refresh, extended-next-hop ipv4-unicast via afi-2, graceful-restart 120 s, four-octet-as 65001, enhanced-route-refresh, capability-71 0x
keepalive
0.0.0.0/0#0 10.0.0.0/8#0 via fe80::1 igp path '65001'
10.65.1.0/26#0 10.65.1.1/32#0 via fe80::1 igp path '65001 4200000002 64512'
10.65.0.0/26#0 via fe80::1 igp path '65001' community 65001:100 community no-export
10.65.0.64/26#0 via fe80::1 igp path '65001' extended rt:65001:100 extended soo:4200000001:7 large 4200000001:1:2
end of ipv4-unicast
::/0#0 2001:db8:65:1::/122#0 2001:db8:65:2::1/128#0 via fe80::1 igp path '65001'
2001:db8:65::/48#0 via fe80::1 igp path '65001' community 65001:100
end of ipv6-unicast
"#;
    assert_eq!(text, expected.trim_start());
}

/// Add-path, AS_SET, AGGREGATOR, withdrawals, a shutdown.
#[test]
fn gobgp_all() {
    let text = render(&decode(include_bytes!("golden/gobgp_all.bin"), &every_option()));
    let expected = r#"
open as 65001 hold 90 id 192.0.2.1: route-refresh, capability-73 0x02766d00, multiprotocol ipv4-unicast, multiprotocol ipv6-unicast, four-octet-as 65001, graceful-restart 120 s ipv4-unicast, extended-next-hop ipv4-unicast via afi-2, add-path ipv4-unicast both ipv6-unicast both
keepalive
10.65.1.0/26#1 via 192.0.2.1 incomplete path '65001 4200000002 64512 {64513 64514}' aggregator 4200000003 192.0.2.9
10.65.1.1/32#1 via 192.0.2.1 incomplete path '65001'
10.0.0.0/8#1 via 192.0.2.1 egp path '65001'
10.65.0.0/26#1 via 192.0.2.1 incomplete path '65001' med 7 community 65001:100 community no-export
10.65.0.64/26#1 via 192.0.2.1 incomplete path '65001' extended rt:65001:100 large 4200000001:1:2
end of ipv4-unicast
2001:db8:65::/48#1 via 2001:db8::1 incomplete path '65001' community 65001:100
2001:db8:65:1::/122#1 via 2001:db8::1 incomplete path '65001'
end of ipv6-unicast
withdraw 10.0.0.0/8#1
withdraw 2001:db8:65:1::/122#1
notification Cease / Administrative Shutdown: "fibre works"
"#;
    assert_eq!(text, expected.trim_start());
}

/// AS4_PATH with a set, AS4_AGGREGATOR.
#[test]
fn gobgp_two_octet() {
    let text = render(&decode(include_bytes!("golden/gobgp_two_octet.bin"), &two_octet_ibgp()));
    let expected = r#"
open as 65001 hold 90 id 192.0.2.1: route-refresh, capability-73 0x02766d00, multiprotocol ipv4-unicast, multiprotocol ipv6-unicast, four-octet-as 65001, graceful-restart 120 s ipv4-unicast, extended-next-hop ipv4-unicast via afi-2
keepalive
10.65.1.1/32#0 via 192.0.2.1 incomplete path '' local-pref 250
10.0.0.0/8#0 via 192.0.2.1 egp path '' local-pref 100
10.65.0.0/26#0 via 192.0.2.1 incomplete path '' med 7 local-pref 100 community 65001:100 community no-export
10.65.0.64/26#0 via 192.0.2.1 incomplete path '' local-pref 100 extended rt:65001:100 large 4200000001:1:2
10.65.1.0/26#0 via 192.0.2.1 incomplete path '4200000002 64512 {64513 64514}' local-pref 100 aggregator 4200000003 192.0.2.9
"#;
    assert_eq!(text, expected.trim_start());
}
