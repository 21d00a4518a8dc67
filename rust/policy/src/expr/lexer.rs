//! Text to tokens (`spec/expressions.md` section 1): longest match, no escapes in strings.

use super::{ast::Position, error::ExpressionError};

/// A token with the place where it starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token<'s> {
    pub(super) kind: TokenKind<'s>,
    pub(super) position: Position,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TokenKind<'s> {
    /// `true` or `false`.
    Boolean(&'s str),
    /// A variable or function name; hyphens and dots belong to it.
    Identifier(&'s str),
    /// What stands between the quotes.
    Text(&'s str),
    Integer(i128),
    Float(f64),
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    Comma,
    End,
}

impl TokenKind<'_> {
    /// The token for an error message.
    pub(super) fn describe(self) -> String {
        match self {
            Self::Boolean(word) | Self::Identifier(word) => format!("`{word}`"),
            Self::Text(_) => "a string".into(),
            Self::Integer(_) | Self::Float(_) => "a number".into(),
            Self::OpenParen => "`(`".into(),
            Self::CloseParen => "`)`".into(),
            Self::OpenBracket => "`[`".into(),
            Self::CloseBracket => "`]`".into(),
            Self::Comma => "`,`".into(),
            Self::End => "the end".into(),
        }
    }
}

/// Splits a source text into tokens, one at a time.
pub(super) struct Lexer<'s> {
    rest: &'s str,
    position: Position,
}

impl<'s> Lexer<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self {
            rest: source,
            position: Position { line: 1, column: 1 },
        }
    }

    /// The next token; at the end of the text [`TokenKind::End`], for ever.
    pub(super) fn next(&mut self) -> Result<Token<'s>, ExpressionError> {
        let blank = span(self.rest, |byte| matches!(byte, b' ' | b'\t' | b'\n'));
        self.take(blank);
        let position = self.position;
        let Some(first) = self.rest.chars().next() else {
            return Ok(Token {
                kind: TokenKind::End,
                position,
            });
        };
        let kind = match first {
            '(' => self.punctuation(TokenKind::OpenParen),
            ')' => self.punctuation(TokenKind::CloseParen),
            '[' => self.punctuation(TokenKind::OpenBracket),
            ']' => self.punctuation(TokenKind::CloseBracket),
            ',' => self.punctuation(TokenKind::Comma),
            '\'' | '"' => self.text(first)?,
            'a'..='z' | 'A'..='Z' => self.word(),
            '0'..='9' | '+' | '-' => self.number(first)?,
            _ => return Err(self.illegal(first)),
        };
        Ok(Token { kind, position })
    }

    fn punctuation(&mut self, kind: TokenKind<'s>) -> TokenKind<'s> {
        self.take(1);
        kind
    }

    fn word(&mut self) -> TokenKind<'s> {
        let length = span(self.rest, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
        });
        match self.take(length) {
            word @ ("true" | "false") => TokenKind::Boolean(word),
            word => TokenKind::Identifier(word),
        }
    }

    fn text(&mut self, quote: char) -> Result<TokenKind<'s>, ExpressionError> {
        let start = self.position;
        self.take(1);
        let Some(length) = self.rest.find(quote) else {
            let problem = format!("string without its closing {quote}");
            return Err(ExpressionError::syntax(start, problem));
        };
        let text = self.take(length);
        self.take(1);
        Ok(TokenKind::Text(text))
    }

    fn number(&mut self, first: char) -> Result<TokenKind<'s>, ExpressionError> {
        let start = self.position;
        let after = |at: usize| self.rest.get(at..).unwrap_or_default();
        let digits = |at: usize| span(after(at), |byte| byte.is_ascii_digit());
        let sign = usize::from(matches!(first, '+' | '-'));
        let whole = digits(sign);
        if whole == 0 {
            return Err(self.illegal(first));
        }
        let integer_end = sign + whole;
        let fraction = if after(integer_end).starts_with('.') {
            digits(integer_end + 1)
        } else {
            0
        };
        if fraction == 0 {
            let text = self.take(integer_end);
            let problem = "an integer of at most 38 digits is expected";
            return text
                .parse()
                .map(TokenKind::Integer)
                .map_err(|_| ExpressionError::syntax(start, problem));
        }
        let mut end = integer_end + 1 + fraction;
        if after(end).starts_with('e') {
            let sign = usize::from(after(end + 1).starts_with(['+', '-']));
            match digits(end + 1 + sign) {
                0 => {}
                exponent => end += 1 + sign + exponent,
            }
        }
        match self.take(end).parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(TokenKind::Float(value)),
            _ => Err(ExpressionError::syntax(
                start,
                "a number in the range of a double is expected",
            )),
        }
    }

    fn illegal(&self, found: char) -> ExpressionError {
        let hint = match found {
            '$' => "; variables are written without `${}`",
            '\r' => "; carriage returns are not white space here",
            '+' | '-' | '*' | '/' | '=' | '<' | '>' | '!' | '&' | '|' => "; there are no operators",
            _ => "",
        };
        ExpressionError::syntax(self.position, format!("illegal character {found:?}{hint}"))
    }

    /// Consumes `length` bytes, which must end on a character boundary.
    fn take(&mut self, length: usize) -> &'s str {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        for character in taken.chars() {
            if character == '\n' {
                self.position.line += 1;
                self.position.column = 1;
            } else {
                self.position.column += 1;
            }
        }
        self.rest = rest;
        taken
    }
}

/// Number of leading bytes that are `wanted`.
fn span(text: &str, wanted: impl Fn(u8) -> bool) -> usize {
    text.bytes()
        .position(|byte| !wanted(byte))
        .unwrap_or(text.len())
}
