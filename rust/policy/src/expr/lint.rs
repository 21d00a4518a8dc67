//! What compiles but surely is not meant: found at configuration load, reported as warnings.

use super::{
    ast::{Call, Literal, Node, Pattern, Position, Target},
    error::ErrorCode,
    functions::{self, SPECIAL_FORMS},
};

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// What kind of finding.
    pub kind: LintKind,
    /// Line and column in the source, both from 1, columns in characters.
    pub position: (u32, u32),
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that is known: a piece of expression.
    pub suggestion: Option<String>,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LintKind {
    /// No function of this name can be called: an error whenever it is evaluated.
    UnknownFunction,
    /// The function takes another number of arguments: an error whenever it is evaluated.
    WrongArity,
    /// A pattern that does not compile: an error whenever it is evaluated.
    InvalidPattern,
    /// `\\s`, `\\d`, `\\w` or `\\b` in a pattern: a literal backslash and a letter, where a class
    /// of characters must have been meant.
    DoubledBackslash,
}

/// Names that EMQX's manual gives to functions which have another one.
const MISNAMED: [(&str, &str); 3] = [
    ("any_to_string", "any_to_str"),
    ("is_empty_var", "is_empty_val"),
    ("map_to_rage", "map_to_range"),
];

/// The findings in `root`, in the order of the source.
pub(super) fn lint(root: &Node) -> Vec<Lint> {
    let mut lints = Vec::new();
    visit(root, &mut lints);
    lints.sort_by_key(|lint| lint.position);
    lints
}

/// `source` with `\\s \\d \\w \\b \\S \\D \\W \\B` inside its string literals written with a single
/// backslash; `None` when there is nothing to change. Works on any text, also one that does not
/// compile.
pub fn undouble_regex_classes(source: &str) -> Option<String> {
    let mut result = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find(['\'', '"']) {
        let (before, literal) = rest.split_at(open);
        let quote = if literal.starts_with('\'') { '\'' } else { '"' };
        let length = literal
            .get(1..)
            .and_then(|text| text.find(quote))
            .map(|length| length + 2);
        let (literal, after) = literal.split_at(length.unwrap_or(literal.len()));
        result.push_str(before);
        match undoubled(literal) {
            Some((text, _)) => result.push_str(&text),
            None => result.push_str(literal),
        }
        rest = after;
    }
    result.push_str(rest);
    (result != source).then_some(result)
}

fn visit(node: &Node, lints: &mut Vec<Lint>) {
    match node {
        Node::Array(nodes) => nodes.iter().for_each(|node| visit(node, lints)),
        Node::Call(call) => {
            visit_call(call, lints);
            call.args.iter().for_each(|node| visit(node, lints));
        }
        Node::Text(_) | Node::Integer(_) | Node::Float(_) | Node::Variable(_) => {}
    }
}

fn visit_call(call: &Call, lints: &mut Vec<Lint>) {
    match call.target {
        Target::Unresolved(code) => lints.push(unresolved(call, code)),
        Target::Iif | Target::Coalesce | Target::IsEmpty => lints.extend(wrong_arity(call)),
        Target::Function(_) => {}
    }
    let Some(pattern) = &call.pattern else { return };
    if let (Pattern::Literal(Err(problem)), Some(Node::Text(literal))) = (pattern, call.args.get(1))
    {
        lints.push(Lint {
            kind: LintKind::InvalidPattern,
            position: pair(literal.position),
            message: format!("the pattern of {} does not compile: {problem}", call.name),
            suggestion: None,
        });
    }
    if let Some(argument) = call.args.get(1) {
        doubled_backslashes(argument, lints);
    }
}

/// A call that fails whenever it is evaluated.
fn unresolved(call: &Call, code: ErrorCode) -> Lint {
    if let Some(lint) = wrong_arity(call) {
        return lint;
    }
    let (message, suggestion) = match code {
        ErrorCode::ModuleNotAllowed => {
            let message = format!("functions of this module may not be called: {}", call.name);
            (message, None)
        }
        ErrorCode::InvalidFunctionReference => (
            format!("a function name has at most one dot: {}", call.name),
            None,
        ),
        _ => {
            let suggestion = closest(&call.name).map(|name| format!("{name}(...)"));
            (format!("there is no function {}", call.name), suggestion)
        }
    };
    Lint {
        kind: LintKind::UnknownFunction,
        position: pair(call.position),
        message,
        suggestion,
    }
}

