//! The reload contract: what a change of each field of each manifest costs a running node. Every field is changed
//! in a small cluster, the two desired states are compared by the code that the daemon applies them with, and the
//! answers are docs/reload.md: `BLESS=1 cargo test -p manx reload` writes it anew, and its difference is what a
//! reviewer of a new field looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use bgp::io::Desired as DesiredBgp;
use bgp::peer::{ConfigChange, DynamicNeighbors, NeighborConfig};
use bgp::rib::RibConfig;
use config::catalog::{Catalog, Resources};
use config::manifest::parse_manifest;
use config::model::Kind;
use config::{Field, Support};
use serde_json::{Value as Json, json};

use super::translate::{Desired, FibSettings, desired};

/// When a change takes effect, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    /// Only what is shown changes.
    Shown,
    /// While sessions stay up, and no peer is told anything.
    AtOnce,
    /// While sessions stay up: routes are decided anew from what is there, and only differences leave.
    Replay,
    /// Routes in the kernel are written anew, one by one.
    Kernel,
    /// Said in the next OPEN, or used for the next connection.
    NextSession,
    /// For connections that are accepted from now on.
    Listener,
    /// Sessions of other neighbors begin, or end.
    Neighbors,
    /// Some sessions end and begin again (Cease, Other Configuration Change).
    Reset,
    /// All do.
    ResetAll,
}

impl Effect {
    fn words(self) -> &'static str {
        match self {
            Self::Shown => "at once (shown only)",
            Self::AtOnce => "at once",
            Self::Replay => "replay",
            Self::Kernel => "kernel",
            Self::NextSession => "next session",
            Self::Listener => "listener",
            Self::Neighbors => "begins or ends sessions",
            Self::Reset => "reset of its sessions",
            Self::ResetAll => "reset of all sessions",
        }
    }
}

/// Everything that leads from `old` to `new`.
fn effects(old: &Desired, new: &Desired) -> BTreeSet<Effect> {
    let Desired { asn, router_id, bgp, fib, blackholes, gateways, withheld, filters, missing } = old;
    let DesiredBgp { listen, neighbors: _, dynamic, neighbors_are_partial: _, rib, originate } = bgp;
    // Both are the RIB's: the identifier also stands in every OPEN, and there it is a neighbor's.
    let RibConfig { router_id: _, decision, export, restarting: _ } = rib;
    let FibSettings { metric_v4: _, metric_v6: _, resolve_through_default: _ } = fib;
    let mut found = neighbor_effects(&old.bgp.neighbors, &new.bgp.neighbors);
    let mut when = |differs: bool, effect| {
        if differs {
            found.insert(effect);
        }
    };
    when(*asn != new.asn || *router_id != new.router_id || *filters != new.filters, Effect::Shown);
    when(*withheld != new.withheld, Effect::Kernel);
    when(*missing != new.missing, Effect::Shown);
    when(*listen != new.bgp.listen, Effect::Listener);
    let who = |groups: &[DynamicNeighbors]| -> Vec<DynamicNeighbors> {
        groups.iter().map(|group| DynamicNeighbors { maximum: 0, ..group.clone() }).collect()
    };
    let maximums = |groups: &[DynamicNeighbors]| -> BTreeMap<String, u32> {
        groups.iter().map(|group| (group.name.clone(), group.maximum)).collect()
    };
    when(who(dynamic) != who(&new.bgp.dynamic), Effect::Neighbors);
    when(maximums(dynamic) != maximums(&new.bgp.dynamic), Effect::Listener);
    when(*decision != new.bgp.rib.decision || *export != new.bgp.rib.export, Effect::Replay);
    when(*originate != new.bgp.originate, Effect::Replay);
    when(*fib != new.fib || *blackholes != new.blackholes || *gateways != new.gateways, Effect::Kernel);
    // What is shown is no news where more happens.
    if found.len() > 1 {
        found.remove(&Effect::Shown);
    }
    found
}

