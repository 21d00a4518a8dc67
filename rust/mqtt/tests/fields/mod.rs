//! A packet against the fields a vector names.

use serde_json::{Map, Value, json};
use vallum_mqtt::packet::{
    AckProperties, FixedHeader, Packet, Property, QoS, ReasonCode, UserProperties, Version, Will,
};

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text
        .chars()
        .map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// What differs, in words.
pub(crate) fn compare(
    version: Version,
    header: FixedHeader,
    packet: &Packet<'_>,
    expect: &Value,
) -> Vec<String> {
    let mut fields = fields_of(version, packet);
    fields.insert(
        "type".into(),
        json!(packet.packet_type().name().to_lowercase()),
    );
    fields.insert("remaining_length".into(), json!(header.remaining_length));
    let publish = matches!(packet, Packet::Publish(_));
    if !publish {
        fields.insert("dup".into(), json!(header.flags & 8 != 0));
        fields.insert("qos".into(), json!(header.flags >> 1 & 3));
        fields.insert("retain".into(), json!(header.flags & 1 != 0));
    }
    let mut differences = Vec::new();
    for (name, expected) in expect.as_object().unwrap() {
        if expected.is_null() {
            continue;
        }
        let name = match name.as_str() {
            "return_code" => "reason_code",
            "granted" => "reason_codes",
            "unsubscriptions" => "topics",
            other => other,
        };
        let found = fields.get(name).cloned().unwrap_or(Value::Null);
        let expected = normalise(name, expected);
        if normalise(name, &found) != expected {
            differences.push(format!("{name}: {found} is not {expected}"));
        }
    }
    // Nothing beyond what the vector names, where it names everything.
    let named = expect["properties"].as_object().map_or(0, Map::len);
    let found = fields
        .get("properties")
        .and_then(Value::as_object)
        .map_or(0, Map::len);
    if named != found {
        differences.push(format!("{found} properties instead of {named}"));
    }
    differences
}

/// The two sources of the vectors spell some things differently.
fn normalise(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("properties", Value::Object(map)) => {
            let normal = map.iter().map(|(key, value)| {
                let key = if key == "maximum_qo_s" {
                    "maximum_qos"
                } else {
                    key
                };
                let value = match (key, value) {
                    ("subscription_identifier", Value::Number(_)) => json!([value]),
                    (_, Value::Bool(flag)) => json!(u8::from(*flag)),
                    _ => value.clone(),
                };
                (key.to_owned(), value)
            });
            Value::Object(normal.collect())
        }
        ("will", Value::Object(map)) => {
            let mut map = map.clone();
            let properties = map.get("properties").cloned().unwrap_or(json!({}));
            map.insert("properties".into(), normalise("properties", &properties));
            Value::Object(map)
        }
        ("subscriptions", Value::Array(entries)) => {
            let flag = |entry: &Value, names: [&str; 2]| {
                names
                    .iter()
                    .find_map(|name| entry[*name].as_bool())
                    .unwrap_or(false)
            };
            let normal = entries.iter().map(|entry| {
                let handling = entry["rh"].as_u64().or(entry["retain_handling"].as_u64());
                json!([
                    entry["topic"],
                    entry["qos"],
                    flag(entry, ["nl", "no_local"]),
                    flag(entry, ["rap", "retain_as_published"]),
                    handling.unwrap_or(0)
                ])
            });
            Value::Array(normal.collect())
        }
        _ => value.clone(),
    }
}

