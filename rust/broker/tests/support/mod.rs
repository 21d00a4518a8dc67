//! A broker on a free port and blocking clients that speak packets. Every wait has a deadline.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "shared by test files, each of which uses a part"
)]

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    num::NonZeroU16,
    sync::Arc,
    time::{Duration, Instant},
};

use vallum_broker::{Broker, config::BrokerConfig, listener::Endpoint};
use vallum_mqtt::packet::{
    Ack, Connect, ConnectProperties, Disconnect, FixedHeader, Packet, PacketType, Publish,
    PublishProperties, QoS, ReasonCode, Subscribe, SubscribeProperties, Subscription,
    Subscriptions, Version,
};
use vallum_policy::pipeline::{Pipeline, PolicyConfig};

/// How long a test waits for what must come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A policy that lets everybody do everything; `chain` is the JSON of the authenticators.
pub(crate) fn policy(chain: &str, enable_authn: &str) -> Arc<Pipeline> {
    let text = format!(
        r#"{{"version":1,"profile":"hardened","use_username_as_clientid":false,
        "client_attrs_init":[],"clientid_override":null,"rewrite":[],
        "namespace_as_mountpoint":false,"zones":{{}},
        "authentication":{{"ignore_backend_failures":false,"chain":null,
          "listeners":{{"tcp:default":{{"enable_authn":"{enable_authn}","chain":{chain},
            "mountpoint":""}}}}}},
        "authorization":{{"no_match":"allow","deny_action":"ignore","include_mountpoint":false,
          "ignore_backend_failures":false,
          "topic_template_allow":{{"plus":false,"hash":false,"slash":false}},"sources":[]}}}}"#
    );
    Arc::new(Pipeline::compile(&PolicyConfig::from_json(&text).unwrap()).unwrap())
}

/// A broker with `loops` event loops; `mqtt` overrides members of the `mqtt` object.
pub(crate) fn broker(
    loops: usize,
    mqtt: &[(&str, serde_json::Value)],
    pipeline: Arc<Pipeline>,
) -> Broker {
    start(loops, &[], mqtt, pipeline)
}

/// An open broker with `loops` event loops; `listener` overrides members of its listener.
pub(crate) fn broker_behind(loops: usize, listener: &[(&str, serde_json::Value)]) -> Broker {
    start(loops, listener, &[], policy("null", "false"))
}

fn start(
    loops: usize,
    listener: &[(&str, serde_json::Value)],
    mqtt: &[(&str, serde_json::Value)],
    pipeline: Arc<Pipeline>,
) -> Broker {
    Broker::start(config(loops, listener, mqtt), pipeline).unwrap()
}

/// What the broker starts from; `listener` and `mqtt` override members of theirs.
pub(crate) fn config(
    loops: usize,
    listener: &[(&str, serde_json::Value)],
    mqtt: &[(&str, serde_json::Value)],
) -> BrokerConfig {
    let mut document: serde_json::Value =
        serde_json::from_str(include_str!("document.json")).unwrap();
    document["loops"] = loops.into();
    for (key, value) in listener {
        document["listeners"][0][*key] = value.clone();
    }
    for (key, value) in mqtt {
        match *key {
            // One value for all zones.
            "shared_subscription_strategy" => {
                document["shared_subscription"]["strategy"] = value.clone();
            }
            "max_outbox_bytes" => document["max_outbox_bytes"] = value.clone(),
            _ => document["zones"][0]["mqtt"][*key] = value.clone(),
        }
    }
    serde_json::from_value(document).unwrap()
}

/// An open broker.
pub(crate) fn open_broker(loops: usize) -> Broker {
    broker(loops, &[], policy("null", "false"))
}

/// A counter or gauge of the broker.
pub(crate) fn statistic(broker: &Broker, name: &str) -> u64 {
    let all = broker.statistics();
    all.iter().find(|(known, _)| *known == name).unwrap().1
}

/// Look again and again until `condition` holds; panics if it does not in time.
pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come about in time");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Where its one listener listens.
pub(crate) fn address(broker: &Broker) -> SocketAddr {
    match broker.listeners().into_iter().next().unwrap().1 {
        Endpoint::Tcp(address) => address,
        Endpoint::Unix(path) => panic!("{}", path.display()),
    }
}

/// A client that sends and reads packets.
pub(crate) struct Client {
    stream: TcpStream,
    version: Version,
    read: Vec<u8>,
}

