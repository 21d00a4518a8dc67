//! The expression language against its table of cases, `tests/data/expressions.json`, whose
//! results come from a run of the reference (`spec/expressions.md` section 12).

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fmt::Write, fs, path::Path};

use proptest::prelude::*;
use serde_json::Value as Json;
use vallum_policy::expr::{ErrorCode, Expression, JsonVariables, Lookup, Variables};

/// A case's variables and environment.
struct Case<'j> {
    vars: JsonVariables<'j>,
    env: &'j Json,
}

impl Variables for Case<'_> {
    fn get<'a>(&'a self, name: &str) -> Lookup<'a> {
        self.vars.get(name)
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.env
            .get(format!("EMQXVAR_{name}"))?
            .as_str()
            .map(str::to_owned)
    }
}

/// What the case gives: `=HEX` for a result, `!CODE` for an error.
fn outcome(expression: &str, case: &Case<'_>) -> String {
    let expression = match Expression::compile(expression) {
        Ok(expression) => expression,
        Err(error) => return format!("!{}", error.code),
    };
    let outcome = expression.evaluate(case);
    let is_true = expression.is_true(case);
    match outcome {
        Ok(result) => {
            assert_eq!(is_true, Ok(*result == *b"true"), "{}", expression.source());
            format!("={}", hex(&result))
        }
        Err(error) => {
            assert_eq!(is_true, Err(error.clone()), "{}", expression.source());
            format!("!{}", one_bad_argument(error.code.as_str()))
        }
    }
}

