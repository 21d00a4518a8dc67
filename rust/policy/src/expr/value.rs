//! What expressions compute with (`spec/expressions.md` section 3).

use std::{borrow::Cow, cmp::Ordering};

use serde_json::{Map, Value as Json};

use super::{error::ErrorCode, limits::Bounded, variables::Lookup};

/// A run-time value; strings are bytes, borrowed from the variables or the tree where possible.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Text(Cow<'a, [u8]>),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    /// No such key.
    Undefined,
    /// JSON null.
    Null,
    /// A word that is never "empty": comparison results and the special words of topics.
    Symbol(&'static str),
    Array(Vec<Value<'a>>),
    Object(Cow<'a, Map<String, Json>>),
}

impl<'a> Value<'a> {
    /// The empty string.
    pub(super) const EMPTY: Self = Self::Text(Cow::Borrowed(b""));

    pub(super) const fn borrowed(text: &'a [u8]) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    pub(super) const fn owned(text: Vec<u8>) -> Self {
        Self::Text(Cow::Owned(text))
    }

    pub(super) fn integer<T: TryInto<i128>>(value: T) -> Self {
        value.try_into().map_or(Self::Undefined, Self::Integer)
    }

    /// A variable's value; `None` when it has none. Null and the empty array become `''`.
    pub(super) fn from_lookup(lookup: Lookup<'a>) -> Option<Self> {
        let value = match lookup {
            Lookup::Unbound => return None,
            Lookup::Null => Self::EMPTY,
            Lookup::Bytes(bytes) => Self::borrowed(bytes),
            Lookup::Str(text) => Self::borrowed(text.as_bytes()),
            Lookup::Owned(bytes) => Self::owned(bytes),
            Lookup::Int(value) => Self::Integer(value.into()),
            Lookup::Float(value) => Self::Float(value),
            Lookup::Bool(value) => Self::Boolean(value),
            Lookup::Strings(texts) => Self::Array(
                texts
                    .iter()
                    .map(|text| Self::borrowed(text.as_bytes()))
                    .collect(),
            ),
            Lookup::Attributes(attributes) => {
                let entries = attributes.iter();
                let object = entries
                    .map(|(name, value)| (name.to_string(), Json::String(value.to_string())));
                Self::Object(Cow::Owned(object.collect()))
            }
            Lookup::Json(json) => Self::from_json(json),
        };
        Some(if value.is_empty() { Self::EMPTY } else { value })
    }

    pub(super) fn from_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Boolean(*value),
            Json::Number(number) => Self::from_number(number),
            Json::String(text) => Self::borrowed(text.as_bytes()),
            Json::Array(elements) => Self::Array(elements.iter().map(Self::from_json).collect()),
            Json::Object(object) => Self::Object(Cow::Borrowed(object)),
        }
    }

    pub(super) fn from_owned_json(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Boolean(value),
            Json::Number(number) => Self::from_number(&number),
            Json::String(text) => Self::owned(text.into_bytes()),
            Json::Array(elements) => {
                Self::Array(elements.into_iter().map(Self::from_owned_json).collect())
            }
            Json::Object(object) => Self::Object(Cow::Owned(object)),
        }
    }

    fn from_number(number: &serde_json::Number) -> Self {
        let integer = number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from));
        match integer {
            Some(value) => Self::Integer(value),
            None => Self::Float(number.as_f64().unwrap_or_default()),
        }
    }

    /// Empty in the sense of `coalesce`, `iif` and the final result (section 3.2).
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Array(elements) => elements.is_empty(),
            Self::Undefined | Self::Null => true,
            _ => false,
        }
    }

    /// The name of a word-like value, as it prints.
    pub(super) fn word(&self) -> Option<&'static str> {
        match self {
            Self::Boolean(true) => Some("true"),
            Self::Boolean(false) => Some("false"),
            Self::Undefined => Some("undefined"),
            Self::Null => Some("null"),
            Self::Symbol(name) => Some(name),
            _ => None,
        }
    }

    /// The value as text (section 3.4).
    pub(super) fn stringify(self) -> Result<Cow<'a, [u8]>, ErrorCode> {
        if let Some(word) = self.word() {
            return Ok(Cow::Borrowed(word.as_bytes()));
        }
        Ok(match self {
            Self::Text(text) => text,
            Self::Integer(value) => Cow::Owned(value.to_string().into_bytes()),
            Self::Float(value) => Cow::Owned(float_text(value).into_bytes()),
            Self::Array(elements) => match spelled(&elements) {
                Some(text) => Cow::Owned(text.into_bytes()),
                None => Cow::Owned(json_text(&Self::Array(elements).into_json()?)?),
            },
            other => Cow::Owned(json_text(&other.into_json()?)?),
        })
    }

    /// The value inside a JSON document; strings must be UTF-8.
    pub(super) fn into_json(self) -> Result<Json, ErrorCode> {
        Ok(match self {
            Self::Text(text) => {
                let text =
                    String::from_utf8(text.into_owned()).map_err(|_| ErrorCode::Exception)?;
                Json::String(text)
            }
            Self::Integer(value) => match i64::try_from(value) {
                Ok(value) => value.into(),
                Err(_) => u64::try_from(value)
                    .map_err(|_| ErrorCode::Exception)?
                    .into(),
            },
            Self::Float(value) => value.into(),
            Self::Boolean(value) => Json::Bool(value),
            Self::Null => Json::Null,
            Self::Undefined => Json::String("undefined".into()),
            Self::Symbol(name) => Json::String(name.into()),
            Self::Array(elements) => Json::Array(
                elements
                    .into_iter()
                    .map(Self::into_json)
                    .collect::<Result<_, _>>()?,
            ),
            Self::Object(object) => Json::Object(object.into_owned()),
        })
    }

    /// The order of all values: numbers, words, objects, arrays, strings.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Object(a), Self::Object(b)) => {
                let texts = |object: &Map<String, Json>| Json::Object(object.clone()).to_string();
                a.len().cmp(&b.len()).then_with(|| texts(a).cmp(&texts(b)))
            }
            (Self::Array(a), Self::Array(b)) => {
                let unequal = a
                    .iter()
                    .zip(b)
                    .map(|(a, b)| a.order(b))
                    .find(|order| order.is_ne());
                unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                _ => self
                    .rank()
                    .cmp(&other.rank())
                    .then_with(|| self.word().cmp(&other.word())),
            },
        }
    }

    /// A number, integers rounded to a double.
    #[expect(
        clippy::cast_precision_loss,
        reason = "ordering against a double rounds by nature"
    )]
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Integer(_) | Self::Float(_) => 0,
            Self::Boolean(_) | Self::Undefined | Self::Null | Self::Symbol(_) => 1,
            Self::Object(_) => 2,
            Self::Array(_) => 3,
            Self::Text(_) => 4,
        }
    }
}

