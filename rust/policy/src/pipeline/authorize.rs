//! May this client do this? Superuser, preset, sources, `no_match`, in that order
//! (`spec/authorization.md` section 2). Allocates nothing unless a trace is asked for.

use std::time::Duration;

use super::{
    Pipeline,
    compile::Faults,
    config::{AuthorizationConfig, DenyAction, FileSourceConfig, NoMatch, SourceConfig},
    variables::AuthorizeVariables,
};
use crate::{
    acl::{
        Action, PresetVerdict, Request, RuleSet, RuleVerdict, Settings, TemplateAllow, unwrap_topic,
    },
    client::ClientInfo,
    decision::{AuthenticatedClient, DecidedBy, Name, Stage, Step, StepResult, Verdict, Why},
    expr::{Expression, ExpressionError},
    profile::Profile,
};

/// Compiled `authorization`.
#[derive(Debug)]
pub(super) struct Authorization {
    settings: Settings,
    no_match: NoMatch,
    deny_action: DenyAction,
    sources: Vec<FileSource>,
}

#[derive(Debug)]
struct FileSource {
    /// Position among all configured sources, disabled ones included.
    position: u16,
    precondition: Option<Expression>,
    rules: RuleSet,
}

impl Authorization {
    /// Characters that values may bring into topics.
    pub(super) fn template_allow(&self) -> TemplateAllow {
        self.settings.template_allow
    }

    pub(super) fn compile(
        profile: Profile,
        config: &AuthorizationConfig,
        faults: &mut Faults,
    ) -> Self {
        let allow = config.topic_template_allow;
        let mut sources = Vec::with_capacity(config.sources.len());
        for (position, source) in (0..).zip(&config.sources) {
            let path = format!("authorization.sources[{position}]");
            let SourceConfig::File(file) = source;
            if position > 0 {
                faults.add(
                    &path,
                    "duplicated_authz_source_type: at most one source of a type",
                );
            }
            if file.enable {
                sources.extend(FileSource::compile(position, &path, file, faults));
            }
        }
        Self {
            settings: Settings {
                profile,
                ignore_backend_failures: config.ignore_backend_failures,
                template_allow: TemplateAllow {
                    plus: allow.plus,
                    hash: allow.hash,
                    slash: allow.slash,
                },
            },
            no_match: config.no_match,
            deny_action: config.deny_action,
            sources,
        }
    }

    fn decide(
        &self,
        client: &AuthenticatedClient,
        request: &Request<'_>,
        now: Duration,
        trace: &mut Trace<'_>,
    ) -> Verdict {
        let Ok(topic) = unwrap_topic(request.action, request.topic) else {
            trace.add(Stage::Default, "topic", StepResult::Deny, || {
                Why::new("bad_topic")
            });
            return deny(DecidedBy::BadTopic);
        };
        let request = Request { topic, ..*request };
        if client.info.is_superuser {
            trace.add(Stage::Default, "superuser", StepResult::Ok, || {
                Why::new("superuser")
            });
            return allow(DecidedBy::Superuser);
        }
        self.ask_preset(client, &request, now, trace)
            .or_else(|| {
                let mut sources = self.sources.iter();
                sources.find_map(|source| {
                    source.decide(self.settings, &client.info, &request, now, trace)
                })
            })
            .unwrap_or_else(|| {
                let allow = self.no_match == NoMatch::Allow;
                let result = if allow {
                    StepResult::Ok
                } else {
                    StepResult::Deny
                };
                trace.add(Stage::Default, "no_match", result, || {
                    Why::new("no_rule_matched")
                });
                Verdict {
                    allow,
                    decided_by: DecidedBy::NoMatch,
                }
            })
    }

    fn ask_preset(
        &self,
        client: &AuthenticatedClient,
        request: &Request<'_>,
        now: Duration,
        trace: &mut Trace<'_>,
    ) -> Option<Verdict> {
        let preset = client.preset.as_ref()?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let whole = DecidedBy::Preset { rule: 0 };
        match preset.decide(&self.settings, &client.info, request, now) {
            PresetVerdict::Rules(verdict) => {
                trace.rules(Stage::AclPreset, "preset", verdict, |_| None);
                let by = |rule| DecidedBy::Preset { rule };
                verdict_of(verdict, by, |_| DecidedBy::PresetFailed)
            }
            PresetVerdict::Expired => {
                trace.add(Stage::AclPreset, "preset", StepResult::Deny, || {
                    Why::new("expired")
                });
                Some(deny(whole))
            }
            PresetVerdict::NotListed => {
                let why = || Why::new("no_rule_matched");
                trace.add(Stage::AclPreset, "preset", StepResult::Deny, why);
                Some(deny(whole))
            }
        }
    }
}

impl FileSource {
    fn compile(
        position: u16,
        path: &str,
        file: &FileSourceConfig,
        faults: &mut Faults,
    ) -> Option<Self> {
        let precondition = faults.precondition(path, file.precondition.as_deref());
        let rules = RuleSet::parse(&file.text)
            .map_err(|error| {
                let problem = format!("{}:{error}", file.path);
                faults.add(format!("{path}.path"), problem);
            })
            .ok();
        Some(Self {
            position,
            precondition,
            rules: rules?,
        })
    }

