//! `not` and `is_empty_val`; the lazy forms are in the evaluator (section 5.1).

use super::{Args, Builtin, ErrorCode, Outcome, Scope, Value};

pub(super) const FUNCTIONS: &[Builtin] = &[
    Builtin::new("is_empty_val", 1, 1, is_empty_val),
    Builtin::new("not", 1, 1, not),
];

#[expect(clippy::unnecessary_wraps, reason = "the signature of every function")]
fn is_empty_val<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    Ok(Value::Boolean(args.take(0).is_empty()))
}

/// A string stays a string: boolean literals are strings.
fn not<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    match args.take(0) {
        Value::Boolean(value) => Ok(Value::Boolean(!value)),
        Value::Text(text) if *text == *b"true" => Ok(Value::borrowed(b"false")),
        Value::Text(text) if *text == *b"false" => Ok(Value::borrowed(b"true")),
        _ => Err(ErrorCode::Exception),
    }
}
