//! `sprintf_s`: the useful part of Erlang's format language (section 5.3).
//!
//! `~W.P.Fx`: field width (negative: left), precision, fill character, then `s` a string,
//! `b` and `B` an integer in base P, `f` and `e` a float, `n` a line break, `~` a tilde.

use super::super::limits::{Bounded, MAX_WIDTH};
use super::{
    Args, Builtin, ErrorCode, Outcome, Scope, Value,
    args::{joined, string},
};

pub(super) const FUNCTIONS: &[Builtin] = &[Builtin::new("sprintf_s", 2, 2, sprintf_s)];

fn sprintf_s<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let format = string(args.take(0))?;
    let mut values = args.array(1)?.into_iter();
    let mut text = Bounded::default();
    let mut rest = &*format;
    while let Some(tilde) = memchr::memchr(b'~', rest) {
        let (plain, directive) = rest.split_at(tilde);
        text.push(plain)?;
        let mut reader = Reader {
            rest: directive.get(1..).unwrap_or_default(),
        };
        let field = reader.field(&mut values)?;
        let kind = reader.next().ok_or(ErrorCode::Exception)?;
        rest = reader.rest;
        match kind {
            b'~' | b'n' => {
                let character: &[u8] = if kind == b'n' { b"\n" } else { b"~" };
                text.push_times(character, field.width.unwrap_or(1))?;
            }
            _ => field.write(kind, values.next().ok_or(ErrorCode::Exception)?, &mut text)?,
        }
    }
    text.push(rest)?;
    match values.next() {
        None => Ok(Value::owned(text.into_vec())),
        Some(_) => Err(ErrorCode::Exception),
    }
}

/// How one value is laid out.
struct Field {
    width: Option<usize>,
    left: bool,
    precision: Option<usize>,
    fill: u8,
}

/// Reads the numbers of a directive.
struct Reader<'f> {
    rest: &'f [u8],
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn accept(&mut self, byte: u8) -> bool {
        let accepted = self.rest.first() == Some(&byte);
        if accepted {
            self.next();
        }
        accepted
    }

    fn field<'a>(
        &mut self,
        values: &mut impl Iterator<Item = Value<'a>>,
    ) -> Result<Field, ErrorCode> {
        let negative = self.accept(b'-');
        let width = self.number(values)?;
        let mut field = Field {
            width,
            left: negative,
            precision: None,
            fill: b' ',
        };
        if self.accept(b'.') {
            field.precision = self.number(values)?;
            if self.accept(b'.') {
                field.fill = self.next().ok_or(ErrorCode::Exception)?;
            }
        }
        Ok(field)
    }

    /// Digits, `*` for the next value, or nothing.
    fn number<'a>(
        &mut self,
        values: &mut impl Iterator<Item = Value<'a>>,
    ) -> Result<Option<usize>, ErrorCode> {
        let mut number = None;
        if self.accept(b'*') {
            match values.next() {
                Some(Value::Integer(value)) => number = usize::try_from(value).ok(),
                _ => return Err(ErrorCode::Exception),
            }
            if number.is_none() {
                return Err(ErrorCode::Exception);
            }
        }
        while let Some(digit) = self.rest.first().filter(|byte| byte.is_ascii_digit()) {
            let value = number.unwrap_or(0_usize).saturating_mul(10);
            number = Some(value.saturating_add(usize::from(digit - b'0')));
            self.next();
        }
        match number {
            Some(number) if number > MAX_WIDTH => Err(ErrorCode::BadArg),
            number => Ok(number),
        }
    }
}

impl Field {
    fn write(&self, kind: u8, value: Value<'_>, text: &mut Bounded) -> Result<(), ErrorCode> {
        match (kind, value) {
            (b's', Value::Text(value)) => self.write_string(&value, text),
            (b's', Value::Array(value)) => self.write_string(&joined(value)?, text),
            (b's', value) => {
                self.write_string(value.word().ok_or(ErrorCode::Exception)?.as_bytes(), text)
            }
            (b'b' | b'B', Value::Integer(value)) => {
                let base = self.precision.unwrap_or(10);
                let base = u32::try_from(base)
                    .ok()
                    .filter(|base| (2..=36).contains(base));
                let digits = digits(value, base.ok_or(ErrorCode::Exception)?, kind == b'B');
                self.write_number(&digits, text)
            }
            (b'f', Value::Float(value)) => match self.precision.unwrap_or(6) {
                0 => Err(ErrorCode::Exception),
                decimals => self.write_number(&format!("{value:.decimals$}"), text),
            },
            (b'e', Value::Float(value)) => match self.precision.unwrap_or(6) {
                0 | 1 => Err(ErrorCode::Exception),
                digits => self.write_number(&scientific(value, digits - 1), text),
            },
            _ => Err(ErrorCode::Exception),
        }
    }

    /// A string is first cut or filled up to the precision, then placed in its field.
    fn write_string(&self, value: &[u8], text: &mut Bounded) -> Result<(), ErrorCode> {
        let precision = self.precision.or(self.width).unwrap_or(value.len());
        let width = self.width.unwrap_or(precision);
        let inner = precision.min(width);
        let kept = value.get(..inner).unwrap_or(value);
        // With a precision of its own, the text is left-aligned inside it.
        let filled = if self.precision.is_some() {
            inner - kept.len()
        } else {
            0
        };
        let outer = width - kept.len() - filled;
        let (before, after) = if self.left { (0, outer) } else { (outer, 0) };
        text.push_times(&[self.fill], before)?;
        text.push(kept)?;
        text.push_times(&[self.fill], filled)?;
        text.push_times(&[self.fill], after)
    }

    /// A number that does not fit its field is shown as asterisks.
    fn write_number(&self, number: &str, text: &mut Bounded) -> Result<(), ErrorCode> {
        let width = self.width.unwrap_or(number.len());
        let Some(outer) = width.checked_sub(number.len()) else {
            return text.push_times(b"*", width);
        };
        let (before, after) = if self.left { (0, outer) } else { (outer, 0) };
        text.push_times(&[self.fill], before)?;
        text.push(number.as_bytes())?;
        text.push_times(&[self.fill], after)
    }
}

fn digits(value: i128, base: u32, upper: bool) -> String {
    let mut reversed = Vec::new();
    let mut magnitude = value.unsigned_abs();
    loop {
        let digit = u32::try_from(magnitude % u128::from(base)).unwrap_or_default();
        let digit = char::from_digit(digit, base).unwrap_or('0');
        reversed.push(if upper {
            digit.to_ascii_uppercase()
        } else {
            digit
        });
        magnitude /= u128::from(base);
        if magnitude == 0 {
            break;
        }
    }
    if value < 0 {
        reversed.push('-');
    }
    reversed.into_iter().rev().collect()
}

/// `1.5e+3`: the exponent always has a sign.
fn scientific(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => {
            format!("{mantissa}e+{exponent}")
        }
        _ => text,
    }
}
