//! Tokens to tree (`spec/expressions.md` section 2), resolving function names on the way.

use super::{
    ast::{Call, Literal, Node, Pattern, Position, Target, Variable},
    error::ExpressionError,
    functions,
    lexer::{Lexer, Token, TokenKind},
    limits::{MAX_NESTING, MAX_SOURCE_BYTES},
};

/// Parses a whole source text.
pub(super) fn parse(source: &str) -> Result<Node, ExpressionError> {
    let mut lexer = Lexer::new(source);
    let start = Position { line: 1, column: 1 };
    if source.len() > MAX_SOURCE_BYTES {
        let problem = format!("expression of at most {MAX_SOURCE_BYTES} bytes is expected");
        return Err(ExpressionError::syntax(start, problem));
    }
    let next = lexer.next()?;
    let mut parser = Parser {
        lexer,
        next,
        depth: 0,
    };
    let node = parser.expression()?;
    match parser.next.kind {
        TokenKind::End => Ok(node),
        _ => Err(parser.expected("the end of the expression")),
    }
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    next: Token<'s>,
    depth: usize,
}

impl<'s> Parser<'s> {
    fn expression(&mut self) -> Result<Node, ExpressionError> {
        let position = self.next.position;
        let text = |text: &str| {
            Node::Text(Literal {
                text: text.into(),
                position,
            })
        };
        let node = match self.next.kind {
            TokenKind::Boolean(word) => text(word),
            TokenKind::Text(string) => text(string),
            TokenKind::Integer(value) => Node::Integer(value),
            TokenKind::Float(value) => Node::Float(value),
            TokenKind::Identifier(name) => return self.call_or_variable(name, position),
            TokenKind::OpenBracket => {
                return Err(self.expected("an expression (arrays are allowed as arguments only)"));
            }
            _ => return Err(self.expected("a variable, a function call or a literal")),
        };
        self.advance()?;
        Ok(node)
    }

    fn call_or_variable(
        &mut self,
        name: &'s str,
        position: Position,
    ) -> Result<Node, ExpressionError> {
        self.advance()?;
        if self.next.kind != TokenKind::OpenParen {
            return Ok(Node::Variable(Variable {
                name: normalise(name),
                position,
            }));
        }
        self.advance()?;
        let args = if self.next.kind == TokenKind::CloseParen {
            Box::default()
        } else {
            self.nested(|parser| parser.arguments(&TokenKind::CloseParen, "`,` or `)`"))?
        };
        self.advance()?;
        let target = functions::resolve(name, args.len());
        let pattern = match target {
            Target::Function(builtin) if builtin.takes_pattern => Some(pattern_of(&args)),
            _ => None,
        };
        Ok(Node::Call(Box::new(Call {
            name: name.into(),
            position,
            target,
            args,
            pattern,
        })))
    }

    /// One or more arguments up to, not including, `close`.
    fn arguments(
        &mut self,
        close: &TokenKind<'_>,
        expected: &str,
    ) -> Result<Box<[Node]>, ExpressionError> {
        let mut args = vec![self.argument()?];
        loop {
            match self.next.kind {
                TokenKind::Comma => {
                    self.advance()?;
                    args.push(self.argument()?);
                }
                kind if kind == *close => return Ok(args.into()),
                _ => return Err(self.expected(expected)),
            }
        }
    }

    fn argument(&mut self) -> Result<Node, ExpressionError> {
        if self.next.kind != TokenKind::OpenBracket {
            return self.expression();
        }
        self.advance()?;
        if self.next.kind == TokenKind::CloseBracket {
            return Err(self.expected("at least one array element"));
        }
        let elements =
            self.nested(|parser| parser.arguments(&TokenKind::CloseBracket, "`,` or `]`"))?;
        self.advance()?;
        Ok(Node::Array(elements))
    }

    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, ExpressionError>,
    ) -> Result<T, ExpressionError> {
        if self.depth >= MAX_NESTING {
            let problem = format!("nesting of at most {MAX_NESTING} levels is expected");
            return Err(ExpressionError::syntax(self.next.position, problem));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn advance(&mut self) -> Result<(), ExpressionError> {
        self.next = self.lexer.next()?;
        Ok(())
    }

    fn expected(&self, what: &str) -> ExpressionError {
        let problem = format!("expected {what}, found {}", self.next.kind.describe());
        ExpressionError::syntax(self.next.position, problem)
    }
}

/// A variable's name without empty segments: `a..b` is `a.b`, `a.` is `a`.
fn normalise(name: &str) -> Box<str> {
    if !name.contains("..") && !name.ends_with('.') {
        return name.into();
    }
    let segments: Vec<&str> = name
        .split('.')
        .filter(|segment| !segment.is_empty())
        .collect();
    segments.join(".").into()
}

/// The pattern of a regex call: its second argument.
fn pattern_of(args: &[Node]) -> Pattern {
    match args.get(1) {
        Some(Node::Text(literal)) => Pattern::literal(&literal.text),
        _ => Pattern::computed(),
    }
}