fn neighbor_effects(old: &[NeighborConfig], new: &[NeighborConfig]) -> BTreeSet<Effect> {
    let by_address = |list: &[NeighborConfig]| -> BTreeMap<_, _> {
        list.iter().map(|neighbor| (neighbor.address, neighbor.clone())).collect()
    };
    let (old, new) = (by_address(old), by_address(new));
    let mut found = BTreeSet::new();
    let mut resets = 0;
    for (address, before) in &old {
        let Some(after) = new.get(address) else {
            found.insert(Effect::Neighbors);
            continue;
        };
        match ConfigChange::between(before, after) {
            ConfigChange::None => {}
            ConfigChange::Live => found.extend(live_effects(before, after)),
            ConfigChange::Reset => resets += 1,
            ConfigChange::Replace => {
                found.insert(Effect::Neighbors);
            }
        }
    }
    if new.keys().any(|address| !old.contains_key(address)) {
        found.insert(Effect::Neighbors);
    }
    match resets {
        0 => {}
        all if all == old.len() => _ = found.insert(Effect::ResetAll),
        _ => _ = found.insert(Effect::Reset),
    }
    found
}

/// Of what [`ConfigChange::Live`] takes over: when it is felt. A field that is never live has nothing to say here.
fn live_effects(old: &NeighborConfig, new: &NeighborConfig) -> BTreeSet<Effect> {
    let NeighborConfig {
        name,
        description,
        address: _,
        interface: _,
        port: _,
        local_address: _,
        local_as: _,
        remote_as: _,
        router_id: _,
        hold_time_secs,
        keepalive_secs,
        connect_retry_secs,
        timing,
        dynamic,
        passive,
        families: _,
        extended_next_hop: _,
        add_paths,
        graceful_restart,
        ttl_security_hops: _,
        password,
        tcp_ao: _,
        next_hop_mode: _,
        next_hop_v4: _,
        next_hop_v6: _,
        allow_local_as: _,
        rules,
        role: _,
        role_strict: _,
        prefix_limit,
        link_bandwidth,
        shutdown: _,
        reflector_client,
        import,
        export,
    } = old;
    let answers = [
        (*name != new.name, Effect::Shown),
        (*description != new.description, Effect::Shown),
        (*hold_time_secs != new.hold_time_secs, Effect::NextSession),
        (*keepalive_secs != new.keepalive_secs, Effect::NextSession),
        (*connect_retry_secs != new.connect_retry_secs, Effect::NextSession),
        (*timing != new.timing, Effect::AtOnce),
        (*dynamic != new.dynamic, Effect::NextSession),
        (*passive != new.passive, Effect::NextSession),
        (*graceful_restart != new.graceful_restart, Effect::NextSession),
        (*password != new.password, Effect::AtOnce),
        (*prefix_limit != new.prefix_limit, Effect::AtOnce),
        (*rules != new.rules, Effect::Replay),
        (*link_bandwidth != new.link_bandwidth, Effect::Replay),
        (*reflector_client != new.reflector_client, Effect::Replay),
        (*add_paths != new.add_paths, Effect::Replay),
        (*import != new.import, Effect::Replay),
        (*export != new.export, Effect::Replay),
    ];
    let found: BTreeSet<_> =
        answers.into_iter().filter_map(|(differs, effect)| differs.then_some(effect)).collect();
    assert!(!found.is_empty(), "a field that is live has no answer here: {old:?} {new:?}");
    found
}

