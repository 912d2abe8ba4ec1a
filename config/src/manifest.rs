//! The text of one manifest as objects, or as everything that is wrong with it.
//!
//! YAML of one or many documents, and JSON, which is YAML. A manifest is taken whole or refused whole: half of
//! a change is worse than none.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::document::{self, Data, Fields, Position, Source, Value, quoted};
use crate::model::{API, Kind, Object};
use crate::problem::{Location, Problem};

/// An object and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The object.
    pub object: T,
    /// Where its name stands.
    pub location: Location,
    /// Places of the fields that other objects can contradict.
    places: Arc<BTreeMap<&'static str, Location>>,
}

impl<T> Located<T> {
    /// Where a field stands, or the object if the field is not there or its place was not kept.
    #[must_use]
    pub fn place(&self, field: &str) -> Location {
        self.places.get(field).unwrap_or(&self.location).clone()
    }

    /// The same place, another view of the object.
    pub(crate) fn with<U>(&self, object: U) -> Located<U> {
        Located { object, location: self.location.clone(), places: self.places.clone() }
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

/// Fields that checks between objects speak about.
const PLACES: &[&str] = &[
    "spec.asNumber",
    "spec.bgp.ipv4Address",
    "spec.bgp.ipv6Address",
    "spec.cidr",
    "spec.filters",
    "spec.node",
    "spec.nodeMeshPassword",
    "spec.nodeSelector",
    "spec.password",
    "spec.peerIP",
    "spec.peerSelector",
    "spec.role",
    "spec.state",
];

/// Reads a manifest. `file` is only for the places of problems.
///
/// # Errors
/// Every problem that was found, in the order of the text; the manifest is refused whole.
pub fn parse_manifest(file: &str, text: &str) -> Result<Vec<Located<Object>>, Vec<Problem>> {
    let source = Source::new(file);
    let mut objects = Vec::new();
    match document::parse(text) {
        Ok(documents) => {
            for document in &documents {
                read_document(&source, document, Within::Stream, &mut objects);
            }
            report_repetitions(&source, &objects);
        }
        Err(error) => {
            // The parser's words may quote the text.
            let message =
                if may_hold_secrets(text) { "this is not valid YAML".to_owned() } else { error.message };
            source.report(error.at.unwrap_or(Position { line: 0, column: 0 }), "", message);
        }
    }
    let mut problems = source.into_problems();
    if problems.is_empty() {
        return Ok(objects);
    }
    problems.sort_by(|left, right| left.location.cmp(&right.location));
    if may_hold_secrets(text) {
        return Err(problems);
    }
    let lines: Vec<_> = text.lines().collect();
    Err(problems.into_iter().map(|problem| problem.drawn_from(&lines)).collect())
}

/// Of such a file no line is shown: Secrets, and passwords that were written where they do not belong.
fn may_hold_secrets(text: &str) -> bool {
    let lower = text.to_lowercase();
    text.contains("Secret") || ["pass", "word"].iter().any(|part| lower.contains(part))
}

/// Where a value stands that should be an object.
#[derive(Clone, Copy)]
enum Within {
    /// It is a document of its own, and may be a list.
    Stream,
    /// It is an item of a list, which may have said the kind (`BGPPeerList`).
    List(Option<Kind>),
}

/// An object, or a list of them.
fn read_document(source: &Source, document: &Value, within: Within, objects: &mut Vec<Located<Object>>) {
    let Data::Map(_) = &document.data else {
        let found = document.data.describe();
        let message = format!("expected an object with apiVersion, kind and metadata, found {found}");
        source.report(document.at, "", message);
        return;
    };
    let (api, name) = (text_at(document, "apiVersion"), text_at(document, "kind"));
    match (name, within) {
        // Go writes the items of a typed list without apiVersion and kind.
        (None, Within::List(Some(kind))) if api.is_none() => read_object(source, document, kind, objects),
        (None, Within::List(_) | Within::Stream) => {
            let kinds = Kind::ALL.map(Kind::name).join(", ");
            source.report(document.at, "kind", format!("is missing: give one of {kinds}"));
        }
        (Some((at, name)), Within::List(_)) if name.ends_with("List") => {
            source.report(at, "kind", "a list inside a list is not supported");
        }
        (Some((at, name)), Within::Stream) if name.ends_with("List") => {
            read_list(source, document, (at, name), api, objects);
        }
        (Some(name), Within::List(_) | Within::Stream) => {
            if let Some(kind) = known_kind(source, document.at, api, name) {
                read_object(source, document, kind, objects);
            }
        }
    }
}

/// Reports what this version cannot read.
fn known_kind(
    source: &Source,
    document: Position,
    api: Option<(Position, &str)>,
    (at, name): (Position, &str),
) -> Option<Kind> {
    let kinds = Kind::ALL.map(Kind::name).join(", ");
    let Some((api_at, api)) = api else {
        source.report(document, "apiVersion", format!("is missing: give {API}"));
        return None;
    };
    match Kind::of_name(name) {
        Some(kind) if api == kind.api() => Some(kind),
        Some(_) if api.starts_with("crd.projectcalico.org/") => {
            source.report(api_at, "apiVersion", format!("{api} is how Calico stores objects: give {API}"));
            None
        }
        Some(kind) if api == API => {
            source.report(api_at, "apiVersion", format!("{name} is of {}: give that", kind.api()));
            None
        }
        None if api == API => {
            let name = quoted(name);
            source.report(at, "kind", format!("{name} is not supported by this version: it reads {kinds}"));
            None
        }
        Some(_) | None => {
            let (api, name) = (quoted(api), quoted(name));
            let message = format!(
                "{name} of {api} is not supported by this version: it reads {kinds} of {API} (Secret of v1)"
            );
            source.report(at, "kind", message);
            None
        }
    }
}

/// `kind: List`, or a list of one kind.
fn read_list(
    source: &Source,
    document: &Value,
    (at, name): (Position, &str),
    api: Option<(Position, &str)>,
    objects: &mut Vec<Located<Object>>,
) {
    let of = name.strip_suffix("List").unwrap_or(name);
    let is_known_api = api.is_some_and(|(_, api)| api == API || (of.is_empty() && api == "v1"));
    if !is_known_api {
        source.report(
            api.map_or(document.at, |(at, _)| at),
            "apiVersion",
            format!("a list is of {API} or v1"),
        );
    }
    let of_kind =
        if of.is_empty() { None } else { known_kind(source, document.at, Some((at, API)), (at, of)) };
    if of_kind.is_none() && !of.is_empty() {
        return;
    }
    if let Data::Map(entries) = &document.data {
        let known = |key: &str| ["apiVersion", "kind", "metadata", "items"].contains(&key);
        for entry in entries.iter().filter(|entry| !known(&entry.key)) {
            source.report(
                entry.at,
                &entry.key,
                format!("unknown field of {name}: it has metadata and items"),
            );
        }
    }
    match at_key(document, "items").map(|items| (items.at, &items.data)) {
        Some((_, Data::List(items))) => {
            for item in items {
                read_document(source, item, Within::List(of_kind), objects);
            }
        }
        Some((_, Data::Null)) | None => {}
        Some((at, other)) => {
            source.report(at, "items", format!("expected a list, found {}", other.describe()));
        }
    }
}

fn read_object(source: &Source, document: &Value, kind: Kind, objects: &mut Vec<Located<Object>>) {
    let before = source.problem_count();
    let object = Fields::open(source, "", document, kind.fields())
        .and_then(|fields| Object::read(kind, &fields))
        .filter(|_| source.problem_count() == before);
    if let Some(object) = object {
        let place = |path: &&'static str| Some((*path, source.location(at_path(document, path)?.at)));
        let location = at_path(document, "metadata.name").map_or(document.at, |name| name.at);
        objects.push(Located {
            object,
            location: source.location(location),
            places: Arc::new(PLACES.iter().filter_map(place).collect()),
        });
    } else if source.problem_count() == before {
        source.report(document.at, "", format!("this {} cannot be read", kind.name()));
    }
}

/// One object twice in one file is a mistake, whatever the two say.
fn report_repetitions(source: &Source, objects: &[Located<Object>]) {
    let mut seen = BTreeMap::new();
    for located in objects {
        let key = (located.object.kind(), located.object.metadata().name.as_str());
        if let Some(first) = seen.insert(key, &located.location) {
            let message =
                format!("{} {} is in this file already, at {first}: remove one", key.0.name(), key.1);
            let at = Position { line: located.location.line, column: located.location.column };
            source.report(at, "metadata.name", message);
            seen.insert(key, first);
        }
    }
}

fn at_key<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match &value.data {
        Data::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
        Data::Null | Data::Boolean(_) | Data::Number { .. } | Data::Text(_) | Data::List(_) => None,
    }
}

fn at_path<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, at_key)
}

fn text_at<'a>(document: &'a Value, key: &str) -> Option<(Position, &'a str)> {
    let value = at_key(document, key)?;
    match &value.data {
        Data::Text(text) => Some((value.at, text)),
        Data::Null | Data::Boolean(_) | Data::Number { .. } | Data::List(_) | Data::Map(_) => None,
    }
}

#[cfg(test)]
mod tests;
