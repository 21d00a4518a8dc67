//! Opening, changing and closing listeners while the broker runs.
//!
//! A change is planned first: sockets are opened and options compiled, and nothing else happens. Only a
//! plan that worked out as a whole is carried out, and that cannot fail.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use super::{
    acceptor::{Acceptor, Endpoint, ListeningSocket},
    access::{AccessRules, TrustedProxies},
    forwarded::ForwardedBy,
    table::{ListenerInfo, ListenerTable},
};
use crate::{
    broker::BrokerError,
    config::{Bind, ListenerConfig, ZoneConfig},
    shared::{Inbound, Shared},
    transport::tls::listener::TlsListener,
};

/// Listeners that may listen at a time.
const MAX_LISTENERS: usize = 1024;

/// The listeners that listen.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    running: Vec<Running>,
    next_loop: u16,
}

#[derive(Debug)]
struct Running {
    /// As it was asked for.
    config: ListenerConfig,
    info: Arc<ListenerInfo>,
    index: u16,
    /// The loop that accepts.
    loop_index: u16,
    socket: ListeningSocket,
}

/// What a change comes to.
pub(crate) struct Plan {
    table: ListenerTable,
    /// Every listener that is to listen afterwards.
    listeners: Vec<Planned>,
}

enum Planned {
    /// Goes on as it is: its place in the list that was.
    Kept(usize),
    /// Begins. `of` is the place of the one it takes the socket over from.
    New {
        running: Box<Running>,
        acceptor: Acceptor,
        of: Option<usize>,
    },
}

impl Listeners {
    /// Every listener: `type:name` and where it really listens.
    pub(crate) fn list(&self) -> Vec<(Arc<str>, Endpoint)> {
        self.running
            .iter()
            .map(|each| (Arc::clone(&each.info.id), each.info.endpoint.clone()))
            .collect()
    }

    /// The TLS side of every listener that has one.
    pub(crate) fn tls(&self) -> Vec<(Arc<str>, Arc<TlsListener>)> {
        self.running
            .iter()
            .filter_map(|each| {
                Some((
                    Arc::clone(&each.info.id),
                    Arc::clone(each.info.tls.as_ref()?),
                ))
            })
            .collect()
    }

    /// Close every socket.
    pub(crate) fn close(&mut self) {
        self.running.clear();
    }

    /// Whether `id` listens.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.running.iter().any(|each| each.config.id == id)
    }

    /// Find out what it takes that exactly `wanted`, which name their zones among `zones`, listen. Nothing
    /// changes yet.
    pub(crate) fn plan(
        &self,
        table: &ListenerTable,
        wanted: &[ListenerConfig],
        zones: &[ZoneConfig],
    ) -> Result<Plan, BrokerError> {
        let mut table = table.clone();
        let indices = table.add_zones(zones).unwrap_or_default();
        let in_table = |config: &ListenerConfig| match indices.get(usize::from(config.zone)) {
            Some(&zone) => Ok(ListenerConfig {
                zone,
                ..config.clone()
            }),
            None => Err(BrokerError::Option {
                id: config.id.clone(),
                problem: "no such zone, or too many zones".to_owned(),
            }),
        };
        let wanted: Vec<_> = wanted.iter().map(in_table).collect::<Result<_, _>>()?;
        self.plan_for(table, &wanted, None)
    }

    /// As [`Self::plan`]: every listener stays, and `id` begins anew.
    pub(crate) fn plan_restart(
        &self,
        table: &ListenerTable,
        id: &str,
    ) -> Result<Plan, BrokerError> {
        let wanted: Vec<_> = self
            .running
            .iter()
            .map(|each| each.config.clone())
            .collect();
        self.plan_for(table.clone(), &wanted, Some(id))
    }

    fn plan_for(
        &self,
        mut table: ListenerTable,
        wanted: &[ListenerConfig],
        restart: Option<&str>,
    ) -> Result<Plan, BrokerError> {
        let mut listeners = Vec::with_capacity(wanted.len());
        let mut claimed = Vec::new();
        for config in wanted {
            let unusable = |problem: &str| BrokerError::Option {
                id: config.id.clone(),
                problem: problem.to_owned(),
            };
            if listeners.len() == MAX_LISTENERS {
                return Err(unusable("there are 1024 listeners already"));
            }
            let of = self
                .socket_for(config, wanted)
                .filter(|at| !claimed.contains(at));
            claimed.extend(of);
            let old = of.and_then(|at| self.running.get(at));
            let anew = restart == Some(&*config.id);
            if let (Some(at), Some(old)) = (of, old)
                && old.config == *config
                && !anew
            {
                listeners.push(Planned::Kept(at));
                continue;
            }
            let (mut running, acceptor) = Running::begin(config.clone(), old, anew)?;
            running.index = table
                .add(Arc::clone(&running.info))
                .ok_or_else(|| unusable("too many listeners still have connections"))?;
            listeners.push(Planned::New {
                running: Box::new(running),
                acceptor,
                of,
            });
        }
        Ok(Plan { table, listeners })
    }

    /// The listener whose socket serves `config`: itself as it is now, or one that goes, at the same
    /// address.
    fn socket_for(&self, config: &ListenerConfig, wanted: &[ListenerConfig]) -> Option<usize> {
        let is = |each: &Running, other: &ListenerConfig| {
            each.config.id == other.id && each.config.bind == other.bind
        };
        let same = self.running.iter().position(|each| is(each, config));
        same.or_else(|| {
            let fixed = !matches!(config.bind, Bind::Tcp(address) if address.port() == 0);
            let goes = |each: &Running| !wanted.iter().any(|other| is(each, other));
            self.running
                .iter()
                .position(|each| fixed && each.config.bind == config.bind && goes(each))
        })
    }

    /// Carry a plan out. Connections of listeners that go, or begin anew, are closed; those of one that
    /// only has other options stay as they are.
    pub(crate) fn carry_out(&mut self, plan: Plan, shared: &Shared) {
        let before = mem::take(&mut self.running);
        let mut before: Vec<_> = before.into_iter().map(Some).collect();
        let mut begun = Vec::new();
        let mut taken_over = Vec::new();
        for planned in plan.listeners {
            let running = match planned {
                Planned::Kept(at) => before.get_mut(at).and_then(Option::take),
                Planned::New {
                    mut running,
                    acceptor,
                    of,
                } => {
                    let old = of.and_then(|at| before.get_mut(at)).and_then(Option::take);
                    running.loop_index = match &old {
                        Some(old) => old.loop_index,
                        None => self.next_loop(shared),
                    };
                    if old.is_some() {
                        // Options of the socket itself; they cannot be wrong, and the system may not mind.
                        let _ = running.socket.configure(&running.config);
                    }
                    begun.push((running.loop_index, running.index, acceptor));
                    taken_over.extend(old.map(|old| (old, Arc::clone(&running.info))));
                    Some(*running)
                }
            };
            self.running.extend(running);
        }
        let gone: Vec<Running> = before.into_iter().flatten().collect();
        // Flags first: a connection on its way from loop to loop is seen where it arrives.
        let mut closes = false;
        for old in &gone {
            closes |= old.info.stop();
        }
        for (old, new) in &taken_over {
            let continues = new
                .predecessors
                .iter()
                .any(|each| Arc::ptr_eq(each, &old.info));
            closes |= !continues && old.info.stop();
        }
        shared.replace_table(plan.table);
        for old in &gone {
            old.socket.shut();
        }
        for old in gone.iter().chain(taken_over.iter().map(|(old, _)| old)) {
            shared.post(old.loop_index, Inbound::Unlisten(old.index));
        }
        for (loop_index, index, acceptor) in begun {
            shared.post(loop_index, Inbound::Listen(index, acceptor));
        }
        if closes {
            shared.close_stopped();
        }
    }

    fn next_loop(&mut self, shared: &Shared) -> u16 {
        let loops = u16::try_from(shared.inboxes.len()).unwrap_or(u16::MAX);
        let next = self.next_loop % loops.max(1);
        self.next_loop = next.wrapping_add(1);
        next
    }
}

