//! Comparing texts and numbers (section 5.2).

use std::cmp::Ordering;

use super::{Args, Builtin, ErrorCode, Value};

pub(super) const FUNCTIONS: &[Builtin] = &[
    Builtin::new("str_comp", 2, 2, |args, _| text_order(args).map(word)),
    Builtin::new("str_eq", 2, 2, |args, _| {
        text_order(args).map(is(Ordering::is_eq))
    }),
    Builtin::new("str_neq", 2, 2, |args, _| {
        text_order(args).map(is(Ordering::is_ne))
    }),
    Builtin::new("str_lt", 2, 2, |args, _| {
        text_order(args).map(is(Ordering::is_lt))
    }),
    Builtin::new("str_lte", 2, 2, |args, _| {
        text_order(args).map(is(Ordering::is_le))
    }),
    Builtin::new("str_gt", 2, 2, |args, _| {
        text_order(args).map(is(Ordering::is_gt))
    }),
    Builtin::new("str_gte", 2, 2, |args, _| {
        text_order(args).map(is(Ordering::is_ge))
    }),
    Builtin::new("num_comp", 2, 2, |args, _| number_order(args).map(word)),
    Builtin::new("num_eq", 2, 2, |args, _| {
        number_order(args).map(is(Ordering::is_eq))
    }),
    Builtin::new("num_neq", 2, 2, |args, _| {
        number_order(args).map(is(Ordering::is_ne))
    }),
    Builtin::new("num_lt", 2, 2, |args, _| {
        number_order(args).map(is(Ordering::is_lt))
    }),
    Builtin::new("num_lte", 2, 2, |args, _| {
        number_order(args).map(is(Ordering::is_le))
    }),
    Builtin::new("num_gt", 2, 2, |args, _| {
        number_order(args).map(is(Ordering::is_gt))
    }),
    Builtin::new("num_gte", 2, 2, |args, _| {
        number_order(args).map(is(Ordering::is_ge))
    }),
];

/// The order of both values' texts, by bytes.
fn text_order(args: &mut Args<'_>) -> Result<Ordering, ErrorCode> {
    let left = args.take(0).stringify()?;
    let right = args.take(1).stringify()?;
    Ok(left.cmp(&right))
}

/// As EMQX: an integer never equals a float, and of two of one size the left one is the greater.
#[expect(
    clippy::float_cmp,
    reason = "equality of numbers is exact by specification"
)]
fn number_order(args: &mut Args<'_>) -> Result<Ordering, ErrorCode> {
    let (left, right) = (args.take(0), args.take(1));
    if let (Value::Integer(left), Value::Integer(right)) = (&left, &right) {
        return Ok(left.cmp(right));
    }
    let (Some(a), Some(b)) = (left.number(), right.number()) else {
        return Err(ErrorCode::Exception);
    };
    let same_type = matches!((&left, &right), (Value::Float(_), Value::Float(_)));
    Ok(if same_type && a == b {
        Ordering::Equal
    } else if a < b {
        Ordering::Less
    } else {
        Ordering::Greater
    })
}

fn is<'a>(test: fn(Ordering) -> bool) -> impl FnOnce(Ordering) -> Value<'a> {
    move |order| Value::Boolean(test(order))
}

fn word<'a>(order: Ordering) -> Value<'a> {
    Value::Symbol(match order {
        Ordering::Less => "lt",
        Ordering::Equal => "eq",
        Ordering::Greater => "gt",
    })
}
