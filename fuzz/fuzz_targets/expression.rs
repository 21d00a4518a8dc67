//! An expression and its variables: compiling, linting and evaluating never panic, agree with each other
//! and stay within their limits.
//!
//! Input: the expression, U+0000, a JSON object of variables (or any bytes, which then are `password`).
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use vallum_policy::expr::{Expression, JsonVariables, Lookup, Variables, undouble_regex_classes};

/// Longest string that may arise (`spec/expressions.md` section 10).
const MAX_RESULT_BYTES: usize = 256 * 1024;

/// The input's variables; a clock and an environment that stand still.
struct Facts<'a> {
    json: JsonVariables<'a>,
    password: &'a [u8],
}

impl Variables for Facts<'_> {
    fn get<'a>(&'a self, name: &str) -> Lookup<'a> {
        match (name, self.json.get(name)) {
            ("password", Lookup::Unbound) => Lookup::Bytes(self.password),
            ("null", Lookup::Unbound) => Lookup::Null,
            (_, found) => found,
        }
    }

    fn environment(&self, name: &str) -> Option<String> {
        (name == "X").then(|| "env".to_owned())
    }

    fn now_ms(&self) -> u64 {
        1_800_000_000_123
    }
}

struct Nothing;

impl Variables for Nothing {
    fn get<'a>(&'a self, _name: &str) -> Lookup<'a> {
        Lookup::Unbound
    }
}

fn check(expression: &Expression, facts: &dyn Variables) {
    let result = expression.evaluate(facts);
    match &result {
        Ok(bytes) => assert!(bytes.len() <= MAX_RESULT_BYTES, "{} bytes", bytes.len()),
        Err(error) => assert!(error.position.is_some(), "{error}"),
    }
    let is_true = expression.is_true(facts);
    if !expression.source().contains("rand") {
        assert_eq!(expression.evaluate(facts), result);
        assert_eq!(is_true, result.map(|bytes| *bytes == *b"true"));
    }
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let Some(Ok(source)) = parts.next().map(std::str::from_utf8) else {
        return;
    };
    let password = parts.next().unwrap_or_default();
    let default = json!({"clientid": "c-1", "username": "u", "n": 7, "list": ["a", "", 2], "object": {"k": [null]}});
    let variables = serde_json::from_slice(password)
        .ok()
        .filter(Value::is_object)
        .unwrap_or(default);
    let _ = undouble_regex_classes(source);
    let expression = match Expression::compile(source) {
        Ok(expression) => expression,
        Err(error) => {
            let (line, column) = error.position.expect("a syntax error has a place");
            assert!(line >= 1 && column >= 1);
            return;
        }
    };
    assert_eq!(expression.to_string(), source);
    for finding in expression.lint() {
        assert!(!finding.message.is_empty() && finding.position >= (1, 1));
    }
    assert!(expression.variables().is_sorted());
    let json = JsonVariables(&variables);
    check(&expression, &Facts { json, password });
    check(&expression, &Nothing);
});
