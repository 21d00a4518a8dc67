//! The wire as OpenSSL sees it: bytes in memory.
//!
//! What one read of the socket brought is put in as a whole, however many records it holds, and what
//! is to be sent is collected and goes out with one write. The buffers belong to the loop's thread
//! and are lent to a connection while it has bytes in them, so an idle connection holds none.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    mem,
};

use crate::connection::BufferPool;

thread_local! {
    static POOL: RefCell<BufferPool> = RefCell::default();
}

/// Both directions of one connection.
#[derive(Debug, Default)]
pub(super) struct Wire {
    input: Vec<u8>,
    /// Bytes of `input` that were taken.
    taken: usize,
    output: Vec<u8>,
}

impl Wire {
    /// What the socket brought. All of it is taken before [`Wire::rest`].
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        borrow_into(&mut self.input);
        self.input.extend_from_slice(bytes);
    }

    /// Give the buffer of what came in back.
    pub(super) fn rest(&mut self) {
        self.taken = 0;
        give_back(&mut self.input);
    }

    /// Bytes that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.output.len()
    }

    /// Send what waits; an error, [`io::ErrorKind::WouldBlock`] too, if not all of it went out.
    pub(super) fn send(&mut self, mut socket: impl Write) -> io::Result<()> {
        let mut sent = 0;
        let result = loop {
            let rest = self.output.get(sent..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match socket.write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    let full = n < rest.len(); // asking again would be a call for nothing
                    sent += n;
                    if full {
                        break Err(io::ErrorKind::WouldBlock.into());
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
        };
        self.output.drain(..sent);
        if self.output.is_empty() {
            give_back(&mut self.output);
        }
        result
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.input.get(self.taken..).unwrap_or_default();
        if rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = rest.read(buffer)?;
        self.taken += n;
        Ok(n)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        borrow_into(&mut self.output);
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn borrow_into(buffer: &mut Vec<u8>) {
    if buffer.capacity() == 0 {
        *buffer = POOL.with_borrow_mut(BufferPool::take);
    }
}

fn give_back(buffer: &mut Vec<u8>) {
    if buffer.capacity() > 0 {
        let buffer = mem::take(buffer);
        POOL.with_borrow_mut(|pool| pool.give(buffer));
    }
}
