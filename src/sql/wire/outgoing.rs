//! Packets on their way to the client: one buffer, written to the socket when it is full or when the answer is complete.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::compress::{Method, Packer};
use super::connections::Connections;
use super::frames::Frames;
use super::inlet::Numbers;

/// From so many bytes on, the buffer is written before more is put into it.
pub(super) const FULL_BYTES: usize = 64 << 10;
/// The longest payload of one packet; a payload of this length or more goes in several.
pub(super) const PART_BYTES: usize = 0xff_ffff;
/// A buffer that one large row has made large is not kept.
const KEPT_BYTES: usize = 4 * FULL_BYTES;

/// The write half and what waits for it.
pub(super) struct Outgoing {
    socket: Box<dyn AsyncWrite + Send + Unpin>,
    buffer: Vec<u8>,
    /// How much of the buffer the socket has, or is in frames.
    written: usize,
    sequence: u8,
    frames: Option<Frames>,
    connections: Arc<Connections>,
}

/// A packet that is being written: where its header is.
#[derive(Clone, Copy)]
#[must_use]
pub(super) struct Open(usize);

impl Outgoing {
    pub(super) fn new(socket: Box<dyn AsyncWrite + Send + Unpin>, connections: Arc<Connections>) -> Self {
        Outgoing { socket, buffer: Vec::new(), written: 0, sequence: 0, frames: None, connections }
    }

    /// The numbers of the next packet and frame: one more than the client's last.
    pub(super) fn answers(&mut self, last: Numbers) {
        self.sequence = last.packet.wrapping_add(1);
        if let Some(frames) = &mut self.frames {
            frames.number = last.frame.wrapping_add(1);
        }
    }

    /// What follows what is in the buffer now goes in frames.
    pub(super) fn compress(&mut self, method: Method, packer: Arc<Mutex<Packer>>) {
        self.frames = Some(Frames::new(method, packer, self.buffer.len()));
    }

    /// The number of the next frame.
    pub(super) fn next_frame(&self) -> u8 {
        self.frames.as_ref().map_or(0, |frames| frames.number)
    }

    /// Starts a packet; its payload goes to [`Outgoing::payload`].
    pub(super) fn open(&mut self) -> Open {
        let at = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        Open(at)
    }

    /// Where the payload of the open packet is appended.
    pub(super) fn payload(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Ends the packet.
    pub(super) fn close(&mut self, Open(at): Open) {
        let length = self.buffer.len().saturating_sub(at + 4);
        if length >= PART_BYTES {
            return self.split(at);
        }
        let header = self.header(length);
        self.buffer[at..at + 4].copy_from_slice(&header);
    }

    /// A whole packet.
    pub(super) fn packet(&mut self, payload: &[u8]) {
        let open = self.open();
        self.buffer.extend_from_slice(payload);
        self.close(open);
    }

    fn header(&mut self, length: usize) -> [u8; 4] {
        let [a, b, c, _] = (length as u32).to_le_bytes();
        let header = [a, b, c, self.sequence];
        self.sequence = self.sequence.wrapping_add(1);
        header
    }

    fn split(&mut self, at: usize) {
        let payload = self.buffer.split_off(at + 4);
        self.buffer.truncate(at);
        let mut rest = payload.as_slice();
        loop {
            let (part, after) = rest.split_at(rest.len().min(PART_BYTES));
            let header = self.header(part.len());
            self.buffer.extend_from_slice(&header);
            self.buffer.extend_from_slice(part);
            // A full part is always followed by another, be it empty.
            if part.len() < PART_BYTES {
                return;
            }
            rest = after;
        }
    }

    /// The buffer should be written before more is added.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= FULL_BYTES
    }

    /// Writes all of the buffer.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let plain = self.frames.as_ref().map_or(self.buffer.len(), Frames::from);
        while self.written < plain {
            let rest = &self.buffer[self.written..plain];
            self.written += ready!(write(&mut self.socket, rest, &self.connections, cx))?;
        }
        if let Some(frames) = &mut self.frames {
            ready!(frames.poll_write(&self.buffer, &mut self.written, &mut self.socket, &self.connections, cx))?;
        }
        self.written = 0;
        if self.buffer.capacity() > KEPT_BYTES {
            self.buffer = Vec::new()
        } else {
            self.buffer.clear()
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Tells the client that nothing more comes.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Writes some.
pub(super) fn write(
    socket: &mut (dyn AsyncWrite + Send + Unpin),
    bytes: &[u8],
    connections: &Connections,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let written = ready!(Pin::new(socket).poll_write(cx, bytes))?;
    if written == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    connections.counters.bytes_out.fetch_add(written as u64, Relaxed);
    connections.metrics.bytes.inc_by(written as u64);
    Poll::Ready(Ok(written))
}

#[cfg(test)]
mod tests {
    //! A payload that is too long for one packet goes in parts, and one of exactly the limit is followed by an empty part.
    use super::*;

    #[test]
    fn long_payloads_go_in_parts() {
        for (length, expected) in [(5, vec![5]), (PART_BYTES, vec![PART_BYTES, 0]), (PART_BYTES + 7, vec![PART_BYTES, 7])] {
            let mut outgoing = Outgoing::new(Box::new(tokio::io::sink()), Connections::new(super::super::fake::metrics()));
            outgoing.answers(Numbers { packet: 254, frame: 0 });
            outgoing.packet(b"before");
            outgoing.packet(&vec![b'x'; length]);
            let mut rest = &outgoing.buffer[4 + 6..];
            let mut parts = Vec::new();
            while let Some(([a, b, c, sequence], after)) = rest.split_first_chunk::<4>() {
                assert_eq!(usize::from(*sequence), parts.len(), "the sequence goes on from 255 with 0");
                let length = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
                parts.push(length);
                rest = &after[length..];
            }
            assert_eq!(parts, expected);
        }
    }
}
