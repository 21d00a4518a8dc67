//! Texts: case, trimming, cutting, padding, searching (section 5.3).
//!
//! `tokens`, `rm_prefix`, `ascii` and `unescape` work on bytes, all others on grapheme clusters.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

use super::super::limits::{Bounded, MAX_WIDTH};
use super::{
    Args, Builtin, ErrorCode, Outcome, Scope, Value,
    args::{part, parts, text_value},
    graphemes::{self, Occurrence},
};

pub(super) const FUNCTIONS: &[Builtin] = &[
    Builtin::new("lower", 1, 1, lower),
    Builtin::new("upper", 1, 1, upper),
    Builtin::new("trim", 1, 2, |args, _| trim(args, true, true)),
    Builtin::new("ltrim", 1, 2, |args, _| trim(args, true, false)),
    Builtin::new("rtrim", 1, 2, |args, _| trim(args, false, true)),
    Builtin::new("reverse", 1, 1, reverse),
    Builtin::new("strlen", 1, 1, strlen),
    Builtin::new("substr", 2, 3, substr),
    Builtin::new("rm_prefix", 2, 2, rm_prefix),
    Builtin::new("split", 2, 3, split),
    Builtin::new("tokens", 2, 3, tokens),
    Builtin::new("pad", 2, 4, pad),
    Builtin::new("replace", 3, 4, replace),
    Builtin::new("find", 2, 3, find),
    Builtin::new("ascii", 1, 1, ascii),
    Builtin::new("unescape", 1, 1, unescape),
];

/// What `trim` strips by default. No-break space is not among them.
const WHITE_SPACE: [&str; 12] = [
    "\t", "\n", "\u{b}", "\u{c}", "\r", "\r\n", " ", "\u{85}", "\u{200e}", "\u{200f}", "\u{2028}",
    "\u{2029}",
];

/// Character by character, hence without the rule for a final sigma.
fn lower<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.utf8(0)?;
    if text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return Ok(text_value(text));
    }
    Ok(Value::owned(
        text.chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
            .into_bytes(),
    ))
}

fn upper<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.utf8(0)?;
    if text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_lowercase())
    {
        return Ok(text_value(text));
    }
    Ok(Value::owned(
        text.chars()
            .flat_map(char::to_uppercase)
            .collect::<String>()
            .into_bytes(),
    ))
}

fn trim<'a>(args: &mut Args<'a>, leading: bool, trailing: bool) -> Outcome<'a> {
    let text = args.utf8(0)?;
    let set: Cow<'_, [&str]>;
    let given;
    if args.len() > 1 {
        given = args.utf8_string(1)?;
        set = Cow::Owned(given.graphemes(true).collect());
    } else {
        set = Cow::Borrowed(&WHITE_SPACE);
    }
    let stripped = |grapheme: &&str| set.contains(grapheme);
    let length = |grapheme: &str| grapheme.len();
    let mut start = 0;
    let mut end = text.len();
    if leading {
        start = text.graphemes(true).take_while(stripped).map(length).sum();
    }
    if trailing && start < end {
        end -= text
            .graphemes(true)
            .rev()
            .take_while(stripped)
            .map(length)
            .sum::<usize>();
    }
    Ok(part(text_bytes(text), start, end))
}

/// The reference garbles all but ASCII here; this keeps every cluster whole.
fn reverse<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.utf8(0)?;
    Ok(Value::owned(
        text.graphemes(true).rev().collect::<String>().into_bytes(),
    ))
}

fn strlen<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    Ok(Value::integer(graphemes::count(&args.utf8(0)?)))
}

fn substr<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.utf8(0)?;
    let start = graphemes::offset(&text, count(&args.take(1))?);
    let end = match args.optional(2) {
        None => text.len(),
        Some(length) => {
            start + graphemes::offset(text.get(start..).unwrap_or_default(), count(&length)?)
        }
    };
    Ok(part(text_bytes(text), start, end))
}

/// A number of things: an integer, not negative; one past all addresses counts as very many.
fn count(value: &Value<'_>) -> Result<usize, ErrorCode> {
    match value {
        Value::Integer(count) if *count >= 0 => Ok(usize::try_from(*count).unwrap_or(usize::MAX)),
        _ => Err(ErrorCode::Exception),
    }
}

fn rm_prefix<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.text(0)?;
    let prefix = args.string(1)?;
    let start = if text.starts_with(&prefix) {
        prefix.len()
    } else {
        0
    };
    let end = text.len();
    Ok(part(text, start, end))
}

fn split<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.utf8(0)?;
    let separator = args.utf8_string(1)?;
    let mode = args.option(2, "")?;
    let (which, keep_empty) = match &*mode {
        b"" if args.len() == 2 => (Occurrence::All, false),
        b"notrim" => (Occurrence::All, true),
        b"leading" => (Occurrence::First, false),
        b"leading_notrim" => (Occurrence::First, true),
        b"trailing" => (Occurrence::Last, false),
        b"trailing_notrim" => (Occurrence::Last, true),
        _ => return Err(ErrorCode::Exception),
    };
    let starts = match &*separator {
        "" => Vec::new(),
        separator => graphemes::occurrences(&text, separator, which),
    };
    let ends = starts.iter().copied().chain([text.len()]);
    let begins = [0]
        .into_iter()
        .chain(starts.iter().map(|start| start + separator.len()));
    let ranges = begins
        .zip(ends)
        .filter(|(begin, end)| keep_empty || begin < end);
    Ok(parts(&text_bytes(text), ranges))
}