/// The objects of the cluster in which a field is changed, by kind.
fn cluster() -> BTreeMap<&'static str, Json> {
    let object = |kind: Kind, name: &str, spec: Json| {
        (
            kind.name(),
            json!({"apiVersion": "projectcalico.org/v3", "kind": kind.name(), "metadata": {"name": name}, "spec": spec}),
        )
    };
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "data": {"a": "aHVudGVyMg=="}});
    BTreeMap::from([
        object(
            Kind::Node,
            "node1",
            json!({"bgp": {"ipv4Address": "192.0.2.1/24", "ipv6Address": "2001:db8::1/64"}}),
        ),
        object(Kind::BgpConfiguration, "default", json!({})),
        object(
            Kind::BgpPeer,
            "tor",
            json!({"peerIP": "192.0.2.254", "asNumber": 65001, "filters": ["fabric"], "families": ["ipv4-unicast", "ipv6-unicast"]}),
        ),
        object(Kind::BgpFilter, "fabric", json!({})),
        object(Kind::BgpSet, "bogons", json!({})),
        object(Kind::IpPool, "pods", json!({"cidr": "10.244.0.0/16"})),
        object(
            Kind::BlockAffinity,
            "a",
            json!({"node": "node1", "cidr": "10.244.0.0/26", "state": "confirmed"}),
        ),
        (Kind::Secret.name(), secret),
    ])
}

/// Another node, with which node1 has a session of the mesh and which no BGPPeer names; and another Secret.
const OTHER: &str = "
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: node2, labels: {rack: a1}}
spec: {bgp: {ipv4Address: 192.0.2.2/24, ipv6Address: '2001:db8::2/64'}}
---
apiVersion: v1
kind: Secret
metadata: {name: other}
data: {password: b3RoZXI=}
---
apiVersion: projectcalico.org/v3
kind: BGPSet
metadata: {name: customers}
spec: {communities: ['65001:*']}
---
apiVersion: projectcalico.org/v3
kind: BGPSet
metadata: {name: internal}
spec: {communities: ['65001:*']}
---
apiVersion: projectcalico.org/v3
kind: BGPSet
metadata: {name: peers}
spec: {asPaths: ['^65001_']}
";

