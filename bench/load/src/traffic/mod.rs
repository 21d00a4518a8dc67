//! Publishers and subscribers on one broker; every message is checked.
//!
//! A closed loop: a publisher sends on when its messages have arrived everywhere and are acknowledged,
//! so nothing piles up and each side's work is exactly the messages counted. A run ends when the last
//! message has come and the last exchange is over.
//!
//! - [`publisher`]: window and acknowledgements. - [`subscriber`]: order, gaps, exactly once.
//! - [`payload`]: what a message carries.

pub(crate) mod payload;
mod publisher;
mod subscriber;

use std::{
    mem,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use self::{
    payload::{Payloads, Stamp},
    publisher::Publisher,
    subscriber::Subscriber,
};
use crate::{
    Say,
    arguments::{Identity, TrafficOptions},
    link::{Link, READ_BYTES},
    packet::{self, Ack, Packet},
    report::{Failure, Report},
};

/// Connections being opened at once.
const OPENING: usize = 100;
/// Unsent bytes above which a publisher waits.
const UNSENT_BYTES: usize = 256 * 1024;
/// Without any message for this long, those under way are lost.
const PATIENCE: Duration = Duration::from_secs(3);
/// Times to wait shorter than this are waited for awake: `epoll_wait` counts in milliseconds.
const AWAKE: Duration = Duration::from_millis(2);

/// Warm up, say so, run, report.
pub(crate) fn run(
    options: &TrafficOptions,
    gate: impl Fn(&Say<'_>) -> Result<(), Failure>,
) -> Result<Report, Failure> {
    let mut traffic = Traffic::open(options)?;
    if !options.warmup.is_zero() {
        let warmup = traffic.run(options.warmup)?;
        if warmup.lost > 0 {
            return Err(Failure::new(format!("warm-up: {} lost", warmup.lost)));
        }
    }
    gate(&Say::Ready)?;
    let report = traffic.run(options.run)?;
    gate(&Say::Done(&report))?;
    Ok(report)
}

/// Links are numbered: first the subscribers, then the publishers.
struct Traffic<'a> {
    options: &'a TrafficOptions,
    poll: Poll,
    events: Events,
    links: Vec<Link>,
    /// Links with output to write, each once.
    unflushed: Vec<usize>,
    is_unflushed: Vec<bool>,
    online: usize,
    subscribers: Vec<Subscriber>,
    publishers: Vec<Publisher>,
    /// Publishers that may have room to send, each once.
    ready: Vec<usize>,
    /// Those that hear one message.
    audience: usize,
    payloads: Payloads,
    /// What the times in the payloads count from.
    origin: Instant,
    /// Whether publishers may begin new messages.
    sending: bool,
    /// Of the run: messages by the schedule, if there is one.
    scheduled: u64,
    began: Instant,
    /// Messages and deliveries that are not over.
    undelivered: u64,
    open_exchanges: u64,
    last_progress: Instant,
    report: Report,
    scratch: Vec<u8>,
}

impl<'a> Traffic<'a> {
    /// Connect and subscribe everybody.
    fn open(options: &'a TrafficOptions) -> Result<Self, Failure> {
        let now = Instant::now();
        let topic = |n: usize| format!("bench/{}/{n}", std::process::id()).into_bytes();
        let wide = format!("bench/{}/+", std::process::id()).into_bytes();
        let narrow = options.pairs || options.publishers == 1;
        let subscribers = (0..options.subscribers).map(|n| {
            let only = options.pairs.then_some(n);
            let filter = if narrow {
                topic(only.unwrap_or(0))
            } else {
                wide.clone()
            };
            Subscriber::new(filter, only, options.publishers, options.qos)
        });
        let publishers = (0..options.publishers).map(|n| Publisher::new(topic(n), options.window));
        let mut traffic = Self {
            options,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            links: Vec::new(),
            unflushed: Vec::new(),
            is_unflushed: Vec::new(),
            online: 0,
            subscribers: subscribers.collect(),
            publishers: publishers.collect(),
            ready: Vec::new(),
            audience: if options.pairs {
                1
            } else {
                options.subscribers
            },
            payloads: Payloads::new(options.size),
            origin: now,
            sending: false,
            scheduled: 0,
            began: now,
            undelivered: 0,
            open_exchanges: 0,
            last_progress: now,
            report: Report::default(),
            scratch: vec![0; READ_BYTES],
        };
        let all = options.subscribers + options.publishers;
        while traffic.online < all {
            while traffic.links.len() < all && traffic.links.len() - traffic.online < OPENING {
                traffic.open_link()?;
            }
            traffic.turn(Some(PATIENCE))?;
            if traffic.events.is_empty() && traffic.last_progress.elapsed() > PATIENCE {
                let missing = all - traffic.online;
                return Err(Failure::new(format!("{missing} clients do not get online")));
            }
        }
        Ok(traffic)
    }

    fn open_link(&mut self) -> Result<(), Failure> {
        let number = self.links.len();
        let mut link = Link::open(self.poll.registry(), number, self.options.address)?;
        let role = if number < self.subscribers.len() {
            "sub"
        } else {
            "pub"
        };
        let who = Identity {
            client_id: format!("load-{role}-{number}"),
            username: String::new(),
            password: String::new(),
        };
        packet::connect(&mut link.output, &who);
        self.links.push(link);
        self.is_unflushed.push(false);
        Ok(())
    }

    /// Send for `duration`, then wait until everything has arrived.
    fn run(&mut self, duration: Duration) -> Result<Report, Failure> {
        self.began = Instant::now();
        self.last_progress = self.began;
        self.scheduled = 0;
        self.sending = true;
        for publisher in 0..self.publishers.len() {
            self.list(publisher);
        }
        self.publish()?;
        while self.sending || self.undelivered > 0 || self.open_exchanges > 0 {
            self.turn(Some(self.patience(duration)))?;
            if self.began.elapsed() >= duration {
                self.sending = false;
            }
            self.publish()?;
            if self.undelivered + self.open_exchanges > 0 && self.last_progress.elapsed() > PATIENCE
            {
                self.give_up();
            }
        }
        self.report.elapsed = self.last_progress - self.began;
        Ok(mem::take(&mut self.report))
    }

    /// What is still under way will not come.
    fn give_up(&mut self) {
        self.report.lost += self.undelivered;
        if self.open_exchanges > 0 {
            let text = format!("{} exchanges without an end", self.open_exchanges);
            self.report.wrong(text);
        }
        self.sending = false;
        self.undelivered = 0;
        self.open_exchanges = 0;
    }

    fn patience(&self, duration: Duration) -> Duration {
        if !self.sending {
            return PATIENCE;
        }
        let mut until = duration;
        if self.options.rate > 0.0 {
            until = until.min(self.due(self.scheduled));
        }
        until
            .saturating_sub(self.began.elapsed())
            .saturating_sub(AWAKE)
    }

    /// When message `number` of the run is due, counted from its beginning.
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52 messages")]
    fn due(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.options.rate)
    }

    /// Wait for the sockets and handle what they have.
    fn turn(&mut self, patience: Option<Duration>) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, patience) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                return Err(error.into());
            }
            _ => {}
        }
        let events = mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let number = event.token().0;
            if event.is_writable() {
                self.links[number].on_writable()?;
                if let Some(publisher) = number.checked_sub(self.subscribers.len()) {
                    self.list(publisher);
                }
            }
            if event.is_readable() {
                self.links[number].on_readable(&mut self.scratch)?;
                self.take_in(number)?;
            }
        }
        self.events = events;
        self.flush()
    }

    /// Handle the packets that are complete.
    fn take_in(&mut self, number: usize) -> Result<(), Failure> {
        let mut input = mem::take(&mut self.links[number].input);
        let now = nanos(self.origin.elapsed());
        let mut rest = input.as_slice();
        while let Some((packet, size)) = packet::split(rest).map_err(Failure::new)? {
            self.on_packet(number, packet, now)
                .map_err(|text| Failure::new(format!("client {number}: {text}")))?;
            rest = &rest[size..];
        }
        let used = input.len() - rest.len();
        input.drain(..used);
        self.links[number].input = input;
        self.last_progress = Instant::now();
        Ok(())
    }

    fn on_packet(&mut self, number: usize, packet: Packet<'_>, now: u64) -> Result<(), String> {
        let subscribers = self.subscribers.len();
        match (packet, number.checked_sub(subscribers)) {
            (Packet::ConnAck { code: 0 }, Some(_)) => self.online += 1,
            (Packet::ConnAck { code: 0 }, None) => {
                let filter = &self.subscribers[number].filter;
                packet::subscribe(&mut self.links[number].output, filter, self.options.qos);
                self.list_link(number);
            }
            (Packet::SubAck { code }, None) if code == self.options.qos => self.online += 1,
            (Packet::Publish { .. }, None) => self.on_publish(number, packet, now)?,
            (Packet::Ack(Ack::PubRel, id), None) => {
                if !self.subscribers[number].release(id) {
                    return Err(format!("a PUBREL {id} out of place"));
                }
                self.open_exchanges = self.open_exchanges.saturating_sub(1);
                self.answer(number, Ack::PubComp, id);
            }
            (Packet::Ack(ack, id), Some(publisher)) => {
                match self.publishers[publisher].acknowledged(ack, id) {
                    None => return Err(format!("a {ack:?} {id} out of place")),
                    Some(false) => self.answer(number, Ack::PubRel, id),
                    Some(true) => {
                        self.open_exchanges = self.open_exchanges.saturating_sub(1);
                        self.list(publisher);
                    }
                }
            }
            (other, _) => return Err(format!("an unexpected {other:?}")),
        }
        Ok(())
    }

    fn on_publish(&mut self, number: usize, packet: Packet<'_>, now: u64) -> Result<(), String> {
        let Packet::Publish {
            topic,
            qos,
            dup,
            id,
            payload,
        } = packet
        else {
            return Ok(());
        };
        let Some(stamp) = self.payloads.read(payload) else {
            return Err("a payload that is not as it was sent".to_owned());
        };
        let skipped = self.subscribers[number].take(&stamp)?;
        let publisher = &mut self.publishers[stamp.publisher];
        if topic != publisher.topic
            || qos != self.options.qos
            || dup
            || stamp.sequence >= publisher.next
        {
            return Err(format!(
                "a PUBLISH with a wrong header: QoS {qos}, DUP {dup}"
            ));
        }
        let mut settled = false;
        for sequence in skipped {
            self.report.lost += 1;
            self.undelivered = self.undelivered.saturating_sub(1);
            settled |= publisher.settle(sequence);
        }
        settled |= publisher.settle(stamp.sequence);
        self.undelivered = self.undelivered.saturating_sub(1);
        self.report.operations += 1;
        self.report.times.add(now.saturating_sub(stamp.sent));
        match qos {
            1 => self.answer(number, Ack::PubAck, id),
            2 => {
                if !self.subscribers[number].hold(id) {
                    return Err(format!("a second PUBLISH {id} before its PUBREL"));
                }
                self.open_exchanges += 1;
                self.answer(number, Ack::PubRec, id);
            }
            _ => {}
        }
        if settled {
            self.list(stamp.publisher);
        }
        Ok(())
    }

    fn answer(&mut self, number: usize, ack: Ack, id: u16) {
        packet::acknowledge(&mut self.links[number].output, ack, id);
        self.list_link(number);
    }

    fn list(&mut self, publisher: usize) {
        if !mem::replace(&mut self.publishers[publisher].listed, true) {
            self.ready.push(publisher);
        }
    }

    fn list_link(&mut self, number: usize) {
        if !mem::replace(&mut self.is_unflushed[number], true) {
            self.unflushed.push(number);
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        for number in mem::take(&mut self.unflushed) {
            self.is_unflushed[number] = false;
            self.links[number].flush()?;
        }
        Ok(())
    }

    /// Send what may be sent: by the schedule, or up to the windows, `batch` messages a write.
    fn publish(&mut self) -> Result<(), Failure> {
        if self.options.rate > 0.0 {
            self.publish_scheduled();
            return self.flush();
        }
        while self.sending && !self.ready.is_empty() {
            for publisher in mem::take(&mut self.ready) {
                self.publishers[publisher].listed = false;
                let sent = nanos(self.origin.elapsed());
                let mut room = self.options.batch;
                while room > 0 && self.may_send(publisher) {
                    self.send(publisher, sent);
                    room -= 1;
                }
                if room == 0 && self.may_send(publisher) {
                    self.list(publisher);
                }
            }
            self.flush()?;
        }
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation, reason = "a remainder of a usize")]
    fn publish_scheduled(&mut self) {
        let begin = self.began - self.origin;
        while self.sending {
            let due = self.due(self.scheduled);
            let publisher = (self.scheduled % self.publishers.len() as u64) as usize;
            if due > self.began.elapsed() || !self.may_send(publisher) {
                return;
            }
            self.send(publisher, nanos(begin + due));
            self.scheduled += 1;
        }
    }

    fn may_send(&self, publisher: usize) -> bool {
        let link = &self.links[self.subscribers.len() + publisher];
        self.publishers[publisher].may_send() && link.output.len() < UNSENT_BYTES
    }

    fn send(&mut self, publisher: usize, sent: u64) {
        let number = self.subscribers.len() + publisher;
        let qos = self.options.qos;
        let state = &mut self.publishers[publisher];
        let stamp = Stamp {
            publisher,
            sequence: state.next,
            sent,
        };
        let id = state.send(qos, self.audience);
        let output = &mut self.links[number].output;
        packet::publish(output, &state.topic, qos, id, self.options.size);
        self.payloads.append(output, &stamp);
        self.report.published += 1;
        self.undelivered += self.audience as u64;
        self.open_exchanges += u64::from(qos > 0);
        self.list_link(number);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
