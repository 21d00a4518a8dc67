//! Connections: open, CONNECT, wait for the CONNACK, DISCONNECT and close; as many at once as asked.

use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::{
    Say,
    arguments::{ConnectOptions, Identity},
    link::{Link, READ_BYTES},
    packet::{self, Packet},
    report::{Failure, Report},
};

/// Without any progress for this long, a run is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Warm up, say so, connect, report.
pub(crate) fn run(
    options: &ConnectOptions,
    gate: impl Fn(&Say<'_>) -> Result<(), Failure>,
) -> Result<Report, Failure> {
    let mut connector = Connector {
        options,
        poll: Poll::new()?,
        slots: Vec::new(),
        free: Vec::new(),
        open: 0,
        started: 0,
        scratch: vec![0; READ_BYTES],
    };
    if options.warmup_count > 0 {
        let warmup = connector.connect(options.warmup_count, false)?;
        if let Some(error) = warmup.error {
            return Err(Failure::new(format!("warm-up: {error}")));
        }
    }
    gate(&Say::Ready)?;
    let report = connector.connect(options.count, options.keep)?;
    gate(&Say::Done(&report))?;
    Ok(report)
}

struct Attempt {
    link: Link,
    since: Instant,
    /// Answered and kept.
    settled: bool,
}

struct Connector<'a> {
    options: &'a ConnectOptions,
    poll: Poll,
    slots: Vec<Option<Attempt>>,
    free: Vec<usize>,
    /// Attempts under way.
    open: usize,
    /// Attempts ever begun.
    started: usize,
    scratch: Vec<u8>,
}

impl Connector<'_> {
    fn connect(&mut self, count: usize, keep: bool) -> Result<Report, Failure> {
        let mut report = Report::default();
        let mut events = Events::with_capacity(1024);
        let begin = Instant::now();
        let (mut last, mut done) = (begin, 0);
        let end = self.started + count;
        while done < count {
            while self.open < self.options.concurrency && self.started < end {
                self.begin()?;
            }
            self.poll.poll(&mut events, Some(PATIENCE))?;
            for event in &events {
                let slot = event.token().0;
                let Some(Some(attempt)) = self.slots.get_mut(slot) else {
                    continue; // of an attempt that ended earlier in this turn
                };
                let kept = attempt.settled;
                match step(attempt, event, &mut self.scratch) {
                    Ok(None) => continue,
                    Ok(Some(code)) if code == self.options.expect => {
                        report.operations += 1;
                        report.times.add(nanos(attempt.since.elapsed()));
                    }
                    Ok(Some(code)) => report.wrong(format!("CONNACK code {code}")),
                    Err(error) => report.wrong(error),
                }
                if kept {
                    return Err(Failure::new("a kept connection was not left alone"));
                }
                last = Instant::now();
                done += 1;
                self.end(slot, keep);
            }
            if events.is_empty() && last.elapsed() >= PATIENCE {
                report.wrong(format!("no answer to {} connections", count - done));
                break;
            }
        }
        report.elapsed = last - begin;
        Ok(report)
    }

    fn begin(&mut self) -> Result<(), Failure> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let mut link = Link::open(self.poll.registry(), slot, self.options.address)?;
        let who = match self.options.identities.as_slice() {
            [] => Identity {
                client_id: format!("load-{}", self.started),
                username: String::new(),
                password: String::new(),
            },
            all => all[self.started % all.len()].clone(),
        };
        packet::connect(&mut link.output, &who);
        self.slots[slot] = Some(Attempt {
            link,
            since: Instant::now(),
            settled: false,
        });
        self.started += 1;
        self.open += 1;
        Ok(())
    }

    fn end(&mut self, slot: usize, keep: bool) {
        self.open -= 1;
        if keep {
            if let Some(attempt) = &mut self.slots[slot] {
                attempt.settled = true;
                attempt.link.input.clear();
            }
        } else {
            if let Some(mut attempt) = self.slots[slot].take() {
                attempt.link.output.extend_from_slice(&packet::DISCONNECT);
                let _ = attempt.link.flush(); // a refused one may be closed already
            }
            self.free.push(slot);
        }
    }
}

/// Go on with an attempt; the CONNACK code once there is one.
fn step(
    attempt: &mut Attempt,
    event: &mio::event::Event,
    scratch: &mut [u8],
) -> Result<Option<u8>, String> {
    let link = &mut attempt.link;
    if event.is_writable() {
        link.on_writable().map_err(|error| error.to_string())?;
    }
    if !event.is_readable() {
        return Ok(None);
    }
    let ended = link.on_readable(scratch);
    match packet::split(&link.input)? {
        Some((Packet::ConnAck { code }, _)) => Ok(Some(code)),
        Some((other, _)) => Err(format!("{other:?} instead of a CONNACK")),
        None => ended.map(|()| None).map_err(|error| error.to_string()),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