/// A packet that outlives the bytes it came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Got {
    ConnAck {
        reason: ReasonCode,
        present: bool,
    },
    Publish {
        topic: String,
        payload: Vec<u8>,
        qos: QoS,
        dup: bool,
        retain: bool,
        id: u16,
    },
    Ack {
        packet: PacketType,
        id: u16,
        reason: ReasonCode,
    },
    SubAck(Vec<ReasonCode>),
    Disconnect(ReasonCode),
    Other(PacketType),
    Closed,
}

impl Client {
    /// Open a connection.
    pub(crate) fn open(broker: &Broker, version: Version) -> Self {
        let stream = TcpStream::connect(address(broker)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            version,
            read: Vec::new(),
        }
    }

    /// Open and send CONNECT; the answer is not read.
    pub(crate) fn connecting(
        broker: &Broker,
        version: Version,
        client_id: &str,
        clean_start: bool,
        expiry: u32,
    ) -> Self {
        let properties = ConnectProperties {
            session_expiry_interval: (version == Version::V5).then_some(expiry),
            ..ConnectProperties::default()
        };
        Self::connecting_with(broker, version, client_id, clean_start, properties)
    }

    /// Open and send CONNECT with these properties; the answer is not read.
    pub(crate) fn connecting_with(
        broker: &Broker,
        version: Version,
        client_id: &str,
        clean_start: bool,
        properties: ConnectProperties<'_>,
    ) -> Self {
        let mut client = Self::open(broker, version);
        let connect = Connect {
            version,
            clean_start,
            keep_alive: 0,
            client_id,
            will: None,
            user_name: None,
            password: None,
            properties,
        };
        let mut bytes = Vec::new();
        connect.encode(&mut bytes).unwrap();
        client.send_bytes(&bytes);
        client
    }

    /// Connect and insist on success; gives the session-present flag as well.
    pub(crate) fn connect(
        broker: &Broker,
        client_id: &str,
        clean_start: bool,
        expiry: u32,
    ) -> (Self, bool) {
        let mut client = Self::connecting(broker, Version::V5, client_id, clean_start, expiry);
        match client.next() {
            Got::ConnAck {
                reason: ReasonCode::Success,
                present,
            } => (client, present),
            other => panic!("expected CONNACK, got {other:?}"),
        }
    }

    /// Connect, unless the broker closes the connection.
    pub(crate) fn try_connect(broker: &Broker, client_id: &str) -> Option<Self> {
        let mut client = Self::connecting(broker, Version::V5, client_id, true, 0);
        match client.next() {
            Got::ConnAck { .. } => Some(client),
            Got::Closed => None,
            other => panic!("expected CONNACK, got {other:?}"),
        }
    }

    /// The socket, to send and read past what this client knows.
    pub(crate) fn socket(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(self.version, &mut bytes).unwrap();
        self.send_bytes(&bytes);
    }

