//! Reason Codes (section 2.4), who may send which, and what they become for MQTT 3.x.

use super::header::PacketType;

/// Define the enum, its names and the way back from the byte in one table.
macro_rules! reason_codes {
    ($($code:literal $variant:ident $name:literal $doc:literal,)*) => {
        /// One byte that says how an operation ended. Values below 0x80 are not failures.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each variant has its doc line from the table")]
        pub enum ReasonCode {
            $(#[doc = $doc] $variant = $code,)*
        }

        impl ReasonCode {
            /// Every code, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// `None` for a byte the standard gives no meaning.
            pub fn from_u8(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name in lower case with underscores, as in logs and in the management API.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

reason_codes! {
    0x00 Success "success" "0x00: Success (also Normal disconnection and Granted `QoS` 0).",
    0x01 GrantedQoS1 "granted_qos1" "0x01: Granted `QoS` 1.",
    0x02 GrantedQoS2 "granted_qos2" "0x02: Granted `QoS` 2.",
    0x04 DisconnectWithWill "disconnect_with_will" "0x04: Disconnect with Will Message.",
    0x10 NoMatchingSubscribers "no_matching_subscribers" "0x10: No matching subscribers.",
    0x11 NoSubscriptionExisted "no_subscription_existed" "0x11: No subscription existed.",
    0x18 ContinueAuthentication "continue_authentication" "0x18: Continue authentication.",
    0x19 ReAuthenticate "re_authenticate" "0x19: Re-authenticate.",
    0x80 UnspecifiedError "unspecified_error" "0x80: Unspecified error.",
    0x81 MalformedPacket "malformed_packet" "0x81: Malformed Packet.",
    0x82 ProtocolError "protocol_error" "0x82: Protocol Error.",
    0x83 ImplementationSpecificError "implementation_specific_error" "0x83: Implementation specific error.",
    0x84 UnsupportedProtocolVersion "unsupported_protocol_version" "0x84: Unsupported Protocol Version.",
    0x85 ClientIdentifierNotValid "client_identifier_not_valid" "0x85: Client Identifier not valid.",
    0x86 BadUserNameOrPassword "bad_user_name_or_password" "0x86: Bad User Name or Password.",
    0x87 NotAuthorized "not_authorized" "0x87: Not authorized.",
    0x88 ServerUnavailable "server_unavailable" "0x88: Server unavailable.",
    0x89 ServerBusy "server_busy" "0x89: Server busy.",
    0x8a Banned "banned" "0x8a: Banned.",
    0x8b ServerShuttingDown "server_shutting_down" "0x8b: Server shutting down.",
    0x8c BadAuthenticationMethod "bad_authentication_method" "0x8c: Bad authentication method.",
    0x8d KeepAliveTimeout "keep_alive_timeout" "0x8d: Keep Alive timeout.",
    0x8e SessionTakenOver "session_taken_over" "0x8e: Session taken over.",
    0x8f TopicFilterInvalid "topic_filter_invalid" "0x8f: Topic Filter invalid.",
    0x90 TopicNameInvalid "topic_name_invalid" "0x90: Topic Name invalid.",
    0x91 PacketIdentifierInUse "packet_identifier_in_use" "0x91: Packet Identifier in use.",
    0x92 PacketIdentifierNotFound "packet_identifier_not_found" "0x92: Packet Identifier not found.",
    0x93 ReceiveMaximumExceeded "receive_maximum_exceeded" "0x93: Receive Maximum exceeded.",
    0x94 TopicAliasInvalid "topic_alias_invalid" "0x94: Topic Alias invalid.",
    0x95 PacketTooLarge "packet_too_large" "0x95: Packet too large.",
    0x96 MessageRateTooHigh "message_rate_too_high" "0x96: Message rate too high.",
    0x97 QuotaExceeded "quota_exceeded" "0x97: Quota exceeded.",
    0x98 AdministrativeAction "administrative_action" "0x98: Administrative action.",
    0x99 PayloadFormatInvalid "payload_format_invalid" "0x99: Payload format invalid.",
    0x9a RetainNotSupported "retain_not_supported" "0x9a: Retain not supported.",
    0x9b QoSNotSupported "qos_not_supported" "0x9b: `QoS` not supported.",
    0x9c UseAnotherServer "use_another_server" "0x9c: Use another server.",
    0x9d ServerMoved "server_moved" "0x9d: Server moved.",
    0x9e SharedSubscriptionsNotSupported "shared_subscriptions_not_supported" "0x9e: Shared Subscriptions not supported.",
    0x9f ConnectionRateExceeded "connection_rate_exceeded" "0x9f: Connection rate exceeded.",
    0xa0 MaximumConnectTime "maximum_connect_time" "0xa0: Maximum connect time.",
    0xa1 SubscriptionIdentifiersNotSupported "subscription_identifiers_not_supported" "0xa1: Subscription Identifiers not supported.",
    0xa2 WildcardSubscriptionsNotSupported "wildcard_subscriptions_not_supported" "0xa2: Wildcard Subscriptions not supported.",
}

impl ReasonCode {
    /// The byte on the wire.
    pub fn as_u8(self) -> u8 {
        self as u8
    }

    /// 0x80 and above mean failure.
    pub fn is_failure(self) -> bool {
        self.as_u8() >= 0x80
    }

    /// The Connect Return Code of MQTT 3.1 and 3.1.1 (spec/authentication.md section 22.1).
    pub fn to_v3_connack(self) -> u8 {
        match self {
            code if !code.is_failure() => 0,
            Self::UnspecifiedError
            | Self::MalformedPacket
            | Self::ProtocolError
            | Self::ImplementationSpecificError
            | Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::ServerUnavailable
            | Self::ServerBusy
            | Self::ServerShuttingDown
            | Self::TopicNameInvalid
            | Self::QuotaExceeded
            | Self::UseAnotherServer
            | Self::ServerMoved
            | Self::ConnectionRateExceeded => 3,
            Self::BadUserNameOrPassword => 4,
            _ => 5,
        }
    }

    /// The reason nearest to a Connect Return Code of MQTT 3.1 or 3.1.1; `None` above 5.
    pub fn from_v3_connack(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Success,
            1 => Self::UnsupportedProtocolVersion,
            2 => Self::ClientIdentifierNotValid,
            3 => Self::ServerUnavailable,
            4 => Self::BadUserNameOrPassword,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }

    /// The SUBACK return code of MQTT 3.x: the granted `QoS`, or 0x80 for any failure.
    pub fn to_v3_suback(self) -> u8 {
        if self.is_failure() {
            0x80
        } else {
            self.as_u8() & 0x03
        }
    }

    /// May a packet of this type carry this code (the tables of sections 3.2 to 3.15)?
    pub fn is_allowed_in(self, packet: PacketType) -> bool {
        use ReasonCode as R;
        let code = self.as_u8();
        match packet {
            PacketType::ConnAck => {
                matches!(code, 0x00 | 0x80..=0x8a | 0x8c | 0x90 | 0x95 | 0x97 | 0x99..=0x9d | 0x9f)
            }
            PacketType::PubAck | PacketType::PubRec => {
                matches!(
                    code,
                    0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99
                )
            }
            PacketType::PubRel | PacketType::PubComp => {
                matches!(self, R::Success | R::PacketIdentifierNotFound)
            }
            PacketType::SubAck => matches!(
                code,
                0x00..=0x02 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91 | 0x97 | 0x9e | 0xa1 | 0xa2
            ),
            PacketType::UnsubAck => {
                matches!(code, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91)
            }
            // 0x8c stands in the table of section 2.4, and is missing in that of 3.14.2.1.
            PacketType::Disconnect => {
                matches!(code, 0x00 | 0x04 | 0x80..=0x83 | 0x87 | 0x89 | 0x8b..=0x90 | 0x93..=0xa2)
            }
            PacketType::Auth => {
                matches!(
                    self,
                    R::Success | R::ContinueAuthentication | R::ReAuthenticate
                )
            }
            _ => false,
        }
    }

    /// May a client send a DISCONNECT or AUTH with this code (sections 3.14.2.1 and 3.15.2.1)?
    pub fn client_may_send(self, packet: PacketType) -> bool {
        match packet {
            PacketType::Disconnect => {
                matches!(self.as_u8(), 0x00 | 0x04 | 0x80..=0x83 | 0x90 | 0x93..=0x99)
            }
            PacketType::Auth => matches!(self, Self::ContinueAuthentication | Self::ReAuthenticate),
            _ => true,
        }
    }

    /// May a server send a DISCONNECT or AUTH with this code?
    ///
    /// A DISCONNECT with 0x00 is let pass: the table gives it to clients alone, servers send it.
    pub fn server_may_send(self, packet: PacketType) -> bool {
        match packet {
            PacketType::Disconnect => self != Self::DisconnectWithWill,
            PacketType::Auth => self != Self::ReAuthenticate,
            _ => true,
        }
    }
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back() {
        assert_eq!(ReasonCode::ALL.len(), 43);
        for code in ReasonCode::ALL {
            assert_eq!(ReasonCode::from_u8(code.as_u8()), Some(*code));
            assert!(code.to_v3_connack() <= 5);
        }
        assert_eq!(ReasonCode::from_u8(0x03), None);
        assert_eq!(ReasonCode::from_u8(0xa3), None);
    }

    #[test]
    fn version_3_return_codes() {
        for (code, connack) in [
            (0x00, 0),
            (0x80, 1),
            (0x81, 1),
            (0x82, 1),
            (0x83, 1),
            (0x84, 1),
            (0x85, 2),
            (0x86, 4),
            (0x87, 5),
            (0x88, 3),
            (0x89, 3),
            (0x8a, 5),
            (0x8b, 3),
            (0x8c, 5),
            (0x90, 3),
            (0x95, 5),
            (0x97, 3),
            (0x9c, 3),
            (0x9d, 3),
            (0x9f, 3),
        ] {
            let reason = ReasonCode::from_u8(code).expect("a code of the table");
            assert_eq!(reason.to_v3_connack(), connack, "{reason}");
        }
        assert_eq!(ReasonCode::GrantedQoS2.to_v3_suback(), 2);
        assert_eq!(ReasonCode::NotAuthorized.to_v3_suback(), 0x80);
    }
}
