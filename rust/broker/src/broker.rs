//! The broker as the outside sees it: start, reconfigure, command, stop.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
    thread::{self, JoinHandle},
};

use vallum_policy::pipeline::Pipeline;

use crate::{
    command::{Command, Reply},
    config::BrokerConfig,
    event::Event,
    event_loop::EventLoop,
    listener::{
        access::{AccessRules, TrustedProxies},
        tcp,
    },
    session::SessionRef,
    shared::{Inbound, ListenerInfo, Shared},
    transport::tls::listener::TlsListener,
};

/// Why the broker did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum BrokerError {
    /// The configuration document has another version than this build reads.
    Version {
        /// What it says.
        found: u32,
    },
    /// A listener could not be opened.
    Listen {
        /// `type:name`.
        id: String,
        /// Where it should listen.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// An option of a listener cannot be used.
    Option {
        /// `type:name`.
        id: String,
        /// What is wrong with which.
        problem: String,
    },
    /// The system refused a thread or a descriptor.
    System(io::Error),
}

impl std::fmt::Display for BrokerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version { found } => write!(
                f,
                "configuration document of version {found}, this build reads {}",
                BrokerConfig::VERSION
            ),
            Self::Listen { id, address, error } => {
                write!(f, "listener {id} cannot listen on {address}: {error}")
            }
            Self::Option { id, problem } => write!(f, "listener {id}: {problem}"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BrokerError {}

impl From<io::Error> for BrokerError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// A running broker. Every method may be called from any thread; none waits but [`Broker::stop`].
pub struct Broker {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Broker {
    /// Open the listeners and start the loops. Either everything runs or nothing does.
    pub fn start(config: BrokerConfig, pipeline: Arc<Pipeline>) -> Result<Self, BrokerError> {
        if config.version != BrokerConfig::VERSION {
            return Err(BrokerError::Version {
                found: config.version,
            });
        }
        let loops = match config.loops {
            0 => thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let mut sockets = Vec::new();
        let mut infos = Vec::new();
        for listener in &config.listeners {
            let failed = |error| BrokerError::Listen {
                id: listener.id.clone(),
                address: listener.bind,
                error,
            };
            let unusable = |problem| BrokerError::Option {
                id: listener.id.clone(),
                problem,
            };
            if usize::from(listener.zone) >= config.zones.len() {
                return Err(unusable(format!("there is no zone {}", listener.zone)));
            }
            let access = AccessRules::compile(&listener.access_rules).map_err(unusable)?;
            let proxies = listener
                .proxy_protocol
                .as_ref()
                .map(TrustedProxies::compile)
                .transpose()
                .map_err(unusable)?;
            let tls = listener
                .tls
                .clone()
                .map(|config| TlsListener::new(&listener.id, config))
                .transpose()
                .map_err(|faults| {
                    let problems: Vec<_> = faults.iter().map(ToString::to_string).collect();
                    unusable(problems.join("; "))
                })?
                .map(|(tls, _)| Arc::new(tls));
            let socket = tcp::listen(listener.bind, listener.backlog).map_err(failed)?;
            infos.push(ListenerInfo {
                id: listener.id.as_str().into(),
                zone: listener.zone,
                address: socket.local_addr().map_err(failed)?,
                max_connections: listener.max_connections.unwrap_or(usize::MAX),
                connections: AtomicUsize::new(0),
                access,
                proxies,
                websocket: listener.websocket.clone().map(Arc::new),
                tls,
            });
            sockets.push(socket);
        }
        let shared = Arc::new(Shared::new(config, pipeline, infos, loops)?);
        let mut by_loop: Vec<Vec<_>> = (0..loops).map(|_| Vec::new()).collect();
        for (index, socket) in (0u16..).zip(sockets) {
            if let Some(bucket) = by_loop.get_mut(usize::from(index) % loops) {
                bucket.push((index, socket));
            }
        }
        let mut event_loops = Vec::new();
        for (index, listeners) in (0u16..).zip(by_loop) {
            event_loops.push(EventLoop::new(Arc::clone(&shared), index, listeners)?);
        }
        let broker = Self {
            shared,
            threads: Mutex::new(Vec::new()),
        };
        for (index, event_loop) in event_loops.into_iter().enumerate() {
            let spawned = thread::Builder::new()
                .name(format!("vallum-loop-{index}"))
                .spawn(move || event_loop.serve());
            match spawned {
                Ok(thread) => {
                    broker
                        .threads
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(thread);
                }
                Err(error) => {
                    broker.stop();
                    return Err(error.into());
                }
            }
        }
        Ok(broker)
    }

    /// Every listener: `type:name` and the address it really listens on.
    pub fn listeners(&self) -> Vec<(Arc<str>, SocketAddr)> {
        self.shared
            .listeners
            .iter()
            .map(|l| (Arc::clone(&l.id), l.address))
            .collect()
    }

    /// Put another pipeline in force: for new connections, and for every later publish and subscribe.
    pub fn replace_pipeline(&self, pipeline: Arc<Pipeline>) {
        self.shared.replace_pipeline(pipeline);
    }

    /// The TLS side of every listener that has one.
    pub fn tls_listeners(&self) -> Vec<(Arc<str>, Arc<TlsListener>)> {
        self.shared
            .listeners
            .iter()
            .filter_map(|info| Some((Arc::clone(&info.id), Arc::clone(info.tls.as_ref()?))))
            .collect()
    }

    /// The descriptor that is readable while events wait.
    pub fn event_fd(&self) -> i32 {
        self.shared.events.fd()
    }

    /// Take all events that wait.
    pub fn drain_events(&self) -> Vec<Event> {
        self.shared.events.drain()
    }

    /// Give an order to the loop that owns `session`.
    pub fn command(&self, session: SessionRef, command: Command) {
        self.shared
            .post(session.loop_index, Inbound::Command(command));
    }

    /// Answer an [`Event::Authenticate`]. One that comes too late does nothing.
    pub fn answer(&self, connection: (u16, u32, u32), reply: impl Into<Reply>) {
        let (loop_index, slot, generation) = connection;
        let command = Command::Verdict {
            slot,
            generation,
            reply: Box::new(reply.into()),
        };
        self.shared.post(loop_index, Inbound::Command(command));
    }

    /// The session of a client identifier.
    pub fn find_session(&self, client_id: &str) -> Option<SessionRef> {
        self.shared.registry.find(client_id)
    }

    /// Counters and gauges by name.
    pub fn statistics(&self) -> Vec<(&'static str, u64)> {
        use crate::router::Router as _;

        let mut totals: Vec<(&'static str, u64)> = Vec::new();
        for metrics in &self.shared.metrics {
            let snapshot = metrics.snapshot();
            if totals.is_empty() {
                totals = snapshot;
            } else {
                for ((_, total), (_, value)) in totals.iter_mut().zip(snapshot) {
                    *total += value;
                }
            }
        }
        totals.push(("sessions.count", self.shared.registry.len() as u64));
        let (subscriptions, shared) = self.shared.router.subscriptions();
        totals.push(("subscriptions.count", subscriptions as u64));
        totals.push(("subscriptions.shared.count", shared as u64));
        totals.push(("delayed.count", self.shared.delayed.count() as u64));
        totals.push(("retained.count", self.shared.retained.len() as u64));
        totals.push(("retained.bytes", self.shared.retained.bytes() as u64));
        totals
    }

    /// Tell every client, close everything, wait for the loops. Safe to call twice.
    pub fn stop(&self) {
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for inbox in &self.shared.inboxes {
            inbox.post([Inbound::Command(Command::Stop)]);
        }
        for thread in threads {
            // A loop catches panics itself; one in its own bookkeeping has been reported by then.
            let _ = thread.join();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}
