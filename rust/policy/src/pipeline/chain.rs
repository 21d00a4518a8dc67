//! Authenticators in order, until one decides (`spec/authentication.md` sections 2 and 3).

use std::{sync::Arc, time::Duration};

use super::{
    ConnectRequest, Suspended,
    cinfo::Cinfo,
    variables::{ConnectVariables, Place},
};
use crate::{
    client::ClientInfo,
    decision::{
        Answer, AuthenticatedClient, ConnectResult, Decision, Grant, Name, Stage, Step, StepResult,
        Why, reason_code,
    },
    expr::Expression,
    profile::Profile,
    token::{Credentials, JwtAuthenticator},
};

/// The enabled authenticators of a chain.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) authenticators: Vec<Authenticator>,
    pub(super) profile: Profile,
    pub(super) ignore_backend_failures: bool,
}

#[derive(Debug)]
pub(super) struct Authenticator {
    pub(super) id: Name,
    pub(super) precondition: Option<Expression>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Cinfo(Cinfo),
    Jwt(JwtAuthenticator),
    External(External),
}

/// An authenticator that the caller decides.
#[derive(Debug)]
pub(super) struct External {
    pub(super) handle: u32,
    /// The Authentication Method it speaks; none: it decides about clients without one.
    pub(super) method: Option<Box<str>>,
}

/// How far a CONNECT got.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "the common case must not allocate"
)]
pub enum Progress {
    /// Decided.
    Decided(Decision),
    /// An external authenticator has to be asked.
    External(Box<Suspended>),
}

/// A client on its way through the pipeline, and the record so far.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) client: ClientInfo,
    pub(super) steps: Vec<Step>,
}

impl Chain {
    pub(super) fn len(&self) -> usize {
        self.authenticators.len()
    }

    /// Ask the authenticators from index `from` on.
    pub(super) fn run(
        self: &Arc<Self>,
        from: usize,
        mut run: Run,
        request: &ConnectRequest<'_>,
        now: Duration,
    ) -> Progress {
        if self.authenticators.is_empty() {
            return Progress::Decided(self.without_authenticators(run));
        }
        for (index, authenticator) in self.authenticators.iter().enumerate().skip(from) {
            if let Some(unmet) = Self::precondition(authenticator, &run.client, request, now) {
                match self.record(authenticator, Stage::Precondition, unmet, run) {
                    Recorded::Next(next) => run = next,
                    Recorded::Decided(decision) => return Progress::Decided(decision),
                }
                continue;
            }
            let answer = match &authenticator.kind {
                Kind::Cinfo(cinfo) => {
                    let variables = ConnectVariables {
                        place: Place::Cinfo,
                        client: &run.client,
                        request,
                        now,
                    };
                    cinfo.authenticate(&variables, self.profile, request.auth_method.is_some())
                }
                Kind::Jwt(jwt) => {
                    jwt.authenticate(&credentials(&run.client, request), now.as_secs())
                }
                Kind::External(external) if external.method.as_deref() == request.auth_method => {
                    let suspended =
                        Suspended::new(Arc::clone(self), index, external.handle, run, request);
                    return Progress::External(Box::new(suspended));
                }
                Kind::External(external) => Answer::Ignore(Why::new(match external.method {
                    None => "enhanced_authentication",
                    Some(_) => "other_method",
                })),
            };
            match self.record(authenticator, Stage::Authenticator, answer, run) {
                Recorded::Next(next) => run = next,
                Recorded::Decided(decision) => return Progress::Decided(decision),
            }
        }
        let name = Name::Static("no_match");
        let (code, why) = match request.auth_method {
            // As the reference: its answer to a method that nobody speaks is Not authorized.
            Some(method) if self.profile == Profile::Hardened && !self.speaks(method) => (
                reason_code::BAD_AUTHENTICATION_METHOD,
                "bad_authentication_method",
            ),
            _ => (reason_code::NOT_AUTHORIZED, "no_authenticator_accepted"),
        };
        Progress::Decided(run.deny(Stage::Default, name, code, Why::new(why)))
    }

    /// Whether some authenticator speaks an Authentication Method.
    fn speaks(&self, method: &str) -> bool {
        self.authenticators.iter().any(|authenticator| {
            matches!(&authenticator.kind, Kind::External(external)
                if external.method.as_deref() == Some(method))
        })
    }

