//! The `mechanism = jwt` authenticator (`spec/authentication.md` section 19).

use std::borrow::Cow;

use super::{
    KeySource, TokenFault,
    claims::{ClaimCheck, ClaimTemplate, NumericDate, shown},
    grant,
    value::{self, Value},
    verify,
};
use crate::decision::{Answer, Grant, Why, reason_code};

/// What a client presents, as authenticators see it. `None` is absent; empty is present.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The client id as assigned.
    pub client_id: &'a str,
    /// User Name.
    pub username: Option<&'a str>,
    /// Password.
    pub password: Option<&'a [u8]>,
    /// MQTT 5 enhanced authentication is under way.
    pub enhanced: bool,
}

/// Where the token is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenField {
    /// The CONNECT's Password.
    Password,
    /// The CONNECT's User Name.
    Username,
}

/// What a CONNECT without the field means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMissing {
    /// Some other authenticator's client.
    Ignore,
    /// Refused.
    Deny,
}

/// The options of an authenticator, texts already checked for their kind.
#[derive(Debug)]
pub struct JwtOptions<'a> {
    /// Where the token is taken from.
    pub from: TokenField,
    /// The keys that may have signed it.
    pub keys: KeySource,
    /// Claims that must equal the rendered templates, in that order.
    pub verify_claims: &'a [(String, String)],
    /// The claim that carries an ACL.
    pub acl_claim_name: &'a str,
    /// Whether `exp` also ends the connection.
    pub disconnect_after_expire: bool,
    /// What a CONNECT without a token means.
    pub on_missing_jwt: OnMissing,
}

/// Why `verify_claims` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyClaimsFault {
    /// Which entry, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// A compiled authenticator; decides without I/O.
#[derive(Debug)]
pub struct JwtAuthenticator {
    from: TokenField,
    keys: KeySource,
    /// Names of the claims that are looked at; the first ones are fixed.
    wanted: Vec<Box<str>>,
    checks: Vec<ClaimCheck>,
    acl: usize,
    disconnect_after_expire: bool,
    on_missing_jwt: OnMissing,
}

const EXP: usize = 0;
const NBF: usize = 1;
const IS_SUPERUSER: usize = 2;
const CLIENT_ATTRS: usize = 3;
const CLIENT_ID_OVERRIDE: usize = 4;
const FIXED: [&str; 5] = [
    "exp",
    "nbf",
    "is_superuser",
    "client_attrs",
    "clientid_override",
];

impl JwtAuthenticator {
    /// Prepare an authenticator. Claim names must be there, must differ, and must not be `exp` or `nbf`,
    /// which have checks of their own: no token could ever pass those.
    pub fn new(options: JwtOptions<'_>) -> Result<Self, Vec<VerifyClaimsFault>> {
        let faults = verify_claims_faults(options.verify_claims);
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut wanted: Vec<Box<str>> = FIXED.into_iter().map(Into::into).collect();
        let acl = slot_of(&mut wanted, options.acl_claim_name);
        let check = |(name, template): &(String, String)| ClaimCheck {
            name: name.as_str().into(),
            slot: slot_of(&mut wanted, name),
            expected: ClaimTemplate::parse(template),
        };
        let mut checks: Vec<ClaimCheck> = options.verify_claims.iter().map(check).collect();
        // The audience is checked before the time claims, the others after them.
        checks.sort_by_key(|check| !check.is_audience());
        Ok(Self {
            from: options.from,
            keys: options.keys,
            wanted,
            checks,
            acl,
            disconnect_after_expire: options.disconnect_after_expire,
            on_missing_jwt: options.on_missing_jwt,
        })
    }

    /// The keys, for replacing them.
    pub fn keys(&self) -> &KeySource {
        &self.keys
    }

    /// Whether the token is taken from the user name.
    pub fn reads_username(&self) -> bool {
        self.from == TokenField::Username
    }

    /// Decide about a client; `now` in whole Unix seconds.
    pub fn authenticate(&self, client: &Credentials<'_>, now: u64) -> Answer {
        if client.enhanced {
            return Answer::Ignore(Why::new("enhanced_authentication"));
        }
        let token = match self.from {
            TokenField::Password => client.password,
            TokenField::Username => client.username.map(str::as_bytes),
        };
        let Some(token) = token else {
            let why = Why::new("no_token");
            return match self.on_missing_jwt {
                OnMissing::Ignore => Answer::Ignore(why),
                OnMissing::Deny => Answer::Deny(reason_code::BAD_USER_NAME_OR_PASSWORD, why),
            };
        };
        let payload = match verify::verify(token, &self.keys) {
            Ok(payload) => payload,
            Err(fault) => return Answer::Failure(Why::new(fault.reason())),
        };
        let Some(slots) = value::parse(&payload, &self.wanted) else {
            return Answer::Failure(Why::new(TokenFault::BadPayload.reason()));
        };
        let claims = Claims(&slots);
        if let Err(why) = self.check_claims(&claims, client, now) {
            return Answer::Deny(reason_code::BAD_USER_NAME_OR_PASSWORD, why);
        }
        self.grant(&claims)
    }

