//! What is demanded of claims: the time claims and `verify_claims`
//! (`spec/authentication.md` sections 19.2 and 19.3).

use std::borrow::Cow;

use super::{authenticator::Credentials, value::Value};
use crate::{
    acl::Expiry,
    template::{Part, Template},
};

/// A `NumericDate` (RFC 7519 section 2): seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum NumericDate {
    Whole(i64),
    Fraction(f64),
}

impl NumericDate {
    /// A number, or a text that is exactly a decimal number.
    pub(super) fn from_claim(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Integer(seconds) => Some(Self::Whole(*seconds)),
            Value::Float(seconds) => Some(Self::Fraction(*seconds)),
            Value::Text(text) => Self::from_decimal(text),
            _ => None,
        }
    }

    fn from_decimal(text: &str) -> Option<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        match unsigned.split_once('.') {
            None if digits(unsigned) => match text.parse() {
                Ok(seconds) => Some(Self::Whole(seconds)),
                Err(_) => text.parse().ok().map(Self::Fraction), // past i64, still a number
            },
            Some((whole, fraction)) if digits(whole) && digits(fraction) => {
                text.parse().ok().map(Self::Fraction)
            }
            _ => None,
        }
    }

    /// Whether the instant lies after `now` (whole seconds, no leeway): `exp` must.
    #[allow(clippy::cast_precision_loss, reason = "a clock is far below 2^53")]
    pub(super) fn is_after(self, now: i64) -> bool {
        match self {
            Self::Whole(seconds) => now < seconds,
            Self::Fraction(seconds) => (now as f64) < seconds,
        }
    }

    /// The instant in whole seconds, rounded down, so that a deadline is never late.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float casts saturate, and a date before 1970 may become 1970"
    )]
    pub(super) fn floor(self) -> u64 {
        match self {
            Self::Whole(seconds) => u64::try_from(seconds).unwrap_or(0),
            Self::Fraction(seconds) => seconds.floor() as u64,
        }
    }

    /// The instant as the end of an ACL preset.
    #[allow(clippy::cast_possible_truncation, reason = "float casts saturate")]
    pub(super) fn expiry(self) -> Expiry {
        match self {
            Self::Whole(seconds) => Expiry::At(seconds),
            Self::Fraction(seconds) => Expiry::Rounded(seconds.floor() as i64),
        }
    }
}

/// One entry of `verify_claims`: the claim's name, where its value stands, and what it must equal.
#[derive(Clone, Debug)]
pub(super) struct ClaimCheck {
    pub(super) name: Box<str>,
    pub(super) slot: usize,
    pub(super) expected: ClaimTemplate,
}

impl ClaimCheck {
    /// `aud` (RFC 7519 section 4.1.3) may also be a list that holds the expected text.
    pub(super) fn is_audience(&self) -> bool {
        &*self.name == "aud"
    }

    /// Whether the claim is what it has to be; only texts ever are.
    pub(super) fn holds(&self, claim: Option<&Value<'_>>, client: &Credentials<'_>) -> bool {
        match claim {
            Some(Value::Text(text)) => {
                self.expected.matches(text, client) && !(self.is_audience() && text.is_empty())
            }
            Some(Value::List(items)) if self.is_audience() => items
                .iter()
                .filter_map(Value::as_text)
                .any(|text| self.expected.matches(text, client)),
            _ => false,
        }
    }
}

/// A template of which only `${clientid}` and `${username}` are placeholders; other ones stay literal,
/// `${$}` is a `$`. An absent user name is the empty text.
#[derive(Clone, Debug)]
pub(super) struct ClaimTemplate(Template<Variable>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    ClientId,
    Username,
}

impl ClaimTemplate {
    pub(super) fn parse(text: &str) -> Self {
        let resolve = |name: &str| match name {
            "clientid" => Some(Variable::ClientId),
            "username" => Some(Variable::Username),
            _ => None,
        };
        Self(Template::parse(text, resolve, &mut Vec::new()))
    }

    /// Whether the rendered template is exactly `text`; nothing is built.
    fn matches(&self, text: &str, client: &Credentials<'_>) -> bool {
        self.values(client).try_fold(text, str::strip_prefix) == Some("")
    }

    /// The rendered template, for decision records.
    pub(super) fn render(&self, client: &Credentials<'_>) -> String {
        self.values(client).collect()
    }

    pub(super) fn uses_username(&self) -> bool {
        let is_username = |part: &Part<Variable>| matches!(part, Part::Value(Variable::Username));
        self.0.parts().iter().any(is_username)
    }

    fn values<'a>(&'a self, client: &Credentials<'a>) -> impl Iterator<Item = &'a str> {
        self.0.parts().iter().map(move |part| match part {
            Part::Text(text) => text,
            Part::Value(Variable::ClientId) => client.client_id,
            Part::Value(Variable::Username) => client.username.unwrap_or(""),
        })
    }
}

/// A claim as it may stand in a record: short, and nothing but what it is.
pub(super) fn shown(claim: Option<&Value<'_>>) -> Cow<'static, str> {
    const LONGEST: usize = 64;
    match claim {
        None => "nothing".into(),
        Some(Value::Text(text)) if text.chars().count() <= LONGEST => format!("{text:?}").into(),
        Some(Value::Text(_)) => "a long text".into(),
        Some(Value::Null) => "null".into(),
        Some(Value::Bool(_)) => "a boolean".into(),
        Some(Value::Integer(_) | Value::Float(_)) => "a number".into(),
        Some(Value::List(_)) => "a list".into(),
        Some(Value::Object(_)) => "an object".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Credentials<'static> {
        Credentials {
            client_id: "c1",
            username: Some("u1"),
            password: None,
            enhanced: false,
        }
    }

    #[test]
    fn templates_render_two_placeholders_only() {
        for (template, text) in [
            ("${username}-${clientid}", "u1-c1"),
            ("${clientid}${clientid}", "c1c1"),
            ("x${.clientid}", "xc1"),
            ("${$}{clientid}", "${clientid}"),
            ("${peerhost}", "${peerhost}"),
            ("${ clientid }", "${ clientid }"),
            ("${clientid", "${clientid"),
            ("$$ {}", "$$ {}"),
            ("", ""),
        ] {
            let parsed = ClaimTemplate::parse(template);
            assert_eq!(parsed.render(&client()), text, "{template}");
            assert!(parsed.matches(text, &client()), "{template}");
            assert!(
                !parsed.matches(&format!("{text}x"), &client()),
                "{template}"
            );
        }
    }

    #[test]
    fn decimal_texts_are_dates_and_nothing_else_is() {
        let date = |text: &'static str| NumericDate::from_claim(&Value::Text(text.into()));
        assert_eq!(date("123"), Some(NumericDate::Whole(123)));
        assert_eq!(date("-1"), Some(NumericDate::Whole(-1)));
        assert_eq!(date("1.5"), Some(NumericDate::Fraction(1.5)));
        for bad in [
            "", "12 ", " 12", "1.", ".5", "1e3", "0x10", "inf", "NaN", "+", "1.5.2", "１",
        ] {
            assert_eq!(date(bad), None, "{bad:?}");
        }
        assert!(date("99999999999999999999").is_some_and(|date| date.is_after(1)));
    }

    #[test]
    fn a_deadline_is_rounded_down() {
        assert_eq!(NumericDate::Fraction(60.9).floor(), 60);
        assert_eq!(NumericDate::Fraction(-1.0).floor(), 0);
        assert!(NumericDate::Fraction(60.5).is_after(60));
        assert!(!NumericDate::Whole(60).is_after(60));
    }
}