/// At most ten decimals, at least one, never an exponent.
fn float_text(value: f64) -> String {
    let mut text = format!("{value:.10}");
    let kept = text.trim_end_matches('0').len();
    let kept = if text.get(..kept).is_some_and(|kept| kept.ends_with('.')) {
        kept + 1
    } else {
        kept
    };
    text.truncate(kept);
    text
}

/// The text that an array of printable code points spells; the empty array spells nothing.
fn spelled(elements: &[Value<'_>]) -> Option<String> {
    elements
        .iter()
        .map(|element| match element {
            Value::Integer(value) => {
                let character = char::from_u32(u32::try_from(*value).ok()?)?;
                is_printable(character).then_some(character)
            }
            _ => None,
        })
        .collect()
}

/// As the reference's Unicode mode: the control characters with an escape of their own, and graphics.
fn is_printable(character: char) -> bool {
    match u32::from(character) {
        0x08..=0x0d | 0x1b | 0x20..=0x7e | 0xa0..=0xd7ff | 0xe000..=0xfffd => true,
        code => code >= 0x1_0000,
    }
}

fn json_text(json: &Json) -> Result<Vec<u8>, ErrorCode> {
    let text = serde_json::to_vec(json).map_err(|_| ErrorCode::Exception)?;
    let mut bounded = Bounded::default();
    bounded.push(&text)?;
    Ok(bounded.into_vec())
}
