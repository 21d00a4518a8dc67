//! Tree to value (`spec/expressions.md` section 4): strict, left to right, but for three forms.

use super::{
    ast::{Call, Node, Target},
    error::{ErrorCode, Fault},
    functions::{Args, Scope},
    limits::MAX_STRING_BYTES,
    value::Value,
    variables::Variables,
};

type Evaluated<'a> = Result<Value<'a>, Fault<'a>>;

/// The value of `node`. Recursion is bounded by the parser's nesting limit.
pub(super) fn evaluate<'a>(node: &'a Node, variables: &'a dyn Variables) -> Evaluated<'a> {
    match node {
        Node::Text(literal) => Ok(Value::borrowed(literal.text.as_bytes())),
        Node::Integer(value) => Ok(Value::Integer(*value)),
        Node::Float(value) => Ok(Value::Float(*value)),
        Node::Variable(variable) => {
            let unbound = Fault {
                code: ErrorCode::VarUnbound,
                name: &variable.name,
                position: variable.position,
            };
            Value::from_lookup(variables.get(&variable.name)).ok_or(unbound)
        }
        Node::Array(elements) => {
            let values = elements.iter().map(|element| evaluate(element, variables));
            values.collect::<Result<_, _>>().map(Value::Array)
        }
        Node::Call(call) => evaluate_call(call, variables),
    }
}

fn evaluate_call<'a>(call: &'a Call, variables: &'a dyn Variables) -> Evaluated<'a> {
    let fault = |code| Fault {
        code,
        name: &call.name,
        position: call.position,
    };
    match call.target {
        Target::Function(builtin) => {
            let mut args = Args::default();
            for arg in &call.args {
                args.push(evaluate(arg, variables)?);
            }
            let scope = Scope {
                variables,
                pattern: call.pattern.as_ref(),
            };
            let value = (builtin.run)(&mut args, &scope).map_err(fault)?;
            match &value {
                Value::Text(text) if text.len() > MAX_STRING_BYTES => Err(fault(ErrorCode::BadArg)),
                _ => Ok(value),
            }
        }
        Target::Iif => match call.args.as_ref() {
            [condition, then, otherwise] => {
                let chosen = match guarded(condition, variables)? {
                    Value::Boolean(condition) => condition,
                    condition => !condition.is_empty(),
                };
                evaluate(if chosen { then } else { otherwise }, variables)
            }
            _ => Err(fault(ErrorCode::UnknownFunction)),
        },
        Target::IsEmpty => match call.args.as_ref() {
            [arg] => Ok(Value::Boolean(guarded(arg, variables)?.is_empty())),
            _ => Err(fault(ErrorCode::UnknownFunction)),
        },
        Target::Coalesce => match call.args.as_ref() {
            [Node::Array(alternatives)] => first_non_empty(alternatives, variables),
            [single] => match guarded(single, variables)? {
                Value::Array(elements) => Ok(elements
                    .into_iter()
                    .find(|element| !element.is_empty())
                    .unwrap_or(Value::EMPTY)),
                Value::Text(text) if text.is_empty() => Ok(Value::EMPTY),
                _ => Err(fault(ErrorCode::CoalesceBadarg)),
            },
            alternatives => first_non_empty(alternatives, variables),
        },
        Target::Unresolved(code) => Err(fault(code)),
    }
}

fn first_non_empty<'a>(nodes: &'a [Node], variables: &'a dyn Variables) -> Evaluated<'a> {
    for node in nodes {
        let value = guarded(node, variables)?;
        if !value.is_empty() {
            return Ok(value);
        }
    }
    Ok(Value::EMPTY)
}

/// An unbound variable anywhere inside counts as `''`; every other failure goes on up.
fn guarded<'a>(node: &'a Node, variables: &'a dyn Variables) -> Evaluated<'a> {
    match evaluate(node, variables) {
        Err(fault) if fault.code == ErrorCode::VarUnbound => Ok(Value::EMPTY),
        evaluated => evaluated,
    }
}
