//! Whose options hold: those of the zone that a connection's listener names, and for a session those
//! of its last connection's.

use super::EventLoop;
use crate::{
    config::MqttConfig,
    shared::{ListenerInfo, Zone},
};

impl EventLoop {
    /// The listener a connection came to.
    #[allow(
        clippy::indexing_slicing,
        reason = "connections get their index from this very list"
    )]
    pub(crate) fn listener(&self, index: u16) -> &ListenerInfo {
        &self.shared.listeners[usize::from(index)]
    }

    /// A zone.
    #[allow(
        clippy::indexing_slicing,
        reason = "listeners were checked to name a zone of this list"
    )]
    pub(crate) fn zone(&self, index: u16) -> &Zone {
        &self.shared.zones[usize::from(index)]
    }

    /// Index of the zone of the connection in `slot`.
    pub(crate) fn zone_of(&self, slot: u32) -> u16 {
        self.connections
            .get(slot as usize)
            .map_or(0, |connection| self.listener(connection.listener).zone)
    }

    /// The `mqtt` options of a zone, such as a session's.
    pub(crate) fn mqtt_in(&self, zone: u16) -> &MqttConfig {
        &self.zone(zone).mqtt
    }

    /// The `mqtt` options that hold for the connection in `slot`.
    pub(crate) fn mqtt_of(&self, slot: u32) -> &MqttConfig {
        self.mqtt_in(self.zone_of(slot))
    }
}
