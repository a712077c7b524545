//! From the text of a filter to its conditions.

use jiff::Timestamp;

use super::{Condition, Operator, SetProperty, TextProperty, TimeProperty};
use crate::errors::PactError;

/// The longest filter that is read, in bytes.
const LONGEST: usize = 2048;
/// The deepest parentheses. The parser calls itself once for each.
const DEEPEST: usize = 16;

type Result<T> = std::result::Result<T, PactError>;

pub(super) fn parse(text: &str) -> Result<Vec<Condition>> {
    if text.len() > LONGEST {
        return Err(PactError::bad_request("`$filter` is longer than 2,048 bytes"));
    }
    let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable(), depth: 0, found: Vec::new() };
    if parser.tokens.peek().is_some() {
        parser.conjunction()?;
    }
    match parser.tokens.next() {
        None => Ok(parser.found),
        Some(Token::Word(word)) => Err(unknown_word(word)),
        Some(token) => Err(unexpected(Some(token))),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'t> {
    /// A property, an operator, a function, or a literal without quotes.
    Word(&'t str),
    /// A literal in quotes, without them.
    Text(String),
    Sign(char),
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | ':' | ',' => {
                tokens.push(Token::Sign(first));
                1
            }
            '\'' => {
                let length = quoted(rest)?;
                tokens.push(Token::Text(rest[1..length - 1].replace("''", "'")));
                length
            }
            _ => {
                // A time without quotes has colons.
                let is_number = first.is_ascii_digit();
                let ends = |c: char| c.is_whitespace() || "(),'".contains(c) || (c == ':' && !is_number);
                let length = rest.find(ends).unwrap_or(rest.len());
                tokens.push(Token::Word(&rest[..length]));
                length
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// The length of a literal in quotes, with them. A quote inside of it is doubled.
fn quoted(text: &str) -> Result<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return Ok(at + 1),
            _ => at += 1,
        }
    }
    Err(PactError::bad_request("`$filter` has a quote that isn't closed"))
}

struct Parser<'t> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token<'t>>>,
    depth: usize,
    found: Vec<Condition>,
}

impl<'t> Parser<'t> {
    /// `term and term …`
    fn conjunction(&mut self) -> Result<()> {
        self.term()?;
        while self.tokens.next_if(|token| *token == Token::Word("and")).is_some() {
            self.term()?;
        }
        Ok(())
    }

    /// `(conjunction)`, `set/any(id:(id eq 'value'))` or `property operator value`.
    fn term(&mut self) -> Result<()> {
        let name = match self.tokens.next() {
            Some(Token::Sign('(')) => {
                self.enter()?;
                self.conjunction()?;
                self.depth -= 1;
                return self.closing();
            }
            Some(Token::Word(name)) => name,
            token => return Err(unexpected(token)),
        };
        let condition = match name.strip_suffix("/any") {
            Some(set) => self.lambda(set)?,
            None => self.comparison(name)?,
        };
        self.found.push(condition);
        Ok(())
    }

    fn lambda(&mut self, set: &str) -> Result<Condition> {
        let property = match set {
            "companyIds" => SetProperty::CompanyIds,
            "productIds" => SetProperty::ProductIds,
            _ => return Err(unknown_property(set)),
        };
        self.sign('(')?;
        let variable = self.word()?;
        self.sign(':')?;
        let mut parentheses = 0;
        while self.tokens.next_if(|token| *token == Token::Sign('(')).is_some() {
            parentheses += 1;
        }
        let subject = self.word()?;
        if subject != variable {
            return Err(PactError::bad_request(format!(
                "`$filter` compares {subject:?} in an `any` over {variable:?}"
            )));
        }
        match self.word()? {
            "eq" => {}
            other => {
                return Err(PactError::not_implemented(format!(
                    "`$filter`: `any` can't do {other:?}, only `eq`"
                )));
            }
        }
        let value = self.literal()?;
        // One more, which belongs to `any`.
        for _ in 0..=parentheses {
            self.closing()?;
        }
        Ok(Condition::Any { property, value })
    }

