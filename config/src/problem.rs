//! What is wrong with a configuration, where, and what would be right.
//!
//! A problem is always for a person. Nothing decides by its text.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Location {
    /// The file as the reader named it.
    pub file: Arc<str>,
    /// From 1; 0 where the whole file is meant.
    pub line: u32,
    /// From 1, in characters; 0 where the whole line is meant.
    pub column: u32,
}

impl Location {
    /// The file as a whole.
    #[must_use]
    pub fn file(file: &str) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something was refused or left out.
    Error,
    /// Everything is in force, but probably not as it was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong.
///
/// `{}` prints one line, `file:line:column: spec.field: message`. `{:#}` draws the source line and a caret,
/// as compilers do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where.
    pub location: Location,
    /// The field, as a path from the object (`spec.peerIP`, `spec.addresses[1].type`); empty where no field is
    /// meant.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// How bad.
    pub severity: Severity,
    /// The other place, where two objects contradict each other.
    pub other: Option<Location>,
    /// The line of the source, for drawing.
    pub source_line: Option<Arc<str>>,
}

impl Problem {
    /// An error.
    pub fn error(location: Location, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            location,
            field: field.into(),
            message: message.into(),
            severity: Severity::Error,
            other: None,
            source_line: None,
        }
    }

    /// A warning.
    pub fn warning(location: Location, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(location, field, message) }
    }

    /// With the other place that contradicts this one.
    #[must_use]
    pub fn and(mut self, other: Location) -> Self {
        self.other = Some(other);
        self
    }

    /// With the text of its line; `lines` are all lines of the file.
    #[must_use]
    pub(crate) fn drawn_from(mut self, lines: &[&str]) -> Self {
        let index = usize::try_from(self.location.line).unwrap_or(0).checked_sub(1);
        let line = index.and_then(|index| lines.get(index));
        self.source_line =
            line.map(|line| line.chars().take(SOURCE_LINE_CHARS_MAX).collect::<String>().into());
        self
    }
}

/// Longer lines (a whole list as JSON on one line) are cut in drawings.
const SOURCE_LINE_CHARS_MAX: usize = 160;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() { self.draw(f) } else { self.line(f) }
    }
}

impl Problem {
    fn line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.location)?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        match &self.other {
            Some(other) => write!(f, " (see {other})"),
            None => Ok(()),
        }
    }

    fn draw(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        writeln!(f, "{}", self.message)?;
        let number = self.location.line.to_string();
        let margin = number.len();
        write!(f, "{:margin$}--> {}", "", self.location)?;
        if let Some(source) = &self.source_line {
            write!(f, "\n{:margin$} |\n{number} | {source}", "")?;
            let column = usize::try_from(self.location.column).unwrap_or(0);
            if column > 0 && column <= SOURCE_LINE_CHARS_MAX {
                let width = token_width(source, column);
                write!(f, "\n{:margin$} | {:before$}{}", "", "", "^".repeat(width), before = column - 1)?;
            }
        }
        match &self.other {
            Some(other) => write!(f, "\n{:margin$} = the other is at {other}", ""),
            None => Ok(()),
        }
    }
}

/// How many carets: to the end of the word at `column`, at least one.
fn token_width(line: &str, column: usize) -> usize {
    let rest = line.chars().skip(column.saturating_sub(1));
    let is_end = |character: &char| character.is_whitespace() || matches!(character, ',' | '}');
    rest.take_while(|character| !is_end(character)).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        let at = Location { file: "peers.yaml".into(), line: 12, column: 11 };
        Problem::error(at, "spec.peerIP", "'10.0.0.300' is not an address")
    }

    #[test]
    fn one_line() {
        assert_eq!(problem().to_string(), "peers.yaml:12:11: spec.peerIP: '10.0.0.300' is not an address");
        let whole_file = Problem::warning(Location::file("a.yaml"), "", "is old");
        assert_eq!(whole_file.to_string(), "a.yaml: warning: is old");
    }

    #[test]
    fn drawn() {
        let text = format!("{}  peerIP: 10.0.0.300 # x", "\n".repeat(11));
        let other = Location { file: "b.yaml".into(), line: 3, column: 1 };
        let drawn = format!("{:#}", problem().and(other).drawn_from(&text.lines().collect::<Vec<_>>()));
        let expected = "\
error: spec.peerIP: '10.0.0.300' is not an address
  --> peers.yaml:12:11
   |
12 |   peerIP: 10.0.0.300 # x
   |           ^^^^^^^^^^
   = the other is at b.yaml:3:1";
        assert_eq!(drawn, expected);
    }
}
