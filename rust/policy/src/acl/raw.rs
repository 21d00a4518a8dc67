//! Rules from rows and JSON documents (`spec/authorization.md` section 8).

use std::fmt;

use serde_json::{Map, Value};

use super::{
    cidr::Cidr,
    condition::{Condition, TextMatch},
    error::{Position, Warning},
    rule::{ActionMatch, Permission, QosSet, Rule},
    topic::{TopicPattern, Topics},
};
use crate::regex::Regex;

/// How rows are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawOptions {
    /// A null `ipaddr`, `zone`, `listener` or `*_re` is the same as none: for databases, where an
    /// unset column is null (section 13, 9). Otherwise it is a fault.
    pub null_is_absent: bool,
}

/// A row cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawError {
    /// Index of the row, from 0.
    pub index: usize,
    /// The reference's identifier, for example `invalid_qos`.
    pub reason: &'static str,
    /// What was expected.
    pub problem: String,
}

impl fmt::Display for RawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}: {}", self.index, self.problem)
    }
}

impl std::error::Error for RawError {}

type Fault = (&'static str, String);

/// Compiles row `index`. Keys that are not fields of a rule are ignored on purpose, exact
/// `username` and `clientid` among them: those belong into the query.
pub(super) fn compile(
    index: usize,
    row: &Value,
    options: RawOptions,
    warnings: &mut Vec<Warning>,
) -> Result<Rule, RawError> {
    let fields = row
        .as_object()
        .ok_or(("invalid_rule", "expected an object".to_owned()));
    fields
        .and_then(|fields| rule(fields, options, warnings))
        .map_err(|(reason, problem)| RawError {
            index,
            reason,
            problem,
        })
}

fn rule(
    fields: &Map<String, Value>,
    options: RawOptions,
    warnings: &mut Vec<Warning>,
) -> Result<Rule, Fault> {
    let (Some(permission_value), Some(action_value)) =
        (fields.get("permission"), fields.get("action"))
    else {
        return Err((
            "invalid_rule",
            "permission and action are required".to_owned(),
        ));
    };
    let topics = topics(fields, warnings)?;
    let permission = match permission_value.as_str() {
        Some("allow") => Permission::Allow,
        Some("deny") => Permission::Deny,
        _ => {
            return Err((
                "invalid_permission",
                "permission is \"allow\" or \"deny\"".to_owned(),
            ));
        }
    };
    let condition = condition(fields, options)?;
    let mut action = match action_value.as_str() {
        Some("pub") => ActionMatch::named("publish"),
        Some("sub") => ActionMatch::named("subscribe"),
        Some(name) => ActionMatch::named(name),
        None => None,
    }
    .ok_or((
        "invalid_action",
        "action is publish, pub, subscribe, sub or all".to_owned(),
    ))?;
    action.qos = qos(fields.get("qos"))?;
    if action.publish {
        action.retain = retain(fields.get("retain"))?;
    }
    Ok(Rule {
        permission,
        action,
        condition,
        topics,
        line: 0,
        source: Box::default(),
    })
}

fn topics(fields: &Map<String, Value>, warnings: &mut Vec<Warning>) -> Result<Topics, Fault> {
    let fault = |problem: &str| ("missing_topic_or_topics", problem.to_owned());
    let value = fields
        .get("topic")
        .or_else(|| fields.get("topics"))
        .ok_or_else(|| fault("topic or topics is required"))?;
    let mut one = |value: &Value| {
        let text = value.as_str().ok_or_else(|| fault("a topic is a string"))?;
        Ok(TopicPattern::compile(text, |kind, problem| {
            warnings.push(Position::default().warning(kind, problem));
        }))
    };
    match value {
        Value::Array(list) => list
            .iter()
            .map(one)
            .collect::<Result<_, _>>()
            .map(Topics::Any),
        value => Ok(Topics::Any([one(value)?].into())),
    }
}

/// All filters of the row must match.
fn condition(fields: &Map<String, Value>, options: RawOptions) -> Result<Condition, Fault> {
    let mut all = Vec::new();
    let field = |name: &str| {
        fields
            .get(name)
            .filter(|value| !(options.null_is_absent && value.is_null()))
    };
    let text = |value: &Value, reason: &'static str| match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err((reason, "expected a text that is not empty".to_owned())),
    };
    let search = |value: &Value, reason: &'static str| {
        Regex::compile(&text(value, reason)?)
            .map(|regex| TextMatch::Search(Box::new(regex)))
            .map_err(|error| (reason, error.to_string()))
    };
    if let Some(value) = field("username_re") {
        all.push(Condition::Username(search(value, "invalid_username_re")?));
    }
    if let Some(value) = field("clientid_re") {
        all.push(Condition::ClientId(search(value, "invalid_clientid_re")?));
    }
    if let Some(value) = field("ipaddr") {
        let address = text(value, "invalid_ipaddr")?;
        let block = Cidr::parse(&address).map_err(|problem| ("invalid_ipaddr", problem))?;
        all.push(Condition::Peer([block].into()));
    }
    if let Some(value) = field("zone") {
        all.push(Condition::Zone(TextMatch::Equal(
            text(value, "invalid_zone")?.into(),
        )));
    }
    if let Some(value) = field("zone_re") {
        all.push(Condition::Zone(search(value, "invalid_zone_re")?));
    }
    if let Some(value) = field("listener") {
        all.push(Condition::Listener(TextMatch::Equal(
            text(value, "invalid_listener")?.into(),
        )));
    }
    if let Some(value) = field("listener_re") {
        all.push(Condition::Listener(search(value, "invalid_listener_re")?));
    }
    Ok(match all.len() {
        0 => Condition::All,
        1 => all.pop().unwrap_or(Condition::All),
        _ => Condition::And(all.into()),
    })
}

fn qos(value: Option<&Value>) -> Result<QosSet, Fault> {
    let one = |set: QosSet, value: &Value| {
        let qos = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => digit(text),
            _ => None,
        };
        qos.and_then(|qos| set.with(qos))
    };
    match value {
        None | Some(Value::Null) => Some(QosSet::ALL),
        Some(Value::Array(list)) => list.iter().try_fold(QosSet::NONE, one),
        Some(Value::String(text)) => text.split(',').try_fold(QosSet::NONE, |set, word| {
            digit(word).and_then(|qos| set.with(qos))
        }),
        Some(value) => one(QosSet::NONE, value),
    }
    .ok_or((
        "invalid_qos",
        "qos is 0, 1, 2, a list of them, or as in \"0,1\"".to_owned(),
    ))
}

fn digit(text: &str) -> Option<i64> {
    match text {
        "0" => Some(0),
        "1" => Some(1),
        "2" => Some(2),
        _ => None,
    }
}

fn retain(value: Option<&Value>) -> Result<Option<bool>, Fault> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(retain)) => Ok(Some(*retain)),
        Some(Value::Number(number)) if number.as_i64() == Some(0) => Ok(Some(false)),
        Some(Value::Number(number)) if number.as_i64() == Some(1) => Ok(Some(true)),
        Some(Value::String(text)) => match text.as_str() {
            "0" | "false" => Ok(Some(false)),
            "1" | "true" => Ok(Some(true)),
            "all" => Ok(None),
            _ => Err(retain_fault()),
        },
        Some(_) => Err(retain_fault()),
    }
}

fn retain_fault() -> Fault {
    (
        "invalid_retain",
        "retain is true, false, 0, 1 or \"all\"".to_owned(),
    )
}