    fn decide(
        &self,
        settings: Settings,
        client: &ClientInfo,
        request: &Request<'_>,
        now: Duration,
        trace: &mut Trace<'_>,
    ) -> Option<Verdict> {
        match self.is_asked(client, request, now) {
            Ok(true) => {}
            Ok(false) => {
                let why = || Why::new("precondition_false");
                trace.add(Stage::Precondition, "file", StepResult::Skipped, why);
                return None;
            }
            // As the reference: a precondition that fails is one that is not met, in both profiles.
            Err(error) => {
                let why = || Why::with("expression_error", error.to_string());
                trace.add(Stage::Precondition, "file", StepResult::Skipped, why);
                return None;
            }
        }
        let verdict = self.rules.decide(&settings, client, request);
        trace.rules(Stage::Source, "file", verdict, |index| {
            let rule = self.rules.rule(index)?;
            Some(format!("line {}: {}", rule.line(), rule.source()))
        });
        let source = self.position;
        verdict_of(
            verdict,
            |rule| DecidedBy::File { source, rule },
            |rule| DecidedBy::FileFailed { source, rule },
        )
    }

    fn is_asked(
        &self,
        client: &ClientInfo,
        request: &Request<'_>,
        now: Duration,
    ) -> Result<bool, ExpressionError> {
        let Some(precondition) = &self.precondition else {
            return Ok(true);
        };
        precondition.is_true(&AuthorizeVariables {
            client,
            action: match request.action {
                Action::Publish { .. } => "publish",
                Action::Subscribe => "subscribe",
            },
            topic: request.topic,
            now,
        })
    }
}

impl Pipeline {
    /// Decide about a publish, or about one filter of a subscription; the topic is as in the packet.
    /// `now` is the time since the Unix epoch. Every call decides anew; nothing is cached here.
    pub fn authorize(
        &self,
        client: &AuthenticatedClient,
        request: &Request<'_>,
        now: Duration,
    ) -> Verdict {
        self.authorization
            .decide(client, request, now, &mut Trace(None))
    }

    /// As [`Pipeline::authorize`], with the steps that led to the verdict.
    pub fn authorize_traced(
        &self,
        client: &AuthenticatedClient,
        request: &Request<'_>,
        now: Duration,
    ) -> (Verdict, Vec<Step>) {
        let mut steps = Vec::new();
        let mut trace = Trace(Some(&mut steps));
        let verdict = self.authorization.decide(client, request, now, &mut trace);
        (verdict, steps)
    }

    /// `authorization.deny_action`.
    pub fn deny_action(&self) -> DenyAction {
        self.authorization.deny_action
    }
}

/// Steps are built only for somebody who reads them.
struct Trace<'s>(Option<&'s mut Vec<Step>>);

impl Trace<'_> {
    fn add(
        &mut self,
        stage: Stage,
        name: &'static str,
        result: StepResult,
        why: impl FnOnce() -> Why,
    ) {
        if let Some(steps) = &mut self.0 {
            steps.push(Step::because(stage, Name::Static(name), result, why()));
        }
    }

    fn rules(
        &mut self,
        stage: Stage,
        name: &'static str,
        verdict: RuleVerdict,
        text_of: impl FnOnce(usize) -> Option<String>,
    ) {
        let matched = |rule: usize| match text_of(rule) {
            Some(text) => Why::with("rule_matched", format!("rule {}, {text}", number(rule))),
            None => Why::with("rule_matched", format!("rule {}", number(rule))),
        };
        match verdict {
            RuleVerdict::Allow { rule } => {
                self.add(stage, name, StepResult::Ok, || matched(rule));
            }
            RuleVerdict::Deny { rule } => {
                self.add(stage, name, StepResult::Deny, || matched(rule));
            }
            RuleVerdict::NoMatch => {
                self.add(stage, name, StepResult::NoMatch, || {
                    Why::new("no_rule_matched")
                });
            }
            RuleVerdict::Failed { rule, reason } => {
                let why = || Why::with(reason.name(), format!("rule {}", number(rule)));
                self.add(stage, name, StepResult::Error, why);
            }
        }
    }
}

fn verdict_of(
    verdict: RuleVerdict,
    by: impl FnOnce(u32) -> DecidedBy,
    failed: impl FnOnce(u32) -> DecidedBy,
) -> Option<Verdict> {
    match verdict {
        RuleVerdict::Allow { rule } => Some(allow(by(number(rule)))),
        RuleVerdict::Deny { rule } => Some(deny(by(number(rule)))),
        RuleVerdict::NoMatch => None,
        RuleVerdict::Failed { rule, .. } => Some(deny(failed(number(rule)))),
    }
}

/// Rules are numbered from 1 for people.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}

fn allow(decided_by: DecidedBy) -> Verdict {
    Verdict {
        allow: true,
        decided_by,
    }
}

fn deny(decided_by: DecidedBy) -> Verdict {
    Verdict {
        allow: false,
        decided_by,
    }
}
