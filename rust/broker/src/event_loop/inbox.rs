//! What other threads ask of this loop.

use std::sync::Arc;

use vallum_mqtt::packet::{PacketType, ReasonCode};

use super::{EventLoop, input::Flow};
use crate::{
    command::Command,
    connection::{Connection, disconnect::Close},
    event_loop::Outgoing,
    message::Message,
    router::Target,
    session::attach::Accepted,
    shared::Inbound,
};

impl EventLoop {
    /// Take what was asked.
    pub(super) fn take_inbox(&mut self) {
        let Some(inbox) = self.shared.inboxes.get(usize::from(self.index)) else {
            return;
        };
        self.incoming.extend(inbox.take());
        // A connection may have come to a listener that is newer than this turn.
        self.take_up_table();
    }

    /// Do what was asked, as much as fits into a turn.
    pub(super) fn serve_incoming(&mut self) {
        self.fanouts.begin_part();
        let mut done = 0;
        while !self.fanouts.is_spent() {
            let Some(item) = self.incoming.pop_front() else {
                break;
            };
            let weight = item.weight();
            done += weight;
            match item {
                Inbound::Accepted(connection) => {
                    self.adopt(connection);
                }
                Inbound::HandOver(taken) => {
                    let (connection, accepted) = *taken;
                    self.take_over_connection(connection, accepted);
                }
                Inbound::Deliver(message, targets) => {
                    self.fanouts.spend(targets.len());
                    let mut outgoing = Outgoing::of_message(&message);
                    for target in targets {
                        self.deliver_later(target, &message, &mut outgoing);
                    }
                    self.recycle(outgoing);
                }
                Inbound::Fanout(message, targets, from) => {
                    self.take_fanout(message, targets, from);
                }
                Inbound::FanoutServed => self.served_elsewhere(),
                Inbound::Command(command) => self.obey(command),
                Inbound::Listen(index, acceptor) => self.listen(index, acceptor),
                Inbound::Unlisten(index) => self.unlisten(index),
                Inbound::CloseStopped => self.begin_to_close_stopped(),
            }
        }
        if done > 0
            && let Some(inbox) = self.shared.inboxes.get(usize::from(self.index))
        {
            inbox.done(done);
        }
    }

    /// Deliver a message whose receivers were looked up a while ago.
    pub(super) fn deliver_later(
        &mut self,
        target: Target,
        message: &Arc<Message>,
        outgoing: &mut Outgoing<'_>,
    ) {
        match target.group {
            // It left while the message was on its way: another member gets it.
            Some(group) if !self.shared.router.is_member(group, target.session) => {
                self.deliver_to_group(group, message);
            }
            _ => self.deliver(target, outgoing),
        }
    }

    /// Send a connection and its accepted CONNECT to the loop that owns the session.
    pub(super) fn hand_over(&mut self, slot: u32, loop_index: u16, accepted: Accepted) {
        let Some(mut connection) = self.connections.try_remove(slot as usize) else {
            return;
        };
        if self
            .poll
            .registry()
            .deregister(connection.transport.tcp())
            .is_err()
        {
            self.forget_listener_slot(connection.listener);
            return;
        }
        if connection.watches_write {
            self.forget_stalled(slot);
        }
        connection.dirty = false;
        connection.out.blocked = false;
        connection.watches_write = false;
        connection.readable = false;
        if let Some(batch) = self.outbound.get_mut(usize::from(loop_index)) {
            batch.push(Inbound::HandOver(Box::new((connection, accepted))));
        }
    }

    fn take_over_connection(&mut self, connection: Connection, accepted: Accepted) {
        let Some(slot) = self.adopt(connection) else {
            return;
        };
        self.peer_is_sending = true; // nobody looked for a while
        let flow = self.attach(slot, accepted);
        self.go_on(slot, flow);
    }

    /// Go on with a connection that waited: handle what it sent meanwhile, and read again.
    fn go_on(&mut self, slot: u32, flow: Flow) {
        match flow {
            Flow::HandOver(loop_index, accepted) => self.hand_over(slot, loop_index, *accepted),
            Flow::Continue => {
                if let Some(connection) = self.connections.get_mut(slot as usize) {
                    connection.missed = true;
                }
                self.resume_reading(slot);
            }
            Flow::Closed | Flow::Park => {}
        }
    }

    /// Handle what a connection sent while it was not listened to, and read again.
    pub(super) fn resume_reading(&mut self, slot: u32) {
        self.guarded(slot, |this| {
            if this.handle_tail(slot) {
                this.read_later(slot);
            }
        });
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::ExpireCredentials { session, expire_at } => {
                let Some(found) = self.session_mut(session) else {
                    return;
                };
                if found.client.expire_at == Some(expire_at)
                    && let Some(slot) = found.connection
                {
                    self.close(slot, Close::CredentialsExpired);
                }
            }
            Command::EndSession {
                session,
                offline_epoch,
            } => {
                if self
                    .session_mut(session)
                    .is_some_and(|s| s.connection.is_none() && s.offline_epoch == offline_epoch)
                {
                    self.end_session(session);
                }
            }
            Command::PublishWill {
                session,
                offline_epoch,
            } => {
                let will = self
                    .session_mut(session)
                    .filter(|s| s.connection.is_none() && s.offline_epoch == offline_epoch)
                    .and_then(|s| Some((s.client.clone(), s.will.take()?)));
                if let Some((client, will)) = will {
                    self.publish_will(session, &client, &will, self.unix_now);
                }
            }
            Command::Disconnect {
                session,
                reason_code,
            } => {
                if let Some(slot) = self.session_mut(session).and_then(|s| s.connection) {
                    // [MQTT-3.14.2-1]: one of those a server may give.
                    let reason = ReasonCode::from_u8(reason_code)
                        .filter(|reason| reason.is_allowed_in(PacketType::Disconnect))
                        .filter(|reason| reason.server_may_send(PacketType::Disconnect))
                        .unwrap_or(ReasonCode::AdministrativeAction);
                    self.close(slot, Close::Server(reason));
                }
            }
            Command::Verdict {
                slot,
                generation,
                reply,
            } => {
                let waits = self
                    .connections
                    .get(slot as usize)
                    .is_some_and(|c| c.generation == generation);
                if waits {
                    let flow = self.on_reply(slot, *reply, self.unix_now);
                    self.go_on(slot, flow);
                }
            }
            Command::PublishSystem(messages) => self.publish_system(&messages),
            Command::Stop => {
                self.stopping = true;
                let slots: Vec<usize> = self.connections.iter().map(|(slot, _)| slot).collect();
                for slot in slots
                    .into_iter()
                    .filter_map(|slot| u32::try_from(slot).ok())
                {
                    self.close(slot, Close::Server(ReasonCode::ServerShuttingDown));
                }
            }
        }
    }
}
