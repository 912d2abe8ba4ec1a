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

pub(super) fn resources(texts: &[&str]) -> Resources {
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
    assert_eq!(neighbor.next_hop_v6, Some("2001:db8::1".parse().unwrap()));
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
