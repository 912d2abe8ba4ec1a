use super::*;

fn names(text: &str) -> Vec<String> {
    let objects = parse_manifest("f", text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let name = |located: &Located<Object>| {
        let object = &located.object;
        format!("{} {} {}", object.kind().name(), object.metadata().name, located.location)
    };
    objects.iter().map(name).collect()
}

fn problems(text: &str) -> Vec<String> {
    parse_manifest("f", text).unwrap_err().iter().map(ToString::to_string).collect()
}

const POOL: &str =
    "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata:\n  name: a\nspec:\n  cidr: 10.0.0.0/16\n";

#[test]
fn one_object_many_documents_and_none() {
    assert_eq!(names(POOL), ["IPPool a f:4:9"]);
    assert_eq!(names(""), [""; 0]);
    assert_eq!(names("# nothing\n---\n---\n"), [""; 0]);
    let second = POOL.replace("name: a", "name: b");
    assert_eq!(names(&format!("---\n{POOL}---\n# x\n{second}")), ["IPPool a f:5:9", "IPPool b f:13:9"]);
}

/// As `calicoctl get -o json`, `kubectl get -o yaml` and Go's typed lists write them.
#[test]
fn lists() {
    let json = r#"{"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": [
	{"kind": "IPPool", "apiVersion": "projectcalico.org/v3", "metadata": {"name": "a"}, "spec": {"cidr": "10.0.0.0/16"}}]}"#;
    assert_eq!(names(json), ["IPPool a f:2:80"]);
    let typed = "kind: BGPPeerList\napiVersion: projectcalico.org/v3\nmetadata: {}\nitems:\n- metadata: {name: a}\n  spec: {peerIP: 10.0.0.1}\n- kind: BGPPeer\n  apiVersion: projectcalico.org/v3\n  metadata: {name: b}\n  spec: {peerIP: 10.0.0.2}\n";
    assert_eq!(names(typed), ["BGPPeer a f:5:20", "BGPPeer b f:9:20"]);
    assert_eq!(names("kind: NodeList\napiVersion: projectcalico.org/v3\nitems:\n"), [""; 0]);
    assert_eq!(
        problems("kind: List\napiVersion: v1\nitem: []\n"),
        ["f:3:1: item: unknown field of List: it has metadata and items"]
    );
    assert!(
        problems("kind: List\napiVersion: v1\nitems: [{kind: List, apiVersion: v1}]")[0]
            .contains("a list inside a list")
    );
}

#[test]
fn other_kinds_are_refused_by_name() {
    for (api, kind, expected) in [
        (
            "projectcalico.org/v3",
            "NetworkPolicy",
            "f:2:7: kind: NetworkPolicy is not supported by this version: it reads Node, BGPConfiguration, BGPPeer, BGPFilter, BGPSet, BGPFilterTest, IPPool, BlockAffinity",
        ),
        ("projectcalico.org/v3", "NetworkPolicyList", "kind: NetworkPolicy is not supported by this version"),
        ("v1", "Pod", "kind: Pod of v1 is not supported by this version"),
        ("v1", "Node", "kind: Node of v1 is not supported by this version"),
        (
            "crd.projectcalico.org/v1",
            "IPPool",
            "f:1:13: apiVersion: crd.projectcalico.org/v1 is how Calico stores objects: give projectcalico.org/v3",
        ),
        ("projectcalico.org/v3", "ippool", "kind: ippool is not supported by this version"),
    ] {
        let found = problems(&format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: a}}\nitems: []\n"));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].contains(expected), "{found:#?}");
    }
    assert!(
        problems("kind: IPPool\n")[0].contains("f:1:1: apiVersion: is missing: give projectcalico.org/v3")
    );
    assert!(
        problems("apiVersion: projectcalico.org/v3\n")[0]
            .contains("f:1:1: kind: is missing: give one of Node")
    );
    assert!(problems("- a\n")[0].contains("f:1:1: expected an object"));
}

#[test]
fn a_manifest_is_refused_whole_with_every_problem_in_order() {
    let bad = POOL.replace("10.0.0.0/16", "10.0.0.1/16").replace("name: a", "name: B");
    let found = problems(&format!("{POOL}---\n{bad}---\n{bad}"));
    let places: Vec<_> = found.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["f:11:9", "f:13:9", "f:18:9", "f:20:9"]);
}

#[test]
fn one_object_twice_in_one_file() {
    assert_eq!(
        problems(&format!("{POOL}---\n{POOL}")),
        ["f:11:9: metadata.name: IPPool a is in this file already, at f:4:9: remove one"]
    );
}

#[test]
fn syntax_errors_and_repeated_keys_have_a_place() {
    let found = problems("a: [1,\nb: 2\n");
    assert!(found[0].starts_with("f:") && found[0].contains("not valid YAML"), "{found:#?}");
    let found = problems(&POOL.replace("spec:", "kind: Node\nspec:"));
    assert!(found[0].starts_with("f:5:1: this is not valid YAML: duplicate"), "{found:#?}");
}

#[test]
fn a_problem_is_drawn_with_its_line() {
    let problem = parse_manifest("f", &POOL.replace("/16", "/99")).unwrap_err().remove(0);
    let drawn = format!("{problem:#}");
    assert!(drawn.contains("6 |   cidr: 10.0.0.0/99\n  |         ^^^^^^^^^^^"), "{drawn}");
}

#[test]
fn windows_line_ends_and_a_byte_order_mark() {
    let text = format!("\u{feff}{}", POOL.replace('\n', "\r\n"));
    assert_eq!(names(&text), ["IPPool a f:4:9"]);
}

#[test]
fn places_of_fields_are_kept() {
    let objects = parse_manifest("f", POOL).unwrap();
    assert_eq!(objects[0].place("spec.cidr").to_string(), "f:6:9");
    assert_eq!(objects[0].place("spec.node").to_string(), "f:4:9");
}