    fn check_claims(
        &self,
        claims: &Claims<'_, '_>,
        client: &Credentials<'_>,
        now: u64,
    ) -> Result<(), Why> {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let audience = self.checks.iter().take_while(|check| check.is_audience());
        let others = self.checks.iter().skip_while(|check| check.is_audience());
        for check in audience {
            self.check_claim(check, claims, client)?;
        }
        if let Some(exp) = claims.date(EXP)?
            && !exp.is_after(now)
        {
            let late = now.saturating_sub_unsigned(exp.floor());
            return Err(Why::with("expired", format!("exp was {late} s ago")));
        }
        if let Some(nbf) = claims.date(NBF)?
            && nbf.is_after(now)
        {
            let early = nbf.floor().saturating_sub(now.unsigned_abs());
            return Err(Why::with(
                "not_yet_valid",
                format!("nbf is {early} s ahead"),
            ));
        }
        for check in others {
            self.check_claim(check, claims, client)?;
        }
        Ok(())
    }

    fn check_claim(
        &self,
        check: &ClaimCheck,
        claims: &Claims<'_, '_>,
        client: &Credentials<'_>,
    ) -> Result<(), Why> {
        let claim = claims.get(check.slot);
        if check.holds(claim, client) {
            return Ok(());
        }
        // A user name that is the token must not get into a record.
        let expected: Cow<'_, str> =
            if self.from == TokenField::Username && check.expected.uses_username() {
                "******".into()
            } else {
                check.expected.render(client).into()
            };
        let detail = format!(
            "claim {}: expected {expected:?}, got {}",
            check.name,
            shown(claim)
        );
        Err(Why::with("claim_mismatch", detail))
    }

    fn grant(&self, claims: &Claims<'_, '_>) -> Answer {
        let exp = claims.date(EXP).ok().flatten();
        let client_attrs = match grant::client_attrs(claims.get(CLIENT_ATTRS)) {
            Ok(attributes) => attributes,
            Err(why) => return Answer::Failure(why),
        };
        let acl = match grant::acl(claims.get(self.acl), exp) {
            Ok(acl) => acl,
            Err(answer) => return answer,
        };
        Answer::Ok(Box::new(Grant {
            is_superuser: grant::is_superuser(claims.get(IS_SUPERUSER)),
            client_attrs,
            client_id_override: grant::client_id_override(claims.get(CLIENT_ID_OVERRIDE)),
            acl,
            expire_at: exp
                .filter(|_| self.disconnect_after_expire)
                .map(NumericDate::floor),
        }))
    }
}

/// The claims of one token, by slot.
struct Claims<'s, 'a>(&'s [Option<Value<'a>>]);

impl<'s, 'a> Claims<'s, 'a> {
    fn get(&self, slot: usize) -> Option<&'s Value<'a>> {
        self.0.get(slot)?.as_ref()
    }

    /// A time claim; present but not a number is a mismatch.
    fn date(&self, slot: usize) -> Result<Option<NumericDate>, Why> {
        let Some(claim) = self.get(slot) else {
            return Ok(None);
        };
        NumericDate::from_claim(claim).map(Some).ok_or_else(|| {
            let name = FIXED.get(slot).copied().unwrap_or_default();
            Why::with(
                "claim_mismatch",
                format!(
                    "claim {name}: expected a number of seconds, got {}",
                    shown(Some(claim))
                ),
            )
        })
    }
}

fn slot_of(wanted: &mut Vec<Box<str>>, name: &str) -> usize {
    wanted
        .iter()
        .position(|known| **known == *name)
        .unwrap_or_else(|| {
            wanted.push(name.into());
            wanted.len() - 1
        })
}

fn verify_claims_faults(entries: &[(String, String)]) -> Vec<VerifyClaimsFault> {
    let problem = |index: usize, name: &str| {
        let earlier = entries.iter().take(index);
        match name {
            "" => Some("the claim name is empty".to_owned()),
            "exp" | "nbf" => Some(format!(
                "{name} is always checked and cannot be compared with a text"
            )),
            _ if earlier.into_iter().any(|(other, _)| other == name) => {
                Some(format!("claim {name} is named twice"))
            }
            _ => None,
        }
    };
    entries
        .iter()
        .enumerate()
        .filter_map(|(index, (name, _))| {
            problem(index, name).map(|problem| VerifyClaimsFault { index, problem })
        })
        .collect()
}
