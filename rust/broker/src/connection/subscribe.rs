//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 to 3.11).

use std::{borrow::Cow, num::NonZeroU32};

use vallum_mqtt::{
    packet::{
        AckProperties, FixedHeader, PacketType, QoS, ReasonCode, ReasonCodes, RetainHandling,
        SubAck, Subscribe, Subscription, UnsubAck, Unsubscribe, Version,
    },
    topic::{FilterScope, TopicFilter, has_control_characters},
};
use vallum_policy::{
    acl::{Action, Request},
    profile::Profile,
};

use super::{disconnect::Close, mounts::mounted_filter};
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

/// Why a filter was refused: its code, and where that says too little a text for the client.
pub(crate) type Unmet = (ReasonCode, Option<&'static str>);

const INVALID: Unmet = (ReasonCode::TopicFilterInvalid, None);
const LOST: Unmet = (ReasonCode::UnspecifiedError, None);
const TAKEN: Unmet = (
    ReasonCode::QuotaExceeded,
    Some("another client holds this exclusive subscription"),
);

/// What became of one filter of a SUBSCRIBE that was granted.
pub(crate) struct Granted<'a> {
    /// Without its prefix, with its mount point.
    pub(crate) filter: Cow<'a, str>,
    pub(crate) options: SubscriptionOptions,
    /// Retained messages are due.
    pub(crate) replay: bool,
}

/// A subscription with the filter that a rule put in place of its own, if one did.
fn in_place_of<'a>(
    asked: Subscription<'a>,
    rewritten: &'a [Option<String>],
    n: usize,
) -> Subscription<'a> {
    let filter = rewritten.get(n).and_then(Option::as_deref);
    Subscription {
        filter: filter.unwrap_or(asked.filter),
        ..asked
    }
}

