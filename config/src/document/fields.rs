//! Reading a mapping by a table of the fields that are known.
//!
//! The table is the single statement of what this version does with each field of a kind: the reader refuses
//! what is not in it and what it marks as refused, and the documentation is printed from it. Problems are
//! collected, never returned one at a time, so a person sees all of them at once.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use super::suggest::{one_of, unknown};
use super::tree::{Data, Position, Value};
use crate::problem::{Location, Problem};

/// What this version does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Does what Calico documents.
    Honoured,
    /// Not Calico's: an addition of ours, and honoured.
    Additive,
    /// Accepted; it says nothing that this program acts on.
    Informational,
    /// Known, but an error unless it has this value (or none), because it could not be honoured.
    Refused {
        /// Calico's default.
        default: &'static str,
    },
}

/// A field of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// As written in a manifest.
    pub name: &'static str,
    /// What is done with it.
    pub support: Support,
    /// A value other than the default, as YAML in one line.
    pub example: &'static str,
    /// For a person: what it means, its default and its bounds.
    pub meaning: &'static str,
    /// The fields inside it, or inside each of its items. Empty: it is a value, or anything goes.
    pub fields: &'static [Field],
}

impl Field {
    pub(crate) const fn honoured(name: &'static str, example: &'static str, meaning: &'static str) -> Self {
        Self { name, support: Support::Honoured, example, meaning, fields: &[] }
    }

    pub(crate) const fn additive(name: &'static str, example: &'static str, meaning: &'static str) -> Self {
        Self { name, support: Support::Additive, example, meaning, fields: &[] }
    }

    pub(crate) const fn informational(
        name: &'static str,
        example: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, support: Support::Informational, example, meaning, fields: &[] }
    }

    /// `default` is the value that is accepted, beside none at all.
    pub(crate) const fn refused(
        name: &'static str,
        default: &'static str,
        example: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, support: Support::Refused { default }, example, meaning, fields: &[] }
    }

    pub(crate) const fn with(mut self, fields: &'static [Field]) -> Self {
        self.fields = fields;
        self
    }
}

/// One file while it is read: its name, and the problems found so far.
pub(crate) struct Source {
    file: Arc<str>,
    problems: RefCell<Vec<Problem>>,
}

impl Source {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.into(), problems: RefCell::new(Vec::new()) }
    }

    pub(crate) fn location(&self, at: Position) -> Location {
        Location { file: self.file.clone(), line: at.line, column: at.column }
    }

    pub(crate) fn report(&self, at: Position, field: &str, message: impl Into<String>) {
        self.problems.borrow_mut().push(Problem::error(self.location(at), field, message));
    }

    pub(crate) fn problem_count(&self) -> usize {
        self.problems.borrow().len()
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A mapping that is read by its table.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    source: &'a Source,
    path: String,
    at: Position,
    value: &'a Value,
    table: &'static [Field],
}

impl<'a> Fields<'a> {
    /// Reports what is no mapping, unknown keys, and known fields that are refused.
    pub(crate) fn open(
        source: &'a Source,
        path: &str,
        value: &'a Value,
        table: &'static [Field],
    ) -> Option<Self> {
        let fields = Self { source, path: path.to_owned(), at: value.at, value, table };
        let Data::Map(entries) = &value.data else {
            source.report(
                value.at,
                path,
                format!("expected a mapping of fields, found {}", value.data.describe()),
            );
            return None;
        };
        for entry in entries {
            let path = fields.path_of(&entry.key);
            match table.iter().find(|field| field.name == entry.key) {
                None => source.report(entry.at, &path, unknown(&entry.key, table)),
                Some(field) => {
                    if let Some(message) = refusal(field, &entry.value.data) {
                        source.report(entry.at, &path, message);
                    }
                }
            }
        }
        Some(fields)
    }

