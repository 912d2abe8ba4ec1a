use serde_json::{Map, Value as Json, json};

use super::*;
use crate::document::Support;
use crate::manifest::parse_manifest;

/// The least that each kind needs.
fn base(kind: Kind) -> Json {
    let (name, spec) = match kind {
        Kind::Secret => {
            let metadata = json!({"name": "keys"});
            return json!({"apiVersion": API_CORE, "kind": "Secret", "metadata": metadata});
        }
        Kind::Node => ("node1", json!({"bgp": {"ipv4Address": "10.0.0.1/24"}})),
        Kind::BgpConfiguration => ("default", json!({})),
        Kind::BgpPeer => ("tor", json!({"peerIP": "10.0.0.1", "asNumber": 65000})),
        Kind::BgpFilter => ("fabric", json!({})),
        Kind::BgpSet => ("bogons", json!({})),
        Kind::BgpFilterTest => {
            let route = json!({"prefix": "10.0.0.0/8"});
            let expect = json!({"action": "Accept"});
            ("a", json!({"filters": ["fabric"], "direction": "Import", "route": route, "expect": expect}))
        }
        Kind::IpPool => ("pods", json!({"cidr": "10.244.0.0/16"})),
        Kind::BlockAffinity => ("a", json!({"node": "node1", "cidr": "10.244.0.0/26"})),
    };
    json!({"apiVersion": API, "kind": kind.name(), "metadata": {"name": name}, "spec": spec})
}

/// Of which an operation is exactly one.
const OPERATIONS: [&str; 14] = [
    "addCommunity",
    "prependASPath",
    "setPriority",
    "addCommunities",
    "setCommunities",
    "removeCommunities",
    "replaceCommunities",
    "setLocalPreference",
    "setMED",
    "addMED",
    "subtractMED",
    "setNextHop",
    "setOrigin",
    "prependOwnAS",
];

