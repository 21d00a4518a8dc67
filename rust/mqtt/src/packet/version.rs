//! Protocol versions and Quality of Service: the two small numbers everything depends on.

/// The protocol a connection speaks; the value is the Protocol Version byte of CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Version {
    /// MQTT 3.1 (`MQIsdp`, 3).
    V31 = 3,
    /// MQTT 3.1.1 (`MQTT`, 4).
    V311 = 4,
    /// MQTT 5.0 (`MQTT`, 5).
    V5 = 5,
}

impl Version {
    /// The name in front of the version byte [MQTT-3.1.2-1].
    pub fn protocol_name(self) -> &'static str {
        match self {
            Self::V31 => "MQIsdp",
            Self::V311 | Self::V5 => "MQTT",
        }
    }

    /// The version byte.
    pub fn level(self) -> u8 {
        self as u8
    }

    /// Has this version properties and reason codes?
    pub fn is_v5(self) -> bool {
        self == Self::V5
    }
}

/// Quality of Service (section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum QoS {
    /// 0: sent once, never acknowledged.
    #[default]
    AtMostOnce = 0,
    /// 1: acknowledged with PUBACK.
    AtLeastOnce = 1,
    /// 2: PUBREC, PUBREL, PUBCOMP.
    ExactlyOnce = 2,
}

impl QoS {
    /// `None` for 3 and above.
    pub fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// The number on the wire.
    pub fn as_u8(self) -> u8 {
        self as u8
    }
}
