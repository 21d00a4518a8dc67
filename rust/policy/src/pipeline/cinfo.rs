//! The `mechanism = cinfo` authenticator (`spec/authentication.md` section 18): decides by expressions
//! over what the client says about itself, a token that nobody has verified yet included. So it may
//! refuse or narrow; what it allows must not depend on such a token.

use super::{config::CheckResult, variables::ConnectVariables};
use crate::{
    decision::{Answer, Why, reason_code},
    expr::{Expression, ExpressionError},
    profile::Profile,
};

/// Compiled checks; the first that matches answers.
#[derive(Debug)]
pub(super) struct Cinfo {
    pub(super) checks: Vec<Check>,
}

#[derive(Debug)]
pub(super) struct Check {
    pub(super) is_match: Vec<Expression>,
    pub(super) result: CheckResult,
}

impl Cinfo {
    /// Decide about a client. Does nothing during enhanced authentication.
    ///
    /// A check that cannot be evaluated does not match; in the hardened profile one that would have
    /// denied denies, so that a client cannot get past it by withholding what it looks at.
    pub(super) fn authenticate(
        &self,
        variables: &ConnectVariables<'_>,
        profile: Profile,
        enhanced: bool,
    ) -> Answer {
        if enhanced {
            return Answer::Ignore(Why::new("enhanced_authentication"));
        }
        let mut failed = None;
        for (index, check) in self.checks.iter().enumerate() {
            match check.matches(variables) {
                Ok(true) => return check.answer(index),
                Ok(false) => {}
                Err((expression, error)) => {
                    let detail = format!("checks[{index}].is_match[{expression}]: {error}");
                    let why = Why::with("expression_error", detail);
                    if check.result == CheckResult::Deny && profile == Profile::Hardened {
                        return Answer::Deny(reason_code::BAD_USER_NAME_OR_PASSWORD, why);
                    }
                    failed.get_or_insert(why);
                }
            }
        }
        Answer::Ignore(failed.unwrap_or(Why::new("no_check_matched")))
    }
}

impl Check {
    /// Whether all expressions are `true`; stops at the first that is not.
    fn matches(&self, variables: &ConnectVariables<'_>) -> Result<bool, (usize, ExpressionError)> {
        for (index, expression) in self.is_match.iter().enumerate() {
            if !expression
                .is_true(variables)
                .map_err(|error| (index, error))?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn answer(&self, index: usize) -> Answer {
        match self.result {
            CheckResult::Allow => Answer::Ok(Box::default()),
            CheckResult::Deny => Answer::Deny(
                reason_code::BAD_USER_NAME_OR_PASSWORD,
                Why::with("check_matched", format!("checks[{index}]")),
            ),
            CheckResult::Ignore => Answer::Ignore(Why::new("check_matched")),
        }
    }
}