fn parse(manifest: &Json) -> Result<Object, Vec<String>> {
    parse_manifest("m.json", &manifest.to_string())
        .map(|mut objects| objects.remove(0).object)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn example(field: &Field) -> Json {
    serde_saphyr::from_str(field.example).unwrap_or_else(|error| panic!("{}: {error}", field.name))
}

/// Walks every field of every kind with the path to it, parents first.
fn walk(visit: &mut dyn FnMut(Kind, &[&'static Field])) {
    fn descend(
        kind: Kind,
        path: &mut Vec<&'static Field>,
        fields: &'static [Field],
        visit: &mut dyn FnMut(Kind, &[&'static Field]),
    ) {
        for field in fields {
            path.push(field);
            visit(kind, path);
            descend(kind, path, field.fields, visit);
            path.pop();
        }
    }
    for kind in Kind::ALL {
        descend(kind, &mut Vec::new(), kind.fields(), visit);
    }
}

fn name_of(path: &[&Field]) -> String {
    path.iter().map(|field| field.name).collect::<Vec<_>>().join(".")
}

/// The base with one field set to a value. Inside a list it is the first item's field.
fn with(kind: Kind, path: &[&'static Field], value: Json) -> Json {
    let mut manifest = base(kind);
    let (last, parents) = path.split_last().unwrap();
    let mut at = &mut manifest;
    for parent in parents {
        let map = at.as_object_mut().unwrap();
        if OPERATIONS.contains(&parent.name) {
            map.retain(|name, _| name == parent.name);
        }
        if parent.name == "communities" && kind == Kind::BgpConfiguration {
            map.entry("prefixAdvertisements")
                .or_insert_with(|| json!([{"cidr": "10.0.0.0/8", "communities": ["1:2"]}]));
        }
        at = map.entry(parent.name).or_insert_with(|| example(parent));
        if at.is_array() {
            at = &mut at[0];
        }
    }
    let map = at.as_object_mut().unwrap();
    if OPERATIONS.contains(&last.name) {
        map.clear();
    }
    if last.name == "communities" && kind == Kind::BgpConfiguration && parents.len() == 1 {
        map.insert("prefixAdvertisements".into(), json!([{"cidr": "10.0.0.0/8", "communities": ["1:2"]}]));
    }
    if last.name == "roleStrict" {
        map.insert("role".into(), json!("Peer"));
    }
    if last.name == "peerSelector" {
        map.clear();
    }
    if ["peerPrefix", "asNumbers", "maximumDynamicPeers"].contains(&last.name) {
        map.clear();
        map.insert("peerPrefix".into(), json!(["10.1.0.0/24"]));
        if last.name != "asNumbers" {
            map.insert("asNumber".into(), json!(65001));
        }
    }
    if last.name == "namespaceSelector" {
        map.insert("allowedUses".into(), json!(["Workload"]));
    }
    if name_of(path) == "spec.expect.action" {
        map.clear();
    }
    map.insert(last.name.to_owned(), value);
    manifest
}

fn found_at<'a>(manifest: &'a Json, path: &[&'static Field]) -> Option<&'a Json> {
    path.iter().try_fold(manifest, |at, field| {
        let at = at.get(field.name)?;
        Some(if at.is_array() && !field.fields.is_empty() { &at[0] } else { at })
    })
}

#[test]
fn every_base_is_read_and_written_back() {
    for kind in Kind::ALL {
        let object = parse(&base(kind)).unwrap();
        assert_eq!(object.kind(), kind);
        let written = serde_json::to_value(&object).unwrap();
        assert_eq!(parse(&written).unwrap(), object, "{written}");
    }
}

/// A Secret is the one object that is not written back: its values are shown to nobody.
#[test]
fn a_secret_is_written_without_its_values() {
    for (field, values) in [("data", json!({"a": "aHVudGVyMg=="})), ("stringData", json!({"a": "hunter2"}))] {
        let mut manifest = base(Kind::Secret);
        manifest[field] = values;
        let Object::Secret(secret) = parse(&manifest).unwrap() else { panic!() };
        assert_eq!(secret.data["a"].octets().as_ref(), b"hunter2");
        let written = serde_json::to_value(Object::Secret(secret)).unwrap();
        assert_eq!(written["data"], json!({"a": "(not shown)"}));
    }
}

/// What is marked as honoured ends up in the object and survives being written and read again.
#[test]
fn every_honoured_field_is_read() {
    let mut count = 0;
    walk(&mut |kind, path| {
        let field = path.last().unwrap();
        let is_honoured = matches!(field.support, Support::Honoured | Support::Additive);
        if !is_honoured || ["apiVersion", "kind"].contains(&field.name) {
            return;
        }
        let name = format!("{} {}", kind.name(), name_of(path));
        let manifest = with(kind, path, example(field));
        let object = match parse(&manifest) {
            Ok(object) => object,
            // A name that is no BGPConfiguration's, for one: it was looked at, and refused with reason.
            Err(problems) if name == "BGPConfiguration metadata.name" => {
                assert!(problems[0].contains("configures nothing"), "{problems:?}");
                return;
            }
            // One address is of one family.
            Err(problems) if name.contains("V6.operations.setNextHop") => {
                assert!(problems[0].contains("is not an IPv6 address"), "{problems:?}");
                return;
            }
            Err(problems) => panic!("{name}: {problems:?}"),
        };
        count += 1;
        if kind == Kind::Secret && name.ends_with("ata") {
            assert!(object != parse(&base(kind)).unwrap(), "{name} is lost");
            return;
        }
        let written = serde_json::to_value(&object).unwrap();
        let is_kept = found_at(&written, path) == found_at(&manifest, path);
        let differs = object != parse(&base(kind)).unwrap();
        assert!(is_kept || (differs && found_at(&written, path).is_some()), "{name} is lost: {written}");
        assert_eq!(parse(&written).unwrap(), object, "{name}");
    });
    assert!(count > 60, "{count}");
}

#[test]
fn every_informational_field_is_accepted() {
    walk(&mut |kind, path| {
        let field = path.last().unwrap();
        if field.support == Support::Informational {
            let manifest = with(kind, path, example(field));
            assert!(parse(&manifest).is_ok(), "{} {}: {:?}", kind.name(), name_of(path), parse(&manifest));
        }
    });
}

#[test]
fn every_refused_field_is_named_and_its_default_accepted() {
    let mut count = 0;
    walk(&mut |kind, path| {
        let field = path.last().unwrap();
        let Support::Refused { default } = field.support else { return };
        let name = name_of(path);
        let problems = parse(&with(kind, path, example(field))).unwrap_err();
        let expected = "is known but not honoured by this version: remove it";
        let is_inside_refused =
            path.iter().filter(|field| matches!(field.support, Support::Refused { .. })).count() > 1;
        let is_named = problems
            .iter()
            .any(|problem| problem.replace("[0]", "").contains(&format!(" {name}: {expected}")));
        assert!(is_named || is_inside_refused, "{name}: {problems:?}");
        if !is_inside_refused {
            let default = serde_saphyr::from_str(default).unwrap_or(Json::Null);
            for value in [Json::Null, default] {
                let manifest = with(kind, path, value);
                assert!(parse(&manifest).is_ok(), "{name}: {manifest}: {:?}", parse(&manifest));
            }
        }
        count += 1;
    });
    assert!(count > 30, "{count}");
}

#[test]
fn an_unknown_field_is_an_error_at_every_level() {
    let bogus: &'static Field = Box::leak(Box::new(Field::honoured("bogus", "1", "")));
    walk(&mut |kind, path| {
        let field = path.last().unwrap();
        let is_refused = path.iter().any(|field| matches!(field.support, Support::Refused { .. }));
        if field.fields.is_empty() || is_refused {
            return;
        }
        let mut path = path.to_vec();
        path.push(bogus);
        let problems = parse(&with(kind, &path, json!(1))).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains("unknown field 'bogus'")), "{problems:?}");
    });
    for kind in Kind::ALL {
        let problems = parse(&with(kind, &[bogus], json!(1))).unwrap_err();
        assert!(problems[0].contains("bogus: unknown field 'bogus'"), "{problems:?}");
    }
}

pub(super) fn spec_problems(kind: Kind, spec: &str) -> Vec<String> {
    let name = if kind == Kind::BgpConfiguration { "default" } else { "x" };
    let text =
        format!("apiVersion: {API}\nkind: {}\nmetadata: {{name: {name}}}\nspec:\n{spec}\n", kind.name());
    match parse_manifest("f", &text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// Line 5 is the first line of the spec.
#[test]
fn semantic_errors_have_the_place_of_the_value() {
    use Kind::{BgpConfiguration, BgpPeer, BlockAffinity, IpPool, Node};
    for (kind, spec, expected) in [
        (Node, "  bgp: {}", "f:5:8: spec.bgp.ipv4Address: bgp: {} says nothing"),
        (
            Node,
            "  bgp:\n    ipv4Address: fd00::1/64",
            "f:6:18: spec.bgp.ipv4Address: fd00::1/64 is not an IPv4",
        ),
        (
            Node,
            "  bgp:\n    ipv4Address: 10.0.0.300",
            "f:6:18: spec.bgp.ipv4Address: '10.0.0.300' is not the",
        ),
        (Node, "  bgp: {ipv6Address: 'ff02::1'}", "f:5:22: spec.bgp.ipv6Address: 'ff02::1' is not the"),
        (Node, "  bgp: {ipv4Address: 10.0.0.1, routeReflectorClusterID: x}", "'x' is not a cluster id"),
        (Node, "  bgp: {ipv4Address: 10.0.0.1, asNumber: 0}", "f:5:42: spec.bgp.asNumber: '0' is not an AS"),
        (Node, "  bgp: {ipv4Address: 10.0.0.1, asNumber: 4294967296}", "'4294967296' is not an AS"),
        (Node, "  bgp: {ipv4Address: 10.0.0.1, asNumber: 1.65536}", "'1.65536' is not an AS"),
        (
            Node,
            "  addresses:\n  - {type: X, address: 10.0.0.1}",
            "f:6:12: spec.addresses[0].type: expected CalicoNodeIP, InternalIP or ExternalIP, found the text 'X'",
        ),
        (
            BgpConfiguration,
            "  communities: [{name: a, value: '1:2'}]",
            "f:5:16: spec.communities: has no meaning without prefixAdvertisements",
        ),
        (
            BgpConfiguration,
            "  prefixAdvertisements: [{cidr: 10.0.0.0/8, communities: [b]}]",
            "spec.prefixAdvertisements[0].communities[0]: 'b' is neither the name of one",
        ),
        (
            BgpConfiguration,
            "  listenPort: 0",
            "f:5:15: spec.listenPort: expected a whole number from 1 to 65535",
        ),
        (
            BgpConfiguration,
            "  listenPort: '179'",
            "expected a whole number from 1 to 65535, found the text '179'",
        ),
        (
            BgpConfiguration,
            "  bestPath: {multipath: {maximumPaths: 0}}",
            "spec.bestPath.multipath.maximumPaths: expected a whole number from 1 to 64",
        ),
        (
            BgpConfiguration,
            "  multipathMax: 4\n  bestPath: {multipath: {maximumPaths: 4}}",
            "spec.bestPath.multipath.maximumPaths: says the same as spec.multipathMax: keep one of them",
        ),
        (BgpConfiguration, "  bestPath: {compareMED: true}", "spec.bestPath.compareMED: "),
        (BgpConfiguration, "  multipathMax: 65", "spec.multipathMax: expected a whole number from 1 to 64"),
        (BgpConfiguration, "  bindMode: nodeip", "expected None or NodeIP, found the text 'nodeip'"),
        (BgpConfiguration, "  nodeToNodeMeshEnabled: no", "expected true or false, found the text 'no'"),
        (BgpConfiguration, "  nodeMeshMaxRestartTime: 4096s", "1h8m16s is too long"),
        (
            BgpConfiguration,
            "  nodeMeshMaxRestartTime: 90",
            "'90' is not a duration: write numbers with units",
        ),
        (
            BgpConfiguration,
            "  nodeMeshMaxRestartTime: 1m\n  nodeToNodeMeshEnabled: false",
            "f:5:27: spec.nodeMeshMaxRestartTime: has no meaning",
        ),
        (BgpConfiguration, "  ipv4NormalRoutePriority: 2147483647", "from 1 to 2147483646"),
        (BgpConfiguration, "  logSeverityScreen: Loud", "'Loud' is not a level"),
        (
            BgpConfiguration,
            "  ignoredInterfaces: [eth0, 'a b']",
            "f:5:29: spec.ignoredInterfaces[1]: 'a b' is not an interface",
        ),
        (BgpPeer, "  asNumber: 1", "f:5:3: spec.peerIP: is missing, and peerSelector and peerPrefix too"),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  peerSelector: all()",
            "f:6:17: spec.peerSelector: peerIP and peerSelector exclude",
        ),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  node: a\n  nodeSelector: all()",
            "f:7:17: spec.nodeSelector: node and nodeSelector exclude",
        ),
        (
            BgpPeer,
            "  peerSelector: all()\n  asNumber: 1",
            "f:6:13: spec.asNumber: is not allowed with peerSelector",
        ),
        (
            BgpPeer,
            "  peerSelector: rack = 'a'",
            "f:5:17: spec.peerSelector: 'rack = 'a'' is not a selector: at character 6: expected '=='",
        ),
        (BgpPeer, "  peerIP: 10.0.0.1:0", "'10.0.0.1:0' is not the address of a peer"),
        (BgpPeer, "  peerIP: 10.0.0.0/24", "'10.0.0.0/24' is not the address of a peer"),
        (BgpPeer, "  peerIP: 0.0.0.0", "'0.0.0.0' is not the address of a peer"),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  keepOriginalNextHop: true\n  nextHopMode: Keep",
            "f:6:24: spec.keepOriginalNextHop: contradicts nextHopMode",
        ),
        (BgpPeer, "  peerIP: 10.0.0.1\n  holdTime: 2s", "f:6:13: spec.holdTime: 2s is too short"),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  keepaliveTime: 90s",
            "1m30s is not shorter than the hold time of 1m30s",
        ),
        (BgpPeer, "  peerIP: 10.0.0.1\n  keepaliveTime: 0s", "0s is no interval"),
        (BgpPeer, "  peerIP: 10.0.0.1\n  connectRetryTime: 0s", "0s would never pause"),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  families: [ipv4-unicast, ipv4-unicast]",
            "f:6:28: spec.families[1]: is in the list already",
        ),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  families: [ipv4]",
            "spec.families[0]: expected ipv4-unicast or ipv6-unicast",
        ),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  maximumPrefixes: {action: Warn}",
            "f:6:20: spec.maximumPrefixes.received: is missing",
        ),
        (BgpPeer, "  peerIP: 10.0.0.1\n  maximumPrefixes: {received: 0}", "from 1 to 4294967295"),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  maximumPrefixes: {received: 1, action: Warn, restartTime: 1m}",
            "spec.maximumPrefixes.restartTime: has no meaning without action Restart",
        ),
        (
            BgpPeer,
            "  peerPrefix: 10.1.0.1/24\n  asNumber: 1",
            "has bits set behind its length: write 10.1.0.0/24",
        ),
        (BgpPeer, "  peerPrefix: []\n  asNumber: 1", "spec.peerIP: is missing"),
        (BgpPeer, "  peerPrefix: 10.1.0.0/24", "spec.asNumber: is missing, and asNumbers too"),
        (BgpPeer, "  peerPrefix: 10.1.0.0/24\n  asNumbers: []", "spec.asNumbers: holds at least one"),
        (
            BgpPeer,
            "  peerPrefix: 10.1.0.0/24\n  asNumbers: [1]\n  asNumber: 1",
            "spec.asNumbers: and asNumber exclude",
        ),
        (
            BgpPeer,
            "  peerPrefix: 10.1.0.0/24\n  asNumbers: [9-1]",
            "spec.asNumbers[0]: '9-1' is not an AS number and not",
        ),
        (
            BgpPeer,
            "  peerPrefix: 10.1.0.0/24\n  peerIP: 10.1.0.1\n  asNumber: 1",
            "peerIP, peerSelector and peerPrefix exclude",
        ),
        (
            BgpPeer,
            "  peerPrefix: 10.1.0.0/24\n  asNumber: 1\n  connectRetryTime: 2s",
            "spec.connectRetryTime: has no meaning with",
        ),
        (BgpPeer, "  peerPrefix: 10.1.0.0/24\n  asNumber: 1\n  maximumDynamicPeers: 0", "from 1 to 65535"),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  asNumber: 1\n  asNumbers: [2]",
            "spec.asNumbers: has no meaning without peerPrefix",
        ),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  maximumDynamicPeers: 2",
            "spec.maximumDynamicPeers: has no meaning without",
        ),
        (BgpPeer, "  peerIP: 10.0.0.1\n  idleHoldTime: 0s", "spec.idleHoldTime: 0s would try again at once"),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  idleHoldTime: 2m",
            "spec.idleHoldTime: the longest pause, 1m0s, is shorter",
        ),
        (BgpPeer, "  peerIP: 10.0.0.1\n  sendHoldTime: 0s", "spec.sendHoldTime: 0s would end every session"),
        (BgpPeer, "  peerIP: 10.0.0.1\n  addPaths: {sendMaximum: 0}", "from 1 to 255"),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  addPaths: {send: All}",
            "spec.addPaths.send: expected true or false",
        ),
        (
            BgpPeer,
            "  peerIP: 10.0.0.1\n  addPaths: {send: false, sendMaximum: 2}",
            "spec.addPaths.sendMaximum: has no meaning with send: false",
        ),
        (BgpPeer, "  peerIP: 10.0.0.1\n  role: provider", "spec.role: expected Provider, Customer, Peer"),
        (BgpPeer, "  peerIP: 10.0.0.1\n  roleStrict: true", "spec.roleStrict: has no meaning without role"),
        (BgpPeer, "  peerIP: 10.0.0.1\n  shutdown: why", "spec.shutdown: expected true, false or {message"),
        (BgpPeer, "  peerIP: 10.0.0.1\n  ttlSecurity: 256", "from 0 to 255"),
        (IpPool, "  blockSize: 26", "f:5:3: spec.cidr: is missing: give the range"),
        (
            IpPool,
            "  cidr: 10.244.0.1/16",
            "f:5:9: spec.cidr: '10.244.0.1/16' has bits set behind its length: write 10.244.0.0/16",
        ),
        (IpPool, "  cidr: 10.244.0.0/33", "'10.244.0.0/33' is not a prefix"),
        (
            IpPool,
            "  cidr: 10.244.0.0/16\n  blockSize: 19",
            "f:6:14: spec.blockSize: expected a whole number from 20 to 32",
        ),
        (IpPool, "  cidr: fd00::/48\n  blockSize: 26", "from 116 to 128"),
        (IpPool, "  cidr: 10.244.0.0/27", "spec.blockSize: a block of /26 does not fit into 10.244.0.0/27"),
        (IpPool, "  cidr: 169.0.0.0/8", "overlaps the link-local range 169.254.0.0/16"),
        (IpPool, "  cidr: fe80::/12\n  blockSize: 120", "overlaps the link-local range fe80::/10"),
        (
            IpPool,
            "  cidr: 10.0.0.0/16\n  allowedUses: [LoadBalancer, Workload]",
            "LoadBalancer excludes the other uses",
        ),
        (
            IpPool,
            "  cidr: 10.0.0.0/16\n  allowedUses: [LoadBalancer]\n  disableBGPExport: true",
            "f:7:21: spec.disableBGPExport: cannot be true",
        ),
        (
            IpPool,
            "  cidr: 10.0.0.0/16\n  allowedUses: [LoadBalancer]\n  nodeSelector: has(a)",
            "must be all() in a pool",
        ),
        (
            IpPool,
            "  cidr: 10.0.0.0/16\n  allowedUses: [Tunnel]\n  namespaceSelector: has(a)",
            "cannot choose tunnel addresses",
        ),
        (
            IpPool,
            "  cidr: 10.0.0.0/16\n  natOutgoing: true",
            "f:6:3: spec.natOutgoing: is known but not honoured by this version: remove it or set it to false",
        ),
        (
            BlockAffinity,
            "  node: a\n  cidr: 10.0.0.0/26\n  state: maybe",
            "f:7:10: spec.state: expected , pending, confirmed or pendingDeletion",
        ),
        (BlockAffinity, "  node: a\n  cidr: 10.0.0.1/26", "f:6:9: spec.cidr: '10.0.0.1/26' has bits set"),
        (BlockAffinity, "  node: A_b\n  cidr: 10.0.0.0/26", "f:5:9: spec.node: 'A_b' is not a name"),
        (
            BlockAffinity,
            "  node: a\n  cidr: 10.0.0.0/26\n  deleted: 'no'",
            "f:7:12: spec.deleted: expected true, false",
        ),
    ] {
        let problems = spec_problems(kind, spec);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{spec}\n{expected}\n{problems:#?}"
        );
    }
}

