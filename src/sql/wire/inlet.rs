//! Reads the client's packets from the socket: bounded in length and time, whole, in sequence.
//!
//! It reads on while a statement runs, so that it sees a client that goes; but no more than one packet ahead. (A client that sends
//! several commands without waiting for the first answer, which none is known to do, and then goes is seen when the answers are written,
//! or when `max_execution_time` is over.)

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::mpsc;

use super::connections::Interrupt;
use super::line::Line;
use super::outgoing::PART_BYTES;
use super::service::PacketShare;
use crate::sql::error::SqlError;

/// A packet's payload before the login is done.
const LOGIN_BYTES_MAX: usize = 16 << 10;
/// A shorter payload takes no share of the server's memory for packets.
const SMALL_BYTES: usize = 16 << 10;
/// A payload is not given room before it is there.
const STEP_BYTES: usize = 64 << 10;
/// After a packet that is not taken, so much more is read and dropped: a client that is still sending would never see the error.
const DROPPED_BYTES_MAX: u64 = 64 << 20;

/// What came.
pub(super) enum Inbound {
    /// A payload, the sequence number of its last packet, and the memory that its packets were given.
    Payload(Vec<u8>, u8, Vec<PacketShare>),
    /// Something that ends the connection.
    Broken(SqlError),
}

enum Stop {
    /// The client has gone.
    Gone,
    /// It sends what cannot be taken.
    Broken(SqlError),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Stop {
        Stop::Gone
    }
}

/// Reads until the client goes, something is wrong with what it sends, or nobody wants more.
pub(super) async fn run(socket: impl AsyncRead + Unpin, line: Arc<Line>, inbound: mpsc::Sender<Inbound>) {
    let mut inlet = Inlet { socket: BufReader::with_capacity(8 << 10, socket), line, logins: 0 };
    loop {
        // The header first: it tells of the end of the connection while the packet before is being answered.
        let header = inlet.header().await;
        let Ok(permit) = inbound.reserve().await else { return };
        match inlet.payload(header).await {
            Ok(payload) => permit.send(payload),
            Err(Stop::Gone) => return inlet.line.entry.interrupt(Interrupt::Gone),
            Err(Stop::Broken(error)) => {
                permit.send(Inbound::Broken(error));
                let mut rest = inlet.socket.take(DROPPED_BYTES_MAX);
                // Nothing depends on it.
                let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
                return;
            }
        }
    }
}

struct Inlet<R> {
    socket: BufReader<R>,
    line: Arc<Line>,
    /// Packets of the login so far.
    logins: u8,
}

impl<R: AsyncRead + Unpin> Inlet<R> {
    /// Length and sequence.
    async fn header(&mut self) -> Result<(usize, u8), Stop> {
        let mut header = [0; 4];
        // The end is seen at once, even when one packet is waiting to be taken already.
        let read = self.socket.read_exact(&mut header).await;
        if read.is_err() {
            self.line.entry.interrupt(Interrupt::Gone);
        }
        read?;
        self.line.service.connections.counters.bytes_in.fetch_add(4, Relaxed);
        let [a, b, c, sequence] = header;
        Ok((u32::from_le_bytes([a, b, c, 0]) as usize, sequence))
    }

    async fn payload(&mut self, header: Result<(usize, u8), Stop>) -> Result<Inbound, Stop> {
        let (length, sequence) = header?;
        let logged_in = self.line.is_logged_in();
        let expected = match logged_in {
            // After COM_CHANGE_USER and the request for another plugin.
            true if self.line.is_proof_expected() => 2,
            true => 0,
            false => 2 * self.logins + 1,
        };
        if sequence != expected {
            return Err(out_of_order());
        }
        // A login has two packets of the client at most.
        self.logins = (self.logins + 1).min(2);
        let timeout = self.line.service.options.read_timeout;
        match tokio::time::timeout(timeout, self.parts(length, sequence, logged_in)).await {
            Ok(result) => result,
            Err(_) => Err(Stop::Broken(SqlError::new(1159, "08S01", "Got timeout reading communication packets"))),
        }
    }

    async fn parts(&mut self, first: usize, sequence: u8, logged_in: bool) -> Result<Inbound, Stop> {
        let max = if logged_in { self.line.service.options.packet_bytes_max } else { LOGIN_BYTES_MAX };
        let (mut length, mut sequence) = (first, sequence);
        let mut payload = Vec::new();
        let mut shares = Vec::new();
        loop {
            if payload.len() + length > max {
                let text = format!("Got a packet bigger than 'max_allowed_packet' bytes ({max})");
                return Err(Stop::Broken(SqlError::new(1153, "08S01", text)));
            }
            if payload.len() + length > SMALL_BYTES {
                let charge = self.line.entry.take(length).await;
                let permit = self.line.service.packets.take(length).await.ok_or(Stop::Gone)?;
                shares.push(PacketShare { _permit: permit, _charge: charge });
            }
            self.append(&mut payload, length).await?;
            if length < PART_BYTES {
                return Ok(Inbound::Payload(payload, sequence, shares));
            }
            let (next, number) = self.header().await?;
            if number != sequence.wrapping_add(1) {
                return Err(out_of_order());
            }
            (length, sequence) = (next, number);
        }
    }

    async fn append(&mut self, payload: &mut Vec<u8>, length: usize) -> Result<(), Stop> {
        let mut left = length;
        while left > 0 {
            let (at, step) = (payload.len(), left.min(STEP_BYTES));
            payload.resize(at + step, 0);
            self.socket.read_exact(&mut payload[at..]).await?;
            left -= step;
        }
        self.line.service.connections.counters.bytes_in.fetch_add(length as u64, Relaxed);
        Ok(())
    }
}

fn out_of_order() -> Stop {
    Stop::Broken(SqlError::new(1156, "08S01", "Got packets out of order"))
}
