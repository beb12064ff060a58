//! What opensrv writes to. Its greeting and its request for another plugin go through, amended; its OK after the login becomes ours;
//! everything after that is the shim's own, because opensrv knows neither character sets of columns nor status flags nor warnings.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::handshake::amend_greeting;
use super::line::Line;
use super::reply;

const SWITCH: u8 = 0xfe;
const OK: u8 = 0;

/// The writing end that opensrv gets.
pub(super) struct Outlet {
    line: Arc<Line>,
    /// A packet of opensrv's that is not whole yet.
    partial: Vec<u8>,
    greeted: bool,
    /// The login is answered.
    done: bool,
}

impl Outlet {
    pub(super) fn new(line: Arc<Line>) -> Outlet {
        Outlet { line, partial: Vec::new(), greeted: false, done: false }
    }

    fn packet(&mut self, mut payload: Vec<u8>) {
        let mut outgoing = self.line.outgoing();
        if !self.greeted {
            self.greeted = true;
            amend_greeting(&mut payload);
            return outgoing.packet(&payload);
        }
        match payload.first() {
            // The request for another plugin.
            Some(&SWITCH) if !self.line.is_logged_in() => outgoing.packet(&payload),
            // The shim has answered a login with a database itself.
            Some(&OK) if self.line.is_logged_in() && !self.done => {
                self.done = true;
                if self.line.response().database.is_none() {
                    reply::ok(&mut outgoing, reply::AUTOCOMMIT, 0);
                    self.line.compresses_answers(&mut outgoing);
                }
            }
            // Errors are the shim's, too.
            _ => {}
        }
    }
}

impl AsyncWrite for Outlet {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.partial.extend_from_slice(bytes);
        while let Some([a, b, c, _]) = self.partial.first_chunk() {
            let end = 4 + u32::from_le_bytes([*a, *b, *c, 0]) as usize;
            if self.partial.len() < end {
                break;
            }
            let payload = self.partial[4..end].to_vec();
            self.partial.drain(..end);
            self.packet(payload);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.outgoing().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.outgoing().poll_drain(cx)
    }
}
