//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 to 3.11).

use std::num::NonZeroU32;

use vallum_mqtt::{
    packet::{
        FixedHeader, QoS, ReasonCode, RetainHandling, SubAck, Subscribe, Subscription, UnsubAck,
        Unsubscribe, Version,
    },
    topic::{FilterScope, TopicFilter, has_control_characters},
};
use vallum_policy::acl::{Action, Request};

use super::disconnect::Close;
use crate::{
    event_loop::{EventLoop, Flow},
    retained::Replay,
    router::{Router as _, SubscriptionOptions, is_shared},
    session::SessionRef,
};

/// Subscriptions of one session that may wait for retained messages at a time; more are refused.
const MAX_PENDING_REPLAYS: u32 = 10_000;

/// What adding or removing one filter counts for in the budget of a turn, in deliveries.
const FILTER_WORK: usize = 8;

/// The reason code that grants a `QoS`.
fn granted_code(qos: QoS) -> ReasonCode {
    match qos {
        QoS::AtMostOnce => ReasonCode::Success,
        QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
        QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
    }
}

/// One filter of a SUBSCRIBE that may be subscribed to.
struct Permitted<'a> {
    /// Its place in the packet.
    at: usize,
    /// As the client wrote it.
    text: &'a str,
    /// Without its prefix.
    filter: &'a str,
    options: SubscriptionOptions,
    /// Retained messages are due.
    replay: bool,
}

impl EventLoop {
    /// A SUBSCRIBE.
    pub(crate) fn on_subscribe(
        &mut self,
        slot: u32,
        session_slot: u32,
        header: FixedHeader,
        body: &[u8],
    ) -> Flow {
        let version = self.version_of(slot);
        let subscribe = match Subscribe::decode(version, &header, body) {
            Ok(subscribe) => subscribe,
            Err(error) => return self.refuse_packet(slot, error.reason()),
        };
        let Some(reference) = self.session_ref(session_slot) else {
            return Flow::Closed;
        };
        let id = subscribe
            .properties
            .subscription_identifier
            .map_or(0, NonZeroU32::get);
        let limit = self.shared.config.mqtt.max_filters_per_packet;
        // All filters are judged before the first is subscribed: with `deny_action = disconnect` one
        // that is denied fails the whole packet (`spec/authorization.md` section 3).
        let mut codes: Vec<ReasonCode> = subscribe
            .subscriptions
            .iter()
            .take(limit)
            .map(|entry| self.permit_subscribe(slot, reference, &entry))
            .collect();
        if self.denial_disconnects() && codes.contains(&ReasonCode::NotAuthorized) {
            self.close(slot, Close::Server(ReasonCode::NotAuthorized));
            return Flow::Closed;
        }
        if !self.shared.config.mqtt.shared_subscription
            && subscribe
                .subscriptions
                .iter()
                .take(limit)
                .any(|entry| matches!(FilterScope::parse(entry.filter), Ok(FilterScope::Shared(_))))
        {
            // As the reference: not an answer, but the end (`spec/hardening.md` section 6).
            self.close(
                slot,
                Close::Server(ReasonCode::SharedSubscriptionsNotSupported),
            );
            return Flow::Closed;
        }
        let mut permitted = Vec::new();
        for (at, (entry, code)) in subscribe.subscriptions.iter().zip(&mut codes).enumerate() {
            if code.is_failure() {
                continue;
            }
            match self.prepare(slot, reference, &entry, id, at) {
                Ok(prepared) => {
                    *code = granted_code(prepared.options.qos);
                    permitted.push(prepared);
                }
                Err(reason) => *code = reason,
            }
        }
        self.fanouts.spend(codes.len() * FILTER_WORK);
        codes.resize(subscribe.subscriptions.len(), ReasonCode::QuotaExceeded);
        let replays = self.subscribe_all(reference, &permitted, &mut codes);
        let packet_id = subscribe.packet_id;
        self.send(slot, |version, out| {
            SubAck::write(version, packet_id, &codes, out)
        });
        self.replays.extend(replays);
        Flow::Continue
    }

    /// Form and authorization of one filter.
    fn permit_subscribe(
        &mut self,
        slot: u32,
        reference: SessionRef,
        entry: &Subscription<'_>,
    ) -> ReasonCode {
        if FilterScope::parse(entry.filter).is_err() {
            return ReasonCode::TopicFilterInvalid;
        }
        let Some(session) = self.session_mut(reference) else {
            return ReasonCode::UnspecifiedError;
        };
        let client = session.client.clone();
        let request = Request {
            action: Action::Subscribe,
            qos: entry.qos.as_u8(),
            topic: entry.filter,
        };
        let verdict = self.pipeline.authorize(&client, &request, self.unix_now);
        if verdict.allow {
            return ReasonCode::Success;
        }
        self.metrics().subscribe_denied.add(1);
        self.report_denied(slot, "subscribe", &client, &verdict, entry.filter);
        ReasonCode::NotAuthorized
    }

