use config::catalog::Catalog;
use config::manifest::parse_manifest;

use super::*;

const FILTERS: &str = include_str!("../../../docs/policy/filters.yaml");
const TESTS: &str = include_str!("../../../docs/policy/tests.yaml");

fn run_on(texts: &[&str]) -> PolicyTestDocument {
    let mut catalog = Catalog::default();
    for (nth, text) in texts.iter().enumerate() {
        let file = format!("{nth}.yaml");
        catalog.apply_file(&file, parse_manifest(&file, text));
    }
    let resources = catalog.resolve();
    assert_eq!(resources.problems(), []);
    run(&resources)
}

fn differences(texts: &[&str], name: &str) -> Vec<String> {
    let document = run_on(texts);
    let test = document.tests.iter().find(|test| test.name == name).unwrap();
    assert_eq!(test.ok, test.differences.is_empty());
    let words = |d: &DifferenceDocument| format!("{}: expected {}, found {}", d.field, d.expected, d.found);
    test.differences.iter().map(words).collect()
}

/// The examples of the documentation do what their tests say.
#[test]
fn the_documented_filters_pass_their_tests() {
    let document = run_on(&[FILTERS, TESTS]);
    let failed: Vec<_> = document.tests.iter().filter(|test| !test.ok).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!((document.passed, document.failed), (6, 0));
}

#[test]
fn what_differs_is_named() {
    for (change, name, expected) in [
        (
            ("hygiene rule 4", "hygiene rule 3"),
            "no-private-as",
            "rule: expected hygiene rule 3, found hygiene rule 4",
        ),
        (
            ("action: Default, med: None", "action: Accept"),
            "other-own-routes-are-the-pools-business",
            "action: expected Accept, found Default",
        ),
        (
            ("action: Reject, rule: hygiene rule 1", "action: Accept"),
            "no-default-route",
            "action: expected Accept, found Reject by hygiene rule 1",
        ),
        (
            ("localPreference: 200", "localPreference: 201"),
            "customers-are-preferred",
            "localPreference: expected 201, found 200",
        ),
        (
            ("\"64512:1\", \"174:1200\"", "\"174:1200\""),
            "customers-are-preferred",
            "communities: expected 174:1200, found 174:1200 64512:1",
        ),
        (
            ("med: 150, nextHop: Peer", "med: None, nextHop: Peer"),
            "dear-routes-go-by-the-peer",
            "med: expected None, found 150",
        ),
        (
            ("nextHop: Peer", "nextHop: 192.0.2.9"),
            "dear-routes-go-by-the-peer",
            "nextHop: expected 192.0.2.9, found Peer",
        ),
        (
            ("asPath: [64601, 64601]", "asPath: [64601]"),
            "pods-leave-marked",
            "asPath: expected 64601, found 64601 64601",
        ),
        (
            (
                "filters: [hygiene, fabric]\n  direction: Import\n  route: {prefix: 0.0.0.0/0",
                "filters: [hygeine]\n  direction: Import\n  route: {prefix: 0.0.0.0/0",
            ),
            "no-default-route",
            "filters: expected hygeine, found there is no such BGPFilter",
        ),
    ] {
        let changed = TESTS.replacen(change.0, change.1, 1);
        assert_ne!(changed, TESTS, "{name}");
        let found = differences(&[FILTERS, &changed], name);
        assert!(found.iter().any(|difference| difference == expected), "{expected}\n{found:#?}");
    }
}

/// On import nobody's word is yes.
#[test]
fn no_rule_accepts_on_import_only() {
    let test = |direction: &str| {
        format!(
            "apiVersion: projectcalico.org/v3\nkind: BGPFilterTest\nmetadata: {{name: a}}\nspec:\n  \
             filters: [hygiene]\n  direction: {direction}\n  route: {{prefix: 198.51.100.0/24}}\n  \
             expect: {{action: Accept}}\n"
        )
    };
    assert_eq!(differences(&[FILTERS, &test("Import")], "a"), [""; 0]);
    assert_eq!(differences(&[FILTERS, &test("Export")], "a"), ["action: expected Accept, found Default"]);
}
