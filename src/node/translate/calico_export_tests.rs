//! What leaves, held against Calico's export filter object by object. The letters and numbers are those of Calico's
//! `calico_export_to_bgp_peers` and what stands before it, in the order in which BIRD evaluates them. Rules 2 and 3
//! are about interfaces (`*.calico`, `bpf*.cali`); routes here have none. Rule b, a session's filters before
//! everything that all share, is `bgp/tests/rib_policy.rs`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bgp::peer::Negotiated;
use bgp::rib::{NextHopStatus, Rib, RibEvent, RibPeer, UpdateRules};
use bgp::wire::{DecodeContext, EncodeContext, NextHop, PathAttributes, Reach, Update};
use bgp::{Nlri, PeerId, PeerKind};

use super::tests::resources;
use super::*;

const CLUSTER: &str = "
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: node1}
spec: {bgp: {ipv4Address: 192.0.2.1/24, asNumber: 64512}}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: reflector}
spec: {bgp: {ipv4Address: 192.0.2.9/24, asNumber: 64512, routeReflectorClusterID: 244.0.0.1}}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: excluded, labels: {node.kubernetes.io/exclude-from-external-load-balancers: 'true'}}
spec: {bgp: {ipv4Address: 192.0.2.8/24, asNumber: 64512}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: open}
spec: {cidr: 10.244.0.0/16, ipipMode: Never}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: closed}
spec: {cidr: 10.245.0.0/16, ipipMode: Never, disableBGPExport: true}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec:
  prefixAdvertisements: [{cidr: 10.244.1.0/24, communities: ['64512:244']}]
  serviceClusterIPs: [{cidr: 10.96.0.0/12}]
  serviceExternalIPs: [{cidr: 10.8.0.0/16}, {cidr: 10.7.7.7/32}]
  serviceLoadBalancerIPs: [{cidr: 10.9.0.0/16}]
  serviceLoadBalancerAggregation: AGGREGATION
";

/// Confirmed, in its older form, and in every other state; outside of every pool; in the closed one.
fn affinities(node: &str) -> String {
    let one = |(name, cidr, state, more): (&str, &str, &str, &str)| {
        format!(
            "---\napiVersion: projectcalico.org/v3\nkind: BlockAffinity\nmetadata: {{name: {name}}}\n\
             spec: {{node: {node}, cidr: {cidr}, state: '{state}'{more}}}\n"
        )
    };
    [
        ("confirmed", "10.244.1.0/26", "confirmed", ""),
        ("legacy", "10.244.2.0/26", "", ""),
        ("pending", "10.244.3.0/26", "pending", ""),
        ("pending-deletion", "10.244.4.0/26", "pendingDeletion", ""),
        ("deleted", "10.244.5.0/26", "confirmed", ", deleted: 'true'"),
        ("virtual", "10.244.6.0/26", "confirmed", ", type: virtual"),
        ("no-pool", "10.200.1.0/26", "confirmed", ""),
        ("closed-pool", "10.245.1.0/26", "confirmed", ""),
    ]
    .map(one)
    .concat()
}

fn peer(index: u32, kind: PeerKind) -> RibPeer {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100 + u8::try_from(index).unwrap()));
    RibPeer {
        peer: PeerId { index, generation: 0 },
        name: format!("peer{index}"),
        address,
        negotiated: Negotiated {
            kind,
            local_as: Asn(64512),
            remote_as: if kind == PeerKind::Ibgp { Asn(64512) } else { Asn(65000 + index) },
            remote_router_id: RouterId(Ipv4Addr::new(10, 0, 0, 1)),
            local: SocketAddr::from(([192, 0, 2, 1], 179)),
            remote: SocketAddr::new(address, 179),
            hold_time_secs: 90,
            keepalive_secs: 30,
            families: vec![AfiSafi::IPV4_UNICAST],
            role: None,
            extended_next_hop: false,
            enhanced_route_refresh: false,
            route_refresh: true,
            restart: None,
            decode: DecodeContext { kind, ..DecodeContext::default() },
            encode: EncodeContext::default(),
            remote_capabilities: Vec::new(),
        },
        next_hop_mode: NextHopMode::Auto,
        next_hop_v4: None,
        next_hop_v6: None,
        link: None,
        link_bandwidth: None,
        add_path_maximum: None,
        advertisement_interval_secs: 0,
        allow_local_as: 0,
        rules: UpdateRules::default(),
        prefix_limit: None,
        reflector_client: None,
        transmit_window: 1 << 30,
        import: Arc::default(),
        export: Arc::default(),
    }
}

/// What a ToR of `node` holds: prefixes with their communities. `learned`: by the mesh, with their LOCAL_PREF.
fn exported(node: &str, aggregation: &str, learned: &[(&str, u32)]) -> BTreeMap<IpNet, Vec<String>> {
    let cluster = CLUSTER.replace("AGGREGATION", aggregation) + &affinities(node);
    let (desired, problems) = desired(&resources(&[&cluster]), node, false).unwrap();
    assert_eq!(problems, []);
    let now = Instant::now();
    let mut rib = Rib::new(now);
    let (mesh, tor) = (peer(1, PeerKind::Ibgp), peer(2, PeerKind::Ebgp));
    let next_hop: IpAddr = "192.0.2.55".parse().unwrap();
    let mut events = vec![
        RibEvent::Configure(desired.bgp.rib),
        RibEvent::Originate(desired.bgp.originate),
        RibEvent::PeerUp(Box::new(mesh.clone())),
        RibEvent::PeerUp(Box::new(tor.clone())),
    ];
    for (prefix, local_pref) in learned {
        let attributes = PathAttributes { local_pref: Some(*local_pref), ..PathAttributes::default() };
        let reach = Reach {
            family: AfiSafi::IPV4_UNICAST,
            next_hop: NextHop::from(next_hop),
            nlri: vec![Nlri::from(prefix.parse::<IpNet>().unwrap())],
        };
        let update = Update { attributes, reach: vec![reach], ..Update::default() };
        events.push(RibEvent::Update { peer: mesh.peer, update: Box::new(update) });
    }
    events.push(RibEvent::NextHopChanged(vec![(next_hop.into(), NextHopStatus::Reachable { metric: 0 })]));
    for event in events {
        rib.handle(event, now);
        while rib.poll_effect().is_some() {}
    }
    let page = rib.advertised(tor.peer, None, 100);
    page.routes.into_iter().map(|route| (route.prefix, route.attributes.communities)).collect()
}