impl EventLoop {
    /// The filters that rules put in place of these; empty if there are no rules.
    fn rewritten<'a>(
        &mut self,
        reference: SessionRef,
        filters: impl Iterator<Item = &'a str>,
    ) -> Vec<Option<String>> {
        if !self.pipeline.rewrites_subscribe() {
            return Vec::new();
        }
        let Some(client) = self.session_mut(reference).map(|s| s.client.clone()) else {
            return Vec::new();
        };
        filters
            .map(|filter| self.pipeline.rewrite_subscribe(&client.info, filter))
            .collect()
    }

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
        let limit = self.mqtt_of(slot).max_filters_per_packet;
        let entries = || subscribe.subscriptions.iter().take(limit);
        let filters = entries().map(|entry| entry.filter);
        let rewritten = self.rewritten(reference, filters);
        let legacy = self.pipeline.profile() == Profile::Legacy; // rules see what the client asked for
        // All filters are judged before the first is subscribed: with `deny_action = disconnect` one
        // that is denied fails the whole packet (`spec/authorization.md` section 3).
        let judged: Vec<Result<(), Unmet>> = entries()
            .enumerate()
            .map(|(n, asked)| {
                let entry = in_place_of(asked, &rewritten, n);
                let judged = if legacy { asked.filter } else { entry.filter };
                self.permit_subscribe(slot, reference, &entry, judged)
            })
            .collect();
        if self.denial_disconnects() && judged.contains(&Err((ReasonCode::NotAuthorized, None))) {
            self.close(slot, Close::Server(ReasonCode::NotAuthorized));
            return Flow::Closed;
        }
        if !self.mqtt_of(slot).shared_subscription
            && entries()
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
        let mut told = Vec::new();
        let mut explained = None;
        for ((n, asked), judged) in entries().enumerate().zip(judged) {
            let entry = in_place_of(asked, &rewritten, n);
            match judged.and_then(|()| self.subscribe_one(slot, reference, &entry, id)) {
                Ok(granted) => {
                    codes.push(granted_code(granted.options.qos));
                    if self.hears_of_subscriptions() {
                        let rh = entry.retain_handling;
                        told.push((entry.filter.to_owned(), granted.options, rh));
                    }
                    if granted.replay {
                        replays.push(Replay::new(reference, &granted.filter, granted.options));
                    }
                }
                Err((reason, why)) => {
                    codes.push(reason);
                    explained = explained.or(why);
                }
            }
        }
        self.fanouts.spend(codes.len() * FILTER_WORK);
        codes.resize(subscribe.subscriptions.len(), ReasonCode::QuotaExceeded);
        let packet_id = subscribe.packet_id;
        match explained.filter(|text| self.may_explain(slot, codes.len() + text.len())) {
            Some(text) => {
                let bytes: Vec<u8> = codes.iter().map(|code| code.as_u8()).collect();
                self.send(slot, |version, out| {
                    let ack = SubAck {
                        packet_id,
                        codes: ReasonCodes::parse(PacketType::SubAck, version, &bytes)
                            .unwrap_or_default(),
                        properties: AckProperties {
                            reason_string: Some(text),
                            ..AckProperties::default()
                        },
                    };
                    ack.encode(version, out)
                });
            }
            None => self.send(slot, |version, out| {
                SubAck::write(version, packet_id, &codes, out)
            }),
        }
        self.replays.extend(replays);
        for (filter, options, rh) in told {
            self.tell_subscribed(reference, &filter, options, rh);
        }
        Flow::Continue
    }

    /// Whether an acknowledgement with `bytes` of codes and reason string may go to a client: version
    /// 5.0, it did not decline (Request Problem Information), and it fits [MQTT-3.9.2-1].
    pub(crate) fn may_explain(&self, slot: u32, bytes: usize) -> bool {
        /// Fixed header, packet identifier, Property Length, identifier and length of the property.
        const AROUND: usize = 5 + 2 + 4 + 3;
        self.connections.get(slot as usize).is_some_and(|c| {
            c.version == Version::V5
                && bytes + AROUND <= c.max_packet_out as usize
                && c.v5.as_ref().is_none_or(|v5| !v5.no_problem_information)
        })
    }

    /// Form and authorization of one filter; `judged` is what the rules see of it.
    pub(crate) fn permit_subscribe(
        &mut self,
        slot: u32,
        reference: SessionRef,
        entry: &Subscription<'_>,
        judged: &str,
    ) -> Result<(), Unmet> {
        FilterScope::parse(entry.filter).map_err(|_| INVALID)?;
        let client = self
            .session_mut(reference)
            .map(|session| session.client.clone())
            .ok_or(LOST)?;
        let request = Request {
            action: Action::Subscribe,
            qos: entry.qos.as_u8(),
            topic: judged,
        };
        let verdict = self.pipeline.authorize(&client, &request, self.unix_now);
        if verdict.allow {
            return Ok(());
        }
        self.metrics().subscribe_denied.add(1);
        self.report_denied(slot, "subscribe", &client, &verdict, judged);
        Err((ReasonCode::NotAuthorized, None))
    }

    /// Limits, then the subscription itself.
    pub(crate) fn subscribe_one<'a>(
        &mut self,
        slot: u32,
        reference: SessionRef,
        entry: &Subscription<'a>,
        id: u32,
    ) -> Result<Granted<'a>, Unmet> {
        let scope = FilterScope::parse(entry.filter).map_err(|_| INVALID)?;
        let filter = TopicFilter::parse(scope.filter()).map_err(|_| INVALID)?;
        let mqtt = self.mqtt_of(slot);
        if matches!(scope, FilterScope::Exclusive(_)) && !mqtt.exclusive_subscription {
            let why = "exclusive subscriptions are not available";
            return Err((ReasonCode::TopicFilterInvalid, Some(why)));
        }
        let shared = matches!(scope, FilterScope::Shared(_));
        if filter.levels() > mqtt.max_topic_levels {
            return Err((ReasonCode::TopicFilterInvalid, Some("too many levels")));
        }
        if mqtt.strict_mode && has_control_characters(entry.filter) {
            return Err((ReasonCode::TopicFilterInvalid, Some("control characters")));
        }
        if filter.has_wildcard() && !mqtt.wildcard_subscription {
            return Err((ReasonCode::WildcardSubscriptionsNotSupported, None));
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
        let session = self.session_mut(reference).ok_or(LOST)?;
        let whole = mounted_filter(session, entry.filter).ok_or(INVALID)?;
        let known = session.subscriptions.contains_key(&*whole);
        if !known && session.subscriptions.len() >= limit {
            return Err((ReasonCode::QuotaExceeded, Some("too many subscriptions")));
        }
        if session.pending_replays >= MAX_PENDING_REPLAYS {
            let why = "too many subscriptions wait for retained messages";
            return Err((ReasonCode::QuotaExceeded, Some(why)));
        }
        let mut taken = false;
        let wanted = [(&*whole, options)];
        let note = &mut |_| taken = true;
        self.shared.router.subscribe(reference, &wanted, note);
        if taken {
            return Err(TAKEN);
        }
        let session = self.session_mut(reference).ok_or(LOST)?;
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
        if unsubscribe.filters.len() > self.mqtt_of(slot).max_filters_per_packet {
            return self.refuse_packet(slot, ReasonCode::QuotaExceeded);
        }
        self.fanouts.spend(unsubscribe.filters.len() * FILTER_WORK);
        let rewritten = self.rewritten(reference, unsubscribe.filters.iter());
        let mut told = Vec::new();
        let mut codes = Vec::new();
        let mut plain = Vec::new();
        for (n, asked) in unsubscribe.filters.iter().enumerate() {
            let filter = rewritten.get(n).and_then(Option::as_deref).unwrap_or(asked);
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
            if known.is_some() && self.hears_of_unsubscriptions() {
                told.push(filter.to_owned());
            }
            let was_known = known.is_some();
            match known {
                Some(whole) if is_shared(&whole) => self.drop_subscription(&whole, reference),
                Some(whole) => plain.push(whole),
                None => {}
            }
            let code = if was_known {
                ReasonCode::Success
            } else {
                ReasonCode::NoSubscriptionExisted
            };
            codes.push(code);
        }
        let plain: Vec<&str> = plain.iter().map(|filter| &**filter).collect();
        self.shared.router.unsubscribe(reference, &plain);
        let packet_id = unsubscribe.packet_id;
        self.send(slot, |version, out| {
            UnsubAck::write(version, packet_id, &codes, out)
        });
        for filter in told {
            self.tell_unsubscribed(reference, &filter);
        }
        Flow::Continue
    }
}
