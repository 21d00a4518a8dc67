//! Bytes on their way to one client.

use std::io::{self, Write};

/// Spare buffers kept by a loop, so that a connection owns one only while it has something to say.
const MAX_SPARE: usize = 64;
/// A larger buffer is given back to the allocator instead of kept.
const MAX_SPARE_BYTES: usize = 256 * 1024;

/// The spare buffers of one loop.
#[derive(Debug, Default)]
pub struct BufferPool(Vec<Vec<u8>>);

impl BufferPool {
    /// A buffer, empty.
    pub fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    /// Give a buffer back.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= MAX_SPARE_BYTES && self.0.len() < MAX_SPARE {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// What one write attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Everything is out.
    All,
    /// The socket takes no more for now.
    Blocked,
    /// The connection is gone.
    Gone,
}

/// Bytes waiting for one connection, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are out; limits on packets and on what waits keep it far below 4 GiB.
    sent: u32,
    /// The last write was short: the next attempt waits until the socket says it is writable.
    pub blocked: bool,
}

impl Outbox {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.sent as usize
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer to append to.
    pub fn buffer(&mut self, pool: &mut BufferPool) -> &mut Vec<u8> {
        if self.buffer.capacity() == 0 {
            self.buffer = pool.take();
        }
        &mut self.buffer
    }

    /// Write as much as the socket takes; gives the bytes written.
    pub fn flush(&mut self, mut stream: impl Write, pool: &mut BufferPool) -> (Flushed, usize) {
        let mut written = 0;
        while let Some(rest) = self
            .buffer
            .get(self.sent as usize..)
            .filter(|rest| !rest.is_empty())
        {
            match stream.write(rest) {
                Ok(0) => return (Flushed::Gone, written),
                Ok(n) if n < rest.len() => {
                    // A short write means the socket buffer is full: asking again would be a call for nothing.
                    self.advance(n);
                    self.blocked = true;
                    self.compact();
                    return (Flushed::Blocked, written + n);
                }
                Ok(n) => {
                    self.advance(n);
                    written += n;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    self.compact();
                    return (Flushed::Blocked, written);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return (Flushed::Gone, written),
            }
        }
        self.sent = 0;
        self.blocked = false;
        if self.buffer.capacity() > 0 {
            pool.give(std::mem::take(&mut self.buffer));
        }
        (Flushed::All, written)
    }

    /// Forget what is sent once it is the larger part, so that memory follows what waits.
    fn compact(&mut self) {
        let sent = self.sent as usize;
        if sent > self.buffer.len() / 2 {
            self.buffer.drain(..sent);
            self.sent = 0;
        }
    }

    /// `n` more bytes are out.
    fn advance(&mut self, n: usize) {
        let sent = self.sent as usize + n;
        self.sent = u32::try_from(sent).unwrap_or_else(|_| {
            self.buffer.drain(..sent);
            0
        });
    }
}
