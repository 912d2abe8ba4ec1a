//! Selector text as tokens with their places.

/// A token. `Label` and `Text` borrow from the selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Label(&'a str),
    Text(&'a str),
    Has(&'a str),
    All,
    Global,
    Equals,
    NotEquals,
    In,
    NotIn,
    Contains,
    StartsWith,
    EndsWith,
    Not,
    And,
    Or,
    OpenBrace,
    CloseBrace,
    OpenParenthesis,
    CloseParenthesis,
    Comma,
    End,
}

impl Token<'_> {
    /// As one says it to a person.
    pub(super) fn describe(self) -> String {
        match self {
            Self::Label(label) => format!("the label '{label}'"),
            Self::Text(text) => format!("the text '{text}'"),
            Self::Has(label) => format!("has({label})"),
            Self::All => "all()".to_owned(),
            Self::Global => "global()".to_owned(),
            Self::Equals => "'=='".to_owned(),
            Self::NotEquals => "'!='".to_owned(),
            Self::In => "'in'".to_owned(),
            Self::NotIn => "'not in'".to_owned(),
            Self::Contains => "'contains'".to_owned(),
            Self::StartsWith => "'starts with'".to_owned(),
            Self::EndsWith => "'ends with'".to_owned(),
            Self::Not => "'!'".to_owned(),
            Self::And => "'&&'".to_owned(),
            Self::Or => "'||'".to_owned(),
            Self::OpenBrace => "'{'".to_owned(),
            Self::CloseBrace => "'}'".to_owned(),
            Self::OpenParenthesis => "'('".to_owned(),
            Self::CloseParenthesis => "')'".to_owned(),
            Self::Comma => "','".to_owned(),
            Self::End => "the end".to_owned(),
        }
    }
}

/// What is wrong at a byte offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorAt {
    pub(super) offset: usize,
    pub(super) message: String,
}

/// Longest label name.
const LABEL_LENGTH_MAX: usize = 512;

/// Cuts tokens off the front of a text, one at a time.
pub(super) struct Tokens<'a> {
    text: &'a str,
    offset: usize,
    /// After a label only an operator can follow, so `in` and `contains` are no labels there.
    after_label: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, offset: 0, after_label: false }
    }

    /// The next token and the offset where it begins. At the end: `End`, as often as one asks.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, usize), ErrorAt> {
        self.skip_blanks();
        let start = self.offset;
        let token = if std::mem::take(&mut self.after_label) { self.operator()? } else { self.operand()? };
        self.after_label = matches!(token, Token::Label(_));
        Ok((token, start))
    }

    fn operator(&mut self) -> Result<Token<'a>, ErrorAt> {
        for (words, token) in OPERATORS {
            let start = self.offset;
            if words.iter().all(|word| {
                self.skip_blanks();
                self.take(word)
            }) {
                return Ok(*token);
            }
            self.offset = start;
        }
        if self.rest().starts_with('=') {
            return Err(self.error("expected '=='"));
        }
        Err(self.error(
            "expected an operator after the label: ==, !=, in, not in, contains, starts with or ends with",
        ))
    }

    fn operand(&mut self) -> Result<Token<'a>, ErrorAt> {
        for (symbol, token) in SYMBOLS {
            if self.take(symbol) {
                return Ok(*token);
            }
        }
        match self.rest().chars().next() {
            None => Ok(Token::End),
            Some('&') => Err(self.error("expected '&&'")),
            Some('|') => Err(self.error("expected '||'")),
            Some('=') => Err(self.error("expected '==', after a label")),
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            Some(_) if self.take("has(") => self.has(),
            Some(_) if self.take("all(") => self.closed("all(", Token::All),
            Some(_) if self.take("global(") => self.closed("global(", Token::Global),
            Some(other) => match self.label()? {
                Some(label) => Ok(Token::Label(label)),
                None => Err(self.error(format!("'{}' has no meaning here", other.escape_debug()))),
            },
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token<'a>, ErrorAt> {
        let body = self.rest().get(1..).unwrap_or_default();
        match body.split_once(quote) {
            Some((text, _)) => {
                self.offset += text.len() + 2;
                Ok(Token::Text(text))
            }
            None => Err(self.error(format!("this text is not closed: add a {quote}"))),
        }
    }

    fn has(&mut self) -> Result<Token<'a>, ErrorAt> {
        self.skip_blanks();
        let Some(label) = self.label()? else { return Err(self.error("expected a label name after has(")) };
        self.closed("has(", Token::Has(label))
    }

    fn closed(&mut self, opened: &str, token: Token<'a>) -> Result<Token<'a>, ErrorAt> {
        self.skip_blanks();
        if self.take(")") { Ok(token) } else { Err(self.error(format!("expected ')' to close {opened}"))) }
    }

    fn label(&mut self) -> Result<Option<&'a str>, ErrorAt> {
        let rest = self.rest();
        let end = rest.find(|character| !is_label_character(character)).unwrap_or(rest.len());
        if end > LABEL_LENGTH_MAX {
            return Err(self.error(format!("a label name has at most {LABEL_LENGTH_MAX} characters")));
        }
        self.offset += end;
        Ok(rest.get(..end).filter(|label| !label.is_empty()))
    }

    fn take(&mut self, expected: &str) -> bool {
        let is_next = self.rest().starts_with(expected);
        if is_next {
            self.offset += expected.len();
        }
        is_next
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.offset += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn error(&self, message: impl Into<String>) -> ErrorAt {
        ErrorAt { offset: self.offset, message: message.into() }
    }
}

/// A character of a label name.
pub(crate) fn is_label_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '/' | '-')
}

const OPERATORS: &[(&[&str], Token<'_>)] = &[
    (&["=="], Token::Equals),
    (&["!="], Token::NotEquals),
    (&["contains"], Token::Contains),
    (&["starts", "with"], Token::StartsWith),
    (&["ends", "with"], Token::EndsWith),
    (&["not", "in"], Token::NotIn),
    (&["in"], Token::In),
];

const SYMBOLS: &[(&str, Token<'_>)] = &[
    ("(", Token::OpenParenthesis),
    (")", Token::CloseParenthesis),
    ("{", Token::OpenBrace),
    ("}", Token::CloseBrace),
    (",", Token::Comma),
    ("&&", Token::And),
    ("||", Token::Or),
    ("!", Token::Not),
];
