use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;
use crate::manifest::parse_manifest;
use crate::model::Role;

fn resources(text: &str) -> Resources {
    let mut catalog = Catalog::default();
    let parsed = parse_manifest("f", text);
    assert!(parsed.is_ok(), "{parsed:#?}\n{text}");
    catalog.apply_file("f", parsed);
    catalog.resolve()
}

#[test]
fn a_node_that_is_not_there_has_no_sessions_and_says_so() {
    let expansion = sessions(&Resources::default(), "n1");
    assert!(expansion.sessions.is_empty());
    assert_eq!(
        expansion.problems[0].to_string(),
        "manifests: there is no Node named n1: without one this node has no BGP sessions"
    );
}

#[test]
fn an_identifier_is_made_where_there_is_no_ipv4_address() {
    let node = |name: &str, address: &str| {
        format!(
            "---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {{name: {name}}}\n\
             spec: {{bgp: {{ipv6Address: '{address}'}}}}\n"
        )
    };
    let both = resources(&format!("{}{}", node("a", "fd00::1"), node("b", "fd00::2")));
    let (a, b) = (Speaker::of(&both, "a").unwrap(), Speaker::of(&both, "b").unwrap());
    assert_ne!(a.router_id, b.router_id);
    assert_eq!(a.router_id, Speaker::of(&both, "a").unwrap().router_id);
}

#[derive(Clone, Debug)]
struct SomeNode {
    v4: bool,
    v6: bool,
    as_number: Option<u32>,
    cluster: Option<u8>,
    port: Option<u16>,
    rack: u8,
}

fn some_node() -> impl Strategy<Value = SomeNode> {
    let families = prop_oneof![Just((true, true)), Just((true, false)), Just((false, true))];
    let as_number = proptest::option::of(prop_oneof![Just(65_001), Just(65_002)]);
    let cluster = proptest::option::of(1..3_u8);
    (families, as_number, cluster, proptest::option::of(1790..1792_u16), 0..3_u8).prop_map(
        |((v4, v6), as_number, cluster, port, rack)| SomeNode { v4, v6, as_number, cluster, port, rack },
    )
}

/// Spec of a BGPPeer between nodes of the cluster.
fn some_peer() -> impl Strategy<Value = String> {
    let nodes = prop_oneof![
        Just(String::new()),
        (0..6_usize).prop_map(|n| format!("node: n{n}, ")),
        (0..3_u8).prop_map(|rack| format!("nodeSelector: \"rack == '{rack}'\", ")),
        Just("nodeSelector: has(rr), ".to_owned()),
    ];
    let remote = prop_oneof![
        (0..6_usize).prop_map(|n| format!("peerIP: 10.0.0.{}", n + 1)),
        (0..6_usize).prop_map(|n| format!("peerIP: 'fd00::{}'", n + 1)),
        (0..3_u8).prop_map(|rack| format!("peerSelector: \"rack != '{rack}'\"")),
        Just("peerSelector: has(rr)".to_owned()),
    ];
    (nodes, remote).prop_map(|(nodes, remote)| nodes + &remote)
}

