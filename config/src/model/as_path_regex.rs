//! Regular expressions over AS paths, in the notation of FRR and of looking glasses.
//!
//! An expression is held against the path as text, `65001 65002 {65003,65004}`. `_` stands for a beginning, an
//! end or what is between two ASes; everything else is the `regex` crate's. What is compiled is thrown away: here
//! it is only found out whether it can be.

use std::str::FromStr;

use regex::bytes::RegexBuilder;
use serde::{Serialize, Serializer};

use crate::document::quoted;

/// Most characters of one.
const TEXT_MAX: usize = 1024;

/// Most octets that one may take when compiled.
const COMPILED_MAX: usize = 1 << 18;

/// An expression that compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsPathRegex {
    text: String,
    /// Without `_`.
    pattern: String,
}

impl AsPathRegex {
    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same in the plain notation of the `regex` crate, where `_` is itself.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

/// Why a text is no [`AsPathRegex`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AsPathRegexError {
    /// It cannot be read.
    #[error("'{text}' is not a regular expression: {reason} (character {column})")]
    Syntax {
        /// What was written.
        text: String,
        /// What is wrong.
        reason: String,
        /// Where, from 1.
        column: usize,
    },
    /// It is too long, or becomes so.
    #[error("is too large: use at most {TEXT_MAX} characters, and smaller repetitions")]
    TooLarge,
    /// An AS path holds no other characters.
    #[error("'{0}' has a character that is not ASCII: an AS path never has")]
    NotAscii(String),
}

impl FromStr for AsPathRegex {
    type Err = AsPathRegexError;

    fn from_str(text: &str) -> Result<Self, AsPathRegexError> {
        if text.len() > TEXT_MAX {
            return Err(AsPathRegexError::TooLarge);
        }
        if !text.is_ascii() {
            return Err(AsPathRegexError::NotAscii(quoted(text)));
        }
        let syntax = |reason: String, column| AsPathRegexError::Syntax { text: quoted(text), reason, column };
        // By itself first, because places in the text are what a person looks for.
        if let Err(error) = regex_syntax::ast::parse::Parser::new().parse(text) {
            return Err(syntax(error.kind().to_string(), error.span().start.column));
        }
        let pattern = without_underscores(text);
        let mut builder = RegexBuilder::new(&pattern);
        builder.unicode(false).size_limit(COMPILED_MAX).dfa_size_limit(COMPILED_MAX);
        match builder.build() {
            Ok(_) => Ok(Self { text: text.to_owned(), pattern }),
            Err(regex::Error::CompiledTooBig(_)) => Err(AsPathRegexError::TooLarge),
            Err(error) => {
                let reason = error.to_string();
                let reason =
                    reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                Err(syntax(reason, 1))
            }
        }
    }
}

/// Each `_` that stands for itself becomes what it means.
fn without_underscores(text: &str) -> String {
    let mut pattern = String::new();
    let (mut is_escaped, mut in_class) = (false, false);
    for character in text.chars() {
        match character {
            '_' if !is_escaped && !in_class => pattern.push_str(r"(?:^|[ ,{}()\[\]]|$)"),
            character => pattern.push(character),
        }
        match character {
            '[' if !is_escaped => in_class = true,
            ']' if !is_escaped => in_class = false,
            _ => {}
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    pattern
}

impl Serialize for AsPathRegex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(text: &str, path: &str) -> bool {
        let regex: AsPathRegex = text.parse().unwrap();
        let compiled = RegexBuilder::new(regex.pattern()).unicode(false).build().unwrap();
        compiled.is_match(path.as_bytes())
    }

    /// The meanings that FRR's documentation gives them.
    #[test]
    fn an_underscore_is_a_beginning_an_end_or_what_is_between() {
        for (text, path, expected) in [
            ("^65001_", "65001 65002", true),
            ("^65001_", "65001", true),
            ("^65001_", "650011 65002", false),
            ("_65002_", "65001 65002 65003", true),
            ("_65002_", "65001 65002", true),
            ("_6500_", "65001 65002", false),
            ("_65003_", "65001 {65003,65004}", true),
            ("_65004$", "65001 {65003,65004}", false),
            ("_65004_$", "65001 {65003,65004}", true),
            ("^$", "", true),
            ("_", "", true),
            ("^$", "65001", false),
            ("^65001( 65001)*$", "65001 65001", true),
            ("_(65001|65002)_65003_", "1 65002 65003", true),
            ("[0-9_]{6}", "65001 65002", false),
            (r"^\d+ 65002$", "65001 65002", true),
        ] {
            assert_eq!(matches(text, path), expected, "{text} {path}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let error = |text: &str| text.parse::<AsPathRegex>().unwrap_err().to_string();
        assert_eq!(error("^(65001"), "'^(65001' is not a regular expression: unclosed group (character 2)");
        assert!(
            error("_65001_[").contains("unclosed character class (character 8)"),
            "{}",
            error("_65001_[")
        );
        assert!(error("*").contains("(character 1)"), "{}", error("*"));
        assert!(error("((1{100}){100}){100}").contains("is too large"));
        assert!(error(&"1".repeat(2000)).contains("is too large"));
        assert!(error("6500é").contains("not ASCII"));
    }
}