impl Running {
    /// Open `config`, or take the socket of `old` over. Its place is still to be given.
    fn begin(
        config: ListenerConfig,
        old: Option<&Self>,
        anew: bool,
    ) -> Result<(Self, Acceptor), BrokerError> {
        let unusable = |problem| BrokerError::Option {
            id: config.id.clone(),
            problem,
        };
        let access = AccessRules::compile(&config.access_rules).map_err(unusable)?;
        let proxies = config
            .proxy_protocol
            .as_ref()
            .map(TrustedProxies::compile)
            .transpose()
            .map_err(unusable)?;
        let headers = config
            .websocket
            .as_ref()
            .and_then(|web| web.forwarded.as_ref());
        let forwarded = headers
            .map(ForwardedBy::compile)
            .transpose()
            .map_err(unusable)?;
        let tls = match (
            &config.tls,
            old.filter(|old| old.config.tls == config.tls && !anew),
        ) {
            (None, _) => None,
            // The files are looked at in their own time; tickets and staple stay good.
            (Some(_), Some(old)) => old.info.tls.clone(),
            (Some(tls), None) => {
                let (made, _) = TlsListener::new(&config.id, tls.clone()).map_err(|faults| {
                    let problems: Vec<_> = faults.iter().map(ToString::to_string).collect();
                    unusable(problems.join("; "))
                })?;
                Some(Arc::new(made))
            }
        };
        let failed = |error| BrokerError::Listen {
            id: config.id.clone(),
            bind: config.bind.clone(),
            error,
        };
        let socket = match old {
            Some(old) => old.socket.try_clone(),
            None => ListeningSocket::open(&config),
        };
        let socket = socket.map_err(failed)?;
        let acceptor = socket.try_clone().map_err(failed)?.into_acceptor();
        let predecessors = old.filter(|old| old.config.id == config.id && !anew);
        let info = ListenerInfo {
            id: config.id.as_str().into(),
            zone: config.zone,
            endpoint: socket.endpoint().map_err(failed)?,
            max_connections: config.max_connections.unwrap_or(usize::MAX),
            connections: AtomicUsize::new(0),
            predecessors: predecessors.map_or_else(Box::default, |old| old.info.lineage()),
            stopped: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            send_timeout: config.send_timeout,
            rate: config
                .max_conn_rate
                .map(|rate| (rate, config.max_conn_burst)),
            access,
            proxies,
            websocket: config.websocket.clone().map(Arc::new),
            forwarded,
            tls,
        };
        let running = Self {
            config,
            info: Arc::new(info),
            index: 0,
            loop_index: 0,
            socket,
        };
        Ok((running, acceptor))
    }
}
