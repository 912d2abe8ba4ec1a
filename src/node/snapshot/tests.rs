use super::*;

fn sent(prefix: &str, path_id: u32, med: u32) -> AdvertisedRoute {
    let attributes = AttributesSnapshot {
        next_hop: Some("10.0.0.1".parse().unwrap()),
        as_path: String::new(),
        origin: bgp::wire::Origin::Igp,
        local_pref: None,
        med: Some(med),
        communities: Vec::new(),
        extended_communities: Vec::new(),
        large_communities: Vec::new(),
        originator_id: None,
        cluster_list: Vec::new(),
        only_to_customer: None,
    };
    AdvertisedRoute { prefix: prefix.parse().unwrap(), path_id, attributes }
}

#[test]
fn paths_of_one_prefix_stand_together_with_their_identifiers() {
    let mut document = RoutesDocument::default();
    add_advertised(&mut document, &[sent("10.1.0.0/16", 0, 1), sent("10.2.0.0/16", 7, 2)]);
    // The next page.
    add_advertised(&mut document, &[sent("10.3.0.0/16", 7, 3), sent("10.3.0.0/16", 9, 4)]);
    let seen: Vec<_> = document
        .routes
        .iter()
        .map(|route| {
            let paths = route.paths.iter().map(|path| (path.path_id, path.med.unwrap()));
            (route.prefix.to_string(), paths.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("10.1.0.0/16".to_owned(), vec![(None, 1)]),
            ("10.2.0.0/16".to_owned(), vec![(Some(7), 2)]),
            ("10.3.0.0/16".to_owned(), vec![(Some(7), 3), (Some(9), 4)]),
        ]
    );
}

/// What keeps a route from a dynamic peer, or changes it, is shown as with any other.
#[test]
fn a_dynamic_peer_is_shown_with_the_rules_of_its_template() {
    let texts = "
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: node1}
spec: {bgp: {asNumber: 64601, ipv4Address: 192.0.2.1/24}}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {ebgpRequiresPolicy: true}
---
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: rack}
spec: {peerPrefix: 10.1.0.0/16, asNumber: 65001, defaultOriginate: [ipv4-unicast]}
";
    let mut catalog = config::catalog::Catalog::default();
    catalog.apply_file("all.yaml", config::manifest::parse_manifest("all.yaml", texts));
    let state = NodeState { node_name: "node1".to_owned(), ..NodeState::default() };
    let state = state.next(&catalog.resolve(), false);
    let [rack] = state.desired.as_ref().unwrap().bgp.dynamic.as_slice() else {
        panic!("{:?}", state.problems)
    };
    let neighbor = rack.neighbor("10.1.0.7".parse().unwrap());
    let session = bgp::peer::Peer::new(neighbor, 1).snapshot(std::time::Instant::now());
    let documents = peers(&[session], &[], &state);
    assert_eq!(documents[0].rules, ["gets an IPv4 default route", "needs filters"]);
    assert_eq!(
        documents[0].withheld,
        [
            "takes no ipv4-unicast: no import filter (RFC 8212)",
            "sends no ipv4-unicast: no export filter (RFC 8212)"
        ]
    );
}
