//! The tree an expression is compiled to.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{error::ErrorCode, functions::Builtin};
use crate::regex::Regex;

/// A place in the source: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A part of an expression.
#[derive(Debug)]
pub(super) enum Node {
    /// A string, or a boolean word: those are strings too (`spec/expressions.md` section 3.3).
    Text(Literal),
    Integer(i128),
    Float(f64),
    /// A variable by its full dotted name.
    Variable(Variable),
    /// Only as an argument or inside another array; never empty.
    Array(Box<[Node]>),
    Call(Box<Call>),
}

/// A string literal.
#[derive(Debug)]
pub(super) struct Literal {
    pub(super) text: Box<str>,
    /// Where its opening quote is.
    pub(super) position: Position,
}

/// A variable.
#[derive(Debug)]
pub(super) struct Variable {
    /// Full name without empty segments.
    pub(super) name: Box<str>,
    pub(super) position: Position,
}

/// A function call.
#[derive(Debug)]
pub(super) struct Call {
    /// The name as written.
    pub(super) name: Box<str>,
    pub(super) position: Position,
    pub(super) target: Target,
    pub(super) args: Box<[Node]>,
    /// The pattern argument of a regex function.
    pub(super) pattern: Option<Pattern>,
}

/// What a function name stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// Evaluated strictly, left to right.
    Function(&'static Builtin),
    Iif,
    Coalesce,
    IsEmpty,
    /// Reported when the call is evaluated, not when it is compiled (section 2).
    Unresolved(ErrorCode),
}

/// The compiled pattern of one regex call.
#[derive(Debug)]
pub(super) enum Pattern {
    /// A literal, compiled with the expression; the error is what the compiler said.
    Literal(Result<CompiledPattern, Box<str>>),
    /// Computed: the last one is kept, since most depend on the zone or on an attribute.
    Computed(Mutex<Option<(Box<str>, Arc<CompiledPattern>)>>),
}

impl Pattern {
    pub(super) fn literal(text: &str) -> Self {
        Self::Literal(CompiledPattern::compile(text).map_err(Into::into))
    }

    pub(super) fn computed() -> Self {
        Self::Computed(Mutex::new(None))
    }
}

/// A pattern, and the same pattern barred from matching nothing at its starting point.
#[derive(Debug)]
pub(super) struct CompiledPattern {
    regex: Regex,
    nonempty: OnceLock<Option<Regex>>,
}

impl CompiledPattern {
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let regex = Regex::compile(text).map_err(|error| error.to_string())?;
        Ok(Self {
            regex,
            nonempty: OnceLock::new(),
        })
    }

    pub(super) fn regex(&self) -> &Regex {
        &self.regex
    }

    /// Needed only after an empty match, so compiled only then.
    pub(super) fn nonempty_at_start(&self) -> Option<&Regex> {
        let compile =
            || Regex::compile(&format!("(*NOTEMPTY_ATSTART){}", self.regex.as_str())).ok();
        self.nonempty.get_or_init(compile).as_ref()
    }
}

/// The compiled form of `text`, from `slot` when it is the one compiled last.
pub(super) fn recompile(
    slot: &Mutex<Option<(Box<str>, Arc<CompiledPattern>)>>,
    text: &str,
) -> Result<Arc<CompiledPattern>, ErrorCode> {
    let mut last = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, compiled)) = last.as_ref()
        && **known == *text
    {
        return Ok(Arc::clone(compiled));
    }
    let compiled = Arc::new(CompiledPattern::compile(text).map_err(|_| ErrorCode::Exception)?);
    *last = Some((text.into(), Arc::clone(&compiled)));
    Ok(compiled)
}