fn fields_of(version: Version, packet: &Packet<'_>) -> Map<String, Value> {
    let value = match packet {
        Packet::Connect(p) => json!({
            "protocol_id": p.version.protocol_name(),
            "protocol_version": p.version.level(),
            "clean_start": p.clean_start,
            "keepalive": p.keep_alive,
            "client_id": p.client_id,
            "username": p.user_name,
            "password": p.password.map(hex),
            "will": p.will.as_ref().map(will),
            "properties": connect_properties(packet),
        }),
        Packet::ConnAck(p) => json!({
            "session_present": p.session_present,
            "reason_code": if version.is_v5() { p.reason.as_u8() } else { p.reason.to_v3_connack() },
            "properties": connack_properties(packet),
        }),
        Packet::Publish(p) => json!({
            "dup": p.dup,
            "qos": p.qos.as_u8(),
            "retain": p.retain,
            "topic": p.topic,
            "packet_id": p.packet_id,
            "payload": hex(p.payload),
            "properties": object(p.properties.all(), p.properties.user_properties()),
        }),
        Packet::PubAck(p) | Packet::PubRec(p) | Packet::PubRel(p) | Packet::PubComp(p) => json!({
            "packet_id": p.packet_id,
            "reason_code": p.reason.as_u8(),
            "properties": ack_properties(&p.properties),
        }),
        Packet::Subscribe(p) => json!({
            "packet_id": p.packet_id,
            "subscriptions": p.subscriptions.iter().map(|s| json!({
                "topic": s.filter,
                "qos": s.qos.as_u8(),
                "no_local": s.no_local,
                "retain_as_published": s.retain_as_published,
                "retain_handling": s.retain_handling as u8,
            })).collect::<Vec<_>>(),
            "properties": object(
                p.properties.subscription_identifier.map(Property::SubscriptionIdentifier),
                p.properties.user_properties,
            ),
        }),
        Packet::SubAck(p) => json!({
            "packet_id": p.packet_id,
            "reason_codes": p.codes.iter().map(ReasonCode::as_u8).collect::<Vec<_>>(),
            "properties": ack_properties(&p.properties),
        }),
        Packet::UnsubAck(p) => json!({
            "packet_id": p.packet_id,
            "reason_codes": p.codes.iter().map(ReasonCode::as_u8).collect::<Vec<_>>(),
            "properties": ack_properties(&p.properties),
        }),
        Packet::Unsubscribe(p) => json!({
            "packet_id": p.packet_id,
            "topics": p.filters.iter().collect::<Vec<_>>(),
            "properties": object(None, p.user_properties),
        }),
        Packet::PingReq | Packet::PingResp => json!({}),
        Packet::Disconnect(p) => json!({
            "reason_code": p.reason.as_u8(),
            "properties": object(
                [
                    p.properties.session_expiry_interval.map(Property::SessionExpiryInterval),
                    p.properties.reason_string.map(Property::ReasonString),
                    p.properties.server_reference.map(Property::ServerReference),
                ].into_iter().flatten(),
                p.properties.user_properties,
            ),
        }),
        Packet::Auth(p) => json!({
            "reason_code": p.reason.as_u8(),
            "properties": object(
                [
                    p.properties.authentication_method.map(Property::AuthenticationMethod),
                    p.properties.authentication_data.map(Property::AuthenticationData),
                    p.properties.reason_string.map(Property::ReasonString),
                ].into_iter().flatten(),
                p.properties.user_properties,
            ),
        }),
    };
    value.as_object().unwrap().clone()
}

fn will(will: &Will<'_>) -> Value {
    let p = &will.properties;
    json!({
        "topic": will.topic,
        "payload": hex(will.payload),
        "qos": will.qos.as_u8(),
        "retain": will.retain,
        "properties": object(
            [
                p.will_delay_interval.map(Property::WillDelayInterval),
                p.payload_format_indicator.map(Property::PayloadFormatIndicator),
                p.message_expiry_interval.map(Property::MessageExpiryInterval),
                p.content_type.map(Property::ContentType),
                p.response_topic.map(Property::ResponseTopic),
                p.correlation_data.map(Property::CorrelationData),
            ].into_iter().flatten(),
            p.user_properties,
        ),
    })
}

fn connect_properties(packet: &Packet<'_>) -> Value {
    let Packet::Connect(connect) = packet else {
        return json!({});
    };
    let p = &connect.properties;
    let properties = [
        p.session_expiry_interval
            .map(Property::SessionExpiryInterval),
        p.receive_maximum.map(Property::ReceiveMaximum),
        p.maximum_packet_size.map(Property::MaximumPacketSize),
        p.topic_alias_maximum.map(Property::TopicAliasMaximum),
        p.request_response_information
            .map(Property::RequestResponseInformation),
        p.request_problem_information
            .map(Property::RequestProblemInformation),
        p.authentication_method.map(Property::AuthenticationMethod),
        p.authentication_data.map(Property::AuthenticationData),
    ];
    object(properties.into_iter().flatten(), p.user_properties)
}