    fn comparison(&mut self, name: &str) -> Result<Condition> {
        // A function has its arguments in parentheses. It is told apart from a wrong filter, which no host can read.
        if name == "not" || self.tokens.peek() == Some(&Token::Sign('(')) {
            return Err(PactError::not_implemented(format!("`$filter`: {name:?} isn't implemented")));
        }
        let text = |property, operator, value| Ok(Condition::Text { property, operator, value });
        let time = |property, operator, value: String| {
            Ok(Condition::Time { property, operator, value: timestamp(&value)? })
        };
        // Judged after the name, since an unknown property is the better reason.
        let operator = self.operator();
        let value = self.literal();
        match name {
            "productCategoryCpc" => text(TextProperty::ProductCategoryCpc, operator?, value?),
            "pcf/geographyCountry" => text(TextProperty::GeographyCountry, operator?, value?),
            "created" => time(TimeProperty::Created, operator?, value?),
            "updated" => time(TimeProperty::Updated, operator?, value?),
            "pcf/referencePeriodStart" => time(TimeProperty::ReferencePeriodStart, operator?, value?),
            "pcf/referencePeriodEnd" => time(TimeProperty::ReferencePeriodEnd, operator?, value?),
            _ => Err(unknown_property(name)),
        }
    }

    fn operator(&mut self) -> Result<Operator> {
        match self.word()? {
            "eq" => Ok(Operator::Eq),
            "lt" => Ok(Operator::Lt),
            "le" => Ok(Operator::Le),
            "gt" => Ok(Operator::Gt),
            "ge" => Ok(Operator::Ge),
            other => Err(unknown_word(other)),
        }
    }

    /// A value, with quotes, as PACT's examples have it, or without, as OData has a time.
    fn literal(&mut self) -> Result<String> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(text),
            Some(Token::Word(word)) => Ok(word.to_owned()),
            token => Err(unexpected(token)),
        }
    }

    fn word(&mut self) -> Result<&'t str> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(word),
            token => Err(unexpected(token)),
        }
    }

    fn sign(&mut self, sign: char) -> Result<()> {
        match self.tokens.next() {
            Some(Token::Sign(found)) if found == sign => Ok(()),
            token => Err(unexpected(token)),
        }
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        match self.depth {
            ..=DEEPEST => Ok(()),
            _ => Err(PactError::bad_request("`$filter` has parentheses that are nested too deeply")),
        }
    }

    /// A closing parenthesis, or the reason for which there is another word in its place.
    fn closing(&mut self) -> Result<()> {
        match self.tokens.next() {
            Some(Token::Sign(')')) => Ok(()),
            Some(Token::Word(word)) => Err(unknown_word(word)),
            token => Err(unexpected(token)),
        }
    }
}

/// Reads a time. A client that doesn't encode the `+` of an offset sends what a query decodes to a space.
fn timestamp(text: &str) -> Result<Timestamp> {
    let bad =
        |_| PactError::bad_request(format!("`$filter`: {text:?} isn't a time such as 2025-01-31T12:00:00Z"));
    match text.rsplit_once(' ') {
        Some((time, offset)) => format!("{time}+{offset}").parse().map_err(bad),
        None => text.parse().map_err(bad),
    }
}

fn unknown_property(name: &str) -> PactError {
    PactError::not_implemented(format!("`$filter` by {name:?} isn't implemented"))
}

/// Another operator of OData is one that isn't implemented; anything else is no filter.
fn unknown_word(word: &str) -> PactError {
    match word {
        "or" | "not" | "ne" | "in" | "has" | "add" | "sub" | "mul" | "div" | "mod" => {
            PactError::not_implemented(format!("`$filter`: the operator {word:?} isn't implemented"))
        }
        _ => PactError::bad_request(format!("`$filter`: {word:?} isn't expected there")),
    }
}

fn unexpected(token: Option<Token<'_>>) -> PactError {
    PactError::bad_request(match token {
        None => "`$filter` ends too early".to_owned(),
        Some(Token::Word(word)) => format!("`$filter`: {word:?} isn't expected there"),
        Some(Token::Text(text)) => format!("`$filter`: the text {text:?} isn't expected there"),
        Some(Token::Sign(sign)) => format!("`$filter`: `{sign}` isn't expected there"),
    })
}
