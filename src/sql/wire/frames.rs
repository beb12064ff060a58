//! Frames on their way to the client, made of the packets in the buffer; see [`super::compress`].

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::compress::{FRAME_BYTES, FRAME_BYTES_MAX, Method, PACKED_BYTES_MAX, Packer, header};
use super::connections::Connections;
use super::outgoing::write;

/// What is compressed, and how far it is.
pub(super) struct Frames {
    method: Method,
    packer: Arc<Mutex<Packer>>,
    /// What stands before this in the buffer goes as it is.
    from: usize,
    /// Of the next frame.
    pub(super) number: u8,
    made: Vec<u8>,
    /// How much of that the socket has.
    written: usize,
    /// What stands before this in the buffer follows that, as it is.
    plain: usize,
    /// Bytes of a packet that the last frame had no room for.
    rest: usize,
    /// Bytes of packets since others had their turn.
    worked: usize,
}

impl Frames {
    /// What comes into the buffer after its first bytes goes in frames.
    pub(super) fn new(method: Method, packer: Arc<Mutex<Packer>>, from: usize) -> Frames {
        Frames { method, packer, from, number: 0, made: Vec::new(), written: 0, plain: 0, rest: 0, worked: 0 }
    }

    /// How much of the buffer goes as it is.
    pub(super) fn from(&self) -> usize {
        self.from
    }

    /// Writes the buffer from `taken` on, which moves to its end. Others have their turn after each full frame.
    pub(super) fn poll_write(
        &mut self,
        buffer: &[u8],
        taken: &mut usize,
        socket: &mut (dyn AsyncWrite + Send + Unpin),
        connections: &Connections,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            while self.written < self.made.len() {
                self.written += ready!(write(socket, &self.made[self.written..], connections, cx))?;
            }
            while *taken < self.plain {
                *taken += ready!(write(socket, &buffer[*taken..self.plain], connections, cx))?;
            }
            self.made.clear();
            (self.written, self.plain) = (0, 0);
            if *taken == buffer.len() {
                // An idle connection holds none.
                self.made = Vec::new();
                self.from = 0;
                return Poll::Ready(Ok(()));
            }
            if self.worked >= FRAME_BYTES {
                self.worked = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let packets = self.next(&buffer[*taken..]);
            if packets.len() > PACKED_BYTES_MAX {
                self.made.extend(header(packets.len(), self.number, 0));
                self.plain = *taken + packets.len();
            } else {
                let mut packer = self.packer.lock().unwrap_or_else(PoisonError::into_inner);
                packer.pack(self.method, packets, self.number, &mut self.made);
                self.worked += packets.len();
                *taken += packets.len();
            }
            self.number = self.number.wrapping_add(1);
        }
    }

    /// What the next frame holds: as many whole packets as it should, or one that is longer.
    fn next<'a>(&mut self, buffer: &'a [u8]) -> &'a [u8] {
        let mut end = self.rest;
        while let Some([a, b, c, _]) = buffer.get(end..).and_then(|rest| rest.first_chunk()) {
            let after = end + 4 + u32::from_le_bytes([*a, *b, *c, 0]) as usize;
            if end > 0 && after > FRAME_BYTES {
                break;
            }
            end = after;
        }
        let length = end.min(FRAME_BYTES_MAX).min(buffer.len());
        self.rest = end - length;
        &buffer[..length]
    }
}

#[cfg(test)]
mod tests {
    //! A frame begins with a packet and ends with one, as far as it can: a client that reads two frames for a packet at most gets on.
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;

    use super::super::compress_tests::unpacked;
    use super::super::outgoing::Outgoing;
    use super::*;

    #[tokio::test]
    async fn frames_hold_whole_packets() {
        for method in [Method::Zlib, Method::Zstd(3)] {
            let (mut client, server) = tokio::io::duplex(40 << 20);
            let connections = Connections::new(super::super::fake::metrics());
            let mut outgoing = Outgoing::new(Box::new(server), connections);
            outgoing.packet(b"as it is");
            outgoing.compress(method, Arc::default());
            let lengths = [1, 20_000, 20_000, 5, 40_000, 70_000, 7, 0xff_ffff - 5, 3, 0xff_ffff + 20, 9];
            lengths.iter().for_each(|length| outgoing.packet(&vec![b'x'; *length]));
            poll_fn(|cx| outgoing.poll_drain(cx)).await.expect("written");
            poll_fn(|cx| outgoing.poll_shutdown(cx)).await.expect("closed");
            drop(outgoing);
            let mut bytes = Vec::new();
            client.read_to_end(&mut bytes).await.expect("a pipe");
            let (mut rest, mut found, mut number, mut missing) = (&bytes[4 + 8..], Vec::new(), 0, 0);
            while let Some(([a, b, c, frame, d, e, f], after)) = rest.split_first_chunk::<7>() {
                let length = |a: &u8, b: &u8, c: &u8| u32::from_le_bytes([*a, *b, *c, 0]) as usize;
                let (packed, after) = after.split_at(length(a, b, c));
                assert_eq!(*frame, number);
                let plain = unpacked(method, packed.to_vec(), length(d, e, f));
                let mut packets = &plain[missing..];
                missing = 0;
                while let Some(([a, b, c, _], payload)) = packets.split_first_chunk::<4>() {
                    found.push(length(a, b, c));
                    let here = payload.len().min(length(a, b, c));
                    missing = length(a, b, c) - here;
                    packets = &payload[here..];
                }
                assert!(packets.is_empty() && (missing == 0 || plain.len() == FRAME_BYTES_MAX), "{} {missing}", plain.len());
                (rest, number) = (after, number + 1);
            }
            assert!(rest.is_empty());
            assert_eq!(found, [1, 20_000, 20_000, 5, 40_000, 70_000, 7, 0xff_ffff - 5, 3, 0xff_ffff, 20, 9]);
        }
    }
}
