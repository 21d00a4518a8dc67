//! `json_value`: one value out of a JSON text (section 5.7).
//!
//! The text is read once, without building a tree of it: only the wanted value is kept. What is
//! passed over is still checked, because a text that is not JSON has no values at all.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::{Args, Builtin, ErrorCode, Outcome, Scope, Value};

pub(super) const FUNCTIONS: &[Builtin] = &[Builtin::new("json_value", 2, 2, json_value)];

fn json_value<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = match args.take(0) {
        Value::Text(text) => text,
        Value::Undefined | Value::Null => return Err(ErrorCode::BadArg),
        _ => return Ok(Value::Undefined),
    };
    value_at(&text, args.take(1))
}

/// The value at the dotted `path` of the JSON `text`; undefined if there is none for any reason.
pub(super) fn value_at<'a>(text: &[u8], path: Value<'a>) -> Outcome<'a> {
    let path = match path {
        Value::Text(path) => path,
        Value::Undefined | Value::Null => return Err(ErrorCode::BadArg),
        _ => return Ok(Value::Undefined),
    };
    if path.is_empty() {
        return Err(ErrorCode::BadArg);
    }
    let (Ok(text), Ok(path)) = (std::str::from_utf8(text), std::str::from_utf8(&path)) else {
        return Ok(Value::Undefined);
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let found = At { path: Some(path) }.deserialize(&mut json);
    let found = found.and_then(|found| json.end().map(|()| found));
    // serde_json gives up past 128 levels, which counts as "not JSON" too.
    Ok(found
        .ok()
        .flatten()
        .map_or(Value::Undefined, Value::from_owned_json))
}

/// Reads a value and keeps what `path` leads to; without a path, the value itself.
#[derive(Clone, Copy)]
struct At<'p> {
    path: Option<&'p str>,
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Json>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.path {
            None => Json::deserialize(deserializer).map(Some),
            Some(path) => deserializer.deserialize_any(InObject { path }),
        }
    }
}

/// Looks for the first segment of `path` in an object; in anything else there is nothing.
struct InObject<'p> {
    path: &'p str,
}

impl<'de> Visitor<'de> for InObject<'_> {
    type Value = Option<Json>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    /// Of members with the same key the last one counts.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (segment, path) = match self.path.split_once('.') {
            Some((segment, path)) => (segment, Some(path)),
            None => (self.path, None),
        };
        let mut found = None;
        while let Some(wanted) = map.next_key_seed(KeyIs(segment))? {
            if wanted {
                found = map.next_value_seed(At { path })?;
            } else {
                map.next_value::<Checked>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<Checked>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Compares a key without keeping it.
struct KeyIs<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        struct Compare<'k>(&'k str);
        impl Visitor<'_> for Compare<'_> {
            type Value = bool;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<bool, E> {
                Ok(key == self.0)
            }
        }
        deserializer.deserialize_str(Compare(self.0))
    }
}

/// A value that is read for its faults only. Unlike serde's `IgnoredAny` it notices bad escapes and
/// numbers out of range.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(InObject { path: "" })
            .map(|_| Self)
    }
}
