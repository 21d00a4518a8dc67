//! An event loop: one thread, its connections, their sessions.
//!
//! A turn: wait for sockets, read what came (one read a connection), handle every complete packet,
//! collect what each receiver gets, write once per receiver, sleep again. Nothing in a turn blocks.
//!
//! - [`accept`]: new connections.       - [`input`]: bytes to packets.
//! - [`outgoing`]: a message and its encodings.
//! - [`output`]: packets to bytes out.  - [`backlog`]: deliveries that were kept.
//! - [`inbox`]: what other threads ask. - [`timers`]: connect deadlines, keep-alive.
//! - [`wheel`]: the timer wheel.        - [`proxied`]: PROXY headers, addresses refused.
//! - [`encrypted`] connections: TLS handshakes in their turn.
//! - [`zones`]: whose options hold.    - [`listeners`]: accepting for them, or no longer.
//! - [`linger`]: closing without losing the last words.
//! - [`stalled`]: clients that take nothing.
//! - [`fanout`]: messages for very many receivers, and the budget of a turn.
//!
//! What each packet does stands in [`crate::connection`], one file a packet.

mod accept;
mod backlog;
mod encrypted;
mod fanout;
mod inbox;
mod input;
mod linger;
mod listeners;
mod outgoing;
mod output;
mod proxied;
mod stalled;
mod timers;
mod wheel;
mod zones;

use std::{
    collections::VecDeque,
    io, mem,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Duration,
};

use mio::{Events, Poll, Token};
use slab::Slab;
use vallum_policy::pipeline::Pipeline;

use self::{
    encrypted::Handshakes, fanout::Fanouts, listeners::Listening, stalled::Stalled, wheel::Wheel,
};
pub(crate) use self::{fanout::Routed, input::Flow, outgoing::Outgoing};
use crate::{
    clock,
    connection::{BufferPool, Connection, disconnect::Close},
    delayed::DelayedMessages,
    event::Event,
    listener::table::ListenerTable,
    metrics::Metrics,
    retained::Replay,
    router::Target,
    session::{Departed, Session, SessionRef},
    shared::{Inbound, Shared},
};

/// Bytes one read may bring; all connections of a loop share the buffer.
const READ_BUFFER_BYTES: usize = 128 * 1024;
/// Connections written to in one turn before sockets are looked at again.
const FLUSH_SLICE: usize = 1024;
/// Connections read again in one turn because their last read filled the buffer.
const READ_SLICE: usize = 256;

/// The token of a connection: its slot, and above it as much of its generation as fits below the
/// listeners. An event that was on its way when its connection was closed names a generation that the
/// slot no longer has.
fn token_of(slot: u32, generation: u32) -> Token {
    Token(((generation & GENERATION_MASK) as usize) << 32 | slot as usize)
}

/// Keeps tokens of connections below [`FIRST_LISTENER`].
const GENERATION_MASK: u32 = 0x7FFF_FFFF;

const WAKE: Token = Token(usize::MAX);
/// Tokens from here up to [`WAKE`] are listeners, below are connection slots.
const FIRST_LISTENER: usize = WAKE.0 - 1 - u16::MAX as usize;

/// A session with the generation of its slot.
#[derive(Debug)]
pub(crate) struct SessionEntry {
    pub(crate) generation: u32,
    pub(crate) session: Session,
}

/// One loop's state. Everything but `shared` belongs to its thread alone.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of the turn, none a mode"
)]
pub(crate) struct EventLoop {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: u16,
    poll: Poll,
    /// Those it accepts for.
    listeners: Vec<Listening>,
    /// Listeners and zones in force.
    table: Arc<ListenerTable>,
    table_version: usize,
    /// Connections whose sockets are full.
    stalled: Stalled,
    /// How far it has come with closing the connections of stopped listeners.
    closing: Option<usize>,
    /// The loop that gets the next accepted connection.
    next_loop: usize,
    pub(crate) connections: Slab<Connection>,
    pub(crate) sessions: Slab<SessionEntry>,
    generation: u32,
    pub(crate) pipeline: Arc<Pipeline>,
    pipeline_version: usize,
    pub(crate) pool: BufferPool,
    /// Connections with output to write, by slot and generation.
    dirty: VecDeque<(u32, u32)>,
    /// Connections whose last read filled the buffer.
    ready: VecDeque<(u32, u32)>,
    /// TLS handshakes whose turn is to come.
    handshakes: Handshakes,
    /// What one read brought, decrypted; empty until the first TLS connection.
    clear: Vec<u8>,
    /// Sessions online since the last second whose credentials expire: their timers are not armed yet.
    pub(crate) unarmed: Vec<SessionRef>,
    /// Retained messages still to be sent, a slice a turn.
    pub(crate) replays: VecDeque<Replay>,
    /// Milliseconds until they go on, if `retainer.delivery_rate` is used up.
    pub(crate) replays_wait: Option<u64>,
    /// Messages for very many receivers.
    pub(crate) fanouts: Fanouts,
    /// Subscriptions of sessions that have ended, still in the router.
    pub(crate) departed: Vec<Departed>,
    /// What other threads asked of this loop, in order, as far as it is not done.
    incoming: VecDeque<Inbound>,
    /// What goes to each other loop at the end of the turn.
    outbound: Vec<Vec<Inbound>>,
    /// Scratch for the receivers of one message.
    targets: Vec<Target>,
    /// Messages whose time has not come.
    pub(crate) delayed: DelayedMessages,
    read_buffer: Vec<u8>,
    wheel: Wheel,
    /// Broker second of this turn.
    pub(crate) now: u32,
    /// Another loop does not keep up, as seen in this turn: nothing is read from clients.
    congested: bool,
    /// Descriptors ran out: accepting goes on with the next second.
    accept_again: bool,
    /// Unix time of this turn, for decisions.
    pub(crate) unix_now: Duration,
    /// Sockets that linger after their connection ended.
    lingering: usize,
    /// The last read, or what came with the packet at hand, shows that its peer goes on sending.
    pub(crate) peer_is_sending: bool,
    /// Everything is being closed.
    pub(crate) stopping: bool,
}