#[test]
fn all_problems_of_an_object_are_reported() {
    let found =
        spec_problems(Kind::BgpPeer, "  peerIP: x\n  asNumber: y\n  node: Z\n  holdTime: w\n  passiv: true");
    let places: Vec<_> = found.iter().map(|problem| problem.split(": ").nth(1).unwrap()).collect();
    assert_eq!(places, ["spec.peerIP", "spec.asNumber", "spec.node", "spec.holdTime", "spec.passiv"]);
}

#[test]
fn what_is_valid_in_corners() {
    for (kind, spec) in [
        (Kind::IpPool, "  cidr: 10.244.0.0/27\n  disabled: true"),
        (Kind::Node, "  bgp: {asNumber: 65001}"),
        (Kind::IpPool, "  cidr: 10.0.0.0/16\n  namespaceSelector: has(a)\n  allowedUses: [Workload]"),
        (Kind::IpPool, "  cidr: 10.0.0.0/16\n  ipipMode: Never\n  vxlanMode: Never\n  natOutgoing: false"),
        (Kind::BgpPeer, "  peerSelector: has(rr)\n  nodeSelector: ''\n  node: ''\n  peerIP: ''"),
        (Kind::BgpPeer, "  peerIP: '[fd00::1]:1790'\n  asNumber: '1.10'"),
        (Kind::BgpPeer, "  peerIP: 10.0.0.1\n  holdTime: 0s\n  keepaliveTime: 100s"),
        (Kind::BgpPeer, "  peerIP: 10.0.0.1\n  shutdown: false\n  maximumPrefixes:"),
        (Kind::BgpPeer, "  peerIP: 10.0.0.1\n  shutdown: true"),
        (Kind::BgpPeer, "  peerIP: 10.0.0.1\n  addPaths:"),
        (Kind::BgpPeer, "  peerIP: 10.0.0.1\n  addPaths: {}"),
        (Kind::BgpPeer, "  peerIP: 10.0.0.1\n  password:\n  filters: []"),
        (Kind::BgpConfiguration, "  serviceClusterIPs: []\n  communities:\n  nodeMeshPassword: {}"),
        (Kind::BlockAffinity, "  node: a\n  cidr: 10.0.0.0/26\n  deleted: false\n  state: ''\n  type: ''"),
    ] {
        assert_eq!(spec_problems(kind, spec), [""; 0], "{spec}");
    }
}

