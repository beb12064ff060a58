//! What opensrv reads: a rewritten answer to its greeting, and then one and the same small query for every command. The command
//! itself lies in [`Line`], where the shim takes it from. So opensrv leads the login and the loop, and parses nothing that a client wrote.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};

use super::command::Command;
use super::connections::Interrupt;
use super::handshake::Response;
use super::inlet::Inbound;
use super::line::Line;
use super::service::PacketShare;
use crate::sql::error::SqlError;

/// `COM_QUERY` of two letters, whatever the client sent.
const QUERY: &[u8] = b"\x03\0\0\0\x03z4";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The answer to the greeting comes next.
    Response,
    /// Then, perhaps, the answer to the request for another plugin.
    Switched,
    /// Then commands.
    Commands,
    /// Nothing more.
    Over,
}

/// The reading end that opensrv gets.
pub(super) struct Gate {
    line: Arc<Line>,
    inbound: mpsc::Receiver<Inbound>,
    stage: Stage,
    ready: Vec<u8>,
    given: usize,
    timer: Pin<Box<Sleep>>,
    waits: bool,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Gate {
    pub(super) fn new(line: Arc<Line>, inbound: mpsc::Receiver<Inbound>) -> Gate {
        let mut interrupts = line.entry.interrupts();
        let ended = Box::pin(async move {
            // An error says that nobody can interrupt any more, and then the connection is over, too.
            let _ = interrupts.wait_for(|why| *why >= Interrupt::Connection).await;
        });
        let timer = Box::pin(sleep(line.service.options.login_timeout));
        Gate { line, inbound, stage: Stage::Response, ready: Vec::new(), given: 0, timer, waits: true, ended }
    }

    /// There is nothing to give: gets something, or finds the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ended.as_mut().poll(cx).is_ready() {
            self.stage = Stage::Over;
            return Poll::Ready(());
        }
        if self.stage == Stage::Switched && self.line.is_logged_in() {
            self.stage = Stage::Commands;
            self.waits = false;
        }
        if !self.waits && self.stage == Stage::Commands {
            self.waits = true;
            self.timer.set(sleep(self.line.idle()));
        }
        match self.inbound.poll_recv(cx) {
            Poll::Ready(Some(inbound)) => self.take(inbound),
            Poll::Ready(None) => self.stage = Stage::Over,
            Poll::Pending if self.timer.as_mut().poll(cx).is_ready() => self.stage = Stage::Over,
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(())
    }

    fn take(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Payload(payload, numbers, shares) => {
                self.line.outgoing().answers(numbers);
                match self.stage {
                    Stage::Response => self.response(&payload),
                    Stage::Switched => self.give(numbers.packet, &payload),
                    _ if self.line.is_proof_expected() => self.command(Command::Proof(payload), shares),
                    _ => self.command(Command::parse(payload), shares),
                }
            }
            Inbound::Broken(error, numbers) => {
                self.line.outgoing().answers(numbers);
                match self.stage {
                    Stage::Commands => self.command(Command::Broken(error), Vec::new()),
                    _ => self.refuse(&error),
                }
            }
        }
    }

    fn response(&mut self, payload: &[u8]) {
        let response = match Response::parse(payload) {
            Ok(response) => response,
            Err(why) => return self.refuse(&SqlError::new(1043, "08S01", why)),
        };
        let users = &self.line.service.users;
        let plugin = users.plugin(&response.user, &response.plugin);
        // A client that has another plugin than the greeting's has answered to nothing yet, and waits to be asked.
        let switched = response.plugin != plugin || plugin != users.default_plugin();
        let rewritten = response.rewritten(plugin, switched);
        self.line.introduced(response, plugin);
        self.stage = Stage::Switched;
        self.give(1, &rewritten);
    }

    fn command(&mut self, command: Command, shares: Vec<PacketShare>) {
        self.waits = false;
        if command == Command::Quit {
            self.stage = Stage::Over;
            return;
        }
        self.line.service.connections.counters.commands.fetch_add(1, Relaxed);
        self.line.put(command, shares);
        self.ready.extend_from_slice(QUERY);
    }

    fn give(&mut self, sequence: u8, payload: &[u8]) {
        // Bounded by the inlet far below what three bytes can say.
        let [a, b, c, _] = (payload.len() as u32).to_le_bytes();
        self.ready.extend_from_slice(&[a, b, c, sequence]);
        self.ready.extend_from_slice(payload);
    }

    fn refuse(&mut self, error: &SqlError) {
        self.line.refuse(error);
        self.stage = Stage::Over;
    }
}

impl AsyncRead for Gate {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.given == self.ready.len() {
            let gate = &mut *self;
            gate.ready.clear();
            gate.given = 0;
            if gate.stage == Stage::Over {
                return Poll::Ready(Ok(()));
            }
            std::task::ready!(gate.poll_next(cx));
        }
        let step = into.remaining().min(self.ready.len() - self.given);
        into.put_slice(&self.ready[self.given..self.given + step]);
        self.given += step;
        Poll::Ready(Ok(()))
    }
}
