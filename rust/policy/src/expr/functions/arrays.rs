//! `nth`, and the functions that turn arrays into text (sections 5.3 and 5.5).

use super::super::limits::Bounded;
use super::{
    Args, Builtin, ErrorCode, Outcome, Scope, Value,
    args::{joined, string},
};

pub(super) const FUNCTIONS: &[Builtin] = &[
    Builtin::new("nth", 2, 2, nth),
    Builtin::new("concat", 1, 2, concat),
    Builtin::new("join_to_string", 1, 2, join_to_string),
    Builtin::new("any_to_str", 1, 1, |args, _| {
        args.take(0).stringify().map(Value::Text)
    }),
];

/// Past the end there is nothing; before the start is an error.
fn nth<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let index = index(args.take(0))?;
    let elements = args.array(1)?;
    let position = index.checked_sub(1).filter(|position| *position >= 0);
    let position = position.ok_or(ErrorCode::Exception)?;
    let element = usize::try_from(position)
        .ok()
        .and_then(|at| elements.into_iter().nth(at));
    Ok(element.unwrap_or(Value::EMPTY))
}

/// An integer, or text (also in pieces) that spells one.
fn index(value: Value<'_>) -> Result<i128, ErrorCode> {
    match value {
        Value::Integer(index) => Ok(index),
        Value::Text(text) => parse_index(&text),
        Value::Array(elements) => parse_index(&joined(elements)?),
        Value::Undefined | Value::Null => Err(ErrorCode::BadArg),
        _ => Err(ErrorCode::Exception),
    }
}

fn parse_index(text: &[u8]) -> Result<i128, ErrorCode> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ErrorCode::InvalidArgument);
    }
    let magnitude = digits.iter().fold(0_i128, |magnitude, digit| {
        magnitude
            .saturating_mul(10)
            .saturating_add(i128::from(digit - b'0'))
    });
    Ok(if negative { -magnitude } else { magnitude })
}

/// With one argument the elements of an array, with two the arguments, as text end to end.
fn concat<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let values = match args.len() {
        1 => args.array(0)?,
        _ => vec![args.take(0), args.take(1)],
    };
    join(values, b"")
}

fn join_to_string<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    if args.len() == 1 {
        return join(args.array(0)?, b", ");
    }
    let separator = string(args.take(0))?;
    join(args.array(1)?, &separator)
}

fn join<'a>(values: Vec<Value<'a>>, separator: &[u8]) -> Outcome<'a> {
    let mut text = Bounded::default();
    for (position, value) in values.into_iter().enumerate() {
        if position > 0 {
            text.push(separator)?;
        }
        text.push(&value.stringify()?)?;
    }
    Ok(Value::owned(text.into_vec()))
}
