//! The environment and the clock (section 5.8).

use super::{Args, Builtin, Outcome, Scope, Value};

pub(super) const FUNCTIONS: &[Builtin] = &[
    Builtin::new("getenv", 1, 1, getenv),
    Builtin::new("timestamp_s", 0, 0, |_, scope| {
        Ok(Value::integer(scope.variables.now_ms() / 1000))
    }),
    Builtin::new("timestamp_ms", 0, 0, |_, scope| {
        Ok(Value::integer(scope.variables.now_ms()))
    }),
];

/// Only variables with the fixed prefix can be named; an unset one is `''`.
fn getenv<'a>(args: &mut Args<'a>, scope: &Scope<'a>) -> Outcome<'a> {
    let name = args.string(0)?;
    let value = std::str::from_utf8(&name)
        .ok()
        .and_then(|name| scope.variables.environment(name));
    Ok(value.map_or(Value::EMPTY, |value| Value::owned(value.into_bytes())))
}
