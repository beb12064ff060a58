//! Frames on their way to the client, made of the packets in the buffer; see [`super::compress`].

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::compress::{FRAME_BYTES, Method, Packer};
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
    /// Bytes of packets since others had their turn.
    worked: usize,
}

impl Frames {
    /// What comes into the buffer after its first bytes goes in frames.
    pub(super) fn new(method: Method, packer: Arc<Mutex<Packer>>, from: usize) -> Frames {
        Frames { method, packer, from, number: 0, made: Vec::new(), written: 0, worked: 0 }
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
            self.made.clear();
            self.written = 0;
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
            let packets = &buffer[*taken..buffer.len().min(*taken + FRAME_BYTES)];
            let mut packer = self.packer.lock().unwrap_or_else(PoisonError::into_inner);
            packer.pack(self.method, packets, self.number, &mut self.made);
            self.number = self.number.wrapping_add(1);
            self.worked += packets.len();
            *taken += packets.len();
        }
    }
}