/// `badarg` and `exception` both say "bad argument" and count as one.
fn one_bad_argument(code: &str) -> &str {
    if code == ErrorCode::Exception.as_str() {
        ErrorCode::BadArg.as_str()
    } else {
        code
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn every_case_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/expressions.json");
    let cases: Vec<Json> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert!(cases.len() >= 581, "only {} cases", cases.len());
    let mut failures = String::new();
    for (number, json) in cases.iter().enumerate() {
        let text = |key: &str| json.get(key).and_then(Json::as_str);
        let expression = text("expr").unwrap();
        let case = Case {
            vars: JsonVariables(&json["vars"]),
            env: json.get("env").unwrap_or(&Json::Null),
        };
        let expected = match (text("result"), text("result_hex"), text("error")) {
            (Some(result), None, None) => format!("={}", hex(result.as_bytes())),
            (None, Some(result), None) => format!("={result}"),
            (None, None, Some(code)) => format!("!{}", one_bad_argument(code)),
            _ => panic!("case {number} has no single outcome"),
        };
        let found = outcome(expression, &case);
        if found != expected {
            writeln!(
                failures,
                "{number}: {expression}: {found} instead of {expected}"
            )
            .unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The result for no variables but `vars`, or the error code.
fn with(vars: &Json, source: &str) -> Result<String, ErrorCode> {
    let expression = Expression::compile(source).map_err(|error| error.code)?;
    let result = expression
        .evaluate(&JsonVariables(vars))
        .map_err(|error| error.code)?
        .into_owned();
    Ok(String::from_utf8(result).unwrap())
}

#[track_caller]
fn gives(source: &str, result: &str) {
    assert_eq!(with(&Json::Null, source), Ok(result.to_owned()), "{source}");
}

#[track_caller]
fn fails(source: &str, code: ErrorCode) {
    assert_eq!(with(&Json::Null, source), Err(code), "{source}");
}

#[test]
fn what_the_specification_says_beyond_the_table() {
    // Section 3.4: text of numbers and arrays.
    gives("any_to_str(json_value('[[1]]', 'a'))", "undefined");
    gives("1.0e21", "1000000000000000000000.0");
    gives("concat(0.0000000000001, '')", "0.0");
    gives(
        "any_to_str([json_value('{}', 'a'), 1])",
        r#"["undefined",1]"#,
    );
    // 5.3: grapheme clusters.
    gives("strlen('e\u{301}👨‍👩‍👧\r\n')", "3");
    gives("reverse('a\r\nb')", "b\r\na");
    gives("reverse('héllo')", "olléh");
    gives("replace('e\u{301}e', 'e', 'x')", "e\u{301}x");
    gives("find('e\u{301}ef', 'e')", "ef");
    gives("find('efe\u{301}', 'e', 'trailing')", "efe\u{301}");
    gives("lower('ΑΣ')", "ας".replace('ς', "σ").as_str());
    gives("trim('\u{a0}x\u{2028}')", "\u{a0}x");
    gives("pad('ab', 5, 'trailing', 'xy')", "abxyxyxy");
    gives("pad('ab', 5, 'trailing', '')", "ab");
    fails("pad('ab', 65537)", ErrorCode::BadArg);
    gives("unescape(\"\\x41B\")", "\u{41b}");
    gives(
        "sprintf_s('|~10s|~-6s|~5.2s|~n~~', ['abc', 'de', 'xyz'])",
        "|       abc|de    |   xy|\n~",
    );
    gives(
        "sprintf_s('~6.2.0f ~2b ~e ~*b', [3.14159, 123, 0.00015, 4, 7])",
        "003.14 ** 1.50000e-4    7",
    );
    fails("sprintf_s('~b', ['x'])", ErrorCode::Exception);
    fails("sprintf_s('~s', ['x', 'y'])", ErrorCode::Exception);
    fails(
        "sprintf_s('~99999999999999999999b', [1])",
        ErrorCode::BadArg,
    );
    // 5.4: replacements, empty matches, subjects in pieces, limits.
    gives(
        r"regex_replace('ab', '(a)(x)?b', '\g1-\g{2}-\0\&&\\')",
        "a--0&ab\\",
    );
    gives("regex_replace('abc', 'x*|b', '-')", "-a---c-");
    gives(r"regex_replace('aaa', 'a\K', '-')", "a-a-a-");
    gives("regex_replace('日本', '.', 'x')", "xxxxxx");
    fails(r"regex_replace('a', 'a', '\g')", ErrorCode::Exception);
    gives("regex_match(['re', 'ad'], '^read$')", "true");
    let runaway = format!("'{}!', '^(a+)+$'", "a".repeat(40));
    gives(&format!("regex_match({runaway})"), "false");
    gives(&format!("any_to_str(regex_extract({runaway}))"), "");
    gives(&format!("strlen(regex_replace({runaway}, 'x'))"), "41");
    // 5.5 and 5.2.
    gives("nth(99999999999999999999999999999999999999, ['a'])", "");
    gives(
        "nth('99999999999999999999999999999999999999999999', ['a'])",
        "",
    );
    gives("num_gt(1, 1.0)", "true");
    gives("num_gt(1.0, 1)", "true");
    gives("lists.member(1, [1.0])", "false");
    gives(
        "any_to_str(lists.usort(['b', 2, 'a', 2, is_empty(''), 1.5]))",
        r#"[1.5,2,true,"a","b"]"#,
    );
    // 5.7 and 5.8.
    gives("base64_decode('aGVs\r\nbG9=')", "hello");
    fails("base64_decode('aGVsbG8==')", ErrorCode::Exception);
    gives(r#"json_value('{"a":1,"a":{"b":2}}', 'a.b')"#, "2");
    gives(r#"json_value('{"a":{"b":2},"a":1}', 'a.b')"#, "");
    gives(r#"json_value('{"a":1,"b":"\ud800"}', 'a')"#, "");
    gives(r#"json_value('{"a":1,"b":1e999}', 'a')"#, "");
    gives(
        r#"json_value('{"n":18446744073709551615}', 'n')"#,
        "18446744073709551615",
    );
    gives(
        &format!(
            "json_value('{}1{}', 'a')",
            "[".repeat(3000),
            "]".repeat(3000)
        ),
        "",
    );
    gives(
        "hash('blake2s', '')",
        "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9",
    );
    fails(
        "map_to_range(1, 0, 170141183460469231731687303715884105727)",
        ErrorCode::BadArg,
    );
    gives(
        "num_lte(hash_to_range('x', -9223372036854775808, 9223372036854775807), 9223372036854775807)",
        "true",
    );
}

#[test]
fn errors_name_place_and_thing_but_no_value() {
    let place = |source: &str| Expression::compile(source).unwrap_err().position.unwrap();
    assert_eq!(place(""), (1, 1));
    assert_eq!(place("'é' x"), (1, 5));
    assert_eq!(place("f(a,\n  b,)"), (2, 5));
    assert_eq!(place("f('a\nb', 'c"), (2, 5));
    assert_eq!(place("f(\r\na)"), (1, 3));
    let message = |source: &str| Expression::compile(source).unwrap_err().to_string();
    assert_eq!(
        message("f(a b)"),
        "syntax: expected `,` or `)`, found `b` (line 1, column 5)"
    );
    assert!(message("${clientid}").contains("without `${}`"));

    let vars = serde_json::json!({"password": "hunter2"});
    let error = |source: &str| {
        let expression = Expression::compile(source).unwrap();
        let error = expression.evaluate(&JsonVariables(&vars)).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        (
            error.code,
            error.detail.to_string(),
            error.position.unwrap(),
        )
    };
    assert_eq!(
        error("concat('x', user_property..a)"),
        (ErrorCode::VarUnbound, "user_property.a".into(), (1, 13))
    );
    assert_eq!(
        error("lower(\n jwt_value(password, 'sub'))"),
        (ErrorCode::InvalidJwtToken, "jwt_value".into(), (2, 2))
    );
    assert_eq!(
        error("tokens(password, '')"),
        (ErrorCode::BadReturn, "tokens".into(), (1, 1))
    );
}

#[test]
fn limits_hold() {
    assert_eq!(
        Expression::compile(&format!("'{}'", "x".repeat(8190))).map(|_| ()),
        Ok(())
    );
    let too_long = Expression::compile(&format!("'{}'", "x".repeat(8191)));
    assert_eq!(too_long.unwrap_err().code, ErrorCode::Syntax);
    let nested = |levels: usize| format!("{}a{}", "not(".repeat(levels), ")".repeat(levels));
    assert_eq!(Expression::compile(&nested(64)).map(|_| ()), Ok(()));
    assert_eq!(
        Expression::compile(&nested(65)).unwrap_err().code,
        ErrorCode::Syntax
    );
    let half = serde_json::json!({"half": "x".repeat(128 * 1024)});
    assert_eq!(with(&half, "strlen(concat(half, half))").unwrap(), "262144");
    for source in [
        "concat([half, half, 'x'])",
        "any_to_str([half, half])",
        "regex_replace(half, 'x', 'yyy')",
        "bin2hexstr(concat(half, 'x'))",
    ] {
        assert_eq!(with(&half, source), Err(ErrorCode::BadArg), "{source}");
    }
    assert_eq!(with(&Json::Null, "1.0e400"), Err(ErrorCode::Syntax));
}

#[test]
fn lists_its_variables() {
    let expression = Expression::compile("concat([b.c, iif(a, b..c, f(d-e))])").unwrap();
    assert_eq!(
        expression.variables().collect::<Vec<_>>(),
        ["a", "b.c", "d-e"]
    );
    assert_eq!(expression.source(), "concat([b.c, iif(a, b..c, f(d-e))])");
}

/// Values of every type, also awkward ones, as expression text.
fn any_expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("clientid".to_owned()),
        Just("nothing".to_owned()),
        Just("list".to_owned()),
        Just("object".to_owned()),
        Just("bytes".to_owned()),
        Just("unbound".to_owned()),
        any::<i64>().prop_map(|value| value.to_string()),
        (-3_i32..40).prop_map(|value| value.to_string()),
        any::<f32>()
            .prop_filter("literal", |value| value.is_finite())
            .prop_map(|value| {
                let text = format!("{value:?}");
                if text.contains('.') && !text.contains('e') {
                    text
                } else {
                    "0.5".into()
                }
            }),
        "[^']{0,12}".prop_map(|text| format!("'{text}'")),
        "[~.*0-9bsfen\\\\&g{}x|(?:)+$^-]{0,12}".prop_map(|text| format!("'{text}'")),
        prop::sample::select(vec![
            "true",
            "'all'",
            "'leading'",
            "'trailing'",
            "'both'",
            "'notrim'",
            "'nocrlf'",
            "'sha256'",
            "'urlsafe'",
            "'no_padding'",
            "'a.b'",
            "'{\"a\":{\"b\":[1,null]}}'",
            "'x.eyJhIjoxfQ.y'",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let name = prop::sample::select(FUNCTIONS.to_vec());
        let args = prop::collection::vec(inner, 1..5);
        (name, args, any::<bool>()).prop_map(|(name, args, array)| {
            let args = args.join(",");
            if array {
                format!("{name}([{args}])")
            } else {
                format!("{name}({args})")
            }
        })
    })
}

const FUNCTIONS: &[&str] = &[
    "iif",
    "coalesce",
    "is_empty",
    "is_empty_val",
    "not",
    "str_comp",
    "str_eq",
    "num_comp",
    "lower",
    "upper",
    "trim",
    "ltrim",
    "rtrim",
    "reverse",
    "strlen",
    "substr",
    "rm_prefix",
    "concat",
    "join_to_string",
    "any_to_str",
    "split",
    "tokens",
    "pad",
    "replace",
    "find",
    "ascii",
    "unescape",
    "sprintf_s",
    "regex_match",
    "regex_replace",
    "regex_extract",
    "nth",
    "lists.nth",
    "lists.sort",
    "lists.usort",
    "lists.sum",
    "lists.max",
    "lists.reverse",
    "lists.append",
    "maps.get",
    "maps.keys",
    "maps.values",
    "topic_join",
    "topic_split",
    "topic_match",
    "bin2hexstr",
    "hexstr2bin",
    "int2hexstr",
    "base64_encode",
    "base64_decode",
    "json_value",
    "jwt_value",
    "hash",
    "hash_to_range",
    "map_to_range",
    "rand_str",
    "rand_int",
    "getenv",
];

proptest! {
    #[test]
    fn compiling_never_panics(source in "\\PC*") {
        if let Ok(expression) = Expression::compile(&source) {
            let _ = expression.lint();
        }
        let _ = vallum_policy::expr::undouble_regex_classes(&source);
    }

    #[test]
    fn compiling_token_soup_never_panics(source in "([a-z.]{1,3}|[(),\\[\\]]|'[\\\\sd]*'|[-+0-9.e]{1,4}| ){0,20}") {
        if let Ok(expression) = Expression::compile(&source) {
            let _ = expression.lint();
        }
        if let Some(undoubled) = vallum_policy::expr::undouble_regex_classes(&source) {
            prop_assert_eq!(vallum_policy::expr::undouble_regex_classes(&undoubled), None);
        }
    }

    #[test]
    fn evaluating_never_panics(source in any_expression(), clientid in "\\PC{0,20}") {
        let vars = serde_json::json!({
            "clientid": clientid, "nothing": null, "list": ["a", 1, 2.5, null, ["b"], {"k": true}],
            "object": {"k": "v", "n": null}, "bytes": {"$hex": "ff00fe0a"},
        });
        let vars = JsonVariables(&vars);
        let expression = Expression::compile(&source).unwrap();
        let _ = expression.lint();
        // Only names are told, never values.
        if let Err(error) = expression.evaluate(&vars) {
            prop_assert!(!error.detail.contains(' '), "{}", error);
        }
    }
}
