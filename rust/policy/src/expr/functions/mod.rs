//! The functions, one file a group (`spec/expressions.md` section 5), and how a name finds one.
//!
//! A function takes its evaluated arguments out of [`Args`] and says with an [`ErrorCode`] what it
//! cannot work on; the evaluator adds the name and the place.

mod args;
mod arrays;
mod comparison;
mod condition;
mod encoding;
mod format;
mod graphemes;
mod hash;
mod json;
mod jwt;
mod maps_lists;
mod random;
mod regex;
mod string;
mod system;
mod topic;

use super::{
    ast::{Pattern, Target},
    error::ErrorCode,
    value::Value,
    variables::Variables,
};
pub(super) use args::Args;

/// What a function returns.
type Outcome<'a> = Result<Value<'a>, ErrorCode>;

/// A function's code.
type Run = for<'a> fn(&mut Args<'a>, &Scope<'a>) -> Outcome<'a>;

/// What a function can reach besides its arguments.
pub(super) struct Scope<'a> {
    /// The clock and the environment.
    pub(super) variables: &'a dyn Variables,
    /// The compiled pattern of a regex call.
    pub(super) pattern: Option<&'a Pattern>,
}

/// A function that expressions may call.
#[derive(Debug)]
pub(super) struct Builtin {
    /// Name, with its module if that is not the default one.
    pub(super) name: &'static str,
    pub(super) min_args: usize,
    pub(super) max_args: usize,
    /// Whether the second argument is a regular expression.
    pub(super) takes_pattern: bool,
    pub(super) run: Run,
}

impl Builtin {
    const fn new(name: &'static str, min_args: usize, max_args: usize, run: Run) -> Self {
        assert!(max_args <= args::MAX_ARGS, "Args holds no more");
        Self {
            name,
            min_args,
            max_args,
            takes_pattern: false,
            run,
        }
    }

    const fn with_pattern(mut self) -> Self {
        self.takes_pattern = true;
        self
    }

    fn accepts(&self, arg_count: usize) -> bool {
        (self.min_args..=self.max_args).contains(&arg_count)
    }
}

static GROUPS: &[&[Builtin]] = &[
    condition::FUNCTIONS,
    comparison::FUNCTIONS,
    string::FUNCTIONS,
    format::FUNCTIONS,
    regex::FUNCTIONS,
    arrays::FUNCTIONS,
    topic::FUNCTIONS,
    encoding::FUNCTIONS,
    json::FUNCTIONS,
    jwt::FUNCTIONS,
    hash::FUNCTIONS,
    random::FUNCTIONS,
    system::FUNCTIONS,
    maps_lists::FUNCTIONS,
];

/// The module that functions without one are in; it may be named.
const DEFAULT_MODULE: &str = "emqx_variform_bif";

/// The names that are evaluated lazily, with the number of arguments each makes sense with.
pub(super) const SPECIAL_FORMS: [(&str, usize, usize); 3] = [
    ("iif", 3, 3),
    ("coalesce", 0, usize::MAX),
    ("is_empty", 1, 1),
];

/// All functions.
pub(super) fn all() -> impl Iterator<Item = &'static Builtin> {
    GROUPS.iter().copied().flatten()
}

/// What `name` with `arg_count` arguments calls (section 4).
pub(super) fn resolve(name: &str, arg_count: usize) -> Target {
    match name {
        "iif" => return Target::Iif,
        "coalesce" => return Target::Coalesce,
        "is_empty" => return Target::IsEmpty,
        _ => {}
    }
    let mut parts = name.split('.');
    let full_name = match (parts.next(), parts.next(), parts.next()) {
        (Some(DEFAULT_MODULE), Some(function), None) => function,
        (_, None, _) | (Some("lists" | "maps"), Some(_), None) => name,
        (_, Some(_), None) => return Target::Unresolved(ErrorCode::ModuleNotAllowed),
        _ => return Target::Unresolved(ErrorCode::InvalidFunctionReference),
    };
    match all().find(|builtin| builtin.name == full_name && builtin.accepts(arg_count)) {
        Some(builtin) => Target::Function(builtin),
        None => Target::Unresolved(ErrorCode::UnknownFunction),
    }
}

/// Fewest and most arguments of the function `name`, if there is one.
pub(super) fn arity(name: &str) -> Option<(usize, usize)> {
    if let Some((_, min, max)) = SPECIAL_FORMS.iter().find(|(form, _, _)| *form == name) {
        return Some((*min, *max));
    }
    let name = match name.split_once('.') {
        Some((DEFAULT_MODULE, function)) => function,
        _ => name,
    };
    let builtin = all().find(|builtin| builtin.name == name)?;
    Some((builtin.min_args, builtin.max_args))
}
