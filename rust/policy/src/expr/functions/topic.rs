//! MQTT topics (section 5.6).

use super::super::limits::Bounded;
use super::{Args, Builtin, ErrorCode, Outcome, Scope, Value};

pub(super) const FUNCTIONS: &[Builtin] = &[
    Builtin::new("topic_join", 1, 2, topic_join),
    Builtin::new("topic_split", 1, 1, topic_split),
    Builtin::new("topic_match", 2, 2, topic_match),
];

fn topic_join<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let mut topic = Bounded::default();
    if args.len() == 1 {
        let Value::Array(words) = args.take(0) else {
            return Err(ErrorCode::BadArg);
        };
        for (level, word) in words.into_iter().enumerate() {
            if matches!(word, Value::Undefined | Value::Null) {
                return Err(ErrorCode::BadArg);
            }
            if level > 0 {
                topic.push(b"/")?;
            }
            topic.push(&word.stringify()?)?;
        }
        return Ok(Value::owned(topic.into_vec()));
    }
    let (prefix, word) = (args.take(0), args.take(1));
    if prefix.is_empty() || matches!(word, Value::Undefined | Value::Null) {
        return Err(ErrorCode::BadArg);
    }
    let prefix = prefix.stringify()?;
    topic.push(&prefix)?;
    if !prefix.ends_with(b"/") {
        topic.push(b"/")?;
    }
    topic.push(&word.stringify()?)?;
    Ok(Value::owned(topic.into_vec()))
}

/// The levels of a topic; wildcards and empty levels are words, which are never "empty".
fn topic_split<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let topic = args.take(0).stringify()?;
    let level = |level: &[u8]| match level {
        b"" => Value::Symbol(""),
        b"+" => Value::Symbol("+"),
        b"#" => Value::Symbol("#"),
        level => Value::owned(level.to_vec()),
    };
    Ok(Value::Array(
        topic.split(|byte| *byte == b'/').map(level).collect(),
    ))
}

fn topic_match<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let topic = args.take(0).stringify()?;
    let filter = args.take(1).stringify()?;
    Ok(Value::Boolean(matches(&topic, &filter)))
}

/// Whether `filter` matches `topic`, neither of which need be valid [MQTT-4.7.1-1] to
/// [MQTT-4.7.2-1].
fn matches(topic: &[u8], filter: &[u8]) -> bool {
    let first = filter.split(|byte| *byte == b'/').next();
    if topic.starts_with(b"$") && matches!(first, Some(b"+" | b"#")) {
        return false;
    }
    let mut topic_levels = topic.split(|byte| *byte == b'/');
    let mut filter_levels = filter.split(|byte| *byte == b'/').peekable();
    loop {
        match (topic_levels.next(), filter_levels.next()) {
            (_, Some(b"#")) if filter_levels.peek().is_none() => return true,
            (Some(_), Some(b"+")) => {}
            (Some(topic), Some(filter)) if topic == filter => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}
