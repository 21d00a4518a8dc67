//! An MQTT 3.1.1 load generator that checks what it receives.
//!
//! - [`connect`]: connections opened and closed, or opened and kept.
//! - [`traffic`]: publishers and subscribers; every message is checked.
//! - [`packet`]: the packets, as few of them as a client needs.   - [`link`]: one connection.
//! - [`arguments`], [`report`], [`histogram`]: what goes in and comes out.
//!
//! One thread, one epoll loop. It warms up, prints `ready`, waits for a line on standard input, runs,
//! prints one JSON line and keeps its connections until standard input ends. So whoever runs it can
//! read the broker's clock at both ends of exactly the work that was counted.
//!
//! Exit status: 0 all was well, 1 something was lost, wrong or refused, 2 bad arguments.

mod arguments;
mod connect;
mod histogram;
mod link;
mod packet;
mod report;
mod traffic;

use std::{
    io::{self, Read as _, Write as _},
    process::ExitCode,
};

use crate::{
    arguments::{Arguments, Mode},
    report::{Failure, Report},
};

fn main() -> ExitCode {
    let mode = match Arguments::from_environment().and_then(Mode::read) {
        Ok(mode) => mode,
        Err(problem) => {
            eprintln!("load: {problem}\n\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    let outcome = match mode {
        Mode::Connect(options) => connect::run(&options, gate),
        Mode::Traffic(options) => traffic::run(&options, gate),
    };
    let report = outcome.unwrap_or_else(|failure: Failure| Report::failed(&failure));
    if report.ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What [`gate`] is asked to say.
enum Say<'a> {
    /// The warm-up is over; wait for the word to start.
    Ready,
    /// This came out; wait until standard input ends.
    Done(&'a Report),
}

/// Say something on standard output and wait for the other side.
fn gate(say: &Say<'_>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match say {
        Say::Ready => writeln!(out, "ready"),
        Say::Done(report) => writeln!(out, "{}", report.json()),
    }
    .and_then(|()| out.flush())
    .map_err(|error| Failure::new(format!("standard output: {error}")))?;
    let mut byte = [0];
    let mut input = io::stdin().lock();
    loop {
        match input.read(&mut byte) {
            Ok(0) => return Ok(()),
            Ok(_) if byte[0] == b'\n' && matches!(say, Say::Ready) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(Failure::new(format!("standard input: {error}"))),
        }
    }
}
