//! The side-effect-free part of Erlang's `lists` and `maps` modules (section 5.5).

use std::{borrow::Cow, cmp::Ordering};

use serde_json::{Map, Value as Json};

use super::{Args, Builtin, ErrorCode, Outcome, Scope, Value};

pub(super) const FUNCTIONS: &[Builtin] = &[
    Builtin::new("lists.nth", 2, 2, lists_nth),
    Builtin::new("lists.last", 1, 1, |args, _| {
        args.array(0)?.pop().ok_or(ErrorCode::Exception)
    }),
    Builtin::new("lists.reverse", 1, 1, lists_reverse),
    Builtin::new("lists.member", 2, 2, lists_member),
    Builtin::new("lists.sum", 1, 1, lists_sum),
    Builtin::new("lists.max", 1, 1, |args, _| {
        extreme(args, Ordering::Greater)
    }),
    Builtin::new("lists.min", 1, 1, |args, _| extreme(args, Ordering::Less)),
    Builtin::new("lists.sort", 1, 1, |args, _| sorted(args).map(Value::Array)),
    Builtin::new("lists.usort", 1, 1, lists_usort),
    Builtin::new("lists.append", 2, 2, lists_append),
    Builtin::new("maps.get", 2, 3, maps_get),
    Builtin::new("maps.is_key", 2, 2, maps_is_key),
    Builtin::new("maps.keys", 1, 1, maps_keys),
    Builtin::new("maps.values", 1, 1, maps_values),
    Builtin::new("maps.size", 1, 1, |args, _| {
        object(args, 0).map(|map| Value::integer(map.len()))
    }),
    Builtin::new("maps.new", 0, 0, |_, _| {
        Ok(Value::Object(Cow::Owned(Map::new())))
    }),
];

fn lists_nth<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let index = args.integer(0, ErrorCode::Exception)?;
    let position = index
        .checked_sub(1)
        .and_then(|position| usize::try_from(position).ok());
    let elements = args.array(1)?;
    position
        .and_then(|at| elements.into_iter().nth(at))
        .ok_or(ErrorCode::Exception)
}

fn lists_reverse<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let mut elements = args.array(0)?;
    elements.reverse();
    Ok(Value::Array(elements))
}

fn lists_member<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let wanted = args.take(0);
    Ok(Value::Boolean(args.array(1)?.contains(&wanted)))
}

/// Integers as long as all are; one float makes the sum a float.
fn lists_sum<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    args.array(0)?
        .into_iter()
        .try_fold(Value::Integer(0), |sum, element| match (&sum, &element) {
            (Value::Integer(a), Value::Integer(b)) => a
                .checked_add(*b)
                .map(Value::Integer)
                .ok_or(ErrorCode::Exception),
            _ => match (sum.number(), element.number()) {
                (Some(a), Some(b)) if (a + b).is_finite() => Ok(Value::Float(a + b)),
                _ => Err(ErrorCode::Exception),
            },
        })
}

/// The first of the elements that no other one exceeds in direction `wanted`.
fn extreme<'a>(args: &mut Args<'a>, wanted: Ordering) -> Outcome<'a> {
    let best = |best: Value<'a>, next: Value<'a>| {
        if next.order(&best) == wanted {
            next
        } else {
            best
        }
    };
    args.array(0)?
        .into_iter()
        .reduce(best)
        .ok_or(ErrorCode::Exception)
}

fn sorted<'a>(args: &mut Args<'a>) -> Result<Vec<Value<'a>>, ErrorCode> {
    let mut elements = args.array(0)?;
    elements.sort_by(Value::order);
    Ok(elements)
}

fn lists_usort<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let mut elements = sorted(args)?;
    elements.dedup_by(|a, b| a.order(b).is_eq());
    Ok(Value::Array(elements))
}

fn lists_append<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let mut elements = args.array(0)?;
    elements.extend(args.array(1)?);
    Ok(Value::Array(elements))
}

type Object<'a> = Cow<'a, Map<String, Json>>;

fn object<'a>(args: &mut Args<'a>, index: usize) -> Result<Object<'a>, ErrorCode> {
    match args.take(index) {
        Value::Object(object) => Ok(object),
        _ => Err(ErrorCode::Exception),
    }
}

/// The member `key` of `object`: keys are strings, so no other value is one.
fn member<'a>(object: Object<'a>, key: &Value<'_>) -> Option<Value<'a>> {
    let Value::Text(key) = key else { return None };
    let key = std::str::from_utf8(key).ok()?;
    match object {
        Cow::Borrowed(object) => object.get(key).map(Value::from_json),
        Cow::Owned(mut object) => object.remove(key).map(Value::from_owned_json),
    }
}

fn maps_get<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let key = args.take(0);
    let object = object(args, 1)?;
    member(object, &key)
        .or_else(|| args.optional(2))
        .ok_or(ErrorCode::Exception)
}

fn maps_is_key<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let key = args.take(0);
    Ok(Value::Boolean(member(object(args, 1)?, &key).is_some()))
}

fn maps_keys<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    Ok(Value::Array(match object(args, 0)? {
        Cow::Borrowed(map) => map
            .keys()
            .map(|key| Value::borrowed(key.as_bytes()))
            .collect(),
        Cow::Owned(map) => map
            .into_iter()
            .map(|(key, _)| Value::owned(key.into_bytes()))
            .collect(),
    }))
}

fn maps_values<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    Ok(Value::Array(match object(args, 0)? {
        Cow::Borrowed(map) => map.values().map(Value::from_json).collect(),
        Cow::Owned(map) => map
            .into_iter()
            .map(|(_, value)| Value::from_owned_json(value))
            .collect(),
    }))
}
