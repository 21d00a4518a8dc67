//! Tokens to Erlang terms, each with its place.
//!
//! Terms are read one at a time and dropped once compiled, so a long file needs no more memory than
//! its longest rule. Nesting and the number of terms in a rule are bounded.

use super::{
    error::{AclError, Position, Warning},
    lexer::{Lexer, Token},
};

/// Deepest nesting of tuples and lists.
const MAX_DEPTH: u32 = 64;

/// Most terms in one rule.
const MAX_TERMS: u32 = 1_000_000;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) kind: Kind,
    pub(super) at: Position,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Atom(String),
    /// A string; `""` is also the empty list.
    Text(String),
    Binary(String),
    Integer(i64),
    Tuple(Vec<Term>),
    List(Vec<Term>),
}

impl Term {
    /// The name, if this is an atom.
    pub(super) fn atom(&self) -> Option<&str> {
        match &self.kind {
            Kind::Atom(name) => Some(name),
            _ => None,
        }
    }

    /// The elements, if this is a tuple.
    pub(super) fn tuple(&self) -> Option<&[Term]> {
        match &self.kind {
            Kind::Tuple(terms) => Some(terms),
            _ => None,
        }
    }

    /// The elements, if this is a list and not a string.
    pub(super) fn list(&self) -> Option<&[Term]> {
        match &self.kind {
            Kind::List(terms) => Some(terms),
            Kind::Text(text) if text.is_empty() => Some(&[]),
            _ => None,
        }
    }