impl EventLoop {
    /// A loop that accepts for nobody yet.
    pub(crate) fn new(shared: Arc<Shared>, index: u16) -> io::Result<Self> {
        let poll = Poll::new()?;
        if let Some(inbox) = shared.inboxes.get(usize::from(index)) {
            inbox.attach(Arc::new(mio::Waker::new(poll.registry(), WAKE)?));
        }
        let loops = shared.inboxes.len();
        let now = shared.clock.second();
        Ok(Self {
            index,
            poll,
            listeners: Vec::new(),
            table: shared.table(),
            table_version: shared.table_version(),
            stalled: Stalled::default(),
            closing: None,
            next_loop: usize::from(index),
            connections: Slab::new(),
            sessions: Slab::new(),
            generation: 0,
            pipeline: shared.pipeline(),
            pipeline_version: shared.pipeline_version(),
            pool: BufferPool::default(),
            dirty: VecDeque::new(),
            ready: VecDeque::new(),
            handshakes: Handshakes::default(),
            clear: Vec::new(),
            unarmed: Vec::new(),
            replays: VecDeque::new(),
            replays_wait: None,
            fanouts: Fanouts::default(),
            departed: Vec::new(),
            incoming: VecDeque::new(),
            outbound: (0..loops).map(|_| Vec::new()).collect(),
            targets: Vec::new(),
            delayed: DelayedMessages::default(),
            read_buffer: vec![0; READ_BUFFER_BYTES],
            wheel: Wheel::new(now),
            now,
            congested: false,
            accept_again: false,
            unix_now: clock::unix_time(),
            lingering: 0,
            peer_is_sending: false,
            stopping: false,
            shared,
        })
    }

