//! Regular expressions, in the dialect of [`crate::regex`] (sections 5.4 and 6).

use std::sync::Arc;

use super::super::{
    ast::{CompiledPattern, Pattern, recompile},
    limits::Bounded,
};
use super::{
    Args, Builtin, ErrorCode, Outcome, Scope, Value,
    args::{parts, utf8},
};
use crate::regex::Captures;

pub(super) const FUNCTIONS: &[Builtin] = &[
    Builtin::new("regex_match", 2, 2, regex_match).with_pattern(),
    Builtin::new("regex_replace", 3, 3, regex_replace).with_pattern(),
    Builtin::new("regex_extract", 2, 2, regex_extract).with_pattern(),
];

/// The pattern of this call: compiled with the expression, or now.
enum Compiled<'a> {
    Ready(&'a CompiledPattern),
    Now(Arc<CompiledPattern>),
}

impl Compiled<'_> {
    fn get(&self) -> &CompiledPattern {
        match self {
            Self::Ready(pattern) => pattern,
            Self::Now(pattern) => pattern,
        }
    }
}

fn compiled<'a>(args: &mut Args<'a>, scope: &Scope<'a>) -> Result<Compiled<'a>, ErrorCode> {
    match scope.pattern {
        Some(Pattern::Literal(Ok(pattern))) => Ok(Compiled::Ready(pattern)),
        Some(Pattern::Computed(slot)) => {
            let text = utf8(args.joined_string(1)?)?;
            recompile(slot, &text).map(Compiled::Now)
        }
        Some(Pattern::Literal(Err(_))) | None => Err(ErrorCode::Exception),
    }
}

fn regex_match<'a>(args: &mut Args<'a>, scope: &Scope<'a>) -> Outcome<'a> {
    let subject = args.joined_text(0)?;
    let pattern = compiled(args, scope)?;
    Ok(Value::Boolean(pattern.get().regex().is_match(&subject)))
}

/// The groups of the first match; unset ones at the end are left out, others are empty.
fn regex_extract<'a>(args: &mut Args<'a>, scope: &Scope<'a>) -> Outcome<'a> {
    let subject = args.joined_text(0)?;
    let pattern = compiled(args, scope)?;
    let Some(captures) = pattern.get().regex().captures(&subject) else {
        return Ok(Value::Array(Vec::new()));
    };
    let groups = 1..captures.group_count();
    let set = groups
        .rev()
        .find(|group| captures.span(*group).is_some())
        .unwrap_or(0);
    let spans = (1..=set).map(|group| captures.span(group).unwrap_or_default());
    Ok(parts(&subject, spans))
}

fn regex_replace<'a>(args: &mut Args<'a>, scope: &Scope<'a>) -> Outcome<'a> {
    let subject = args.joined_text(0)?;
    let pattern = compiled(args, scope)?;
    let replacement = args.joined_string(2)?;
    let replacement = parse_replacement(&replacement)?;
    let mut replaced = Bounded::default();
    let mut copied = 0;
    let mut from = 0;
    let mut after_empty = false;
    while let Some(captures) = next_match(pattern.get(), &subject, from, after_empty) {
        let Some((start, end)) = captures.span(0) else {
            break;
        };
        // \K can put a match anywhere: go on only while that leads towards the end.
        let empty = start >= end;
        if end < from || end == from && (after_empty || !empty) {
            break;
        }
        replaced.push(subject.get(copied..start).unwrap_or_default())?;
        for piece in &replacement {
            match piece {
                Piece::Text(text) => replaced.push(text)?,
                Piece::Group(group) => replaced.push(captures.get(*group).unwrap_or_default())?,
            }
        }
        copied = end;
        from = end;
        after_empty = empty;
    }
    if copied == 0 && from == 0 && !after_empty {
        return Ok(Value::Text(subject));
    }
    replaced.push(subject.get(copied..).unwrap_or_default())?;
    Ok(Value::owned(replaced.into_vec()))
}

/// The next match from `from` on; where an empty one was just found, only another kind counts.
fn next_match<'s>(
    pattern: &CompiledPattern,
    subject: &'s [u8],
    from: usize,
    after_empty: bool,
) -> Option<Captures<'s>> {
    let regex = if after_empty {
        pattern.nonempty_at_start()?
    } else {
        pattern.regex()
    };
    regex.captures_at(subject, from)
}

/// A part of a replacement text.
enum Piece<'r> {
    Text(&'r [u8]),
    Group(usize),
}

/// `&` is the whole match; `\1`, `\g1` and `\g{1}` are groups; a backslash before anything else
/// makes it plain.
fn parse_replacement(replacement: &[u8]) -> Result<Vec<Piece<'_>>, ErrorCode> {
    let mut pieces = Vec::new();
    let mut rest = replacement;
    while !rest.is_empty() {
        let special = memchr::memchr2(b'\\', b'&', rest).unwrap_or(rest.len());
        let (plain, after) = rest.split_at(special);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        rest = match after {
            [] => after,
            [b'&', after @ ..] => {
                pieces.push(Piece::Group(0));
                after
            }
            [b'\\', b'g', b'{', after @ ..] => {
                let (group, after) = group_number(after)?;
                pieces.push(Piece::Group(group));
                after.strip_prefix(b"}").ok_or(ErrorCode::Exception)?
            }
            [b'\\', b'g' | b'1'..=b'9', ..] => {
                let named = after.strip_prefix(b"\\g").or(after.get(1..));
                let after = named.unwrap_or_default();
                let (group, after) = group_number(after)?;
                pieces.push(Piece::Group(group));
                after
            }
            [b'\\', _, after @ ..] => {
                pieces.push(Piece::Text(
                    rest.get(special + 1..special + 2).unwrap_or_default(),
                ));
                after
            }
            [_, after @ ..] => {
                pieces.push(Piece::Text(b"\\"));
                after
            }
        };
    }
    Ok(pieces)
}

fn group_number(text: &[u8]) -> Result<(usize, &[u8]), ErrorCode> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err(ErrorCode::Exception);
    }
    let (digits, after) = text.split_at(digits);
    let number = digits.iter().fold(0_usize, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'))
    });
    Ok((number, after))
}
