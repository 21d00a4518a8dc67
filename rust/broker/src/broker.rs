//! The broker as the outside sees it: start, reconfigure, command, stop.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use vallum_policy::pipeline::Pipeline;

use crate::{
    command::{Command, Reply, SystemMessage},
    config::{Bind, BrokerConfig},
    event::Event,
    event_loop::EventLoop,
    listener::{Endpoint, control::Listeners},
    session::SessionRef,
    shared::{Inbound, Shared},
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
        bind: Bind,
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
            Self::Listen { id, bind, error } => {
                write!(f, "listener {id} cannot listen on {bind}: {error}")
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

/// A running broker. Every method may be called from any thread; none waits for a loop but
/// [`Broker::stop`].
pub struct Broker {
    shared: Arc<Shared>,
    listeners: Mutex<Listeners>,
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
        let mut listeners = Listeners::default();
        let zones = config.zones.clone();
        let wanted = config.listeners.clone();
        let shared = Arc::new(Shared::new(config, pipeline, loops)?);
        let plan = listeners.plan(&shared.table(), &wanted, &zones)?;
        let mut event_loops = Vec::new();
        for index in (0..=u16::MAX).take(loops) {
            event_loops.push(EventLoop::new(Arc::clone(&shared), index)?);
        }
        listeners.carry_out(plan, &shared);
        let broker = Self {
            shared,
            listeners: Mutex::new(listeners),
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

    /// Every listener: `type:name` and where it really listens.
    pub fn listeners(&self) -> Vec<(Arc<str>, Endpoint)> {
        self.control().list()
    }

    /// Put another pipeline in force, and open, change and close listeners so that exactly those of
    /// `config` listen; its zones that are new are added. Either all of that happens or nothing does.
    ///
    /// Clients of a listener that goes, or that moves to another address, are disconnected with 0x98.
    /// Those of one that has other options stay connected, with the options they came with.
    pub fn reload(
        &self,
        config: &BrokerConfig,
        pipeline: Arc<Pipeline>,
    ) -> Result<(), BrokerError> {
        let mut control = self.control();
        let table = self.shared.table();
        let plan = control.plan(&table, &config.listeners, &config.zones)?;
        self.shared.replace_pipeline(pipeline);
        control.carry_out(plan, &self.shared);
        Ok(())
    }

    /// Disconnect the clients of a listener with 0x98 and let it begin anew, at the same address. Gives
    /// whether there is such a listener.
    pub fn restart_listener(&self, id: &str) -> Result<bool, BrokerError> {
        let mut control = self.control();
        let table = self.shared.table();
        if !control.contains(id) {
            return Ok(false);
        }
        let plan = control.plan_restart(&table, id)?;
        control.carry_out(plan, &self.shared);
        Ok(true)
    }

    fn control(&self) -> MutexGuard<'_, Listeners> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The TLS side of every listener that has one.
    pub fn tls_listeners(&self) -> Vec<(Arc<str>, Arc<TlsListener>)> {
        self.control().tls()
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

    /// Number of subscriptions to topics under `$SYS`.
    pub fn system_subscriptions(&self) -> usize {
        self.shared.router.system_subscriptions()
    }

    /// Publish what there is to say about the broker.
    pub fn publish_system(&self, messages: Vec<SystemMessage>) {
        self.shared
            .post(0, Inbound::Command(Command::PublishSystem(messages)));
    }

    /// Take out retained messages that have expired; gives how many. It may take a while, and blocks no
    /// loop for long.
    pub fn sweep_retained(&self) -> usize {
        self.shared.retained.sweep(&self.shared.clock)
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
        self.control().close();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}
