//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7).

use std::num::NonZeroU16;

use vallum_mqtt::packet::{Ack, FixedHeader, PacketType, ReasonCode};

use crate::{
    event_loop::{EventLoop, Flow},
    session::inflight::{Inflight, Settled},
};

impl EventLoop {
    /// PUBACK: a delivery of `QoS` 1 is over. One for an unknown identifier is ignored; one for a
    /// delivery of `QoS` 2 breaks the protocol.
    pub(crate) fn on_puback(
        &mut self,
        slot: u32,
        session_slot: u32,
        header: FixedHeader,
        body: &[u8],
    ) -> Flow {
        match Ack::decode(self.version_of(slot), &header, body) {
            Ok(ack) => {
                let id = ack.packet_id.get();
                let settled = self.settle(session_slot, |window| window.on_puback(id));
                self.unless_mismatch(slot, settled)
            }
            Err(error) => self.refuse_packet(slot, error.reason()),
        }
    }

    /// PUBREC: the client has a `QoS` 2 delivery; PUBREL is due.
    pub(crate) fn on_pubrec(
        &mut self,
        slot: u32,
        session_slot: u32,
        header: FixedHeader,
        body: &[u8],
    ) -> Flow {
        let ack = match Ack::decode(self.version_of(slot), &header, body) {
            Ok(ack) => ack,
            Err(error) => return self.refuse_packet(slot, error.reason()),
        };
        let id = ack.packet_id;
        let failed = ack.reason.is_failure();
        let settled = self.settle(session_slot, |window| window.on_pubrec(id.get(), failed));
        match settled {
            Settled::Known if !failed => self.send_pubrel(slot, id),
            Settled::Known | Settled::Mismatch => {}
            Settled::Unknown => self.send_ack(
                slot,
                PacketType::PubRel,
                id,
                ReasonCode::PacketIdentifierNotFound,
            ),
        }
        self.unless_mismatch(slot, settled)
    }

    /// PUBCOMP: a delivery of `QoS` 2 is over.
    pub(crate) fn on_pubcomp(
        &mut self,
        slot: u32,
        session_slot: u32,
        header: FixedHeader,
        body: &[u8],
    ) -> Flow {
        match Ack::decode(self.version_of(slot), &header, body) {
            Ok(ack) => {
                let id = ack.packet_id.get();
                let settled = self.settle(session_slot, |window| window.on_pubcomp(id));
                self.unless_mismatch(slot, settled)
            }
            Err(error) => self.refuse_packet(slot, error.reason()),
        }
    }

    /// PUBREL: the client will not repeat a `QoS` 2 message; its identifier is free again.
    pub(crate) fn on_pubrel(
        &mut self,
        slot: u32,
        session_slot: u32,
        header: FixedHeader,
        body: &[u8],
    ) -> Flow {
        let rel = match Ack::decode(self.version_of(slot), &header, body) {
            Ok(rel) => rel,
            Err(error) => return self.refuse_packet(slot, error.reason()),
        };
        let id = rel.packet_id;
        let known = self
            .sessions
            .get_mut(session_slot as usize)
            .and_then(|entry| entry.session.awaiting_rel.as_mut())
            .is_some_and(|waiting| waiting.remove(&id.get()).is_some());
        let reason = if known {
            ReasonCode::Success
        } else {
            ReasonCode::PacketIdentifierNotFound
        };
        self.send_ack(slot, PacketType::PubComp, id, reason);
        Flow::Continue
    }

    /// PUBREL for a delivery of ours.
    pub(crate) fn send_pubrel(&mut self, slot: u32, id: NonZeroU16) {
        self.send_ack(slot, PacketType::PubRel, id, ReasonCode::Success);
    }

    /// Apply an acknowledgement to the session's window, and send what waited for the room.
    fn settle(
        &mut self,
        session_slot: u32,
        apply: impl FnOnce(&mut Inflight) -> Settled,
    ) -> Settled {
        let Some(entry) = self.sessions.get_mut(session_slot as usize) else {
            return Settled::Unknown;
        };
        let session = &mut entry.session;
        let settled = session
            .inflight
            .as_deref_mut()
            .map_or(Settled::Unknown, apply);
        let stalled = session.stalled_replays.is_some();
        if self.has_backlog(session_slot) {
            self.pump(session_slot);
        }
        if stalled {
            self.wake_replays(session_slot);
        }
        settled
    }

    /// An acknowledgement of the wrong kind breaks the protocol [MQTT-4.13.1-1] [v3.1.1 MQTT-4.8.0-1].
    fn unless_mismatch(&mut self, slot: u32, settled: Settled) -> Flow {
        if settled == Settled::Mismatch {
            self.refuse_packet(slot, ReasonCode::ProtocolError)
        } else {
            Flow::Continue
        }
    }
}