/// LOCAL_PREF of a route of normal priority, of an elevated one and of one that is less wanted.
const NORMAL: u32 = 2_147_483_647 - 1024;
const ELEVATED: u32 = 2_147_483_647 - 512;
const LOWER: u32 = 2_147_483_647 - 2048;

#[test]
fn own_routes_leave_as_calicos_do() {
    let leaves = exported("node1", "Enabled", &[]);
    let table = [
        ("rule 5: an own confirmed block", "10.244.1.0/26", true),
        ("rule 5: confirmed in the older form", "10.244.2.0/26", true),
        ("rule 5: pending may be another's in the end", "10.244.3.0/26", false),
        ("rule 5: pendingDeletion (Calico announces it by its static route)", "10.244.4.0/26", false),
        ("rule 5: deleted", "10.244.5.0/26", false),
        ("rule 5: of no node", "10.244.6.0/26", false),
        ("rule 5: outside of every pool", "10.200.1.0/26", true),
        ("rule 1: disableBGPExport stands before the own block", "10.245.1.0/26", false),
        ("rule 6: cluster IPs", "10.96.0.0/12", true),
        ("rule 6: a range of external IPs", "10.8.0.0/16", true),
        ("rule 6: a single external IP is a service's", "10.7.7.7/32", false),
        ("rule 6: a range of load balancers", "10.9.0.0/16", true),
    ];
    for (rule, prefix, is_there) in table {
        assert_eq!(leaves.contains_key(&prefix.parse::<IpNet>().unwrap()), is_there, "{rule}: {prefix}");
    }
    let expected = table.iter().filter(|(_, _, is_there)| *is_there).count();
    assert_eq!(leaves.len(), expected, "rule 8: and nothing else: {leaves:?}");
    let communities = |prefix: &str| leaves[&prefix.parse::<IpNet>().unwrap()].clone();
    assert_eq!(communities("10.244.1.0/26"), ["64512:244"], "rule 4");
    assert_eq!(communities("10.244.2.0/26"), [""; 0], "rule 4: outside of the prefix");

    let without = exported("node1", "Disabled", &[]);
    assert!(!without.contains_key(&"10.9.0.0/16".parse().unwrap()), "each address by itself");
    assert!(without.contains_key(&"10.8.0.0/16".parse().unwrap()));
    let excluded = exported("excluded", "Enabled", &[]);
    for service in ["10.96.0.0/12", "10.8.0.0/16", "10.9.0.0/16"] {
        assert!(!excluded.contains_key(&service.parse().unwrap()), "excluded: no service of any kind");
    }
    assert!(excluded.contains_key(&"10.244.1.0/26".parse().unwrap()));
}

#[test]
fn learned_routes_go_on_as_calicos_do() {
    let table = [
        ("rule 7: another node's block", "10.244.77.0/26", NORMAL, true, true),
        ("rule 7: a borrowed address outside of own blocks", "10.244.77.5/32", NORMAL, true, true),
        ("rule 5: inside an own block, of normal priority", "10.244.1.7/32", NORMAL, false, false),
        ("rule 5: and of less", "10.244.1.8/32", LOWER, false, false),
        ("a, rule 5: elevated inside an own block", "10.244.1.9/32", ELEVATED, true, true),
        ("rule 5: inside a block that is only pending", "10.244.3.7/32", NORMAL, true, true),
        ("rule 5: elevated outside of every pool", "10.200.1.9/32", ELEVATED, true, true),
        ("rule 1: in a pool with disableBGPExport, elevated or not", "10.245.1.9/32", ELEVATED, false, false),
        ("rule 6: a more specific external IP, by a reflector only", "10.8.1.1/32", NORMAL, false, true),
        ("rule 6: and of a load balancer", "10.9.1.1/32", NORMAL, false, true),
        ("rule 6: and a single one", "10.7.7.7/32", NORMAL, false, true),
        ("rule 6: cluster IPs are not passed on", "10.96.1.1/32", NORMAL, false, false),
        ("rule 8: the fabric's routes", "172.31.0.0/16", 100, false, false),
        ("rule 8: a default route", "0.0.0.0/0", 100, false, false),
    ];
    let learned: Vec<(&str, u32)> = table.iter().map(|(_, prefix, pref, ..)| (*prefix, *pref)).collect();
    for (node, is_reflector) in [("node1", false), ("reflector", true)] {
        let leaves = exported(node, "Enabled", &learned);
        for (rule, prefix, _, by_node, by_reflector) in table {
            let expected = if is_reflector { by_reflector } else { by_node };
            assert_eq!(leaves.contains_key(&prefix.parse().unwrap()), expected, "{node}: {rule}: {prefix}");
        }
    }
}