fn wrong_arity(call: &Call) -> Option<Lint> {
    let (min, max) = functions::arity(&call.name)?;
    let given = call.args.len();
    if (min..=max).contains(&given) {
        return None;
    }
    let expected = if min == max {
        format!("{min}")
    } else {
        format!("{min} to {max}")
    };
    let noun = if max == 1 { "argument" } else { "arguments" };
    Some(Lint {
        kind: LintKind::WrongArity,
        position: pair(call.position),
        message: format!("{} takes {expected} {noun}, not {given}", call.name),
        suggestion: (&*call.name == "concat" && given > max).then(|| "concat([..., ...])".into()),
    })
}

/// Looks at every literal that is part of a pattern.
fn doubled_backslashes(node: &Node, lints: &mut Vec<Lint>) {
    match node {
        Node::Text(literal) => lints.extend(doubled_backslash(literal)),
        Node::Array(nodes) => nodes
            .iter()
            .for_each(|node| doubled_backslashes(node, lints)),
        Node::Call(call) => call
            .args
            .iter()
            .for_each(|node| doubled_backslashes(node, lints)),
        Node::Integer(_) | Node::Float(_) | Node::Variable(_) => {}
    }
}

fn doubled_backslash(literal: &Literal) -> Option<Lint> {
    let (text, offset) = undoubled(&literal.text)?;
    let doubled: String = literal.text.get(offset..)?.chars().take(3).collect();
    let class = doubled.get(1..)?;
    let quote = if text.contains('\'') { '"' } else { '\'' };
    Some(Lint {
        kind: LintKind::DoubledBackslash,
        position: pair(place_in(literal, offset)),
        message: format!("{doubled} matches a backslash and a letter; the class is {class}"),
        suggestion: Some(format!("{quote}{text}{quote}")),
    })
}

/// `text` with doubled backslashes before class letters made single, and the offset of the first;
/// `None` when there are none. Longer runs of backslashes are left alone.
fn undoubled(text: &str) -> Option<(String, usize)> {
    let mut result = String::with_capacity(text.len());
    let mut first = None;
    let mut rest = text;
    while let Some(start) = rest.find('\\') {
        let (before, run) = rest.split_at(start);
        let after = run.trim_start_matches('\\');
        let length = run.len() - after.len();
        let doubled = length == 2 && after.starts_with(['s', 'd', 'w', 'b', 'S', 'D', 'W', 'B']);
        if doubled {
            first = first.or(Some(text.len() - run.len()));
        }
        result.push_str(before);
        result.push_str(
            run.get(..if doubled { 1 } else { length })
                .unwrap_or_default(),
        );
        rest = after;
    }
    result.push_str(rest);
    first.map(|first| (result, first))
}

