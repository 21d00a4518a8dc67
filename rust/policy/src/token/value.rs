//! A token's payload, parsed once: members somebody asked for become values that borrow from the text,
//! all others are skipped without being built.

use std::{borrow::Cow, fmt};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};

/// A JSON value that borrows its texts where they hold no escapes. Nesting is bounded by the parser
/// (128 levels).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    /// Also integers outside the range of `i64`.
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl Value<'_> {
    /// The text, if the value is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same value, owning everything.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(bool) => (*bool).into(),
            Self::Integer(integer) => (*integer).into(),
            Self::Float(float) => (*float).into(),
            Self::Text(text) => text.as_ref().into(),
            Self::List(items) => items.iter().map(Value::to_json).collect(),
            Self::Object(members) => members
                .iter()
                .map(|(name, value)| (name.as_ref().to_owned(), value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// Parse a payload: one slot for each name in `wanted`, filled with the last member of that name.
/// `None` when the bytes are not one JSON object in UTF-8 with nothing after it.
pub(super) fn parse<'a>(payload: &'a [u8], wanted: &[Box<str>]) -> Option<Vec<Option<Value<'a>>>> {
    let text = std::str::from_utf8(payload).ok()?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let slots = Members(wanted).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(slots)
}

struct Members<'w>(&'w [Box<str>]);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Vec<Option<Value<'de>>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<Option<Value<'de>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut slots = Vec::with_capacity(self.0.len());
        slots.resize_with(self.0.len(), || None);
        while let Some(index) = map.next_key_seed(Position(self.0))? {
            match index.and_then(|index| slots.get_mut(index)) {
                Some(slot) => *slot = Some(map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(slots)
    }
}

/// Where a member's name stands among the wanted ones.
struct Position<'w>(&'w [Box<str>]);

impl<'de> DeserializeSeed<'de> for Position<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Position<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| **wanted == *name))
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Self::Value, E> {
        Ok(Value::Integer(integer))
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Self::Value, E> {
        #[allow(
            clippy::cast_precision_loss,
            reason = "only integers past i64::MAX, which no claim needs exactly"
        )]
        Ok(i64::try_from(integer).map_or(Value::Float(integer as f64), Value::Integer))
    }

    fn visit_f64<E: serde::de::Error>(self, float: f64) -> Result<Self::Value, E> {
        if float.is_finite() {
            Ok(Value::Float(float))
        } else {
            Err(E::custom("number out of range"))
        }
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<Value<'de>>()? {
            let Value::Text(name) = name else {
                return Err(A::Error::custom("a member name is not a text"));
            };
            members.push((name, map.next_value()?));
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    fn wanted(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn last_duplicate_wins_and_unwanted_members_are_skipped() {
        let payload = br#"{"a":1,"x":{"a":[{}]},"a":"two","b":null}"#;
        let slots = parse(payload, &wanted(&["a", "b", "c"])).unwrap();
        assert_eq!(slots[0], Some(Value::Text("two".into())));
        assert_eq!(slots[1], Some(Value::Null));
        assert_eq!(slots[2], None);
    }

    #[test]
    fn only_one_utf8_object_is_a_payload() {
        let names = wanted(&["a"]);
        for bad in [
            &b"hello"[..],
            b"[1]",
            b"\"a\"",
            b"{} {}",
            b"{}x",
            b"",
            b"{\"z\":\"\xff\"}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":1e999}",
        ] {
            assert_eq!(parse(bad, &names), None, "{bad:?}");
        }
        assert!(parse(b" {} \n", &names).is_some());
    }

    #[test]
    fn deep_nesting_is_skipped_or_refused_but_never_overflows() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
        assert_eq!(parse(deep.as_bytes(), &wanted(&["a"])), None);
        assert!(parse(deep.as_bytes(), &wanted(&["b"])).is_some());
    }
}
