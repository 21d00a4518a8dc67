//! All Control Packets as one type.

use super::ack::Ack;
use super::auth::Auth;
use super::connack::ConnAck;
use super::connect::Connect;
use super::disconnect::Disconnect;
use super::error::{DecodeError, EncodeError};
use super::header::{FixedHeader, PacketType};
use super::ping::{self, PINGREQ, PINGRESP};
use super::publish::Publish;
use super::suback::{SubAck, UnsubAck};
use super::subscribe::Subscribe;
use super::unsubscribe::Unsubscribe;
use super::version::Version;

/// A Control Packet; text and bytes in it are borrowed from the body it was read from.
///
/// The two packets that are large and sent once a connection are boxed, so that the others stay
/// small; [`Connect::decode`] and [`ConnAck::encode`] work without the box.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the standard's names say it all")]
pub enum Packet<'a> {
    Connect(Box<Connect<'a>>),
    ConnAck(Box<ConnAck<'a>>),
    Publish(Publish<'a>),
    PubAck(Ack<'a>),
    PubRec(Ack<'a>),
    PubRel(Ack<'a>),
    PubComp(Ack<'a>),
    Subscribe(Subscribe<'a>),
    SubAck(SubAck<'a>),
    Unsubscribe(Unsubscribe<'a>),
    UnsubAck(UnsubAck<'a>),
    PingReq,
    PingResp,
    Disconnect(Disconnect<'a>),
    Auth(Auth<'a>),
}

impl<'a> Packet<'a> {
    /// Read the body of a packet. `body` is what follows the header, `remaining_length` bytes.
    ///
    /// `version` is what the connection speaks; a CONNECT says so itself. Errors are the peer's
    /// doing; what to answer is [`DecodeError::reason`].
    pub fn decode(
        version: Version,
        header: &FixedHeader,
        body: &'a [u8],
    ) -> Result<Self, DecodeError> {
        let (h, b) = (header, body);
        Ok(match header.packet_type {
            PacketType::Publish => Self::Publish(Publish::decode(version, h, b)?),
            PacketType::PubAck => Self::PubAck(Ack::decode(version, h, b)?),
            PacketType::PubRec => Self::PubRec(Ack::decode(version, h, b)?),
            PacketType::PubRel => Self::PubRel(Ack::decode(version, h, b)?),
            PacketType::PubComp => Self::PubComp(Ack::decode(version, h, b)?),
            PacketType::PingReq => ping::check(version, *h, b).map(|()| Self::PingReq)?,
            PacketType::PingResp => ping::check(version, *h, b).map(|()| Self::PingResp)?,
            PacketType::Connect => Self::Connect(Box::new(Connect::decode(h, b)?)),
            PacketType::ConnAck => Self::ConnAck(Box::new(ConnAck::decode(version, h, b)?)),
            PacketType::Subscribe => Self::Subscribe(Subscribe::decode(version, h, b)?),
            PacketType::SubAck => Self::SubAck(SubAck::decode(version, h, b)?),
            PacketType::Unsubscribe => Self::Unsubscribe(Unsubscribe::decode(version, h, b)?),
            PacketType::UnsubAck => Self::UnsubAck(UnsubAck::decode(version, h, b)?),
            PacketType::Disconnect => Self::Disconnect(Disconnect::decode(version, h, b)?),
            PacketType::Auth => Self::Auth(Auth::decode(version, h, b)?),
        })
    }

    /// Append the packet to `out`, which is as before on error.
    ///
    /// What a version does not have (properties, most reason codes) is left out. A CONNECT is
    /// written in the version it names.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Connect(packet) => packet.encode(out),
            Self::ConnAck(packet) => packet.encode(version, out),
            Self::Publish(packet) => packet.encode(version, out),
            Self::PubAck(ack) | Self::PubRec(ack) | Self::PubRel(ack) | Self::PubComp(ack) => {
                ack.encode(self.packet_type(), version, out)
            }
            Self::Subscribe(packet) => packet.encode(version, out),
            Self::SubAck(packet) => packet.encode(version, out),
            Self::Unsubscribe(packet) => packet.encode(version, out),
            Self::UnsubAck(packet) => packet.encode(version, out),
            Self::PingReq => {
                out.extend_from_slice(&PINGREQ);
                Ok(())
            }
            Self::PingResp => {
                out.extend_from_slice(&PINGRESP);
                Ok(())
            }
            Self::Disconnect(packet) => packet.encode(version, out),
            Self::Auth(packet) => packet.encode(version, out),
        }
    }

    /// Which packet it is.
    pub fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }

    /// Refuse what a client may not send: packets, reason codes and properties of servers.
    pub fn check_from_client(&self) -> Result<(), DecodeError> {
        let packet = self.packet_type();
        let allowed = match self {
            Self::Publish(publish) => !publish.properties.has_subscription_ids(), // [MQTT-3.3.4-6]
            Self::Disconnect(disconnect) => disconnect.reason.client_may_send(packet),
            Self::Auth(auth) => {
                if auth.properties.authentication_method.is_none() {
                    return Err(DecodeError::NoAuthMethod); // section 3.15.2.2.2
                }
                auth.reason.client_may_send(packet)
            }
            _ => packet.client_may_send(),
        };
        if allowed {
            Ok(())
        } else {
            Err(DecodeError::WrongDirection { packet })
        }
    }

    /// Refuse what a server may not send: packets, reason codes and properties of clients.
    pub fn check_from_server(&self) -> Result<(), DecodeError> {
        let packet = self.packet_type();
        let allowed = match self {
            Self::Disconnect(disconnect) => {
                disconnect.properties.session_expiry_interval.is_none() // [MQTT-3.14.2-2]
                    && disconnect.reason.server_may_send(packet)
            }
            Self::Auth(auth) => auth.reason.server_may_send(packet),
            _ => packet.server_may_send(),
        };
        if allowed {
            Ok(())
        } else {
            Err(DecodeError::WrongDirection { packet })
        }
    }
}
