//! PUBLISH from a client (section 3.3).

use std::{num::NonZeroU16, sync::Arc};

use vallum_mqtt::{
    packet::{Ack, FixedHeader, PacketType, Publish, QoS, ReasonCode, Version},
    topic::{Delayed, TopicName, has_control_characters, level_count},
};
use vallum_policy::{
    acl::{Action, Request},
    decision::{AuthenticatedClient, DecidedBy, Verdict},
    pipeline::config::DenyAction,
    profile::Profile,
};

use super::{disconnect::Close, mounts::mounted_name};
use crate::{
    event::Refusal,
    event_loop::{EventLoop, Flow, Outgoing, Routed},
    retained::Stored,
    session::{SessionRef, state::Will},
};

impl EventLoop {
    /// The delay in front of a topic name (`$delayed/SECONDS/TOPIC`), if that means anything; one inside
    /// another is refused.
    fn delayed_of<'a>(&self, topic: &'a str) -> Result<Option<Delayed<'a>>, ReasonCode> {
        if !self.shared.config.delayed.enable {
            return Ok(None);
        }
        match Delayed::parse(topic) {
            Ok(Some(delayed)) if delayed.topic.starts_with("$delayed/") => {
                Err(ReasonCode::TopicNameInvalid)
            }
            Ok(delayed) => Ok(delayed),
            Err(_) => Err(ReasonCode::TopicNameInvalid),
        }
    }

    /// A PUBLISH.
    pub(crate) fn on_publish(
        &mut self,
        slot: u32,
        session_slot: u32,
        header: FixedHeader,
        body: &[u8],
    ) -> Flow {
        let Some(connection) = self.connections.get(slot as usize) else {
            return Flow::Closed;
        };
        let version = connection.version;
        let publish = match Publish::decode(version, &header, body) {
            Ok(publish) => publish,
            Err(error) => return self.refuse_packet(slot, error.reason()),
        };
        if publish.properties.has_subscription_ids() {
            return self.refuse_packet(slot, ReasonCode::ProtocolError); // [MQTT-3.3.4-6]
        }
        self.metrics().messages_received.add(1);
        let alias_topic;
        let topic = match publish.properties.topic_alias() {
            None => publish.topic,
            Some(alias) => match self.resolve_alias(slot, alias.get(), publish.topic) {
                Ok(None) => publish.topic,
                Ok(Some(known)) => {
                    alias_topic = known;
                    &*alias_topic
                }
                Err(reason) => return self.refuse_packet(slot, reason),
            },
        };
        let Some(reference) = self.session_ref(session_slot) else {
            return Flow::Closed;
        };
        if publish.qos == QoS::ExactlyOnce
            && let Some(id) = self.taken_before(session_slot, publish.packet_id)
        {
            // Its message was passed on, whatever the rules say of it by now [MQTT-4.3.3-10].
            self.send_ack(slot, PacketType::PubRec, id, ReasonCode::Success);
            return Flow::Continue;
        }
        let rewritten = match self.rewrite_publish(reference, topic) {
            Ok(rewritten) => rewritten,
            Err(reason) => return self.refuse_packet(slot, reason),
        };
        let asked = topic;
        let topic = rewritten.as_deref().unwrap_or(asked);
        if let Err(flow) = self.permit_publish(slot, reference, &publish, asked, topic) {
            return flow;
        }
        let delayed = match self.delayed_of(topic) {
            Ok(delayed) => delayed,
            Err(reason) => return self.refuse_packet(slot, reason),
        };
        let destination = match self.mounted_name(reference, delayed.map_or(topic, |d| d.topic)) {
            Ok(destination) => destination,
            Err(reason) => return self.refuse_packet(slot, reason),
        };
        if publish.qos == QoS::ExactlyOnce
            && let Some(flow) = self.begin_exactly_once(slot, session_slot, publish.packet_id)
        {
            return flow;
        }
        let properties = publish.properties.forwardable();
        let mut outgoing = Outgoing::new(
            &destination,
            &properties,
            publish.payload,
            publish.qos,
            publish.retain,
        );
        outgoing.publisher = Some(reference);
        let life = publish.properties.message_expiry_interval();
        outgoing.expires_at = self.expiry_of(self.zone_of(slot), life);
        if let Some(delayed) = delayed {
            if !self.hold(&mut outgoing, delayed.seconds) {
                return self.over_quota(slot, session_slot, publish.qos, publish.packet_id);
            }
            if let Some(id) = publish.packet_id {
                self.acknowledge_with(slot, publish.qos, id, ReasonCode::Success);
            }
            return Flow::Continue;
        }
        outgoing.hears_of_failure = version == Version::V5 && publish.qos != QoS::AtMostOnce;
        let Routed {
            matched,
            pending,
            refused,
        } = self.publish(&mut outgoing);
        self.recycle(outgoing);
        if refused {
            return self.over_quota(slot, session_slot, publish.qos, publish.packet_id);
        }
        if pending {
            self.wait_for_fanout(slot, publish.qos, publish.packet_id, matched);
            return Flow::Park;
        }
        self.acknowledge(slot, publish.qos, publish.packet_id, matched);
        Flow::Continue
    }

    /// The topic that a rule puts in place of `topic`.
    fn rewrite_publish(
        &mut self,
        publisher: SessionRef,
        topic: &str,
    ) -> Result<Option<String>, ReasonCode> {
        if !self.pipeline.rewrites_publish() {
            return Ok(None);
        }
        let client = self.session_mut(publisher).map(|s| s.client.clone());
        let rewritten =
            client.and_then(|client| self.pipeline.rewrite_publish(&client.info, topic));
        match rewritten {
            Some(topic) if TopicName::parse(&topic).is_err() => Err(ReasonCode::TopicNameInvalid),
            rewritten => Ok(rewritten),
        }
    }

    /// Limits and authorization (`spec/authorization.md` section 3 gives the order and the answers).
    /// `asked` is the topic before rules put `topic` in its place.
    fn permit_publish(
        &mut self,
        slot: u32,
        reference: SessionRef,
        publish: &Publish<'_>,
        asked: &str,
        topic: &str,
    ) -> Result<(), Flow> {
        let judged = match self.pipeline.profile() {
            Profile::Legacy => asked,
            Profile::Hardened => topic,
        };
        let Some(client) = self.session_mut(reference).map(|s| s.client.clone()) else {
            return Err(Flow::Closed);
        };
        let request = Request {
            action: Action::Publish {
                retain: publish.retain,
            },
            qos: publish.qos.as_u8(),
            topic: judged,
        };
        let verdict = self.pipeline.authorize(&client, &request, self.unix_now);
        if !verdict.allow {
            self.metrics().messages_denied.add(1);
            self.report_denied(slot, "publish", &client, &verdict, judged);
            if self.denial_disconnects() {
                self.close(slot, Close::Server(ReasonCode::NotAuthorized));
                return Err(Flow::Closed);
            }
            self.acknowledge_refused(slot, publish.qos, publish.packet_id);
            return Err(Flow::Continue);
        }
        let mqtt = self.mqtt_of(slot);
        let broken = if mqtt.strict_mode && has_control_characters(topic)
            || level_count(topic) > mqtt.max_topic_levels
        {
            Some(ReasonCode::TopicNameInvalid)
        } else if publish.qos.as_u8() > mqtt.max_qos_allowed {
            Some(ReasonCode::QoSNotSupported)
        } else if publish.retain && !mqtt.retain_available {
            Some(ReasonCode::RetainNotSupported)
        } else {
            None
        };
        match broken {
            Some(reason) => Err(self.refuse_packet(slot, reason)),
            None => Ok(()),
        }
    }

    /// The topic an alias stands for, or `None` where the packet names it itself (section 3.3.2.3.4).
    fn resolve_alias(
        &mut self,
        slot: u32,
        alias: u16,
        topic: &str,
    ) -> Result<Option<Box<str>>, ReasonCode> {
        if alias > self.mqtt_of(slot).max_topic_alias {
            return Err(ReasonCode::TopicAliasInvalid);
        }
        let connection = self
            .connections
            .get_mut(slot as usize)
            .ok_or(ReasonCode::ProtocolError)?;
        let state = connection.v5.get_or_insert_default();
        let aliases = state.incoming.get_or_insert_default();
        if topic.is_empty() {
            let known = aliases.topic(alias).ok_or(ReasonCode::ProtocolError)?;
            return Ok(Some(known.into()));
        }
        aliases.set(alias, topic)?;
        Ok(None)
    }

    /// The identifier of a `QoS` 2 message that was taken and whose PUBREL is still due.
    fn taken_before(&self, session_slot: u32, packet_id: Option<NonZeroU16>) -> Option<NonZeroU16> {
        let entry = self.sessions.get(session_slot as usize)?;
        let waiting = entry.session.awaiting_rel.as_ref()?;
        packet_id.filter(|id| waiting.contains_key(&id.get()))
    }

    /// Note the identifier of a `QoS` 2 message; `Some` if there is no room for it.
    fn begin_exactly_once(
        &mut self,
        slot: u32,
        session_slot: u32,
        packet_id: Option<NonZeroU16>,
    ) -> Option<Flow> {
        let packet_id = packet_id?;
        let mqtt = self.mqtt_of(slot);
        let limit = mqtt.max_awaiting_rel.map_or(usize::MAX, usize::from);
        let (now, timeout) = (self.now, mqtt.await_rel_timeout);
        let id = packet_id.get();
        let entry = self.sessions.get_mut(session_slot as usize)?;
        let waiting = entry.session.awaiting_rel.get_or_insert_default();
        if waiting.len() >= limit {
            waiting.retain(|_, since| now < since.saturating_add(timeout));
        }
        if waiting.len() >= limit {
            return Some(self.refuse_packet(slot, ReasonCode::ReceiveMaximumExceeded));
        }
        waiting.insert(id, now);
        None
    }

    /// PUBACK or PUBREC of a message that was passed on.
    pub(crate) fn acknowledge(
        &mut self,
        slot: u32,
        qos: QoS,
        packet_id: Option<NonZeroU16>,
        matched: usize,
    ) {
        let Some(id) = packet_id else { return };
        let reason = if matched == 0 {
            ReasonCode::NoMatchingSubscribers
        } else {
            ReasonCode::Success
        };
        self.acknowledge_with(slot, qos, id, reason);
    }

    /// PUBACK or PUBREC of a message there was no room for; its identifier is free again.
    fn over_quota(
        &mut self,
        slot: u32,
        session_slot: u32,
        qos: QoS,
        packet_id: Option<NonZeroU16>,
    ) -> Flow {
        if let Some(entry) = self.sessions.get_mut(session_slot as usize) {
            entry.session.forget_awaiting(packet_id);
        }
        if let Some(id) = packet_id {
            self.acknowledge_with(slot, qos, id, ReasonCode::QuotaExceeded);
        }
        Flow::Continue
    }

    /// PUBACK or PUBREC of a message that authorization refused; a 3.x client cannot be told.
    fn acknowledge_refused(&mut self, slot: u32, qos: QoS, packet_id: Option<NonZeroU16>) {
        let Some(id) = packet_id else { return };
        self.acknowledge_with(slot, qos, id, ReasonCode::NotAuthorized);
    }

    fn acknowledge_with(&mut self, slot: u32, qos: QoS, id: NonZeroU16, reason: ReasonCode) {
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.send_ack(slot, PacketType::PubAck, id, reason),
            QoS::ExactlyOnce => self.send_ack(slot, PacketType::PubRec, id, reason),
        }
    }

    /// One of the four acknowledgements.
    pub(crate) fn send_ack(
        &mut self,
        slot: u32,
        packet_type: PacketType,
        id: NonZeroU16,
        reason: ReasonCode,
    ) {
        self.send(slot, |version, out| {
            Ack::new(id, reason).encode(packet_type, version, out)
        });
    }

    /// Whether `authorization.deny_action` ends the connection.
    pub(crate) fn denial_disconnects(&self) -> bool {
        self.pipeline.deny_action() == DenyAction::Disconnect
    }

    /// The broker second a message expires at, by its own interval and the cap of its publisher's zone.
    fn expiry_of(&self, zone: u16, interval: Option<u32>) -> Option<u32> {
        let cap = self.mqtt_in(zone).message_expiry_interval;
        let seconds = match (interval, cap) {
            (Some(interval), Some(cap)) => interval.min(cap),
            (Some(interval), None) => interval,
            (None, cap) => cap?,
        };
        Some(self.now.saturating_add(seconds))
    }

    /// Retain and route. What cannot be retained goes nowhere if its publisher can be told so; to one that
    /// cannot, the message matters more.
    pub(crate) fn publish(&mut self, outgoing: &mut Outgoing<'_>) -> Routed {
        if outgoing.retain {
            let publisher = outgoing.publisher.and_then(|publisher| {
                let session = self.session_mut(publisher)?;
                Some(Arc::clone(&session.client.info.client_id))
            });
            let shared = &self.shared;
            let stored = shared
                .retained
                .store(outgoing, publisher, self.now, &shared.clock);
            if stored != Stored::Yes {
                self.metrics().dropped_retained.add(1);
                if stored == Stored::Full && outgoing.hears_of_failure {
                    return Routed::REFUSED;
                }
            }
            if outgoing.payload.is_empty() && self.shared.config.retainer.stop_publish_clear_msg {
                return Routed::default();
            }
        }
        self.route(outgoing)
    }

    /// Publish a will, if its client may by now (`spec/authorization.md` section 4).
    pub(crate) fn publish_will(
        &mut self,
        publisher: SessionRef,
        client: &AuthenticatedClient,
        will: &Will,
        at: std::time::Duration,
    ) {
        let rewritten = self.pipeline.rewrite_publish(&client.info, &will.topic);
        let topic = rewritten.as_deref().unwrap_or(&will.topic);
        let judged = match self.pipeline.profile() {
            Profile::Legacy => &*will.topic,
            Profile::Hardened => topic,
        };
        let request = Request {
            action: Action::Publish {
                retain: will.retain,
            },
            qos: will.qos.as_u8(),
            topic: judged,
        };
        let verdict = self.pipeline.authorize(client, &request, at);
        if !verdict.allow {
            self.metrics().wills_denied.add(1);
            self.report_denied(u32::MAX, "will", client, &verdict, judged);
            return;
        }
        let zone = self.session_mut(publisher).map_or(0, |s| s.zone);
        let valid = rewritten.is_none() || TopicName::parse(topic).is_ok();
        let parsed = self.delayed_of(topic).and_then(|delayed| {
            let topic = delayed.map_or(topic, |delayed| delayed.topic);
            Ok((delayed, mounted_name(client, topic)?))
        });
        let Some((delayed, destination)) = parsed.ok().filter(|_| valid) else {
            self.metrics().wills_denied.add(1);
            return;
        };
        let mut outgoing = Outgoing::new(
            &destination,
            &will.properties,
            &will.payload,
            will.qos,
            will.retain,
        );
        outgoing.publisher = Some(publisher);
        outgoing.expires_at = self.expiry_of(zone, will.message_expiry);
        if let Some(delayed) = delayed {
            self.hold(&mut outgoing, delayed.seconds);
        } else {
            self.publish(&mut outgoing);
        }
        self.recycle(outgoing);
        self.metrics().wills_published.add(1);
    }

    /// One line for the log about a refused topic.
    pub(crate) fn report_denied(
        &mut self,
        slot: u32,
        action: &'static str,
        client: &AuthenticatedClient,
        verdict: &Verdict,
        topic: &str,
    ) {
        let reason = match verdict.decided_by {
            DecidedBy::NoMatch => "no_rule_matched",
            DecidedBy::PresetFailed | DecidedBy::FileFailed { .. } => "rule_failed",
            DecidedBy::BadTopic => "bad_topic",
            _ => "rule_matched",
        };
        self.report(Refusal {
            action,
            client_id: client.info.client_id.clone(),
            username: client.info.username.clone(),
            peer: self.connections.get(slot as usize).map(|c| c.peer),
            listener: client.info.listener.clone(),
            stage: verdict.decided_by.to_string(),
            reason: reason.to_owned(),
            reason_code: ReasonCode::NotAuthorized.as_u8(),
            topic: Some(topic.into()),
            suppressed: 0,
        });
    }

    /// The protocol version of a connection.
    pub(crate) fn version_of(&self, slot: u32) -> Version {
        self.connections
            .get(slot as usize)
            .map_or(Version::V311, |c| c.version)
    }
}
