//! Calico's label selectors: which objects does `role == "rr" && has(rack)` mean?
//!
//! ```text
//! expr  := and ("||" and)*                 lowest precedence
//! and   := unary ("&&" unary)*
//! unary := "!" unary | "(" expr ")" | atom
//! atom  := "all()" | "global()" | "has(" label ")"
//!        | label ("==" | "!=") text
//!        | label ("in" | "not in") "{" [text ("," text)* [","]] "}"
//!        | label ("contains" | "starts with" | "ends with") text
//! text  := "'" [^']* "'" | '"' [^"]* '"'   no escapes
//! label := [A-Za-z0-9_./-]{1,512}
//! ```
//!
//! White space is a space or a tab. The words of an operator may stand together (`notin`, `startswith`), and
//! no space is needed between an operator and what follows, as in Calico. The empty selector is `all()`.
//! `!=` and `not in` match an object that does not have the label at all.
//!
//! Knows nothing of what is selected, nor of how a selection is indexed.

mod parser;
mod token;

pub(crate) use token::is_label_character;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Parentheses deeper than this are refused.
pub const DEPTH_MAX: usize = 64;

/// Texts longer than this (in bytes) are refused; Calico's fields allow 1024.
pub const LENGTH_MAX: usize = 65_536;

/// A parsed selector. `Display` is Calico's canonical form; two selectors of one canonical form are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    root: Expression,
}

/// A node of the expression.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expression {
    /// `all()`.
    All,
    /// `global()`: as a selector of labels it matches everything; a namespace selector gives it its meaning.
    Global,
    /// `has(label)`.
    Has(String),
    /// `label == "value"`.
    Equals(String, String),
    /// `label != "value"`.
    NotEquals(String, String),
    /// `label in {…}`.
    In(String, BTreeSet<String>),
    /// `label not in {…}`.
    NotIn(String, BTreeSet<String>),
    /// `label contains "value"`.
    Contains(String, String),
    /// `label starts with "value"`.
    StartsWith(String, String),
    /// `label ends with "value"`.
    EndsWith(String, String),
    /// `!operand`.
    Not(Box<Expression>),
    /// `a && b && …`, two or more.
    And(Vec<Expression>),
    /// `a || b || …`, two or more.
    Or(Vec<Expression>),
}

/// Why a text is not a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a selector: at character {position}: {message}")]
pub struct SelectorError {
    /// The text, shortened if it is long.
    pub text: String,
    /// Where, in characters, from 1.
    pub position: usize,
    /// What was expected.
    pub message: String,
}

impl Selector {
    /// `all()`.
    #[must_use]
    pub fn all() -> Self {
        Self { root: Expression::All }
    }

    /// Whether it is `all()` itself, not merely something that matches everything.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.root == Expression::All
    }

    /// What it consists of.
    #[must_use]
    pub fn expression(&self) -> &Expression {
        &self.root
    }

    /// Whether an object with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.root.matches(labels)
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        parser::parse(text).map(|root| Self { root }).map_err(|error| SelectorError {
            text: crate::document::quoted(text),
            position: text.get(..error.offset).map_or(0, |before| before.chars().count()) + 1,
            message: error.message,
        })
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Expression {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = |label: &String| labels.get(label).map(String::as_str);
        match self {
            Self::All | Self::Global => true,
            Self::Has(label) => labels.contains_key(label),
            Self::Equals(label, wanted) => value(label) == Some(wanted.as_str()),
            Self::NotEquals(label, unwanted) => value(label) != Some(unwanted.as_str()),
            Self::In(label, set) => value(label).is_some_and(|value| set.contains(value)),
            Self::NotIn(label, set) => value(label).is_none_or(|value| !set.contains(value)),
            Self::Contains(label, part) => value(label).is_some_and(|value| value.contains(part.as_str())),
            Self::StartsWith(label, part) => {
                value(label).is_some_and(|value| value.starts_with(part.as_str()))
            }
            Self::EndsWith(label, part) => value(label).is_some_and(|value| value.ends_with(part.as_str())),
            Self::Not(operand) => !operand.matches(labels),
            Self::And(operands) => operands.iter().all(|operand| operand.matches(labels)),
            Self::Or(operands) => operands.iter().any(|operand| operand.matches(labels)),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)
    }
}

/// Calico's canonical form: double quotes unless the value holds one, sets sorted and without repetitions,
/// `&&` and `||` in parentheses.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all()"),
            Self::Global => f.write_str("global()"),
            Self::Has(label) => write!(f, "has({label})"),
            Self::Equals(label, value) => write!(f, "{label} == {}", Quoted(value)),
            Self::NotEquals(label, value) => write!(f, "{label} != {}", Quoted(value)),
            Self::In(label, set) => write!(f, "{label} in {}", Set(set)),
            Self::NotIn(label, set) => write!(f, "{label} not in {}", Set(set)),
            Self::Contains(label, value) => write!(f, "{label} contains {}", Quoted(value)),
            Self::StartsWith(label, value) => write!(f, "{label} starts with {}", Quoted(value)),
            Self::EndsWith(label, value) => write!(f, "{label} ends with {}", Quoted(value)),
            Self::Not(operand) => write!(f, "!{operand}"),
            Self::And(operands) => joined(f, operands, " && "),
            Self::Or(operands) => joined(f, operands, " || "),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, operands: &[Expression], separator: &str) -> fmt::Result {
    f.write_str("(")?;
    for (index, operand) in operands.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{operand}")?;
    }
    f.write_str(")")
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains('"') { '\'' } else { '"' };
        write!(f, "{quote}{}{quote}", self.0)
    }
}

struct Set<'a>(&'a BTreeSet<String>);

impl fmt::Display for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, value) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}", Quoted(value))?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests;