/// What else must be said for a field to mean anything: by kind and path, a patch of one object before the change.
fn contexts() -> Vec<(&'static str, &'static str, &'static str, Json)> {
    let reference = || json!({"secretKeyRef": {"name": "keys", "key": "password"}});
    let password = || json!({"spec": {"password": reference()}});
    let of_mesh = || json!({"spec": {"nodeMeshPassword": reference()}});
    let keys = || json!({"data": {"password": "b2xk", "next": "bmV3"}});
    let rule =
        json!({"spec": {"exportV4": [{"action": "Reject", "cidr": "10.0.0.0/8", "matchOperator": "In"}]}});
    let community = || {
        json!({"spec": {
            "communities": [{"name": "a", "value": "65001:1"}],
            "prefixAdvertisements": [{"cidr": "10.244.0.0/16", "communities": ["a"]}],
        }})
    };
    // node2 peers with every node without labels: that is node1, which mirrors it.
    let between_nodes = json!({"spec": {
        "peerIP": null, "asNumber": null, "nodeSelector": "rack == 'a1'", "peerSelector": "!has(rack)",
    }});
    let reflector = json!({"spec": {"bgp": {"routeReflectorClusterID": "10.0.0.254"}}});
    let by_set = json!({"spec": {"importV4": [
        {"action": "Reject", "prefixSets": ["bogons"]},
        {"action": "Reject", "communities": {"sets": ["bogons"]}},
        {"action": "Reject", "asPathSets": ["bogons"]},
    ]}});
    let from_prefix = || {
        json!({"spec": {
            "peerIP": null, "asNumber": null, "peerPrefix": "10.3.0.0/24", "asNumbers": [65009],
        }})
    };
    let signed = || json!({"spec": {"tcpAO": {"keys": [{"sendID": 7, "recvID": 7, "secretKeyRef": {"name": "keys", "key": "password"}}]}}});
    let over_ipv6 = json!({"spec": {"peerIP": "2001:db8::fe"}});
    let link_local = json!({"spec": {"peerIP": "fe80::1", "interface": "eth7"}});
    vec![
        ("BGPPeer", "spec.tcpAO.keys.sendID", "BGPPeer", signed()),
        ("BGPPeer", "spec.tcpAO.keys.sendID", "Secret", keys()),
        ("BGPPeer", "spec.tcpAO.keys.recvID", "BGPPeer", signed()),
        ("BGPPeer", "spec.tcpAO.keys.recvID", "Secret", keys()),
        ("BGPPeer", "spec.tcpAO.keys.algorithm", "BGPPeer", signed()),
        ("BGPPeer", "spec.tcpAO.keys.algorithm", "Secret", keys()),
        ("BGPPeer", "spec.tcpAO.keys.secretKeyRef.name", "BGPPeer", signed()),
        ("BGPPeer", "spec.tcpAO.keys.secretKeyRef.name", "Secret", keys()),
        ("BGPPeer", "spec.tcpAO.keys.secretKeyRef.key", "BGPPeer", signed()),
        ("BGPPeer", "spec.tcpAO.keys.secretKeyRef.key", "Secret", keys()),
        (
            "BGPConfiguration",
            "spec.serviceLoadBalancerAggregation",
            "BGPConfiguration",
            json!({"spec": {"serviceLoadBalancerIPs": [{"cidr": "10.9.0.0/16"}]}}),
        ),
        ("BGPPeer", "spec.peerPrefix", "BGPPeer", from_prefix()),
        ("BGPPeer", "spec.asNumbers", "BGPPeer", from_prefix()),
        ("BGPPeer", "spec.maximumDynamicPeers", "BGPPeer", from_prefix()),
        ("BGPPeer", "spec.interface", "BGPPeer", link_local),
        ("BGPPeer", "spec.extendedNextHop", "BGPPeer", over_ipv6),
        ("Node", "metadata.labels", "BGPPeer", json!({"spec": {"nodeSelector": "rack == 'a1'"}})),
        ("BGPConfiguration", "spec.communities", "BGPConfiguration", community()),
        ("BGPConfiguration", "spec.communities.name", "BGPConfiguration", community()),
        ("BGPConfiguration", "spec.communities.value", "BGPConfiguration", community()),
        ("BGPPeer", "spec.families", "BGPPeer", json!({"spec": {"families": ["ipv4-unicast"]}})),
        ("BGPPeer", "spec.roleStrict", "BGPPeer", json!({"spec": {"role": "Peer"}})),
        ("BGPPeer", "spec.reversePeering", "BGPPeer", between_nodes.clone()),
        (
            "BGPPeer",
            "spec.reversePeering",
            "BGPConfiguration",
            json!({"spec": {"nodeToNodeMeshEnabled": false}}),
        ),
        ("BGPPeer", "spec.filters", "BGPFilter", rule),
        ("BGPConfiguration", "spec.clientToClientReflection", "BGPPeer", between_nodes),
        ("BGPConfiguration", "spec.clientToClientReflection", "Node", reflector),
        ("BGPSet", "*", "BGPFilter", by_set),
        ("BGPPeer", "spec.password.secretKeyRef.name", "BGPPeer", password()),
        ("BGPPeer", "spec.password.secretKeyRef.name", "Secret", keys()),
        ("BGPPeer", "spec.password.secretKeyRef.key", "BGPPeer", password()),
        ("BGPPeer", "spec.password.secretKeyRef.key", "Secret", keys()),
        ("BGPConfiguration", "spec.nodeMeshPassword.secretKeyRef.name", "BGPConfiguration", of_mesh()),
        ("BGPConfiguration", "spec.nodeMeshPassword.secretKeyRef.name", "Secret", keys()),
        ("BGPConfiguration", "spec.nodeMeshPassword.secretKeyRef.key", "BGPConfiguration", of_mesh()),
        ("BGPConfiguration", "spec.nodeMeshPassword.secretKeyRef.key", "Secret", keys()),
        ("Secret", "data", "BGPPeer", password()),
        ("Secret", "data", "Secret", keys()),
        ("Secret", "stringData", "BGPPeer", password()),
        ("Secret", "stringData", "Secret", keys()),
    ]
}

