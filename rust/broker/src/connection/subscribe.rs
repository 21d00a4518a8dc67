//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 to 3.11).

use std::{borrow::Cow, num::NonZeroU32};

use vallum_mqtt::{
    packet::{
        FixedHeader, QoS, ReasonCode, RetainHandling, SubAck, Subscribe, Subscription, UnsubAck,
        Unsubscribe, Version,
    },
    topic::{FilterScope, TopicFilter, has_control_characters},
};
use vallum_policy::acl::{Action, Request};

use super::{disconnect::Close, mounts::mounted_filter};
use crate::{
    event_loop::{EventLoop, Flow},
    retained::Replay,
    router::{Router as _, SubscriptionOptions, Taken},
    session::SessionRef,
};

/// Subscriptions of one session that may wait for retained messages at a time; more are refused.
const MAX_PENDING_REPLAYS: u32 = 10_000;

/// The reason code that grants a `QoS`.
fn granted_code(qos: QoS) -> ReasonCode {
    match qos {
        QoS::AtMostOnce => ReasonCode::Success,
        QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
        QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
    }
}

/// What became of one filter of a SUBSCRIBE.
struct Granted<'a> {
    /// Without its prefix, with its mount point.
    filter: Cow<'a, str>,
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
        // All filters are judged before the first is subscribed: with `deny_action = disconnect` one
        // that is denied fails the whole packet (`spec/authorization.md` section 3).
        let judged: Vec<Result<(), ReasonCode>> = subscribe
            .subscriptions
            .iter()
            .map(|entry| self.permit_subscribe(slot, reference, &entry))
            .collect();
        if self.denial_disconnects() && judged.contains(&Err(ReasonCode::NotAuthorized)) {
            self.close(slot, Close::Server(ReasonCode::NotAuthorized));
            return Flow::Closed;
        }
        if !self.mqtt_of(slot).shared_subscription
            && subscribe
                .subscriptions
                .iter()
                .any(|entry| matches!(FilterScope::parse(entry.filter), Ok(FilterScope::Shared(_))))
        {
            // As the reference: not an answer, but the end (`spec/hardening.md` section 6).
            self.close(
                slot,
                Close::Server(ReasonCode::SharedSubscriptionsNotSupported),
            );
            return Flow::Closed;
        }
        let mut codes = Vec::with_capacity(judged.len());
        let mut replays = Vec::new();
        for (entry, judged) in subscribe.subscriptions.iter().zip(judged) {
            match judged.and_then(|()| self.subscribe_one(slot, reference, &entry, id)) {
                Ok(granted) => {
                    codes.push(granted_code(granted.options.qos));
                    if granted.replay {
                        replays.push(Replay::new(reference, &granted.filter, granted.options));
                    }
                }
                Err(reason) => codes.push(reason),
            }
        }
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
    ) -> Result<(), ReasonCode> {
        FilterScope::parse(entry.filter).map_err(|_| ReasonCode::TopicFilterInvalid)?;
        let client = self
            .session_mut(reference)
            .map(|session| session.client.clone())
            .ok_or(ReasonCode::UnspecifiedError)?;
        let request = Request {
            action: Action::Subscribe,
            qos: entry.qos.as_u8(),
            topic: entry.filter,
        };
        let verdict = self.pipeline.authorize(&client, &request, self.unix_now);
        if verdict.allow {
            return Ok(());
        }
        self.metrics().subscribe_denied.add(1);
        self.report_denied(slot, "subscribe", &client, &verdict, entry.filter);
        Err(ReasonCode::NotAuthorized)
    }

    /// Limits, then the subscription itself.
    fn subscribe_one<'a>(
        &mut self,
        slot: u32,
        reference: SessionRef,
        entry: &Subscription<'a>,
        id: u32,
    ) -> Result<Granted<'a>, ReasonCode> {
        let scope = FilterScope::parse(entry.filter).map_err(|_| ReasonCode::TopicFilterInvalid)?;
        let filter =
            TopicFilter::parse(scope.filter()).map_err(|_| ReasonCode::TopicFilterInvalid)?;
        let mqtt = self.mqtt_of(slot);
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
        let whole = mounted_filter(session, entry.filter).ok_or(ReasonCode::TopicFilterInvalid)?;
        let known = session.subscriptions.contains_key(&*whole);
        if (!known && session.subscriptions.len() >= limit)
            || session.pending_replays >= MAX_PENDING_REPLAYS
        {
            return Err(ReasonCode::QuotaExceeded);
        }
        self.shared
            .router
            .subscribe(&whole, reference, options)
            .map_err(|Taken| ReasonCode::QuotaExceeded)?;
        let session = self
            .session_mut(reference)
            .ok_or(ReasonCode::UnspecifiedError)?;
        session.has_shared |= scope.filter().len() < entry.filter.len();
        session.subscriptions.insert((*whole).into(), options);
        // Shared subscriptions get no retained messages (section 4.8.2).
        let due = !shared
            && match entry.retain_handling {
                RetainHandling::OnSubscribe => true,
                RetainHandling::IfNew => !known,
                RetainHandling::Never => false,
            };
        let filter = match whole {
            Cow::Borrowed(_) => Cow::Borrowed(scope.filter()),
            Cow::Owned(whole) => {
                let prefix = entry.filter.len() - scope.filter().len();
                Cow::Owned(whole.get(prefix..).unwrap_or_default().to_owned())
            }
        };
        let replay = due && self.shared.retained.may_match(&filter);
        if replay && let Some(session) = self.session_mut(reference) {
            session.pending_replays += 1;
        }
        Ok(Granted {
            filter,
            options,
            replay,
        })
    }

    /// An UNSUBSCRIBE; it is never refused.
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
        let mut codes = Vec::new();
        for filter in unsubscribe.filters.iter() {
            if FilterScope::parse(filter).is_err() {
                if version != Version::V5 {
                    // 3.x has no code to say so with.
                    return self.refuse_packet(slot, ReasonCode::MalformedPacket);
                }
                codes.push(ReasonCode::TopicFilterInvalid);
                continue;
            }
            let known = self.session_mut(reference).and_then(|session| {
                let whole = mounted_filter(session, filter)?;
                session.subscriptions.remove(&*whole).map(|_| whole)
            });
            if let Some(whole) = &known {
                self.drop_subscription(whole, reference);
            }
            let code = if known.is_some() {
                ReasonCode::Success
            } else {
                ReasonCode::NoSubscriptionExisted
            };
            codes.push(code);
        }
        let packet_id = unsubscribe.packet_id;
        self.send(slot, |version, out| {
            UnsubAck::write(version, packet_id, &codes, out)
        });
        Flow::Continue
    }
}
