//! Evaluated arguments, and the types that functions ask of them.

use std::borrow::Cow;

use super::super::{error::ErrorCode, limits::Bounded, value::Value};

/// Most arguments any function takes.
pub(super) const MAX_ARGS: usize = 4;

/// The arguments of one call, without an allocation.
#[derive(Default)]
pub(in super::super) struct Args<'a> {
    values: [Option<Value<'a>>; MAX_ARGS],
    len: usize,
}

impl<'a> Args<'a> {
    /// Adds the next argument; the resolver has checked the number.
    pub(in super::super) fn push(&mut self, value: Value<'a>) {
        if let Some(slot) = self.values.get_mut(self.len) {
            *slot = Some(value);
            self.len += 1;
        }
    }

    /// Number of arguments given.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The argument itself, moved out.
    pub(super) fn take(&mut self, index: usize) -> Value<'a> {
        self.values
            .get_mut(index)
            .and_then(Option::take)
            .unwrap_or(Value::Undefined)
    }

    /// An optional argument, moved out.
    pub(super) fn optional(&mut self, index: usize) -> Option<Value<'a>> {
        self.values.get_mut(index).and_then(Option::take)
    }

    /// A string or a word such as `true`; undefined and null are `badarg`.
    pub(super) fn text(&mut self, index: usize) -> Result<Cow<'a, [u8]>, ErrorCode> {
        match self.take(index) {
            Value::Text(text) => Ok(text),
            Value::Undefined | Value::Null => Err(ErrorCode::BadArg),
            value => match value.word() {
                Some(word) => Ok(Cow::Borrowed(word.as_bytes())),
                None => Err(ErrorCode::Exception),
            },
        }
    }

    /// As [`Args::text`], and it must be UTF-8.
    pub(super) fn utf8(&mut self, index: usize) -> Result<Cow<'a, str>, ErrorCode> {
        utf8(self.text(index)?)
    }

    /// A string and nothing else.
    pub(super) fn string(&mut self, index: usize) -> Result<Cow<'a, [u8]>, ErrorCode> {
        string(self.take(index))
    }

    /// As [`Args::string`], and it must be UTF-8.
    pub(super) fn utf8_string(&mut self, index: usize) -> Result<Cow<'a, str>, ErrorCode> {
        utf8(self.string(index)?)
    }

    /// A word of options; `default` when the argument was not given.
    pub(super) fn option(
        &mut self,
        index: usize,
        default: &'static str,
    ) -> Result<Cow<'a, [u8]>, ErrorCode> {
        match self.optional(index) {
            Some(value) => string(value),
            None => Ok(Cow::Borrowed(default.as_bytes())),
        }
    }

    /// As [`Args::text`]; an array of strings counts as its concatenation.
    pub(super) fn joined_text(&mut self, index: usize) -> Result<Cow<'a, [u8]>, ErrorCode> {
        match self.take(index) {
            Value::Array(elements) => joined(elements).map(Cow::Owned),
            value => {
                self.restore(index, value);
                self.text(index)
            }
        }
    }

    /// As [`Args::string`]; an array of strings counts as its concatenation.
    pub(super) fn joined_string(&mut self, index: usize) -> Result<Cow<'a, [u8]>, ErrorCode> {
        match self.take(index) {
            Value::Array(elements) => joined(elements).map(Cow::Owned),
            value => string(value),
        }
    }

    /// An integer and nothing else; `otherwise` is the function's word for anything else.
    pub(super) fn integer(
        &mut self,
        index: usize,
        otherwise: ErrorCode,
    ) -> Result<i128, ErrorCode> {
        match self.take(index) {
            Value::Integer(value) => Ok(value),
            _ => Err(otherwise),
        }
    }

    /// An array and nothing else.
    pub(super) fn array(&mut self, index: usize) -> Result<Vec<Value<'a>>, ErrorCode> {
        match self.take(index) {
            Value::Array(elements) => Ok(elements),
            _ => Err(ErrorCode::Exception),
        }
    }

    fn restore(&mut self, index: usize, value: Value<'a>) {
        if let Some(slot) = self.values.get_mut(index) {
            *slot = Some(value);
        }
    }
}

/// A value that must be a string.
pub(super) fn string(value: Value<'_>) -> Result<Cow<'_, [u8]>, ErrorCode> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(ErrorCode::Exception),
    }
}

/// Bytes that must be UTF-8.
pub(super) fn utf8(text: Cow<'_, [u8]>) -> Result<Cow<'_, str>, ErrorCode> {
    match text {
        Cow::Borrowed(text) => std::str::from_utf8(text).map(Cow::Borrowed).ok(),
        Cow::Owned(text) => String::from_utf8(text).map(Cow::Owned).ok(),
    }
    .ok_or(ErrorCode::Exception)
}

/// The strings of a (nested) array, one after the other; integers are bytes.
pub(super) fn joined(elements: Vec<Value<'_>>) -> Result<Vec<u8>, ErrorCode> {
    fn append(elements: Vec<Value<'_>>, text: &mut Bounded) -> Result<(), ErrorCode> {
        for element in elements {
            match element {
                Value::Text(part) => text.push(&part)?,
                Value::Array(elements) => append(elements, text)?,
                Value::Integer(value) => {
                    text.push(&[u8::try_from(value).map_err(|_| ErrorCode::Exception)?])?;
                }
                _ => return Err(ErrorCode::Exception),
            }
        }
        Ok(())
    }
    let mut text = Bounded::default();
    append(elements, &mut text)?;
    Ok(text.into_vec())
}

/// The part `start..end` of `text`, without a copy if that is borrowed.
pub(super) fn part(text: Cow<'_, [u8]>, start: usize, end: usize) -> Value<'_> {
    match text {
        Cow::Borrowed(text) => Value::borrowed(text.get(start..end).unwrap_or_default()),
        Cow::Owned(mut text) => {
            text.truncate(end);
            text.drain(..start.min(text.len()));
            Value::owned(text)
        }
    }
}

/// The parts `ranges` of `text` as an array.
pub(super) fn parts<'a>(
    text: &Cow<'a, [u8]>,
    ranges: impl Iterator<Item = (usize, usize)>,
) -> Value<'a> {
    let parts = match text {
        Cow::Borrowed(text) => {
            let text: &'a [u8] = text;
            let part = |(start, end)| Value::borrowed(text.get(start..end).unwrap_or_default());
            ranges.map(part).collect()
        }
        Cow::Owned(text) => {
            let part = |(start, end)| Value::owned(text.get(start..end).unwrap_or_default().into());
            ranges.map(part).collect()
        }
    };
    Value::Array(parts)
}

/// A text as a value.
pub(super) fn text_value(text: Cow<'_, str>) -> Value<'_> {
    Value::Text(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}