fn connack_properties(packet: &Packet<'_>) -> Value {
    let Packet::ConnAck(connack) = packet else {
        return json!({});
    };
    let p = &connack.properties;
    let properties = [
        p.session_expiry_interval
            .map(Property::SessionExpiryInterval),
        p.receive_maximum.map(Property::ReceiveMaximum),
        p.maximum_qos.map(Property::MaximumQoS),
        p.retain_available.map(Property::RetainAvailable),
        p.maximum_packet_size.map(Property::MaximumPacketSize),
        p.assigned_client_identifier
            .map(Property::AssignedClientIdentifier),
        p.topic_alias_maximum.map(Property::TopicAliasMaximum),
        p.reason_string.map(Property::ReasonString),
        p.wildcard_subscription_available
            .map(Property::WildcardSubscriptionAvailable),
        p.subscription_identifiers_available
            .map(Property::SubscriptionIdentifiersAvailable),
        p.shared_subscription_available
            .map(Property::SharedSubscriptionAvailable),
        p.server_keep_alive.map(Property::ServerKeepAlive),
        p.response_information.map(Property::ResponseInformation),
        p.server_reference.map(Property::ServerReference),
        p.authentication_method.map(Property::AuthenticationMethod),
        p.authentication_data.map(Property::AuthenticationData),
    ];
    object(properties.into_iter().flatten(), p.user_properties)
}

fn ack_properties(properties: &AckProperties<'_>) -> Value {
    object(
        properties.reason_string.map(Property::ReasonString),
        properties.user_properties,
    )
}

fn object<'a>(
    properties: impl IntoIterator<Item = Property<'a>>,
    users: UserProperties<'a>,
) -> Value {
    let mut map = Map::new();
    for property in properties {
        let name = property.id().name().to_owned();
        match property {
            Property::SubscriptionIdentifier(id) => {
                let list = map.entry(name).or_insert_with(|| json!([]));
                list.as_array_mut().unwrap().push(json!(id));
            }
            Property::UserProperty(..) => {}
            other => {
                map.insert(name, plain(other));
            }
        }
    }
    if !users.is_empty() {
        let list = users
            .iter()
            .map(|(key, value)| json!([key, value]))
            .collect();
        map.insert("user_properties".into(), list);
    }
    Value::Object(map)
}

fn plain(property: Property<'_>) -> Value {
    use Property as P;
    match property {
        P::PayloadFormatIndicator(v)
        | P::RequestProblemInformation(v)
        | P::RequestResponseInformation(v)
        | P::RetainAvailable(v)
        | P::WildcardSubscriptionAvailable(v)
        | P::SubscriptionIdentifiersAvailable(v)
        | P::SharedSubscriptionAvailable(v) => json!(v),
        P::MessageExpiryInterval(v) | P::SessionExpiryInterval(v) | P::WillDelayInterval(v) => {
            json!(v)
        }
        P::ServerKeepAlive(v) | P::TopicAliasMaximum(v) => json!(v),
        P::ReceiveMaximum(v) | P::TopicAlias(v) => json!(v),
        P::MaximumPacketSize(v) | P::SubscriptionIdentifier(v) => json!(v),
        P::MaximumQoS(v) => json!(QoS::as_u8(v)),
        P::CorrelationData(v) | P::AuthenticationData(v) => hex(v),
        P::ContentType(v)
        | P::ResponseTopic(v)
        | P::AssignedClientIdentifier(v)
        | P::AuthenticationMethod(v)
        | P::ResponseInformation(v)
        | P::ServerReference(v)
        | P::ReasonString(v) => json!(v),
        P::UserProperty(key, value) => json!([key, value]),
    }
}

fn hex(bytes: &[u8]) -> Value {
    let text = bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    json!({ "hex": text })
}