#[test]
fn a_node_may_differ_from_the_cluster_in_little() {
    let parse = |name: &str, spec: &str| {
        let text =
            format!("apiVersion: {API}\nkind: BGPConfiguration\nmetadata: {{name: {name}}}\nspec: {spec}");
        parse_manifest("f", &text).map_err(|problems| problems[0].to_string())
    };
    assert!(parse("node.a.b", "{listenPort: 1790, logSeverityScreen: Info}").is_ok());
    assert!(parse("node.a", "{asNumber: 1}").unwrap_err().contains("spec.asNumber: is the whole cluster's"));
    assert!(parse("node.a", "{multipathMax: 2}").unwrap_err().contains("is the whole cluster's"));
    assert!(parse("node.a", "{listenPrt: 1}").unwrap_err().contains("spec.listenPrt"));
    assert!(parse("node.", "{}").unwrap_err().contains("is not a name"));
    assert!(parse("other", "{}").unwrap_err().contains("f:3:18: metadata.name: 'other' configures nothing"));
}

#[test]
fn as_numbers() {
    for (text, number) in
        [("1", 1), ("4294967295", u32::MAX), ("1.10", 65_546), ("0.1", 1), ("65535.65535", u32::MAX)]
    {
        assert_eq!(text.parse::<Asn>().unwrap().number(), number);
    }
    for text in ["", "0", "0.0", "+1", "-1", "1.", ".1", "1.2.3", "4294967296", "0x1", "65536.0", "1.+1"] {
        assert!(text.parse::<Asn>().is_err(), "{text}");
    }
    // A plain scalar keeps its characters: as a float this would be 1.1.
    let text = format!(
        "apiVersion: {API}\nkind: BGPPeer\nmetadata: {{name: a}}\nspec: {{peerIP: 10.0.0.1, asNumber: 1.10}}"
    );
    let objects = parse_manifest("f", &text).unwrap();
    let Object::BgpPeer(peer) = &objects[0].object else { panic!() };
    assert_eq!(peer.spec.as_number.unwrap().number(), 65_546);
}