    /// The value of a field, unless it is absent or null.
    pub(crate) fn entry(&self, name: &str) -> Option<Entry<'a>> {
        debug_assert!(
            self.table.iter().any(|field| field.name == name),
            "{name} is not in the table of '{}'",
            self.path
        );
        let value = self.value_of(name)?;
        Some(Entry { source: self.source, path: self.path_of(name), value })
    }

    /// Whether the table knows the field or not.
    fn value_of(&self, name: &str) -> Option<&'a Value> {
        let Data::Map(entries) = &self.value.data else { return None };
        let entry = entries.iter().find(|entry| entry.key == name)?;
        (entry.value.data != Data::Null).then_some(&entry.value)
    }

    /// Like [`Fields::entry`]; reports a field that is absent. `wanted` says what it would hold.
    pub(crate) fn required(&self, name: &str, wanted: &str) -> Option<Entry<'a>> {
        let entry = self.entry(name);
        if entry.is_none() {
            self.source.report(self.at, &self.path_of(name), format!("is missing: give {wanted}"));
        }
        entry
    }

    /// The mapping inside a field, read by the table of that field.
    pub(crate) fn fields(&self, name: &str) -> Option<Self> {
        self.entry(name)?.fields(self.table_of(name))
    }

    /// Each mapping of a list inside a field.
    pub(crate) fn list_of_fields(&self, name: &str) -> Vec<Self> {
        let items = self.entry(name).map(|entry| entry.list()).unwrap_or_default();
        items.iter().filter_map(|item| item.fields(self.table_of(name))).collect()
    }

    /// Reports a problem of a field, at its value if it is there, else at the mapping.
    pub(crate) fn report(&self, name: &str, message: impl Into<String>) {
        let at = self.value_of(name).map_or(self.at, |value| value.at);
        self.source.report(at, &self.path_of(name), message);
    }

    /// The mapping has no key at all.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.value.data, Data::Map(entries) if entries.is_empty())
    }

    /// The names that are set to anything.
    pub(crate) fn names(&self) -> Vec<&'a str> {
        match &self.value.data {
            Data::Map(entries) => {
                let set = entries.iter().filter(|entry| !entry.value.data.is_empty());
                set.map(|entry| entry.key.as_str()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn table_of(&self, name: &str) -> &'static [Field] {
        self.table.iter().find(|field| field.name == name).map_or(&[], |field| field.fields)
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// One value that is there.
#[derive(Clone)]
pub(crate) struct Entry<'a> {
    source: &'a Source,
    path: String,
    value: &'a Value,
}

impl<'a> Entry<'a> {
    pub(crate) fn data(&self) -> &'a Data {
        &self.value.data
    }

    pub(crate) fn location(&self) -> Location {
        self.source.location(self.value.at)
    }

    pub(crate) fn report(&self, message: impl Into<String>) {
        self.source.report(self.value.at, &self.path, message);
    }

    /// A text. A number or boolean that forgot its quotes is told so.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match &self.value.data {
            Data::Text(text) => Some(text),
            Data::Number { text, .. } => {
                self.report(format!("expected a text, found the number {text}: write \"{text}\""));
                None
            }
            Data::Boolean(value) => {
                self.report(format!("expected a text, found the boolean {value}: write \"{value}\""));
                None
            }
            Data::Null | Data::List(_) | Data::Map(_) => self.expected("a text"),
        }
    }

    /// A text of a certain form.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&self) -> Option<T> {
        self.parsed(self.text()?)
    }

    /// A text or a number of a certain form, by the characters that it was written in.
    pub(crate) fn parse_scalar<T: FromStr<Err: Display>>(&self) -> Option<T> {
        match &self.value.data {
            Data::Number { text, .. } => self.parsed(text),
            Data::Null | Data::Boolean(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => self.parse(),
        }
    }

    fn parsed<T: FromStr<Err: Display>>(&self, text: &str) -> Option<T> {
        text.parse().inspect_err(|error| self.report(format!("{error}"))).ok()
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match &self.value.data {
            Data::Boolean(value) => Some(*value),
            Data::Null | Data::Number { .. } | Data::Text(_) | Data::List(_) | Data::Map(_) => {
                self.expected("true or false")
            }
        }
    }

    /// A whole number in a range.
    pub(crate) fn integer<T: TryFrom<i128>>(&self, range: RangeInclusive<i128>) -> Option<T> {
        let number = match &self.value.data {
            Data::Number { integer, .. } => *integer,
            Data::Null | Data::Boolean(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => None,
        };
        match number.filter(|number| range.contains(number)).and_then(|number| T::try_from(number).ok()) {
            Some(number) => Some(number),
            None => self.expected(&format!("a whole number from {} to {}", range.start(), range.end())),
        }
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let found = match &self.value.data {
            Data::Text(text) => choices.iter().find(|(word, _)| word == text),
            Data::Null | Data::Boolean(_) | Data::Number { .. } | Data::List(_) | Data::Map(_) => None,
        };
        match found {
            Some((_, value)) => Some(*value),
            None => {
                let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
                self.expected(&one_of(&words))
            }
        }
    }

    /// The items of a list.
    pub(crate) fn list(&self) -> Vec<Entry<'a>> {
        let Data::List(items) = &self.value.data else {
            return self.expected::<Vec<_>>("a list").unwrap_or_default();
        };
        let item =
            |(index, value)| Entry { source: self.source, path: format!("{}[{index}]", self.path), value };
        items.iter().enumerate().map(item).collect()
    }

    /// A mapping of free keys to texts (labels, annotations), with each key's value as an entry.
    pub(crate) fn texts(&self) -> Vec<(&'a str, &'a str)> {
        let Data::Map(entries) = &self.value.data else {
            return self.expected::<Vec<_>>("a mapping of texts").unwrap_or_default();
        };
        let pair = |entry: &'a super::tree::MapEntry| {
            let path = format!("{}.{}", self.path, entry.key);
            let value = Entry { source: self.source, path, value: &entry.value };
            // An empty value (`master:`) is an empty text, as Calico's own label commands write it.
            let text = if entry.value.data == Data::Null { Some("") } else { value.text() };
            text.map(|text| (entry.key.as_str(), text))
        };
        entries.iter().filter_map(pair).collect()
    }

    /// The keys of a mapping, each with its value; none if it is no mapping.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Entry<'a>)> {
        let Data::Map(entries) = &self.value.data else { return Vec::new() };
        let pair = |entry: &'a super::tree::MapEntry| {
            let path = format!("{}.{}", self.path, entry.key);
            (entry.key.as_str(), Entry { source: self.source, path, value: &entry.value })
        };
        entries.iter().map(pair).collect()
    }

    pub(crate) fn fields(&self, table: &'static [Field]) -> Option<Fields<'a>> {
        Fields::open(self.source, &self.path, self.value, table)
    }

    fn expected<T>(&self, wanted: &str) -> Option<T> {
        self.report(format!("expected {wanted}, found {}", self.value.data.describe()));
        None
    }
}

/// `Some` if the value is one that cannot be honoured.
fn refusal(field: &Field, data: &Data) -> Option<String> {
    let Support::Refused { default } = field.support else { return None };
    let is_default = match data {
        Data::Text(text) => text == default,
        Data::Number { text, .. } => text == default,
        Data::Boolean(value) => value.to_string() == default,
        Data::Null | Data::List(_) | Data::Map(_) => false,
    };
    if is_default || data.is_empty() {
        return None;
    }
    let remedy =
        if default.is_empty() { "remove it".to_owned() } else { format!("remove it or set it to {default}") };
    Some(format!("is known but not honoured by this version: {remedy}"))
}