fn cluster(nodes: &[SomeNode], peers: &[String], mesh: bool) -> String {
    let mut text = format!(
        "apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: {{name: default}}\n\
         spec: {{nodeToNodeMeshEnabled: {mesh}}}\n"
    );
    for (index, node) in nodes.iter().enumerate() {
        let mut bgp = String::new();
        if node.v4 {
            write!(bgp, "ipv4Address: 10.0.0.{}/24, ", index + 1).unwrap();
        }
        if node.v6 {
            write!(bgp, "ipv6Address: 'fd00::{}/64', ", index + 1).unwrap();
        }
        if let Some(number) = node.as_number {
            write!(bgp, "asNumber: {number}, ").unwrap();
        }
        if let Some(cluster) = node.cluster {
            write!(bgp, "routeReflectorClusterID: 1.0.0.{cluster}, ").unwrap();
        }
        let rr = if node.cluster.is_some() { ", rr: ''" } else { "" };
        let rack = node.rack;
        write!(
            text,
            "---\napiVersion: projectcalico.org/v3\nkind: Node\n\
             metadata: {{name: n{index}, labels: {{rack: '{rack}'{rr}}}}}\nspec: {{bgp: {{{bgp}}}}}\n"
        )
        .unwrap();
        if let Some(port) = node.port {
            write!(
                text,
                "---\napiVersion: projectcalico.org/v3\nkind: BGPConfiguration\n\
                 metadata: {{name: node.n{index}}}\nspec: {{listenPort: {port}}}\n"
            )
            .unwrap();
        }
    }
    for (index, peer) in peers.iter().enumerate() {
        write!(
            text,
            "---\napiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {{name: p{index}}}\nspec: {{{peer}}}\n"
        )
        .unwrap();
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Between nodes of the cluster: whoever has a session with another, the other has it too, with the same
    /// two addresses, the same two AS numbers, each other's port, and at least one of them dials.
    #[test]
    fn sessions_between_nodes_are_mutual(
        nodes in proptest::collection::vec(some_node(), 1..6),
        peers in proptest::collection::vec(some_peer(), 0..5),
        mesh in any::<bool>(),
    ) {
        let resources = resources(&cluster(&nodes, &peers, mesh));
        let all: BTreeMap<&String, (Speaker, Vec<Session>)> = resources
            .nodes
            .keys()
            .map(|name| (name, (Speaker::of(&resources, name).unwrap(), sessions(&resources, name).sessions)))
            .collect();
        for (name, (speaker, sessions)) in &all {
            let names: BTreeSet<_> = sessions.iter().map(|session| &session.name).collect();
            prop_assert_eq!(names.len(), sessions.len());
            for session in sessions {
                let Some(remote) = &session.remote_node else { continue };
                let (remote_speaker, remote_sessions) = &all[remote];
                prop_assert_eq!(session.port, remote_speaker.listen_port);
                prop_assert_eq!(session.remote_as, remote_speaker.as_number);
                let mirror = remote_sessions.iter().find(|mirror| {
                    Some(mirror.address) == session.source_address && mirror.remote_node.as_ref() == Some(name)
                });
                let Some(mirror) = mirror else {
                    return Err(TestCaseError::fail(format!("{name}: {session} has no mirror on {remote}")));
                };
                prop_assert_eq!(mirror.source_address, Some(session.address));
                prop_assert_eq!(mirror.port, speaker.listen_port);
                prop_assert_eq!((mirror.remote_as, mirror.local_as), (session.local_as, session.remote_as));
                prop_assert_eq!(&mirror.families, &session.families);
                prop_assert!(!(mirror.passive && session.passive));
                let both_reflect = mirror.reflector_client.is_some() && session.reflector_client.is_some();
                prop_assert!(!both_reflect || mirror.reflector_client != session.reflector_client);
            }
        }
    }
}

/// RFC 2385 keys: a session has its own, or is not there at all.
#[test]
fn rfc2385_a_session_without_its_password_is_not_had() {
    let peer = "---\napiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: tor}\n\
                spec: {peerIP: 10.0.0.9, asNumber: 65009, password: {secretKeyRef: {name: keys, key: tor}}}\n";
    let secret = |data: &str| {
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: keys, namespace: x}}\n{data}\ntype: Opaque\n"
        )
    };
    let node = cluster(
        &[SomeNode { v4: true, v6: false, as_number: None, cluster: None, port: None, rack: 0 }],
        &[],
        false,
    );
    let of = |secret: &str| sessions(&resources(&format!("{node}{peer}{secret}")), "n0");

    for (text, reason) in [
        (String::new(), "there is no Secret named keys"),
        (secret("data: {other: eA==}"), "Secret keys has no key tor"),
        (secret("data: {tor: ''}"), "tor of Secret keys is empty"),
        // echo hunter2 | base64
        (secret("data: {tor: aHVudGVyMgo=}"), "tor of Secret keys ends with a line break"),
        (secret(&format!("stringData: {{tor: {}}}", "x".repeat(81))), "81 octets, TCP-MD5 takes 80"),
    ] {
        let expansion = of(&text);
        assert!(expansion.sessions.is_empty(), "{expansion:?}");
        let [problem] = expansion.problems.as_slice() else { panic!("{expansion:?}") };
        assert!(problem.message.contains(reason), "{problem}");
        assert_eq!((problem.field.as_str(), problem.location.line > 1), ("spec.password", true));
    }

    // stringData wins over data, as the API server has it.
    for text in [secret("data: {tor: aHVudGVyMg==}"), secret("data: {tor: eA==}\nstringData: {tor: hunter2}")]
    {
        let expansion = of(&text);
        assert!(expansion.problems.is_empty(), "{expansion:?}");
        let session = &expansion.sessions[0];
        assert_eq!(session.password.as_ref().unwrap().octets().as_ref(), b"hunter2");
        let resources = resources(&format!("{node}{peer}{text}"));
        let shown =
            format!("{session} {session:?} {resources:?} {}", serde_json::to_string(session).unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
    }
}

#[test]
fn rfc2385_the_mesh_has_a_password_of_its_own() {
    let node = |v4| SomeNode { v4, v6: !v4, as_number: None, cluster: None, port: None, rack: 0 };
    let text = cluster(&[node(true), node(true)], &[], true)
        .replace("nodeToNodeMeshEnabled: true", "nodeMeshPassword: {secretKeyRef: {name: keys, key: mesh}}");
    let expansion = sessions(&resources(&text), "n0");
    assert!(expansion.sessions.is_empty(), "{expansion:?}");
    assert_eq!(expansion.problems[0].field, "spec.nodeMeshPassword");
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {mesh: hunter2}\n";
    let expansion = sessions(&resources(&format!("{text}{secret}")), "n0");
    assert!(expansion.problems.is_empty() && expansion.sessions[0].password.is_some(), "{expansion:?}");
}

