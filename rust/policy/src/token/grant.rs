//! What verified claims give the client (`spec/authentication.md` sections 3.1, 3.2 and 19.4).

use std::sync::Arc;

use super::{claims::NumericDate, value::Value};
use crate::{
    acl::Preset,
    client::Attributes,
    decision::{Answer, Why, reason_code},
};

/// A name that `client_attrs` and `client_attrs_init` may set: a letter or digit, then letters, digits,
/// `-` and `_`, all ASCII.
pub(crate) fn is_attribute_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// `true`, an integer of at least 1, or either as text; everything else is not a superuser.
pub(super) fn is_superuser(claim: Option<&Value<'_>>) -> bool {
    match claim {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Integer(number)) => *number >= 1,
        Some(Value::Text(text)) => {
            text == "true" || text.parse::<i64>().is_ok_and(|number| number >= 1)
        }
        _ => false,
    }
}

/// A non-empty text replaces the client id; anything else has no effect.
pub(super) fn client_id_override(claim: Option<&Value<'_>>) -> Option<Box<str>> {
    claim
        .and_then(Value::as_text)
        .filter(|text| !text.is_empty())
        .map(Into::into)
}

/// The `client_attrs` claim: members with invalid names are dropped, a value that is no text spoils all.
pub(super) fn client_attrs(claim: Option<&Value<'_>>) -> Result<Attributes, Why> {
    let bad = |detail: String| Why::with("bad_client_attrs", detail);
    let members = match claim {
        None => return Ok(Attributes::new()),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(bad("client_attrs is not an object".to_owned())),
    };
    members
        .iter()
        .filter(|(name, _)| is_attribute_name(name))
        .map(|(name, value)| {
            let text = attribute_text(value)
                .ok_or_else(|| bad(format!("the value of client_attrs.{name} is not a text")))?;
            Ok((name.as_ref().into(), text))
        })
        .collect()
}

fn attribute_text(value: &Value<'_>) -> Option<Box<str>> {
    match value {
        Value::Text(text) => Some(text.as_ref().into()),
        Value::List(items) => {
            let mut bytes = Vec::new();
            join(items, &mut bytes)?;
            String::from_utf8(bytes).ok().map(Into::into)
        }
        _ => None,
    }
}

/// Texts and bytes joined, in nested lists too. The parser bounds the nesting.
fn join(items: &[Value<'_>], into: &mut Vec<u8>) -> Option<()> {
    items.iter().try_for_each(|item| match item {
        Value::Text(text) => {
            into.extend_from_slice(text.as_bytes());
            Some(())
        }
        Value::Integer(byte) => {
            into.push(u8::try_from(*byte).ok()?);
            Some(())
        }
        Value::List(items) => join(items, into),
        _ => None,
    })
}

/// The ACL claim; its rules end with `exp`. A bad rule in the list form is the token's fault and denies;
/// a claim that is neither list nor object is a failure.
pub(super) fn acl(
    claim: Option<&Value<'_>>,
    exp: Option<NumericDate>,
) -> Result<Option<Arc<Preset>>, Answer> {
    let claim = match claim {
        None => return Ok(None),
        Some(claim @ (Value::List(_) | Value::Object(_))) => claim.to_json(),
        Some(_) => {
            let detail = "the ACL claim is neither a list nor an object";
            return Err(Answer::Failure(Why::with("bad_acl", detail)));
        }
    };
    match Preset::from_json(&claim, exp.map(NumericDate::expiry)) {
        Ok(preset) => Ok(Some(Arc::new(preset))),
        Err(error) => Err(Answer::Deny(
            reason_code::BAD_USER_NAME_OR_PASSWORD,
            Why::with("bad_acl", error.to_string()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superuser_needs_a_clear_yes() {
        let yes = [
            Value::Bool(true),
            Value::Integer(2),
            Value::Text("true".into()),
            Value::Text("1".into()),
        ];
        let no = [
            Value::Bool(false),
            Value::Null,
            Value::Integer(0),
            Value::Integer(-1),
            Value::Float(1.0),
            Value::Text("TRUE".into()),
            Value::Text("1.5".into()),
            Value::Text("yes".into()),
            Value::Text("".into()),
            Value::List(vec![]),
            Value::Object(vec![]),
        ];
        assert!(yes.iter().all(|claim| is_superuser(Some(claim))));
        assert!(no.iter().all(|claim| !is_superuser(Some(claim))));
        assert!(!is_superuser(None));
    }

    #[test]
    fn attribute_names() {
        assert!(["a", "9x", "a-b_c", "A"].into_iter().all(is_attribute_name));
        assert!(
            ["", "_a", "-a", "a.b", "é", "a b", "a\n"]
                .into_iter()
                .all(|name| !is_attribute_name(name))
        );
    }

    #[test]
    fn lists_of_texts_and_bytes_are_joined() {
        let claim = |value| Value::Object(vec![("a".into(), value), ("_x".into(), Value::Null)]);
        let list = Value::List(vec![Value::Text("ab".into()), Value::Integer(99)]);
        let attributes = client_attrs(Some(&claim(list)));
        assert_eq!(
            attributes.ok().and_then(|a| a.get("a").cloned()).as_deref(),
            Some("abc")
        );
        assert!(client_attrs(Some(&claim(Value::Integer(1)))).is_err());
        assert!(client_attrs(Some(&Value::Text("x".into()))).is_err());
    }
}
