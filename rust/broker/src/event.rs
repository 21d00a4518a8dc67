//! Events for the control plane: one bounded queue, one wake-up per batch.
//!
//! A loop pushes, the control plane drains everything at once. The file descriptor becomes readable
//! when the queue turns from empty to non-empty, so the reader needs no thread and no polling.

use std::{
    io::{Read, Write},
    mem,
    os::{fd::AsRawFd, unix::net::UnixStream},
    sync::{Arc, Mutex, PoisonError},
};

use vallum_policy::{client::ClientInfo, pipeline::Suspended};

use crate::{session::SessionRef, transport::tls::failure::Failure};

/// Most events that wait; past it the droppable ones (log lines) are lost and counted.
const MAX_WAITING: usize = 65_536;

/// What happened in the data plane that the control plane must know.
#[derive(Clone, Debug)]
pub enum Event {
    /// A session whose credentials expire came online.
    SessionOpened {
        /// The session.
        session: SessionRef,
        /// Its client identifier.
        client_id: Arc<str>,
        /// When its credentials expire, Unix seconds.
        expire_at: u64,
    },
    /// A session that has timers to arm or to cancel went offline.
    SessionClosed {
        /// The session.
        session: SessionRef,
        /// Its client identifier.
        client_id: Arc<str>,
        /// Counts the session's offline times; a timer names the one it was armed for.
        offline_epoch: u32,
        /// Seconds until the session ends; `None` is never, 0 is over already.
        expiry_interval: Option<u32>,
        /// Seconds until its will is due, if it still has one.
        will_delay: Option<u32>,
    },
    /// A CONNECT waits for an authenticator outside the data plane, or a client authenticates anew.
    Authenticate(Box<Question>),
    /// Enhanced authentication that was under way is over: the connection is gone, or broke a rule.
    ExchangeEnded {
        /// The connection: loop, slot, generation.
        connection: (u16, u32, u32),
    },
    /// An event loop ended on its own: the broker is no longer whole.
    LoopFailed {
        /// Which.
        index: u16,
        /// What the system said.
        error: String,
    },
    /// A client was refused: one line for the log.
    Refused(Box<Refusal>),
    /// A TLS handshake failed: one line for the log.
    HandshakeFailed(Box<HandshakeFailure>),
    /// Client certificates were refused for want of a revocation list.
    ListsWanted {
        /// Listener as `type:name`.
        listener: Arc<str>,
        /// Where the lists can be had.
        addresses: Vec<String>,
    },
}

/// A peer that did not get past TLS.
#[derive(Clone, Debug)]
pub struct HandshakeFailure {
    /// Listener as `type:name`.
    pub listener: Arc<str>,
    /// Address and port of the peer.
    pub peer: std::net::SocketAddr,
    /// Why, and what to do about it.
    pub failure: Failure,
    /// How many alike were kept back since the last line.
    pub suppressed: u32,
}

/// What an authenticator outside the data plane is asked.
#[derive(Clone)]
pub struct Question {
    /// The connection that waits: loop, slot, generation.
    pub connection: (u16, u32, u32),
    /// Which authenticator: the handle from the configuration.
    pub handle: u32,
    /// The client as known so far.
    pub client: ClientInfo,
    /// Password of the CONNECT. Secret.
    pub password: Option<Box<[u8]>>,
    /// Authentication Method of the CONNECT, if this is enhanced authentication.
    pub auth_method: Option<Box<str>>,
    /// Authentication Data of the client's last packet. Secret.
    pub auth_data: Option<Box<[u8]>>,
    /// The client is online and authenticates anew.
    pub again: bool,
    /// Address and port of the peer.
    pub peer: std::net::SocketAddr,
    /// MQTT protocol level.
    pub proto_ver: u8,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question")
            .field("connection", &self.connection)
            .field("handle", &self.handle)
            .field("client_id", &self.client.client_id)
            .finish_non_exhaustive()
    }
}

impl Event {
    /// Whether nothing but a line of the log, or an attempt that is made again, is lost with it.
    fn is_droppable(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::HandshakeFailed(_) | Self::ListsWanted { .. }
        )
    }

    /// The question a suspended CONNECT asks.
    pub(crate) fn authenticate(
        connection: (u16, u32, u32),
        peer: std::net::SocketAddr,
        suspended: &Suspended,
        again: bool,
    ) -> Self {
        Self::Authenticate(Box::new(Question {
            connection,
            handle: suspended.handle(),
            client: suspended.client().clone(),
            password: suspended.password().map(Into::into),
            auth_method: suspended.auth_method().map(Into::into),
            auth_data: suspended.auth_data().map(Into::into),
            again,
            peer,
            proto_ver: suspended.proto_ver(),
        }))
    }
}

/// A refused CONNECT, AUTH, SUBSCRIBE or PUBLISH, without any secret.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// `connect`, `reauthenticate`, `subscribe`, `publish` or `will`.
    pub action: &'static str,
    /// Client identifier as presented.
    pub client_id: Arc<str>,
    /// User name as presented.
    pub username: Option<Box<str>>,
    /// Address and port of the peer.
    pub peer: Option<std::net::SocketAddr>,
    /// Listener as `type:name`.
    pub listener: Arc<str>,
    /// What decided: authenticator or source id.
    pub stage: String,
    /// Reason identifier (`spec/management.md` section 9.3).
    pub reason: String,
    /// MQTT 5 reason code.
    pub reason_code: u8,
    /// Topic name or filter, for publish and subscribe.
    pub topic: Option<Box<str>>,
    /// How many alike were kept back since the last line.
    pub suppressed: u32,
}

/// The queue. Shared by every loop and the control plane.
#[derive(Debug)]
pub struct EventQueue {
    waiting: Mutex<Vec<Event>>,
    wake: UnixStream,
    read_end: UnixStream,
}

impl EventQueue {
    /// A new, empty queue.
    pub fn new() -> std::io::Result<Self> {
        let (wake, read_end) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        read_end.set_nonblocking(true)?;
        Ok(Self {
            waiting: Mutex::new(Vec::new()),
            wake,
            read_end,
        })
    }

    /// Add an event. `false` means it was a droppable one and the queue is full.
    pub fn push(&self, event: Event) -> bool {
        let first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= MAX_WAITING && event.is_droppable() {
                return false;
            }
            waiting.push(event);
            waiting.len() == 1
        };
        if first {
            // Outside the lock: the reader wakes up at once and wants it. A full pipe means that it
            // has been woken already.
            let _ = (&self.wake).write(&[1]);
        }
        true
    }

    /// Take everything.
    pub fn drain(&self) -> Vec<Event> {
        let mut sink = [0u8; 64];
        while matches!((&self.read_end).read(&mut sink), Ok(n) if n == sink.len()) {}
        mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The descriptor to watch for readability.
    pub fn fd(&self) -> i32 {
        self.read_end.as_raw_fd()
    }
}
