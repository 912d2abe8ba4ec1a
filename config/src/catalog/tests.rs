use proptest::prelude::*;

use super::*;
use crate::manifest::parse_manifest;

fn node(name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {{name: {name}}}\n\
         spec: {{bgp: {{ipv4Address: {address}}}}}\n"
    )
}

fn pool(name: &str, cidr: &str) -> String {
    format!(
        "---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {{name: {name}}}\nspec: {{cidr: '{cidr}'}}\n"
    )
}

fn affinity(name: &str, node: &str, state: &str) -> String {
    format!(
        "---\napiVersion: projectcalico.org/v3\nkind: BlockAffinity\nmetadata: {{name: {name}}}\n\
         spec: {{node: {node}, cidr: 10.0.0.0/26, state: {state}}}\n"
    )
}

fn catalog(files: &[(&str, &str)]) -> Catalog {
    let mut catalog = Catalog::default();
    for (name, text) in files {
        catalog.apply_file(name, parse_manifest(name, text));
    }
    catalog
}

fn problems(resources: &Resources) -> Vec<String> {
    resources.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_that_became_bad_keeps_its_last_good_version() {
    let mut catalog = catalog(&[("a", &node("n1", "10.0.0.1"))]);
    catalog.apply_file("a", parse_manifest("a", &node("n1", "10.0.0.x")));
    let resources = catalog.resolve();
    assert_eq!(resources.nodes.len(), 1);
    assert!(!resources.is_partial());
    assert_eq!(
        problems(&resources),
        [
            "a: warning: the version of this file that was read before stays in force",
            "a:5:27: spec.bgp.ipv4Address: '10.0.0.x' is not the address of a node: write the address with its \
             network's length, as in 10.0.0.1/24",
        ]
    );
    catalog.apply_file("a", parse_manifest("a", ""));
    assert_eq!(catalog.resolve(), Resources::default());
}

#[test]
fn a_file_that_was_never_good_counts_for_nothing() {
    let mut catalog = catalog(&[("a", "x"), ("b", &node("n1", "10.0.0.1"))]);
    let resources = catalog.resolve();
    assert_eq!(resources.nodes.len(), 1);
    assert_eq!(problems(&resources).len(), 1);
    assert!(resources.is_partial(), "nobody knows what it should have said");
    catalog.remove_file("a");
    assert!(!catalog.resolve().is_partial());
    assert!(catalog.resolve().problems().is_empty());
    catalog.remove_file("b");
    assert!(catalog.resolve().nodes.is_empty());
}

#[test]
fn of_one_name_in_two_files_the_first_file_wins() {
    for order in [["a", "b"], ["b", "a"]] {
        let mut catalog = Catalog::default();
        for file in order {
            let address = if file == "a" { "10.0.0.1" } else { "10.0.0.2" };
            catalog.apply_file(file, parse_manifest(file, &node("n1", address)));
        }
        let resources = catalog.resolve();
        assert_eq!(resources.nodes["n1"].location.to_string(), "a:4:18");
        assert_eq!(
            problems(&resources),
            ["b:4:18: metadata.name: 'n1' is defined in a already: this one is left out (see a:4:18)"]
        );
        catalog.remove_file("a");
        assert_eq!(catalog.resolve().nodes["n1"].location.to_string(), "b:4:18");
    }
}

/// By the name of the object, not of the file.
#[test]
fn of_two_nodes_with_one_address_the_later_is_left_out() {
    let catalog = catalog(&[("a", &node("n2", "10.0.0.1/24")), ("b", &node("n1", "10.0.0.1"))]);
    let resources = catalog.resolve();
    assert_eq!(resources.nodes.keys().collect::<Vec<_>>(), ["n1"]);
    assert_eq!(
        problems(&resources),
        [
            "a:5:27: spec.bgp.ipv4Address: 10.0.0.1 is the address of Node n1 already: Node n2 is left out; give \
          each node its own (see b:5:27)"
        ]
    );
}

/// n3 shares an address with n2, which is itself left out: n3 stays.
#[test]
fn what_is_left_out_takes_nothing_else_out() {
    let text = "---\napiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: n2}\n\
                spec: {bgp: {ipv4Address: 10.0.0.1, ipv6Address: 'fd00::2'}}\n---\n\
                apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: n3}\n\
                spec: {bgp: {ipv6Address: 'fd00::2'}}\n";
    let resources = catalog(&[("a", &node("n1", "10.0.0.1")), ("b", text)]).resolve();
    assert_eq!(resources.nodes.keys().collect::<Vec<_>>(), ["n1", "n3"]);
    assert_eq!(problems(&resources).len(), 1);
}

#[test]
fn of_overlapping_pools_the_later_is_left_out() {
    let text = [
        pool("b", "10.0.0.0/16"),
        pool("a", "10.0.128.0/17"),
        pool("c", "10.1.0.0/16"),
        pool("d", "fd00::/64"),
    ];
    let resources = catalog(&[("f", &text.concat())]).resolve();
    assert_eq!(resources.ip_pools.keys().collect::<Vec<_>>(), ["a", "c", "d"]);
    assert_eq!(
        problems(&resources),
        ["f:5:14: spec.cidr: 10.0.0.0/16 overlaps 10.0.128.0/17 of IPPool a: IPPool b is left out; choose \
          another range (see f:10:14)"]
    );
}

#[test]
fn of_two_confirmed_claims_to_one_block_the_later_is_left_out() {
    let text = [
        affinity("a", "n1", "pending"),
        affinity("b", "n2", "confirmed"),
        affinity("c", "n3", "confirmed"),
        affinity("d", "n2", "confirmed"),
        affinity("e", "n4", "pendingDeletion"),
    ];
    let resources = catalog(&[("f", &text.concat())]).resolve();
    assert_eq!(resources.block_affinities.keys().collect::<Vec<_>>(), ["a", "b", "d", "e"]);
    let found = problems(&resources);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("f:15:24: spec.cidr: block 10.0.0.0/26 is confirmed for node n2"),
        "{found:?}"
    );
    assert!(found[0].ends_with("(see f:10:24)"), "{found:?}");
}

#[test]
fn notices_come_and_go() {
    let mut catalog = Catalog::default();
    catalog.notice("directory", Some(Problem::error(Location::file("/etc/x"), "", "is not there")));
    assert_eq!(problems(&catalog.resolve()), ["/etc/x: is not there"]);
    catalog.notice("directory", None);
    assert!(catalog.resolve().problems().is_empty());
}

proptest! {
    /// However files came and went, only what they last held counts.
    #[test]
    fn the_result_does_not_depend_on_the_order(
        steps in proptest::collection::vec((0..4_usize, proptest::option::of((0..3_u8, 0..3_u8))), 0..24),
    ) {
        let mut catalog = Catalog::default();
        let mut last = [None; 4];
        for (file, content) in &steps {
            last[*file] = *content;
            let name = format!("f{file}");
            match content {
                Some((n, a)) => {
                    let text = node(&format!("n{n}"), &format!("10.0.0.{a}"));
                    catalog.apply_file(&name, parse_manifest(&name, &text));
                }
                None => catalog.remove_file(&name),
            }
        }
        let mut fresh = Catalog::default();
        for (file, content) in last.iter().enumerate().rev() {
            if let Some((n, a)) = content {
                let name = format!("f{file}");
                let text = node(&format!("n{n}"), &format!("10.0.0.{a}"));
                fresh.apply_file(&name, parse_manifest(&name, &text));
            }
        }
        prop_assert_eq!(catalog.resolve(), fresh.resolve());
    }
}
