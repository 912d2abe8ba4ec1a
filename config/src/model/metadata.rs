//! What every object carries beside its spec.

use std::collections::BTreeMap;

use serde::Serialize;

use super::selector::is_label_character;
use crate::document::{Entry, Field, Fields};

/// Name and labels of an object. All kinds of this crate are cluster-wide, so there is no namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// A DNS-1123 subdomain, unique within the kind.
    pub name: String,
    /// What selectors look at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Free notes; kept, never looked at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

pub(crate) const FIELDS: &[Field] = &[
    Field::honoured("name", "example", "unique name: at most 253 of a-z, 0-9, '-' and '.'"),
    Field::honoured("labels", "{rack: a1}", "what selectors look at"),
    Field::informational("annotations", "{note: x}", "free notes; kept"),
    Field::informational("uid", "3f2a", "set by the API server; not kept"),
    Field::informational("resourceVersion", "'7'", "set by the API server; not kept"),
    Field::informational("generation", "3", "set by the API server; not kept"),
    Field::informational("creationTimestamp", "2026-01-01T00:00:00Z", "set by the API server; not kept"),
    Field::informational("managedFields", "[{manager: kubectl}]", "set by the API server; not kept"),
    Field::informational("finalizers", "[projectcalico.org/x]", "set by controllers; not kept"),
    Field::informational("ownerReferences", "[{kind: X}]", "set by controllers; not kept"),
    Field::informational("selfLink", "/apis/x", "set by old API servers; not kept"),
    Field::refused("namespace", "", "default", "these kinds belong to the whole cluster"),
    Field::refused("generateName", "", "peer-", "names are given, not made up"),
    Field::refused("deletionTimestamp", "", "2026-01-01T00:00:00Z", "the object is being deleted"),
];

impl Metadata {
    pub(crate) fn read(object: &Fields<'_>) -> Option<Self> {
        object.required("metadata", "a mapping with the name")?;
        let metadata = object.fields("metadata")?;
        let name = metadata.required("name", "a unique name").and_then(|entry| name(&entry));
        let labels = metadata.entry("labels").map(|entry| labels(&entry)).unwrap_or_default();
        let annotations = metadata.entry("annotations").map(|entry| texts(&entry)).unwrap_or_default();
        Some(Self { name: name?, labels, annotations })
    }
}

/// A DNS-1123 subdomain.
pub(crate) fn name(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    if is_name(text) {
        return Some(text.to_owned());
    }
    entry.report(format!(
        "'{}' is not a name: use at most 253 of a-z, 0-9, '-' and '.', with a letter or digit at both ends",
        crate::document::quoted(text)
    ));
    None
}

pub(crate) fn is_name(text: &str) -> bool {
    let is_inner =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let is_end =
        |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.len() <= 253
        && text.bytes().all(is_inner)
        && is_end(text.bytes().next())
        && is_end(text.bytes().last())
}

fn labels(entry: &Entry<'_>) -> BTreeMap<String, String> {
    let labels = texts(entry);
    for key in labels.keys().filter(|key| !is_label(key)) {
        entry.report(format!(
            "'{}' is not the name of a label: use at most 512 of letters, digits, '-', '_', '.' and '/'",
            crate::document::quoted(key)
        ));
    }
    labels
}

fn is_label(key: &str) -> bool {
    !key.is_empty() && key.len() <= 512 && key.chars().all(is_label_character)
}

fn texts(entry: &Entry<'_>) -> BTreeMap<String, String> {
    entry.texts().into_iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect()
}
