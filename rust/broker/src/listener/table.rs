//! The listeners and zones that connections name by index. Every loop holds the table as a whole and
//! takes up a new one when there is one; places are given out again only when nobody names them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::{
    acceptor::Endpoint,
    access::{AccessRules, TrustedProxies},
    forwarded::ForwardedBy,
};
use crate::{
    config::{MqttConfig, RateConfig, WebSocketConfig, ZoneConfig},
    transport::tls::listener::TlsListener,
};

/// Places for listeners: those that listen, and those that connections still name.
const MAX_PLACES: usize = 4096;

/// A listener as the loops see it. It never changes: one with other options takes a place of its own,
/// and connections keep the one they came to.
#[derive(Debug)]
pub(crate) struct ListenerInfo {
    /// `type:name`.
    pub(crate) id: Arc<str>,
    /// Index of its zone.
    pub(crate) zone: u16,
    /// Where it really listens.
    pub(crate) endpoint: Endpoint,
    /// Most connections; `usize::MAX` is no limit.
    pub(crate) max_connections: usize,
    /// Connections now.
    pub(super) connections: AtomicUsize,
    /// What it was before its options changed, as far as connections are left from then. They count.
    pub(super) predecessors: Box<[Arc<ListenerInfo>]>,
    /// Its connections are not wanted any more.
    pub(super) stopped: AtomicBool,
    /// It does not listen any more; once its connections are gone its place is free.
    pub(super) retired: AtomicBool,
    /// Seconds after which a client that takes nothing of what waits for it is closed.
    pub(crate) send_timeout: Option<u32>,
    /// Connections and connections above that, in a time.
    pub(crate) rate: Option<(RateConfig, Option<RateConfig>)>,
    /// Who may connect.
    pub(crate) access: AccessRules,
    /// The proxies in front of it, if a PROXY protocol header is due.
    pub(crate) proxies: Option<TrustedProxies>,
    /// MQTT comes in a WebSocket.
    pub(crate) websocket: Option<Arc<WebSocketConfig>>,
    /// The HTTP proxies in front of it, if their headers are believed.
    pub(crate) forwarded: Option<ForwardedBy>,
    /// All of it comes in TLS.
    pub(crate) tls: Option<Arc<TlsListener>>,
}

impl ListenerInfo {
    /// Count one connection more, unless there are enough.
    pub(crate) fn take_place(&self) -> bool {
        let earlier: usize = self.predecessors.iter().map(|each| each.count()).sum();
        let taken =
            self.connections.fetch_add(1, Ordering::Relaxed) + earlier < self.max_connections;
        if !taken {
            self.give_place();
        }
        taken
    }

    /// One connection less.
    pub(crate) fn give_place(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Connections that came to it.
    pub(crate) fn count(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// It and what it was before, as far as connections are left.
    pub(super) fn lineage(self: &Arc<Self>) -> Box<[Arc<Self>]> {
        let earlier = self.predecessors.iter().filter(|each| each.count() > 0);
        [self].into_iter().chain(earlier).cloned().collect()
    }

    /// Have its connections closed; gives whether that is something new.
    pub(super) fn stop(&self) -> bool {
        for each in &self.predecessors {
            each.stopped.store(true, Ordering::Relaxed);
        }
        !self.stopped.swap(true, Ordering::Relaxed)
    }

    /// No loop accepts for it any more.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Whether its connections are to be closed.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn is_gone(&self) -> bool {
        self.retired.load(Ordering::Relaxed) && self.count() == 0
    }
}

/// A zone as the loops see it.
#[derive(Debug)]
pub(crate) struct Zone {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// What its clients may do.
    pub(crate) mqtt: MqttConfig,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListenerTable {
    /// Listeners, by index.
    pub(crate) listeners: Vec<Arc<ListenerInfo>>,
    /// Zones, by index. One stays as it is until the broker stops: sessions hold on to it.
    pub(crate) zones: Vec<Arc<Zone>>,
}

impl ListenerTable {
    /// Add the zones that are not there yet; gives the index of each of `zones`, or `None` if there is
    /// no room.
    pub(super) fn add_zones(&mut self, zones: &[ZoneConfig]) -> Option<Vec<u16>> {
        let place = |zone: &ZoneConfig| {
            let known = self.zones.iter().position(|each| *each.name == *zone.name);
            let index = known.unwrap_or_else(|| {
                self.zones.push(Arc::new(Zone {
                    name: zone.name.as_str().into(),
                    mqtt: zone.mqtt.clone(),
                }));
                self.zones.len() - 1
            });
            u16::try_from(index).ok()
        };
        zones.iter().map(place).collect()
    }

    /// Give a listener a place; `None` if there is none.
    pub(super) fn add(&mut self, info: Arc<ListenerInfo>) -> Option<u16> {
        let free = self.listeners.iter().position(|each| each.is_gone());
        if let Some(place) = free.and_then(|index| self.listeners.get_mut(index)) {
            *place = info;
        } else if self.listeners.len() < MAX_PLACES {
            self.listeners.push(info);
        } else {
            return None;
        }
        u16::try_from(free.unwrap_or(self.listeners.len() - 1)).ok()
    }
}
