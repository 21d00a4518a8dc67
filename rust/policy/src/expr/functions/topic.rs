//! MQTT topics (section 5.6).

use super::super::limits::Bounded;
use super::{Args, Builtin, ErrorCode, Outcome, Scope, Value, args::utf8};

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

/// Texts that are not valid names or filters are compared level by level all the same.
fn topic_match<'a>(args: &mut Args<'a>, _: &Scope<'a>) -> Outcome<'a> {
    let topic = utf8(args.take(0).stringify()?)?;
    let filter = utf8(args.take(1).stringify()?)?;
    Ok(Value::Boolean(vallum_mqtt::topic::matches(&filter, &topic)))
}
