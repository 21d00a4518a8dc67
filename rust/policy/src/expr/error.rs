//! Why an expression does not compile or has no value.
//!
//! An error names functions and variables, never values: those may be passwords and tokens.

use std::fmt;

use super::ast::Position;

/// The kinds of failure (`spec/expressions.md` section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The text is not an expression.
    Syntax,
    /// A variable has no value in this place; the detail is its full name.
    VarUnbound,
    /// No such function, or not with this number of arguments.
    UnknownFunction,
    /// `module.function` of a module that expressions may not call.
    ModuleNotAllowed,
    /// A function name with more than one dot.
    InvalidFunctionReference,
    /// The result is an array or an object.
    BadReturn,
    /// The single argument of `coalesce` is neither an array nor empty.
    CoalesceBadarg,
    /// The index string of `nth` is not an integer.
    InvalidArgument,
    /// The text does not have the three parts of a JWT.
    InvalidJwtToken,
    /// The middle part of a JWT is not base64url.
    JwtDecodeError,
    /// `hash` does not know the algorithm.
    UnknownHashAlgorithm,
    /// `unescape` met a backslash sequence it does not know.
    UnrecognizedEscapeSequence,
    /// `unescape` met a code point that no character has.
    InvalidUnicodeCharacter,
    /// A function refused its arguments.
    BadArg,
    /// A value of a type that the function cannot work on.
    Exception,
}

impl ErrorCode {
    /// The code as the specification spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::VarUnbound => "var_unbound",
            Self::UnknownFunction => "unknown_function",
            Self::ModuleNotAllowed => "module_not_allowed",
            Self::InvalidFunctionReference => "invalid_function_reference",
            Self::BadReturn => "bad_return",
            Self::CoalesceBadarg => "coalesce_badarg",
            Self::InvalidArgument => "invalid_argument",
            Self::InvalidJwtToken => "invalid_jwt_token",
            Self::JwtDecodeError => "jwt_decode_error",
            Self::UnknownHashAlgorithm => "unknown_hash_algorithm",
            Self::UnrecognizedEscapeSequence => "unrecognized_escape_sequence",
            Self::InvalidUnicodeCharacter => "invalid_unicode_character",
            Self::BadArg => "badarg",
            Self::Exception => "exception",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An expression that does not compile, or that has no value for these variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// What kind of failure.
    pub code: ErrorCode,
    /// For `syntax` what was expected; otherwise the name of the variable or function concerned
    /// (empty when the result as a whole is at fault). Never a value.
    pub detail: Box<str>,
    /// Line and column in the source, both from 1, columns in characters.
    pub position: Option<(u32, u32)>,
}

impl ExpressionError {
    pub(super) fn syntax(position: Position, expected: impl Into<Box<str>>) -> Self {
        Self {
            code: ErrorCode::Syntax,
            detail: expected.into(),
            position: Some((position.line, position.column)),
        }
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        match self.position {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExpressionError {}

/// An error while evaluating: borrows its name from the tree, so that a guarded one costs nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault<'e> {
    pub(super) code: ErrorCode,
    pub(super) name: &'e str,
    pub(super) position: Position,
}

impl From<Fault<'_>> for ExpressionError {
    fn from(fault: Fault<'_>) -> Self {
        Self {
            code: fault.code,
            detail: fault.name.into(),
            position: Some((fault.position.line, fault.position.column)),
        }
    }
}