    /// Limits, and the session's own note of the subscription; [`Self::subscribe_all`] makes it real.
    fn prepare<'a>(
        &mut self,
        slot: u32,
        reference: SessionRef,
        entry: &Subscription<'a>,
        id: u32,
        at: usize,
    ) -> Result<Permitted<'a>, ReasonCode> {
        let scope = FilterScope::parse(entry.filter).map_err(|_| ReasonCode::TopicFilterInvalid)?;
        let filter =
            TopicFilter::parse(scope.filter()).map_err(|_| ReasonCode::TopicFilterInvalid)?;
        let mqtt = &self.shared.config.mqtt;
        if matches!(scope, FilterScope::Exclusive(_)) && !mqtt.exclusive_subscription {
            return Err(ReasonCode::TopicFilterInvalid);
        }
        let shared = matches!(scope, FilterScope::Shared(_));
        if filter.levels() > mqtt.max_topic_levels
            || (mqtt.strict_mode && has_control_characters(entry.filter))
        {
            return Err(ReasonCode::TopicFilterInvalid);
        }
        if filter.has_wildcard() && !mqtt.wildcard_subscription {
            return Err(ReasonCode::WildcardSubscriptionsNotSupported);
        }
        let no_local =
            entry.no_local || (mqtt.ignore_loop_deliver && self.version_of(slot) != Version::V5);
        let options = SubscriptionOptions {
            qos: entry.qos.min(mqtt.max_qos_of(scope.filter())),
            // A group must not lose what one of its members published [MQTT-3.8.3-4].
            no_local: no_local && !shared,
            retain_as_published: entry.retain_as_published,
            id,
        };
        let limit = mqtt.max_subscriptions.unwrap_or(usize::MAX);
        let session = self
            .session_mut(reference)
            .ok_or(ReasonCode::UnspecifiedError)?;
        let known = session.subscriptions.contains_key(entry.filter);
        if (!known && session.subscriptions.len() >= limit)
            || session.pending_replays >= MAX_PENDING_REPLAYS
        {
            return Err(ReasonCode::QuotaExceeded);
        }
        session.has_shared |= scope.filter().len() < entry.filter.len();
        session.subscriptions.insert(entry.filter.into(), options);
        // Shared subscriptions get no retained messages (section 4.8.2).
        let due = !shared
            && match entry.retain_handling {
                RetainHandling::OnSubscribe => true,
                RetainHandling::IfNew => !known,
                RetainHandling::Never => false,
            };
        let replay = due && self.shared.retained.may_match(scope.filter());
        if replay && let Some(session) = self.session_mut(reference) {
            session.pending_replays += 1;
        }
        Ok(Permitted {
            at,
            text: entry.filter,
            filter: scope.filter(),
            options,
            replay,
        })
    }

    /// Subscribe, and give the replays of retained messages that are due; `codes` learns of those that
    /// another session holds exclusively.
    fn subscribe_all(
        &mut self,
        reference: SessionRef,
        permitted: &[Permitted<'_>],
        codes: &mut [ReasonCode],
    ) -> Vec<Replay> {
        let wanted: Vec<_> = permitted.iter().map(|p| (p.text, p.options)).collect();
        let mut taken = Vec::new();
        let note = &mut |index| taken.push(index);
        self.shared.router.subscribe(reference, &wanted, note);
        for lost in taken.iter().filter_map(|index| permitted.get(*index)) {
            if let Some(code) = codes.get_mut(lost.at) {
                *code = ReasonCode::QuotaExceeded;
            }
            if let Some(session) = self.session_mut(reference) {
                session.subscriptions.remove(lost.text);
                session.pending_replays -= u32::from(lost.replay);
            }
        }
        let held = |(index, _): &(usize, &Permitted<'_>)| !taken.contains(index);
        permitted
            .iter()
            .enumerate()
            .filter(|each| each.1.replay && (taken.is_empty() || held(each)))
            .map(|(_, p)| Replay::new(reference, p.filter, p.options))
            .collect()
    }

    /// An UNSUBSCRIBE; none of its filters is ever refused. One with too many of them ends the
    /// connection: UNSUBACK has no code to say so with.
    pub(crate) fn on_unsubscribe(
        &mut self,
        slot: u32,
        session_slot: u32,
        header: FixedHeader,
        body: &[u8],
    ) -> Flow {
        let version = self.version_of(slot);
        let unsubscribe = match Unsubscribe::decode(version, &header, body) {
            Ok(unsubscribe) => unsubscribe,
            Err(error) => return self.refuse_packet(slot, error.reason()),
        };
        let Some(reference) = self.session_ref(session_slot) else {
            return Flow::Closed;
        };
        if unsubscribe.filters.len() > self.shared.config.mqtt.max_filters_per_packet {
            return self.refuse_packet(slot, ReasonCode::QuotaExceeded);
        }
        self.fanouts.spend(unsubscribe.filters.len() * FILTER_WORK);
        let mut codes = Vec::new();
        let mut plain = Vec::new();
        for filter in unsubscribe.filters.iter() {
            if FilterScope::parse(filter).is_err() {
                if version != Version::V5 {
                    // 3.x has no code to say so with.
                    return self.refuse_packet(slot, ReasonCode::MalformedPacket);
                }
                codes.push(ReasonCode::TopicFilterInvalid);
                continue;
            }
            let known = self
                .session_mut(reference)
                .is_some_and(|session| session.subscriptions.remove(filter).is_some());
            if known && is_shared(filter) {
                self.drop_subscription(filter, reference);
            } else if known {
                plain.push(filter);
            }
            let code = if known {
                ReasonCode::Success
            } else {
                ReasonCode::NoSubscriptionExisted
            };
            codes.push(code);
        }
        self.shared.router.unsubscribe(reference, &plain);
        let packet_id = unsubscribe.packet_id;
        self.send(slot, |version, out| {
            UnsubAck::write(version, packet_id, &codes, out)
        });
        Flow::Continue
    }
}