/// Changes to make in place of setting a field to its example, where that alone would not do.
fn change_instead(kind: Kind, path: &str) -> Option<Json> {
    Some(match (kind, path) {
        (Kind::BgpConfiguration, "spec.communities.name") => json!({"spec": {
            "communities": [{"name": "b", "value": "65001:1"}],
            "prefixAdvertisements": [{"cidr": "10.244.0.0/16", "communities": ["b"]}],
        }}),
        (Kind::BgpFilter, "spec.importV6.operations.setNextHop.value") => json!({"spec": {"importV6": [
            {"action": "Accept", "operations": [{"setNextHop": {"value": "2001:db8::7"}}]},
        ]}}),
        (Kind::BgpFilter, "spec.exportV6.operations.setNextHop.value") => json!({"spec": {"exportV6": [
            {"action": "Accept", "operations": [{"setNextHop": {"value": "2001:db8::7"}}]},
        ]}}),
        (Kind::BgpPeer, "spec.filters") => json!({"spec": {"filters": []}}),
        (Kind::BgpPeer, "spec.password.secretKeyRef.name") => {
            json!({"spec": {"password": {"secretKeyRef": {"name": "other"}}}})
        }
        (Kind::BgpPeer, "spec.password.secretKeyRef.key") => {
            json!({"spec": {"password": {"secretKeyRef": {"key": "next"}}}})
        }
        (Kind::BgpPeer, "spec.tcpAO.keys.secretKeyRef.name") => json!({"spec": {"tcpAO": {"keys": [
            {"sendID": 7, "recvID": 7, "secretKeyRef": {"name": "other", "key": "password"}},
        ]}}}),
        (Kind::BgpPeer, "spec.tcpAO.keys.secretKeyRef.key") => json!({"spec": {"tcpAO": {"keys": [
            {"sendID": 7, "recvID": 7, "secretKeyRef": {"name": "keys", "key": "next"}},
        ]}}}),
        (Kind::BgpConfiguration, "spec.nodeMeshPassword.secretKeyRef.name") => {
            json!({"spec": {"nodeMeshPassword": {"secretKeyRef": {"name": "other"}}}})
        }
        (Kind::BgpConfiguration, "spec.nodeMeshPassword.secretKeyRef.key") => {
            json!({"spec": {"nodeMeshPassword": {"secretKeyRef": {"key": "next"}}}})
        }
        (Kind::BgpPeer, "spec.node") => json!({"spec": {"node": "node2"}}),
        (Kind::BgpPeer, "spec.peerSelector") => {
            json!({"spec": {"peerIP": null, "asNumber": null, "peerSelector": "has(rack)"}})
        }
        (Kind::Secret, "data") => json!({"data": {"password": "aHVudGVyMg=="}}),
        (Kind::Secret, "stringData") => json!({"stringData": {"password": "hunter2"}}),
        _ => return None,
    })
}

/// Honoured fields whose change nobody feels, each with its reason.
fn without_effect(kind: Kind, path: &str) -> Option<&'static str> {
    Some(match (kind, path) {
        (Kind::Node, "metadata.labels") => return None,
        (_, "metadata.labels") => "nothing selects these",
        (Kind::BgpConfiguration, "spec.communities.name") => "it stands for `value`",
        _ => return None,
    })
}

/// What every object has. Another name is another object.
fn is_frame(path: &str) -> bool {
    ["apiVersion", "kind", "metadata.name"].contains(&path)
}

