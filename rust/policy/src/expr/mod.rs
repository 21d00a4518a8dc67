//! The one-line expression language of `client_attrs_init`, preconditions and cinfo checks
//! (`spec/expressions.md`).
//!
//! Text is compiled once, at configuration load, and evaluated against the facts of one client.
//! Values are byte strings borrowed from those facts where possible. Nothing here does I/O; the
//! process environment and the clock are reached through [`Variables`] only.
//!
//! - `expression`: [`Expression`], the compiled text.
//! - `variables`: [`Variables`] and [`Lookup`], where names get their values from.
//! - `error`: [`ExpressionError`] and its codes.
//! - `lint`: [`Lint`], what is legal but surely not meant.
//! - `lexer`, `parser`, `ast`: text to tree. `eval`, `value`, `functions`: tree to result.

mod ast;
mod error;
mod eval;
mod expression;
mod functions;
mod lexer;
mod limits;
mod lint;
mod parser;
mod value;
mod variables;

pub use error::{ErrorCode, ExpressionError};
pub use expression::Expression;
pub use lint::{Lint, LintKind, undouble_regex_classes};
pub use variables::{JsonVariables, Lookup, Variables};
