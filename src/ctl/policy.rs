//! `manx policy`: filters tested against what is expected of them, tried against the routes of the running daemon,
//! and their rules with how much each decides.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::catalog::Catalog;
use config::manifest::parse_manifest;

use super::table::render;
use super::{EXIT_REFUSED, ask_with, fail, print_document};
use crate::daemon::protocol::{
    PathDocument, PolicyDocument, PolicyTestDocument, PolicyTrialDocument, TriedDocument, TriedRouteDocument,
};
use crate::dispatch::{CtlOptions, PolicyVerb};
use crate::node::policy_test;

/// There is nothing to test, or it cannot be read.
const EXIT_USAGE: u8 = 2;

/// Runs `manx policy VERB`.
pub(super) fn main(options: &CtlOptions, verb: &PolicyVerb) -> ExitCode {
    let PolicyVerb::Test { manifests, live, filename, limit, output } = verb;
    let files = match read(if *live { filename } else { manifests }) {
        Ok(files) => files,
        Err(message) => return fail(EXIT_USAGE, &message),
    };
    if *live {
        // One stream of documents; a file of a list or of JSON is a document as well.
        let body = files.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n---\n");
        let show = |trial: &PolicyTrialDocument, _| trials(trial, *limit);
        return ask_with(options, "/v1/policy/test", Some(body), *output, show);
    }
    let mut catalog = Catalog::default();
    for (name, text) in &files {
        catalog.apply_file(name, parse_manifest(name, text));
    }
    let resources = catalog.resolve();
    if !resources.problems().is_empty() {
        let problems: Vec<String> =
            resources.problems().iter().map(|problem| format!("{problem:#}")).collect();
        return fail(EXIT_USAGE, &problems.join("\n"));
    }
    let document = policy_test::run(&resources);
    if document.tests.is_empty() {
        return fail(EXIT_USAGE, "there is no BGPFilterTest in these manifests");
    }
    let printed = print_document(&document, *output, |document, _| results(document));
    if document.failed > 0 { ExitCode::from(EXIT_REFUSED) } else { printed }
}

/// Names and texts of all manifests.
fn read(paths: &[PathBuf]) -> Result<Vec<(String, String)>, String> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, true, &mut files)?;
    }
    if files.is_empty() {
        return Err("there is no manifest: files end in .yaml, .yml or .json".to_owned());
    }
    let text = |path: PathBuf| {
        let name = path.display().to_string();
        fs::read_to_string(&path).map(|text| (name.clone(), text)).map_err(|error| format!("{name}: {error}"))
    };
    files.into_iter().map(text).collect()
}

/// A file that was named is read whatever it is called.
fn collect(path: &Path, is_named: bool, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let words = |error: std::io::Error| format!("{}: {error}", path.display());
    if path.is_dir() {
        let entries = fs::read_dir(path).map_err(words)?;
        let mut inside: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(words)?;
        inside.sort();
        return inside.iter().try_for_each(|inside| collect(inside, false, files));
    }
    let is_manifest = ["yaml", "yml", "json"].map(OsStr::new).contains(&path.extension().unwrap_or_default());
    if is_named || is_manifest {
        files.push(path.to_owned());
    }
    Ok(())
}

/// `manx policy test`.
fn results(document: &PolicyTestDocument) -> String {
    let mut text = String::new();
    for test in &document.tests {
        text.push_str(&format!("{:7} {}\n", if test.ok { "ok" } else { "FAILED" }, test.name));
        for difference in &test.differences {
            text.push_str(&format!(
                "          {}: expected {}, found {}\n",
                difference.field, difference.expected, difference.found
            ));
        }
    }
    text + &format!("{} passed, {} failed\n", document.passed, document.failed)
}

/// `manx policy test --live`.
fn trials(document: &PolicyTrialDocument, limit: usize) -> String {
    let rows: Vec<Vec<String>> = document
        .trials
        .iter()
        .map(|trial| {
            let counts = [trial.routes, trial.accepted, trial.rejected, trial.changed];
            let counts = counts.iter().map(ToString::to_string);
            [trial.peer.clone(), trial.direction.clone()].into_iter().chain(counts).collect()
        })
        .collect();
    let mut text =
        render(&["PEER", "DIRECTION", "ROUTES", "NEWLY ACCEPTED", "NEWLY REJECTED", "CHANGED"], &rows);
    for trial in document.trials.iter().filter(|trial| !trial.different.is_empty()) {
        text.push_str(&format!("\n{} {}\n", trial.peer, trial.direction));
        for route in trial.different.iter().take(limit) {
            text.push_str(&format!("  {}  {}\n", route.prefix, difference(route)));
        }
        if trial.different.len() > limit {
            let more = trial.different.len() - limit;
            text.push_str(&format!("  and {more} more: --limit, or -o json for all\n"));
        }
    }
    text
}

fn difference(route: &TriedRouteDocument) -> String {
    let by = |tried: &TriedDocument| match &tried.rule {
        Some(rule) => format!("by {rule}"),
        None => "by no rule".to_owned(),
    };
    match (&route.now.path, &route.then.path) {
        (None, Some(_)) => format!("accepted {} (now rejected {})", by(&route.then), by(&route.now)),
        (Some(_), None) => format!("rejected {} (now accepted {})", by(&route.then), by(&route.now)),
        (Some(now), Some(then)) => format!("{} {}", changes(now, then).join(", "), by(&route.then)),
        (None, None) => "rejected".to_owned(),
    }
}

fn changes(now: &PathDocument, then: &PathDocument) -> Vec<String> {
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let number = |number: Option<u32>| number.map_or_else(String::new, |number| number.to_string());
    let pairs = |path: &PathDocument| {
        [
            ("next_hop", path.next_hop.clone().unwrap_or_default()),
            ("as_path", path.as_path.clone()),
            ("origin", path.origin.clone()),
            ("local_pref", number(path.local_pref)),
            ("med", number(path.med)),
            ("communities", path.communities.join(" ")),
        ]
    };
    let both = pairs(now).into_iter().zip(pairs(then));
    let differing = both.filter(|((_, now), (_, then))| now != then);
    differing
        .map(|((name, now), (_, then))| format!("{name} {} -> {}", or_dash(now), or_dash(then)))
        .collect()
}

/// `manx policy`.
pub(super) fn rules(document: &PolicyDocument) -> String {
    let row = |rule: &crate::daemon::protocol::RuleDocument| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let name = rule.rule.clone().unwrap_or_else(|| "no rule".to_owned());
        let (family, action) = (or_dash(&rule.family), or_dash(&rule.action));
        vec![rule.peer.clone(), rule.direction.clone(), family, name, action, rule.routes.to_string()]
    };
    let rows: Vec<Vec<String>> = document.rules.iter().map(row).collect();
    render(&["PEER", "DIRECTION", "FAMILY", "RULE", "ACTION", "ROUTES"], &rows)
}