/// Texts and values as Go's time package reads and prints them.
#[test]
fn durations() {
    for (text, seconds, printed) in [
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
        ("+5s", 5, "5s"),
        ("90s", 90, "1m30s"),
        ("1m30s", 90, "1m30s"),
        ("1.5h", 5400, "1h30m0s"),
        ("1h0.5m", 3630, "1h0m30s"),
        (".5m", 30, "30s"),
        ("1500ms", 2, "2s"),
        ("1499ms", 1, "1s"),
        ("500ms", 1, "1s"),
        ("90000000us", 90, "1m30s"),
        ("90000000µs", 90, "1m30s"),
        ("18h12m15s", 65_535, "18h12m15s"),
        ("1m1m", 120, "2m0s"),
    ] {
        let parsed: Seconds = text.parse().unwrap();
        assert_eq!((parsed.0, parsed.to_string().as_str()), (seconds, printed), "{text}");
        assert_eq!(parsed.to_string().parse(), Ok(parsed));
    }
    for text in ["", "5", "s", "1", "1x", "1 s", "1d", ".s", "1.s.", "--1s", "1s-", "99999999999999999999s"] {
        assert_eq!(text.parse::<Seconds>(), Err(SecondsError::Syntax(text.into())), "{text}");
    }
    for text in ["-1s", "65536s", "499ms", "1ns", "18h12m16s"] {
        assert_eq!(text.parse::<Seconds>(), Err(SecondsError::Range(text.into())), "{text}");
    }
}