/// A password in the wrong place, or a Secret that is wrong, is named but never shown.
#[test]
fn a_problem_never_shows_a_secret() {
    let peer =
        "apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: {name: tor}\nspec:\n  peerIP: 10.0.0.9\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\n";
    for text in [
        format!("{peer}  password: hunter2"),
        format!("{peer}  pasword: hunter2"),
        format!("{peer}  password: {{secretKeyRef: hunter2}}"),
        format!("{peer}  passwd: [hunter2"),
        format!("{secret}data: {{a: hunter2}}"),
        format!("{secret}data: hunter2"),
        format!("{secret}dat: {{a: hunter2}}"),
        format!("{secret}stringData: {{a: [hunter2]}}"),
        format!("{secret}stringData: {{a: \"hunter2}}"),
        format!("{secret}stringData: {{a: \"hunter2\", a: \"hunter2\"}}"),
        format!("{}stringData: {{a: hunter2}}", secret.replace("v1", "v2")),
    ] {
        let problems = parse_manifest("f", &text).unwrap_err();
        for problem in &problems {
            assert!(
                !format!("{problem} {problem:#} {problem:?}").contains("hunter2"),
                "{text}\n{problem:#?}"
            );
        }
    }
}

/// localASNumber is the node side's: a mirror expects it, and where both nodes are the node side both go by it.
#[test]
fn local_as_is_the_same_seen_from_both_ends() {
    let node =
        |asn, rack| SomeNode { v4: true, v6: false, as_number: Some(asn), cluster: None, port: None, rack };
    let nodes = [node(65_001, 0), node(65_002, 1)];
    for (peer, of_n0, of_n1) in [
        ("node: n0, localASNumber: 65010, peerSelector: \"rack == '1'\"", (65_010, 65_002), (65_002, 65_010)),
        ("node: n0, localASNumber: 65010, peerIP: 10.0.0.2", (65_010, 65_002), (65_002, 65_010)),
        ("localASNumber: 65010, peerSelector: has(rack)", (65_010, 65_010), (65_010, 65_010)),
    ] {
        let resources = resources(&cluster(&nodes, &[peer.to_owned()], false));
        for (name, expected) in [("n0", of_n0), ("n1", of_n1)] {
            let expansion = sessions(&resources, name);
            let [session] = expansion.sessions.as_slice() else { panic!("{peer} {name}: {expansion:?}") };
            assert_eq!((session.local_as.number(), session.remote_as.number()), expected, "{peer} {name}");
        }
    }
}

/// Internal or external, hence reflection and keepOriginalNextHop, go by the AS of the session.
#[test]
fn local_as_decides_what_is_internal() {
    let reflector =
        SomeNode { v4: true, v6: false, as_number: Some(65_001), cluster: Some(1), port: None, rack: 0 };
    let session = |spec: &str| {
        let peer = format!("peerIP: 10.0.0.9, keepOriginalNextHop: true, {spec}");
        let resources = resources(&cluster(std::slice::from_ref(&reflector), &[peer], false));
        sessions(&resources, "n0").sessions.remove(0)
    };
    let internal = session("asNumber: 65010, localASNumber: 65010");
    assert!(internal.reflector_client.is_some() && internal.next_hop_mode == crate::model::NextHopMode::Auto);
    let external = session("asNumber: 65001, localASNumber: 65010");
    assert!(external.reflector_client.is_none() && external.next_hop_mode == crate::model::NextHopMode::Keep);
}

/// RFC 9234: the mirror has the counterpart, and an internal session has no role, which is said.
#[test]
fn rfc9234_roles_are_seen_from_both_ends_and_only_outside() {
    let node =
        |asn, rack| SomeNode { v4: true, v6: false, as_number: Some(asn), cluster: None, port: None, rack };
    let peer = "node: n0, role: Provider, roleStrict: true, peerSelector: \"rack == '1'\"".to_owned();
    for (second_as, of_n0, of_n1, problems) in
        [(65_002, Some(Role::Provider), Some(Role::Customer), 0), (65_001, None, None, 1)]
    {
        let resources =
            resources(&cluster(&[node(65_001, 0), node(second_as, 1)], std::slice::from_ref(&peer), false));
        for (name, role) in [("n0", of_n0), ("n1", of_n1)] {
            let expansion = sessions(&resources, name);
            let session = &expansion.sessions[0];
            assert_eq!((session.role, session.role_strict), (role, role.is_some()), "{name}");
            assert_eq!(expansion.problems.len(), problems, "{expansion:?}");
            assert!(expansion.problems.iter().all(|problem| problem.field == "spec.role"));
        }
    }
}
