//! The tree, and how text becomes one.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, MergeKeyPolicy, Spanned};

/// A place in the text, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A value and where it stands. For an alias (`*a`), where the alias stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) at: Position,
    pub(crate) data: Data,
}

/// What a value is. Plain scalars are typed by YAML 1.2's core schema: `no` and `on` are texts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Null,
    Boolean(bool),
    /// `integer` is `None` for one with a fraction or an exponent.
    Number {
        text: String,
        integer: Option<i128>,
    },
    Text(String),
    List(Vec<Value>),
    Map(Vec<MapEntry>),
}

/// A key, its place, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MapEntry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) value: Value,
}

impl Data {
    /// As one says it to a person.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Boolean(value) => format!("the boolean {value}"),
            Self::Number { text, .. } => format!("the number {text}"),
            Self::Text(text) => format!("the text '{}'", quoted(text)),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Set to nothing: what Go's `omitempty` would not write.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Null | Self::Boolean(false) => true,
            Self::Boolean(true) => false,
            Self::Number { integer, .. } => *integer == Some(0),
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.iter().all(|entry| entry.value.data.is_empty()),
        }
    }
}

/// At most 80 characters of a text, for a message.
pub(crate) fn quoted(text: &str) -> String {
    if text.chars().count() <= 80 {
        text.to_owned()
    } else {
        text.chars().take(79).chain(std::iter::once('…')).collect()
    }
}

/// Why a text is not YAML.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NotYaml {
    pub(crate) at: Option<Position>,
    pub(crate) message: String,
}

/// Reads every document of a text. Empty documents are left out.
///
/// # Errors
/// The first thing that is not YAML; a key given twice; more than the limits below.
pub(crate) fn parse(text: &str) -> Result<Vec<Value>, NotYaml> {
    // A cluster of 5000 nodes, dumped into one file, has about 200 000 nodes of YAML.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 6_000_000,
            max_nodes: 3_000_000,
            max_documents: 100_000,
            max_depth: 48,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        merge_keys: MergeKeyPolicy::Merge,
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options::<Spanned<Raw>>(text, options)
        .map(|documents| documents.into_iter().map(|document| value(document, text)).collect())
        .map_err(|error| NotYaml { at: error.location().and_then(position), message: message(&error) })
}

/// The parser's words without its own "at line, column", which every problem has anyway.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let text = text.split(" at line ").next().unwrap_or(&text);
    format!("this is not valid YAML: {text}")
}

fn position(location: Location) -> Option<Position> {
    let line = u32::try_from(location.line()).ok().filter(|line| *line > 0)?;
    Some(Position { line, column: u32::try_from(location.column()).unwrap_or(0) })
}

/// As serde hands it over. Numbers are only classified; their text is cut from the source afterwards.
enum Raw {
    Null,
    Boolean(bool),
    Number(Option<i128>),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn value(raw: Spanned<Raw>, source: &str) -> Value {
    let at = position(raw.referenced).unwrap_or(Position { line: 0, column: 0 });
    let data = match raw.value {
        Raw::Null => Data::Null,
        Raw::Boolean(value) => Data::Boolean(value),
        Raw::Number(integer) => Data::Number { text: written(raw.defined, source, integer), integer },
        Raw::Text(text) => Data::Text(text),
        Raw::List(items) => Data::List(items.into_iter().map(|item| value(item, source)).collect()),
        Raw::Map(entries) => Data::Map(entries.into_iter().map(|pair| map_entry(pair, source)).collect()),
    };
    Value { at, data }
}

fn map_entry((key, raw): (Spanned<String>, Spanned<Raw>), source: &str) -> MapEntry {
    let at = position(key.referenced).unwrap_or(Position { line: 0, column: 0 });
    MapEntry { key: key.value, at, value: value(raw, source) }
}

/// The characters of a scalar as they stand in the source.
fn written(location: Location, source: &str, integer: Option<i128>) -> String {
    let span = location.span();
    let range = span.byte_offset().zip(span.byte_len()).and_then(|(offset, length)| {
        let start = usize::try_from(offset).ok()?;
        Some(start..start.checked_add(usize::try_from(length).ok()?)?)
    });
    let text = range.and_then(|range| source.get(range)).map(str::trim).filter(|text| !text.is_empty());
    match (text, integer) {
        (Some(text), _) => text.to_owned(),
        (None, Some(integer)) => integer.to_string(),
        (None, None) => "a fraction".to_owned(),
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(Some(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(Some(value.into())))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number(None))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