fn merge(into: &mut Json, patch: &Json) {
    match (into, patch) {
        (Json::Object(into), Json::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key.clone()).or_insert(Json::Null), value);
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

/// The object with one field set to its example. Inside a list it is the first item's field.
fn with_example(mut object: Json, path: &[&'static Field]) -> Json {
    // Of which an operation is exactly one.
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
    let example = |field: &Field| -> Json { serde_saphyr::from_str(field.example).unwrap() };
    let (last, parents) = path.split_last().unwrap();
    let mut at = &mut object;
    for parent in parents {
        if !at.is_object() {
            *at = json!({});
        }
        let map = at.as_object_mut().unwrap();
        // An operation is exactly one of these.
        if OPERATIONS.contains(&parent.name) {
            map.retain(|name, _| name == parent.name);
        }
        at = map.entry(parent.name).or_insert_with(|| example(parent));
        if at.is_array() {
            at = &mut at[0];
        }
    }
    if !at.is_object() {
        *at = json!({});
    }
    let map = at.as_object_mut().unwrap();
    if OPERATIONS.contains(&last.name) {
        map.clear();
    }
    map.insert(last.name.to_owned(), example(last));
    object
}

fn resolve(objects: &BTreeMap<&'static str, Json>) -> Result<Resources, String> {
    let mut catalog = Catalog::default();
    catalog.apply_file("other", parse_manifest("other", OTHER));
    for (kind, object) in objects {
        let parsed = parse_manifest(kind, &object.to_string());
        if let Err(problems) = &parsed {
            return Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        }
        catalog.apply_file(kind, parsed);
    }
    Ok(catalog.resolve())
}

fn walk(fields: &'static [Field], path: &mut Vec<&'static Field>, visit: &mut dyn FnMut(&[&'static Field])) {
    for field in fields {
        path.push(field);
        visit(path);
        walk(field.fields, path, visit);
        path.pop();
    }
}

/// What happens when this field is set to its example.
fn answer(kind: Kind, path: &[&'static Field]) -> Result<String, String> {
    let name = path.iter().map(|field| field.name).collect::<Vec<_>>().join(".");
    match path.last().unwrap().support {
        Support::Refused { .. } => return Ok("refused".to_owned()),
        Support::Informational => return Ok("none: nothing acts on it".to_owned()),
        Support::Honoured | Support::Additive => {}
    }
    let mut before = cluster();
    for (_, _, object, patch) in
        contexts().into_iter().filter(|of| of.0 == kind.name() && (of.1 == "*" || of.1 == name))
    {
        merge(before.get_mut(object).unwrap(), &patch);
    }
    let mut after = before.clone();
    let changed = after.get_mut(kind.name()).unwrap();
    match change_instead(kind, &name) {
        Some(patch) => merge(changed, &patch),
        None => *changed = with_example(changed.clone(), path),
    }
    let state = |objects| -> Result<Desired, String> {
        let (desired, _) =
            desired(&resolve(objects)?, "node1", false).map_err(|problem| problem.to_string())?;
        Ok(desired)
    };
    let found = effects(&state(&before)?, &state(&after)?);
    match (without_effect(kind, &name), found.is_empty()) {
        (Some(reason), true) => Ok(format!("none: {reason}")),
        (Some(_), false) => Err(format!("is listed as without effect and has {found:?}")),
        (None, true) => {
            Err("has no effect here: give it a context in which it has one, or a reason".to_owned())
        }
        (None, false) => Ok(found.into_iter().map(Effect::words).collect::<Vec<_>>().join(", ")),
    }
}

#[test]
fn the_document_says_what_a_change_of_each_field_costs() {
    let mut text = String::from(include_str!("reload.md"));
    let mut wrong = String::new();
    // A test of filters configures nothing.
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::BgpFilterTest) {
        write!(text, "\n## {}\n\n| field | takes effect |\n|---|---|\n", kind.name()).unwrap();
        walk(kind.fields(), &mut Vec::new(), &mut |path| {
            let name = path.iter().map(|field| field.name).collect::<Vec<_>>().join(".");
            // Of what only holds other fields these say it.
            let holds_fields = path.last().is_some_and(|field| !field.fields.is_empty());
            if holds_fields || is_frame(&name) || ["spec", "status"].contains(&name.as_str()) {
                return;
            }
            match answer(kind, path) {
                // The metadata of every kind are alike.
                Ok(answer)
                    if answer == "refused"
                        || (name.starts_with("metadata.") && answer.starts_with("none")) => {}
                Ok(answer) => writeln!(text, "| `{name}` | {answer} |").unwrap(),
                Err(error) => writeln!(wrong, "{} {name}: {error}", kind.name()).unwrap(),
            }
        });
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reload.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "docs/reload.md is old: BLESS=1 cargo test -p manx reload writes it; read the difference"
    );
}
