//! Subscriptions that every client gets when it connects (the root `auto_subscribe`).

use std::net::SocketAddr;

use vallum_mqtt::{
    packet::{QoS, RetainHandling, Subscription},
    topic::FilterScope,
};
use vallum_policy::{
    client::ClientInfo,
    profile::Profile,
    template::{Part, Template},
};

use super::SessionRef;
use crate::{
    config::AutoSubscriptionConfig, event::Refusal, event_loop::EventLoop, retained::Replay,
};

/// A subscription to be made.
#[derive(Debug)]
pub(crate) struct AutoSubscription {
    topic: Template<Value>,
    qos: QoS,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: RetainHandling,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    ClientId,
    UserName,
    Host,
    Port,
}

impl AutoSubscription {
    /// Take a subscription from the configuration.
    pub(crate) fn compile(config: &AutoSubscriptionConfig) -> Self {
        let name = |name: &str| match name {
            "clientid" => Some(Value::ClientId),
            "username" => Some(Value::UserName),
            "host" => Some(Value::Host),
            "port" => Some(Value::Port),
            _ => None,
        };
        Self {
            topic: Template::parse(&config.topic, name, &mut Vec::new()),
            qos: QoS::from_u8(config.qos).unwrap_or_default(),
            no_local: config.no_local,
            retain_as_published: config.retain_as_published,
            retain_handling: match config.retain_handling {
                0 => RetainHandling::OnSubscribe,
                1 => RetainHandling::IfNew,
                _ => RetainHandling::Never,
            },
        }
    }

    /// The filter for one client, or why there is none. In hardened a value must not change what the
    /// filter means: a client named `#` would get everything.
    fn filter(
        &self,
        client: &ClientInfo,
        peer: SocketAddr,
        profile: Profile,
    ) -> Result<String, &'static str> {
        let mut filter = String::new();
        for part in self.topic.parts() {
            let value = match part {
                Part::Text(text) => {
                    filter.push_str(text);
                    continue;
                }
                Part::Value(Value::ClientId) => &*client.client_id,
                Part::Value(Value::UserName) => client
                    .username
                    .as_deref()
                    .ok_or("placeholder_missing_value")?,
                Part::Value(Value::Host) => {
                    filter.push_str(&peer.ip().to_canonical().to_string());
                    continue;
                }
                Part::Value(Value::Port) => {
                    filter.push_str(&peer.port().to_string());
                    continue;
                }
            };
            if profile == Profile::Hardened && value.contains(['+', '#', '/']) {
                return Err("placeholder_forbidden_character");
            }
            filter.push_str(value);
        }
        match FilterScope::parse(&filter) {
            Ok(_) => Ok(filter),
            Err(_) => Err("bad_topic"),
        }
    }
}

impl EventLoop {
    /// Make the subscriptions that every client gets. In hardened only those it may make itself; the
    /// reference does not ask.
    pub(crate) fn auto_subscribe(&mut self, slot: u32, reference: SessionRef) {
        let shared = std::sync::Arc::clone(&self.shared);
        for wanted in &shared.auto_subscriptions {
            let Some(peer) = self.connections.get(slot as usize).map(|c| c.peer) else {
                return;
            };
            let Some(client) = self.session_mut(reference).map(|s| s.client.clone()) else {
                return;
            };
            let profile = self.pipeline.profile();
            let filter = match wanted.filter(&client.info, peer, profile) {
                Ok(filter) => filter,
                Err(reason) => {
                    self.report(Refusal {
                        action: "auto_subscribe",
                        client_id: client.info.client_id.clone(),
                        username: client.info.username.clone(),
                        peer: Some(peer),
                        listener: client.info.listener.clone(),
                        stage: "auto_subscribe".to_owned(),
                        reason: reason.to_owned(),
                        reason_code: 0x8F,
                        topic: None,
                        suppressed: 0,
                    });
                    continue;
                }
            };
            let entry = Subscription {
                filter: &filter,
                qos: wanted.qos,
                no_local: wanted.no_local,
                retain_as_published: wanted.retain_as_published,
                retain_handling: wanted.retain_handling,
            };
            if profile == Profile::Hardened
                && self
                    .permit_subscribe(slot, reference, &entry, &filter)
                    .is_err()
            {
                continue;
            }
            if let Ok(granted) = self.subscribe_one(slot, reference, &entry, 0)
                && granted.replay
            {
                self.replays
                    .push_back(Replay::new(reference, granted.filter, granted.options));
            }
        }
    }
}