#[test]
fn peer_addresses() {
    for text in ["10.0.0.1", "10.0.0.1:1790", "fd00::1", "[fd00::1]:179"] {
        assert_eq!(text.parse::<PeerAddress>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "x",
        "10.0.0.1:",
        "10.0.0.1:65536",
        "[fd00::1]",
        "10.0.0",
        "224.0.0.1",
        "::",
        "fe80::1%eth0",
        "[fe80::1%2]:179",
    ] {
        assert!(text.parse::<PeerAddress>().is_err(), "{text}");
    }
}

#[test]
fn names_of_communities_are_resolved() {
    let mut manifest = base(Kind::BgpConfiguration);
    manifest["spec"] = json!({
        "communities": [{"name": "pods", "value": "65001:1:2"}],
        "prefixAdvertisements": [{"cidr": "10.0.0.0/8", "communities": ["pods", "65001:7"]}],
    });
    let Object::BgpConfiguration(configuration) = parse(&manifest).unwrap() else { panic!() };
    let [advertisement] = configuration.spec.prefix_advertisements.as_slice() else { panic!() };
    let expected = [CommunityValue::Large(65001, 1, 2), CommunityValue::Standard(65001, 7)];
    assert_eq!(advertisement.communities, expected);
}

#[test]
fn communities() {
    for text in ["0:0", "65535:65535", "4294967295:0:1"] {
        assert_eq!(text.parse::<CommunityValue>().unwrap().to_string(), text);
    }
    for text in ["", "1", "1:", ":1", "65536:1", "1:65536", "+1:1", "1:2:3:4", "4294967296:1:1", "no-export"]
    {
        assert!(text.parse::<CommunityValue>().is_err(), "{text}");
    }
}

#[test]
fn only_confirmed_host_affinities_are_own_blocks() {
    let own = |more: Json| {
        let mut manifest = base(Kind::BlockAffinity);
        let spec: &mut Map<String, Json> = manifest["spec"].as_object_mut().unwrap();
        spec.extend(more.as_object().unwrap().clone());
        let Object::BlockAffinity(affinity) = parse(&manifest).unwrap() else { panic!() };
        affinity.spec.is_own_block()
    };
    assert!(own(json!({})));
    assert!(own(json!({"state": "confirmed", "deleted": "false", "type": "host"})));
    assert!(!own(json!({"state": "pending"})));
    assert!(!own(json!({"state": "pendingDeletion"})));
    assert!(!own(json!({"state": "confirmed", "deleted": "true"})));
    assert!(!own(json!({"state": "confirmed", "deleted": true})));
    assert!(!own(json!({"state": "confirmed", "type": "virtual"})));
}
