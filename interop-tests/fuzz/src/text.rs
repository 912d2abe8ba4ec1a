//! Texts that people write: manifests, manx.toml, selectors, communities.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use bgp::wire::{Community, ExtendedCommunity, LargeCommunity};
use bgp::Asn;
use config::catalog::Catalog;
use config::model::selector::Selector;
use config::settings::Settings;
use config::{Problem, expand};

/// Problems that one text may have: a person reads them.
const PROBLEM_OCTETS_MAX: usize = 4096;

/// A manifest is refused whole with every problem, or means something for each node that it names.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed = config::manifest::parse_manifest("fuzz.yaml", text);
    if let Err(problems) = &parsed {
        assert!(!problems.is_empty());
        problems.iter().for_each(is_readable);
    }
    let mut catalog = Catalog::default();
    catalog.apply_file("fuzz.yaml", parsed);
    let resources = catalog.resolve();
    resources.problems().iter().for_each(is_readable);
    for node in resources.nodes.keys().chain([&"unknown".to_owned()]) {
        let expansion = expand::sessions(&resources, node);
        expansion.problems.iter().for_each(is_readable);
        for pair in expansion.sessions.windows(2) {
            assert!(pair[0].name < pair[1].name, "sorted, and no name twice");
        }
        let _ = expand::own_blocks(&resources, node);
        let _ = expand::prefix_advertisements(&resources, node);
        let _ = expand::export_policy(&resources, node);
    }
}

/// The canonical form of a selector means the same.
pub fn selector(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(selector) = text.parse::<Selector>() else { return };
    let canonical = selector.to_string();
    // It has more parentheses, which may be too deep to be read again.
    let Ok(again) = canonical.parse::<Selector>() else { return };
    // `!(!a)` is shown as `!!a`, and read as `a`: as in Calico, the form is kept once and is stable then.
    assert!(again == selector || canonical.contains("!!"), "{again}");
    for labels in [&[][..], &[("a", "b")], &[("a", "")]] {
        let labels: BTreeMap<_, _> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(selector.matches(&labels), again.matches(&labels));
    }
}

/// manx.toml.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(problems) = Settings::parse("manx.toml", text, [], "node1") {
        assert!(!problems.is_empty());
        problems.iter().for_each(is_readable);
    }
}

/// The small words of BGP.
pub fn words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    comes_back::<Asn>(text);
    comes_back::<Community>(text);
    comes_back::<ExtendedCommunity>(text);
    comes_back::<LargeCommunity>(text);
}

fn comes_back<T: FromStr<Err: Display> + Display + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => assert!(value.to_string().parse::<T>().is_ok_and(|again| again == value), "{value}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn is_readable(problem: &Problem) {
    let text = problem.to_string();
    assert!(!text.is_empty() && text.len() < PROBLEM_OCTETS_MAX, "{} octets: {text:.200}", text.len());
}
