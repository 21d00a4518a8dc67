//! Where an expression's variables come from.

use std::{
    collections::HashMap,
    env,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value as Json;

use crate::client::Attributes;

/// Environment variables that `getenv` may see are those with this prefix; it is the boundary that
/// keeps every other one, secrets included, out of reach (`spec/expressions.md` section 5.8).
const ENVIRONMENT_PREFIX: &str = "EMQXVAR_";

/// What a variable is bound to. Values are borrowed where the caller has them at hand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Lookup<'a> {
    /// No such variable here: an error unless guarded.
    Unbound,
    /// Known, without a value: the empty string.
    Null,
    /// A byte string, for example a password.
    Bytes(&'a [u8]),
    /// A text.
    Str(&'a str),
    /// A computed byte string or text.
    Owned(Vec<u8>),
    /// An integer.
    Int(i64),
    /// A number that is not an integer.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A list of texts, for example the names in a certificate.
    Strings(&'a [Box<str>]),
    /// All client attributes at once.
    Attributes(&'a Attributes),
    /// Any JSON value.
    Json(&'a Json),
}

/// The facts an expression is evaluated against.
pub trait Variables {
    /// The value of the variable `name`: its full dotted name, never with empty segments.
    fn get<'a>(&'a self, name: &str) -> Lookup<'a>;

    /// The value of the environment variable `EMQXVAR_` + `name`, for `getenv`.
    ///
    /// By default the process environment as it was at the first use of any of them.
    fn environment(&self, name: &str) -> Option<String> {
        static SNAPSHOT: OnceLock<HashMap<String, String>> = OnceLock::new();
        let read = || {
            env::vars_os()
                .filter_map(|(key, value)| {
                    Some((key.into_string().ok()?, value.into_string().ok()?))
                })
                .filter_map(|(key, value)| {
                    Some((key.strip_prefix(ENVIRONMENT_PREFIX)?.to_owned(), value))
                })
                .collect()
        };
        SNAPSHOT.get_or_init(read).get(name).cloned()
    }

    /// Milliseconds since the Unix epoch, for `timestamp_s` and `timestamp_ms`.
    ///
    /// By default the system clock.
    fn now_ms(&self) -> u64 {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The members of a JSON object as variables, dotted names going into nested objects.
///
/// An object `{"$hex": "00ff"}` stands for a byte string, which JSON cannot hold.
#[derive(Clone, Copy, Debug)]
pub struct JsonVariables<'j>(
    /// The object; anything else binds no variable.
    pub &'j Json,
);

impl Variables for JsonVariables<'_> {
    fn get<'a>(&'a self, name: &str) -> Lookup<'a> {
        let found = name
            .split('.')
            .try_fold(self.0, |value, segment| value.as_object()?.get(segment));
        match found {
            None => Lookup::Unbound,
            Some(value) => match hex_bytes(value) {
                Some(bytes) => Lookup::Owned(bytes),
                None => Lookup::Json(value),
            },
        }
    }
}

fn hex_bytes(value: &Json) -> Option<Vec<u8>> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let digits = object.get("$hex")?.as_str()?;
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.as_bytes().chunks(2).map(pair).collect()
}