    /// Serve until told to stop. Should the loop end before that, by a failing `epoll_wait` or by a bug
    /// outside any one connection, the control plane is told: the broker is no longer whole.
    pub(crate) fn serve(self) {
        let shared = Arc::clone(&self.shared);
        let index = self.index;
        let error = match panic::catch_unwind(AssertUnwindSafe(|| self.run())) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it panicked; the panic message is on standard error".to_owned(),
        };
        shared.events.push(Event::LoopFailed { index, error });
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !self.stopping {
            match self.poll.poll(&mut events, self.patience()) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            self.now = self.shared.clock.second();
            self.unix_now = clock::unix_time();
            self.congested = self.shared.is_congested();
            self.tick(); // first, so that what this turn puts into the wheel is counted from now
            if self.pipeline_version != self.shared.pipeline_version() {
                self.pipeline_version = self.shared.pipeline_version();
                self.pipeline = self.shared.pipeline();
            }
            self.take_up_table();
            self.fanouts.begin_part();
            self.shake_hands_again();
            self.read_again();
            for event in &events {
                match event.token() {
                    WAKE => self.take_inbox(),
                    Token(n) if n >= FIRST_LISTENER => self.accept_at(n - FIRST_LISTENER),
                    token => {
                        if let Some(slot) = self.slot_of(token) {
                            self.guarded(slot, |this| this.on_socket(slot, event));
                        }
                    }
                }
            }
            self.close_stopped();
            self.serve_incoming();
            self.serve_yielded();
            self.sweep_departed();
            self.publish_due();
            self.replay_retained();
            self.serve_fanouts();
            self.post_outbound();
            self.flush_dirty();
            self.post_outbound(); // what connections that broke while they were written to left
        }
        Ok(())
    }

    /// The slot a token names, if it is still the same connection's.
    #[allow(clippy::cast_possible_truncation, reason = "the halves of the token")]
    fn slot_of(&self, token: Token) -> Option<u32> {
        let slot = token.0 as u32;
        let connection = self.connections.get(slot as usize)?;
        (token_of(slot, connection.generation) == token).then_some(slot)
    }

    /// Run what a connection's bytes set off. Should it panic, a bug of ours, that one connection is
    /// closed and the others go on.
    fn guarded(&mut self, slot: u32, serve: impl FnOnce(&mut Self)) {
        if panic::catch_unwind(AssertUnwindSafe(|| serve(self))).is_err() {
            self.metrics().panics.add(1);
            self.read_buffer.resize(READ_BUFFER_BYTES, 0);
            self.close(slot, Close::PeerGone);
        }
    }

    /// Ask to be told when a socket that was full takes more; from then on for good.
    fn watch_writes(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else {
            return;
        };
        if !connection.watches_write {
            connection.watches_write = true;
            let token = token_of(slot, connection.generation);
            let both = mio::Interest::READABLE | mio::Interest::WRITABLE;
            let registry = self.poll.registry();
            if registry
                .reregister(connection.transport.tcp(), token, both)
                .is_err()
            {
                self.close(slot, Close::PeerGone);
            }
        }
    }

    /// How long the turn may sleep.
    fn patience(&self) -> Option<Duration> {
        if self.congested {
            Some(Duration::from_millis(1))
        } else if !self.ready.is_empty()
            || !self.handshakes.is_empty()
            || !self.dirty.is_empty()
            || (!self.replays.is_empty() && self.replays_wait.is_none())
            || !self.incoming.is_empty()
            || !self.departed.is_empty()
            || self.fanouts.has_work()
            || self.closing.is_some()
            || self.delayed.is_due(self.now)
        {
            Some(Duration::ZERO)
        } else if self.connections.is_empty() && !self.accept_again && self.delayed.is_empty() {
            None
        } else {
            let second = self.shared.clock.until_next_second();
            let wait = self.replays_wait.map_or(second, |wait| wait.min(second));
            Some(Duration::from_millis(wait))
        }
    }

    /// This loop's counters.
    #[allow(
        clippy::indexing_slicing,
        reason = "one set of counters a loop, made together"
    )]
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics[usize::from(self.index)]
    }

    /// A number no other user of a slot has.
    pub(crate) fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.generation
    }

    /// The session `reference` names, if it still lives here.
    pub(crate) fn session_mut(&mut self, reference: SessionRef) -> Option<&mut Session> {
        self.sessions
            .get_mut(reference.slot as usize)
            .filter(|entry| entry.generation == reference.generation)
            .map(|entry| &mut entry.session)
    }

    /// Put a session into the table; gives its slot.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "2^32 sessions do not fit into memory"
    )]
    pub(crate) fn insert_session(&mut self, generation: u32, session: Session) -> u32 {
        self.sessions.insert(SessionEntry {
            generation,
            session,
        }) as u32
    }

    /// The reference of the session in `slot`.
    pub(crate) fn session_ref(&self, slot: u32) -> Option<SessionRef> {
        let entry = self.sessions.get(slot as usize)?;
        Some(SessionRef {
            loop_index: self.index,
            slot,
            generation: entry.generation,
        })
    }

    /// Post what the turn collected for other loops.
    fn post_outbound(&mut self) {
        for (inbox, batch) in self.shared.inboxes.iter().zip(&mut self.outbound) {
            if !batch.is_empty() {
                inbox.post(mem::take(batch));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use std::{
        io::{ErrorKind, Read as _},
        net::{TcpListener, TcpStream as Peer},
    };

    use mio::net::TcpStream;

    use super::*;
    use crate::{
        connection::Phase,
        listener::control::Listeners,
        support,
        transport::{Transport, socket::Socket},
    };

    /// A connection of `event_loop`: its slot, and the other end.
    fn connect(event_loop: &mut EventLoop, listener: &TcpListener) -> (u32, Peer) {
        let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, address) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        assert!(event_loop.listener(0).take_place());
        let transport = Transport::Direct(Socket::Plain(TcpStream::from_std(stream)));
        let connection = Connection::new(transport, address, 0, Phase::AwaitConnect, 0);
        (event_loop.adopt(connection).unwrap(), peer)
    }

    #[test]
    fn a_panic_ends_the_connection_that_set_it_off_and_no_other() {
        let config = support::config(1, &[], &[]);
        let (wanted, zones) = (config.listeners.clone(), config.zones.clone());
        let shared = Shared::new(config, support::policy("null", "false"), 1).unwrap();
        let mut listeners = Listeners::default();
        let plan = listeners.plan(&shared.table(), &wanted, &zones).unwrap();
        listeners.carry_out(plan, &shared);
        let mut event_loop = EventLoop::new(Arc::new(shared), 0).unwrap();
        event_loop.take_up_table();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (slot, mut peer) = connect(&mut event_loop, &listener);
        let (other, mut other_peer) = connect(&mut event_loop, &listener);

        event_loop.guarded(slot, |this| {
            let _taken = mem::take(&mut this.read_buffer);
            panic!("on purpose");
        });

        assert!(!event_loop.connections.contains(slot as usize));
        assert_eq!(peer.read(&mut [0]).unwrap(), 0, "it is closed");
        assert_eq!(event_loop.metrics().panics.get(), 1);
        let mut served = false;
        event_loop.guarded(other, |this| {
            served = this.read_buffer.len() == READ_BUFFER_BYTES;
        });
        assert!(served && event_loop.connections.contains(other as usize));
        other_peer.set_nonblocking(true).unwrap();
        let nothing = other_peer.read(&mut [0]).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock, "it is open");
    }
}
