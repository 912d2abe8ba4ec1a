//! What a person probably meant.

use super::fields::Field;
use super::tree::quoted;

/// An unknown key: the one that was probably meant, else all that there are.
pub(super) fn unknown(key: &str, table: &[Field]) -> String {
    let near = table
        .iter()
        .map(|field| (distance(&key.to_lowercase(), &field.name.to_lowercase()), field.name))
        .filter(|(distance, _)| *distance <= 2)
        .min();
    let key = quoted(key);
    match near {
        Some((_, name)) => format!("unknown field '{key}': did you mean '{name}'?"),
        None => {
            let names: Vec<_> = table.iter().map(|field| field.name).collect();
            format!("unknown field '{key}': known here: {}", names.join(", "))
        }
    }
}

/// Levenshtein's, of short words.
fn distance(left: &str, right: &str) -> usize {
    if left.len() > 64 {
        return usize::MAX;
    }
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut previous = index + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&right) {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = *cell;
            previous = substituted.min(previous + 1).min(*cell + 1);
            *cell = previous;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// A choice, as one says it.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [word] => (*word).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
