//! Bytes on their way to one client.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, Write},
    mem,
    sync::Arc,
};

use crate::message::Message;

/// Spare buffers kept by a loop, so that a connection owns one only while it has something to say.
const MAX_SPARE: usize = 64;
/// A larger buffer is given back to the allocator instead of kept.
const MAX_SPARE_BYTES: usize = 256 * 1024;
/// Parts written with one call at most.
const MAX_SLICES: usize = 64;

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
    waiting: Waiting,
    /// Bytes that are out of the first piece, or of the buffer where there is none; limits on packets
    /// and on what waits keep it far below 4 GiB.
    sent: u32,
    /// The last write was short: the next attempt waits until the socket says it is writable.
    pub blocked: bool,
}

/// A buffer, and before it whatever ends in a payload that others send too.
#[derive(Debug)]
enum Waiting {
    Plain(Vec<u8>),
    Mixed(Box<Mixed>),
}

impl Default for Waiting {
    fn default() -> Self {
        Self::Plain(Vec::new())
    }
}

#[derive(Debug)]
struct Mixed {
    pieces: VecDeque<Piece>,
    /// Bytes of all pieces.
    bytes: usize,
    /// What follows them.
    buffer: Vec<u8>,
}

/// Bytes of this connection, then a payload that stays where it is.
#[derive(Debug)]
struct Piece {
    head: Box<[u8]>,
    message: Arc<Message>,
}

impl Piece {
    fn len(&self) -> usize {
        self.head.len() + self.message.payload.len()
    }
}