    /// Subscribe and insist on success.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.subscribe_all(&[filter.to_owned()], qos);
    }

    /// Subscribe to all of these with one packet and insist on success.
    pub(crate) fn subscribe_all(&mut self, filters: &[String], qos: QoS) {
        let codes = self.try_subscribe(filters, qos);
        assert!(codes.iter().all(|code| !code.is_failure()), "{codes:?}");
    }

    /// Subscribe to all of these with one packet; gives the codes of the SUBACK, which must come next.
    pub(crate) fn try_subscribe(&mut self, filters: &[String], qos: QoS) -> Vec<ReasonCode> {
        let mut raw = Vec::new();
        for filter in filters {
            let subscription = Subscription {
                filter,
                qos,
                no_local: false,
                retain_as_published: false,
                retain_handling: vallum_mqtt::packet::RetainHandling::OnSubscribe,
            };
            subscription.write(self.version, &mut raw).unwrap();
        }
        self.send(&Packet::Subscribe(Subscribe {
            packet_id: NonZeroU16::MIN,
            subscriptions: Subscriptions::parse(self.version, &raw).unwrap(),
            properties: SubscribeProperties::default(),
        }));
        match self.next() {
            Got::SubAck(codes) => codes,
            other => panic!("expected SUBACK, got {other:?}"),
        }
    }

    /// Unsubscribe and wait for the answer; what else comes until then must wait.
    pub(crate) fn unsubscribe(&mut self, filter: &str) {
        let mut body = vec![0, 1];
        if self.version == Version::V5 {
            body.push(0);
        }
        body.extend(u16::try_from(filter.len()).unwrap().to_be_bytes());
        body.extend(filter.as_bytes());
        let mut packet = vec![0xA2, u8::try_from(body.len()).unwrap()];
        packet.extend(body);
        self.send_bytes(&packet);
        assert_eq!(self.next(), Got::Other(PacketType::UnsubAck));
    }

    /// Publish; `id` is 0 for `QoS` 0.
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8], qos: QoS, id: u16) {
        let bytes = self.publish_bytes(topic, payload, qos, id);
        self.send_bytes(&bytes);
    }

    /// The bytes of a PUBLISH; `id` is 0 for `QoS` 0.
    pub(crate) fn publish_bytes(&self, topic: &str, payload: &[u8], qos: QoS, id: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        let publish = Publish {
            dup: false,
            qos,
            retain: false,
            topic,
            packet_id: NonZeroU16::new(id),
            properties: PublishProperties::default(),
            payload,
        };
        let packet = Packet::Publish(publish);
        packet.encode(self.version, &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn ack(&mut self, packet: PacketType, id: u16) {
        let ack = Ack::new(NonZeroU16::new(id).unwrap(), ReasonCode::Success);
        let mut bytes = Vec::new();
        ack.encode(packet, self.version, &mut bytes).unwrap();
        self.send_bytes(&bytes);
    }

    /// Leave, keeping the session if it has an expiry.
    pub(crate) fn leave(mut self) {
        self.send(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
        while self.next() != Got::Closed {}
    }

    /// The next packet; panics if none comes in time.
    pub(crate) fn next(&mut self) -> Got {
        self.next_within(DEADLINE).expect("no packet in time")
    }

    /// The next packet, if one comes within `patience`.
    pub(crate) fn next_within(&mut self, patience: Duration) -> Option<Got> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(got) = self.take() {
                return Some(got);
            }
            let left = deadline
                .checked_duration_since(Instant::now())
                .filter(|d| !d.is_zero())?;
            self.stream.set_read_timeout(Some(left)).unwrap();
            let mut chunk = [0u8; 8192];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Some(Got::Closed),
                Ok(n) => self.read.extend_from_slice(chunk.get(..n).unwrap()),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return Some(Got::Closed),
                Err(e) => panic!("{e}"),
            }
        }
    }

    /// The next packet, as `read` sees it.
    pub(crate) fn next_packet<T>(&mut self, read: impl FnOnce(&Packet<'_>) -> T) -> T {
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        loop {
            if let Some((header, at)) = FixedHeader::parse(&self.read).unwrap() {
                let end = at + header.remaining_length as usize;
                if let Some(body) = self.read.get(at..end).map(<[u8]>::to_vec) {
                    self.read.drain(..end);
                    return read(&Packet::decode(self.version, &header, &body).unwrap());
                }
            }
            let mut chunk = [0u8; 8192];
            let n = self.stream.read(&mut chunk).unwrap();
            assert!(n > 0, "closed");
            self.read.extend_from_slice(&chunk[..n]);
        }
    }

    fn take(&mut self) -> Option<Got> {
        let (header, at) = FixedHeader::parse(&self.read).unwrap()?;
        let end = at + header.remaining_length as usize;
        let body = self.read.get(at..end)?.to_vec();
        self.read.drain(..end);
        Some(
            match Packet::decode(self.version, &header, &body).unwrap() {
                Packet::ConnAck(ack) => Got::ConnAck {
                    reason: ack.reason,
                    present: ack.session_present,
                },
                Packet::Publish(publish) => Got::Publish {
                    topic: publish.topic.to_owned(),
                    payload: publish.payload.to_vec(),
                    qos: publish.qos,
                    dup: publish.dup,
                    retain: publish.retain,
                    id: publish.packet_id.map_or(0, NonZeroU16::get),
                },
                Packet::PubAck(ack)
                | Packet::PubRec(ack)
                | Packet::PubRel(ack)
                | Packet::PubComp(ack) => Got::Ack {
                    packet: header.packet_type,
                    id: ack.packet_id.get(),
                    reason: ack.reason,
                },
                Packet::SubAck(ack) => Got::SubAck(ack.codes.iter().collect()),
                Packet::Disconnect(disconnect) => Got::Disconnect(disconnect.reason),
                other => Got::Other(other.packet_type()),
            },
        )
    }
}
