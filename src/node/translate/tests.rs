use config::catalog::Catalog;
use config::manifest::parse_manifest;

use super::*;
use crate::node::NodeState;

const NODE: &str = "
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: node1}
spec: {bgp: {asNumber: 64601, ipv4Address: 192.0.2.1/24, ipv6Address: '2001:db8::1/64'}}
status: {podCIDRs: [10.244.1.0/26, 10.244.9.9/32]}
";
const TOR: &str = "
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor}
spec: {peerIP: 192.0.2.254, asNumber: 65001, holdTime: 9s, maxRestartTime: 33s}
";

fn resources(texts: &[&str]) -> Resources {
    let mut catalog = Catalog::default();
    for (nth, text) in texts.iter().enumerate() {
        let file = format!("{nth}.yaml");
        catalog.apply_file(&file, parse_manifest(&file, text));
    }
    catalog.resolve()
}

#[test]
fn a_node_and_its_tor_become_a_whole_desired_state() {
    let (desired, problems) = desired(&resources(&[NODE, TOR]), "node1", true).unwrap();
    assert_eq!(problems, []);
    assert_eq!(desired.asn, 64601);
    let [neighbor] = desired.bgp.neighbors.as_slice() else { panic!("{:?}", desired.bgp.neighbors) };
    assert_eq!((neighbor.name.as_str(), neighbor.hold_time_secs), ("bgppeer/tor", 9));
    let restart = GracefulRestartConfig { restart_time_secs: 33, restarting: true };
    assert_eq!(neighbor.graceful_restart, Some(restart));
    assert_eq!(neighbor.add_paths, AddPaths::ALL, "as Calico's BIRD configuration has it");
    assert_eq!(neighbor.next_hop_v6, Some("2001:db8::1".parse().unwrap()));
}

#[test]
fn several_paths_are_what_the_manifest_says() {
    let tor = TOR.replace("holdTime: 9s", "addPaths: {receive: false, sendMaximum: 3}");
    let (desired, _) = desired(&resources(&[NODE, &tor]), "node1", true).unwrap();
    let expected = AddPaths { receive: false, send: true, send_maximum: NonZeroU8::new(3) };
    assert_eq!(desired.bgp.neighbors[0].add_paths, expected);
}

#[test]
fn own_blocks_are_originated_with_calicos_preference_and_single_addresses_have_no_blackhole() {
    let (desired, _) = desired(&resources(&[NODE]), "node1", false).unwrap();
    let texts: Vec<String> = desired.bgp.originate.iter().map(|route| route.prefix.to_string()).collect();
    assert_eq!(texts, ["10.244.1.0/26", "10.244.9.9/32"]);
    assert!(desired.bgp.originate.iter().all(|route| route.local_pref == 2_147_482_623));
    assert_eq!(desired.blackholes, ["10.244.1.0/26".parse().unwrap()]);
}

#[test]
fn without_its_node_object_a_node_keeps_what_it_had_and_says_so() {
    let named = NodeState { node_name: "node1".into(), ..NodeState::default() };
    let empty = named.next(&resources(&[]), false);
    assert_eq!(empty.desired, None);
    assert!(matches!(empty.problems.as_slice(), [problem] if problem.severity == config::Severity::Error));
    let full = empty.next(&resources(&[NODE]), false);
    assert!(full.desired.is_some() && full.problems.is_empty(), "{full:?}");
    let gone = full.next(&resources(&[]), false);
    assert_eq!(gone.desired, full.desired);
    assert!(gone.problems.iter().any(|problem| problem.message.contains("stays in force")), "{gone:?}");
}

/// The example of the documentation is in force as it stands.
#[test]
fn the_documented_dynamic_peers_mean_what_the_document_says() {
    let document = include_str!("../../../docs/manifests.md");
    let block = document.split("```yaml\n").find(|rest| rest.contains("peerPrefix:")).unwrap();
    let block = block.split("```").next().unwrap();
    let node = "
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: rr1, labels: {role: rr}}
spec: {bgp: {asNumber: 64512, ipv4Address: 192.0.2.1/24}}
---
apiVersion: v1
kind: Secret
metadata: {name: bgp-passwords}
stringData: {rack: one}
";
    let (desired, problems) = desired(&resources(&[block, node]), "rr1", false).unwrap();
    assert_eq!(problems, []);
    let [rack] = desired.bgp.dynamic.as_slice() else { panic!("{desired:?}") };
    assert_eq!((rack.name.as_str(), rack.maximum), ("bgppeer/rack", 50));
    let ranges: Vec<String> = rack.as_ranges.iter().map(ToString::to_string).collect();
    assert_eq!(ranges, ["65001", "65010-65020"]);
    let peer = rack.neighbor("10.1.0.7".parse().unwrap());
    assert_eq!(peer.name, "bgppeer/rack/dynamic/10.1.0.7");
    assert_eq!((peer.families, peer.ttl_security_hops), (vec![AfiSafi::IPV4_UNICAST], Some(1)));
    assert_eq!((peer.password, peer.passive), (Password::new(*b"one"), true));
    assert!(desired.bgp.neighbors.is_empty());
}

#[test]
fn the_choice_of_the_best_path_reaches_the_rib() {
    let cluster = |best_path: &str| {
        let text = format!(
            "apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: {{name: default}}\n\
             spec: {{bestPath: {best_path}}}\n"
        );
        desired(&resources(&[NODE, &text]), "node1", false).unwrap().0.bgp.rib.decision
    };
    let default = DecisionRules { multipath: MultipathRules::up_to(16), ..DecisionRules::default() };
    assert_eq!(cluster("{}"), default);
    let each = [
        ("alwaysCompareMED", DecisionRules { always_compare_med: true, ..default.clone() }),
        ("missingMEDWorst", DecisionRules { missing_med_worst: true, ..default.clone() }),
        ("ignoreASPathLength", DecisionRules { ignore_as_path_length: true, ..default.clone() }),
        ("ignoreNextHopMetric", DecisionRules { ignore_next_hop_metric: true, ..default.clone() }),
        ("compareRouterID", DecisionRules { compare_router_id: true, ..default }),
    ];
    for (name, expected) in each {
        assert_eq!(cluster(&format!("{{{name}: true}}")), expected, "{name}");
    }
    let multipath = |text: &str| cluster(&format!("{{multipath: {text}}}")).multipath;
    let eight = MultipathRules::up_to(8);
    assert_eq!(multipath("{maximumPaths: 8}"), eight);
    assert_eq!(
        multipath("{maximumPaths: 8, maximumPathsIBGP: 1}"),
        MultipathRules { max_internal: 1, ..eight }
    );
    assert!(!multipath("{relaxASPath: false}").relax_as_path);
}