/// Where the byte `offset` of a literal's text is in the source.
fn place_in(literal: &Literal, offset: usize) -> Position {
    let Position {
        mut line,
        mut column,
    } = literal.position;
    column += 1; // the quote
    for character in literal.text.get(..offset).unwrap_or_default().chars() {
        if character == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    Position { line, column }
}

fn pair(position: Position) -> (u32, u32) {
    (position.line, position.column)
}

/// The function that an unknown name most likely means.
fn closest(name: &str) -> Option<&'static str> {
    if let Some((_, right)) = MISNAMED.iter().find(|(wrong, _)| *wrong == name) {
        return Some(right);
    }
    let special = SPECIAL_FORMS.iter().map(|(name, _, _)| *name);
    let candidates = functions::all().map(|builtin| builtin.name).chain(special);
    let close = candidates.map(|candidate| (distance(name, candidate), candidate));
    let allowed = if name.len() < 5 { 1 } else { 2 };
    close
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Number of characters to insert, remove or exchange (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (deleted, left) in from.chars().enumerate() {
        let mut diagonal = deleted;
        let mut before = deleted + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, right) in row.iter_mut().skip(1).zip(to.chars()) {
            let exchanged = diagonal + usize::from(left != right);
            diagonal = *cell;
            before = exchanged.min(before + 1).min(diagonal + 1);
            *cell = before;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::Expression;
    use super::*;

    fn only(source: &str) -> Lint {
        let mut lints = Expression::compile(source).unwrap().lint();
        assert_eq!(lints.len(), 1, "{lints:?}");
        lints.remove(0)
    }

    #[test]
    fn says_nothing_about_sound_expressions() {
        for source in [
            "clientid",
            r"nth(2, regex_extract(jwt_value(password, 'scp'), '(^|\s)(read)(\s|$)'))",
            r"regex_match('a\b','\\')",
            r"concat(unescape('\\s'), 'x')",
            "coalesce()",
            "lists.last(tokens(a, '-'))",
            "emqx_variform_bif.lower(a)",
        ] {
            assert_eq!(Expression::compile(source).unwrap().lint(), [], "{source}");
        }
    }

    #[test]
    fn finds_unknown_functions() {
        let lint = only("concat(\n  'a', lowr(b))");
        assert_eq!(
            (lint.kind, lint.position),
            (LintKind::UnknownFunction, (2, 8))
        );
        assert_eq!(lint.suggestion.as_deref(), Some("lower(...)"));
        assert_eq!(
            only("any_to_string(1)").suggestion.as_deref(),
            Some("any_to_str(...)")
        );
        assert_eq!(only("entirely_made_up(1)").suggestion, None);
        assert!(only("os.cmd('id')").message.contains("module"));
        assert!(only("a.b.c(1)").message.contains("dot"));
        assert_eq!(
            only("maps.gett('k', m)").suggestion.as_deref(),
            Some("maps.get(...)")
        );
    }

    #[test]
    fn finds_wrong_numbers_of_arguments() {
        let lint = only("concat(client_attrs.tns, '-', clientid)");
        assert_eq!((lint.kind, lint.position), (LintKind::WrongArity, (1, 1)));
        assert_eq!(lint.message, "concat takes 1 to 2 arguments, not 3");
        assert_eq!(lint.suggestion.as_deref(), Some("concat([..., ...])"));
        assert_eq!(only("iif(a, b)").message, "iif takes 3 arguments, not 2");
        assert_eq!(only("lower()").message, "lower takes 1 argument, not 0");
        assert_eq!(only("maps.size()").kind, LintKind::WrongArity);
    }

    #[test]
    fn finds_doubled_backslashes_in_patterns() {
        let lint = only("regex_match(scp, '(^|\\\\s)\nread\\\\d')");
        assert_eq!(
            (lint.kind, lint.position),
            (LintKind::DoubledBackslash, (1, 22))
        );
        assert_eq!(lint.suggestion.as_deref(), Some("'(^|\\s)\nread\\d'"));
        assert!(lint.message.starts_with(r"\\s "), "{}", lint.message);
        assert_eq!(
            only(r"regex_match(a, concat(['\\w', b]))").position,
            (1, 25)
        );
        assert_eq!(
            only(r#"regex_match(a, "'\\W")"#).suggestion.as_deref(),
            Some(r#""'\W""#)
        );
    }

    #[test]
    fn finds_patterns_that_do_not_compile() {
        let lint = only("regex_match(a, '(')");
        assert_eq!(
            (lint.kind, lint.position),
            (LintKind::InvalidPattern, (1, 16))
        );
    }

    #[test]
    fn undoubles_inside_literals_only() {
        let undoubled = undouble_regex_classes(r"f(a, '(^|\\s)(read)(\\s|$)')").unwrap();
        assert_eq!(undoubled, r"f(a, '(^|\s)(read)(\s|$)')");
        assert_eq!(
            undouble_regex_classes(r#"f("\\d\\B", '\s')"#).unwrap(),
            r#"f("\d\B", '\s')"#
        );
        // Neither other letters, nor longer runs, nor text outside of literals.
        for source in [
            r"f('\\n\\x', '\\')",
            r"f('\\\s', '\\\\s')",
            r"a \\s 'b' \\d",
            "",
            "'",
        ] {
            assert_eq!(undouble_regex_classes(source), None, "{source}");
        }
        assert_eq!(undouble_regex_classes(r"'\\s").unwrap(), r"'\s");
    }
}