    /// Nobody to ask: the profile decides.
    fn without_authenticators(&self, run: Run) -> Decision {
        let name = Name::Static("no_authenticator");
        match self.profile {
            Profile::Legacy => run.allow_anonymous(Stage::Default, name),
            Profile::Hardened => {
                let why = Why::new("no_authenticator");
                run.deny(Stage::Default, name, reason_code::NOT_AUTHORIZED, why)
            }
        }
    }

    /// The answer that a precondition gives in its authenticator's place; none when it is met.
    fn precondition(
        authenticator: &Authenticator,
        client: &ClientInfo,
        request: &ConnectRequest<'_>,
        now: Duration,
    ) -> Option<Answer> {
        let variables = ConnectVariables {
            place: Place::Precondition,
            client,
            request,
            now,
        };
        match authenticator.precondition.as_ref()?.is_true(&variables) {
            Ok(true) => None,
            Ok(false) => Some(Answer::Ignore(Why::new("precondition_false"))),
            Err(error) => Some(Answer::Failure(Why::with(
                "expression_error",
                error.to_string(),
            ))),
        }
    }

    /// Write an answer into the record and act on it.
    pub(super) fn record(
        &self,
        authenticator: &Authenticator,
        stage: Stage,
        answer: Answer,
        mut run: Run,
    ) -> Recorded {
        let id = authenticator.id.clone();
        let ignore = self.profile == Profile::Legacy || self.ignore_backend_failures;
        match answer.settle(ignore) {
            Answer::Ok(grant) => Recorded::Decided(run.allow(id, *grant)),
            Answer::Deny(code, why) => Recorded::Decided(run.deny(stage, id, code, why)),
            Answer::Ignore(why) | Answer::Failure(why) => {
                run.steps
                    .push(Step::because(stage, id, StepResult::Ignore, why));
                Recorded::Next(run)
            }
        }
    }
}

pub(super) enum Recorded {
    Next(Run),
    Decided(Decision),
}

impl Run {
    pub(super) fn new(client: ClientInfo, expected_steps: usize) -> Self {
        Self {
            client,
            steps: Vec::with_capacity(expected_steps),
        }
    }

    /// Refuse, and say who did and why.
    pub(super) fn deny(mut self, stage: Stage, by: Name, code: u8, why: Why) -> Decision {
        let (reason, detail) = (Some(why.reason), why.detail.clone());
        self.steps
            .push(Step::because(stage, by.clone(), StepResult::Deny, why));
        self.client.is_superuser = false;
        Decision {
            result: ConnectResult::Deny,
            reason,
            detail,
            reason_code: code,
            decided_by: by,
            client: AuthenticatedClient {
                info: self.client,
                preset: None,
                expire_at: None,
            },
            steps: self.steps,
        }
    }

    /// Accept without authentication.
    pub(super) fn allow_anonymous(mut self, stage: Stage, by: Name) -> Decision {
        self.steps
            .push(Step::new(stage, by.clone(), StepResult::Ok));
        self.accepted(by, Grant::default())
    }

    /// Accept with what the authenticator grants.
    fn allow(mut self, by: Name, mut grant: Grant) -> Decision {
        self.steps
            .push(Step::new(Stage::Authenticator, by.clone(), StepResult::Ok));
        if let Some(client_id) = grant.client_id_override.take() {
            self.client.client_id = client_id.into();
            self.steps.push(Step::new(
                Stage::ClientIdOverride,
                by.clone(),
                StepResult::Ok,
            ));
        }
        self.accepted(by, grant)
    }

    fn accepted(mut self, by: Name, mut grant: Grant) -> Decision {
        if !grant.client_attrs.is_empty() {
            self.client.client_attrs.append(&mut grant.client_attrs);
        }
        self.client.is_superuser = grant.is_superuser;
        Decision {
            result: ConnectResult::Allow,
            reason: None,
            detail: None,
            reason_code: reason_code::SUCCESS,
            decided_by: by,
            client: AuthenticatedClient {
                info: self.client,
                preset: grant.acl,
                expire_at: grant.expire_at,
            },
            steps: self.steps,
        }
    }
}

fn credentials<'a>(client: &'a ClientInfo, request: &ConnectRequest<'a>) -> Credentials<'a> {
    Credentials {
        client_id: &client.client_id,
        username: request.username,
        password: request.password,
        enhanced: request.auth_method.is_some(),
    }
}
