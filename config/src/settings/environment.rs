//! `MANX_…` variables as the same tree that the file is read as.

use super::{FIELDS, Given, from_text};
use crate::document::{Data, Field, MapEntry, Position, Source, Value};
use crate::problem::{Location, Problem};

/// A variable has no line.
pub(super) const NOWHERE: Position = Position { line: 0, column: 0 };

const PREFIX: &str = "MANX_";

/// Variables of the program that are no settings: they are read elsewhere.
const OTHERS: &[&str] = &["MANX_CONFIG", "MANX_LOG_FORMAT"];

/// What the variables say, and what is wrong with them.
pub(super) fn read(environment: impl IntoIterator<Item = (String, String)>) -> (Given, Vec<Problem>) {
    let mut tree = Vec::new();
    let mut problems = Vec::new();
    let mut variables: Vec<_> =
        environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, text) in variables {
        match path_of(&name) {
            Some(path) => insert(&mut tree, &path, from_text(&path.join("."), &text)),
            None if OTHERS.contains(&name.as_str()) || is_service_link(&name) => {}
            None => {
                let message = format!("unknown variable: known are {}", names().join(", "));
                problems.push(Problem::error(Location::file("environment"), name, message));
            }
        }
    }
    let source = Source::new("environment");
    let given = Given::read(&source, &Value { at: NOWHERE, data: Data::Map(tree) });
    problems.extend(source.into_problems().into_iter().map(of_variable));
    let etcd_keys =
        given.etcd_keys.into_iter().map(|(location, path)| (location, variable_of(&path))).collect();
    (Given { etcd_keys, ..given }, problems)
}

/// Says the variable instead of the key.
fn of_variable(problem: Problem) -> Problem {
    Problem { field: variable_of(&problem.field), ..problem }
}

fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "_").to_uppercase())
}

/// The path of the setting that a variable overrides.
fn path_of(variable: &str) -> Option<Vec<&'static str>> {
    paths().into_iter().find(|path| variable_of(&path.join(".")) == variable)
}

fn names() -> Vec<String> {
    paths().iter().map(|path| variable_of(&path.join("."))).collect()
}

fn paths() -> Vec<Vec<&'static str>> {
    let inside = |field: &Field| -> Vec<Vec<&'static str>> {
        match field.fields {
            [] => vec![vec![field.name]],
            fields => fields.iter().map(|inner| vec![field.name, inner.name]).collect(),
        }
    };
    FIELDS.iter().flat_map(inside).collect()
}

fn insert(tree: &mut Vec<MapEntry>, path: &[&str], data: Data) {
    let Some((first, rest)) = path.split_first() else { return };
    let entry = |data| MapEntry { key: (*first).to_owned(), at: NOWHERE, value: Value { at: NOWHERE, data } };
    if rest.is_empty() {
        tree.push(entry(data));
        return;
    }
    match tree.iter_mut().find(|entry| entry.key == *first).map(|entry| &mut entry.value.data) {
        Some(Data::Map(inner)) => insert(inner, rest, data),
        _ => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, data);
            tree.push(entry(Data::Map(inner)));
        }
    }
}

/// Kubernetes gives every container of a namespace such variables for a Service named `manx`
/// (`MANX_SERVICE_HOST`, `MANX_PORT_9179_TCP_ADDR`) or `manx-…`.
fn is_service_link(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_TCP")
        || name.contains("_UDP")
}