impl Outbox {
    /// Bytes that wait, shared ones included.
    pub fn len(&self) -> usize {
        let all = match &self.waiting {
            Waiting::Plain(buffer) => buffer.len(),
            Waiting::Mixed(mixed) => mixed.bytes + mixed.buffer.len(),
        };
        all - self.sent as usize
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer to append to.
    pub fn buffer(&mut self, pool: &mut BufferPool) -> &mut Vec<u8> {
        let buffer = match &mut self.waiting {
            Waiting::Plain(buffer) => buffer,
            Waiting::Mixed(mixed) => &mut mixed.buffer,
        };
        if buffer.capacity() == 0 {
            *buffer = pool.take();
        }
        buffer
    }

    /// Append the payload of `message` without a copy of it.
    pub fn share(&mut self, message: Arc<Message>) {
        if let Waiting::Plain(buffer) = &mut self.waiting {
            let mut buffer = mem::take(buffer);
            if self.sent > 0 {
                buffer.drain(..self.sent as usize);
                self.sent = 0;
            }
            self.waiting = Waiting::Mixed(Box::new(Mixed {
                pieces: VecDeque::new(),
                bytes: 0,
                buffer,
            }));
        }
        let Waiting::Mixed(mixed) = &mut self.waiting else {
            return;
        };
        if mixed.pieces.is_empty() && self.sent > 0 {
            mixed.buffer.drain(..self.sent as usize);
            self.sent = 0;
        }
        let piece = Piece {
            head: mixed.buffer.as_slice().into(),
            message,
        };
        mixed.buffer.clear();
        mixed.bytes += piece.len();
        mixed.pieces.push_back(piece);
    }

    /// Write as much as the socket takes; gives the bytes written.
    pub fn flush(&mut self, mut stream: impl Write, pool: &mut BufferPool) -> (Flushed, usize) {
        let mut written = 0;
        loop {
            let (result, offered) = match &self.waiting {
                Waiting::Plain(buffer) => {
                    let rest = buffer.get(self.sent as usize..).unwrap_or_default();
                    if rest.is_empty() {
                        break;
                    }
                    (stream.write(rest), rest.len())
                }
                Waiting::Mixed(mixed) => match mixed.write(self.sent as usize, &mut stream) {
                    Some(attempt) => attempt,
                    None => break,
                },
            };
            match result {
                Ok(0) => return (Flushed::Gone, written),
                Ok(n) => {
                    self.advance(n);
                    written += n;
                    if n < offered {
                        // A short write means the socket buffer is full: asking again would be a call
                        // for nothing.
                        return (self.block(), written);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return (self.block(), written),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return (Flushed::Gone, written),
            }
        }
        self.sent = 0;
        self.blocked = false;
        let buffer = match mem::take(&mut self.waiting) {
            Waiting::Plain(buffer) => buffer,
            Waiting::Mixed(mixed) => mixed.buffer,
        };
        if buffer.capacity() > 0 {
            pool.give(buffer);
        }
        (Flushed::All, written)
    }

    /// The socket takes no more: forget what is sent once it is the larger part, so that memory follows
    /// what waits.
    fn block(&mut self) -> Flushed {
        self.blocked = true;
        let sent = self.sent as usize;
        if let Waiting::Mixed(mixed) = &mut self.waiting
            && mixed.pieces.is_empty()
        {
            self.waiting = Waiting::Plain(mem::take(&mut mixed.buffer));
        }
        if let Waiting::Plain(buffer) = &mut self.waiting
            && sent > buffer.len() / 2
        {
            buffer.drain(..sent);
            self.sent = 0;
        }
        Flushed::Blocked
    }

    /// `n` more bytes are out.
    fn advance(&mut self, n: usize) {
        let mut sent = self.sent as usize + n;
        let buffer = match &mut self.waiting {
            Waiting::Plain(buffer) => buffer,
            Waiting::Mixed(mixed) => {
                sent = mixed.drop_sent(sent);
                &mut mixed.buffer
            }
        };
        self.sent = u32::try_from(sent).unwrap_or_else(|_| {
            buffer.drain(..sent);
            0
        });
    }
}

impl Mixed {
    /// One call to the socket with as many parts as it takes, past the first `sent` bytes; gives how
    /// many bytes were offered. `None`: there are none.
    fn write(&self, sent: usize, stream: &mut impl Write) -> Option<(io::Result<usize>, usize)> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let parts = self
            .pieces
            .iter()
            .flat_map(|piece| [&*piece.head, &*piece.message.payload])
            .chain([self.buffer.as_slice()]);
        let (mut skip, mut used, mut offered) = (sent, 0, 0);
        for part in parts {
            let rest = part.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(part.len());
            if rest.is_empty() {
                continue;
            }
            let Some(slice) = slices.get_mut(used) else {
                break;
            };
            *slice = IoSlice::new(rest);
            used += 1;
            offered += rest.len();
        }
        (used > 0).then(|| {
            let slices = slices.get(..used).unwrap_or_default();
            (stream.write_vectored(slices), offered)
        })
    }

    /// Drop the pieces that are out, of `sent` bytes in all; gives how much is out of the next.
    fn drop_sent(&mut self, mut sent: usize) -> usize {
        while let Some(first) = self.pieces.front().filter(|first| first.len() <= sent) {
            sent -= first.len();
            self.bytes -= first.len();
            self.pieces.pop_front();
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::{io::Read as _, os::unix::net::UnixStream};

    use vallum_mqtt::packet::QoS;

    use super::*;

    fn message(payload: Vec<u8>) -> Arc<Message> {
        Arc::new(Message {
            topic: "t".into(),
            properties: Box::default(),
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            publisher: None,
            expires_at: None,
        })
    }

    /// What comes out at the other end when the outbox is filled as `fill` says, `chunk` bytes read at
    /// a time in between.
    fn sent(chunk: usize, fill: impl FnOnce(&mut Outbox, &mut BufferPool)) -> Vec<u8> {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        fill(&mut outbox, &mut pool);
        let (total, mut all) = (outbox.len(), Vec::new());
        while all.len() < total {
            let before = outbox.len();
            let (flushed, written) = outbox.flush(&mut ours, &mut pool);
            assert_eq!(outbox.len(), before - written);
            assert_eq!(flushed == Flushed::All, outbox.is_empty());
            let mut read = vec![0; chunk];
            let n = theirs.read(&mut read).unwrap();
            all.extend_from_slice(read.get(..n).unwrap());
        }
        all
    }

    #[test]
    fn shared_payloads_stand_where_they_were_put() {
        let payload: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let large = message(payload.clone());
        let mut expected = Vec::new();
        for n in 0..100_u8 {
            expected.extend_from_slice(&[n, n]);
            if n % 3 == 0 {
                expected.extend_from_slice(&payload);
            }
        }
        for chunk in [4096, 1_000_000] {
            let got = sent(chunk, |outbox, pool| {
                for n in 0..100_u8 {
                    outbox.buffer(pool).extend_from_slice(&[n, n]);
                    if n % 3 == 0 {
                        outbox.share(Arc::clone(&large));
                    }
                }
            });
            assert!(got == expected);
        }
        assert_eq!(Arc::strong_count(&large), 1);
    }

    #[test]
    fn sharing_goes_on_after_a_short_write() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        let mut expected = vec![1; 1_000_000];
        outbox.buffer(&mut pool).extend_from_slice(&expected);
        assert_eq!(outbox.flush(&mut ours, &mut pool).0, Flushed::Blocked);
        for n in 2..5 {
            outbox.share(message(vec![n; 200_000]));
            expected.extend(vec![n; 200_000]);
            outbox.flush(&mut ours, &mut pool);
            outbox.buffer(&mut pool).push(9);
            expected.push(9);
        }
        let mut all = Vec::new();
        while all.len() < expected.len() {
            let mut read = vec![0; 70_000];
            let n = theirs.read(&mut read).unwrap();
            all.extend_from_slice(read.get(..n).unwrap());
            outbox.flush(&mut ours, &mut pool);
        }
        assert!(all == expected && outbox.is_empty());
    }
}