    /// The text of a string: `"ab"`, or the same as character codes, `[97, $b]`.
    pub(super) fn string(&self) -> Option<String> {
        match &self.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::List(codes) => codes
                .iter()
                .map(|code| match code.kind {
                    Kind::Integer(code) => u32::try_from(code).ok().and_then(char::from_u32),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }

    /// The text of a string or a binary.
    pub(super) fn string_or_binary(&self) -> Option<String> {
        match &self.kind {
            Kind::Binary(text) => Some(text.clone()),
            _ => self.string(),
        }
    }

    /// The text of a string, a binary or an atom.
    pub(super) fn text(&self) -> Option<String> {
        match &self.kind {
            Kind::Atom(name) => Some(name.clone()),
            _ => self.string_or_binary(),
        }
    }
}

/// A term that was closed by a dot.
pub(super) struct Sentence<'t> {
    pub(super) term: Term,
    /// The text of the term.
    pub(super) source: &'t str,
}

/// Reads the terms of a text in order.
pub(super) struct Reader<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    /// One token ahead: the token, its place, its byte offset.
    ahead: Option<(Token, Position, usize)>,
    terms: u32,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            lexer: Lexer::new(text),
            ahead: None,
            terms: 0,
        }
    }

    /// Warnings of the tokens read so far.
    pub(super) fn into_warnings(self) -> Vec<Warning> {
        self.lexer.warnings
    }

    /// The next term; `None` at the end of the text.
    pub(super) fn sentence(&mut self) -> Result<Option<Sentence<'t>>, AclError> {
        self.terms = 0;
        let (token, first, start) = self.advance()?;
        if token == Token::End {
            return Ok(None);
        }
        let term = self.term(token, first, 0)?;
        let end = self.lexer.offset();
        let source = self.text.get(start..end).unwrap_or_default();
        match self.advance()? {
            (Token::Dot, ..) => Ok(Some(Sentence { term, source })),
            (Token::End, at, _) => Err(at.syntax(format!(
                "the rule of line {} is not closed: write \".\" behind its last \"}}\"",
                first.line
            ))),
            (Token::Mark('{'), at, _) => Err(at.syntax(format!(
                "a new rule, but that of line {} is not closed: write \".\" behind its last \"}}\"",
                first.line
            ))),
            (other, at, _) => Err(at.syntax(format!(
                "expected \".\" behind the rule, found {}",
                other.shown()
            ))),
        }
    }

    fn advance(&mut self) -> Result<(Token, Position, usize), AclError> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => self.lexer.next(),
        }
    }

    /// Reads the term that starts with `token`.
    fn term(&mut self, token: Token, at: Position, depth: u32) -> Result<Term, AclError> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(at.syntax(format!("a rule of more than {MAX_TERMS} terms")));
        }
        if depth > MAX_DEPTH {
            return Err(at.syntax(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let kind = match token {
            Token::Atom(name) => Kind::Atom(name),
            Token::Text(text) => Kind::Text(self.joined(text)?),
            Token::Integer(number) => Kind::Integer(number),
            Token::Mark('-') => Kind::Integer(self.signed()?.saturating_neg()),
            Token::Mark('+') => Kind::Integer(self.signed()?),
            Token::Mark('{') => Kind::Tuple(self.elements('}', depth)?),
            Token::Mark('[') => Kind::List(self.elements(']', depth)?),
            Token::BinaryOpen => Kind::Binary(self.binary()?),
            Token::Dot => {
                return Err(
                    at.syntax("\".\" in the middle of a rule: is a \"}\" or \"]\" missing?")
                );
            }
            other => {
                let found = other.shown();
                return Err(at.syntax(format!("expected a word, a string, {{ or [, found {found}")));
            }
        };
        Ok(Term { kind, at })
    }

    /// Strings that follow each other are one.
    fn joined(&mut self, mut text: String) -> Result<String, AclError> {
        // Looking ahead moves the lexer, so the end of a term is only exact where no string ends
        // it; a rule ends with a brace.
        loop {
            match self.lexer.next()? {
                (Token::Text(more), ..) => text.push_str(&more),
                other => {
                    self.ahead = Some(other);
                    return Ok(text);
                }
            }
        }
    }

    fn signed(&mut self) -> Result<i64, AclError> {
        match self.advance()? {
            (Token::Integer(number), ..) => Ok(number),
            (other, at, _) => Err(at.syntax(format!(
                "expected a number behind the sign, found {}",
                other.shown()
            ))),
        }
    }

    fn elements(&mut self, close: char, depth: u32) -> Result<Vec<Term>, AclError> {
        let mut terms = Vec::new();
        loop {
            let (token, at, _) = self.advance()?;
            if terms.is_empty() && token == Token::Mark(close) {
                return Ok(terms);
            }
            if token == Token::Mark(close) {
                return Err(at.syntax(format!("a \",\" too many before \"{close}\"")));
            }
            terms.push(self.term(token, at, depth + 1)?);
            match self.advance()? {
                (Token::Mark(','), ..) => {}
                (Token::Mark(c), ..) if c == close => return Ok(terms),
                (Token::Mark('|'), at, _) => {
                    return Err(at.syntax("lists with a tail (\"|\") are of no use in a rule"));
                }
                (other, at, _) => {
                    let found = other.shown();
                    return Err(at.syntax(format!("expected \",\" or \"{close}\", found {found}")));
                }
            }
        }
    }

    /// The inside of `<<...>>`: strings and byte values, separated by commas.
    fn binary(&mut self) -> Result<String, AclError> {
        let mut bytes = Vec::new();
        let (mut token, at, _) = self.advance()?;
        if token == Token::BinaryClose {
            return Ok(String::new());
        }
        loop {
            match token {
                Token::Text(text) => {
                    let text = self.joined(text)?;
                    let wide = self.utf8_suffix()?;
                    if !wide && !text.is_ascii() {
                        return Err(at.syntax(
                            "a binary with letters beyond ASCII: write <<\"text\"/utf8>> or \"text\"",
                        ));
                    }
                    bytes.extend_from_slice(text.as_bytes());
                }
                // As Erlang does, the low eight bits.
                Token::Integer(number) => bytes.push(number.to_le_bytes()[0]),
                other => {
                    let found = other.shown();
                    return Err(
                        at.syntax(format!("expected a string in the binary, found {found}"))
                    );
                }
            }
            match self.advance()? {
                (Token::BinaryClose, ..) => break,
                (Token::Mark(','), ..) => token = self.advance()?.0,
                (other, at, _) => {
                    let found = other.shown();
                    return Err(at.syntax(format!("expected \",\" or \">>\", found {found}")));
                }
            }
        }
        String::from_utf8(bytes).map_err(|_| at.syntax("a binary that is not UTF-8"))
    }

    fn utf8_suffix(&mut self) -> Result<bool, AclError> {
        let token = self.advance()?;
        if token.0 != Token::Mark('/') {
            self.ahead = Some(token);
            return Ok(false);
        }
        match self.advance()? {
            (Token::Atom(name), ..) if name == "utf8" => Ok(true),
            (other, at, _) => Err(at.syntax(format!(
                "only /utf8 may follow here, found {}",
                other.shown()
            ))),
        }
    }
}
