//! TOML as the same tree that manifests are read from.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::document::{Data, MapEntry, Position, Value};

/// The whole file as one mapping.
///
/// # Errors
/// Every place that is not TOML.
pub(super) fn parse(text: &str) -> Result<Value, Vec<(Position, String)>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problem = |error: &toml::de::Error| {
            let at = position(text, error.span().unwrap_or(0..0));
            (at, format!("this is not valid TOML: {}", error.message()))
        };
        return Err(errors.iter().map(problem).collect());
    }
    let at = position(text, table.span());
    Ok(Value { at, data: map(text, table.get_ref()) })
}

fn map(text: &str, table: &DeTable<'_>) -> Data {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        MapEntry {
            key: name.to_string(),
            at: position(text, key.span()),
            value: Value { at: position(text, value.span()), data: data(text, value.get_ref()) },
        }
    };
    Data::Map(table.iter().map(entry).collect())
}

fn data(text: &str, value: &DeValue<'_>) -> Data {
    match value {
        DeValue::String(string) => Data::Text(string.to_string()),
        DeValue::Integer(integer) => Data::Number {
            text: integer.as_str().to_owned(),
            integer: i128::from_str_radix(integer.as_str(), integer.radix()).ok(),
        },
        DeValue::Float(float) => Data::Number { text: float.as_str().to_owned(), integer: None },
        DeValue::Boolean(boolean) => Data::Boolean(*boolean),
        DeValue::Datetime(datetime) => Data::Number { text: datetime.to_string(), integer: None },
        DeValue::Array(items) => {
            let item = |item: &toml::Spanned<DeValue<'_>>| Value {
                at: position(text, item.span()),
                data: data(text, item.get_ref()),
            };
            Data::List(items.iter().map(item).collect())
        }
        DeValue::Table(table) => map(text, table),
    }
}

/// Line and column, in characters, of where a span of bytes begins.
fn position(text: &str, span: Range<usize>) -> Position {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
    Position { line: count(line), column: count(column) }
}
