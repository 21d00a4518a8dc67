//! `mqtt.client_attrs_init` and `mqtt.clientid_override` (`spec/expressions.md` sections 7.3 and 8.1):
//! neither ever refuses a client; what cannot be computed is left out, and the record says so.

use std::{sync::Arc, time::Duration};

use super::{
    ConnectRequest,
    variables::{ConnectVariables, Place},
};
use crate::{
    client::{Attributes, ClientInfo},
    decision::{Name, Stage, Step, StepResult, Why},
    expr::Expression,
};

/// The longest client id an override may give, in bytes (MQTT 5 section 1.5.4).
const MAX_CLIENT_ID_BYTES: usize = 65_535;

/// Who the clients of a zone are taken for.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) use_username_as_client_id: bool,
    pub(super) attributes: Vec<AttributeExpression>,
    pub(super) client_id_override: Option<Expression>,
}

/// One compiled entry of `client_attrs_init`.
#[derive(Debug)]
pub(super) struct AttributeExpression {
    pub(super) expression: Expression,
    pub(super) name: Arc<str>,
}

/// Compute the attributes and lay them over those the client already has. All entries see the client as
/// it was before, not each other's results; of several for one name the last with a value wins.
pub(super) fn initialize(
    entries: &[AttributeExpression],
    client: &mut ClientInfo,
    request: &ConnectRequest<'_>,
    now: Duration,
    steps: &mut Vec<Step>,
) {
    let mut computed = Attributes::new();
    for entry in entries {
        let variables = ConnectVariables {
            place: Place::ClientAttrsInit,
            client,
            request,
            now,
        };
        let name = Name::Shared(Arc::clone(&entry.name));
        let step = match value_of(&entry.expression, &variables) {
            Ok(Some(value)) => {
                computed.insert((*entry.name).into(), value);
                Step::new(Stage::ClientAttrsInit, name, StepResult::Ok)
            }
            Ok(None) => {
                let why = Why::new("empty");
                Step::because(Stage::ClientAttrsInit, name, StepResult::Skipped, why)
            }
            Err(why) => Step::because(Stage::ClientAttrsInit, name, StepResult::Error, why),
        };
        steps.push(step);
    }
    client.client_attrs.append(&mut computed);
}

/// Replace the client id by the expression's value, if it has one.
pub(super) fn override_client_id(
    expression: &Expression,
    client: &mut ClientInfo,
    request: &ConnectRequest<'_>,
    now: Duration,
    steps: &mut Vec<Step>,
) {
    let variables = ConnectVariables {
        place: Place::ClientIdOverride,
        client,
        request,
        now,
    };
    let name = Name::Static("mqtt.clientid_override");
    let step = match value_of(expression, &variables) {
        Ok(Some(value)) if value.len() <= MAX_CLIENT_ID_BYTES => {
            client.client_id = value.into();
            Step::new(Stage::ClientIdOverride, name, StepResult::Ok)
        }
        Ok(Some(_)) => {
            let why = Why::new("too_long");
            Step::because(Stage::ClientIdOverride, name, StepResult::Error, why)
        }
        Ok(None) => {
            let why = Why::new("empty");
            Step::because(Stage::ClientIdOverride, name, StepResult::Skipped, why)
        }
        Err(why) => Step::because(Stage::ClientIdOverride, name, StepResult::Error, why),
    };
    steps.push(step);
}

/// A non-empty value in UTF-8 without control characters.
fn value_of(
    expression: &Expression,
    variables: &ConnectVariables<'_>,
) -> Result<Option<Box<str>>, Why> {
    let bytes = expression
        .evaluate(variables)
        .map_err(|error| Why::with("expression_error", error.to_string()))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(Some(text.into())),
        _ => Err(Why::new("contains_control_characters")),
    }
}
