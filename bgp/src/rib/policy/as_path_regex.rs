//! Regular expressions over the textual AS_PATH, as looking glasses and other routers' configurations have them.
//!
//! What is matched is the path in the form `65001 65002 {65003,65004}`, confederation segments as `(65001 65002)`
//! and `[65001,65002]`. The notation is the `regex` crate's, so matching takes time linear in the path's length
//! whatever the expression; `_` has no meaning here.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::wire::{AsPath, Segment};

/// Most octets that one compiled expression may take.
const COMPILED_MAX: usize = 1 << 18;

/// A compiled expression. It is what its text says: two of one text are equal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AsPathRegex(Regex);

impl AsPathRegex {
    /// Compiles it.
    ///
    /// # Errors
    /// It is no regular expression, or too large a one.
    pub fn new(pattern: &str) -> Result<Self, AsPathRegexError> {
        let mut builder = RegexBuilder::new(pattern);
        // Paths are digits and signs.
        builder.unicode(false).size_limit(COMPILED_MAX).dfa_size_limit(COMPILED_MAX);
        builder.build().map(Self).map_err(|error| AsPathRegexError(error.to_string()))
    }

    /// Its text.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it matches any part of a path in the form of [`text_of`].
    #[must_use]
    pub fn is_match(&self, path: &str) -> bool {
        self.0.is_match(path.as_bytes())
    }
}

/// Why a text is no [`AsPathRegex`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AsPathRegexError(String);

impl TryFrom<String> for AsPathRegex {
    type Error = AsPathRegexError;

    fn try_from(pattern: String) -> Result<Self, AsPathRegexError> {
        Self::new(&pattern)
    }
}

impl From<AsPathRegex> for String {
    fn from(regex: AsPathRegex) -> Self {
        regex.pattern().to_owned()
    }
}

impl PartialEq for AsPathRegex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern() == other.pattern()
    }
}

impl Eq for AsPathRegex {}

impl Hash for AsPathRegex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pattern().hash(state);
    }
}

/// The path in the form that expressions are matched against.
#[must_use]
pub fn text_of(path: &AsPath) -> String {
    let mut text = String::new();
    for segment in &path.0 {
        let (open, between, close) = match segment {
            Segment::Sequence(_) => ("", ' ', ""),
            Segment::Set(_) => ("{", ',', "}"),
            Segment::ConfedSequence(_) => ("(", ' ', ")"),
            Segment::ConfedSet(_) => ("[", ',', "]"),
        };
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(open);
        for (at, asn) in segment.asns().iter().enumerate() {
            if at > 0 {
                text.push(between);
            }
            // Writing to a text cannot fail.
            let _ = write!(text, "{}", asn.0);
        }
        text.push_str(close);
    }
    text
}
