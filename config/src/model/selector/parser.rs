//! Tokens as an expression: recursive descent, bounded in depth.

use std::collections::BTreeSet;

use super::token::{ErrorAt, Token, Tokens};
use super::{DEPTH_MAX, Expression, LENGTH_MAX};

/// Reads a whole selector.
pub(super) fn parse(text: &str) -> Result<Expression, ErrorAt> {
    if text.len() > LENGTH_MAX {
        let message = format!("a selector has at most {LENGTH_MAX} bytes");
        return Err(ErrorAt { offset: 0, message });
    }
    let mut parser = Parser::new(text)?;
    if parser.token == Token::End {
        return Ok(Expression::All);
    }
    let expression = parser.or(0)?;
    match parser.token {
        Token::End => Ok(expression),
        _ => Err(parser.expected("'&&', '||' or the end")),
    }
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    token: Token<'a>,
    offset: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, ErrorAt> {
        let mut tokens = Tokens::new(text);
        let (token, offset) = tokens.next()?;
        Ok(Self { tokens, token, offset })
    }

    fn advance(&mut self) -> Result<Token<'a>, ErrorAt> {
        let (token, offset) = self.tokens.next()?;
        self.offset = offset;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn or(&mut self, depth: usize) -> Result<Expression, ErrorAt> {
        let first = self.and(depth)?;
        self.more(first, Token::Or, depth, Self::and, Expression::Or)
    }

    fn and(&mut self, depth: usize) -> Result<Expression, ErrorAt> {
        let first = self.unary(depth)?;
        self.more(first, Token::And, depth, Self::unary, Expression::And)
    }

    /// Further operands of the same operator, if there are any.
    fn more(
        &mut self,
        first: Expression,
        operator: Token<'_>,
        depth: usize,
        operand: fn(&mut Self, usize) -> Result<Expression, ErrorAt>,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, ErrorAt> {
        if self.token != operator {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.token == operator {
            self.advance()?;
            operands.push(operand(self, depth)?);
        }
        Ok(join(operands))
    }

    /// Calico folds a run of `!` into one or none before it builds the expression; so do we.
    fn unary(&mut self, depth: usize) -> Result<Expression, ErrorAt> {
        let mut negated = false;
        while self.token == Token::Not {
            negated = !negated;
            self.advance()?;
        }
        let operand = self.atom(depth)?;
        Ok(if negated { Expression::Not(Box::new(operand)) } else { operand })
    }

    fn atom(&mut self, depth: usize) -> Result<Expression, ErrorAt> {
        match self.token {
            Token::All => self.single(Expression::All),
            Token::Global => self.single(Expression::Global),
            Token::Has(label) => self.single(Expression::Has(label.to_owned())),
            Token::Label(label) => {
                self.advance()?;
                self.comparison(label)
            }
            Token::OpenParenthesis => self.parenthesised(depth),
            _ => Err(self.expected("a label name, has(…), all(), global(), '!' or '('")),
        }
    }

    fn single(&mut self, expression: Expression) -> Result<Expression, ErrorAt> {
        self.advance()?;
        Ok(expression)
    }

    fn parenthesised(&mut self, depth: usize) -> Result<Expression, ErrorAt> {
        if depth >= DEPTH_MAX {
            let message = format!("parentheses are nested more than {DEPTH_MAX} deep");
            return Err(ErrorAt { offset: self.offset, message });
        }
        self.advance()?;
        let inner = self.or(depth + 1)?;
        if self.token != Token::CloseParenthesis {
            return Err(self.expected("'&&', '||' or ')'"));
        }
        self.single(inner)
    }

    fn comparison(&mut self, label: &str) -> Result<Expression, ErrorAt> {
        let label = label.to_owned();
        let expression = match self.advance()? {
            Token::Equals => Expression::Equals(label, self.text()?),
            Token::NotEquals => Expression::NotEquals(label, self.text()?),
            Token::Contains => Expression::Contains(label, self.text()?),
            Token::StartsWith => Expression::StartsWith(label, self.text()?),
            Token::EndsWith => Expression::EndsWith(label, self.text()?),
            Token::In => Expression::In(label, self.set()?),
            Token::NotIn => Expression::NotIn(label, self.set()?),
            _ => return Err(self.expected("an operator")),
        };
        Ok(expression)
    }

    fn text(&mut self) -> Result<String, ErrorAt> {
        let Token::Text(text) = self.token else { return Err(self.expected("a text in quotes")) };
        self.advance()?;
        Ok(text.to_owned())
    }

    fn set(&mut self) -> Result<BTreeSet<String>, ErrorAt> {
        if self.token != Token::OpenBrace {
            return Err(self.expected("'{' and a list of texts in quotes"));
        }
        self.advance()?;
        let mut values = BTreeSet::new();
        while let Token::Text(text) = self.token {
            values.insert(text.to_owned());
            self.advance()?;
            if self.token != Token::Comma {
                break;
            }
            self.advance()?;
        }
        if self.token != Token::CloseBrace {
            return Err(self.expected("a text in quotes, ',' or '}'"));
        }
        self.advance()?;
        Ok(values)
    }

    fn expected(&self, wanted: &str) -> ErrorAt {
        let found = self.token.describe();
        ErrorAt { offset: self.offset, message: format!("expected {wanted}, found {found}") }
    }
}