/// Splits at any byte of a set; what lies between two separators is never empty.
fn tokens<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.text(0)?;
    let mut set = [false; 256];
    let mut separate_at = |byte: u8| {
        if let Some(member) = set.get_mut(usize::from(byte)) {
            *member = true;
        }
    };
    args.string(1)?.iter().copied().for_each(&mut separate_at);
    match &*args.option(2, "")? {
        b"" if args.len() == 2 => {}
        b"nocrlf" => b"\r\n".iter().copied().for_each(&mut separate_at),
        _ => return Err(ErrorCode::Exception),
    }
    let is_separator = |byte: &u8| set.get(usize::from(*byte)).is_some_and(|member| *member);
    let mut end = 0;
    let ranges = text.split(is_separator).map(|token| {
        let start = end;
        end = start + token.len() + 1;
        (start, start + token.len())
    });
    Ok(parts(&text, ranges.filter(|(start, end)| start < end)))
}

fn pad<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.utf8(0)?;
    let width = args.integer(1, ErrorCode::Exception)?;
    let direction = args.option(2, "trailing")?;
    let fill = args.option(3, " ")?;
    let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
    let missing = width.saturating_sub(graphemes::count(&text));
    let before = match &*direction {
        b"trailing" => 0,
        b"leading" => missing,
        b"both" => missing / 2,
        _ => return Err(ErrorCode::Exception),
    };
    if missing == 0 {
        return Ok(text_value(text));
    }
    if width > MAX_WIDTH {
        return Err(ErrorCode::BadArg);
    }
    let mut padded = Bounded::default();
    padded.push_times(&fill, before)?;
    padded.push(text.as_bytes())?;
    padded.push_times(&fill, missing - before)?;
    Ok(Value::owned(padded.into_vec()))
}

fn replace<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.utf8(0)?;
    let needle = args.utf8_string(1)?;
    let replacement = args.string(2)?;
    let which = Occurrence::parse(&args.option(3, "all")?).ok_or(ErrorCode::Exception)?;
    if needle.is_empty() {
        return Ok(text_value(text));
    }
    let starts = graphemes::occurrences(&text, &needle, which);
    if starts.is_empty() {
        return Ok(text_value(text));
    }
    let mut replaced = Bounded::default();
    let mut copied = 0;
    for start in starts {
        replaced.push(text.get(copied..start).unwrap_or_default().as_bytes())?;
        replaced.push(&replacement)?;
        copied = start + needle.len();
    }
    replaced.push(text.get(copied..).unwrap_or_default().as_bytes())?;
    Ok(Value::owned(replaced.into_vec()))
}

fn find<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.utf8(0)?;
    let needle = args.utf8_string(1)?;
    let which = Occurrence::parse(&args.option(2, "leading")?)
        .filter(|which| *which != Occurrence::All)
        .ok_or(ErrorCode::Exception)?;
    if needle.is_empty() {
        return Ok(text_value(text));
    }
    match graphemes::occurrences(&text, &needle, which).first() {
        Some(start) => {
            let end = text.len();
            Ok(part(text_bytes(text), *start, end))
        }
        None => Ok(Value::EMPTY),
    }
}

fn ascii<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.text(0)?;
    text.first()
        .map(|byte| Value::integer(*byte))
        .ok_or(ErrorCode::Exception)
}

/// The escapes of C, with `\x` taking every hexadecimal digit that follows as one code point.
fn unescape<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let text = args.text(0)?;
    if !text.contains(&b'\\') {
        return Ok(Value::Text(text));
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = &*text;
    while let [byte, after @ ..] = rest {
        rest = after;
        let (b'\\', [escape, after @ ..]) = (*byte, rest) else {
            plain.push(*byte);
            continue;
        };
        rest = after;
        plain.push(match escape {
            b'\\' | b'\'' | b'"' | b'?' => *escape,
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 0x08,
            b'f' => 0x0c,
            b'v' => 0x0b,
            b'a' => 0x07,
            b'x' => {
                let digits = rest
                    .iter()
                    .take_while(|byte| byte.is_ascii_hexdigit())
                    .count();
                let (digits, after) = rest.split_at(digits);
                plain.extend_from_slice(code_point(digits)?.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
                continue;
            }
            _ => return Err(ErrorCode::UnrecognizedEscapeSequence),
        });
    }
    Ok(Value::owned(plain))
}

fn code_point(digits: &[u8]) -> Result<char, ErrorCode> {
    if digits.is_empty() {
        return Err(ErrorCode::UnrecognizedEscapeSequence);
    }
    let code = digits.iter().try_fold(0_u32, |code, digit| {
        code.checked_mul(16)?
            .checked_add(char::from(*digit).to_digit(16)?)
    });
    code.and_then(char::from_u32)
        .ok_or(ErrorCode::InvalidUnicodeCharacter)
}

fn text_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
